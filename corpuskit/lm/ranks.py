"""Several processes that train one network together: each computes a share of every batch (data parallel).

`torchrun` starts them and tells each its number in the environment (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE).
Gradients are summed over all of them before each update, so all keep the same weights. Only the first writes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from corpuskit.errors import CorpuskitError


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's number among `count`, of which `here` are on this machine."""

    rank: int = 0
    count: int = 1
    here: int = 1

    def share(self, ids: Tensor) -> Tensor:
        """Give this process's rows; all processes' together are all of them."""
        rows = np.array_split(np.arange(len(ids)), self.count)[self.rank]
        return ids[int(rows[0]) : int(rows[-1]) + 1] if len(rows) else ids[:0]

    def add(self, tensors: list[Tensor]) -> None:
        """Sum each tensor over all processes, in place; one message. They have one dtype."""
        if self.count == 1:
            return
        flat = torch.cat([each.flatten() for each in tensors])
        with _naming_the_lost():
            dist.all_reduce(flat)
        for each, summed in zip(tensors, torch.split(flat, [each.numel() for each in tensors]), strict=True):
            each.copy_(summed.view_as(each))

    def hand_out(self, file: Path, device: torch.device) -> None:
        """Give all processes the first one's file, where it has one."""
        if self.count == 1:
            return
        there = self.rank == 0 and file.exists()
        size = torch.tensor([file.stat().st_size if there else 0], device=device)
        with _naming_the_lost():
            dist.broadcast(size, 0)
            if not int(size):
                return
            data = np.fromfile(file, np.uint8) if self.rank == 0 else np.empty(int(size), np.uint8)
            content = torch.from_numpy(data).to(device)
            dist.broadcast(content, 0)
        if self.rank:
            content.cpu().numpy().tofile(file)


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes that torchrun has started; give their `Ranks` and this one's device. Alone without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or not dist.is_available() or not dist.is_torchelastic_launched():
        yield Ranks(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    with _naming_the_lost():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), count, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))), device
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _naming_the_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch.distributed raises for all that goes wrong between processes
        reason = str(error).strip().split("\n")[0]
        remedy = "start all of them again: training goes on from the last checkpoint"
        raise CorpuskitError("train transformer", f"a process of the group is lost: {reason}", remedy) from None
