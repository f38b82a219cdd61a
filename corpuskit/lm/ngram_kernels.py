"""Compiled loops of the n-gram model; every one releases the interpreter lock.

A stream is uint32 ids with a start mark `bos` before each document, so stream[0] is one. A gram is told by the
position of its last token and is read leftwards, to the start mark at most. Suffix order sorts grams by the last
token, then by the one before it, and so on; past the start mark there are only start marks.

`grams` is an `ngram_counts.Grams`, `trie` an `ngram_counts.Trie`: named tuples of arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any  # numba takes any array of the right dtype, writable or not

#: Up to this many entries insertion sort beats passes over 256 counters.
_SMALL = 48


@njit(cache=True, nogil=True)
def sort_positions(stream: Array, bos: int, order: int, bits: int) -> Array:
    """Sort the positions of all tokens but start marks by their grams, in suffix order; equal grams by position.

    First by the last token, by counting; then each such bucket by the other tokens, which are packed into as few
    64-bit keys as their `bits` allow. Buckets do not depend on each other.
    """
    starts = np.zeros(bos + 2, np.int64)
    for at in range(len(stream)):
        starts[stream[at] + np.int64(1)] += 1
    for token in range(bos):
        starts[token + 1] += starts[token]
    positions = np.empty(starts[bos], np.uint32)
    heads = starts.copy()
    for at in range(len(stream)):
        token = stream[at]
        if token != bos:
            positions[heads[token]] = at
            heads[token] += 1
    if order == 1:
        return positions
    largest = 0
    for token in range(bos):
        largest = max(largest, starts[token + 1] - starts[token])
    keys, spare_keys = np.empty(largest, np.uint64), np.empty(largest, np.uint64)
    spare, differs = np.empty(largest, np.uint32), np.empty(largest, np.bool_)
    digits = np.empty((8, 256), np.int64)
    for token in range(bos):
        bucket = positions[starts[token] : starts[token + 1]]
        n = len(bucket)
        if n > 1:
            _sort_bucket(stream, bos, order, bits, bucket, differs[:n], keys[:n], spare[:n], spare_keys[:n], digits)
    return positions


@njit(cache=True, nogil=True)
def _sort_bucket(
    stream: Array,
    bos: int,
    order: int,
    bits: int,
    bucket: Array,
    differs: Array,
    keys: Array,
    spare: Array,
    spare_keys: Array,
    digits: Array,
) -> None:
    """Sort positions of one last token by the tokens to its left; all after `bucket` is scratch.

    Where not all fit a key, runs of equal keys are sorted by the next one: no recursion, which numba cannot cache.
    """
    differs[:] = False
    distance, left_most = 1, np.uint64((1 << bits) - 1)
    while distance < order:
        take = min(64 // bits, order - distance)
        lo = 0
        while lo < len(bucket):
            hi = lo + 1
            while hi < len(bucket) and not differs[hi]:
                hi += 1
            if hi - lo > 1:
                for i in range(lo, hi):
                    keys[i] = _pack(stream, bos, bits, np.int64(bucket[i]) - distance, take)
                _sort_pairs(keys[lo:hi], bucket[lo:hi], spare_keys[lo:hi], spare[lo:hi], (take * bits + 7) // 8, digits)
                for i in range(lo + 1, hi):  # grams that have reached the start mark need no further order
                    differs[i] = keys[i] != keys[i - 1] or np.int64(keys[i] & left_most) == bos
            lo = hi
        distance += take


@njit(cache=True, nogil=True)
def _pack(stream: Array, bos: int, bits: int, at: int, take: int) -> Any:
    """Put the ids at `at` and `take` - 1 places before it into one key; past the start mark there is only it."""
    key, ended = np.uint64(0), False
    for _ in range(take):
        token = bos if ended else np.int64(stream[at])
        ended = token == bos
        key = (key << np.uint64(bits)) | np.uint64(token)
        at -= 1
    return key


@njit(cache=True, nogil=True)
def _sort_pairs(keys: Array, values: Array, spare_keys: Array, spare: Array, n_bytes: int, digits: Array) -> None:
    """Sort `values` by uint64 `keys` of `n_bytes` bytes, stably and in place: radix sort, lowest byte first."""
    n = len(keys)
    if n <= _SMALL:
        for i in range(1, n):
            key, value, j = keys[i], values[i], i
            while j > 0 and keys[j - 1] > key:
                keys[j], values[j] = keys[j - 1], values[j - 1]
                j -= 1
            keys[j], values[j] = key, value
        return
    digits[:n_bytes] = 0
    for i in range(n):
        key = keys[i]
        for byte in range(n_bytes):
            digits[byte, np.int64(key & np.uint64(255))] += 1
            key >>= np.uint64(8)
    from_keys, from_values, to_keys, to_values, swapped = keys, values, spare_keys, spare, False
    for byte in range(n_bytes):
        shift, heads = np.uint64(8 * byte), digits[byte]
        if heads[np.int64((keys[0] >> shift) & np.uint64(255))] == n:
            continue
        total = 0
        for digit in range(256):
            count = heads[digit]
            heads[digit] = total
            total += count
        for i in range(n):
            byte_value = np.int64((from_keys[i] >> shift) & np.uint64(255))
            to = heads[byte_value]
            to_keys[to], to_values[to] = from_keys[i], from_values[i]
            heads[byte_value] = to + 1
        from_keys, from_values, to_keys, to_values = to_keys, to_values, from_keys, from_values
        swapped = not swapped
    if swapped:
        keys[:] = spare_keys
        values[:] = spare


@njit(cache=True, nogil=True)
def compare_neighbours(stream: Array, bos: int, order: int, positions: Array, shared: Array, depth: Array) -> Array:
    """Fill, for each sorted position, how long its longest gram is (`depth`) and how much of it the one before shares.

    Gives the number of distinct grams of each order (int64, order + 1; entry 0 is unused).
    """
    distinct = np.zeros(order + 1, np.int64)
    for i in range(len(positions)):
        at, before = np.int64(positions[i]), np.int64(positions[max(i - 1, 0)])
        n, same, agree = 0, 0, i > 0
        while n < order:
            token = stream[at - n]
            agree = agree and stream[before - n] == token
            if agree:
                same += 1
            n += 1
            if token == bos:
                break
        shared[i], depth[i] = same, n
        for k in range(same + 1, n + 1):
            distinct[k] += 1
    return distinct


@njit(cache=True, nogil=True)
def fill_order(k: int, order: int, grams: Any, base: int, above: int, trie: Any) -> None:
    """Write the left-most token, the adjusted count and the first child of every gram of order `k`.

    `base` is the node of its first gram, `above` that of order k + 1. Adjusted counts: raw for the highest order and
    for grams that begin with the start mark, else the number of distinct tokens on their left.
    """
    tokens, counts, children = trie.tokens, trie.counts, trie.children
    node, child = base - 1, above
    for i in range(len(grams.positions)):
        shared, depth = grams.shared[i], grams.depth[i]
        if depth < k:
            continue
        if shared < k:
            token = grams.stream[np.int64(grams.positions[i]) - k + 1]
            node += 1
            while k == 1 and node < token:  # nodes of order 1 are the ids, and some never occur
                tokens[node] = node
                if order > 1:
                    children[node] = child
                node += 1
            tokens[node] = token
            if k < order:
                children[node] = child
        if k == order or depth == k:
            counts[node] += 1
        elif shared <= k:
            counts[node] += 1
            child += 1
    for rest in range(node + 1, above if k == 1 else 0):
        tokens[rest] = rest
        if order > 1:
            children[rest] = child


@njit(cache=True, nogil=True)
def add_to_contexts(k: int, grams: Any, base: int, trie: Any, nodes: Array, discount: Array) -> None:
    """Add the counts of the grams of order `k`, and what discounting takes from them, to their contexts.

    The taken mass gathers in `trie.backoffs`. `nodes` holds, at every position, the node of the gram of order k - 1
    that ends there; afterwards that of order `k`. `discount` has D for counts 0, 1, 2, and 3 or more.
    """
    node = base - 1
    for i in range(len(grams.positions)):
        if grams.shared[i] < k <= grams.depth[i]:
            node += 1
            context, count = nodes[np.int64(grams.positions[i]) - 1], trie.counts[node]
            trie.sums[context] += count
            trie.backoffs[context] += discount[min(count, 3)]
    node = base - 1
    for i in range(len(grams.positions)):
        if grams.depth[i] >= k:
            if grams.shared[i] < k:
                node += 1
            nodes[grams.positions[i]] = node


@njit(cache=True, nogil=True)
def count_counts(counts: Array) -> Array:
    """Count how many grams have an adjusted count of 0, 1, .. 4, and of more (int64, 6)."""
    n = np.zeros(6, np.int64)
    for i in range(len(counts)):
        count = np.int64(counts[i])
        n[count if count < 5 else 5] += 1
    return n


@njit(cache=True, nogil=True)
def first_seen(stream: Array, size: int) -> Array:
    """Give the first position of each of `size` ids, len(stream) for those that never occur."""
    first = np.full(size, len(stream), np.int64)
    for i in range(len(stream) - 1, -1, -1):
        first[stream[i]] = i
    return first


@njit(cache=True, nogil=True)
def score_documents(
    tokens: Array,
    offsets: Array,
    bos: int,
    uniform: float,
    discounts: Array,
    trie: Any,
    nats: Array,
    nats_last: Array,
) -> None:
    """Sum -ln p over the tokens of each document; contexts start anew with each. `nats_last`: of its last token.

    p climbs the orders, p_k = max(a - D, 0) / sum + backoff * p_{k-1}, as long as the context was seen in training.
    The last entries of `trie.sums` and `trie.backoffs` belong to the empty context.
    """
    order = len(discounts) - 1
    nodes, fresh = np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64)
    for document in range(len(offsets) - 1):
        start, stop = offsets[document], offsets[document + 1]
        nodes[1], seen = bos, 1  # nodes[k]: the last k tokens of the context, for k up to `seen`
        total, last = 0.0, 0.0
        for at in range(start, stop):
            node, found = np.int64(tokens[at]), 1
            fresh[1] = node
            p = trie.backoffs[-1] * uniform
            if trie.counts[node] > 0:
                p += (trie.counts[node] - discounts[1, min(trie.counts[node], 3)]) / trie.sums[-1]
            for k in range(2, min(order, seen + 1) + 1):
                context = nodes[k - 1]
                if trie.sums[context] == 0:  # nothing ever followed it, so nothing followed a longer one
                    break
                p *= trie.backoffs[context]
                if found < k - 1:
                    continue
                left = np.int64(tokens[at - k + 1]) if at - k + 1 >= start else bos
                lo, end = np.int64(trie.children[node]), np.int64(trie.children[node + 1])
                hi = end
                while lo < hi:
                    middle = (lo + hi) >> 1
                    if trie.tokens[middle] < left:
                        lo = middle + 1
                    else:
                        hi = middle
                if lo < end and trie.tokens[lo] == left:
                    node, found = lo, k
                    fresh[k] = node
                    p += (trie.counts[node] - discounts[k, min(trie.counts[node], 3)]) / trie.sums[context]
            nodes, fresh, seen = fresh, nodes, min(found, order - 1)
            last = -np.log(p)
            total += last
        nats[document] = total
        nats_last[document] = last
