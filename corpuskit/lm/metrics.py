"""What is said of a model on held-out text, so that models with any tokenizers compare.

* perplexity = exp(nats / tokens), end marks counted in both.
* bits per byte = (nats - nats of end marks) / (ln 2 * UTF-8 bytes of the text), as lm-eval has it.
* gzip and zstd: 8 * compressed bytes / bytes of the documents' texts joined by newlines, which they compress as one
  stream: gzip -9 sees the last 32 KiB, zstd -19 about 8 MiB, where a model sees its own document only.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

#: What a model that knows nothing pays: all 256 byte values are as likely.
UNIFORM_BITS = 8.0


def perplexity(nats: float, tokens: int) -> float | None:
    """Give exp(nats / tokens); None without tokens, or where it is beyond a float."""
    if not tokens or not nats / tokens < 700:
        return None
    return math.exp(nats / tokens)


def bits_per_byte(nats: float, nats_end: float, n_bytes: int) -> float | None:
    """Give the bits per UTF-8 byte that the text itself costs; None without bytes, or where it is not finite."""
    bits = (nats - nats_end) / (math.log(2) * n_bytes) if n_bytes else math.nan
    return bits if math.isfinite(bits) else None


def compressors(chunks: Iterable[bytes]) -> dict[str, float | None]:
    """Give the bits per byte of gzip -9 and zstd -19 over the chunks as one stream; None where they are empty."""
    import zstandard

    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    zstd = zstandard.ZstdCompressor(level=19).compressobj()
    n_bytes = gzip_bytes = zstd_bytes = 0
    for chunk in chunks:
        n_bytes += len(chunk)
        gzip_bytes += len(gzip.compress(chunk))
        zstd_bytes += len(zstd.compress(chunk))
    gzip_bytes += len(gzip.flush())
    zstd_bytes += len(zstd.flush())
    if not n_bytes:
        return {"gzip": None, "zstd": None}
    return {"gzip": 8 * gzip_bytes / n_bytes, "zstd": 8 * zstd_bytes / n_bytes}


def joined(texts: Iterable[str]) -> Iterable[bytes]:
    """Join texts by newlines, as UTF-8 chunks."""
    for at, text in enumerate(texts):
        yield (b"\n" if at else b"") + text.encode("utf-8")
