"""Run the loops over texts and pages whose bytes stand beside memory that nobody may touch; for test_guard.

    python -m tests.guard ROUNDS

Ends with status 0 where all of them give what they give elsewhere. A read beyond the bytes ends the process (SIGSEGV).
"""

from __future__ import annotations

import ctypes
import mmap
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

_PAGES = 64
_WORDS = [
    *(
        "the",
        "of",
        "terms",
        "use",
        "lorem",
        "ipsum",
        "javascript",
        "e.g.",
        "don't",
        "Ｆｕｌｌ",
        "naïve",
        "中文",
        "ไทย",
        "жизнь",
    ),
    *(
        "a@b.co",
        "192.168.1.1",
        "+1 212 555 0100",
        "4111 1111 1111 1111",
        "&amp;",
        "Ã©",
        "ï¬",
        "\u2028",
        "\u200b",
        "İ",
        "\t",
    ),
    *("{", "}", "#", "…", "...", ".", ",", "!?", "“", "”", "\n", "\n\n", "x" * 63, "y" * 64, "1" * 31, "é" * 33, "🙂"),
]
_MARKUP = [
    *(
        "<p>",
        "</p>",
        "<div class='post body'>",
        "</div>",
        "<a href='/x'>",
        "</a>",
        "<ul><li>",
        "<pre>",
        "<table><td>",
        "<",
    ),
    *(
        "<h1>",
        "<title>",
        "</title>",
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<html lang=de",
        "<time datetime='2024-05-01'>",
    ),
    *(
        "<meta property='og:title' content='a &amp; b'>",
        "<meta name=author content=",
        "itemprop=datePublished",
        "&",
        "&#x2019",
    ),
    *(
        '<script type="application/ld+json">{"datePublished": "2024-05-01", "author": {"name": "',
        "&nbsp;",
        "&nLt",
        "\0",
    ),
]


class Guarded:
    """Memory between two pages that nobody may touch."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._held = mmap.mmap(-1, (_PAGES + 2) * mmap.PAGESIZE)
        self._first = ctypes.addressof(ctypes.c_char.from_buffer(self._held)) + mmap.PAGESIZE
        self._last = self._first + _PAGES * mmap.PAGESIZE
        for page in (self._first - mmap.PAGESIZE, self._last):
            assert libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0

    def places(self, data: bytes) -> list[int]:
        """Put the bytes at the end, where there is nothing behind them, or at the beginning; gives both addresses."""
        assert 2 * len(data) <= self._last - self._first
        found = [self._last - len(data), self._first]
        for place in found:
            ctypes.memmove(place, data, len(data))
        return found


def texts_of(memory: Guarded, texts: Sequence[str]) -> list[pa.Array]:
    """Give texts as columns: the one in their own memory, the others in guarded one."""
    column = pa.array(texts, pa.large_string())
    data = "".join(texts).encode()
    places = [pa.foreign_buffer(place, len(data)) for place in memory.places(data)]
    offsets = column.buffers()[1]
    return [column, *(pa.LargeStringArray.from_buffers(len(texts), offsets, place) for place in places)]


def pages_of(memory: Guarded, page: bytes) -> list[Any]:
    """Give a page in its own memory and in guarded one."""
    return [page, *((ctypes.c_char * len(page)).from_address(place) for place in memory.places(page))]


def measured(texts: pa.Array) -> str:
    """Say all that `clean` finds out about texts."""
    from corpuskit.text import language, pii, repair, signals
    from corpuskit.text.lines import LineRules, edit_column

    columns = [*signals.signals(texts).values(), *language.identify(texts), *pii.scan(texts).values()]
    columns += [
        repair.repair_column(texts, repair.Repair("NFC")),
        pii.redact(texts)[0],
        edit_column(texts, LineRules())[0],
    ]
    return repr([column.to_pylist() for column in columns])


def extracted(page: Any) -> str:
    """Say what is found in a page."""
    from corpuskit.text.html import extraction

    return repr(extraction.extract(page, extraction.shipped()))


def main(rounds: int) -> None:
    """Compare. Raises AssertionError where a text reads otherwise beside guarded memory."""
    rng, memory = random.Random(0), Guarded()

    def some(words: Sequence[str], most: int) -> str:
        return rng.choice(["", " "]).join(rng.choice(words) for _ in range(rng.randrange(1, most)))

    def same(say: Callable[[Any], str], forms: Sequence[Any]) -> None:
        said = [say(form) for form in forms]
        assert said[1:] == said[:1] * 2, bytes(forms[0]) if isinstance(forms[0], bytes) else forms[0].to_pylist()

    for _ in range(rounds):
        same(measured, texts_of(memory, [some(_WORDS, rng.choice([3, 30, 300])) for _ in range(rng.randrange(1, 4))]))
    for _ in range(20 * rounds):
        same(extracted, pages_of(memory, some([*_WORDS, *_MARKUP], rng.choice([4, 40, 400])).encode()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
