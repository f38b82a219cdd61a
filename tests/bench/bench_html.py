"""Measure the main text of HTML pages against gold that others made, and the pages per second on one core.

    python -m tests.bench.bench_html [--rounds 3] [--only NAME ...]

Segments: 990 pages of Trafilatura's evaluation, each with segments that its main text must have and must not have,
counted over all pages as Trafilatura's own evaluation counts them. Tokens: the 58 English pages of the CleanEval
development set; words of the page's text and of the gold text without its marks, as multisets, mean over pages.
Pages are decoded before; the clock sees what each extractor does with a string. Rounds go through all extractors in
turns, the rate is the median over rounds. An extractor that raises gives an empty text and is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import statistics
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "html_gold"
Extractor = Callable[[str], str]


@dataclass(frozen=True)
class Page:
    """One page: its HTML and its gold, either segments or a text."""

    html: str
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    gold: str = ""


@dataclass
class Result:
    """What one extractor did with one set of pages."""

    texts: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    raised: int = 0


def members(archive: str) -> dict[str, bytes]:
    with tarfile.open(ROOT / archive) as tar:
        files = [member for member in tar if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in files}  # type: ignore[union-attr]


def segment_pages() -> list[Page]:
    from corpuskit.text.charset import decode

    files = members("trafilatura-eval.tar.xz")
    known = json.loads(files["tests/evaldata.json"])
    pages = []
    for about in known.values():
        name = next(
            f"tests/{folder}/{about['file']}"
            for folder in ("eval", "cache")
            if f"tests/{folder}/{about['file']}" in files
        )
        html = decode(files[name], html=True).text
        pages.append(Page(html, tuple(about.get("with", ())), tuple(about.get("without", ()))))
    return pages


def token_pages() -> list[Page]:
    from corpuskit.text.charset import decode

    files = members("cleaneval-dev.tar.xz")
    pages = []
    for name in sorted(name for name in files if name.endswith(".txt")):
        gold = files[name].decode("utf-8", "replace")
        gold = re.sub(r"^\s*URL:.*", "", gold, count=1)
        gold = re.sub(r"<[hpl]>", " ", gold, flags=re.I)
        html = decode(files[name.replace("GoldStandard", "input").replace(".txt", ".html")], html=True).text
        pages.append(Page(html, gold=gold))
    return pages


def extractors() -> Iterator[tuple[str, Extractor]]:
    from resiliparse.extract.html2text import extract_plain_text

    from corpuskit.text.html import html_to_text

    yield "ours (default)", lambda html: html_to_text(html).text
    yield "resiliparse", lambda html: extract_plain_text(html, main_content=True)
    yield "resiliparse, formatted", lambda html: extract_plain_text(html, preserve_formatting=True, main_content=True)
    try:
        import trafilatura
    except ImportError:
        print("trafilatura is not installed: left out")
        return
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    yield "ours, trafilatura", lambda html: html_to_text(html, "trafilatura").text
    yield "trafilatura, fast", lambda html: trafilatura.extract(html, fast=True, include_comments=False) or ""
    yield "trafilatura", lambda html: trafilatura.extract(html, include_comments=False) or ""


def run(extract: Extractor, pages: list[Page], result: Result) -> None:
    texts, raised = [], 0
    with contextlib.suppress(Exception):
        extract(pages[0].html)  # what is imported and compiled at the first call is no page's
    start = time.process_time()
    for page in pages:
        try:
            texts.append(extract(page.html))
        except Exception:
            texts.append("")
            raised += 1
    result.seconds.append(time.process_time() - start)
    result.texts, result.raised = texts, raised


def by_segments(texts: list[str], pages: list[Page]) -> tuple[float, float, float]:
    found = wrong = wanted = 0
    for text, page in zip(texts, pages, strict=True):
        found += sum(segment in text for segment in page.must)
        wanted += len(page.must)
        wrong += sum(segment in text for segment in page.must_not)
    precision, recall = found / max(1, found + wrong), found / max(1, wanted)
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def by_tokens(texts: list[str], pages: list[Page]) -> tuple[float, float, float]:
    scores = []
    for text, page in zip(texts, pages, strict=True):
        got, gold = (Counter(re.findall(r"\w+", one)) for one in (text, page.gold))
        both = (got & gold).total()
        precision, recall = both / max(1, got.total()), both / max(1, gold.total())
        scores.append((precision, recall, 2 * precision * recall / max(1e-9, precision + recall)))
    return tuple(statistics.mean(column) for column in zip(*scores, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of extractors")
    options = parser.parse_args()
    chosen = {name: extract for name, extract in extractors() if not options.only or name in options.only}
    measures: list[tuple[str, list[Page], Any]] = [
        ("segments", segment_pages(), by_segments),
        ("tokens", token_pages(), by_tokens),
    ]
    f1: dict[tuple[str, str], float] = {}
    rate: dict[tuple[str, str], float] = {}
    for title, pages, measure in measures:
        megabytes = sum(len(page.html) for page in pages) / 1e6
        print(f"{title}: {len(pages)} pages, {megabytes:.1f} million characters (load {os.getloadavg()[0]:.2f})")
        results = {name: Result() for name in chosen}
        for _ in range(options.rounds):
            for name, extract in chosen.items():
                run(extract, pages, results[name])
        for name, result in results.items():
            precision, recall, f1[title, name] = measure(result.texts, pages)
            rate[title, name] = len(pages) / statistics.median(result.seconds)
            print(
                f"  {name:24} P {precision:.4f}  R {recall:.4f}  F1 {f1[title, name]:.4f}"
                f"  {rate[title, name]:7.0f} pages/s  {result.raised} raised",
                flush=True,
            )
    ours, library = "ours (default)", "resiliparse, formatted"
    if ours in chosen and library in chosen:
        reached = all(f1[title, ours] >= max(f1[title, library], f1[title, "resiliparse"]) for title, _, _ in measures)
        fast = all(rate[title, ours] >= 400 for title, _, _ in measures)
        print(f"the F1 of its library: {reached}; 400 pages a second: {fast}")
        sys.exit(not (reached and fast))


if __name__ == "__main__":
    main()
