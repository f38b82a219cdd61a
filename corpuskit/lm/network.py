"""Networks of any architecture: make, save and load them, score documents, tell what comes next."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from corpuskit.errors import BadData
from corpuskit.lm import checkpoint, scoring
from corpuskit.lm.device import choose
from corpuskit.lm.recipe import Shape
from corpuskit.lm.recurrent import Recurrent, State
from corpuskit.lm.transformer import Cache, Decoder

#: Ids [batch, time] in, vectors [batch, time, width] out.
Net: TypeAlias = Decoder | Recurrent


def build(shape: Shape) -> Net:
    """Make a network without values for its weights."""
    with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
        return Decoder(shape) if shape.arch == "llama" else Recurrent(shape)


def new(shape: Shape) -> Net:
    """Make a network on the CPU with fresh weights drawn from the shape's seed, and from nothing else."""
    net = build(shape).to_empty(device="cpu")
    net.draw(torch.Generator().manual_seed(shape.seed))
    return net


def save(net: Net, path: Path) -> None:
    """Write the weights, a Llama's under the names of `LlamaForCausalLM`; equal weights, equal bytes."""
    checkpoint.save_tensors(path, {checkpoint.PREFIX + name: value for name, value in net.state_dict().items()})


class Network:
    """A network ready to score whole documents, and to say what follows the beginning of one."""

    def __init__(self, net: Net, device: torch.device) -> None:
        self.shape = net.shape
        self.device = device
        self.net = net.to(device).eval()
        self._seen: list[int] = []  # what `_cache` has the positions of
        self._cache: Cache | State | None = None

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
        nats, nats_end, _ = self.scored(tokens, offsets)
        return nats, nats_end

    def scored(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Give what `score` does, and of each document how many tokens were the likeliest to come."""
        return scoring.score(self.net, self.device, tokens, offsets)

    @torch.no_grad()
    def next_probabilities(self, context: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Give p [vocab_size] of every id after the tokens of a document's beginning.

        They are read from the window in which `lm.scoring` would score the next one. What a call has read is kept: a
        context that goes on from the last one costs its new tokens only, until a window is full.
        """
        before = scoring.window_before(np.asarray(context, np.int64), self.shape)
        if self._cache is None or before[: len(self._seen)] != self._seen or len(before) == len(self._seen):
            self._cache, self._seen = self.net.new_cache(), []
        ids = torch.tensor([before[len(self._seen) :]], device=self.device)
        vectors = self.net(ids, cache=self._cache)
        self._seen = before
        scores = vectors[0, -1].float() @ self.net.embed_tokens.weight.float().T
        p: npt.NDArray[np.float64] = torch.softmax(scores.double().cpu(), 0).numpy()
        return p

    def untrained(self) -> Network:
        """Give the network that training started from."""
        return Network(new(self.shape), self.device)


def load(path: Path, device: str = "auto") -> Network:
    """Load a model's folder. Raises NoInput, BadData and, for a device that is not there, UsageError."""
    chosen = choose(device)
    return Network(load_net(path), chosen)


def load_net(path: Path) -> Net:
    """Load the network of a model's folder, on the CPU. Raises NoInput and BadData."""
    net = build(load_shape(path))
    saved, _ = checkpoint.load_tensors(path / checkpoint.WEIGHTS)
    try:
        net.load_state_dict({name.removeprefix(checkpoint.PREFIX): value for name, value in saved.items()}, assign=True)
    except RuntimeError:
        problem = f"its weights are not those that {checkpoint.MODEL} describes"
        raise BadData(str(path / checkpoint.WEIGHTS), problem, "train it anew") from None
    return net


def load_shape(path: Path) -> Shape:
    """Read the shape of a model's folder. Raises BadData."""
    try:
        about = json.loads((path / checkpoint.MODEL).read_text("utf-8"))
        about = {"kv_heads": about["heads"], "arch": "llama", **about}  # format 1 had no other
        return Shape(**{field.name: about[field.name] for field in fields(Shape)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"expected the description of a network: {error!r}"
        raise BadData(str(path / checkpoint.MODEL), problem, "train it anew") from None
