"""Say what of which dump is read: all of it in parts, pages that a user names, or random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corpuskit.errors import BadData, UsageError
from corpuskit.formats.multistream import Part, Range, cut, read_head, stream_begins
from corpuskit.formats.multistream_index import BadIndex, Picks, Wanted, find_pages, index_names, sample_pages
from corpuskit.formats.opening import open_bytes
from corpuskit.formats.reading import kind_of, not_mediawiki
from corpuskit.formats.sniff import HEAD_BYTES, begins_as_index


@dataclass(frozen=True, slots=True)
class Dump:
    """A file to read, by its place among the files given, and its index where that is given too."""

    file: int
    path: Path
    size: int
    index: Path | None


@dataclass(frozen=True, slots=True)
class Unit:
    """What one task reads at least: a part of a file, and its compressed size."""

    file: int
    bytes: int
    part: Part


def with_indexes(files: Sequence[Path]) -> list[Dump]:
    """Put indexes to their dumps. One without a dump stays a file of its own."""
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(path.name, []).append(path)
    dumps, used = [], set()
    for at, path in enumerate(files):
        found = [each for name in index_names(path.name) for each in by_name.get(name, ())]
        found = [each for each in found if _is_index(each)]
        found.sort(key=lambda each: each.parent != path.parent)  # the one in the same folder first
        used.update(found)
        dumps.append(Dump(at, path, path.stat().st_size, found[0] if found else None))
    return [dump for dump in dumps if dump.path not in used]


def wholes(dumps: Sequence[Dump], bound: int) -> list[Unit]:
    """Give all of the dumps, in parts of about `bound` bytes where they can be cut."""
    return [Unit(dump.file, _bytes(range, dump), Part((range,))) for dump in dumps for range in cut(dump.path, bound)]


def asked(dumps: Sequence[Dump], words: Sequence[str], bound: int) -> list[Unit]:
    """Find the pages asked for in the indexes; a dump without a good one is read whole, with a note.

    What none of the dumps holds is told by the last unit, if all have an index. Raises UsageError for other files.
    """
    _check_kinds(dumps)
    wanted = Wanted(tuple(words))
    units: list[Unit] = []
    missing = dict.fromkeys(words)
    exact = True
    for dump in dumps:
        try:
            if dump.index is None:
                raise BadIndex("its index is not among the inputs")
            picks, seen = find_pages(dump.index, wanted)
            _check_offsets(dump, picks)
        except BadIndex as problem:
            exact = False
            note = f"{dump.path.name}: {problem}; it is read whole, and nothing tells which pages it lacks"
            units += _noted(note, wholes([dump], bound))
        else:
            for word in seen:
                missing.pop(word, None)
            units += _picked(dump, picks)
    if exact and missing:
        units.append(Unit(dumps[-1].file, 0, Part((), (), tuple(missing))))
    return units


def sampled(dumps: Sequence[Dump], count: int, seed: int) -> list[Unit]:
    """Pick pages by chance from the indexes. Raises UsageError for a file without one, BadData for a damaged one."""
    _check_kinds(dumps)
    heads = []
    for dump in dumps:
        head = read_head(dump.path)
        if head is None or dump.index is None:
            names = index_names(dump.path.name)
            problem = f"--sample needs its index, {names[0]}" if head and names else "--sample needs a multistream dump"
            remedy = "give the dump and its index as inputs; `download wikipedia --format dump` fetches both"
            raise UsageError(dump.path.name, problem, remedy)
        heads.append((dump.index, head[0]))
    try:
        picks = sample_pages(heads, count, seed)
        for dump, each in zip(dumps, picks, strict=True):
            _check_offsets(dump, each)
    except BadIndex as problem:
        raise BadData("--sample", f"an index cannot be used: {problem}", "download it again") from None
    units = [unit for dump, each in zip(dumps, picks, strict=True) for unit in _picked(dump, each)]
    found = sum(len(unit.part.pages or ()) for unit in units)
    units = units or [Unit(dumps[-1].file, 0, Part((), ()))]
    if found < count:
        return _noted(f"--sample {count}: the main namespace has {found} pages in all, and these are read", units)
    return units


def _noted(note: str, units: list[Unit]) -> list[Unit]:
    """Have the task that reads the first of these units tell the user something."""
    return [replace(units[0], part=replace(units[0].part, notes=(note,))), *units[1:]]


def _picked(dump: Dump, picks: Picks) -> list[Unit]:
    streams = sorted(picks, key=lambda range: range[0])
    return [Unit(dump.file, _bytes(range, dump), Part((range,), tuple(picks[range]))) for range in streams]


def _bytes(range: Range, dump: Dump) -> int:
    start, end = range
    return max(0, (dump.size if end is None else end) - start)


def _is_index(path: Path) -> bool:
    with open_bytes(path) as stream:
        return begins_as_index(stream.peek(HEAD_BYTES))


def _check_kinds(dumps: Sequence[Dump]) -> None:
    for dump in dumps:
        kind = kind_of(dump.path)
        if kind.name != "mediawiki":
            raise not_mediawiki(dump.path.name, kind)


def _check_offsets(dump: Dump, picks: Picks) -> None:
    """Raise BadIndex where no streams begin at the places that it tells."""
    offsets = {place for range in picks for place in range if place is not None}
    if read_head(dump.path) is None or not stream_begins(dump.path, sorted(offsets)):
        raise BadIndex(f"{dump.index.name if dump.index else ''} is not the index of {dump.path.name}")
