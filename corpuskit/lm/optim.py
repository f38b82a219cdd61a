"""Optimizers: AdamW (Loshchilov and Hutter 2019) for everything, or Muon (Jordan et al. 2024) for the matrices.

Embeddings and norms learn by AdamW in both cases, without decay and at a multiple of the rate. Muon's updates are
scaled to the size of AdamW's (Moonshot 2025), so that both take rates of the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from corpuskit.lm.recipe import Recipe

#: Runs a function over values, perhaps side by side, and gives what it returns in order.
Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


class Optimizer:
    """All of a network's parameters, each with the optimizer that suits it."""

    def __init__(self, net: nn.Module, recipe: Recipe, device: torch.device) -> None:
        matrices: list[nn.Parameter] = []
        vectors: list[nn.Parameter] = []
        for name, weight in net.named_parameters():
            (matrices if weight.ndim == 2 and not name.startswith("embed_tokens") else vectors).append(weight)
        self._net, self._parts = net, _make(matrices, vectors, recipe, device)

    def step(self, rate: float, over: Map = map) -> None:
        """Move the parameters by their `grad`, matrices at this rate, the rest at its multiple."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * group["factor"]
        for _ in over(_step, self._parts):
            pass

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups of parameters, with their settings."""
        return [group for part in self._parts for group in part.param_groups]

    def tensors(self) -> dict[str, Tensor]:
        """Give all that is remembered from step to step, as `<what>.<parameter>`."""
        names: dict[Tensor, str] = {weight: name for name, weight in self._net.named_parameters()}
        return {
            f"{what}.{names[weight]}": value
            for part in self._parts
            for weight, remembered in part.state.items()
            for what, value in remembered.items()
        }

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        weights = dict(self._net.named_parameters())
        owner = {weight: part for part in self._parts for group in part.param_groups for weight in group["params"]}
        for key, value in saved.items():
            what, name = key.split(".", 1)
            weight = weights[name]
            owner[weight].state[weight][what] = value.to(weight.device)


def _make(
    matrices: list[nn.Parameter], vectors: list[nn.Parameter], recipe: Recipe, device: torch.device
) -> list[torch.optim.Optimizer]:
    decayed = {"weight_decay": recipe.weight_decay, "factor": 1.0}
    plain = {"params": vectors, "weight_decay": 0.0, "factor": recipe.vector_factor}

    def adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        betas, fused = (recipe.beta1, recipe.beta2), device.type in ("cpu", "cuda")
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas, fused=fused)

    if recipe.optimizer == "adamw":
        return [adamw([{"params": matrices, **decayed}, plain])]
    # A matrix each: Muon multiplies matrices, which lanes can do side by side.
    muons = [
        torch.optim.Muon([{"params": [matrix], **decayed}], lr=recipe.learning_rate, adjust_lr_fn="match_rms_adamw")
        for matrix in matrices
    ]
    return [adamw([plain]), *muons]


def _step(part: torch.optim.Optimizer) -> None:
    part.step()
