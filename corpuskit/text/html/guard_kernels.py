"""Find in one pass over a page what its readers need more than linear time or memory for."""

from __future__ import annotations

import numpy as np
from numba import njit

from corpuskit.text.html.guard_names import BLOCKS, ITEM, LISTS, RAW

_SLASH, _LESS, _GREATER, _EQUALS = 47, 60, 62, 61
_QUOTES = (34, 39)


@njit(cache=True, nogil=True)
def measure(page):  # type: ignore[no-untyped-def]
    """Give (most attributes of a tag, deepest blocks, deepest lists, list items, tags) of a page in UTF-8.

    Tags and attributes end where the tokenizer of HTML ends them; scripts, styles and comments hold none. Depths are
    of tags that were opened and not closed by name.
    """
    size = len(page)
    most = blocks = lists = deepest_blocks = deepest_lists = items = tags = 0
    at = 0
    while at < size:
        if page[at] != _LESS:
            at += 1
            continue
        at += 1
        if _comment(page, at):
            at = _behind_comment(page, at + 3)
            continue
        closing = at < size and page[at] == _SLASH
        if closing:
            at += 1
        name, end = _name(page, at)
        if name == 0:
            continue
        attributes, at = _attributes(page, end)
        most = max(most, attributes)
        tags += 1
        step = -1 if closing else 1
        if _among(name, BLOCKS):
            blocks = max(0, blocks + step)
            deepest_blocks = max(deepest_blocks, blocks)
        elif _among(name, LISTS):
            lists = max(0, lists + step)
            deepest_lists = max(deepest_lists, lists)
        elif name == ITEM:
            items += 1
        elif not closing and _among(name, RAW):
            at = _behind_raw(page, at, name)
    return most, deepest_blocks, deepest_lists, items, tags


@njit(cache=True, nogil=True)
def _among(name, names):  # type: ignore[no-untyped-def]
    for other in names:  # noqa: SIM110 - numba has no any()
        if name == other:
            return True
    return False


@njit(cache=True, nogil=True)
def _comment(page, at):  # type: ignore[no-untyped-def]
    return at + 2 < len(page) and page[at] == 33 and page[at + 1] == 45 and page[at + 2] == 45


@njit(cache=True, nogil=True)
def _behind_comment(page, at):  # type: ignore[no-untyped-def]
    """Give where `-->` ends; the end of the page where there is none."""
    while at + 2 < len(page):
        if page[at] == 45 and page[at + 1] == 45 and page[at + 2] == _GREATER:
            return at + 3
        at += 1
    return len(page)


@njit(cache=True, nogil=True)
def _name(page, at):  # type: ignore[no-untyped-def]
    """Give a tag's name, its first eight letters as a number, and where it ends; 0 where no letter stands."""
    name = np.uint64(0)
    start = at
    while at < len(page):
        byte = page[at]
        if 65 <= byte <= 90:
            byte += 32
        letter = 97 <= byte <= 122
        if not letter and (at == start or byte <= 32 or byte in (_SLASH, _GREATER)):
            break
        if at - start < 8:
            name = (name << np.uint64(8)) | np.uint64(byte)
        at += 1
    return name, at


@njit(cache=True, nogil=True)
def _attributes(page, at):  # type: ignore[no-untyped-def]
    """Give the number of attributes of the tag whose name ends at `at`, and where the tag ends."""
    size, count = len(page), 0
    while at < size:
        while at < size and (page[at] <= 32 or page[at] == _SLASH):
            at += 1
        if at >= size or page[at] == _GREATER:
            return count, at + 1
        count += 1
        at += 1  # a name may begin with "="
        while at < size and page[at] > 32 and page[at] != _SLASH and page[at] != _GREATER and page[at] != _EQUALS:
            at += 1
        value = at
        while value < size and page[value] <= 32:
            value += 1
        if value < size and page[value] == _EQUALS:
            at = _behind_value(page, value + 1)
    return count, size


@njit(cache=True, nogil=True)
def _behind_value(page, at):  # type: ignore[no-untyped-def]
    size = len(page)
    while at < size and page[at] <= 32:
        at += 1
    if at < size and (page[at] == _QUOTES[0] or page[at] == _QUOTES[1]):
        quote = page[at]
        at += 1
        while at < size and page[at] != quote:
            at += 1
        return at + 1
    while at < size and page[at] > 32 and page[at] != _GREATER:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _behind_raw(page, at, name):  # type: ignore[no-untyped-def]
    """Give where the end tag of a script or style begins; the end of the page where there is none."""
    while at + 2 < len(page):
        if page[at] == _LESS and page[at + 1] == _SLASH and _name(page, at + 2)[0] == name:
            return at
        at += 1
    return len(page)
