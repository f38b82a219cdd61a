"""Presets: named rules over the signals of a text, each with the reason for which it drops.

A preset is what its source published; a change of a bound is a new version of it (VERSIONS). The rules of a preset
are tried in order, and the first that fails gives the reason: what a text lacks comes before what it repeats.

    gopher     Rae et al. 2021 (arXiv 2112.11446, A1.1, table A1), as datatrove 0.10's GopherQualityFilter and
               GopherRepetitionFilter
    c4         Raffel et al. 2020 (arXiv 1910.10683, 2.2), as datatrove's C4QualityFilter; edits lines
    fineweb    Penedo et al. 2024 (arXiv 2406.17557): gopher, c4 without terminal punctuation, and FineWeb's own rules;
               edits lines
    fineweb2   Penedo et al. 2025 (arXiv 2506.20920), for other languages: no rule on short lines, none of c4's, none
               on paragraphs and the characters of duplicate lines but FineWeb's own, at 0.1. The bounds that FineWeb2
               tunes for every language are Gopher's here, but words may be 15 characters long
    wikipedia  for edited text of any language: ours
    none       nothing is dropped
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.text.lines import LineRules

#: Languages written without spaces between words: rules that count words do not hold for them.
UNSPACED = frozenset(
    {"zh", "ja", "th", "lo", "km", "my", "bo", "dz"}
    | {"zho", "cmn", "yue", "wuu", "lzh", "jpn", "tha", "lao", "khm", "mya", "bod", "dzo"}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Bounds on a signal: a document beyond them is dropped for `reason`, explained with its value and `what`.

    A signal that is null judges nobody. languages: if given, the rule holds for these alone; not for `except_in`.
    Documents whose language nobody named are judged by every rule.
    """

    reason: str
    signal: str
    what: str
    at_least: float | None = None
    at_most: float | None = None
    languages: frozenset[str] | None = None
    except_in: frozenset[str] = frozenset()


_QUALITY = (
    Rule("gopher_too_short", "words", "words", at_least=50, except_in=UNSPACED),
    Rule("gopher_too_long", "words", "words", at_most=100_000),
    Rule("gopher_word_length", "mean_word_length", "characters a word", at_least=3, at_most=10, except_in=UNSPACED),
    Rule("gopher_symbols", "hash_ratio", "hash signs a word", at_most=0.1),
    Rule("gopher_symbols", "ellipsis_ratio", "ellipses a word", at_most=0.1),
    Rule("gopher_bullets", "bullet_lines", "of the lines start with a bullet", at_most=0.9),
    Rule("gopher_ellipsis", "ellipsis_lines", "of the lines end with an ellipsis", at_most=0.3),
    Rule("gopher_alpha", "alpha_words", "of the words have a letter", at_least=0.8, except_in=UNSPACED),
    Rule("gopher_stop_words", "stop_words", "stop words", at_least=2),
)
_LINES = (Rule("gopher_dup_lines", "dup_lines", "of the lines are duplicates", at_most=0.3),)
_PIECES = (
    Rule("gopher_dup_paragraphs", "dup_paragraphs", "of the paragraphs are duplicates", at_most=0.3),
    Rule("gopher_dup_paragraph_chars", "dup_paragraph_chars", "of the characters in duplicate paragraphs", at_most=0.2),
    *_LINES,
    Rule("gopher_dup_line_chars", "dup_line_chars", "of the characters in duplicate lines", at_most=0.2),
)
_NGRAMS = (
    *(
        Rule(f"gopher_top_{n}gram", f"top_{n}gram_chars", f"of the characters in the commonest {n}-gram", at_most=most)
        for n, most in ((2, 0.2), (3, 0.18), (4, 0.16))
    ),
    *(
        Rule(f"gopher_dup_{n}gram", f"dup_{n}gram_chars", f"of the characters in duplicate {n}-grams", at_most=most)
        for n, most in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1))
    ),
)
_GOPHER = (*_QUALITY, *_PIECES, *_NGRAMS)
_C4 = (
    Rule("c4_lorem_ipsum", "lorem_ipsum", "lorem ipsum", at_most=0),
    Rule("c4_curly_bracket", "curly_brackets", "curly brackets", at_most=0),
    Rule("c4_few_sentences", "sentences", "sentences", at_least=5),
)
_FINEWEB = (
    Rule("fineweb_punctuation", "punct_lines", "of the lines end with punctuation", at_least=0.12),
    Rule("fineweb_short_lines", "short_lines", "of the lines have 30 characters or fewer", at_most=0.67),
    Rule("fineweb_dup_lines", "dup_chars", "of the characters in duplicate lines", at_most=0.01),
    Rule("fineweb_list", "newlines_per_word", "line feeds a word", at_most=0.3, except_in=UNSPACED),
)
_FINEWEB2 = (
    *(
        dataclasses.replace(rule, at_least=None, at_most=15) if rule.signal == "mean_word_length" else rule
        for rule in _QUALITY
    ),
    *_LINES,
    *_NGRAMS,
    *(
        dataclasses.replace(rule, at_most=0.1) if rule.signal == "dup_chars" else rule
        for rule in _FINEWEB
        if rule.signal not in ("short_lines", "punct_lines")
    ),
)

# Articles are written and edited by people: what remains to be told apart are pages without prose (a sentence has ten
# words), and those that are mostly figures and signs. Lists are content there, and words are long in some languages.
_WIKIPEDIA = (
    Rule("wikipedia_too_short", "words", "words", at_least=10, except_in=UNSPACED),
    Rule("wikipedia_symbols", "hash_ratio", "hash signs a word", at_most=0.1),
    Rule("wikipedia_symbols", "ellipsis_ratio", "ellipses a word", at_most=0.1),
    Rule("wikipedia_alpha", "alpha_words", "of the words have a letter", at_least=0.5, except_in=UNSPACED),
)

#: The rules of every preset in the order in which they are tried.
PRESETS: Mapping[str, tuple[Rule, ...]] = {
    "gopher": _GOPHER,
    "c4": _C4,
    "fineweb": (*_GOPHER, *_C4, *_FINEWEB),
    "fineweb2": _FINEWEB2,
    "wikipedia": _WIKIPEDIA,
    "none": (),
}

#: The version of every preset: raised when a bound of it changes.
VERSIONS: Mapping[str, int] = dict.fromkeys(PRESETS, 1)

#: The line rules that a preset turns on.
LINES: Mapping[str, LineRules] = {"c4": LineRules(), "fineweb": LineRules(terminal_punctuation=False)}

#: What the reasons mean.
REASONS: Mapping[str, str] = {
    "gopher_too_short": "fewer words than the preset asks for",
    "gopher_too_long": "more words than the preset allows",
    "gopher_word_length": "words too short or too long on average: lists of codes, addresses, glued text",
    "gopher_symbols": "too many hash signs or ellipses for the number of words",
    "gopher_bullets": "nearly all lines are bullet points",
    "gopher_ellipsis": "too many lines end in an ellipsis: teasers of other pages",
    "gopher_alpha": "too many words have no letter",
    "gopher_stop_words": "without the commonest words of its language",
    "gopher_dup_lines": "too many lines repeat others",
    "gopher_dup_line_chars": "too much of the text is in lines that repeat others",
    "gopher_dup_paragraphs": "too many paragraphs repeat others",
    "gopher_dup_paragraph_chars": "too much of the text is in paragraphs that repeat others",
    **{f"gopher_top_{n}gram": f"one sequence of {n} words makes up too much of the text" for n in range(2, 5)},
    **{f"gopher_dup_{n}gram": f"too much of the text is in repeated sequences of {n} words" for n in range(5, 11)},
    "c4_lorem_ipsum": "a placeholder text",
    "c4_curly_bracket": "a curly bracket: code, not prose",
    "c4_few_sentences": "fewer sentences than the preset asks for, after lines were edited",
    "fineweb_punctuation": "too few lines end with punctuation: menus, tables, keywords",
    "fineweb_short_lines": "too many lines are short: menus and lists",
    "fineweb_dup_lines": "too much of the text is in lines that repeat others, by FineWeb's stricter bound",
    "fineweb_list": "too many line feeds for the number of words: a list",
    "wikipedia_too_short": "fewer words than the preset asks for: no sentence",
    "wikipedia_symbols": "too many hash signs or ellipses for the number of words",
    "wikipedia_alpha": "most words have no letter",
    "too_low": "a signal below the bound that the user gave where the preset has none",
    "too_high": "a signal above the bound that the user gave where the preset has none",
}


def judge(
    columns: Mapping[str, pa.Array], rules: Sequence[Rule], languages: pa.Array | None = None
) -> tuple[list[str | None], list[str | None]]:
    """Try rules in order over signals: (reasons, details). A row has the reason of the first rule that it fails, with
    its value in words (`31 words, at least 50`), or None twice.

    languages: a code for each row, as in `signals.signals`.
    """
    count = len(next(iter(columns.values()))) if columns else 0
    reasons: list[str | None] = [None] * count
    details: list[str | None] = [None] * count
    codes = _codes(languages)
    for rule in rules:
        column = columns[rule.signal]
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        failed = np.zeros(count, np.bool_)
        if rule.at_least is not None:
            failed |= values < rule.at_least
        if rule.at_most is not None:
            failed |= values > rule.at_most
        for row in np.flatnonzero(failed).tolist():
            if reasons[row] is None and _holds(rule, codes[row] if codes else None):
                reasons[row] = rule.reason
                below = rule.at_least is not None and values[row] < rule.at_least
                bound = f"at least {rule.at_least:g}" if below else f"at most {rule.at_most:g}"
                details[row] = f"{values[row]:.6g} {rule.what}, {bound}"
    return reasons, details


def _holds(rule: Rule, code: str | None) -> bool:
    return code is None or (code not in rule.except_in and (rule.languages is None or code in rule.languages))


def _codes(languages: pa.Array | None) -> list[str | None]:
    """Give the language of every row without region or script: `en` for `en-GB`."""
    if languages is None:
        return []
    named = pc.list_element(pc.split_pattern_regex(languages.cast(pa.string()), "[-_]"), 0)
    return [code.lower() if code else None for code in named.to_pylist()]
