"""Where a network runs, and how a CPU's cores share its work."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import nn

from corpuskit.errors import UsageError

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 1 << 30


def choose(name: str) -> torch.device:
    """Give the device of a name; `auto` is the first at hand of cuda, mps and cpu. Raises UsageError."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, here in found.items() if here)
    if not found.get(name, False):
        raise UsageError("--device", f"there is no {name} that PyTorch can use here", "take --device auto")
    return torch.device(name)


def compiled(net: nn.Module, device: torch.device) -> Callable[..., Any]:
    """Let torch.compile fuse a network's operations on CUDA, where Triton is there to do it; else give it as it is.

    On a CPU it would need a compiler, and a minute that small networks do not have.
    """
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        fused: Callable[..., Any] = torch.compile(net)
        return fused
    return net


def takes_own_loops(x: torch.Tensor) -> bool:
    """Tell whether the loops of `fused_kernels` do for a tensor: on a CPU, in numbers that numpy has."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()


class Lanes:
    """Run parts of a batch side by side: on a CPU one thread a core, each part wholly in one thread.

    The parts of a small network are too small to split their matrices over cores: threads would wait for each other
    at every operation, on a busy machine for milliseconds. And a part that one thread computes has the same bits
    however many threads there are, so neither cores nor OMP_NUM_THREADS have a say in the result. PyTorch's number
    of threads is one inside the `with` and what it was after it. Another device takes one part after the other.
    `processes` of this machine share its cores.
    """

    def __init__(self, device: torch.device, processes: int = 1) -> None:
        self.count = max(1, _cores() // processes) if device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None
        self._threads_before = 0

    def __enter__(self) -> Lanes:
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        keep_freed_memory()
        if self.count > 1:
            self._pool = ThreadPoolExecutor(self.count)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads_before)

    def map(self, function: Callable[[_In], _Out], parts: Sequence[_In]) -> Iterator[_Out]:
        """Give function(part) for every part, in order; at most `count` results are held at a time."""
        if self._pool is None:
            yield from map(function, parts)
            return
        for start in range(0, len(parts), self.count):
            yield from self._pool.map(function, parts[start : start + self.count])


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next tensor.

    Else every tensor of some 100 KB is mapped anew and its pages are cleared, which took a third of a small network's
    step. Elsewhere than on glibc, do nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
