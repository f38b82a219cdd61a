"""The tags that the segmenter knows, as numbers, and the character references; tables for compiled loops.

Whatever is not here is an inline tag: it neither parts text nor is it remembered.
"""

from __future__ import annotations

import functools
from html.entities import html5

import numpy as np
import numpy.typing as npt

# What the segmenter does with a tag. PUSH: a block-level element, which parts text and has a place in the tree. SKIP:
# its text is not the page's. RAW: no markup up to the end tag. VOID: has no end.
PUSH, SKIP, RAW, VOID = 1, 2, 4, 8

_BLOCKS = (
    "div", "p", "section", "article", "main", "header", "footer", "nav", "aside", "form", "fieldset", "ul", "ol",
    "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "h1", "h2", "h3", "h4",
    "h5", "h6", "blockquote", "pre", "figure", "figcaption", "address", "details", "summary", "center", "hgroup",
    "dialog", "menu", "dir", "legend", "search", "listing",
)  # fmt: skip
_SKIPPED = (
    "noscript", "template", "svg", "select", "button", "object", "canvas", "audio", "video", "math", "applet",
    "datalist", "map", "rt", "rp",
)  # fmt: skip
_RAW = ["script", "style", "textarea", "title", "iframe", "xmp", "noembed", "noframes"]
_INLINE = (
    "a", "br", "hr", "html", "head", "body", "meta", "time", "code", "tt", "samp", "kbd", "ruby", "img", "input",
    "wbr", "link", "base",
)  # fmt: skip
_VOID = ("br", "hr", "meta", "img", "input", "wbr", "link", "base")

#: Names by number; 0 is the root.
NAMES = ("", *_BLOCKS, *_SKIPPED, *_RAW, *_INLINE)
NUMBER = {name: number for number, name in enumerate(NAMES)}
FLAGS: npt.NDArray[np.uint8] = np.array(
    [
        PUSH * (name in _BLOCKS) + SKIP * (name in _SKIPPED) + RAW * (name in _RAW) + VOID * (name in _VOID)
        for name in NAMES
    ],
    np.uint8,
)

_OFFSET, _PRIME, _MASK = 2166136261, 16777619, 0xFFFFFFFF
_TAG_SLOTS, _REFERENCE_SLOTS = 1024, 8192


def fnv(name: bytes) -> int:
    """Give the 32-bit FNV-1a hash (Fowler, Noll, Vo)."""
    value = _OFFSET
    for byte in name:
        value = (value ^ byte) * _PRIME & _MASK
    return value


def _slots(hashes: list[int], size: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """Make a table of open addressing: the hash in each slot, and its number, or -1."""
    keys, numbers = np.zeros(size, np.uint32), np.full(size, -1, np.int32)
    for number, value in enumerate(hashes):
        at = value & (size - 1)
        while numbers[at] >= 0:
            if keys[at] == value:
                raise AssertionError("two names with one hash")
            at = (at + 1) & (size - 1)
        keys[at], numbers[at] = value, number
    return keys, numbers


@functools.lru_cache(maxsize=1)
def tag_table() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Give (hash in each slot, number of the tag or -1, flags by number)."""
    keys, numbers = _slots([fnv(name.encode()) for name in NAMES[1:]], _TAG_SLOTS)
    return keys, np.where(numbers >= 0, numbers + 1, -1).astype(np.int32), FLAGS


@functools.lru_cache(maxsize=1)
def reference_table() -> tuple[
    npt.NDArray[np.uint32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]
]:
    """Give the named character references of HTML: (hash in each slot, number or -1, offsets into bytes, bytes).

    Names stand without their semicolon; where HTML takes one without, that is the same character.
    """
    names = {name.rstrip(";"): value for name, value in html5.items()}
    values = [value.encode() for value in names.values()]
    keys, numbers = _slots([fnv(name.encode()) for name in names], _REFERENCE_SLOTS)
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return keys, numbers, offsets, np.frombuffer(b"".join(values), np.uint8)


@functools.lru_cache(maxsize=1)
def tables() -> tuple[npt.NDArray[np.generic], ...]:
    """Give `tag_table` and `reference_table` as one tuple."""
    return (*tag_table(), *reference_table())
