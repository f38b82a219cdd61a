"""Render templates that `templates.txt` does not know, by where they stand and what they hold."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import (
    AT,
    CURRENT,
    DEPTH,
    NAMED,
    POSITIONAL,
    before,
    copy,
    decode,
    encode,
    is_spaced,
    kernel,
)
from corpuskit.text.wikitext.link_kernels import is_media
from corpuskit.text.wikitext.numbers_kernels import is_digits, is_number
from corpuskit.text.wikitext.value_kernels import date

_MAX_UNIT = 60  # bytes


@kernel
def unknown(w: Any, start: int, name: int, behind: int) -> Any:
    """Render a template without a program: within a sentence it shows its only argument or what two or three tell.

    A number and its unit (names of four words and more rather look something up), a language's code and a text in it,
    the parts of a date, two years. Without an argument, its name where that is a value.
    """
    count, out = w.state[POSITIONAL], w.out
    if w.state[NAMED]:
        return -1
    if count == 0:
        return _nameless(w, start, name, behind)
    if not inline(w, start):
        return -1
    first, stop = w.found[0, 0, 0], w.found[0, 0, 1]
    for at in range(first, stop):
        if out[at] == 10:
            return -1
    if count == 1:
        if is_media(w, out, first, stop) or _is_note(w, start, first, stop) or _is_flag(w, start, first, stop):
            return -1
        return copy(out, first, stop, w.tmp, 0)
    second, end = w.found[0, 1, 0], w.found[0, 1, 1]
    if count == 2 and _is_year(out, first, stop) and _is_year(out, second, end):
        return _joined(w, 2, 0x2013)
    if second < end and 48 <= out[second] <= 57:
        return _three_numbers(w)
    if count == 3 and stop - first <= 2 and is_digits(out, first, stop) and _is_year_of_date(w, second, end):
        return _joined(w, 3, 32)
    if count == 2 and _is_code(out, first, stop) and end - second > 3:
        return -1 if is_media(w, out, second, end) else copy(out, second, end, w.tmp, 0)
    words = 1
    for at in range(name, behind):
        words += out[at] == 32
    if words > 3 or end - second > _MAX_UNIT or not is_number(out, first, stop):
        return -1
    o = copy(out, first, stop, w.tmp, 0)
    w.tmp[o] = 32
    return copy(out, second, end, w.tmp, o + 1)


@kernel
def _nameless(w: Any, start: int, name: int, stop: int) -> Any:
    """Render a template without arguments: `{{3e}}`, `{{XXe}}` and, in a list, `, {{Spain}} (` show their name."""
    out = w.out
    listed = 2 < stop - name < _MAX_UNIT and _in_list(w, start)
    if (listed or _names_value(out, name, stop)) and inline(w, start):
        return copy(out, name, stop, w.tmp, 0)
    # A sign in the midst of a word, whatever it is, does not part it.
    char, _ = before(out, w.frames[w.state[DEPTH], CURRENT], start)
    following, _ = decode(w.source, w.state[AT])
    return 0 if is_spaced(char) and is_spaced(following) else -1


@kernel
def _names_value(out: Any, name: int, stop: int) -> bool:
    """Tell whether a name is a numeral (`3e`, `XXe`, not `1em`) or a formula (`C4`)."""
    at = name
    while at < stop and 48 <= out[at] <= 57:
        at += 1
    if at == name:
        while at < stop and (out[at] == 73 or out[at] == 86 or out[at] == 88):
            at += 1
        if at == name + 1 or at == name:
            digit = name + 1
            while digit < stop and 48 <= out[digit] <= 57:
                digit += 1
            return bool(65 <= out[name] <= 90 and name + 1 < stop == digit <= name + 3)
    letters = at
    while at < stop and 97 <= out[at] <= 122:
        at += 1
    measure = at == letters + 2 and ((out[letters] == 101 and out[letters + 1] == 109) or out[letters] == 112)
    return bool(at == stop and letters < at <= letters + 4 and letters <= name + 7 and not measure)


@kernel
def _in_list(w: Any, start: int) -> bool:
    """Tell whether the template follows a comma and a space, and a comma, a parenthesis or nothing follows it."""
    first = w.frames[w.state[DEPTH], CURRENT]
    if start < first + 3 or w.out[start - 1] != 32 or w.out[start - 2] != 44:
        return False
    ahead = w.state[AT]
    while w.source[ahead] == 32 or w.source[ahead] == 39:
        ahead += 1
    byte = w.source[ahead]
    return bool(byte == 44 or byte == 40 or byte == 41 or byte == 10)


@kernel
def _is_note(w: Any, start: int, first: int, stop: int) -> bool:
    """Tell whether a template stands right behind a word or a sentence, as remarks on them do: `word{{when|May 2010}}`.

    What is short rather belongs to the word: `H{{low|2}}`.
    """
    if stop - first <= 3:
        return False
    char, width = before(w.out, w.frames[w.state[DEPTH], CURRENT], start)
    return bool(width and (is_spaced(char) or char == 46 or char == 41 or char == 0xBB or char == 0x201D))


@kernel
def _is_flag(w: Any, start: int, first: int, stop: int) -> bool:
    """Tell whether this is `{{x|ITA}}` at a line's begin with a name behind it: a flag."""
    if stop - first != 3 or not before_text(w) or not _begins_line(w, start):
        return False
    return bool(65 <= w.out[first] <= 90 and 65 <= w.out[first + 1] <= 90 and 65 <= w.out[first + 2] <= 90)


@kernel
def _is_year(out: Any, start: int, stop: int) -> bool:
    return bool(stop - start == 4 and is_digits(out, start, stop) and (out[start] == 49 or out[start] == 50))


@kernel
def _is_year_of_date(w: Any, month: int, end: int) -> bool:
    """Tell whether the third argument is a year, behind a month in words."""
    return bool(0 < end - month < _MAX_UNIT and _is_year(w.out, w.found[0, 2, 0], w.found[0, 2, 1]))


@kernel
def _joined(w: Any, count: int, char: int) -> Any:
    """Write so many arguments with a character between."""
    o = 0
    for i in range(count):
        if i:
            o = encode(w.tmp, o, char)
        o = copy(w.out, w.found[0, i, 0], w.found[0, i, 1], w.tmp, o)
    return o


@kernel
def _is_code(out: Any, start: int, stop: int) -> bool:
    """Tell whether text is like the code of a language: two or three small letters."""
    for at in range(start, stop):
        if not 97 <= out[at] <= 122:
            return False
    return 2 <= stop - start <= 3


@kernel
def before_text(w: Any) -> bool:
    """Tell whether a word or a link follows the template that just closed: a flag there stands for nothing else."""
    ahead = w.state[AT]
    while w.source[ahead] == 32:
        ahead += 1
    byte = w.source[ahead]
    letter = 65 <= (byte & 0xDF) <= 90 or byte >= 128
    return bool(letter or 48 <= byte <= 57 or byte == 91 or byte == 39 or byte == 38)


@kernel
def _three_numbers(w: Any) -> Any:
    """Write three numbers as a date where the first or the third is a year: 1950-03-04, 4.3.1950."""
    if w.state[POSITIONAL] < 3:
        return -1
    found, tmp = w.found, w.tmp
    for i in range(3):
        if not is_digits(w.out, found[0, i, 0], found[0, i, 1]):
            return -1
    years = found[0, 0, 1] - found[0, 0, 0] == 4
    if found[0, 1, 1] - found[0, 1, 0] > 2 or (found[0, 2, 1] - found[0, 2, 0] == 4) == years:
        return -1
    if found[0, 2 if years else 0, 1] - found[0, 2 if years else 0, 0] > 2:
        return -1
    if years:
        return date(w)
    o = copy(w.out, found[0, 0, 0], found[0, 0, 1], tmp, 0)
    tmp[o] = 46
    o = copy(w.out, found[0, 1, 0], found[0, 1, 1], tmp, o + 1)
    tmp[o] = 46
    return copy(w.out, found[0, 2, 0], found[0, 2, 1], tmp, o + 1)


@kernel
def _begins_line(w: Any, start: int) -> bool:
    """Tell whether nothing but marks stands before the template on its line."""
    at = start
    first = w.frames[w.state[DEPTH], CURRENT]
    last = max(first, start - 64)
    while at > last:
        byte = w.out[at - 1]
        if byte == 10:
            return True
        if not (byte <= 9 or byte == 32 or byte == 42 or byte == 35 or byte == 58 or byte == 59 or byte == 39):
            return False
        at -= 1
    return bool(last == first)


@kernel
def inline(w: Any, start: int) -> bool:
    """Tell whether the template that just closed has text on its line."""
    if not _begins_line(w, start):
        return True
    ahead = w.state[AT]
    while w.source[ahead] == 32 or w.source[ahead] == 9:
        ahead += 1
    byte = w.source[ahead]
    return not (byte == 0 or byte == 10 or byte == 124 or byte == 125 or byte == 93 or byte == 123 or byte == 60)
