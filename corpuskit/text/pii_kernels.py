"""The loops over a text's bytes behind `pii`; import it only where it runs, for numba's sake.

One pass from left to right. A byte that may begin something (a digit, `+`, `(`, a capital, or the `@` in the middle
of an address) starts an exact check that looks at a bounded number of bytes: the time is linear whatever the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from corpuskit.text import pii_numbers_kernels as numbers
from corpuskit.text.pii_numbers_kernels import is_alnum, is_digit
from corpuskit.text.vector_kernels import WIDTH, among, bits, borrowed, loaded, lowest

EMAIL, IP, PHONE, CARD, IBAN, IP6 = range(6)
_LONGEST_LOCAL = 256
_LONGEST_DOMAIN = 253
_LOWER = 0x20
_AHEAD = 3  # where the second of two digits stands in an account number


@intrinsic
def _beginnings(context: Any, data: Any, at: Any) -> Any:
    """Tell in data[at:at + 64] what may begin something, or be its `@`: bits, the first byte lowest.

    Of digits in a row the first of them, or of the 64. Reads _AHEAD bytes more; no bounds are checked.
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def digits_at(step: int) -> Any:
            place = builder.add(arguments[1], ir.Constant(ir.IntType(64), step))
            vector = loaded(target, builder, signature.args[0], arguments[0], place)
            return bits(builder, among(builder, vector, ord("0"), ord("9")))

        vector = loaded(target, builder, signature.args[0], *arguments)
        digits = digits_at(0)
        found = builder.and_(digits, builder.not_(builder.shl(digits, ir.Constant(digits.type, 1))))
        capitals = bits(builder, among(builder, vector, ord("A"), ord("Z")))
        found = builder.or_(found, builder.and_(capitals, builder.and_(digits_at(2), digits_at(_AHEAD))))
        for sign in b"@+(":
            found = builder.or_(found, bits(builder, among(builder, vector, sign, sign)))
        return found

    return types.uint64(data, types.int64), generate


@njit(cache=True, nogil=True)
def find(data: Any, offsets: Any, ibans: Any, counts: Any, spans: Any) -> int:
    """Fill counts[kind, text], and spans [n, 3] as (start, stop, kind) as far as they fit; gives how many there are.

    IP6 is counted as IP.
    """
    data = borrowed(data)
    groups = np.zeros((3, numbers.MOST_GROUPS), np.int64)
    digits = np.zeros(numbers.MOST_DIGITS, np.int64)
    total = 0
    for text in range(len(offsets) - 1):
        floor = at = offsets[text]
        stop = offsets[text + 1]
        while at < stop:
            if at + WIDTH + _AHEAD <= stop:
                found = _beginnings(data, at)
                if not found:
                    at += WIDTH
                    continue
                at += lowest(found)
            byte = data[at]
            begin, end, kind = at, -1, -1
            if byte == 64:
                begin, end = _email(data, at, floor, stop)
                kind = EMAIL
            elif is_digit(byte):
                if at == floor or not is_digit(data[at - 1]):
                    end, kind = _number(data, at, floor, stop, groups, digits)
            elif byte == 43 or byte == 40:
                end = numbers.phone(data, at, floor, stop, groups, digits)
                kind = PHONE
            elif 65 <= byte <= 90 and at + 15 <= stop and is_digit(data[at + 2]) and is_digit(data[at + 3]):
                end = _iban(data, at, floor, stop, ibans)
                kind = IBAN
            if end < 0:
                at += 1
                continue
            if total < len(spans):
                spans[total, 0], spans[total, 1], spans[total, 2] = begin, end, kind
            total += 1
            counts[IP if kind == IP6 else kind, text] += 1
            floor = at = end
    return total


@njit(cache=True, nogil=True)
def replace(data: Any, offsets: Any, spans: Any, fill: Any, fill_offsets: Any, out: Any, out_offsets: Any) -> None:
    """Copy texts with the spans replaced by fill[fill_offsets[kind]:fill_offsets[kind + 1]]."""
    to, at, span = 0, offsets[0], 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = to
        stop = offsets[text + 1]
        while at < stop or (span < len(spans) and spans[span, 0] < stop):
            until = spans[span, 0] if span < len(spans) and spans[span, 0] < stop else stop
            out[to : to + until - at] = data[at:until]
            to, at = to + until - at, until
            if until < stop:
                kind = spans[span, 2]
                for each in range(fill_offsets[kind], fill_offsets[kind + 1]):
                    out[to] = fill[each]
                    to += 1
                at = spans[span, 1]
                span += 1
    out_offsets[len(offsets) - 1] = to


@njit(cache=True, nogil=True)
def _number(data: Any, at: int, floor: int, stop: int, groups: Any, digits: Any) -> Any:
    """Give (end, kind) of what begins with the digit at `at`, -1 for nothing."""
    before = data[at - 1] if at > floor else np.uint8(32)
    if is_alnum(before) or before == 95 or before == 64 or (before >= 0x80 and _letter_before(data, at)):
        return -1, -1
    if before != 46:
        end = _ipv4(data, at, stop)
        if end > 0:
            return end, IP
    if before != 58:
        end = _ipv6(data, at, stop)
        if end > 0:
            return end, IP6
    end = numbers.card(data, at, floor, stop, groups, digits)
    if end > 0:
        return end, CARD
    return numbers.phone(data, at, floor, stop, groups, digits), PHONE


@njit(cache=True, nogil=True)
def _letter_before(data: Any, at: int) -> Any:
    """Tell whether the two bytes before `at` are a Latin, Greek or Cyrillic letter."""
    return 0xC3 <= data[at - 2] <= 0xD3 and data[at - 1] < 0xC0


@njit(cache=True, nogil=True)
def _email(data: Any, at: int, floor: int, stop: int) -> Any:
    """Give (begin, end) of the address around the `@` at `at`; end is -1 if there is none."""
    begin = at
    while begin > floor and at - begin <= _LONGEST_LOCAL:
        byte = data[begin - 1]
        if _local(byte) or (byte == 46 and begin < at and data[begin] != 46):
            begin -= 1
        elif 0x80 <= byte < 0xC0 and begin - 1 > floor and _latin(data[begin - 2], byte):
            begin -= 2
        else:
            break
    while begin < at and not (is_alnum(data[begin]) or data[begin] == 95 or data[begin] >= 0x80):
        begin += 1
    if begin == at or at - begin > _LONGEST_LOCAL:
        return begin, -1
    return begin, _domain(data, at + 1, stop)


@njit(cache=True, nogil=True)
def _local(byte: Any) -> Any:
    """Tell what a local part is made of in practice: `-_%+'` and letters and digits, not all of RFC 5322."""
    return is_alnum(byte) or byte == 45 or byte == 95 or byte == 37 or byte == 43 or byte == 39


@njit(cache=True, nogil=True)
def _latin(first: Any, second: Any) -> Any:
    """Tell whether two bytes are a letter of U+00C0 to U+02BF."""
    return 0xC3 <= first <= 0xCA and not (first == 0xC3 and (second == 0x97 or second == 0xB7))


@njit(cache=True, nogil=True)
def _domain(data: Any, start: int, stop: int) -> int:
    """Give the end of a domain name that a stranger may have mail at, -1 if there is none."""
    at, end, labels = start, -1, 0
    label: Any = 0  # the last letters of the label in small letters, eight at most
    before: Any = 0
    while at < stop and at - start < _LONGEST_DOMAIN:
        first, alphabetic = at, True
        before, label = label, 0
        while at < stop:
            byte = data[at]
            if is_alnum(byte) or byte == 45:
                alphabetic &= not is_digit(byte) and byte != 45
                label = (label << 8 | np.int64(byte | _LOWER)) & 0xFFFFFFFFFFFFFF
                at += 1
            elif at + 1 < stop and _latin(byte, data[at + 1]):
                label = (label << 8 | np.int64(byte)) & 0xFFFFFFFFFFFFFF
                at += 2
            else:
                break
        if at == first or at - first > 63 or data[first] == 45 or data[at - 1] == 45:
            break
        labels += 1
        coded = at - first > 5 and data[first] | _LOWER == 120 and data[first + 2] == 45 and data[first + 3] == 45
        if labels > 1 and at - first > 1 and (alphabetic or coded):
            end = -1 if _reserved(label, before) else at
        if at >= stop or data[at] != 46:
            break
        at += 1
    if end > 0 and end < stop and (is_alnum(data[end]) or data[end] == 95):
        return -1
    return end


@njit(cache=True, nogil=True)
def _packed(word: str) -> int:
    packed = 0
    for char in word:
        packed = (packed << 8 | ord(char)) & 0xFFFFFFFFFFFFFF
    return packed


@njit(cache=True, nogil=True)
def _reserved(top: int, second: int) -> bool:
    """Tell names that nobody has (RFC 2606), and the endings of images: `logo@2x.png`."""
    for name in ("com", "net", "org"):
        if top == _packed(name) and second == _packed("example"):
            return True
    for name in ("test", "example", "invalid", "png", "jpg", "jpeg", "gif", "webp", "svg"):
        if top == _packed(name):
            return True
    return False


@njit(cache=True, nogil=True)
def _ipv4(data: Any, at: int, stop: int) -> int:
    """Give the end of a dotted quad that is an address of the public Internet, -1 if there is none."""
    value: Any = 0
    for part in range(4):
        number: Any = 0
        first = at
        while at < stop and at - first < 4 and is_digit(data[at]):
            number = number * 10 + np.int64(data[at]) - 48
            at += 1
        if at == first or number > 255 or (at - first > 1 and data[first] == 48):
            return -1
        value = value << 8 | number
        if part < 3:
            if at >= stop or data[at] != 46:
                return -1
            at += 1
    if at < stop and (is_alnum(data[at]) or data[at] == 95 or data[at] == 64):
        return -1
    if at + 1 < stop and data[at] == 46 and is_digit(data[at + 1]):
        return -1
    return at if _public(value) else -1


@njit(cache=True, nogil=True)
def _public(value: int) -> bool:
    """Tell whether an IPv4 address is global: IANA's special-purpose registry, as Python's `ipaddress` has it."""
    first, second = value >> 24, value >> 16 & 255
    if first == 0 or first == 10 or first == 127 or first >= 240:
        return False
    if (
        (first == 100 and second >> 6 == 1)
        or (first == 172 and second >> 4 == 1)
        or (first == 198 and second >> 1 == 9)
    ):
        return False
    if (first == 169 and second == 254) or (first == 192 and second == 168):
        return False
    net = value >> 8
    if net == 0xC00000:  # 192.0.0.0/24 but for two anycast addresses
        return value & 255 == 9 or value & 255 == 10
    return not (net == 0xC00002 or net == 0xC63364 or net == 0xCB0071)  # documentation


@njit(cache=True, nogil=True)
def _ipv6(data: Any, at: int, stop: int) -> int:
    """Give the end of an address of 2000::/3, the public Internet, -1 if there is none.

    It is written in full, or with `::` and three groups at least. Special blocks: 2001::/23, 2001:db8::/32, 2002::/16,
    3fff::/20.
    """
    if at + 5 > stop or data[at + 4] != 58 or not 50 <= data[at] <= 51:
        return -1
    net: Any = 0  # the first two groups
    groups, gap = 0, -1
    while groups < 8:
        number, first = 0, at
        while at < stop and at - first < 5 and _hex(data[at]) >= 0:
            number = number << 4 | _hex(data[at])
            at += 1
        if at - first > 4 or at == first:
            break
        if groups < 2:
            net = net << 16 | number
        groups += 1
        if at + 1 < stop and data[at] == 58 and data[at + 1] == 58 and gap < 0:
            gap = groups
            net = net << 16 if groups == 1 else net
            at += 2
        elif at + 1 < stop and data[at] == 58 and _hex(data[at + 1]) >= 0 and groups < 8:
            at += 1
        else:
            break
    if (gap < 0 and groups != 8) or (gap >= 0 and (groups < 3 or groups > 7)):
        return -1
    if at < stop and (is_alnum(data[at]) or data[at] == 95 or data[at] == 58):
        return -1
    top = net >> 16
    special = net >> 9 == 0x20010000 >> 9 or net == 0x20010DB8 or top == 0x2002 or net >> 12 == 0x3FFF0000 >> 12
    return -1 if special or net >> 29 != 1 else at


@njit(cache=True, nogil=True)
def _hex(byte: Any) -> Any:
    if 48 <= byte <= 57:
        return np.int64(byte) - 48
    small = np.int64(byte) | _LOWER
    return small - 87 if 97 <= small <= 102 else np.int64(-1)


@njit(cache=True, nogil=True)
def _iban(data: Any, at: int, floor: int, stop: int, lengths: Any) -> int:
    """Give the end of an account number: known country, its length, groups of four, remainder 1 by 97 (ISO 13616)."""
    if not 65 <= data[at + 1] <= 90 or (at > floor and (is_alnum(data[at - 1]) or data[at - 1] == 95)):
        return -1
    size = lengths[np.int64(data[at] - 65) * 26 + np.int64(data[at + 1] - 65)]
    head: Any = 0
    rest: Any = 0
    place, n = at, 0
    while n < size and place < stop:
        byte = np.int64(data[place])
        if byte == 32 and n and n % 4 == 0 and data[place - 1] != 32:
            place += 1
            continue
        if 48 <= byte <= 57:
            value, scale = byte - 48, 10
        elif 65 <= byte <= 90:
            value, scale = byte - 55, 100
        else:
            return -1
        if n < 4:
            head = (head * scale + value) % 97
        else:
            rest = (rest * scale + value) % 97
        place += 1
        n += 1
    if n == 0 or n != size or (place < stop and (is_alnum(data[place]) or data[place] == 95)):
        return -1
    shift = 100 * 100 * 100 % 97  # the head has two letters of two digits each, and two digits
    return place if (rest * shift + head) % 97 == 1 else -1
