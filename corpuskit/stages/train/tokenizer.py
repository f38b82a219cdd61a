"""Learn a byte-level BPE tokenizer from documents.

Text is split by GPT-2's pattern into words of bytes, and the pairs of tokens that are most frequent within words are
merged until the vocabulary has its size (Sennrich et al. 2016, Radford et al. 2019). Any text comes back unchanged
from its ids. Id 0 is `<|endoftext|>`, the mark that ends a document; a text that spells it out does not get this id.

It learns from a sample of `sample_bytes`: the documents whose ids hash lowest, the last one cut. So the sample does
not depend on the order of documents, and memory stays bounded. Write `tokenizer.json` and `tokenizer_config.json`,
which `transformers.AutoTokenizer.from_pretrained` loads, and `report.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, Whole, status
from corpuskit.text.unicode import decoded
from corpuskit.tokens import bpe, packing

# Enough of the sample to tell the bytes of a token to three digits; all of it would take longer than to learn.
_MEASURED_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How large, and from what."""

    vocab_size: int = option(32768, "Entries: the mark, 256 bytes, and merges.", min=bpe.MIN_VOCAB_SIZE)
    sample_bytes: int = option(64_000_000, "How much text to learn from, in bytes of UTF-8.", min=1)
    seed: int = option(0, "Which sample.", min=0, max=2**63 - 1)


def train(docs: Whole, options: Options, out: Path) -> None:
    """Learn from a sample of the documents and leave a tokenizer in `out`."""
    texts = sample(docs, options.sample_bytes, options.seed)
    sample_bytes = sum(len(text.encode()) for text in texts)
    status(f"learning {options.vocab_size:,} entries from {sample_bytes / 1e6:.1f} MB")
    bpe.save(bpe.learn(texts, options.vocab_size), out)
    tokenizer = bpe.load(out)
    measured = _first_bytes(texts, _MEASURED_BYTES)
    measured_bytes = sum(len(text.encode()) for text in measured)
    tokens = len(tokenizer.encode(measured)[0])
    report = {
        "entries": tokenizer.vocab_size,
        "documents": docs.num_rows,
        "sample_documents": len(texts),
        "sample_bytes": sample_bytes,
        "measured_bytes": measured_bytes,
        "measured_tokens": tokens,
        "bytes_per_token": round(measured_bytes / tokens, 4) if tokens else None,
    }
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")


def sample(docs: pa.Table, sample_bytes: int, seed: int) -> list[str]:
    """Choose documents by the hash of their ids, lowest first, until `sample_bytes`; the last one is cut to fit.

    The order of rows and their chunks do not matter. Holds little more than the sample.
    """
    batches = docs.select(["id", "text"]).to_batches()
    hashes, where, rows = _choose(batches, sample_bytes, seed)
    text_at = _texts(batches, where, rows)
    order = packing.order(hashes, lambda at: (batches[where[at]].column("id")[rows[at]].as_py(), text_at[at]))
    return _first_bytes([text_at[at] for at in order.tolist()], sample_bytes)


def _choose(
    batches: list[pa.RecordBatch], sample_bytes: int, seed: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give (hash, batch, row) of the documents that the sample needs, in the order of rows."""
    kept = np.empty((0, 3), np.int64)  # batch, row, bytes
    hashes = np.empty(0, np.uint64)
    highest = np.uint64(2**64 - 1)
    for at, batch in enumerate(batches):
        sizes = pc.binary_length(batch.column("text")).fill_null(0).cast(pa.int64()).to_numpy()
        keys = packing.keys(batch.column("id"), seed)
        rows = np.flatnonzero((sizes > 0) & (keys <= highest))
        kept = np.concatenate([kept, np.stack([np.full(len(rows), at), rows, sizes[rows]], axis=1)])
        hashes = np.concatenate([hashes, keys[rows]])
        if kept[:, 2].sum() > 2 * sample_bytes:  # none above what fills the sample now will be of it
            needed = _needed(hashes, kept[:, 2], sample_bytes)
            kept, hashes = kept[needed], hashes[needed]
            highest = hashes.max()
    needed = _needed(hashes, kept[:, 2], sample_bytes)
    kept, hashes = kept[needed], hashes[needed]
    return hashes, kept[:, 0], kept[:, 1]


def _needed(hashes: npt.NDArray[np.uint64], sizes: npt.NDArray[np.int64], sample_bytes: int) -> npt.NDArray[np.bool_]:
    """Tell which rows may be of the sample: hashes up to the one with which it is full, all ties of it too."""
    order = np.argsort(hashes, kind="stable")
    filled = int(np.searchsorted(np.cumsum(sizes[order]), sample_bytes))
    if filled >= len(order):
        return np.ones(len(order), np.bool_)
    needed: npt.NDArray[np.bool_] = hashes <= hashes[order[filled]]
    return needed


def _texts(batches: list[pa.RecordBatch], where: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> list[str]:
    """Read the texts at (batch, row) pairs that are sorted by batch."""
    texts: list[str] = []
    for at in np.unique(where):
        texts += decoded(batches[at].column("text").take(pa.array(rows[where == at])))[0]
    return texts


def _first_bytes(texts: list[str], limit_bytes: int) -> list[str]:
    """Give texts until the limit; what of the last one does not fit is cut off, at a character."""
    sizes = [len(text.encode()) for text in texts]
    fit = int(np.searchsorted(np.cumsum(sizes), limit_bytes, "right"))
    left = limit_bytes - sum(sizes[:fit])
    rest = texts[fit].encode()[:left].decode(errors="ignore") if fit < len(texts) else ""
    return texts[:fit] + ([rest] if rest else [])


STAGE = Stage(
    options=Options,
    inputs=(Input("docs", "documents: a dataset"),),
    steps=(Step(train, {"tokenizer": Files()}),),
)
