"""Tell what 64 bytes of text are at once, a bit for each; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from corpuskit.text.vector_kernels import WIDTH, among, bits, loaded, vector_at

_LONG = ir.IntType(64)
#: Kinds of bytes, as ranges: small letters, capitals, digits, commas, ends of sentences, signs of no language, all that
#: is not ASCII, what of it begins no character, what begins one of two bytes, other than some signs and marks.
_KINDS = (
    (b"az",), (b"AZ",), (b"09",), (b",,", b";;"), (b"..", b"!!", b"??"),
    (b"#&", b"*+", b"//", b"<>", b"@@", b"[`", b"{~"),
    (b"\x80\xff",), (b"\x80\xbf",), (b"\xc3\xd7", b"\xd9\xda", b"\xdc\xdf"),
)  # fmt: skip


@intrinsic
def kinds(context: Any, text: Any, at: Any) -> Any:
    """Tell text[at:at + 64] apart: bits for each of _KINDS. No bounds are checked."""
    made = types.UniTuple(types.uint64, len(_KINDS))

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = loaded(target, builder, signature.args[0], *arguments)
        found = []
        for ranges in _KINDS:
            flags = [among(builder, vector, first, last) for first, last in ranges]
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
        into = vector_at(target, builder, signature.args[2], arguments[2], arguments[3], WIDTH)
        builder.store(vector, into, align=1)
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

        def between(first: int, last: int) -> Any:
            return bits(builder, among(builder, vector, first, last))

        def here(*values: int) -> Any:
            """Tell where these bytes stand behind each other, or may."""
            found = between(values[0], values[0])
            for step, value in enumerate(values[1:], 1):
                behind = builder.lshr(between(value, value), ir.Constant(_LONG, step))
                unknown = ir.Constant(_LONG, (1 << step) - 1 << WIDTH - step)
                found = builder.and_(found, builder.or_(behind, unknown))
            return found

        white, look = between(9, 13), here(ord("<"))
        for byte in (32, 0):
            white = builder.or_(white, here(byte))
        for values in (b"&", b"\xc2\xa0", b"\xe2\x80\x8b", b"\xef\xbb\xbf", b"\xe3\x80\x80"):
            look = builder.or_(look, here(*values))
        return target.make_tuple(builder, signature.return_type, [white, look, here(32)])

    return types.UniTuple(types.uint64, 3)(data, types.int64), generate
