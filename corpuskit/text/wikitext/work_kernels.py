"""The working memory of one page as one pointer: `w.out` within a kernel is an array that an address table tells of.

A tuple of arrays would be passed as some 120 words at each call, and every use would count references.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_getattr_generic, models, register_model
from numba.np.arrayobj import make_array, populate_array

#: The fields of the table in their order: type of the numbers, dimensions. Each takes SLOTS: address, sizes.
FIELDS: dict[str, tuple[Any, int]] = {
    "source": (types.uint8, 1),  # with a line feed before and 16 zeros behind
    "out": (types.uint8, 1),
    "tmp": (types.uint8, 1),
    "verbatim": (types.uint8, 1),
    "state": (types.int64, 1),
    "frames": (types.int64, 2),  # (MAX_DEPTH + 2, FRAME_SIZE)
    "args": (
        types.int64,
        2,
    ),  # (n, 3): of arguments start, end, end of the key; of cells start, end, new row
    "pieces": (types.int64, 1),  # verbatim piece i is verbatim[pieces[i]:pieces[i + 1]]
    "found": (types.int64, 3),  # (2, MAX_ARGUMENTS, 3): positional start, end; named start, end, hash
    "keys": (types.int64, 1),  # open addressing, 0 is free
    "values": (types.int64, 1),
    "code": (types.int64, 1),  # programs of templates
    "literals": (types.uint8, 1),
    "lower": (types.int32, 1),  # of the code points below 0x2000
    "affixes": (types.int64, 2),  # (n, 4): start and end in `literals`, program, whether it is a suffix
    "title": (types.uint8, 1),
}
SLOTS = 4


class WorkType(types.Type):  # type: ignore[misc]
    """The address table, within kernels."""

    def __init__(self) -> None:
        super().__init__("Work")


WORK = WorkType()
register_model(WorkType)(models.OpaqueModel)


@infer_getattr
class _Fields(AttributeTemplate):  # type: ignore[misc]
    key = WorkType

    def generic_resolve(self, typ: Any, attr: str) -> Any:
        dtype, dimensions = FIELDS[attr]
        return types.Array(dtype, dimensions, "C")


@lower_getattr_generic(WorkType)
def _field(context: Any, builder: Any, typ: Any, value: Any, attr: str) -> Any:
    """Make the array of a field: it owns nothing, so that no reference is counted."""
    dtype, dimensions = FIELDS[attr]
    kind = types.Array(dtype, dimensions, "C")
    first = list(FIELDS).index(attr) * SLOTS
    word = ir.IntType(64)
    table = builder.bitcast(value, word.as_pointer())
    slots = [builder.load(builder.gep(table, [ir.Constant(word, first + i)])) for i in range(dimensions + 1)]
    array = make_array(kind)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(dtype))
    strides = [ir.Constant(word, size)]
    for extent in slots[:1:-1]:
        strides.insert(0, builder.mul(strides[0], extent))
    data = builder.inttoptr(slots[0], context.get_data_type(dtype).as_pointer())
    populate_array(
        array,
        data=data,
        shape=cgutils.pack_array(builder, slots[1:]),
        strides=cgutils.pack_array(builder, strides),
        itemsize=context.get_constant(types.intp, size),
        meminfo=None,
    )
    return array._getvalue()


@intrinsic
def work(typingctx: Any, table: Any) -> Any:
    """Take an array of FIELDS * SLOTS int64 for the working memory."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, args[0])
        return builder.bitcast(array.data, context.get_value_type(WORK))

    return WORK(table), codegen


def write(table: Any, name: str, array: Any) -> None:
    """Tell the table where an array is; the caller keeps the array."""
    first = list(FIELDS).index(name) * SLOTS
    assert array.flags.c_contiguous
    assert array.dtype == np.dtype(str(FIELDS[name][0]))
    table[first] = array.ctypes.data
    table[first + 1 : first + 1 + array.ndim] = array.shape
