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
