"""Time all signals against datatrove's functions on the same words, and compare verdicts with datatrove's filters.

    python -m tests.bench.bench_signals [--documents 5000] [--rounds 3] [--seed 0]

Documents are real: Wikipedia's wikitext of 70 languages, WikiText-2 articles and paragraphs, books, sentences of 79
languages, the UDHR, WET records, and web pages as resiliparse extracts them. Needs datatrove and spacy, and the
development data. The same documents go through both in turns; rates are medians of one core. Every value is compared,
and so is every verdict of the filters as shipped, which part words with spaCy.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import lzma
import os
import random
import re
import statistics
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit.text import lines, presets
from corpuskit.text.signals import signals, words
from tests.test_signals import expected

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
WIKIS = ("enwiki-*.bz2", "ltgwiki-*.bz2", "*wiki-*.xz", "minidumps/*.bz2")


def documents() -> Iterator[tuple[str, str]]:
    """Give (kind, text)."""
    for pattern in WIKIS:
        for path in sorted((ROOT / "wikipedia").glob(pattern)):
            data = path.read_bytes()
            xml = (bz2.decompress if path.suffix == ".bz2" else lzma.decompress)(data).decode()
            yield from (("wiki", page) for page in re.findall(r"<text[^>]*>(.*?)</text>", xml, re.S))
    for name in ("train", "valid"):
        text = gzip.decompress((ROOT / f"lm/wikitext-2.{name}.txt.gz").read_bytes()).decode()
        yield from (("article", article) for article in re.split(r"\n(?= = [^=])", text))
        yield from (("paragraph", line) for line in text.split("\n")[::7] if len(line) > 200)
    for name in ("tinyshakespeare", "gutenberg-1342-pride-and-prejudice"):
        text = (ROOT / f"lm/{name}.txt").read_text(encoding="utf-8")
        yield from (("book", text[at : at + 4000]) for at in range(0, len(text), 4000))
    for path in sorted((ROOT / "langid/lingua-sentences").iterdir()):
        sentences = path.read_text(encoding="utf-8").split("\n")
        for at in range(0, len(sentences), 12):
            yield "sentences", (" " if at % 24 else "\n").join(sentences[at : at + 12])
    with zipfile.ZipFile(ROOT / "langid/udhr2.zip") as archive:
        for name in archive.namelist():
            yield "udhr", archive.read(name).decode()
    yield from pages()


def pages() -> Iterator[tuple[str, str]]:
    """Give the text of WET records and of HTML pages, whole and main content alone."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    for path in sorted((ROOT / "warc").glob("*.wet.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.conversion):
                yield "wet", record.reader.read().decode(errors="replace")
    for name in ("trafilatura-eval", "cleaneval-dev"):
        with tarfile.open(ROOT / f"html_gold/{name}.tar.xz") as archive:
            for member in archive:
                if member.name.endswith(".html"):
                    html = archive.extractfile(member).read().decode(errors="replace")  # type: ignore[union-attr]
                    yield "page", extract_plain_text(html, main_content=False)
                    yield "main text", extract_plain_text(html, main_content=True)


def filters() -> dict[str, tuple[Any, list[presets.Rule], lines.LineRules | None]]:
    """Give datatrove's filters as shipped, and our rules for each."""
    from datatrove.pipeline import filters as theirs

    rules = presets.PRESETS["fineweb"]
    quality = [rule for rule in rules if rule.reason.startswith("gopher") and not re.search("dup|gram", rule.reason)]
    return {
        "GopherQualityFilter": (theirs.GopherQualityFilter(), quality, None),
        "GopherRepetitionFilter": (
            theirs.GopherRepetitionFilter(),
            [rule for rule in presets.PRESETS["gopher"] if rule not in quality],
            None,
        ),
        "C4QualityFilter": (theirs.C4QualityFilter(), list(presets.PRESETS["c4"]), presets.LINES["c4"]),
        "FineWebQualityFilter": (
            theirs.FineWebQualityFilter(),
            [rule for rule in rules if rule.reason.startswith("fineweb")],
            None,
        ),
    }


def compare_verdicts(kinds: list[str], texts: list[str]) -> None:
    from datatrove.data import Document

    for name, (theirs, rules, line_rules) in filters().items():
        column = pa.array(texts, pa.large_string())
        edited = lines.edit_column(column, line_rules)[0] if line_rules else None
        reasons, details = presets.judge(signals(column, edited=edited), rules)
        agreed, different = 0, Counter[str]()
        for kind, text, reason, detail in zip(kinds, texts, reasons, details, strict=True):
            try:
                verdict = theirs.filter(Document(text=text, id=""))
            except ZeroDivisionError:  # no words or no lines
                verdict = (False, "division by zero")
            kept = verdict is True
            agreed += kept == (reason is None)
            if kept != (reason is None):
                different[f"{kind}: theirs {'keeps' if kept else verdict[1]}, ours {detail or 'keeps'}"] += 1
        print(f"{name}: {agreed / len(texts):.2%} of the verdicts agree", flush=True)
        for words_, count in different.most_common(6):
            print(f"    {count} x {words_}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    every = [(kind, text.encode(errors="replace").decode()) for kind, text in documents() if text.strip()]
    chosen = random.Random(asked.seed).sample(every, min(asked.documents, len(every)))
    kinds, texts = [kind for kind, _ in chosen], [text for _, text in chosen]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {size:.1f} MB: {dict(Counter(kinds))}")
    start = time.perf_counter()
    signals(pa.array(["compile"]))
    print(f"first call: {time.perf_counter() - start:.1f} s")
    timed_values(texts, size, asked.rounds)
    compare_verdicts(kinds, texts)


def timed_values(texts: list[str], size: float, rounds: int) -> None:
    column = pa.array(texts, pa.large_string())
    worst, ours, theirs = 0.0, [], []
    parts = [texts[at::rounds] for at in range(rounds)]  # datatrove sees every document once in all
    for part in parts:
        start = time.perf_counter()
        found = {name: values.to_pylist() for name, values in signals(column).items()}
        ours.append(size / (time.perf_counter() - start))
        parted = [words(text) for text in part]
        start = time.perf_counter()
        values = [expected(text, each) for text, each in zip(part, parted, strict=True)]
        theirs.append(sum(len(text.encode()) for text in part) / 1e6 / (time.perf_counter() - start))
        at = parts.index(part)
        for row, each in enumerate(values):
            worst = max(worst, *(abs(found[name][at + row * rounds] - value) for name, value in each.items()))
    print(f"signals: {statistics.median(ours):.1f} MB/s ({min(ours):.1f} to {max(ours):.1f})")
    print(f"datatrove's functions: {statistics.median(theirs):.2f} MB/s ({min(theirs):.2f} to {max(theirs):.2f})")
    print(f"ratio: {statistics.median(ours) / statistics.median(theirs):.1f}; largest difference: {worst:g}")


if __name__ == "__main__":
    main()
