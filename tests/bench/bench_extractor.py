"""Measure extractors of main text: gold of others, teachers by kind of page, speed from bytes.

    python -m tests.bench.bench_extractor PARTS... [--tables DIRECTORY] [--rounds 3] [--json FILE]

`segments`: three folds by host over the 990 pages of Trafilatura's evaluation. Each fold's model is trained on the
    pages of other hosts, with the command that anyone trains with; libraries see the same pages. Precision, recall and
    F1 of segments as Trafilatura's own evaluation counts them.
`cleaneval`: the 58 pages of the CleanEval development set: words as multisets, and shingles of four words.
`heldout`: the tables in DIRECTORY/heldout that no training sees, one line each: against the gold text where the table
    has one, else against the teachers.
`kinds`: the same pages by kind: share of the page's text that is kept, and agreement with the teachers (F1 of shingles
    of four words, mean over the teachers that found any text, mean over pages).
`speed`: pages of some 31 KB and of 150 KB or more as UTF-8 bytes, with one thread, with two, and with two processes
    that know nothing of each other, in turns: what the processes gain is what the cores have to give. And the seconds
    to the first page of a new process.

Tables are made by tests/bench/extractor_pages.py.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import bench_html

Extract = Callable[[bytes], str]
TEACHERS = ("trafilatura_fast", "trafilatura", "readability")
#: Words; signs of scripts that write no spaces count one by one.
_TOKENS = re.compile(r"[\u0e00-\u0e7f\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0e7f\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]+")  # fmt: skip  # noqa: E501
_WHITE = re.compile(r"\s+")
_FOLDS = 3
_TIMED_BYTES = 128e6  # at least, by passes over the pages
_FIRST_PAGE = "import sys; from corpuskit.text.html import html_to_text; html_to_text(open(sys.argv[1]).read())"


@dataclass(frozen=True)
class Score:
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / max(1e-9, self.precision + self.recall)


@dataclass
class Report:
    """What was measured, printed as it comes."""

    rounds: int = 3
    lines: list[dict[str, Any]] = field(default_factory=list)

    def line(self, about: str, name: str, **figures: float) -> None:
        self.lines.append({"about": about, "name": name, **figures})
        shown = "  ".join(
            f"{key} {value:.0f}" if value >= 10 or key == "pages" else f"{key} {value:.4f}"
            for key, value in figures.items()
        )
        print(f"  {about:36} {name:20} {shown}", flush=True)


def shingles(text: str, size: int = 4) -> Counter[tuple[str, ...]]:
    words = _TOKENS.findall(text.lower())
    if len(words) < size:
        return Counter([tuple(words)]) if words else Counter()
    return Counter(zip(*(words[at:] for at in range(size)), strict=False))


def overlap(text: str, gold: str, prefix: bool = False) -> Score:
    """Compare shingles as multisets; two empty texts are equal. A `prefix` of the gold says nothing of what follows."""
    got, wanted = shingles(text), shingles(gold)
    if not got and not wanted:
        return Score(1.0, 1.0)
    both = (got & wanted).total()
    recall = both / max(1, wanted.total())
    return Score(1.0 if prefix else both / max(1, got.total()), recall)


def libraries() -> dict[str, Extract]:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    found: dict[str, Extract] = {
        "resiliparse": lambda page: extract_plain_text(
            HTMLTree.parse_from_bytes(page, "utf-8"), preserve_formatting=True, main_content=True, list_bullets=True,
            alt_texts=False, links=False, form_fields=False, noscript=False, comments=False,
        ),
    }  # fmt: skip
    try:
        import trafilatura
    except ImportError:
        print("trafilatura is not installed: left out")
        return found
    logging.disable(logging.CRITICAL)
    found["trafilatura, fast"] = lambda page: trafilatura.extract(_text(page), fast=True, include_comments=False) or ""
    found["trafilatura"] = lambda page: trafilatura.extract(_text(page), include_comments=False) or ""
    return found


def _text(page: bytes) -> str:
    return page.decode("utf-8", "replace")


def safe(extract: Extract, page: bytes) -> str:
    """Give what a library finds; it may raise, ours may not."""
    if not getattr(extract, "may_raise", True):
        return extract(page)
    try:
        return extract(page)
    except Exception:  # a library's; an extractor that raises gives an empty text
        return ""


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    return {path.stem: pq.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))}


# --- ours


def ours(model: Any = None) -> Extract:
    """Give our extractor, with the model that is shipped or another."""
    from corpuskit.text.html import extraction, html_to_text

    known = None if model is None else extraction.known(model)

    def extract(page: bytes) -> str:
        return html_to_text(page).text if known is None else extraction.extract(page, known).text

    extract.may_raise = False  # type: ignore[attr-defined]
    return extract


def trained(pages: Sequence[Any], seed: int = 0) -> Any:
    """Train a model as the training command does, through its file."""
    import tempfile

    from corpuskit.text.html import model, training

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.npz"
        model.save(file, *training.train(pages, seed))
        return model.load(file)


# --- parts


def segments(tables: Path, report: Report) -> None:
    from corpuskit.text.html import training

    rows = read(tables / "train")
    judged = rows["trafilatura_eval"]
    pages = list(training.prepared(row for table in rows.values() for row in table))
    folds = [zlib.crc32(f"fold {row['host']}".encode()) % _FOLDS for row in judged]
    texts: dict[str, list[str]] = {"ours": [""] * len(judged)}
    for fold in range(_FOLDS):
        unseen = {row["host"] for row, at in zip(judged, folds, strict=True) if at == fold}
        extract = ours(trained([page for page in pages if page.host not in unseen]))
        for at, row in enumerate(judged):
            if folds[at] == fold:
                texts["ours"][at] = safe(extract, row["html"])
    for name, extract in libraries().items():
        texts[name] = [safe(extract, row["html"]) for row in judged]
    marks = [bench_html.Page("", tuple(row["with"] or ()), tuple(row["without"] or ())) for row in judged]
    for name, found in texts.items():
        precision, recall, f1 = bench_html.by_segments(found, marks)
        report.line("segments", name, P=precision, R=recall, F1=f1)


def cleaneval(tables: Path, report: Report) -> None:
    rows = read(tables / "heldout")["cleaneval_dev"]
    pages = [bench_html.Page("", gold=row["gold"]) for row in rows]
    for name, extract in {"ours": ours(), **libraries()}.items():
        texts = [safe(extract, row["html"]) for row in rows]
        grams = statistics.mean(overlap(text, page.gold).f1 for text, page in zip(texts, pages, strict=True))
        precision, recall, f1 = bench_html.by_tokens(texts, pages)
        report.line("cleaneval", name, P=precision, R=recall, F1=f1, shingles=grams)


def heldout(tables: Path, report: Report) -> None:
    """Compare with the gold text; one that stops early (under 0.8 of what the teachers find) counts for recall only."""
    for table, rows in read(tables / "heldout").items():
        if table == "cleaneval_dev":
            continue
        for name, extract in {"ours": ours(), **libraries()}.items():
            texts = [safe(extract, row["html"]) for row in rows]
            if rows[0]["gold"] is None:
                agreed = [agreement(text, row) for text, row in zip(texts, rows, strict=True)]
                report.line(table, name, pages=len(rows), agreement=_mean(agreed))
                continue
            whole = [not _is_beginning(row) for row in rows]
            scores = [overlap(text, row["gold"], not all_) for text, row, all_ in zip(texts, rows, whole, strict=True)]
            full = [score for score, all_ in zip(scores, whole, strict=True) if all_]
            report.line(
                table, name, pages=len(full), P=_mean([score.precision for score in full]),
                R=_mean([score.recall for score in full]), F1=_mean([score.f1 for score in full]),
                recall_of_all=_mean([score.recall for score in scores]),
            )  # fmt: skip


def _is_beginning(row: dict[str, Any]) -> bool:
    found = [len(row[name]) for name in TEACHERS if row[name]]
    return bool(found) and len(row["gold"]) < 0.8 * statistics.median(found)


def agreement(text: str, row: dict[str, Any]) -> float | None:
    """Give the mean F1 with the teachers that found any text; None where none did."""
    found = [overlap(text, row[name]).f1 for name in TEACHERS if row[name]]
    return statistics.mean(found) if found else None


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else float("nan")


def kinds(tables: Path, report: Report) -> None:
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for table, rows in read(tables / "heldout").items():
        for row in rows if table not in ("cleaneval_dev",) else ():
            by_kind[row["kind"]].append(row)
    for kind, rows in sorted(by_kind.items()):
        whole = [max(1, len(_WHITE.sub("", _all_text(row["html"])))) for row in rows]
        for name, extract in {"ours": ours(), **libraries()}.items():
            texts = [safe(extract, row["html"]) for row in rows]
            kept = [min(1.0, len(_WHITE.sub("", text)) / size) for text, size in zip(texts, whole, strict=True)]
            agreed = _mean([agreement(text, row) for text, row in zip(texts, rows, strict=True)])
            report.line(kind, name, pages=len(rows), kept=_mean(kept), agreement=agreed)


def _all_text(page: bytes) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(_text(page), main_content=False, alt_texts=False)


def speed(tables: Path, report: Report) -> None:
    pages = [row["html"] for row in read(tables / "train")["trafilatura_eval"]]
    sets = {
        "31 KB": [page for page in pages if 22_000 <= len(page) <= 42_000],
        "150 KB and more": [page for page in pages if 150_000 <= len(page) <= 600_000][:150],
    }
    for title, chosen in sets.items():
        seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        with _processes(chosen) as pool:
            for round_ in range(report.rounds + 1):
                for name, extract in _measured().items():
                    for how, took in (
                        ("one", _seconds(extract, chosen, 1)),
                        ("threads", _seconds(extract, chosen, 2)),
                        ("processes", _seconds_of_processes(pool, name)),
                    ):
                        if round_:  # the first round compiles
                            seconds[name, how].append(took)
        size = statistics.mean(map(len, chosen)) / 1e3
        for name in _measured():
            one, *more = (seconds[name, how] for how in ("one", "threads", "processes"))
            gains = [statistics.median(a / b for a, b in zip(one, each, strict=True)) for each in more]
            rate = _passes(chosen) * len(chosen) / statistics.median(one)
            about = f"{title} ({len(chosen)} pages of {size:.0f} KB)"
            report.line(about, name, pages_s=rate, two_threads=gains[0], two_processes=gains[1])
        ratios = [a / b for a, b in zip(seconds["resiliparse", "one"], seconds["ours", "one"], strict=True)]
        report.line(title, "ours / resiliparse", median=statistics.median(ratios), least=min(ratios), most=max(ratios))
    trafilatura = libraries().get("trafilatura, fast")
    if trafilatura:
        for title, chosen in sets.items():
            start, some = time.perf_counter(), chosen[:40]
            _pass(trafilatura, some, 1)
            report.line(title, "trafilatura, fast", pages_s=len(some) / (time.perf_counter() - start))
    report.line("a new process", "ours", seconds=_first_page(pages[0]))


def _measured() -> dict[str, Extract]:
    return {"ours": ours(), "resiliparse": libraries()["resiliparse"]}


def _passes(pages: Sequence[bytes]) -> int:
    return max(1, round(_TIMED_BYTES / sum(map(len, pages))))


def _pass(extract: Extract, pages: Sequence[bytes], times: int) -> None:
    for _ in range(times):
        for page in pages:
            safe(extract, page)


def _seconds(extract: Extract, pages: Sequence[bytes], threads: int) -> float:
    """Time the passes over all pages, shared by so many threads."""
    shares = _halves(pages) if threads == 2 else [pages]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(time.sleep, [0.01] * threads))  # they are there
        start = time.perf_counter()
        list(pool.map(lambda part: _pass(extract, part, _passes(pages)), shares))
        return time.perf_counter() - start


def _halves(pages: Sequence[bytes]) -> list[list[bytes]]:
    """Part pages into two halves of about as many bytes: what one half takes longer would count as a thread's loss."""
    by_size = sorted(range(len(pages)), key=lambda at: len(pages[at]))
    first = {*by_size[::4], *by_size[3::4]}
    return [[page for at, page in enumerate(pages) if (at in first) is one] for one in (True, False)]


def _processes(pages: Sequence[bytes]) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(2, spawn, _hold, (list(pages),))


#: The pages that a process of the pool was given.
_held: list[bytes] = []


def _hold(pages: list[bytes]) -> None:
    _held.extend(pages)


def _seconds_of_processes(pool: ProcessPoolExecutor, name: str) -> float:
    """Time the passes over all pages, each half by a process of its own."""
    list(pool.map(_half, [name] * 2, [0, 1], [0.2] * 2))  # they are there, and have compiled
    start = time.perf_counter()
    list(pool.map(_half, [name] * 2, [0, 1]))
    return time.perf_counter() - start


def _half(name: str, at: int, wait: float = 0.0) -> None:
    extract = _measured()[name]
    if wait:
        safe(extract, _held[0])
        time.sleep(wait)
    else:
        _pass(extract, _halves(_held)[at], _passes(_held))


def _first_page(page: bytes) -> float:
    """Give the least of three times from the start of Python to the first page's text, caches being warm."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".html") as file:
        file.write(page)
        file.flush()
        took = []
        for _ in range(4):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", _FIRST_PAGE, file.name], check=True)
            took.append(time.perf_counter() - start)
    return min(took[1:])


PARTS: dict[str, Callable[[Path, Report], None]] = {
    part.__name__: part for part in (segments, cleaneval, heldout, kinds, speed)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them where none is named")
    parser.add_argument("--tables", type=Path, default=Path("data/extractor"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report(options.rounds)
    for name in options.parts or PARTS:
        print(f"{name} (load {os.getloadavg()[0]:.2f})")
        PARTS[name](options.tables, report)
    if options.json:
        options.json.write_text(json.dumps(report.lines, indent=1))


if __name__ == "__main__":
    main()
