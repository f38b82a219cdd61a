"""Run tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpuskit.task import Task, TaskReport, execute


def run(tasks: Sequence[Task]) -> Iterator[TaskReport]:
    """Run all tasks in order."""
    for task in tasks:
        yield execute(task)
