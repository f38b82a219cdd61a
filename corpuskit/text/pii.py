"""Find and replace personal data in texts: e-mail and public IP addresses, phone, card and account numbers.

  email  local part and domain in ASCII or Latin letters; not example.com and other names of RFC 2606
  ip     IPv4 quads and IPv6 addresses of the public Internet; private, loopback and documentation ranges stay
  phone  +CC and 8 to 15 digits; NXX-NXX-XXXX and (NXX) NXX-XXXX; numbers with a leading 0 in groups (0171 1234567,
         01 23 45 67 89, 03-1234-5678). Digits without a gap are none unless they begin with `+`
  card   13 to 19 digits of a known issuer that pass Luhn's check, without gaps or grouped as on the card
  iban   a known country's length, remainder 1 by 97

As in FineWeb, a version number such as 1.2.3.4 is taken for an address, since nothing tells it from one; one of five
parts is not. Found text appears in no error and no log. Digits are those of ASCII.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.text.unicode import utf8

KINDS = ("email", "ip", "phone", "card", "iban")

#: What takes the place of each kind: names and numbers that are reserved for examples, and are not found again. The
#: last is for IPv6.
PLACEHOLDERS = (
    "email@example.com",  # RFC 2606
    "192.0.2.1",  # RFC 5737
    "+1-202-555-0100",  # 555-0100 to 555-0199 are for fiction
    "0000 0000 0000 0000",
    "XX00 0000 0000 0000 0000 00",
    "2001:db8::1",  # RFC 3849
)

# Characters of an account number by country: the registry of SWIFT (ISO 13616).
_IBANS = (
    "NO15 BE16 DK18 FI18 FO18 FK18 GL18 NL18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 XK20 CR22 HR21 LI21 LV21 "
    "CH21 MN20 BG22 BH22 DE22 GB22 GE22 IE22 ME22 RS22 VA22 AE23 GI23 IL23 IQ23 OM23 TL23 SO23 AD24 CZ24 ES24 "
    "MD24 PK24 RO24 SA24 SE24 SK24 TN24 VG24 LY25 PT25 ST25 IS26 TR26 FR27 GR27 IT27 MC27 MR27 SM27 DJ27 BI27 "
    "AL28 AZ28 BY28 CY28 DO28 GT28 HN28 HU28 LB28 NI28 PL28 SV28 SD18 BR29 EG29 PS29 QA29 UA29 JO30 KW30 MU30 "
    "YE30 LC32 MT31 SC31 RU33"
)


def scan(texts: pa.Array) -> dict[str, pa.Array]:
    """Count what each text holds, by KINDS (int32). A null text holds nothing."""
    counts, _ = _find(*utf8(texts))
    return _columns(counts)


def redact(texts: pa.Array) -> tuple[pa.Array, dict[str, pa.Array]]:
    """Give the texts with PLACEHOLDERS for all that `scan` counts, and the counts. Nulls stay."""
    from corpuskit.text import pii_kernels as kernels

    data, offsets = utf8(texts)
    counts, spans = _find(data, offsets)
    if not len(spans):
        return texts, _columns(counts)
    fill = [text.encode() for text in PLACEHOLDERS]
    sizes = np.array([len(each) for each in fill])
    fill_offsets = np.concatenate([[0], np.cumsum(sizes)])
    grown = int((sizes[spans[:, 2]] - (spans[:, 1] - spans[:, 0])).sum())
    out = np.empty(int(offsets[-1] - offsets[0]) + grown, np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    flat = np.frombuffer(b"".join(fill), np.uint8)
    kernels.replace(_read_only(data), offsets, spans, flat, fill_offsets, out, out_offsets)
    valid = None
    if texts.null_count:
        valid = pa.py_buffer(np.packbits(texts.is_valid().to_numpy(zero_copy_only=False), bitorder="little"))
    redacted = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(out_offsets), pa.py_buffer(out), valid)
    return redacted.cast(texts.type), _columns(counts)


def _find(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Give counts [kind, text] and spans [n, 3] in order."""
    from corpuskit.text import pii_kernels as kernels

    if offsets[-1] == offsets[0]:
        return np.zeros((len(KINDS), len(offsets) - 1), np.int32), np.empty((0, 3), np.int64)
    data = _read_only(data)
    room = 64 + int(offsets[-1] - offsets[0]) // 512
    while True:
        counts = np.zeros((len(KINDS), len(offsets) - 1), np.int32)
        spans = np.empty((room, 3), np.int64)
        found = kernels.find(data, offsets, _iban_lengths(), counts, spans)
        if found <= room:
            return counts, spans[:found]
        room = found


def _read_only(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give a view that is not writable, as only some of Arrow's buffers are: the loops are compiled for one kind."""
    view = data.view()
    view.flags.writeable = False
    return view


def _columns(counts: npt.NDArray[np.int32]) -> dict[str, pa.Array]:
    return {kind: pa.array(row) for kind, row in zip(KINDS, counts, strict=True)}


@functools.lru_cache(maxsize=1)
def _iban_lengths() -> npt.NDArray[np.int64]:
    lengths = np.zeros(26 * 26, np.int64)
    for entry in _IBANS.split():
        lengths[(ord(entry[0]) - 65) * 26 + ord(entry[1]) - 65] = int(entry[2:])
    return lengths
