"""Keep pyarrow from loading pandas: 30 MB and a sixth of a second that no stage has a use for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_spared = False


class _NoPandas:
    """Finds no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is spared", name="pandas")
        return None


def spare_pandas() -> None:
    """Let pyarrow believe, for the rest of this process, that there is no pandas.

    pyarrow looks for it once, at the first array made of Python values. pandas itself can still be imported, but
    pyarrow will not convert to it: for processes of our own only, never at import.
    """
    global _spared
    if _spared or "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder: Any = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
    _spared = True
