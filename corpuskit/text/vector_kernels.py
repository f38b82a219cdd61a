"""What loops over bytes see 64 of them with, and the bits of numbers; import it only where it runs, for numba's sake.

Masks have a bit for each byte, the first byte's lowest. No load here checks bounds: who calls sees to it that all of
the bytes belong to the array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

#: The bytes that `loaded` looks at.
WIDTH = 64
_BYTE, _LONG, _COUNT = ir.IntType(8), ir.IntType(64), ir.IntType(32)


@intrinsic
def borrowed(context: Any, array: Any) -> Any:
    """Give the array as one that nobody owns, for functions that end before whoever owns it.

    numba counts references with atomic operations at every call; in a loop over tags they took most of the time. What
    is read only is of the type of what is not: else numba compiles all that reads either of them twice.
    """
    made = array.copy(readonly=False)

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = target.make_array(made)(target, builder, arguments[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()

    return made(array), generate


def vector_at(target: Any, builder: Any, kind: Any, array: Any, at: Any, size: int) -> Any:
    """Point at `size` bytes of an array of bytes from `at` on, as one vector."""
    data = target.make_array(kind)(target, builder, array).data
    byte = builder.gep(builder.bitcast(data, cgutils.voidptr_t), [at])
    return builder.bitcast(byte, ir.VectorType(_BYTE, size).as_pointer())


def loaded(target: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Load 64 bytes of an array of bytes from `at` on."""
    return builder.load(vector_at(target, builder, kind, array, at, WIDTH), align=1)


def spread(builder: Any, kind: Any, value: Any) -> Any:
    """Fill a vector of a kind with a value."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_COUNT, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_COUNT, kind.count), [0] * kind.count))


def among(builder: Any, vector: Any, first: int, last: int) -> Any:
    """Tell which bytes of a vector are from `first` to `last`."""
    size = vector.type.count
    shifted = builder.sub(vector, ir.Constant(vector.type, [first] * size))
    return builder.icmp_unsigned("<", shifted, ir.Constant(vector.type, [last - first + 1] * size))


def bits(builder: Any, flags: Any) -> Any:
    """Give 64 flags as the bits of a number, the first one lowest."""
    return builder.bitcast(flags, _LONG)


@intrinsic
def eight(context: Any, text: Any, at: Any) -> Any:
    """Give text[at:at + 8] as a number, the first byte lowest."""

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
