"""A small language model in the shape of Llama, in plain PyTorch, to be read in one sitting.

Tokens become vectors of `width` numbers. Each of `layers` layers adds to them what attention finds in earlier
positions, then what a feed-forward network makes of them; both see the vectors normalised (RMSNorm; Zhang and
Sennrich 2019). Attention learns positions by rotating queries and keys (RoPE; Su et al. 2021), so that only
distances matter; the feed-forward network is gated (SwiGLU; Shazeer 2020). Nothing has a bias. The table that turns
ids into vectors also turns the last vectors into scores of the next id (tied embeddings).

Parameters have the names and orientation of Hugging Face's `LlamaForCausalLM`, and rotation pairs the two halves of
a head as it does there, so `model.safetensors` needs no conversion.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpuskit.errors import BadData
from corpuskit.lm import checkpoint, scoring
from corpuskit.lm.device import choose
from corpuskit.lm.recipe import Shape


class RMSNorm(nn.Module):
    """Scale vectors to a root mean square of one, then each number by a learned weight."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.norm_epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Attention(nn.Module):
    """Let every position gather from itself and earlier ones, by `heads` independent weightings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.v_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Map [batch, time, width] to the same; `rotation` is that of `rope`."""
        batch, time, width = x.shape
        q, k, v = (
            project(x).view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        gathered = F.scaled_dot_product_attention(rotate(q, rotation), rotate(k, rotation), v, is_causal=True)
        mixed: Tensor = self.o_proj(gathered.transpose(1, 2).reshape(batch, time, width))
        return mixed


class SwiGLU(nn.Module):
    """Widen to `hidden`, gate, narrow again; every position for itself."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to the same."""
        narrowed: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return narrowed


class Layer(nn.Module):
    """Attention, then the feed-forward network, each added to what came in."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape)
        self.mlp = SwiGLU(shape)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Map [batch, time, width] to the same."""
        x = x + self.self_attn(self.input_layernorm(x), rotation)
        added: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return added


class Decoder(nn.Module):
    """The network: ids in, one vector a position out; `lm.loss` compares these with the embeddings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape)

    def forward(self, ids: Tensor) -> Tensor:
        """Map int64 ids [batch, time] to vectors [batch, time, width]; the scores are vectors @ embeddings.T."""
        x = self.embed_tokens(ids)
        rotation = rope(ids.shape[1], self.shape, ids.device)
        for layer in self.layers:
            x = layer(x, rotation)
        normed: Tensor = self.norm(x)
        return normed


def rope(length: int, shape: Shape, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Give cosines and sines [length, head width / 2] of the angle by which each pair of numbers turns."""
    head_width = shape.width // shape.heads
    powers = torch.arange(0, head_width, 2, dtype=torch.float32, device=device) / head_width
    angles = torch.outer(torch.arange(length, dtype=torch.float32, device=device), shape.rope_theta**-powers)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn number i of each head [..., time, head width] together with number i + half by its position's angle."""
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def new(shape: Shape) -> Decoder:
    """Build a network on the CPU with fresh weights drawn from the shape's seed, and from nothing else.

    The spread 1 / sqrt(3 x width) is GPT-2's 0.02 at GPT-2's width of 768, and 0.051 at 128, where 0.02 learns
    markedly slower. What adds to the residual stream starts smaller (GPT-2), so that depth does not blow it up.
    """
    with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
        model = Decoder(shape)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(shape.seed)
    spread = 1 / math.sqrt(3 * shape.width)
    for name, weight in model.named_parameters():
        adds = name.endswith(("o_proj.weight", "down_proj.weight"))
        with torch.no_grad():
            if weight.ndim == 1:
                weight.fill_(1.0)
            else:
                weight.normal_(0.0, spread / math.sqrt(2 * shape.layers) if adds else spread, generator=generator)
    return model


def save(model: Decoder, path: Path) -> None:
    """Write the weights under the names of `LlamaForCausalLM`; equal weights, equal bytes."""
    checkpoint.save_tensors(path, {checkpoint.PREFIX + name: value for name, value in model.state_dict().items()})


class Transformer:
    """A network ready to score whole documents."""

    def __init__(self, model: Decoder, device: torch.device) -> None:
        self.shape = model.shape
        self.device = device
        self._model = model.to(device).eval()

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return self.shape.parameters

    @property
    def vocab_size(self) -> int:
        """The largest id + 1."""
        return self.shape.vocab_size

    def score(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give the nats [n] of n documents, end marks included, and those of the end marks alone.

        Document i is tokens[offsets[i]:offsets[i + 1]] and ends with the end mark. See `lm.scoring` for what each
        token is predicted from.
        """
        return scoring.score(self._model, self.device, tokens, offsets)

    @torch.no_grad()
    def next_probabilities(self, context: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Give p [vocab_size] of every id after the tokens of a document's beginning: its last window of them."""
        before = np.append(np.int64(self.shape.end_id), np.asarray(context, np.int64))[-self.shape.block_tokens :]
        vectors = self._model(torch.from_numpy(before[None]).to(self.device))
        scores = vectors[0, -1].float() @ self._model.embed_tokens.weight.float().T
        p: npt.NDArray[np.float64] = torch.softmax(scores.double().cpu(), 0).numpy()
        return p

    def untrained(self) -> Transformer:
        """Give the network that training started from."""
        return Transformer(new(self.shape), self.device)


def load(path: Path, device: str = "auto") -> Transformer:
    """Load a model's folder. Raises NoInput, BadData and, for a device that is not there, UsageError."""
    chosen = choose(device)
    try:
        about = json.loads((path / checkpoint.MODEL).read_text("utf-8"))
        shape = Shape(**{field.name: about[field.name] for field in fields(Shape)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"expected the description of a Transformer: {error!r}"
        raise BadData(str(path / checkpoint.MODEL), problem, "train it anew") from None
    with torch.device("meta"):
        model = Decoder(shape)
    saved, _ = checkpoint.load_tensors(path / checkpoint.WEIGHTS)
    try:
        model.load_state_dict(
            {name.removeprefix(checkpoint.PREFIX): value for name, value in saved.items()}, assign=True
        )
    except RuntimeError:
        problem = f"its weights are not those that {checkpoint.MODEL} describes"
        raise BadData(str(path / checkpoint.WEIGHTS), problem, "train it anew") from None
    return Transformer(model, chosen)
