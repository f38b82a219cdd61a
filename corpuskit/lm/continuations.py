"""Let a model write on where documents stop, and hold that against how they went on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.errors import Unavailable
from corpuskit.lm.sampling import Sampling, sample

_PROMPT_TOKENS, _WRITTEN_TOKENS = 128, 32
_LEAST_TOKENS = 16


def measure(
    scorer: Any,
    decode: Callable[[npt.NDArray[Any]], str],
    tokens: npt.NDArray[Any],
    offsets: npt.NDArray[np.int64],
    count: int,
    end_id: int | None,
) -> dict[str, Any]:
    """Write 32 tokens after the first half (128 tokens at most) of up to `count` documents, always the likeliest.

    Gives BLEU and chrF of sacrebleu against the 32 tokens that stood there, with the signatures that make them
    comparable (Post 2018), and three samples. Documents of fewer than 16 tokens are passed over.
    Raises Unavailable without sacrebleu.
    """
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        remedy = "pip install 'corpuskit-pipeline[bleu]' (or '.[bleu]' in its source)"
        raise Unavailable("--continuations", "needs `sacrebleu`, which is not installed", remedy) from None
    written: list[str] = []
    wanted: list[str] = []
    samples: list[dict[str, str]] = []
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        ids = tokens[start:stop]
        if end_id is not None and len(ids) and ids[-1] == end_id:
            ids = ids[:-1]
        if len(ids) < _LEAST_TOKENS:
            continue
        half = min(len(ids) // 2, _PROMPT_TOKENS)
        drawn = sample(
            scorer.next_probabilities, ids[:half], tokens=_WRITTEN_TOKENS, end_id=end_id, how=Sampling(0.0), seed=0
        )
        found = np.array([each for each in drawn if each != end_id], np.int64)
        written.append(decode(found))
        wanted.append(decode(ids[half : half + _WRITTEN_TOKENS]))
        if len(samples) < 3:
            samples.append({"prompt": decode(ids[:half]), "written": written[-1], "stood_there": wanted[-1]})
        if len(written) == count:
            break
    if not written:
        return {"documents": 0, "bleu": None, "chrf": None, "samples": []}
    bleu, chrf = BLEU(), CHRF()
    scores = [metric.corpus_score(written, [wanted]).score for metric in (bleu, chrf)]
    return {
        "documents": len(written),
        "bleu": float(scores[0]),
        "chrf": float(scores[1]),
        "signatures": [str(bleu.get_signature()), str(chrf.get_signature())],
        "samples": samples,
    }
