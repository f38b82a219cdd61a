"""Loops over tokens and pieces that numpy has no word for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

_Ints = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def copy_runs(values: npt.NDArray[Any], starts: _Ints, lengths: _Ints, places: _Ints, out: npt.NDArray[Any]) -> None:
    """Copy run i, values[starts[i]:starts[i] + lengths[i]], to out[places[i]:].

    Loops over slices become vectors: six times as fast as with the places added up, three as slices assigned.
    """
    for run in range(len(starts)):
        source = values[starts[run] : starts[run] + lengths[run]]
        target = out[places[run] : places[run] + lengths[run]]
        for at in range(len(source)):
            target[at] = source[at]


@njit(cache=True, nogil=True)
def best_fit(lengths: _Ints, block_tokens: int, bins: _Ints) -> int:
    """Put every piece into the fullest block that still holds it, the longest pieces first; give the number of blocks.

    `bins[i]` becomes the block of piece i, blocks being numbered as they are opened. Pieces have 1 to `block_tokens`
    tokens; equal ones are taken in their order. A tree over room tells the least room that is enough and for which
    there is a block: O(n log block_tokens). Ding et al. 2024.
    """
    after = np.zeros(block_tokens + 2, np.int64)
    for length in lengths:
        after[block_tokens - length + 1] += 1
    after = np.cumsum(after)
    sorted_pieces = np.empty(len(lengths), np.int64)
    for each in range(len(lengths)):
        rank = block_tokens - lengths[each]
        sorted_pieces[after[rank]] = each
        after[rank] += 1

    leaves = 1
    while leaves < block_tokens + 1:
        leaves *= 2
    some = np.zeros(2 * leaves, np.bool_)  # whether below a node there is a room that a block has
    top = np.full(block_tokens + 1, -1, np.int64)  # of each room, the last block that came to it
    below = np.empty(len(lengths), np.int64)  # and the one that came to it before
    opened = 0
    for piece in sorted_pieces:
        room = int(_least_room(some, leaves, lengths[piece]))
        if room < 0:
            room, block = block_tokens, opened
            opened += 1
        else:
            block = int(top[room])
            top[room] = below[block]
            if top[room] < 0:
                _set(some, leaves, room, False)
        bins[piece] = block
        left = int(room - lengths[piece])
        if left:
            if top[left] < 0:
                _set(some, leaves, left, True)
            below[block] = top[left]
            top[left] = block
    return opened


@njit(cache=True, nogil=True)
def _least_room(some: npt.NDArray[np.bool_], leaves: int, wanted: int) -> int:
    """Give the least room of at least `wanted` that a block has, or -1."""
    node = leaves + wanted
    if not some[node]:
        while node > 1 and (node & 1 or not some[node + 1]):
            node //= 2
        if node <= 1:
            return -1
        node += 1
        while node < leaves:
            node *= 2
            if not some[node]:
                node += 1
    return node - leaves


@njit(cache=True, nogil=True)
def _set(some: npt.NDArray[np.bool_], leaves: int, room: int, value: bool) -> None:
    node = leaves + room
    some[node] = value
    while node > 1:
        node //= 2
        some[node] = some[2 * node] or some[2 * node + 1]
