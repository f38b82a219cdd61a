"""Lists of URLs: what a line means, what a site allows, and what becomes of every address."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from corpuskit.errors import BadData
from corpuskit.formats.http import Client, Manners, host_of
from corpuskit.formats.warc_writer import WarcFiles
from corpuskit.sources.robots import MAX_BYTES, parse, read_rules
from corpuskit.sources.urls import Listed, Names, Repeats, _brought_into_form, normalized, read_list
from corpuskit.sources.visiting import Crawl, Entry, Journal, Manner
from tests.build import load
from tests.servers import Asked, Rude, Server

Serve = Callable[..., Server]
ServeRude = Callable[[Callable[[Asked], None]], Rude]
TYPES = "types { text/html html; text/plain txt; }"


def page(title: str) -> bytes:
    text = f"This is what the page called {title} says. " * 20
    return f"<html lang=en><head><title>{title}</title></head><body><main><p>{text}</p></main></body></html>".encode()


def site(root: Path, pages: int, robots: str | None = None) -> Path:
    root.mkdir()
    for number in range(pages):
        (root / f"{number}.html").write_bytes(page(f"Page {number}"))
    if robots is not None:
        (root / "robots.txt").write_text(robots)
    return root


def write_list(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def told(out: Path, table: str = "visited") -> dict[str, dict[str, Any]]:
    """Give the rows of a table by the last part of their address."""
    return {row["url"].rpartition("/")[2]: row for row in load(out, table).to_pylist()}


def ledger(corpuskit: Any, out: Path) -> dict[str, Any]:
    return dict(json.loads(corpuskit("show", out, "--json").out)["ledger"])


def quick(server: Server | Rude, list_file: Path, out: Path, *more: object) -> list[object]:
    own = ["--list", list_file, "--base-url", server.url, "--gap-seconds", 0, "--tries", 1, "--timeout-seconds", 5]
    return ["download", "urls", out, *own, *more]


# Lists


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a#b", "https://example.org/a"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("http://example.org/a/./b/../c", "http://example.org/a/c"),
        ("http://bücher.example/ü?q=ß", "http://xn--bcher-kva.example/%C3%BC?q=%C3%9F"),
        ("http://ＢÜＣＨＥＲ.example/", "http://xn--bcher-kva.example/"),
        ("http://example.org/%7e%c3", "http://example.org/%7E%C3"),
        ("http://example.org?q", "http://example.org/?q"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"),
        ("http://a_b.example/", "http://a_b.example/"),
    ],
)
def test_an_address_has_one_form(url: str, expected: str) -> None:
    assert normalized(url) == expected


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("ftp://a.example/", "no http or https address"),
        ("mailto:me@a.example", "no http or https address"),
        ("http:///x", "no host"),
        ("http://", "no host"),
        ("http:a.example", "lacks //"),
        ("a.example/x", "no absolute address"),
        ("a.example:80/x", "no absolute address"),
        ("http://me:secret@a.example/", "user name or password"),
        ("http://a.example/b c", "white space"),
        ("http://a.example/\x07", "control character"),
        ("http://a.example:99999/", "cannot be"),
        ("http://a..example/", "no domain name"),
        ("http://a%2eexample/", "no domain name"),
        (f"http://{'a' * 64}.example/", "no domain name"),
        ("http://[::1/", "cannot be"),
        ("http://a.example/" + "b" * 8192, "longer than 8,192"),
    ],
)
def test_what_is_no_address_says_why(url: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        normalized(url)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("b.html", "http://a.example/x/b.html"),
        ("/b", "http://a.example/b"),
        ("//c.example/", "http://c.example/"),
        ("https://c.example/", "https://c.example/"),
    ],
)
def test_relative_lines_are_resolved_against_the_base(line: str, expected: str) -> None:
    assert normalized(line, "http://a.example/x/") == expected


@given(st.from_regex(r"https?://[a-zA-Z0-9.-]{1,20}(:[0-9]{1,5})?/[^\s#]{0,30}", fullmatch=True))
def test_the_one_form_of_an_address_is_its_own_form(url: str) -> None:
    try:
        once = normalized(url)
    except ValueError:
        return
    assert normalized(once) == once
    assert once.isascii()
    assert host_of(once) is not None


@given(st.from_regex(r"https?://([a-c-]{1,3}\.){1,4}[a-z0-9]{1,3}/[a-zA-Z0-9._~/?=&-]{0,20}", fullmatch=True))
def test_an_address_that_looks_plain_is_what_the_long_way_gives(url: str) -> None:
    def by(way: Callable[[str], str]) -> str | None:
        try:
            return way(url)
        except ValueError:
            return None

    assert by(normalized) == by(_brought_into_form)


def test_blank_lines_and_comments_of_a_list_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(
        b"\xef\xbb\xbfhttp://a.example/\r\n\r\n  # no\n\thttp://b.example/ \nhttp://c.example/"
    )
    assert list(read_list(tmp_path / "list")) == [
        Listed(1, "http://a.example/"),
        Listed(4, "http://b.example/"),
        Listed(5, "http://c.example/"),
    ]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_a_list_may_be_compressed(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(compress(b"http://a.example/\nhttp://b.example/\n"))
    assert [each.url for each in read_list(tmp_path / "list")] == ["http://a.example/", "http://b.example/"]


def test_a_compressed_list_that_is_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(gzip.compress(b"http://a.example/\n")[:-6])
    with pytest.raises(BadData, match="ends in the middle"):
        list(read_list(tmp_path / "list"))


def test_lines_that_cannot_be_read_are_told_and_do_not_hide_their_neighbours(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"h" * 3_000_000 + b"\nhttp://a.example/\n\xff\xfe\nhttp://b.example/\n")
    found = list(read_list(tmp_path / "list"))
    assert [each.line for each in found] == [1, 2, 3, 4]
    assert [each.cause for each in found] == ["is longer than 65,536 bytes", None, "is no UTF-8", None]
    assert len(found[0].url) == 200


def test_a_line_may_say_the_checksum_as_sha256sum_writes_it(tmp_path: Path) -> None:
    digest = "AB" * 32
    path = write_list(tmp_path, f"{digest}  http://a.example/x", f"{digest} *http://a.example/y", "http://a.example/z")
    assert [each.checksum for each in read_list(path, sums=True)] == [f"sha256:{'ab' * 32}"] * 2 + [None]
    assert [each.cause for each in read_list(path)] == ["holds white space"] * 2 + [None]


@given(st.lists(st.text(alphabet="abc", max_size=3)))
def test_repeats_are_those_that_a_set_finds(texts: list[str]) -> None:
    seen: set[str] = set()
    repeats = Repeats(spill_bytes=48)
    expected = []
    for text in texts:
        repeats.add(text)
        expected.append(text in seen)
        seen.add(text)
    assert repeats.find().tolist() == expected


def test_every_file_gets_a_safe_name_of_its_own() -> None:
    names = Names()
    urls = [
        "http://a.example/data.tar.gz",
        "http://b.example/data.tar.gz?v=2",
        "http://b.example/DATA.tar.gz",
        "http://a.example/",
        "http://a.example/..%2f..%2fetc%2fpasswd",
        "http://a.example/.hidden",
        "http://a.example/x.part",
        "http://a.example/manifest.json",
        "http://a.example/%C3%BC%20b.txt",
    ]
    assert [names.name(url) for url in urls] == [
        "data.tar.gz",
        "data-2.tar.gz",
        "DATA-3.tar.gz",
        "index",
        "passwd",
        "hidden",
        "x.part_",
        "manifest-2.json",
        "_b.txt",
    ]


@given(st.lists(st.from_regex(r"http://a\.example/[A-Za-z0-9.%_-]{0,12}", fullmatch=True), max_size=30))
def test_names_of_files_never_meet(urls: list[str]) -> None:
    names = Names()
    given_names = [names.name(url).lower() for url in urls]
    assert len(set(given_names)) == len(urls)
    assert not any(name.startswith(".") or name.endswith((".part", ".part.json")) for name in given_names)


# robots.txt


def client(*servers: Rude, tries: int = 1) -> Client:
    own = frozenset(str(host_of(server.url)) for server in servers)
    return Client(Manners(own_hosts=own, tries=tries, timeout_seconds=5))


def answering(status: str, body: bytes = b"", **fields: object) -> Callable[[Asked], None]:
    return lambda asked: asked.answer(status, body, **fields)


def test_our_own_group_of_rules_counts_and_else_that_of_all() -> None:
    rules = parse("User-agent: *\nDisallow: /all\n\nUser-agent: CorpusKit\nDisallow: /ours\nAllow: /ours/but\n")
    asked = ["/all", "/ours/x", "/ours/but"]
    assert [rules.can_fetch(f"http://a.example{path}", "corpuskit") for path in asked] == [True, False, True]
    assert [rules.can_fetch(f"http://a.example{path}", "other") for path in asked] == [False, True, True]


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "401 Unauthorized", "410 Gone"])
def test_a_site_without_rules_allows_everything(status: str, rude: ServeRude) -> None:
    server = rude(answering(status, b"User-agent: *\nDisallow: /\n"))
    assert read_rules(client(server), f"{server.url}/robots.txt").allows(f"{server.url}/x")


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Slow down", "507 Full"])
def test_rules_that_cannot_be_had_now_allow_nothing(status: str, rude: ServeRude) -> None:
    server = rude(answering(status))
    rules = read_rules(client(server), f"{server.url}/robots.txt")
    assert not rules.allows(f"{server.url}/x")
    assert status[:3] in str(rules.failure)


def test_rules_may_be_compressed_and_may_lie_behind_a_redirect(rude: ServeRude) -> None:
    def handler(asked: Asked) -> None:
        if asked.path == "/robots.txt":
            asked.answer("301 Moved", Location="/rules")
        else:
            asked.answer("200 OK", gzip.compress(b"\xef\xbb\xbfUser-agent: *\nDisallow: /x\n"), Content_Encoding="gzip")

    server = rude(handler)
    rules = read_rules(client(server), f"{server.url}/robots.txt")
    assert not rules.allows(f"{server.url}/x")
    assert rules.allows(f"{server.url}/y")


def test_rules_behind_endless_redirects_are_taken_for_none(rude: ServeRude) -> None:
    server = rude(answering("302 Found", Location="/robots.txt"))
    assert read_rules(client(server), f"{server.url}/robots.txt").allows(f"{server.url}/x")


def test_of_very_long_rules_the_first_500_kib_count(rude: ServeRude) -> None:
    body = b"User-agent: *\nDisallow: /first\n" + b"# padding\n" * (MAX_BYTES // 10) + b"Disallow: /last\n"
    server = rude(answering("200 OK", body))
    rules = read_rules(client(server), f"{server.url}/robots.txt")
    assert not rules.allows(f"{server.url}/first")
    assert rules.allows(f"{server.url}/last")


@pytest.mark.parametrize(("said", "seconds"), [("2.5", 2.5), ("600", 60.0), ("-1", 0.0), ("soon", 0.0), ("nan", 0.0)])
def test_a_crawl_delay_counts_up_to_a_minute(said: str, seconds: float, rude: ServeRude) -> None:
    server = rude(answering("200 OK", f"User-agent: *\nCrawl-delay: {said}\nDisallow:\n".encode()))
    assert read_rules(client(server), f"{server.url}/robots.txt").delay_seconds == seconds


def test_rules_that_a_limit_of_rate_keeps_back_say_try_later(rude: ServeRude, tmp_path: Path) -> None:
    server = rude(answering("429 Slow down"))
    crawl = crawled(tmp_path, listing(f"{server.url}/a"), server)
    assert [entry.outcome for entry in crawl.journal.entries()] == ["busy"]


# Pages into WARC


def test_pages_become_an_archive_that_extract_reads(nginx: Serve, corpuskit: Any, tmp_path: Path) -> None:
    server = nginx(site(tmp_path / "site", 3), more=TYPES)
    out, docs = tmp_path / "out", tmp_path / "docs"
    words = quick(server, write_list(tmp_path, *(f"{n}.html" for n in range(3))), out, "--license", "CC0-1.0")
    assert corpuskit(*words, "--source", "mine").code == 0
    assert corpuskit("verify", out).code == 0
    assert Checker(Namespace(inputs=[str(out / "urls-00000.warc.gz")], verbose=False)).process_all() == 0
    assert corpuskit("extract", out, docs).code == 0
    rows = load(docs).to_pylist()
    assert [row["title"] for row in rows] == ["Page 0", "Page 1", "Page 2"]
    assert [row["url"] for row in rows] == [f"{server.url}/{n}.html" for n in range(3)]
    assert {row["license"] for row in rows} == {"CC0-1.0"}
    assert {row["source"] for row in rows} == {"mine"}
    assert all(time.strptime(row["date"], "%Y-%m-%dT%H:%M:%SZ") for row in rows)
    assert ledger(corpuskit, docs)["dropped"] == {"not_a_response": 4}


def test_a_page_lies_where_the_table_says(nginx: Serve, corpuskit: Any, tmp_path: Path) -> None:
    server = nginx(site(tmp_path / "site", 2), more=TYPES)
    corpuskit(*quick(server, write_list(tmp_path, "0.html", "1.html"), tmp_path / "out"))
    row = told(tmp_path / "out")["1.html"]
    data = (tmp_path / "out" / row["file"]).read_bytes()[row["offset"] :]
    record = gzip.GzipFile(fileobj=io.BytesIO(data)).read(5_000)
    assert row["bytes"] == len(page("Page 1"))
    assert record.startswith(b"WARC/1.0\r\nWARC-Type: response\r\n")
    assert page("Page 1") in record


def test_every_line_is_accounted_for_with_its_reason(nginx: Serve, corpuskit: Any, tmp_path: Path) -> None:
    robots = "User-agent: corpuskit\nDisallow: /1.html\n"
    more = (
        f"{TYPES} rewrite ^/old$ /0.html permanent; rewrite ^/hidden$ /1.html redirect; rewrite ^/loop$ /loop redirect;"
    )
    server = nginx(site(tmp_path / "site", 2, robots), more=more)
    lines = [
        "0.html",
        "1.html",
        "old",
        "hidden",
        "none",
        "loop",
        "./0.html#top",
        "ftp://a.example/",
        "http://10.0.0.1/x",
    ]
    run = corpuskit(*quick(server, write_list(tmp_path, *lines), tmp_path / "out"))
    assert run.code == 0
    assert "2 of 9 URLs may not be asked: " in run.err
    assert "--base-url" in run.err
    assert ledger(corpuskit, tmp_path / "out") == {
        "in": 9,
        "kept": 2,
        "dropped": {"duplicate": 1, "http_status": 1, "robots_disallowed": 2},
        "errors": {"bad_url": 1, "forbidden": 2},
    }
    kept, dropped, errors = (told(tmp_path / "out", table) for table in ("visited", "dropped", "errors"))
    assert kept["old"]["final_url"] == f"{server.url}/0.html"
    assert dropped["none"]["status"] == 404
    assert dropped["hidden"]["drop_cause"] == f"redirects to {server.url}/1.html, which its site's robots.txt disallows"
    assert errors["x"]["drop_cause"].startswith("has the private address 10.0.0.1")
    assert errors["loop"]["drop_cause"] == "redirects more than 8 times"
    assert server.paths().count("/robots.txt") == 1
    assert "/1.html" not in server.paths()


def test_without_robots_no_rules_are_asked_for(nginx: Serve, corpuskit: Any, tmp_path: Path) -> None:
    server = nginx(site(tmp_path / "site", 1, "User-agent: *\nDisallow: /\n"), more=TYPES)
    corpuskit(*quick(server, write_list(tmp_path, "0.html"), tmp_path / "out", "--no-robots"))
    assert server.paths() == ["/0.html"]


def test_answers_in_every_coding_are_stored_so_that_they_can_be_read(
    rude: ServeRude, corpuskit: Any, tmp_path: Path
) -> None:
    def handler(asked: Asked) -> None:
        body = page(asked.path)
        if asked.path == "/robots.txt":
            asked.answer("404 Not Found")
        elif asked.path == "/chunked":
            asked.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
            asked.send(b"5\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n")
        elif asked.path == "/gzip":
            asked.answer("200 OK", gzip.compress(body), Content_Type="text/html", Content_Encoding="gzip")
        elif asked.path == "/close":
            asked.answer("200 OK", body, Content_Type="text/html", Content_Length=None)
        else:
            asked.answer("200 OK", body + b"x" * 5_000, Content_Type="text/html")

    out, docs = tmp_path / "out", tmp_path / "docs"
    words = quick(
        rude(handler), write_list(tmp_path, "chunked", "gzip", "close", "long"), out, "--max-body-bytes", 2_000
    )
    assert corpuskit(*words).code == 0
    assert Checker(Namespace(inputs=[str(out / "urls-00000.warc.gz")], verbose=False)).process_all() == 0
    corpuskit("extract", out, docs)
    rows = load(docs).to_pylist()
    assert [row["title"] for row in rows] == ["/chunked", "/gzip", "/close", "/long"]
    assert [row["extra"] for row in rows] == [None, None, None, '{"truncated":"length"}']


def test_addresses_that_fail_end_the_run_by_name_and_only_they_are_tried_again(
    rude: ServeRude, corpuskit: Any, tmp_path: Path
) -> None:
    broken = {"/cut", "/error"}

    def handler(asked: Asked) -> None:
        if asked.path == "/error" and asked.path in broken:
            asked.answer("500 Oops")
        elif asked.path == "/cut" and asked.path in broken:
            asked.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        elif asked.path != "/robots.txt":
            asked.answer("200 OK", page(asked.path), Content_Type="text/html")
        else:
            asked.answer("404 Not Found")

    server = rude(handler)
    words = quick(server, write_list(tmp_path, "a", "cut", "b", "error", "c"), tmp_path / "out")
    run = corpuskit(*words)
    assert run.code == 69
    assert f"2 of 5 URLs failed: {server.url}/cut (" in run.err
    assert f"{server.url}/error (status 500 Oops)" in run.err
    assert "--accept-failures" in run.err
    broken.discard("/cut")
    before = len(server.asked)
    assert corpuskit(*words).code == 69
    assert sorted(each.path for each in server.asked[before:]) == ["/cut", "/error", "/robots.txt"]
    assert corpuskit(*words, "--accept-failures").code == 0
    assert ledger(corpuskit, tmp_path / "out") == {"in": 5, "kept": 4, "dropped": {}, "errors": {"unreachable": 1}}
    assert list(told(tmp_path / "out")) == ["a", "cut", "b", "c"]
    assert Checker(Namespace(inputs=[str(tmp_path / "out" / "urls-00000.warc.gz")], verbose=False)).process_all() == 0
    assert told(tmp_path / "out", "errors")["error"]["drop_cause"] == "status 500 Oops"


def test_a_site_whose_rules_cannot_be_had_is_not_asked_for_pages(
    rude: ServeRude, corpuskit: Any, tmp_path: Path
) -> None:
    server = rude(answering("503 Busy"))
    words = quick(server, write_list(tmp_path, "a", "b"), tmp_path / "out")
    run = corpuskit(*words)
    assert run.code == 69
    assert f"{server.url}/a ({server.url}/robots.txt: status 503 Busy" in run.err
    assert [each.path for each in server.asked] == ["/robots.txt"]
    assert corpuskit(*words, "--accept-failures").code == 0
    assert ledger(corpuskit, tmp_path / "out")["errors"] == {"robots_unreachable": 2}


def test_failures_may_be_accepted_from_the_start(rude: ServeRude, corpuskit: Any, tmp_path: Path) -> None:
    server = rude(
        lambda asked: (
            asked.answer("200 OK" if asked.path in "/a/b" else "500 Oops", page(asked.path))
            if asked.path != "/robots.txt"
            else asked.answer("404 No")
        )
    )
    words = quick(server, write_list(tmp_path, "a", "broken", "b"), tmp_path / "out", "--accept-failures")
    assert corpuskit(*words).code == 0
    corpuskit("extract", tmp_path / "out", tmp_path / "docs")
    assert load(tmp_path / "docs").column("title").to_pylist() == ["/a", "/b"]


def test_a_host_that_limits_the_rate_is_left_alone_and_the_exit_says_try_later(
    rude: ServeRude, corpuskit: Any, tmp_path: Path
) -> None:
    server = rude(lambda asked: asked.answer("404 No" if asked.path == "/robots.txt" else "429 Too Many Requests"))
    words = quick(server, write_list(tmp_path, "a", "b", "c"), tmp_path / "out", "--connections", 1)
    run = corpuskit(*words)
    assert run.code == 75
    assert "3 of 3 URLs failed" in run.err
    assert [each.path for each in server.asked] == ["/robots.txt", "/a"]
    assert corpuskit(*words, "--accept-failures").code == 0
    assert ledger(corpuskit, tmp_path / "out")["errors"] == {"busy": 3}


def test_a_crawl_delay_lies_between_all_requests_to_a_site(rude: ServeRude, corpuskit: Any, tmp_path: Path) -> None:
    at: list[float] = []

    def handler(asked: Asked) -> None:
        at.append(time.monotonic())
        if asked.path == "/robots.txt":
            asked.answer("200 OK", b"User-agent: *\nCrawl-delay: 0.3\n")
        elif asked.path == "/moved":
            asked.answer("301 Moved", Location="/b")
        else:
            asked.answer("200 OK", page("x"), Content_Type="text/html")

    server = rude(handler)
    assert (
        corpuskit(*quick(server, write_list(tmp_path, "a", "moved", "c"), tmp_path / "out", "--connections", 4)).code
        == 0
    )
    assert len(at) == 5
    assert min(later - earlier for earlier, later in itertools.pairwise(at)) >= 0.25


def listing(*urls: str) -> pa.Table:
    return pa.table({"url": urls, "problem": pa.array([None] * len(urls), pa.string())})


def crawled(out: Path, table: pa.Table, *servers: Rude, max_bytes: int = 1 << 30) -> Crawl:
    files = WarcFiles(out, "urls", [], max_bytes=max_bytes)
    manner = Manner(gap_seconds=0.0)
    crawl = Crawl(client(*servers), table, files, out / "j.part.json", manner, lambda *_: None)
    crawl.run()
    return crawl


def test_the_rules_of_another_host_count_for_redirects_to_it(rude: ServeRude, tmp_path: Path) -> None:
    def strict(asked: Asked) -> None:
        asked.answer("200 OK", b"User-agent: *\nDisallow: /no\n" if asked.path == "/robots.txt" else page(asked.path))

    other = rude(strict)
    first = rude(
        lambda asked: asked.answer(
            "404 No" if asked.path == "/robots.txt" else "302 Found", Location=f"{other.url}{asked.path}"
        )
    )
    crawl = crawled(tmp_path, listing(f"{first.url}/yes", f"{first.url}/no"), first, other)
    assert [entry.outcome for entry in crawl.journal.entries()] == ["kept", "robots_disallowed"]
    assert sorted(each.path for each in other.asked) == ["/robots.txt", "/yes"]


@pytest.mark.parametrize(
    "location",
    [
        "http://",
        "http://[::1",
        "http://a b.example/",
        "http://a\xff.example/",
        "http://a..example/",
        "http://a.example:x/",
        "http://me:secret@a.example/",
        f"http://{'a' * 70}.example/",
        "http://%zz/",
        "ftp://a.example/",
        "mailto:x",
        "//",
        "\x00",
    ],
)
def test_a_redirect_to_what_is_no_address_is_told_and_stops_nothing(
    location: str, rude: ServeRude, tmp_path: Path
) -> None:
    def handler(asked: Asked) -> None:
        if asked.path == "/odd":
            asked.send(
                b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location.encode("latin-1") + b"\r\n\r\n"
            )
        else:
            asked.answer("404 No" if asked.path == "/robots.txt" else "200 OK", page(asked.path))

    server = rude(handler)
    crawl = crawled(tmp_path, listing(f"{server.url}/odd", f"{server.url}/b"), server)
    outcomes = [entry.outcome for entry in crawl.journal.entries()]
    assert outcomes[0] in ("forbidden", "http_status", "robots_unreachable", "unreachable")
    assert outcomes[1] == "kept"


def test_a_slow_host_does_not_hold_up_others_and_the_order_stays(rude: ServeRude, tmp_path: Path) -> None:
    asked_order: list[str] = []

    def handler(asked: Asked) -> None:
        if asked.path == "/slow":
            time.sleep(0.5)
        if asked.path != "/robots.txt":
            asked_order.append(asked.path)
        asked.answer("404 No" if asked.path == "/robots.txt" else "200 OK", page(asked.path))

    one, two = rude(handler), rude(handler)
    crawl = crawled(tmp_path, listing(f"{one.url}/slow", *(f"{two.url}/{n}" for n in range(5))), one, two)
    assert asked_order[-1] == "/slow"
    entries = list(crawl.journal.entries())
    assert [entry.row for entry in entries] == list(range(6))
    offsets = [entry.offset or 0 for entry in entries]
    assert offsets == sorted(offsets)


# Interruptions


@pytest.mark.parametrize(
    "torn", [b'{"row":1,"outc', b"not json\n", b'{"row":1,"outcome":"kept","file":"w","end":900}\n']
)
def test_a_journal_ends_before_a_line_that_does_not_hold(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    good = b'{"row":0,"outcome":"kept","file":"w","end":100}\n'
    path.write_bytes(good + torn)
    journal = Journal(path, lambda name, end: end <= 500)
    assert path.read_bytes() == good
    assert (journal.last, journal.place) == (0, ("w", 100))


def test_the_later_word_of_a_journal_on_an_address_holds(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", lambda name, end: True)
    for row, outcome in [(0, "kept"), (2, "unreachable"), (3, "busy"), (2, "kept"), (4, "kept"), (3, "unreachable")]:
        journal.add(Entry(row, outcome))
    journal.close()
    again = Journal(tmp_path / "j", lambda name, end: True)
    for each in (journal, again):
        assert [(entry.row, entry.outcome) for entry in each.entries()] == [
            (0, "kept"),
            (2, "kept"),
            (3, "unreachable"),
            (4, "kept"),
        ]
        assert list(each.failed) == [3]
        assert +each.counts == Counter(kept=3, unreachable=1)


def test_a_download_that_is_killed_again_and_again_asks_for_no_page_twice(
    nginx: Serve, corpuskit: Any, tmp_path: Path
) -> None:
    count = 300
    server = nginx(site(tmp_path / "site", count), more=TYPES)
    words = quick(server, write_list(tmp_path, *(f"{n}.html" for n in range(count))), tmp_path / "out")
    command = [sys.executable, "-m", "corpuskit", *map(str, words), "--gap-seconds", "0.004"]
    done: set[str] = set()
    for _ in range(4):
        server.forget()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        while len(server.paths()) < 50:
            assert process.poll() is None
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not done & set(server.paths())
        [journal] = tmp_path.glob("out/.work/*/step-1/out-00000.tmp/urls.journal.part.json")
        lines = journal.read_bytes().split(b"\n")[:-1]
        assert len(lines) > len(done)
        done = {f"/{json.loads(line)['row']}.html" for line in lines}
    server.forget()
    assert corpuskit(*words).code == 0
    assert {f"/{n}.html" for n in range(count)} - done <= set(server.paths())
    assert not done & set(server.paths())
    archive = tmp_path / "out" / "urls-00000.warc.gz"
    assert Checker(Namespace(inputs=[str(archive)], verbose=False)).process_all() == 0
    corpuskit("extract", tmp_path / "out", tmp_path / "docs")
    assert load(tmp_path / "docs").column("title").to_pylist() == [f"Page {n}" for n in range(count)]
    assert corpuskit("verify", tmp_path / "out").code == 0


@pytest.mark.parametrize("max_bytes", [1 << 30, 2_500])
def test_any_cut_of_what_an_attempt_left_is_mended_by_the_next(max_bytes: int, rude: ServeRude, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.answer("404 No" if asked.path == "/robots.txt" else "200 OK", page(asked.path)))
    table = listing(*(f"{server.url}/{n}" for n in range(12)))
    (tmp_path / "whole").mkdir()
    crawled(tmp_path / "whole", table, server, max_bytes=max_bytes)
    archives = sorted((tmp_path / "whole").glob("*.gz"))
    assert (len(archives) > 2) == (max_bytes == 2_500)
    journal = (tmp_path / "whole" / "j.part.json").read_bytes()
    random = Random(0)
    for attempt in range(12):
        out = tmp_path / str(attempt)
        out.mkdir()
        whole = random.randrange(len(archives))
        for path in archives[:whole]:
            shutil.copy(path, out)
        cut = archives[whole].read_bytes()
        (out / f"{archives[whole].name}.part").write_bytes(cut[: random.randrange(len(cut) + 1)])
        (out / "j.part.json").write_bytes(journal[: random.randrange(len(journal) + 1)])
        crawl = crawled(out, table, server, max_bytes=max_bytes)
        assert [(entry.row, entry.outcome) for entry in crawl.journal.entries()] == [(row, "kept") for row in range(12)]
        found: list[str | None] = []
        for path in sorted(out.glob("*.gz")):
            assert Checker(Namespace(inputs=[str(path)], verbose=False)).process_all() == 0
            with path.open("rb") as file:
                found += [record.rec_headers.get_header("WARC-Target-URI") for record in ArchiveIterator(file)]
        pages = Counter(url for url in found if url is not None)
        assert pages == Counter(dict.fromkeys(table.column("url").to_pylist(), 2))


# Files


def test_files_are_kept_as_they_are_under_names_of_their_own(nginx: Serve, corpuskit: Any, tmp_path: Path) -> None:
    root = site(tmp_path / "site", 0)
    (root / "a").mkdir()
    (root / "a" / "x.txt").write_text("one")
    (root / "x.txt").write_text("two")
    server = nginx(root, more=TYPES)
    digest = hashlib.sha256(b"two").hexdigest()
    lines = ["a/x.txt", f"{digest}  x.txt", "a/../x.txt", "no such:thing"]
    out = tmp_path / "out"
    words = [*quick(server, write_list(tmp_path, *lines), out, "--license", "CC0-1.0"), "--store", "files"]
    assert corpuskit(*words).code == 0
    assert (out / "x.txt").read_text() == "one"
    assert (out / "x-2.txt").read_text() == "two"
    assert ledger(corpuskit, out) == {"in": 4, "kept": 2, "dropped": {"duplicate": 1}, "errors": {"bad_url": 1}}
    assert [(row["file"], row["bytes"]) for row in load(out, "visited").to_pylist()] == [("x.txt", 3), ("x-2.txt", 3)]
    corpuskit("extract", out, tmp_path / "docs")
    assert {(row["text"], row["license"], row["source"]) for row in load(tmp_path / "docs").to_pylist()} == {
        ("one", "CC0-1.0", "urls"),
        ("two", "CC0-1.0", "urls"),
    }


def test_a_file_that_is_not_what_its_checksum_says_fails_the_run(nginx: Serve, corpuskit: Any, tmp_path: Path) -> None:
    root = site(tmp_path / "site", 0)
    (root / "x.txt").write_text("two")
    server = nginx(root)
    words = [*quick(server, write_list(tmp_path, f"{'0' * 64}  x.txt"), tmp_path / "out"), "--store", "files"]
    run = corpuskit(*words)
    assert run.code == 65
    assert f"{server.url}/x.txt" in run.err
    assert not (tmp_path / "out" / "x.txt").exists()


# Mistakes


def test_a_list_without_addresses_is_refused(corpuskit: Any, tmp_path: Path) -> None:
    run = corpuskit("download", "urls", tmp_path / "out", "--list", write_list(tmp_path, "", "# nothing"))
    assert run.code == 66
    assert "expected URLs, one a line, found none" in run.err


def test_a_list_of_which_no_line_can_be_fetched_is_refused_with_the_first_cause(corpuskit: Any, tmp_path: Path) -> None:
    run = corpuskit("download", "urls", tmp_path / "out", "--list", write_list(tmp_path, "# x", "a.html", "b.html"))
    assert run.code == 66
    assert "line 2 is no absolute address" in run.err
    assert "--base-url" in run.err


def test_a_folder_is_no_list(corpuskit: Any, tmp_path: Path) -> None:
    write_list(tmp_path, "http://a.example/")
    run = corpuskit("download", "urls", tmp_path.parent / "out", "--list", tmp_path)
    assert run.code == 66
    assert "found a folder" in run.err


def test_a_base_that_is_no_address_is_refused(corpuskit: Any, tmp_path: Path) -> None:
    words = ["--list", write_list(tmp_path, "a"), "--base-url", "ftp://a.example/"]
    run = corpuskit("download", "urls", tmp_path / "out", *words)
    assert run.code == 2
    assert "--base-url" in run.err
