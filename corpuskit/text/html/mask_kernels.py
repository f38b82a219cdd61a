"""Tell what 64 bytes of text are at once, a bit for each; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 64
_BYTE, _LONG, _COUNT = ir.IntType(8), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_BYTE, WIDTH)
#: Kinds of bytes, as ranges: small letters, capitals, digits, commas, ends of sentences, signs of no language, all that
#: is not ASCII, what of it begins no character, what begins one of two bytes, other than some signs and marks.
_KINDS = (
    (b"az",), (b"AZ",), (b"09",), (b",,", b";;"), (b"..", b"!!", b"??"),
    (b"#&", b"*+", b"//", b"<>", b"@@", b"[`", b"{~"),
    (b"\x80\xff",), (b"\x80\xbf",), (b"\xc3\xd7", b"\xd9\xda", b"\xdc\xdf"),
)  # fmt: skip


def spread(builder: Any, byte: Any) -> Any:
    """Fill a vector of 64 with a byte."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, byte, ir.Constant(_COUNT, 0))
    zeros = ir.Constant(ir.VectorType(_COUNT, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, undefined, zeros)


def loaded(target: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Load 64 bytes of an array of bytes from `at` on."""
    data = target.make_array(kind)(target, builder, array).data
    byte = builder.gep(builder.bitcast(data, cgutils.voidptr_t), [at])
    return builder.load(builder.bitcast(byte, _VECTOR.as_pointer()), align=1)


def bits(builder: Any, flags: Any) -> Any:
    """Give 64 flags as the bits of a number, the first one lowest."""
    return builder.bitcast(flags, _LONG)


@intrinsic
def kinds(context: Any, text: Any, at: Any) -> Any:
    """Tell text[at:at + 64] apart: bits for each of _KINDS. No bounds are checked."""
    made = types.UniTuple(types.uint64, len(_KINDS))

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], *arguments)
        found = []
        for ranges in _KINDS:
            flags = []
            for first, last in ranges:
                shifted = builder.sub(vector, ir.Constant(_VECTOR, [first] * WIDTH))
                size = ir.Constant(_VECTOR, [last - first + 1] * WIDTH)
                flags.append(builder.icmp_unsigned("<", shifted, size))
            either = flags[0]
            for each in flags[1:]:
                either = builder.or_(either, each)
            found.append(bits(builder, either))
        return target.make_tuple(builder, signature.return_type, found)

    return made(text, types.int64), generate


@intrinsic
def copy(context: Any, data: Any, at: Any, text: Any, place: Any) -> Any:
    """Set text[place:place + 64] to data[at:at + 64]. No bounds are checked."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], arguments[0], arguments[1])
        into = target.make_array(signature.args[2])(target, builder, arguments[2]).data
        byte = builder.gep(builder.bitcast(into, cgutils.voidptr_t), [arguments[3]])
        builder.store(vector, builder.bitcast(byte, _VECTOR.as_pointer()), align=1)
        return target.get_dummy_value()

    return types.void(data, types.int64, text, types.int64), generate


@intrinsic
def spaces(context: Any, data: Any, at: Any) -> Any:
    """Tell in data[at:at + 64] (white space, what wants a look, spaces): bits of each. No bounds are checked.

    A look want `<`, `&`, and what may begin a space that is not ASCII or has no width: with all of its bytes where they
    are among the 64, else by its first.
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], *arguments)

        def among(first: int, last: int) -> Any:
            shifted = builder.sub(vector, ir.Constant(_VECTOR, [first] * WIDTH))
            return bits(builder, builder.icmp_unsigned("<", shifted, ir.Constant(_VECTOR, [last - first + 1] * WIDTH)))

        def here(*values: int) -> Any:
            """Tell where these bytes stand behind each other, or may."""
            found = among(values[0], values[0])
            for step, value in enumerate(values[1:], 1):
                behind = builder.lshr(among(value, value), ir.Constant(_LONG, step))
                unknown = ir.Constant(_LONG, (1 << step) - 1 << WIDTH - step)
                found = builder.and_(found, builder.or_(behind, unknown))
            return found

        white, look = among(9, 13), here(ord("<"))
        for byte in (32, 0):
            white = builder.or_(white, here(byte))
        for values in (b"&", b"\xc2\xa0", b"\xe2\x80\x8b", b"\xef\xbb\xbf", b"\xe3\x80\x80"):
            look = builder.or_(look, here(*values))
        return target.make_tuple(builder, signature.return_type, [white, look, here(32)])

    return types.UniTuple(types.uint64, 3)(data, types.int64), generate


@intrinsic
def eight(context: Any, text: Any, at: Any) -> Any:
    """Give text[at:at + 8] as a number, the first byte lowest. No bounds are checked."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, arguments[0]).data
        byte = builder.gep(builder.bitcast(data, cgutils.voidptr_t), [arguments[1]])
        return builder.load(builder.bitcast(byte, _LONG.as_pointer()), align=1)

    return types.uint64(text, types.int64), generate


@intrinsic
def upper_float(context: Any, value: Any) -> Any:
    """Read the upper half of a number's 64 bits as a float32."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        upper = builder.lshr(arguments[0], ir.Constant(_LONG, 32))
        return builder.bitcast(builder.trunc(upper, _COUNT), ir.FloatType())

    return types.float32(types.uint64), generate


@intrinsic
def lowest(context: Any, mask: Any) -> Any:
    """Give the place of the lowest bit that is set; one must be."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def highest(context: Any, mask: Any) -> Any:
    """Give the place of the highest bit that is set; one must be."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(_LONG, 63), zeros)

    return types.int64(types.uint64), generate


@intrinsic
def count(context: Any, mask: Any) -> Any:
    """Count the bits that are set."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def low(number: Any) -> Any:
    """Give a mask of the lowest bits, 64 of them at most."""
    return np.uint64(0xFFFFFFFFFFFFFFFF) if number >= 64 else (np.uint64(1) << np.uint64(number)) - np.uint64(1)
