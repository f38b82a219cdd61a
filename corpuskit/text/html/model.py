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
_LEAVES, _ALL = 32, 0xFFFFFFFF  # of a tree, and their bits


class Trees(NamedTuple):
    """Boosted trees. Leaves lead to themselves; `child` is [2 * node + (value > bound)]."""

    feature: npt.NDArray[np.uint8]
    bound: npt.NDArray[np.float32]
    child: npt.NDArray[np.int32]
    leaf: npt.NDArray[np.float32]
    roots: npt.NDArray[np.int32]
    depths: npt.NDArray[np.int32]


class Masks(NamedTuple):
    """Boosted trees as `tree_kernels` asks them: every question with the leaves that a yes leaves over.

    starts: where the questions of each tree begin, and the end; leaf: 32 a tree, from the left.
    """

    feature: npt.NDArray[np.uint8]
    bound: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.uint32]
    leaf: npt.NDArray[np.float64]


Lexicon = tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]


class Model(NamedTuple):
    """(words, class tokens: see `table`), stage 1, stage 2."""

    lexicons: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]
    first: Trees
    second: Trees


def table(hashes: npt.NDArray[np.uint32], odds: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Make a table of open addressing, half full at most: the bits of the log-odds (float32) above those of the hash.

    0 marks a free slot, so no log-odds may be 0.
    """
    size = _FIRST_SIZE
    while size < 2 * len(hashes):
        size *= 2
    slots, mask = [0] * size, size - 1
    for key, bits in zip(hashes.tolist(), odds.astype(np.float32).view(np.uint32).tolist(), strict=True):
        at = key & mask
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = bits << 32 | key
    return np.array(slots, np.uint64)


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
        words, tokens = (
            table(arrays[f"{name}.hashes"], arrays[f"{name}.odds"].astype(np.float32)) for name in ("words", "tokens")
        )
        stages = [Trees(*(arrays[f"{stage}.{name}"] for name in Trees._fields)) for stage in ("first", "second")]
    for stage in stages:
        _check(stage)
    return Model((words, tokens), *stages)


def save(file: Path, words: Lexicon, tokens: Lexicon, first: Trees, second: Trees) -> None:
    """Write a model: `words` and `tokens` are hashes, ascending, and log-odds. The same model gives the same bytes."""
    arrays: dict[str, Any] = {}
    for name, (hashes, odds) in (("words", words), ("tokens", tokens)):
        arrays |= {f"{name}.hashes": hashes, f"{name}.odds": odds.astype(np.float16)}
    for stage, trees in (("first", first), ("second", second)):
        arrays |= {f"{stage}.{name}": values for name, values in trees._asdict().items()}
    np.savez_compressed(file, **arrays)


def masks(trees: Trees) -> Masks:
    """Give trees as masks. Raises ValueError for one of more than 32 leaves."""
    feature, bound, child, leaf = (part.tolist() for part in trees[:4])
    questions: list[tuple[int, float, int]] = []
    starts, leaves = [0], np.zeros((len(trees.roots), _LEAVES))

    def walk(node: int, found: list[float]) -> None:
        left, right = child[2 * node], child[2 * node + 1]
        if left == node:
            found.append(leaf[node])
            return
        at, first = len(questions), len(found)
        questions.append((0, 0.0, 0))
        walk(left, found)
        struck = (1 << len(found)) - (1 << first)
        questions[at] = feature[node], bound[node], _ALL & ~struck
        walk(right, found)

    for number, root in enumerate(trees.roots.tolist()):
        found: list[float] = []
        walk(root, found)
        if len(found) > _LEAVES:
            raise ValueError(f"a tree of {len(found)} leaves, at most {_LEAVES} can be asked")
        leaves[number, : len(found)] = found
        starts.append(len(questions))
    features, bounds, kept = zip(*questions, strict=True) if questions else ((), (), ())
    return Masks(
        np.array(features, np.uint8),
        np.array(bounds, np.float32),
        np.array(kept, np.uint32),
        np.array(starts, np.uint32),
        leaves.ravel(),
    )


def _check(trees: Trees) -> None:
    """Refuse trees that the compiled loops, which do not check bounds, could run out of."""
    nodes = len(trees.feature)
    fits = (
        len(trees.child) == 2 * nodes
        and len(trees.bound) == len(trees.leaf) == nodes
        and len(trees.roots) == len(trees.depths)
        and all(int(part.min()) >= 0 and int(part.max()) < nodes for part in (trees.child, trees.roots))
        and int(trees.feature.max()) < N_FEATURES
        and _go_on(trees.child)
    )
    if not fits:
        raise ValueError("not a model of this version")


def _go_on(child: npt.NDArray[np.int32]) -> bool:
    """Tell whether every node leads to later ones, or is a leaf that leads to itself."""
    pairs, own = child.reshape(-1, 2), np.arange(len(child) // 2)[:, None]
    return bool(((pairs > own).all(1) | (pairs == own).all(1)).all())
