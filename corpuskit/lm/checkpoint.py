"""Tensors and words on disk: safetensors and JSON, written whole or not at all, with the same bytes every time."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from corpuskit.errors import BadData, NoInput
from corpuskit.formats.durable import sync

MODEL, WEIGHTS, TOKENIZER, CHECKPOINT = "model.json", "model.safetensors", "tokenizer", "checkpoint.safetensors"
#: What `LlamaForCausalLM` puts before the names of the network's parameters.
PREFIX = "model."
_STATE = "state"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Write tensors, and a JSON value with them, by way of a temporary file in the same folder."""
    from safetensors.torch import save_file

    # One key only: safetensors writes several in random order. Readers of models look for format = pt.
    words = {"format": "pt"} if state is None else {_STATE: json.dumps(state, allow_nan=False)}
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _replace(path, lambda temporary: save_file(on_cpu, str(temporary), words))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote, to the CPU. Raises NoInput and BadData."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NoInput(path.name, "there is no such file in the model's folder", "train it anew")
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
            return tensors, json.loads((file.metadata() or {}).get(_STATE, "{}"))
    except (SafetensorError, ValueError) as error:
        raise BadData(path.name, f"expected safetensors: {error}", "remove it and train anew") from None


def save_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _replace(path, lambda temporary: temporary.write_text(text, "utf-8"))


def remove_temporary(folder: Path) -> None:
    """Remove what an interrupted write left behind: ours, and the file that safetensors renames to ours."""
    for left in [*folder.glob("*.tmp.*"), *folder.glob(".tmp*")]:
        left.unlink()


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f"{path.name}.tmp.{secrets.token_hex(4)}")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode  # as the umask wants it; safetensors makes a private file in its place
        write(temporary)
        temporary.chmod(mode)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
