"""Scan wikitext once, and render every template, link and table when it closes (see `wikitext`)."""

from __future__ import annotations

import html
import re

from corpuskit.text import wiki_names as names
from corpuskit.text import wiki_templates as templates
from corpuskit.text.wiki_lines import CELL, CLOSE, HOLE, OPEN

#: Constructs (templates, links, tables) nested deeper than this are refused.
MAX_DEPTH = 100

_TOKEN = re.compile(
    r"\n[ \t:]*\{\|"  # a table begins
    r"|\n[ \t]*\|(?:\}(?!\})|-+|\+)?"  # a table ends, a row, a caption; a cell
    r"|\n[ \t]*!"  # a header cell
    r"|\n[ \t]*(?=\n)"  # a blank line
    r"|\{\{+|\}\}+|\[\[(?!\[)|\]+"
    r"|\[(?:https?:|ftp:|mailto:|news:|irc:)?//[^\s\[\]<>\"]*"
    r"|\|\|?|!!"
    r"|<!--|</?[a-zA-Z][^<>]*>",
    re.I,
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
# A number above or below the line, which would read as part of the one before it.
_SCRIPT = re.compile(r"\s*([0-9+−–-]{1,20})\s*</su[bp]\s*>", re.I)
_NEXT = re.compile(r"[ \t]*")
_LINE_END = "\n|}]{<"
_PARAGRAPH = re.compile(r"\n[ \t]*(?=[\n=])")
_URL = re.compile(r"(?:https?:|ftp:)?//\S+\s*", re.I)
_ATTRIBUTES = re.compile(
    r"^(?:(?:colspan|rowspan|style|class|align|valign|bgcolor|scope|data-sort-value)"
    r"\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'|\x01]+)(?:\s+|$|(?=\x01)))+",
    re.I,
)
_FURNITURE = re.compile("|".join(names.FURNITURE), re.I)


class WikitextError(ValueError):
    """A page nested too deeply to be rendered."""


class _Frame:
    """Something open: a template, a link, a table, or the page itself."""

    __slots__ = (
        "attributes",
        "blank",
        "caption",
        "count",
        "external",
        "header",
        "key",
        "kind",
        "linked",
        "parts",
        "pieces",
        "rows",
    )

    def __init__(self, kind: str, count: int = 0) -> None:
        self.kind = kind
        self.count = count  # braces that opened a template
        self.pieces: list[str] = []  # of the current argument or cell
        self.parts: list[tuple[str | None, str]] = []  # finished arguments: key, value
        self.key: str | None = None
        self.rows: list[list[str]] = []  # of a table
        self.attributes = True  # of a table: before the first row or cell, and behind |-
        self.caption = False  # of a table: in its caption
        self.header = False  # of a table: in a header line, where !! parts cells
        self.linked = False  # of a table: the cell holds a link, so that a pipe ends no attributes
        self.external = -1  # where an external link was opened
        self.blank = True  # nothing but list marks since the line's begin


class Renderer:
    """One page: `render` gives its text with the marks of `wiki_lines` in it."""

    def __init__(self, source: str, dropped: frozenset[str], title: str) -> None:
        self.source = "\n" + source
        self.dropped, self.title = dropped, title
        self.verbatim: list[str] = []
        self.stack = [_Frame("page")]
        self.at = 0  # how far the source is read
        self._unclosed: set[str] = set()
        self._closes: dict[str, int] = {}

    def render(self) -> str:
        source = self.source
        for token in _TOKEN.finditer(source):
            start = token.start()
            if start < self.at:
                continue  # inside something that was skipped
            if start > self.at:
                self.write(source[self.at : start])
            self.at = token.end()
            text = token[0]
            first = text[0]
            if first == "\n":
                self.line_start(text)
            elif first == "{":
                self.push(_Frame("template", len(text)))
            elif first == "}":
                self.close_braces(len(text))
            elif first == "[":
                self.open_link(text)
            elif first == "]":
                self.close_brackets(len(text))
            elif first == "<":
                self.tag(text)
            else:
                self.separator(text)
        self.write(source[self.at :])
        return self.flatten_all()

    def push(self, frame: _Frame) -> None:
        if len(self.stack) > MAX_DEPTH:
            raise WikitextError(f"nested deeper than {MAX_DEPTH}")
        self.stack.append(frame)

    def write(self, text: str) -> None:
        """Add a piece of the source: an argument's name ends at its first equals sign."""
        top = self.stack[-1]
        if top.kind == "template" and top.parts and top.key is None:
            name, equals, rest = text.partition("=")
            if equals:
                top.key = ("".join(top.pieces) + name).replace(HOLE, "").strip()
                top.pieces = []
                text = rest
        self.append(text)

    def append(self, text: str) -> None:
        """Add what is rendered."""
        if not text:
            return
        top = self.stack[-1]
        top.pieces.append(text)
        newline = text.rfind("\n")
        line = text[newline + 1 :] if newline >= 0 else text
        top.blank = (top.blank or newline >= 0) and not line.strip(" \t*#:;'\x01")

    def line_start(self, text: str) -> None:
        mark = text.lstrip("\n \t:") if text.endswith("{|") else text[1:].strip(" \t")
        top = self.stack[-1]
        if not mark:  # a blank line: no link goes on behind it
            while self.stack[-1].kind == "link":
                self.flatten()
            self.append("\n")
        elif mark == "{|":
            self.append("\n")
            self.push(_Frame("table"))
        elif mark == "|}":
            while self.stack[-1].kind == "link":
                self.flatten()
            if self.stack[-1].kind == "table":
                self.close_table()
            else:
                self.write(text)
        elif top.kind == "table":
            self.table_line(top, mark)
        elif top.kind in ("template", "link") and mark[0] == "|":
            self.append("\n")
            self.end_argument(top)
            self.write(mark[1:])
        else:
            self.write(text)

    def table_line(self, table: _Frame, mark: str) -> None:
        self.end_cell(table)
        if mark.startswith("|-"):
            table.rows.append([])
            table.attributes = True
        else:
            if mark == "|+" or table.caption or not table.rows:
                table.rows.append([])
            table.attributes, table.header, table.caption = False, mark == "!", mark == "|+"

    def separator(self, text: str) -> None:
        """Take a pipe, two pipes or two exclamation marks."""
        top = self.stack[-1]
        if text == "!!":
            if top.kind == "table" and top.header and not top.attributes:
                self.end_cell(top)
            else:
                self.write(text)
        elif top.kind == "template":
            for _ in text:
                self.end_argument(top)
        elif top.kind == "link":
            self.end_argument(top)
            self.append(text[1:])
        elif top.kind == "table" and not top.attributes:
            if text == "||":
                self.end_cell(top)
            elif not top.linked and "\n" not in "".join(top.pieces[-3:]):
                top.pieces, top.blank = [], True  # those were the cell's attributes
                top.linked = True
            else:
                self.append(" ")
        else:
            self.write(text)

    def end_argument(self, top: _Frame) -> None:
        top.parts.append((top.key, "".join(top.pieces)))
        top.pieces, top.key, top.blank = [], None, True

    def end_cell(self, table: _Frame) -> None:
        text = "".join(table.pieces)
        if table.attributes:
            attributes, _, text = text.partition("\n")  # what stands below them is shown
            if not table.rows and _FURNITURE.search(attributes):
                table.key = "furniture"
            if text.strip():
                table.rows.append([text])
        else:
            table.rows[-1].append(text)
        table.pieces, table.linked, table.blank = [], False, True

    def close_table(self) -> None:
        table = self.stack.pop()
        self.end_cell(table)
        self.append(HOLE if table.key else _table(table.rows))

    def open_link(self, text: str) -> None:
        if text == "[[":
            self.push(_Frame("link"))
        else:
            self.stack[-1].external = self.at
            if self.source[self.at : self.at + 1] == "]":
                self.append(HOLE)

    def close_brackets(self, brackets: int) -> None:
        while brackets:
            top = self.stack[-1]
            if top.external >= 0:
                opened, top.external = top.external, -1
                brackets -= "\n" not in self.source[opened : self.at]  # an external link ends with its line
            elif brackets == 1:
                self.write("]")
                return
            else:
                brackets -= 2
                if top.kind == "link":
                    self.close_link()

    def close_link(self) -> None:
        frame = self.stack.pop()
        self.end_argument(frame)
        if self.stack[-1].kind == "table":
            self.stack[-1].linked = True
        self.append(self.link([value for _, value in frame.parts]))

    def link(self, parts: list[str]) -> str:
        target = parts[0].replace(HOLE, "").strip()
        shown = "|".join(parts[1:]).strip() if len(parts) > 1 else ""
        if target.startswith(":"):
            return shown or target.lstrip(":").replace("_", " ")
        prefix, colon, rest = target.partition(":")
        if colon:
            prefix = " ".join(prefix.replace("_", " ").split()).lower()
            if prefix in self.dropped or rest.lower().rstrip().endswith(names.MEDIA_EXTENSIONS):
                return HOLE
            if prefix in names.OTHER_WIKIS:
                target = rest.strip()
            elif prefix in ("http", "https"):
                return shown or _URL.sub("", target)
        return shown or target.replace("_", " ")

    def close_braces(self, braces: int) -> None:
        while braces >= 2:
            at = len(self.stack) - 1
            while at and self.stack[at].kind != "template":
                at -= 1
            if not at:
                return  # closers of nothing vanish
            while len(self.stack) - 1 > at:
                self.flatten()
            frame = self.stack.pop()
            used = min(braces, frame.count, 3)
            braces -= used
            frame.count -= used
            self.end_argument(frame)
            shown = self.parameter(frame) if used == 3 else self.template(frame)
            if frame.count >= 2:
                self.stack.append(_Frame("template", frame.count))
            elif frame.count:
                self.append("{")
            self.append(HOLE if shown is None else shown)
        if braces:
            self.write("}")

    def parameter(self, frame: _Frame) -> str:
        """{{{name|default}}} shows its default."""
        return frame.parts[1][1] if len(frame.parts) > 1 else ""

    def template(self, frame: _Frame) -> str | None:
        name = templates.normalise(frame.parts[0][1].replace(HOLE, ""))
        positional: list[str] = []
        named: dict[str, str] = {}
        for key, value in frame.parts[1:]:
            if key is None:
                positional.append(value.strip())
            elif key == str(len(positional) + 1):
                positional.append(value.strip())  # {{lang|fr|2=texte}}
            else:
                named[key] = value.strip()
        head, colon, _ = name.partition(":")
        if colon:  # the argument keeps its case
            argument = frame.parts[0][1].partition(":")[2]
            return templates.parser_function(head, argument, [value.strip() for _, value in frame.parts[1:]])
        return templates.render(name, positional, named, self.title, self.inline())

    def inline(self) -> bool:
        """Tell whether the template that just closed has text on its line."""
        if not self.stack[-1].blank:
            return True
        after = _NEXT.match(self.source, self.at)
        end = after.end() if after else self.at
        return end < len(self.source) and self.source[end] not in _LINE_END

    def tag(self, text: str) -> None:
        if text == "<!--":
            self.skip_to("-->", "-->")
            return
        found = _TAG.match(text)
        closing, name = (found[1], found[2].lower()) if found else ("", "")
        if name in names.SKIPPED:
            if not closing and not text.endswith("/>"):
                self.skip_element(name)
            self.append(HOLE)
        elif name in names.VERBATIM:
            if not closing and not text.endswith("/>"):
                self.copy(name)
        elif name in ("sup", "sub") and not closing and (script := _SCRIPT.match(self.source, self.at)):
            self.append(templates.script(script[1], name))
            self.at = script.end()
        elif name in names.ITEMS:
            if not closing:
                self.append("\n* ")
        elif name == "table" or (name in names.ROWS and self.stack[-1].kind == "table"):
            self.html_table(name, bool(closing))
        elif name in names.CELLS:
            if not closing and not self.stack[-1].blank:
                self.append(f" {CELL} ")
        elif name in names.BLOCK:
            self.append("\n")
        elif name not in names.INLINE:
            self.write(text)

    def html_table(self, name: str, closing: bool) -> None:
        """Take <table>, and <tr>, <td>, <th> where they belong to the table at the top."""
        top = self.stack[-1]
        if name == "table":
            if not closing:
                self.append("\n")
                self.push(_Frame("table"))
            elif top.kind == "table":
                self.close_table()
        elif not closing:
            self.table_line(top, "|-" if name == "tr" else "|")
            if name == "tr":
                self.append("\n")  # <tr> has no attributes behind it

    def skip_to(self, close: str, kind: str) -> int:
        """Go behind the next `close`; where there is none, to the line's end. Tell where the close begins."""
        end = self._closes.get(kind, -1)
        if end < self.at and kind not in self._unclosed:
            found = re.compile(re.escape(close), re.I).search(self.source, self.at)
            end = found.start() if found else -1
            self._closes[kind] = end
            if not found:
                self._unclosed.add(kind)
        if end < self.at:
            newline = self.source.find("\n", self.at)
            self.at = end = newline if newline >= 0 else len(self.source)
        else:
            behind = self.source.find(">", end)
            self.at = behind + 1 if behind >= 0 else len(self.source)
        return end

    def skip_element(self, name: str) -> None:
        start = self.at
        end = self.skip_to(f"</{name}", name)
        if name == "ref" and name not in self._unclosed and (again := self.source.find("<ref", start, end)) >= 0:
            # <ref name="x"> without its slash: what follows is text up to the next reference.
            tag_end = self.source.find(">", again, end)
            if self.source[again + 4 : again + 5] in (" ", ">") and self.source[tag_end - 1 : tag_end] != "/":
                self.at = start

    def copy(self, name: str) -> None:
        start = self.at
        end = self.skip_to(f"</{name}", name)
        content = self.source[start:end]
        if name in ("nowiki", "pre"):
            content = html.unescape(content)
        block = name == "pre" or (name in ("source", "syntaxhighlight") and "\n" in content)
        self.verbatim.append(content.strip("\n") if block else " ".join(content.split()))
        held = f"{OPEN}{len(self.verbatim) - 1}{CLOSE}"
        self.append(f"\n{held}\n" if block else held)

    def flatten(self) -> None:
        """Give up the top frame: its opener vanishes, its content goes to the frame below."""
        frame = self.stack.pop()
        if frame.kind == "table":
            # Its end was a template, or forgotten: the last cell goes no further than its paragraph.
            last = "".join(frame.pieces)
            end = _PARAGRAPH.search(last)
            frame.pieces = [last[: end.start()] if end else last]
            self.stack.append(frame)
            self.close_table()
            if end:
                self.append(last[end.start() :])
            return
        self.append("|".join([*(_argument(part) for part in frame.parts), "".join(frame.pieces)]))

    def flatten_all(self) -> str:
        while len(self.stack) > 1:
            self.flatten()
        return "".join(self.stack[0].pieces)


def _argument(part: tuple[str | None, str]) -> str:
    return part[1] if part[0] is None else f"{part[0]}={part[1]}"


def _table(rows: list[list[str]]) -> str:
    """Write a row a line; a cell that is a text of its own goes below its row."""
    lines: list[str] = []
    for row in rows:
        cells, texts = [], []
        for raw in row:
            cell = raw.strip()
            if "=" in cell[:20]:
                cell = _ATTRIBUTES.sub("", cell, count=1)  # the pipe behind them came from a template
            parts = [line for line in map(str.strip, cell.split("\n")) if line.strip(f"{HOLE} ")]
            if len(parts) > 1 and (len(cell) > 400 or any(line.startswith("=") for line in parts)):
                texts.append(cell)
                continue
            listed = len(parts) > 1 and all(line.startswith(("*", "#")) for line in parts)
            cells.append((", " if listed else " ").join(line.lstrip("*#:; ") if parts[1:] else line for line in parts))
        while cells and not cells[-1]:
            cells.pop()
        if any(cells):
            line = f" {CELL} ".join(cells)
            lines.append(HOLE + line if line[0] in "*#:;=|" else line)  # no list, no heading
        lines += (f"\n{text}\n" for text in texts)
    return "\n" + "\n".join(lines) + "\n"
