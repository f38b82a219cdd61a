"""Phone and card numbers among a text's bytes, for `pii_kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

MOST_DIGITS, MOST_GROUPS = 20, 10

# What stands between two groups of digits.
NONE, BLANK, DASH, DOT, SLASH, SPACED = range(6)  # SPACED: ` - ` or ` / `
# The rows of `groups`.
LENGTH, BREAK, END = range(3)  # digits of a group, what comes before it, where it ends


@njit(cache=True, nogil=True)
def is_digit(byte: Any) -> Any:
    """Tell an ASCII digit."""
    return 48 <= byte <= 57


@njit(cache=True, nogil=True)
def is_alnum(byte: Any) -> Any:
    """Tell an ASCII letter or digit."""
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@njit(cache=True, nogil=True)
def _separator(data: Any, at: int, stop: int) -> Any:
    """Give the kind of separator at `at`, if a digit or `(` follows it, and where that is."""
    before = at
    at = _blank(data, at, stop)
    blanks = at > before
    kind: Any = BLANK if blanks else NONE
    if at < stop:
        byte = data[at]
        if byte == 45 or byte == 46 or byte == 47:
            kind, at = DASH + np.int64(byte) - 45, at + 1
        elif byte == 0xE2 and at + 2 < stop and data[at + 1] == 0x80 and 0x90 <= data[at + 2] <= 0x93:
            kind, at = DASH, at + 3
        if kind > BLANK:
            after = _blank(data, at, stop)
            if blanks or after > at:
                kind = NONE if kind == DOT else SPACED
            at = after
    if at < stop and (is_digit(data[at]) or data[at] == 40):
        return kind, at
    return NONE, -1


@njit(cache=True, nogil=True)
def _blank(data: Any, at: int, stop: int) -> Any:
    """Step over one space or no-break space."""
    if at < stop and data[at] == 32:
        return at + 1
    if at + 1 < stop and data[at] == 0xC2 and data[at + 1] == 0xA0:
        return at + 2
    return at


@njit(cache=True, nogil=True)
def _read(data: Any, at: int, stop: int, groups: Any, digits: Any) -> Any:
    """Read digits in groups, one separator between two; gives (digits, groups, groups in parentheses as bits).

    What does not fit any more ends the reading before its group.
    """
    n = count = 0
    brackets = 0
    kind = NONE
    while count < MOST_GROUPS and at < stop:
        opened = data[at] == 40
        at += opened
        first = n
        while at < stop and is_digit(data[at]) and n < MOST_DIGITS:
            digits[n] = np.int64(data[at]) - 48
            n, at = n + 1, at + 1
        cut = at < stop and is_digit(data[at])
        if n == first or cut or (opened and (at >= stop or data[at] != 41)):
            return first, count, brackets
        at += opened
        brackets |= opened << count
        groups[LENGTH, count], groups[BREAK, count], groups[END, count] = n - first, kind, at
        count += 1
        kind, after = _separator(data, at, stop)
        if after < 0 or (kind == NONE and not opened and data[after] != 40):
            break
        at = after
    return n, count, brackets


@njit(cache=True, nogil=True)
def _ends_well(data: Any, at: int, stop: int) -> bool:
    """Tell whether a number may end at `at`: no letter, digit or `@` follows, nor more of a number."""
    if at >= stop:
        return True
    byte = data[at]
    if is_alnum(byte) or byte == 95 or byte == 64 or byte == 37:
        return False
    return not ((45 <= byte <= 47 or byte == 58 or byte == 44) and at + 1 < stop and is_digit(data[at + 1]))


@njit(cache=True, nogil=True)
def _begins_well(data: Any, at: int, floor: int) -> bool:
    """Tell whether a number may begin at `at`: not within a word, a path, an amount or a longer number."""
    if at == floor:
        return True
    byte = data[at - 1]
    if is_alnum(byte) or byte == 95 or byte == 64 or byte == 36 or byte == 35 or byte == 61 or 43 <= byte <= 47:
        return False
    return not (byte == 0xA3 or (at - 2 >= floor and data[at - 2] == 0x82 and byte == 0xAC))  # pound, euro


@njit(cache=True, nogil=True)
def card(data: Any, at: int, floor: int, stop: int, groups: Any, digits: Any) -> int:
    """Give the end of a payment card's number (ISO 7812): a known issuer, its length, Luhn's check; else -1.

    It stands without gaps, or in the groups of the card: 4-4-4-4, 4-4-4-4-3, 4-6-5 or 4-6-4.
    """
    if not 50 <= data[at] <= 54 or not _begins_well(data, at, floor):
        return -1
    n, count, brackets = _read(data, at, stop, groups, digits)
    shape = 0
    if n and count:
        shape = groups[LENGTH, 0]
    used = 1
    if shape < 13:
        if shape != 4:
            return -1
        n, used = _card_groups(groups, count)
        if brackets & ((1 << used) - 1):
            return -1
    else:
        n = shape
    if not n or not _issued(digits, n) or not _luhn(digits, n):
        return -1
    end = groups[END, used - 1]
    return end if _ends_well(data, end, stop) else -1


@njit(cache=True, nogil=True)
def _card_groups(groups: Any, count: int) -> Any:
    """Give (digits, groups) of a card's number in groups, 0 if they are not those of a card."""
    kind = groups[BREAK, 1] if count > 1 else NONE
    if kind != BLANK and kind != DASH:
        return 0, 0
    same = 1
    while same < count and groups[BREAK, same] == kind:
        same += 1
    if same >= 3 and groups[LENGTH, 1] == 6 and 4 <= groups[LENGTH, 2] <= 5:
        return 10 + groups[LENGTH, 2], 3
    if same >= 4 and groups[LENGTH, 1] == 4 and groups[LENGTH, 2] == 4 and groups[LENGTH, 3] == 4:
        if same >= 5 and groups[LENGTH, 4] == 3:
            return 19, 5
        return 16, 4
    return 0, 0


@njit(cache=True, nogil=True)
def _issued(digits: Any, n: int) -> bool:
    """Tell whether a big issuer has numbers of this length that begin so."""
    four = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]
    two = four // 100
    if digits[0] == 4:
        return n == 13 or n == 16 or n == 19  # Visa
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return n == 16  # Mastercard
    if two == 34 or two == 37:
        return n == 15  # American Express
    if 3528 <= four <= 3589 or four == 6011 or two == 65 or 644 <= four // 10 <= 649 or two == 62:
        return n >= 16  # JCB, Discover, UnionPay
    if two == 36 or two == 38 or two == 39 or 300 <= four // 10 <= 305:
        return n == 14  # Diners
    maestro = four == 5018 or four == 5020 or four == 5038 or four == 5893 or four == 6304
    return n >= 13 and (maestro or four == 6759 or 6761 <= four <= 6763)


@njit(cache=True, nogil=True)
def _luhn(digits: Any, n: int) -> bool:
    total = 0
    for place in range(n):
        value = digits[n - 1 - place]
        if place % 2:
            value = value * 2 - 9 * (value > 4)
        total += value
    return total % 10 == 0


@njit(cache=True, nogil=True)
def phone(data: Any, at: int, floor: int, stop: int, groups: Any, digits: Any) -> int:
    """Give the end of a phone number that begins at `at` with `+`, `(` or a digit, -1 if there is none."""
    if not _begins_well(data, at, floor):
        return -1
    plus = data[at] == 43
    if plus and (at + 1 >= stop or not is_digit(data[at + 1])):
        return -1
    n, count, brackets = _read(data, at + plus, stop, groups, digits)
    if n < 8 or (brackets & 1 and count < 2):
        return -1
    if not plus and at - 1 > floor and data[at - 1] == 32 and is_digit(data[at - 2]):
        return -1  # a column or a longer number
    while count:
        if plus:
            used = _international(groups, digits, count)
        elif digits[0] == 0:
            used = _trunk(groups, digits, count, brackets)
        else:
            used = _american(groups, digits, count, brackets)
        if used == 0:
            return -1
        end: int = groups[END, used - 1]
        if _ends_well(data, end, stop):
            return end
        count = used - 1  # the last group may belong to what follows: `+49 30 284447-42 2nd floor`
    return -1


@njit(cache=True, nogil=True)
def _international(groups: Any, digits: Any, count: int) -> int:
    """Give how many groups are a number after `+`: a country's code, 8 to 15 digits in all (E.164); 0 for none."""
    two = digits[0] * 10 + digits[1]
    if digits[0] == 0 or two == 28 or two == 83 or two == 89:
        return 0
    n = used = 0
    thousands = True
    for each in range(count):
        if n + groups[LENGTH, each] > 15:
            break
        n += groups[LENGTH, each]
        used = each + 1
        thousands &= each == 0 or (groups[LENGTH, each] == 3 and groups[BREAK, each] != DASH)
        if digits[0] == 1 and n >= 11:
            break
    if digits[0] == 1:  # North America: area and exchange begin with 2 to 9; 555-01xx is nobody's
        return used if n == 11 and _north(digits[1:]) else 0
    if n < 8 or (used == 1 and n < 10) or (thousands and used > 1 and n < 11):
        return 0
    return used


@njit(cache=True, nogil=True)
def _north(digits: Any) -> bool:
    fictional = digits[3] == 5 and digits[4] == 5 and digits[5] == 5 and digits[6] == 0 and digits[7] == 1
    return digits[0] > 1 and digits[3] > 1 and not fictional


@njit(cache=True, nogil=True)
def _american(groups: Any, digits: Any, count: int, brackets: int) -> int:
    """Give how many groups are NXX-NXX-XXXX, (NXX) NXX-XXXX, or either after `1-`; 0 for none."""
    first = int(groups[LENGTH, 0] == 1)
    if count < first + 3 or (first and digits[0] != 1):
        return 0
    if groups[LENGTH, first] != 3 or groups[LENGTH, first + 1] != 3 or groups[LENGTH, first + 2] != 4:
        return 0
    one, two = groups[BREAK, first + 1], groups[BREAK, first + 2]
    bracketed = (brackets >> first & 1) != 0
    joined = two in (DASH, DOT) and one == two
    if not (joined or (bracketed and two in (DASH, DOT, BLANK))):
        return 0
    return first + 3 if _north(digits[first:]) else 0


@njit(cache=True, nogil=True)
def _trunk(groups: Any, digits: Any, count: int, brackets: int) -> int:
    """Give how many groups are a national number with its leading 0; 0 for none.

    0x xx xx xx xx; 0x xxxx xxxx; an area code of 3 to 5 digits (2 to 5 in parentheses) and 9 to 12 digits in all; or an
    area code of 2 digits and the rest in one group, 9 to 11 in all.
    """
    area, kind = groups[LENGTH, 0], groups[BREAK, 1]
    if digits[1] == 0 or count < 2 or area < 2 or area > 5:
        return 0
    pairs = 1
    while pairs < count and groups[LENGTH, pairs] == 2 and groups[BREAK, pairs] == kind:
        pairs += 1
    if area == 2 and pairs >= 5:
        return 5
    if area == 2 and not brackets & 1:
        if kind == DOT:
            return 0
        if count >= 3 and groups[LENGTH, 1] == 4 and groups[LENGTH, 2] == 4 and groups[BREAK, 2] == kind:
            return 3
        return 2 if 7 <= groups[LENGTH, 1] <= 9 else 0
    n, used, best = area, 1, 0
    while used < count and groups[LENGTH, used] > 1 and n + groups[LENGTH, used] <= 12:
        if used > 1 and groups[BREAK, used] == SPACED:
            break
        n += groups[LENGTH, used]
        used += 1
        if n >= 9:
            best = used
    return best
