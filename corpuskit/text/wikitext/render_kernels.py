"""The entry to the kernels; import it only where it runs, for numba's sake."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from numba import njit

from corpuskit.text.wikitext.base_kernels import AT, CLOSER, CLOSERS, ERROR, EXTERNAL, KEY, PIECES, SOURCES
from corpuskit.text.wikitext.scan_kernels import scan
from corpuskit.text.wikitext.tidy_kernels import put_back, tidy
from corpuskit.text.wikitext.work_kernels import work


def _digest() -> int:
    """Hash the sources of all kernels: numba's cache looks at one file alone, but compiles what the others hold."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*_kernels.py")):
        digest.update(file.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _entry(sources: int) -> Any:
    @njit(cache=True, nogil=True)
    def render(stop: Any, table: Any) -> Any:
        """Render source[0:stop], give the size of the text: in `out` if state[PIECES] is not 0, else in `tmp`.

        `table` is the address table of `work_kernels`. state[ERROR] is not 0 where it failed.
        """
        w = work(table)
        state, frames = w.state, w.frames
        state[AT:SOURCES] = 0
        state[SOURCES] = sources  # a value from around the function is part of its key in the cache
        state[CLOSER : CLOSER + CLOSERS] = -1
        frames[0, :] = 0
        frames[0, KEY] = frames[0, EXTERNAL] = -1
        w.pieces[0] = 0
        scan(w, stop)
        if state[ERROR]:
            return 0
        size = tidy(w)
        return put_back(w, size) if state[PIECES] else size

    return render


render = _entry(_digest())
