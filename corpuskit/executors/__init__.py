"""Ways to run tasks: in this process, in a pool of processes, on a Ray cluster.

An executor takes tasks and gives their reports, in any order. What the tasks write is the same with each of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from corpuskit.task import Task, TaskReport

KINDS = ("serial", "pool", "ray")


class Executor(Protocol):
    """Runs tasks and gives their reports as they come."""

    def __call__(self, tasks: Sequence[Task], /) -> Iterator[TaskReport]:
        """Run all tasks. Raises what the first failing task raised."""
        ...


@contextlib.contextmanager
def make_executor(kind: str, *, workers: int | None = None, ray_address: str | None = None) -> Iterator[Executor]:
    """Give an executor; its processes end with the context. `workers` defaults to the cores of this machine."""
    if kind == "ray":
        from corpuskit.executors.ray import ray_executor

        with ray_executor(workers, ray_address) as executor:
            yield executor
    elif kind == "pool":
        from corpuskit.executors.pool import pool_executor

        with pool_executor(workers or cores()) as executor:
            yield executor
    else:
        from corpuskit.executors.serial import run

        yield run


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
