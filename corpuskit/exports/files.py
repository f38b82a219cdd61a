"""Rows of files of about one size, which get their names when their number is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO


class Parts:
    """Files of one split. `name(at, count)` names file `at` of `count` when all are written."""

    def __init__(self, out: Path, stem: str, name: Callable[[int, int], str]) -> None:
        self._out, self._stem, self._name = out, stem, name
        self._paths: list[Path] = []
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        """Begin the next file."""
        self.close()
        # `.part` files are left behind by the runner: a cut-off run shows none of them.
        self._paths.append(self._out / f".{self._stem}-{len(self._paths)}.part")
        self._file = open(self._paths[-1], "wb", buffering=1 << 20)  # noqa: SIM115 (closed in close)
        return self._file

    def close(self) -> None:
        """End the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def name_all(self) -> list[Path]:
        """Give the files their names."""
        self.close()
        named = []
        for at, path in enumerate(self._paths):
            target = self._out / self._name(at, len(self._paths))
            target.parent.mkdir(parents=True, exist_ok=True)
            named.append(path.rename(target))
        return named
