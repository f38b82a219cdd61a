"""How the program ends: one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys


def of_system(error: OSError) -> tuple[str, int]:
    """Say what the operating system refused, and give the exit code: 66 for what is read, 74 for what is written."""
    where = str(error.filename or "input or output")
    reading = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)
    return (
        f"{where}: {error.strerror or error}; check the path, its permissions and the free space",
        66 if reading else 74,
    )


def pipe_closed() -> int:
    """Leave quietly: what is left in stdout's buffer has nowhere to go, and Python would say so on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def fail(message: str, code: int) -> int:
    """Print the error and give the code."""
    terminal = sys.stderr.isatty()
    start = "\r\x1b[K" if terminal else ""
    word = "\x1b[31merror:\x1b[0m" if terminal and "NO_COLOR" not in os.environ else "error:"
    print(f"{start}{word} {message}", file=sys.stderr)
    return code
