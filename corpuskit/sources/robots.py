"""What a site lets crawlers see: robots.txt (RFC 9309), read by protego."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from corpuskit.formats.http import Client, FetchError, Visit
from corpuskit.formats.response import Response, decode_body

if TYPE_CHECKING:
    from protego import Protego

#: The name by which a site's rules mean us.
TOKEN = "corpuskit"
MAX_BYTES = 500 << 10
MAX_DELAY_SECONDS = 60.0
_KEPT_SITES = 4096
_KEPT_SECONDS = 86_400.0  # RFC 9309, 2.4
_CODINGS = "content-encoding"


@dataclass(frozen=True, slots=True)
class Rules:
    """A site's rules; without a parser everything is allowed. `failure`: they could not be had, so nothing is."""

    parser: Protego | None = None
    failure: FetchError | None = None

    def allows(self, url: str) -> bool:
        """Tell whether we may see an address of the site."""
        return self.failure is None and (self.parser is None or bool(self.parser.can_fetch(url, TOKEN)))

    @property
    def delay_seconds(self) -> float:
        """The crawl-delay that the site asks for, at most a minute; 0.0 where it asks for none."""
        delay = self.parser.crawl_delay(TOKEN) if self.parser is not None else None
        return min(max(0.0, delay), MAX_DELAY_SECONDS) if delay is not None and not math.isnan(delay) else 0.0


class Robots:
    """The rules of many sites, shared by threads: each is asked once a day while it is among the last few thousand."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: OrderedDict[str, tuple[float, Future[Rules]]] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, url: str) -> bool:
        """Tell whether the rules for an address are at hand, so that asking for them costs nothing."""
        with self._lock:
            return self._at_hand(_site(url)) is not None

    def of(self, url: str) -> Rules:
        """Give the rules for an address, of which the site is asked where they are not at hand."""
        site = _site(url)
        with self._lock:
            known = self._at_hand(site)
            found: Future[Rules] = known or Future()
            if known is None:
                self._known[site] = time.monotonic() + _KEPT_SECONDS, found
                if len(self._known) > _KEPT_SITES:
                    self._known.popitem(last=False)
            self._known.move_to_end(site)
        if known is None:
            try:
                found.set_result(read_rules(self._client, f"{site}/robots.txt"))
            except BaseException as error:
                found.set_exception(error)
        return found.result()

    def _at_hand(self, site: str) -> Future[Rules] | None:
        until, found = self._known.get(site, (0.0, None))
        return found if time.monotonic() < until else None


def read_rules(client: Client, url: str) -> Rules:
    """Ask for a robots.txt.

    Rules that are not there (4xx), or that lead where nobody may follow, allow all; rules that cannot be had now (5xx,
    no answer, a limit of rate) allow nothing (RFC 9309, 2.3.1).
    """
    try:
        visit = client.visit(url, max_bytes=MAX_BYTES)
    except FetchError as error:
        return Rules() if error.kind in ("refused", "missing") else Rules(failure=error)
    if visit.status >= 500:
        cause = f"status {visit.status} {visit.reason}".rstrip()
        return Rules(failure=FetchError(url, cause, "unreachable", visit.status))
    return Rules(parse(_text(visit))) if 200 <= visit.status < 300 else Rules()


def parse(text: str) -> Protego:
    """Read rules from the text of a robots.txt."""
    from protego import Protego

    return Protego.parse(text)


def _text(visit: Visit) -> str:
    coded: list[Any] = [value.lower().strip() for name, value in visit.fields if name.lower() == _CODINGS]
    codings = tuple(word.strip() for value in reversed(coded) for word in reversed(value.split(",")))
    body, _ = decode_body(Response(visit.status, "", None, codings, visit.body), MAX_BYTES)
    if len(body) >= MAX_BYTES:  # a line that is cut may say another thing than the whole one
        body = body[: body.rfind(b"\n") + 1]
    return body.decode("utf-8", "replace").removeprefix("\ufeff")


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
