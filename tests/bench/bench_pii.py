"""Time `redact` beside datatrove's PIIFormatter, and say where the two differ on e-mail and IP addresses.

    python -m tests.bench.bench_pii [--rounds 3] [--show 0]

The documents are the HTML of the development data without its tags, one page a document. datatrove is left out where
it is not installed. `--show N` prints N differences of each kind with their surroundings: they are personal data.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tarfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit.text import pii
from corpuskit.text.unicode import utf8

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "html_gold"
TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.S | re.I)
Found = set[tuple[int, int, int]]  # text, and where in its characters


def documents() -> list[str]:
    import html

    texts = []
    for name in ("trafilatura-eval.tar.xz", "cleaneval-dev.tar.xz"):
        with tarfile.open(ROOT / name) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(".html") else None
                if file is not None:
                    texts.append(html.unescape(TAG.sub(" ", file.read().decode(errors="replace"))))
    return texts


def theirs(texts: list[str], formatter: Any) -> dict[str, Found]:
    """Find what datatrove replaces: e-mail first, then IP addresses."""
    found: dict[str, Found] = {"email": set(), "ip": set()}
    for row, text in enumerate(texts):
        for kind, replacer in (("email", formatter.emails_replacer), ("ip", formatter.ip_replacer)):
            for match in replacer.regex.finditer(text):
                if not replacer.validator or replacer.validator(match.group()):
                    found[kind].add((row, *match.span()))
    return found


def ours(texts: list[str]) -> dict[str, Found]:
    found: dict[str, Found] = {"email": set(), "ip": set()}
    for row, text in enumerate(texts):
        data, offsets = utf8(pa.array([text]))
        _, spans = pii._find(data, offsets)
        for start, stop, kind in spans.tolist():
            if kind in (0, 1, 5):
                begin = len(data[:start].tobytes().decode())
                length = len(data[start:stop].tobytes().decode())
                found["email" if kind == 0 else "ip"].add((row, begin, begin + length))
    return found


def differences(texts: list[str], mine: Found, peers: Found, show: int) -> None:
    both = len(mine & peers)
    overlapping = {(a, b) for a in mine - peers for b in peers - mine if a[0] == b[0] and a[1] < b[2] and b[1] < a[2]}
    paired_mine, paired_peers = {a for a, _ in overlapping}, {b for _, b in overlapping}
    only_mine, only_peers = mine - peers - paired_mine, peers - mine - paired_peers
    print(
        f"  {both} the same, {len(overlapping)} of other extent, "
        f"{len(only_mine)} ours only, {len(only_peers)} theirs only"
    )
    print("  theirs only, by why: " + str(dict(Counter(why(texts, each) for each in only_peers))))
    for title, some in (("other extent", paired_peers), ("ours only", only_mine), ("theirs only", only_peers)):
        for row, start, stop in sorted(some)[:show]:
            text = texts[row]
            print(
                f"    {title}: {text[max(0, start - 20) : start]!a} [{text[start:stop]!a}] {text[stop : stop + 20]!a}"
            )


def why(texts: list[str], each: tuple[int, int, int]) -> str:
    text = texts[each[0]]
    word, before, after = text[each[1] : each[2]], text[: each[1]][-1:], text[each[2] :][:2]
    if "@" in word:
        domain = word.rpartition("@")[2].lower()
        if re.search(r"(^|\.)example\.(com|net|org)$|\.(test|example|invalid)$", domain):
            return "a name for examples"
        if re.search(r"\.(png|jpe?g|gif|webp|svg)$", domain):
            return "an image"
        return "a top-level domain that is no word" if re.search(r"\.([^.]|.*\d.*)$", domain) else "other"
    if re.match(r"\w|\.\d", after) or re.match(r"[\w.@]", before):
        return "within a longer number or word"
    return "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--show", type=int, default=0)
    options = parser.parse_args()
    texts = documents()
    column = pa.array(texts)
    size = sum(len(text.encode()) for text in texts)
    pii.redact(column.slice(0, 1))
    try:
        from datatrove.pipeline.formatters import PIIFormatter

        formatter = PIIFormatter()
    except ImportError:
        formatter = None
        print("datatrove is not installed")
    seconds: dict[str, list[float]] = {"corpuskit": [], "datatrove": []}
    for _ in range(options.rounds):
        start = time.perf_counter()
        pii.redact(column)
        seconds["corpuskit"].append(time.perf_counter() - start)
        if formatter:
            start = time.perf_counter()
            for text in texts:
                formatter.format(text)
            seconds["datatrove"].append(time.perf_counter() - start)
    print(f"load {os.getloadavg()[0]:.2f}; {len(texts):,} documents, {size / 1e6:.1f} MB")
    medians = {name: statistics.median(each) for name, each in seconds.items() if each}
    for name, median in medians.items():
        print(f"{name}: {size / 1e6 / median:.1f} MB/s, {len(texts) / median:,.0f} documents/s")
    print({kind: sum(counts.to_pylist()) for kind, counts in pii.scan(column).items()})
    if formatter:
        print(f"{medians['datatrove'] / medians['corpuskit']:.1f} times as fast as datatrove, which finds two kinds")
        peers, mine = theirs(texts, formatter), ours(texts)
        for kind in ("email", "ip"):
            print(kind)
            differences(texts, mine[kind], peers[kind], options.show)


if __name__ == "__main__":
    main()
