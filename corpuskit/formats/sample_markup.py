"""Turn documentation written as plain text (docstrings, Sphinx's text output) into wikitext."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Characters that would mean something to a wiki, as entities.
_ENTITIES = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("[[", "&#91;&#91;"), ("]]", "&#93;&#93;")]
_ENTITIES += [("{{", "&#123;&#123;"), ("}}", "&#125;&#125;"), ("''", "&#39;&#39;"), ("~~~", "&#126;&#126;&#126;")]
_LINE_MARKS = ("*", "#", ":", ";", "=", "|", "!", "{", "----")
_BULLET = re.compile(r"(?:([*+\u2022-])|(\d{1,2}[.)]|\(\d\)))\s+(?=\S)")
_UNDERLINE = re.compile(r"([*=~^\"'-])\1{2,}\s*$")
_NAMED = re.compile(r"(\S+(?:\(.*?\))?(?:, \S+)?)\s+--?\s+(\S.*)")
_RULER = re.compile(r"={3,}( +={3,})+$")
_COLUMNS = re.compile(r"\S {3,}\S")
_WORD = re.compile(r"[A-Za-z][a-z']+[,.;:)]*$|[AaI]$")
_STATEMENT = r"^(>>>|\.\.\.|\$|%|@\w|#|def |class |import |from \w+ import|if .*:$|for .*:$|while .*:$|try:)"
_CLOSING = re.compile(r"<(?=/(?:pre|syntaxhighlight))")
_CODE = re.compile(_STATEMENT + r"|::=|\w\(.*\)$|^[\w.]+(\[.*\])? [+*|&-]?= |[{}\\]|^<")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a page: `kind` is p, item, term, note (an indented paragraph), pre or heading."""

    kind: str
    text: str


def escape(text: str) -> str:
    """Write text so that a wiki shows it as it is, but for marks at the begin of its line."""
    for plain, entity in _ENTITIES:
        text = text.replace(plain, entity)
    return text


def inline(text: str, *, sphinx: bool = False) -> str:
    """Escape a paragraph and mark up its literals and emphasis; `sphinx` quotes literals as "this"."""
    text = escape(re.sub(r"(?<=[a-z]-) (?=[a-z])", "", " ".join(text.split())))
    if sphinx:
        text = re.sub(r'"([^"\s](?:[^"]*[^"\s])?)"', r"<code>\1</code>", text)
    text = re.sub(r"``(.+?)``", r"<code>\1</code>", text)
    text = re.sub(r"(?::\w+)?:\w+:`~?\.?(.+?)`", r"<code>\1</code>", text)
    text = re.sub(r"`([\w.()]+)[`']", r"<code>\1</code>", text)
    text = re.sub(r"(?<![\w*])\*\*(\w[^*]*?)\*\*(?![\w*])", r"'''\1'''", text)
    text = re.sub(r"(?<![\w*/])\*(\w[\w .-]*?)\*(?![\w*])", r"''\1''", text)
    return f"&#{ord(text[0])};{text[1:]}" if text.startswith(_LINE_MARKS) else text


def wikitext(text: str, level: int = 2, *, sphinx: bool = False) -> str:
    """Convert a text with its headings, lists, code and definitions; its headings begin at `level`."""
    return join(parse(text, level, sphinx=sphinx))


def parse(text: str, level: int = 2, *, sphinx: bool = False) -> list[Block]:
    """Split a text into wikitext blocks."""
    lines = textwrap.dedent(text.expandtabs()).splitlines()
    return list(_Parser(level, sphinx).blocks([line.rstrip() for line in lines]))


def join(blocks: Iterable[Block]) -> str:
    """Write blocks one after the other: list items on lines of their own, all else in paragraphs."""
    out, last = "", ""
    for block in blocks:
        listed = block.kind in ("item", "term", "note")
        glue = "\n" if listed and last in ("item", "term", "note") else "\n\n"
        out += (glue if out else "") + block.text
        last = block.kind
    return out


def looks_like_code(lines: list[str]) -> bool:
    """Tell program text, grammars and tables from prose, by the lines that are indented least."""
    lines = [line for line in lines if line and line[0] != " "]
    if lines[0].startswith("**"):  # a reference to a PEP, as Sphinx writes it
        return False
    if lines[0].startswith(">>>") or any("::=" in line for line in lines):
        return True
    return 2 * sum(_is_prose(line) for line in lines) < len(lines)


def _is_table_or_code(lines: list[str]) -> bool:
    columns = sum(bool(_COLUMNS.search(line)) for line in lines)
    code = sum(bool(_CODE.search(line)) for line in lines)
    return 2 * columns >= len(lines) or 3 * code >= 2 * len(lines) or bool(_RULER.match(lines[0]))


def _is_prose(line: str) -> bool:
    words = re.sub(r'"[^"]*"|[*`]+\w[^*`]*[*`]+', "it", line).split()
    plain = sum(bool(_WORD.match(word)) for word in words)
    if plain >= 2 and line[0].isupper() and line.endswith("."):
        return True
    return plain >= 2 and 3 * plain >= 2 * len(words) and not _CODE.search(line) and not _COLUMNS.search(line)


class _Parser:
    """Reads lines whose smallest indentation is none; what is indented more is read by itself."""

    def __init__(self, level: int, sphinx: bool) -> None:
        self.level, self.sphinx = level, sphinx
        self.underlines: list[str] = []  # in the order of their first use, which is that of their levels

    def blocks(self, lines: list[str]) -> Iterator[Block]:
        at = 0
        while at < len(lines):
            line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
            if not line:
                at += 1
            elif line[0] == " ":
                end = _end_of_indented(lines, at)
                yield from self.indented(lines[at:end])
                at = end
            elif line.startswith(">>>"):
                end = next((k for k in range(at, len(lines)) if not lines[k]), len(lines))
                yield _code(lines[at:end])
                at = end
            elif _UNDERLINE.match(following) and abs(len(following) - len(line)) < 4:
                yield self.heading(line, following[0])
                at += 2
            elif _BULLET.match(line):
                end = _end_of_indented(lines, at + 1)
                yield from self.item(lines[at:end])
                at = end
            else:
                end = _end_of_paragraph(lines, at)
                end += _hanging(lines, at, end)
                yield from self.paragraph(lines[at:end], self.defined(lines[at:end], lines[end:]))
                at = end

    def heading(self, title: str, underline: str) -> Block:
        if underline not in self.underlines:
            self.underlines.append(underline)
        marks = "=" * min(self.level + self.underlines.index(underline), 6)
        return Block("heading", f"{marks} {inline(title, sphinx=self.sphinx)} {marks}")

    def indented(self, lines: list[str]) -> Iterator[Block]:
        lines = textwrap.dedent("\n".join(lines)).splitlines()
        listed = _BULLET.match(next(filter(None, lines)))
        if not listed and looks_like_code(lines):
            yield _code(lines)
            return
        for block in self.blocks(lines):
            yield _deeper(block, "" if block.kind == "item" else ":")

    def item(self, lines: list[str]) -> Iterator[Block]:
        start = _BULLET.match(lines[0])
        assert start is not None
        mark = "*" if start[1] else "#"
        body = [lines[0][start.end() :], *textwrap.dedent("\n".join(lines[1:])).splitlines()]
        ends = (k for k in range(1, len(body)) if body[k][:1] in ("", " ") or _BULLET.match(body[k]))
        head = next(ends, len(body))
        while head < len(body) and not body[head]:
            head += 1
        first = [line for line in body[:head] if line]
        yield Block("item", f"{mark} {inline(' '.join(first), sphinx=self.sphinx)}")
        for block in self.blocks(body[head:]):
            yield _deeper(block, mark if block.kind == "item" else f"{mark}:")

    def defined(self, lines: list[str], rest: list[str]) -> bool:
        """Tell whether lines are terms, which the indented lines after them define."""
        body = rest[: _end_of_indented(rest, 0)]
        if not any(body) or (not body[0] and not self.sphinx) or lines[-1].endswith((".", ":", ",", ";")):
            return False
        calls = all(re.match(r"(class |async |@)?[\w.]+\(", line) for line in lines)
        return (calls or len(lines) == 1) and not looks_like_code(textwrap.dedent("\n".join(body)).splitlines())

    def paragraph(self, lines: list[str], defines: bool) -> Iterator[Block]:
        named = [_NAMED.match(line) for line in lines]
        if len(lines) > 1 and named[0] and 3 * sum(map(bool, named)) >= 2 * len(lines):
            yield from self.names(lines)
        elif len(lines) > 1 and _is_table_or_code(lines):
            yield _code(lines)
        elif defines:
            for line in lines:
                yield Block("term", "; " + inline(line, sphinx=self.sphinx).replace(":", "&#58;"))
        else:
            text = " ".join(map(str.strip, lines))
            text = text[:-1] if text.endswith("::") else text
            yield Block("p", inline(text, sphinx=self.sphinx))

    def names(self, lines: list[str]) -> Iterator[Block]:
        """List lines like `name -- what it is`; the others go on with the line before them."""
        items: list[list[str]] = []
        for line in lines:
            if match := _NAMED.match(line):
                items.append([match[1], match[2]])
            else:
                items[-1].append(line)
        for name, *words in items:
            text = inline(" ".join(words), sphinx=self.sphinx)
            yield Block("item", f"* <code>{escape(name)}</code> – {text}")


def _code(lines: list[str]) -> Block:
    text = _CLOSING.sub("&lt;", textwrap.dedent("\n".join(lines)).strip("\n"))
    if any(line.startswith(("def ", "class ", "import ", ">>> ", "@")) for line in text.splitlines()):
        return Block("pre", f'<syntaxhighlight lang="python">\n{text}\n</syntaxhighlight>')
    return Block("pre", f"<pre>\n{text}\n</pre>")


def _deeper(block: Block, marks: str) -> Block:
    if block.kind in ("pre", "heading") or not marks:
        return block
    nested = block.kind in ("item", "note")
    return Block(
        "item" if block.kind == "item" else "note", marks + ("" if nested else " ") + block.text.removeprefix("; ")
    )


def _end_of_indented(lines: list[str], at: int) -> int:
    end = at
    for k in range(at, len(lines)):
        if lines[k] and lines[k][0] != " ":
            break
        if lines[k]:
            end = k + 1
    return end


def _hanging(lines: list[str], at: int, end: int) -> int:
    """Count the indented lines at `end` that go on with the sentence before them."""
    if end == len(lines) or not lines[end] or lines[end - 1].endswith((":", ".")):
        return 0
    more = next((k for k in range(end, len(lines)) if lines[k][:1] != " "), len(lines)) - end
    named = end - at == 1 and (_NAMED.match(lines[at]) or re.match(r"\[\w+\] ", lines[at]))
    return more if named or (end - at > 1 and more <= 2) else 0


def _end_of_paragraph(lines: list[str], at: int) -> int:
    for k in range(at + 1, len(lines)):
        following = lines[k + 1] if k + 1 < len(lines) else ""
        if not lines[k] or lines[k][0] == " " or lines[k].startswith(">>>") or _BULLET.match(lines[k]):
            return k
        if _UNDERLINE.match(following) and abs(len(following) - len(lines[k])) < 4:
            return k
    return len(lines)
