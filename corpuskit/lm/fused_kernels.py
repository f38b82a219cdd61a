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


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _sigmoid(x: Any) -> Any:
    """Give 1 / (1 + exp(-x)) of a float32 by the rational tanh of Eigen, which vectors can do, to some 3e-7."""
    half = min(np.float32(7.9), max(np.float32(-7.9), x * np.float32(0.5)))
    y = half * half
    p = y * np.float32(-2.76076847742355e-16) + np.float32(2.00018790482477e-13)
    p = y * p + np.float32(-8.60467152213735e-11)
    p = y * p + np.float32(5.12229709037114e-08)
    p = y * p + np.float32(1.48572235717979e-05)
    p = y * p + np.float32(6.37261928875436e-04)
    p = y * p + np.float32(4.89352455891786e-03)
    q = y * np.float32(1.19825839466702e-06) + np.float32(1.18534705686654e-04)
    q = y * q + np.float32(2.26843463243900e-03)
    q = y * q + np.float32(4.89352518554385e-03)
    return np.float32(0.5) + np.float32(0.5) * (half * p / q)


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def gated(gate: _Array, up: _Array, out: _Array) -> None:
    """out = gate * sigmoid(gate) * up, for flat float32."""
    for at in range(len(out)):
        out[at] = gate[at] * _sigmoid(gate[at]) * up[at]


@njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def gated_slopes(slope: _Array, gate: _Array, up: _Array, to_gate: _Array, to_up: _Array) -> None:
    """Give its gradients; with s = sigmoid(gate): slope * up * s * (1 + gate * (1 - s)) and slope * gate * s."""
    for at in range(len(slope)):
        s = _sigmoid(gate[at])
        to_up[at] = slope[at] * gate[at] * s
        to_gate[at] = slope[at] * up[at] * s * (np.float32(1) + gate[at] * (np.float32(1) - s))
