"""Turn documents into token ids.

Each document becomes the ids of its text and the mark that ends a document; `bytes` keeps the length of its text in
UTF-8, so that models with different tokenizers compare in bits per byte. The ids are those of the `tokenizers`
library, without anything before or after them but the mark. Ids are uint16 where the vocabulary has at most 65,536
entries, else uint32.

The tokenizer is one of `corpuskit train tokenizer` or anybody's: a folder with a `tokenizer.json`, or that file. The
mark is `--eos-token`, else the `eos_token` of its tokenizer_config.json, else `<|endoftext|>`. Special tokens that a
text spells out are encoded as the plain text that they are, so no document can end another. Files of the tokenizer
travel with the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import schema
from corpuskit.options import option
from corpuskit.schema import tokens_schema
from corpuskit.stage import Batches, Files, Input, Stage, Step, Table
from corpuskit.text.unicode import decoded
from corpuskit.tokens import bpe
from corpuskit.tokens.columns import lists, pick

REASONS = {
    "no_text": "the row has no text (null)",
    "not_utf8": "the bytes of the text are not UTF-8",
    "end_mark_in_text": "the text itself has the mark that ends a document, in a tokenizer that cannot tell them apart",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What ends a document."""

    eos_token: str | None = option(None, "The token that ends a document, if not the tokenizer's own.")


def encode(docs: Batches, tokenizer: Path, options: Options) -> Iterator[pa.RecordBatch]:
    """Encode every document: columns of `tokens_schema`, and marks."""
    loaded = bpe.load(tokenizer, options.eos_token)
    for batch in docs:
        yield _encode(batch, loaded)


def _encode(batch: pa.RecordBatch, tokenizer: bpe.TextTokenizer) -> pa.RecordBatch:
    text = batch.column("text")
    texts, undecodable = decoded(text)
    ids, offsets = tokenizer.encode(texts)
    ending = np.unique(np.searchsorted(offsets, np.flatnonzero(ids == tokenizer.end_id), "right") - 1)
    ids = np.insert(ids, offsets[1:], tokenizer.end_id)
    offsets = offsets + np.arange(len(offsets))
    size = pc.binary_length(text).fill_null(0).cast(pa.int64())
    name, source, language = (each.cast(pa.string()) for each in pick(batch, ["id", "source", "language"]))
    columns = [name, lists(ids, offsets), size, source, language]
    out = pa.RecordBatch.from_arrays(columns, schema=tokens_schema(tokenizer.vocab_size))
    reasons = np.full(batch.num_rows, None, object)
    reasons[ending] = "end_mark_in_text"
    out = schema.mark(out, reasons.tolist())
    errors = np.full(batch.num_rows, None, object)
    errors[undecodable] = "not_utf8"
    errors[text.is_null().to_numpy(zero_copy_only=False)] = "no_text"
    return schema.with_column(out, schema.ERROR, pa.array(errors.tolist(), pa.string()))


def attach(tokenizer: Path, options: Options, out: Path) -> None:
    """Keep the tokenizer beside the tokens."""
    bpe.copy(tokenizer, out, options.eos_token)


STAGE = Stage(
    options=Options,
    inputs=(
        Input("docs", "documents: a dataset"),
        Input("tokenizer", "a tokenizer: of `train tokenizer`, a folder, or a tokenizer.json", flag=True, raw=True),
    ),
    steps=(
        Step(encode, {"tokens": Table(tokens_schema(bpe.MIN_VOCAB_SIZE), conserves="docs")}),
        Step(attach, {"tokenizer": Files()}),
    ),
    reasons=REASONS,
)
