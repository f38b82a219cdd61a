"""Score whole documents with a network that sees only a window of tokens at a time.

The first token of a document is predicted from a leading end mark, as in training, where each document follows the
end mark of another. A document of more than `block_tokens` tokens, the mark included, is read through windows of that
length that start half a window apart, and each scores what the one before did not reach. So every token is scored
once, from at least half a window of context where the document has that much, and never over a longer distance than
in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from corpuskit.lm.device import Lanes
from corpuskit.lm.loss import nats_and_hits

if TYPE_CHECKING:
    from corpuskit.lm.network import Net
    from corpuskit.lm.recipe import Shape

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

#: Positions that a part of the work has at most, padding included (one window at least).
_PART_CPU = 4096
_PART_GPU = 65_536


@dataclass(frozen=True, slots=True)
class Windows:
    """Window i predicts tokens[start:start + length] of document `document`, and counts all but the first `skip`."""

    document: _Ints
    start: _Ints
    length: _Ints
    skip: _Ints

    def pick(self, rows: _Ints) -> Windows:
        """Give some of the windows."""
        return Windows(self.document[rows], self.start[rows], self.length[rows], self.skip[rows])


def score(model: Net, device: torch.device, tokens: npt.NDArray[Any], offsets: _Ints) -> tuple[_Floats, _Floats, _Ints]:
    """Give of n documents the nats [n], those of their last tokens, and how many tokens were the likeliest ones.

    Sums in float64. An empty document has 0 nats.
    """
    nats, nats_end, hits = np.zeros(len(offsets) - 1), np.zeros(len(offsets) - 1), np.zeros(len(offsets) - 1, np.int64)
    found = windows(np.asarray(offsets, np.int64), model.shape.block_tokens - 1)
    part_tokens = _PART_CPU if device.type == "cpu" else _PART_GPU

    def one(part: Windows) -> tuple[Windows, _Floats, _Ints]:
        return part, *_nats(model, device, tokens, offsets, part)

    with Lanes(device) as lanes:
        for part, each, hit in lanes.map(one, list(parts(found, part_tokens))):
            np.add.at(nats, part.document, each.sum(axis=1))
            np.add.at(hits, part.document, hit)
            last = np.flatnonzero(part.start + part.length == offsets[part.document + 1])
            nats_end[part.document[last]] = each[last, part.length[last] - 1]
    return nats, nats_end, hits


def windows(offsets: _Ints, width: int) -> Windows:
    """Cover documents with windows that predict at most `width` tokens, half of that apart."""
    sizes = np.diff(offsets)
    stride = max(1, width // 2)
    counts = np.where(sizes > 0, 1 + np.maximum(0, -((width - sizes) // stride)), 0)
    document = np.repeat(np.arange(len(sizes)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = number * stride
    length = np.minimum(width, sizes[document] - begins)
    skip = np.where(number == 0, 0, width - stride)
    return Windows(document, offsets[document] + begins, length, skip)


def window_before(context: _Ints, shape: Shape) -> list[int]:
    """Give the inputs from which the token after `context` is predicted: what of its window is there by then."""
    width = shape.block_tokens - 1
    stride = max(1, width // 2)
    at = len(context)
    begin = 0 if at < width else ((at - width) // stride + 1) * stride
    inputs: list[int] = [shape.end_id, *context.tolist()][begin:]
    return inputs


def parts(found: Windows, part_tokens: int) -> Iterator[Windows]:
    """Group windows of similar length, so that little is padded; the longest first."""
    order = np.argsort(-found.length, kind="stable")
    start = 0
    while start < len(order):
        count = max(1, part_tokens // int(found.length[order[start]]))
        yield found.pick(order[start : start + count])
        start += count


@torch.no_grad()
def _nats(
    model: Net, device: torch.device, tokens: npt.NDArray[Any], offsets: _Ints, part: Windows
) -> tuple[_Floats, _Ints]:
    """Give the nats [windows, longest] of what a part's windows count, and zero elsewhere; and its hits [windows].

    Shorter windows are padded at their end, which no earlier position sees.
    """
    at = np.arange(int(part.length.max()))
    counts = (at >= part.skip[:, None]) & (at < part.length[:, None])
    place = np.minimum(part.start[:, None] + at, len(tokens) - 1)
    first = place == offsets[part.document][:, None]
    before = np.where(first, model.shape.end_id, tokens[place - 1].astype(np.int64))
    vectors = model(torch.from_numpy(before).to(device))
    counted = torch.from_numpy(counts).to(device)
    targets = torch.from_numpy(tokens[place[counts]].astype(np.int64)).to(device)
    nats, hits = np.zeros(counts.shape), np.zeros(counts.shape, np.int64)
    found, hit = nats_and_hits(vectors[counted], model.embed_tokens.weight, targets)
    nats[counts], hits[counts] = found.double().cpu().numpy(), hit.cpu().numpy()
    return nats, hits.sum(axis=1)
