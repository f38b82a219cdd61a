"""Where a network runs, and how a CPU's cores share its work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from corpuskit.errors import UsageError

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def choose(name: str) -> torch.device:
    """Give the device of a name; `auto` is the first at hand of cuda, mps and cpu. Raises UsageError."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, here in found.items() if here)
    if not found.get(name, False):
        raise UsageError("--device", f"there is no {name} that PyTorch can use here", "take --device auto")
    return torch.device(name)


class Lanes:
    """Run parts of a batch side by side: on a CPU one thread a core, each part wholly in one thread.

    The parts of a small network are too small to split their matrices over cores: threads would wait for each other
    at every operation, on a busy machine for milliseconds. And a part that one thread computes has the same bits
    however many threads there are, so neither cores nor OMP_NUM_THREADS have a say in the result. PyTorch's number
    of threads is one inside the `with` and what it was after it. Another device takes one part after the other.
    """

    def __init__(self, device: torch.device) -> None:
        self.count = _cores() if device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None
        self._threads_before = 0

    def __enter__(self) -> Lanes:
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
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


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
