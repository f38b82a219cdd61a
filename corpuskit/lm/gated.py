"""The gate of SwiGLU, silu(gate) * up; in training on CPUs one pass over memory, its gradient another."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from corpuskit.lm.device import takes_own_loops


def silu_gated(gate: Tensor, up: Tensor) -> Tensor:
    """Give silu(gate) * up."""
    if not (takes_own_loops(gate) and gate.dtype == torch.float32 and torch.is_grad_enabled()):
        return F.silu(gate) * up
    product: Tensor = _Gated.apply(gate, up)  # type: ignore[no-untyped-call]
    return product


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        from corpuskit.lm.fused_kernels import gated

        gate, up = gate.contiguous(), up.contiguous()
        out = torch.empty_like(gate)
        gated(*(each.flatten().numpy() for each in (gate, up, out)))
        ctx.save_for_backward(gate, up)
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor, Tensor]:
        from corpuskit.lm.fused_kernels import gated_slopes

        gate, up = ctx.saved_tensors
        to_gate, to_up = torch.empty_like(gate), torch.empty_like(up)
        gated_slopes(*(each.flatten().numpy() for each in (slopes[0].contiguous(), gate, up, to_gate, to_up)))
        return to_gate, to_up
