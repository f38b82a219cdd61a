"""Load anybody's tokenizer, turn texts into flat arrays of ids and back."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import NoInput, UsageError
from corpuskit.schema import token_type
from corpuskit.tokens import pieces
from corpuskit.tokens.fast import FastEncoder, agrees, open_fast
from corpuskit.tokens.pieces import Grown, Text, cut, grouped

#: The end-of-document mark of the tokenizers that this package makes; its id is 0.
END_OF_TEXT = "<|endoftext|>"
#: The smallest vocabulary: every byte and the mark.
MIN_VOCAB_SIZE = 257
TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"

#: What `transformers` reads of a tokenizer; a model's weights beside them are not copied.
FILES = (TOKENIZER, CONFIG, "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt")
# `tokenizers` needs about 110 bytes of memory for a byte of text in flight.
_CHUNK_CHARS = 1 << 19
#: The pattern of Llama 3; that of Qwen 2 has single digits.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
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
    cuttable: re.Pattern[str] | None  # where long texts may be cut without a change of ids
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
        self, texts: Sequence[Text], chunk_chars: int | None = None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Give (ids, offsets): text i has ids[offsets[i]:offsets[i + 1]], without marks at its start or end.

        Special tokens that a text spells out are plain text. The ids are those of `tokenizers`, whatever
        `chunk_chars`, which bounds the memory.
        """
        return self._gather(texts, chunk_chars, mark=False)[:2]

    def encode_documents(self, texts: Sequence[Text]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], list[int]]:
        """Do as `encode`, with the end mark after every text; also give the texts that have it among their own ids."""
        return self._gather(texts, None, mark=True)

    def _gather(
        self, texts: Sequence[Text], chunk_chars: int | None, *, mark: bool
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], list[int]]:
        gathered = Grown(self.dtype)
        lengths = np.full(len(texts), int(mark), np.int64)
        marked: set[int] = set()
        end_mark = np.array([self.end_id], self.dtype)
        last = 0
        chunk_chars = chunk_chars or (_CHUNK_CHARS if self.fast is None else _FAST_CHARS)
        for some, owners_list in grouped(texts, chunk_chars, self.cuttable):
            ids, counts = self._encoded(some)
            owners = np.array(owners_list)
            np.add.at(lengths, owners, counts)
            if mark:
                ends = np.cumsum(counts)
                marked.update(owners[np.searchsorted(ends, np.flatnonzero(ids == self.end_id), "right")].tolist())
                # A text is seen to end where a piece of the next one begins.
                begins = np.diff(owners, prepend=last) > 0
                ids = np.insert(ids, (ends - counts)[begins], self.end_id)
                last = owners_list[-1]
            gathered.append(ids)
        if mark and len(texts):
            gathered.append(end_mark)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return gathered.taken(), offsets, sorted(marked)

    def _encoded(self, texts: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Give the ids of some texts, and how many each has."""
        if self.fast is not None:
            found, ends = self.fast.encode(texts)
            return found.astype(self.dtype), np.diff(ends)
        encodings = self.backend.encode_batch_fast(texts, add_special_tokens=False)
        counts = np.fromiter(map(len, encodings), np.int64, len(encodings))
        ids = chain.from_iterable(encoding.ids for encoding in encodings)
        return np.fromiter(ids, self.dtype, int(counts.sum())), counts

    def differing(self, texts: Sequence[Text]) -> int | None:
        """Give the first text whose ids are not those of `tokenizers`, None where all are the same.

        Of a long text only its first half million characters are looked at; of one that cannot be cut, nothing.
        """
        if self.fast is None:
            return None
        short = [text if self.cuttable or len(text) <= pieces.LONG_BYTES else "" for text in texts]
        firsts = [next(cut(text, _CHUNK_CHARS, self.cuttable)) for text in short]
        if agrees(self.fast, self.backend, firsts):
            return None
        return next((at for at, text in enumerate(firsts) if not agrees(self.fast, self.backend, [text])), 0)

    def decode(self, ids: npt.NDArray[Any] | Sequence[int]) -> str:
        """Give the text of ids; special tokens, the end mark among them, are left out."""
        return str(self.backend.decode(np.asarray(ids).tolist(), skip_special_tokens=True))


def save(tokenizer: Any, folder: Path, special_tokens: Sequence[str] = ()) -> None:
    """Write what `transformers.AutoTokenizer` loads: tokenizer.json and tokenizer_config.json.

    The mark begins, ends and pads a sequence: what comes before a document is the mark of the one before it. There
    is no token for the unknown, since every byte has one.
    """
    tokenizer.save(str(folder / TOKENIZER))
    config = _config(END_OF_TEXT) | {"bos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    if special_tokens:
        config["additional_special_tokens"] = list(special_tokens)
    _write_json(folder / CONFIG, config)


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
    return TextTokenizer(backend, vocab_size, end, end_id, _cuttable(backend), encoder)


def load_once(path: Path, end_token: str | None = None, *, fast: bool = False) -> TextTokenizer:
    """Do as `load`, but once in a process for the same files: it takes as long as encoding 20 MB."""
    files = tuple(
        (file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None
        for file in (_tokenizer_file(path), path / CONFIG)
    )
    return _kept(path, end_token, fast, files)


@functools.lru_cache(maxsize=2)
def _kept(path: Path, end_token: str | None, fast: bool, files: Any) -> TextTokenizer:
    return load(path, end_token, fast=fast)


def copy(path: Path, out: Path, end_token: str | None = None) -> None:
    """Copy a tokenizer's files, and nothing else; `load(out)` finds the mark that `load(path, end_token)` does."""
    end = load(path, end_token).end_token
    if path.is_file():
        shutil.copyfile(path, out / TOKENIZER)
    else:
        for name in FILES:
            if (path / name).is_file():
                shutil.copyfile(path / name, out / name)
    if _configured_end(out) != end:
        _write_json(out / CONFIG, _config(end) | _read_config(out) | {"eos_token": end})


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


def _cuttable(backend: Any) -> re.Pattern[str] | None:
    """Tell where texts may be cut: where the pattern is a known one and nothing else looks at the text."""
    pattern = json.loads(backend.to_str())["pre_tokenizer"] or {}
    others = any(not token.special for token in backend.get_added_tokens_decoder().values())
    if backend.normalizer is not None or others:
        return None
    if pattern.get("type") == "ByteLevel":
        return pieces.GPT2 if pattern["use_regex"] and not pattern["add_prefix_space"] else None
    parts = pattern.get("pretokenizers", ())
    if [part["type"] for part in parts] != ["Split", "ByteLevel"]:
        return None
    split, as_bytes = parts
    known = split["pattern"].get("Regex") in (LLAMA3, LLAMA3.replace("{1,3}", ""))
    plain = split["behavior"] == "Isolated" and not split["invert"]
    whole = not as_bytes["use_regex"] and not as_bytes["add_prefix_space"]
    return pieces.LLAMA3 if known and plain and whole else None


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
