"""The optimizer: AdamW (Loshchilov and Hutter 2019) with one rate for matrices and a higher one for the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from corpuskit.lm.recipe import Recipe


def adamw(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.AdamW:
    """Group the parameters: matrices decay; embeddings and norms do not, and learn at a multiple of the rate."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        (matrices if weight.ndim == 2 and not name.startswith("embed_tokens") else vectors).append(weight)
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay, "factor": 1.0},
        {"params": vectors, "weight_decay": 0.0, "factor": recipe.vector_factor},
    ]
    betas = (recipe.beta1, recipe.beta2)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas, fused=device.type in ("cpu", "cuda"))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of matrices, and with it that of the rest."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Give all that the optimizer remembers, as `<what>.<parameter>`."""
    return {
        f"{what}.{name}": value
        for name, weight in model.named_parameters()
        for what, value in optimizer.state.get(weight, {}).items()
    }


def restore(optimizer: torch.optim.Optimizer, model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Take back what `tensors` gave."""
    weights = dict(model.named_parameters())
    for key, value in saved.items():
        what, name = key.split(".", 1)
        optimizer.state[weights[name]][what] = value.to(weights[name].device)
