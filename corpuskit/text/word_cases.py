"""Words that are parted, or kept whole, by heart: contractions, abbreviations, emoticons.

The regular part of the exceptions of spaCy's English tokenizer. In texts of other languages few of them occur, and the
rest of the parting is by signs alone.
"""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

#: The longest case in characters: longer pieces of text are not looked up.
LONGEST = 16

#: The signs that `plain_words_kernels` takes from a word, before it and behind.
OPENING, CLOSING = '"([', '"),:;!?]'
#: How it must look at a word twice: whatever stands beside it, or where a full stop comes next.
ALONE, DOTTED = 1, 2
BESIDE_BITS = 13

_CLITICS = {
    "i": "'ll 've 'd 'm", "you": "'ll 've 'd 're", "he": "'ll 'd 's", "she": "'ll 'd 's", "it": "'ll 'd 's",
    "we": "'ll 've 'd 're", "they": "'ll 've 'd 're",
}  # fmt: skip
_ANY_CLITIC = "'ll 've 'd 're 's"
# Without their apostrophe these are words of their own.
_AMBIGUOUS = frozenset(("ill", "shell", "hell", "its", "shed", "wed", "were", "well", "whore"))

_HALVES = ("am", "pm", "a.m.", "p.m.")
_FILE = Path(__file__).parent / "data" / "word_cases.txt"


@functools.lru_cache(maxsize=1)
def _lists() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in _FILE.read_text(encoding="utf-8").splitlines()[2:]:
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
        else:
            found.setdefault(name, []).extend(line.split())
    return found


@functools.lru_cache(maxsize=1)
def cases() -> dict[str, tuple[int, ...]]:
    """Give every case with the lengths of its pieces in characters."""
    found: dict[str, tuple[int, ...]] = {word: (len(word),) for word in _lists()["whole"]}
    found |= {f"{chr(letter)}.": (2,) for letter in range(ord("a"), ord("z") + 1)}
    found |= {f"{hour}{part}": (len(str(hour)), len(part)) for hour in range(1, 13) for part in _HALVES}
    for parted in itertools.chain(_lists()["parted"], _contractions()):
        pieces = parted.split("|")
        found["".join(pieces)] = tuple(map(len, pieces))
    found |= {word.replace("'", "’"): lengths for word, lengths in found.items() if "'" in word}
    return {word: lengths for word, lengths in found.items() if len(word) <= LONGEST}


def _contractions() -> list[str]:
    found = []
    for stem in _lists()["not"]:
        for ending in ("n't", "n't|'ve", "nt", "nt|ve"):
            found.append(f"{stem}|{ending}")
    found += [f"{stem}|{ending}" for stem in ("could", "might", "must", "should", "would") for ending in ("'ve", "ve")]
    for subject in _lists()["subjects"]:
        for clitic in _CLITICS.get(subject, _ANY_CLITIC).split():
            found.append(f"{subject}|{clitic}")
            if subject + clitic[1:] not in _AMBIGUOUS:
                found.append(f"{subject}|{clitic[1:]}")
        found += [f"{subject}|'{modal}|'ve" for modal in ("ll", "d")]
    return found + [word[0].upper() + word[1:] for word in found]


@functools.lru_cache(maxsize=1)
def table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Give the cases as (slots, pieces): an open-addressing table with, in its rows, hashes by `hashed` and where in
    `pieces` the number of pieces and their lengths stand. Units stand there behind a NUL."""
    known = cases() | {f"\0{unit}": (len(unit),) for unit in _lists()["units"]}
    size = 4096
    slots = np.zeros((2, size), np.uint64)
    pieces: list[int] = []
    for word in sorted(known):
        key = hashed(word)
        slot = key % size
        while slots[0, slot]:
            slot = (slot + 1) % size
        slots[:, slot] = key, len(pieces)
        pieces += [len(known[word]), *known[word]]
    return slots, np.array(pieces, np.int32)


@functools.lru_cache(maxsize=1)
def beside() -> npt.NDArray[np.uint16]:
    """Give, by the hash of words of letters or figures, whether they or they with signs are a case.

    Above ALONE and DOTTED stand fourteen bits of the hash; 0 where words share an entry, which then is of any word.
    """
    table = np.zeros(1 << BESIDE_BITS, np.uint16)
    for case in cases():
        match = re.fullmatch(rf"[{re.escape(OPENING)}]*([^\W\d_]+|[0-9]+)([{re.escape(CLOSING)}.]*)", case)
        if match:
            word = match[1].encode()
            key = (int.from_bytes(word[:8], "little") + len(word)) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
            slot, mark, bits = key >> 64 - BESIDE_BITS, key >> 8 & 0x3FFF, int(table[key >> 64 - BESIDE_BITS])
            how = (DOTTED if case == f"{match[1]}." else ALONE) | bits & 3
            table[slot] = how | (mark << 2 if not bits or bits >> 2 == mark else 0)
    return table


def hashed(word: str) -> int:
    """Hash the code points of a word as the compiled loops do."""
    found = 0
    for char in word:
        found = (found * 0x9E3779B97F4A7C15 + ord(char) + 1) & 0xFFFFFFFFFFFFFFFF
    return (found ^ found >> 29) or 1
