"""How the pool starts its workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import prose, write_docs

_STARTS = """
import multiprocessing, sys, threading
if __name__ == "__main__":
    from corpuskit.cli import main
    asked, real = [], multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: asked.append(method) or real(method)
    if sys.argv.pop(1) == "thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    code = main(sys.argv[1:])
    print(code, *asked)
"""


def starts(tmp_path: Path, threads: str) -> list[str]:
    """Run a command in a process of its own; gives its exit code and how it started its workers."""
    write_docs(tmp_path / "docs", prose(20), shards=2)
    script = tmp_path / "starts.py"
    script.write_text(_STARTS)
    words = ["clean", str(tmp_path / "docs"), str(tmp_path / "out"), "--preset", "none", "--workers", "2"]
    run = subprocess.run([sys.executable, script, threads, *words], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process's threads")
def test_a_process_without_threads_forks_its_workers(tmp_path: Path) -> None:
    assert starts(tmp_path, "none") == ["0", "fork"]


def test_a_process_with_threads_spawns_its_workers(tmp_path: Path) -> None:
    assert starts(tmp_path, "thread") == ["0", "spawn"]
