"""When to ask a server again, and when to give up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

#: The longest that a server is waited for; one that asks for more is left for another run.
MAX_WAIT_SECONDS = 300.0
_BUSY_TRIES = 4
#: Tries of one file at most, however often they bring a little.
_MAX_TRIES = 200
_PROGRESS_BYTES = 1024
_IDLE_SECONDS = 60.0

Tell = Callable[..., None]


class FetchError(Exception):
    """Say why an URL could not be had.

    `kind`: "missing" (404, 410), "refused" (another refusal, or an address that may not be asked), "busy" (a limit of
    rate), "unreachable" (nothing came, or 5xx), "mismatch" (not the bytes that were promised), "too_large".
    """

    def __init__(self, url: str, cause: str, kind: str, status: int | None = None) -> None:
        super().__init__(url, cause, kind, status)
        self.url, self.cause, self.kind, self.status = url, cause, kind, status

    def __str__(self) -> str:
        return f"{self.url}: {self.cause}"


class Again(Exception):
    """A try that failed in a way that another one may mend."""

    def __init__(
        self,
        cause: str,
        *,
        wait: float | None = None,
        busy: bool = False,
        slow: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause, self.wait, self.busy, self.slow, self.status = cause, wait, busy, slow, status


@dataclass(frozen=True, slots=True)
class Manners:
    """How to behave.

    `hosts` are those that may be asked (none: every public one), `own_hosts` ("name:port") those that the user named,
    which may be private. `busy` are the statuses that mean a limit of rate; the pairs are the first and the longest
    pause after a failure, and after such a status.
    """

    contact: str | None = None
    hosts: frozenset[str] = frozenset()
    own_hosts: frozenset[str] = frozenset()
    connections: int = 2
    gap_seconds: float = 0.0
    tries: int = 6
    timeout_seconds: float = 60.0
    busy: frozenset[int] = frozenset({429})
    backoff_seconds: tuple[float, float] = (1.0, 60.0)
    busy_seconds: tuple[float, float] = (15.0, 120.0)


class Patience:
    """Count the tries of one file, and wait between them."""

    def __init__(self, url: str, manners: Manners, tell: Tell) -> None:
        self._url, self._manners, self._tell = url, manners, tell
        self._fruitless = self._busy = self._all = 0

    def progressed(self, came: int) -> None:
        """Take note that a try brought so many bytes before it broke off."""
        if came >= _PROGRESS_BYTES:
            self._fruitless = 0

    def wait(self, failure: Again) -> None:
        """Sleep before the next try, or raise FetchError where there is none."""
        self._all += 1
        if failure.busy:
            self._busy += 1
            least, most = self._manners.busy_seconds
            pause = random.uniform(0.5, 1.0) * min(most, least * 2 ** (self._busy - 1))
            out_of = self._busy >= min(_BUSY_TRIES, self._manners.tries)
        else:
            self._fruitless += 1
            least, most = self._manners.backoff_seconds
            pause = random.uniform(0.0, min(most, least * 2 ** max(0, self._fruitless - 1)))
            out_of = self._fruitless >= self._manners.tries or self._all >= _MAX_TRIES
        pause = failure.wait if failure.wait is not None else pause
        kind = "busy" if failure.busy else "unreachable"
        if pause > MAX_WAIT_SECONDS:
            raise FetchError(
                self._url, f"{failure.cause}; it asks to come back in {pause:.0f} s", "busy", failure.status
            )
        if out_of:
            many = f" ({self._all} tries)" if self._all > 1 else ""
            raise FetchError(self._url, f"{failure.cause}{many}", kind, failure.status)
        self._tell("retry", url=self._url, cause=failure.cause, wait_seconds=round(pause, 1), tries=self._all)
        time.sleep(pause)


class Gate:
    """Let at most so many requests through to one host at once, at least so far apart, and none while it is held."""

    def __init__(self, connections: int, gap_seconds: float) -> None:
        self._places = threading.BoundedSemaphore(connections)
        self._gap = gap_seconds
        self._next = 0.0
        self._last = time.monotonic()
        self._inside = 0
        self._held = False
        self._lock = threading.Lock()

    @property
    def idle(self) -> bool:
        """Tell whether nobody is inside or on the way, nor has been for a minute."""
        with self._lock:
            return self._inside == 0 and time.monotonic() > max(self._next, self._last) + _IDLE_SECONDS

    def hold(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
            self._held = True

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
        self._places.acquire()
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap if self._gap else self._next
            if start > now:  # after a hold, those who wait start one by one
                self._next = start + max(self._gap, 1.0 if self._held else 0.0)
            else:
                self._held = False
        if start > now:
            time.sleep(start - now)

    def __exit__(self, *error: object) -> None:
        self._places.release()
        with self._lock:
            self._inside -= 1
            self._last = time.monotonic()
