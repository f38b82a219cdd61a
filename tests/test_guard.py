"""Loops that look at many bytes at once read none behind what they were given.

numba's bounds checks see nothing of these loads, so the bytes stand at the very end of the memory that may be read.
"""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="guards memory as Linux does")
def test_no_loop_reads_beyond_the_bytes_of_a_text_or_a_page() -> None:
    run = subprocess.run([sys.executable, "-m", "tests.guard", "60"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
