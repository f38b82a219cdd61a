"""Hand a page to the compiled extractor, and read what it leaves; import it only where it runs, for numba's sake."""

from __future__ import annotations

import functools
import threading

import numpy as np
import numpy.typing as npt

from corpuskit.text.html import HtmlText, model, page_kernels, tags
from corpuskit.text.html.arrays import R_ABOUT, R_MAIN, ROOM_HEAD
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
    data, within = np.frombuffer(page, np.uint8), room.bytes
    need, confidence = page_kernels.extract(data, what, within, comments)
    while need > len(within):
        room.have(need + need // 2)
        within = room.bytes
        need, confidence = page_kernels.extract(data, what, within, comments)
    return confidence  # type: ignore[no-any-return]  # of compiled code


def extract(page: bytes, what: Known, comments: bool = False) -> HtmlText:
    """Take the main text out of a page in UTF-8, a byte at least. All that Python does here holds its lock: do little.

    What the page says of itself has been written in lines; an empty one says nothing.
    """
    room = _room
    confidence = run(page, what, room, comments)
    view, head = room.view, room.head
    text = str(view[head[R_MAIN] : head[R_MAIN + 1]], "utf-8", "replace")
    title, language, date, author = str(view[head[R_ABOUT] : head[R_ABOUT + 1]], "utf-8", "replace").split("\n")
    if len(view) > _MOST_BYTES:
        room.have(_FIRST_BYTES)
    return HtmlText(text, title or None, language or None, date or None, author or None, round(confidence, 4))
