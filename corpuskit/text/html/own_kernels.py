"""Count what a text itself tells of whether it is main text; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import MASK, OFFSET, PRIME
from corpuskit.text.html.mask_kernels import kinds
from corpuskit.text.vector_kernels import WIDTH, count, eight, highest, low, lowest, upper_float

WORDS = 40  # words of a block that are looked up

# What is counted: characters; the same with those of Chinese, Japanese and Korean 2.5 times; words; commas, ends of
# sentences, digits, capitals, symbols, letters; how it ends and starts; wide characters; the log-odds of its first
# words (sum, least, most), a hash of it, how many of the words are known.
(
    T_CHARS, T_LENGTH, T_NUMBER, T_COMMAS, T_ENDS, T_DIGITS, T_UPPER, T_SYMBOLS, T_LETTERS, T_LAST, T_STARTS, T_WIDE,
    T_LEXICON, T_LEXICON_MIN, T_LEXICON_MAX, T_HASH, T_KNOWN,
) = range(17)  # fmt: skip
T_COLUMNS = 17

# Kinds of characters that are not ASCII.
_OTHER, _LETTER, _COMMA, _END, _SYMBOL, _WIDE_LETTER, _WIDE_COMMA, _WIDE_END = range(8)
_BYTE, _EACH, _HIGH = np.uint64(0xFF), np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_FROM_A, _BEHIND_Z = _EACH * np.uint64(0x80 - ord("A")), _EACH * np.uint64(0x7F - ord("Z"))
_ONE = np.uint64(1)
_MIX, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


@njit(cache=True, nogil=True)
def odds(value: Any, lexicon: Any) -> Any:
    """Look a hash up, uint32, in a `model.table`: its log-odds, 0 where it is not known."""
    slot = np.int64(value) & (len(lexicon) - 1)
    entry = lexicon[slot]
    while entry and np.uint32(entry) != value:
        slot = (slot + 1) & (len(lexicon) - 1)
        entry = lexicon[slot]
    return upper_float(entry)


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
def of_text(text: Any, start: int, stop: int, lexicon: Any, own: Any, hashes: Any) -> None:
    """Fill `own` with what text[start:stop] tells, and `hashes` with those of its first words."""
    chars = words = wide = digits = capitals = signs = letters = commas = ends = number = 0
    begun, before, last = np.int64(-1), np.uint64(0), np.int64(0)
    at = start
    while at < stop:
        small, capital, digit, comma, end, sign, high, inner, two = (
            kinds(text, at) if at + WIDTH <= len(text) else _last(text, at)
        )
        size = min(WIDTH, stop - at)
        here = low(size)
        high &= here
        two &= high & inner >> _ONE
        beside = two << _ONE
        letter = two | beside
        letters += count(two)
        high &= ~letter
        others, wide_at, wide_code = letter, -1, np.int64(0)
        while high:
            place = lowest(high)
            kind, width, code = _wide_kind(text, at + place, stop)
            if place + width > size < stop - at:  # it goes on behind: the next round begins with it
                size = place
                break
            taken = low(width) << np.uint64(place)
            high &= ~taken
            others |= taken
            beside |= taken & (taken - _ONE)
            wide_at, wide_code = place, code
            if kind == _LETTER or kind == _WIDE_LETTER:
                letter |= taken
                letters += 1
            commas += kind == _COMMA or kind == _WIDE_COMMA
            ends += kind == _END or kind == _WIDE_END
            signs += kind == _SYMBOL
            wide += kind >= _WIDE_LETTER
        here = low(size)
        ascii_here = here & ~others
        chars += count(here & ~beside)
        letters += count((small | capital) & ascii_here)
        capitals += count(capital & ascii_here)
        digits += count(digit & ascii_here)
        commas += count(comma & ascii_here)
        ends += count(end & ascii_here)
        signs += count(sign & ascii_here)
        inside = ((small | capital | digit) & ascii_here) | letter
        turns = (inside ^ (inside << _ONE | before)) & here
        words += count(turns & inside)
        before = inside >> np.uint64(size - 1) & _ONE
        while turns and number < WORDS:
            place = at + lowest(turns)
            turns &= turns - _ONE
            if begun < 0:
                begun = place
            else:
                hashes[number] = _word(text, begun, place)
                number, begun = number + 1, np.int64(-1)
        place = highest(here & ~beside)
        last = wide_code if place == wide_at else np.int64(text[at + place])  # two bytes are no ending, as all over 127
        at += size
    if begun >= 0 and number < WORDS:
        hashes[number] = _word(text, begun, stop)
        number += 1
    own[T_CHARS], own[T_LENGTH], own[T_NUMBER], own[T_WIDE] = chars, chars + 1.5 * wide, words, wide
    own[T_COMMAS], own[T_ENDS], own[T_LETTERS] = commas, ends, letters
    own[T_DIGITS], own[T_UPPER], own[T_SYMBOLS] = digits, capitals, signs
    own[T_HASH], own[T_LAST], own[T_STARTS] = _whole(text, start, stop), _ending(last), _beginning(text[start])
    _look_up(hashes, number, lexicon, own)


@njit(cache=True, nogil=True)
def _last(text: Any, at: int) -> Any:
    """Tell the last bytes of a text apart, fewer than a vector holds."""
    spare = np.zeros(WIDTH, np.uint8)
    spare[: len(text) - at] = text[at:]
    return kinds(spare, 0)


@njit(cache=True, nogil=True)
def _eight(text: Any, at: int) -> Any:
    """Give text[at:at + 8] as a number; behind the end of the text there is nothing but zeros."""
    if at + 8 <= len(text):
        return eight(text, at)
    value = np.uint64(0)
    for each in range(len(text) - at):
        value |= np.uint64(text[at + each]) << np.uint64(8 * each)
    return value


@njit(cache=True, nogil=True, inline="always")
def _word(text: Any, at: int, stop: int) -> Any:
    """Hash a word, its capitals as small letters: eight steps of FNV-1a at a time, of which those behind it are void.

    Without a branch for each letter the processor goes on with the next word meanwhile.
    """
    value = OFFSET
    while at < stop:
        letters, left = _eight(text, at), stop - at
        without = letters & ~_HIGH
        capitals = (without + _FROM_A) & ~(without + _BEHIND_Z) & ~letters & _HIGH
        letters |= capitals >> np.uint64(2)
        for each in range(8):
            after = ((value ^ (letters >> np.uint64(8 * each) & _BYTE)) * PRIME) & MASK
            value = after if each < left else value
        at += 8
    return np.uint32(value)


@njit(cache=True, nogil=True)
def _whole(text: Any, at: int, stop: int) -> Any:
    """Hash a text, so that equal ones can be told; a number that a float64 holds."""
    value = np.uint64(stop - at)
    while at < stop:
        value = (value ^ (_eight(text, at) & low(8 * min(8, stop - at)))) * _MIX
        value ^= value >> _SHIFT
        at += 8
    return np.float64(value >> np.uint64(11))


@njit(cache=True, nogil=True)
def _look_up(hashes: Any, count: int, lexicon: Any, own: Any) -> None:
    total, low, high, known = np.float64(0), np.float64(0), np.float64(0), 0
    for each in range(count):
        weight = odds(hashes[each], lexicon)
        known += weight != 0
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
def word_hashes(text: Any, lexicon: Any) -> Any:
    """Give the hashes of the first words of a text, as `of_text` looks them up."""
    hashes, own = np.empty(WORDS, np.uint32), np.empty(T_COLUMNS)
    of_text(text, 0, len(text), lexicon, own, hashes)
    return hashes[: min(WORDS, int(own[T_NUMBER]))]
