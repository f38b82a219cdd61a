"""What processes of our own are spared."""

from __future__ import annotations

import subprocess
import sys

import pytest


def runs(code: str) -> str:
    """Run Python code in a process of its own; gives what it prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_numba_loads_no_linear_algebra_and_others_still_can() -> None:
    code = """
import sys
from corpuskit.lean import spare_scipy
spare_scipy()
import numba, numba.np.arraymath
print("scipy.linalg" in sys.modules)
import scipy.linalg
print(scipy.linalg.norm([3.0, 4.0]))
"""
    assert runs(code).split() == ["False", "5.0"]


def test_pyarrow_loads_no_pandas() -> None:
    code = """
import sys
from corpuskit.lean import spare_pandas
spare_pandas()
import pyarrow
pyarrow.array([{"a": 1}])
print("pandas" in sys.modules)
"""
    assert runs(code) == "False"


def test_numpy_and_pyarrow_start_no_threads_and_leave_nothing_set() -> None:
    code = """
import os
before = dict(os.environ)
from corpuskit.lean import spare_threads
spare_threads()
import numpy, pyarrow.compute, pyarrow.fs
print(len(os.listdir("/proc/self/task")), dict(os.environ) == before)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a process's threads")
    assert runs(code).split() == ["1", "True"]


def test_a_command_looks_for_garbage_seldom() -> None:
    code = """
import gc
from corpuskit.cli import main
main(["extract", "no-such-file", "out"])
print(gc.get_threshold()[0] > 10_000)
"""
    assert runs(code) == "True"
