"""Train a network on blocks, in a way that an interruption does not show.

All that a step does follows from the shape, the recipe, the blocks and the step's number, so a checkpoint (weights,
what the optimizer remembers, the log so far) is all that a resumed run needs: on a CPU its losses and final weights
have the bits of an uninterrupted run.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from corpuskit.errors import CorpuskitError
from corpuskit.lm import checkpoint, flops, network
from corpuskit.lm.blocks import NO_TOKEN, Blocks, order
from corpuskit.lm.device import Lanes, compiled
from corpuskit.lm.loss import summed_nats, token_nats, type_of_scores
from corpuskit.lm.optim import Optimizer
from corpuskit.lm.ranks import Ranks
from corpuskit.lm.recipe import Recipe, Shape
from corpuskit.lm.transformer import document_mask

#: Tokens of a part of a batch, whose activations and gradient are held at a time (one block at least).
_PART_TOKENS = {"cpu": 512}
_PART_TOKENS_ELSEWHERE = 16_384
#: The log has about so many rows, of which every tenth measures the valid loss, on so many tokens at most.
_LOG_ROWS = 100
_VALID_EVERY_ROWS = 10
_VALID_TOKENS = 16_384
_STATUS_SECONDS = 1.0
#: Updates in a row that are left out because they are no numbers, before training gives up.
_MAX_BAD_STEPS = 5


@dataclass
class Progress:
    """Where training stands. `nats` sums the mean loss of the `unlogged` steps since the last row.

    `bad` updates were left out, the last `bad_in_a_row` of them one after the other. `best` is the lowest valid loss,
    `waited` the number of measurements since; when these reach the patience, training has `stopped`.
    """

    step: int = 0
    nats: float = 0.0
    unlogged: int = 0
    bad: int = 0
    bad_in_a_row: int = 0
    best: float | None = None
    waited: int = 0
    stopped: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Ears:
    """Who listens: `status` to a line a second, `row` to each row of the log and its tokens a second."""

    status: Callable[[str], None] = lambda message: None
    row: Callable[[dict[str, Any], float], None] = lambda row, tokens_per_second: None


def _predicted(ids: Tensor) -> int:
    """Count the tokens of blocks [n, L] that are predicted: all but the first of each, and padding."""
    return int((ids[:, 1:] != NO_TOKEN).sum())


class Trainer:
    """One training run: make it, `run` it, take its `net` and `progress.rows`."""

    def __init__(
        self,
        shape: Shape,
        recipe: Recipe,
        train: Blocks,
        valid: Blocks,
        device: torch.device,
        ranks: Ranks = Ranks(),  # noqa: B008 (a frozen value)
    ) -> None:
        self.shape, self.recipe, self.device, self.ranks = shape, recipe, device, ranks
        self.train, self.valid = train, valid
        self.net = network.new(shape).to(device)
        self.optimizer = Optimizer(self.net, recipe, device)
        self.progress = Progress()
        self._forward = compiled(self.net, device)
        self._weights = list(self.net.parameters())
        self._best: dict[str, Tensor] = {}
        self._part_tokens = _PART_TOKENS.get(device.type, _PART_TOKENS_ELSEWHERE)
        self._updating = False
        self._run = self._describe()

    def run(self, saved: Path, every: int | None, ears: Ears | None = None) -> None:
        """Train to the end, from the checkpoint `saved` where it is of this very run; save there every so many steps.

        SystemExit and KeyboardInterrupt save on the way out. Raises CorpuskitError when the loss is no longer a
        number.
        """
        self.ranks.hand_out(saved, self.device)
        self._resume(saved)
        try:
            with Lanes(self.device, self.ranks.here) as lanes:
                clock = Clock(self, lanes, ears or Ears())
                while self.progress.step < self.recipe.steps and not self.progress.stopped:
                    rows = len(self.progress.rows)
                    nats = self.step(lanes)
                    done = self.progress.step
                    if every and done % every == 0 and done < self.recipe.steps:
                        self._save(saved)
                    clock.tick(nats, self.progress.rows[rows:])
        except (SystemExit, KeyboardInterrupt):
            # In the middle of an update the weights are of no step; the last checkpoint stands then.
            if not self._updating:
                self._save(saved)
            raise
        if self._best:
            self.net.load_state_dict(self._best)

    def step(self, lanes: Lanes) -> float:
        """Do one update; give the mean nats a token of its batch. An update that is no number is left out."""
        progress, recipe = self.progress, self.recipe
        nats, gradient = self._gradient(lanes)
        for weight, slope in zip(self._weights, gradient, strict=True):
            weight.grad = slope
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights, recipe.clip))
        rate = recipe.rate(progress.step)
        self._updating = True
        if math.isfinite(nats) and math.isfinite(norm):
            self.optimizer.step(rate, lanes.map)
            progress.bad_in_a_row = 0
            progress.nats += nats
            progress.unlogged += 1
        else:
            self._leave_out()
        progress.step += 1
        if progress.step % max(1, recipe.steps // _LOG_ROWS) == 0 or progress.step == recipe.steps:
            self._log(lanes, rate, norm)
        self._updating = False
        return nats

    def _leave_out(self) -> None:
        progress = self.progress
        progress.bad += 1
        progress.bad_in_a_row += 1
        if progress.bad_in_a_row >= _MAX_BAD_STEPS:
            self._updating = False
            raise CorpuskitError(
                "train transformer",
                f"loss or gradient of {_MAX_BAD_STEPS} updates in a row are no numbers, up to step {progress.step + 1}",
                f"lower --learning-rate (it is {self.recipe.learning_rate:g})",
            )

    def _gradient(self, lanes: Lanes) -> tuple[float, list[Tensor]]:
        """Give the mean nats a token of the next batch, and its slope for every parameter, summed in order."""
        blocks = self.recipe.batch_blocks
        start = self.progress.step * blocks
        rows = order(len(self.train), self.recipe.seed, start, start + blocks)
        whole = torch.from_numpy(self.train.take(rows))
        ids = self.ranks.share(whole)
        low = type_of_scores(self.device, self.shape.vocab_size)
        share = torch.tensor(1 / max(1, _predicted(whole)), device=self.device)

        def one(part: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            part = part.to(self.device)
            with self._autocast():
                nats = summed_nats(*self._pairs(part), low)
            return nats.detach(), torch.autograd.grad(nats, self._weights, share)

        total = torch.zeros(1, dtype=torch.float64)
        summed: list[Tensor] = []
        for nats, slopes in lanes.map(one, self._parts(ids)):
            total += nats.double().cpu()
            if summed:
                torch._foreach_add_(summed, slopes)
            else:
                summed = list(slopes)
        summed = summed or [torch.zeros_like(weight) for weight in self._weights]
        self.ranks.add(summed)
        return float(self._over_all(total) * share.cpu().double()), summed

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda")

    def _pairs(self, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the vectors [n, width] at all places before a token, the embeddings, and the tokens; not of padding."""
        inputs, targets = part[:, :-1], part[:, 1:].flatten()
        padded = self.train.padding is not None or self.valid.padding is not None
        if padded:
            inputs = inputs.clamp_min(0)  # no place sees those after it
        mask = document_mask(inputs, self.shape.end_id) if self.recipe.document_mask else None
        vectors: Tensor = self._forward(inputs, mask).flatten(0, 1)
        if padded:
            vectors, targets = vectors[targets != NO_TOKEN], targets[targets != NO_TOKEN]
        return vectors, self.net.embed_tokens.weight, targets

    def _parts(self, ids: Tensor) -> list[Tensor]:
        """Cut blocks into parts of about equal size, of an even number where there are several: cores come in pairs."""
        at_most = max(1, self._part_tokens // self.shape.block_tokens)
        count = math.ceil(len(ids) / at_most)
        return list(ids.tensor_split(min(count + count % 2 if count > 1 else count, len(ids)))) if count else []

    def _over_all(self, total: Tensor) -> Tensor:
        on_device = total.float() if self.device.type == "mps" else total.to(self.device)
        self.ranks.add([on_device])
        return on_device.cpu().double()

    def _log(self, lanes: Lanes, rate: float, norm: float) -> None:
        progress = self.progress
        last = progress.step == self.recipe.steps
        measured = last or (len(progress.rows) + 1) % _VALID_EVERY_ROWS == 0
        valid_nats = self._valid_nats(lanes) if measured else None
        progress.rows.append(
            {
                "step": progress.step,
                "tokens": progress.step * self.recipe.batch_blocks * self.shape.block_tokens,
                "train_nats": progress.nats / progress.unlogged if progress.unlogged else None,
                "valid_nats": valid_nats,
                "learning_rate": rate,
                "gradient_norm": norm if math.isfinite(norm) else None,
            }
        )
        progress.nats, progress.unlogged = 0.0, 0
        if self.recipe.patience is not None and valid_nats is not None:
            self._judge(valid_nats, self.recipe.patience)

    def _judge(self, valid_nats: float, patience: int) -> None:
        """Keep the weights of the best valid loss, and stop when it has long been."""
        progress = self.progress
        if progress.best is None or valid_nats < progress.best:
            progress.best, progress.waited = valid_nats, 0
            self._best = {name: value.clone() for name, value in self.net.state_dict().items()}
        else:
            progress.waited += 1
            progress.stopped = progress.waited >= patience

    def _valid_nats(self, lanes: Lanes) -> float | None:
        """Give the mean nats a token of some valid blocks, the same every time; None where there are none."""
        count = min(len(self.valid), max(1, _VALID_TOKENS // self.shape.block_tokens))
        if count == 0:
            return None
        ids = torch.from_numpy(self.valid.take(np.arange(count) * len(self.valid) // count))

        @torch.no_grad()
        def one(part: Tensor) -> Tensor:
            part = part.to(self.device)
            with self._autocast():
                nats = token_nats(*self._pairs(part))
            return nats.cpu().double().sum()  # MPS has no float64

        total = torch.zeros(1, dtype=torch.float64)
        for nats in lanes.map(one, self._parts(self.ranks.share(ids))):
            total += nats
        return float(self._over_all(total)) / max(1, _predicted(ids))

    def _save(self, path: Path) -> None:
        if self.ranks.rank:
            return
        kinds = {"net": self.net.state_dict(), "optimizer": self.optimizer.tensors(), "best": self._best}
        tensors = {f"{kind}.{name}": value for kind, named in kinds.items() for name, value in named.items()}
        checkpoint.save_tensors(path, tensors, {"run": self._run, "progress": asdict(self.progress)})

    def _resume(self, path: Path) -> None:
        checkpoint.remove_temporary(path.parent)
        if not path.exists():
            return
        saved, state = checkpoint.load_tensors(path)
        if state.get("run") != self._run:
            return
        split: dict[str, dict[str, Tensor]] = {"net": {}, "optimizer": {}, "best": {}}
        for key, value in saved.items():
            kind, name = key.split(".", 1)
            split[kind][name] = value
        self.net.load_state_dict(split["net"])
        self.optimizer.restore(split["optimizer"])
        self._best = split["best"]
        self.progress = Progress(**state["progress"])

    def _describe(self) -> dict[str, Any]:
        """Describe the run, so that the checkpoint of another is not taken for it."""
        count = min(64, len(self.train))
        spread = np.arange(count) * len(self.train) // max(1, count)
        return {
            "shape": asdict(self.shape),
            "recipe": asdict(self.recipe),
            "blocks": [len(self.train), len(self.valid)],
            "sample": zlib.crc32(self.train.take(spread).tobytes()),
            "device": self.device.type,
        }


class Clock:
    """Tells how fast training goes: what depends on the hour stays out of the log, whose bytes are promised."""

    def __init__(self, trainer: Trainer, lanes: Lanes, ears: Ears) -> None:
        self._trainer, self._lanes, self._ears = trainer, lanes, ears
        self._began = self._told = self._rowed = time.monotonic()
        self._first = self._row_step = trainer.progress.step
        self._peak: float | None = None

    def tick(self, nats: float, rows: list[dict[str, Any]]) -> None:
        """Take the end of a step, with the rows that it has added to the log."""
        now, step = time.monotonic(), self._trainer.progress.step
        tokens = self._trainer.recipe.batch_blocks * self._trainer.shape.block_tokens
        for row in rows:
            self._ears.row(row, (step - self._row_step) * tokens / max(now - self._rowed, 1e-9))
            self._rowed, self._row_step = now, step
        if now - self._told >= _STATUS_SECONDS:
            if self._peak is None:
                self._peak = flops.peak(self._trainer.device, self._lanes) or math.nan
            self._told = time.monotonic()
            seconds = (now - self._began) / (step - self._first)
            self._ears.status(self._line(nats, seconds, tokens / seconds))

    def _line(self, nats: float, seconds: float, rate: float) -> str:
        trainer = self._trainer
        minutes, rest = divmod(round((trainer.recipe.steps - trainer.progress.step) * seconds), 60)
        used = rate * flops.per_token(trainer.shape) / (self._peak or math.nan) / trainer.ranks.count
        mfu = f"MFU {used:.0%}, " if math.isfinite(used) else ""
        return (
            f"step {trainer.progress.step:,} of {trainer.recipe.steps:,}, {nats:.3f} nats a token, "
            f"{rate:,.0f} tokens/s, {mfu}{minutes}:{rest:02} left"
        )
