"""Where tests find the real data that the project does not carry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared(name: str) -> Path:
    """Give the path of a shared data file, or skip the test where the data is not at hand."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"needs {name} of the development data (set CORPUSKIT_DATA)")
    return path
