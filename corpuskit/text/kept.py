"""Arrays that take a moment to make, kept in the user's cache folder and mapped into memory by every process.

Only what anybody can make again is kept: without a cache folder that can be written everything works, each process
spends its half second, and holds a copy of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
_UNREADABLE = (OSError, ValueError, EOFError)  # none there, or a damaged one


def cache_folder() -> Path:
    """Give the folder for what can be made again: corpuskit's in XDG_CACHE_HOME, else in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "corpuskit"


def kept(name: str, version: bytes, make: Callable[[], Arrays]) -> Arrays:
    """Give the arrays that `make` makes, never writable; from the cache where they are there.

    `version` is whatever decides what `make` gives: other bytes are other arrays.
    """
    import xxhash

    folder = cache_folder() / f"{name}-{xxhash.xxh3_128_hexdigest(version)}"
    with contextlib.suppress(*_UNREADABLE):
        return _read(folder)
    arrays = {each: np.ascontiguousarray(values) for each, values in make().items()}
    with contextlib.suppress(*_UNREADABLE):
        _write(folder, arrays)
        return _read(folder)
    for values in arrays.values():
        values.flags.writeable = False
    return arrays


def source_of(module_file: str) -> bytes:
    """Give a module's source, as a part of the version of what its functions make."""
    return Path(module_file).read_bytes()


def _read(folder: Path) -> Arrays:
    names = (folder / "names").read_text(encoding="utf-8").split()
    # A plain view: numba does not know np.memmap.
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray) for name in names}


def _write(folder: Path, arrays: Arrays) -> None:
    """Write the arrays; the folder has its name only when it is whole. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.tmp.", dir=folder.parent))
    try:
        for name, values in arrays.items():
            np.save(scratch / f"{name}.npy", values, allow_pickle=False)
        (scratch / "names").write_text(" ".join(arrays), encoding="utf-8")
        scratch.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        with contextlib.suppress(OSError):  # another process was faster
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
