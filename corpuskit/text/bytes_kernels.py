"""Look at many bytes of text at once; import it only where it runs, for numba's sake.

None of the loads here checks bounds: who calls sees to it that all of the bytes belong to the array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from corpuskit.text.vector_kernels import among, bits, eight, loaded, low, vector_at

#: The bytes that `letters` and `copy_sixteen` look at.
HALF, _QUARTER = 32, 16

_LONG = ir.IntType(64)
_SEED, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_ZERO, _ONE, _LOW, _HIGH = np.uint64(0), np.uint64(1), np.uint64(29), np.uint64(32)


@intrinsic
def letters(context: Any, data: Any, at: Any) -> Any:
    """Tell in data[at:at + 32] (ASCII letters, ASCII digits): bits of each, the first byte lowest."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, at = arguments
        vector = builder.load(vector_at(target, builder, signature.args[0], array, at, HALF), align=1)
        small = builder.or_(vector, ir.Constant(vector.type, [0x20] * HALF))
        found = []
        for flags in (among(builder, small, ord("a"), ord("z")), among(builder, vector, ord("0"), ord("9"))):
            found.append(builder.zext(builder.bitcast(flags, ir.IntType(HALF)), _LONG))
        return target.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(types.uint64, 2)(data, types.int64), generate


@intrinsic
def feeds(context: Any, data: Any, at: Any) -> Any:
    """Tell in data[at:at + 64] (line feeds, bytes that begin a character): bits of each, the first byte lowest."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], *arguments)
        begins = bits(builder, builder.not_(among(builder, vector, 0x80, 0xBF)))
        found = [bits(builder, among(builder, vector, 10, 10)), begins]
        return target.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(types.uint64, 2)(data, types.int64), generate


@intrinsic
def cases(context: Any, data: Any, at: Any) -> Any:
    """Tell in data[at:at + 64] (ASCII capitals, small letters, what is not ASCII): bits, the first byte lowest."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], *arguments)
        ranges = ((ord("A"), ord("Z")), (ord("a"), ord("z")), (0x80, 0xFF))
        found = [bits(builder, among(builder, vector, first, last)) for first, last in ranges]
        return target.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(types.uint64, 3)(data, types.int64), generate


@intrinsic
def unprintable(context: Any, data: Any, at: Any) -> Any:
    """Tell in data[at:at + 64] control characters, `<`, `&` and what is not ASCII: bits, the first byte lowest."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], *arguments)
        found = builder.not_(among(builder, vector, 0x20, 0x7E))
        for sign in b"<&":
            found = builder.or_(found, among(builder, vector, sign, sign))
        return bits(builder, found)

    return types.uint64(data, types.int64), generate


@intrinsic
def copy_sixteen(context: Any, data: Any, at: Any, out: Any, to: Any) -> Any:
    """Set out[to:to + 16] to data[at:at + 16]."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = vector_at(target, builder, signature.args[0], arguments[0], arguments[1], _QUARTER)
        into = vector_at(target, builder, signature.args[2], arguments[2], arguments[3], _QUARTER)
        builder.store(builder.load(source, align=1), into, align=1)
        return target.get_dummy_value()

    return types.void(data, types.int64, out, types.int64), generate


@njit(cache=True, nogil=True, inline="always")
def mixed(key: Any) -> Any:
    """Spread a hash over all bits; never 0, which stands for an empty slot."""
    key = (key ^ (key >> _HIGH)) * _MIX
    key = key ^ (key >> _LOW)
    return key if key != _ZERO else _ONE


@njit(cache=True, nogil=True, inline="always")
def tail(data: Any, at: int, stop: int) -> Any:
    """Give data[at:stop], eight bytes at most, as a number, the first byte lowest."""
    if at + 8 <= len(data):
        return eight(data, at) & low((stop - at) * 8)
    found = _ZERO
    for each in range(stop - at):
        found |= np.uint64(data[at + each]) << np.uint64(8 * each)
    return found


@njit(cache=True, nogil=True, inline="always")
def hashed(data: Any, at: int, stop: int) -> Any:
    """Hash data[at:stop], eight bytes at a time; never 0."""
    key = _SEED ^ np.uint64(stop - at)
    while stop - at > 8:
        key = (key ^ eight(data, at)) * _MIX
        key ^= key >> _HIGH
        at += 8
    return mixed((key ^ tail(data, at, stop)) * _SEED)


@njit(cache=True, nogil=True, inline="always")
def hashed_word(data: Any, at: int, size: int) -> Any:
    """Hash data[at:at + size], as `hashed` does, but without a branch; reads sixteen bytes, and hashes no more."""
    first, second = eight(data, at), eight(data, at + 8)
    key = _SEED ^ np.uint64(size)
    longer = (key ^ first) * _MIX
    longer ^= longer >> _HIGH
    short = (key ^ (first & low(min(size, 8) * 8))) * _SEED
    longer = (longer ^ (second & low(max(size - 8, 0) * 8))) * _SEED
    return mixed(longer if size > 8 else short)
