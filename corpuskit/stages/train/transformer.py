"""Train a small language model on blocks of tokens.

The network has the shape of Llama and one of four sizes; embeddings come on top of the parameters named here, one row
of `width` numbers an entry of the vocabulary:

    tiny     0.8 million    4 layers of 128     a verdict in minutes on two cores
    mini     4.7 million    6 layers of 256
    small     25 million    8 layers of 512     about 30 million with 8,192 entries
    medium    85 million   12 layers of 768     about 124 million with 50,257 entries

or the one that is written out: `--size layers=4,width=128,heads=4,kv_heads=2,hidden=344`, where the last three have
defaults. `--arch lstm` and `gru` are baselines of as many layers of that width.

Unless told otherwise it reads 20 tokens a parameter (`tiny`: 1.5), but no block more than 5 times, in an order drawn
from the seed. The learning rate rises, stays and falls in straight lines, or along a cosine. An update whose loss or
gradient is no number is left out; after five in a row training gives up. On a CPU the result has the same bytes
whatever the number of cores; on a GPU training computes in bfloat16.

An interrupted run goes on from its last checkpoint, and ends as if nothing had happened. `log` tells the losses in
nats a token; with `--json`, each of its rows is printed with its tokens a second, which are a matter of the hour and
not of the log. The model is `model.safetensors` under the names of `LlamaForCausalLM`, `model.json`, `loss.svg` and
the tokenizer. `torchrun --nproc-per-node N -m corpuskit train transformer ...` trains it in N processes together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from corpuskit.errors import UsageError
from corpuskit.lm.recipe import ARCHITECTURES, OPTIMIZERS, SCHEDULES, size_of
from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, Table, Whole, event, status, warn

if TYPE_CHECKING:
    from corpuskit.lm.blocks import Blocks
    from corpuskit.lm.recipe import Recipe, Shape
    from corpuskit.lm.trainer import Progress

LOG = pa.schema(
    [
        pa.field("step", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("train_nats", pa.float64()),
        pa.field("valid_nats", pa.float64()),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("gradient_norm", pa.float64()),
    ]
)
_MODEL_FORMAT = 2
_CURVE = "loss.svg"


@dataclass(frozen=True, slots=True)
class Options:
    """How large the network is, how long it trains, and where."""

    size: str = option("tiny", "tiny, mini, small or medium; or a shape: layers=4,width=128,heads=4,...")
    arch: str = option("llama", "The kind of network.", choices=ARCHITECTURES)
    steps: int | None = option(None, "Updates of the weights; by default as many as the size wants.", min=1)
    batch_tokens: int | None = option(None, "Tokens of an update; by default what suits the size.", min=1)
    optimizer: str = option("adamw", "What updates the matrices.", choices=OPTIMIZERS)
    learning_rate: float | None = option(None, "The highest rate; by default what suits the size.", min=1e-9, max=1)
    schedule: str = option("wsd", "How the rate falls: at the end in a line, or along a cosine.", choices=SCHEDULES)
    decay: float = option(0.3, "The part of the steps over which it falls in a line.", min=0, max=1)
    document_mask: bool = option(False, "Let no token see the other documents of its block.")
    patience: int | None = option(
        None, "Stop after so many measurements without a better valid loss, with the best weights.", min=1
    )
    seed: int = option(0, "The first weights and the order of blocks.", min=0, max=2**63 - 1)
    device: str = option("auto", "Where to compute.", choices=("auto", "cuda", "mps", "cpu"))
    checkpoint_every: int | None = option(
        200, "Steps between checkpoints; each is three times the size of the model.", min=1, how=True
    )


def train(
    train: Whole, valid: Whole, tokenizer: Path | None, options: Options, out: Path
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Write the model; yield the log."""
    from corpuskit.lm import checkpoint, curve, network
    from corpuskit.lm.blocks import Blocks
    from corpuskit.lm.device import choose
    from corpuskit.lm.ranks import joined
    from corpuskit.lm.recipe import recipe_of, shape_of
    from corpuskit.lm.trainer import Ears, Trainer

    blocks, held_out = Blocks.of(train), Blocks.of(valid)
    vocab_size, end_id = _vocabulary(tokenizer, blocks, held_out, train)
    shape = shape_of(options.size, vocab_size, blocks.length, end_id, options.seed, options.arch)
    recipe = replace(
        recipe_of(
            options.size,
            shape,
            len(blocks),
            options.steps,
            options.batch_tokens,
            options.learning_rate,
            options.optimizer,
        ),
        schedule=options.schedule,
        decay_fraction=options.decay,
        document_mask=options.document_mask,
        patience=options.patience,
    )
    if recipe.steps == 0:
        warn("there are no blocks to train on; the model is left as it was drawn")
    saved = out / checkpoint.CHECKPOINT
    with joined(choose(options.device)) as (ranks, device):
        trainer = Trainer(shape, recipe, blocks, held_out, device, ranks)
        trainer.run(saved, options.checkpoint_every, Ears(status, _tell_row))
    progress = trainer.progress
    if progress.bad:
        warn(f"{progress.bad} updates were left out: their loss or gradient was no number")
    if tokenizer is not None:
        _copy_tokenizer(tokenizer, out / checkpoint.TOKENIZER)
    network.save(trainer.net, out / checkpoint.WEIGHTS)
    title = f"{options.arch}, {shape.parameters:,} parameters"
    (out / _CURVE).write_text(curve.svg(progress.rows, title), encoding="utf-8")
    checkpoint.save_json(out / checkpoint.MODEL, _about(options.size, shape, recipe, progress))
    saved.unlink(missing_ok=True)
    yield "log", pa.RecordBatch.from_pylist(progress.rows, schema=LOG)


def _tell_row(row: dict[str, Any], tokens_per_second: float) -> None:
    event("train", **row, tokens_per_second=round(tokens_per_second, 1))


def _check(options: Options, keys: list[str]) -> Options:
    """Refuse what does not fit together before anything runs."""
    size_of(options.size)
    if options.document_mask and options.arch != "llama":
        problem = f"--document-mask: what a {options.arch} remembers cannot be masked"
        raise UsageError("train transformer", problem, "leave it out, or take --arch llama")
    return options


def _about(size: str, shape: Shape, recipe: Recipe, progress: Progress) -> dict[str, Any]:
    """Describe a model: what `lm.network.load` needs, and how it was made."""
    return {
        "kind": "transformer",
        "format": _MODEL_FORMAT,
        "size": size,
        **asdict(shape),
        "parameters": shape.parameters,
        "steps": progress.step,
        "tokens": progress.step * recipe.batch_blocks * shape.block_tokens,
        "left_out": progress.bad,
        "training": asdict(recipe),
    }


def _vocabulary(tokenizer: Path | None, blocks: Blocks, held_out: Blocks, train: pa.Table) -> tuple[int, int]:
    """Give the size of the vocabulary and the id of the end mark, from the tokenizer or else from the blocks."""
    from corpuskit.errors import BadData

    largest = max(blocks.largest_id(), held_out.largest_id())
    if tokenizer is None:
        return max(largest, 0) + 1, _end_mark(blocks, train)
    from corpuskit.tokens import bpe

    loaded = bpe.load(tokenizer)
    if largest >= loaded.vocab_size:
        problem = f"the blocks have an id {largest}, their tokenizer {loaded.vocab_size} ids"
        raise BadData("train transformer", problem, "tokenize and shard again with one tokenizer")
    return loaded.vocab_size, loaded.end_id


def _end_mark(blocks: Blocks, train: pa.Table) -> int:
    """Give the id before the first document that starts inside a block; 0 where none does."""
    import numpy as np

    if "document_starts" in train.column_names:
        row = 0
        for batch in train.select(["document_starts"]).to_batches():
            for starts in batch.column(0).to_pylist():
                inside = [start for start in starts or () if start > 0]
                if inside:
                    return int(blocks.take(np.array([row]))[0, inside[0] - 1])
                row += 1
    return 0


def _copy_tokenizer(tokenizer: Path, out: Path) -> None:
    from corpuskit.tokens import bpe

    out.mkdir(exist_ok=True)
    bpe.copy(tokenizer, out)


STAGE = Stage(
    options=Options,
    inputs=(Input("train", help="blocks made by `shard`"),),
    steps=(Step(train, writes={"model": Files(), "log": Table(LOG)}, resumes=True),),
    version=2,
    extra="train",
    settle=_check,
    together=True,
)
