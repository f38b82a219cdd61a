"""Measure a model on held-out text, in bits per byte.

MODEL is an n-gram model (an ARPA file of KenLM or others too, which is one of words) or a Transformer. IN is the output
of `shard` (its valid split), of `tokenize` with the model's own tokenizer, or of any stage that writes documents; a
model of words takes a text file, one sentence a line.

nats is the sum of -ln p over all tokens, nats_end the part of the end-of-document marks, perplexity exp(nats/tokens).
Bits per byte leaves the end marks out and divides by the UTF-8 bytes of the text, so that models with any tokenizers
compare: (nats - nats_end) / (ln 2 * bytes). Every document is scored on its own.

Beside it: 8 bits (all bytes as likely), gzip -9 and zstd -19 on the same documents joined by newlines, and for a
Transformer what it scored before it had learnt anything. What nothing was measured for is null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import BadData, UsageError
from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, Whole, status, warn

TOKENIZER = "tokenizer"  # the folder of a model that holds it
_ROWS = 1024  # documents held as Python strings at a time


@dataclass(frozen=True)
class Options:
    """What the text is, how much of it, and where to compute."""

    input: str | None = option(None, "What IN is; by default what the model learnt.", choices=("tokens", "words"))
    max_documents: int | None = option(None, "Evaluate the first N documents only.", min=1)
    baselines: bool = option(True, "Measure gzip, zstd and the untrained Transformer too.")
    device: str = option("auto", "Where a Transformer runs.", choices=("auto", "cpu", "cuda", "mps"))


class Model(Protocol):
    """What both kinds of models can do."""

    def score(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give the nats of each document, and of its end mark."""


@dataclass(frozen=True)
class Text:
    """Documents as the model's ids, with the UTF-8 bytes of their text; `chunks` gives the text, joined by newlines."""

    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    n_bytes: int
    chunks: Callable[[], Iterable[bytes]] | None  # None: nothing tells the text of the ids


def evaluate(
    model: Path,
    corpus: Whole | Path,
    tokenizer: Path | None,
    options: Options,
    out: Path,
    artifacts: Mapping[str, str],
) -> None:
    """Write report.json."""
    about = _about(model)
    wanted = options.input or about["input"]
    if wanted != about["input"]:
        raise UsageError("evaluate", f"--input {wanted}: the model learnt {about['input']}", "leave --input out")
    scorer, facts = _load(model, about, options.device)
    text = _read(model, about, scorer, corpus, tokenizer, options.max_documents)
    n_documents = len(text.offsets) - 1
    if not n_documents:
        warn("there are no documents to evaluate on; a larger `valid_fraction` of `shard` holds some out")
    status(f"scoring {len(text.tokens):,} tokens")
    measured = _measure(scorer, text)
    report = {
        "kind": about["kind"],
        "split": "valid" if artifacts.get("corpus") == "heldout" else "all",
        "documents": n_documents,
        "tokens": len(text.tokens),
        "bytes": text.n_bytes,
        **measured,
        **facts,
        "oov": scorer.unseen(text.tokens) if about["kind"] == "ngram" else None,
        "baselines": _baselines(scorer, text, options.baselines),
    }
    (out / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _about(model: Path) -> dict[str, Any]:
    if model.is_file():
        return {"kind": "ngram", "input": "words"}
    try:
        about = json.loads((model / "model.json").read_text(encoding="utf-8"))
        return {"input": "tokens", **about, "kind": str(about["kind"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(str(model), f"expected a model with a model.json: {error}", "train it anew") from None


def _load(model: Path, about: Mapping[str, Any], device: str) -> tuple[Any, dict[str, Any]]:
    """Give a model and what the report says of it."""
    if about["kind"] == "ngram":
        from corpuskit.lm import ngram

        counted = ngram.load(model)
        words = f"{counted.order}-gram, {counted.described}, {sum(counted.grams):,} grams"
        return counted, {"model": words, "grams": list(counted.grams)}
    if about["kind"] == "transformer":
        from corpuskit.lm import network

        loaded = network.load(model, device)
        parameters = about.get("parameters")
        kind = {"llama": "Transformer"}.get(loaded.shape.arch, loaded.shape.arch.upper())
        words = f"{kind}, {parameters:,} parameters" if parameters else kind
        return loaded, {"model": words, "parameters": parameters, "device": str(getattr(loaded, "device", device))}
    raise BadData(str(model), f"expected a model of kind ngram or transformer, found {about['kind']}", "train it anew")


def _read(
    model: Path, about: Mapping[str, Any], scorer: Any, corpus: Any, tokenizer: Path | None, most: int | None
) -> Text:
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


def _words(scorer: Any, path: Path, most: int | None) -> Text:
    from corpuskit.lm import words

    lines = words.encode_lines(path, scorer.words, scorer.unknown, most)
    return Text(
        lines.tokens, lines.offsets, int(lines.line_bytes.sum()), lambda: words.text_chunks(path, lines.line_bytes)
    )


def _docs(model: Path, table: pa.Table) -> Text:
    """Encode documents with the model's own tokenizer, each with its end mark."""
    from corpuskit.lm import metrics

    own = _own_tokenizer(model)
    parts, lengths = [np.empty(0, own.dtype)], [np.empty(0, np.int64)]
    for batch in table.select(["text"]).to_batches(max_chunksize=_ROWS):
        ids, offsets = own.encode(batch.column("text").to_pylist())
        parts.append(np.insert(ids, offsets[1:], own.end_id))
        lengths.append(np.diff(offsets) + 1)
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    n_bytes = _sum(pc.binary_length(table.column("text")))

    def texts() -> Iterable[str]:
        batches = table.select(["text"]).to_batches(max_chunksize=_ROWS)
        return (text for batch in batches for text in batch.column("text").to_pylist())

    return Text(np.concatenate(parts), ends, n_bytes, lambda: metrics.joined(texts()))


def _tokens(model: Path, about: Mapping[str, Any], table: pa.Table, tokenizer: Path | None) -> Text:
    """Take documents that are tokenized already, with the tokenizer that the model was trained with."""
    from corpuskit.lm import metrics
    from corpuskit.tokens.columns import flatten

    tokens, offsets = flatten(table.column("input_ids"))
    _check_same(model, tokenizer)
    counted = "bytes" in table.column_names
    own = None if counted and not (model / TOKENIZER).is_dir() else _own_tokenizer(model)
    vocab_size = own.vocab_size if own is not None else about["vocab_size"]
    largest = int(tokens.max(initial=0))
    if largest >= vocab_size:
        raise _other_tokenizer(f"it has an id {largest}, the model {vocab_size} ids")
    if own is None:
        return Text(tokens, offsets, _sum(table.column("bytes")), None)

    def texts() -> Iterable[str]:
        return (own.decode(tokens[offsets[i] : offsets[i + 1]]) for i in range(len(offsets) - 1))

    n_bytes = _sum(table.column("bytes")) if counted else sum(len(text.encode("utf-8")) for text in texts())
    return Text(tokens, offsets, n_bytes, lambda: metrics.joined(texts()))


def _sum(numbers: pa.ChunkedArray) -> int:
    return int(pc.sum(numbers, min_count=0).as_py())


def _own_tokenizer(model: Path) -> Any:
    from corpuskit.tokens import bpe

    if not (model / TOKENIZER).is_dir():
        raise UsageError("evaluate", "the model came without its tokenizer", "train it on a dataset that carries one")
    return bpe.load(model / TOKENIZER)


def _check_same(model: Path, tokenizer: Path | None) -> None:
    """Refuse tokens of a tokenizer that gives ids another meaning, as far as both tokenizers are known."""
    from corpuskit.tokens import bpe

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


def _measure(scorer: Model, text: Text) -> dict[str, float | None]:
    from corpuskit.lm import metrics

    of_documents, of_ends = scorer.score(text.tokens, text.offsets)
    nats, nats_end = float(of_documents.sum()), float(of_ends.sum())
    if not np.isfinite(nats):
        remedy = "use another smoothing where it has none, else train it anew"
        raise BadData("evaluate", f"the model gives the text {nats} nats: a token has no probability", remedy)
    return {
        "nats": nats,
        "nats_end": nats_end,
        "perplexity": metrics.perplexity(nats, len(text.tokens)),
        "bits_per_byte": metrics.bits_per_byte(nats, nats_end, text.n_bytes),
    }


def _baselines(scorer: Any, text: Text, wanted: bool) -> dict[str, float | None]:
    from corpuskit.lm import metrics

    found: dict[str, float | None] = {"uniform": metrics.UNIFORM_BITS, "gzip": None, "zstd": None, "untrained": None}
    if wanted and len(text.offsets) > 1:
        if text.chunks is not None:
            status("compressing the text with gzip and zstd")
            found.update(metrics.compressors(text.chunks()))
        if hasattr(scorer, "untrained"):
            status("scoring with the untrained model")
            found["untrained"] = _measure(scorer.untrained(), text)["bits_per_byte"]
    return found


STAGE = Stage(
    options=Options,
    inputs=(
        Input("model", "the output of `train ngram` or `train transformer`, or an ARPA file", raw=True),
        Input(
            "corpus",
            "the output of `shard` or `tokenize`, documents, or a text file",
            accepts=("heldout", "tokens", "docs"),
            raw=True,
        ),
    ),
    steps=(Step(evaluate, writes={"report": Files()}),),
    some_extra="train",
    prints="report.json",
)
