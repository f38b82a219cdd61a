"""How likely documents are to an n-gram model, as CCNet ranks pages by one of Wikipedia (Wenzek et al. 2020).

A low perplexity is text like the model's own. It compares between documents of one model only.

A model of tokens reads a document as `train ngram` did: as one sentence, with its end mark, in the ids of the
tokenizer in the model's folder. A model of words reads each line as a sentence, words as white space parts them, and
passes over blank lines; the text is not lower-cased nor are its punctuation marks parted, so a model for raw text is
one of raw text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, UsageError
from corpuskit.lm import ngram, words
from corpuskit.tokens import bpe

_TOKENIZER = "tokenizer"
_ROWS = 1024  # documents held as Python strings at a time
_Tokens = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Perplexity:
    """An n-gram model and what turns text into its ids: a tokenizer, or ids by word."""

    model: ngram.NgramModel
    tokenizer: bpe.TextTokenizer | None
    known: dict[bytes, int]

    @classmethod
    def load(cls, path: Path, tokenizer: Path | None = None) -> Perplexity:
        """Open a model of `train ngram`; `tokenizer` is for one of tokens that came without its own.

        Raises BadData where the files are not what they should be, UsageError where a tokenizer is missing or another.
        """
        model = ngram.load(path)
        if model.input == "words":
            return cls(model, None, {word: at + 1 for at, word in enumerate(model.words)})
        own = path / _TOKENIZER if (path / _TOKENIZER).is_dir() else tokenizer
        if own is None:
            remedy = "train it on a dataset that carries one, or name the tokenizer"
            raise UsageError(str(path), "the model came without its tokenizer", remedy)
        loaded = bpe.load(own)
        if own is tokenizer and loaded.vocab_size < model.vocab_size:
            problem = f"it has {loaded.vocab_size} ids, the model {model.vocab_size}"
            raise UsageError(str(own), f"expected the tokenizer of the model: {problem}", "name the one it learnt with")
        return cls(model, loaded, {})

    def measure(self, texts: pa.Array) -> pa.Array:
        """Give exp(nats / tokens) of each text (float32), end marks counted in both; null for what has no token."""
        found = [
            self._measure(texts.slice(start, _ROWS).fill_null("").to_pylist()) for start in range(0, len(texts), _ROWS)
        ]
        return pa.concat_arrays(found) if found else pa.array([], pa.float32())

    def _measure(self, texts: list[str]) -> pa.Array:
        if self.tokenizer is not None:
            nats, tokens = self._by_tokens(texts, self.tokenizer)
        else:
            nats, tokens = self._by_words(texts)
        if not np.isfinite(nats).all():
            raise BadData(str(self.model.path), "it gives a text no probability", "its training went wrong: train anew")
        empty = tokens == 0
        mean = np.minimum(nats / np.maximum(tokens, 1), np.log(np.finfo(np.float32).max))
        return pa.array(np.exp(mean).astype(np.float32), mask=empty)

    def _by_tokens(
        self, texts: list[str], tokenizer: bpe.TextTokenizer
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Give the nats and the number of tokens of each text."""
        ids, offsets = tokenizer.encode(texts)
        filled = np.diff(offsets) > 0
        tokens = np.diff(offsets) + filled
        ends = np.concatenate([[0], np.cumsum(tokens)]).astype(np.int64)
        nats, _ = self.model.score(np.insert(ids, offsets[1:][filled], tokenizer.end_id), ends)
        return nats, tokens

    def _by_words(self, texts: list[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Give the nats and the number of words and line ends of each text."""
        whole = "\n".join(texts).encode("utf-8", "surrogateescape") + b"\n"
        lines = words._encode(iter([whole]), self.known, self.model.unknown, None)
        nats, _ = self.model.score(lines.tokens, lines.offsets)
        sizes = np.diff(lines.offsets)
        sizes[sizes == 1] = 0  # a blank line, whose end mark says nothing
        nats[sizes == 0] = 0
        of_text = np.repeat(np.arange(len(texts)), [text.count("\n") + 1 for text in texts])
        totals = np.bincount(of_text, sizes, len(texts)).astype(np.int64)
        return np.bincount(of_text, nats, len(texts)).astype(np.float64), totals
