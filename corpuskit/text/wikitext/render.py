"""Give pages to the kernels and take texts from them."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corpuskit.text.wikitext import names

_CONVERTER = re.compile(r"-\{([^{}]{0,2000})\}-")
_GUARDED = re.compile(r"(?<![\w}\^_)\\])-\{([^{}\\^_=|:;]{1,2000})\}-(?![\w{(\\])")  # elsewhere: no formula
_VARIANT = re.compile(r"[a-z-]{2,12}")
_WITH_VARIANTS = frozenset(("zh", "sr", "kk", "gan", "iu", "ku", "tg", "uz", "sh", "crh", "shi", "tly"))
_PADDING = 16  # zeros behind the source
_MAX_TITLE = 1000


class WikitextError(ValueError):
    """A page nested too deeply to be rendered."""


@dataclass(frozen=True)
class Site:
    """What a wiki's own names are: its language and its namespaces by name (`{"Kategorie": 14}`)."""

    language: str = ""
    namespaces: Mapping[str, int] = field(default_factory=dict)

    @functools.cached_property
    def tables(self) -> dict[str, Any]:
        """The tables of the kernels, by name."""
        from corpuskit.text.wikitext import base_kernels as base
        from corpuskit.text.wikitext import tables
        from corpuskit.text.wikitext.link_kernels import DROPPED

        own = {name.lower(): key for name, key in self.namespaces.items() if name}
        dropped = {name for name, key in own.items() if key in (6, 14, -2)}
        kept = {name for name, key in own.items() if key not in (6, 14, -2)}
        links = tables.Names()
        for name in sorted((names.FILE_NAMES | names.CATEGORY_NAMES | names.LANGUAGES | dropped) - kept):
            links.add(base.ROOM_LINK, name, DROPPED)
        programs = tables.programs(self.language)
        keys, values = tables.hash_table(
            [tables.common(), (programs.names.hashes(), programs.names.values), (links.hashes(), links.values)]
        )
        return {
            **{"keys": keys, "values": values, "lower": tables.lower()},
            **{"code": programs.code, "literals": programs.literals, "affixes": programs.affixes},
        }


class _Memory(threading.local):
    """The working memory of a thread; it grows with the largest page."""

    def __init__(self) -> None:
        from corpuskit.text.wikitext import base_kernels as base
        from corpuskit.text.wikitext import work_kernels as work

        self.table = np.zeros(len(work.FIELDS) * work.SLOTS, np.int64)
        self.arrays: dict[str, Any] = {}
        self.size = 0
        self.site: Site | None = None
        self.put("state", np.zeros(base.STATE_SIZE, np.int64))
        self.put("frames", np.zeros((base.MAX_DEPTH + 2, base.FRAME_SIZE), np.int64))
        self.put("found", np.zeros((2, base.MAX_ARGUMENTS, 3), np.int64))
        self.lists(1 << 12)

    def put(self, name: str, array: Any) -> None:
        """Keep an array, and tell the kernels where it is."""
        from corpuskit.text.wikitext.work_kernels import write

        self.arrays[name] = array
        write(self.table, name, array)

    def lists(self, size: int) -> None:
        """Make room for so many arguments and cells, and verbatim pieces."""
        self.put("args", np.empty((size, 3), np.int64))
        self.put("pieces", np.empty(size, np.int64))

    def buffers(self, size: int, factor: int) -> None:
        """Make room for a page of so many bytes and its rendering."""
        if size > self.size:
            self.size = size + size // 2
            self.put("source", np.empty(self.size + _PADDING, np.uint8))
            self.put("verbatim", np.empty(2 * self.size + 64, np.uint8))
            self.arrays.pop("out", None)
        if "out" not in self.arrays or len(self.arrays["out"]) < factor * size + 8192:
            self.put("out", np.empty(factor * self.size + 8192, np.uint8))
            self.put("tmp", np.empty(factor * self.size + 8192, np.uint8))

    def prepare(self, data: bytes, site: Site, title: str, factor: int) -> int:
        """Put a page and its wiki's tables in their places, give the number of bytes to read."""
        if self.site is not site:
            for name, array in site.tables.items():
                self.put(name, array)
            self.site = site
        stop = len(data) + 1
        self.buffers(stop, factor)
        source = self.arrays["source"]
        source[0] = 10
        source[1:stop] = np.frombuffer(data, np.uint8)
        source[stop : stop + _PADDING] = 0
        self.put("title", np.frombuffer(title[:_MAX_TITLE].encode(errors="replace"), np.uint8))
        return stop


@functools.cache
def _memory() -> _Memory:
    return _Memory()


def wikitext_to_text(source: str, site: Site = Site(), title: str = "") -> str:
    """Render wikitext as plain text, blocks apart by a blank line. Raises WikitextError for nesting over MAX_DEPTH."""
    from corpuskit.text.wikitext import base_kernels as base
    from corpuskit.text.wikitext.render_kernels import render

    if "\r" in source:
        source = source.replace("\r\n", "\n").replace("\r", "\n")
    if "-{" in source:
        if "-{zh" in source or site.language.partition("-")[0] in _WITH_VARIANTS:
            source = _CONVERTER.sub(_converted, source)
        else:
            source = _GUARDED.sub(r"\1", source)
    data = source.encode(errors="replace")
    memory = _memory()
    state = memory.arrays["state"]
    for factor in (4, 16, 64, 256):
        size = render(memory.prepare(data, site, title, factor), memory.table)
        error = state[base.ERROR]
        if error == 0:
            text = memory.arrays["out" if state[base.PIECES] else "tmp"]
            shown: str = text[:size].tobytes().decode(errors="replace")
            return shown.strip()
        if error == base.TOO_DEEP:
            raise WikitextError(f"nested deeper than {base.MAX_DEPTH}")
        memory.lists(8 * len(memory.arrays["pieces"]))
    raise WikitextError("the text grows beyond bounds")


def _converted(found: re.Match[str]) -> str:
    """-{zh-cn:A;zh-tw:B}- shows A; -{text}- shows the text; rules and titles, -{T|text}-, show nothing."""
    flags, bar, content = found[1].rpartition("|")
    if bar and set(flags) & set("THD-"):
        return ""
    first = content.split(";")[0]
    variant, colon, text = first.partition(":")
    return text.strip() if colon and _VARIANT.fullmatch(variant.strip()) else content
