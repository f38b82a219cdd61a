"""What all stages that fetch share: their options for the network, and how these become a client."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.errors import UsageError
from corpuskit.options import option
from corpuskit.stage import Whole, Written, event, status

if TYPE_CHECKING:
    from corpuskit.formats.http import Client

CONTACT = "CORPUSKIT_CONTACT"


@dataclass(frozen=True, kw_only=True)
class Network:
    """How to behave on the network; none of it shows in what is fetched."""

    contact: str | None = option(
        None, f"Mail address or URL for the User-Agent, so that a site can reach you  (default: ${CONTACT}).", how=True
    )
    connections: int = option(2, "Connections to one host at once.", min=1, max=16, how=True)
    tries: int = option(6, "Tries in a row that bring nothing before a file is given up.", min=1, max=100, how=True)
    timeout_seconds: float = option(
        60.0, "Longest silence of a server, and longest time at under 1 KiB/s, before a try ends.", min=0.1, how=True
    )


def client(
    options: Network,
    *,
    base_url: str | None,
    hosts: Sequence[str] = (),
    busy: Collection[int] = (429,),
    gap_seconds: float = 0.0,
) -> Client:
    """Make the client of a source.

    `hosts` are the hosts that it may talk to, also across redirects (none: every public one), beside that of
    `base_url`, which may be a private address. `busy` are the answers that mean "not now"; `gap_seconds` lie between
    two requests to one host at least. Raises UsageError for a base URL that is none.
    """
    from corpuskit.formats.http import Client, Manners, host_of

    own = frozenset[str]()
    if base_url is not None:
        if host_of(base_url) is None:
            raise UsageError("--base-url", f"expected http://HOST/ or https://HOST/, got {base_url}", "mend it")
        own = frozenset({str(host_of(base_url))})
    return Client(
        Manners(
            contact=options.contact or os.environ.get(CONTACT),
            hosts=frozenset(hosts),
            own_hosts=own,
            connections=options.connections,
            gap_seconds=gap_seconds,
            tries=options.tries,
            timeout_seconds=options.timeout_seconds,
            busy=frozenset(busy),
        ),
        tell=event,
    )


def fetch(
    client: Client, listing: Whole, out: Path, *, check: Callable[[Path], dict[str, str]] | None = None
) -> Iterator[Written]:
    """Fetch all files of a listing (`fetching.LISTING`) into `out`, and tell of each.

    Files that are there from an earlier attempt are not asked for again. `check` looks into files that have no
    published checksum, before they get their names; it raises `FetchError` or gives what is to be known of the file.
    Raises Unavailable, Busy or BadData that names every file that failed, after all others are there.
    """
    from corpuskit.formats.fetching import fetch_all

    def show(line: str, facts: dict[str, Any]) -> None:
        status(line)
        event("progress", **facts)

    for got in fetch_all(client, listing, out, show=show, check=check):
        yield Written(got.name, got.about, got.bytes, got.sha256)
