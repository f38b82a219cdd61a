"""Find pages with the indexes of multistream dumps.

An index has a line `offset:page id:title` for every page, in the order of the dump; the about 100 pages of a stream
share its offset. Titles have their namespace in front and are escaped as in XML.
"""

from __future__ import annotations

import heapq
import html
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpuskit.formats.mediawiki import Head, Page
from corpuskit.formats.multistream import Range
from corpuskit.formats.opening import PROBLEMS, open_bytes

_DUMP = re.compile(r"(.*multistream)(\d*)\.xml(.*)\.bz2")
_READ_BYTES = 1 << 18

#: The pages of a dump to read: their ids by the streams that hold them.
Picks = dict[Range, list[int]]


class BadIndex(Exception):
    """An index that cannot be read; says why."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What an index says of one stream: where it lies, and the ids and titles of its pages."""

    range: Range
    ids: list[bytes]
    titles: list[bytes]


@dataclass(frozen=True)
class Wanted:
    """Pages that a user asks for: a number is an id, anything else a title; with a colon in front, always a title."""

    words: tuple[str, ...]
    ids: dict[str, str] = field(init=False)
    titles: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        ids, titles = {}, {}
        for word in self.words:
            if word.isascii() and word.isdigit():
                ids[str(int(word))] = word
            else:
                titles[word.removeprefix(":").replace("_", " ").strip()] = word
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "titles", titles)

    def __call__(self, page: Page) -> bool:
        """Tell whether a page is asked for."""
        return page.id in self.ids or page.title in self.titles


def index_names(dump: str) -> list[str]:
    """Name the index of a dump of this name, as it is published and unpacked; none where no dump has such a name."""
    found = _DUMP.fullmatch(dump)
    if not found:
        return []
    name = f"{found[1]}-index{found[2]}.txt{found[3]}"
    return [name + ".bz2", name]


def streams(index: Path) -> Iterator[Stream]:
    """Read an index, stream by stream. Raises BadIndex where it is damaged or no index."""
    start, ids, titles = -1, list[bytes](), list[bytes]()
    last = b""
    try:
        for line in _lines(index):
            offset, page, title = line.split(b":", 2)
            if offset != last:
                place = int(offset)
                if place <= start:
                    raise BadIndex(f"its offsets go back from {start} to {place}")
                if ids:
                    yield Stream((start, place), ids, titles)
                start, ids, titles, last = place, [], [], offset
            ids.append(page)
            titles.append(title)
    except ValueError:
        raise BadIndex("a line is not `offset:page id:title`") from None
    if ids:
        yield Stream((start, None), ids, titles)


def find_pages(index: Path, wanted: Wanted) -> tuple[Picks, set[str]]:
    """Find the pages that are wanted; gives them, and which words found one. Raises BadIndex."""
    by_id = {id.encode(): word for id, word in wanted.ids.items()}
    by_title = {title.encode(): word for title, word in wanted.titles.items()}
    picks: Picks = {}
    seen: set[str] = set()
    for stream in streams(index):
        found = [at for at, id in enumerate(stream.ids) if id in by_id]
        if by_title:
            titles = [_title(title) for title in stream.titles]
            named = [at for at, title in enumerate(titles) if title in by_title]
            seen.update(by_title[titles[at]] for at in named)
            seen.update(by_id[stream.ids[at]] for at in found)
            found = sorted({*found, *named})
        else:
            seen.update(by_id[stream.ids[at]] for at in found)
        if found:
            picks[stream.range] = [_number(stream.ids[at]) for at in found]
    return picks, seen


def sample_pages(dumps: Sequence[tuple[Path, Head]], count: int, seed: int) -> list[Picks]:
    """Pick `count` pages of the main namespace out of all dumps, given by index and head, or all where there are fewer.

    These are the pages with the smallest hash of seed and page id. Memory grows with `count` alone. Raises BadIndex.
    """
    heap: list[tuple[int, int, int, int, int]] = []  # the worst first: -hash, -dump, -id; then the range
    bound = (1 << 64) - 1
    for at, (index, head) in enumerate(dumps):
        others = {name.encode() for name, key in head.namespaces.items() if name and key != 0}
        for stream in streams(index):
            try:
                ids = np.array([int(id) for id in stream.ids], dtype=np.uint64)
            except (ValueError, OverflowError):
                raise BadIndex("a line is not `offset:page id:title`") from None
            hashes = _hashes(ids, seed)
            start, end = stream.range
            for place in np.flatnonzero(hashes <= np.uint64(bound)).tolist():
                if _in_main(stream.titles[place], others):
                    entry = (-int(hashes[place]), -at, -int(ids[place]), start, end or 0)
                    if len(heap) < count:
                        heapq.heappush(heap, entry)
                    else:
                        heapq.heappushpop(heap, entry)
                    bound = -heap[0][0] if len(heap) == count else bound
    picks: list[Picks] = [{} for _ in dumps]
    for _, at, page, start, end in sorted(heap, key=lambda each: (-each[1], each[3], -each[2])):
        picks[-at].setdefault((start, end or None), []).append(-page)
    return picks


def _lines(index: Path) -> Iterator[bytes]:
    rest = b""
    with open_bytes(index) as stream:
        while piece := stream.read(_READ_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        if stream.problem:
            raise BadIndex(PROBLEMS[stream.problem])
    if rest:
        yield rest


def _title(title: bytes) -> bytes:
    return html.unescape(title.decode("utf-8", "replace")).encode() if b"&" in title else title


def _number(id: bytes) -> int:
    try:
        return int(id)
    except ValueError:
        raise BadIndex("a line is not `offset:page id:title`") from None


def _in_main(title: bytes, others: Collection[bytes]) -> bool:
    """Tell whether a title is in the main namespace: no other one's name stands in front of it."""
    prefix, colon, _ = title.partition(b":")
    return not colon or _title(prefix) not in others


def _hashes(ids: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Hash ids with a seed: SplitMix64 (Steele, Lea, Flood 2014)."""
    mixed = _mix(np.array([seed & (1 << 64) - 1], dtype=np.uint64))
    return _mix(ids ^ mixed)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
