"""Count what a text itself tells of whether it is main text; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import MASK, OFFSET, PRIME

WORDS = 40  # words of a block that are looked up

# What is counted: characters; the same with those of Chinese, Japanese and Korean 2.5 times; words; commas, ends of
# sentences, digits, capitals, symbols, letters; how it ends and starts; wide characters; the log-odds of its first
# words (sum, least, most), a hash of it, how many of the words are known.
(
    T_CHARS, T_LENGTH, T_NUMBER, T_COMMAS, T_ENDS, T_DIGITS, T_UPPER, T_SYMBOLS, T_LETTERS, T_LAST, T_STARTS, T_WIDE,
    T_LEXICON, T_LEXICON_MIN, T_LEXICON_MAX, T_HASH, T_KNOWN,
) = range(17)  # fmt: skip
T_COLUMNS = 17

# Kinds of characters.
_OTHER, _LETTER, _UPPER, _DIGIT, _COMMA, _END, _SYMBOL, _WIDE_LETTER, _WIDE_COMMA, _WIDE_END = range(10)
_KINDS = np.full(128, _SYMBOL, np.uint8)
_KINDS[[*range(33), *b"-'\":()", 127]] = _OTHER
_KINDS[[*b"abcdefghijklmnopqrstuvwxyz"]] = _LETTER
_KINDS[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] = _UPPER
_KINDS[[*b"0123456789"]] = _DIGIT
_KINDS[[*b",;"]] = _COMMA
_KINDS[[*b".!?"]] = _END


@njit(cache=True, nogil=True)
def odds(value: Any, keys: Any, values: Any) -> Any:
    """Look a hash up in a table of open addressing; gives (its log-odds, whether it is known)."""
    slot = np.int64(value & np.uint64(len(keys) - 1))
    while values[slot] != 0:
        if keys[slot] == value:
            return values[slot], True
        slot = (slot + 1) & (len(keys) - 1)
    return np.float32(0), False


@njit(cache=True, nogil=True)
def _wide_kind(text: Any, at: int, stop: int) -> Any:
    """Tell of a character that is not ASCII: (its kind, its bytes, its code point or what stands for its range)."""
    byte = np.int64(text[at])
    if byte < 0xE0 or at + 2 >= stop:
        second = np.int64(text[at + 1]) if at + 1 < stop else 0
        if byte == 0xC2:  # » and its like
            return _SYMBOL, 2, 0x80
        if byte == 0xD8 and second == 0x8C:  # Arabic comma
            return _COMMA, 2, 0x80
        if (byte == 0xD8 and second == 0x9F) or (byte == 0xDB and second == 0x94):
            return _END, 2, 0x2E
        return _LETTER, 2, 0x80
    if byte >= 0xF0:
        return _LETTER, 4, 0x1F000
    code = (byte & 15) << 12 | (np.int64(text[at + 1]) & 63) << 6 | (np.int64(text[at + 2]) & 63)
    if code == 0x3002 or code == 0xFF01 or code == 0xFF1F:
        return _WIDE_END, 3, code
    if code == 0x0964 or code == 0x0965:
        return _END, 3, code
    if code == 0x3001 or code == 0xFF0C or code == 0xFF1B:
        return _WIDE_COMMA, 3, code
    if 0x2000 <= code < 0x2C00:
        quiet = 0x2018 <= code <= 0x201D or code == 0x2013
        return _OTHER if quiet else _SYMBOL, 3, code
    return _WIDE_LETTER if 0x3040 <= code < 0xFB00 else _LETTER, 3, code


@njit(cache=True, nogil=True)
def of_text(text: Any, start: int, stop: int, keys: Any, values: Any, own: Any, hashes: Any) -> None:
    """Fill `own` with what text[start:stop] tells, and `hashes` with those of its first words."""
    counts = np.zeros(10, np.int64)
    chars = words = 0
    inside: Any = False
    whole, word, last = OFFSET, OFFSET, np.int64(0)
    at = start
    while at < stop:
        byte = text[at]
        if byte < 0x80:
            kind, width, code = np.int64(_KINDS[byte]), 1, np.int64(byte)
        else:
            kind, width, code = _wide_kind(text, at, stop)
        counts[kind] += 1
        chars += 1
        is_word = _LETTER <= kind <= _DIGIT or kind == _WIDE_LETTER
        if is_word and not inside:
            word = OFFSET
            words += 1
        elif inside and not is_word and words <= WORDS:
            hashes[words - 1] = np.uint32(word)
        inside = is_word
        for each in range(at, min(stop, at + width)):
            value = np.uint64(text[each])
            whole = ((whole ^ value) * PRIME) & MASK
            if is_word:
                word = ((word ^ (value | np.uint64(32) if kind == _UPPER else value)) * PRIME) & MASK
        if code > 32:
            last = code
        at += width
    if inside and words <= WORDS:
        hashes[words - 1] = np.uint32(word)
    wide = counts[_WIDE_LETTER] + counts[_WIDE_COMMA] + counts[_WIDE_END]
    own[T_CHARS], own[T_LENGTH], own[T_NUMBER], own[T_WIDE] = chars, chars + 1.5 * wide, words, wide
    own[T_COMMAS] = counts[_COMMA] + counts[_WIDE_COMMA]
    own[T_ENDS] = counts[_END] + counts[_WIDE_END]
    own[T_DIGITS], own[T_UPPER], own[T_SYMBOLS] = counts[_DIGIT], counts[_UPPER], counts[_SYMBOL]
    own[T_LETTERS] = counts[_LETTER] + counts[_UPPER] + counts[_WIDE_LETTER]
    own[T_HASH], own[T_LAST], own[T_STARTS] = np.float64(whole), _ending(last), _beginning(text[start])
    _look_up(hashes, min(words, WORDS), keys, values, own)


@njit(cache=True, nogil=True)
def _look_up(hashes: Any, count: int, keys: Any, values: Any, own: Any) -> None:
    total, low, high, known = np.float64(0), np.float64(0), np.float64(0), 0
    for each in range(count):
        weight, found = odds(np.uint64(hashes[each]), keys, values)
        if found:
            known += 1
            total += weight
            low, high = min(low, np.float64(weight)), max(high, np.float64(weight))
    own[T_LEXICON], own[T_LEXICON_MIN], own[T_LEXICON_MAX], own[T_KNOWN] = total, low, high, known


@njit(cache=True, nogil=True)
def _ending(code: Any) -> Any:
    """Say how a text ends: a sentence's end 3, a quote or bracket 2, a colon or comma 1, else 0."""
    if code == 46 or code == 33 or code == 63 or code == 0x3002 or code == 0xFF01 or code == 0xFF1F or code == 0x0964:
        return 3.0
    if code == 34 or code == 41 or code == 0x201D or code == 0x300D or code == 0x2026:
        return 2.0
    if code == 58 or code == 44 or code == 59:
        return 1.0
    return 0.0


@njit(cache=True, nogil=True)
def _beginning(byte: Any) -> Any:
    """Say how a text starts: a capital 1, a small letter 2, a digit 3, a sign 4, what is not ASCII 0."""
    if byte > 127:
        return 0.0
    if 65 <= byte <= 90:
        return 1.0
    if 97 <= byte <= 122:
        return 2.0
    return 3.0 if 48 <= byte <= 57 else 4.0


@njit(cache=True, nogil=True)
def word_hashes(text: Any, keys: Any, values: Any) -> Any:
    """Give the hashes of the first words of a text, as `of_text` looks them up."""
    hashes, own = np.empty(WORDS, np.uint32), np.empty(T_COLUMNS)
    of_text(text, 0, len(text), keys, values, own, hashes)
    return hashes[: min(WORDS, int(own[T_NUMBER]))]
