"""Ask a model to choose: minimal pairs, multiple choice, and what word comes next.

A line of JSON is one item, of one of these kinds:

    {"good": TEXT, "bad": TEXT}                               the likelier text should be the good one
    {"prompt": TEXT, "choices": [TEXT, ...], "answer": N}     the likeliest ending should be choice N, from 0 on
    {"prompt": TEXT, "answer": TEXT}                          the model should write this ending, token by token

Between a prompt and an ending that have no white space there comes a space. Endings are scored by ln p of their tokens
after the prompt's (as lm-eval has it: the tokens of the whole that are behind those of the prompt), without end marks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadData
from corpuskit.lm import confidence

_KINDS = ("pairs", "choices", "cloze")
_AT_ONCE = 512  # texts that are scored together
_EXPECTED = 'expected {"good", "bad"}, {"prompt", "choices", "answer"} or {"prompt", "answer"}'


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt and endings, of which `right` is the right one."""

    kind: str
    prompt: str
    endings: tuple[str, ...]
    right: int


def read(path: Path) -> Iterator[Item]:
    """Read the items of a JSON Lines file. Raises BadData naming the line."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _item(line, f"{path.name}:{number}")


def _item(line: bytes, where: str) -> Item:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise BadData(where, f"is not JSON: {error}", "mend the line") from None
    if isinstance(found, dict):
        if _are_texts(found, "good", "bad"):
            return Item("pairs", "", (found["good"], found["bad"]), 0)
        choices, answer = found.get("choices"), found.get("answer")
        if isinstance(choices, list) and choices and all(isinstance(each, str) for each in choices):
            if isinstance(found.get("prompt"), str) and type(answer) is int and 0 <= answer < len(choices):
                return Item("choices", found["prompt"], tuple(choices), answer)
        elif choices is None and _are_texts(found, "prompt", "answer"):
            return Item("cloze", found["prompt"], (found["answer"],), 0)
    raise BadData(where, f"{_EXPECTED}, found {line.decode('utf-8', 'replace').strip()[:80]}", "mend the line")


def _are_texts(found: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(found.get(name), str) and found[name] for name in names)


def ask(
    items: Sequence[Item],
    encode: Callable[[str], npt.NDArray[Any]],
    score: Callable[[npt.NDArray[Any], npt.NDArray[np.int64]], tuple[npt.NDArray[np.float64], Any]],
    likeliest: Callable[[npt.NDArray[Any]], int],
) -> dict[str, Any]:
    """Give for each kind of item its count, accuracy and interval, JSON-ready.

    `score` gives the nats of documents, as models do; `likeliest` the id that comes next. `accuracy_per_byte` takes the
    ending with the most ln p a byte (lm-eval's acc_norm); cloze items have `perplexity` of an ending's token.
    """
    found: dict[str, Any] = {}
    for kind in _KINDS:
        mine = [item for item in items if item.kind == kind]
        if not mine:
            continue
        logs, tokens = _logs(mine, encode, score)
        if kind == "cloze":
            hits = np.array([_is_written(item, encode, likeliest) for item in mine])
            nats, counted = -sum(each[0] for each in logs), sum(each[0] for each in tokens)
            more = {"perplexity": float(np.exp(nats / counted)) if counted and np.isfinite(nats) else None}
        else:
            hits = np.array([_best(each, item.right) for each, item in zip(logs, mine, strict=True)])
            sizes = [np.array([max(1, len(text.encode())) for text in item.endings]) for item in mine]
            rated = [each / size for each, size in zip(logs, sizes, strict=True)]
            normed = np.array([_best(each, item.right) for each, item in zip(rated, mine, strict=True)])
            more = {"accuracy_per_byte": float(normed.mean())} if kind == "choices" else {}
        interval = confidence.ratio(hits.astype(np.float64), np.ones(len(hits)))
        found[kind] = {"items": len(mine), "accuracy": float(hits.mean()), "interval": interval, **more}
    return found


def _best(logs: npt.NDArray[np.float64], right: int) -> bool:
    """Tell whether the right ending is likelier than each other; as likely is not enough."""
    return bool((np.delete(logs, right) < logs[right]).all())


def _joined(prompt: str, ending: str) -> str:
    spaced = not prompt or prompt[-1].isspace() or ending[:1].isspace()
    return prompt + ending if spaced else f"{prompt} {ending}"


def _parted(item: Item, ending: str, encode: Callable[[str], npt.NDArray[Any]]) -> tuple[npt.NDArray[Any], int]:
    """Give the ids of prompt and ending, and how many of them are the prompt's."""
    prompt = item.prompt.rstrip() if not ending[:1].isspace() else item.prompt  # the space goes with the word behind
    whole = encode(_joined(item.prompt, ending))
    return whole, min(len(encode(prompt)) if prompt else 0, max(0, len(whole) - 1))


def _logs(items: Sequence[Item], encode: Any, score: Any) -> tuple[list[npt.NDArray[np.float64]], list[list[int]]]:
    """Give ln p of the endings of every item, and their numbers of tokens."""
    texts: list[npt.NDArray[Any]] = []  # the whole and the prompt of each ending, in turns
    counts: list[int] = []
    for item in items:
        for ending in item.endings:
            whole, before = _parted(item, ending, encode)
            texts += [whole, whole[:before]]
            counts.append(len(whole) - before)
    nats = np.zeros(len(texts))
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        offsets = np.cumsum([0, *map(len, part)])
        nats[start : start + len(part)] = score(np.concatenate(part), offsets)[0]
    with np.errstate(invalid="ignore"):  # of no probability twice: not a number, which is never the best
        logs = nats[1::2] - nats[::2]
    ends = np.cumsum([len(item.endings) for item in items])[:-1]
    return np.split(logs, ends), [each.tolist() for each in np.split(np.array(counts), ends)]


def _is_written(item: Item, encode: Any, likeliest: Callable[[npt.NDArray[Any]], int]) -> bool:
    whole, before = _parted(item, item.endings[0], encode)
    return all(likeliest(whole[:at]) == whole[at] for at in range(before, len(whole)))
