"""Tell texts apart by a trained network: the mean of its vectors, and a linear layer on top.

Frozen, only the layer is learnt, from the vectors of all texts at once (multinomial logistic regression by L-BFGS).
Otherwise all weights are, in batches (Howard and Ruder 2018), from the layer that the frozen network would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from corpuskit.lm import confidence
from corpuskit.lm.device import Lanes
from corpuskit.lm.network import Net

_PART_TOKENS = {"cpu": 2048}
_PART_TOKENS_ELSEWHERE = 32_768
_RIDGE = 1e-3  # of the regression, for each text
_ROUNDS = 200
_WARMUP = 0.1

_Ids = Sequence[npt.NDArray[Any]]


class Classifier(nn.Module):
    """A network and its layer."""

    def __init__(self, net: Net, classes: int) -> None:
        super().__init__()
        self.net = net
        self.head = nn.Linear(net.shape.width, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def vectors(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Map ids [texts, time], of which the first `lengths` count, to the means of their vectors [texts, width]."""
        found = self.net(ids).float()
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        means: Tensor = (found * real[:, :, None]).sum(1) / lengths[:, None]
        return means

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Give the scores [texts, classes]."""
        scores: Tensor = self.head(self.vectors(ids, lengths))
        return scores


@dataclass(frozen=True, slots=True)
class Tuning:
    """How all weights are learnt: passes over the texts, texts of an update, the highest rate, the order's seed."""

    epochs: int
    batch: int
    learning_rate: float
    seed: int


def fit_head(model: Classifier, texts: _Ids, labels: npt.NDArray[np.int64], device: torch.device) -> None:
    """Learn the layer alone."""
    features = torch.from_numpy(_mapped(model, texts, device, model.vectors)).double()
    spread, middle = features.std(0).clamp_min(1e-6), features.mean(0)
    scaled, wanted = (features - middle) / spread, torch.from_numpy(labels)
    head = nn.Linear(features.shape[1], model.head.out_features, dtype=torch.float64)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = nn.functional.cross_entropy(head(scaled), wanted) + _RIDGE * head.weight.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # or the number of cores shows in the last digits
    try:
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    finally:
        torch.set_num_threads(before)
    with torch.no_grad():
        weight = head.weight / spread
        model.head.weight.copy_(weight)
        model.head.bias.copy_(head.bias - weight @ middle)


def tune(
    model: Classifier,
    texts: _Ids,
    labels: npt.NDArray[np.int64],
    how: Tuning,
    device: torch.device,
    tell: Callable[[str], None],
) -> None:
    """Learn all weights: AdamW, a rate that rises and then falls in straight lines to zero."""
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=how.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    rng = np.random.default_rng(how.seed)
    per_epoch = -(-len(texts) // how.batch)
    steps, step = how.epochs * per_epoch, 0
    with Lanes(device) as lanes:
        for epoch in range(how.epochs):
            order, total = rng.permutation(len(texts)), 0.0
            for start in range(0, len(texts), how.batch):
                rows = order[start : start + how.batch]

                def one(part: npt.NDArray[np.int64], count: int = len(rows)) -> tuple[float, tuple[Tensor, ...]]:
                    scores = model(*_padded(model, [texts[at] for at in part], device))
                    wanted = torch.from_numpy(labels[part]).to(device)
                    loss = nn.functional.cross_entropy(scores, wanted, reduction="sum") / count
                    return float(loss.detach()), torch.autograd.grad(loss, weights)

                summed: list[Tensor] = []
                for loss, slopes in lanes.map(one, _parts(texts, rows, device)):
                    total += loss
                    if summed:
                        torch._foreach_add_(summed, slopes)
                    else:
                        summed = list(slopes)
                for weight, slope in zip(weights, summed, strict=True):
                    weight.grad = slope
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                step += 1
                rise, fall = step / max(1.0, _WARMUP * steps), (steps + 1 - step) / max(1.0, (1 - _WARMUP) * steps)
                optimizer.param_groups[0]["lr"] = how.learning_rate * min(1.0, rise, fall)
                optimizer.step()
            tell(f"pass {epoch + 1} of {how.epochs}: {total / per_epoch:.4f} nats a text")


def predict(model: Classifier, texts: _Ids, device: torch.device) -> npt.NDArray[np.float32]:
    """Give the scores [texts, classes]."""
    return _mapped(model, texts, device, model)


@torch.no_grad()
def _mapped(model: Classifier, texts: _Ids, device: torch.device, do: Callable[..., Tensor]) -> npt.NDArray[Any]:
    def one(part: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        with torch.no_grad():  # a thread's own
            return part, do(*_padded(model, [texts[at] for at in part], device)).float().cpu().numpy()

    found: npt.NDArray[Any] | None = None
    with Lanes(device) as lanes:
        for part, values in lanes.map(one, _parts(texts, np.arange(len(texts)), device)):
            if found is None:
                found = np.empty((len(texts), values.shape[1]), np.float32)
            found[part] = values
    assert found is not None
    return found


def _parts(texts: _Ids, rows: npt.NDArray[np.int64], device: torch.device) -> list[npt.NDArray[np.int64]]:
    """Group texts of similar length, so that little is padded."""
    most = _PART_TOKENS.get(device.type, _PART_TOKENS_ELSEWHERE)
    ordered = sorted(rows.tolist(), key=lambda at: (-len(texts[at]), at))
    parts, start = [], 0
    while start < len(ordered):
        count = max(1, most // (len(texts[ordered[start]]) + 1))
        parts.append(np.array(ordered[start : start + count]))
        start += count
    return parts


def _padded(model: Classifier, texts: _Ids, device: torch.device) -> tuple[Tensor, Tensor]:
    """Put the end mark, from which training predicts first tokens, before each text, and others behind it."""
    lengths = np.array([len(text) + 1 for text in texts])
    ids = np.full((len(texts), int(lengths.max())), model.net.shape.end_id, np.int64)
    for row, text in enumerate(texts):
        ids[row, 1 : len(text) + 1] = text
    return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


def measure(wanted: npt.NDArray[np.int64], found: npt.NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """Give, JSON-ready: accuracy with its interval; precision, recall and F1 of each class, and their means (macro).

    What has no denominator is 0, as in scikit-learn. `majority` is what always saying the most frequent class scores.
    """
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (wanted, found), 1)
    hits, texts, said = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    precision, recall = _shares(hits, said), _shares(hits, texts)
    f1 = _shares(2 * hits, texts + said)
    count = int(confusion.sum())
    right = (wanted == found).astype(np.float64)
    return {
        "texts": count,
        "accuracy": float(right.mean()) if count else None,
        "interval": confidence.ratio(right, np.ones(count)),
        "majority": float(texts.max() / count) if count else None,
        "macro": {
            "precision": float(precision.mean()), "recall": float(recall.mean()), "f1": float(f1.mean()),
        },
        "classes": {
            name: {
                "texts": int(texts[at]),
                "precision": float(precision[at]),
                "recall": float(recall[at]),
                "f1": float(f1[at]),
            }
            for at, name in enumerate(names)
        },
        "confusion": confusion.tolist(),
    }  # fmt: skip


def _shares(upper: npt.NDArray[np.int64], lower: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(upper, lower, out=np.zeros(len(upper)), where=lower > 0)
