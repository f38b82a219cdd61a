"""Run tasks as Ray Core tasks over the same files: on this machine, or on a cluster with shared storage."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from corpuskit import catalog
from corpuskit.errors import CorpuskitError, Unavailable
from corpuskit.executors import cores
from corpuskit.task import Task, TaskReport, execute

#: Tasks handed to Ray per core that it has; the rest waits here.
_AHEAD = 2
_KNOCK_SECONDS = 10


@contextlib.contextmanager
def ray_executor(
    workers: int | None, address: str | None
) -> Iterator[Callable[[Sequence[Task]], Iterator[TaskReport]]]:
    """Give an executor on the cluster at `address`, or on one that is started here and ends with the context.

    Raises Unavailable where Ray is not installed or the cluster does not answer.
    """
    # No environment built from the folder that this runs in, and nothing reported to Ray's makers.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise Unavailable(
            "--executor ray", "needs `ray`, which is not installed", "pip install 'corpuskit-pipeline[ray]'"
        ) from None
    logging.getLogger("ray").setLevel(logging.ERROR)  # it tells how it starts, and cron would mail that
    variables = {name: os.environ[name] for name in (catalog.VARIABLE,) if name in os.environ}
    if address is None:
        variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    else:  # workers of a cluster elsewhere have an installation of their own
        _check_address(address)
        if os.path.exists(os.path.expanduser("~/.ray/auth_token")):  # Ray sends its token only if told to
            os.environ.setdefault("RAY_AUTH_MODE", "token")
    local = {} if address else {"num_cpus": workers or cores(), "include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            runtime_env={"env_vars": variables},
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            **local,
        )
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        where = f"--ray-address {address}" if address else "--executor ray"
        raise Unavailable(
            where,
            f"no Ray cluster answers: {error}",
            "check the address and RAY_AUTH_MODE, or leave it out to start one here",
        ) from None
    try:
        yield _runner(ray)
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Knock once: Ray itself tries for many minutes before it gives a dead address up."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # "auto", or a name that Ray resolves
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        problem = f"no Ray cluster answers: {error.strerror or error}"
        raise Unavailable(
            f"--ray-address {address}", problem, "check the address, or leave it out to start one here"
        ) from None


def _runner(ray: Any) -> Callable[[Sequence[Task]], Iterator[TaskReport]]:
    remote = ray.remote(max_retries=2)(_execute)

    def run(tasks: Sequence[Task]) -> Iterator[TaskReport]:
        rest = iter(tasks)
        ahead = max(2, int(ray.cluster_resources().get("CPU", 1)) * _AHEAD)
        waiting = [remote.remote(msgspec.json.encode(task)) for _, task in zip(range(ahead), rest, strict=False)]
        try:
            while waiting:
                (done,), waiting = ray.wait(waiting, num_returns=1)
                report, error = ray.get(done)
                if error is not None:
                    raise error
                waiting += [remote.remote(msgspec.json.encode(task)) for _, task in zip(range(1), rest, strict=False)]
                yield msgspec.json.decode(report, type=TaskReport)
        except ray.exceptions.RayError as error:
            line = str(error).strip().splitlines()[-1]
            raise CorpuskitError(
                "--executor ray", f"a task failed: {line}", "run again; finished tasks are kept"
            ) from error
        finally:
            for each in waiting:
                ray.cancel(each, force=True)

    return run


def _execute(words: bytes) -> tuple[bytes, CorpuskitError | None]:
    """Run a task on a worker. The user's mistakes travel as values: Ray would wrap them in its own."""
    try:
        return msgspec.json.encode(execute(msgspec.json.decode(words, type=Task))), None
    except CorpuskitError as error:
        return b"", error
