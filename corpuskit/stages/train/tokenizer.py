"""Learn a tokenizer from documents: byte-level BPE, Unigram or WordPiece.

`bpe` merges the pairs of tokens that are most frequent within words of bytes until the vocabulary has its size
(Sennrich et al. 2016, Radford et al. 2019); `unigram` keeps the pieces with which text is likeliest (Kudo 2018; needs
sentencepiece, an extra), `wordpiece` merges as BPE does and encodes by the longest match. Words end by the pattern of
GPT-2 or of Llama 3 (numbers in groups of three digits). Any text comes back unchanged from its ids.

Id 0 is `<|endoftext|>`, the mark that ends a document, then come --special-token; a text that spells one out does not
get its id. It learns from a sample of `sample_bytes`: the documents whose ids hash lowest, the last one cut. So the
sample does not depend on the order of documents, and memory stays bounded. Write `tokenizer.json` and
`tokenizer_config.json`, which `transformers.AutoTokenizer.from_pretrained` loads, and `report.json`: bytes a token by
language, the entries that the sample never needs, the longest ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import UsageError
from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, Whole, status
from corpuskit.text.unicode import decoded
from corpuskit.tokens import bpe, learning, measure, packing

# Where `tokenizers` encodes: enough to tell the bytes of a token to three digits; all would take longer than to learn.
_MEASURED_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How large, and from what."""

    vocab_size: int = option(32768, "Entries: the mark, the bytes, and what is learnt.", min=bpe.MIN_VOCAB_SIZE)
    model: str = option("bpe", "What learns.", choices=learning.MODELS)
    pattern: str = option("gpt2", "Whose pattern ends words.", choices=learning.PATTERNS)
    special_token: tuple[str, ...] = option((), "A token with an id of its own, such as <|user|>; may be given again.")
    sample_bytes: int = option(64_000_000, "How much text to learn from, in bytes of UTF-8.", min=1)
    seed: int = option(0, "Which sample.", min=0, max=2**63 - 1)


def train(docs: Whole, options: Options, out: Path) -> None:
    """Learn from a sample of the documents and leave a tokenizer in `out`."""
    _check(options)
    texts, languages = sample(docs, options.sample_bytes, options.seed)
    sample_bytes = sum(len(text.encode()) for text in texts)
    status(f"learning {options.vocab_size:,} entries from {sample_bytes / 1e6:.1f} MB")
    learnt = learning.learn(texts, options.vocab_size, options.model, options.pattern, options.special_token)
    bpe.save(learnt, out, options.special_token)
    tokenizer = bpe.load(out, fast=True)
    measured = _first_bytes(texts, _MEASURED_BYTES if tokenizer.fast is None else options.sample_bytes)
    report = {
        "model": options.model,
        "pattern": options.pattern,
        "special_tokens": [bpe.END_OF_TEXT, *options.special_token],
        "documents": docs.num_rows,
        "sample_documents": len(texts),
        "sample_bytes": sample_bytes,
        **measure.measure(tokenizer, measured, languages[: len(measured)]),
    }
    (out / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check(options: Options) -> None:
    specials = [bpe.END_OF_TEXT, *options.special_token]
    for name in specials[1:]:
        if not name.strip() or specials.count(name) > 1:
            problem = f"--special-token {name!r}: expected words that differ from each other and from {bpe.END_OF_TEXT}"
            raise UsageError("train tokenizer", problem, "leave it out")
    least = learning.ALPHABET[options.model] + len(specials)
    if options.vocab_size < least:
        raise UsageError(
            "train tokenizer",
            f"--vocab-size {options.vocab_size}: expected at least {least} for the bytes and marks of {options.model}",
            "make it larger",
        )


def sample(docs: pa.Table, sample_bytes: int, seed: int) -> tuple[list[str], list[str]]:
    """Choose documents by the hash of their ids, lowest first, until `sample_bytes`; the last one is cut to fit.

    Gives their texts and languages ("" where nothing tells). The order of rows and their chunks do not matter. Holds
    little more than the sample.
    """
    batches = docs.select([name for name in ("id", "text", "language") if name in docs.column_names]).to_batches()
    hashes, where, rows = _choose(batches, sample_bytes, seed)
    text_at = _texts(batches, where, rows)
    order = packing.order(hashes, lambda at: (batches[where[at]].column("id")[rows[at]].as_py(), text_at[at])).tolist()
    texts = _first_bytes([text_at[at] for at in order], sample_bytes)
    told = "language" in docs.column_names
    languages = [batches[where[at]].column("language")[rows[at]].as_py() if told else None for at in order]
    return texts, [language or "" for language in languages[: len(texts)]]


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
    version=2,
    some_extra="unigram",
)
