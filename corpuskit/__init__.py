"""Turn raw text of the web into shards that a language model trains on, and prove that they are good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpuskit.lm.loader import load_blocks as load_blocks

__version__ = "0.1.0"
__all__ = ["__version__", "load_blocks"]


def __getattr__(name: str) -> Any:
    """Import torch only for who asks for the loader."""
    if name == "load_blocks":
        from corpuskit.lm.loader import load_blocks

        return load_blocks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
