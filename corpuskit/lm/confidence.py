"""How far a measure would move had other documents been held out: the bootstrap (Efron 1979), percentile intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]

ROUNDS = 1000
LEVEL = 0.95
#: More documents are drawn in so many groups: each round would cost as much as the text has documents.
_GROUPS = 20_000
_SEED = 0


def bits_per_byte(nats: _Floats, n_bytes: npt.NDArray[np.int64]) -> list[float] | None:
    """Give [low, high] of sum(nats) / (ln 2 * sum(n_bytes)) over documents [n]; None for fewer than two.

    `nats` are those of the text, without end marks.
    """
    return ratio(nats / math.log(2), n_bytes.astype(np.float64))


def ratio(upper: _Floats, lower: _Floats) -> list[float] | None:
    """Give [low, high] of sum(upper) / sum(lower) when pairs [n] are drawn anew; None where it has no meaning."""
    if len(upper) < 2 or not np.isfinite(upper).all():
        return None
    drawn = np.array([up / down if down > 0 else np.nan for up, down in _sums(upper, lower)])
    if not np.isfinite(drawn).all():
        return None
    tail = (1 - LEVEL) / 2
    return [float(each) for each in np.quantile(drawn, [tail, 1 - tail])]


def _sums(upper: _Floats, lower: _Floats) -> Iterator[tuple[float, float]]:
    if len(upper) > _GROUPS:
        group = np.arange(len(upper)) % _GROUPS  # held-out documents come in the order of their hashes
        upper, lower = (np.bincount(group, each, _GROUPS).astype(np.float64) for each in (upper, lower))
    rng = np.random.default_rng(_SEED)
    for _ in range(ROUNDS):
        times = np.bincount(rng.integers(0, len(upper), len(upper)), minlength=len(upper))
        yield float(times @ upper), float(times @ lower)
