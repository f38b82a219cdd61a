"""Spare what no stage has a use for, and each process would pay for.

pandas, which pyarrow loads (30 MB, a sixth of a second); scipy's linear algebra, which numba loads (a fifth of a
second); threads that numpy and pyarrow start, which keep a process from being forked; looking for garbage among what
never goes.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_spared = False
_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
#: Objects that were made and not freed until their cycles are looked for, and how often older ones are looked at too.
_COLLECT_AFTER = (50_000, 20, 20)


class _NoPandas:
    """Finds no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is spared", name="pandas")
        return None


class _NoBlas:
    """Finds no scipy while numba asks whether there is one."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        asking = sys.modules.get("numba.np.arraymath")
        if name.startswith("scipy") and asking is not None and not hasattr(asking, "_HAVE_BLAS"):
            raise ModuleNotFoundError("numba is spared scipy", name=name)
        return None


def spare_threads() -> None:
    """Load numpy and pyarrow, if they are not there yet, without the threads that parts of them start at import.

    Those are OpenBLAS, though no stage of ours multiplies matrices with numpy, and jemalloc, which gives memory back in
    the background and is not the allocator that pyarrow uses by itself. A process of one thread can be forked safely.
    What the user has set stays, and libraries that are loaded later find nothing set.
    """
    if "numpy" in sys.modules or "pyarrow" in sys.modules:
        return
    held = {name: value for name, value in _NO_THREADS.items() if name not in os.environ}
    os.environ.update(held)
    try:
        import pyarrow as pa  # noqa: F401  # and numpy with it: loaded here for what they find in the environment
    finally:
        for name in held:
            del os.environ[name]


def spare_scipy() -> None:
    """Let numba believe, if it is not there yet, that there is no BLAS: compiled loops here multiply no matrices.

    It loads scipy.linalg at import only to know that. scipy itself can still be imported.
    """
    if not any(isinstance(finder, _NoBlas) for finder in sys.meta_path):
        finder: Any = _NoBlas()
        sys.meta_path.insert(0, finder)


def spare(*, pandas: bool) -> None:
    """Spare this process what is no use to any command, and pandas if told so: for our own processes, never at import.

    A user's stages may convert tables to pandas; ours do not. At its end what the system takes back as a whole is not
    looked through for cycles first, which takes a fiftieth of a second.
    """
    collect_seldom()
    atexit.register(gc.freeze)
    spare_scipy()
    if pandas:
        spare_pandas()


def collect_seldom() -> None:
    """Let the rest of this process look for cycles of garbage a seventieth as often as Python does.

    numba's types and registries are 100,000 objects that never go, and were looked through again and again while they
    and the rows of documents were made: .15 s of each process of `extract` on 3,096 pages, now .06.
    """
    gc.set_threshold(*_COLLECT_AFTER)


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
