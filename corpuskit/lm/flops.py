"""How much of a device's arithmetic training uses: MFU, model FLOP/s against the peak (Chowdhery et al. 2022)."""

from __future__ import annotations

import time

import torch

from corpuskit.lm.device import Lanes
from corpuskit.lm.recipe import Shape

#: Dense bf16 FLOP/s of data sheets, by a part of the device's name; the first that fits.
_PEAKS = {
    "B200": 2250e12, "H200": 989e12, "H100 PCIE": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12,
    "L4": 121e12, "A10G": 70e12, "A10": 125e12, "RTX 4090": 165e12, "RTX 3090": 71e12, "T4": 65e12,
}  # fmt: skip
_SIDE = 768  # of the squares that are multiplied to measure a CPU
_ROUNDS = 8


def per_token(shape: Shape) -> float:
    """Give the FLOPs of training on a token: 6 for each number of the matrices, and attention over the whole block."""
    attention = 12 * shape.layers * shape.width * shape.block_tokens if shape.arch == "llama" else 0
    return 6.0 * (shape.matrix_parameters + shape.vocab_size * shape.width) + attention


def peak(device: torch.device, lanes: Lanes) -> float | None:
    """Give the FLOP/s that a device can do at most; None where nobody knows.

    A GPU's stand in its data sheet. A CPU's are measured: fp32 products in all lanes at once, the best of a few.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device).upper()
        return next((flops for part, flops in _PEAKS.items() if part in name), None)
    if device.type != "cpu":
        return None
    square = torch.ones(_SIDE, _SIDE)

    def seconds(_: int) -> float:
        began = time.perf_counter()
        torch.mm(square, square)
        return time.perf_counter() - began

    best = [min(lanes.map(seconds, range(lanes.count))) for _ in range(_ROUNDS)]
    return lanes.count * 2 * _SIDE**3 / min(best)
