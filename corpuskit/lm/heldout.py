"""Text to measure a model on, as ids of the model's own: from documents, their tokens, or lines of words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import UsageError
from corpuskit.lm import metrics, words
from corpuskit.tokens import bpe
from corpuskit.tokens.columns import flatten

TOKENIZER = "tokenizer"  # the folder of a model that holds it
#: By what documents are told apart in a report, where they say it.
GROUPS = ("source", "language")
_ROWS = 1024  # documents held as Python strings at a time

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """Documents as the model's ids.

    Document i has tokens[offsets[i]:offsets[i + 1]] and `sizes[i]` bytes of UTF-8. `chunks` gives the text, joined by
    newlines; None where nothing tells the text of the ids. `groups` has, by name, the value of each document.
    """

    tokens: npt.NDArray[Any]
    offsets: _Ints
    sizes: _Ints
    chunks: Callable[[], Iterable[bytes]] | None
    groups: Mapping[str, pa.ChunkedArray] = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """The bytes of all documents."""
        return int(self.sizes.sum())


def read(
    model: Path, about: Mapping[str, Any], scorer: Any, corpus: Any, tokenizer: Path | None, most: int | None
) -> Text:
    """Read a text file (models of words) or a table of documents or tokens, the first `most` documents of it.

    Raises UsageError where the model cannot read it.
    """
    if about["input"] == "words":
        if not isinstance(corpus, Path):
            raise UsageError(
                "evaluate", "the model is one of words: expected a text file, got a dataset", "give a file"
            )
        return _words(scorer, corpus, most)
    if isinstance(corpus, Path):
        remedy = "make a dataset of it with `corpuskit extract`, or train a model of words"
        raise UsageError("evaluate", "the model is one of tokens: expected a dataset, got text", remedy)
    table = corpus if most is None else corpus.slice(0, most)
    if "input_ids" in table.column_names:
        return _tokens(model, about, table, tokenizer)
    return _docs(model, table)


def encoder(model: Path, about: Mapping[str, Any], scorer: Any) -> Callable[[str], npt.NDArray[Any]]:
    """Give what turns a text into the model's ids."""
    if about["input"] != "words":
        own = own_tokenizer(model)
        return lambda text: own.encode([text])[0]
    ids = {word: at for at, word in enumerate(scorer.words, 1)}
    return lambda text: np.array([ids.get(word, scorer.unknown) for word in text.encode().split()], np.int64)


def decoder(model: Path, about: Mapping[str, Any], scorer: Any) -> Callable[[npt.NDArray[Any]], str]:
    """Give what turns the model's ids into a text."""
    if about["input"] != "words":
        return own_tokenizer(model).decode
    names = [b"", *scorer.words]
    return lambda ids: b" ".join(names[at] if at < len(names) else b"<unk>" for at in ids).decode("utf-8", "replace")


def own_tokenizer(model: Path) -> bpe.TextTokenizer:
    """Load the tokenizer that a model came with."""
    if not (model / TOKENIZER).is_dir():
        raise UsageError("evaluate", "the model came without its tokenizer", "train it on a dataset that carries one")
    return bpe.load(model / TOKENIZER)


def _words(scorer: Any, path: Path, most: int | None) -> Text:
    lines = words.encode_lines(path, scorer.words, scorer.unknown, most)
    return Text(lines.tokens, lines.offsets, lines.line_bytes, lambda: words.text_chunks(path, lines.line_bytes))


def _docs(model: Path, table: pa.Table) -> Text:
    """Encode documents with the model's own tokenizer, each with its end mark."""
    own = own_tokenizer(model)
    parts, lengths = [np.empty(0, own.dtype)], [np.empty(0, np.int64)]
    for batch in table.select(["text"]).to_batches(max_chunksize=_ROWS):
        ids, offsets = own.encode(batch.column("text").to_pylist())
        parts.append(np.insert(ids, offsets[1:], own.end_id))
        lengths.append(np.diff(offsets) + 1)
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    sizes = _numbers(pc.binary_length(table.column("text")))

    def texts() -> Iterable[str]:
        batches = table.select(["text"]).to_batches(max_chunksize=_ROWS)
        return (text for batch in batches for text in batch.column("text").to_pylist())

    return Text(np.concatenate(parts), ends, sizes, lambda: metrics.joined(texts()), _groups(table))


def _tokens(model: Path, about: Mapping[str, Any], table: pa.Table, tokenizer: Path | None) -> Text:
    """Take documents that are tokenized already, with the tokenizer that the model was trained with."""
    tokens, offsets = flatten(table.column("input_ids"))
    _check_same(model, tokenizer)
    counted = "bytes" in table.column_names
    own = None if counted and not (model / TOKENIZER).is_dir() else own_tokenizer(model)
    vocab_size = own.vocab_size if own is not None else about["vocab_size"]
    largest = int(tokens.max(initial=0))
    if largest >= vocab_size:
        raise _other_tokenizer(f"it has an id {largest}, the model {vocab_size} ids")
    if own is None:
        return Text(tokens, offsets, _numbers(table.column("bytes")), None, _groups(table))

    def texts() -> Iterable[str]:
        return (own.decode(tokens[offsets[i] : offsets[i + 1]]) for i in range(len(offsets) - 1))

    if counted:
        sizes = _numbers(table.column("bytes"))
    else:
        sizes = np.fromiter((len(text.encode("utf-8")) for text in texts()), np.int64, len(offsets) - 1)
    return Text(tokens, offsets, sizes, lambda: metrics.joined(texts()), _groups(table))


def _groups(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: table.column(name) for name in GROUPS if name in table.column_names}


def _numbers(column: pa.ChunkedArray) -> _Ints:
    found: _Ints = column.fill_null(0).cast(pa.int64()).to_numpy()
    return found


def _check_same(model: Path, tokenizer: Path | None) -> None:
    """Refuse tokens of a tokenizer that gives ids another meaning, as far as both tokenizers are known."""
    if tokenizer is None or not (model / TOKENIZER).is_dir():
        return
    mine, theirs = (
        bpe.load(folder).backend.get_vocab(with_added_tokens=True) for folder in (model / TOKENIZER, tokenizer)
    )
    if len(mine) != len(theirs):
        raise _other_tokenizer(f"it has {len(theirs)} ids, the model {len(mine)}")
    if mine != theirs:
        raise _other_tokenizer(f"both have {len(mine)} ids, which mean different tokens")


def _other_tokenizer(why: str) -> UsageError:
    remedy = "tokenize with the model's tokenizer, or give documents"
    return UsageError("evaluate", f"the text was made into tokens by another tokenizer than the model's: {why}", remedy)
