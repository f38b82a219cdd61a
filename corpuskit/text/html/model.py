"""The model that tells main text from the rest of a page: lexicons and two stages of trees, one file without pickle."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: The model that is shipped.
FILE = Path(__file__).parent / "model.npz"
_FIRST_SIZE = 1 << 10
N_FEATURES = 165  # of both stages


class Trees(NamedTuple):
    """Boosted trees. Leaves lead to themselves; `child` is [2 * node + (value > bound)]."""

    feature: npt.NDArray[np.uint8]
    bound: npt.NDArray[np.float32]
    child: npt.NDArray[np.int32]
    leaf: npt.NDArray[np.float32]
    roots: npt.NDArray[np.int32]
    depths: npt.NDArray[np.int32]


Lexicon = tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]


class Model(NamedTuple):
    """(keys and log-odds of words, those of class tokens), stage 1, stage 2: what the compiled loops take."""

    lexicons: tuple[npt.NDArray[Any], ...]
    first: Trees
    second: Trees


def table(hashes: npt.NDArray[np.uint32], odds: npt.NDArray[np.float32]) -> Lexicon:
    """Make a table of open addressing, half full at most; 0 marks a free slot, so no log-odds may be 0."""
    size = _FIRST_SIZE
    while size < 2 * len(hashes):
        size *= 2
    keys, values = np.zeros(size, np.uint32), np.zeros(size, np.float32)
    mask = size - 1
    for key, value in zip(hashes.tolist(), odds.tolist(), strict=True):
        at = key & mask
        while values[at] != 0:
            at = (at + 1) & mask
        keys[at], values[at] = key, value
    return keys, values


@functools.lru_cache(maxsize=1)
def shipped() -> Model:
    """Give the model that is shipped."""
    return load(FILE)


@functools.lru_cache(maxsize=1)
def version() -> str:
    """Give the first letters of the digest of the model that is shipped."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:16]


def load(file: Path) -> Model:
    """Read a model. Raises OSError, and ValueError for what is none."""
    with np.load(file, allow_pickle=False) as arrays:
        lexicons = [
            part
            for name in ("words", "tokens")
            for part in table(arrays[f"{name}.hashes"], arrays[f"{name}.odds"].astype(np.float32))
        ]
        stages = [Trees(*(arrays[f"{stage}.{name}"] for name in Trees._fields)) for stage in ("first", "second")]
    for stage in stages:
        _check(stage)
    return Model(tuple(lexicons), *stages)


def save(file: Path, words: Lexicon, tokens: Lexicon, first: Trees, second: Trees) -> None:
    """Write a model: `words` and `tokens` are hashes, ascending, and log-odds. The same model gives the same bytes."""
    arrays: dict[str, Any] = {}
    for name, (hashes, odds) in (("words", words), ("tokens", tokens)):
        arrays |= {f"{name}.hashes": hashes, f"{name}.odds": odds.astype(np.float16)}
    for stage, trees in (("first", first), ("second", second)):
        arrays |= {f"{stage}.{name}": values for name, values in trees._asdict().items()}
    np.savez_compressed(file, **arrays)


def _check(trees: Trees) -> None:
    """Refuse trees that the compiled loops, which do not check bounds, could run out of."""
    nodes = len(trees.feature)
    fits = (
        len(trees.child) == 2 * nodes
        and len(trees.bound) == len(trees.leaf) == nodes
        and len(trees.roots) == len(trees.depths)
        and all(int(part.min()) >= 0 and int(part.max()) < nodes for part in (trees.child, trees.roots))
        and int(trees.feature.max()) < N_FEATURES
    )
    if not fits:
        raise ValueError("not a model of this version")
