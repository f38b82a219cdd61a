"""Train an n-gram model with modified Kneser-Ney smoothing.

Interpolated modified Kneser-Ney (Chen and Goodman 1998) as KenLM's lmplz estimates it (Heafield et al. 2013). IN is the
output of `shard` (its train split) or of `tokenize`; with `--input words` it is plain text, or a folder of it, gzipped
or not: one sentence a line, words by white space.

A document is one sentence to the model: it is preceded by `<s>`, and its end mark is predicted like a token. Blocks
are read as one stream that is cut where documents begin; a document whose end did not fit the last block has no end
mark, and none is made up for it. Of blocks of `--pack best-fit` padding is left out, and a document that was cut is
several sentences.

The vocabulary of a tokenizer is closed: an id that training never saw shares the smallest probability evenly with all
others such (lmplz --vocab_pad), so the probabilities of all ids sum to one. For words it is open, as in lmplz: all
unknown words are `<unk>`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, UsageError
from corpuskit.options import option
from corpuskit.schema import PADDING
from corpuskit.stage import Files, Input, Stage, Step, Whole, status, warn


@dataclass(frozen=True)
class Options:
    """How long the grams are, and what the text is."""

    order: int = option(5, "The longest grams, in tokens.", min=1, max=8)
    input: str = option("tokens", "What IN is: token ids, or plain text of words.", choices=("tokens", "words"))
    smoothing: str = option(
        "kneser-ney",
        "How unseen words get probability; the others are for comparison.",
        choices=("kneser-ney", "witten-bell", "none"),
    )
    prune: tuple[int, ...] = option(
        (), "Leave grams out that occur at most so often: one number an order from 1 on, the last for all higher ones."
    )
    interpolate_unigrams: bool = option(True, "Mix unigrams with the uniform distribution.")
    discount_fallback: bool = option(True, "Use discounts 0.5, 1, 1.5 for orders whose own do not exist, as lmplz can.")
    arpa: bool = option(False, "Write model.arpa too, which KenLM and others read.")
    memory_gb: float | None = option(
        None, "Keep tables in files, and what is sorted at a time within about this.", min=0.001, how=True
    )
    threads: int | None = option(None, "Threads at work; by default one a core.", min=1, how=True)


@dataclass(frozen=True)
class Text:
    """Documents as ids, and what is known of the ids."""

    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    vocab_size: int
    end_id: int | None
    closed: bool = False  # the ids below vocab_size are all there are
    words: list[bytes] | None = None


def train(
    corpus: Whole | Path, tokenizer: Path | None, options: Options, out: Path, artifacts: Mapping[str, str]
) -> None:
    """Estimate the model and leave its files in `out`."""
    from corpuskit.lm import ngram, ngram_counts
    from corpuskit.lm.ngram_tables import Work

    if isinstance(corpus, Path):
        text = _read_words(corpus, options)
    else:
        text = _read_tokens(corpus, tokenizer, options, artifacts.get("corpus", ""))
    if not len(text.tokens):
        if not text.closed:
            remedy = "check the input with `corpuskit show`"
            raise BadData("train ngram", "expected text, found not one token", remedy)
        warn("there is not one token to learn from; to this model all are as likely")
    status(f"counting {options.order}-grams of {len(text.tokens):,} tokens")
    smoothing = ngram_counts.Smoothing(
        options.smoothing, options.discount_fallback, options.prune, options.interpolate_unigrams
    )
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=out) as scratch:
        memory = None if options.memory_gb is None else int(options.memory_gb * 1e9)
        estimate = ngram_counts.estimate(
            text.tokens,
            text.offsets,
            order=options.order,
            vocab_size=text.vocab_size,
            end_id=text.end_id,
            types=text.vocab_size + 1 if text.closed else None,
            smoothing=smoothing,
            work=Work(options.threads, memory, Path(scratch)),
        )
        status("writing the model")
        ngram.save(
            out,
            estimate,
            vocab_size=text.vocab_size,
            end_id=text.end_id,
            smoothing=options.smoothing,
            words=text.words,
            tokenizer=tokenizer,
        )
    if options.arpa:
        from corpuskit.lm import arpa

        status("writing model.arpa")
        arpa.write(ngram.load(out), out / "model.arpa")
    if estimate.fallback_orders and len(text.tokens):
        orders = ", ".join(map(str, estimate.fallback_orders))
        warn(f"too few distinct counts for the discounts of order {orders}; used 0.5, 1, 1.5")


def _read_words(path: Path, options: Options) -> Text:
    from corpuskit.lm import words

    if options.input != "words":
        raise UsageError("train ngram", "expected a dataset of tokens, got text", "pass --input words, or tokenize it")
    lines, known = words.learn_lines(path)
    return Text(lines.tokens, lines.offsets, len(known) + 1, words.END_ID, words=known)


def _read_tokens(table: pa.Table, tokenizer: Path | None, options: Options, artifact: str) -> Text:
    from corpuskit.tokens import bpe, sequences
    from corpuskit.tokens.columns import flatten

    if options.input != "tokens":
        raise UsageError("train ngram", "--input words: expected a text file, got a dataset", "leave --input out")
    column = table.column("input_ids")
    tokens, offsets = flatten(column)
    blocks = artifact == "train" or pa.types.is_fixed_size_list(column.type)
    if tokenizer is None:
        end_id = None if blocks else _common_last(tokens, offsets)
        vocab_size = int(tokens.max(initial=0)) + 1
    else:
        known = bpe.load(tokenizer)
        end_id, vocab_size = known.end_id, known.vocab_size
    if PADDING in table.column_names:
        tokens, offsets = sequences.joined(table.to_batches())
    elif "document_starts" in table.column_names:
        offsets = _cut_at(table.column("document_starts"), offsets)
    elif blocks:
        offsets = _cut_after(tokens, end_id)
    return Text(tokens, offsets, vocab_size, end_id, closed=tokenizer is not None)


def _common_last(tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> int | None:
    """Give the id that all documents end with, if there is one: without a tokenizer nothing else tells."""
    last = np.unique(tokens[offsets[1:][np.diff(offsets) > 0] - 1])
    return int(last[0]) if len(last) == 1 else None


def _cut_at(starts: pa.ChunkedArray, blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Cut a stream of blocks where documents begin, which tells of those too that the end of a split has cut off."""
    from corpuskit.tokens.columns import flatten

    inside, counts = flatten(starts)
    begins = np.repeat(blocks[:-1], np.diff(counts)) + inside
    return np.unique(np.concatenate([[0], begins, blocks[-1:]])).astype(np.int64)


def _cut_after(tokens: npt.NDArray[Any], end_id: int | None) -> npt.NDArray[np.int64]:
    """Cut a stream after each end mark; a tail without one is a document too."""
    ends = np.flatnonzero(tokens == end_id) + 1 if end_id is not None else np.empty(0, np.int64)
    tail = [len(tokens)] if len(tokens) and (not len(ends) or ends[-1] < len(tokens)) else []
    return np.concatenate([[0], ends, tail]).astype(np.int64)


STAGE = Stage(
    options=Options,
    inputs=(
        Input(
            "corpus",
            "the output of `shard` or `tokenize`, or a text file",
            accepts=("train", "tokens"),
            raw=True,
        ),
    ),
    version=2,
    steps=(Step(train, writes={"model": Files()}),),
)
