"""Write data in the format of another program, or a model for other readers.

    parquet    documents, tokens, blocks   data/train-00000-of-00001.parquet, as the Hugging Face Hub has it
    jsonl      documents, tokens, blocks   train-00000-of-00001.jsonl
    megatron   tokens, blocks              train.bin and train.idx: an indexed dataset, a document a sequence
    nanogpt    tokens, blocks              train.bin, val.bin: uint16
    llmc       tokens, blocks              train_000001.bin, val_000000.bin: llm.c, modded-nanogpt
    olmo       tokens, blocks              train/part-0-00000.npy: a memory map of OLMo-core and dolma
    mds        tokens, blocks              train/index.json and shards of mosaicml-streaming
    litdata    blocks                      train/index.json and chunks of litdata
    arpa       an n-gram model             model.arpa: KenLM, SRILM
    transformers   a Transformer           config.json, model.safetensors and the tokenizer: LlamaForCausalLM, lm-eval

Of blocks, both splits are written; padding is left out where a format has no blocks. The tokenizer, if one came with
the data, is kept beside it in `tokenizer/`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa

from corpuskit import exports
from corpuskit.errors import BadData
from corpuskit.options import option
from corpuskit.stage import Figures, Files, Input, Stage, Step, Whole

_KINDS = {"train": exports.BLOCKS, "tokens": exports.TOKENS, "docs": exports.DOCUMENTS}


@dataclass(frozen=True, slots=True)
class Options:
    """Which format."""

    format: str = option(..., "The format.", choices=exports.names())


def export(
    data: Whole | Path,
    valid: Whole | None,
    tokenizer: Path | None,
    artifacts: Mapping[str, str],
    options: Options,
    out: Path,
) -> Iterator[Figures]:
    """Leave the files of the format in `out`."""
    if artifacts["data"] == "model":
        model = cast("Path", data)
        given = exports.Given(_kind_of(model), {}, model, tokenizer)
    else:
        splits = {"train": cast("pa.Table", data)}
        if valid is not None:
            splits["valid"] = cast("pa.Table", valid)
        given = exports.Given(_KINDS[artifacts["data"]], splits, None, tokenizer)
    figures = exports.write(options.format, given, out)
    if tokenizer is not None and not (out / "tokenizer.json").exists():
        shutil.copytree(tokenizer, out / "tokenizer", dirs_exist_ok=True)
    if figures:
        yield Figures(figures)


def _kind_of(model: Path) -> str:
    try:
        return str(json.loads((model / "model.json").read_text("utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadData(str(model), "expected a model.json that tells the model's kind", "train it again") from None


STAGE = Stage(
    options=Options,
    inputs=(Input("data", "documents, tokens, blocks or a model", ("train", "tokens", "docs", "model")),),
    steps=(Step(export, {"files": Files()}),),
    some_extra="train",
)
