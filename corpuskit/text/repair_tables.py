"""Make the tables of the compiled repair from ftfy and unicodedata themselves.

    python -m corpuskit.text.repair_tables [FOLDER]

writes those of the versions that are installed into FOLDER, by default the folder of data beside this file. `load`
reads them from there; for other versions it makes them (about two seconds) and keeps them in the user's cache.

The tables are: the regular expression behind `ftfy.badness.is_bad` as an automaton over classes of characters; what
ftfy makes of a character that it changes whatever stands beside it, for each way to repair; and what the quick check
of Unicode's normal forms needs (UAX 15, section 9).
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import os
import re
import sys
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.text.kept import cache_folder
from corpuskit.text.unicode import CODE_POINTS

#: The folder of the tables that come with the package.
HOME = Path(__file__).parent / "data"

#: States of the automaton: at the start of a line, within it, and where the text is bad.
BEGIN, WITHIN, BAD = 0, 1, 2

#: Bits of the properties of a character, above its class of the automaton in the lowest eight.
DECOMPOSES, MAYBE, JAMO = 1 << 8, 1 << 9, 1 << 10
COMBINING_SHIFT, COMBINING_BITS = 11, 0xFF
CHANGE_SHIFT = 19

#: The normal forms that there are tables for.
FORMS: tuple[str | None, ...] = (None, "NFC", "NFKC")

#: ASCII characters in a row after which the automaton has forgotten what came before, where it can be.
ASCII_MEMORY = 2

_FORMAT = 1
_OF_CODE_POINTS = ("classes", "properties")
_SORTED = (".codes", ".offsets")
_ENTITY = r"&#?[0-9A-Za-z]{1,24};"
_FIELDS = (
    "unescape_html remove_terminal_escapes fix_encoding restore_byte_a0 replace_lossy_sequences "
    "decode_inconsistent_utf8 fix_c1_controls fix_latin_ligatures fix_character_width uncurl_quotes fix_line_breaks "
    "fix_surrogates remove_control_chars normalization max_decode_length explain"
)

Tables = Mapping[str, npt.NDArray[Any]]
_Sequence = tuple[int, ...]


class Unsupported(Exception):
    """This version of ftfy works in a way that the compiled repair does not know."""


def load() -> Tables | None:
    """Give the tables of the versions that are installed; None where ftfy is of a kind that there can be none for."""
    for folder in (HOME, cache_folder()):
        try:
            return read(folder / file_name())
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
            continue  # none there, or a damaged one
    try:
        made = build()
    except Unsupported:
        return None
    with contextlib.suppress(OSError):  # else the next process makes them again
        save(made, cache_folder())
    return made


def read(path: Path) -> Tables:
    """Read tables that `save` wrote."""
    with np.load(path, allow_pickle=False) as found:
        tables = dict(found)
    for name in _OF_CODE_POINTS:
        starts, values = tables.pop(f"{name}.starts"), tables.pop(f"{name}.values")
        tables[name] = np.repeat(values, np.diff(starts, append=CODE_POINTS))
    return {name: np.cumsum(at, dtype=at.dtype) if name.endswith(_SORTED) else at for name, at in tables.items()}


def file_name() -> str:
    """Name the tables by the versions that decide what is in them."""
    return f"repair-{_FORMAT}-ftfy-{_ftfy_version()}-unicode-{unicodedata.unidata_version}.npz"


def _ftfy_version() -> str:
    """Read the version of ftfy in its source: to import it takes as long as to repair thousands of pages without."""
    spec = importlib.util.find_spec("ftfy")
    if spec is not None and spec.origin is not None and "ftfy" not in sys.modules:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found = re.search(r'^__version__ = "([\w.]+)"$', Path(spec.origin).read_text(encoding="utf-8"), re.M)
            if found:
                return found[1]
    import ftfy

    return str(ftfy.__version__)


def save(tables: Tables, folder: Path) -> Path:
    """Write the tables; the file has its name only when it is whole."""
    arrays: dict[str, Any] = dict(tables)
    for name in _OF_CODE_POINTS:  # long runs of the same
        values = arrays.pop(name)
        starts = np.flatnonzero(np.diff(values, prepend=~values[:1]))
        arrays |= {f"{name}.starts": starts.astype(np.int32), f"{name}.values": values[starts]}
    for name in arrays:
        if name.endswith(_SORTED):
            arrays[name] = np.diff(arrays[name], prepend=arrays[name].dtype.type(0))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file_name()
    handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as out:
            np.savez_compressed(out, **arrays)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def build() -> dict[str, npt.NDArray[Any]]:
    """Make the tables. Raises Unsupported where ftfy is not built as expected."""
    import ftfy
    from ftfy import chardata
    from ftfy.badness import BADNESS_RE

    if tuple(_FIELDS.split()) != ftfy.TextFixerConfig._fields or chardata.HTML_ENTITY_RE.pattern != _ENTITY:
        raise Unsupported("other settings or entities than those of ftfy 6.3")
    classes, moves = _automaton(BADNESS_RE)
    tables = {"classes": classes, "moves": moves, "quiet": _quiet(classes, moves)}
    tables["properties"], tables["pairs"] = _composition()
    for form, quotes, width in itertools.product(FORMS, (False, True), (False, True)):
        name = changes_name(form, quotes, width)
        tables |= {f"{name}.{part}": values for part, values in _changes(form, quotes, width).items()}
    return tables


def changes_name(form: str | None, straight_quotes: bool, character_width: bool) -> str:
    """Name the table of changes for a way to repair."""
    return f"{form}-{'straight' if straight_quotes else 'curly'}-{'width' if character_width else 'any'}"


# The automaton. The expression is an alternation of short sequences of sets of characters, and stays one when its
# few optional parts are written out.


def _automaton(expression: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Give (class of each code point, moves[state, class]) of the search for an expression."""
    parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
    sets: dict[Any, int] = {}
    sequences = list(_sequences(list(parser.parse(expression.pattern, expression.flags)), sets))
    if len(sets) > 126 or any(_BEGINNING in sequence[1:] for sequence in sequences):
        raise Unsupported("more sets of characters than expected, or an anchor amid a sequence")
    words = np.zeros((2, CODE_POINTS), np.uint64)
    for key, number in sets.items():
        words[number // 63] |= _members(key).astype(np.uint64) << np.uint64(number % 63)
    both = [np.unique(word, return_inverse=True)[1].astype(np.int64) for word in words]
    _, first, classes = np.unique(both[0] * (both[1].max() + 1) + both[1], return_index=True, return_inverse=True)
    has = [
        [bool(words[at // 63][code] >> np.uint64(at % 63) & np.uint64(1)) for at in range(len(sets))] for code in first
    ]
    moves = _smallest(_determinized(sequences, has))
    if len(first) > 256 or len(moves) > 256:
        raise Unsupported("more states or classes than a byte holds")
    return classes.astype(np.uint8), moves.astype(np.uint8)


_BEGINNING = -1


def _sequences(items: list[Any], sets: dict[Any, int]) -> Iterable[_Sequence]:
    """Write out every sequence of sets that a parsed expression matches."""
    found: list[_Sequence] = [()]
    for item in items:
        found = [before + after for before, after in itertools.product(found, list(_one(item, sets)))]
    return found


def _one(item: Any, sets: dict[Any, int]) -> Iterator[_Sequence]:
    operation, value = str(item[0]), item[1]
    if operation in {"IN", "LITERAL", "NOT_LITERAL", "ANY"}:
        key = (operation, tuple(value) if operation == "IN" else value)
        yield (sets.setdefault(key, len(sets)),)
    elif operation == "BRANCH":
        for branch in value[1]:
            yield from _sequences(list(branch), sets)
    elif operation == "SUBPATTERN":
        yield from _sequences(list(value[-1]), sets)
    elif operation == "MAX_REPEAT" and value[1] <= 4:
        for times in range(value[0], value[1] + 1):
            yield from _sequences(list(value[2]) * times, sets)
    elif operation == "AT" and str(value) == "AT_BEGINNING":
        yield (_BEGINNING,)
    else:
        raise Unsupported(f"{operation} in the expression for mojibake")


def _members(key: Any) -> npt.NDArray[np.bool_]:
    """Mark the code points in a set."""
    operation, value = key
    found = np.zeros(CODE_POINTS, np.bool_)
    if operation == "ANY":
        found[ord("\n")] = True
        return ~found
    negate = operation == "NOT_LITERAL"
    for kind, what in value if operation == "IN" else (("LITERAL", value),):
        if str(kind) == "NEGATE":
            negate = True
        elif str(kind) == "LITERAL":
            found[what] = True
        elif str(kind) == "RANGE":
            found[what[0] : what[1] + 1] = True
        elif str(kind) == "CATEGORY":
            found |= _category(str(what))
        else:
            raise Unsupported(f"{kind} in a set of the expression for mojibake")
    return ~found if negate else found


@functools.cache
def _category(name: str) -> npt.NDArray[np.bool_]:
    tests = {"CATEGORY_SPACE": str.isspace, "CATEGORY_WORD": lambda char: char.isalnum() or char == "_"}
    if name not in tests:
        raise Unsupported(f"{name} in the expression for mojibake")
    return np.fromiter(map(tests[name], map(chr, range(CODE_POINTS))), np.bool_, CODE_POINTS)


def _determinized(sequences: list[_Sequence], has: list[list[bool]]) -> npt.NDArray[np.int64]:
    """Give the moves of the automaton whose states are the sets of sequences begun; no move leaves BAD."""
    free = {(sequence, 0) for sequence in sequences if sequence[0] != _BEGINNING}
    anchored = {(sequence, 1) for sequence in sequences if sequence[0] == _BEGINNING}
    states: list[frozenset[tuple[_Sequence, int]]] = [frozenset(free | anchored), frozenset(free), frozenset()]
    numbers = {state: number for number, state in enumerate(states)}
    moves: list[list[int]] = []
    for number, state in enumerate(states):  # grows as it runs
        row = []
        for members in has:
            after = {(sequence, at + 1) for sequence, at in state if members[sequence[at]]}
            if number == BAD or any(at == len(sequence) for sequence, at in after):
                row.append(BAD)
                continue
            target = frozenset(after | free)
            if target not in numbers:
                numbers[target] = len(states)
                states.append(target)
            row.append(numbers[target])
        moves.append(row)
    return np.array(moves)


def _smallest(moves: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Join the states that no text tells apart; BEGIN, WITHIN and BAD keep their numbers."""
    parts = np.zeros(len(moves), np.int64)
    parts[BAD] = 1
    while True:
        rows = np.column_stack([parts, parts[moves]])
        _, first, refined = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        refined = refined.reshape(-1)
        if len(first) == parts.max() + 1:
            break
        parts = refined
    order = np.argsort(first, kind="stable")  # by the first state of each part: BEGIN, WITHIN and BAD come first
    if not (first[order][:3] == [BEGIN, WITHIN, BAD]).all():
        raise Unsupported("the start of a line is like its inside")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    joined: npt.NDArray[np.int64] = rank[parts[moves[first[order]]]]
    return joined


def _quiet(classes: npt.NDArray[np.uint8], moves: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Mark the states that ASCII alone never leads from to BAD.

    From each of them, the last ASCII_MEMORY of that many or more ASCII characters decide on the state.
    """
    ascii_classes = np.unique(classes[:128])
    quiet = np.ones(len(moves), np.bool_)
    quiet[BAD] = False
    while True:
        closed = quiet & quiet[moves[:, ascii_classes]].all(axis=1)
        if (closed == quiet).all():
            break
        quiet = closed
    for word in itertools.product(ascii_classes, repeat=ASCII_MEMORY):
        ends = np.flatnonzero(quiet)
        for each in word:
            ends = moves[ends, each]
        if not quiet[WITHIN] or len(set(ends.tolist())) != 1:
            raise Unsupported("ASCII is remembered for longer than expected")
    return quiet


# What depends on a character and on the one before it.


def _composition() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Give (properties of each code point, pairs that compose as sorted first << 21 | second)."""
    properties = np.zeros(CODE_POINTS, np.uint32)
    pairs = set()
    for code in range(CODE_POINTS):
        char = chr(code)
        combining = unicodedata.combining(char)
        if combining:
            properties[code] |= combining << COMBINING_SHIFT
        parts = unicodedata.decomposition(char)
        if not parts or parts.startswith("<"):
            continue
        properties[code] |= DECOMPOSES
        points = [int(part, 16) for part in parts.split()]
        if len(points) == 2 and unicodedata.normalize("NFC", "".join(map(chr, points))) == char:
            pairs.add(points[0] << 21 | points[1])
            properties[points[1]] |= MAYBE
    properties[0xAC00:0xD7A4] |= DECOMPOSES  # Hangul syllables, whose decomposition unicodedata computes
    for vowels_or_ends in (range(0x1161, 0x1176), range(0x11A8, 0x11C3)):
        properties[vowels_or_ends.start : vowels_or_ends.stop] |= MAYBE | JAMO
    return properties, np.array(sorted(pairs), np.int64)


# What a character becomes alone.


def _changes(form: str | None, quotes: bool, width: bool) -> dict[str, npt.NDArray[Any]]:
    """Give what ftfy makes of each character that it changes: codes, and UTF-8 bytes between offsets."""
    import ftfy

    config = ftfy.TextFixerConfig(
        unescape_html=False,
        fix_encoding=False,
        fix_c1_controls=False,
        fix_character_width=width,
        uncurl_quotes=quotes,
        normalization=form,
        explain=False,
    )
    codes, texts = [], []
    for code in _candidates():
        if (fixed := ftfy.fix_text(chr(code), config)) != chr(code):
            codes.append(code)
            texts.append(fixed.encode())
    changed = set(map(chr, codes))
    if any(changed.intersection(text.decode()) for text in texts) or len(codes) >= 1 << 32 - CHANGE_SHIFT:
        raise Unsupported("what becomes of a character would change again")
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return {
        "codes": np.array(codes, np.int32),
        "offsets": offsets,
        "bytes": np.frombuffer(b"".join(texts), np.uint8),
    }


@functools.cache
def _candidates() -> tuple[int, ...]:
    """Give the code points that some fixer changes alone: C1 and surrogates, which are never asked for, left out."""
    from ftfy import fixes

    fixers = (
        fixes.fix_latin_ligatures,
        fixes.fix_character_width,
        fixes.uncurl_quotes,
        fixes.fix_line_breaks,
        fixes.remove_control_chars,
    )
    found = []
    for code in itertools.chain(range(0x80), range(0xA0, 0xD800), range(0xE000, CODE_POINTS)):
        char = chr(code)
        stable = unicodedata.is_normalized("NFKC", char) and unicodedata.is_normalized("NFC", char)
        if not stable or any(fixer(char) != char for fixer in fixers):
            found.append(code)
    return tuple(found)


def main() -> None:
    """Make the tables of the installed versions and say where they are."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HOME
    print(save(build(), folder))


if __name__ == "__main__":
    main()
