"""MinHash signatures of shingle sets, bit-identical to those of datasketch 2 (scheme `affine32`).

Broder 1997. The signature of a set is, for each of many permutations of the hashes, the smallest value: two sets agree
in a place with a probability of their Jaccard similarity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

#: The seed of the permutations, datasketch's default: signatures of two runs compare.
SEED = 1


def permutations(count: int, seed: int) -> npt.NDArray[np.uint32]:
    """Give datasketch's permutations h -> a * h + b modulo 2^32 as (2, count): a, all odd, and b.

    Drawn as it draws them: to import it takes over a second, in every process.
    """
    random = np.random.RandomState(seed)
    factors = random.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.stack([factors, random.randint(0, 1 << 32, count, dtype=np.uint32)])


def signatures(
    hashes: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], permuted: npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    """Give the signatures of sets of 32-bit hashes, hashes[offsets[i]:offsets[i + 1]] each, as (sets, permutations).

    The same bits as `datasketch.MinHash(scheme="affine32").update` of elements with these hashes; an empty set has
    2^32 - 1 everywhere.
    """
    from corpuskit.sketch import minhash_kernels

    out = np.full((len(offsets) - 1, permuted.shape[1]), 0xFFFFFFFF, np.uint32)
    minhash_kernels.minimums(hashes, offsets, permuted[0], permuted[1], out)
    return out


def to_datasketch(signatures: npt.NDArray[np.uint32] | pa.Array, *, seed: int = SEED) -> Iterator[Any]:
    """Give signatures, or a column `signature` of `dedup --save-signatures`, as `datasketch.MinHash` objects.

    They compare, merge and go into its LSH indexes, and take further shingles by `update`.
    """
    import datasketch
    import xxhash

    rows: Iterable[Any] = (
        signatures if isinstance(signatures, np.ndarray) else signatures.to_numpy(zero_copy_only=False)
    )
    permuted = None
    for row in rows:
        values = np.asarray(row, np.uint32)
        if permuted is None or permuted.shape[1] != len(values):
            permuted = permutations(len(values), seed)
        yield datasketch.MinHash(
            num_perm=len(values),
            seed=seed,
            hashfunc=xxhash.xxh32_intdigest,
            hashvalues=values,
            permutations=permuted,
            scheme="affine32",
        )
