"""What a model writes, and what a person sees of an n-gram model: `generate`, and `show` of a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit import dataset
from corpuskit.errors import BadData, NoInput, UsageError
from corpuskit.lm.sampling import Sampling, sample

_TOKENIZER = "tokenizer"


@dataclass(frozen=True)
class Writer:
    """A model that tells what comes next, and what turns text into its ids and back."""

    kind: str
    next_probabilities: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]
    encode: Callable[[str], npt.NDArray[Any]]
    decode: Callable[[list[int]], str]
    name: Callable[[int], str]  # one token as it is written in a list
    end_id: int | None


def open_writer(path: str, device: str) -> Writer:
    """Open a model of `train ngram` or `train transformer`, or an ARPA file."""
    folder = model_folder(path)
    if folder is None:
        raise NoInput(path, "expected a model or an ARPA file, found none", "give the output of `train ngram`")
    if folder.is_file() or _kind(folder) == "ngram":
        return _of_ngram(folder)
    if _kind(folder) == "transformer":
        return _of_transformer(folder, device)
    raise BadData(path, f"expected a model of kind ngram or transformer, found {_kind(folder)}", "train it anew")


def model_folder(path: str) -> Path | None:
    """Give the folder of a model, or its ARPA file; None where there is none."""
    from corpuskit.lm.arpa import is_arpa

    given = Path(path)
    if is_arpa(given):
        return given
    if dataset.is_dataset(path):
        artifact = dataset.read_manifest(path).artifacts.get("model")
        given = given / artifact.folder if artifact is not None else given
    return given if (given / "model.json").is_file() else None


def _kind(folder: Path) -> str:
    try:
        return str(json.loads((folder / "model.json").read_text(encoding="utf-8"))["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(str(folder), f"expected a model with a model.json: {error}", "train it anew") from None


def _of_ngram(folder: Path) -> Writer:
    from corpuskit.lm import ngram

    model = ngram.load(folder)
    if model.input == "words":
        names = [b"</s>", *model.words]
        known = {word: at for at, word in enumerate(names) if at}

        def word(token: int) -> str:
            return names[token].decode("utf-8", "replace") if token < len(names) else "<unk>"

        return Writer(
            "ngram",
            model.next_probabilities,
            lambda text: np.array([known.get(each, model.unknown) for each in text.encode().split()], np.int64),
            lambda ids: "".join("\n" if token == 0 else " " + word(token) for token in ids),
            word,
            model.end_id,
        )
    encode, decode, name = _by_tokenizer(folder)
    return Writer("ngram", model.next_probabilities, encode, decode, name, model.end_id)


def _of_transformer(folder: Path, device: str) -> Writer:
    from corpuskit.lm import network

    model = network.load(folder, device)
    encode, decode, name = _by_tokenizer(folder)
    return Writer("transformer", model.next_probabilities, encode, decode, name, model.shape.end_id)


def _by_tokenizer(
    folder: Path,
) -> tuple[Callable[[str], npt.NDArray[Any]], Callable[[list[int]], str], Callable[[int], str]]:
    from corpuskit.tokens import bpe

    if not (folder / _TOKENIZER).is_dir():
        raise UsageError(str(folder), "the model came without its tokenizer", "train it on a dataset that carries one")
    own = bpe.load(folder / _TOKENIZER)
    return lambda text: own.encode([text])[0], own.decode, lambda token: str(own.backend.id_to_token(token))


def generate_lines(
    path: str,
    prompt: str,
    *,
    tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    samples: int = 1,
    device: str = "auto",
    as_json: bool = False,
) -> Iterator[str]:
    """Give texts that go on from the prompt, one after the other; sample i has the seed `seed` + i."""
    how = Sampling(temperature, top_k, top_p)
    writer = open_writer(path, device)
    start = writer.encode(prompt)
    for at in range(samples):
        drawn = list(
            sample(writer.next_probabilities, start, tokens=tokens, end_id=writer.end_id, how=how, seed=seed + at)
        )
        ended = bool(drawn) and drawn[-1] == writer.end_id
        text = writer.decode(drawn[:-1] if ended else drawn)
        if as_json:
            yield json.dumps(
                {"prompt": prompt, "text": text, "tokens": drawn, "ended": ended, "seed": seed + at}, ensure_ascii=False
            )
        else:
            yield prompt + (text if prompt or not text.startswith(" ") else text[1:])


def summary(path: str, context: str | None, count: int) -> dict[str, Any] | None:
    """Describe an n-gram model; None where the path is none. With `context`, what most probably comes next."""
    folder = model_folder(path)
    if folder is None or not (folder.is_file() or _kind(folder) == "ngram"):
        return None
    from corpuskit.lm import ngram

    model = ngram.load(folder)
    files = [folder] if folder.is_file() else [file for file in folder.rglob("*") if file.is_file()]
    told: dict[str, Any] = {
        "kind": "ngram",
        "order": model.order,
        "input": model.input,
        "smoothing": model.smoothing,
        "vocab_size": model.vocab_size,
        "grams": list(model.grams),
        "discounts": model.discounts[1:, 1:].tolist() if model.discounts.any() else None,
        "bytes": sum(file.stat().st_size for file in files),
    }
    if context is not None:
        writer = _of_ngram(folder)
        p = model.next_probabilities(writer.encode(context))
        likeliest = np.argsort(-p, kind="stable")[:count]
        told["next"] = [{"token": writer.name(int(at)), "p": float(p[at])} for at in likeliest]
    return told


def lines(told: dict[str, Any]) -> Iterator[str]:
    """Say the same for a person."""
    yield f"n-gram:    {told['order']}-gram of {told['input']}, {told['smoothing']}, {told['bytes']:,} bytes"
    for at, grams in enumerate(told["grams"]):
        discounts = told["discounts"]
        tail = "   D " + "  ".join(f"{each:.6g}" for each in discounts[at]) if discounts else ""
        yield f"           {grams:>14,} grams of order {at + 1}{tail}"
    for each in told.get("next", ()):
        yield f"next:      {each['p']:.6f}  {each['token']!r}"
