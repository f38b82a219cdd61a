"""Time rendering of wikitext and the reading of a dump.

    python -m tests.bench.bench_wikitext [--rounds 3] [--wikiextractor DIRECTORY] [--megabytes 100]

Rendering is compared with WikiExtractor's Extractor on the same pages in the same run. Pages of namespace 0 of the
development data, megabytes of wikitext a CPU second, medians. WikiExtractor 3.1.0 (pip) is taken from the environment
or from the folder given (its `site-packages`); without it only our own speed is printed.

The dump is one bz2 stream of --megabytes of XML, pages of enwiki and ukwiki, several times over. In turns: what
decompressing it alone takes, by Python's bz2; reading its pages; the whole of `extract`, with one worker, in this
process (start and compilation left out, rendering and writing included). Seconds of the clock.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import importlib
import io
import logging
import lzma
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpuskit.__main__ import main as run_command
from corpuskit.formats.mediawiki import Page, PageReader
from corpuskit.formats.opening import open_bytes
from corpuskit.text.wikitext import Site, wikitext_to_text
from tests.build import Whole

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "wikipedia"
SOURCES = {
    "en": "enwiki-pages-articles1-p10p30302-shortened.xml.bz2",
    "ltg": "ltgwiki-pages-articles.xml.bz2",
    "uk": "ukwiki-20230501-truncated-100k.xml.xz",
    "vi": "viwiki-20230501-truncated-100k.xml.xz",
}


def pages_of(name: str) -> tuple[list[Page], Site, float]:
    """Give the articles, their site, and the seconds that decompression took."""
    raw = (ROOT / name).read_bytes()
    start = time.process_time()
    data = bz2.decompress(raw) if name.endswith("bz2") else lzma.decompress(raw)
    seconds = time.process_time() - start
    reader = PageReader(Whole(data), 1 << 26)  # type: ignore[arg-type]
    pages = [each for each in reader if isinstance(each, Page)]
    pages = [page for page in pages if page.namespace == "0" and not page.redirect]
    return pages, Site(reader.head.site.get("language", ""), reader.head.namespaces), seconds


def peer(folder: str | None) -> Callable[[Page], Any] | None:
    if folder:
        sys.path.append(folder)
    try:
        extract = importlib.import_module("wikiextractor.extract")
    except ImportError:
        return None
    logging.disable(logging.CRITICAL)

    def run(page: Page) -> Any:
        extractor = extract.Extractor(page.id, "1", "", page.title, [page.text])
        with contextlib.redirect_stdout(io.StringIO()):
            return extractor.clean_text(page.text)

    return run


def seconds(run: Callable[[Page], Any], pages: list[Page]) -> float:
    start = time.process_time()
    for page in pages:
        run(page)
    return time.process_time() - start


def dump(folder: Path, megabytes: float) -> tuple[Path, float]:
    """Write a dump of one stream; give it and its megabytes of XML."""
    en = bz2.decompress((ROOT / SOURCES["en"]).read_bytes())
    uk = lzma.decompress((ROOT / SOURCES["uk"]).read_bytes())
    pages = b"\n".join(page for xml in (en, uk) for page in re.findall(rb"<page>.*?</page>", xml, re.DOTALL))
    times = max(1, round(megabytes * 1e6 / len(pages)))
    xml = en[: en.index(b"<page>")] + pages * times + b"\n</mediawiki>\n"
    (folder / "dump.xml.bz2").write_bytes(bz2.compress(xml))
    return folder / "dump.xml.bz2", len(xml) / 1e6


def rates(rounds: int, megabytes: float) -> None:
    """Print how fast a dump is decompressed, read and extracted."""
    with tempfile.TemporaryDirectory() as scratch:
        file, size = dump(Path(scratch), megabytes)

        def unpacked() -> None:
            member = bz2.BZ2Decompressor()
            with file.open("rb") as raw:
                while data := raw.read(1 << 18):
                    member.decompress(data)

        def pages() -> None:
            with open_bytes(file) as stream:
                for _ in PageReader(stream, 1 << 26):
                    pass

        def extracted() -> None:
            out = str(Path(scratch) / "out")
            shutil.rmtree(out, ignore_errors=True)
            assert run_command(["--quiet", "extract", str(file), out, "--workers", "1"]) == 0

        ways = {"decompressed alone": unpacked, "pages read": pages, "extract": extracted}
        extracted()
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                found[name].append(time.perf_counter() - start)
    alone = found["decompressed alone"]
    print(f"a dump of {size:.0f} MB of XML, one bz2 stream (load {os.getloadavg()[0]:.2f})")
    for name, each in found.items():
        shares = [least / took for least, took in zip(alone, each, strict=True)]
        span = f"{min(shares):.2f} to {max(shares):.2f}"
        print(f"{name:20} {size / statistics.median(each):5.1f} MB/s, {statistics.median(shares):.2f} ({span})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wikiextractor", help="the site-packages folder that holds it")
    parser.add_argument("--megabytes", type=float, default=100, help="the size of the dump that is read")
    options = parser.parse_args()
    other = peer(options.wikiextractor)
    start = time.perf_counter()
    wikitext_to_text("a")
    print(f"first call: {time.perf_counter() - start:.2f} s (load {os.getloadavg()[0]:.2f})")
    for wiki, name in SOURCES.items():
        pages, site, unpacking = pages_of(name)
        size = sum(len(page.text.encode()) for page in pages) / 1e6

        def run(page: Page, site: Site = site) -> str:
            return wikitext_to_text(page.text, site, page.title)

        seconds(run, pages[:5])
        ours = statistics.median(seconds(run, pages) for _ in range(options.rounds))
        line = f"{wiki:4} {len(pages):4} pages {size:6.2f} MB: {size / ours:6.1f} MB/s, unpacking {unpacking:.2f} s"
        if other:
            theirs = statistics.median(seconds(other, pages) for _ in range(options.rounds))
            line += f"; WikiExtractor {size / theirs:5.1f} MB/s, ratio {theirs / ours:.1f}"
        print(line, flush=True)
    rates(options.rounds, options.megabytes)


if __name__ == "__main__":
    main()
