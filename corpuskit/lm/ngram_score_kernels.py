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
            p = trie.probs[node]
            for k in range(found, seen + 1):
                p *= trie.backoffs[nodes[k]]
            nodes, fresh, seen = fresh, nodes, min(found, order - 1)
            end = -np.log(p) if p > 0 else np.inf
            total += end
        nats[document] = total
        nats_last[document] = end


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
