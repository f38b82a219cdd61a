"""Hold `datasets` and `huggingface_hub` to our manners: silent, never waiting without an end, errors in one line."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit.errors import BadData, Busy, CorpuskitError, NoInput, Unavailable

_MAX_WAIT_SECONDS = 30
#: Log lines of the libraries that tell of no problem with the data.
_NOISE = re.compile(
    r"Retrying|thrown while requesting|Rate limited|unauthenticated|metadata block was not found|HF_TOKEN"
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A set at one state: a commit of the hub, or the content of a folder (`folder`)."""

    dataset: str
    folder: Path | None
    revision: str
    license: str | None
    url: str | None

    @property
    def name(self) -> str:
        """Its name, without the folders above it where it is one."""
        return self.folder.name if self.folder else self.dataset


@contextlib.contextmanager
def library(
    *, tries: int, timeout_seconds: float, status: Callable[[str], None], warn: Callable[[str], None]
) -> Iterator[str]:
    """Hold `datasets` and `huggingface_hub` to our manners; gives a cache folder that goes away with the block.

    No progress bars, no torch, no silence longer than `timeout_seconds`; what the libraries log is a warning where it
    concerns the data, else a status.
    """
    import warnings

    import datasets
    import huggingface_hub
    from huggingface_hub.utils import _http  # its default client is exported nowhere else

    def client() -> Any:
        made = _http.default_client_factory()

        def limit(request: Any) -> None:
            # As a hook: the library passes `timeout=None` with some requests, which no default of a client changes.
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)

        hooks = made.event_hooks
        made.event_hooks = {**hooks, "request": [*hooks["request"], limit]}
        return made

    wanted: list[tuple[Any, str, Any]] = [
        (datasets.config, "TORCH_AVAILABLE", False),  # or it is imported to make each stream a torch data set
        (datasets.config, "STREAMING_READ_MAX_RETRIES", tries),
        (datasets.config, "STREAMING_OPEN_MAX_RETRIES", tries),
        (huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True),
    ]
    held = [(module, name, getattr(module, name)) for module, name, _ in wanted]
    teller = _Teller(status, warn)
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub", "fsspec")]
    kept = [(each, each.handlers, each.propagate) for each in loggers]
    bars = datasets.are_progress_bars_disabled()
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="corpuskit-hub-", ignore_cleanup_errors=True))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            for module, name, value in wanted:
                setattr(module, name, value)
            for each in loggers:
                each.handlers, each.propagate = [teller], False
            datasets.disable_progress_bars()
            huggingface_hub.set_client_factory(client)
            yield cache
        finally:
            for module, name, value in held:
                setattr(module, name, value)
            for each, handlers, propagate in kept:
                each.handlers, each.propagate = handlers, propagate
            if not bars:
                datasets.enable_progress_bars()
            huggingface_hub.set_client_factory(_http.default_client_factory)


class _Teller(logging.Handler):
    """Tell each problem once, in one line."""

    def __init__(self, status: Callable[[str], None], warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._status, self._warn = status, warn
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = one_line(record.getMessage())
        if line in self._told:
            return
        if record.levelno >= logging.ERROR or _NOISE.search(line):
            self._status(line)  # what it logs as an error it also raises
        else:
            self._told.add(line)
            self._warn(line)


def patiently(ask: Callable[[], Any], tries: int) -> Any:
    """Ask up to `tries` times, as long as what goes wrong may pass; raises what the last time raised."""
    for at in range(tries):
        try:
            return ask()
        except Exception as error:
            status = _status_of(error)
            passing = status >= 500 if status else type(error).__module__.startswith("httpx")
            if not passing or at + 1 == tries:
                raise
        time.sleep(min(2**at, _MAX_WAIT_SECONDS))
    raise AssertionError("unreachable")


@contextlib.contextmanager
def explained(pinned: Pinned) -> Iterator[None]:
    """Turn whatever the libraries raise into one line that names the set, the cause and what to do.

    Raises Busy, Unavailable, NoInput or BadData. Wrap calls of the libraries in it, nothing else: they raise errors
    of many kinds, down to those of the format's reader.
    """
    try:
        yield
    except (CorpuskitError, MemoryError):
        raise
    except Exception as error:
        raise _explanation(error, pinned) from error


def _explanation(error: BaseException, pinned: Pinned) -> CorpuskitError:
    where = f"dataset {pinned.dataset}"
    line = one_line(str(error)) or type(error).__name__
    if isinstance(error, ImportError):
        return Unavailable(where, f"its files need a package that is not installed: {line}", "install it")
    chain = list(_chain(error))
    kinds = {kind.__name__ for each in chain for kind in type(each).__mro__}
    if {"DataFilesNotFoundError", "EmptyDatasetError"} & kinds or (pinned.folder and "FileNotFoundError" in kinds):
        return NoInput(where, f"it has no data files of a known kind: {line}", "see what lies in it")
    if pinned.folder:
        return BadData(where, f"{type(error).__name__}: {line}", "mend or remove the file")
    response = next((each.response for each in chain if getattr(each, "response", None) is not None), None)
    url = getattr(response, "url", None)
    if _status_of(error) == 429:
        return Busy(
            where, f"the hub limits its rate (429 for {url})", "try again later; with HF_TOKEN set it gives more"
        )
    if "OfflineModeIsEnabled" in kinds:
        problem = "no folder of that name, and HF_HUB_OFFLINE keeps from asking the hub"
        return Unavailable(where, problem, "give the path of a folder, or unset HF_HUB_OFFLINE")
    at = f" ({response.status_code} for {url})" if response is not None else ""
    if "GatedRepoError" in kinds or "is a gated dataset" in line:
        return Unavailable(
            where, f"it is gated{at}", "ask for access on its page of the hub, then set HF_TOKEN or `hf auth login`"
        )
    if "RevisionNotFoundError" in kinds:
        return Unavailable(where, f"no revision `{pinned.revision}`{at}", "give a branch, tag or commit as --revision")
    if {"RepositoryNotFoundError", "DatasetNotFoundError", "HFValidationError"} & kinds:
        remedy = "check the name; a private set needs HF_TOKEN or `hf auth login`"
        return Unavailable(where, f"no folder of that name, and the hub has no such set{at or ': ' + line}", remedy)
    if isinstance(error, (ValueError, TypeError, pa.ArrowException)) and response is None:
        return BadData(where, f"{type(error).__name__}: {line}", "report it on the set's page of the hub")
    if response is not None:
        cause = f"{url} answers {response.status_code}"
    else:
        cause = f"{_asked(chain)} does not answer: {type(chain[-1]).__name__}: {one_line(str(chain[-1])) or line}"
    return Unavailable(where, cause, "check the network and try again: what is there is kept")


def _asked(chain: Sequence[Any]) -> str:
    """Name the URL that was asked for when the network failed, else the hub."""
    from huggingface_hub import constants

    for each in chain:
        if request := getattr(each, "_request", None):  # `request` itself raises where there is none
            return str(request.url)
    return str(constants.ENDPOINT)


def _chain(error: BaseException | None) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status_of(error: BaseException) -> int:
    for each in _chain(error):
        if status := getattr(getattr(each, "response", None), "status_code", None):
            return int(status)
    return 0


def one_line(text: str) -> str:
    """Give a message as one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:299] + "…"
