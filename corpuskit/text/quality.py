"""Signals of a text's quality, computed once, and presets: thresholds over them, with a reason each.

Words are what white space separates, so that every language needs the same tools; datatrove counts words of a
tokenizer that parts punctuation, so the numbers of the rules are not quite those that FineWeb saw. In languages that
write no spaces (Chinese, Japanese, Thai) a word of this kind is a clause.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.text.unicode import CODE_POINTS, utf8

#: Rae 2021, A1.1. They are counted once each, in lower case only.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

#: The characters that datatrove's Gopher filter takes for symbols: a word made of them alone does not count.
SYMBOLS = frozenset(
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    "«´»–—’“”„…∶━►、。〈〉《》「」【】（），．：；？！％～１"
    + "".join(map(chr, [*range(9), 11, 12, *range(13, 32), *range(127, 160)]))
)

# The property bits of a code point.
SPACE, ALPHABETIC, SYMBOL, LINE_BREAK = 1, 2, 4, 8

#: The columns of `signals`, in order. Every ratio is 0 where there is nothing to divide by.
SIGNALS: Mapping[str, pa.DataType] = {
    "words": pa.int32(),  # words that are more than symbols
    "mean_word_length": pa.float32(),  # characters of these
    "symbol_ratio": pa.float32(),  # `#`, or ellipses (`...` and `…`), whichever are more, per word
    "bullet_lines": pa.float32(),  # the share of lines that start with `•` or `-`
    "ellipsis_lines": pa.float32(),  # the share of lines that end with `...` or `…`
    "alpha_words": pa.float32(),  # the share of words with a letter
    "stop_words": pa.int32(),  # how many of STOP_WORDS occur
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A bound on a signal: a document beyond it is dropped for `reason`, explained with `what`."""

    reason: str
    signal: str
    what: str
    at_least: float | None = None
    at_most: float | None = None
    english: bool = False  # holds for documents of English or unknown language only


_GOPHER = (
    Rule("too_few_words", "words", "words", at_least=50),
    Rule("too_many_words", "words", "words", at_most=100_000),
    Rule("mean_word_length", "mean_word_length", "characters a word", at_least=3, at_most=10),
    Rule("symbol_ratio", "symbol_ratio", "symbols a word", at_most=0.1),
    Rule("bullet_lines", "bullet_lines", "of the lines start with a bullet", at_most=0.9),
    Rule("ellipsis_lines", "ellipsis_lines", "of the lines end with an ellipsis", at_most=0.3),
    Rule("few_alphabetic_words", "alpha_words", "of the words have a letter", at_least=0.8),
    Rule("few_stop_words", "stop_words", "stop words", at_least=2, english=True),
)

# Articles are written and edited by people: what remains to be told apart are pages without prose (a sentence has ten
# words), and those that are mostly figures and signs. Lists are content there, and words are long in some languages.
# Of the 903 articles of the Latgalian Wikipedia, plain text by mwparserfromhell, Gopher's rules drop 446 (420 for
# fewer than 50 words), these 24.
_WIKIPEDIA = (
    Rule("too_few_words", "words", "words", at_least=10),
    Rule("symbol_ratio", "symbol_ratio", "symbols a word", at_most=0.1),
    Rule("few_alphabetic_words", "alpha_words", "of the words have a letter", at_least=0.5),
)

#: The rules of every preset in the order in which they are tried. `gopher`: Rae 2021, table A1, as in datatrove.
PRESETS: Mapping[str, tuple[Rule, ...]] = {"gopher": _GOPHER, "wikipedia": _WIKIPEDIA, "none": ()}

#: What the reasons mean.
REASONS: Mapping[str, str] = {
    "empty": "nothing is left of the text but white space",
    "too_few_words": "fewer words than the preset or --min-words asks for",
    "too_many_words": "more words than the preset or --max-words allows",
    "mean_word_length": "words too short or too long on average: lists of codes, addresses, glued text",
    "symbol_ratio": "too many hash signs or ellipses for the number of words",
    "bullet_lines": "nearly all lines are bullet points",
    "ellipsis_lines": "too many lines end in an ellipsis: teasers of other pages",
    "few_alphabetic_words": "too many words have no letter",
    "few_stop_words": "an English text, or one of unknown language, without the commonest English words",
}


def rules(preset: str, *, min_words: int | None = None, max_words: int | None = None) -> tuple[Rule, ...]:
    """Give a preset's rules, with other bounds on the number of words where given."""
    found = list(PRESETS[preset])
    for reason, bound, value in (("too_many_words", "at_most", max_words), ("too_few_words", "at_least", min_words)):
        if value is None:
            continue
        bounded: dict[str, float] = {bound: value}
        at = next((at for at, rule in enumerate(found) if rule.reason == reason), None)
        if at is None:
            found.insert(0, Rule(reason, "words", "words", **bounded))  # type: ignore[arg-type]
        else:
            found[at] = dataclasses.replace(found[at], **bounded)  # type: ignore[arg-type]
    return tuple(found)


def signals(texts: pa.Array) -> dict[str, pa.Array]:
    """Compute the signals of a text column: Rae 2021 as in datatrove's GopherQualityFilter, by SIGNALS."""
    from corpuskit.text import quality_kernels

    data, offsets = utf8(texts)
    found = np.zeros((len(SIGNALS), len(texts)), np.float64)
    quality_kernels.gopher(data, offsets, properties(), _packed_stop_words(), found)
    columns = zip(SIGNALS.items(), found, strict=True)
    return {name: pa.array(values.astype(kind.to_pandas_dtype()), kind) for (name, kind), values in columns}


def judge(
    columns: Mapping[str, pa.Array], bounds: Sequence[Rule], english: npt.NDArray[np.bool_]
) -> tuple[list[str | None], list[str | None]]:
    """Try rules in order over signals: give for every row the reason of the first that fails, and its figures."""
    reasons: list[str | None] = [None] * len(english)
    details: list[str | None] = [None] * len(english)
    for rule in bounds:
        values = columns[rule.signal].to_numpy()
        # The bound in the signal's own type, or a ratio of exactly 0.3 would exceed 0.3.
        low = None if rule.at_least is None else values.dtype.type(rule.at_least)
        high = None if rule.at_most is None else values.dtype.type(rule.at_most)
        failed = np.zeros(len(values), np.bool_)
        if low is not None:
            failed |= values < low
        if high is not None:
            failed |= values > high
        if rule.english:
            failed &= english
        for row in np.flatnonzero(failed):
            if reasons[row] is None:
                reasons[row] = rule.reason
                below = low is not None and values[row] < low
                bound = f"at least {rule.at_least:g}" if below else f"at most {rule.at_most:g}"
                details[row] = f"{values[row]:.6g} {rule.what}, {bound}"
    return reasons, details


@functools.lru_cache(maxsize=1)
def properties() -> npt.NDArray[np.uint8]:
    """Give the property bits of every code point, as Python's str methods see them."""
    table = np.zeros(CODE_POINTS, np.uint8)
    # Unicode has neither letters nor spaces from U+323B0 on, but for what later versions may add below U+40000.
    for code in range(0x40000):
        char = chr(code)
        table[code] = (
            char.isspace() * SPACE
            + char.isalpha() * ALPHABETIC
            + (char in SYMBOLS) * SYMBOL
            + (len(f"a{char}b".splitlines()) > 1) * LINE_BREAK
        )
    table.flags.writeable = False
    return table


def _packed_stop_words() -> npt.NDArray[np.uint32]:
    """Give the stop words, at most four letters each, as little-endian numbers."""
    return np.array([int.from_bytes(word.encode(), "little") for word in STOP_WORDS], np.uint32)
