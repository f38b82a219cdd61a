from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import html_fuzz

PAGES = int(os.environ.get("CORPUSKIT_FUZZ_PAGES", "1500"))
BOMB_BYTES = int(os.environ.get("CORPUSKIT_FUZZ_BOMB_BYTES", str(1 << 16)))


def fuzzed(cache: Path, filling: int, bomb_bytes: int) -> str:
    """Give what a run of the fuzzer says whose memory comes filled with a byte."""
    command = [sys.executable, "-m", "tests.html_fuzz", "--pages", str(PAGES), "--bomb-bytes", str(bomb_bytes)]
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache), "MALLOC_PERTURB_": str(filling)}
    run = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=os.environ | checked, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"{run.stdout[-200:]}\n{run.stderr[-2000:]}"
    return run.stdout


@pytest.mark.timeout(0)
def test_no_mutated_page_crashes_takes_long_or_changes_with_what_was_before(tmp_path: Path) -> None:
    first = fuzzed(tmp_path, 0x55, BOMB_BYTES)
    assert f"pages to {PAGES - 1}: " in first
    assert fuzzed(tmp_path, 0xAA, 0) == first[first.index("pages to ") :]


def test_the_same_number_and_seed_give_the_same_page() -> None:
    pages = html_fuzz.seeds()
    assert html_fuzz.mutated(7, 1, pages) == html_fuzz.mutated(7, 1, pages)
    assert html_fuzz.mutated(7, 1, pages) != html_fuzz.mutated(8, 1, pages)


def test_mutations_reach_tags_bytes_and_sizes() -> None:
    pages = html_fuzz.seeds()
    made = [html_fuzz.mutated(number, 0, pages) for number in range(300)]
    assert len(set(made)) > 280
    assert any(b"\0" in page for page in made)
    assert any(page.count(b"<div>") > 500 for page in made)
    assert max(map(len, made)) > 50_000
