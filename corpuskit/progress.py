"""What goes to stderr: one status line on a terminal, nothing but problems when it is none."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time


class Progress:
    """Owns stderr while a command runs. `verbose` prints a line per stage even where stderr is no terminal."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._shown = ""
        self._last = 0.0
        self.events = False  # print what stages tell programs, one JSON object a line on stdout
        self.set(quiet=quiet, verbose=verbose)

    def set(self, *, quiet: bool = False, verbose: bool = False) -> None:
        """Choose how much to say."""
        self._terminal = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"
        self._lines = (self._terminal or verbose) and not quiet
        self._color = self._terminal and "NO_COLOR" not in os.environ

    def status(self, text: str) -> None:
        """Replace the status line, at most ten times a second."""
        now = time.monotonic()
        if self._terminal and now - self._last > 0.1:
            self._last, self._shown = now, text
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\x1b[K" + text[:width])
            sys.stderr.flush()

    def line(self, text: str) -> None:
        """Print a line that stays: on a terminal, or with `verbose`."""
        if self._lines:
            self._clear()
            print(text, file=sys.stderr, flush=True)

    def problem(self, text: str) -> None:
        """Print a problem, wherever stderr goes."""
        self._clear()
        word = "\x1b[33mwarning:\x1b[0m" if self._color else "warning:"
        print(f"{word} {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal clean."""
        self._clear()

    def _clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = ""


class _ToProgress(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.DEBUG)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        told = getattr(record, "event", None)
        if told is not None:
            if self._progress.events:
                print(json.dumps(told), flush=True)
        elif record.levelno == logging.INFO:
            self._progress.status(record.getMessage())
        elif not getattr(record, "kept", False):  # those of a task come with its report, from any process
            self._progress.problem(record.getMessage())


def listen(progress: Progress) -> None:
    """Show what stages tell of themselves (`stage.status`) on the status line, in place of whoever did before."""
    logger = logging.getLogger("corpuskit")
    logger.setLevel(logging.DEBUG)
    for handler in [each for each in logger.handlers if isinstance(each, _ToProgress)]:
        logger.removeHandler(handler)
    logger.addHandler(_ToProgress(progress))
