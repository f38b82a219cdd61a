"""Time rendering of wikitext, and compare it with WikiExtractor's Extractor on the same pages in the same run.

    python -m tests.bench.bench_wikitext [--rounds 3] [--wikiextractor DIRECTORY]

Pages of namespace 0 of the development data, megabytes of wikitext a CPU second, medians. WikiExtractor 3.1.0 (pip) is
taken from the environment or from the folder given (its `site-packages`); without it only our own speed is printed.
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
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpuskit.formats.mediawiki import Page, PageReader
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wikiextractor", help="the site-packages folder that holds it")
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


if __name__ == "__main__":
    main()
