"""Repair text (mojibake, control characters, normal form, white space) and look at UTF-8 columns as bytes."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: One more than the largest code point.
CODE_POINTS = 0x110000

# A second pass settles what the first one uncovered; more were never needed.
_MAX_PASSES = 8

# Spaces that look like U+0020 but for their width. U+3000 is part of Chinese and Japanese typesetting and stays.
_SPACES = {0x0C: "\n", 0xA0: " ", 0x202F: " ", 0x205F: " ", **dict.fromkeys(range(0x2000, 0x200B), " ")}
_ODD_SPACE = re.compile("[\x0c\xa0\u2000-\u200a\u202f\u205f]")
_BLANK_LINES = re.compile(r"\n{3,}")

# What `is_bad` looks for holds a character beyond ASCII, and at most two ASCII characters in a row beside it.
_ASCII_RUN = re.compile(r"([\x00-\x7f]{3})[\x00-\x7f]+([\x00-\x7f]{3})")


@dataclass(frozen=True, slots=True)
class Repair:
    """How to repair text.

    `normal_form` is NFC or NFKC. `unescape_html` resolves entities in texts without `<`: for text that was HTML once
    and was not parsed as such. `straight_quotes` writes curly quotes as ' and ".
    """

    normal_form: str = "NFC"
    unescape_html: bool = False
    straight_quotes: bool = False


def ftfy_config(how: Repair) -> Any:
    """Give ftfy's settings.

    Full-width forms stay, as they are the right punctuation of Chinese and Japanese text, and so do curly quotes
    unless asked for, as in the settings of FineWeb. The rest is ftfy's default.
    """
    import ftfy

    return ftfy.TextFixerConfig(
        unescape_html="auto" if how.unescape_html else False,
        remove_terminal_escapes=True,
        fix_encoding=True,
        restore_byte_a0=True,
        replace_lossy_sequences=True,
        decode_inconsistent_utf8=True,
        fix_c1_controls=True,
        fix_latin_ligatures=True,
        fix_character_width=False,
        uncurl_quotes=how.straight_quotes,
        fix_line_breaks=True,
        fix_surrogates=True,
        remove_control_chars=True,
        normalization=how.normal_form,
        max_decode_length=1_000_000,
        explain=False,
    )


def repair(text: str, how: Repair = Repair()) -> str:
    """Repair text: `tidy` after `fix`, again until nothing changes, so that repaired text stays as it is."""
    fixed = fix(text, how)
    tidied = tidy(fixed)
    for _ in range(_MAX_PASSES):
        # ftfy treats line by line, and stays by what it gave: only the lines that `tidy` changed are new to it.
        # A new line break parts what it fixed as one line: then all lines are new.
        known = set(fixed.split("\n")) if fixed.count("\n") == text.count("\n") else set()
        changed = "\n".join([line for line in tidied.split("\n") if line not in known])
        if fix(changed, how) == changed:
            break
        text, fixed = tidied, fix(tidied, how)
        if fixed == tidied:
            break
        tidied = tidy(fixed)
    return tidied


def fix(text: str, how: Repair = Repair()) -> str:
    """Give what `ftfy.fix_text` gives with `ftfy_config(how)`, without calling it where it changes nothing.

    ftfy treats the pieces between line feeds one by one. Each fixer leaves a piece alone that holds none of its
    characters, is in the normal form, and is not `is_bad`; all three hold for a piece if they hold for the text.
    """
    return _fixer(how)(text)


def tidy(text: str) -> str:
    """Write every space of another width as U+0020, and cut trailing space, a second blank line in a row, and
    white space around the text."""
    if _ODD_SPACE.search(text):
        text = text.translate(_SPACES)
    text = "\n".join([line.rstrip() for line in text.split("\n")])
    return _BLANK_LINES.sub("\n\n", text).strip()


@functools.lru_cache(maxsize=8)
def _fixer(how: Repair) -> Callable[[str], str]:
    import ftfy
    from ftfy.badness import is_bad

    config = ftfy_config(how)
    touched = _touched(how)
    longest = config.max_decode_length
    form: Any = how.normal_form

    def untouched(text: str) -> bool:
        if touched.search(text):
            return False
        if text.isascii():
            return True
        return unicodedata.is_normalized(form, text) and not is_bad(_ASCII_RUN.sub(r"\1\2", text))

    def fix(text: str) -> str:
        if how.unescape_html and ("&" in text or how.normal_form == "NFKC"):
            return str(ftfy.fix_text(text, config))  # a `<` in one line changes how later lines are treated
        if untouched(text):
            return text
        lines = text.split("\n")
        if len(text) >= longest and max(map(len, lines)) >= longest:
            return str(ftfy.fix_text(text, config))  # it cuts lines that long
        last = lines.pop()
        fixed = [line if untouched(line) else str(ftfy.fix_text(line, config)) for line in map("{}\n".format, lines)]
        fixed.append(last if untouched(last) else str(ftfy.fix_text(last, config)))
        return "".join(fixed)

    return fix


def _touched(how: Repair) -> re.Pattern[str]:
    """Match whatever a fixer other than those of encoding and normal form changes, by ftfy's own tables."""
    from ftfy import chardata

    single: set[str] = {chr(code) for code in (*chardata.CONTROL_CHARS, *chardata.LIGATURES)}
    single |= {"\r", "\x1b", "\u2028", "\u2029", *map(chr, range(0x80, 0xA0)), *map(chr, range(0xD800, 0xE000))}
    if how.straight_quotes:
        quotes = (chardata.SINGLE_QUOTE_RE, chardata.DOUBLE_QUOTE_RE)
        single |= {chr(code) for code in range(0x3000) if any(quote.match(chr(code)) for quote in quotes)}
    # `is_bad` matches these at the start of a piece alone, which a search in the whole text would miss.
    return re.compile(f"[{re.escape(''.join(sorted(single)))}]|[ÂÃ] ")


def utf8(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Give a string column as (data, offsets): text i is data[offsets[i]:offsets[i + 1]]; null reads as empty.

    The data is Arrow's own buffer, not to be written to.
    """
    if column.null_count:
        column = column.fill_null("")
    if not pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    wide = pa.types.is_large_string(column.type)
    _, offsets, data = column.buffers()
    if offsets is None or not len(column):
        return np.empty(0, np.uint8), np.zeros(len(column) + 1, np.int64)
    all_offsets = np.frombuffer(offsets, np.int64 if wide else np.int32)
    found = all_offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return (np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)), found


def decoded(column: pa.Array) -> tuple[list[str], list[int]]:
    """Give the texts of a column, null as the empty string, and the rows whose bytes are not UTF-8.

    In those rows U+FFFD stands for what cannot be decoded.
    """
    try:
        return [text or "" for text in column.to_pylist()], []
    except UnicodeDecodeError:
        pass
    texts, bad = [], []
    data, offsets = utf8(column)
    for row, (start, stop) in enumerate(itertools.pairwise(offsets)):
        raw = data[start:stop].tobytes()
        text = raw.decode(errors="replace")
        if text.encode() != raw:
            bad.append(row)
        texts.append(text)
    return texts, bad
