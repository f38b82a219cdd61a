"""Connections of urllib3 that know whom they talk to, and that end when a server's head takes too long."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    InvalidChunkLength,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from corpuskit.formats.http import Again, FetchError, Manners, is_public

_CONNECT_SECONDS = 10.0
_LATE = "the head of the answer does not come to an end"


class PrivateAddressError(HTTPError):
    """A host whose address no public network routes."""


class _Current(threading.local):
    """What the request of this thread is allowed, and where it went."""

    own = False
    proxied = False
    late = False
    kept = False  # the connection is one that an earlier request left open
    sock: socket.socket | None = None
    ip: str | None = None


_current = _Current()


class _Checked:
    """Mixed into both kinds of connection."""

    sock: Any

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        _current.sock, _current.kept = sock, False
        address = sock.getpeername()[0]
        if not (_current.own or _current.proxied or is_public(address)):
            sock.close()
            raise PrivateAddressError(address)
        return sock

    def request(self, *arguments: Any, **named: Any) -> None:
        if self.sock is not None:  # kept open since an earlier request
            _current.sock, _current.kept = self.sock, True
        super().request(*arguments, **named)  # type: ignore[misc]
        _current.sock = self.sock
        _current.ip = None if _current.proxied else self.sock.getpeername()[0]


class _Http(_Checked, HTTPConnection):
    pass


class _Https(_Checked, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class Pools:
    """Open requests through pools of kept connections, past the proxy that the environment names."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        connect = min(_CONNECT_SECONDS, manners.timeout_seconds)
        self._timeout = urllib3.Timeout(connect=connect, read=manners.timeout_seconds)
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._watch = _Watch()

    def request(self, method: str, url: str, headers: dict[str, str], *, own: bool) -> tuple[Any, str | None]:
        """Send a request; gives urllib3's response, its body not yet read, and the server's IP address."""
        manager, _current.proxied = self._manager(url)
        _current.own, _current.late, _current.kept, _current.sock, _current.ip = own, False, False, None, None
        # A connection, and a head that comes byte by byte: both have the time of one silence.
        seconds = self._manners.timeout_seconds
        mark = self._watch.start(seconds + min(seconds, _CONNECT_SECONDS), _current)
        try:
            raw = self._send(manager, method, url, headers)
        except Exception:
            if _current.late:
                raise Again(_LATE, slow=True) from None
            raise
        finally:
            self._watch.stop(mark)
        if _current.late:  # a head that is cut looks to `http.client` like one that has ended
            raw.close()
            raise Again(_LATE, slow=True)
        return raw, _current.ip

    def _send(self, manager: urllib3.PoolManager, method: str, url: str, headers: dict[str, str]) -> Any:
        def send() -> Any:
            return manager.request(
                method,
                url,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )

        try:
            return send()
        except ProtocolError:
            if not _current.kept or _current.late:
                raise
            return send()  # the server had closed a connection that was kept open: no failure

    def _manager(self, url: str) -> tuple[urllib3.PoolManager, bool]:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy and proxy_bypass(parts.netloc):
            proxy = None
        with self._lock:
            if (proxy or "") not in self._managers:
                size = {"num_pools": 64, "maxsize": self._manners.connections, "block": False}
                manager = urllib3.ProxyManager(proxy, **size) if proxy else urllib3.PoolManager(**size)  # type: ignore[arg-type]
                manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
                self._managers[proxy or ""] = manager
            return self._managers[proxy or ""], bool(proxy)


class _Watch:
    """Shut the socket of a request whose head does not come to its end: time-outs of sockets see silence only."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._thread: threading.Thread | None = None

    def start(self, seconds: float, current: _Current) -> int:
        with self._lock:
            self._count += 1
            self._running[self._count] = (time.monotonic() + seconds, current.__dict__)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            return self._count

    def stop(self, mark: int) -> None:
        with self._lock:
            self._running.pop(mark, None)

    def _work(self) -> None:
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            with self._lock:
                late = [state for until, state in self._running.values() if until < now]
            for state in late:
                sock = state.get("sock")
                state["late"] = True
                if sock is not None:
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def translate(error: Exception, url: str) -> Exception | None:
    """Give the Again or FetchError that an exception of urllib3 or a socket stands for; None for any other."""
    if isinstance(error, PrivateAddressError):
        cause = f"has the private address {error}; if you mean it, name it: --base-url http://HOST:PORT/"
        return FetchError(url, cause, "refused")
    if isinstance(error, LocationParseError):
        return FetchError(url, "is no address", "refused")
    if isinstance(error, NameResolutionError):
        unknown = "not known" in str(error) or "No address" in str(error)
        if unknown:
            return FetchError(url, "no such host", "unreachable")
        return Again("the name of the host cannot be looked up")
    if isinstance(error, NewConnectionError):
        return Again(f"no connection: {_last(error)}")
    if isinstance(error, ConnectTimeoutError):
        return Again("no connection within the time-out")
    if isinstance(error, ReadTimeoutError | TimeoutError):
        return Again("silence for longer than the time-out")
    if isinstance(error, SSLError):
        if "CERTIFICATE" in str(error).upper() or "hostname" in str(error):
            return FetchError(url, f"the certificate is not to be trusted: {_last(error)}", "unreachable")
        return Again(f"TLS failed: {_last(error)}")
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if isinstance(inner, IncompleteRead):
        return Again(f"the connection was cut with {inner.expected} bytes to come")
    if isinstance(inner, InvalidChunkLength):
        return Again("the connection was cut between two chunks")
    if isinstance(error, ProtocolError | HTTPError | OSError):
        return Again(f"the connection was cut: {_last(error)}")
    return None


def _last(error: BaseException) -> str:
    """Give the innermost reason of an error in words."""
    text = re.sub(r"\[Errno -?\d+\] ", "", str(error.args[-1] if error.args else error))
    return text.rpartition(": ")[2].strip("()' ") or type(error).__name__
