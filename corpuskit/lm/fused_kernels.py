"""What a small network does between its products, one pass over memory each, compiled.

PyTorch does each of these as five to sixteen operations, whose calls and passes are a sixth of a step of a network of a
million parameters on one core. Rows are summed in an order that only the processor's instruction set decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_Array = Any  # of float32 or float64
_FAST = {"reassoc", "contract", "nsz"}  # sums of a row in vectors; infinities and NaN stay what they are


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def norm(x: _Array, weight: _Array, epsilon: float, out: _Array, scale: _Array) -> None:
    """out = x * scale * weight with scale [n] = 1 / sqrt(mean of x^2 + epsilon), for x [n, width]."""
    for row in range(len(x)):
        total = x[row, 0] * x[row, 0]
        for at in range(1, x.shape[1]):
            total += x[row, at] * x[row, at]
        scale[row] = 1 / np.sqrt(total / x.shape[1] + epsilon)
        by = scale[row]
        for at in range(x.shape[1]):
            out[row, at] = x[row, at] * by * weight[at]


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def norm_slopes(slope: _Array, x: _Array, scale: _Array, weight: _Array, to_x: _Array, to_weight: _Array) -> None:
    """With u = x * scale and g = slope * weight: to_x = (g - u * mean(g * u)) * scale, to_weight += slope * u."""
    for row in range(len(x)):
        by = scale[row]
        total = slope[row, 0] * weight[0] * x[row, 0]
        for at in range(1, x.shape[1]):
            total += slope[row, at] * weight[at] * x[row, at]
        back = total * by * by / x.dtype.type(x.shape[1])
        for at in range(x.shape[1]):
            to_x[row, at] = (slope[row, at] * weight[at] - x[row, at] * back) * by
            to_weight[at] += slope[row, at] * x[row, at] * by


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _pairs(one: _Array, cos: _Array, sin: _Array, out: _Array) -> None:
    half = len(cos)
    for i in range(half):
        out[i] = one[i] * cos[i] - one[half + i] * sin[i]
    for i in range(half):
        out[half + i] = one[half + i] * cos[i] + one[i] * sin[i]


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def turn(x: _Array, cos: _Array, sin: _Array, q: _Array, k: _Array, v: _Array) -> None:
    """Share x [batch, time, heads + 2 kv_heads, width] out to q, k and v; q and k with each pair of numbers turned.

    Pairs are number i and i + width / 2 of a head; cos and sin are [time, width / 2].
    """
    heads, shared = q.shape[2], k.shape[2]
    for row in range(len(x)):
        for at in range(x.shape[1]):
            for head in range(heads):
                _pairs(x[row, at, head], cos[at], sin[at], q[row, at, head])
            for head in range(shared):
                _pairs(x[row, at, heads + head], cos[at], sin[at], k[row, at, head])
                v[row, at, head] = x[row, at, heads + shared + head]


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def gather_turned(q: _Array, k: _Array, v: _Array, cos: _Array, sin: _Array, x: _Array) -> None:
    """Put together what `turn` shares out, turning again; with -sin that is its reverse, and its gradient."""
    heads, shared = q.shape[2], k.shape[2]
    for row in range(len(x)):
        for at in range(x.shape[1]):
            for head in range(heads):
                _pairs(q[row, at, head], cos[at], sin[at], x[row, at, head])
            for head in range(shared):
                _pairs(k[row, at, head], cos[at], sin[at], x[row, at, heads + head])
                x[row, at, heads + shared + head] = v[row, at, head]
