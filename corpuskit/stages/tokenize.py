"""Turn documents into token ids.

Each document becomes the ids of its text and the mark that ends a document; `bytes` keeps the length of its text in
UTF-8, so that models with different tokenizers compare in bits per byte. The ids are those of the `tokenizers`
library, without anything before or after them but the mark. Ids are uint16 where the vocabulary has at most 65,536
entries, else uint32.

By default fastokens encodes, which gives the same ids many times faster; what it cannot load, or gets wrong in a trial
at the start, is left to `tokenizers`. In every shard, a document in about a thousand is encoded by both: where they
differ the run fails and names the document.

The tokenizer is one of `corpuskit train tokenizer` or anybody's: a folder with a `tokenizer.json`, that file, or a name
of the Hugging Face Hub (`gpt2`, `owner/name`, with `@revision`), which is fetched into the hub's cache. The mark is
`--eos-token`, else the `eos_token` of its tokenizer_config.json, else `<|endoftext|>`. Special tokens that a text
spells out are encoded as the plain text that they are, so no document can end another. Files of the tokenizer travel
with the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import schema
from corpuskit.errors import CorpuskitError
from corpuskit.options import option
from corpuskit.schema import tokens_schema
from corpuskit.stage import Batches, Files, Input, Stage, Step, Table
from corpuskit.tokens import bpe, packing
from corpuskit.tokens.columns import lists, pick
from corpuskit.tokens.pieces import Text, texts_of

_SAMPLED, _SAMPLE_SEED = 1024, 6  # `tokenizers` is some 40 times as slow: a sample of a thousandth costs 4 %
_FIRST_CHARS = 20_000
REASONS = {
    "no_text": "the row has no text (null)",
    "not_utf8": "the bytes of the text are not UTF-8",
    "end_mark_in_text": "the text itself has the mark that ends a document, in a tokenizer that cannot tell them apart",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What ends a document."""

    eos_token: str | None = option(None, "The token that ends a document, if not the tokenizer's own.")
    backend: str = option("auto", "What encodes; the ids are the same.", choices=("auto", "tokenizers"), how=True)


def encode(docs: Batches, tokenizer: Path, options: Options) -> Iterator[pa.RecordBatch]:
    """Encode every document: columns of `tokens_schema`, and marks."""
    loaded = bpe.load_once(tokenizer, options.eos_token, fast=options.backend == "auto")
    seen = 0
    for batch in docs:
        texts, undecodable = texts_of(batch.column("text"))
        _compare(batch.column("id"), texts, loaded, first=not seen)
        seen += batch.num_rows
        yield _encode(batch, texts, undecodable, loaded)


def _compare(ids: pa.Array, texts: Sequence[Text], tokenizer: bpe.TextTokenizer, *, first: bool) -> None:
    """Hold a sample of documents, told by their ids, against `tokenizers`; of the first batch one at least."""
    if tokenizer.fast is None:
        return
    hashes = packing.keys(ids.cast(pa.string()), _SAMPLE_SEED)
    rows = set(np.flatnonzero(hashes % np.uint64(_SAMPLED) == 0).tolist())
    if first:
        rows |= {at for at in hashes.argsort()[:4].tolist() if len(texts[at]) < _FIRST_CHARS}
    sample = sorted(rows)
    wrong = tokenizer.differing([texts[at] for at in sample])
    if wrong is not None:
        raise CorpuskitError(
            "tokenize",
            f"fastokens and tokenizers give other ids for document {ids[sample[wrong]].as_py()!r}",
            "run again with --backend tokenizers, and report the document",
        )


def _encode(
    batch: pa.RecordBatch, texts: Sequence[Text], undecodable: Any, tokenizer: bpe.TextTokenizer
) -> pa.RecordBatch:
    text = batch.column("text")
    ids, offsets, ending = tokenizer.encode_documents(texts)
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


def _of_hub(name: str) -> str:
    from corpuskit.sources import hub_tokenizer

    return hub_tokenizer.fetch(name)


_TOKENIZER = "a tokenizer: of `train tokenizer`, a folder, a tokenizer.json, or a name of the Hugging Face Hub"

STAGE = Stage(
    options=Options,
    inputs=(
        Input("docs", "documents: a dataset"),
        Input("tokenizer", _TOKENIZER, flag=True, raw=True, fetch=_of_hub),
    ),
    steps=(
        Step(encode, {"tokens": Table(tokens_schema(bpe.MIN_VOCAB_SIZE), conserves="docs")}),
        Step(attach, {"tokenizer": Files()}),
    ),
    reasons=REASONS,
)
