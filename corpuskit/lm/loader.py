"""Blocks for training with torch: mapped files, shared out among ranks and workers, resumed to the block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from corpuskit.errors import NoInput, UsageError
from corpuskit.lm.mapped import MappedBlocks
from corpuskit.lm.shuffle import shuffled

Sample = dict[str, Tensor]
_Ints = npt.NDArray[np.int64]
#: What losses leave out, as torch's cross_entropy does by itself.
NO_LABEL = -100
_AHEAD_TOKENS = 1 << 18  # copied at a time, and handed out in parts


class BlockMap(Dataset[Sample]):
    """All blocks of a split, by number, for trainers that shuffle and share out themselves (transformers' Trainer)."""

    def __init__(self, blocks: MappedBlocks, *, raw: bool) -> None:
        self.blocks, self.raw = blocks, raw

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, row: int) -> Sample:
        if not -len(self.blocks) <= row < len(self.blocks):
            raise IndexError(row)
        return _part(_sample(self.blocks, np.array([row % len(self.blocks)]), self.raw), 0)

    def __getitems__(self, rows: Sequence[int]) -> list[Sample]:
        """Give several blocks at once, as torch's DataLoader asks for them."""
        sample = _sample(self.blocks, np.array(rows, np.int64) % max(len(self.blocks), 1), self.raw)
        return [_part(sample, at) for at in range(len(rows))]


class BlockStream(IterableDataset[Sample]):
    """This rank's part of a split, in an order that hangs on the seed and the epoch alone.

    Batch j of a rank is read by DataLoader worker j % workers, so the order is the same for any number of workers.
    `state_dict` and `load_state_dict` follow torchdata's StatefulDataLoader. A plain DataLoader keeps no state of its
    workers: with it, count the batches that came out, and load `state_after(batches)` before the next pass.
    """

    def __init__(
        self,
        blocks: MappedBlocks,
        *,
        batch_size: int | None,
        seed: int | None,
        rank: int | None,
        world_size: int | None,
        even: bool,
        raw: bool,
    ) -> None:
        self.blocks, self.batch_size, self.seed, self.even, self.raw = blocks, batch_size, seed, even, raw
        self._given = rank, world_size
        self.epoch = self._start = self._taken = 0
        self._resumed = False

    def __len__(self) -> int:
        """Count the batches (blocks, without a batch size) of this rank in an epoch."""
        size = self.batch_size or 1
        return (self._mine() + size - 1) // size

    def set_epoch(self, epoch: int) -> None:
        """Choose the pass over the data: another epoch is another order."""
        self.epoch, self._start, self._taken, self._resumed = epoch, 0, 0, False

    def __iter__(self) -> Iterator[Sample]:
        if not self._resumed:
            self._start = self._taken = 0
        self._resumed = False
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
        size, last = self.batch_size or 1, len(self)
        ahead = max(1, _AHEAD_TOKENS // max(size * self.blocks.length, 1))
        at = self._start + worker + workers * self._taken
        while at < last:
            numbers = np.arange(at, min(at + ahead * workers, last), workers)
            sample = _sample(self.blocks, self._rows(numbers), self.raw)
            for batch in range(len(numbers)):
                self._taken += 1
                yield _part(sample, slice(batch * size, (batch + 1) * size) if self.batch_size else batch)
            at += ahead * workers

    def state_dict(self) -> dict[str, Any]:
        """Tell where this pass is, as JSON-ready words."""
        return {**self._frame(), "epoch": self.epoch, "start": self._start, "taken": self._taken}

    def state_after(self, batches: int) -> dict[str, Any]:
        """Give the state after so many batches of this pass have come out of a DataLoader with any workers."""
        return {**self._frame(), "epoch": self.epoch, "start": self._start + batches, "taken": 0}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on, in the next pass, from where a state was taken. Raises UsageError for another set of blocks."""
        for name, mine in self._frame().items():
            if state.get(name) != mine:
                problem = f"the state is of {name} {state.get(name)}, here it is {mine}"
                raise UsageError("load_state_dict", problem, "load the same split with the same settings")
        self.epoch, self._start, self._taken = int(state["epoch"]), int(state["start"]), int(state["taken"])
        self._resumed = True

    def __getstate__(self) -> dict[str, Any]:
        # A DataLoader's worker knows nothing of the process group of its parent.
        return {**self.__dict__, "_given": self._place()}

    def _frame(self) -> dict[str, Any]:
        rank, world_size = self._place()
        return {
            "blocks": len(self.blocks),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "rank": rank,
            "world_size": world_size,
        }

    def _place(self) -> tuple[int, int]:
        """Find this rank: as given, of the process group, or of what torchrun has set."""
        rank, world_size = self._given
        if rank is not None and world_size is not None:
            return rank, world_size
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))

    def _mine(self) -> int:
        """Count the blocks of this rank."""
        rank, world_size = self._place()
        if self.even:
            size = self.batch_size or 1
            return len(self.blocks) // (world_size * size) * size
        return (len(self.blocks) - rank + world_size - 1) // world_size

    def _rows(self, numbers: _Ints) -> _Ints:
        """Give the blocks of some batches of this rank, one after the other."""
        rank, world_size = self._place()
        size = self.batch_size or 1
        positions = (numbers[:, None] * size + np.arange(size)).ravel()
        positions = positions[positions < self._mine()] * world_size + rank
        return positions if self.seed is None else shuffled(positions, len(self.blocks), self.seed, self.epoch)


def load_blocks(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    batch_size: int | None = None,
    seed: int | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    even: bool = False,
    raw: bool = False,
    by_number: bool = False,
) -> BlockStream | BlockMap:
    """Open a split of `corpuskit shard` as a torch dataset over its memory-mapped files.

    Samples are dicts: `input_ids` [L] (int64) and `labels`, the same ids with -100 for padding (not shifted: models of
    transformers shift themselves); with `batch_size` [batch_size, L], for `DataLoader(..., batch_size=None)`. `raw`
    gives `input_ids` alone, as uint16 or uint32 and where possible without a copy. `seed` shuffles the blocks anew in
    each epoch (`set_epoch`). Ranks are found by themselves (torch.distributed, torchrun) or given; every block comes
    once over all ranks and workers, or with `even` the last few are left out, so that all ranks have as many batches.
    `by_number` gives a map-style dataset of all blocks, for trainers that share out themselves.

    Raises NoInput where there is no such split, BadData where its files are damaged, UsageError for a wrong rank.
    """
    if (rank is None) != (world_size is None) or not (rank or 0) < (world_size or 1) or (rank or 0) < 0:
        raise UsageError("load_blocks", f"rank {rank} of {world_size}", "give both, counting from 0, or none")
    if batch_size is not None and batch_size < 1:
        raise UsageError("load_blocks", f"expected a batch_size of at least 1, got {batch_size}", "None is none")
    blocks = MappedBlocks(_folder(Path(path), split))
    if by_number:
        return BlockMap(blocks, raw=raw)
    return BlockStream(blocks, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size, even=even, raw=raw)


def _folder(path: Path, split: str) -> Path:
    for folder in (path / split, path):
        if (folder / "state.json").is_file():
            return folder
    raise NoInput(str(path), f"expected blocks with a split {split!r}, found none", "give the output of `shard`")


def _sample(blocks: MappedBlocks, rows: _Ints, raw: bool) -> Sample:
    if raw:
        return {"input_ids": torch.from_numpy(blocks.raw(rows))}
    ids = torch.from_numpy(blocks.take(rows))
    padding = blocks.padding_of(rows)
    if padding is None or not padding.any():
        return {"input_ids": ids, "labels": ids}
    real = torch.arange(blocks.length) < (blocks.length - torch.from_numpy(padding.astype(np.int64)))[:, None]
    return {"input_ids": ids, "labels": ids.where(real, NO_LABEL)}


def _part(sample: Sample, at: int | slice) -> Sample:
    return {name: value[at] for name, value in sample.items()}
