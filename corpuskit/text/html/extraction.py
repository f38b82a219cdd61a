"""Hand a page to the compiled extractor, and read what it leaves; import it only where it runs, for numba's sake."""

from __future__ import annotations

import functools
import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpuskit.text.html import model, page_kernels, tags
from corpuskit.text.html.arrays import R_HEADING, R_MAIN, R_MARKS, ROOM_HEAD
from corpuskit.text.html.packing import aligned, packed

Known = npt.NDArray[np.uint8]
# What a thread's room for scratch has at first, and the most that it keeps. What is not written takes no memory.
_FIRST_BYTES, _MOST_BYTES = 1 << 23, 1 << 26


class Room(threading.local):
    """The scratch of a thread: its bytes, the same as a buffer, and its head, see `arrays`."""

    def __init__(self) -> None:
        self.have(_FIRST_BYTES)

    def have(self, size: int) -> None:
        """Give up what there is for a room of so many bytes."""
        self.bytes = aligned(size)
        self.view = memoryview(self.bytes)  # type: ignore[arg-type]  # a buffer from Python 3.12 on
        self.head = self.view[: 8 * ROOM_HEAD].cast("q")


class Extracted(NamedTuple):
    """The main text of a page, the F1 to be expected, marks (kind, start, stop) in the page, text of its first h1."""

    main: str
    confidence: float
    marks: list[tuple[int, int, int]]
    heading: str


_room = Room()


def known(learned: model.Model) -> Known:
    """Put all that the compiled extractor knows into one array."""
    lexicons, first, second = learned
    return packed([*tags.tables(), *lexicons, *model.masks(first), *model.masks(second)])


@functools.lru_cache(maxsize=1)
def shipped() -> Known:
    """Give what it knows with the model that is shipped."""
    return known(model.shipped())


def run(page: bytes, what: Known, room: Room, comments: bool = False) -> float:
    """Leave what is found in a page in `room`; gives the F1 to be expected. The page is UTF-8, a byte at least."""
    data = np.frombuffer(page, np.uint8)
    need, confidence = page_kernels.extract(data, what, room.bytes, comments)
    while need > len(room.bytes):
        room.have(need + need // 2)
        need, confidence = page_kernels.extract(data, what, room.bytes, comments)
    return float(confidence)


def extract(page: bytes, what: Known, comments: bool = False) -> Extracted:
    """Take the main text out of a page in UTF-8, a byte at least."""
    room = _room
    confidence = run(page, what, room, comments)
    head, view = room.head, room.view
    marks = view[head[R_MARKS] : head[R_MARKS + 1]].cast("i").tolist()
    found = Extracted(
        str(view[head[R_MAIN] : head[R_MAIN + 1]], "utf-8", "replace"),
        confidence,
        list(zip(marks[::3], marks[1::3], marks[2::3], strict=True)),
        str(view[head[R_HEADING] : head[R_HEADING + 1]], "utf-8", "replace"),
    )
    if len(room.bytes) > _MOST_BYTES:
        room.have(_FIRST_BYTES)
    return found
