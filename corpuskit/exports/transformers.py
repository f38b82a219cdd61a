"""A folder that `transformers` loads as a Llama: config.json, model.safetensors, generation_config.json, tokenizer.

The tokenizer adds no marks to a text. The end mark, which comes before every document in training, scoring and
`generate`, is its BOS: lm-eval puts that before a document itself, and would count one that the tokenizer put there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.errors import UsageError
from corpuskit.exports import Format, Given

if TYPE_CHECKING:
    from corpuskit.lm.recipe import Shape


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write the model, and its tokenizer where it has one. Raises UsageError for an architecture other than llama."""
    from corpuskit.lm import checkpoint, network

    assert given.model is not None
    shape = network.load_shape(given.model)
    if shape.arch != "llama":
        problem = f"--format transformers holds models of --arch llama, the input is one of {shape.arch}"
        raise UsageError("export", problem, "train it with --arch llama")
    # Of the names and the orientation that LlamaForCausalLM has: the bytes are the same.
    shutil.copyfile(given.model / checkpoint.WEIGHTS, out / "model.safetensors")
    _write_json(out / "config.json", _config(shape))
    marks = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), shape.end_id)
    _write_json(out / "generation_config.json", {"_from_model_config": True, **marks})
    tokenizer = given.model / checkpoint.TOKENIZER
    if tokenizer.is_dir():
        _write_tokenizer(tokenizer, out, shape.block_tokens)
    return {"parameters": shape.parameters, "tokenizer": tokenizer.is_dir()}


def _config(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "max_position_embeddings": shape.block_tokens,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,  # version 4 reads this one, version 5 the next
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "tie_word_embeddings": True,
        "bos_token_id": shape.end_id,
        "eos_token_id": shape.end_id,
        "pad_token_id": shape.end_id,
        "torch_dtype": "float32",
    }


def _write_tokenizer(folder: Path, out: Path, block_tokens: int) -> None:
    from tokenizers import Tokenizer, processors

    from corpuskit.tokens import bpe

    end = bpe.load(folder).end_token
    tokenizer = Tokenizer.from_file(str(folder / bpe.TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    tokenizer.save(str(out / bpe.TOKENIZER))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": block_tokens,
    }
    _write_json(out / bpe.CONFIG, config)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


FORMAT = Format(("transformer",), write)
