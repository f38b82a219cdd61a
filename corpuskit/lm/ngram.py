"""An n-gram model on disk: arrays that are memory-mapped, and what they mean in `model.json`.

    model.json     kind, format, order, vocab_size, types, end_id, input, grams, smoothing, discounts, ...
    tokens.npy     uint32: the left-most token of each gram; first all ids, then order 2 in suffix order, and so on
    probs.npy      float64: p of its last token after the others
    children.npy   uint32, orders below the highest and one more: the first gram with one more token on the left
    backoffs.npy   float64, orders below the highest: weight of the next lower order where this is the context
    unigrams.npy   uint32: how often training counted each id; 0 for those that it never saw
    words.txt      word of id 1, 2, ... a line (input "words")
    tokenizer/     the tokenizer of its ids (input "tokens")

p is interpolated already, so a token's is that of the longest gram there is, times the back-offs of the contexts that
were longer. A model may be an ARPA file too (`lm.arpa`). The same text gives the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadData
from corpuskit.lm.ngram_counts import Estimate
from corpuskit.tokens import bpe

FORMAT = 2
_ALONE = 20_000  # tokens that one thread scores sooner than several can be started
_CHUNK = 1 << 22  # numbers that are written at a time


class Trie(NamedTuple):
    """The grams of all orders, one after the other; `children` and `backoffs` are of orders below the highest."""

    tokens: npt.NDArray[np.uint32]
    probs: npt.NDArray[np.float64]
    children: npt.NDArray[np.uint32]
    backoffs: npt.NDArray[np.float64]


_ARRAYS = Trie._fields
_KINDS = {"tokens": np.uint32, "probs": np.float64, "children": np.uint32, "backoffs": np.float64}


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
    smoothing: str
    discounts: npt.NDArray[np.float64]
    unigrams: npt.NDArray[np.uint32]
    trie: Trie
    known_words: tuple[bytes, ...] | None = None  # of a model that has no words.txt

    def score(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64], threads: int | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give -ln p of each document tokens[offsets[i]:offsets[i + 1]], and of its end mark alone (0 without one).

        Documents are shared out to threads, by default one a core; each sum is of one thread, so their number leaves
        no trace. What has no probability at all has infinite nats.
        """
        from corpuskit.lm import ngram_score_kernels as kernels

        nats, nats_end = np.zeros(len(offsets) - 1), np.zeros(len(offsets) - 1)
        ids = self._known(tokens)
        offsets = np.ascontiguousarray(offsets, np.int64)

        def one(first: int, last: int) -> None:
            kernels.score_documents(ids, offsets, first, last, self.vocab_size, self.order, self.trie, nats, nats_end)

        self._shared(one, offsets, threads)
        nats_end[~self._ends(tokens, offsets)] = 0.0
        return nats, nats_end

    def scored(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Give what `score` and `hits` do."""
        return *self.score(tokens, offsets), self.hits(tokens, offsets)

    def hits(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64], threads: int | None = None
    ) -> npt.NDArray[np.int64]:
        """Count in each document the tokens that were the likeliest to come; of equals, the smallest id is it."""
        from corpuskit.lm import ngram_score_kernels as kernels

        found = np.zeros(len(offsets) - 1, np.int64)
        ids = self._known(tokens)
        offsets = np.ascontiguousarray(offsets, np.int64)
        top, best, best_p = self._likeliest

        def one(first: int, last: int) -> None:
            kernels.hit_documents(
                ids, offsets, first, last, self.vocab_size, self.order, self.trie, top, best, best_p, found
            )

        self._shared(one, offsets, threads)
        return found

    @cached_property
    def _likeliest(self) -> tuple[int, npt.NDArray[np.uint32], npt.NDArray[np.float64]]:
        """The likeliest id of all, and that of each context's own grams with its p."""
        from corpuskit.lm import ngram_score_kernels as kernels

        contexts = len(self.trie.backoffs)
        best, best_p = np.zeros(contexts, np.uint32), np.zeros(contexts)
        ids = self.vocab_size + 2
        kernels.likeliest(self.trie, ids, self.order, best, best_p)
        unigrams = np.array(self.trie.probs[:ids])
        unigrams[self.vocab_size] = 0.0  # what begins a document is no token
        if self.types == self.vocab_size + 1 and self.input == "tokens":
            unigrams[self.unknown] = 0.0
        return int(unigrams.argmax()), best, best_p

    def _shared(self, do: Callable[[int, int], None], offsets: npt.NDArray[np.int64], threads: int | None) -> None:
        """Share documents out to threads, in parts of about as many tokens."""
        count = threads or len(os.sched_getaffinity(0))
        if offsets[-1] - offsets[0] < _ALONE or count == 1:
            do(0, len(offsets) - 1)
            return
        cuts = np.searchsorted(offsets, np.linspace(offsets[0], offsets[-1], 4 * count + 1).astype(np.int64))
        cuts[0], cuts[-1] = 0, len(offsets) - 1
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(do, cuts[:-1].tolist(), cuts[1:].tolist()))

    def next_probabilities(self, context: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Give p [vocab_size + 2] of every id after the tokens of a document's beginning; `<s>` has 0.

        In a closed vocabulary what never occurred shares with `<unk>`, which no token is: it has 0 there.
        """
        from corpuskit.lm import ngram_score_kernels as kernels

        recent = np.append(np.uint32(self.vocab_size), self._known(np.asarray(context)))[-max(self.order - 1, 1) :]
        found = np.empty(self.vocab_size + 2)
        kernels.distribution(recent, self.order, self.trie, found)
        if self.types == self.vocab_size + 1 and self.input == "tokens":
            found[self.unknown] = 0.0
        return found

    @property
    def described(self) -> str:
        """How its probabilities came about, in words."""
        return {"kneser-ney": "modified Kneser-Ney", "witten-bell": "Witten-Bell", "none": "no smoothing"}.get(
            self.smoothing, "from ARPA"
        )

    def unseen(self, tokens: npt.NDArray[Any]) -> int:
        """Count the tokens that training never saw, be they in the vocabulary or not."""
        return int((self.unigrams[self._known(tokens)] == 0).sum())

    @cached_property
    def words(self) -> list[bytes]:
        """The words of ids 1, 2, ... of a model of words."""
        if self.known_words is not None:
            return list(self.known_words)
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
    end_id: int | None,
    smoothing: str = "kneser-ney",
    words: list[bytes] | None = None,
    tokenizer: Path | None = None,
) -> None:
    """Write a model into the folder `out`; `words` makes it one of words, a `tokenizer` folder is copied."""
    levels, bases = estimate.levels, first_nodes(estimate.grams, vocab_size)
    release = estimate.work.release
    _write(out / "tokens.npy", [level.tokens for level in levels], release)
    _write(out / "probs.npy", [level.probs for level in levels], release)
    children = [level.children[:-1] for level in levels[:-1]]
    last = np.zeros(1, np.uint32)
    _write(out / "children.npy", [*children, last], release, [*bases[2:-1], bases[-1]])
    _write(out / "backoffs.npy", [np.empty(0), *(level.backoffs for level in levels[:-1])], release)
    np.save(out / "unigrams.npy", levels[0].counts, allow_pickle=False)
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
        "types": estimate.types,
        "end_id": end_id,
        "input": "tokens" if words is None else "words",
        "smoothing": smoothing,
        "grams": list(estimate.grams),
        "discounts": estimate.discounts[1:, 1:].tolist(),
        "fallback_orders": list(estimate.fallback_orders),
    }
    (out / "model.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _write(
    file: Path,
    parts: Sequence[npt.NDArray[Any]],
    release: Callable[[], None],
    plus: Sequence[int] | None = None,
) -> None:
    """Write arrays one behind the other as one .npy file; `plus` is added to each."""
    kind = parts[-1].dtype
    with open(file, "wb") as target:
        header = {"descr": kind.str, "fortran_order": False, "shape": (sum(map(len, parts)),)}
        np.lib.format.write_array_header_1_0(target, header)
        for at, part in enumerate(parts):
            for start in range(0, len(part), _CHUNK):
                chunk = part[start : start + _CHUNK]
                (chunk if plus is None else chunk + np.uint32(plus[at])).tofile(target)
                release()


def load(path: Path) -> NgramModel:
    """Open a model of `train ngram`, memory-mapped, or an ARPA file. Raises BadData where the files are not right."""
    if path.is_file():
        from corpuskit.lm.arpa import read

        return read(path)
    try:
        about = json.loads((path / "model.json").read_text(encoding="utf-8"))
        if (about["kind"], about["format"]) != ("ngram", FORMAT):
            raise BadData(str(path), f"expected an n-gram model of format {FORMAT}", "train it with this corpuskit")
        arrays = [_mapped(path, name) for name in _ARRAYS]
        discounts = np.zeros((about["order"] + 1, 4))
        discounts[1:, 1:] = about["discounts"]
        model = NgramModel(
            path, about["order"], about["vocab_size"], about["types"], about["end_id"], about["input"],
            tuple(about["grams"]), about["smoothing"], discounts, _mapped(path, "unigrams"), Trie(*arrays),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(str(path), f"expected an n-gram model: {error}", "train it anew") from None
    check(model)
    return model


def first_nodes(grams: Sequence[int], vocab_size: int) -> npt.NDArray[np.int64]:
    """Give the first node of each order, and where the last ends: [0, 0, ids, ids + bigrams, ...]."""
    return np.cumsum([0, 0, vocab_size + 2, *grams[1:]], dtype=np.int64)


def _mapped(path: Path, name: str) -> npt.NDArray[Any]:
    file = path / f"{name}.npy"
    try:
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except ValueError:  # an empty array cannot be mapped
        return np.load(file, allow_pickle=False)  # type: ignore[no-any-return]


def check(model: NgramModel) -> None:
    """Refuse arrays that scoring could run out of: the compiled loops do not check bounds."""
    trie = model.trie
    bases = first_nodes(model.grams, model.vocab_size)
    inner, total = int(bases[-2]), int(bases[-1])
    fits = (
        all((getattr(trie, name).dtype, getattr(trie, name).ndim) == (kind, 1) for name, kind in _KINDS.items())
        and len(trie.tokens) == len(trie.probs) == total
        and len(trie.children) == inner + 1
        and len(trie.backoffs) == inner
        and len(model.unigrams) == model.vocab_size + 2
        and bool((trie.children[:-1] <= trie.children[1:]).all())
        and (model.order == 1 or [*trie.children[bases[1:-2]], trie.children[-1]] == bases[2:].tolist())
    )
    if not fits:
        raise BadData(str(model.path), "its arrays do not fit together", "train it anew")
