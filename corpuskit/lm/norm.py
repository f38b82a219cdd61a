"""RMSNorm with its gradient by hand: on a CPU PyTorch strings it together from sixteen small operations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Give x / sqrt(mean of x^2 + epsilon) * weight over the last axis."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # fused there
        return F.rms_norm(x, weight.shape, weight, epsilon)
    normed: Tensor = _RMSNorm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return normed


class _RMSNorm(torch.autograd.Function):
    """With u = x / rms and g = slope * weight: d x = (g - u * mean(g * u)) / rms, d weight = the sum of slope * u."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_()
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        normed: Tensor = unit * weight
        return normed

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor, Tensor, None]:
        unit, scale, weight = ctx.saved_tensors
        product = slopes[0] * unit
        to_weight = product.flatten(0, -2).sum(0)
        share = (product @ weight).mul_(-1 / weight.numel()).unsqueeze(-1)
        to_x: Tensor = torch.addcmul(slopes[0] * weight, unit, share).mul_(scale)
        return to_x, to_weight, None
