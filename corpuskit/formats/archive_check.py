"""Check an archive that was fetched without a checksum: its compression, its records, its digests.

Common Crawl publishes no checksums. What its files say of themselves is a CRC and a length for every gzip member, a
length for every record, and WARC-Payload-Digest and WARC-Block-Digest for most.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from corpuskit.formats.http import FetchError
from corpuskit.formats.opening import open_bytes
from corpuskit.formats.response import decode_body, parse_response
from corpuskit.formats.warc import Damage, Record, RecordReader

_TYPES = ("warcinfo", "request", "response", "metadata", "conversion", "resource", "revisit", "continuation")
#: Digests of larger blocks are not compared, and counted as such: records of crawls have 1 to 5 MiB.
_MAX_BLOCK_BYTES = 64 << 20


def check_archive(path: Path) -> dict[str, str]:
    """Read a compressed WARC to its end and tell how many records it has; memory is bounded by its largest block.

    Gives "records", and where there are any "digest_mismatches" (blocks or payloads with another SHA-1 than their
    record says: crawlers write such), "digests_unchecked", and "damages" (bytes that are no record, or a record that
    breaks off, inside of sound gzip members: written so, and not for another fetch to mend). Raises FetchError of kind
    "mismatch" where a gzip member is damaged or cut, and where there is no record at all.
    """
    records = wrong = unchecked = damages = 0
    with open_bytes(path) as stream:
        if stream.compression != "gzip":
            raise _mismatch(path, "expected a gzip file, got something else")
        for found in RecordReader(stream, _MAX_BLOCK_BYTES, _TYPES):
            if isinstance(found, Damage):
                if stream.problem:
                    raise _mismatch(path, f"{found.detail} ({found.reason}, at byte {found.offset} unpacked)")
                damages += 1
                continue
            records += 1
            if found.came == found.length:
                right = digests_hold(found)
                wrong += right is False
                unchecked += right is None
    if not records:
        raise _mismatch(path, "expected WARC records, got none")
    counts = {"records": records, "digest_mismatches": wrong, "digests_unchecked": unchecked, "damages": damages}
    return {name: str(count) for name, count in counts.items() if count or name == "records"}


def digests_hold(record: Record) -> bool | None:
    """Compare a record with the SHA-1 digests that it names; None where its block is not held.

    The payload of a response is its body: as sent, as the WARC standard has it, or without its codings, as many
    crawlers have it. Digests of other algorithms are taken as they are.
    """
    block = _sha1(record.fields.get("warc-block-digest"))
    payload = _sha1(record.fields.get("warc-payload-digest"))
    if block is None and payload is None:
        return True
    if len(record.block) < record.length:
        # A revisit names the digest of a payload that it does not have.
        return None
    if block is not None and hashlib.sha1(record.block, usedforsecurity=False).digest() != block:
        return False
    if payload is None or record.type == "revisit" or "warc-segment-number" in record.fields:
        return True
    return _payload_holds(record, payload)


def _payload_holds(record: Record, digest: bytes) -> bool:
    body = memoryview(record.block)
    kind = record.fields.get("content-type", "").lower()
    if kind.startswith("application/http") or (record.type == "response" and record.block[:5] == b"HTTP/"):
        end = record.block.find(b"\r\n\r\n")
        body = body[end + 4 :] if end >= 0 else body[len(body) :]
    if hashlib.sha1(body, usedforsecurity=False).digest() == digest:
        return True
    response = parse_response(record.block)
    if response is None or not response.codings:
        return False
    for count in range(1, len(response.codings) + 1):
        # Dechunked only, then decompressed too.
        some = type(response)(response.status, "", None, response.codings[:count], response.body)
        if hashlib.sha1(decode_body(some, _MAX_BLOCK_BYTES)[0], usedforsecurity=False).digest() == digest:
            return True
    return False


def _sha1(field: str | None) -> bytes | None:
    """Read "sha1:<base32 or hex>"; None where there is none, or one of another algorithm."""
    algorithm, _, value = (field or "").strip().partition(":")
    if algorithm.lower().replace("-", "") != "sha1":
        return None
    try:
        found = bytes.fromhex(value) if len(value) == 40 else base64.b32decode(value.upper())
    except ValueError:
        return b""  # never right
    return found


def _mismatch(path: Path, cause: str) -> FetchError:
    return FetchError(path.name, cause, "mismatch")
