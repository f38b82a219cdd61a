"""Is this corpus better than that one? The same small models, the same budget, the same held-out text.

Rankings of data by small models agree with those of large ones on four pairs in five (DataDecide, Magnusson et al.
2025), if seeds are repeated and differences are held against their spread.
"""

from __future__ import annotations

import functools
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.lm import checkpoint, confidence, metrics
from corpuskit.sketch.shingles import shingles
from corpuskit.text.unicode import decoded
from corpuskit.tokens import bpe, learning, packing

MODELS = ("ngram", "transformer")
_SAMPLE_BYTES = 8_000_000  # of all corpora together, to learn the tokenizer from
_WIDTH = 5  # words a shingle
#: A document that shares more of its shingles with held-out text is a copy of it, and not learnt from.
_COPIED = 0.5
_ROWS = 256

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Setup:
    """What all runs have in common. `tokens`: what a model reads."""

    tokens: int
    vocab_size: int
    block_tokens: int
    order: int
    size: str
    device: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a model reads of a corpus: ids with end marks, and how they came about."""

    tokens: npt.NDArray[Any]
    offsets: _Ints
    documents: int
    left_out: int  # copies of held-out text, and that itself
    passes: float  # over the corpus, as far as it was read


class HeldOut:
    """The text that all models are measured on, and what is too like it to learn from."""

    def __init__(self, docs: pa.Table) -> None:
        self.texts = [text for batch in docs.select(["text"]).to_batches() for text in decoded(batch.column("text"))[0]]
        self.sizes = np.array([len(text.encode()) for text in self.texts], np.int64)
        self._ids = pa.array(docs.column("id").cast(pa.string()).to_pylist(), pa.string())
        self._shingles = np.unique(shingles(pa.array(self.texts, pa.large_string()), _WIDTH)[0])

    def copies(self, ids: pa.Array, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Tell which documents are held out, or more than half made of what is."""
        found, offsets = shingles(texts, _WIDTH)
        places = np.searchsorted(self._shingles, found)
        known = np.append(self._shingles, np.uint32(0))[places] == found
        known &= places < len(self._shingles)
        shared = np.diff(np.concatenate([[0], np.cumsum(known)])[offsets])
        held: npt.NDArray[np.bool_] = pc.is_in(ids.cast(pa.string()), self._ids).to_numpy(zero_copy_only=False)
        copied: npt.NDArray[np.bool_] = held | (shared > _COPIED * np.maximum(1, np.diff(offsets)))
        return copied


def hold_out(docs: pa.Table, fraction: float, most_bytes: int) -> pa.Table:
    """Take the documents that `shard` would hold out, those whose ids hash lowest first, up to `most_bytes`."""
    ids = docs.column("id").combine_chunks()
    chosen = np.flatnonzero(packing.in_valid(ids, fraction))
    chosen = chosen[np.argsort(packing.keys(ids.take(pa.array(chosen)), 0), kind="stable")]
    taken = docs.take(pa.array(chosen))
    sizes = pc.binary_length(taken.column("text")).fill_null(0).to_numpy().astype(np.int64)
    return taken.slice(0, max(1, int(np.searchsorted(np.cumsum(sizes), most_bytes, "right"))))


def learn_tokenizer(corpora: Sequence[pa.Table], vocab_size: int, out: Path) -> bpe.TextTokenizer:
    """Learn byte-level BPE from as much text of every corpus, chosen by the hashes of ids."""
    share, texts = _SAMPLE_BYTES // len(corpora), []
    for docs in corpora:
        left = share
        for _, batch in _shuffled(docs, 0):
            for text in decoded(batch.column("text"))[0]:
                texts.append(text[:left])
                left -= len(texts[-1].encode())
                if left <= 0:
                    break
            if left <= 0:
                break
    bpe.save(learning.learn(texts, vocab_size), out)
    return bpe.load(out, fast=True)


def tokens_of(docs: pa.Table, tokenizer: bpe.TextTokenizer) -> int:
    """Estimate how many tokens a corpus has, from its bytes and those of a sample."""
    n_bytes: int = pc.sum(pc.binary_length(docs.column("text"))).as_py() or 0
    _, sample = next(_shuffled(docs, 0), (0, None))
    if sample is None or not n_bytes:
        return 0
    texts = decoded(sample.column("text"))[0]
    measured = sum(len(text.encode()) for text in texts)
    tokens = len(tokenizer.encode(texts)[0])
    return int(n_bytes * tokens / max(1, measured)) + int(docs.num_rows)


def draw(docs: pa.Table, tokenizer: bpe.TextTokenizer, held_out: HeldOut, tokens: int, seed: int) -> Drawn:
    """Read documents in the order of a seeded hash of their ids until there are `tokens`; begin anew at the end."""
    parts, lengths, documents, left_out, seen, total = [], [], 0, 0, 0, 0
    while total < tokens:
        before = total
        for rows, batch in _shuffled(docs, seed):
            copied = held_out.copies(batch.column("id"), batch.column("text"))
            kept = batch.filter(pa.array(~copied))
            ids, offsets = tokenizer.encode(decoded(kept.column("text"))[0])
            parts.append(np.insert(ids, offsets[1:], tokenizer.end_id))
            lengths.append(np.diff(offsets) + 1)
            documents, left_out = documents + kept.num_rows, left_out + int(copied.sum())
            seen, total = seen + rows, total + len(parts[-1])
            if total >= tokens:
                break
        if total == before:
            break  # there is nothing in it
    joined = np.concatenate([np.empty(0, tokenizer.dtype), *parts])[:tokens]
    ends = np.minimum(np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths])), tokens)
    return Drawn(joined, np.unique(ends), documents, left_out, seen / max(1, docs.num_rows))


def _shuffled(docs: pa.Table, seed: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    keys = np.concatenate([packing.keys(chunk, seed) for chunk in docs.column("id").chunks] or [np.empty(0, np.uint64)])
    order = np.argsort(keys, kind="stable")
    table = docs.select(["id", "text"])
    for start in range(0, len(order), _ROWS):
        rows = table.take(pa.array(order[start : start + _ROWS])).combine_chunks()
        yield rows.num_rows, rows.to_batches()[0]


def train_ngram(drawn: Drawn, tokenizer: bpe.TextTokenizer, setup: Setup) -> Any:
    """Train and give a scorer."""
    from corpuskit.lm import ngram, ngram_counts
    from corpuskit.lm.ngram_tables import Work

    with tempfile.TemporaryDirectory(prefix="corpuskit-") as folder:
        estimate = ngram_counts.estimate(
            drawn.tokens,
            drawn.offsets,
            order=setup.order,
            vocab_size=tokenizer.vocab_size,
            end_id=tokenizer.end_id,
            types=tokenizer.vocab_size + 1,
            smoothing=ngram_counts.Smoothing(),
            work=Work(None, None, Path(folder)),
        )
        ngram.save(Path(folder), estimate, vocab_size=tokenizer.vocab_size, end_id=tokenizer.end_id)
        return ngram.load(Path(folder))  # its files stay mapped


def train_transformer(
    drawn: Drawn, tokenizer: bpe.TextTokenizer, setup: Setup, seed: int, saved: Path, tell: Callable[[str], None]
) -> Any:
    """Train on every block once and give a scorer; goes on from the checkpoint `saved` where it is of this run."""
    from corpuskit.lm.blocks import Blocks
    from corpuskit.lm.device import choose
    from corpuskit.lm.network import Network
    from corpuskit.lm.recipe import recipe_of, shape_of
    from corpuskit.lm.trainer import Ears, Trainer

    length = setup.block_tokens
    whole = drawn.tokens[: len(drawn.tokens) // length * length]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(whole), length)
    blocks, none = Blocks(pa.chunked_array([rows])), Blocks(pa.chunked_array([rows[:0]]))
    shape = shape_of(setup.size, tokenizer.vocab_size, length, tokenizer.end_id, seed)
    recipe = recipe_of(setup.size, shape, len(blocks))
    recipe = replace(recipe, steps=len(blocks) // recipe.batch_blocks)
    device = choose(setup.device)
    trainer = Trainer(shape, recipe, blocks, none, device)
    trainer.run(saved, 200, Ears(tell))
    saved.unlink(missing_ok=True)
    return Network(trainer.net, device)


def run(
    corpora: Mapping[str, pa.Table],
    held_out: HeldOut,
    tokenizer: bpe.TextTokenizer,
    setup: Setup,
    models: Sequence[str],
    seeds: int,
    folder: Path,
    tell: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Train and score every model on every corpus with every seed; gives one JSON-ready record each.

    What lies in `folder` from an interrupted attempt is not done again.
    """
    ids, offsets = tokenizer.encode(held_out.texts)
    ids, offsets = np.insert(ids, offsets[1:], tokenizer.end_id), offsets + np.arange(len(offsets))
    for seed in range(seeds):
        for name, docs in corpora.items():
            missing = [model for model in models if not (folder / f"{name}-{model}-{seed}.json").exists()]
            drawn = draw(docs, tokenizer, held_out, setup.tokens, seed) if missing else None
            for model in models:
                file = folder / f"{name}-{model}-{seed}.json"
                if drawn is not None and model in missing:
                    what = f"{model} on {name}, seed {seed + 1} of {seeds}"
                    tell(what)
                    if model == "ngram":
                        scorer = train_ngram(drawn, tokenizer, setup)
                    else:
                        saved = folder / f"{name}-{seed}.{checkpoint.CHECKPOINT}"
                        said = functools.partial(_say, tell, what)
                        scorer = train_transformer(drawn, tokenizer, setup, seed, saved, said)
                    nats, ends = scorer.score(ids, offsets)
                    about = {
                        "corpus": name,
                        "model": model,
                        "seed": seed,
                        "tokens": len(drawn.tokens),
                        "documents": drawn.documents,
                        "left_out": drawn.left_out,
                        "passes": drawn.passes,
                        "nats": (nats - ends).tolist(),
                    }
                    checkpoint.save_json(file, about)
                yield json.loads(file.read_text("utf-8"))


def _say(tell: Callable[[str], None], what: str, line: str) -> None:
    tell(f"{what}: {line}")


def table(records: Sequence[Mapping[str, Any]], sizes: _Ints) -> dict[str, dict[str, Any]]:
    """Give for each model and corpus: bits per byte (mean over seeds), their spread (standard deviation), and each."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        bits = metrics.bits_per_byte(float(np.sum(record["nats"])), 0.0, int(sizes.sum()))
        found.setdefault(record["model"], {}).setdefault(record["corpus"], []).append(bits)
    return {
        model: {
            name: {"bits_per_byte": float(np.mean(each)), "spread": float(np.std(each, ddof=1)), "each": each}
            for name, each in by_corpus.items()
        }
        for model, by_corpus in found.items()
    }


def differences(records: Sequence[Mapping[str, Any]], sizes: _Ints) -> list[dict[str, Any]]:
    """Compare corpora two by two: bits per byte of the one less those of the other, and where 95 of 100 would lie.

    Two things move a difference: the seed (what was drawn, and the first weights), by Student's t over seeds, and the
    held-out documents, by the bootstrap over them; both are paired, and their bounds are added as variances are.
    """
    nats: dict[tuple[str, str], list[_Floats]] = {}
    for record in records:
        nats.setdefault((record["model"], record["corpus"]), []).append(np.array(record["nats"]))
    found = []
    for model in dict.fromkeys(model for model, _ in nats):
        names = [name for each, name in nats if each == model]
        for one, other in combinations(names, 2):
            apart = np.array(nats[model, one]) - np.array(nats[model, other])  # [seeds, documents]
            by_seed = apart.sum(axis=1) / (math.log(2) * sizes.sum())
            mean = float(by_seed.mean())
            of_seeds = _student(len(by_seed) - 1) * float(by_seed.std(ddof=1)) / math.sqrt(len(by_seed))
            drawn = confidence.bits_per_byte(apart.mean(axis=0), sizes)
            of_documents = (drawn[1] - drawn[0]) / 2 if drawn else math.inf
            half = math.hypot(of_seeds, of_documents)
            interval = [mean - half, mean + half] if math.isfinite(half) else None
            found.append(
                {
                    "model": model,
                    "corpora": [one, other],
                    "bits_per_byte": mean,
                    "interval": interval,
                    "better": None if interval is None or abs(mean) <= half else (one if mean < 0 else other),
                }
            )
    return found


def _student(freedom: int) -> float:
    """Give the factor of a 95 % interval."""
    from scipy.stats import t

    return float(t.ppf((1 + confidence.LEVEL) / 2, freedom))
