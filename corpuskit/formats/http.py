"""Ask web servers for bytes: time-outs always, bounded tries, polite, and only where one may.

What holds for every request: a server that says nothing, or nearly nothing, for `timeout_seconds` ends the try, in the
head of an answer as in its body; tries that may help are repeated with exponential back-off and full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or after what Retry-After says; redirects
stay on the allowed hosts; private addresses are refused but for the host that the user named.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from corpuskit import __version__
from corpuskit.formats.patience import MAX_WAIT_SECONDS, Again, FetchError, Gate, Manners, Patience, Tell

__all__ = ["Again", "Answer", "Client", "FetchError", "Manners", "Patience", "Visit", "host_of", "is_public"]

PIECE_BYTES = 1 << 18
_DRAIN_SECONDS, _DRAIN_READS = 1.0, 8
_SLOWEST_BYTES_PER_SECOND = 1024
_MAX_REDIRECTS = 8
_MAX_GATES = 10_000
_REDIRECTS = {301, 302, 303, 307, 308}
_MISSING = {404, 410}
_TRANSIENT = {408, 425, 500, 502, 503, 504}
_BUSY_TRIES = 4
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Answer:
    """The head of an answer, and its body in pieces."""

    url: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    ip: str | None
    request: bytes
    raw: Any = field(repr=False)
    timeout_seconds: float = 60.0

    def get(self, name: str) -> str | None:
        """Give the first header field of a name."""
        wanted = name.lower()
        return next((value for key, value in self.fields if key.lower() == wanted), None)

    @property
    def delimited(self) -> bool:
        """Tell whether the end of the body can be told from a cut."""
        return self.length is not None or bool(self.raw.chunked)

    @property
    def length(self) -> int | None:
        """Content-Length, where it says one."""
        text = self.get("content-length") or ""
        return int(text) if text.isascii() and text.isdigit() else None

    def pieces(self) -> Iterator[bytes]:
        """Give the body as it comes, transfer coding undone. Raises Again where it breaks off or trickles."""
        start, came = time.monotonic(), 0
        while piece := self._next():
            yield piece
            came += len(piece)
            took = time.monotonic() - start
            if took > self.timeout_seconds:
                if came < took * _SLOWEST_BYTES_PER_SECOND:
                    raise Again(f"only {came} bytes in {took:.0f} s", slow=True)
                start, came = time.monotonic(), 0

    def _next(self) -> bytes:
        # `read1` gives what has come; `read` would wait for the whole piece, however slowly it comes.
        with translated(self.url):
            return bytes(self.raw.read1(PIECE_BYTES, decode_content=False))


@dataclass(frozen=True, slots=True)
class Visit:
    """An answer with its body, and the redirects that led to it."""

    url: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    cut: bool
    ip: str | None
    request: bytes
    hops: tuple[Visit, ...] = ()


class Client:
    """Ask servers; may be shared by threads. `tell` hears of every try that failed and will be repeated."""

    def __init__(self, manners: Manners, tell: Tell | None = None) -> None:
        from corpuskit.formats.http_connections import Pools

        self.manners, self._tell = manners, tell or (lambda name, **facts: None)
        self._pools = Pools(manners)
        self._gates: dict[str, Gate] = {}
        self._lock = threading.Lock()
        agent = f"corpuskit/{__version__}"
        self.agent = agent + (f" ({' '.join(manners.contact.split())})" if manners.contact else "")

    def get(self, url: str, *, max_bytes: int = 64 << 20) -> bytes:
        """Give a small document whole. Raises FetchError."""

        def once() -> bytes:
            with self.open(url) as answer:
                if answer.status != 200:
                    raise FetchError(url, f"expected status 200, got {answer.status}", "refused", answer.status)
                return _whole(answer, url, max_bytes)

        return self.patiently(url, once)

    def get_range(self, url: str, offset: int, length: int) -> bytes:
        """Give exactly these bytes of a file. Raises FetchError."""
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}

        def once() -> bytes:
            with self.open(url, wanted) as answer:
                if answer.status == 416:
                    raise FetchError(url, f"ends before byte {offset + length}", "mismatch", 416)
                if answer.status != 206 or not (answer.get("content-range") or "").startswith(f"bytes {offset}-"):
                    raise FetchError(
                        url,
                        f"expected bytes {offset}-{offset + length - 1} (206), got status {answer.status}",
                        "refused",
                    )
                data = _whole(answer, url, length)
            if len(data) != length:
                raise FetchError(url, f"expected {length} bytes from {offset}, got {len(data)}", "mismatch")
            return data

        return self.patiently(url, once)

    def size(self, url: str) -> int:
        """Ask for the size of a file in bytes. Raises FetchError."""

        def once() -> int:
            with self.open(url, method="HEAD") as answer:
                if answer.status != 200 or answer.length is None:
                    raise FetchError(url, f"does not say its size (status {answer.status})", "refused", answer.status)
                return answer.length

        return self.patiently(url, once)

    def visit(self, url: str, *, max_bytes: int, may_follow: Callable[[str], bool] | None = None) -> Visit:
        """Get a page with whatever status it has, redirects followed and kept.

        A redirect that `may_follow` refuses is the page. Raises FetchError where no answer comes, and for 5xx and 429.
        """

        def once() -> Visit:
            hops: list[Visit] = []
            at = url
            while True:
                with _redirected(url, at), self.ask(at) as answer:
                    visit = _visit(answer, max_bytes, tuple(hops))
                goes_to = _target(answer)
                if goes_to is None or (may_follow is not None and not may_follow(goes_to)):
                    return visit
                if len(hops) == _MAX_REDIRECTS:
                    raise FetchError(url, f"redirects more than {_MAX_REDIRECTS} times", "refused", answer.status)
                hops.append(visit)
                at = goes_to

        return self.patiently(url, once)

    @contextlib.contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Iterator[Answer]:
        """Ask once, following redirects. Raises Again for what another try may mend, FetchError for a refusal.

        The answer's status is one of 2xx, 304 and 416.
        """
        at = url
        for _ in range(_MAX_REDIRECTS + 1):
            with _redirected(url, at), self.ask(at, headers, method=method) as answer:
                goes_to = _target(answer)
                if goes_to is None:
                    self._refused(answer, url)
                    yield answer
                    return
            at = goes_to
        raise FetchError(url, f"redirects more than {_MAX_REDIRECTS} times, last to {at}", "refused")

    @contextlib.contextmanager
    def ask(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Iterator[Answer]:
        """Ask once, redirects not followed. Raises Again, also for statuses that mean "later", and FetchError."""
        host = self._allowed(url)
        sent = {"User-Agent": self.agent, "Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
        with self._gate(host):
            with translated(url):
                raw, ip = self._pools.request(method, url, sent, own=host in self.manners.own_hosts)
            try:
                answer = Answer(
                    url,
                    raw.status,
                    raw.reason or "",
                    list(raw.headers.iteritems()),
                    ip,
                    _request_head(method, url, sent),
                    raw,
                    self.manners.timeout_seconds,
                )
                self._later(answer, host)
                yield answer
            finally:
                _finish(raw)

    def patiently(self, url: str, once: Callable[[], _Result]) -> _Result:
        """Call `once` until it does not raise Again, or patience ends with a FetchError."""
        patience = Patience(url, self.manners, self._tell)
        while True:
            try:
                return once()
            except Again as failure:
                patience.wait(failure)

    def patience(self, url: str) -> Patience:
        """Give a fresh count of tries."""
        return Patience(url, self.manners, self._tell)

    def tell(self, name: str, **facts: Any) -> None:
        """Pass an event on."""
        self._tell(name, **facts)

    def _allowed(self, url: str) -> str:
        host = host_of(url)
        if host is None:
            raise FetchError(url, "is no http or https address", "refused")
        manners = self.manners
        known = host in manners.own_hosts or not manners.hosts or host.rpartition(":")[0] in manners.hosts
        if not known:
            allowed = ", ".join(sorted(manners.hosts | manners.own_hosts))
            raise FetchError(url, f"is on another host than {allowed}", "refused")
        return host

    def _later(self, answer: Answer, host: str) -> None:
        """Raise Again for statuses that ask to come back, and let everybody wait who asks this host."""
        busy = answer.status in self.manners.busy
        if not busy and answer.status not in _TRANSIENT:
            return
        wait = _retry_after(answer.get("retry-after"))
        self._gate(host).hold(min(max(wait or 0.0, 1.0), MAX_WAIT_SECONDS))
        raise Again(f"status {answer.status} {answer.reason}".rstrip(), wait=wait, busy=busy, status=answer.status)

    def _refused(self, answer: Answer, url: str) -> None:
        status = answer.status
        if status < 300 or status in (304, 416):
            return
        kind = "missing" if status in _MISSING else "refused" if status < 500 else "unreachable"
        raise FetchError(url, f"status {status} {answer.reason}".rstrip(), kind, status)

    def _gate(self, host: str) -> Gate:
        with self._lock:
            if host not in self._gates:
                if len(self._gates) >= _MAX_GATES:  # lists of URLs name millions of hosts
                    self._gates = {name: gate for name, gate in self._gates.items() if not gate.idle}
                self._gates[host] = Gate(self.manners.connections, self.manners.gap_seconds)
            return self._gates[host]


def host_of(url: str) -> str | None:
    """Give "name:port" of an http or https address, lower-case; None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.username is not None or parts.password is not None:
        return None
    return f"{parts.hostname.rstrip('.')}:{port}"


def is_public(address: str) -> bool:
    """Tell whether an IP address is one that the public network routes."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what urllib3 raises into Again or FetchError, in plain words."""
    from corpuskit.formats.http_connections import translate

    try:
        yield
    except (Again, FetchError):
        raise
    except Exception as error:
        found = translate(error, url)
        if found is None:
            raise
        raise found from None


@contextlib.contextmanager
def _redirected(url: str, at: str) -> Iterator[None]:
    """Let an error behind a redirect name both addresses."""
    try:
        yield
    except FetchError as error:
        if error.url != at or at == url:
            raise
        raise FetchError(url, f"redirects to {at}, which {error.cause}", error.kind, error.status) from None


def _target(answer: Answer) -> str | None:
    """Give where an answer redirects to, absolute and without its fragment."""
    location = answer.get("location")
    if answer.status not in _REDIRECTS or not location:
        return None
    try:
        return urljoin(answer.url, location.strip()).partition("#")[0]
    except ValueError:
        raise FetchError(answer.url, f"redirects to what is no address: {location[:200]}", "refused") from None


def _whole(answer: Answer, url: str, max_bytes: int) -> bytes:
    if not answer.delimited:
        raise Again("the answer does not say how long it is, so that a cut could not be told")
    data = bytearray()
    for piece in answer.pieces():
        data += piece
        if len(data) > max_bytes:
            raise FetchError(url, f"is longer than {max_bytes} bytes", "too_large", answer.status)
    return bytes(data)


def _visit(answer: Answer, max_bytes: int, hops: tuple[Visit, ...]) -> Visit:
    data, cut = bytearray(), False
    for piece in answer.pieces():
        data += piece
        if len(data) > max_bytes:
            del data[max_bytes:]
            cut = True
            break
    if not data and not answer.delimited:  # a head that is cut looks like one that has ended
        raise Again("the answer ended in its head")
    return Visit(
        answer.url, answer.status, answer.reason, answer.fields, bytes(data), cut, answer.ip, answer.request, hops
    )


def _finish(raw: Any) -> None:
    """Give the connection back for the next request where little is left to read and comes at once, else close it."""
    with contextlib.suppress(Exception):
        left = raw.length_remaining
        if left is not None and left <= PIECE_BYTES:
            if left and raw.connection is not None and raw.connection.sock is not None:
                raw.connection.sock.settimeout(_DRAIN_SECONDS)
            for _ in range(_DRAIN_READS):
                if not raw.read1(PIECE_BYTES, decode_content=False):
                    raw.release_conn()
                    return
    with contextlib.suppress(Exception):
        raw.close()


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3); None where it says nothing."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _request_head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace")
