"""Fetch files so that they can be trusted: resumed, verified, durable, and under their names only when they are whole.

`X.part` holds what has come of X, and `X.part.json` what it is a part of: the address, the strong ETag, Last-Modified
and the size. A later try asks for the rest with Range and If-Range; without a strong ETag only where a checksum will
tell whether the pieces belong together. Where a server has no ranges, or the file has changed, it begins anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit.errors import BadData, Busy, CannotWrite, CorpuskitError, Unavailable
from corpuskit.formats.durable import check_room, sync
from corpuskit.formats.http import Again, Answer, Client, FetchError, host_of
from corpuskit.formats.meter import Meter, Show, Wanted
from corpuskit.formats.threads import in_order

#: What is to be fetched. `checksum` is "sha256:<hex>", "sha1:<hex>" or "md5:<hex>"; null where none is published.
LISTING = pa.schema(
    [
        ("name", pa.string()),
        ("url", pa.string()),
        ("bytes", pa.int64()),
        ("checksum", pa.string()),
        ("source", pa.string()),
        ("license", pa.string()),
        ("date", pa.string()),
    ]
)
_ABOUT = ("source", "url", "license", "date")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MANY_HOSTS_WORKERS = 8

Check = Callable[[Path], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is there, whole."""

    name: str
    bytes: int
    sha256: str
    about: dict[str, str]


def fetch_all(
    client: Client, listing: pa.Table, out: Path, *, show: Show | None = None, check: Check | None = None
) -> Iterator[Fetched]:
    """Fetch every file of a listing into `out`, and give each when it is there, in the listing's order.

    Raises, after all that could be had is there, an error that names every file that failed: Busy where the source
    limits the rate, BadData where bytes do not hold, else Unavailable. CannotWrite where the disk has no room.
    """
    wanted = _wanted(listing)
    _check_space(wanted, out)
    meter = Meter(wanted, show)
    hosts = {host_of(each.url) for each in wanted}
    workers = client.manners.connections if len(hosts) < 2 else _MANY_HOSTS_WORKERS
    busy: set[str | None] = set()

    def one(each: Wanted) -> Fetched | FetchError:
        if host_of(each.url) in busy:
            return FetchError(each.url, "not tried, because the source limits the rate", "busy")
        try:
            return fetch_file(client, each, out, meter=meter, check=check)
        except FetchError as error:
            if error.kind == "busy":
                busy.add(host_of(each.url))
            client.tell("failed", url=each.url, cause=error.cause)
            return FetchError(each.url, error.cause, error.kind, error.status)

    failed: list[FetchError] = []
    for got in in_order(one, wanted, workers=max(1, min(workers, len(wanted)))):
        if isinstance(got, FetchError):
            failed.append(got)
        else:
            yield got
    if failed:
        raise failure(failed, len(wanted))


def failure(failed: list[FetchError], of: int) -> CorpuskitError:
    """Give the error that names every URL that failed, with its last error."""
    named = ", ".join(f"{each.url} ({each.cause})" for each in failed)
    where, problem = "download", f"{len(failed)} of {of} {'file' if of == 1 else 'files'} failed: {named}"
    if any(each.kind == "busy" for each in failed):
        return Busy(where, problem, "run the same command again later; it goes on with what is missing")
    if all(each.kind == "mismatch" for each in failed):
        return BadData(where, problem, "what the source publishes does not hold; try again later, or another mirror")
    return Unavailable(where, problem, "run the same command again; what has come is kept")


def fetch_file(
    client: Client, wanted: Wanted, out: Path, *, meter: Meter | None = None, check: Check | None = None
) -> Fetched:
    """Fetch one file into `out`, going on where an earlier attempt stopped. Raises FetchError."""
    check = check if wanted.checksum is None else None
    meter = meter or Meter([wanted], None)
    final, about = out / wanted.name, dict(wanted.about)
    if final.exists():  # whole, by an earlier attempt: only verified files get their names
        hashes = _Hashes(wanted.checksum)
        hashes.read(final)
        meter.skip(wanted, hashes.bytes)
        try:
            hashes.compare(wanted)
        except FetchError:
            final.unlink()
        else:
            return Fetched(wanted.name, hashes.bytes, hashes.sha256, about | (check(final) if check else {}))
    for attempt in (1, 2):
        transfer = _Transfer(client, wanted, out, meter, checked=check is not None)
        try:
            resumed = transfer.run()
            transfer.hashes.compare(wanted)
            about |= check(transfer.part) if check else {}
            break
        except FetchError as error:
            if error.kind == "mismatch" or not transfer.hashes.bytes:
                transfer.forget()
            if error.kind != "mismatch":
                raise
            # What was put together from pieces may be wrong where a whole is right: once more.
            if attempt == 2:
                raise FetchError(wanted.url, error.cause, error.kind, error.status) from None
            client.tell("retry", url=wanted.url, cause=error.cause, wait_seconds=0, tries=attempt)
    transfer.keep(final)
    got = Fetched(wanted.name, transfer.hashes.bytes, transfer.hashes.sha256, about)
    facts = {"bytes": got.bytes, "sha256": got.sha256, "resumed_at": resumed}
    client.tell("fetched", file=wanted.name, url=wanted.url, **facts)
    return got


class _Hashes:
    """The sha256 of what has come, and the published checksum's algorithm beside it."""

    def __init__(self, checksum: str | None) -> None:
        algorithm, _, self._expected = (checksum or "").partition(":")
        self._sha256 = hashlib.sha256()
        self._other = hashlib.new(algorithm, usedforsecurity=False) if algorithm not in ("", "sha256") else None
        self.bytes = 0

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        if self._other is not None:
            self._other.update(data)
        self.bytes += len(data)

    def read(self, path: Path) -> None:
        with open(path, "rb", buffering=0) as file:
            while data := file.read(1 << 20):
                self.update(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def compare(self, wanted: Wanted) -> None:
        """Raise FetchError where size or checksum are not the published ones."""
        if wanted.bytes is not None and self.bytes != wanted.bytes:
            raise FetchError(wanted.url, f"expected {wanted.bytes} bytes, got {self.bytes}", "mismatch")
        found = (self._other or self._sha256).hexdigest()
        if self._expected and found != self._expected.lower():
            algorithm = str(wanted.checksum).partition(":")[0]
            raise FetchError(wanted.url, f"expected {algorithm} {self._expected.lower()}, got {found}", "mismatch")


class _Transfer:
    """One file on its way."""

    def __init__(self, client: Client, wanted: Wanted, out: Path, meter: Meter, *, checked: bool) -> None:
        self._client, self._wanted, self._meter = client, wanted, meter
        self._checked = checked or wanted.checksum is not None or wanted.bytes is not None
        self.part = out / f"{wanted.name}.part"
        self._sidecar = out / f"{wanted.name}.part.json"
        self._known: dict[str, Any] = {}
        self.hashes = _Hashes(wanted.checksum)
        self._size: int | None = wanted.bytes

    def run(self) -> int:
        """Bring the part to its whole length; gives the offset that it went on from."""
        with _writing(self.part), open(self.part, "ab+", buffering=0) as file:
            began = self._take_up(file)
            patience = self._client.patience(self._wanted.url)
            while not (self._size is not None and self.hashes.bytes == self._size and self._known):
                before = self.hashes.bytes
                try:
                    if self._ask(file):
                        break
                except Again as failure:
                    if not failure.slow:
                        patience.progressed(self.hashes.bytes - before)
                    patience.wait(failure)
            os.fsync(file.fileno())
        return began

    def forget(self) -> None:
        """Remove what has come: it is of no use."""
        self._meter.add(-self.hashes.bytes)
        for path in (self.part, self._sidecar):
            path.unlink(missing_ok=True)

    def keep(self, final: Path) -> None:
        """Give the file its name, durably."""
        with _writing(final):
            os.replace(self.part, final)
            sync(final.parent)
            self._sidecar.unlink(missing_ok=True)

    def _take_up(self, file: Any) -> int:
        """Go on with what an earlier attempt left, if it is a part of the same file."""
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self._sidecar.read_text(encoding="utf-8"))
            self._known = known if isinstance(known, dict) else {}
        if not self._same_file() or not self._can_go_on():
            self._begin_anew(file)
            return 0
        self.hashes.read(self.part)
        self._meter.skip(self._wanted, self.hashes.bytes)
        self._size = self._known["size"] if self._known.get("size") is not None else self._size
        if self._size is not None and self.hashes.bytes > self._size:
            self._begin_anew(file)
        return self.hashes.bytes

    def _same_file(self) -> bool:
        """Tell whether the sidecar is about this file; a published checksum makes one of another mirror the same."""
        if "url" not in self._known or self._known.get("checksum") != self._wanted.checksum:
            return False
        if self._known["url"] != self._wanted.url:
            self._known |= {"url": self._wanted.url, "etag": None}
            return self._wanted.checksum is not None
        return True

    def _can_go_on(self) -> bool:
        return bool(self._known.get("etag") or self._wanted.checksum)

    def _begin_anew(self, file: Any) -> None:
        self._meter.add(-self.hashes.bytes)
        file.truncate(0)
        self.hashes = _Hashes(self._wanted.checksum)
        self._known, self._size = {}, self._wanted.bytes

    def _ask(self, file: Any) -> bool:
        """Ask for the rest, or for all of it; True when the body came to its end."""
        have, url = self.hashes.bytes, self._wanted.url
        if have and not self._can_go_on():
            self._begin_anew(file)
            have = 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and self._known.get("etag"):
            headers["If-Range"] = self._known["etag"]
        with self._client.open(url, headers) as answer:
            if answer.status == 416 or (answer.status == 206 and not self._fits(answer, have)):
                self._begin_anew(file)
                raise Again("the file is another one than before; it begins anew")
            if answer.status == 206:
                self._client.tell("resume", url=url, offset=have)
            elif answer.status == 200:
                self._begin_anew(file)
                if not (answer.delimited or self._checked):
                    raise FetchError(url, "does not say how long it is, so that a cut could not be told", "refused")
                self._learn(answer, answer.length)
            else:
                raise FetchError(url, f"expected status 200 or 206, got {answer.status}", "refused", answer.status)
            self._take(answer, file)
        # A body without a length ends with the connection; what it should have been only a checksum can tell.
        if self._size is not None and self.hashes.bytes < self._size:
            raise Again(f"the answer ended after {self.hashes.bytes} of {self._size} bytes")
        return True

    def _fits(self, answer: Answer, have: int) -> bool:
        """Tell whether a 206 is the rest of what is there."""
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", (answer.get("content-range") or "").strip())
        if not found or int(found[1]) != have:
            return False
        total = None if found[3] == "*" else int(found[3])
        etag = _strong(answer.get("etag"))
        same = etag is None or self._known.get("etag") in (None, etag)
        return same and (total is None or self._size is None or total == self._size)

    def _learn(self, answer: Answer, size: int | None) -> None:
        """Write down what the part is a part of, before it is one."""
        if self._wanted.bytes is not None and size is not None and size != self._wanted.bytes:
            raise Again(f"expected {self._wanted.bytes} bytes, the server announces {size}")
        self._size = size if size is not None else self._wanted.bytes
        self._known = {
            "url": self._wanted.url,
            "checksum": self._wanted.checksum,
            "etag": _strong(answer.get("etag")),
            "last_modified": answer.get("last-modified"),
            "size": self._size,
        }
        temporary = self._sidecar.with_suffix(".json.tmp.part")
        temporary.write_text(json.dumps(self._known), encoding="utf-8")
        os.replace(temporary, self._sidecar)
        self._meter.expect(self._wanted, self._size)
        check_room(self.part.parent, self._size or 0)

    def _take(self, answer: Answer, file: Any) -> None:
        for piece in answer.pieces():
            if self._size is not None and self.hashes.bytes + len(piece) > self._size:
                raise FetchError(self._wanted.url, f"sends more than its {self._size} bytes", "mismatch")
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
            self.hashes.update(piece)
            self._meter.add(len(piece))


def _wanted(listing: pa.Table) -> list[Wanted]:
    found, names = [], set()
    for row in listing.to_pylist():
        name = row["name"]
        if not _NAME.fullmatch(name) or name.startswith(".") or name.endswith((".part", ".part.json")):
            raise BadData("download", f"the source lists a file of the name {name!r}", "report it to the source")
        if name in names:
            raise BadData("download", f"the source lists {name} twice", "report it to the source")
        names.add(name)
        about = tuple((key, row[key]) for key in (*_ABOUT, "checksum") if row.get(key))
        found.append(Wanted(name, row["url"], row.get("bytes"), row.get("checksum"), about))
    return found


def _check_space(wanted: list[Wanted], out: Path) -> None:
    """Raise CannotWrite where what is still to come does not fit."""
    missing = 0
    for each in wanted:
        here = [path.stat().st_size for path in (out / each.name, out / f"{each.name}.part") if path.exists()]
        missing += max(0, (each.bytes or 0) - max(here, default=0))
    check_room(out, missing)


def _strong(etag: str | None) -> str | None:
    return etag if etag and etag.startswith('"') and len(etag) > 2 else None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotWrite(str(path), f"cannot write: {reason}", "free space or choose another folder") from None
