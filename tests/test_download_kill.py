"""Downloads that are killed again and again end in the right bytes, go on where they were, and repeat nothing."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpuskit import dataset
from corpuskit.verify import problems
from tests.build import load
from tests.commoncrawl_tree import CRAWL, SEGMENT, Tree, page
from tests.servers import Request, Server
from tests.test_download_wikipedia import multistream, put_content, put_dump

#: How often each download is killed; more with the variable, for a closer look.
KILLS = int(os.environ.get("CORPUSKIT_KILLS", "6"))
_CHANCE = random.Random(11)


@dataclass(frozen=True)
class Case:
    """A download: its words, the bytes that it must leave by file name, and the documents in them."""

    words: list[str]
    files: dict[str, bytes]
    documents: int


def noise(size: int) -> str:
    """Give text that does not compress."""
    return _CHANCE.randbytes(size // 2).hex()


def wiki_pages(first: int, count: int) -> str:
    return "".join(
        f"<page><title>Page {id}</title><ns>0</ns><id>{id}</id><revision><timestamp>2026-08-30T10:00:00Z</timestamp>"
        f"<model>wikitext</model><text>A page. {noise(3_000)}</text></revision></page>\n"
        for id in range(first, first + count)
    )


def wiki_file(first: int, count: int) -> bytes:
    return bz2.compress(f"<mediawiki><siteinfo/>{wiki_pages(first, count)}</mediawiki>".encode(), 1)


def content(root: Path, url: str) -> Case:
    files = {f"simplewiki-2026-09-01-p{at}p{at + 199}.xml.bz2": wiki_file(at, 200) for at in (1, 201, 401)}
    put_content(root, "2026-09-01", files)
    return Case(["wikipedia", "--wiki", "simplewiki", "--base-url", url], files, 600)


def dump(root: Path, url: str) -> Case:
    stem = "simplewiki-20261001-pages-articles-multistream"
    files = {}
    for part, first in ((1, 1), (2, 201)):
        data, index = multistream(*range(first, first + 200))
        span = f"p{first}p{first + 199}"
        middle = bz2.compress(wiki_pages(1000 * part, 200).encode(), 1)
        at = len(data) - len(bz2.compress(b"</mediawiki>\n"))  # before the last stream
        files[f"{stem}{part}.xml-{span}.bz2"] = data[:at] + middle + data[at:]
        files[f"{stem}-index{part}.txt-{span}.bz2"] = index
    put_dump(root, "20261001", {"articlesmultistreamdump": ("done", files)})
    return Case(["wikipedia", "--wiki", "simplewiki", "--format", "dump", "--base-url", url], files, 800)


def warc(root: Path, url: str) -> Case:
    tree, files = Tree(root), {}
    for at in range(3):
        data = b"".join(page(f"https://h{at}.test/{n}", f"<p>{noise(3_000)}</p>") for n in range(200))
        files[f"CC-MAIN-{at:05d}.warc.gz"] = data
        tree.put(f"{SEGMENT}/warc/CC-MAIN-{at:05d}.warc.gz", data)
    tree.lists(f"crawl-data/{CRAWL}/warc.paths.gz", [f"{SEGMENT}/warc/{name}" for name in files])
    return Case(["commoncrawl", "--crawl", CRAWL, "--kind", "warc", "--base-url", url], files, 600)


def wet(root: Path, url: str) -> Case:
    tree, files = Tree(root), {}
    for at in range(3):
        records = []
        for n in range(200):
            text = noise(3_000)
            records.append(
                f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://h{at}.test/{n}\r\n"
                f"WARC-Date: 2026-05-20T01:02:03Z\r\nWARC-Record-ID: <urn:uuid:{at}-{n}>\r\n"
                f"Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n{text}\r\n\r\n"
            )
        files[f"CC-MAIN-{at:05d}.warc.wet.gz"] = b"".join(gzip.compress(each.encode(), mtime=0) for each in records)
        tree.put(f"{SEGMENT}/wet/CC-MAIN-{at:05d}.warc.wet.gz", files[f"CC-MAIN-{at:05d}.warc.wet.gz"])
    tree.lists(f"crawl-data/{CRAWL}/wet.paths.gz", [f"{SEGMENT}/wet/{name}" for name in files])
    return Case(["commoncrawl", "--crawl", CRAWL, "--kind", "wet", "--base-url", url], files, 600)


def query(root: Path, url: str) -> Case:
    tree = Tree(root)
    members = [page(f"https://wanted.test/{n:04d}", f"<p>{noise(6_000)}</p>") for n in range(400)]
    others = [page(f"https://other.test/{n:04d}", f"<p>{noise(500)}</p>") for n in range(400)]
    mixed = [each for pair in zip(members, others, strict=True) for each in pair]
    tree.archive("CC-MAIN-00000.warc.gz", b"".join(mixed))
    tree.index(block_lines=50, group_rows=100)
    words = ["commoncrawl", "--crawl", CRAWL, "--kind", "warc", "--host", "wanted.test", "--base-url", url]
    return Case(words, {"": b"".join(members)}, 400)


def files(root: Path, url: str) -> Case:
    made = {f"{name}.txt": noise(600_000).encode() for name in "abc"}
    for name, data in made.items():
        (root / name).write_bytes(data)
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in made.items()]
    (root.parent / "list").write_text("".join(lines))
    words = ["urls", "--list", str(root.parent / "list"), "--store", "files", "--base-url", url]
    return Case([*words, "--gap-seconds", "0"], made, 3)


def come(out: Path) -> int:
    """Tell how many bytes have come so far."""
    total = 0
    for path in out.glob(".work/*/step-1/out-*.tmp/*"):
        if not path.name.endswith(".json"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
    return total


def start(case: Case, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "corpuskit", "download", case.words[0], str(out), *case.words[1:]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_at(process: subprocess.Popen[str], out: Path, size: int, how: signal.Signals) -> bool:
    """Kill the process when so many bytes have come; False where it ended before."""
    while process.poll() is None:
        if come(out) >= size:
            process.send_signal(how)
            process.communicate(timeout=30)
            return True
        time.sleep(0.001)
    process.communicate()
    return False


def left(out: Path) -> dict[str, int]:
    """Give what is there after a kill: the sizes of parts by the name of the file, -1 for whole files."""
    found = {}
    for path in out.glob(".work/*/step-1/out-*.tmp/*"):
        if path.name.endswith(".part"):
            found[path.name.removesuffix(".part")] = path.stat().st_size
        elif not path.name.endswith(".json"):
            found[path.name] = -1
    return found


@pytest.mark.parametrize("site", [content, dump, warc, wet, query, files], ids=lambda site: site.__name__)
def test_a_download_that_is_killed_often_goes_on_and_ends_right(
    site: Callable[[Path, str], Case], nginx: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    server = nginx(tmp_path / "site", more="limit_rate 150k; limit_rate_after 1;")
    case = site(tmp_path / "site", server.url)
    out, chance = tmp_path / "out", random.Random(5)
    whole = sum(map(len, case.files.values()))
    points = sorted(chance.randrange(1, whole) for _ in range(KILLS))
    history: list[tuple[dict[str, int], list[Request]]] = []
    kills = 0
    for point in points:
        before = left(out)
        kills += killed_at(start(case, out), out, point, signal.SIGKILL)
        history.append((before, server.log()))
        server.forget()
    assert kills > KILLS // 2, "it ended before it could be killed"
    before, last = left(out), start(case, out)
    _, err = last.communicate(timeout=120)
    assert (last.returncode, err) == (0, "")
    history.append((before, server.log()))
    assert list(problems(str(out))) == []
    _holds(case, out)
    for before, log in history:
        _goes_on(before, log, case, out)


def _holds(case: Case, out: Path) -> None:
    if "" in case.files:  # the members of an index query, behind a record of our own
        (file,) = out.glob("*.warc.gz")
        assert file.read_bytes().endswith(case.files[""])
    else:
        manifest = dataset.read_manifest(str(out))
        assert {shard.file: shard.sha256 for shard in manifest.artifacts["dump"].shards} == {
            name: hashlib.sha256(data).hexdigest() for name, data in case.files.items()
        }
    docs = out.parent / "docs"
    command = [sys.executable, "-m", "corpuskit", "extract", str(out), str(docs), "--workers", "1"]
    subprocess.run(command, check=True, timeout=120)
    assert load(docs).num_rows == case.documents


def _goes_on(before: dict[str, int], log: list[Request], case: Case, out: Path) -> None:
    """Hold what a run asked for against what the one before had left."""
    asked: dict[str, list[int]] = defaultdict(list)
    for request in log:
        found = re.match(r"bytes=(\d+)-", request.range)
        asked[request.path.rpartition("/")[2]].append(int(found[1]) if found else 0)
    if "" in case.files:
        for name, size in before.items():
            assert size > 0
            done = size - ((out / name).stat().st_size - len(case.files[""]))  # without the record of our own
            # Records come side by side: a few of those before the last one may still have been on their way.
            early = [offset for offset in asked["CC-MAIN-00000.warc.gz"] if _end(offset, case, out) <= done]
            assert len(early) <= 16, (name, size, done, len(early), len(asked["CC-MAIN-00000.warc.gz"]))
        return
    for name, size in before.items():
        if size < 0:
            assert name not in asked, f"{name} was verified, and asked for again"
        elif name in asked:
            assert asked[name] == [size], f"{name} was not gone on with from {size}"


def _end(offset: int, case: Case, out: Path) -> int:
    """Tell where the member at this offset of the archive ends in the file of the query."""
    archive = next((out.parent / "site").rglob("CC-MAIN-00000.warc.gz")).read_bytes()
    inflater = zlib.decompressobj(31)
    inflater.decompress(archive[offset:])
    member = archive[offset : len(archive) - len(inflater.unused_data)]
    return case.files[""].index(member) + len(member)


def test_sigterm_leaves_a_state_that_the_next_run_goes_on_from(nginx: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    server = nginx(tmp_path / "site", more="limit_rate 150k; limit_rate_after 1;")
    case = content(tmp_path / "site", server.url)
    process = start(case, tmp_path / "out")
    assert killed_at(process, tmp_path / "out", 350_000, signal.SIGTERM)
    assert process.returncode == 143
    last = start(case, tmp_path / "out")
    assert last.communicate(timeout=60) == ("", "")
    _holds(case, tmp_path / "out")
    assert any(request.status == 206 for request in server.log())


def test_two_runs_of_one_download_do_not_meet(nginx: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    server = nginx(tmp_path / "site", more="limit_rate 100k; limit_rate_after 1;")
    case = content(tmp_path / "site", server.url)
    first = start(case, tmp_path / "out")
    while come(tmp_path / "out") == 0 and first.poll() is None:
        time.sleep(0.01)
    second = start(case, tmp_path / "out")
    _, err = second.communicate(timeout=60)
    first.kill()
    first.communicate()
    assert second.returncode == 75
    assert "another run works in this folder" in err
