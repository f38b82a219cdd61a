"""The client: what it asks, what it takes for an answer, and how long its patience lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from corpuskit.formats.http import Client, FetchError, Manners, host_of, is_public
from tests.servers import Asked, Rude, Server, free_port

Serve = Callable[[Callable[[Asked], None]], Rude]


def client(server: Rude | Server | str, **manners: object) -> Client:
    url = server if isinstance(server, str) else server.url
    quick = {"timeout_seconds": 0.6, "tries": 3, "backoff_seconds": (0.01, 0.02), "busy_seconds": (0.01, 0.02)}
    return Client(Manners(own_hosts=frozenset({str(host_of(url))}), **{**quick, **manners}))  # type: ignore[arg-type]


def refusal(call: Callable[[], object]) -> FetchError:
    with pytest.raises(FetchError) as caught:
        call()
    return caught.value


def test_a_small_document_comes_whole(tmp_path: Path, nginx: Callable[..., Server]) -> None:
    (tmp_path / "list").write_bytes(b"one\ntwo\n")
    server = nginx(tmp_path)
    assert client(server).get(f"{server.url}/list") == b"one\ntwo\n"


def test_a_range_comes_exactly(tmp_path: Path, nginx: Callable[..., Server]) -> None:
    (tmp_path / "x").write_bytes(bytes(range(256)))
    server = nginx(tmp_path)
    assert client(server).get_range(f"{server.url}/x", 10, 5) == bytes(range(10, 15))
    assert [(each.status, each.range) for each in server.log()] == [(206, "bytes=10-14")]


@pytest.mark.parametrize(("offset", "length"), [(250, 20), (300, 5)])
def test_a_range_behind_the_end_is_an_error(
    tmp_path: Path, nginx: Callable[..., Server], offset: int, length: int
) -> None:
    (tmp_path / "x").write_bytes(bytes(range(256)))
    server = nginx(tmp_path)
    assert refusal(lambda: client(server).get_range(f"{server.url}/x", offset, length)).kind == "mismatch"


def test_a_range_from_a_server_without_ranges_is_an_error(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("200 OK", b"0123456789"))
    assert (
        "expected bytes 2-4 (206), got status 200" in refusal(lambda: client(server).get_range(server.url, 2, 3)).cause
    )


def test_the_size_is_asked_for_with_head(tmp_path: Path, nginx: Callable[..., Server]) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    server = nginx(tmp_path)
    assert client(server).size(f"{server.url}/x") == 5
    assert [each.method for each in server.log()] == ["HEAD"]


def test_the_user_agent_names_the_tool_and_whom_to_write_to(tmp_path: Path, nginx: Callable[..., Server]) -> None:
    (tmp_path / "x").write_bytes(b"1")
    server = nginx(tmp_path)
    client(server, contact="crawl@example.org\r\nX: y").get(f"{server.url}/x")
    agent = server.log()[0].agent
    assert agent.startswith("corpuskit/")
    assert agent.endswith("(crawl@example.org X: y)")


@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        ("404 Not Found", "missing", 1),
        ("410 Gone", "missing", 1),
        ("403 Forbidden", "refused", 1),
        ("400 Bad Request", "refused", 1),
        ("503 Service Unavailable", "unreachable", 3),
        ("500 Oops", "unreachable", 3),
        ("501 Not Implemented", "unreachable", 1),
        ("429 Too Many Requests", "busy", 3),
    ],
)
def test_every_status_has_its_kind_and_its_number_of_tries(rude: Serve, status: str, kind: str, requests: int) -> None:
    server = rude(lambda asked: asked.answer(status, b"sorry", Retry_After="0"))
    error = refusal(lambda: client(server).get(f"{server.url}/x"))
    assert (error.kind, len(server.asked)) == (kind, requests)
    assert error.url == f"{server.url}/x"
    assert f"status {status[:3]}" in error.cause


def test_a_403_is_a_limit_of_rate_where_the_source_says_so(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("403 Forbidden"))
    error = refusal(lambda: client(server, busy=frozenset({403, 429})).get(server.url))
    assert (error.kind, len(server.asked)) == ("busy", 3)


def test_a_503_with_retry_after_is_asked_again_then_and_not_before(rude: Serve) -> None:
    times = []

    def handler(asked: Asked) -> None:
        times.append(time.monotonic())
        if asked.number == 0:
            asked.answer("503 Busy", b"x" * 5000, Retry_After="1")
        else:
            asked.answer("200 OK", b"here")

    server = rude(handler)
    assert client(server).get(server.url) == b"here"
    assert 0.95 <= times[1] - times[0] < 4


def test_a_retry_after_of_an_hour_is_not_waited_for(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("503 Busy", Retry_After="3600"))
    error = refusal(lambda: client(server).get(server.url))
    assert (error.kind, len(server.asked)) == ("busy", 1)
    assert "asks to come back in 3600 s" in error.cause


def test_an_endless_redirect_ends(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("302 Found", Location=f"/{asked.number + 1}{asked.path}"))
    assert "redirects more than 8 times" in refusal(lambda: client(server).get(f"{server.url}/x")).cause


def test_a_redirect_on_the_host_is_followed(rude: Serve) -> None:
    def handler(asked: Asked) -> None:
        if asked.path == "/old":
            asked.answer("301 Moved", Location="/new#there")
        else:
            asked.answer("200 OK", asked.path.encode())

    server = rude(handler)
    assert client(server).get(f"{server.url}/old") == b"/new"


@pytest.mark.parametrize(
    "goal", ["http://example.org/x", "http://localhost:{port}/x", "ftp://127.0.0.1/x", "file:///etc"]
)
def test_a_redirect_to_another_host_is_refused_and_that_host_never_asked(rude: Serve, goal: str) -> None:
    other = rude(lambda asked: asked.answer("200 OK", b"wrong"))
    where = goal.replace("{port}", other.url.rpartition(":")[2])
    server = rude(lambda asked: asked.answer("302 Found", Location=where))
    error = refusal(lambda: client(server, hosts=frozenset({"dumps.example"})).get(server.url))
    assert error.kind == "refused"
    assert error.url == server.url
    assert f"redirects to {where}, which is " in error.cause
    assert other.asked == []


def test_a_private_address_that_nobody_named_is_refused(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("200 OK", b"secret"))
    error = refusal(lambda: client("http://127.0.0.1:1").get(f"{server.url}/admin"))
    assert error.kind == "refused"
    assert "has the private address 127.0.0.1" in error.cause
    assert "--base-url" in error.cause
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%eth0", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("8.8.8.8", True),
        ("2606:4700::1", True),
    ],
)
def test_private_addresses_are_told(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_silence_ends_with_the_time_out(rude: Serve) -> None:
    done = threading.Event()
    server = rude(lambda asked: done.wait(10) and None)
    start = time.monotonic()
    error = refusal(lambda: client(server, tries=2).get(server.url))
    done.set()
    assert time.monotonic() - start < 5
    assert error.kind == "unreachable"
    assert "silence" in error.cause


def drip(asked: Asked, data: bytes, stop: threading.Event) -> None:
    for at in range(len(data)):
        asked.send(data[at : at + 1])
        if stop.wait(0.05):
            return


def test_a_body_that_trickles_ends_with_the_time_out(rude: Serve) -> None:
    stop = threading.Event()

    def handler(asked: Asked) -> None:
        asked.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        drip(asked, b"x" * 100000, stop)

    server = rude(handler)
    start = time.monotonic()
    error = refusal(lambda: client(server, tries=2).get(server.url))
    stop.set()
    assert time.monotonic() - start < 6
    assert "only" in error.cause
    assert "bytes in" in error.cause


def test_a_head_that_trickles_ends_with_the_time_out(rude: Serve) -> None:
    stop = threading.Event()
    server = rude(lambda asked: drip(asked, b"HTTP/1.1 200 OK\r\nX-Endless: " + b"x" * 100000, stop))
    start = time.monotonic()
    error = refusal(lambda: client(server, tries=2).get(server.url))
    stop.set()
    assert time.monotonic() - start < 8
    assert "head of the answer" in error.cause


def test_a_refused_connection_is_told_in_words() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    error = refusal(lambda: client(url).get(url))
    assert (error.kind, error.url) == ("unreachable", url)
    assert "no connection: Connection refused" in error.cause
    assert "3 tries" in error.cause


def test_an_answer_that_is_cut_in_its_head_is_no_empty_document(rude: Serve) -> None:
    server = rude(lambda asked: asked.send("HTTP/1.1 200 OK\r\nContent-Len"))
    assert refusal(lambda: client(server).get(server.url)).kind == "unreachable"


def test_a_connection_that_was_kept_and_then_closed_costs_no_try(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("200 OK", b"x", Connection="keep-alive"))
    shared = client(server, tries=1)
    for at in range(20):
        assert shared.get(f"{server.url}/{at}") == b"x"


def test_a_cut_connection_is_tried_again(rude: Serve) -> None:
    def handler(asked: Asked) -> None:
        if asked.number < 2:
            asked.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        else:
            asked.answer("200 OK", b"0123456789")

    server = rude(handler)
    assert client(server).get(server.url) == b"0123456789"


def test_what_is_no_http_is_an_error(rude: Serve) -> None:
    server = rude(lambda asked: asked.send("SSH-2.0-OpenSSH_9\r\n"))
    assert refusal(lambda: client(server).get(server.url)).kind == "unreachable"


def test_a_document_longer_than_allowed_is_refused(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("200 OK", b"x" * 5000))
    assert refusal(lambda: client(server).get(server.url, max_bytes=1000)).kind == "too_large"


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "no address", "http://u:p@host/", "http://host:99999/", "//x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    assert refusal(lambda: client("http://127.0.0.1:1").get(url)).kind == "refused"


def test_a_visit_keeps_the_redirects_the_fields_and_the_body_as_sent(rude: Serve) -> None:
    def handler(asked: Asked) -> None:
        if asked.path == "/a":
            asked.answer("302 Found", b"over there", Location="/b")
        else:
            body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
            asked.send("HTTP/1.1 404 Nope\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
            asked.send(body)

    server = rude(handler)
    visit = client(server).visit(f"{server.url}/a", max_bytes=10)
    assert (visit.url, visit.status, visit.reason) == (f"{server.url}/b", 404, "Nope")
    assert (visit.body, visit.cut, visit.ip) == (b"hello worl", True, "127.0.0.1")
    assert [value for name, value in visit.fields if name == "X-A"] == ["1", "2"]
    assert [(hop.status, hop.body) for hop in visit.hops] == [(302, b"over there")]
    assert visit.request.startswith(b"GET /b HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_visit_stops_at_a_redirect_that_may_not_be_followed(rude: Serve) -> None:
    server = rude(lambda asked: asked.answer("302 Found", Location="http://elsewhere.example/"))
    visit = client(server).visit(server.url + "/", max_bytes=8, may_follow=lambda url: False)
    assert (visit.status, len(server.asked)) == (302, 1)


def test_no_more_connections_at_once_than_allowed(rude: Serve) -> None:
    now, most = [0], [0]
    lock = threading.Lock()

    def handler(asked: Asked) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        asked.answer("200 OK", b"x")

    server = rude(handler)
    shared = client(server, connections=2, timeout_seconds=5.0)
    threads = [threading.Thread(target=shared.get, args=(f"{server.url}/{at}",)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(server.asked), most[0]) == (8, 2)


def test_requests_to_one_host_keep_their_gap(rude: Serve) -> None:
    times = []

    def handler(asked: Asked) -> None:
        times.append(time.monotonic())
        asked.answer("200 OK", b"x")

    server = rude(handler)
    shared = client(server, gap_seconds=0.2)
    for at in range(3):
        shared.get(f"{server.url}/{at}")
    assert times[1] - times[0] > 0.15
    assert times[2] - times[1] > 0.15


def test_connections_are_kept_for_the_next_request(tmp_path: Path, nginx: Callable[..., Server]) -> None:
    (tmp_path / "x").write_bytes(b"1" * 100)
    server = nginx(tmp_path, more="location /n { return 200 $connection; }")
    shared = client(server)
    assert len({shared.get(f"{server.url}/n") for _ in range(5)}) == 1
