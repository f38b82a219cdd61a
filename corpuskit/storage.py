"""All dataset I/O: local folders and the URIs that `pyarrow.fs` opens (`s3://`, `gs://`, `hdfs://`).

A file appears under its name only when it is whole: locally it is written beside it, flushed, fsynced and renamed;
object stores show an object when its upload completes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from corpuskit.errors import CannotWrite, CorpuskitError, NoInput
from corpuskit.formats.durable import size_and_sha256, sync

if TYPE_CHECKING:
    import pyarrow.fs as pafs

_CHUNK_BYTES = 1 << 20
_TEMPORARY = re.compile(r"(.+)\.tmp\.[0-9a-f]{8}")
_CANNOT_WRITE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EFBIG,
    errno.ENOTDIR,
}


def is_remote(path: str) -> bool:
    """Tell whether a path is a URI rather than a local one."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """Join path parts; works for URIs and local paths."""
    return "/".join([folder.rstrip("/") or "/", *[name for name in names if name]])


def filesystem(path: str) -> tuple[pafs.FileSystem, str]:
    """Open the file system of a path. Raises CorpuskitError where pyarrow knows none for the URI."""
    import pyarrow.fs as pafs

    try:
        return cast("tuple[pafs.FileSystem, str]", pafs.FileSystem.from_uri(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpuskitError(
            path, f"cannot be opened: {error}", "give a local path or an s3://, gs:// or hdfs:// URI"
        ) from None


def exists(path: str) -> bool:
    """Tell whether a file or folder is there."""
    if not is_remote(path):
        return os.path.exists(path)
    import pyarrow.fs as pafs

    fs, inner = filesystem(path)
    return bool(fs.get_file_info(inner).type != pafs.FileType.NotFound)


def size(path: str) -> int | None:
    """Give a file's size in bytes, or None where there is none."""
    if not is_remote(path):
        return os.path.getsize(path) if os.path.isfile(path) else None
    import pyarrow.fs as pafs

    fs, inner = filesystem(path)
    info = fs.get_file_info(inner)
    return int(info.size) if info.type == pafs.FileType.File else None


def names(folder: str) -> list[str]:
    """List the names of what a folder holds, sorted; nothing where there is no folder."""
    if not is_remote(folder):
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    import pyarrow.fs as pafs

    fs, inner = filesystem(folder)
    return sorted(info.base_name for info in fs.get_file_info(pafs.FileSelector(inner, allow_not_found=True)))


def read_bytes(path: str) -> bytes:
    """Read a whole small file. Raises NoInput where there is none."""
    try:
        if not is_remote(path):
            return Path(path).read_bytes()
        fs, inner = filesystem(path)
        with fs.open_input_stream(inner) as stream:
            return bytes(stream.read())
    except (FileNotFoundError, IsADirectoryError):
        raise NoInput(path, "expected a file, found none", "check the path") from None


def source(path: str) -> pa.NativeFile:
    """Open a file for random access, memory-mapped where it is local."""
    if not is_remote(path):
        return pa.memory_map(path) if os.path.getsize(path) else pa.BufferReader(b"")
    fs, inner = filesystem(path)
    return fs.open_input_file(inner)


def sha256(path: str) -> str:
    """Hash a file's bytes."""
    if not is_remote(path):
        return size_and_sha256(path)[1]
    return _hashed(path, hashlib.sha256())


def passing_hash(path: str) -> str:
    """Hash the bytes of a file that does not stay, as its `Sink` did: 128 bits of XXH3, five times as fast."""
    return _hashed(path, _passing())


def _passing() -> Any:
    import xxhash

    return xxhash.xxh3_128()


def _hashed(path: str, digest: Any) -> str:
    with source(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return str(digest.hexdigest())


class Sink(io.RawIOBase):
    """A file that is being written: counts and hashes its bytes, and shows itself only on `commit()`.

    One that is `passing` is read once and removed: it has another hash (`passing_hash`), and need not be durable.
    """

    def __init__(self, path: str, *, passing: bool = False) -> None:
        super().__init__()
        self.path, self.bytes, self._passing = path, 0, passing
        self._digest = _passing() if passing else hashlib.sha256()
        with cannot_write(path):
            if is_remote(path):
                fs, inner = filesystem(path)
                self._temporary, self._file = None, cast("IO[bytes]", _open_output(fs, inner))
            else:
                os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
                self._temporary = f"{path}.tmp.{secrets.token_hex(4)}"
                self._file = open(self._temporary, "wb", buffering=0)  # noqa: SIM115 (closed in commit or abort)

    def writable(self) -> bool:
        """Say that it is made for writing."""
        return True

    def write(self, data: Any) -> int:
        """Write all of the bytes."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.bytes += len(view)
        with cannot_write(self.path):
            rest = view
            while len(rest):
                done = self._file.write(rest)
                rest = rest[done if done is not None else len(rest) :]
        return len(view)

    def commit(self) -> tuple[int, str]:
        """Make the file appear under its name, durable; gives (bytes, hash). Raises CannotWrite."""
        try:
            with cannot_write(self.path):
                if self._temporary is None:
                    self._file.close()
                else:
                    self._file.flush()
                    if not self._passing:
                        os.fsync(self._file.fileno())
                    self._file.close()
                    os.replace(self._temporary, self.path)
                    if not self._passing:
                        sync(os.path.dirname(self.path) or ".")
        except BaseException:
            self.abort()
            raise
        return self.bytes, self._digest.hexdigest()

    def abort(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):
            self._file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


def _open_output(fs: pafs.FileSystem, path: str) -> pa.NativeFile:
    try:
        return fs.open_output_stream(path)
    except FileNotFoundError:  # hdfs and file:// want the folder first; object stores have none
        fs.create_dir(path.rsplit("/", 1)[0], recursive=True)
        return fs.open_output_stream(path)


def write_bytes(path: str, data: bytes) -> tuple[int, str]:
    """Write a small file atomically; gives (bytes, sha256)."""
    return write(path, lambda sink: sink.write(data))


def write(path: str, fill: Callable[[Sink], Any]) -> tuple[int, str]:
    """Write a file atomically with what `fill` puts into it; gives (bytes, sha256)."""
    sink = Sink(path)
    try:
        fill(sink)
    except BaseException:
        sink.abort()
        raise
    return sink.commit()


def place(made: str, final: str) -> None:
    """Let a finished file appear under a second name without copying it where the file system can."""
    with cannot_write(final):
        if is_remote(made):
            fs, inner = filesystem(made)
            with fs.open_input_stream(inner) as source, _open_output(fs, filesystem(final)[1]) as target:
                while chunk := source.read(_CHUNK_BYTES * 8):
                    target.write(chunk)
            return
        os.makedirs(os.path.dirname(final), exist_ok=True)
        temporary = f"{final}.tmp.{secrets.token_hex(4)}"
        try:
            os.link(made, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(made, temporary)
            sync(temporary)
        os.replace(temporary, final)
        # Two names of one file, as after a commit that was cut off here: rename(2) then leaves both as they are.
        Path(temporary).unlink(missing_ok=True)


def sweep(paths: Iterable[str]) -> None:
    """Remove what writers of these local files left beside them when they were killed."""
    names: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        names.setdefault(folder or ".", set()).add(name)
    for folder, known in names.items():
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            left = _TEMPORARY.fullmatch(name)
            if left is not None and left[1] in known:
                Path(folder, name).unlink(missing_ok=True)


def adopt(made: Path, final: str) -> tuple[int, str]:
    """Let a local file appear under a second name, hashed and durable; gives (bytes, sha256).

    Hashing reads it, copying to an object store too: in one go where it must be copied.
    """
    if is_remote(final):

        def fill(sink: Sink) -> None:
            with open(made, "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    sink.write(chunk)

        return write(final, fill)
    with cannot_write(str(made)):
        sync(made)
    place(str(made), final)
    return size_and_sha256(final)


def remove_file(path: str) -> None:
    """Remove a file if it is there."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    elif exists(path):
        fs, inner = filesystem(path)
        fs.delete_file(inner)


def remove_folder(path: str) -> None:
    """Remove a folder and all that it holds, if it is there."""
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
    elif exists(path):
        fs, inner = filesystem(path)
        fs.delete_dir(inner)


def tree(folder: str) -> list[str]:
    """List all files below a local folder as relative paths, sorted."""
    root = Path(folder)
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """Give a local path to a file or folder: itself, or a temporary copy of a remote one."""
    if not is_remote(path):
        yield Path(path)
        return
    import pyarrow.fs as pafs

    with tempfile.TemporaryDirectory(prefix="corpuskit-") as scratch:
        target = os.path.join(scratch, path.rstrip("/").rsplit("/", 1)[-1])
        fs, inner = filesystem(path)
        if fs.get_file_info(inner).type == pafs.FileType.File:
            pafs.copy_files(inner, target, source_filesystem=fs, destination_filesystem=pafs.LocalFileSystem())
        else:
            os.makedirs(target, exist_ok=True)
            pafs.copy_files(inner, target, source_filesystem=fs, destination_filesystem=pafs.LocalFileSystem())
        yield Path(target)


@contextlib.contextmanager
def cannot_write(path: str) -> Iterator[None]:
    """Turn a full disk, a read-only folder and the like into CannotWrite."""
    try:
        yield
    except OSError as error:
        if error.errno in _CANNOT_WRITE or is_remote(path):
            reason = error.strerror or str(error)
            raise CannotWrite(
                path, f"cannot write: {reason}", "free space or choose another folder; a rerun goes on"
            ) from None
        raise
