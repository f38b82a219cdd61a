"""Edit the lines of texts: C4's rules, which take lines away and leave the rest of the page.

Raffel et al. 2020 (arXiv 1910.10683, 2.2) as in datatrove 0.10's C4QualityFilter: the text that is left is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpuskit.text import signals
from corpuskit.text.unicode import utf8

#: Longer words are no words: C4 removes their lines.
MAX_WORD_CHARS = 1000


@dataclass(frozen=True, slots=True)
class LineRules:
    """Which lines go, in this order; lines are those of str.splitlines, without white space around them.

    max_word_chars: with a word of more characters. citations: `[1]`, `[]`, `[edit]` and `[citation needed]` are cut
    out of lines. terminal_punctuation: that do not end with `. ? ! " '`, or end with `...`. min_words: with fewer
    words between white space; blank lines, too, if it is 1 or more. javascript: with that word. policies: with a
    phrase of `signals.POLICIES`. The last two in any case.
    """

    max_word_chars: int | None = MAX_WORD_CHARS
    citations: bool = True
    terminal_punctuation: bool = True
    min_words: int = 3
    javascript: bool = True
    policies: bool = True


def edit_column(texts: pa.Array, rules: LineRules) -> tuple[pa.Array, pa.Array]:
    """Edit a text column: (texts, removed_chars). Null becomes the empty text; the texts have the type given.

    What is left of a text is its lines with one line feed between, without white space around the whole.
    removed_chars, int64, counts all that is gone: lines, line breaks, white space around lines, citations.
    """
    from corpuskit.text import lines_kernels
    from corpuskit.text.characters import properties

    data, offsets = utf8(texts)
    if not len(data):
        data = np.frombuffer(b"\n", np.uint8)  # of the same type: read-only
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    ends, removed = np.zeros(len(texts) + 1, np.int64), np.zeros(len(texts), np.int64)
    bounds = np.array([rules.max_word_chars or 0, rules.min_words], np.int64)
    switches = np.array([rules.citations, rules.terminal_punctuation, rules.javascript, rules.policies])
    lines_kernels.edit(data, offsets, properties(), signals.phrases(), bounds, switches, out, ends, removed)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(out[: ends[-1]])]
    edited = pa.Array.from_buffers(pa.large_string(), len(texts), buffers)
    return edited.cast(texts.type), pa.array(removed, pa.int64())
