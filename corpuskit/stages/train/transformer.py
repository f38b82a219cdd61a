"""Train a small Transformer on blocks of tokens.

The network has the shape of Llama and one of four sizes; embeddings come on top of the parameters named here, one row
of `width` numbers an entry of the vocabulary:

    tiny     0.8 million    4 layers of 128     a verdict in minutes on two cores
    mini     4.7 million    6 layers of 256
    small     25 million    8 layers of 512     about 30 million with 8,192 entries
    medium    85 million   12 layers of 768     about 124 million with 50,257 entries

Unless told otherwise it reads 20 tokens a parameter (`tiny`: 1.5), but no block more than 5 times, in an order drawn
from the seed. AdamW; the learning rate rises, stays and falls in straight lines. On a CPU the result has the same
bytes whatever the number of cores; on a GPU training computes in bfloat16.

An interrupted run goes on from its last checkpoint, and ends as if nothing had happened. `log` tells the losses in
nats a token. The model is `model.safetensors` under the names of `LlamaForCausalLM`, `model.json` and the tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, Table, Whole, status, warn

if TYPE_CHECKING:
    from corpuskit.lm.blocks import Blocks
    from corpuskit.lm.recipe import Recipe, Shape

LOG = pa.schema(
    [
        pa.field("step", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("train_nats", pa.float64(), nullable=False),
        pa.field("valid_nats", pa.float64()),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("gradient_norm", pa.float64(), nullable=False),
    ]
)
_MODEL_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Options:
    """How large the network is, how long it trains, and where."""

    size: str = option("tiny", "How large the network is.", choices=("tiny", "mini", "small", "medium"))
    steps: int | None = option(None, "Updates of the weights; by default as many as the size wants.", min=1)
    batch_tokens: int | None = option(None, "Tokens of an update; by default what suits the size.", min=1)
    learning_rate: float | None = option(None, "The highest rate; by default what suits the size.", min=1e-9, max=1)
    seed: int = option(0, "The first weights and the order of blocks.", min=0, max=2**63 - 1)
    device: str = option("auto", "Where to compute.", choices=("auto", "cuda", "mps", "cpu"))
    checkpoint_every: int | None = option(
        200, "Steps between checkpoints; each is three times the size of the model.", min=1
    )


def train(
    train: Whole, valid: Whole, tokenizer: Path | None, options: Options, out: Path
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Write the model; yield the log."""
    from corpuskit.lm import checkpoint, transformer
    from corpuskit.lm.blocks import Blocks
    from corpuskit.lm.device import choose
    from corpuskit.lm.recipe import recipe_of, shape_of
    from corpuskit.lm.trainer import Trainer

    blocks, held_out = Blocks.of(train), Blocks.of(valid)
    vocab_size, end_id = _vocabulary(tokenizer, blocks, held_out, train)
    shape = shape_of(options.size, vocab_size, blocks.length, end_id, options.seed)
    recipe = recipe_of(options.size, shape, len(blocks), options.steps, options.batch_tokens, options.learning_rate)
    if recipe.steps == 0:
        warn("there are no blocks to train on; the model is left as it was drawn")
    saved = out / checkpoint.CHECKPOINT
    trainer = Trainer(shape, recipe, blocks, held_out, choose(options.device))
    trainer.run(saved, options.checkpoint_every, status)
    if tokenizer is not None:
        _copy_tokenizer(tokenizer, out / checkpoint.TOKENIZER)
    transformer.save(trainer.model, out / checkpoint.WEIGHTS)
    checkpoint.save_json(out / checkpoint.MODEL, _about(options.size, shape, recipe))
    saved.unlink(missing_ok=True)
    yield "log", pa.RecordBatch.from_pylist(trainer.progress.rows, schema=LOG)


def _about(size: str, shape: Shape, recipe: Recipe) -> dict[str, Any]:
    """Describe a model: what `lm.transformer.load` needs, and how it was made."""
    return {
        "kind": "transformer",
        "format": _MODEL_FORMAT,
        "size": size,
        **asdict(shape),
        "parameters": shape.parameters,
        "steps": recipe.steps,
        "tokens": recipe.steps * recipe.batch_blocks * shape.block_tokens,
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
    extra="train",
)
