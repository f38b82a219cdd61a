"""Fetch the files of a tokenizer from the Hugging Face Hub, into the hub's own cache."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator

from corpuskit.errors import NoInput, Unavailable
from corpuskit.sources.hub_library import one_line
from corpuskit.tokens.bpe import FILES, TOKENIZER

#: `name`, `owner/name` or either with `@revision`.
_NAME = re.compile(r"(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?")


def fetch(name: str) -> str:
    """Give the folder in which the tokenizer `name` of the hub lies; what the cache has is not fetched again.

    Raises NoInput where it is no name or has no tokenizer.json, Unavailable where the hub does not give it.
    """
    found = _NAME.fullmatch(name)
    if found is None or name.endswith(".json"):
        raise NoInput("--tokenizer", f"{name}: no such file or folder", "check the path")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    file = None
    with _quiet():
        for each in FILES:
            try:
                file = hf_hub_download(found["name"], each, revision=found["revision"])
            except EntryNotFoundError as error:
                if each == TOKENIZER:
                    if isinstance(error, LocalEntryNotFoundError):  # the hub does not answer, and the cache has none
                        raise _unavailable(name, error) from None
                    problem = f"the hub's {name} has no {TOKENIZER} ({one_line(str(error))})"
                    remedy = (
                        f"make one with `transformers`: AutoTokenizer.from_pretrained({name!r}).save_pretrained(...)"
                    )
                    raise NoInput("--tokenizer", problem, remedy) from None
            except Exception as error:  # from the network, the hub, or the disk
                raise _unavailable(name, error) from None
    assert file is not None
    return os.path.dirname(file)


def _unavailable(name: str, error: Exception) -> Unavailable:
    problem = f"no file or folder {name}, and the hub does not give a tokenizer: {one_line(str(error))}"
    return Unavailable("--tokenizer", problem, "check the name; HF_TOKEN opens what is private")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from huggingface_hub.utils import logging as hub_logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown, level = not are_progress_bars_disabled(), hub_logging.get_verbosity()
    disable_progress_bars()
    hub_logging.set_verbosity(logging.ERROR)  # each try that fails would be told; the error tells it once
    try:
        yield
    finally:
        hub_logging.set_verbosity(level)
        if shown:
            enable_progress_bars()
