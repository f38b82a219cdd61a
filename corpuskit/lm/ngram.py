"""An n-gram model on disk: five arrays that are memory-mapped, and what they mean in `model.json`.

    model.json     kind, format, order, vocab_size, types, end_id, input, grams, discounts, fallback_orders
    tokens.npy counts.npy children.npy sums.npy backoffs.npy     see ngram_counts.Trie
    words.txt      word of id 1, 2, ... a line (input "words")
    tokenizer/     the tokenizer of its ids (input "tokens")

Counts are kept instead of probabilities: exact, smaller, and p = (a - D)/sum + backoff * p of the lower order is
cheap to work out on the way up. The same text gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadData
from corpuskit.lm.ngram_counts import Estimate, Trie, first_nodes
from corpuskit.tokens import bpe

FORMAT = 1
_ARRAYS = Trie._fields


@dataclass(frozen=True)
class NgramModel:
    """A trained model. Ids are 0 .. vocab_size - 1; any other is `<unk>`."""

    path: Path
    order: int
    vocab_size: int
    types: int  # as lmplz counts them: with `<s>` and `<unk>`; a unigram is mixed with 1 / (types - 1)
    end_id: int | None
    input: str  # "tokens" or "words"
    grams: tuple[int, ...]
    discounts: npt.NDArray[np.float64]
    trie: Trie

    def score(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give -ln p of each document tokens[offsets[i]:offsets[i + 1]], and of its end mark alone (0 without one)."""
        from corpuskit.lm import ngram_kernels as kernels

        nats, nats_end = np.zeros(len(offsets) - 1), np.zeros(len(offsets) - 1)
        ids = self._known(tokens)
        offsets = np.ascontiguousarray(offsets, np.int64)
        uniform = 1.0 / (self.types - 1)
        kernels.score_documents(ids, offsets, self.vocab_size, uniform, self.discounts, self.trie, nats, nats_end)
        nats_end[~self._ends(tokens, offsets)] = 0.0
        return nats, nats_end

    def unseen(self, tokens: npt.NDArray[Any]) -> int:
        """Count the tokens that training never saw, be they in the vocabulary or not."""
        return int((self.trie.counts[self._known(tokens)] == 0).sum())

    @cached_property
    def words(self) -> list[bytes]:
        """The words of ids 1, 2, ... of a model of words."""
        return (self.path / "words.txt").read_bytes().split(b"\n")[:-1]

    @property
    def unknown(self) -> int:
        """The id of `<unk>`."""
        return self.vocab_size + 1

    def _known(self, tokens: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        ids = tokens.astype(np.uint32)
        ids[(tokens < 0) | (tokens >= self.vocab_size)] = self.unknown
        return ids

    def _ends(self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        filled = np.diff(offsets) > 0
        if self.end_id is None or not len(tokens):
            return np.zeros(len(filled), np.bool_)
        ends: npt.NDArray[np.bool_] = filled & (tokens[offsets[1:] - 1] == self.end_id)
        return ends


def save(
    out: Path,
    estimate: Estimate,
    *,
    vocab_size: int,
    types: int,
    end_id: int | None,
    words: list[bytes] | None = None,
    tokenizer: Path | None = None,
) -> None:
    """Write a model into the folder `out`; `words` makes it one of words, a `tokenizer` folder is copied."""
    for name in _ARRAYS:
        np.save(out / f"{name}.npy", getattr(estimate.trie, name), allow_pickle=False)
    if words is not None:
        (out / "words.txt").write_bytes(b"".join(word + b"\n" for word in words))
    if tokenizer is not None:
        (out / "tokenizer").mkdir()
        bpe.copy(tokenizer, out / "tokenizer")
    about = {
        "kind": "ngram",
        "format": FORMAT,
        "order": len(estimate.grams),
        "vocab_size": vocab_size,
        "types": types,
        "end_id": end_id,
        "input": "tokens" if words is None else "words",
        "grams": list(estimate.grams),
        "discounts": estimate.discounts[1:, 1:].tolist(),
        "fallback_orders": list(estimate.fallback_orders),
    }
    (out / "model.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> NgramModel:
    """Open a model; its arrays are memory-mapped. Raises BadData where the files are not what they should be."""
    try:
        about = json.loads((path / "model.json").read_text(encoding="utf-8"))
        if (about["kind"], about["format"]) != ("ngram", FORMAT):
            raise BadData(str(path), f"expected an n-gram model of format {FORMAT}", "train it with this corpuskit")
        arrays = [np.asarray(np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in _ARRAYS]
        discounts = np.zeros((about["order"] + 1, 4))
        discounts[1:, 1:] = about["discounts"]
        model = NgramModel(
            path, about["order"], about["vocab_size"], about["types"], about["end_id"], about["input"],
            tuple(about["grams"]), discounts, Trie(*arrays),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(str(path), f"expected an n-gram model: {error}", "train it anew") from None
    _check(model)
    return model


def _check(model: NgramModel) -> None:
    """Refuse arrays that scoring could run out of: the compiled loops do not check bounds."""
    trie = model.trie
    kinds = {name: np.dtype(np.float64 if name == "backoffs" else np.uint32) for name in _ARRAYS}
    bases = first_nodes(model.grams, model.vocab_size)
    inner, total = int(bases[-2]) + 1, int(bases[-1])
    fits = (
        all((getattr(trie, name).dtype, getattr(trie, name).ndim) == (kind, 1) for name, kind in kinds.items())
        and len(trie.tokens) == len(trie.counts) == total
        and len(trie.children) == len(trie.sums) == len(trie.backoffs) == inner
        and bool((trie.children[:-1] <= trie.children[1:]).all())
        and trie.children[bases[1:-1]].tolist() == bases[2:].tolist()
    )
    if not fits:
        raise BadData(str(model.path), "its arrays do not fit together", "train it anew")
