"""Calls side by side, results in order."""

from __future__ import annotations

import threading
import time

import pytest

from corpuskit.formats.threads import in_order


def test_results_come_in_the_order_of_the_items_whatever_takes_how_long() -> None:
    def slow_at_first(at: int) -> int:
        time.sleep(0.02 if at % 4 == 0 else 0)
        return at * at

    assert list(in_order(slow_at_first, range(20), workers=4)) == [at * at for at in range(20)]


def test_no_item_is_begun_further_ahead_than_allowed() -> None:
    begun: list[int] = []
    results = in_order(lambda at: begun.append(at), range(100), workers=4, ahead=6)
    next(results)
    time.sleep(0.05)
    assert max(begun) < 7


def test_what_a_call_raises_is_raised_in_its_place() -> None:
    def fails_at_three(at: int) -> int:
        if at == 3:
            raise ValueError("three")
        return at

    results = in_order(fails_at_three, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_what_waits_is_not_done_once_the_caller_has_stopped() -> None:
    done: list[int] = []
    release = threading.Event()

    def wait(at: int) -> int:
        if at:
            release.wait(5)
        done.append(at)
        return at

    results = in_order(wait, range(50), workers=1, ahead=20)
    assert next(results) == 0
    results.close()
    release.set()
    time.sleep(0.1)
    assert len(done) <= 2


def test_threads_end_when_the_results_do() -> None:
    before = threading.active_count()
    assert len(list(in_order(lambda at: at, range(10), workers=3))) == 10
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_nothing_in_is_nothing_out() -> None:
    assert list(in_order(lambda at: at, [], workers=3)) == []
