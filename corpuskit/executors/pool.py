"""Run tasks in a pool of processes on this machine."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from corpuskit import catalog
from corpuskit.errors import CorpuskitError
from corpuskit.executors import cores
from corpuskit.lean import spare
from corpuskit.task import Task, TaskReport, execute

#: Tasks that wait in the pool's queue, per worker; the rest waits here.
_AHEAD = 4


@contextlib.contextmanager
def pool_executor(workers: int) -> Iterator[Callable[[Sequence[Task]], Iterator[TaskReport]]]:
    """Give an executor whose processes start when a step has several tasks, and end with the context.

    They are forked where this process has no threads: they begin with all that it has imported. Where it has some, or
    the system does not tell, they are spawned: locks that other threads hold would stay locked in a fork.
    """
    with contextlib.ExitStack() as stack:
        pool: list[ProcessPoolExecutor] = []

        def run(tasks: Sequence[Task]) -> Iterator[TaskReport]:
            if workers == 1 or len(tasks) <= 1:  # a single task needs no second process, and shows its status here
                yield from map(execute, tasks)
                return
            if not pool:
                context = multiprocessing.get_context("fork" if _is_alone() else "spawn")
                threads = max(1, cores() // workers)
                pool.append(ProcessPoolExecutor(workers, context, _start_worker, (threads,)))
                stack.callback(_stop, pool[0])
            yield from _run(pool[0], tasks, workers)

        yield run


def _run(pool: ProcessPoolExecutor, tasks: Sequence[Task], workers: int) -> Iterator[TaskReport]:
    rest = iter(tasks)
    waiting = {pool.submit(execute, task) for _, task in zip(range(workers * _AHEAD), rest, strict=False)}
    try:
        while waiting:
            done = next(as_completed(waiting))
            waiting.remove(done)
            report = done.result()
            waiting |= {pool.submit(execute, task) for _, task in zip(range(1), rest, strict=False)}
            yield report
    except BrokenProcessPool:
        raise CorpuskitError(
            "--executor pool",
            "a worker process died, perhaps for want of memory",
            "run again with fewer --workers; finished tasks are kept",
        ) from None
    finally:
        for future in waiting:
            future.cancel()


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once: what they were writing has no name yet."""
    pool.shutdown(wait=False, cancel_futures=True)
    for child in multiprocessing.active_children():
        child.terminate()
    for child in multiprocessing.active_children():
        child.join(10)


def _is_alone() -> bool:
    """Tell whether this process has a single thread; no where the system does not say, as only Linux does."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _start_worker(threads: int) -> None:
    """Share the cores among the workers, leave interrupts to the parent, and die with it, even if it was killed.

    What a fork has of the parent's goes: how it ends on a signal, where it shows what stages tell.
    """
    for variable in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(variable, str(threads))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("corpuskit").handlers.clear()
    spare(pandas=not catalog.has_user_stages())
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()
