"""The networks that Transformers took over from: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014).

Embeddings, recurrent layers, a norm, and the embeddings again as in `lm.transformer`: baselines of the same interface
for the same trainer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from corpuskit.lm.recipe import Shape
from corpuskit.lm.transformer import RMSNorm


class Recurrent(nn.Module):
    """Ids in, one vector a position out, from a state that is handed on from position to position."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        kind = nn.LSTM if shape.arch == "lstm" else nn.GRU
        self.layers = kind(shape.width, shape.width, shape.layers, batch_first=True)
        self.norm = RMSNorm(shape)

    def forward(self, ids: Tensor, mask: Tensor | None = None, cache: State | None = None) -> Tensor:
        """Map int64 ids [batch, time] to vectors [batch, time, width]; a state cannot be masked: `mask` is None."""
        assert mask is None
        x, state = self.layers(self.embed_tokens(ids), cache.value if cache is not None else None)
        if cache is not None:
            cache.value, cache.length = state, cache.length + ids.shape[1]
        normed: Tensor = self.norm(x)
        return normed

    def new_cache(self) -> State:
        """Give the state before the first position."""
        return State()

    def draw(self, generator: torch.Generator) -> None:
        """Draw fresh weights: embeddings as those of the Transformer, matrices of spread 1 / sqrt(width), no bias.

        An LSTM's forget gates begin open (bias 1; Jozefowicz et al. 2015).
        """
        width = self.shape.width
        for name, weight in self.named_parameters():
            with torch.no_grad():
                if weight.ndim == 2:
                    spread = 1 / math.sqrt(3 * width if name == "embed_tokens.weight" else width)
                    weight.normal_(0.0, spread, generator=generator)
                else:
                    weight.fill_(1.0 if name == "norm.weight" else 0.0)
                    if self.shape.arch == "lstm" and "bias_ih" in name:
                        weight[width : 2 * width] = 1.0  # gates lie in the order input, forget, cell, output


class State:
    """What the layers hand on to the next position, and how many have been."""

    def __init__(self) -> None:
        self.value: Tensor | tuple[Tensor, Tensor] | None = None
        self.length = 0
