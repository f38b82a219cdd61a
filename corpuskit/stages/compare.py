"""Tell which of several corpora is the better one to learn from.

The same small models are trained on every corpus, on as many tokens, with several seeds, and measured on the same
held-out text in bits per byte: an n-gram model and a small Transformer. CORPORA are documents, such as those of
several stages of one run: raw, clean, deduplicated. What a seed changes is which documents are read, in what order, and
the first weights.

The held-out text is that of --heldout: documents that are the ones you want to be good at. Without it, it is a part of
the last corpus, by the hashes of ids, as `shard` holds out. No model learns from a held-out document, nor from one of
whose shingles (5 words) more than half are in held-out text: a corpus with copies of it would win by them. One
tokenizer is learnt, from as much text of every corpus.

The table has the mean over seeds and their spread (standard deviation), and for each two corpora the difference with
the interval in which it would lie 95 times in 100, had other seeds been drawn and other documents been held out. Where
it has 0 inside, nothing tells the two apart. Trials at such a size agree with large ones in most cases, not in all.

An interrupted run goes on with the model that it was at. `runs` has the nats of every held-out document.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit.errors import UsageError
from corpuskit.options import option
from corpuskit.stage import Apart, Files, Input, Stage, Step, Whole, status, warn

_MODELS = ("ngram", "transformer")
_HELD_OUT_FRACTION, _HELD_OUT_BYTES = 0.1, 2_000_000
_MOST_TOKENS = 800_000


@dataclass(frozen=True, slots=True)
class Options:
    """How much each model reads, how often, and what the models are."""

    name: tuple[str, ...] = option((), "What to call a corpus, in their order; by default as the stage that wrote it.")
    tokens: int | None = option(
        None, f"Tokens that a model reads; by default what the smallest corpus has, at most {_MOST_TOKENS:,}.", min=1024
    )
    seeds: int = option(3, "How often each is trained.", min=2, max=100)
    models: str = option("both", "Which models.", choices=("both", *_MODELS))
    size: str = option("tiny", "The Transformer: tiny, mini, small, medium, or a shape (see `train transformer`).")
    order: int = option(5, "The order of the n-gram model.", min=1, max=10)
    vocab_size: int = option(4096, "Entries of the tokenizer.", min=257, max=1 << 16)
    block_tokens: int = option(256, "The length of a block.", min=2, max=1 << 16)
    device: str = option("auto", "Where the Transformer computes.", choices=("auto", "cuda", "mps", "cpu"))


def compare(corpora: Apart, heldout: Whole | None, options: Options, out: Path) -> None:
    """Write report.json and, in `runs`, the nats of every document."""
    from corpuskit.lm import ablation

    named = _named(corpora, options.name)
    held_out = ablation.HeldOut(_held_out(named, heldout))
    models: tuple[str, ...] = _MODELS if options.models == "both" else (options.models,)
    if not held_out.sizes.sum():
        warn("there is no held-out text to measure on; give documents with --heldout")
        models = ()
    (out / "tokenizer").mkdir(exist_ok=True)
    tokenizer = ablation.learn_tokenizer(list(named.values()), options.vocab_size, out / "tokenizer")
    sizes = {name: ablation.tokens_of(docs, tokenizer) for name, docs in named.items()}
    tokens = options.tokens or min(_MOST_TOKENS, *sizes.values())
    setup = ablation.Setup(
        tokens, options.vocab_size, options.block_tokens, options.order, options.size, options.device
    )
    (out / "runs").mkdir(exist_ok=True)
    records = list(ablation.run(named, held_out, tokenizer, setup, models, options.seeds, out / "runs", status))
    _warn(records)
    report = {
        "kind": "compare",
        "heldout": {"documents": len(held_out.texts), "bytes": int(held_out.sizes.sum())},
        "tokens": tokens,
        "seeds": options.seeds,
        "corpora": {name: _about(docs, sizes[name], records, name) for name, docs in named.items()},
        "models": ablation.table(records, held_out.sizes),
        "differences": ablation.differences(records, held_out.sizes),
    }
    (out / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _named(corpora: Apart, names: tuple[str, ...]) -> dict[str, pa.Table]:
    if names and (len(names) != len(corpora) or len(set(names)) < len(names)):
        problem = f"--name: expected {len(corpora)} different names, got {', '.join(names)}"
        raise UsageError("compare", problem, "give one for each corpus")
    for name in names:
        if not name or "/" in name or name.startswith("."):
            raise UsageError("compare", f"--name {name!r}: expected a word that can be a file's name", "choose another")
    return dict(zip(names or corpora, corpora.values(), strict=True))


def _held_out(named: dict[str, pa.Table], heldout: pa.Table | None) -> pa.Table:
    from corpuskit.lm import ablation

    if heldout is not None:
        return heldout
    last = list(named.values())[-1]
    return ablation.hold_out(last, _HELD_OUT_FRACTION, _HELD_OUT_BYTES)


def _about(docs: pa.Table, tokens: int, records: list[dict[str, Any]], name: str) -> dict[str, Any]:
    mine = [record for record in records if record["corpus"] == name]
    return {
        "documents": docs.num_rows,
        "tokens": tokens,
        "read": [record["documents"] for record in mine if record["model"] == mine[0]["model"]],
        "left_out": [record["left_out"] for record in mine if record["model"] == mine[0]["model"]],
        "passes": max((record["passes"] for record in mine), default=None),
    }


def _warn(records: list[dict[str, Any]]) -> None:
    for name in dict.fromkeys(record["corpus"] for record in records if not record["tokens"]):
        warn(f"`{name}` has nothing to learn from")
    for name in dict.fromkeys(record["corpus"] for record in records if record["passes"] > 1):
        warn(f"`{name}` has fewer tokens than each model reads: its documents were read again")


STAGE = Stage(
    options=Options,
    inputs=(
        Input("corpora", "documents: one dataset or more", accepts=("docs",), many=True),
        Input("heldout", "Documents to measure on.", accepts=("docs",), flag=True, optional=True),
    ),
    steps=(Step(compare, writes={"report": Files()}, resumes=True),),
    extra="train",
    prints="report.json",
)
