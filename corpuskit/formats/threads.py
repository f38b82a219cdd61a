"""Do slow calls side by side and give their results in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    do: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, ahead: int | None = None
) -> Generator[_Result, None, None]:
    """Call `do` for every item in `workers` threads, at most `ahead` items before the result that is next.

    What a call raises is raised in its place. Threads are daemons: a process that is told to end does not wait for a
    server's answer.
    """
    ahead = ahead or 2 * workers
    todo: queue.SimpleQueue[tuple[_Item, queue.SimpleQueue[tuple[_Result | None, BaseException | None]]] | None]
    todo = queue.SimpleQueue()
    over = threading.Event()

    def work() -> None:
        while (next_one := todo.get()) is not None and not over.is_set():
            item, place = next_one
            try:
                place.put((do(item), None))
            except BaseException as error:
                place.put((None, error))

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    waiting: list[queue.SimpleQueue[tuple[_Result | None, BaseException | None]]] = []
    try:
        for item in items:
            place: queue.SimpleQueue[tuple[_Result | None, BaseException | None]] = queue.SimpleQueue()
            todo.put((item, place))
            waiting.append(place)
            if len(waiting) >= ahead:
                yield _result(waiting.pop(0))
        while waiting:
            yield _result(waiting.pop(0))
    finally:
        over.set()  # where the caller stops early, what waits is not done
        for _ in range(workers):
            todo.put(None)


def _result(place: queue.SimpleQueue[tuple[_Result | None, BaseException | None]]) -> _Result:
    result, error = place.get()
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
