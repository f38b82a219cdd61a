"""The commonest words of a language, by which text of that language is known: Gopher's rule, beyond English.

English has Gopher's eight words (Rae et al. 2021). The lists of other languages, `data/stopwords.tsv`, were counted as
FineWeb2 does (Penedo et al. 2025, arXiv 2506.20920): the words that make up 0.8 % of a language's text or more, at
least eight and at most fifteen. They are lower-case words of the sentences of the Leipzig Corpora Collection.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")

_LISTS = Path(__file__).parent / "data" / "stopwords.tsv"
_SEED, _MIX, _MASK = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xFFFFFFFFFFFFFFFF


@functools.lru_cache(maxsize=1)
def lists() -> dict[str, tuple[str, ...]]:
    """Give the stop words of every language that has a list, by all its codes (ISO 639-1 and -3)."""
    found: dict[str, tuple[str, ...]] = {"en": ENGLISH, "eng": ENGLISH}
    for line in _LISTS.read_text(encoding="utf-8").splitlines():
        codes, _, words = line.partition("\t")
        if not line.startswith("#"):
            found |= dict.fromkeys(codes.split(), tuple(words.split()))
    return found


def listed(languages: pa.Array | None, count: int) -> npt.NDArray[np.int64]:
    """Give the number of each row's list in `table`, -1 without one; English where no language is named."""
    numbers = {code: at for at, code in enumerate(lists())}
    if languages is None:
        return np.full(count, numbers["en"], np.int64)
    encoded = languages.cast(pa.string()).dictionary_encode()
    codes = [str(value or "").replace("_", "-").partition("-")[0].lower() for value in encoded.dictionary.to_pylist()]
    by_code = np.array([numbers.get(code, -1) if code else numbers["en"] for code in codes] + [numbers["en"]])
    rows = pc.fill_null(encoded.indices, len(codes)).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int64] = by_code.astype(np.int64)[rows]
    return found


@functools.lru_cache(maxsize=1)
def table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Give the hashes of all lists, one list after another in the order of `lists`, and where each starts."""
    found = [[hashed(word) for word in words] for words in lists().values()]
    starts = np.cumsum([0, *map(len, found)], dtype=np.int64)
    return np.array([key for keys in found for key in keys], np.uint64), starts


def hashed(word: str) -> int:
    """Hash a word's UTF-8 as `bytes_kernels.hashed` does."""
    data = word.encode()
    key = _SEED ^ len(data)
    while len(data) > 8:
        key = (key ^ int.from_bytes(data[:8], "little")) * _MIX & _MASK
        key ^= key >> 32
        data = data[8:]
    key = (key ^ int.from_bytes(data, "little")) * _SEED & _MASK
    key = (key ^ key >> 32) * _MIX & _MASK
    return (key ^ key >> 29) or 1
