"""Estimate interpolated modified Kneser-Ney, as KenLM's lmplz does (Heafield et al. 2013), and two to compare it with.

The grams that end with each token are sorted apart from all others (`ngram_tables`). From their counts come the
discounts of each order; then, order by order, the context of every gram is found among the grams one shorter, sums
and back-offs gather there, and probabilities follow from those of the order below. Work is shared out by ranges of
the last token, of contexts and of suffixes, so no number grows in another order for another number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadData, CorpuskitError, UsageError
from corpuskit.lm.ngram_tables import Level, Work, count_grams

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: What an order gets whose own discounts cannot be computed (lmplz --discount_fallback).
FALLBACK = (0.5, 1.0, 1.5)
_MOST = 2**32 - 2  # positions and nodes are uint32
_NONE = np.zeros(4)
_ONE = np.array([0.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How probability is given to what was not seen.

    `kind`: "kneser-ney", "witten-bell" (Witten and Bell 1991, interpolated: each distinct word after a context counts
    once for the order below), or "none" (relative frequencies: what a context never had gets nothing).
    `prune[k - 1]`: grams of order k with no larger raw count are left out; the last one holds for higher orders too.
    """

    kind: str = "kneser-ney"
    fallback: bool = True
    prune: tuple[int, ...] = ()
    interpolate_unigrams: bool = True


class Estimate(NamedTuple):
    """A model, as its training gives it. `discounts` is [order + 1, 4]: D of order k for counts 0, 1, 2, 3+."""

    levels: list[Level]  # of orders 1, 2, ..
    grams: tuple[int, ...]  # of each order; the unigrams count `<unk>` and `<s>`
    discounts: Floats
    fallback_orders: tuple[int, ...]
    types: int  # as lmplz counts them: with `<s>` and `<unk>`; a unigram is mixed with 1 / (types - 1)
    work: Work  # whose files hold the levels


def estimate(
    tokens: npt.NDArray[Any],
    offsets: Ints,
    *,
    order: int,
    vocab_size: int,
    end_id: int | None,
    types: int | None = None,
    smoothing: Smoothing | None = None,
    work: Work | None = None,
) -> Estimate:
    """Estimate a model of `order` from documents, each with its end mark in place: tokens[offsets[i]:offsets[i + 1]].

    Ids are below `vocab_size`; `<s>` and `<unk>` come after them. Every document is preceded by `<s>`. `types`: how
    many there are, by default those that occur. Without a token all ids are as likely. `work` says how to compute:
    the model is the same to the last bit. Raises CorpuskitError for ids out of range, for more than 2**32 tokens or
    grams, and without `fallback` for discounts that do not exist.
    """
    smoothing, work = smoothing or Smoothing(), work or Work()
    thresholds = _thresholds(smoothing, order)
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= vocab_size):
        worst = tokens.min() if tokens.min() < 0 else tokens.max()
        raise BadData("train ngram", f"id {worst} is not among the tokenizer's {vocab_size}", "tokenize the text anew")
    bos = vocab_size
    stream = _with_start_marks(tokens, offsets, bos, work)
    kneser_ney = smoothing.kind == "kneser-ney"
    levels = count_grams(stream, bos, order, work, all_raw=not kneser_ney, wants_raw=bool(thresholds))
    seen = int((levels[0].counts > 0).sum())
    grams = (seen + 2, *(len(level.tokens) for level in levels[1:]))
    if vocab_size + sum(grams) > _MOST:
        raise CorpuskitError("train ngram", f"more than {_MOST:,} distinct grams", "give less text or a lower --order")
    discounts, failed = np.zeros((order + 1, 4)), []
    if kneser_ney:
        failed = _find_discounts(levels, _last_gram(stream, bos, end_id, order), discounts)
        if failed and not smoothing.fallback:
            raise CorpuskitError(
                "train ngram",
                f"order {failed[0]} has no grams with an adjusted count of 1, 2 or 3, or discounts out of range",
                "give more text, a lower --order, or --discount-fallback",
            )
    del stream
    work.release()
    closed = types is not None
    types = types if types is not None else grams[0]
    taken = {"kneser-ney": discounts, "witten-bell": np.tile(_ONE, (order + 1, 1))}.get(smoothing.kind)
    taken = np.tile(_NONE, (order + 1, 1)) if taken is None else taken
    grow = smoothing.kind == "witten-bell"
    mixed = smoothing.interpolate_unigrams
    _unigrams(levels[0], taken[1], types, bos, grow=grow, mixed=mixed and smoothing.kind != "none", closed=closed)
    for k in range(2, order + 1):
        _climb(k, levels, taken[k], thresholds[k - 1] if thresholds else 0, grow, work)
    if thresholds:
        _drop(levels, work)
        grams = (grams[0], *(len(level.tokens) for level in levels[1:]))
    return Estimate(levels, grams, discounts, tuple(failed), types, work)


def _thresholds(smoothing: Smoothing, order: int) -> list[int]:
    """Give the threshold of each order; none where nothing is pruned. As lmplz: unigrams stay, none is lower than
    the one before it."""
    given = list(smoothing.prune)
    if not any(given):
        return []
    if given[0] != 0 or given != sorted(given) or len(given) > order:
        raise UsageError(
            "train ngram",
            f"--prune {' '.join(map(str, given))}: expected at most {order} thresholds, 0 first, none below the last",
            "for example --prune 0 --prune 0 --prune 1",
        )
    if smoothing.kind != "kneser-ney":
        problem = f"--smoothing {smoothing.kind} does not go with --prune"
        raise UsageError("train ngram", problem, "leave one of them out")
    return given + given[-1:] * (order - len(given))


def _find_discounts(levels: list[Level], corrections: dict[int, list[tuple[int, int]]], discounts: Floats) -> list[int]:
    """Fill the discounts of each order; gives the orders that have none of their own."""
    from corpuskit.lm import ngram_kernels as kernels

    failed = []
    for k, level in enumerate(levels, 1):
        n = kernels.count_counts(level.counts)
        for adjusted, raw in corrections.get(k, ()):
            n[min(adjusted, 5)] -= 1
            n[min(raw, 5)] += 1
        found = kneser_ney_discounts(n)
        if found is None:
            failed.append(k)
        discounts[k, 1:] = found or FALLBACK
    return failed


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


def _with_start_marks(tokens: npt.NDArray[Any], offsets: Ints, bos: int, work: Work) -> npt.NDArray[np.uint32]:
    from corpuskit.lm import ngram_kernels as kernels

    starts = offsets[:-1][np.diff(offsets) > 0] - offsets[0]
    n = len(tokens) + len(starts)
    if n > _MOST:
        raise CorpuskitError("train ngram", f"expected at most {_MOST:,} tokens, got {n:,}", "give it less text")
    stream = work.array("stream", n, np.uint32)
    at, source = np.append(starts + np.arange(len(starts)), n), np.append(starts, len(tokens))
    kernels.insert_marks(tokens, source, at, bos, stream)
    work.release()
    return stream


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


def _unigrams(level: Level, discount: Floats, types: int, bos: int, *, grow: bool, mixed: bool, closed: bool) -> None:
    """Fill the probabilities of order 1. Not `mixed`, what is taken goes to what was never seen: `<unk>`, and in a
    closed vocabulary with unseen ids these alone."""
    counts = level.counts
    total = int(counts.sum(dtype=np.int64))
    mass = float(discount[np.minimum(counts, 3)].sum())
    if grow:
        total += int(mass)
        discount = _NONE
    weight = mass / total if total else 1.0
    level.probs = (counts - discount[np.minimum(counts, 3)]) / max(total, 1)
    if mixed or not total:
        level.probs += weight / (types - 1)
    else:
        unseen = np.flatnonzero(counts[:bos] == 0) if closed else np.empty(0, np.int64)
        level.probs[unseen] = weight / max(len(unseen), 1)
        level.probs[bos + 1] = weight / max(len(unseen), 1)
    level.probs[bos] = 0.0  # never predicted


def _climb(k: int, levels: list[Level], taken: Floats, threshold: int, grow: bool, work: Work) -> None:
    """Find the contexts of order `k`, the back-offs of the order below, and the probabilities of order `k`."""
    from corpuskit.lm import ngram_kernels as kernels

    level, below = levels[k - 1], levels[k - 2]
    n_suffixes, n_contexts = len(below.tokens), len(below.tokens)
    if k == 2:
        level.contexts = level.tokens
    else:
        level.contexts = work.array(f"contexts.{k}", len(level.tokens), np.uint32)
        lowest = levels[k - 3]
        work.each(
            n_suffixes,
            lambda lo, hi: kernels.contexts(
                lo, hi, level.tokens, below.children, below.contexts, below.tokens, lowest.children, level.contexts
            ),
        )
    dropped = np.empty(0, np.bool_) if not threshold else np.asarray(level.raws <= threshold)
    level.dropped = dropped
    starts = np.arange(len(levels[0].tokens) + 1)
    for lower in levels[: k - 1]:
        starts = lower.children[starts].astype(np.int64)
    sums = work.array(f"sums.{k}", n_contexts, np.uint32)
    backoffs = work.array(f"backoffs.{k}", n_contexts, np.float64)

    def gather(lo: int, hi: int) -> None:
        kernels.masses(lo, hi, starts, level.contexts, level.counts, dropped, taken, sums, backoffs)
        kernels.weigh(lo, hi, sums, backoffs, grow)

    work.each(n_contexts, gather, few=True)
    below.backoffs = backoffs
    level.probs = work.array(f"probs.{k}", len(level.tokens), np.float64)
    discount = _NONE if grow else taken
    work.each(
        n_suffixes,
        lambda lo, hi: kernels.probabilities(
            lo, hi, below.children, below.probs, level.contexts, level.counts, sums, backoffs, discount, level.probs
        ),
    )
    level.forget_counts(keep=k == 1)
    below.contexts = np.empty(0, np.uint32)


def _drop(levels: list[Level], work: Work) -> None:
    """Leave out the grams that were marked; what continues such a gram is marked too."""
    places = None
    for level in reversed(levels):
        kept = ~level.dropped if len(level.dropped) else np.ones(len(level.tokens), np.bool_)
        if places is not None:
            level.children = np.append(places[level.children[:-1]][kept], places[-1]).astype(np.uint32)
            level.backoffs = level.backoffs[kept]
        level.tokens, level.probs = level.tokens[kept], level.probs[kept]
        places = np.concatenate([[0], np.cumsum(kept)])
