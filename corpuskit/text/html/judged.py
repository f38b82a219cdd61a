"""The blocks of a page with what the trees say of each, for whoever wants to see why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A block: the tags around it, outermost first, its text, its probability, and whether it is kept."""

    tags: tuple[str, ...]
    text: str
    probability: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """The blocks of a page in their order, the F1 to be expected, and the cut: blocks over it are kept.

    Headings and pieces between what is kept stay from half of it on, and menus among the text go in spite of it.
    """

    blocks: tuple[Block, ...]
    confidence: float
    cut: float


def judge(page: bytes) -> Judged:
    """Judge the blocks of a page in UTF-8, as `html_to_text` does."""
    import numpy as np

    from corpuskit.text.html import extraction, keep_kernels, tags
    from corpuskit.text.html.arrays import (
        BLOCK_COLUMNS,
        ELEMENT,
        ELEMENT_COLUMNS,
        PARENT,
        R_BLOCKS,
        R_ELEMENTS,
        R_SAID,
        R_TEXT,
        START,
        STOP,
        TAG,
    )

    if not page:
        return Judged((), 0.0, 0.0)
    room = extraction.Room()
    confidence = extraction.run(page, extraction.shipped(), room)
    text, elements, blocks, said = (
        room.bytes[room.head[name] : room.head[name + 1]] for name in (R_TEXT, R_ELEMENTS, R_BLOCKS, R_SAID)
    )
    around_all = elements.view(np.int32).reshape(-1, ELEMENT_COLUMNS)
    rows, probabilities = blocks.view(np.int32).reshape(-1, BLOCK_COLUMNS), said.view(np.float32)
    keeps = keep_kernels.keep(text, around_all, rows, probabilities, confidence)
    found = []
    for block, probability, kept in zip(rows.tolist(), probabilities.tolist(), keeps.tolist(), strict=True):
        around, element = [], block[ELEMENT]
        while element > 0:
            around.append(tags.NAMES[around_all[element, TAG]])
            element = int(around_all[element, PARENT])
        words = text[block[START] : block[STOP]].tobytes().decode("utf-8", "replace")
        found.append(Block(tuple(reversed(around)), words, probability, kept))
    return Judged(tuple(found), confidence, keep_kernels.CUT * confidence)
