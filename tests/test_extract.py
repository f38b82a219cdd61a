from __future__ import annotations

import bz2
import gzip
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from corpuskit.formats.document import MARKED
from corpuskit.options import build
from corpuskit.stage import OneFile
from corpuskit.stages.extract import STAGE, Options, read
from tests.data import shared


def extract(path: Path, options: Options | None = None, **about: str) -> pa.Table:
    return pa.Table.from_batches(list(read(OneFile(path, about), options or Options())))


def made(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_an_empty_file_gives_no_rows_but_the_columns(tmp_path: Path) -> None:
    table = extract(made(tmp_path / "empty.jsonl", b""))
    assert (table.num_rows, table.schema) == (0, MARKED)


FILES = {
    "wiki.xml": b"<mediawiki><page><title>a</title><id>1</id><revision><text>x</text></revision></page></mediawiki>",
    "a.warc": b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n",
    "a.jsonl": b'{"text": "x", "more": 1}\n',
    "a.html": b"<html><p>x",
    "a.txt": b"x",
    "a.png": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("other", [False, True])
def test_every_kind_gives_the_same_columns_whatever_its_name(tmp_path: Path, name: str, other: bool) -> None:
    table = extract(made(tmp_path / ("data.bin" if other else name), bz2.compress(FILES[name])))
    assert (table.num_rows, table.schema) == (1, MARKED)


def test_no_row_holds_a_path(tmp_path: Path) -> None:
    for name, data in FILES.items():
        rows = extract(made(tmp_path / name, data)).to_pylist()
        assert str(tmp_path) not in str(rows)
        assert "/" not in rows[0]["id"]


def test_a_file_of_an_unknown_kind_is_one_error(tmp_path: Path) -> None:
    (row,) = extract(made(tmp_path / "a.txt", FILES["a.png"])).to_pylist()
    assert (row["id"], row["error"], row["extra"]) == ("a.txt", "unsupported_kind", '{"detail":"a binary file"}')


def test_a_file_damaged_from_its_beginning_is_an_error(tmp_path: Path) -> None:
    (row,) = extract(made(tmp_path / "a.gz", b"\x1f\x8b\x08\x00" + b"\xff" * 50)).to_pylist()
    assert row["error"] == "corrupt"


@pytest.mark.parametrize(
    ("options", "about", "source", "license"),
    [
        (Options(), {}, "news", None),
        (Options(), {"source": "ccnews", "license": "CC0-1.0"}, "ccnews", "CC0-1.0"),
        (Options(source="mine", license="MIT"), {"source": "ccnews", "license": "CC0-1.0"}, "mine", "MIT"),
    ],
)
def test_source_and_license_are_the_users_or_the_downloads(
    tmp_path: Path, options: Options, about: dict[str, str], source: str, license: str | None
) -> None:
    table = extract(made(tmp_path / "news.2024.txt", b"x"), options, **about)
    assert (table["source"][0].as_py(), table["license"][0].as_py()) == (source, license)


def test_batches_are_small(tmp_path: Path) -> None:
    path = made(tmp_path / "a.jsonl.gz", gzip.compress(b'{"text":"a"}\n' * 2_500))
    assert [batch.num_rows for batch in read(OneFile(path, {}), Options())] == [1_000, 1_000, 500]
    path = made(tmp_path / "b.jsonl.gz", gzip.compress(b'{"text":"%s"}\n' % (b"a" * 6_000_000) * 5))
    assert [batch.num_rows for batch in read(OneFile(path, {}), Options())] == [3, 2]


def test_every_reason_is_declared() -> None:
    used: Counter[str] = Counter()
    for folder in ("warc", "warc/warcio"):
        for path in sorted(shared(folder).iterdir()):
            if path.is_file():
                table = extract(path)
                used.update(reason for name in ("drop", "error") for reason in table[name].to_pylist() if reason)
    assert set(used) <= set(STAGE.reasons)
    assert used["unsupported_kind"] == 0
    assert used["bad_record"] >= 3  # bad.arc


@pytest.mark.parametrize("size", [1_000, 1 << 31])
def test_the_cap_has_bounds(size: int) -> None:
    with pytest.raises(Exception, match="max_record_bytes"):
        build(Options, {"max_record_bytes": size}, "extract")


@pytest.mark.parametrize(
    ("name", "kept", "dropped"),
    [
        ("ltgwiki-pages-articles.xml.bz2", 903, 1_101),
        ("enwiki-pages-articles1-p10p30302-shortened.xml.bz2", 106, 100),
        ("enwiki-table-markup.xml.bz2", 5, 0),
        ("bgwiki-pages-articles-shortened.utf16.xml.bz2", 1, 2),
    ],
)
def test_real_dumps_give_their_articles(name: str, kept: int, dropped: int) -> None:
    table = extract(shared(f"wikipedia/{name}"))
    assert table["drop"].null_count == kept
    assert table.num_rows - table["drop"].null_count == dropped
    assert table["error"].null_count == table.num_rows
