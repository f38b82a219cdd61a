"""Tell signs apart, 64 bytes at once, for `line_signals_kernels`; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from corpuskit.text.vector_kernels import WIDTH, among, bits, vector_at

#: Bytes behind the 64 that are read too.
AHEAD = 3
#: What each of the phrases begins with, in small letters; the last with either of its ends.
_OPENINGS = (b"lore", b"java", b"term", b"priv", b"cook", b"use ", b"uses")


@intrinsic
def signs(context: Any, data: Any, at: Any) -> Any:
    """Tell what stands at each of data[at:at + 64]; no bounds are checked, and AHEAD bytes more are read.

    (characters, line feeds, other line breaks of str.splitlines, what may be a phrase, `#`, `{`, an ellipsis, three
    dots): bits of each, the first byte lowest.
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        long = ir.IntType(64)
        array, at = arguments
        vectors = []
        for step in range(AHEAD + 1):
            place = builder.add(at, ir.Constant(long, step))
            vectors.append(builder.load(vector_at(target, builder, signature.args[0], array, place, WIDTH), align=1))
        small = [builder.or_(vector, ir.Constant(vector.type, [0x20] * WIDTH)) for vector in vectors]

        def every(*flags: Any) -> Any:
            found = flags[0]
            for each in flags[1:]:
                found = builder.and_(found, each)
            return found

        def either(*flags: Any) -> Any:
            found = flags[0]
            for each in flags[1:]:
                found = builder.or_(found, each)
            return found

        def spelt(word: bytes, letters: Any) -> Any:
            return every(*(among(builder, letters[step], byte, byte) for step, byte in enumerate(word)))

        here = vectors[0]
        general = spelt(b"\xe2\x80", vectors)  # U+2000 to U+203F
        breaks = either(
            among(builder, here, 0x0B, 0x0D),
            among(builder, here, 0x1C, 0x1E),
            spelt(b"\xc2\x85", vectors),
            every(general, among(builder, vectors[2], 0xA8, 0xA9)),
        )
        found = [
            builder.not_(among(builder, here, 0x80, 0xBF)),
            among(builder, here, 10, 10),
            breaks,
            either(*(spelt(word, small) for word in _OPENINGS)),
            among(builder, here, ord("#"), ord("#")),
            among(builder, here, ord("{"), ord("{")),
            every(general, among(builder, vectors[2], 0xA6, 0xA6)),
            spelt(b"...", vectors),
        ]
        return target.make_tuple(builder, signature.return_type, [bits(builder, flags) for flags in found])

    return types.UniTuple(types.uint64, 8)(data, types.int64), generate
