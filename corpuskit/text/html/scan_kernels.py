"""Find bytes sixteen at a time; import it only where it runs, for numba's sake.

Half of a page of today is scripts, styles and values of attributes, of which nothing is wanted but where they end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from corpuskit.text.vector_kernels import WIDTH, bits, loaded, lowest, spread

_WIDE = 16
DATE = np.frombuffer(b"datePublished", np.uint8)
DATE_APART = 4  # its d and its P


@intrinsic
def _equal(context: Any, data: Any, at: Any, one: Any, other: Any) -> Any:
    """Compare data[at:at + 16] with two bytes: bit i is set where byte i equals one of them. No bounds are checked."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), _WIDE)
        array = target.make_array(signature.args[0])(target, builder, arguments[0])
        byte = builder.gep(builder.bitcast(array.data, cgutils.voidptr_t), [arguments[1]])
        loaded = builder.load(builder.bitcast(byte, vector.as_pointer()))
        loaded.align = 1
        hits = [builder.icmp_unsigned("==", loaded, spread(builder, vector, wanted)) for wanted in arguments[2:]]
        mask = builder.bitcast(builder.or_(*hits), ir.IntType(_WIDE))
        return builder.zext(mask, ir.IntType(64))

    return types.uint64(data, types.int64, types.uint8, types.uint8), generate


@njit(cache=True, nogil=True)
def find(data: Any, at: int, size: int, one: Any, other: Any) -> Any:
    """Give the place of the first byte from `at` on that is `one` or `other`; `size` where there is none."""
    while at + _WIDE <= size:
        hits = _equal(data, at, one, other)
        if hits:
            return at + lowest(hits)
        at += _WIDE
    while at < size and data[at] != one and data[at] != other:
        at += 1
    return at


@intrinsic
def _apart(context: Any, data: Any, at: Any, one: Any, between: Any, other: Any) -> Any:
    """Look for `one` at data[at:at + 64], `between` bytes before `other`: bit i is set where they stand at at + i."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        text, at, one, between, other = arguments
        hits = [
            builder.icmp_unsigned("==", vector, spread(builder, vector.type, wanted))
            for vector, wanted in (
                (loaded(target, builder, data, text, at), one),
                (loaded(target, builder, data, text, builder.add(at, between)), other),
            )
        ]
        return bits(builder, builder.and_(*hits))

    return types.uint64(data, types.int64, types.uint8, types.int64, types.uint8), generate


@njit(cache=True, nogil=True)
def find_word(data: Any, at: int, stop: int, word: Any, apart: int) -> Any:
    """Give the place of the first `word` in data[at:stop]; `stop` where there is none.

    Looked for are its first byte and the one `apart` bytes behind it: those that stand together least often.
    """
    last = stop - len(word)
    while at <= last:
        hits = (
            _apart(data, at, word[0], apart, word[apart])
            if at + apart + WIDTH <= len(data)
            else np.uint64(0xFFFFFFFFFFFFFFFF)
        )
        while hits:
            place = at + lowest(hits)
            if place <= last and _is_word(data, place, word):
                return place
            hits &= hits - np.uint64(1)
        at += WIDTH
    return stop


@njit(cache=True, nogil=True)
def _is_word(data: Any, at: int, word: Any) -> Any:
    same = True
    for each in range(len(word)):
        same &= data[at + each] == word[each]
    return same
