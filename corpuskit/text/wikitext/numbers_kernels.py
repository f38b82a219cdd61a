"""Numbers within templates and above and below the line."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import encode, kernel


@kernel
def _minus(data: Any, at: int) -> Any:
    """Tell whether an en dash or a minus sign is here."""
    dash = data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0x93
    return dash or (data[at] == 0xE2 and data[at + 1] == 0x88 and data[at + 2] == 0x92)


@kernel
def is_script(data: Any, at: int) -> bool:
    """Tell whether a digit or a sign is here."""
    return bool(48 <= data[at] <= 57 or data[at] == 43 or data[at] == 45 or _minus(data, at))


@kernel
def write_script(data: Any, start: int, stop: int, out: Any, o: int, above: bool) -> int:
    """Write digits and signs as superscript or subscript characters; anything else as it stands."""
    at = start
    while at < stop and is_script(data, at):
        at += 3 if data[at] == 0xE2 else 1
    if at < stop:
        for at in range(start, stop):
            out[o] = data[at]
            o += 1
        return o
    at = start
    while at < stop:
        byte = data[at]
        at += 3 if byte == 0xE2 else 1
        if not above:
            o = encode(out, o, 0x2080 + byte - 48 if byte < 0x80 and byte >= 48 else 0x208A if byte == 43 else 0x208B)
        elif byte == 49:
            o = encode(out, o, 0xB9)
        elif byte == 50 or byte == 51:
            o = encode(out, o, 0xB0 + byte - 48)
        else:
            o = encode(out, o, 0x2070 + byte - 48 if 48 <= byte < 58 else 0x207A if byte == 43 else 0x207B)
    return o


@kernel
def is_number(data: Any, start: int, stop: int) -> bool:
    """Tell whether text is a number: a sign, digits with points, commas and spaces, a fraction."""
    at = start
    if at < stop and (data[at] == 43 or data[at] == 45):
        at += 1
    elif at + 3 <= stop and _minus(data, at):
        at += 3
    if at >= stop or not 48 <= data[at] <= 57:
        return False
    while at < stop:
        byte = data[at]
        if 48 <= byte <= 57 or byte == 44 or byte == 46 or byte == 32 or byte == 47 or byte == 39 or byte == 1:
            at += 1
        elif byte == 0xC2 and data[at + 1] == 0xA0:
            at += 2
        elif byte == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0xAF:
            at += 3
        elif byte == 38 and stop - at >= 6 and data[at + 1] == 110 and data[at + 2] == 98 and data[at + 5] == 59:
            at += 6  # &nbsp;
        else:
            return False
    return True


@kernel
def is_digits(data: Any, start: int, stop: int) -> bool:
    """Tell whether text is ASCII digits, one at least."""
    for at in range(start, stop):
        if not 48 <= data[at] <= 57:
            return False
    return start < stop
