"""Mix sources by weight: leave documents of some out, take those of others several times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import UsageError
from corpuskit.tokens.packing import share

#: The reason that marks documents that a weight below 1 leaves out.
WEIGHT = "weight"
#: Text that is read so often teaches nothing more (Muennighoff et al. 2023).
MOST = 16.0
_SALT = b"corpuskit weight\0"


def parse(words: Sequence[str]) -> dict[str, float]:
    """Read `SOURCE=FACTOR` words. A source may have `=` in its name. Raises UsageError."""
    weights: dict[str, float] = {}
    for word in words:
        source, sign, number = word.rpartition("=")
        try:
            factor = float(number)
        except ValueError:
            factor = math.nan
        if not sign or not 0 <= factor <= MOST:
            raise UsageError(
                "--weight", f"expected SOURCE=FACTOR, a factor of 0 to {MOST:g}, got {word!r}", "for example books=2.5"
            )
        if source in weights:
            raise UsageError("--weight", f"{source!r} has two factors", "give it one")
        weights[source] = factor
    return weights


def copies(ids: pa.Array, sources: pa.Array, weights: Mapping[str, float], seed: int) -> npt.NDArray[np.int64]:
    """Say how often each document is taken: the whole part of its source's factor, and once more for a share of them.

    Which ones hangs on id and seed alone; a larger factor takes no document less often. Sources without a weight
    count 1; a document without a source is of the source "".
    """
    counts = np.ones(len(ids), np.int64)
    if not weights:
        return counts
    names = sources.cast(pa.string()).fill_null("")
    for source, factor in weights.items():
        rows = np.flatnonzero(pc.equal(names, source).to_numpy(zero_copy_only=False))
        if len(rows):
            more = share(ids.take(pa.array(rows)), _SALT, seed) < factor - math.floor(factor)
            counts[rows] = math.floor(factor) + more
    return counts
