"""Repair text: mojibake, entities, control characters, line breaks, normal form, white space.

What is repaired is ftfy's affair, and the result is ftfy's to the byte. Columns go through compiled loops over their
bytes that hand ftfy only the lines which hold what it alone can judge, as ftfy treats texts line by line. A line is
left alone, or changed without ftfy, where

* an automaton made of the expression behind `ftfy.badness.is_bad` finds nothing, no terminal escape is in it, and
  no entity that would be resolved;
* the characters that change whatever stands beside them (quotes, ligatures, control characters, ...) were replaced
  by what ftfy makes of each, and the line that results passes the same tests;
* Unicode's quick check finds it in the normal form, or unicodedata does.

Where there are no tables for the version of ftfy (see `repair_tables`), ftfy does it all.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.text import repair_tables
from corpuskit.text.unicode import decoded, utf8

# A second pass settles what the first one uncovered; more were never needed.
_MAX_PASSES = 8

# Spaces that look like U+0020 but for their width. U+3000 is part of Chinese and Japanese typesetting and stays.
_SPACES = {0x0C: "\n", 0xA0: " ", 0x202F: " ", 0x205F: " ", **dict.fromkeys(range(0x2000, 0x200B), " ")}
_ODD_SPACE = re.compile("[\x0c\xa0\u2000-\u200a\u202f\u205f]")
_BLANK_LINES = re.compile(r"\n{3,}")

# The longest line that ftfy treats in one piece, in characters; here in bytes too, which are never fewer.
_LONGEST = 1_000_000

_Bytes = npt.NDArray[np.uint8]
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repair:
    """How to repair text, in ftfy's terms.

    `normal_form` is NFC, NFKC, NFD, NFKD, or None for none; the last two of the forms have no compiled path.
    `unescape_html` resolves entities: always, or with "auto" until a text holds a `<`. `straight_quotes` writes curly
    quotes as ' and ", `character_width` full-width letters and half-width katakana in their usual width.
    The defaults are those for text that was parsed from its HTML, in any language.
    """

    normal_form: Literal["NFC", "NFKC", "NFD", "NFKD"] | None = "NFC"
    unescape_html: bool | Literal["auto"] = False
    straight_quotes: bool = False
    character_width: bool = False


#: What `ftfy.fix_text` does unless told otherwise.
FTFY_DEFAULTS = Repair("NFC", "auto", straight_quotes=True, character_width=True)


def ftfy_config(how: Repair) -> Any:
    """Give ftfy's settings. The rest is ftfy's default."""
    import ftfy

    return ftfy.TextFixerConfig(
        unescape_html=how.unescape_html,
        remove_terminal_escapes=True,
        fix_encoding=True,
        restore_byte_a0=True,
        replace_lossy_sequences=True,
        decode_inconsistent_utf8=True,
        fix_c1_controls=True,
        fix_latin_ligatures=True,
        fix_character_width=how.character_width,
        uncurl_quotes=how.straight_quotes,
        fix_line_breaks=True,
        fix_surrogates=True,
        remove_control_chars=True,
        normalization=how.normal_form,
        max_decode_length=_LONGEST,
        explain=False,
    )


def repair_column(texts: pa.Array, how: Repair = Repair()) -> pa.Array:
    """Repair texts: `tidy` after ftfy, again until nothing changes, so that repaired text stays as it is.

    Null reads as empty; bytes that are no UTF-8 become U+FFFD. Gives strings, or large strings from 2 GiB on.
    """
    table = _table(how)
    if table is None:
        return pa.array([repair(text, how) for text in decoded(texts)[0]], pa.string())
    known: dict[tuple[bytes, bool], bytes] = {}
    column, again = _fixed(texts, how, table, known)
    column, changed = _tidied(column)
    rows = np.flatnonzero(again | changed)
    part = column.take(pa.array(rows))
    for _ in range(_MAX_PASSES):
        fixed, _ = _fixed(part, how, table, known)
        moved = np.flatnonzero(pc.not_equal(fixed, part).to_numpy(zero_copy_only=False))
        if not len(moved):
            break
        rows, (part, _) = rows[moved], _tidied(fixed.take(pa.array(moved)))
        mask = np.zeros(len(column), np.bool_)
        mask[rows] = True
        column = pc.replace_with_mask(column, pa.array(mask), part)
    return column


def fix_column(texts: pa.Array, how: Repair = Repair()) -> pa.Array:
    """Give what `ftfy.fix_text` gives with `ftfy_config(how)` for each text; otherwise as `repair_column`."""
    table = _table(how)
    if table is None:
        return pa.array([fix(text, how) for text in decoded(texts)[0]], pa.string())
    return _fixed(texts, how, table, {})[0]


def repair(text: str, how: Repair = Repair()) -> str:
    """Repair one text. This is what `repair_column` does to many, written down plainly; it has ftfy's speed."""
    tidied = tidy(fix(text, how))
    for _ in range(_MAX_PASSES):
        fixed = fix(tidied, how)
        if fixed == tidied:
            break
        tidied = tidy(fixed)
    return tidied


def fix(text: str, how: Repair = Repair()) -> str:
    """Give what `ftfy.fix_text` gives with `ftfy_config(how)`, by calling it."""
    import ftfy

    return str(ftfy.fix_text(text, ftfy_config(how)))


def tidy(text: str) -> str:
    """Write every space of another width as U+0020, and cut trailing space, a second blank line in a row, and
    white space around the text."""
    if _ODD_SPACE.search(text):
        text = text.translate(_SPACES)
    text = "\n".join([line.rstrip() for line in text.split("\n")])
    return _BLANK_LINES.sub("\n\n", text).strip()


# Columns


def _fixed(
    texts: pa.Array, how: Repair, table: Any, known: dict[tuple[bytes, bool], bytes]
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Give the texts as ftfy leaves them, and in which of them it might find more to do.

    `known` keeps what ftfy made of lines.
    """
    from corpuskit.text import repair_kernels as kernels

    data, offsets = _bytes(texts)
    again = np.zeros(len(texts), np.bool_)
    entities = {False: kernels.KEEP, "auto": kernels.AUTO, True: kernels.ALWAYS}[how.unescape_html]
    most = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == 10)) + len(texts)
    lines = np.empty((most, 5), np.int64)
    count, size = kernels.survey(data, offsets, table, entities, lines)
    if not count:  # the other loops need not even be loaded
        return _column(data, offsets), again
    lines, scratch = lines[:count], np.empty(size, np.uint8)
    kernels.change(data, table, lines, scratch)
    kernels.check(_frozen(scratch), table, lines)
    lines, new = _settle(data, lines, scratch, how, table, known)
    if not len(lines):
        return _column(data, offsets), again
    size = int(offsets[-1] - offsets[0] - _length(lines, kernels.START) + _length(lines, kernels.FROM))
    out, out_offsets = np.empty(size, np.uint8), np.zeros(len(offsets), np.int64)
    kernels.splice(data, offsets, lines, new, out, out_offsets, again)
    return _column(out, out_offsets), again


def _tidied(column: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Give the tidy texts, and which of them are others than before."""
    from corpuskit.text import tidy_kernels as kernels

    data, offsets = _bytes(column)
    untidy = np.zeros(len(column), np.bool_)
    kernels.untidy(data, offsets, untidy)
    if not untidy.any():
        return column, untidy
    out, out_offsets = np.empty(int(offsets[-1] - offsets[0]), np.uint8), np.zeros(len(offsets), np.int64)
    kernels.tidy(data, offsets, untidy, out, out_offsets)
    return _column(out, out_offsets), untidy


def _settle(
    data: _Bytes, lines: _Numbers, scratch: _Bytes, how: Repair, table: Any, known: dict[tuple[bytes, bool], bytes]
) -> tuple[_Numbers, _Bytes]:
    """See to the lines that the loops could not: (the lines that change, the bytes that they change to).

    A line that was not in the normal form, or held entities, is tried again without; ftfy gets the others.
    """
    from corpuskit.text import repair_kernels as kernels

    results: dict[int, bytes] = {}
    retry: dict[int, bytes] = {}
    open_lines = np.flatnonzero(lines[:, kernels.FLAGS] & (kernels.DONE | kernels.UNSURE) != kernels.DONE)
    for number in open_lines.tolist():
        start, stop, flags, begin, end = lines[number].tolist()
        if flags & kernels.HARD:
            results[number] = _by_ftfy(data[start:stop].tobytes(), flags, how, known)
            continue
        raw = scratch[begin:end].tobytes() if flags & kernels.DONE else data[start:stop].tobytes()
        freed = _unescaped(raw) if flags & kernels.ENTITY else _normal(raw, how)
        if freed == raw and not flags & kernels.ENTITY:
            results[number] = raw
        else:
            retry[number] = freed
    tried = _retried(list(retry.values()), lines[list(retry), kernels.FLAGS], table)
    for number, found in zip(retry, tried, strict=True):
        start, stop, flags = lines[number, :3].tolist()
        results[number] = _by_ftfy(data[start:stop].tobytes(), flags, how, known) if found is None else found
    at = len(scratch)
    for number, result in results.items():
        lines[number, kernels.FROM], lines[number, kernels.TO] = at, at + len(result)
        at += len(result)
    stay = [number for number in results if results[number] == data[slice(*lines[number, :2])].tobytes()]
    new = np.concatenate([scratch, np.frombuffer(b"".join(results.values()), np.uint8)])
    return np.delete(lines, stay, axis=0), _frozen(new)


def _retried(pieces: list[bytes], flags: _Numbers, table: Any) -> list[bytes | None]:
    """Look over and change lines in their new form; None where ftfy has to see to the old one.

    `flags` are those of the old form: without ENTITY, the piece was brought into the normal form.
    """
    from corpuskit.text import repair_kernels as kernels

    if not pieces:
        return []
    data = _frozen(np.frombuffer(b"".join(pieces), np.uint8))
    ends = np.cumsum([len(piece) for piece in pieces])
    lines = np.zeros((len(pieces), 5), np.int64)
    lines[1:, kernels.START], lines[:, kernels.STOP] = ends[:-1], ends
    lines[:, kernels.FLAGS] = flags & kernels.ESCAPABLE
    scratch = np.empty(kernels.look_again(data, table, lines), np.uint8)
    kernels.change(data, table, lines, scratch)
    kernels.check(_frozen(scratch), table, lines)
    found: list[bytes | None] = []
    for piece, line, before in zip(pieces, lines.tolist(), flags.tolist(), strict=True):
        now = line[kernels.FLAGS]
        normal = not before & kernels.ENTITY
        if not before & kernels.ESCAPABLE:
            now &= ~kernels.ENTITY
        if now & (kernels.HARD | kernels.ENTITY) or (now & kernels.UNSURE and not normal):
            found.append(None)
        elif now & kernels.CHANGES:
            found.append(None if normal else scratch[line[kernels.FROM] : line[kernels.TO]].tobytes())
        else:
            found.append(piece)
    return found


def _by_ftfy(line: bytes, flags: int, how: Repair, known: dict[tuple[bytes, bool], bytes]) -> bytes:
    import ftfy

    from corpuskit.text.repair_kernels import ESCAPABLE

    escapable = bool(flags & ESCAPABLE)
    if (found := known.get((line, escapable))) is not None:
        return found
    config = ftfy_config(how) if escapable else ftfy_config(how)._replace(unescape_html=False)
    fixed = str(ftfy.fix_text(line.decode(errors="replace"), config)).encode()
    known[line, escapable] = fixed
    if fixed.find(b"\n", 0, -1) < 0 and (b"<" not in line or b"<" in fixed):
        # ftfy stops where it would change nothing more; but a line that lost its `<` (to U+0338) is another matter.
        known[fixed, escapable] = fixed
    return fixed


def _unescaped(line: bytes) -> bytes:
    from ftfy.fixes import unescape_html

    return str(unescape_html(line.decode())).encode()


def _normal(line: bytes, how: Repair) -> bytes:
    return line if how.normal_form is None else unicodedata.normalize(how.normal_form, line.decode()).encode()


def _bytes(texts: pa.Array) -> tuple[_Bytes, _Numbers]:
    data, offsets = utf8(texts)
    return _frozen(data), offsets


def _frozen(data: _Bytes) -> _Bytes:
    """Mark bytes as not to be written to: the loops are compiled for such."""
    data = data.view()
    data.flags.writeable = False
    return data


def _column(data: _Bytes, offsets: _Numbers) -> pa.Array:
    """Make a column of bytes and the offsets of its texts in them."""
    wide = int(offsets[-1]) > np.iinfo(np.int32).max
    return pa.Array.from_buffers(
        pa.large_string() if wide else pa.string(),
        len(offsets) - 1,
        [None, pa.py_buffer(offsets if wide else offsets.astype(np.int32)), pa.py_buffer(data)],
    )


def _length(lines: _Numbers, first: int) -> int:
    """Sum the lengths between a column of the table of lines and the next one."""
    return int((lines[:, first + 1] - lines[:, first]).sum())


@functools.lru_cache(maxsize=8)
def _table(how: Repair) -> Any:
    """Give the tables for a way to repair, or None where ftfy has to do it all."""
    if how.normal_form not in repair_tables.FORMS:
        return None
    tables = _tables()
    if tables is None:
        return None
    from corpuskit.text.repair_kernels import Table

    name = repair_tables.changes_name(how.normal_form, how.straight_quotes, how.character_width)
    codes = tables[f"{name}.codes"]
    properties = tables["properties"] & (repair_tables.DECOMPOSES if how.normal_form is None else 0xFFFFFFFF)
    properties |= tables["classes"]
    properties[codes] |= np.arange(1, len(codes) + 1, dtype=np.uint32) << np.uint32(repair_tables.CHANGE_SHIFT)
    plain = properties[:128] >> repair_tables.CHANGE_SHIFT == 0
    plain[[ord("\n"), ord("\x1b"), ord("<"), ord("&")]] = False
    return Table(
        properties.astype(np.uint32),
        plain,
        tables["moves"],
        tables["quiet"],
        tables["pairs"],
        tables[f"{name}.offsets"],
        tables[f"{name}.bytes"],
        _LONGEST,
    )


@functools.cache
def _tables() -> repair_tables.Tables | None:
    return repair_tables.load()
