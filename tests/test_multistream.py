"""Multistream dumps: reading in parts is reading the whole, and single pages come out without the rest."""

from __future__ import annotations

import bz2
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import BadData, NoInput, UsageError
from corpuskit.formats.document import Origin, Reading
from corpuskit.formats.multistream import Part, cut
from corpuskit.formats.multistream_index import index_names
from corpuskit.formats.reading import read_rows
from corpuskit.formats.sniff import sniff
from corpuskit.options import build
from corpuskit.stage import OneFile
from corpuskit.stages import extract
from corpuskit.stages.extract import Options
from tests.build import hashes, load
from tests.data import shared

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Test</sitename>
    <dbname>testwiki</dbname>
    <base>https://test.example/wiki/Main_Page</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Talk</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
"""
NAME = "testwiki-20261001-pages-articles-multistream.xml.bz2"
INDEX = "testwiki-20261001-pages-articles-multistream-index.txt.bz2"
Row = dict[str, Any]


def page(id: int, text: str = "", title: str = "") -> str:
    title = title or f"Page {id}"
    space = 1 if title.startswith("Talk:") else 0
    redirect = '    <redirect title="Page 1" />\n' if text.startswith("#REDIRECT") else ""
    return (
        f"  <page>\n    <title>{title}</title>\n    <ns>{space}</ns>\n    <id>{id}</id>\n{redirect}    <revision>\n"
        f"      <id>9{id}</id>\n      <timestamp>2026-01-01T00:00:00Z</timestamp>\n      <model>wikitext</model>\n"
        f'      <text bytes="1" xml:space="preserve">{text or words(id)}</text>\n    </revision>\n  </page>\n'
    )


def words(seed: int, count: int = 60) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghij", k=6)) for _ in range(count))


def write_dump(
    folder: Path, pages: Sequence[str], *, per_stream: int = 3, name: str = NAME, index: bool = True, head: str = HEAD
) -> Path:
    """Write a multistream dump and its index as Wikimedia's own tools do."""
    path = folder / name
    lines = []
    with path.open("wb") as out:
        out.write(bz2.compress(head.encode()))
        for start in range(0, len(pages), per_stream):
            offset = out.tell()
            for each in pages[start : start + per_stream]:
                id, title = re.findall(r"<id>(\d+)</id>", each)[0], re.findall(r"<title>(.*)</title>", each)[0]
                lines.append(f"{offset}:{id}:{title}\n")
            out.write(bz2.compress("".join(pages[start : start + per_stream]).encode()))
        out.write(bz2.compress(b"</mediawiki>\n"))
    if index:
        (folder / index_names(name)[0]).write_bytes(bz2.compress("".join(lines).encode()))
    return path


WHOLE = Part()


def rows(path: Path, part: Part = WHOLE) -> list[Row]:
    return list(read_rows(path, Origin(path.name, {}), Reading(), part=part.encode()))


def in_parts(path: Path, every: int) -> list[Row]:
    return [row for range in cut(path, every) for row in rows(path, Part((range,)))]


def picked(inputs: Sequence[Path], **options: Any) -> list[Row]:
    """Give the rows that the stage makes of these files, task by task."""
    given = build(Options, options, "extract")
    files = [OneFile(path) for path in inputs]
    tasks = extract.cut(files, given)
    return [row for task in tasks for file in task for batch in extract.read(file, given) for row in batch.to_pylist()]


def ids(rows: Sequence[Row]) -> list[str]:
    return [row["id"].partition(":")[2] if not row.get("error") else f"{row['error']} {row['id']}" for row in rows]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_dump(tmp_path, [page(id) for id in range(1, 31)])


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_dump_is_cut_where_streams_of_pages_begin(dump: Path) -> None:
    ranges = cut(dump, 1_500)
    assert len(ranges) == 5
    assert [start for start, _ in ranges[1:]] == [end for _, end in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (0, None)
    data = dump.read_bytes()
    for start, _ in ranges[1:]:
        assert bz2.decompress(data[start:]).startswith(b"  <page>")
    assert all(1_500 <= end - start < 2_500 for start, end in ranges[:-1] if end)


def test_parts_give_the_rows_of_the_whole(dump: Path) -> None:
    assert len(cut(dump, 1)) == 10
    assert in_parts(dump, 1) == in_parts(dump, 3_000) == rows(dump)
    assert len(rows(dump)) == 30


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Draw what can happen to a file: nothing, bytes changed, lost or put in between, the end cut off or added to."""
    kind = draw(st.sampled_from(["none", "flip", "flip", "lose", "insert", "cut", "append", "zeros"]))
    share, size = draw(st.floats(0, 1)), draw(st.integers(1, 400))
    junk = draw(st.binary(min_size=1, max_size=40))

    def do(data: bytes) -> bytes:
        if not data:
            return data
        at = int(share * (len(data) - 1))
        return {
            "none": data,
            "flip": data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :],
            "lose": data[:at] + data[at + size :],
            "insert": data[:at] + junk + data[at:],
            "cut": data[:at],
            "append": data + junk,
            "zeros": data + bytes(size),
        }[kind]

    return do


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=25),
    per_stream=st.integers(1, 5),
    every=st.integers(1, 5_000),
    some=st.lists(damages(), max_size=3),
)
def test_parts_give_the_rows_of_the_whole_whatever_happened_to_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    per_stream: int,
    every: int,
    some: list[Callable[[bytes], bytes]],
) -> None:
    pages = [page(id, words(id, size) or "#REDIRECT [[x]]") for id, size in enumerate(sizes, start=1)]
    path = write_dump(tmp_path_factory.mktemp("dump"), pages, per_stream=per_stream, index=False)
    for damage in some:
        path.write_bytes(damage(path.read_bytes()))
    if path.stat().st_size:
        assert in_parts(path, every) == rows(path)


@settings(max_examples=60, deadline=None)
@given(
    torn=st.lists(
        st.sampled_from(["<page>", "</page>", "<page><title>x", "</mediawiki>", "a & b", "<page><id>5</id><x", "]]>"]),
        max_size=3,
    ),
    places=st.lists(st.integers(0, 9), min_size=3, max_size=3),
    every=st.integers(1, 3_000),
)
def test_parts_give_the_rows_of_the_whole_where_its_xml_is_broken(
    tmp_path_factory: pytest.TempPathFactory, torn: list[str], places: list[int], every: int
) -> None:
    pages = [page(id) for id in range(1, 11)]
    for place, junk in zip(places, torn, strict=False):
        pages[place] += junk
    path = write_dump(tmp_path_factory.mktemp("dump"), pages, per_stream=1, index=False)
    whole = rows(path)
    if "</mediawiki>" not in torn:
        assert in_parts(path, every) == whole
        assert sum(not row.get("error") for row in whole) >= 10


def test_a_damaged_stream_costs_its_own_pages_and_the_row_says_where_it_is(dump: Path) -> None:
    start, end = cut(dump, 1)[4]
    assert end is not None
    data = bytearray(dump.read_bytes())
    data[start + 60] ^= 0xFF
    dump.write_bytes(data)
    found = rows(dump)
    assert ids(found) == [*map(str, range(1, 13)), f"corrupt {NAME}", *map(str, range(16, 31))]
    assert f"bytes {start:,} to {end:,} of the file" in found[12]["extra"]
    assert in_parts(dump, 1) == in_parts(dump, 2_000) == found


def test_a_dump_cut_between_two_streams_is_truncated_in_its_last_part_alone(dump: Path) -> None:
    start, _ = cut(dump, 1)[7]
    dump.write_bytes(dump.read_bytes()[:start])
    assert ids(rows(dump)) == [*map(str, range(1, 22)), f"truncated {NAME}"]
    assert in_parts(dump, 1) == rows(dump)


def single_stream(folder: Path) -> Path:
    path = folder / NAME
    path.write_bytes(bz2.compress((HEAD + "".join(page(id) for id in range(1, 31)) + "</mediawiki>").encode()))
    return path


def even_blocks(folder: Path) -> Path:
    """Write what parallel compressors write: streams of so many bytes."""
    text = (HEAD + "".join(page(id) for id in range(1, 31)) + "</mediawiki>").encode()
    path = folder / NAME
    path.write_bytes(b"".join(bz2.compress(text[at : at + 1_000]) for at in range(0, len(text), 1_000)))
    return path


def head_with_pages(folder: Path) -> Path:
    return write_dump(folder, [page(id) for id in range(2, 31)], head=HEAD + page(1), index=False)


def torn_pages(folder: Path) -> Path:
    """Write a dump whose streams begin in the middle of pages, but for the first."""
    text = "".join(page(id) for id in range(1, 31)).encode()
    path = folder / NAME
    pieces = [HEAD.encode(), *(text[at : at + 777] for at in range(0, len(text), 777)), b"</mediawiki>"]
    path.write_bytes(b"".join(bz2.compress(piece) for piece in pieces))
    return path


@pytest.mark.parametrize("write", [single_stream, even_blocks, head_with_pages, torn_pages])
def test_a_dump_whose_streams_do_not_begin_at_pages_stays_whole(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    assert cut(path, 1_000) == [(0, None)]
    assert ids(rows(path)) == [*map(str, range(1, 31))]


def test_other_files_stay_whole(tmp_path: Path) -> None:
    for name, data in {"a.txt": b"x" * 9_000, "a.txt.bz2": bz2.compress(random.Random(1).randbytes(9_000))}.items():
        (tmp_path / name).write_bytes(data)
        assert cut(tmp_path / name, 1_000) == [(0, None)]


def test_real_pages_give_the_same_rows_in_parts(tmp_path: Path) -> None:
    path = real(tmp_path)
    whole = rows(path)
    assert len(cut(path, 40_000)) > 10
    assert in_parts(path, 40_000) == whole
    assert (len(whole), sum(not row.get("drop") for row in whole)) == (2_004, 903)


def real(folder: Path) -> Path:
    text = bz2.decompress(shared("wikipedia/ltgwiki-pages-articles.xml.bz2").read_bytes()).decode()
    head, *pages = re.split(r"(?=^  <page>\n)", text, flags=re.M)
    pages[-1] = pages[-1].removesuffix("\n").removesuffix("</mediawiki>")
    return write_dump(
        folder, pages, per_stream=100, name="ltgwiki-20240101-pages-articles-multistream.xml.bz2", head=head
    )


# Indexes


@pytest.mark.parametrize(
    ("dump", "index"),
    [
        (NAME, INDEX),
        (
            "enwiki-20261001-pages-articles-multistream1.xml-p1p41242.bz2",
            "enwiki-20261001-pages-articles-multistream-index1.txt-p1p41242.bz2",
        ),
    ],
)
def test_a_dump_names_its_index(dump: str, index: str) -> None:
    assert index_names(dump) == [index, index.replace("index.txt.bz2", "index.txt").removesuffix(".bz2")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"597:10:AccessibleComputing\n597:12:Anarchism\n661164:39:Talk:A: b\n", "multistream_index"),
        (b"597:10:AccessibleComputing", "multistream_index"),
        (b"".join(b"%d:%d:Title %d\n" % (500 + at // 100 * 9_000, at, at) for at in range(9_000)), "multistream_index"),
        (b"597:10:a\n597:10:b\n", "text"),
        (b"597:10:a\n596:11:b\n", "text"),
        (b"597:10:a\nand so on\n", "text"),
        (b"12:30:the kettle is on\n12:31:it boils\n", "text"),
        (b"1:1:In the beginning\n", "text"),
    ],
)
def test_an_index_is_told_from_its_lines(text: bytes, kind: str) -> None:
    assert sniff(text[:65_536]).name == kind


def test_an_index_beside_its_dump_gives_no_row_and_alone_an_error(dump: Path) -> None:
    index = dump.parent / INDEX
    for inputs in ([index, dump], [dump, index]):
        assert ids(picked(inputs)) == [*map(str, range(1, 31))]
    (row,) = picked([index])
    assert (row["error"], row["id"]) == ("unsupported_kind", INDEX)
    assert "together with its dump" in row["extra"]


def test_a_file_that_has_the_name_of_an_index_alone_is_read(dump: Path) -> None:
    (dump.parent / INDEX).write_bytes(b"Some notes.")
    assert picked([dump, dump.parent / INDEX])[-1]["text"] == "Some notes."


# --pages


def damage_all_streams_but(path: Path, keep: Sequence[int]) -> None:
    """Damage every stream of pages but those of these places."""
    data = bytearray(path.read_bytes())
    for at, (start, end) in enumerate(all_streams(path)):
        if at not in keep:
            data[start + 20 : end - 5] = bytes(end - 5 - start - 20)
    path.write_bytes(data)


def all_streams(path: Path) -> Iterator[tuple[int, int]]:
    starts = [found.start() for found in re.finditer(rb"BZh91AY&SY", path.read_bytes())]
    return itertools.pairwise(starts[1:])


def test_with_the_index_only_the_streams_of_the_pages_are_read(dump: Path) -> None:
    damage_all_streams_but(dump, [0, 4, 9])
    inputs = [dump, dump.parent / INDEX]
    assert ids(picked(inputs, pages=["13", "Page 15", "1", "30", "Page_2"])) == ["1", "2", "13", "15", "30"]
    assert ids(picked(inputs, pages=["13", "4"])) == [f"corrupt {NAME}", "13", f"page_not_found {NAME}:4"]


def test_without_the_index_the_pages_are_the_same(dump: Path, warnings: Callable[[], list[str]]) -> None:
    asked = ["13", "Page 15", "1", "30", "400"]
    *with_index, missing = picked([dump, dump.parent / INDEX], pages=asked)
    assert warnings() == []
    assert picked([dump], pages=asked) == with_index
    assert (missing["error"], missing["id"]) == ("page_not_found", "400")
    assert "read whole" in warnings()[0]


def test_a_remote_dump_is_read_whole_for_its_pages(dump: Path) -> None:
    """The runner does not call `cut` for remote files: the step gets them without a part."""
    options = Options(pages=("3",))
    assert [batch["id"].to_pylist() for batch in extract.read(OneFile(dump), options)] == [["testwiki:3"]]
    with pytest.raises(UsageError, match="local"):
        list(extract.read(OneFile(dump), Options(sample=3)))


def test_a_number_is_an_id_and_with_a_colon_a_title(tmp_path: Path) -> None:
    pages = [page(1, title="1984"), page(1984), page(3, title="@home"), page(4, title="Tom &amp; Jerry: 2")]
    inputs = [write_dump(tmp_path, pages, per_stream=1), tmp_path / INDEX]
    assert ids(picked(inputs, pages=["1984"])) == ["1984"]
    assert ids(picked(inputs, pages=[":1984", ":@home", "Tom & Jerry: 2"])) == ["1", "3", "4"]
    assert ids(picked(inputs[:1], pages=[":1984", ":@home", "Tom & Jerry: 2"])) == ["1", "3", "4"]


def test_pages_come_from_a_file_and_are_the_option(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("12\n\n Alan Turing \n@home\n12\n", encoding="utf-8")
    options = build(Options, {"pages": [f"@{tmp_path}/list.txt", "7"]}, "extract")
    assert options.pages == ("12", "Alan Turing", ":@home", "7")
    assert build(Options, {"pages": list(options.pages)}, "extract") == options
    (tmp_path / "list.txt").write_text("\n \n")
    with pytest.raises(UsageError, match="found none"):
        build(Options, {"pages": [f"@{tmp_path}/list.txt"]}, "extract")
    with pytest.raises(NoInput, match=r"none\.txt"):
        build(Options, {"pages": ["@none.txt"]}, "extract")


def test_a_page_that_one_of_several_dumps_holds_is_found(tmp_path: Path) -> None:
    names = ["a-multistream1.xml-p1p3.bz2", "a-multistream2.xml-p4p6.bz2"]
    one = write_dump(tmp_path, [page(id) for id in (1, 2, 3)], name=names[0])
    two = write_dump(tmp_path, [page(id) for id in (4, 5, 6)], name=names[1])
    inputs = [one, two, *(tmp_path / index_names(name)[0] for name in names)]
    assert ids(picked(inputs, pages=["2", "Page 6", "No such"])) == ["2", "6", "page_not_found No such"]


def test_an_index_of_another_dump_is_not_believed(dump: Path, warnings: Callable[[], list[str]]) -> None:
    index = dump.parent / INDEX
    text = bz2.decompress(index.read_bytes())
    index.write_bytes(bz2.compress(re.sub(rb"(?m)^(\d+)", lambda found: b"%d" % (int(found[0]) + 1), text)))
    assert ids(picked([dump, index], pages=["13"])) == ["13"]
    assert "is not the index" in warnings()[0]
    with pytest.raises(BadData, match="is not the index"):
        picked([dump, index], sample=2)


def test_an_index_that_is_wrong_about_a_page_is_told(dump: Path) -> None:
    index = dump.parent / INDEX
    index.write_bytes(bz2.compress(bz2.decompress(index.read_bytes()).replace(b":13:", b":113:")))
    assert ids(picked([dump, index], pages=["113"])) == [f"page_not_found {NAME}:113"]


@pytest.mark.parametrize("damage", ["cut", "words"])
def test_a_damaged_index_is_told(dump: Path, warnings: Callable[[], list[str]], damage: str) -> None:
    index = dump.parent / INDEX
    data = index.read_bytes()
    index.write_bytes(data[:-9] if damage == "cut" else data + bz2.compress(b"99999:x\n"))
    assert ids(picked([dump, index], pages=["13"])) == ["13"]
    assert "read whole" in warnings()[0]
    with pytest.raises(BadData, match="download it again"):
        picked([dump, index], sample=2)


@pytest.mark.parametrize("options", [{"pages": ["1"]}, {"sample": 1}])
def test_pages_of_other_files_are_a_usage_error(dump: Path, options: dict[str, Any]) -> None:
    (dump.parent / "a.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(UsageError, match=r"a\.jsonl: expected a MediaWiki export"):
        picked([dump, dump.parent / INDEX, dump.parent / "a.jsonl"], **options)
    with pytest.raises(UsageError, match=r"a\.jsonl: expected a MediaWiki export"):
        list(extract.read(OneFile(dump.parent / "a.jsonl"), Options(pages=("1",))))


# --sample


def test_a_sample_is_of_the_main_namespace_and_a_larger_one_holds_it(tmp_path: Path) -> None:
    titles = ["Talk:X", "Category:Y", "Help: me", "Talk of it"]
    pages = [page(id, title=f"{titles[id % 4]} {id}") for id in range(1, 201)]
    inputs = [write_dump(tmp_path, pages, per_stream=10), tmp_path / INDEX]
    some = {count: ids(picked(inputs, sample=count, seed=5)) for count in (1, 20, 90)}
    assert {count: len(each) for count, each in some.items()} == {1: 1, 20: 20, 90: 90}
    assert set(some[1]) < set(some[20]) < set(some[90])
    assert {int(id) % 4 for id in some[90]} == {2, 3}
    assert set(ids(picked(inputs, sample=20, seed=6))) != set(some[20])


def test_a_sample_of_several_dumps_is_that_of_all_their_pages(tmp_path: Path) -> None:
    whole = [page(id) for id in range(1, 101)]
    inputs = [write_dump(tmp_path, whole, per_stream=10), tmp_path / INDEX]
    names = ["a-multistream1.xml-p1.bz2", "a-multistream2.xml-p2.bz2"]
    parts = [write_dump(tmp_path, whole[at * 50 : at * 50 + 50], name=names[at]) for at in (0, 1)]
    parts += [tmp_path / index_names(name)[0] for name in names]
    assert ids(picked(inputs, sample=30)) == ids(picked(parts, sample=30))


def test_a_sample_larger_than_the_dump_is_all_of_it(dump: Path, warnings: Callable[[], list[str]]) -> None:
    assert ids(picked([dump, dump.parent / INDEX], sample=99)) == [*map(str, range(1, 31))]
    assert "30 pages" in warnings()[0]


def test_redirects_of_a_sample_are_dropped_with_their_reason(tmp_path: Path) -> None:
    write_dump(tmp_path, [page(1), page(2, "#REDIRECT [[Page 1]]")])
    assert [row["drop"] for row in picked([tmp_path / NAME, tmp_path / INDEX], sample=2)] == [None, "redirect"]


def test_a_sample_without_the_index_names_what_is_missing(dump: Path) -> None:
    with pytest.raises(UsageError, match=rf"{NAME}: .*{INDEX}.*download wikipedia --format dump"):
        picked([dump], sample=3)
    with pytest.raises(UsageError, match="got both"):
        build(Options, {"pages": ["1"], "sample": 3}, "extract")


# The whole command


def test_the_dataset_is_the_same_for_any_number_of_workers(tmp_path: Path, corpuskit: Any) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pages = [page(id, words(id, 4_000)) for id in range(1, 200)]
    write_dump(folder, pages, per_stream=10)
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        assert corpuskit("extract", folder, out, "--workers", workers).code == 0
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2")
    manifest = json.loads((tmp_path / "out1" / "manifest.json").read_text())
    assert len(manifest["artifacts"]["docs"]["shards"]) > 1
    assert load(tmp_path / "out1")["id"].to_pylist() == [f"testwiki:{id}" for id in range(1, 200)]


def test_pages_of_a_folder_come_out_of_the_command(dump: Path, tmp_path: Path, corpuskit: Any) -> None:
    result = corpuskit("extract", dump.parent, tmp_path / "out", "--pages", "7", "--pages", "Page 9", "--pages", "x")
    assert result.code == 0
    assert load(tmp_path / "out")["title"].to_pylist() == ["Page 7", "Page 9"]
    assert load(tmp_path / "out", "errors")["error"].to_pylist() == ["page_not_found"]
    assert result.err == ""


def test_a_dump_that_is_read_whole_for_its_pages_is_told_to_the_user(
    dump: Path, tmp_path: Path, corpuskit: Any
) -> None:
    result = corpuskit("extract", dump, tmp_path / "out", "--pages", "7")
    assert (result.code, load(tmp_path / "out")["title"].to_pylist()) == (0, ["Page 7"])
    assert f"{NAME}: its index is not among the inputs; it is read whole" in result.err
