"""What makes files last, and what tells whether they did: fsync and hashes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from corpuskit.errors import CannotWrite
from corpuskit.formats.meter import human

_PIECE_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20


def sync(path: str | Path) -> None:
    """Make a file, or the names in a folder, outlast a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_and_sha256(path: str | Path) -> tuple[int, str]:
    """Read a file for its bytes and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def check_room(folder: Path, needed: int) -> None:
    """Raise CannotWrite where so many bytes do not fit, with some to spare."""
    free = shutil.disk_usage(folder).free
    if needed > 0 and needed + _SPARE_BYTES > free:
        problem = f"{human(needed)} are to come, {human(free)} are free"
        raise CannotWrite(str(folder), problem, "free space or choose another folder")
