"""Compiled loops that sort and count n-grams; every one releases the interpreter lock.

A stream is uint32 ids with a start mark `bos` before each document, so stream[0] is one. A gram is read leftwards from
its last token, to the start mark at most. Suffix order sorts grams by the last token, then by the one before it, and
so on; past the start mark there are only start marks. The tokens left of the last one are packed into `words` 64-bit
keys of `per_key` ids each (the last key holds what is left over), so that keys sort as the grams do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any  # numba takes any array of the right dtype, writable or not

#: Up to this many entries insertion sort beats passes over 256 counters.
_SMALL = 48


@njit(cache=True, nogil=True)
def insert_marks(tokens: Array, source: Array, to: Array, bos: int, stream: Array) -> None:
    """Copy documents, which begin at `source` in `tokens`, to `to` in `stream`, each behind a start mark."""
    for document in range(len(to) - 1):
        at = to[document]
        stream[at] = bos
        for i in range(source[document], source[document + 1]):
            at += 1
            stream[at] = tokens[i]


@njit(cache=True, nogil=True)
def count_tokens(stream: Array, size: int) -> Array:
    """Count how often each of `size` ids occurs (int64)."""
    counts = np.zeros(size, np.int64)
    for at in range(len(stream)):
        counts[stream[at]] += 1
    return counts


@njit(cache=True, nogil=True)
def sorted_keys(stream: Array, bos: int, order: int, bits: int, lo: int, hi: int, starts: Array) -> Array:
    """Give the keys [n, words] of all grams whose last token is in lo .. hi - 1, in suffix order.

    `starts` [hi - lo + 1] says where the grams of each last token begin. Buckets do not depend on each other.
    """
    n, per_key = starts[-1], 64 // bits
    words = max(1, (order - 1 + per_key - 1) // per_key)
    keys = np.empty((n, words), np.uint64)
    largest = 0
    for bucket in range(hi - lo):
        largest = max(largest, starts[bucket + 1] - starts[bucket])
    heads, digits = starts.copy(), np.empty((8, 256), np.int64)
    spare_keys = np.empty(largest, np.uint64)
    if words == 1:
        flat = keys.reshape(n)
        for at in range(len(stream)):
            token: Any = np.int64(stream[at])
            if lo <= token < hi and token != bos:
                flat[heads[token - lo]] = _pack(stream, bos, bits, at - 1, order - 1)
                heads[token - lo] += 1
        for bucket in range(hi - lo if order > 1 else 0):
            part: Any = flat[starts[bucket] : starts[bucket + 1]]
            _sort_keys(part, spare_keys, ((order - 1) * bits + 7) // 8, digits)
        return keys
    positions = np.empty(n, np.uint32)
    for at in range(len(stream)):
        token = np.int64(stream[at])
        if lo <= token < hi and token != bos:
            positions[heads[token - lo]] = at
            heads[token - lo] += 1
    some, spare, differs = np.empty(largest, np.uint64), np.empty(largest, np.uint32), np.empty(largest, np.bool_)
    for bucket in range(hi - lo):
        part = positions[starts[bucket] : starts[bucket + 1]]
        m = len(part)
        if m > 1:
            _sort_bucket(stream, bos, order, bits, part, differs[:m], some[:m], spare[:m], spare_keys[:m], digits)
    for i in range(n):
        place, ended = np.int64(positions[i]) - 1, False
        for word in range(words):
            take = min(per_key, order - 1 - word * per_key)
            key = np.uint64(0)
            for _ in range(take):
                token = bos if ended else np.int64(stream[place])
                ended = token == bos
                key = (key << np.uint64(bits)) | np.uint64(token)
                place -= 1
            keys[i, word] = key
    return keys


@njit(cache=True, nogil=True)
def _count_digits(keys: Array, n_bytes: int, digits: Array) -> None:
    """Count, for each of the lowest bytes of uint64 keys, how often it has each value: digits[byte, value]."""
    digits[:n_bytes] = 0
    for i in range(len(keys)):
        key = keys[i]
        for byte in range(n_bytes):
            digits[byte, np.int64(key & np.uint64(255))] += 1
            key >>= np.uint64(8)


@njit(cache=True, nogil=True)
def _heads_of(counts: Array) -> None:
    """Turn the counts of values, in place, into the places where each value's run begins."""
    total = 0
    for digit in range(256):
        count = counts[digit]
        counts[digit] = total
        total += count


@njit(cache=True, nogil=True)
def _sort_keys(keys: Array, spare: Array, n_bytes: int, digits: Array) -> None:
    """Sort uint64 keys of `n_bytes` bytes in place: insertion, or radix sort, lowest byte first."""
    n = len(keys)
    if n <= _SMALL:
        for i in range(1, n):
            key, j = keys[i], i
            while j > 0 and keys[j - 1] > key:
                keys[j] = keys[j - 1]
                j -= 1
            keys[j] = key
        return
    _count_digits(keys, n_bytes, digits)
    source, target, swapped = keys, spare[:n], False
    for byte in range(n_bytes):
        shift, heads = np.uint64(8 * byte), digits[byte]
        if heads[np.int64((source[0] >> shift) & np.uint64(255))] == n:
            continue
        _heads_of(heads)
        for i in range(n):
            place = np.int64((source[i] >> shift) & np.uint64(255))
            target[heads[place]] = source[i]
            heads[place] += 1
        source, target = target, source
        swapped = not swapped
    if swapped:
        keys[:] = spare[:n]


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
        token: Any = bos if ended else np.int64(stream[at])
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
    _count_digits(keys, n_bytes, digits)
    from_keys, from_values, to_keys, to_values, swapped = keys, values, spare_keys, spare, False
    for byte in range(n_bytes):
        shift, heads = np.uint64(8 * byte), digits[byte]
        if heads[np.int64((keys[0] >> shift) & np.uint64(255))] == n:
            continue
        _heads_of(heads)
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
def compare_neighbours(
    keys: Array, bos: int, order: int, bits: int, starts: Array, shared: Array, depth: Array
) -> Array:
    """Fill, for each sorted gram, how long it is (`depth`) and how much of it the one before shares.

    Gives the number of distinct grams of each order (int64, order + 1; entry 0 is unused). An order of 1 has no keys
    to speak of.
    """
    distinct = np.zeros(order + 1, np.int64)
    mask, per_key = np.uint64((1 << bits) - 1), 64 // bits
    for bucket in range(len(starts) - 1):
        for i in range(starts[bucket], starts[bucket + 1]):
            first = i == starts[bucket]
            n, same, agree = 1, 0 if first else 1, not first
            for k in range(1, order):
                word = (k - 1) // per_key
                take = min(per_key, order - 1 - word * per_key)
                shift = np.uint64(bits * (take - 1 - (k - 1) % per_key))
                token = (keys[i, word] >> shift) & mask
                agree = agree and (keys[i - 1, word] >> shift) & mask == token
                if agree:
                    same += 1
                n += 1
                if np.int64(token) == bos:
                    break
            shared[i], depth[i] = same, n
            for k in range(same + 1, n + 1):
                distinct[k] += 1
    return distinct


@njit(cache=True, nogil=True)
def emit(
    keys: Array,
    order: int,
    bits: int,
    lo: int,
    starts: Array,
    shared: Array,
    depth: Array,
    bases: Array,
    all_raw: bool,
    tokens: Array,
    counts: Array,
    raws: Array,
    children: Array,
) -> None:
    """Write the left-most token, the counts and the first child of every gram of every order, in one pass.

    The grams of order k are entries bases[k] to bases[k + 1]; all ids of the range are grams of order 1. Children are
    numbered within their order. Adjusted counts: raw for the highest order and for grams that begin with the start
    mark, else the number of distinct tokens on their left; with `all_raw` they are raw. `raws` is filled too unless
    it is empty.
    """
    mask, per_key = np.uint64((1 << bits) - 1), 64 // bits
    nodes = np.full(order + 2, -1, np.int64)
    wants_raw = len(raws) > 0
    for bucket in range(len(starts) - 1):
        nodes[1] = bucket
        tokens[bucket] = lo + bucket
        children[bucket] = nodes[min(2, order)] + 1
        for i in range(starts[bucket], starts[bucket + 1]):
            same, n = int(shared[i]), int(depth[i])
            for k in range(max(same + 1, 2), n + 1):
                word = (k - 2) // per_key
                take = min(per_key, order - 1 - word * per_key)
                shift = np.uint64(bits * (take - 1 - (k - 2) % per_key))
                nodes[k] += 1
                node = bases[k] + nodes[k]
                tokens[node] = (keys[i, word] >> shift) & mask
                if k < order:
                    children[node] = nodes[k + 1] + 1
            for k in range(1 if all_raw else max(same, 1), n + 1):
                counts[bases[k] + nodes[k]] += 1
            if wants_raw:
                for k in range(1, n + 1):
                    raws[bases[k] + nodes[k]] += 1


@njit(cache=True, nogil=True)
def contexts(
    lo: int, hi: int, tokens: Array, kids: Array, above: Array, lower: Array, lower_kids: Array, found: Array
) -> None:
    """Find the context of each gram of one order whose suffix, one shorter, is node lo .. hi - 1: a child of the
    suffix's own context (`above`), with the same left-most token.

    Both lists of siblings are sorted, so the search gallops on from the last one found. `tokens` are left-most tokens
    of this order and `kids` the first child of each suffix; `lower` and `lower_kids` the same one order below.
    """
    for parent in range(lo, hi):
        start, stop = np.int64(kids[parent]), np.int64(kids[parent + 1])
        if start == stop:
            continue
        at = np.int64(lower_kids[above[parent]])
        end = np.int64(lower_kids[np.int64(above[parent]) + 1])
        for gram in range(start, stop):
            token, step = tokens[gram], 1
            while at + step < end and lower[at + step] <= token:
                at += step
                step <<= 1
            low, high = at, min(at + step, end)  # lower[low] <= token < lower[high], were it there
            while high - low > 1:
                middle = (low + high) >> 1
                if lower[middle] <= token:
                    low = middle
                else:
                    high = middle
            at = low
            found[gram] = at


@njit(cache=True, nogil=True)
def masses(
    lo: int,
    hi: int,
    starts: Array,
    found: Array,
    counts: Array,
    dropped: Array,
    discount: Array,
    sums: Array,
    mass: Array,
) -> None:
    """Add up, for contexts lo .. hi - 1, the counts of what follows and what discounting takes of it.

    `starts` says where the grams of each last token begin: within these, contexts (`found`) ascend. Every context's
    sum grows in one order however the contexts are shared out. All of a `dropped` gram's count is taken.
    """
    for bucket in range(len(starts) - 1):
        low, high = starts[bucket], starts[bucket + 1]
        end = high
        while low < high:
            middle = (low + high) >> 1
            if found[middle] < lo:
                low = middle + 1
            else:
                high = middle
        while low < end and found[low] < hi:
            context, count = found[low], counts[low]
            sums[context] += count
            if len(dropped) > 0 and dropped[low]:
                mass[context] += count
            else:
                mass[context] += discount[min(count, 3)]
            low += 1


@njit(cache=True, nogil=True)
def weigh(lo: int, hi: int, sums: Array, mass: Array, grow: bool) -> None:
    """Turn the mass of contexts lo .. hi - 1 into the weight of the lower order: 1 where nothing follows.

    With `grow` (Witten-Bell) the mass is not taken from the sum but added to it.
    """
    for context in range(lo, hi):
        if sums[context] == 0:
            mass[context] = 1.0
            continue
        if grow:
            sums[context] += np.uint32(mass[context])
        mass[context] /= sums[context]


@njit(cache=True, nogil=True)
def probabilities(
    lo: int,
    hi: int,
    kids: Array,
    shorter: Array,
    found: Array,
    counts: Array,
    sums: Array,
    weights: Array,
    discount: Array,
    probs: Array,
) -> None:
    """Fill p = (a - D) / sum + weight of the context * p of the suffix, for children of suffixes lo .. hi - 1."""
    for parent in range(lo, hi):
        lower = shorter[parent]
        for gram in range(np.int64(kids[parent]), np.int64(kids[parent + 1])):
            context, count = found[gram], counts[gram]
            probs[gram] = (count - discount[min(count, 3)]) / sums[context] + weights[context] * lower


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
