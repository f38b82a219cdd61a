"""Build the tables of the kernels: names by hash, and the programs of `templates.txt`."""

from __future__ import annotations

import functools
import html.entities
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.text.wikitext import names

_PRIME, _MASK = 1099511628211, (1 << 64) - 1
_SHARED = ("*", "ranges", "units", "subunits", "countries")
_FUNCTIONS = ("convert", "date", "as_of", "title", "expression", "condition", "flag", "points", "density")
_PIECE = re.compile(r"\$([\^_]?)(?:(\d|-)|\{([^}]*)\})|\$([*,])(?:\{([^}]*)\})?|(\[\[|\]\]|\$\$)|([^$\[\]]+|[\[\]])")


@dataclass(slots=True)
class Names:
    """Names to put into the hash table, each with its room and value."""

    names: list[bytes] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def add(self, room: int, name: str, value: int, *, exact: bool = False) -> None:
        self.names.append(name.encode())
        self.rooms.append(room)
        self.exact.append(exact)
        self.values.append(value)

    def hashes(self) -> npt.NDArray[np.int64]:
        from corpuskit.text.wikitext.base_kernels import hash_all

        offsets = np.cumsum([0, *map(len, self.names)], dtype=np.int64)
        data = np.frombuffer(b"".join(self.names) + b"\0\0\0\0", np.uint8).copy()
        out = np.empty(len(self.names), np.int64)
        hash_all(lower(), data, offsets, np.array(self.rooms, np.int64), np.array(self.exact, np.bool_), out)
        return out


@dataclass(frozen=True, slots=True)
class Programs:
    """What `templates.txt` says for one language."""

    names: Names
    code: npt.NDArray[np.int64]
    literals: npt.NDArray[np.uint8]
    affixes: npt.NDArray[np.int64]


@functools.cache
def lower() -> npt.NDArray[np.int32]:
    """Give the lower-case letter of every code point below 0x2000, where it is one."""
    return np.array([ord(c.lower()) if len(c.lower()) == 1 else ord(c) for c in map(chr, range(0x2000))], np.int32)


def hash_table(parts: Iterable[tuple[npt.NDArray[np.int64], Any]]) -> tuple[Any, Any]:
    """Give (keys, values) with all of some (hashes, values) in it, at most a quarter full; a later one wins."""
    from corpuskit.text.wikitext.base_kernels import fill

    parts = list(parts)
    size = 1 << max(8, (4 * sum(len(hashes) for hashes, _ in parts)).bit_length())
    keys, values = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for hashes, new in parts:
        fill(keys, values, hashes, np.asarray(new, np.int64))
    return keys, values


@functools.cache
def common() -> tuple[npt.NDArray[np.int64], list[int]]:
    """Give (hashes, values) of elements, entities and other names that all wikis share."""
    from corpuskit.text.wikitext import base_kernels as base
    from corpuskit.text.wikitext import link_kernels, tag_kernels

    table = Names()
    for number, (name, kind) in enumerate(_elements(tag_kernels), 1):
        searched = kind <= tag_kernels.SOURCE or kind == tag_kernels.REF
        table.add(base.ROOM_TAG, name, kind << 6 | (number if searched else 0))
        assert not searched or number < base.CLOSERS
    for name, text in html.entities.html5.items():
        if name.endswith(";"):
            table.add(
                base.ROOM_ENTITY,
                name[:-1],
                ord(text[0]) | (ord(text[1]) << 21 if len(text) > 1 else 0),
                exact=True,
            )
    for extension in names.MEDIA_EXTENSIONS:
        table.add(base.ROOM_EXTENSION, extension.removeprefix("."), 1)
    for word in names.FURNITURE:
        table.add(base.ROOM_WORD, word, 1)
    for word in names.ATTRIBUTES:
        table.add(base.ROOM_ATTRIBUTE, word, 1)
    for prefix in names.OTHER_WIKIS:
        table.add(base.ROOM_LINK, prefix, link_kernels.OTHER_WIKI)
    for prefix in ("http", "https"):
        table.add(base.ROOM_LINK, prefix, link_kernels.ADDRESS)
    keys = Names()
    for key in names.TEXT_KEYS:
        keys.add(base.ROOM_KEY, key, 1)
    deeper = [more_hash(int(value), base.ROOM_TEXT_KEY) for value in keys.hashes()]
    return np.concatenate([table.hashes(), np.array(deeper, np.int64)]), table.values + keys.values


def more_hash(value: int, char: int) -> int:
    """Hash one more character, as the kernels do."""
    value = ((value & _MASK) ^ char) * _PRIME & _MASK
    return value - (1 << 64) if value >> 63 else value


def _elements(kinds: Any) -> Iterator[tuple[str, int]]:
    yield from ((name, kinds.REF) for name in ("ref",))
    yield from ((name, kinds.SKIPPED) for name in sorted(names.SKIPPED - {"ref"}))
    verbatim = {"nowiki": kinds.NOWIKI, "pre": kinds.PRE, "source": kinds.SOURCE, "syntaxhighlight": kinds.SOURCE}
    yield from ((name, verbatim.get(name, kinds.INLINE_CODE)) for name in sorted(names.VERBATIM))
    yield from ((name, kinds.ITEM) for name in sorted(names.ITEMS))
    yield from (("table", kinds.TABLE_TAG), ("tr", kinds.ROW), ("td", kinds.CELL_TAG), ("th", kinds.CELL_TAG))
    yield from (("sup", kinds.SUP), ("sub", kinds.SUB))
    yield from ((name, kinds.BLOCK) for name in sorted(names.BLOCK - {"tr"}))
    yield from ((name, kinds.INLINE) for name in sorted(names.INLINE - {"sup", "sub"}))


Line = tuple[str, str, list[str]]


@functools.cache
def _lines() -> tuple[Line, ...]:
    """Read (section, program, names) of every line of `templates.txt`."""
    text = resources.files(__package__).joinpath("templates.txt").read_text("utf-8")
    section, lines = "*", []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]") and "<-" not in line:
            section = line[1:-1]
            continue
        program, arrow, keys = line.partition("<-")
        if not arrow:
            raise ValueError(f"templates.txt, line {number}: expected `program <- name | name`")
        program = program.strip()
        if program[:1] == program[-1:] == '"' and len(program) > 1:
            program = program[1:-1]
        lines.append((section, program.replace("\\n", "\n"), [key.strip() for key in keys.split(" | ")]))
    return tuple(lines)


def lines_for(language: str) -> list[Line]:
    """Give the lines that count for a language: what other languages agree on, what all share, and its own, last."""
    shared = [line for line in _lines() if line[0] in _SHARED]
    own = [line for line in _lines() if language in line[0].split()]
    known = {_bare(key) for line in shared + own for key in line[2]}
    meanings: dict[str, set[str]] = {}
    places: dict[str, set[str]] = {}
    for section, program, keys in (line for line in _lines() if line[0] not in _SHARED):
        for key in keys:
            meanings.setdefault(key, set()).add(program)
            places.setdefault(_bare(key), set()).add(section)
    others = []
    for key, programs in meanings.items():
        program = min(programs)
        # Short names of Latin letters mean one thing here and another there, but for those that show nothing.
        distinct = program == "drop()" or len(_bare(key)) > 2 or not key.isascii()
        agreed = len(programs) == 1 and (_bare(key) == key or len(places[_bare(key)]) == 1)
        if agreed and distinct and _bare(key) not in known and (not key.endswith("*") or len(key) > 5):
            others.append(("", program, [key]))
    return others + shared + own


def _bare(key: str) -> str:
    name, slash, number = key.rpartition("/")
    return name if slash and name and number.isdigit() else key


@functools.lru_cache(maxsize=16)
def programs(language: str) -> Programs:
    """Read the programs for a language. The value of a name is twice its program, plus 1 where `name/n` has one."""
    from corpuskit.text.wikitext import base_kernels as base

    table, code, literals = Names(), [0], bytearray()
    affixes: list[tuple[int, int, int, int]] = []
    plain: dict[str, int] = {}
    counted: set[str] = set()
    rooms = {
        "ranges": base.ROOM_RANGE,
        "units": base.ROOM_UNIT,
        "subunits": base.ROOM_SUBUNIT,
        "countries": base.ROOM_COUNTRY,
    }
    for section, program, keys in lines_for(language):
        if section in rooms:
            start = _literal(program, literals)
            for key in keys:
                table.add(rooms[section], key, start << 16 | len(program.encode()) or 1, exact=True)
            continue
        at = _compile(program, code, literals)
        for key in keys:
            name, slash, number = key.rpartition("/")
            if key.endswith("*") and len(key) > 1:
                affixes.append((start := _literal(key[:-1], literals), start + len(key[:-1].encode()), at, 0))
            elif key.startswith("*") and len(key) > 1:
                affixes.append((start := _literal(key[1:], literals), start + len(key[1:].encode()), at, 1))
            elif slash and name and len(number) == 1 and number.isdigit():
                plain[key] = at
                counted.add(name)
            else:
                plain[key] = at
    for key in sorted(plain.keys() | counted):
        table.add(base.ROOM_TEMPLATE, key, plain.get(key, 0) << 1 | (key in counted))
    found = np.array(affixes[::-1], np.int64).reshape(-1, 4)  # a language's own first
    return Programs(table, np.array(code, np.int64), np.frombuffer(bytes(literals) + b"\0", np.uint8).copy(), found)


def _literal(text: str, literals: bytearray) -> int:
    start = len(literals)
    literals += text.encode()
    return start


def _compile(program: str, code: list[int], literals: bytearray) -> int:
    """Write the operations of a program to `code`, give where they begin."""
    from corpuskit.text.wikitext import template_kernels as kernels

    start = len(code)
    special = {"drop()": [kernels.DROP], "prefix()": [kernels.PREFIX]}
    for number, name in enumerate(_FUNCTIONS):
        special[f"{name}()"] = [kernels.FUNCTION, number]
    if program in special:
        code += [*special[program], kernels.END]
        return start
    for found in _PIECE.finditer(program):
        script, which, several, join, joined, group, text = found.groups()
        if join:
            arguments = _arguments(joined or "")
            code += [kernels.JOIN, int(join == ","), len(arguments) // 2, *arguments]
        elif group in ("[[", "]]"):
            code.append(kernels.OPEN_GROUP if group == "[[" else kernels.CLOSE_GROUP)
        elif text or group:
            text = text or "$"
            code += [kernels.LITERAL, _literal(text, literals), len(text.encode())]
        else:
            arguments = _arguments(which or several)
            code += [kernels.VALUE, ("", "^", "_").index(script), len(arguments) // 2, *arguments]
    code.append(kernels.END)
    return start


def _arguments(text: str) -> list[int]:
    """Give the kind and the number, or the hash, of each of `1|name|-`."""
    from corpuskit.text.wikitext import base_kernels as base
    from corpuskit.text.wikitext import template_kernels as kernels

    out: list[int] = []
    for name in text.split("|") if text else []:
        if name.isdigit():
            out += [kernels.BY_NUMBER, int(name)]
        elif name == "-":
            out += [kernels.BY_LAST, 0]
        else:
            one = Names()
            one.add(base.ROOM_KEY, name, 0)
            out += [kernels.BY_NAME, int(one.hashes()[0])]
    return out
