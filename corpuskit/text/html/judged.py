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

    from corpuskit.text.html import judge_kernels, keep_kernels, model, tags
    from corpuskit.text.html.arrays import ELEMENT, PARENT, START, STOP, TAG

    if not page:
        return Judged((), 0.0, 0.0)
    parted = judge_kernels.parts(np.frombuffer(page, np.uint8), tags.tables())
    text, elements, blocks = parted[:3]
    said = judge_kernels.probabilities(parted, model.shipped())
    confidence = float(keep_kernels.best_f1(said, blocks))
    keeps = keep_kernels.keep(text, elements, blocks, said, confidence)
    found = []
    for block, probability, kept in zip(blocks.tolist(), said.tolist(), keeps.tolist(), strict=True):
        around, element = [], block[ELEMENT]
        while element > 0:
            around.append(tags.NAMES[elements[element, TAG]])
            element = int(elements[element, PARENT])
        words = text[block[START] : block[STOP]].tobytes().decode("utf-8", "replace")
        found.append(Block(tuple(reversed(around)), words, probability, kept))
    return Judged(tuple(found), confidence, keep_kernels.CUT * confidence)
