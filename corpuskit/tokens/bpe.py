"""Byte-level BPE: learn a tokenizer, load anybody's, turn texts into flat arrays of ids and back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import NoInput, UsageError
from corpuskit.schema import token_type
from corpuskit.tokens.fast import FastEncoder, agrees, open_fast

#: The end-of-document mark of the tokenizers that this package makes; its id is 0.
END_OF_TEXT = "<|endoftext|>"
#: The smallest vocabulary: every byte and the mark.
MIN_VOCAB_SIZE = 257
TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"

# What `transformers` reads of a tokenizer; a model's weights beside them are not copied.
_FILES = (TOKENIZER, CONFIG, "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt")
# A pair seen once teaches nothing.
_MIN_PAIR_COUNT = 2
# The trainer scans a word for every merge of a pair in it: one word of 1 MB of random letters took 392 s.
_LONGEST_WORD_CHARS = 512
_LONG_WORD = re.compile(r"([^\W\d_]{512}|\d{512}|(?:[^\w \t-\r]|_){512}|\s{512})")
# `tokenizers` needs about 110 bytes of memory for a byte of text in flight.
_CHUNK_CHARS = 1 << 19
# Where the GPT-2 pattern always ends a word, whatever comes before and after.
_CUT = re.compile(r"(?<=\S)[ \n]")
# The fast encoder needs some ten bytes for a byte of text.
_FAST_CHARS = 1 << 22
_NO_LIMIT = int(1e30)  # what `transformers` writes for "no limit"


@dataclass(frozen=True, slots=True)
class TextTokenizer:
    """A tokenizer ready for use: its `tokenizers` object, largest id + 1, and its end-of-document mark."""

    backend: Any
    vocab_size: int
    end_token: str
    end_id: int
    cuttable: bool  # long texts may be cut at `_CUT` without a change of ids
    fast: FastEncoder | None = None  # gives the same ids

    @property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest dtype of its ids: uint16 or uint32."""
        return np.dtype(np.uint16 if token_type(self.vocab_size) == pa.uint16() else np.uint32)

    @property
    def id_type(self) -> pa.DataType:
        """The same as an Arrow type."""
        return token_type(self.vocab_size)

    def encode(
        self, texts: Sequence[str], chunk_chars: int = _CHUNK_CHARS
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Give (ids, offsets): text i has ids[offsets[i]:offsets[i + 1]], without marks at its start or end.

        Special tokens that a text spells out are plain text. The ids are those of `tokenizers`, whatever
        `chunk_chars`, which bounds the memory.
        """
        if self.fast is not None:
            return self._fast(self.fast, texts)
        parts = [np.empty(0, self.dtype)]
        lengths = np.zeros(len(texts), np.int64)
        for pieces, owners in self._chunks(texts, chunk_chars):
            encodings = self.backend.encode_batch_fast(pieces, add_special_tokens=False)
            counts = np.fromiter(map(len, encodings), np.int64, len(encodings))
            ids = chain.from_iterable(encoding.ids for encoding in encodings)
            parts.append(np.fromiter(ids, self.dtype, int(counts.sum())))
            np.add.at(lengths, owners, counts)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return np.concatenate(parts), offsets

    def _fast(self, fast: FastEncoder, texts: Sequence[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        parts, offsets, start = [np.empty(0, self.dtype)], [np.zeros(1, np.int64)], 0
        while start < len(texts):
            end, chars = start, 0
            while end < len(texts) and (end == start or chars + len(texts[end]) <= _FAST_CHARS):
                chars += len(texts[end])
                end += 1
            ids, ends = fast.encode(texts[start:end])
            parts.append(ids.astype(self.dtype))
            offsets.append(ends[1:] + offsets[-1][-1])
            start = end
        return np.concatenate(parts), np.concatenate(offsets)

    def differing(self, texts: Sequence[str]) -> int | None:
        """Give the first text whose ids are not those of `tokenizers`, None where all are the same."""
        if self.fast is None or agrees(self.fast, self.backend, texts):
            return None
        return next((at for at, text in enumerate(texts) if not agrees(self.fast, self.backend, [text])), 0)

    def decode(self, ids: npt.NDArray[Any] | Sequence[int]) -> str:
        """Give the text of ids; special tokens, the end mark among them, are left out."""
        return str(self.backend.decode(np.asarray(ids).tolist(), skip_special_tokens=True))

    def _chunks(self, texts: Sequence[str], chunk_chars: int) -> Iterator[tuple[list[str], list[int]]]:
        """Group texts, long ones in pieces, into lists of about `chunk_chars` characters."""
        pieces: list[str] = []
        owners: list[int] = []
        chars = 0
        for owner, text in enumerate(texts):
            for piece in cut(text, chunk_chars) if self.cuttable else (text,):
                if pieces and chars + len(piece) > chunk_chars:
                    yield pieces, owners
                    pieces, owners, chars = [], [], 0
                pieces.append(piece)
                owners.append(owner)
                chars += len(piece)
        if pieces:
            yield pieces, owners


def learn(texts: Iterable[str], vocab_size: int) -> Any:
    """Learn a byte-level BPE tokenizer with GPT-2's pattern; give the `tokenizers.Tokenizer`.

    Ids: 0 is `<|endoftext|>`, then the 256 bytes, then the merges, at most `vocab_size` in all (fewer where no pair
    occurs twice). Decoding gives back any text. Depends on the texts alone: not on their order, nor on threads.
    Runs of more than 512 letters, digits or others count as several words. Sennrich et al. 2016; Radford et al. 2019.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=_MIN_PAIR_COUNT,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(chain.from_iterable(map(_without_long_words, texts)), trainer)
    return tokenizer


def save(tokenizer: Any, folder: Path) -> None:
    """Write what `transformers.AutoTokenizer` loads: tokenizer.json and tokenizer_config.json.

    The mark begins, ends and pads a sequence: what comes before a document is the mark of the one before it. There
    is no token for the unknown, since every byte has one.
    """
    tokenizer.save(str(folder / TOKENIZER))
    _write_json(folder / CONFIG, _config(END_OF_TEXT) | {"bos_token": END_OF_TEXT, "pad_token": END_OF_TEXT})


def load(path: Path, end_token: str | None = None, *, fast: bool = False) -> TextTokenizer:
    """Load a tokenizer from its folder or its `tokenizer.json`; with `fast`, encode by fastokens where that is exact.

    Its end-of-document mark is `end_token`, else the `eos_token` of tokenizer_config.json, else `<|endoftext|>`.
    Truncation and padding that the file asks for are off. Raises NoInput and UsageError.
    """
    from tokenizers import AddedToken, Tokenizer

    file = _tokenizer_file(path)
    try:
        backend = Tokenizer.from_file(str(file))
    except Exception as error:  # `tokenizers` raises no narrower class
        raise UsageError(
            "--tokenizer", f"{file.name} is not a tokenizer: {error}", f"give a {TOKENIZER} of `tokenizers`"
        ) from None
    end = end_token or _configured_end(path) or END_OF_TEXT
    end_id = backend.token_to_id(end)
    if end_id is None:
        raise UsageError("--tokenizer", _why_no_end(path, end_token), "name one of its tokens with --eos-token")
    if not any(token.content == end and token.special for token in backend.get_added_tokens_decoder().values()):
        backend.add_special_tokens([AddedToken(end, special=True)])  # keeps its id
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # that is: as the plain text that they are
    vocab_size = max(backend.get_vocab(with_added_tokens=True).values()) + 1
    encoder = open_fast(backend) if fast else None
    return TextTokenizer(backend, vocab_size, end, end_id, _is_cuttable(backend), encoder)


def copy(path: Path, out: Path, end_token: str | None = None) -> None:
    """Copy a tokenizer's files, and nothing else; `load(out)` finds the mark that `load(path, end_token)` does."""
    end = load(path, end_token).end_token
    if path.is_file():
        shutil.copyfile(path, out / TOKENIZER)
    else:
        for name in _FILES:
            if (path / name).is_file():
                shutil.copyfile(path / name, out / name)
    if _configured_end(out) != end:
        _write_json(out / CONFIG, _config(end) | _read_config(out) | {"eos_token": end})


def cut(text: str, chunk_chars: int) -> Iterator[str]:
    """Cut a text into pieces of about `chunk_chars` characters where GPT-2's pattern ends a word in any case.

    That is before a space or a line feed that follows what is no white space: no word goes over it, and the pattern
    never looks further ahead than over white space.
    """
    start = 0
    while len(text) - start > chunk_chars:
        found = _CUT.search(text, start + chunk_chars)
        if found is None:
            break
        yield text[start : found.start()]
        start = found.start()
    yield text[start:] if start else text


def _without_long_words(text: str) -> list[str]:
    return list(filter(None, _LONG_WORD.split(text))) if _has_long_run(text) else [text]


def _has_long_run(text: str) -> bool:
    """Tell in one fast pass whether `_LONG_WORD` might match: a long run with or without white space."""
    data = np.frombuffer(text.encode(), np.uint8)
    space = (data == 32) | ((data >= 9) & (data <= 13))
    changes = np.flatnonzero(space[1:] != space[:-1]) + 1
    runs = np.diff(changes, prepend=0, append=len(space))
    return bool(runs.max() >= _LONGEST_WORD_CHARS)


def _tokenizer_file(path: Path) -> Path:
    file = path / TOKENIZER if path.is_dir() else path
    if not file.is_file():
        raise NoInput("--tokenizer", f"no {TOKENIZER} in {path.name}", f"give a folder with a {TOKENIZER}, or the file")
    return file


def _why_no_end(path: Path, end_token: str | None) -> str:
    if end_token is not None:
        return f"has no token {end_token!r} to end documents with"
    if configured := _configured_end(path):
        return f"its eos_token {configured!r} is not in its vocabulary"
    return f"names no token that ends a document: no eos_token in a {CONFIG}, no {END_OF_TEXT} in its vocabulary"


def _configured_end(path: Path) -> str | None:
    token = _read_config(path).get("eos_token")
    if isinstance(token, dict):  # an AddedToken written out
        token = token.get("content")
    return token if isinstance(token, str) else None


def _read_config(path: Path) -> dict[str, Any]:
    """Read tokenizer_config.json of a folder; a tokenizer that is given as a file has none."""
    file = path / CONFIG
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UsageError("--tokenizer", f"{CONFIG} is not JSON: {error}", "mend or remove it") from None
    return found if isinstance(found, dict) else {}


def _config(end: str) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": _NO_LIMIT,
    }


def _is_cuttable(backend: Any) -> bool:
    """Tell whether words are GPT-2's and nothing else looks at the text, so that `cut` changes no id."""
    pattern = backend.pre_tokenizer
    return (
        backend.normalizer is None
        and type(pattern).__name__ == "ByteLevel"
        and pattern.use_regex
        and not pattern.add_prefix_space
        and all(token.special for token in backend.get_added_tokens_decoder().values())
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
