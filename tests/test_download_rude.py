"""Servers that misbehave: every download ends in the right bytes, or in a non-zero exit that names URL and cause."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import json
import os
import pty
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commoncrawl_tree import CRAWL, SEGMENT, Tree, page
from tests.conftest import Result
from tests.servers import Asked, Rude
from tests.test_download_wikipedia import put_content

Run = Callable[..., Result]
Serve = Callable[[Callable[[Asked], None]], Rude]
Misbehave = Callable[[Asked, bytes], None]

_QUICK = ["--timeout-seconds", 1, "--tries", 3]
_WIKI = "simplewiki-2026-09-01-p1p9.xml.bz2"
_WARC = "CC-MAIN-00000.warc.gz"
_TEXT = random.Random(1).randbytes(100_000).hex()
_DUMP = bz2.compress(
    f"<mediawiki><siteinfo/><page><title>A</title><ns>0</ns><id>1</id><revision><text>{_TEXT}</text></revision></page>"
    "</mediawiki>".encode()
)
_ARCHIVE = b"".join(page(f"https://a.test/{at}", _TEXT[at * 9000 : at * 9000 + 9000]) for at in range(20))


def well(asked: Asked, data: bytes) -> None:
    asked.rest(data, f'"{hashlib.md5(data).hexdigest()}"')


def cuts(asked: Asked, data: bytes) -> None:
    at = asked.offset()
    stop = at + 40_000 if asked.number < 2 else len(data)
    span = f"Content-Range: bytes {at}-{len(data) - 1}/{len(data)}\r\n" if at else ""
    asked.send(f'HTTP/1.1 {206 if at else 200} OK\r\nContent-Length: {len(data) - at}\r\nETag: "1"\r\n{span}\r\n')
    asked.send(data[at:stop])


def cuts_for_ever(asked: Asked, data: bytes) -> None:
    asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n")
    asked.send(data[:1000])


def busy_at_first(asked: Asked, data: bytes) -> None:
    if asked.number == 0:
        asked.answer("503 Slow Down", b"later", Retry_After="1")
    else:
        well(asked, data)


def busy(asked: Asked, data: bytes) -> None:
    asked.answer("503 Slow Down", b"later", Retry_After="0")


def forbidden(asked: Asked, data: bytes) -> None:
    asked.answer("403 Forbidden", Retry_After="0")


def too_many(asked: Asked, data: bytes) -> None:
    asked.answer("429 Too Many Requests", Retry_After="0")


def changes(asked: Asked, data: bytes) -> None:
    if asked.number == 0:
        asked.send(f'HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nETag: "old"\r\n\r\n')
        asked.send(bytes(40_000))
    else:
        asked.answer("200 OK", data, ETag='"new"')


def announces_more(asked: Asked, data: bytes) -> None:
    asked.answer("200 OK", data, Content_Length=len(data) + 10)


def announces_less(asked: Asked, data: bytes) -> None:
    asked.answer("200 OK", data, Content_Length=len(data) - 10)


def other_bytes(asked: Asked, data: bytes) -> None:
    asked.answer("200 OK", data[:-50] + bytes(50))


def redirects(asked: Asked, data: bytes) -> None:
    asked.answer("302 Found", Location=asked.path + "x")


def redirects_away(asked: Asked, data: bytes) -> None:
    asked.answer("302 Found", Location=f"http://localhost:{asked.wire.getsockname()[1]}/elsewhere")


def drips(asked: Asked, data: bytes) -> None:
    asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n")
    for at in range(200):
        asked.send(data[at : at + 1])
        time.sleep(0.05)


def is_silent(asked: Asked, data: bytes) -> None:
    threading.Event().wait(5)


def hangs_up(asked: Asked, data: bytes) -> None:
    return


MEND = [well, cuts, busy_at_first, changes]
FAIL: list[tuple[Misbehave, set[int], str]] = [
    (cuts_for_ever, {69}, "connection was cut"),
    (busy, {69}, "status 503 Slow Down"),
    (forbidden, {69, 75}, "status 403 Forbidden"),
    (too_many, {75}, "status 429 Too Many Requests"),
    (announces_more, {65, 69}, ""),
    (announces_less, {65, 69}, ""),
    (other_bytes, {65}, ""),
    (redirects, {69}, "redirects more than 8 times"),
    (redirects_away, {69}, "redirects to http://localhost:"),
    (drips, {69}, "bytes in"),
    (is_silent, {69}, "silence"),
    (hangs_up, {69}, "connection was cut"),
]


def wikipedia(root: Path) -> tuple[list[Any], str, bytes]:
    put_content(root, "2026-09-01", {_WIKI: _DUMP})
    return ["wikipedia", "--wiki", "simplewiki"], _WIKI, _DUMP


def commoncrawl(root: Path) -> tuple[list[Any], str, bytes]:
    tree = Tree(root)
    tree.put(f"{SEGMENT}/warc/{_WARC}", _ARCHIVE)
    tree.lists(f"crawl-data/{CRAWL}/warc.paths.gz", [f"{SEGMENT}/warc/{_WARC}"])
    return ["commoncrawl", "--crawl", CRAWL, "--kind", "warc"], _WARC, _ARCHIVE


def files(root: Path) -> tuple[list[Any], str, bytes]:
    (root / "x.bin").write_bytes(_DUMP)
    (root.parent / "list").write_text(f"{hashlib.sha256(_DUMP).hexdigest()}  x.bin\n")
    return ["urls", "--list", root.parent / "list", "--store", "files", "--gap-seconds", 0], "x.bin", _DUMP


SITES = [wikipedia, commoncrawl, files]


def download(
    site: Callable[[Path], tuple[list[Any], str, bytes]],
    misbehave: Misbehave,
    rude: Serve,
    run: Run,
    tmp_path: Path,
) -> tuple[Result, bytes, Rude, str]:
    root = tmp_path / "site"
    root.mkdir()
    words, name, data = site(root)

    def handler(asked: Asked) -> None:
        path = root / asked.path.lstrip("/")
        if name in asked.path:
            misbehave(asked, data)
        elif path.is_dir():
            body = "".join(f'<a href="{each.name}/">{each.name}/</a>\n' for each in sorted(path.iterdir()))
            asked.answer("200 OK", body.encode())
        elif path.is_file():
            asked.answer("200 OK", path.read_bytes())
        else:
            asked.answer("404 Not Found")

    server = rude(handler)
    base = ["--base-url", server.url]
    return run("download", words[0], tmp_path / "out", *words[1:], *base, *_QUICK), data, server, name


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.__name__)
@pytest.mark.parametrize("misbehave", MEND, ids=lambda misbehave: misbehave.__name__)
def test_what_can_be_mended_ends_in_the_right_bytes(
    site: Any, misbehave: Misbehave, rude: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    result, data, _, name = download(site, misbehave, rude, corpuskit, tmp_path)
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "out" / name).read_bytes() == data


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.__name__)
@pytest.mark.parametrize(("misbehave", "codes", "cause"), FAIL, ids=[each[0].__name__ for each in FAIL])
def test_what_cannot_be_mended_names_the_url_and_the_cause(
    site: Any, misbehave: Misbehave, codes: set[int], cause: str, rude: Serve, corpuskit: Run, tmp_path: Path
) -> None:
    start = time.monotonic()
    result, _, server, name = download(site, misbehave, rude, corpuskit, tmp_path)
    assert time.monotonic() - start < 30
    assert result.code in codes
    assert result.err.count("\n") == 1
    assert cause in result.err
    assert server.url in result.err
    assert name in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list((tmp_path / "out").rglob(name)), "a wrong file under a final name"


def test_an_archive_with_a_broken_member_is_no_file(rude: Serve, corpuskit: Run, tmp_path: Path) -> None:
    def broken(asked: Asked, data: bytes) -> None:
        members = data[:-2000] + gzip.compress(b"no record")
        asked.answer("200 OK", members)

    result, _, _, name = download(commoncrawl, broken, rude, corpuskit, tmp_path)
    assert result.code == 65
    assert name in result.err


def test_a_download_is_no_stream(corpuskit: Run, tmp_path: Path) -> None:
    result = corpuskit("download", "wikipedia", "-", "--wiki", "simplewiki", "--base-url", "http://127.0.0.1:1")
    assert result.code == 2
    assert "writes files, not rows" in result.err


def test_events_come_on_stdout_and_the_summary_last(rude: Serve, corpuskit: Run, tmp_path: Path) -> None:
    def with_json(*words: Any) -> Result:
        return corpuskit(*words, "--json")

    result, data, _, name = download(wikipedia, cuts, rude, with_json, tmp_path)
    assert result.code == 0
    told = [json.loads(line) for line in result.out.splitlines()]
    names = [each.get("event") for each in told]
    assert [each for each in names if each != "progress"] == [
        "found",
        "retry",
        "resume",
        "retry",
        "resume",
        "fetched",
        None,
    ]
    assert told[-1]["stage"] == "download wikipedia"
    assert told[-1]["bytes"] == len(data)
    assert next(each for each in told if each.get("event") == "fetched")["file"] == name


def test_a_status_line_tells_rate_and_time_left_on_a_terminal(rude: Serve, tmp_path: Path) -> None:
    def slowly(asked: Asked, data: bytes) -> None:
        asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n")
        for at in range(0, len(data), len(data) // 8):
            asked.send(data[at : at + len(data) // 8])
            time.sleep(0.25)

    def on_terminal(*words: Any) -> Result:
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "corpuskit", *map(str, words)]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        with subprocess.Popen(command, stderr=follower, stdout=subprocess.DEVNULL, env=environment) as process:
            os.close(follower)
            shown = b""
            with contextlib.suppress(OSError):  # how a terminal ends
                while piece := os.read(leader, 4096):
                    shown += piece
        os.close(leader)
        return Result(process.returncode, "", shown.decode())

    result, data, _, _ = download(wikipedia, slowly, rude, on_terminal, tmp_path)
    assert result.code == 0
    assert re.search(rf"download: [\d.]+ [kM]?B of {len(data) / 1000:.1f} kB, [\d.]+ [kM]?B/s, \d+ s left", result.err)
