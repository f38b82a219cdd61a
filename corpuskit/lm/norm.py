"""RMSNorm, compiled for CPUs, where PyTorch strings it and its gradient together from sixteen small operations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from corpuskit.lm.device import takes_own_loops


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Give x / sqrt(mean of x^2 + epsilon) * weight over the last axis."""
    if not takes_own_loops(x) or x.dtype != weight.dtype:
        return F.rms_norm(x, weight.shape, weight, epsilon)
    normed: Tensor = _RMSNorm.apply(x.flatten(0, -2), weight, epsilon)  # type: ignore[no-untyped-call]
    return normed.view(x.shape)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        from corpuskit.lm.fused_kernels import norm

        x = x.contiguous()
        out, scale = torch.empty_like(x), x.new_empty(len(x))
        norm(x.numpy(), weight.detach().numpy(), epsilon, out.numpy(), scale.numpy())
        ctx.save_for_backward(x, scale, weight)
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor, Tensor, None]:
        from corpuskit.lm.fused_kernels import norm_slopes

        x, scale, weight = ctx.saved_tensors
        to_x, to_weight = torch.empty_like(x), torch.zeros_like(weight)
        slope, by = slopes[0].contiguous(), weight.detach()
        norm_slopes(slope.numpy(), x.numpy(), scale.numpy(), by.numpy(), to_x.numpy(), to_weight.numpy())
        return to_x, to_weight, None
