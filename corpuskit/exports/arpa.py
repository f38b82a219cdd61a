"""ARPA, the text form of n-gram models that KenLM and SRILM read: `model.arpa`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpuskit.exports import Format, Given


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write the model; of tokens, the words are their numbers."""
    from corpuskit.lm import arpa, ngram

    assert given.model is not None
    model = ngram.load(given.model)
    arpa.write(model, out / "model.arpa")
    return {"order": model.order}


FORMAT = Format(("ngram",), write)
