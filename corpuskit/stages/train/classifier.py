"""Learn to tell texts apart, on top of a trained network.

TEXTS is JSON Lines, Parquet or Arrow with a column of texts and one of labels, or a folder of such files, as
`download hub` writes it (SST-2, IMDB and the like). A text is the mean of the vectors that the network has for its
tokens, and a linear layer on it names the class. With --frozen that layer alone is learnt; otherwise all weights are.
Of a text longer than the network's blocks, the beginning counts.

Measured on --valid, else on a part of TEXTS, told by the hashes of the texts themselves: accuracy (with the interval in
which it would lie 95 times in 100), precision, recall and F1 of each class and their means. `majority` is what always
naming the most frequent class would score. Rows without a text or a label are counted and left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, UsageError
from corpuskit.options import option
from corpuskit.stage import Files, Input, Stage, Step, status, warn

_FORMAT = 1
_RATE = 0.02  # at a width of 768 that of Howard and Ruder 2018 and of BERT: some 0.00003
_SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow", ".gz", ".zst", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class Options:
    """What the columns are, and how it learns."""

    text: str = option("text", "The column of texts.")
    label: str = option("label", "The column of labels.")
    frozen: bool = option(False, "Leave the network as it is, and learn the layer on top.")
    epochs: int = option(3, "Passes over the texts, where all weights are learnt.", min=1)
    batch: int = option(32, "Texts of an update.", min=1)
    learning_rate: float | None = option(
        None, "The highest rate; by default 0.0005 at a width of 128.", min=1e-9, max=1
    )
    valid_fraction: float = option(0.1, "The part of the texts to measure on, without --valid.", min=0.001, max=0.9)
    seed: int = option(0, "The order of texts.", min=0, max=2**63 - 1)
    device: str = option("auto", "Where to compute.", choices=("auto", "cuda", "mps", "cpu"))


def train(model: Path, texts: Path, valid: Path | None, options: Options, out: Path) -> None:
    """Leave the classifier and report.json in `out`."""
    from corpuskit.lm import checkpoint, classifier, network
    from corpuskit.tokens import bpe

    learnt, held = _split(texts, valid, options)
    names = sorted({label for _, label in learnt})
    if len(names) < 2:
        problem = f"expected texts of at least two labels to learn from, found {', '.join(names) or 'none'}"
        raise BadData("train classifier", problem, "see what the column holds")
    unknown = sorted({label for _, label in held} - set(names))
    if unknown:
        raise BadData("train classifier", f"--valid has labels that TEXTS has not: {', '.join(unknown[:5])}", "mend it")
    if not (model / checkpoint.TOKENIZER).is_dir():
        raise UsageError("train classifier", "the model came without its tokenizer", "train it on blocks with one")
    loaded = network.load(model, options.device)
    tokenizer = bpe.load(model / checkpoint.TOKENIZER, fast=True)
    length = loaded.shape.block_tokens - 1
    ids, labels = _encoded(learnt, names, tokenizer, length)
    net = network.load_net(model).to(loaded.device)
    made = classifier.Classifier(net, len(names)).to(loaded.device)
    status(f"{len(ids):,} texts of {len(names)} classes")
    classifier.fit_head(made, ids, labels, loaded.device)
    if not options.frozen:
        rate = options.learning_rate or _RATE / loaded.shape.width
        how = classifier.Tuning(options.epochs, options.batch, rate, options.seed)
        classifier.tune(made, ids, labels, how, loaded.device, status)
    ids, wanted = _encoded(held, names, tokenizer, length)
    found = classifier.predict(made, ids, loaded.device).argmax(1) if ids else np.empty(0, np.int64)
    about = {"kind": "classifier", "format": _FORMAT, "labels": names, **asdict(loaded.shape)}
    checkpoint.save_tensors(out / checkpoint.WEIGHTS, dict(made.state_dict()))
    checkpoint.save_json(out / checkpoint.MODEL, about)
    (out / checkpoint.TOKENIZER).mkdir()
    bpe.copy(model / checkpoint.TOKENIZER, out / checkpoint.TOKENIZER)
    report = {
        "kind": "classifier",
        "frozen": options.frozen,
        "parameters": loaded.parameters,
        "learnt_from": len(learnt),
        **classifier.measure(wanted, found, names),
    }
    (out / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _split(texts: Path, valid: Path | None, options: Options) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    from corpuskit.tokens import packing

    rows = list(_rows(texts, options))
    if valid is not None:
        return rows, list(_rows(valid, options))
    held = packing.in_valid(pa.array([text for text, _ in rows], pa.string()), options.valid_fraction)
    if not held.any():
        warn("nothing is held out to measure on; give --valid, or a larger --valid-fraction")
    pairs = list(zip(rows, held.tolist(), strict=True))
    return [row for row, out in pairs if not out], [row for row, out in pairs if out]


def _rows(path: Path, options: Options) -> Iterator[tuple[str, str]]:
    from corpuskit.formats.fields import read_labelled

    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
    if not files:
        raise BadData(path.name, "expected JSON Lines, Parquet or Arrow, found no such file", "check the path")
    missing = 0
    for file in files:
        for row in read_labelled(file, options.text, options.label):
            if row is None:
                missing += 1
            else:
                yield row
    if missing:
        warn(f"{path.name}: {missing:,} rows have no text or no label, and are left out")


def _encoded(
    rows: list[tuple[str, str]], names: list[str], tokenizer: Any, length: int
) -> tuple[list[npt.NDArray[Any]], npt.NDArray[np.int64]]:
    ids, offsets = tokenizer.encode([text for text, _ in rows])
    parts = [ids[start : min(end, start + length)] for start, end in pairwise(offsets.tolist())]
    places = {name: at for at, name in enumerate(names)}
    return parts, np.array([places[label] for _, label in rows], np.int64)


STAGE = Stage(
    options=Options,
    inputs=(
        Input("model", "the output of `train transformer`"),
        Input("texts", "labelled texts: JSON Lines, Parquet, Arrow, or a folder of them", accepts=("dump",), raw=True),
        Input("valid", "Labelled texts to measure on.", accepts=("dump",), flag=True, raw=True, optional=True),
    ),
    steps=(Step(train, writes={"classifier": Files()}),),
    extra="train",
    prints="report.json",
)
