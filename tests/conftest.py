"""What all tests share: the command line as a function, and one small run of the whole chain."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from corpuskit.cli import main
from tests.build import prose, write_archives, write_docs
from tests.servers import nginx, rude

__all__ = ["nginx", "rude"]

# A busy machine takes a second for what takes a millisecond; how fast things are is for `tests/bench`.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def corpuskit(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process."""

    def run(*words: object) -> Result:
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


def shell(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which `corpuskit` is this environment's."""
    prelude = f'corpuskit() {{ "{sys.executable}" -m corpuskit "$@"; }}; '
    return subprocess.run(["bash", "-c", prelude + command], capture_output=True, text=True, timeout=280, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give a dataset of every stage, made once: small, but through the real commands."""
    root = tmp_path_factory.mktemp("chain")
    made = {"archives": write_archives(root / "archives"), "docs": write_docs(root / "docs", prose(200), shards=3)}
    commands = {
        "tokenizer": ["train", "tokenizer", made["docs"], root / "tokenizer", "--vocab-size", 1000],
        "tokens": ["tokenize", made["docs"], root / "tokens", "--tokenizer", root / "tokenizer"],
        "blocks": ["shard", root / "tokens", root / "blocks", "--block-tokens", 64, "--valid-fraction", 0.1],
        "ngram": ["train", "ngram", root / "blocks", root / "ngram", "--order", 3],
    }
    for name, words in commands.items():
        assert main(["--quiet", *map(str, words), "--executor", "serial"]) == 0
        made[name] = root / name
    return made
