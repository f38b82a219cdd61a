"""Make wiki pages out of the language reference and the source of the standard library.

A page for each topic of `pydoc_data.topics`, each module and each class with enough to say; redirects from the names
that pydoc's `help()` knows them by; and the templates and categories that they use.
"""

from __future__ import annotations

import pydoc
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from corpuskit.formats.sample_markup import Block, escape, inline, parse, wikitext
from corpuskit.formats.sample_markup import join as join_blocks
from corpuskit.formats.sample_source import Described, Module

#: Namespaces of a MediaWiki, as its exports declare them.
NAMESPACES = {
    **{-2: "Media", -1: "Special", 0: "", 1: "Talk", 2: "User", 3: "User talk", 4: "Project", 5: "Project talk"},
    **{6: "File", 7: "File talk", 8: "MediaWiki", 9: "MediaWiki talk", 10: "Template", 11: "Template talk"},
    **{12: "Help", 13: "Help talk", 14: "Category", 15: "Category talk"},
}
_VERSION = "{}.{}".format(*sys.version_info[:2])
_SOURCE = f"https://github.com/python/cpython/blob/{_VERSION}/"
_MIN_MODULE_WORDS = 20  # fewer: a page of nothing but its frame
_MIN_CLASS_WORDS = 60  # fewer: a section of the page of its module
_STANDARD = re.compile(r"\b(PEP|RFC)[ -](\d{1,4})\b(?![^\[]*\])")
_NAMED_MODULE = re.compile(r"\b([Tt]he) ([a-z][\w.]*\w) (module|package)\b")
_NAMED_CODE = re.compile(r"<code>([A-Za-z][\w.]*\w)</code>")

_INFOBOX = """\
{| class="infobox"
! colspan="2" | {{{name}}}
|-
%s
|}<noinclude>
Shown on the right of a page about a %s. See [[Project:About]].
[[Category:Templates]]</noinclude>
"""
_ROWS = "\n|-\n".join(f"! {label}\n| {{{{{{{key}|}}}}}}" for label, key in [("Part of", "part"), ("Source", "source")])


@dataclass(frozen=True, slots=True)
class Page:
    """A wiki page; `redirect` is the title that it leads to."""

    title: str
    text: str
    namespace: int = 0
    redirect: str | None = None


def wiki(modules: Iterable[Module], elsewhere: Collection[str], limit: int | None = None) -> list[Page]:
    """Give all pages, at most `limit` of them documents, in an order that is always the same.

    The classes of the modules `elsewhere` are listed but not described: another source does that.
    """
    documents: dict[str, Page] = {}
    redirects: dict[str, str] = {}
    for page, names in islice(_documents(modules, elsewhere), limit):
        documents.setdefault(page.title, page)
        for name in names:
            redirects.setdefault(_title(name), page.title)
    linked = [replace(page, text=_link(page.text, documents)) for page in documents.values()]
    leading = [_redirect(name, to) for name, to in redirects.items() if name not in documents]
    return [*linked, *leading, *_furniture(documents)]


def _documents(modules: Iterable[Module], elsewhere: Collection[str]) -> Iterator[tuple[Page, list[str]]]:
    """Yield each page with the names that lead to it."""
    yield from _topics()
    for module in modules:
        yield from _module(module, module.name not in elsewhere)


# ---- topics


def _topics() -> Iterator[tuple[Page, list[str]]]:
    from pydoc_data.topics import topics

    names: dict[str, list[str]] = {}
    related: dict[str, str] = {}
    for name in [*pydoc.Helper.topics, *pydoc.Helper.keywords]:
        key, more = _resolve(name)
        names.setdefault(key, []).append(name)
        related[key] = related.get(key, "") + " " + more
    texts: dict[str, str] = {}
    for key in sorted(topics):
        texts.setdefault(topics[key], key)  # some topics are there twice
    titles = {key: _title(text.strip().split("\n")[0].replace('"', "")) for text, key in texts.items()}
    for text, key in texts.items():
        same = [other for other in sorted(topics) if topics[other] == text]
        body = parse(re.sub(r"^\n*(.*)\n\*+\n", "", text), sphinx=True)
        others = sorted({titles[to] for word in related.get(key, "").split() if (to := _resolve(word)[0]) in titles})
        if others := [title for title in others if title != titles[key]]:
            body += [Block("heading", "== See also =="), *_list(f"[[{title}]]" for title in others)]
        page = Page(titles[key], _finished(body, "Language reference"))
        yield page, [*same, *(name for other in same for name in names.get(other, ()))]


def _resolve(name: str) -> tuple[str, ...]:
    """Follow pydoc's aliases to the key of a topic, and the names of related ones."""
    target = pydoc.Helper.topics.get(name) or pydoc.Helper.keywords.get(name) or (name, "")
    return _resolve(target) if isinstance(target, str) else target


# ---- modules and classes


def _module(module: Module, whole: bool) -> Iterator[tuple[Page, list[str]]]:
    kind, title = "package" if module.package else "module", _title(module.name)
    large = [each for each in module.classes if not whole or each.words >= _MIN_CLASS_WORDS]
    small = [each for each in module.classes if each not in large]
    said = [
        module.doc,
        *(each.doc for each in module.functions),
        *(note for all in module.notes.values() for note in all),
    ]
    if sum(len(text.split()) for text in said) + sum(each.words for each in small) >= _MIN_MODULE_WORDS:
        parent = module.name.rpartition(".")[0]
        part = f"the {_page_link(parent)} package" if parent else "the [[Python standard library]]"
        body = [_infobox(module.name, part, module.file)]
        body += [Block("p", f"'''{_shown(module.name)}''' is a {kind} of {part}."), *parse(module.doc)]
        body += _section("Functions", module.functions)
        body += _section("Classes", small, _table(module.name, large))
        body += _notes(module.notes)
        yield Page(title, _finished(body, kind.title() + "s", module.name)), _public(module.name, small)
    for each in large if whole else []:
        name = f"{module.name}.{each.name}"
        body = [
            _infobox(each.name, _page_link(module.name), module.file),
            Block("p", _lead(each, module)),
            *parse(each.doc),
        ]
        body += _section("Methods and nested classes", each.members)
        yield Page(_title(name), _finished(body, "Classes", name)), []


def _form(described: Described) -> str:
    """Write how it is called, or what a class derives from."""
    if described.head.startswith("("):
        return described.name + described.head
    return f"class {described.name}" + (f"({described.head})" if described.head else "")


def _public(module: str, described: Iterable[Described]) -> list[str]:
    return [_title(f"{module}.{each.name}") for each in described if not each.name.startswith("_")]


def _lead(described: Described, module: Module) -> str:
    derived = f", derived from <code>{escape(described.head)}</code>" if described.head else ""
    return f"'''{_shown(described.name)}''' is a class of the {_page_link(module.name)} module{derived}."


def _section(title: str, described: Iterable[Described], before: list[Block] | None = None) -> list[Block]:
    body = list(before or [])
    for each in described:
        body.append(Block("heading", f"=== {_shown(each.name)} ==="))
        body.append(Block("p", f"<code>{escape(_form(each))}</code>"))
        body += parse(each.doc, 4)
        for member in each.members:
            body.append(Block("p", f"'''{_shown(member.name)}'''<code>{escape(member.head)}</code>"))
            body += parse(member.doc, 5)
    return [Block("heading", f"== {title} =="), *body] if body else []


def _table(module: str, classes: list[Described]) -> list[Block]:
    rows = []
    for each in classes:
        summary = inline(each.doc.strip().split("\n\n")[0]).replace("|", "&#124;")
        rows.append(f"|-\n| {_page_link(f'{module}.{each.name}', each.name)} || {summary}")
    head = '{| class="wikitable"\n! Class !! Summary\n'
    return [Block("p", head + "\n".join(rows) + "\n|}")] if rows else []


def _notes(notes: dict[str, list[str]]) -> list[Block]:
    body = [Block("heading", "== Notes in the source ==")] if notes else []
    for owner in sorted(notes):
        body += [Block("heading", f"=== {_shown(owner)} ===")] if owner else []
        body += [Block("p", inline(text)) for text in notes[owner]]
    return body


def _infobox(name: str, part: str, file: str) -> Block:
    source = f"[{_SOURCE}{file} {file}]"
    return Block("p", f"{{{{Infobox code\n| name   = {_shown(name)}\n| part   = {part}\n| source = {source}\n}}}}")


# ---- pages


def _finished(body: list[Block], category: str, name: str = "") -> str:
    """Write a page: standards get a reference on their first mention, a title with underscores its true form."""
    cited: set[str] = set()

    def refer(found: re.Match[str]) -> str:
        kind, number = found.groups()
        if found[0] in cited:
            return found[0]
        cited.add(found[0])
        pep, rfc = f"https://peps.python.org/pep-{number:>04}/", f"https://www.rfc-editor.org/rfc/rfc{number}.html"
        return f'{found[0]}<ref name="{kind}{number}">[{pep if kind == "PEP" else rfc} {kind} {number}]</ref>'

    for at, block in enumerate(body):
        if block.kind not in ("pre", "heading"):
            body[at] = replace(block, text=_STANDARD.sub(refer, block.text))
    if cited:
        body += [Block("heading", "== References =="), Block("p", "<references />")]
    body.append(Block("p", f"[[Category:{category}]]"))
    special = f"{{{{DISPLAYTITLE:{name}}}}}\n" if name and _title(name) != name else ""
    return special + join_blocks(body)


def _link(text: str, titles: Collection[str]) -> str:
    """Link what has a page: `the email module`, and names in code."""

    def module(found: re.Match[str]) -> str:
        return f"{found[1]} [[{found[2]}]] {found[3]}" if found[2] in titles else found[0]

    def code(found: re.Match[str]) -> str:
        return f"<code>[[{found[1]}]]</code>" if "." in found[1] and found[1] in titles else found[0]

    return _NAMED_CODE.sub(code, _NAMED_MODULE.sub(module, text))


def _page_link(name: str, shown: str | None = None) -> str:
    title, shown = _title(name), shown or name
    return f"[[{title}]]" if title == shown else f"[[{title}|{_shown(shown)}]]"


def _redirect(name: str, to: str) -> Page:
    return Page(name, f"#REDIRECT [[{to}]]", redirect=to)


def _furniture(documents: Collection[str]) -> Iterator[Page]:
    """Yield the pages that no reader of documents wants."""
    yield Page("Template:Infobox code", _INFOBOX % (_ROWS, "module, a package or a class"), 10)
    yield Page("Template:Module", "[[{{{1}}}|<code>{{{1}}}</code>]]<noinclude>[[Category:Templates]]</noinclude>", 10)
    for name, about in [
        ("Language reference", "Topics of the reference manual of the Python language."),
        ("Modules", "Modules of the standard library that are written in Python."),
        ("Packages", "Packages of the standard library."),
        ("Classes", "Classes of the standard library that have a page of their own."),
        ("Templates", "Templates of this wiki."),
    ]:
        yield Page(f"Category:{name}", about, 14)
    about = f"This wiki has {len(documents)} pages, made out of the documentation that Python {_VERSION} carries."
    yield Page("Project:About", wikitext(about), 4)


def _list(items: Iterable[str]) -> list[Block]:
    return [Block("item", "* " + item) for item in items]


def _title(name: str) -> str:
    """Give a title as a MediaWiki stores it: a blank for an underscore, none at the ends, no markup."""
    return " ".join(re.sub(r"[\[\]{}|<>#_]", " ", name).split())


def _shown(name: str) -> str:
    return name.replace("__", "&#95;&#95;")
