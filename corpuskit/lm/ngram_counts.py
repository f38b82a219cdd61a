"""Count n-grams and estimate interpolated modified Kneser-Ney, as KenLM's lmplz does (Heafield et al. 2013).

Every position of the text is sorted by the gram that ends there, read leftwards; distinct grams, adjusted counts and
sums over contexts then come from single passes. About 14 bytes a token besides the model itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadData, CorpuskitError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_ORDER = 8
#: What an order gets whose own discounts cannot be computed (lmplz --discount_fallback).
FALLBACK = (0.5, 1.0, 1.5)
_MOST = 2**32 - 2  # positions and nodes are uint32


class Grams(NamedTuple):
    """All positions of a stream in suffix order, and how neighbours compare."""

    stream: npt.NDArray[np.uint32]
    positions: npt.NDArray[np.uint32]
    shared: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint8]


class Trie(NamedTuple):
    """The grams of all orders, numbered one after the other: first all ids, then order 2 in suffix order, and so on.

    The children of a gram, those with one more token on its left, follow each other: children[n] to children[n + 1],
    sorted by that token. A context's `sums` is the sum of the adjusted counts of the grams that continue it, and its
    `backoffs` the weight of the next lower order; both end with an entry for the empty context.
    """

    tokens: npt.NDArray[np.uint32]  # the left-most token of each gram
    counts: npt.NDArray[np.uint32]  # its adjusted count
    children: npt.NDArray[np.uint32]  # orders below the highest, + 1
    sums: npt.NDArray[np.uint32]  # orders below the highest, + 1
    backoffs: Floats  # orders below the highest, + 1


class Estimate(NamedTuple):
    """A model, as its training gives it. `discounts` is [order + 1, 4]: D of order k for counts 0, 1, 2, 3+."""

    trie: Trie
    grams: tuple[int, ...]  # of each order; the unigrams count `<unk>` and `<s>`
    discounts: Floats
    fallback_orders: tuple[int, ...]


def estimate(
    tokens: npt.NDArray[Any], offsets: Ints, *, order: int, vocab_size: int, end_id: int | None, fallback: bool = True
) -> Estimate:
    """Estimate a model of `order` from documents, each with its end mark in place: tokens[offsets[i]:offsets[i + 1]].

    Ids are below `vocab_size`; the trie has two more, `<s>` and `<unk>`. Every document is preceded by `<s>`. Without
    a token all ids are as likely. Raises CorpuskitError for ids out of range, for more than 2**32 tokens or grams, and
    without `fallback` for discounts that do not exist.
    """
    from corpuskit.lm import ngram_kernels as kernels

    if len(tokens) and (tokens.min() < 0 or tokens.max() >= vocab_size):
        worst = tokens.min() if tokens.min() < 0 else tokens.max()
        raise BadData("train ngram", f"id {worst} is not among the tokenizer's {vocab_size}", "tokenize the text anew")
    bos = vocab_size
    grams, distinct = _sorted_grams(tokens, offsets, bos, order)
    n_grams = (int(distinct[1]) + 2, *map(int, distinct[2:]))
    bases = first_nodes(n_grams, vocab_size)
    if bases[-1] > _MOST:
        raise CorpuskitError("train ngram", f"more than {_MOST:,} distinct grams", "give less text or a lower --order")
    trie = _empty_trie(bases, order)
    discounts, failed = np.zeros((order + 1, 4)), []
    corrections = _last_gram(grams.stream, bos, end_id, order)
    nodes = grams.stream.copy()  # the node of a unigram is its id
    for k in range(1, order + 1):
        kernels.fill_order(k, order, grams, bases[k], bases[k + 1], trie)
        of_order = trie.counts[bases[k] : bases[k + 1]]
        n = kernels.count_counts(of_order)
        for adjusted, raw in corrections.get(k, ()):
            n[min(adjusted, 5)] -= 1
            n[min(raw, 5)] += 1
        found = kneser_ney_discounts(n)
        if found is None:
            failed.append(k)
        discounts[k, 1:] = found or FALLBACK
        if k > 1:
            kernels.add_to_contexts(k, grams, bases[k], trie, nodes, discounts[k])
    if failed and not fallback:
        raise CorpuskitError(
            "train ngram",
            f"order {failed[0]} has no grams with an adjusted count of 1, 2 or 3, or discounts out of range",
            "give more text, a lower --order, or --discount-fallback",
        )
    _finish(trie, trie.counts[: bases[2]], discounts[1])
    return Estimate(trie, n_grams, discounts, tuple(failed))


def kneser_ney_discounts(n: Ints) -> tuple[float, float, float] | None:
    """Give D1, D2, D3+ from the number of grams with adjusted count 1, 2, 3 and 4 (n[1] to n[4]).

    None where lmplz gives up (a count of 0, a D outside [0, j]), and for D = 0 too: it would leave words unseen in
    a context with no probability at all. Chen and Goodman 1998, equation 26.
    """
    if 0 in n[1:4]:
        return None
    y = n[1] / (n[1] + 2.0 * n[2])
    one, two, three = (float(j - (j + 1) * y * n[j + 1] / n[j]) for j in (1, 2, 3))
    return (one, two, three) if 0 < one <= 1 and 0 < two <= 2 and 0 < three <= 3 else None


def _sorted_grams(tokens: npt.NDArray[Any], offsets: Ints, bos: int, order: int) -> tuple[Grams, Ints]:
    from corpuskit.lm import ngram_kernels as kernels

    stream = _with_start_marks(tokens, offsets, bos)
    positions = kernels.sort_positions(stream, bos, order, bos.bit_length())
    shared, depth = np.empty(len(positions), np.uint8), np.empty(len(positions), np.uint8)
    distinct = kernels.compare_neighbours(stream, bos, order, positions, shared, depth)
    return Grams(stream, positions, shared, depth), distinct


def _with_start_marks(tokens: npt.NDArray[Any], offsets: Ints, bos: int) -> npt.NDArray[np.uint32]:
    starts = offsets[:-1][np.diff(offsets) > 0] - offsets[0]
    n = len(tokens) + len(starts)
    if n > _MOST:
        raise CorpuskitError("train ngram", f"expected at most {_MOST:,} tokens, got {n:,}", "give it less text")
    stream = np.full(n, bos, np.uint32)
    is_token = np.ones(n, np.bool_)
    is_token[starts + np.arange(len(starts))] = False
    stream[is_token] = tokens
    return stream


def first_nodes(grams: Sequence[int], vocab_size: int) -> Ints:
    """Give the first node of each order, and where the last ends: int64, [0, 0, ids, ids + bigrams, ...]."""
    return np.cumsum([0, 0, vocab_size + 2, *grams[1:]], dtype=np.int64)


def _empty_trie(bases: Ints, order: int) -> Trie:
    total, inner = int(bases[order + 1]), int(bases[order]) + 1  # those with children, and one more
    return Trie(
        np.empty(total, np.uint32),
        np.zeros(total, np.uint32),
        np.full(inner, total, np.uint32),
        np.zeros(inner, np.uint32),
        np.zeros(inner, np.float64),
    )


def _last_gram(
    stream: npt.NDArray[np.uint32], bos: int, end_id: int | None, order: int
) -> dict[int, list[tuple[int, int]]]:
    """Give the (adjusted, raw) count of the gram of each lower order that lmplz counts by its raw count.

    That is the last one in lmplz's order, in which ids are handed out as words come up: `<s>`, `</s>`, then the words
    by first appearance. Without it the third digit of a small model's discounts differs.
    """
    from corpuskit.lm import ngram_kernels as kernels

    if not len(stream):
        return {}
    rank = kernels.first_seen(stream, bos + 1)
    rank[rank == len(stream)] = -1
    rank[bos] = -2
    if end_id is not None:
        rank[end_id] = -1
    last = np.flatnonzero(stream == rank.argmax()) if rank.max() >= 0 else np.flatnonzero(stream != bos)
    found = {}
    for k in range(1, order):
        left = stream[last - k]
        found[k] = [(len(np.unique(left)), len(last))]
        last = last[rank[left] == rank[left].max()]
        if stream[last[0] - k] == bos:  # it begins with the start mark, and has its raw count anyway
            break
    return found


def _finish(trie: Trie, unigrams: npt.NDArray[np.uint32], discount: Floats) -> None:
    """Turn the gathered masses into weights, and fill in the empty context."""
    trie.sums[-1] = unigrams.sum(dtype=np.int64)
    trie.backoffs[-1] = discount[np.minimum(unigrams, 3)].sum()
    np.divide(trie.backoffs, trie.sums, out=trie.backoffs, where=trie.sums > 0)
    trie.backoffs[trie.sums == 0] = 1.0
