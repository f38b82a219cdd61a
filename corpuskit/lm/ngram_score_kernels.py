"""Compiled loops that look grams up in a model; every one releases the interpreter lock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any  # numba takes any array of the right dtype, writable or not


@njit(cache=True, nogil=True, inline="always")
def _child(tokens: Array, lo: Any, hi: Any, token: Any) -> Any:
    """Give the place of `token` among sorted tokens[lo:hi], -1 where it is not there."""
    end = hi
    while lo < hi:
        middle = (lo + hi) >> 1
        if tokens[middle] < token:
            lo = middle + 1
        else:
            hi = middle
    return lo if lo < end and tokens[lo] == token else -1


@njit(cache=True, nogil=True, inline="always")
def _descend(tokens: Array, at: int, start: int, bos: int, seen: int, trie: Any, fresh: Array) -> tuple[Any, int]:
    """Find the longest gram that ends at a token, of at most seen + 1 tokens; give its node and length.

    Fills fresh[k] with the node of the last k tokens.
    """
    node, found = np.int64(tokens[at]), 1
    fresh[1] = node
    while found <= seen:
        left = np.int64(tokens[at - found]) if at - found >= start else bos
        lower = _child(trie.tokens, np.int64(trie.children[node]), np.int64(trie.children[node + 1]), left)
        if lower < 0:
            break
        node = lower
        found += 1
        fresh[found] = node
    return node, found


@njit(cache=True, nogil=True)
def score_documents(
    tokens: Array, offsets: Array, first: int, last: int, bos: int, order: int, trie: Any, nats: Array, nats_last: Array
) -> None:
    """Sum -ln p over the tokens of documents first .. last - 1; contexts start anew with each. `nats_last`: of the end.

    p is that of the longest gram in the model that ends here, times the back-offs of the contexts that are longer
    than it had. A token of no probability gives infinity.
    """
    nodes, fresh = np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64)
    for document in range(first, last):
        start, stop = offsets[document], offsets[document + 1]
        nodes[1], seen = bos, min(1, order - 1)  # nodes[k]: the last k tokens of the context, for k up to `seen`
        total, end = 0.0, 0.0
        for at in range(start, stop):
            node, found = _descend(tokens, at, start, bos, seen, trie, fresh)
            p = trie.probs[node]
            for k in range(found, seen + 1):
                p *= trie.backoffs[nodes[k]]
            nodes, fresh, seen = fresh, nodes, min(found, order - 1)
            end = -np.log(p) if p > 0 else np.inf
            total += end
        nats[document] = total
        nats_last[document] = end


@njit(cache=True, nogil=True)
def likeliest(trie: Any, ids: int, order: int, best: Array, best_p: Array) -> None:
    """Find the likeliest last token of each context's own grams: best[node], with p best_p[node].

    Grams are stored by their last token, contexts by theirs: on the way down from a last token, the context of each
    gram is a child of the context of the gram above it.
    """
    path, context, at = np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64)
    for last in range(ids):
        depth, path[0] = 1, last
        if order > 1:
            at[1] = trie.children[last]
        while depth > 0 and order > 1:
            if at[depth] >= trie.children[path[depth - 1] + 1]:
                depth -= 1
                continue
            node = at[depth]
            at[depth] += 1
            token = np.int64(trie.tokens[node])
            if depth == 1:
                above = token
            else:
                parent = context[depth - 1]
                above = _child(trie.tokens, np.int64(trie.children[parent]), np.int64(trie.children[parent + 1]), token)
            if above < 0:
                continue
            if trie.probs[node] > best_p[above]:
                best_p[above], best[above] = trie.probs[node], last
            if depth < order - 1:
                path[depth], context[depth] = node, above
                depth += 1
                at[depth] = trie.children[node]


@njit(cache=True, nogil=True)
def hit_documents(
    tokens: Array, offsets: Array, first: int, last: int, bos: int, order: int, trie: Any, top: int, best: Array,
    best_p: Array, hits: Array,
) -> None:  # fmt: skip
    """Count the tokens of documents that were the likeliest ones; `top` is the likeliest of all ids.

    Of a context's own grams and those of shorter ones, scaled by the back-offs, the largest p wins, the longer
    context's where both are as large.
    """
    nodes, fresh = np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64)
    for document in range(first, last):
        start, stop = offsets[document], offsets[document + 1]
        nodes[1], seen = bos, min(1, order - 1)
        for at in range(start, stop):
            guess, high, factor = np.int64(top), 0.0, 1.0
            for k in range(seen, 0, -1):
                if factor * best_p[nodes[k]] > high:
                    guess, high = np.int64(best[nodes[k]]), factor * best_p[nodes[k]]
                factor *= trie.backoffs[nodes[k]]
            if factor * trie.probs[top] > high:
                guess = np.int64(top)
            hits[document] += guess == np.int64(tokens[at])
            _, found = _descend(tokens, at, start, bos, seen, trie, fresh)
            nodes, fresh, seen = fresh, nodes, min(found, order - 1)


@njit(cache=True, nogil=True)
def distribution(context: Array, order: int, trie: Any, out: Array) -> None:
    """Fill p of every id after `context` (the last tokens, the start mark among them where it is near enough).

    Each longer context scales what the shorter one gave by its back-off, and puts its own grams in place.
    """
    for token in range(len(out)):
        out[token] = trie.probs[token]
    for k in range(1, min(order - 1, len(context)) + 1):
        node: Any = np.int64(context[-1])
        for back in range(2, k + 1):
            node = _child(
                trie.tokens, np.int64(trie.children[node]), np.int64(trie.children[node + 1]), np.int64(context[-back])
            )
            if node < 0:
                return
        for token in range(len(out)):
            out[token] *= trie.backoffs[node]
        for token in range(len(out)):
            gram: Any = token
            for back in range(1, k + 1):
                gram = _child(
                    trie.tokens,
                    np.int64(trie.children[gram]),
                    np.int64(trie.children[gram + 1]),
                    np.int64(context[-back]),
                )
                if gram < 0:
                    break
            if gram >= 0:
                out[token] = trie.probs[gram]
