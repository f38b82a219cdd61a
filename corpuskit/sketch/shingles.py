"""A text as a set of hashed shingles: runs of so many units of the normalised text.

A unit is a word, or a character of a script that is written without spaces. Normalisation follows datatrove's
`simplify_text`: lower case, accents and other combining marks removed (NFD), punctuation and symbols removed, a run
of digits becomes one 0, white space parts words. Never a sample of the shingles: one inserted word would change
which ones are sampled.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.text.kept import kept, source_of
from corpuskit.text.threads import side_by_side
from corpuskit.text.unicode import CODE_POINTS, utf8

# What becomes of a code point.
REMOVED, SPACE, LETTERS, DIGIT, UNIT = 0, 1, 2, 3, 4

#: Code points of scripts written without spaces between words, by Unicode's blocks.
UNSPACED = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # ideographic iteration mark, zero
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo
    (0x31F0, 0x31FF),  # Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA980, 0xA9DF),  # Javanese
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xFF66, 0xFF9D),  # halfwidth Katakana
    (0x1AFF0, 0x1B16F),  # Kana
    (0x20000, 0x33FFF),  # Han
)

# The longest that a text can become: a character of the scripts above takes its 3 bytes and a space.
GROWTH = 4


@dataclass(frozen=True, slots=True)
class Sketches:
    """Signatures of texts as (texts, permutations), and their sets, hashes[offsets[i]:offsets[i + 1]], ascending."""

    signatures: npt.NDArray[np.uint32]
    hashes: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]


def sketch(
    texts: pa.Array, width: int, permuted: npt.NDArray[np.uint32] | None = None, *, sets: bool = True
) -> Sketches:
    """Sketch a text column on every core: its sets of hashed shingles, and their MinHash signatures.

    A hash is xxh32, seed 0, of the shingle's UTF-8: `width` units with a space between. A text of fewer units has
    none, and a signature of 2^32 - 1 everywhere. Without `sets`, offsets count the shingles, repetitions too, and
    hashes are empty; without `permuted` (2, permutations), signatures have no columns.
    """
    from corpuskit.sketch import shingle_kernels

    data, offsets = utf8(texts)
    if permuted is None:
        permuted = np.empty((2, 0), np.uint32)
    signatures = np.full((len(texts), permuted.shape[1]), 0xFFFFFFFF, np.uint32)
    hashes = np.empty(int(offsets[-1] - offsets[0]) if sets else 0, np.uint32)  # each starts at a byte of its own
    counts = np.zeros(len(texts), np.int64)
    pieces: dict[int, npt.NDArray[np.uint32]] = {}

    def part(first: int, last: int) -> None:
        end = shingle_kernels.sketch(
            data, offsets, first, last, width, byte_tables(), permuted[0], permuted[1], signatures, hashes, counts
        )
        pieces[first] = hashes[int(offsets[first] - offsets[0]) : end]

    byte_tables()  # made once, before the threads
    side_by_side(part, offsets)
    kept = np.concatenate([pieces[first] for first in sorted(pieces)]) if sets and pieces else hashes[:0]
    return Sketches(signatures, kept, np.concatenate([[0], np.cumsum(counts)]))


def shingles(texts: pa.Array, width: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Give the sets of hashed shingles of a text column as (hashes, offsets); see `sketch`."""
    found = sketch(texts, width)
    return found.hashes, found.offsets


def digests(texts: pa.Array) -> tuple[bytes, npt.NDArray[np.uint64]]:
    """Give BLAKE2b (16 bytes) of every text with its white space collapsed, one after another; and a hash of each as
    it is: xxh3 of 64 bits."""
    import xxhash

    from corpuskit.sketch import shingle_kernels
    from corpuskit.text.characters import properties

    data, offsets = utf8(texts)
    out, sizes = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8), np.zeros(len(texts), np.int64)
    table = properties()
    side_by_side(lambda first, last: shingle_kernels.collapse(data, offsets, first, last, table, out, sizes), offsets)
    starts = offsets[:-1] - offsets[0]
    bounds = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
    collapsed = (out.data[start:stop] for start, stop in bounds)
    found = b"".join(hashlib.blake2b(text, digest_size=16).digest() for text in collapsed)
    plain = (data[start:stop].data for start, stop in itertools.pairwise(offsets.tolist()))
    return found, np.array([xxhash.xxh3_64_intdigest(text) for text in plain], np.uint64)


def normalised(text: str) -> str:
    """Give the normalised text, its units with a space between; `shingles` does the same to bytes."""
    kinds, starts, pool = _table()
    units: list[str] = [""]
    for char in text:
        code = ord(char)
        written = pool[starts[code] : starts[code + 1]].tobytes().decode()
        if kinds[code] == SPACE:
            units.append("")
        elif kinds[code] == UNIT:
            units += [written, ""]
        elif kinds[code] == LETTERS or (kinds[code] == DIGIT and not units[-1].endswith("0")):
            units[-1] += written
    return " ".join(unit for unit in units if unit)


@functools.lru_cache(maxsize=2)
def byte_tables(*, digits: bool = False) -> tuple[npt.NDArray[Any], ...]:
    """Give `_table`, and of every byte its class (a bit: letter, digit, space, not ASCII) and what it is written as.

    With `digits`, those of ASCII are letters.
    """
    kinds, starts, pool = _table()
    classes, written = np.full(256, 8, np.uint8), np.zeros(256, np.uint8)
    for code in range(128):
        classes[code] = {REMOVED: 0, LETTERS: 1, DIGIT: 2, SPACE: 4}[int(kinds[code])]
        written[code] = pool[starts[code]] if kinds[code] in (LETTERS, DIGIT) else 32
        if digits and kinds[code] == DIGIT:
            classes[code], written[code] = 1, code
    return kinds, starts, pool, classes, written


@functools.lru_cache(maxsize=1)
def _table() -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Give for every code point its kind, and what is written for it: pool[starts[code]:starts[code + 1]]."""
    version = f"{unicodedata.unidata_version} {CODE_POINTS} ".encode() + source_of(__file__)
    arrays = kept("shingles", version, _made)
    return arrays["kinds"], arrays["starts"], arrays["pool"]


def _made() -> dict[str, npt.NDArray[Any]]:
    unspaced = np.zeros(CODE_POINTS, np.bool_)
    for first, last in UNSPACED:
        unspaced[first : last + 1] = True
    kinds = np.zeros(CODE_POINTS, np.uint8)
    lengths = np.zeros(CODE_POINTS + 1, np.int32)
    written: list[bytes] = []
    for code in range(0x34000):  # nothing beyond is a letter
        kind, letters = _fate(chr(code))
        # What is written decides: a compatibility ideograph becomes one of Han.
        if kind == LETTERS and all(unspaced[ord(letter)] for letter in letters.decode()):
            kind = UNIT
        kinds[code], lengths[code + 1] = kind, len(letters)
        written.append(letters)
    pool = np.frombuffer(b"".join(written), np.uint8)
    return {"kinds": kinds, "starts": np.cumsum(lengths, dtype=np.int32), "pool": pool}


def _fate(char: str) -> tuple[int, bytes]:
    if char.isspace():
        return SPACE, b""
    if "가" <= char <= "힣":
        return LETTERS, char.encode()  # Hangul has no marks to remove: taken apart, it would only be longer
    kept = ""
    for part in unicodedata.normalize("NFD", char.lower()):
        category = unicodedata.category(part)
        if category == "Nd":
            return DIGIT, b"0"
        if category[0] in "LN" or category == "Mc":
            kept += "σ" if part == "ς" else part  # a final sigma is the same letter
    return (LETTERS, kept.encode()) if kept else (REMOVED, b"")
