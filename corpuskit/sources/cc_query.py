"""Say which captures of a crawl are wanted, and between which keys of its index they lie.

The index is sorted by SURT: the host's labels reversed, `www.` left out, then the path in lower case:
`https://www.Example.com:8080/A/?b=1` is `com,example:8080)/a?b=1` (https://github.com/internetarchive/surt, with which
Common Crawl makes its keys). A glob gives ranges of keys that are certain to hold all that it matches; whether a
capture is wanted is decided by its URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from corpuskit.errors import UsageError
from corpuskit.sources.languages import three_letters

#: Ranges of keys, [first, behind the last), sorted and apart.
Ranges = tuple[tuple[str, str], ...]
EVERYTHING: Ranges = (("", "\U0010ffff"),)

_WWW = re.compile(r"www\d*\.")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_MIME = re.compile(r"[a-z0-9*!#$&^_.+-]+/[a-z0-9*!#$&^_.+-]+")
_SCHEME = re.compile(r"[A-Za-z*][A-Za-z0-9+.*-]*(?=://)")
# What a key keeps of a path as it is, but for its case. Behind any other character it may have been rewritten.
_PLAIN_PATH = re.compile(r"(?:/(?=[A-Za-z0-9_~-])|[A-Za-z0-9_~-]|(?<!/)\.)*")
_IN_HOST, _ANYWHERE = "[^/?#@]*", ".*"


@dataclass(frozen=True, slots=True)
class Capture:
    """A record of an archive as the index lists it."""

    file: str  # the archive's path on the site
    offset: int
    length: int
    page: str  # the page's URL


@dataclass(frozen=True)
class Glob:
    """A pattern of URLs, `[SCHEME://]HOST[/PATH]`: `*` stands for any characters, in HOST for any but `/`.

    HOST `*.example.com` takes example.com too; without a PATH, all pages of the host are meant.
    """

    text: str

    @cached_property
    def _parts(self) -> tuple[str | None, str, str]:
        """Split it into scheme, host and path."""
        scheme = _SCHEME.match(self.text)
        rest = self.text[scheme.end() + 3 :] if scheme else self.text
        host, slash, path = rest.partition("/")
        return (scheme[0].lower() if scheme else None), _ascii(host), slash + path if slash else "/*"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Give the expression that matches whole URLs, scheme and host in lower case."""
        scheme, host, path = self._parts
        start = _expression(scheme, "[a-z0-9+.-]*") if scheme else "https?"
        inner = host.removeprefix("*.")
        sub = rf"(?:{_IN_HOST}\.)?" if inner != host else ""
        return re.compile(rf"{start}://{sub}{_expression(inner, _IN_HOST)}{_expression(path, _ANYWHERE)}", re.DOTALL)

    @property
    def host(self) -> str:
        """Give the end of the host that it fixes, whole labels only: "" where it fixes none."""
        host = self._parts[1].partition(":")[0].rstrip(".")
        if "[" in host:  # an IPv6 address
            return ""
        _, star, after = host.rpartition("*")
        return after.partition(".")[2] if star else host

    @property
    def ranges(self) -> Ranges:
        """Give the ranges of keys outside of which it matches nothing."""
        host = self._parts[1]
        if not self.host:
            return EVERYTHING
        if "*" in host:
            return merged(prefixed(_host_prefixes(self.host, below=True)))
        path = self._parts[2]
        literal = _PLAIN_PATH.match(path.partition("*")[0])
        inner = (literal[0] if literal else "").rstrip("/").lower()
        if not inner:
            return merged(prefixed(_host_prefixes(self.host, below=False)))
        name, colon, port = self.host, *host.partition(":")[1:]
        ports = [f":{port}", ""] if colon else [""]
        return merged(prefixed(f"{key}{port}){inner}" for key in _keys(name) for port in ports))


@dataclass(frozen=True)
class Query:
    """What is wanted of a crawl: all of the conditions that are given, and of each any of its words."""

    urls: tuple[Glob, ...] = ()
    hosts: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    mimes: tuple[str, ...] = ()

    @cached_property
    def ranges(self) -> Ranges:
        """Give the ranges of keys outside of which nothing is wanted."""
        by_url = merged(each for glob in self.urls for each in glob.ranges) if self.urls else EVERYTHING
        by_host = EVERYTHING
        if self.hosts:
            below = [(host.removeprefix("*."), host.startswith("*.")) for host in self.hosts]
            by_host = merged(each for host, sub in below for each in prefixed(_host_prefixes(host, below=sub)))
        return tuple(both(by_url, by_host))

    @property
    def is_narrow(self) -> bool:
        """Tell whether it is about single hosts, or all below some of two labels at least, as in example.com."""
        by_host = self.hosts and all("." in host.removeprefix("*.") for host in self.hosts if host.startswith("*."))
        return bool(by_host or (self.urls and all("." in glob.host for glob in self.urls)))

    @property
    def url_words(self) -> tuple[str, ...]:
        """Give words of which every wanted URL holds one, in lower case; none where there are no such words."""
        words = tuple(_bare(host.removeprefix("*.")) for host in self.hosts) or tuple(glob.host for glob in self.urls)
        return words if all(words) else ()

    @property
    def column_ranges(self) -> dict[str, Ranges]:
        """Give for columns of the index table the ranges, both ends behind or at values, where wanted rows lie."""
        found = {"url_surtkey": self.ranges}
        exact = [host for host in self.hosts if not host.startswith("*.")]
        if exact and len(exact) == len(self.hosts):
            www = ("www", "wwx")  # `www.` is no matter here, even where it belongs to the domain, as in www.com
            names = [_bare(host) for host in exact]
            found["url_host_name"] = merged([www, *((name, name + "\0") for name in names)])
            ends = {".".join(name.split(".")[at:]) for name in names for at in range(name.count(".") + 1)}
            found["url_host_registered_domain"] = merged([www, *((end, end + "\0") for end in ends)])
        return found

    def wants_url(self, url: str) -> bool:
        """Tell whether a page's URL is one that is wanted."""
        if self.urls:
            plain = _lower_host(url)
            if not any(glob.pattern.fullmatch(plain) for glob in self.urls):
                return False
        return not self.hosts or self._wants_host(url)

    def wants_mime(self, detected: str | None, declared: str | None) -> bool:
        """Tell whether a media type is wanted: the detected one counts, where there is none the declared one."""
        if not self.mimes:
            return True
        told = detected if detected and detected != "unk" else declared or ""
        return self.mime_pattern.fullmatch(told.partition(";")[0].strip().lower()) is not None

    def wants_languages(self, languages: str | None) -> bool:
        """Tell whether the first language of a list such as "deu,eng" is wanted."""
        return not self.languages or (languages or "").partition(",")[0].strip() in self.languages

    @cached_property
    def mime_pattern(self) -> re.Pattern[str]:
        """Give the expression that matches the wanted media types."""
        return re.compile("|".join(_expression(mime, ".*") for mime in self.mimes))

    @property
    def words(self) -> str:
        """Write it as options."""
        parts = [("--url-match", [glob.text for glob in self.urls]), ("--host", self.hosts)]
        parts += [("--language", self.languages), ("--mime", self.mimes)]
        return " ".join(f"{flag} {value}" for flag, values in parts for value in values)

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(_bare(host) for host in self.hosts if not host.startswith("*."))

    @cached_property
    def _below(self) -> tuple[str, ...]:
        return tuple(host[2:] for host in self.hosts if host.startswith("*."))

    def _wants_host(self, url: str) -> bool:
        try:
            host = (urlsplit(url).hostname or "").rstrip(".")
        except ValueError:
            return False
        if _bare(host) in self._exact:
            return True
        return any(host == each or host.endswith("." + each) or _bare(host) == _bare(each) for each in self._below)


def query(urls: Iterable[str], hosts: Iterable[str], languages: Iterable[str], mimes: Iterable[str]) -> Query:
    """Make a query out of a user's words. Raises UsageError for one that can match nothing."""
    globs = []
    for url in urls:
        glob = Glob(url.strip())
        if not glob._parts[1] or re.search(r"\s|#", glob.text):
            raise UsageError("--url-match", f"expected [SCHEME://]HOST[/PATH], got {url!r}", "see --help for globs")
        globs.append(glob)
    names = []
    for host in hosts:
        name = _ascii(host.strip()).rstrip(".")
        if not _HOST.fullmatch(name):
            raise UsageError("--host", f"expected a host such as example.com or *.example.com, got {host!r}", "mend it")
        names.append(name)
    kinds = [mime.strip().lower() for mime in mimes]
    for kind in kinds:
        if not _MIME.fullmatch(kind):
            raise UsageError("--mime", f"expected a media type such as text/html or text/*, got {kind!r}", "mend it")
    return Query(tuple(globs), tuple(names), tuple(three_letters(code) for code in languages), tuple(kinds))


def prefixed(prefixes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Turn prefixes of keys into ranges."""
    return ((prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)) for prefix in prefixes)


def merged(ranges: Iterable[tuple[str, str]]) -> Ranges:
    """Sort ranges and join those that touch."""
    out: list[tuple[str, str]] = []
    for first, behind in sorted(ranges):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], behind))
        else:
            out.append((first, behind))
    return tuple(out)


def both(left: Ranges, right: Ranges) -> Iterator[tuple[str, str]]:
    """Give what lies in ranges of both."""
    for first, behind in left:
        for other_first, other_behind in right:
            start, end = max(first, other_first), min(behind, other_behind)
            if start < end:
                yield start, end


def _host_prefixes(host: str, *, below: bool) -> Iterator[str]:
    """Give what keys of a host begin with, whatever its port; with `below`, also those of its subdomains."""
    for key in _keys(host):
        yield f"{key})"
        yield f"{key}:"
    if below:  # `www.` in front of a longer host goes, so all three may follow the host as it is
        yield from (",".join(reversed(host.split("."))) + mark for mark in "),:")


def _keys(host: str) -> list[str]:
    """Give the host part of keys: without `www.`, and for what may be an address also as it is written."""
    keys = [",".join(reversed(_bare(host).split(".")))]
    return [*keys, host] if re.fullmatch(r"[\d.]+", host) else keys


def _bare(host: str) -> str:
    www = _WWW.match(host)
    return host[www.end() :] if www else host


def _ascii(host: str) -> str:
    """Write a host as URLs in archives have it: lower case, labels of other scripts in their ASCII form."""
    labels = []
    for label in host.lower().split("."):
        try:
            labels.append(label if label.isascii() else label.encode("idna").decode("ascii"))
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def _lower_host(url: str) -> str:
    """Write scheme and host of a URL in lower case."""
    end = url.find("/", url.find("://") + 3)
    return url.lower() if end < 0 else url[:end].lower() + url[end:]


def _expression(glob: str, star: str) -> str:
    return star.join(re.escape(part) for part in glob.split("*"))
