"""Tell how well a vocabulary fits texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from corpuskit.tokens.bpe import TextTokenizer

_LISTED = 20
_TEXTS = 4096  # encoded at a time


def measure(tokenizer: TextTokenizer, texts: Sequence[str], languages: Sequence[str]) -> dict[str, Any]:
    """Give, JSON-ready: bytes a token, by language too; entries that no text needs; the longest entries.

    `languages` names that of each text. Entries are given as their text; the bytes of one that is no text of its own
    show as U+FFFD. Special tokens are no entries here.
    """
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    totals: dict[str, list[int]] = {}
    for start in range(0, len(texts), _TEXTS):
        part = texts[start : start + _TEXTS]
        ids, offsets = tokenizer.encode(part)
        counts += np.bincount(ids, minlength=tokenizer.vocab_size)
        for text, language, tokens in zip(part, languages[start:], np.diff(offsets).tolist(), strict=False):
            total = totals.setdefault(language, [0, 0])
            total[0] += len(text.encode())
            total[1] += tokens
    n_bytes, tokens = (sum(total[at] for total in totals.values()) for at in (0, 1))
    names = _names(tokenizer)
    unused = [at for at in sorted(names) if counts[at] == 0]
    longest = sorted(names, key=lambda at: (-_size(names[at]), at))[:_LISTED]
    return {
        "entries": tokenizer.vocab_size,
        "measured_bytes": n_bytes,
        "measured_tokens": tokens,
        "bytes_per_token": _ratio(n_bytes, tokens),
        "languages": {
            name: {"bytes": total[0], "tokens": total[1], "bytes_per_token": _ratio(*total)}
            for name, total in sorted(totals.items(), key=lambda each: (-each[1][0], each[0]))
        },
        "unused": {"count": len(unused), "entries": [names[at] for at in unused[-_LISTED:]]},
        "longest": [{"entry": names[at], "id": at, "count": int(counts[at])} for at in longest],
    }


def _names(tokenizer: TextTokenizer) -> dict[int, str]:
    """Give the text of every entry that is not special."""
    special = {at for at, token in tokenizer.backend.get_added_tokens_decoder().items() if token.special}
    ids = [at for at in tokenizer.backend.get_vocab(with_added_tokens=True).values() if at not in special]
    texts = tokenizer.backend.decode_batch([[at] for at in ids], skip_special_tokens=False)
    return dict(zip(ids, texts, strict=True))


def _size(entry: str) -> int:
    return len(entry if "\ufffd" in entry else entry.encode())  # U+FFFD stands for a byte


def _ratio(n_bytes: int, tokens: int) -> float | None:
    return round(n_bytes / tokens, 4) if tokens else None
