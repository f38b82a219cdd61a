"""The nats of next tokens, without ever holding the scores of all positions at once.

With a vocabulary of V the scores of n positions are n x V numbers, far more than all else in a small model. Here
they are made, used and dropped a chunk of positions at a time, and the gradient is made in the same pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

#: Numbers in one chunk of scores: on a CPU few enough to fit its caches, but enough for the gradient of the embeddings,
#: to which every chunk adds, to be touched seldom; else what keeps the device busy.
_CHUNK_CPU = 2**23
_CHUNK_GPU = 2**26
#: Entries of a vocabulary from which bfloat16 is worth its rounding on a CPU.
_LARGE_VOCABULARY = 4096


def token_nats(vectors: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
    """Give -ln p(target) [n] of vectors [n, width] against embeddings [V, width]; float32, without gradient."""
    with torch.no_grad():
        nats = [
            torch.nn.functional.cross_entropy((vectors[rows] @ embeddings.T).float(), targets[rows], reduction="none")
            for rows in _chunks(vectors, embeddings)
        ]
        return torch.cat(nats) if nats else vectors.new_zeros(0, dtype=torch.float32)


def nats_and_hits(vectors: Tensor, embeddings: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Give -ln p(target) [n] as `token_nats` does, and whether no other entry has more [n]; of equals the first."""
    with torch.no_grad():
        nats, hits = (
            [vectors.new_zeros(0, dtype=torch.float32)],
            [torch.zeros(0, dtype=torch.bool, device=vectors.device)],
        )
        for rows in _chunks(vectors, embeddings):
            scores = (vectors[rows] @ embeddings.T).float()
            nats.append(torch.nn.functional.cross_entropy(scores, targets[rows], reduction="none"))
            hits.append(scores.argmax(1) == targets[rows])
        return torch.cat(nats), torch.cat(hits)


def summed_nats(vectors: Tensor, embeddings: Tensor, targets: Tensor, low: torch.dtype | None = None) -> Tensor:
    """Give the sum of -ln p(target) of vectors [n, width] against embeddings [V, width], with its gradient.

    With `low`, scores and gradients are products of numbers of that type; the softmax and the sums are in float32.
    """
    total: Tensor = _SummedNats.apply(vectors, embeddings, targets, low)  # type: ignore[no-untyped-call]
    return total


def type_of_scores(device: torch.device, vocab_size: int) -> torch.dtype | None:
    """Give bfloat16 for large vocabularies on CPUs that multiply it, where the scores are most of the work."""
    native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native and vocab_size >= _LARGE_VOCABULARY else None


class _SummedNats(torch.autograd.Function):
    """d nats / d scores = softmax(scores) - [the target]; so both gradients are at hand with the scores."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, embeddings: Tensor, targets: Tensor, low: torch.dtype | None) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=vectors.device)
        to_vectors = torch.empty_like(vectors)
        to_embeddings = torch.zeros_like(embeddings)
        table = embeddings if low is None else embeddings.to(low)
        for rows in _chunks(vectors, embeddings):
            x, target = vectors[rows] if low is None else vectors[rows].to(low), targets[rows, None]
            scores = (x @ table.T).float()
            # ln of the sum of exp from the largest score, whose p never underflows: one pass less than log_softmax.
            largest, at = scores.max(1, keepdim=True)
            wanted = scores.gather(1, target)
            slope = torch.softmax(scores, 1)
            total += (largest - slope.gather(1, at).log_() - wanted).sum()
            slope.scatter_add_(1, target, slope.new_full((), -1.0).expand(target.shape))
            slope = slope if low is None else slope.to(low)
            to_vectors[rows] = slope @ table
            to_embeddings += slope.T @ x
        ctx.save_for_backward(to_vectors, to_embeddings)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor, Tensor, None, None]:
        to_vectors, to_embeddings = ctx.saved_tensors
        return to_vectors * slopes[0], to_embeddings * slopes[0], None, None


def _chunks(vectors: Tensor, embeddings: Tensor) -> Iterator[slice]:
    size = _CHUNK_CPU if vectors.device.type == "cpu" else _CHUNK_GPU
    rows = max(32, size // len(embeddings))
    return (slice(start, start + rows) for start in range(0, len(vectors), rows))
