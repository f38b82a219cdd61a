"""Draw the next token: temperature, top-k, top-p (Holtzman et al. 2020), from a generator that is seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw from the `top_k` likeliest, of these the fewest that reach `top_p`; temperature 0 is the likeliest."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0


def keep(p: _Floats, how: Sampling) -> _Floats:
    """Give the probabilities that are drawn from, of the same length; they sum to one.

    Temperature comes first. Of equal probabilities the lower ids are kept. With temperature 0, or where nothing has a
    probability, one entry is 1: the likeliest, the first of equals.
    """
    found: _Floats = np.zeros_like(p)
    best = p.max(initial=0.0)
    if how.temperature == 0 or not best > 0:
        found[p.argmax()] = 1.0
        return found
    with np.errstate(divide="ignore"):
        scaled = np.exp((np.log(p) - np.log(best)) / how.temperature)
    ranked = np.argsort(-scaled, kind="stable")
    if how.top_k is not None:
        ranked = ranked[: how.top_k]
    if how.top_p < 1:
        before = np.cumsum(scaled[ranked]) - scaled[ranked]
        ranked = ranked[: max(1, int((before < how.top_p * scaled[ranked].sum()).sum()))]
    found[ranked] = scaled[ranked]
    found /= found.sum()
    return found


def sample(
    next_probabilities: Callable[[npt.NDArray[Any]], _Floats],
    prompt: npt.NDArray[Any],
    *,
    tokens: int,
    end_id: int | None,
    how: Sampling,
    seed: int,
) -> Iterator[int]:
    """Draw up to `tokens` ids after a prompt, one by one; the end mark is the last, and is given too."""
    drawn = np.random.default_rng(seed)
    context = np.asarray(prompt, np.int64)
    for _ in range(tokens):
        p = keep(next_probabilities(context), how)
        token = min(int(np.searchsorted(np.cumsum(p), drawn.random(), "right")), int(np.flatnonzero(p)[-1]))
        yield token
        if token == end_id:
            return
        context = np.append(context, token)
