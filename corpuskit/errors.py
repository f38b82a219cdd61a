"""What a user can get wrong, and the exit code that says so.

    CorpuskitError        1   something failed; the line says what
    +-- UsageError        2   a wrong word, option or recipe
    +-- BadData          65   data that does not hold: a hash, a ledger, a truncated stream
    +-- NoInput          66   a file or a dataset that is not there
    +-- Unavailable      69   a source that does not answer, an extra that is not installed
    +-- CannotCreate     73   an output that would overwrite what is not ours
    +-- CannotWrite      74   a disk that is full or read-only
    +-- Busy             75   somebody else works here; try later

The codes follow sysexits(3), so that shell scripts and cron wrappers can tell the cases apart.
"""

from __future__ import annotations


class CorpuskitError(Exception):
    """Report a mistake that the user can mend, as one line: `where: problem; remedy`.

    `where` is in the user's words (a flag, a file, a stage of a recipe); `problem` says what was
    expected and what was found; `remedy` what to do next.
    """

    exit_code = 1

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        super().__init__(where, problem, remedy)  # as args, so that it survives pickling
        self.where, self.problem, self.remedy = where, problem, remedy

    def __str__(self) -> str:
        line = f"{self.where}: {self.problem}" + (f"; {self.remedy}" if self.remedy else "")
        return " ".join(line.split())


class UsageError(CorpuskitError):
    """A wrong word, option or recipe."""

    exit_code = 2


class BadData(CorpuskitError):
    """Data that does not hold: a hash, a ledger, a truncated stream."""

    exit_code = 65


class NoInput(CorpuskitError):
    """A file or a dataset that is not there."""

    exit_code = 66


class Unavailable(CorpuskitError):
    """A source that does not answer, or an optional extra that is not installed."""

    exit_code = 69


class CannotCreate(CorpuskitError):
    """An output that would overwrite what this run did not make."""

    exit_code = 73


class CannotWrite(CorpuskitError):
    """A disk that is full or read-only."""

    exit_code = 74


class Busy(CorpuskitError):
    """Somebody else works here; try again later."""

    exit_code = 75
