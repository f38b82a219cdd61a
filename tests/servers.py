"""Real servers on loopback: nginx, which serves a folder as the sites do, and one that misbehaves."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONF = """
daemon off;
master_process off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format one '$request_method\\t$request_uri\\t$status\\t$http_range\\t$body_bytes_sent\\t$http_user_agent';
    access_log {home}/access.log one;
    types {{ }}
    default_type application/octet-stream;
    client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
    sendfile on;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        autoindex on;
        {more}
    }}
}}
"""


@dataclass(frozen=True)
class Request:
    """One line of the server's log. `range` is the Range header, "" where there was none."""

    method: str
    path: str
    status: int
    range: str
    bytes: int
    agent: str


@dataclass(frozen=True)
class Server:
    """A running nginx."""

    url: str
    root: Path
    home: Path

    def log(self) -> list[Request]:
        """Give the requests so far, in the order in which they ended."""
        found = []
        for line in self._lines():
            method, path, status, wanted, sent, agent = line.split("\t")
            found.append(Request(method, path, int(status), wanted.replace("-", "", wanted == "-"), int(sent), agent))
        return found

    def _lines(self) -> list[str]:
        """Read the log behind all requests that have ended: one of our own is the last of them."""
        mark = f"/-mark-{time.monotonic_ns()}"
        host, _, port = self.url.rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port)), 5) as wire:
            wire.sendall(f"GET {mark} HTTP/1.0\r\n\r\n".encode())
            while wire.recv(4096):
                pass
        until = time.monotonic() + 5
        while time.monotonic() < until:
            lines = (self.home / "access.log").read_text().splitlines()
            if any(mark in line for line in lines):
                return [line for line in lines if "/-mark-" not in line]
            time.sleep(0.01)
        raise AssertionError("nginx does not write its log")

    def paths(self) -> list[str]:
        """Give the paths that were asked for."""
        return [request.path for request in self.log()]

    def forget(self) -> None:
        """Empty the log."""
        self._lines()
        with open(self.home / "access.log", "r+b") as file:
            file.truncate(0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def run_nginx(root: Path, home: Path, *, more: str = "") -> Iterator[Server]:
    """Serve a folder until the context ends. `more` is further configuration of the server block."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx)")
    home.mkdir(parents=True, exist_ok=True)
    for _ in range(5):  # somebody else may take the port in between
        port = free_port()
        (home / "nginx.conf").write_text(_CONF.format(home=home, root=root, port=port, more=more))
        (home / "access.log").write_text("")
        process = subprocess.Popen(
            [program, "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _answers(port, process):
                yield Server(f"http://127.0.0.1:{port}", root, home)
                return
        finally:
            process.kill()
            process.wait(10)
    pytest.fail(f"nginx does not start: {(home / 'error.log').read_text()[-500:]}")


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Give a function that serves a folder with nginx until the test is over."""
    with contextlib.ExitStack() as stack:

        def serve(root: Path, *, more: str = "") -> Server:
            os.chmod(root, 0o755)
            return stack.enter_context(run_nginx(root, tmp_path_factory.mktemp("nginx"), more=more))

        yield serve


@dataclass
class Asked:
    """A request that the rude server got, and the wire to whoever sent it."""

    method: str
    path: str
    fields: dict[str, str]  # lower-case names
    wire: socket.socket
    number: int  # of the request to this path, from 0

    def send(self, data: bytes | str) -> None:
        self.wire.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self, status: str, body: bytes = b"", **fields: object) -> None:
        """Send a whole answer; fields with _ for -, None leaves the default out."""
        named = {
            "Content-Length": len(body),
            "Connection": "close",
            **{key.replace("_", "-"): value for key, value in fields.items()},
        }
        head = "".join(f"{key}: {value}\r\n" for key, value in named.items() if value is not None)
        self.send(f"HTTP/1.1 {status}\r\n{head}\r\n")
        self.send(body)

    def offset(self) -> int:
        """Tell where the asked-for range begins."""
        found = re.fullmatch(r"bytes=(\d+)-\d*", self.fields.get("range", ""))
        return int(found[1]) if found else 0

    def rest(self, data: bytes, etag: str | None = None) -> None:
        """Send what was asked for of a file, as a good server does, but for what the test does to the wire."""
        at = self.offset()
        fields = {"ETag": etag}
        if at:
            fields["Content-Range"] = f"bytes {at}-{len(data) - 1}/{len(data)}"
        self.answer("206 Partial Content" if at else "200 OK", data[at:], **fields)


class Rude:
    """A server whose manners a test writes: `handler` gets every request and the wire, which is closed after it."""

    def __init__(self, handler: Callable[[Asked], None]) -> None:
        self.handler = handler
        self.asked: list[Asked] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with wire, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = wire.recv(4096)
                if not piece:
                    return
                head += piece
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ")
            fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines if line}
            with self._lock:
                number = sum(each.path == path for each in self.asked)
                asked = Asked(method, path, fields, wire, number)
                self.asked.append(asked)
            self.handler(asked)
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def rude() -> Iterator[Callable[[Callable[[Asked], None]], Rude]]:
    """Give a function that starts a server with a handler, until the test is over."""
    with contextlib.ExitStack() as stack:

        def serve(handler: Callable[[Asked], None]) -> Rude:
            server = Rude(handler)
            stack.callback(server.close)
            return server

        yield serve


def address_of(text: str) -> str:
    """Give the first http address in a text."""
    found = re.search(r"https?://[^\s,)]+", text)
    return found[0] if found else ""
