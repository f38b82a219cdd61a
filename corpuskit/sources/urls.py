"""Read lists of URLs: one a line, each brought into the one form by which two of the same are told."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np

from corpuskit.errors import BadData
from corpuskit.formats.opening import PROBLEMS, open_bytes

MAX_URL_CHARS = 8_192
_MAX_LINE_BYTES = 1 << 16
_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\s]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BARE_HOST_PORT = re.compile(r"[^/:?#]+:\d+(?:[/?#]|$)")
_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
#: Addresses that are in their one form already: the most, and told ten times as fast.
_PLAIN = re.compile(
    r"https?://(?:[a-z0-9-]{1,63}\.){1,3}[a-z][a-z0-9-]{0,61}/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*"
    r"(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?(?:\?[A-Za-z0-9._~=&/-]*)?"
)
_DOTTED = re.compile(r"[0-9A-Za-z_.~-]+")

_BUCKETS = 64
_DIGEST = np.dtype([("a", "<u8"), ("b", "<u8"), ("at", "<u8")])


@dataclass(frozen=True, slots=True)
class Listed:
    """One line that holds something. `cause` says what is wrong with its address, which is then as it was found."""

    line: int  # counted from 1
    url: str
    checksum: str | None = None
    cause: str | None = None


def read_list(path: Path, *, base_url: str | None = None, sums: bool = False) -> Iterator[Listed]:
    """Read a list, compressed or not; blank lines and those that begin with `#` are passed over.

    Relative addresses are resolved against `base_url`. With `sums`, a line may be `SHA256HEX  URL`, as
    sha256sum writes.
    Raises BadData where the list's compressed data is cut or damaged.
    """
    for number, raw in _lines(path):
        if len(raw) >= _MAX_LINE_BYTES:
            yield Listed(number, _shown(raw[:200]), None, f"is longer than {_MAX_LINE_BYTES:,} bytes")
            continue
        text = raw.strip(b" \t\r\n\f\v")
        if not text or text.startswith(b"#"):
            continue
        try:
            found = text.decode("utf-8")
        except UnicodeDecodeError:
            yield Listed(number, _shown(text), None, "is no UTF-8")
            continue
        checksum = None
        if sums and (both := _SUM.fullmatch(found)):
            checksum, found = f"sha256:{both[1].lower()}", both[2].strip()
        try:
            yield Listed(number, normalized(found, base_url), checksum)
        except ValueError as error:
            yield Listed(number, _CONTROL.sub("\ufffd", found[:1000]), checksum, str(error))


def normalized(url: str, base_url: str | None = None) -> str:
    """Give an address in its one form (RFC 3986, 6.2): ASCII, as it is asked for.

    Scheme and host in lower case, the host in IDNA, no default port, no fragment, no dot segments, what must be
    percent-encoded so and in capitals. Raises ValueError that says what is wrong with it.
    """
    if len(url) <= MAX_URL_CHARS and _PLAIN.fullmatch(url):
        return url
    return _brought_into_form(url, base_url)


def _brought_into_form(url: str, base_url: str | None = None) -> str:
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    if bad := _CONTROL.search(url):
        raise ValueError("holds white space" if bad[0].isspace() else "holds a control character")
    if len(url) > MAX_URL_CHARS:
        raise ValueError(f"is longer than {MAX_URL_CHARS:,} characters")
    if base_url is not None and (not _SCHEME.match(url) or _BARE_HOST_PORT.match(url)):
        url = urljoin(base_url, url)
    scheme = _SCHEME.match(url)
    if not scheme or _BARE_HOST_PORT.match(url):
        raise ValueError("is no absolute address: it lacks http:// or https://")
    if scheme[0].lower() not in ("http:", "https:"):
        raise ValueError(f"is no http or https address but {scheme[0].lower()}")
    rest = url[scheme.end() :]
    if not rest.startswith("//"):
        raise ValueError("lacks // before its host")
    authority = re.split(r"[/?#\\]", rest[2:], maxsplit=1)[0]
    if "@" in authority:
        raise ValueError("holds a user name or password")
    host, bracket, port = authority.rpartition("]") if authority.startswith("[") else ("", "", authority)
    name = host + bracket if bracket else port.partition(":")[0]
    if not name:
        raise ValueError("has no host")
    ascii_url = scheme[0] + "//" + _ascii_host(name) + rest[2 + len(name) :]
    try:
        parts = parse_url(ascii_url)
    except (LocationParseError, UnicodeError):
        raise ValueError("has a host or port that cannot be") from None
    if not parts.host or parts.port == 0:
        raise ValueError("has a host or port that cannot be")
    own = parts.scheme or ""
    port = f":{parts.port}" if parts.port is not None and parts.port != _PORTS[own] else ""
    query = f"?{parts.query}" if parts.query is not None else ""
    return f"{own}://{parts.host}{port}{parts.path or '/'}{query}"


def _ascii_host(name: str) -> str:
    """Give a host in ASCII: names of other scripts in IDNA 2008 with the mapping of UTS 46, as browsers do."""
    if name.startswith("["):
        return name
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode()
        except idna.IDNAError:
            raise ValueError("has a host that is no domain name") from None
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not _DOTTED.fullmatch(name) or any(not 0 < len(label) < 64 for label in labels):
        raise ValueError("has a host that is no domain name")
    return name.lower()


class Repeats:
    """Find which of many texts came before: by hashes of 128 bits, in memory of a few bytes a text.

    Hashes go to 64 buckets, which spill to temporary files, and each bucket is sorted on its own.
    """

    def __init__(self, *, spill_bytes: int = 1 << 20) -> None:
        self.count, self._spill_bytes = 0, spill_bytes
        self._held = [bytearray() for _ in range(_BUCKETS)]
        self._spilled: dict[int, IO[bytes]] = {}

    def add(self, text: str) -> None:
        """Take the next text."""
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        bucket = digest[0] % _BUCKETS
        held = self._held[bucket]
        held += digest + self.count.to_bytes(8, "little")
        self.count += 1
        if len(held) >= self._spill_bytes:
            if bucket not in self._spilled:
                self._spilled[bucket] = tempfile.TemporaryFile(prefix="corpuskit-")  # noqa: SIM115 (closed by find)
            self._spilled[bucket].write(held)
            held.clear()

    def find(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Tell for each text whether an equal one came before; nothing may be added after."""
        repeated = np.zeros(self.count, np.bool_)
        for bucket, held in enumerate(self._held):
            data = bytes(held)
            if bucket in self._spilled:
                with self._spilled[bucket] as file:
                    file.seek(0)
                    data = file.read() + data
            rows = np.frombuffer(data, _DIGEST)
            rows = rows[np.lexsort((rows["at"], rows["b"], rows["a"]))]
            same = (rows["a"][1:] == rows["a"][:-1]) & (rows["b"][1:] == rows["b"][:-1])
            repeated[rows["at"][1:][same]] = True
            held.clear()
        return repeated


class Names:
    """Give every address a file name of its own, in the order of the list."""

    #: Names that a dataset's folder has for itself.
    _RESERVED = ("manifest.json", "visited", "dropped", "errors", "state.json", "dataset_info.json")

    def __init__(self) -> None:
        self._taken = dict.fromkeys(self._RESERVED, 1)

    def name(self, url: str) -> str:
        """Name a file after the last part of its address's path; a name that is taken gets a number.

        At most 150 letters of ASCII, digits, `.`, `_` and `-`; no hidden file, none that looks unfinished.
        """
        parts = urlsplit(url)
        last = unquote(parts.path).rstrip("/").rpartition("/")[2]
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", last).lstrip(".-")[-150:].lstrip(".-")
        name = re.sub(r"(\.part(?:\.json)?)$", r"\1_", name) or "index"
        stem, dot, suffixes = name.partition(".")
        unique = name
        while unique.lower() in self._taken:  # some file systems do not tell case
            self._taken[name.lower()] += 1
            unique = f"{stem}-{self._taken[name.lower()]}{dot}{suffixes}"
        self._taken[unique.lower()] = 1
        return unique


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Give numbered lines; of one that is too long only its beginning."""
    number, held, skipping = 0, b"", False
    with open_bytes(path) as stream:
        if stream.peek(3) == b"\xef\xbb\xbf":
            stream.read(3)
        while piece := stream.read():
            *lines, held = (held + piece).split(b"\n")
            for line in lines:
                if not skipping:
                    number += 1
                    yield number, line
                skipping = False
            if len(held) >= _MAX_LINE_BYTES:
                if not skipping:
                    number += 1
                    yield number, held[:_MAX_LINE_BYTES]
                held, skipping = b"", True
        if held and not skipping:
            yield number + 1, held
        if stream.problem:
            raise BadData(str(path), PROBLEMS[stream.problem], "give a list that is whole")


def _shown(raw: bytes) -> str:
    return _CONTROL.sub("\ufffd", raw[:1000].decode("utf-8", "replace"))
