"""Lists of domains and URLs: what an entry blocks, and what it does not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import BadData, NoInput
from corpuskit.text.blocklist import Blocklist

LIST = """# a comment
bad.org
*.worse.org
.worst.org  # a comment after an entry
WWW.Upper.org

good.org/forum
good.org/page?id=1
good.org/pre*
https://www.scheme.org/path/
0.0.0.0 hosts.org
203.0.113.9
müller.example
http://user:pw@port.org:8080/x
"""


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Blocklist:
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_text(LIST, encoding="utf-8")
    return Blocklist.load(path)


def reason(blocked: Blocklist, url: str | None) -> str | None:
    found: str | None = blocked.reasons(pa.array([url], pa.string()))[0].as_py()
    return found


@pytest.mark.parametrize(
    "url",
    [
        "http://bad.org",
        "https://bad.org/any/page?x#y",
        "https://deep.sub.bad.org/",
        "HTTPS://BAD.ORG:8443/",
        "http://user@bad.org./",
        "bad.org/x",
        "//bad.org/x",
        "http://bad.org?x=1",
        "http://worse.org",
        "http://a.worse.org",
        "http://a.worst.org",
        "http://upper.org",
        "http://hosts.org",
        "http://203.0.113.9/x",
        "http://xn--mller-kva.example/",
        "http://müller.example/",
    ],
)
def test_a_domain_is_blocked_with_its_subdomains_and_pages(blocked: Blocklist, url: str) -> None:
    assert reason(blocked, url) == "blocked_domain"


@pytest.mark.parametrize(
    "url",
    [
        "http://good.org/forum",
        "https://www.good.org/forum/",
        "http://good.org/forum/thread/1",
        "http://good.org/forum?page=2",
        "http://good.org/forum#top",
        "http://good.org/page?id=1",
        "http://good.org/page?id=1&lang=en",
        "http://good.org/prefix/all",
        "http://scheme.org/path",
        "http://port.org/x/y",
    ],
)
def test_a_url_is_blocked_with_the_pages_below_it(blocked: Blocklist, url: str) -> None:
    assert reason(blocked, url) == "blocked_url"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "http://",
        "not a url",
        "http://notbad.org",
        "http://bad.org.uk",
        "http://org",
        "http://good.org",
        "http://good.org/forums",
        "http://good.org/page",
        "http://good.org/page?id=12",
        "http://good.org/Forum",
        "http://sub.good.org/forum",
        "http://good.org/?u=http://bad.org/",
        "http://1.203.0.113.9",
        "http://bad.org@good.org/",
    ],
)
def test_anything_else_is_not_blocked(blocked: Blocklist, url: str | None) -> None:
    assert reason(blocked, url) is None


def test_rows_keep_their_order_and_urls_may_come_twice(blocked: Blocklist) -> None:
    urls = pa.array(["http://bad.org/1", None, "http://good.org/forum", "http://bad.org/1", "http://good.org"])
    expected = ["blocked_domain", None, "blocked_url", "blocked_domain", None]
    assert blocked.reasons(urls).to_pylist() == expected
    assert blocked.reasons(urls.slice(2)).to_pylist() == expected[2:]
    assert blocked.reasons(pa.nulls(3, pa.string())).to_pylist() == [None] * 3
    assert blocked.reasons(pa.array([], pa.string())).type == pa.string()


def test_lines_that_are_no_entry_are_counted(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"two words\nad*.bad.org\n\xff\xfe\xfa binary\n*\n/path\nok.org\n# comment\n\n")
    found = Blocklist.load(tmp_path / "list")
    assert found.ignored == 5
    assert reason(found, "http://ok.org") == "blocked_domain"


def test_a_list_may_be_zipped_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "list.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfbad.org\r\nworse.org\r\n"))
    found = Blocklist.load(tmp_path / "list.gz")
    assert [reason(found, f"http://{host}.org") for host in ("bad", "worse")] == ["blocked_domain"] * 2


def test_a_folder_is_read_for_its_domains_and_urls(tmp_path: Path) -> None:
    (tmp_path / "adult").mkdir()
    (tmp_path / "adult" / "domains").write_text("bad.org\n")
    (tmp_path / "adult" / "urls.gz").write_bytes(gzip.compress(b"good.org/forum\n"))
    (tmp_path / "adult" / "usage").write_text("readme.org\n")
    found = Blocklist.load(tmp_path)
    assert reason(found, "http://bad.org/") == "blocked_domain"
    assert reason(found, "http://good.org/forum/1") == "blocked_url"
    assert reason(found, "http://readme.org/") is None


def test_an_empty_list_blocks_nothing(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"")
    assert reason(Blocklist.load(tmp_path / "list"), "http://bad.org") is None


def test_a_list_that_is_not_there_and_one_that_is_damaged_are_errors(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="found nothing"):
        Blocklist.load(tmp_path / "list")
    with pytest.raises(NoInput, match="files named domains or urls"):
        Blocklist.load(tmp_path)
    (tmp_path / "list.gz").write_bytes(gzip.compress(b"bad.org\n" * 999)[:-9])
    with pytest.raises(BadData, match="damaged"):
        Blocklist.load(tmp_path / "list.gz")


labels = st.sampled_from(["a", "b", "c"])
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
paths = st.lists(labels, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))


@settings(max_examples=200, deadline=None)
@given(st.lists(hosts, max_size=4), st.lists(st.tuples(hosts, paths), max_size=4), st.tuples(hosts, paths))
def test_blocking_is_what_comparing_label_by_label_says(
    tmp_path_factory: pytest.TempPathFactory,
    domains: list[str],
    urls: list[tuple[str, str]],
    page: tuple[str, str],
) -> None:
    path = tmp_path_factory.mktemp("list") / "list"
    path.write_text("\n".join([*domains, *("".join(url) for url in urls)]))
    host, rest = page
    listed = [*domains, *(name for name, below in urls if not below)]
    by_domain = any(f".{host}".endswith(f".{domain}") for domain in listed)
    by_url = any(below and name == host and f"{rest}/".startswith(f"{below}/") for name, below in urls)
    expected = "blocked_domain" if by_domain else "blocked_url" if by_url else None
    assert reason(Blocklist.load(path), f"https://{host}{rest}") == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab/", min_size=1, max_size=5), max_size=6), st.text("ab/", max_size=8))
def test_a_prefix_blocks_all_that_begins_so(
    tmp_path_factory: pytest.TempPathFactory, prefixes: list[str], rest: str
) -> None:
    path = tmp_path_factory.mktemp("list") / "list"
    path.write_text("\n".join(f"x.org/{prefix}*" for prefix in prefixes))
    expected = "blocked_url" if any(rest.startswith(prefix) for prefix in prefixes) else None
    assert reason(Blocklist.load(path), f"http://x.org/{rest}") == expected
