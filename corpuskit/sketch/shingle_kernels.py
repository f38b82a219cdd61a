"""The loops over bytes behind `shingles.sketch`; import them only where they run, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from corpuskit.sketch.minhash_kernels import lower, mix
from corpuskit.sketch.shingles import DIGIT, GROWTH, REMOVED, SPACE, UNIT
from corpuskit.text.characters import SPACE as _WHITE
from corpuskit.text.unicode_kernels import code_point

_P1, _P2, _P3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)
_P4, _P5 = np.uint32(668265263), np.uint32(374761393)

# What an ASCII byte is to `normalise`, a bit each; 0 is removed.
_LETTER, _DIGIT, _SPACE, _WIDE = 1, 2, 4, 8


@njit(cache=True, nogil=True)
def sketch(
    data: Any,
    offsets: Any,
    first: int,
    last: int,
    width: int,
    tables: Any,
    factors: Any,
    summands: Any,
    signatures: Any,
    hashes: Any,
    counts: Any,
) -> Any:
    """Write the signatures and the shingle sets of texts first to last; give where the sets end in `hashes`.

    The sets of the texts follow each other from hashes[offsets[first] - offsets[0]], counts[i] each, ascending without
    repetition; without room in `hashes`, none are made. Without permutations, no signatures are.
    """
    longest = 0
    for text in range(first, last):
        longest = max(longest, offsets[text + 1] - offsets[text])
    scratch = np.empty(GROWTH * longest + 64, np.uint8)
    units = np.empty(longest + 3, np.int64)
    found = np.empty(longest + 64, np.uint32)
    spare = np.empty(longest + 64, np.uint32)
    wanted = len(hashes) > 0
    end = offsets[first] - offsets[0]
    for text in range(first, last):
        unit_count = normalise(data, offsets[text], offsets[text + 1], tables, scratch, units)
        count = max(0, unit_count - width + 1)
        for unit in range(count):
            # A unit starts one past the space before it.
            found[unit] = xxh32(scratch, units[unit], units[unit + width] - 1)
        if wanted:
            count = _sorted_set(found[:count], spare)
            hashes[end : end + count] = found[:count]
            end += count
        counts[text] = count
        if len(factors):
            mix(found, count)
            lower(found, count, factors, summands, signatures[text])
    return end


@njit(cache=True, nogil=True)
def normalise(data: Any, start: int, stop: int, tables: Any, scratch: Any, units: Any) -> Any:
    """Write a text's units to `scratch`, each with a space after it, and their starts to `units`; give their number.

    `units` gets one entry more: where the next unit would start. `tables` are (kinds, starts, pool) of all code
    points, and (classes, written) of bytes. ASCII has no branch: one a character would be guessed wrong at every word.
    """
    kinds, starts, pool, classes, written = tables
    count = filled = np.uint64(0)
    is_open = after_digit = np.uint8(0)
    one = np.uint64(1)
    units[0] = 0
    at = np.uint64(start)
    while at < np.uint64(stop):
        byte = data[at]
        kind = classes[byte]
        if kind != _WIDE:
            letter, digit, space = kind & np.uint8(1), (kind >> np.uint8(1)) & np.uint8(1), kind >> np.uint8(2)
            removed = np.uint8(kind == 0)
            ends = space & is_open
            scratch[filled] = written[byte]
            filled += np.uint64(letter | (digit & (after_digit ^ np.uint8(1))) | ends)
            units[count + one] = filled
            count += np.uint64(ends)
            is_open = letter | digit | (is_open & removed)
            after_digit = digit | (after_digit & removed)
            at += one
            continue
        char, size = code_point(data, np.int64(at), stop)
        at += np.uint64(size)
        kind = kinds[char]
        if kind == REMOVED:
            continue
        if is_open and (kind == SPACE or kind == UNIT):
            scratch[filled] = 32
            filled += one
            count += one
            units[count] = filled
            is_open = after_digit = np.uint8(0)
        if kind == SPACE or (kind == DIGIT and after_digit):
            continue
        for each in range(starts[char], starts[char + 1]):
            scratch[filled] = pool[each]
            filled += one
        after_digit = np.uint8(kind == DIGIT)
        is_open = np.uint8(1)
        if kind == UNIT:
            scratch[filled] = 32
            filled += one
            count += one
            units[count] = filled
            is_open = np.uint8(0)
    if is_open:
        scratch[filled] = 32
        filled += one
        count += one
        units[count] = filled
    return np.int64(count)


@njit(cache=True, nogil=True)
def collapse(data: Any, offsets: Any, first: int, last: int, properties: Any, out: Any, sizes: Any) -> None:
    """Write texts first to last to `out`, their words as they are with one space between: sizes[i] bytes of text i.

    Each begins where it began in `data`, counted from the first text; `out` has room for one byte more.
    """
    white, one = np.empty(128, np.uint8), np.uint64(1)
    for code in range(128):
        white[code] = np.uint8((properties[code] & _WHITE) != 0)
    for text in range(first, last):
        at, stop = np.uint64(offsets[text]), np.uint64(offsets[text + 1])
        begin = filled = np.uint64(offsets[text] - offsets[0])
        parted = np.uint8(0)
        while at < stop:
            byte = data[at]
            if byte < 128:
                is_white = white[byte]
                out[filled] = 32  # without a branch: what does not stay is written over
                filled += np.uint64(parted & (is_white ^ np.uint8(1)))
                out[filled] = byte
                filled += np.uint64(is_white ^ np.uint8(1))
                parted = is_white & np.uint8(filled > begin)
                at += one
                continue
            char, size = code_point(data, np.int64(at), np.int64(stop))
            if properties[char] & _WHITE:
                parted = np.uint8(filled > begin)
            else:
                if parted:
                    out[filled] = 32
                    filled += one
                    parted = np.uint8(0)
                for each in range(size):
                    out[filled] = data[at + np.uint64(each)]
                    filled += one
            at += np.uint64(size)
        sizes[text] = np.int64(filled - begin)


@intrinsic
def _word(context: Any, data: Any, at: Any) -> Any:
    """Load four bytes of an array as a number, the lowest first, wherever they lie."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = target.make_array(signature.args[0])(target, builder, arguments[0])
        byte = builder.gep(builder.bitcast(array.data, cgutils.voidptr_t), [arguments[1]])
        loaded = builder.load(builder.bitcast(byte, ir.IntType(32).as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint32(data, types.int64), generate


@njit(cache=True, nogil=True, inline="always")
def _rotated(value: Any, bits: int) -> Any:
    return np.uint32(np.uint32(value << np.uint32(bits)) | np.uint32(value >> np.uint32(32 - bits)))


@njit(cache=True, nogil=True, inline="always")
def _round(lane: Any, data: Any, at: int) -> Any:
    return np.uint32(_rotated(np.uint32(lane + np.uint32(_word(data, at) * _P2)), 13) * _P1)


@njit(cache=True, nogil=True, inline="always")
def _by_word(mixed: Any, data: Any, at: int) -> Any:
    return np.uint32(_rotated(np.uint32(mixed + np.uint32(_word(data, at) * _P3)), 17) * _P4)


@njit(cache=True, nogil=True, inline="always")
def _by_byte(mixed: Any, data: Any, at: int) -> Any:
    byte = _word(data, at) & np.uint32(255)
    return np.uint32(_rotated(np.uint32(mixed + np.uint32(byte * _P5)), 11) * _P1)


@njit(cache=True, nogil=True, inline="always")
def xxh32(data: Any, start: int, stop: int) -> Any:
    """Give xxh32 with seed 0 of data[start:stop] (XXH32 of the xxHash specification 0.1.1).

    May read, but not use, eight bytes past `stop`: what is left of a stripe is treated without a branch.
    """
    at = np.int64(start)
    if stop - start >= 16:
        one, two = np.uint32(_P1 + _P2), _P2
        three, four = np.uint32(0), np.uint32(np.uint32(0) - _P1)
        while at + 16 <= stop:
            one = _round(one, data, at)
            two = _round(two, data, at + 4)
            three = _round(three, data, at + 8)
            four = _round(four, data, at + 12)
            at += 16
        mixed = np.uint32(_rotated(one, 1) + _rotated(two, 7))
        mixed = np.uint32(mixed + np.uint32(_rotated(three, 12) + _rotated(four, 18)))
    else:
        mixed = _P5
    mixed = np.uint32(mixed + np.uint32(stop - start))
    left = stop - at
    for step in range(3):
        further = _by_word(mixed, data, at)
        taken = 4 * step + 4 <= left
        mixed = further if taken else mixed
        at += 4 if taken else 0
    left &= 3
    for step in range(3):
        further = _by_byte(mixed, data, at)
        taken = step < left
        mixed = further if taken else mixed
        at += 1 if taken else 0
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(15))) * _P2)
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(13))) * _P3)
    return np.uint32(mixed ^ (mixed >> np.uint32(16)))


@njit(cache=True, nogil=True)
def _sorted_set(values: Any, spare: Any) -> int:
    """Sort in place (by bytes, the lowest first) and remove repetitions; give what remains."""
    heads = np.zeros((4, 256), np.int64)
    for each in range(len(values)):
        value = values[each]
        heads[0, value & np.uint32(255)] += 1
        heads[1, (value >> np.uint32(8)) & np.uint32(255)] += 1
        heads[2, (value >> np.uint32(16)) & np.uint32(255)] += 1
        heads[3, value >> np.uint32(24)] += 1
    source, target = values, spare
    for place in range(4):
        total = 0
        for digit in range(256):
            before, total = total, total + heads[place, digit]
            heads[place, digit] = before
        shift = np.uint32(8 * place)
        for each in range(len(values)):
            which = np.uint64((source[each] >> shift) & np.uint32(255))
            target[np.uint64(heads[place, which])] = source[each]
            heads[place, which] += 1
        source, target = target, source
    kept = 0  # four passes: the result is in `values` again
    for each in range(len(values)):
        if each == 0 or values[each] != values[each - 1]:
            values[kept] = values[each]
            kept += 1
    return kept
