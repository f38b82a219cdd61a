"""Read what a page says of itself from the places that the segmenter has marked: no tree, no second pass.

The rules are those of `about`; the author besides. Import it only where it runs, for numba's sake.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.about import AUTHOR_NAMES, DATE_NAMES, LONGEST_JSON, META_NAMES
from corpuskit.text.html.arrays import HTML, JSON, META, MICRODATA, TIME, TITLE
from corpuskit.text.html.char_kernels import char, passage_of, put_point, white
from corpuskit.text.html.date_kernels import iso_date
from corpuskit.text.html.quote_kernels import (
    A_CLASS,
    A_CONTENT,
    A_DATETIME,
    A_ITEMPROP,
    A_PUBDATE,
    ATTRIBUTES,
    json_author,
    json_date,
    quoted_attributes,
)
from corpuskit.text.html.scan_kernels import DATE, DATE_APART, find_word

_N_DATES, _N_NAMES = len(DATE_NAMES), len(DATE_NAMES) + len(AUTHOR_NAMES)
_OG_TITLE, _CONTENT_LANGUAGE, _OG_LOCALE = (
    META + META_NAMES.index(name) for name in ("og:title", "content-language", "og:locale")
)
#: Kinds of marks.
KINDS = META + len(META_NAMES)
_LT, _GT, _LF = 60, 62, 10
_MOST_MICRODATA, _LONGEST_TAG = 8, 600
_LONGEST_NAME = 100
_PUBDATE = np.frombuffer(b"pubdate", np.uint8)
_PUBLISHED, _ENTRY_DATE = np.frombuffer(b"published", np.uint8), np.frombuffer(b"entry-date", np.uint8)
_SCHEMES = (np.frombuffer(b"http:", np.uint8), np.frombuffer(b"https:", np.uint8), np.frombuffer(b"www.", np.uint8))
# What language, date, author and line feeds may take beside the title.
_OTHER_BYTES = 1024


@njit(cache=True, nogil=True)
def most_said(marks: Any, heading: Any) -> Any:
    """Give how many bytes `describe` may write."""
    longest = len(heading)
    for each in range(len(marks)):
        if marks[each, 0] == TITLE or marks[each, 0] == _OG_TITLE:
            longest = max(longest, np.int64(marks[each, 2]) - marks[each, 1])
    return longest + longest // 5 + _OTHER_BYTES  # see `most` of `judge_kernels`


@njit(cache=True, nogil=True)
def describe(data: Any, marks: Any, heading: Any, references: Any, first: Any, out: Any) -> Any:
    """Write title, language, date and author of a page, parted by line feeds and empty where it does not say.

    marks: (kind, start, stop) for each place data[start:stop] that tells something, see `arrays`; heading: the text of
    the first h1; references: tables, see `tags.reference_table`; first: scratch of KINDS numbers. Gives the bytes
    written.
    """
    first[:] = -1
    for each in range(len(marks)):
        kind = marks[each, 0]
        if first[kind] < 0 and (kind < META or not _blank(*_marked(data, marks[each], references))):
            first[kind] = each
    pos = _title(data, marks, heading, references, first, out)
    out[pos] = _LF
    pos = _language(data, marks, references, first, out, pos + 1)
    out[pos] = _LF
    pos = _date(data, marks, references, first, out, pos + 1)
    out[pos] = _LF
    return _author(data, marks, references, first, out, pos + 1)


@njit(cache=True, nogil=True)
def _marked(data: Any, mark: Any, references: Any) -> Any:
    """Give what is marked as (a passage that holds references, the place where it begins)."""
    return passage_of(data, mark[1:], True, references)


@njit(cache=True, nogil=True)
def _blank(passage: Any, place: int) -> Any:
    code, place = char(passage, place)
    while white(code):
        code, place = char(passage, place)
    return code < 0


@njit(cache=True, nogil=True)
def _squeeze(passage: Any, place: int, most: int, out: Any, pos: int) -> Any:
    """Write a passage with one space for all white space, none at its ends; -1 for more than `most` characters."""
    start, gap, count = pos, 0, 0
    code, place = char(passage, place)
    while code >= 0:
        if white(code):
            gap = 1
        else:
            due = gap if pos > start else 0
            count += 1 + due
            if count > most:
                return -1
            if due:
                out[pos] = 32
            pos = put_point(code, out, pos + due)
            gap = 0
        code, place = char(passage, place)
    return pos


@njit(cache=True, nogil=True)
def _title(data: Any, marks: Any, heading: Any, references: Any, first: Any, out: Any) -> Any:
    size = np.int64(1) << 62
    for kind in (_OG_TITLE, TITLE):
        if first[kind] >= 0:
            passage, place = _marked(data, marks[first[kind]], references)
            pos = _squeeze(passage, place, size, out, 0)
            if pos > 0:
                return pos
    passage, place = passage_of(heading, (0, len(heading)), False, references)
    return _squeeze(passage, place, size, out, 0)


@njit(cache=True, nogil=True)
def _language(data: Any, marks: Any, references: Any, first: Any, out: Any, pos: int) -> Any:
    """Write the primary subtag of the first label that is one of a language."""
    for kind in (HTML, _CONTENT_LANGUAGE, _OG_LOCALE):
        if first[kind] < 0:
            continue
        passage, place = _marked(data, marks[first[kind]], references)
        code, place = char(passage, place)
        while white(code):
            code, place = char(passage, place)
        count, is_utf = 0, True
        while count < 3 and 97 <= (code | 32) <= 122 and code < 128:
            is_utf &= code == (117, 116, 102)[count]
            out[pos + count] = code | 32
            count += 1
            code, place = char(passage, place)
        if (count == 3 and is_utf) or count < 2:
            continue
        if code < 0 or code == 45 or code == 95 or code == 44 or white(code):
            return pos + count
    return pos


@njit(cache=True, nogil=True)
def _date(data: Any, marks: Any, references: Any, first: Any, out: Any, pos: int) -> Any:
    """Write the first date of <meta>, JSON-LD, microdata, <time> of publication, or that of all <time>."""
    for kind in range(META, META + _N_DATES):
        if first[kind] >= 0:
            passage, place = _marked(data, marks[first[kind]], references)
            end = iso_date(passage, place, out, pos)
            if end > pos:
                return end
    for each in range(len(marks) if first[JSON] >= 0 else 0):
        if marks[each, 0] == JSON:
            span = json_date(data, np.int64(marks[each, 1]), _json_stop(marks[each]))
            passage, place = passage_of(data, span, False, references)
            end = iso_date(passage, place, out, pos)
            if end > pos:
                return end
    if first[MICRODATA] >= 0:
        end = _of_microdata(data, np.int64(marks[first[MICRODATA], 1]), references, out, pos)
        if end > pos:
            return end
    return _of_times(data, marks, references, out, pos) if first[TIME] >= 0 else pos


@njit(cache=True, nogil=True)
def _json_stop(mark: Any) -> Any:
    return min(np.int64(mark[2]), np.int64(mark[1]) + LONGEST_JSON)


@njit(cache=True, nogil=True)
def _of_microdata(data: Any, at: int, references: Any, out: Any, pos: int) -> Any:
    """Write the date of the first tags with itemprop=datePublished; the first such word stands at `at`."""
    found = np.empty((ATTRIBUTES, 2), np.int64)
    for _ in range(_MOST_MICRODATA):
        if at >= len(data):
            break
        start = at - 1
        while start >= max(0, at - _LONGEST_TAG) and data[start] != _LT and data[start] != _GT:
            start -= 1
        limit = min(len(data), at + _LONGEST_TAG)
        stop = at
        while stop < limit and data[stop] != _GT:
            stop += 1
        if stop < limit and start >= max(0, at - _LONGEST_TAG) and data[start] == _LT:
            quoted_attributes(data, start, stop, found)
            passage, place = passage_of(data, found[A_ITEMPROP], True, references)
            if _begins(passage, place, DATE):
                passage, place = passage_of(data, found[A_DATETIME], True, references)
                if char(passage, place)[0] < 0:  # it is empty
                    passage, place = passage_of(data, found[A_CONTENT], True, references)
                end = iso_date(passage, place, out, pos)
                if end > pos:
                    return end
        at = find_word(data, at + 1, len(data), DATE, DATE_APART)
    return pos


@njit(cache=True, nogil=True)
def _begins(passage: Any, place: int, word: Any) -> Any:
    for each in range(len(word)):
        code, place = char(passage, place)
        if code != word[each]:
            return False
    return True


@njit(cache=True, nogil=True)
def _of_times(data: Any, marks: Any, references: Any, out: Any, pos: int) -> Any:
    """Write the date of the first <time> of publication that has one, else the one date of all of them."""
    found, only = np.empty((ATTRIBUTES, 2), np.int64), np.zeros(2, np.int64)
    count, same = 0, True
    for each in range(len(marks)):
        if marks[each, 0] != TIME:
            continue
        start, stop = np.int64(marks[each, 1]), np.int64(marks[each, 2])
        quoted_attributes(data, start, stop, found)
        when, place = passage_of(data, found[A_DATETIME], True, references)
        names, at = passage_of(data, found[A_CLASS], True, references)
        named = found[A_PUBDATE, 0] >= 0 or find_word(data, start, stop, _PUBDATE, 3) < stop
        if named or _is_published(names, at):
            end = iso_date(when, place, out, pos)
            if end > pos:
                return end
        if count == 0:
            only[:] = found[A_DATETIME]
        elif same:
            first, at = passage_of(data, only, True, references)
            same = _equal(first, at, when, place)
        count += 1
    first, at = passage_of(data, only, True, references)
    return iso_date(first, at, out, pos) if same else pos


@njit(cache=True, nogil=True)
def _equal(one: Any, at: int, other: Any, place: int) -> Any:
    code, at = char(one, at)
    beside, place = char(other, place)
    while code == beside and code >= 0:
        code, at = char(one, at)
        beside, place = char(other, place)
    return code == beside


@njit(cache=True, nogil=True)
def _is_published(passage: Any, place: int) -> Any:
    """Tell whether `published` or `entry-date` is among the names of a class."""
    code = np.int64(0)
    while code >= 0:
        count, published, entry = 0, True, True
        code, place = char(passage, place)
        while code >= 0 and not white(code):
            published = published and count < len(_PUBLISHED) and code == _PUBLISHED[count]
            entry = entry and count < len(_ENTRY_DATE) and code == _ENTRY_DATE[count]
            count += 1
            code, place = char(passage, place)
        if (published and count == len(_PUBLISHED)) or (entry and count == len(_ENTRY_DATE)):
            return True
    return False


@njit(cache=True, nogil=True)
def _author(data: Any, marks: Any, references: Any, first: Any, out: Any, pos: int) -> Any:
    for kind in range(META + _N_DATES, META + _N_NAMES):
        if first[kind] >= 0:
            passage, place = _marked(data, marks[first[kind]], references)
            end = _squeeze(passage, place, _LONGEST_NAME, out, pos)
            if end > pos and not _is_address(out[pos:end]):
                return end
    for each in range(len(marks) if first[JSON] >= 0 else 0):
        if marks[each, 0] == JSON:
            span = json_author(data, np.int64(marks[each, 1]), _json_stop(marks[each]))
            passage, place = passage_of(data, span, False, references)
            end = _squeeze(passage, place, _LONGEST_NAME, out, pos)
            if end > pos and not _is_address(out[pos:end]):
                return end
    return pos


@njit(cache=True, nogil=True)
def _is_address(name: Any) -> Any:
    """Tell an address of the web, with which no name begins."""
    for scheme in _SCHEMES:
        same = len(name) >= len(scheme)
        for each in range(len(scheme) if same else 0):
            byte = name[each]
            same = same and (byte | 32 if 65 <= byte <= 90 else byte) == scheme[each]
        if same:
            return True
    return False
