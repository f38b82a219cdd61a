"""Turn rendered wikitext line by line into plain text: headings, lists, quotes, entities, holes."""

from __future__ import annotations

import html
import re

# Private marks of the working text. No XML can hold these characters.
HOLE = "\x01"  # something was removed here
OPEN, CLOSE = "\x02", "\x03"  # around the number of a verbatim piece
CELL = "\x04"  # between two table cells

_HEADING = re.compile(r"(={1,6})(.*?)(={1,6})$")
_LIST = re.compile(r"([*#:;]+)[ \t]*")
_MAGIC = re.compile(r"__[^\W_]+__")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_QUOTES = re.compile(r"'{2,}")
_LEFTOVER = re.compile(r"\{\{+|\}\}+|\[\[+|\]\]+|\{\||\|\}")
_HOLES = re.compile(r"\x01(?: ?\x01)*")
_PARENTHESES = re.compile(r" ?[(（\[]([ ,;:/–—、，；-]*\x01[ ,;:/–—、，；\x01-]*)[)）\]]")
_AFTER_OPENING = re.compile(r"([(（])(?: ?\x01 ?[,;:，；、]?)+ ?")
_BEFORE_CLOSING = re.compile(r"[,;:，；、]? ?\x01 ?(?=[)）])")
_BETWEEN_COMMAS = re.compile(r"([,;，；、]) ?\x01 ?[,;，；、]")
_BEFORE_MARK = re.compile(r" ?\x01 ?(?=[,.;:!?，。；：！？、])")
_BEHIND = re.compile(r"\x01[ ,;:/–—、，；\x01-]*[)）\]]")  # without it none of the patterns for closing has work
_SPACES = re.compile(r"[ \t\u00a0]{2,}|[\t\u00a0]")  # single spaces stay: most of what is read
_VERBATIM = re.compile(r"\x02(\d+)\x03")


def tidy(text: str, verbatim: list[str]) -> str:
    """Turn rendered markup line by line into text: headings, lists, quotes, entities, holes."""
    out: list[str] = []
    levels: list[int] = []  # of each line of `out`: a heading's level, 9 for text, 0 for a blank line
    for raw in text.split("\n"):
        line = raw.strip(" \t\u00a0\r")
        level, prefix = 9, ""
        if not line.strip("\x01 "):
            level, line = 0, ""
        elif line[0] == "=" and (heading := _HEADING.match(line.rstrip("\x01 "))):
            level = min(len(heading[1]), len(heading[3]))
            line = heading[2].strip()
        elif line[0] in "*#:;" and (item := _LIST.match(line)):
            line = line[item.end() :]
            if item[1][-1] in "*#":
                prefix = "  " * (len(item[1]) - 1) + "- "
        elif line[0] == "|" or line.startswith(("{|", "----")):
            continue
        if level:
            line = _line(line)
            if not line:
                continue
        if level == 0:
            if levels and levels[-1]:
                out.append("")
                levels.append(0)
            continue
        if level < 9:
            _drop_empty_sections(out, levels, level)
            out += ["", line, ""] if out else [line, ""]
            levels += [0, level, 0] if len(levels) else [level, 0]
        else:
            out.append(prefix + line)
            levels.append(9)
    _drop_empty_sections(out, levels, 1)
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()
    return _VERBATIM.sub(lambda held: verbatim[int(held[1])], joined).strip() if verbatim else joined


def _drop_empty_sections(out: list[str], levels: list[int], level: int) -> None:
    """Take back headings of this level or below that nothing followed."""
    while levels and (levels[-1] == 0 or level <= levels[-1] < 9):
        levels.pop()
        out.pop()


def _line(line: str) -> str:
    if "''" in line:
        line = _without_quotes(line)
    if "__" in line:
        line = _MAGIC.sub(lambda word: "" if word[0] == word[0].upper() else word[0], line)
    if "{" in line or "}" in line or "[" in line or "]" in line:
        line = _LEFTOVER.sub("", line)
    if "&" in line:
        line = _ENTITY.sub(lambda entity: html.unescape(entity[0]), line)
    line = _SPACES.sub(" ", line.replace(CELL, "|"))
    return (_without_holes(line) if HOLE in line else line).strip()


def _without_holes(line: str) -> str:
    line = _HOLES.sub(HOLE, line)
    closing = _BEHIND.search(line) is not None
    if closing:
        line = _PARENTHESES.sub("", line)
    line = _AFTER_OPENING.sub(r"\1", line)
    if closing:
        line = _BEFORE_CLOSING.sub("", line)
    line = _BETWEEN_COMMAS.sub(r"\1", line)
    line = _BEFORE_MARK.sub("", line)
    return _SPACES.sub(" ", line.replace(HOLE, ""))


def _without_quotes(line: str) -> str:
    """Remove the apostrophes of italics and bold; one that is an apostrophe stays (l'''amour'' shows l'amour)."""
    runs = list(_QUOTES.finditer(line))
    lengths = [len(run[0]) for run in runs]
    bold = sum(length in (3, 4) or length >= 5 for length in lengths)
    italic = sum(length == 2 or length >= 5 for length in lengths)
    restored = _misread(line, runs) if bold % 2 == 1 and italic % 2 == 1 else -1

    def shown(run: re.Match[str]) -> str:
        length = len(run[0])
        return "'" if length == 4 or run.start() == restored else "'" * max(0, length - 5)

    return _QUOTES.sub(shown, line)


def _misread(line: str, runs: list[re.Match[str]]) -> int:
    """Find the three apostrophes of a line that are one and italics, as MediaWiki does.

    That is the first behind a word of one letter, else behind a longer word, else behind a space; -1 without any.
    """
    places = [run.start() for run in runs if len(run[0]) == 3]
    for behind in (r"(?:^| )[^ ]$", r"[^ ]$", r" ?$"):
        for place in places:
            if re.search(behind, line[max(0, place - 2) : place]):
                return place
    return -1
