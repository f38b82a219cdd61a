"""Add up rows of float16 as float32; import it only where it runs, for numba's sake.

numba has no type for float16. CPUs with F16C (and ARM's) widen eight or more at once; for the others LLVM would call a
helper that numba does not link, so there the bits are moved. Widening is exact, so both give the same.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from corpuskit.text.vector_kernels import spread

#: The columns of a row are a multiple of this: there is no code for what would be left over.
COLUMNS = 16
_SHORTS, _LONGS = ir.VectorType(ir.IntType(16), COLUMNS), ir.VectorType(ir.IntType(32), COLUMNS)
_HALVES, _FLOATS = ir.VectorType(ir.HalfType(), COLUMNS), ir.VectorType(ir.FloatType(), COLUMNS)
_LINES = 5  # of the cache, 64 bytes each, in a row
_BIAS = 2.0**112  # the difference of the exponents of float32 and float16


def _widens(target: Any) -> bool:
    """Tell whether the CPU that code is made for widens float16."""
    triple, _, features = target.codegen().magic_tuple()
    return "+f16c" in features.split(",") or triple.startswith(("aarch64", "arm64"))


def _wide(target: Any, builder: Any, bits: Any) -> Any:
    """Give the float32 of the bits of float16: exact for all that is finite."""
    if _widens(target):
        return builder.fpext(builder.bitcast(bits, _HALVES), _FLOATS)
    long = builder.zext(bits, _LONGS)

    def moved(mask: int, places: int) -> Any:
        return builder.shl(
            builder.and_(long, ir.Constant(_LONGS, [mask] * COLUMNS)), ir.Constant(_LONGS, [places] * COLUMNS)
        )

    value = builder.bitcast(builder.or_(moved(0x8000, 16), moved(0x7FFF, 13)), _FLOATS)
    return builder.fmul(value, ir.Constant(_FLOATS, [_BIAS] * COLUMNS))


def _adding(sums: Any, table: Any, rows: Any, weights: Any, signature: Any) -> Any:
    """Make the code of `add_one` and `add_four`: `rows` and `weights` take the arguments apart."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        long = ir.IntType(64)
        matrix = target.make_array(signature.args[1])(target, builder, arguments[1])
        width = cgutils.unpack_tuple(builder, matrix.shape)[1]
        into = target.make_array(signature.args[0])(target, builder, arguments[0]).data
        places = [builder.gep(matrix.data, [builder.mul(row, width)]) for row in rows(builder, arguments[2])]
        wide = [spread(builder, _FLOATS, weight) for weight in weights(builder, arguments[3])]
        step = ir.Constant(long, COLUMNS)
        with cgutils.for_range_slice(builder, ir.Constant(long, 0), width, step, long) as (at, _):
            terms = []
            for place, weight in zip(places, wide, strict=True):
                packed = builder.bitcast(builder.gep(place, [at]), _SHORTS.as_pointer())
                terms.append(builder.fmul(weight, _wide(target, builder, builder.load(packed, align=2))))
            while len(terms) > 1:  # (a + b) + (c + d)
                terms = [builder.fadd(one, two) for one, two in zip(terms[::2], terms[1::2], strict=True)]
            sum_ = builder.bitcast(builder.gep(into, [at]), _FLOATS.as_pointer())
            builder.store(builder.fadd(builder.load(sum_, align=4), terms[0]), sum_, align=4)
        return target.get_dummy_value()

    return signature, generate


@intrinsic
def add_one(context: Any, sums: Any, table: Any, row: Any, weight: Any) -> Any:
    """Add weight * table[row] to sums. The columns are a multiple of COLUMNS; no bounds are checked."""
    signature = types.void(sums, table, types.int64, types.float32)
    return _adding(sums, table, lambda _, row: [row], lambda _, weight: [weight], signature)


@intrinsic
def add_four(context: Any, sums: Any, table: Any, rows: Any, weights: Any) -> Any:
    """Add (w0 * t0 + w1 * t1) + (w2 * t2 + w3 * t3) to sums, of four rows t and their weights w; else as `add_one`."""
    signature = types.void(sums, table, types.UniTuple(types.int64, 4), types.UniTuple(types.float32, 4))
    return _adding(sums, table, cgutils.unpack_tuple, cgutils.unpack_tuple, signature)


@intrinsic
def fetch(context: Any, table: Any, row: Any) -> Any:
    """Have the CPU bring table[row] near before it is added. Nothing else happens, even where there is no such row."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        long, flag = ir.IntType(64), ir.IntType(32)
        matrix = target.make_array(signature.args[0])(target, builder, arguments[0])
        width = cgutils.unpack_tuple(builder, matrix.shape)[1]
        place = builder.bitcast(builder.gep(matrix.data, [builder.mul(arguments[1], width)]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for line in range(0, _LINES * 64, 64):
            byte = builder.gep(place, [ir.Constant(long, line)])
            builder.call(function, [byte, ir.Constant(flag, 0), ir.Constant(flag, 3), ir.Constant(flag, 1)])
        return target.get_dummy_value()

    return types.void(table, types.int64), generate
