"""Measure a model on held-out text, in bits per byte.

MODEL is an n-gram model (an ARPA file of KenLM or others too, which is one of words) or a Transformer. IN is the output
of `shard` (its valid split), of `tokenize` with the model's own tokenizer, or of any stage that writes documents; a
model of words takes a text file, one sentence a line.

nats is the sum of -ln p over all tokens, nats_end the part of the end-of-document marks, perplexity exp(nats/tokens).
Bits per byte leaves the end marks out and divides by the UTF-8 bytes of the text, so that models with any tokenizers
compare: (nats - nats_end) / (ln 2 * bytes). Every document is scored on its own. `interval` is where bits per byte
would lie 95 times in 100 had other documents been held out (bootstrap over documents); `by` has them for each source
and language. `accuracy` is how many of the tokens were the likeliest to come.

--choices takes JSON Lines that ask the model to choose: `{"good": TEXT, "bad": TEXT}` (minimal pairs),
`{"prompt": TEXT, "choices": [TEXT, ...], "answer": N}` and `{"prompt": TEXT, "answer": TEXT}` (the next words).

Beside it: 8 bits (all bytes as likely), gzip -9 and zstd -19 on the same documents joined by newlines, and for a
Transformer what it scored before it had learnt anything. What nothing was measured for is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from corpuskit.errors import BadData, NoInput, UsageError
from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, Whole, status, warn

if TYPE_CHECKING:
    from corpuskit.lm.heldout import Text

_GROUPS = 50  # sources or languages that the report lists, those with the most text


@dataclass(frozen=True)
class Options:
    """What the text is, how much of it, and where to compute."""

    input: str | None = option(None, "What IN is; by default what the model learnt.", choices=("tokens", "words"))
    max_documents: int | None = option(None, "Evaluate the first N documents only.", min=1)
    baselines: bool = option(True, "Measure gzip, zstd and the untrained Transformer too.")
    continuations: int | None = option(
        None, "Also let it write on in so many documents, and measure BLEU and chrF (needs sacrebleu).", min=1
    )
    device: str = option("auto", "Where a Transformer runs.", choices=("auto", "cpu", "cuda", "mps"))


def evaluate(
    model: Path,
    corpus: Whole | Path,
    tokenizer: Path | None,
    choices: Path | None,
    options: Options,
    out: Path,
    artifacts: Mapping[str, str],
) -> None:
    """Write report.json."""
    from corpuskit.lm import heldout

    about = _about(model)
    wanted = options.input or about["input"]
    if wanted != about["input"]:
        raise UsageError("evaluate", f"--input {wanted}: the model learnt {about['input']}", "leave --input out")
    scorer, facts = _load(model, about, options.device)
    text = heldout.read(model, about, scorer, corpus, tokenizer, options.max_documents)
    n_documents = len(text.offsets) - 1
    if not n_documents:
        warn("there are no documents to evaluate on; a larger `valid_fraction` of `shard` holds some out")
    status(f"scoring {len(text.tokens):,} tokens")
    nats, ends, hits = scorer.scored(text.tokens, text.offsets)
    report: dict[str, Any] = {
        "kind": about["kind"],
        "split": "valid" if artifacts.get("corpus") == "heldout" else "all",
        "documents": n_documents,
        "tokens": len(text.tokens),
        "bytes": text.n_bytes,
        **_measure(nats, ends, text),
        "accuracy": float(hits.sum() / len(text.tokens)) if len(text.tokens) else None,
        **facts,
        "oov": scorer.unseen(text.tokens) if about["kind"] == "ngram" else None,
        "baselines": _baselines(scorer, text, options.baselines),
        "by": dict(_by_group(nats - ends, text)),
        "choices": _choose(choices, heldout.encoder(model, about, scorer), scorer) if choices else None,
        "continuations": None,
    }
    if options.continuations:
        from corpuskit.lm import continuations

        status(f"writing on in {options.continuations:,} documents")
        end_id = scorer.end_id if about["kind"] == "ngram" else scorer.shape.end_id
        decode = heldout.decoder(model, about, scorer)
        report["continuations"] = continuations.measure(
            scorer, decode, text.tokens, text.offsets, options.continuations, end_id
        )
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


def _measure(nats: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], text: Text) -> dict[str, Any]:
    """Sum up the nats of documents and of their end marks."""
    from corpuskit.lm import confidence, metrics

    total, total_end = float(nats.sum()), float(ends.sum())
    if not np.isfinite(total):
        remedy = "use another smoothing where it has none, else train it anew"
        raise BadData("evaluate", f"the model gives the text {total} nats: a token has no probability", remedy)
    return {
        "nats": total,
        "nats_end": total_end,
        "perplexity": metrics.perplexity(total, len(text.tokens)),
        "bits_per_byte": metrics.bits_per_byte(total, total_end, text.n_bytes),
        "interval": confidence.bits_per_byte(nats - ends, text.sizes),
    }


def _by_group(nats: npt.NDArray[np.float64], text: Text) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give for sources and languages, where documents have several, the bits per byte of each."""
    from corpuskit.lm import confidence, metrics

    for name, column in text.groups.items():
        values = pc.fill_null(column, "").combine_chunks().dictionary_encode()
        rows = values.indices.to_numpy()
        names, n_bytes = values.dictionary.to_pylist(), np.bincount(rows, text.sizes, len(values.dictionary))
        found = {}
        for at in sorted(range(len(names)), key=lambda at: (-n_bytes[at], names[at]))[:_GROUPS]:
            mine = np.flatnonzero(rows == at)
            found[names[at]] = {
                "documents": len(mine),
                "bytes": int(n_bytes[at]),
                "bits_per_byte": metrics.bits_per_byte(float(nats[mine].sum()), 0.0, int(n_bytes[at])),
                "interval": confidence.bits_per_byte(nats[mine], text.sizes[mine]),
            }
        if len(found) > 1:
            yield name, found


def _choose(path: Path, encode: Any, scorer: Any) -> dict[str, Any]:
    """Ask the model to choose, file by file."""
    from corpuskit.lm import choices

    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise NoInput(
            "--choices", f"{path.name}: expected a file of JSON Lines, or a folder of .jsonl", "check the path"
        )

    def likeliest(context: npt.NDArray[Any]) -> int:
        return int(scorer.next_probabilities(context).argmax())

    return {file.name: choices.ask(list(choices.read(file)), encode, scorer.score, likeliest) for file in files}


def _baselines(scorer: Any, text: Text, wanted: bool) -> dict[str, float | None]:
    from corpuskit.lm import metrics

    found: dict[str, float | None] = {"uniform": metrics.UNIFORM_BITS, "gzip": None, "zstd": None, "untrained": None}
    if wanted and len(text.offsets) > 1:
        if text.chunks is not None:
            status("compressing the text with gzip and zstd")
            found.update(metrics.compressors(text.chunks()))
        if hasattr(scorer, "untrained"):
            status("scoring with the untrained model")
            nats, ends = scorer.untrained().score(text.tokens, text.offsets)
            found["untrained"] = _measure(nats, ends, text)["bits_per_byte"]
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
        Input(
            "choices",
            "JSON Lines of items to choose from, or a folder of such files",
            flag=True,
            raw=True,
            optional=True,
        ),
    ),
    steps=(Step(evaluate, writes={"report": Files()}),),
    version=2,
    some_extra="train",
    prints="report.json",
)
