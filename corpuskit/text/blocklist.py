"""Lists of domains and URLs that nobody wants text from.

A file has one entry a line, `#` begins a comment, and .gz is unpacked:

  example.com            the domain and its subdomains (`*.example.com` and `.example.com` too)
  example.com/forum      pages at and below this path, whatever the scheme, with or without `www.`
  example.com/a?b=1      this page, and those whose query goes on with `&`
  example.com/forum*     all that begins so
  0.0.0.0 example.com    a line of a hosts file

A folder is read for its files `domains` and `urls` (or `domains.gz`, ...) at any depth, the layout of the lists of
Université Toulouse Capitole (UT1). Lines that are none of this are counted in `ignored`.

Entries are kept as 64-bit hashes, 8 bytes each, so that millions fit; two that share one by chance are as likely as
1 in 10^12 for a list of millions and a URL.
"""

from __future__ import annotations

import bisect
import functools
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, NoInput

BLOCKED_DOMAIN, BLOCKED_URL = "blocked_domain", "blocked_url"

_FILES = ("domains", "domains.gz", "urls", "urls.gz")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:(?=//)", re.I)
_HOST = re.compile(r"[^\s/?#@:]+|\[[0-9a-f:.]+\]", re.I)
_PLAIN = re.compile(r"(?!www\.)[a-z0-9-]+(?:\.[a-z0-9-]+)+")  # a domain as it is looked up
_CUT = re.compile(r"[/?&]")
_SINKS = frozenset(("0.0.0.0", "127.0.0.1", "::", "::1"))
# A URL is looked up once for each place that it may be cut at; longer ones for the first so many.
_MOST_CUTS = 64
_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Blocklist:
    """Hashes of domains and of URLs, sorted; prefixes of URLs, sorted, none of which begins with another."""

    domains: _Hashes
    urls: _Hashes
    prefixes: tuple[str, ...]
    ignored: int  # lines that are no entry

    @classmethod
    def load(cls, path: Path) -> Blocklist:
        """Read a file, or a folder of the UT1 layout. Raises NoInput, and BadData for a damaged .gz."""
        domains, urls = bytearray(), bytearray()  # hashes of 8 bytes: a list of numbers takes five times the memory
        prefixes: set[str] = set()
        ignored = 0
        for line in itertools.chain.from_iterable(map(_lines, _files(path))):
            kind, entry = _entry(line)
            if kind == "domain":
                domains += _hash(entry)
            elif kind == "url":
                urls += _hash(entry)
            elif kind == "prefix":
                prefixes.add(entry)
            elif kind == "bad":
                ignored += 1
        return cls(_sorted(domains), _sorted(urls), _minimal(prefixes), ignored)

    def reasons(self, urls: pa.Array) -> pa.Array:
        """Give BLOCKED_DOMAIN, BLOCKED_URL or null (string) for each URL; a null URL is not blocked."""
        encoded = urls.dictionary_encode()
        pages = [_parts(url) if url else None for url in encoded.dictionary.to_pylist()]
        hosts = sorted({page[0] for page in pages if page})
        bad_hosts = dict(zip(hosts, self._any(self.domains, [_parents(host) for host in hosts]), strict=True))
        by_path: list[bool] = [False] * len(pages)
        if len(self.urls):
            by_path = self._any(self.urls, [_cuts(page) if page else [] for page in pages])
        found: list[str | None] = []
        for page, listed in zip(pages, by_path, strict=True):
            if page is None:
                found.append(None)
            elif bad_hosts[page[0]]:
                found.append(BLOCKED_DOMAIN)
            else:
                found.append(BLOCKED_URL if listed or self._begins(page) else None)
        if encoded.null_count == len(encoded):
            return pa.nulls(len(encoded), pa.string())
        return pa.array(found, pa.string()).take(encoded.indices)

    def _any(self, known: _Hashes, candidates: list[list[str]]) -> list[bool]:
        """Tell for each list of candidates whether one of them is known."""
        sizes = np.array([len(each) for each in candidates], np.int64)
        if not len(known) or not sizes.sum():
            return [False] * len(candidates)
        flat = b"".join([_hash(each) for each in itertools.chain.from_iterable(candidates)])
        hashes = np.frombuffer(flat, ">u8").astype(np.uint64)
        at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        hits = np.zeros(len(sizes), np.bool_)
        hits[owners[known[at] == hashes]] = True
        listed: list[bool] = hits.tolist()
        return listed

    def _begins(self, page: tuple[str, str]) -> bool:
        if not self.prefixes:
            return False
        whole = "".join(page)
        at = bisect.bisect_right(self.prefixes, whole) - 1
        return at >= 0 and whole.startswith(self.prefixes[at])


def _entry(line: str) -> tuple[str, str]:
    """Give what a line is (domain, url, prefix, none or bad) and how it is looked up."""
    if _PLAIN.fullmatch(line):  # nearly all lines of a long list
        return "domain", line
    words = line.split()
    if not words or words[0].startswith("#"):
        return "none", ""
    if len(words) > 1 and words[0] in _SINKS and words[0] != words[1]:
        words = words[1:]
    if len(words) > 1 and not words[1].startswith("#"):
        return "bad", line
    word = words[0]
    glob = word.endswith("*")
    if glob:
        word = word[:-1]
    page = _parts(word.removeprefix("*"))
    if page is None or "*" in "".join(page) or (glob and not page[1]):
        return "bad", line
    host, path = page
    if glob:
        return "prefix", host + path
    return ("url", host + path.rstrip("/")) if path.strip("/") else ("domain", host)


def _parts(url: str) -> tuple[str, str] | None:
    """Give host and rest of a URL in the form that lists are compared in: no scheme, user, port, `www.`, fragment."""
    rest = _SCHEME.sub("", url.strip()).removeprefix("//")
    rest = rest.partition("#")[0]
    at = _CUT.search(rest)
    name, path = (rest[: at.start()], rest[at.start() :]) if at else (rest, "")
    found = _HOST.match(name.rpartition("@")[2])
    if not found:
        return None
    host = _plain_host(found.group().lower().strip("."))
    if path.startswith("/?"):
        path = path[1:]
    return (host, path) if host else None


@functools.lru_cache(maxsize=4096)
def _plain_host(host: str) -> str:
    host = host.removeprefix("www.")
    if host.isascii():
        return host
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host


def _parents(host: str) -> list[str]:
    """Give a host and the domains above it, to the top; an address has none above it."""
    if host.startswith("[") or host.replace(".", "").isdigit():
        return [host]
    labels = host.split(".")[-_MOST_CUTS:]
    return [".".join(labels[at:]) for at in range(len(labels))]


def _cuts(page: tuple[str, str]) -> list[str]:
    """Give the beginnings of a page's address that an entry may name."""
    host, path = page
    places = [at.start() for at in itertools.islice(_CUT.finditer(path), _MOST_CUTS)]
    cuts = [host + path[:at] for at in places if at]
    return [*cuts, host + path.rstrip("/")]


def _hash(entry: str) -> bytes:
    import xxhash

    return xxhash.xxh3_64_digest(entry.encode("utf-8", "surrogateescape"))


def _sorted(digests: bytearray) -> _Hashes:
    return np.unique(np.frombuffer(bytes(digests), ">u8").astype(np.uint64))


def _minimal(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Leave out what another prefix covers, so that the last one not after a URL is the only one that may fit."""
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return tuple(kept)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise NoInput(str(path), "expected a list of domains and URLs, found nothing", "check the path")
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.name in _FILES and file.is_file())
    if not files:
        raise NoInput(str(path), "expected files named domains or urls in this folder, found none", "name one file")
    return files


def _lines(file: Path) -> Iterator[str]:
    try:
        with open(file, "rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            for line in gzip.GzipFile(fileobj=plain) if zipped else plain:
                yield line.decode("utf-8-sig", "surrogateescape").rstrip("\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadData(str(file), f"the gzip file is damaged: {error}", "get the file anew") from None
    except OSError as error:
        raise NoInput(str(file), f"cannot be read: {error.strerror}", "check its permissions") from None
