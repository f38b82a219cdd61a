"""Rotary positions (RoPE; Su et al. 2021): queries and keys turn with their position, so that only distances matter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from corpuskit.lm.device import takes_own_loops
from corpuskit.lm.recipe import Shape

#: Cosines and sines [time, head width / 2] of the angles by which pairs of numbers turn.
Rotation = tuple[Tensor, Tensor]


def rope(start: int, stop: int, shape: Shape, device: torch.device | str = "cpu") -> Rotation:
    """Give the rotation of the positions [start, stop)."""
    powers = torch.arange(0, shape.head_width, 2, dtype=torch.float32, device=device) / shape.head_width
    angles = torch.outer(torch.arange(start, stop, dtype=torch.float32, device=device), shape.rope_theta**-powers)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn number i of each head [..., time, head width] together with number i + half by its position's angle."""
    cos, sin = rotation
    one, other = x.chunk(2, -1)
    return torch.cat((one * cos - other * sin, other * cos + one * sin), -1)


def turned(projected: Tensor, rotation: Rotation, heads: int, kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Share [batch, time, heads + 2 kv_heads, head width] out to queries, keys and values, the first two rotated.

    Each is [batch, heads, time, head width].
    """
    if takes_own_loops(projected):
        q, k, v = _Turned.apply(projected, *rotation, heads, kv_heads)  # type: ignore[no-untyped-call]
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    turning, v = torch.split(projected.transpose(1, 2), [heads + kv_heads, kv_heads], 1)
    q, k = torch.split(rotate(turning, rotation), [heads, kv_heads], 1)
    return q, k, v


class _Turned(torch.autograd.Function):
    """On CPUs one pass over memory, where PyTorch makes ten."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, cos: Tensor, sin: Tensor, heads: int, kv_heads: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        from corpuskit.lm.fused_kernels import turn

        batch, time, _, width = projected.shape
        q = projected.new_empty(batch, time, heads, width)
        k, v = (projected.new_empty(batch, time, kv_heads, width) for _ in range(2))
        angles = (cos.to(projected.dtype), sin.to(projected.dtype))
        turn(projected.contiguous().numpy(), *(each.numpy() for each in (*angles, q, k, v)))
        ctx.save_for_backward(*angles)
        return q, k, v

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor, None, None, None, None]:
        from corpuskit.lm.fused_kernels import gather_turned

        q, k, v = (slope.contiguous() for slope in slopes)
        heads = q.shape[2] + 2 * k.shape[2]
        out = q.new_empty(*q.shape[:2], heads, q.shape[3])
        cos, sin = ctx.saved_tensors
        gather_turned(*(each.numpy() for each in (q, k, v, cos, -sin, out)))
        return out, None, None, None, None
