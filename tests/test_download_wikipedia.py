"""`download wikipedia`: exports found, fetched and read, from a real server with the site's own layout."""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit import dataset
from corpuskit.errors import BadData, UsageError
from corpuskit.sources import wikimedia
from tests.build import load
from tests.conftest import Result
from tests.data import shared
from tests.servers import Server

Run = Callable[..., Result]
Serve = Callable[..., Server]

_HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>{wiki}</dbname>
    <base>https://simple.wikipedia.org/wiki/Main_Page</base>
    <generator>MediaWiki 1.45.0-wmf.20</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Talk</namespace>
    </namespaces>
  </siteinfo>
"""
_PAGE = """  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>{id}</id>
    <revision>
      <id>{revision}</id>
      <timestamp>2026-08-30T10:00:00Z</timestamp>
      <contributor><username>Somebody</username><id>7</id></contributor>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text xml:space="preserve">'''{title}''' is a page with the number {id}, and a [[link]].</text>
    </revision>
  </page>
"""


def pages(*ids: int) -> list[str]:
    """Write pages, each with its talk page behind it."""
    return [
        _PAGE.format(title=f"{talk}Page {id}", ns=ns, id=id + 100_000 * ns, revision=id * 10 + ns)
        for id in ids
        for ns, talk in ((0, ""), (1, "Talk:"))
    ]


def export(*ids: int, wiki: str = "simplewiki") -> bytes:
    """Write a content file export: a whole document."""
    return bz2.compress((_HEAD.format(wiki=wiki) + "".join(pages(*ids)) + "</mediawiki>\n").encode())


def multistream(*ids: int, wiki: str = "simplewiki") -> tuple[bytes, bytes]:
    """Write a multistream file, a page and its talk page in each stream, and its index."""
    streams = [bz2.compress(_HEAD.format(wiki=wiki).encode())]
    lines = []
    for id in ids:
        at = sum(map(len, streams))
        lines += [f"{at}:{id}:Page {id}\n", f"{at}:{id + 100_000}:Talk:Page {id}\n"]
        streams.append(bz2.compress("".join(pages(id)).encode()))
    return b"".join([*streams, bz2.compress(b"</mediawiki>\n")]), bz2.compress("".join(lines).encode())


def put_content(
    root: Path, date: str, files: dict[str, bytes], *, wiki: str = "simplewiki", complete: bool = True
) -> Path:
    """Lay out a content file export as dumps.wikimedia.org does."""
    leaf = root / "other" / "mediawiki_content_current" / wiki / date / "xml" / "bzip2"
    leaf.mkdir(parents=True)
    for name, data in files.items():
        (leaf / name).write_bytes(data)
    if complete:
        sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
        (leaf / "SHA256SUMS").write_text("".join(sums))
        (leaf / "_SUCCESS").write_bytes(b"")
    return leaf


def put_dump(root: Path, date: str, jobs: dict[str, tuple[str, dict[str, bytes]]], *, wiki: str = "simplewiki") -> Path:
    """Lay out an XML dump as dumps.wikimedia.org does: jobs are (status, files)."""
    leaf = root / wiki / date
    leaf.mkdir(parents=True)
    told: dict[str, Any] = {}
    for job, (state, files) in jobs.items():
        told[job] = {"status": state, "updated": "2026-09-03 10:00:00", "files": {}}
        for name, data in files.items():
            (leaf / name).write_bytes(data)
            told[job]["files"][name] = {
                "size": len(data),
                "url": f"/{wiki}/{date}/{name}",
                "md5": hashlib.md5(data).hexdigest(),
                "sha1": hashlib.sha1(data).hexdigest(),
            }
    (leaf / "dumpstatus.json").write_text(json.dumps({"version": "0.8", "jobs": told}))
    return leaf


def two_files(date: str) -> dict[str, bytes]:
    return {f"simplewiki-{date}-p1p9.xml.bz2": export(1, 2, 3), f"simplewiki-{date}-p10p30.xml.bz2": export(10, 20)}


def two_parts(date: str) -> dict[str, bytes]:
    files = {}
    for part, (first, last) in enumerate(((1, 9), (10, 30)), 1):
        data, index = multistream(first, last)
        files[f"simplewiki-{date}-pages-articles-multistream{part}.xml-p{first}p{last}.bz2"] = data
        files[f"simplewiki-{date}-pages-articles-multistream-index{part}.txt-p{first}p{last}.bz2"] = index
    return files


def shards(out: Path) -> list[dataset.Shard]:
    return list(dataset.read_manifest(str(out)).artifacts["dump"].shards)


def titles(docs: Path) -> list[str]:
    return sorted(load(docs).column("title").to_pylist())


def refusal(result: Result) -> str:
    """Give the one line that says why a command failed."""
    assert result.code != 0
    assert "Traceback" not in result.err
    return result.err


def fetch(corpuskit: Run, server: Server, out: Path, *words: object, wiki: str = "simplewiki") -> Result:
    return corpuskit(
        *("download", "wikipedia", out, "--wiki", wiki, "--base-url", server.url),
        *("--tries", 2, "--executor", "serial", *words),
    )


def test_content_exports_are_fetched_and_read_with_one_command_each(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    server = nginx(tmp_path / "site")
    assert fetch(corpuskit, server, tmp_path / "dump").code == 0
    assert corpuskit("extract", tmp_path / "dump", tmp_path / "docs", "--executor", "serial").code == 0
    docs = load(tmp_path / "docs").sort_by("title").to_pylist()
    assert [doc["title"] for doc in docs] == ["Page 1", "Page 10", "Page 2", "Page 20", "Page 3"]
    assert {(doc["license"], doc["source"]) for doc in docs} == {("CC-BY-SA-4.0", "simplewiki")}
    assert all(doc["date"] for doc in docs)
    assert docs[0]["url"] == "https://simple.wikipedia.org/wiki/Page_1"


def test_multistream_dumps_are_fetched_with_their_indexes_and_read(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    put_dump(tmp_path / "site", "20260901", {"articlesmultistreamdump": ("done", two_parts("20260901"))})
    server = nginx(tmp_path / "site")
    assert fetch(corpuskit, server, tmp_path / "dump").code == 0
    assert sorted(shard.file for shard in shards(tmp_path / "dump")) == sorted(two_parts("20260901"))
    assert corpuskit("extract", tmp_path / "dump", tmp_path / "docs", "--executor", "serial").code == 0
    assert titles(tmp_path / "docs") == ["Page 1", "Page 10", "Page 30", "Page 9"]
    assert set(load(tmp_path / "docs").column("license").to_pylist()) == {"CC-BY-SA-4.0"}


def test_the_manifest_records_address_bytes_checksum_license_and_date_of_every_file(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    files = two_files("2026-09-01")
    put_content(tmp_path / "site", "2026-09-01", files)
    server = nginx(tmp_path / "site")
    assert fetch(corpuskit, server, tmp_path / "dump").code == 0
    leaf = f"{server.url}/other/mediawiki_content_current/simplewiki/2026-09-01/xml/bzip2/"
    for shard in shards(tmp_path / "dump"):
        assert (shard.bytes, shard.sha256) == (len(files[shard.file]), hashlib.sha256(files[shard.file]).hexdigest())
        about = {"source": "simplewiki", "license": "CC-BY-SA-4.0", "date": "2026-09-01", "url": leaf + shard.file}
        assert shard.about == {**about, "checksum": f"sha256:{shard.sha256}"}


def test_a_finished_download_asks_for_nothing(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    server = nginx(tmp_path / "site")
    assert fetch(corpuskit, server, tmp_path / "dump").code == 0
    server.forget()
    assert fetch(corpuskit, server, tmp_path / "dump", "--connections", 1).code == 0
    assert server.paths() == []


def test_what_was_verified_is_not_fetched_again_when_another_file_failed(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    leaf = put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    (leaf / "simplewiki-2026-09-01-p10p30.xml.bz2").rename(leaf / "away")
    server = nginx(tmp_path / "site")
    assert f"{server.url}/other/" in refusal(fetch(corpuskit, server, tmp_path / "dump"))
    (leaf / "away").rename(leaf / "simplewiki-2026-09-01-p10p30.xml.bz2")
    server.forget()
    assert fetch(corpuskit, server, tmp_path / "dump").code == 0
    assert [path.rpartition("/")[2] for path in server.paths()] == ["simplewiki-2026-09-01-p10p30.xml.bz2"]


def test_latest_is_the_newest_content_export_that_is_complete(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    for date, complete in (("2026-07-01", True), ("2026-08-01", True), ("2026-09-01", False)):
        put_content(tmp_path / "site", date, two_files(date), complete=complete)
    assert fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump").code == 0
    assert {shard.about["date"] for shard in shards(tmp_path / "dump")} == {"2026-08-01"}


def test_latest_is_the_newest_dump_whose_job_is_done(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    for date, state in (("20260801", "done"), ("20260901", "done"), ("20261001", "in-progress")):
        put_dump(tmp_path / "site", date, {"articlesmultistreamdump": (state, two_parts(date))})
    (tmp_path / "site" / "simplewiki" / "20261020").mkdir()
    (tmp_path / "site" / "simplewiki" / "latest").mkdir()
    assert fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump").code == 0
    assert {shard.about["date"] for shard in shards(tmp_path / "dump")} == {"2026-09-01"}


def test_without_a_complete_export_the_error_tells_which_there_are_and_what_they_lack(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"), complete=False)
    put_dump(tmp_path / "site", "20260901", {"articlesmultistreamdump": ("waiting", {})})
    told = refusal(fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump"))
    assert "2026-09-01/xml/bzip2/_SUCCESS is not there" in told
    assert "articlesmultistreamdump is waiting" in told


@pytest.mark.parametrize("date", ["2026-09-01", "20260901"])
def test_a_date_is_taken_from_the_layout_that_has_it(corpuskit: Run, nginx: Serve, tmp_path: Path, date: str) -> None:
    put_content(tmp_path / "site", "2026-10-01", two_files("2026-10-01"))
    put_dump(tmp_path / "site", "20260901", {"articlesmultistreamdump": ("done", two_parts("20260901"))})
    server = nginx(tmp_path / "site")
    assert fetch(corpuskit, server, tmp_path / "dump", "--date", date).code == 0
    assert sum(path.endswith("/") for path in server.paths()) == 0  # what has the date is not searched for
    assert len(shards(tmp_path / "dump")) == 4
    assert {shard.about["date"] for shard in shards(tmp_path / "dump")} == {"2026-09-01"}


def test_a_date_that_is_not_complete_is_refused_with_its_state_and_the_dates_that_are(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    put_content(tmp_path / "site", "2026-08-01", two_files("2026-08-01"))
    put_dump(tmp_path / "site", "20260901", {"articlesmultistreamdump": ("in-progress", {})})
    put_dump(tmp_path / "site", "20260820", {"articlesmultistreamdump": ("done", two_parts("20260820"))})
    result = fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump", "--date", "2026-09-01")
    told = refusal(result)
    assert result.code == 69
    assert "articlesmultistreamdump is in-progress" in told
    assert "complete are 2026-08-01 (content file exports), 2026-08-20 (XML dumps)" in told


def test_a_format_looks_in_its_layout_only(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    put_dump(tmp_path / "site", "20260801", {"articlesmultistreamdump": ("done", two_parts("20260801"))})
    server = nginx(tmp_path / "site")
    assert fetch(corpuskit, server, tmp_path / "dump", "--format", "dump").code == 0
    assert {shard.about["date"] for shard in shards(tmp_path / "dump")} == {"2026-08-01"}
    assert all(path.startswith("/simplewiki/") for path in server.paths())


def test_a_checksum_that_does_not_hold_fails_and_names_the_address(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    leaf = put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    (leaf / "SHA256SUMS").write_text(f"{'0' * 64}  simplewiki-2026-09-01-p1p9.xml.bz2\n")
    server = nginx(tmp_path / "site")
    result = fetch(corpuskit, server, tmp_path / "dump")
    assert result.code == 65
    assert f"{server.url}/other/mediawiki_content_current/simplewiki/2026-09-01/xml/bzip2/simplewiki" in result.err
    assert not list((tmp_path / "dump").glob("*.bz2"))


def test_a_mirror_gives_the_files_and_the_site_the_checksums(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    files = two_files("2026-09-01")
    for site in ("origin", "mirror"):
        put_content(tmp_path / site / "dumps", "2026-09-01", files)
    origin, mirror = nginx(tmp_path / "origin" / "dumps"), nginx(tmp_path / "mirror")
    result = fetch(corpuskit, origin, tmp_path / "dump", "--mirror", f"{mirror.url}/dumps/")
    assert result.code == 0
    assert not any(path.endswith(".bz2") for path in origin.paths())
    leaf = "/other/mediawiki_content_current/simplewiki/2026-09-01/xml/bzip2/"
    assert sorted(mirror.paths()) == sorted(f"/dumps{leaf}{name}" for name in files)
    assert {shard.about["url"] for shard in shards(tmp_path / "dump")} == {origin.url + leaf + name for name in files}


def test_a_mirror_that_holds_other_bytes_is_found_out(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_dump(tmp_path / "origin", "20260901", {"articlesdump": ("done", {"simplewiki-a.xml.bz2": export(1)})})
    put_dump(tmp_path / "mirror", "20260901", {"articlesdump": ("done", {"simplewiki-a.xml.bz2": export(2)})})
    origin, mirror = nginx(tmp_path / "origin"), nginx(tmp_path / "mirror")
    told = refusal(fetch(corpuskit, origin, tmp_path / "dump", "--mirror", mirror.url))
    assert f"{mirror.url}/simplewiki/20260901/simplewiki-a.xml.bz2" in told


def test_a_mirror_leaves_no_trace(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    origin, mirror = nginx(tmp_path / "site"), nginx(tmp_path / "site")
    assert fetch(corpuskit, origin, tmp_path / "straight").code == 0
    assert fetch(corpuskit, origin, tmp_path / "mirrored", "--mirror", mirror.url).code == 0
    assert (tmp_path / "straight" / "manifest.json").read_bytes() == (
        tmp_path / "mirrored" / "manifest.json"
    ).read_bytes()


def test_the_first_files_are_those_with_the_lowest_page_numbers(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    ranges = ["p1000p2000", "p100p999", "p20p99", "p3p19"]
    put_content(
        tmp_path / "site", "2026-09-01", {f"simplewiki-2026-09-01-{each}.xml.bz2": export(3) for each in ranges}
    )
    assert fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump", "--limit-files", 2).code == 0
    assert sorted(shard.file for shard in shards(tmp_path / "dump")) == [
        "simplewiki-2026-09-01-p20p99.xml.bz2",
        "simplewiki-2026-09-01-p3p19.xml.bz2",
    ]


def test_an_index_does_not_count_as_a_file(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_dump(tmp_path / "site", "20260901", {"articlesmultistreamdump": ("done", two_parts("20260901"))})
    assert fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump", "--limit-files", 1).code == 0
    assert sorted(shard.file for shard in shards(tmp_path / "dump")) == [
        "simplewiki-20260901-pages-articles-multistream-index1.txt-p1p9.bz2",
        "simplewiki-20260901-pages-articles-multistream1.xml-p1p9.bz2",
    ]


def test_a_wiki_that_the_site_does_not_have_is_a_wrong_word(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    server = nginx(tmp_path / "site")
    result = fetch(corpuskit, server, tmp_path / "dump", wiki="simpelwiki")
    assert result.code == 2
    assert f"there is no wiki simpelwiki at {server.url}/other/mediawiki_content_current/simpelwiki/" in result.err


def test_a_name_that_can_be_no_wiki_is_refused_before_anything_is_asked(
    corpuskit: Run, nginx: Serve, tmp_path: Path
) -> None:
    server = nginx(tmp_path)
    result = fetch(corpuskit, server, tmp_path / "dump", wiki="simple")
    assert result.code == 2
    assert "did you mean simplewiki?" in result.err
    assert server.paths() == []


def test_a_server_that_is_not_there_is_named(corpuskit: Run, tmp_path: Path) -> None:
    result = corpuskit(
        *("download", "wikipedia", tmp_path / "dump", "--wiki", "simplewiki", "--base-url", "http://127.0.0.1:1"),
        *("--tries", 1, "--executor", "serial"),
    )
    assert result.code == 69
    assert "http://127.0.0.1:1/other/mediawiki_content_current/simplewiki/" in result.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--date", "yesterday"], "--date: expected latest"),
        (["--date", "20260231"], "--date: expected latest"),
        (["--mirror", "ftp://example.org/"], "--mirror: expected http"),
    ],
)
def test_a_wrong_word_is_told_with_its_flag(corpuskit: Run, tmp_path: Path, words: Sequence[object], told: str) -> None:
    result = corpuskit("download", "wikipedia", tmp_path / "dump", "--wiki", "simplewiki", *words)
    assert result.code == 2
    assert told in result.err


def test_a_file_without_a_published_checksum_is_read_through(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    leaf = put_dump(tmp_path / "site", "20260901", {"articlesdump": ("done", {"simplewiki-a.xml.bz2": export(1)})})
    told = json.loads((leaf / "dumpstatus.json").read_text())
    told["jobs"]["articlesdump"]["files"]["simplewiki-a.xml.bz2"] = {"url": "/simplewiki/20260901/simplewiki-a.xml.bz2"}
    (leaf / "dumpstatus.json").write_text(json.dumps(told))
    server = nginx(tmp_path / "site")
    whole = (leaf / "simplewiki-a.xml.bz2").read_bytes()
    (leaf / "simplewiki-a.xml.bz2").write_bytes(whole[:-20])
    assert "no published checksum, and is truncated" in refusal(fetch(corpuskit, server, tmp_path / "dump"))
    (leaf / "simplewiki-a.xml.bz2").write_bytes(whole)
    assert fetch(corpuskit, server, tmp_path / "dump").code == 0


def test_a_real_wiki_is_fetched_and_read_whole(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    data = shared("wikipedia/ltgwiki-pages-articles.xml.bz2").read_bytes()
    files = {"ltgwiki-20260901-pages-articles.xml.bz2": data}
    put_dump(tmp_path / "site", "20260901", {"articlesdump": ("done", files)}, wiki="ltgwiki")
    assert fetch(corpuskit, nginx(tmp_path / "site"), tmp_path / "dump", wiki="ltgwiki").code == 0
    assert corpuskit("extract", tmp_path / "dump", tmp_path / "docs", "--executor", "serial").code == 0
    docs = load(tmp_path / "docs")
    assert docs.num_rows > 800
    assert set(docs.column("source").to_pylist()) == {"ltgwiki"}
    for column in ("license", "date", "url", "title"):
        assert docs.column(column).null_count == 0


def test_the_recipe_fetches_and_reads(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    put_content(tmp_path / "site", "2026-09-01", two_files("2026-09-01"))
    recipe, site = Path(__file__).parents[1] / "pipelines" / "wikipedia.toml", nginx(tmp_path / "site")
    setting = f"download-wikipedia.base_url={site.url}"
    words = ("--root", tmp_path / "root", "--set", setting, "--until", "extract", "--executor", "serial")
    assert corpuskit("run", recipe, *words).code == 0
    assert titles(tmp_path / "root" / "extract") == ["Page 1", "Page 10", "Page 2", "Page 20", "Page 3"]


def test_the_recipe_takes_a_file_of_ones_own_in_the_place_of_the_download(corpuskit: Run, tmp_path: Path) -> None:
    (tmp_path / "dump.xml.bz2").write_bytes(export(1))
    recipe = Path(__file__).parents[1] / "pipelines" / "wikipedia.toml"
    words = ("--root", tmp_path / "root", "--set", f"extract.inputs={tmp_path / 'dump.xml.bz2'}", "--until", "extract")
    assert corpuskit("run", recipe, *words, "--executor", "serial").code == 0
    assert titles(tmp_path / "root" / "extract") == ["Page 1"]
    assert not (tmp_path / "root" / "download-wikipedia").exists()


# What pages and listings say.

_PAGES_OF_DATES = {
    "nginx": '<a href="../">../</a>\n<a href="20260901/">20260901/</a>  01-Sep-2026 10:00  -\n<a href="latest/">l</a>',
    "apache": '<tr><th><a href="?C=N;O=D">Name</a></th></tr><td><a href="/simplewiki/20260901/">20260901/</a></td>',
    "whole addresses": "<A HREF='https://dumps.wikimedia.org/simplewiki/20260901'>x</A>",
    "behind a proxy": '<a href="/simplewiki/20260901/">x</a><a href="/">up</a><a href="http://[">?</a>',
}


@pytest.mark.parametrize("page", _PAGES_OF_DATES.values(), ids=list(_PAGES_OF_DATES))
def test_dates_are_read_off_directory_pages_however_a_server_writes_them(page: str) -> None:
    base = "http://proxy.example/wikimedia" if page.endswith('"http://[">?</a>') else "https://dumps.wikimedia.org"
    assert wikimedia.Dumps(base, "simplewiki").dates(page.encode()) == ["2026-09-01"]


def test_dates_of_other_folders_and_days_that_are_none_are_not_taken() -> None:
    page = b'<a href="/enwiki/20260901/">x</a> <a href="20260931/">x</a> <a href="a/20260901/">x</a>'
    assert wikimedia.Dumps("https://dumps.wikimedia.org", "simplewiki").dates(page) == []


def test_sums_are_read_in_both_ways_that_sha256sum_writes_them() -> None:
    text = f"{'a' * 64}  one.xml.bz2\n{'B' * 64} *./two.xml.bz2\r\n\n"
    assert wikimedia.read_sums(text.encode(), "SUMS") == {"one.xml.bz2": "a" * 64, "two.xml.bz2": "b" * 64}


@pytest.mark.parametrize("name", ["../x.xml.bz2", "a/b.xml.bz2", "a b.xml.bz2", ".hidden", "..", "ä.xml.bz2", ""])
def test_a_name_that_is_no_plain_file_name_is_refused_with_its_line(name: str) -> None:
    text = f"{'a' * 64}  one.xml.bz2\n{'b' * 64}  {name}\n"
    with pytest.raises(BadData, match="SUMS: line 2"):
        wikimedia.read_sums(text.encode(), "SUMS")


@given(st.binary(max_size=200))
def test_any_listing_is_read_or_refused(data: bytes) -> None:
    for read in (wikimedia.read_sums, wikimedia.read_status):
        with contextlib.suppress(BadData):
            read(data, "URL")


@pytest.mark.parametrize(
    "facts",
    [
        {"url": "/simplewiki/20260901/other.xml.bz2"},
        {"sha1": "12"},
        {"size": -1},
        {"size": "12"},
        {"url": 5},
    ],
)
def test_a_dump_status_without_sense_is_refused_with_its_address(facts: dict[str, Any]) -> None:
    status = {"jobs": {"articlesdump": {"status": "done", "files": {"a.xml.bz2": facts}}}}
    with pytest.raises(BadData, match=r"20260901/dumpstatus\.json"):
        wikimedia.Dumps("http://host", "simplewiki").look(lambda url: json.dumps(status).encode(), "2026-09-01")


@pytest.mark.parametrize(
    ("states", "chosen"),
    [
        ({"articlesdump": "done", "articlesmultistreamdump": "done"}, "articlesmultistreamdump"),
        ({"articlesmultistreamdump": "failed", "articlesdump": "done"}, "articlesdump"),
        ({"articlesmultistreamdumprecombine": "done", "articlesdump": "done"}, "articlesmultistreamdumprecombine"),
        ({"articlesdump": "done"}, "articlesdump"),
    ],
)
def test_the_best_job_is_taken_that_the_dump_has(states: dict[str, str], chosen: str) -> None:
    assert wikimedia.best_job({job: {"status": state} for job, state in states.items()}, "URL") == chosen


def test_a_dump_is_not_complete_while_a_better_job_may_still_come() -> None:
    jobs = {"articlesmultistreamdump": {"status": "waiting"}, "articlesdump": {"status": "done"}}
    with pytest.raises(wikimedia.Incomplete, match="articlesmultistreamdump is waiting"):
        wikimedia.best_job(jobs, "URL")


@pytest.mark.parametrize(
    ("wiki", "guess"),
    [
        ("simple", "simplewiki"),
        ("SimpleWiki", "simplewiki"),
        ("zh-min-nan", "zh_min_nanwiki"),
        ("de.wikipedia.org", "dewiki"),
        ("https://en.wiktionary.org/", "enwiktionary"),
    ],
)
def test_a_wrong_name_of_a_wiki_gets_a_guess(wiki: str, guess: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {guess}\\?"):
        wikimedia.check_wiki(wiki)


@pytest.mark.parametrize(
    "wiki", ["enwiki", "zh_min_nanwiki", "be_x_oldwiki", "frwikisource", "wikidatawiki", "tlwiktionary"]
)
def test_names_of_real_wikis_pass(wiki: str) -> None:
    assert wikimedia.check_wiki(wiki) == wiki


def test_addresses_are_carried_over_to_a_mirror() -> None:
    url = "https://dumps.wikimedia.org/enwiki/20261001/a.bz2"
    mirror = "https://mirror.example/pub/wikimedia/"
    assert wikimedia.on_mirror(url, "https://dumps.wikimedia.org/", mirror) == f"{mirror}enwiki/20261001/a.bz2"
