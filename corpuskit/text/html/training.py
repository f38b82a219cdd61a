"""Train the extractor's model from pages, the main texts that other extractors found in them, and gold segments.

    python -m corpuskit.text.html.training PAGES.parquet... --out model.npz [--seed 0]

PAGES are tables with the columns html (UTF-8), host, the texts of three teachers (trafilatura_fast, trafilatura,
readability; null where there is none), and with/without, lists of segments that the main text must and must not have.
The label of a block is the share of its word 4-grams that are in a teacher's text, mean over teachers; segments that
people marked count more. The same pages, seed and version of LightGBM give the same bytes.

What is learned of tokens and words, and the probabilities of stage 1 that stage 2 sees, are those of models that
have not seen the page's host: else the trees would believe them too much.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.text.html.model import Lexicon, Trees, save, table
from corpuskit.text.html.tags import NAMES, tables

TEACHERS = ("trafilatura_fast", "trafilatura", "readability")
FOLDS = 4
_GRAM = 4
_TERM = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_PSEUDO_PAGES = 3.0
_TOKEN_PAGES, _WORD_PAGES = 6, 12
_ROUNDS = (80, 60)
_PARAMETERS = {
    "objective": "cross_entropy", "learning_rate": 0.12, "max_depth": 6, "num_leaves": 31, "feature_fraction": 0.5,
    "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "min_data_in_leaf": 60, "deterministic": True,
    "force_row_wise": True, "num_threads": 1, "verbosity": -1,
}  # fmt: skip
_GOLD_WEIGHT = 3.0
#: What pages of other kinds count: crawls are mostly articles, and documentation by one generator is all alike.
_OTHER_SHARE = 0.3
_BARE_EVERY = 4  # one page in so many is also learned without what stands around its text
_BARE_TAGS = ("p", "h1", "h2", "h3", "li", "td", "pre", "blockquote", "div")


@dataclass(slots=True)
class Page:
    """A page parted into blocks: their labels and weights, the hashes of their words and of the tokens around them."""

    host: str
    parted: Any
    labels: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    share: float  # how much it counts beside an article
    words: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]  # hashes, and the block of each
    tokens: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]


def terms(text: str) -> list[str]:
    """Part a text into words, and into characters where nothing stands between words."""
    return _TERM.findall(text.lower())


class Reference:
    """A text as a teacher gives it, to ask how much of a block is in it."""

    def __init__(self, text: str) -> None:
        found = terms(text)
        self.grams = {tuple(found[at : at + _GRAM]) for at in range(len(found) - _GRAM + 1)}
        self.triples = {tuple(found[at : at + 3]) for at in range(len(found) - 2)}
        self.lines = {tuple(terms(part)) for line in text.split("\n") for part in (line, *line.split("|"))}

    def share(self, block: Sequence[str]) -> float:
        """Give the share of a block's 4-grams that are in the text; one of fewer words is in it as a line or not."""
        if tuple(block) in self.lines:
            return 1.0
        if len(block) < 3:
            return 0.0
        if len(block) == 3:
            return float(tuple(block) in self.triples)
        grams = [tuple(block[at : at + _GRAM]) for at in range(len(block) - _GRAM + 1)]
        return sum(gram in self.grams for gram in grams) / len(grams)


def prepare(row: dict[str, Any]) -> Page | None:
    """Part and label a page; None for one without blocks or without a teacher."""
    from corpuskit.text.html.judge_kernels import parts

    parted = parts(np.frombuffer(row["html"], np.uint8), tables())
    text, _, blocks, _, _, found = parted
    count = int(found[2])
    references = [Reference(row[name]) for name in TEACHERS if row[name] is not None]
    if not count or not references:
        return None
    texts = [text[start:stop].tobytes().decode("utf-8", "replace") for start, stop in blocks[:count, :2]]
    found_terms = [terms(each) for each in texts]
    labels = np.array([np.mean([one.share(each) for one in references]) if each else 0.0 for each in found_terms])
    sizes = blocks[:count, 1] - blocks[:count, 0]
    weights = np.log1p(sizes).astype(np.float32)
    for segments, value in ((row["with"] or (), 1.0), (row["without"] or (), 0.0)):
        for each in _marked(texts, segments):
            labels[each], weights[each] = value, _GOLD_WEIGHT * weights[each]
    parted = (*(part.copy() for part in parted[:5]), found)  # not the room that they were given
    return Page(
        row["host"],
        parted,
        labels.astype(np.float32),
        weights,
        1.0 if row["kind"] == "article" else _OTHER_SHARE,
        _word_hashes(texts),
        _token_hashes(parted),
    )


def bare(row: dict[str, Any], page: Page) -> dict[str, Any]:
    """Give a page of a page's main text alone, as people write them by hand: its labels are clear.

    Pages without menus are rare in crawls and common elsewhere; a model that never saw any drops what stands alone.
    """
    import html

    text, elements, blocks, _, _, _ = page.parted
    parts: list[str] = []
    kept: list[str] = []
    most = 1 + zlib.crc32(row["html"]) % 12
    for (start, stop, element, *_), label in zip(blocks.tolist(), page.labels.tolist(), strict=True):
        if label > 0.9 and len(kept) < most:
            name = NAMES[elements[element, 1]]
            name = name if name in _BARE_TAGS else "p"
            kept.append(text[start:stop].tobytes().decode("utf-8", "replace"))
            parts.append(f"<{name}>{html.escape(kept[-1])}</{name}>")
    both = "\n".join(kept)
    given = dict.fromkeys(TEACHERS, both)
    return {**row, "kind": "bare", "html": "".join(parts).encode(), **given, "with": [], "without": []}


def _marked(texts: Sequence[str], segments: Iterable[str]) -> Iterator[int]:
    """Give the blocks that hold a segment, or lie in it."""
    flat = [" ".join(text.split()) for text in texts]
    for segment in segments:
        wanted = " ".join(segment.split())
        if len(wanted) < 3:
            continue
        for at, text in enumerate(flat):
            if wanted in text or (len(text) >= 20 and text in wanted):
                yield at


def _word_hashes(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    from corpuskit.text.html.own_kernels import word_hashes

    hashes, places = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    nothing = table(np.empty(0, np.uint32), np.empty(0, np.float32))
    for at, text in enumerate(texts):
        found = np.unique(word_hashes(np.frombuffer(text.encode() or b" ", np.uint8), nothing))
        hashes.append(found)
        places.append(np.full(len(found), at))
    return np.concatenate(hashes), np.concatenate(places)


def _token_hashes(parted: Any) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Give the tokens of the elements around each block."""
    _, elements, blocks, tokens, _, found = parted
    hashes, places = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    for at in range(int(found[2])):
        element, around = int(blocks[at, 2]), []
        while element >= 0:
            around.append(tokens[elements[element, 3] : elements[element, 4]])
            element = int(elements[element, 0])
        both = np.unique(np.concatenate(around))
        hashes.append(both)
        places.append(np.full(len(both), at))
    return np.concatenate(hashes), np.concatenate(places)


def lexicon(pages: Sequence[Page], of: Callable[[Page], tuple[Any, Any]], least_pages: int) -> Lexicon:
    """Learn log-odds: for each hash, on how much of the text of its blocks, page by page, the teachers agree.

    Every page has one vote, the weighted mean label of the blocks that have the hash; three pseudo-pages vote as all
    pages do on average. Gives hashes, ascending, and log-odds.
    """
    all_hashes, all_votes, all_shares = [np.empty(0, np.uint32)], [np.empty(0)], [np.empty(0)]
    mean = float(np.mean([np.average(page.labels, weights=page.weights) for page in pages]))
    for page in pages:
        hashes, places = of(page)
        unique, at = np.unique(hashes, return_inverse=True)
        weight = np.bincount(at, page.weights[places], len(unique))
        votes = np.bincount(at, (page.weights * page.labels)[places], len(unique)) / np.maximum(weight, 1e-9)
        all_hashes.append(unique)
        all_votes.append(votes)
        all_shares.append(np.full(len(unique), page.share))
    unique, at, counts = np.unique(np.concatenate(all_hashes), return_inverse=True, return_counts=True)
    shares = np.concatenate(all_shares)
    yes = np.bincount(at, np.concatenate(all_votes) * shares, len(unique)) + _PSEUDO_PAGES * mean
    no = np.bincount(at, shares, len(unique)) + _PSEUDO_PAGES - yes
    odds = np.log(yes / no) - np.log(mean / (1 - mean))
    odds[odds == 0] = 1e-3
    often = counts >= least_pages
    return unique[often].astype(np.uint32), odds[often].astype(np.float16).astype(np.float32)


def lexicons(pages: Sequence[Page]) -> tuple[Lexicon, Lexicon]:
    """Learn what words and class tokens say."""
    return lexicon(pages, lambda page: page.words, _WORD_PAGES), lexicon(pages, lambda page: page.tokens, _TOKEN_PAGES)


def fold_of(host: str, folds: int = FOLDS) -> int:
    """Give the fold of a host: a hash of its name."""
    return zlib.crc32(host.encode()) % folds


def train(pages: Sequence[Page], seed: int = 0) -> tuple[Lexicon, Lexicon, Trees, Trees]:
    """Learn words, tokens and both stages."""
    words, tokens = lexicons(pages)
    folds = np.array([fold_of(page.host) for page in pages])
    values: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(pages)
    owns: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(pages)
    for fold in range(FOLDS):
        others = [page for page, at in zip(pages, folds, strict=True) if at != fold]
        around = _tables(*lexicons(others or pages))
        for each in np.flatnonzero(folds == fold).tolist():
            values[each], owns[each] = _measure(pages[each], around)
    first = _boost(pages, values, 0, seed)
    for fold in range(FOLDS):
        inside = np.flatnonzero(folds == fold).tolist()
        if not inside:
            continue
        kept = np.flatnonzero(folds != fold).tolist() or inside
        held_out = _boost([pages[at] for at in kept], [values[at] for at in kept], 0, seed)
        for each in inside:
            _add_second(pages[each], values[each], owns[each], held_out)
    return words, tokens, first, _boost(pages, values, 1, seed)


def _tables(words: Lexicon, tokens: Lexicon) -> tuple[npt.NDArray[Any], ...]:
    return table(*words), table(*tokens)


def _measure(page: Page, around: tuple[npt.NDArray[Any], ...]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    from corpuskit.text.html.judge_kernels import features

    out, own = features(page.parted, around)
    return out, own


def _add_second(page: Page, values: npt.NDArray[np.float32], own: npt.NDArray[np.float64], first: Trees) -> None:
    from corpuskit.text.html.feature_kernels import second
    from corpuskit.text.html.tree_kernels import descend

    _, elements, blocks, _, _, found = page.parted
    said = descend(values, first)
    second(said, elements, int(found[1]), blocks, len(values), own, np.arange(len(values)), values)


def _boost(pages: Sequence[Page], values: Sequence[npt.NDArray[np.float32]], stage: int, seed: int) -> Trees:
    import lightgbm

    from corpuskit.text.html.feature_kernels import N_FIRST

    matrix = np.concatenate([each if stage else each[:, :N_FIRST] for each in values])
    labels = np.concatenate([page.labels for page in pages])
    weights = np.concatenate([page.share * page.weights / page.weights.sum() ** 0.5 for page in pages])
    data = lightgbm.Dataset(matrix, labels, weight=weights / weights.mean(), free_raw_data=True)
    booster = lightgbm.train({**_PARAMETERS, "seed": seed}, data, num_boost_round=_ROUNDS[stage])
    return packed(booster.dump_model()["tree_info"])


def packed(trees: Sequence[dict[str, Any]]) -> Trees:
    """Pack LightGBM's trees into arrays."""
    feature: list[int] = []
    bound: list[float] = []
    child: list[int] = []
    leaf: list[float] = []

    def add(node: dict[str, Any]) -> tuple[int, int]:
        at = len(feature)
        feature.append(node.get("split_feature", 0))
        bound.append(_down(node.get("threshold", 0.0)))
        leaf.append(node.get("leaf_value", 0.0))
        child.extend((at, at))
        if "split_feature" not in node:
            return at, 0
        left, right = add(node["left_child"]), add(node["right_child"])
        child[2 * at], child[2 * at + 1] = left[0], right[0]
        return at, 1 + max(left[1], right[1])

    roots = [add(tree["tree_structure"]) for tree in trees]
    return Trees(
        np.array(feature, np.uint8),
        np.array(bound, np.float32),
        np.array(child, np.int32),
        np.array(leaf, np.float32),
        np.array([at for at, _ in roots], np.int32),
        np.array([depth for _, depth in roots], np.int32),
    )


def _down(value: float) -> float:
    """Give the largest float32 that is not above: `x > bound` is then the same for every float32 x."""
    near = np.float32(value)
    return float(near if near <= value else np.nextafter(near, np.float32(-np.inf)))


def read_pages(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Give the rows of the tables."""
    import pyarrow.parquet as pq

    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(64):
            yield from batch.to_pylist()


def prepared(rows: Iterable[dict[str, Any]]) -> Iterator[Page]:
    """Prepare pages, and of every fourth one its text alone too."""
    for row in rows:
        page = prepare(row)
        if page is None:
            continue
        yield page
        if zlib.crc32(row["html"]) % _BARE_EVERY == 0:
            alone = prepare(bare(row, page))
            if alone is not None:
                yield alone


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train the model of the HTML extractor.")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pages = list(prepared(read_pages(options.pages)))
    save(options.out, *train(pages, options.seed))
    blocks = sum(len(page.labels) for page in pages)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes, from {len(pages):,} pages with {blocks:,} blocks")


if __name__ == "__main__":
    main()
