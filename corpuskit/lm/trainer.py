"""Train a network on blocks, in a way that an interruption does not show.

All that a step does follows from the shape, the recipe, the blocks and the step's number, so a checkpoint (weights,
what the optimizer remembers, the log so far) is all that a resumed run needs: on a CPU its losses and final weights
have the bits of an uninterrupted run.
"""

from __future__ import annotations

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
from corpuskit.lm import checkpoint, optim, transformer
from corpuskit.lm.blocks import NO_TOKEN, Blocks, order
from corpuskit.lm.device import Lanes
from corpuskit.lm.loss import summed_nats, token_nats
from corpuskit.lm.recipe import Recipe, Shape

#: Tokens of a part of a batch, whose activations and gradient are held at a time (one block at least).
_PART_TOKENS = {"cpu": 512}
_PART_TOKENS_ELSEWHERE = 16_384
#: The log has about so many rows, of which every tenth measures the valid loss, on so many tokens at most.
_LOG_ROWS = 100
_VALID_EVERY_ROWS = 10
_VALID_TOKENS = 16_384
_STATUS_SECONDS = 1.0


@dataclass
class Progress:
    """Where training stands. `nats` sums the mean loss of the `unlogged` steps since the last row."""

    step: int = 0
    nats: float = 0.0
    unlogged: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


def _predicted(ids: Tensor) -> int:
    """Count the tokens of blocks [n, L] that are predicted: all but the first of each, and padding."""
    return int((ids[:, 1:] != NO_TOKEN).sum())


class Trainer:
    """One training run: make it, `run` it, take its `model` and `progress.rows`."""

    def __init__(self, shape: Shape, recipe: Recipe, train: Blocks, valid: Blocks, device: torch.device) -> None:
        self.shape, self.recipe, self.device = shape, recipe, device
        self.train, self.valid = train, valid
        self.model = transformer.new(shape).to(device)
        self.optimizer = optim.adamw(self.model, recipe, device)
        self.progress = Progress()
        self._weights = list(self.model.parameters())
        tokens = _PART_TOKENS.get(device.type, _PART_TOKENS_ELSEWHERE)
        self._part_blocks = max(1, tokens // shape.block_tokens)
        self._updating = False
        self._run = self._describe()

    def run(self, saved: Path, every: int | None, tell: Callable[[str], None] = lambda message: None) -> None:
        """Train to the end, from the checkpoint `saved` where it is of this very run; save there every so many steps.

        SystemExit and KeyboardInterrupt save on the way out. Raises CorpuskitError when the loss is no longer a
        number.
        """
        self._resume(saved)
        began, first = time.monotonic(), self.progress.step
        told = began
        try:
            with Lanes(self.device) as lanes:
                while self.progress.step < self.recipe.steps:
                    nats = self.step(lanes)
                    done = self.progress.step
                    if every and done % every == 0 and done < self.recipe.steps:
                        self._save(saved)
                    if (now := time.monotonic()) - told >= _STATUS_SECONDS:
                        told = now
                        tell(self._status(nats, (now - began) / (done - first)))
        except (SystemExit, KeyboardInterrupt):
            # In the middle of an update the weights are of no step; the last checkpoint stands then.
            if not self._updating:
                self._save(saved)
            raise

    def step(self, lanes: Lanes) -> float:
        """Do one update; give the mean nats a token of its batch."""
        progress, recipe = self.progress, self.recipe
        nats, gradient = self._gradient(lanes)
        for weight, slope in zip(self._weights, gradient, strict=True):
            weight.grad = slope
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights, recipe.clip))
        if not (np.isfinite(nats) and np.isfinite(norm)):
            raise CorpuskitError(
                "train transformer",
                f"the loss is no longer a number at step {progress.step + 1}",
                f"lower --learning-rate (it is {recipe.learning_rate:g})",
            )
        rate = recipe.rate(progress.step)
        optim.set_rate(self.optimizer, rate)
        self._updating = True
        self.optimizer.step()
        progress.step += 1
        progress.nats += nats
        progress.unlogged += 1
        if progress.step % max(1, recipe.steps // _LOG_ROWS) == 0 or progress.step == recipe.steps:
            self._log(lanes, rate, norm)
        self._updating = False
        return nats

    def _gradient(self, lanes: Lanes) -> tuple[float, list[Tensor]]:
        """Give the mean nats a token of the next batch, and its slope for every parameter, summed in order."""
        blocks = self.recipe.batch_blocks
        start = self.progress.step * blocks
        ids = torch.from_numpy(self.train.take(order(len(self.train), self.recipe.seed, start, start + blocks)))
        share = torch.tensor(1 / max(1, _predicted(ids)), device=self.device)

        def one(part: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            part = part.to(self.device)
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                nats = summed_nats(*self._pairs(part))
            return nats.detach(), torch.autograd.grad(nats, self._weights, share)

        total = torch.zeros((), dtype=torch.float64)
        summed: list[Tensor] = []
        for nats, slopes in lanes.map(one, self._parts(ids)):
            total += nats.double().cpu()
            if summed:
                for left, right in zip(summed, slopes, strict=True):
                    left += right
            else:
                summed = list(slopes)
        return float(total * share.cpu().double()), summed

    def _pairs(self, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the vectors at all places before a token, the embeddings, and these tokens; padding is none."""
        embeddings, targets = self.model.embed_tokens.weight, part[:, 1:].flatten()
        if self.train.padding is None and self.valid.padding is None:
            return self.model(part[:, :-1]).flatten(0, 1), embeddings, targets
        vectors = self.model(part[:, :-1].clamp_min(0)).flatten(0, 1)  # no place sees those after it
        return vectors[targets != NO_TOKEN], embeddings, targets[targets != NO_TOKEN]

    def _parts(self, ids: Tensor) -> list[Tensor]:
        return [ids[start : start + self._part_blocks] for start in range(0, len(ids), self._part_blocks)]

    def _log(self, lanes: Lanes, rate: float, norm: float) -> None:
        progress = self.progress
        last = progress.step == self.recipe.steps
        measured = last or (len(progress.rows) + 1) % _VALID_EVERY_ROWS == 0
        progress.rows.append(
            {
                "step": progress.step,
                "tokens": progress.step * self.recipe.batch_blocks * self.shape.block_tokens,
                "train_nats": progress.nats / progress.unlogged,
                "valid_nats": self._valid_nats(lanes) if measured else None,
                "learning_rate": rate,
                "gradient_norm": norm,
            }
        )
        progress.nats, progress.unlogged = 0.0, 0

    def _valid_nats(self, lanes: Lanes) -> float | None:
        """Give the mean nats a token of some valid blocks, the same every time; None where there are none."""
        count = min(len(self.valid), max(1, _VALID_TOKENS // self.shape.block_tokens))
        if count == 0:
            return None
        ids = torch.from_numpy(self.valid.take(np.arange(count) * len(self.valid) // count))

        @torch.no_grad()
        def one(part: Tensor) -> float:
            part = part.to(self.device)
            nats = token_nats(*self._pairs(part))
            return float(nats.cpu().double().sum())  # MPS has no float64

        nats: list[float] = list(lanes.map(one, self._parts(ids)))
        return sum(nats) / max(1, _predicted(ids))

    def _save(self, path: Path) -> None:
        network = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        remembered = {f"optimizer.{name}": value for name, value in optim.tensors(self.optimizer, self.model).items()}
        state = {"run": self._run, "progress": asdict(self.progress)}
        checkpoint.save_tensors(path, network | remembered, state)

    def _resume(self, path: Path) -> None:
        checkpoint.remove_temporary(path.parent)
        if not path.exists():
            return
        saved, state = checkpoint.load_tensors(path)
        if state.get("run") != self._run:
            return
        split: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}}
        for key, value in saved.items():
            kind, name = key.split(".", 1)
            split[kind][name] = value
        self.model.load_state_dict(split["model"])
        optim.restore(self.optimizer, self.model, split["optimizer"])
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

    def _status(self, nats: float, seconds: float) -> str:
        tokens = self.recipe.batch_blocks * self.shape.block_tokens
        minutes, rest = divmod(round((self.recipe.steps - self.progress.step) * seconds), 60)
        return (
            f"step {self.progress.step:,} of {self.recipe.steps:,}, {nats:.3f} nats a token, "
            f"{tokens / seconds:,.0f} tokens/s, {minutes}:{rest:02} left"
        )
