"""Signals of a text's quality, computed once in compiled code: Gopher's, C4's and FineWeb's, by their definitions.

Sources: Rae et al. 2021 (arXiv 2112.11446, A1.1 and table A1), Raffel et al. 2020 (arXiv 1910.10683, 2.2), Penedo et
al. 2024 (arXiv 2406.17557), all as datatrove 0.10 computes them. Given the same words the values are datatrove's.

Words are parted by white space first, then signs from the words, as the English tokenizer of spaCy does, with which
datatrove counts: `don't (really)` has five. That holds for every language; where nothing is written between words
(Chinese, Japanese, Thai) a word of this kind is a clause.

Where there is nothing to divide by, a text without words, lines or characters, a ratio is 0. (datatrove divides by
zero there, or gives up before.)
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.text import stopwords
from corpuskit.text.threads import side_by_side
from corpuskit.text.unicode import utf8

_WHOLE, _RATIO = pa.int64(), pa.float64()

#: The columns of `signals`, in order.
SIGNALS: Mapping[str, pa.DataType] = {
    # Gopher quality.
    "words": _WHOLE,  # words that are more than symbols
    "words_and_signs": _WHOLE,  # all of them: what the ratios below are per
    "mean_word_length": _RATIO,  # characters of the words that are more than symbols
    "hash_ratio": _RATIO,  # `#` per word
    "ellipsis_ratio": _RATIO,  # `...` and `…` per word
    "bullet_lines": _RATIO,  # the share of lines (str.splitlines) that start with `•` or `-`, after spaces
    "ellipsis_lines": _RATIO,  # the share of lines that end with `...` or `…`, before spaces
    "alpha_words": _RATIO,  # the share of words with a letter
    "stop_words": pa.int32(),  # how many of the language's stop words occur; null without a list
    # Gopher repetition. Lines are parted at runs of line feeds, paragraphs at empty lines of the stripped text; what
    # occurred before is a duplicate; characters are a share of the text's.
    "dup_paragraphs": _RATIO,
    "dup_paragraph_chars": _RATIO,
    "dup_lines": _RATIO,
    "dup_line_chars": _RATIO,
    **{f"top_{width}gram_chars": _RATIO for width in range(2, 5)},  # the commonest n-gram, times its occurrences
    **{f"dup_{width}gram_chars": _RATIO for width in range(5, 11)},
    # FineWeb. Lines end at line feeds and hold more than white space.
    "punct_lines": _RATIO,  # the share that ends with terminal punctuation, of any script; a space after it counts
    "short_lines": _RATIO,  # the share of at most 30 characters
    "dup_chars": _RATIO,  # the characters of duplicate lines per character, line feeds left out
    "newlines_per_word": _RATIO,
    # C4.
    "sentences": _WHOLE,  # a line starts one, and so does what follows terminal punctuation
    "curly_brackets": _WHOLE,  # how many `{`
    "lorem_ipsum": _WHOLE,  # how often `lorem ipsum`, in any case
    "javascript_lines": _RATIO,  # the share of lines (str.splitlines) with `javascript`, in any case
    "policy_lines": _RATIO,  # the share of lines with a phrase of POLICIES, in any case
}

#: The phrases that C4 takes for the small print of a site.
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")

#: The signals that C4 and FineWeb measure after the lines of a text were edited.
EDITED = tuple(SIGNALS)[tuple(SIGNALS).index("punct_lines") :]

# Room for a word in so many bytes of a text, and for what stands between two spaces, to begin with: a text that
# needs more is rare, and goes on with enough for any.
_WORD_BYTES, _LONGEST = 3, 1 << 14


def signals(
    texts: pa.Array, languages: pa.Array | None = None, *, edited: pa.Array | None = None
) -> dict[str, pa.Array]:
    """Compute the signals of a text column, by SIGNALS; null reads as the empty text.

    languages: codes (`en`, `eng`, `en-GB`) that say whose stop words to look for; null, and no column, mean English.
    edited: the same texts after `lines.edit_column`: EDITED are then theirs, as in FineWeb's own chain, where Gopher's
    rules see a text before its lines are edited and the others after.
    """
    found = _measure(texts, stopwords.listed(languages, len(texts)), ngrams=True)
    if edited is not None:
        later = _measure(edited, stopwords.listed(languages, len(texts)), ngrams=False)
        first = len(SIGNALS) - len(EDITED)
        found[first:] = later[first:]
    columns = {}
    for (name, kind), values in zip(SIGNALS.items(), found, strict=True):
        nothing = stopwords.listed(languages, len(texts)) < 0 if name == "stop_words" else None
        columns[name] = pa.array(values.astype(kind.to_pandas_dtype()), kind, mask=nothing)
    return columns


def words(text: str) -> list[str]:
    """Part a text into the words that the signals count."""
    from corpuskit.text import signals_kernels

    raw = text.encode()
    data = np.frombuffer(raw or b"\n", np.uint8)
    spans = np.empty((3, len(data) + 16), np.int64)
    count = signals_kernels.split_one(data, _lookup(), spans)
    return [raw[start:stop].decode() for start, stop in spans[:2, :count].T]


def _measure(texts: pa.Array, listed: npt.NDArray[np.int64], *, ngrams: bool) -> npt.NDArray[np.float64]:
    from corpuskit.text import signals_kernels

    data, offsets = utf8(texts)
    if not len(data):
        data = np.frombuffer(b"\n", np.uint8)  # of the same type: read-only
    longest = int(np.diff(offsets).max(initial=0))
    rooms = ((longest // _WORD_BYTES + 64, min(longest, _LONGEST) + 2), (longest + 2, longest + 2))
    found = np.zeros((len(SIGNALS), len(texts)), np.float64)
    tables = (_lookup(), stopwords.table(), listed, phrases())

    def part(first: int, last: int) -> None:
        done = first
        for room in rooms:
            done = signals_kernels.measure(data, offsets[: last + 1], *tables, room, ngrams, done, found)

    side_by_side(part, offsets)
    return found


@functools.lru_cache(maxsize=1)
def _lookup() -> tuple[Any, ...]:
    """Give what parts words: the properties of characters, and the cases known by heart."""
    from corpuskit.text import characters, word_cases

    return (characters.properties(), *word_cases.table(), word_cases.beside())


@functools.lru_cache(maxsize=1)
def phrases() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Give the phrases that the loops look for: their bytes, and where each starts."""
    known = [phrase.encode() for phrase in ("lorem ipsum", "javascript", *POLICIES)]
    return np.frombuffer(b"".join(known), np.uint8), np.cumsum([0, *map(len, known)], dtype=np.int64)
