"""`download commoncrawl` against nginx: path lists, index queries, records, and what an interrupted run leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from corpuskit.errors import BadData, UsageError
from corpuskit.formats.archive_check import check_archive
from corpuskit.formats.http import Client, FetchError, Manners
from corpuskit.sources import cc_table, cdx, commoncrawl, records
from corpuskit.sources.cc_query import Capture, Glob, Query, query
from corpuskit.sources.commoncrawl import Site
from corpuskit.sources.record_list import record_listing
from tests.build import load
from tests.commoncrawl_tree import CRAWL, SEGMENT, Row, Tree, key_of, page
from tests.conftest import Result
from tests.data import shared
from tests.servers import Asked, Request, Rude, Server

Run = Callable[..., Result]
Serve = Callable[..., Server]

PAGES = [
    ("https://example.com/", "eng"),
    ("https://www.example.com/About", "eng"),
    ("https://example.com/news/one", "deu,eng"),
    ("https://example.com/news/two?b=2&a=1", "eng,deu"),
    ("http://example.com:8080/news/three", None),
    ("https://sub.example.com/news/", "fra"),
    ("https://www.sub.example.com/", "deu"),
    ("https://example.community/news/", "eng"),
    ("https://notexample.com/news/", "eng"),
    ("https://example.org/a.pdf", None),
    ("https://example.co.uk/x", "eng"),
    ("https://zzz.example.net/", "zho"),
]


def put_pages(tree: Tree) -> None:
    """Put two archives of small pages into a tree, and one of pages that were not had."""
    members = [
        page(url, f"<html><body><p>This is {url}, number {at}. {'word ' * (40 + at)}</p></body></html>")
        for at, (url, _) in enumerate(PAGES)
    ]
    members[9] = page(PAGES[9][0], "%PDF", mime="application/pdf")
    languages = [language for _, language in PAGES]
    tree.archive("CC-MAIN-1-00000.warc.gz", b"".join(members[:7]), languages=languages[:7])
    tree.archive("CC-MAIN-1-00001.warc.gz", b"".join(members[7:]), languages=languages[7:])
    missing = page("https://example.com/gone", "no", status="404 Not Found")
    tree.archive("CC-MAIN-1-00000.warc.gz", missing, folder="crawldiagnostics")
    tree.archive("CC-MAIN-1-00002.warc.gz", page("https://example.com/odd", "no", status="404 Not Found"))
    warcs = [f"{SEGMENT}/warc/CC-MAIN-1-{at:05d}.warc.gz" for at in range(3)]
    tree.lists(f"crawl-data/{CRAWL}/warc.paths.gz", warcs)
    tree.crawls("CC-MAIN-2026-17", CRAWL, "CC-MAIN-2025-51")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "site")
    put_pages(made)
    made.index()
    return made


def manifest(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "manifest.json").read_text()))


def shards(out: Path) -> list[dict[str, Any]]:
    return list(manifest(out)["artifacts"]["dump"]["shards"])


def data_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.rglob("*.gz"))}


# Whole files, by path lists.


def test_the_files_of_a_list_are_fetched_checked_and_told_of(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    site = nginx(tree.root)
    result = corpuskit("download", "commoncrawl", tmp_path / "out", "--crawl", CRAWL, "--base-url", site.url)
    assert result.code == 0, result.err
    told = shards(tmp_path / "out")
    assert [each["file"] for each in told] == [f"CC-MAIN-1-{at:05d}.warc.gz" for at in range(3)]
    assert told[0]["about"] == {
        "date": "2026-05-18",
        "license": "LicenseRef-CommonCrawl-ToU",
        "records": "7",
        "source": CRAWL,
        "url": f"{site.url}/{SEGMENT}/warc/CC-MAIN-1-00000.warc.gz",
    }
    for name, data in data_of(tmp_path / "out").items():
        assert data == (tree.root / SEGMENT / "warc" / name).read_bytes()


def test_the_latest_crawl_is_the_one_with_the_greatest_id(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    site = nginx(tree.root)
    result = corpuskit("download", "commoncrawl", tmp_path / "out", "--base-url", site.url, "--limit-files", 1)
    assert result.code == 0, result.err
    assert [each["about"]["source"] for each in shards(tmp_path / "out")] == [CRAWL]
    assert site.paths()[0] == "/collinfo.json"


def test_real_archives_and_text_extracts_are_fetched_and_read(nginx: Serve, corpuskit: Run, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "site")
    for kind, name in [
        ("warc", "whirlwind.warc.gz"),
        ("wet", "commoncrawlscalatools-filter_test_1.wet.gz"),
        ("wat", "whirlwind.warc.wat.gz"),
    ]:
        tree.put(f"{SEGMENT}/{kind}/{name}", shared(f"warc/{name}").read_bytes())
        tree.lists(f"crawl-data/{CRAWL}/{kind}.paths.gz", [f"{SEGMENT}/{kind}/{name}"])
    site = nginx(tree.root)
    documents = {}
    for kind in ("warc", "wet", "wat"):
        out = tmp_path / kind
        words = ["download", "commoncrawl", out, "--crawl", CRAWL, "--kind", kind, "--base-url", site.url]
        result = corpuskit(*words)
        assert result.code == 0, result.err
        assert "digest" not in result.err
        assert corpuskit("extract", out, tmp_path / f"{kind}-docs").code == 0
        documents[kind] = load(tmp_path / f"{kind}-docs")
    assert [documents[kind].num_rows for kind in ("warc", "wet", "wat")] == [1, 25, 0]
    assert documents["warc"].column("source").to_pylist() == [CRAWL]
    assert documents["warc"].column("license").to_pylist() == ["LicenseRef-CommonCrawl-ToU"]


def test_news_are_listed_by_month(nginx: Serve, corpuskit: Run, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "site")
    path = "crawl-data/CC-NEWS/2026/05/CC-NEWS-20260501000000-00001.warc.gz"
    tree.put(path, page("https://example.com/", "news"))
    tree.lists("crawl-data/CC-NEWS/2026/05/warc.paths.gz", [path])
    site = nginx(tree.root)
    for at, crawl in enumerate(["CC-NEWS-2026-05", "2026-05", "2026/05"]):
        out = tmp_path / f"{at}"
        words = ["download", "commoncrawl", out, "--kind", "news", "--crawl", crawl, "--base-url", site.url]
        assert corpuskit(*words).code == 0
        assert shards(out)[0]["about"]["source"] == "CC-NEWS-2026-05"
        assert shards(out)[0]["about"]["date"] == "2026-05"


@pytest.mark.parametrize(
    ("crawl", "kind"), [("CC-NEWS-2026-05", "warc"), ("CC-NEWS", "news"), ("2026-13", "news"), ("../x", "warc")]
)
def test_a_crawl_that_cannot_be_is_a_usage_error(crawl: str, kind: str) -> None:
    with pytest.raises(UsageError, match="--crawl"):
        commoncrawl.check_crawl(crawl, kind)


def test_a_crawl_that_is_not_there_is_told_with_those_that_are(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    site = nginx(tree.root)
    words = ["download", "commoncrawl", tmp_path / "out", "--crawl", "CC-MAIN-2026-22", "--base-url", site.url]
    result = corpuskit(*words)
    assert result.code == 69
    assert f"{site.url}/crawl-data/CC-MAIN-2026-22/warc.paths.gz" in result.err
    assert f"close to it: {CRAWL}" in result.err.replace("\n", " ")


def test_a_seed_chooses_files_in_the_order_of_the_list_and_more_of_them_with_a_larger_limit() -> None:
    paths = [f"a/{at}" for at in range(100)]
    few, many = commoncrawl.choose(paths, 5, 1), commoncrawl.choose(paths, 20, 1)
    assert len(few) == 5
    assert set(few) < set(many)
    assert many == [path for path in paths if path in set(many)]
    assert few != commoncrawl.choose(paths, 5, 2)
    assert commoncrawl.choose(paths, 5, None) == paths[:5]


@pytest.mark.parametrize("path", ["../../etc/passwd", "/a", "a//b", "a/../b", "a b", "a/./b", "http://x/a", "a?b"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(BadData, match="no plain path"):
        Site.of("http://127.0.0.1").url(path)


def test_files_of_one_name_in_two_folders_get_two_names() -> None:
    listing = commoncrawl.file_listing(["a/x.warc.gz", "b/x.warc.gz"], Site.of("http://127.0.0.1/"), CRAWL)
    assert listing.column("name").to_pylist() == ["a-x.warc.gz", "b-x.warc.gz"]


@pytest.mark.parametrize(
    "words",
    [
        ["--limit-records", 3],
        ["--seed", 3],
        ["--host", "example.com", "--kind", "wet"],
        ["--host", "example.com", "--limit-files", 3],
        ["--host", "example.com/a"],
        ["--language", "english"],
        ["--mime", "html"],
        ["--url-match", "https:///a"],
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(words: list[Any], corpuskit: Run, tmp_path: Path) -> None:
    assert corpuskit("download", "commoncrawl", tmp_path / "out", "--base-url", "http://127.0.0.1:9", *words).code == 2


# What a fetched archive says of itself.


def test_an_archive_that_holds_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(page("https://example.com/", "one") + page("https://example.com/2", "two"))
    assert check_archive(path) == {"records": "2"}


def test_real_archives_of_common_crawl_hold() -> None:
    assert check_archive(shared("warc/whirlwind.warc.gz")) == {"records": "4"}
    assert check_archive(shared("warc/whirlwind.warc.wet.gz")) == {"records": "2"}


def test_a_digest_that_differs_is_counted_and_no_error(tmp_path: Path) -> None:
    whole = gzip.decompress(page("https://example.com/", "one"))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(whole.replace(b"one", b"two")) + page("https://example.com/2", "two"))
    assert check_archive(path) == {"records": "2", "digest_mismatches": "1"}


def test_a_digest_of_a_body_without_its_chunks_is_right(tmp_path: Path) -> None:
    whole = gzip.decompress(page("https://example.com/", "one"))
    head, _, rest = whole.partition(b"\r\n\r\n")
    head = b"\r\n".join(line for line in head.split(b"\r\n") if b"Block-Digest" not in line)
    http = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
    head = head.replace(f"Length: {len(rest) - 4}".encode(), f"Length: {len(http)}".encode())
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(head + b"\r\n\r\n" + http + b"\r\n\r\n"))
    assert check_archive(path) == {"records": "1"}


def test_damage_that_was_written_so_is_counted_and_no_error(tmp_path: Path) -> None:
    good = page("https://example.com/", "one " * 50)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(good + gzip.compress(b"hello\r\n") + good + gzip.compress(gzip.decompress(good)[:-50]))
    assert check_archive(path) == {"records": "3", "damages": "2"}


def damaged() -> dict[str, bytes]:
    good = page("https://example.com/", "one " * 50)
    whole = gzip.decompress(good)
    return {
        "empty": b"",
        "a web page": b"<html>down for maintenance</html>",
        "not compressed": whole,
        "no records": gzip.compress(b"<html></html>"),
        "cut": (good + good)[:-5],
        "cut in the trailer of its last member": good[:-1],
        "flipped": good[:-30] + bytes([good[-30] ^ 1]) + good[-29:],
        "a wrong CRC": good[:-8] + b"\0\0\0\0" + good[-4:],
        "a wrong length": good[:-4] + b"\0\0\0\1",
        "garbage behind": good + b"garbage",
    }


@pytest.mark.parametrize("what", sorted(damaged()))
def test_a_damaged_archive_is_a_mismatch(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(damaged()[what])
    with pytest.raises(FetchError) as raised:
        check_archive(path)
    assert raised.value.kind == "mismatch"


def test_a_damaged_file_is_fetched_anew(
    tree: Tree, nginx: Serve, rude: Callable[[Callable[[Asked], None]], Rude], corpuskit: Run, tmp_path: Path
) -> None:
    path = f"/{SEGMENT}/warc/CC-MAIN-1-00000.warc.gz"

    def handler(asked: Asked) -> None:
        data = (tree.root / asked.path[1:]).read_bytes()
        asked.rest(data[:-9] + b"\0" * 9 if asked.path == path and asked.number == 0 else data)

    server = rude(handler)
    words = ["download", "commoncrawl", tmp_path / "out", "--crawl", CRAWL, "--limit-files", 1]
    result = corpuskit(*words, "--base-url", server.url)
    assert result.code == 0, result.err
    assert [asked.path for asked in server.asked].count(path) == 2
    assert data_of(tmp_path / "out")["CC-MAIN-1-00000.warc.gz"] == (tree.root / path[1:]).read_bytes()


def test_digests_that_differ_are_told_and_the_file_is_kept(nginx: Serve, corpuskit: Run, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "site")
    whole = gzip.decompress(page("https://example.com/", "one"))
    tree.put(f"{SEGMENT}/warc/a.warc.gz", gzip.compress(whole.replace(b"one", b"two")))
    tree.lists(f"crawl-data/{CRAWL}/warc.paths.gz", [f"{SEGMENT}/warc/a.warc.gz"])
    site = nginx(tree.root)
    result = corpuskit("download", "commoncrawl", tmp_path / "out", "--crawl", CRAWL, "--base-url", site.url)
    assert result.code == 0
    assert "a.warc.gz: 1 of 1 records do not have the digest" in result.err
    assert shards(tmp_path / "out")[0]["about"]["digest_mismatches"] == "1"


# Globs and keys.


@pytest.mark.parametrize(
    ("glob", "url", "matches"),
    [
        ("example.com", "https://example.com/", True),
        ("example.com", "http://example.com/a?b", True),
        ("example.com", "https://www.example.com/", False),
        ("Example.COM/a*", "https://EXAMPLE.com/abc/d", True),
        ("example.com/a*", "https://example.com/A", False),
        ("example.com/", "https://example.com/a", False),
        ("https://example.com/a*", "http://example.com/a", False),
        ("*.example.com/news/*", "https://example.com/news/1", True),
        ("*.example.com/news/*", "https://a.b.example.com/news/", True),
        ("*.example.com/news/*", "https://notexample.com/news/1", False),
        ("*.example.com/*", "https://evil.test/x.example.com/", False),
        ("*.example.com/*", "https://evil.test?.example.com/", False),
        ("*/*.pdf", "https://example.org/a/b.pdf", True),
        ("*/*.pdf", "https://example.org/a.pdfx", False),
        ("example.com/a?b=*", "https://example.com/a?b=1", True),
        ("example.com/a?b=*", "https://example.com/axb=1", False),
        ("example.com:8080/*", "http://example.com:8080/x", True),
        ("example.com/*", "http://example.com:8080/x", False),
        ("bücher.example/*", "https://xn--bcher-kva.example/a", True),
    ],
)
def test_a_glob_matches_whole_urls(glob: str, url: str, matches: bool) -> None:
    assert Query((Glob(glob),)).wants_url(url) is matches


@pytest.mark.parametrize(
    ("name", "url", "matches"),
    [
        ("example.com", "https://example.com/a", True),
        ("example.com", "https://WWW.example.com:81/a", True),
        ("example.com", "https://sub.example.com/", False),
        ("www.example.com", "https://example.com/", True),
        ("*.example.com", "https://example.com/", True),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://anexample.com/", False),
    ],
)
def test_a_host_is_matched_with_and_without_www(name: str, url: str, matches: bool) -> None:
    assert query([], [name], [], []).wants_url(url) is matches


def test_ranges_of_keys_are_no_wider_than_they_need_be() -> None:
    assert Glob("example.com/News/*").ranges == (("com,example)/news", "com,example)/newt"),)
    assert Glob("https://example.com/a?b=*").ranges == (("com,example)/a", "com,example)/b"),)
    assert query([], ["www.example.com"], [], []).ranges == (
        ("com,example)", "com,example*"),
        ("com,example:", "com,example;"),
    )
    both = query(["*.example.com/a*"], ["sub.example.com"], [], [])
    assert both.ranges == (("com,example,sub)", "com,example,sub*"), ("com,example,sub:", "com,example,sub;"))


def test_only_a_query_with_hosts_is_narrow() -> None:
    for words, narrow in [("example.com", True), ("*.example.com/a", True), ("*.com/*", False), ("*/a", False)]:
        assert query([words], [], [], []).is_narrow is narrow
    assert not query([], [], ["en"], []).is_narrow
    assert query(["*/a"], ["example.com"], ["en"], []).is_narrow


LABELS = st.sampled_from(["a", "b", "www", "www2", "com", "example"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PATHS = st.text("aB/.-%?=&~(1", max_size=8).map(lambda text: "/" + text.replace("//", "/").replace("/.", "/"))
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{path}",
    st.sampled_from(["http", "https"]),
    HOSTS,
    st.sampled_from(["", ":8080"]),
    PATHS.filter(lambda path: "//" not in path and "%" not in path),
)


@given(URLS, st.data())
def test_the_key_of_a_url_lies_in_the_ranges_of_every_glob_that_matches_it(url: str, data: st.DataObject) -> None:
    rest = url.partition("://")[2] if data.draw(st.booleans()) else url
    for _ in range(data.draw(st.integers(0, 2))):  # put a star in the place of some characters
        start = data.draw(st.integers(0, len(rest)))
        end = data.draw(st.integers(start, len(rest)))
        rest = rest[:start] + "*" + rest[end:]
    try:
        wanted = query([rest], [], [], [])
    except UsageError:
        return
    if wanted.wants_url(url):
        assert any(first <= key_of(url) < behind for first, behind in wanted.ranges), (rest, wanted.ranges)


@given(URLS, HOSTS, st.booleans())
def test_the_key_of_a_url_lies_in_the_ranges_of_every_host_that_has_it(url: str, name: str, below: bool) -> None:
    wanted = query([], [f"*.{name}" if below else name], [], [])
    if wanted.wants_url(url):
        assert any(first <= key_of(url) < behind for first, behind in wanted.ranges), wanted.ranges


# Index queries.


def host(row: Row) -> str:
    return str(urlsplit(row.url).hostname)


QUERIES: dict[str, tuple[Query, Callable[[Row], bool]]] = {
    "a host": (query([], ["example.com"], [], []), lambda row: host(row) in ("example.com", "www.example.com")),
    "a host and all below it": (
        query([], ["*.example.com"], [], []),
        lambda row: ("." + host(row)).endswith(".example.com"),
    ),
    "two hosts": (
        query([], ["example.org", "example.co.uk"], [], []),
        lambda row: host(row) in ("example.org", "example.co.uk"),
    ),
    "a glob": (
        query(["*.example.com/news/*"], [], [], []),
        lambda row: ("." + urlsplit(row.url).netloc).endswith(".example.com") and "com/news/" in row.url,
    ),
    "a glob of paths": (
        query(["*/news/*"], [], [], []),
        lambda row: urlsplit(row.url).path.startswith("/news/"),
    ),
    "a language": (query([], [], ["de"], []), lambda row: (row.languages or "").startswith("deu")),
    "a language and a host": (
        query([], ["*.example.com"], ["deu", "fr"], []),
        lambda row: ("." + host(row)).endswith(".example.com") and (row.languages or "")[:3] in ("deu", "fra"),
    ),
    "a media type": (query([], [], [], ["application/*"]), lambda row: row.mime == "application/pdf"),
}


def client_of(site: Server) -> Client:
    return Client(Manners(own_hosts=frozenset({site.url.removeprefix("http://")}), connections=4))


def by_cdx(site: Server, wanted: Query, warned: list[str] | None = None) -> list[Capture]:
    warn = warned.append if warned is not None else lambda line: None
    found = cdx.captures(
        client_of(site), Site.of(site.url), CRAWL, wanted, workers=2, warn=warn, show=lambda line: None
    )
    return list(found)


def by_table(site: Server, wanted: Query) -> list[Capture]:
    none = lambda line: None  # noqa: E731
    return list(cc_table.captures(client_of(site), Site.of(site.url), CRAWL, wanted, warn=none, show=none))


@pytest.mark.parametrize("what", QUERIES)
def test_both_indexes_find_what_looking_at_every_record_finds(what: str, tree: Tree, nginx: Serve) -> None:
    site = nginx(tree.root)
    wanted, holds = QUERIES[what]
    rows = [row for row in tree.rows if row.status == "200" and "/warc/" in row.filename and holds(row)]
    expected = [Capture(row.filename, row.offset, row.length, row.url) for row in sorted(rows, key=lambda row: row.key)]
    assert expected
    assert by_cdx(site, wanted) == expected
    assert by_table(site, wanted) == expected


@pytest.mark.parametrize("block_lines", [1, 2, 5, 100])
def test_blocks_of_any_size_give_the_same_records(block_lines: int, tmp_path: Path, nginx: Serve) -> None:
    tree = Tree(tmp_path / "site")
    put_pages(tree)
    tree.index(block_lines=block_lines, files=3, group_rows=block_lines)
    site = nginx(tree.root)
    for wanted, holds in QUERIES.values():
        rows = [row for row in tree.rows if row.status == "200" and "/warc/" in row.filename and holds(row)]
        assert {found.page for found in by_cdx(site, wanted)} == {row.url for row in rows}
        assert {found.page for found in by_table(site, wanted)} == {row.url for row in rows}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree whose indexes are much larger than what a query needs of them."""
    tree = Tree(tmp_path_factory.mktemp("large") / "site")
    put_pages(tree)
    tree.index(block_lines=2, files=2, group_rows=2000, filler=20_000)
    return tree


def sent(log: list[Request], name: str) -> int:
    return sum(request.bytes for request in log if name in request.path and request.method == "GET")


def test_cluster_idx_is_searched_and_not_read_whole(large: Tree, nginx: Serve) -> None:
    site = nginx(large.root)
    size = (large.root / f"cc-index/collections/{CRAWL}/indexes/cluster.idx").stat().st_size
    assert len(by_cdx(site, query([], ["example.co.uk", "*.example.net"], [], []))) == 2
    assert size > 600_000
    assert sent(site.log(), "cluster.idx") < size // 2
    assert sent(site.log(), "/cdx-") < 5_000


def test_every_block_of_a_large_index_can_be_found(large: Tree, nginx: Serve) -> None:
    site = nginx(large.root)
    for at in random.Random(1).sample(range(20_000), 8):
        name = f"h{at * 7919 % 20_000:06d}.filler{at % 7}.test"
        assert [found.page for found in by_cdx(site, query([], [name], [], []))] == [f"https://{name}/p"]


def test_hosts_before_the_first_and_behind_the_last_key_are_not_found(large: Tree, nginx: Serve) -> None:
    site = nginx(large.root)
    assert by_cdx(site, query([], ["a.a", "zz.zz"], [], [])) == []


def test_row_groups_that_cannot_hold_a_host_are_not_read(large: Tree, nginx: Serve) -> None:
    site = nginx(large.root)
    table = large.root / f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc"
    size = sum(path.stat().st_size for path in table.iterdir())
    assert len(by_table(site, query([], ["example.co.uk"], [], []))) == 1
    assert 0 < sent(site.log(), "subset=warc") < size // 2
    assert sent(site.log(), "crawldiagnostics") == 0


def test_a_query_of_all_of_the_index_says_how_much_that_is(large: Tree, nginx: Serve) -> None:
    warned: list[str] = []
    assert len(by_cdx(nginx(large.root), query([], [], [], ["application/pdf"]), warned)) == 1
    assert "the whole index is read: 2 files, about" in warned[0]


def test_lines_of_the_index_that_cannot_be_read_are_counted(tree: Tree, nginx: Serve) -> None:
    folder = tree.root / f"cc-index/collections/{CRAWL}/indexes"
    lines = gzip.compress(b"com,example)/ 2026 {broken\n" + tree.rows[0].line().encode())
    (folder / "cdx-00000.gz").write_bytes(lines)
    (folder / "cluster.idx").write_text(f"com,example)/ 2026\tcdx-00000.gz\t0\t{len(lines)}\t1\n")
    warned: list[str] = []
    assert len(by_cdx(nginx(tree.root), query([], ["example.com"], [], []), warned)) == 1
    assert "1 lines of the index cannot be read" in warned[0]


@pytest.mark.parametrize(
    ("gone", "words", "records"),
    [
        (f"crawl-data/{CRAWL}/cc-index-table.paths.gz", ["--language", "fra"], "1"),
        (f"cc-index/collections/{CRAWL}/indexes/cluster.idx", ["--host", "sub.example.com"], "2"),
    ],
)
def test_where_one_index_is_missing_the_other_is_read(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path, gone: str, words: list[str], records: str
) -> None:
    (tree.root / gone).unlink()
    base = ["--base-url", nginx(tree.root).url]
    result = corpuskit("download", "commoncrawl", tmp_path / "out", "--crawl", CRAWL, *words, *base)
    assert result.code == 0
    assert gone in result.err
    assert "index is read instead" in result.err
    assert shards(tmp_path / "out")[0]["about"]["records"] == records


def test_a_sample_is_the_same_in_whatever_order_records_are_found() -> None:
    found = [Capture(f"a/warc/{at % 7}", at, 9, f"https://{at}/") for at in range(500)]
    site = Site.of("http://127.0.0.1")
    some = record_listing(found, site, CRAWL, limit=20, seed=3)
    assert some.num_rows == 20
    assert some.equals(record_listing(reversed(found), site, CRAWL, limit=20, seed=3))
    assert not some.equals(record_listing(found, site, CRAWL, limit=20, seed=4))
    places = list(zip(some.column("file").to_pylist(), some.column("offset").to_pylist(), strict=True))
    assert places == sorted(places)
    first = record_listing(found, site, CRAWL, limit=20, seed=None)
    assert sorted(first.column("offset").to_pylist()) == list(range(20))


# Records into archives.


def members_of(data: bytes) -> list[bytes]:
    """Cut an archive into its members."""
    import io

    archive = ArchiveIterator(io.BytesIO(data), check_digests="raise")
    places = []
    for record in archive:
        record.content_stream().read()
        offset = archive.get_record_offset()
        places.append((offset, archive.get_record_length()))
    return [data[offset : offset + length] for offset, length in places]


@pytest.mark.parametrize("index", ["cdx", "table"])
def test_records_equal_the_members_of_the_archives_byte_for_byte(
    index: str, tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    site = nginx(tree.root)
    words = ["download", "commoncrawl", tmp_path / "out", "--host", "*.example.com", "--index", index]
    result = corpuskit(*words, "--base-url", site.url)
    assert result.code == 0, result.err
    name = f"{CRAWL}-records-00000.warc.gz"
    data = data_of(tmp_path / "out")[name]
    own, *members = members_of(data)
    assert b"isPartOf: CC-MAIN-2026-21" in gzip.decompress(own)
    rows = [row for row in tree.rows if "/warc/" in row.filename and row.status == "200"]
    rows = [row for row in rows if ("." + host(row)).endswith(".example.com")]
    assert members == [tree.member(row) for row in sorted(rows, key=lambda row: (row.filename, row.offset))]
    assert len(members) == 7
    shard = shards(tmp_path / "out")[0]
    assert shard["about"]["records"] == "7"
    assert shard["about"]["license"] == "LicenseRef-CommonCrawl-ToU"
    assert shard["sha256"] == hashlib.sha256(data).hexdigest()


def test_records_of_real_archives_give_the_same_documents(nginx: Serve, corpuskit: Run, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "site")
    names = ["whirlwind.warc.gz", "resiliparse-warcfile.warc.gz", "dolma-sample-0000.warc.gz"]
    for name in names:
        tree.archive(name, shared(f"warc/{name}").read_bytes())
    tree.index()
    site = nginx(tree.root)
    words = ["download", "commoncrawl", tmp_path / "out", "--crawl", CRAWL, "--url-match", "*/*", "--index", "cdx"]
    result = corpuskit(*words, "--base-url", site.url)
    assert result.code == 0, result.err
    wanted = [row for row in tree.rows if row.status == "200"]
    _, *members = members_of(data_of(tmp_path / "out")[f"{CRAWL}-records-00000.warc.gz"])
    assert members == [tree.member(row) for row in sorted(wanted, key=lambda row: (row.filename, row.offset))]
    assert corpuskit("extract", tmp_path / "out", tmp_path / "docs").code == 0
    assert corpuskit("extract", tree.root / SEGMENT / "warc", tmp_path / "whole").code == 0
    columns = ["id", "text", "url", "title", "language", "date"]
    got, whole = (load(tmp_path / each).select(columns).to_pylist() for each in ("docs", "whole"))
    assert len(got) > 30
    assert sorted(got, key=lambda row: str(row["id"])) == sorted(whole, key=lambda row: str(row["id"]))


def test_a_sample_of_records_is_the_same_from_both_indexes(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    site, found = nginx(tree.root), []
    for index in ("cdx", "table"):
        words = ["--language", "eng", "--limit-records", 3, "--seed", 7, "--index", index, "--base-url", site.url]
        result = corpuskit("download", "commoncrawl", tmp_path / index, *words)
        assert result.code == 0, result.err
        assert "the query fixes no" in result.err
        found.append(data_of(tmp_path / index))
        assert shards(tmp_path / index)[0]["about"]["records"] == "3"
    assert found[0] == found[1]


def test_a_query_that_finds_nothing_is_told(tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path) -> None:
    site = nginx(tree.root)
    words = ["download", "commoncrawl", tmp_path / "out", "--host", "nowhere.test", "--base-url", site.url]
    result = corpuskit(*words)
    assert result.code == 66
    assert "--host nowhere.test" in result.err


def listing_of(tree: Tree, site: Server) -> Any:
    rows = [row for row in tree.rows if row.status == "200" and "/warc/" in row.filename]
    found = [Capture(row.filename, row.offset, row.length, row.url) for row in rows]
    return record_listing(found, Site.of(site.url), CRAWL, limit=None, seed=None)


def fetch(site: Server, listing: Any, out: Path, file_bytes: int = 1 << 30) -> list[records.RecordFile]:
    out.mkdir(exist_ok=True)
    client = client_of(site)
    return list(records.fetch_records(client, listing, out, query="x", workers=2, file_bytes=file_bytes))


def test_files_are_cut_by_the_lengths_of_the_listing(tree: Tree, nginx: Serve, tmp_path: Path) -> None:
    site = nginx(tree.root)
    listing = listing_of(tree, site)
    whole = fetch(site, listing, tmp_path / "one")
    parts = fetch(site, listing, tmp_path / "many", file_bytes=1000)
    assert len(whole) == 1
    assert len(parts) > 3
    assert [part.name for part in parts] == [f"{CRAWL}-records-{at:05d}.warc.gz" for at in range(len(parts))]
    assert sum(part.records for part in parts) == listing.num_rows == whole[0].records
    for part in parts:
        data = (tmp_path / "many" / part.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part.bytes, part.sha256)
        assert len(members_of(data)) == part.records + 1


def test_no_member_is_asked_for_twice_after_a_cut_anywhere(tree: Tree, nginx: Serve, tmp_path: Path) -> None:
    site = nginx(tree.root)
    listing = listing_of(tree, site)
    whole = fetch(site, listing, tmp_path / "whole")[0]
    data = (tmp_path / "whole" / whole.name).read_bytes()
    ends, place = [], 0
    for member in members_of(data):
        place += len(member)
        ends.append(place)
    cuts = {0, 1, *ends, *(end - 1 for end in ends), *(end + 1 for end in ends[:-1]), *range(0, len(data), 499)}
    for cut in sorted(cuts):
        out = tmp_path / f"{cut}"
        out.mkdir()
        (out / f"{whole.name}.part").write_bytes(data[:cut])
        site.forget()
        assert fetch(site, listing, out) == [whole]
        assert (out / whole.name).read_bytes() == data
        assert not (out / f"{whole.name}.part").exists()
        assert len(site.log()) == sum(end > cut for end in ends[1:])


def test_members_that_do_not_hold_are_asked_for_again_and_no_others(tree: Tree, nginx: Serve, tmp_path: Path) -> None:
    site = nginx(tree.root)
    listing = listing_of(tree, site)
    whole = fetch(site, listing, tmp_path / "whole")[0]
    data = bytearray((tmp_path / "whole" / whole.name).read_bytes())
    good = bytes(data)
    members = members_of(good)
    at = len(members[0]) + len(members[1]) + 30  # in the second record
    data[at : at + 50] = bytes(50)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{whole.name}.part").write_bytes(data + b"and more than there should be")
    site.forget()
    assert fetch(site, listing, tmp_path / "out") == [whole]
    assert (tmp_path / "out" / whole.name).read_bytes() == good
    assert len(site.log()) == 1


def test_files_that_are_there_cost_no_request(tree: Tree, nginx: Serve, tmp_path: Path) -> None:
    site = nginx(tree.root)
    listing = listing_of(tree, site)
    first = fetch(site, listing, tmp_path / "out", file_bytes=1000)
    (tmp_path / "out" / first[2].name).unlink()
    site.forget()
    assert fetch(site, listing, tmp_path / "out", file_bytes=1000) == first
    assert len(site.log()) == first[2].records


def test_a_record_that_does_not_hold_stops_no_other_and_leaves_no_file(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    victim = next(row for row in tree.rows if row.url == "https://example.com/news/one")
    archive = tree.root / victim.filename
    good = archive.read_bytes()
    at = victim.offset + victim.length // 2
    archive.write_bytes(good[:at] + bytes([good[at] ^ 255]) + good[at + 1 :])
    site = nginx(tree.root)
    words = ["download", "commoncrawl", tmp_path / "out", "--host", "*.example.com", "--base-url", site.url]
    result = corpuskit(*words)
    assert result.code == 65
    assert f"{site.url}/{victim.filename} (bytes {victim.offset}-" in result.err
    assert "1 of 7 records failed" in result.err
    assert not list((tmp_path / "out").rglob("*.warc.gz"))
    asked = [request for request in site.log() if request.path.endswith(".warc.gz")]
    assert len(asked) == 8  # the bad one twice
    archive.write_bytes(good)
    site.forget()
    result = corpuskit(*words)
    assert result.code == 0, result.err
    assert [request.path for request in site.log()] == [f"/{victim.filename}"]
    _, *members = members_of(data_of(tmp_path / "out")[f"{CRAWL}-records-00000.warc.gz"])
    assert tree.member(victim) in members


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("another page", "expected the page"),
        ("two members", "more than one gzip member"),
        ("cut", "cut"),
        ("a request", "of type request"),
        ("no archive", "no sound gzip member"),
        ("a wrong length", "is not that of its block"),
    ],
)
def test_bytes_that_are_not_the_record_are_told_apart(what: str, problem: str) -> None:
    good = page("https://example.com/", "one")
    whole = gzip.decompress(good)
    bad = {
        "another page": page("https://example.com/2", "one"),
        "two members": good + good,
        "cut": good[:-1],
        "a request": gzip.compress(whole.replace(b"Type: response", b"Type: request")),
        "no archive": b"<html>",
        "a wrong length": gzip.compress(whole.replace(b"one", b"three")),
    }[what]
    assert records.problem_of(good, "https://example.com/") is None
    assert problem in str(records.problem_of(bad, "https://example.com/"))


def test_a_limit_of_rate_stops_the_run_with_75(
    tree: Tree, rude: Callable[[Callable[[Asked], None]], Rude], corpuskit: Run, tmp_path: Path
) -> None:
    def handler(asked: Asked) -> None:
        asked.answer("403 Forbidden", Retry_After=100_000)

    server = rude(handler)
    words = ["download", "commoncrawl", tmp_path / "out", "--crawl", CRAWL, "--base-url", server.url]
    result = corpuskit(*words)
    assert result.code == 75
    assert f"{server.url}/crawl-data/{CRAWL}/warc.paths.gz" in result.err


def index_of(tree: Tree, asked: Asked) -> bool:
    """Answer what is asked of the index as a good server does; False for anything else."""
    if "cc-index" not in asked.path and "collinfo" not in asked.path:
        return False
    data = (tree.root / asked.path[1:]).read_bytes()
    first, _, last = asked.fields.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
    part = data[int(first) : int(last or len(data)) + 1]
    if asked.method == "HEAD":
        asked.answer("200 OK", Content_Length=len(data))
    elif "range" in asked.fields:
        asked.answer("206 Partial Content", part, Content_Range=f"bytes {first}-{last}/{len(data)}")
    else:
        asked.answer("200 OK", data)
    return True


def test_a_limit_of_rate_among_records_ends_the_run_with_75_and_keeps_what_came(
    tree: Tree, rude: Callable[[Callable[[Asked], None]], Rude], corpuskit: Run, tmp_path: Path
) -> None:
    def handler(asked: Asked) -> None:
        if index_of(tree, asked):
            return
        if asked.number < 3 or not limited:
            first, _, last = asked.fields["range"].removeprefix("bytes=").partition("-")
            data = (tree.root / asked.path[1:]).read_bytes()[int(first) : int(last) + 1]
            asked.answer("206 Partial Content", data, Content_Range=f"bytes {first}-{last}/*")
        else:
            asked.answer("429 Too Many Requests", Retry_After=100_000)

    limited = True
    server = rude(handler)
    words = ["download", "commoncrawl", tmp_path / "out", "--host", "*.example.com", "--base-url", server.url]
    result = corpuskit(*words, "--connections", 1)
    assert result.code == 75
    assert "status 429" in result.err
    assert f"{server.url}/{SEGMENT}/warc/CC-MAIN-1-00000.warc.gz" in result.err
    limited, before = False, len(server.asked)
    assert corpuskit(*words).code == 0
    assert len(server.asked) - before == 7 - 3


def test_a_source_that_gives_no_record_at_all_is_given_up(
    tree: Tree, rude: Callable[[Callable[[Asked], None]], Rude], corpuskit: Run, tmp_path: Path
) -> None:
    def handler(asked: Asked) -> None:
        if not index_of(tree, asked):
            asked.answer("404 Not Found")

    tree.archive("CC-MAIN-1-00003.warc.gz", b"".join(page(f"https://many.test/{at}", "x") for at in range(100)))
    tree.index()
    server = rude(handler)
    words = ["download", "commoncrawl", tmp_path / "out", "--host", "many.test", "--base-url", server.url]
    result = corpuskit(*words)
    assert result.code == 69
    assert "10 of 100 records failed, the rest was not tried" in result.err
    assert "status 404" in result.err


def test_a_run_that_was_cut_off_asks_for_nothing_that_it_has(
    tree: Tree, nginx: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    """The listing stays, so that the index is not asked again, and `latest` is the same crawl."""
    site = nginx(tree.root)
    words = ["download", "commoncrawl", tmp_path / "out", "--host", "*.example.com", "--base-url", site.url]
    shutil.move(tree.root / SEGMENT / "warc", tree.root / "away")
    assert corpuskit(*words).code == 69
    shutil.move(tree.root / "away", tree.root / SEGMENT / "warc")
    site.forget()
    assert corpuskit(*words).code == 0
    assert {request.path.rpartition("/")[2] for request in site.log()} == {"CC-MAIN-1-00000.warc.gz"}
    site.forget()
    assert corpuskit(*words).code == 0
    assert site.log() == []


def test_a_run_that_is_killed_keeps_every_record_that_had_come(tree: Tree, nginx: Serve, tmp_path: Path) -> None:
    body = random.Random(3).randbytes(20_000).hex()
    many = b"".join(page(f"https://many.example.com/{at}", body) for at in range(200))
    tree.archive("CC-MAIN-1-00003.warc.gz", many)
    tree.index(block_lines=50)
    site = nginx(tree.root, more="limit_rate 100k;")
    words = ["download", "commoncrawl", str(tmp_path / "out"), "--host", "many.example.com", "--base-url", site.url]
    command = [sys.executable, "-m", "corpuskit", *words, "--executor", "serial"]
    asked: list[Request] = []
    for _ in range(3):
        before = len(asked)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(asked) < before + 20:
            time.sleep(0.02)
            asked = [request for request in site.log() if "/warc/" in request.path]
        process.kill()
        process.wait(10)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    _, *members = members_of(data_of(tmp_path / "out")[f"{CRAWL}-records-00000.warc.gz"])
    assert members == [tree.member(row) for row in tree.rows if "many" in row.url]
    asked = [request for request in site.log() if "/warc/" in request.path]
    assert len(asked) - len({request.range for request in asked}) <= 3 * 4  # those that were on their way
    assert [request.path for request in site.log()].count("/collinfo.json") == 1


def test_the_recipe_fetches_and_reads(corpuskit: Run, nginx: Serve, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "site")
    name = "commoncrawlscalatools-filter_test_1.wet.gz"
    tree.put(f"{SEGMENT}/wet/{name}", shared(f"warc/{name}").read_bytes())
    tree.lists(f"crawl-data/{CRAWL}/wet.paths.gz", [f"{SEGMENT}/wet/{name}"])
    tree.crawls(CRAWL)
    recipe, site = Path(__file__).parents[1] / "pipelines" / "commoncrawl.toml", nginx(tree.root)
    setting = f"download-commoncrawl.base_url={site.url}"
    words = ("--root", tmp_path / "root", "--set", setting, "--until", "extract", "--executor", "serial")
    result = corpuskit("run", recipe, *words)
    assert result.code == 0, result.err
    assert load(tmp_path / "root" / "extract").num_rows == 25
