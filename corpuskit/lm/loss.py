"""The nats of next tokens, without ever holding the scores of all positions at once.

With a vocabulary of V the scores of n positions are n x V numbers, far more than all else in a small model. Here
they are made, used and dropped a chunk of positions at a time, and the gradient is made in the same pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

#: Numbers in one chunk of scores: on a CPU what its caches hold, else what keeps the device busy.
_CHUNK_CPU = 2**20
_CHUNK_GPU = 2**26


def token_nats(vectors: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
    """Give -ln p(target) [n] of vectors [n, width] against embeddings [V, width]; float32, without gradient."""
    with torch.no_grad():
        nats = [
            torch.nn.functional.cross_entropy((vectors[rows] @ embeddings.T).float(), targets[rows], reduction="none")
            for rows in _chunks(vectors, embeddings)
        ]
        return torch.cat(nats) if nats else vectors.new_zeros(0, dtype=torch.float32)


def summed_nats(vectors: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
    """Give the sum of -ln p(target) of vectors [n, width] against embeddings [V, width], with its gradient."""
    total: Tensor = _SummedNats.apply(vectors, embeddings, targets)  # type: ignore[no-untyped-call]
    return total


class _SummedNats(torch.autograd.Function):
    """d nats / d scores = softmax(scores) - [the target]; so both gradients are at hand with the scores."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=vectors.device)
        to_vectors = torch.empty_like(vectors)
        to_embeddings = torch.zeros_like(embeddings)
        for rows in _chunks(vectors, embeddings):
            x, target = vectors[rows], targets[rows, None]
            logs = torch.log_softmax((x @ embeddings.T).float(), dim=1)
            total -= logs.gather(1, target).sum()
            slope = logs.exp_()
            slope.scatter_add_(1, target, slope.new_full((), -1.0).expand(target.shape))
            to_vectors[rows] = slope @ embeddings
            to_embeddings += slope.T @ x
        ctx.save_for_backward(to_vectors, to_embeddings)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor, Tensor, None]:
        to_vectors, to_embeddings = ctx.saved_tensors
        return to_vectors * slopes[0], to_embeddings * slopes[0], None


def _chunks(vectors: Tensor, embeddings: Tensor) -> Iterator[slice]:
    size = _CHUNK_CPU if vectors.device.type == "cpu" else _CHUNK_GPU
    rows = max(32, size // len(embeddings))
    return (slice(start, start + rows) for start in range(0, len(vectors), rows))
