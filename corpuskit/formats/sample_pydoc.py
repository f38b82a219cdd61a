"""Print pydoc's HTML pages of the standard library as JSON lines, the same for the same Python.

A script for a child process (`python -I -S -B sample_pydoc.py`): it imports a good part of the standard library,
which would leave its marks on the process that asks, and it needs nothing but that library. What differs between
machines, users and runs is left out: file paths, values of data, addresses of objects, the order of sets.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pydoc
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any

#: Modules that import everywhere without side effects, and whose members depend neither on the platform nor on
#: optional C libraries; no deprecated ones. Not `inspect` and `pydoc`, which are changed below.
_MODULES = """
    builtins abc argparse array ast base64 bdb binascii bisect calendar cmath cmd code codecs codeop collections
    collections.abc colorsys configparser contextlib contextvars copy copyreg csv dataclasses
    datetime difflib dis doctest email.charset email.contentmanager email.errors email.feedparser email.generator
    email.header email.headerregistry email.message email.mime.application email.mime.audio email.mime.base
    email.mime.image email.mime.message email.mime.multipart email.mime.nonmultipart email.mime.text email.parser
    email.policy email.utils enum filecmp fileinput fnmatch fractions functools gc getopt gettext glob graphlib
    heapq html html.entities html.parser http http.client http.cookiejar http.cookies http.server imaplib
    importlib.abc importlib.machinery importlib.metadata io ipaddress itertools json json.decoder
    json.encoder keyword linecache logging logging.config logging.handlers mailbox marshal math mimetypes
    modulefinder netrc numbers opcode operator optparse pathlib pdb pickle pickletools pkgutil plistlib poplib
    pprint profile pstats py_compile pyclbr queue quopri random re reprlib runpy sched secrets shelve shlex
    smtplib socketserver statistics string stringprep struct symtable tabnanny tarfile tempfile textwrap threading
    timeit token tokenize trace traceback types typing unittest unittest.case unittest.loader unittest.main
    unittest.mock unittest.result unittest.runner unittest.suite urllib.error urllib.parse urllib.request
    urllib.response urllib.robotparser warnings wave weakref wsgiref.handlers wsgiref.headers
    wsgiref.simple_server wsgiref.types wsgiref.util wsgiref.validate xml.dom xml.dom.minidom xml.dom.pulldom
    xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xml.sax.xmlreader xmlrpc.client xmlrpc.server
    zipfile zipimport
"""
MODULES = _MODULES.split()

#: Names that only some platforms or builds have; and of a class whose signature holds a path.
_OPTIONAL = re.compile(
    r"SSL|HTTPS|_https|https_|Unix|Fork|Windows|Posix|Epoll|Kqueue|Gzip|SafeTransport|HTMLDoc|^(?:gzip|fcntl|compare_digest)$"
)
_ADDRESS = re.compile(r"(?: |&nbsp;)at(?: |&nbsp;)0x[0-9a-fA-F]+")
_MEMBER_LINK = re.compile(r'href="([\w.]+)\.html#(\w+)"')
_MARKUP = re.compile(r"\b((?:https?|ftp)://\S+[\w/]|RFC[- ]?(\d+)|PEP[- ]?(\d+))")


class Pages(pydoc.HTMLDoc):
    """pydoc's pages without values and paths, and with the classes of a module on pages of their own."""

    def docclass(self, object: Any, name: str | None = None, mod: str | None = None, *rest: Any) -> str:
        """Give the page of a class, or nothing in the page of its module (`mod`), where a tree links to it."""
        return "" if mod else super().docclass(object, name)

    def docother(self, object: Any, name: str | None = None, mod: Any = None, *rest: Any) -> str:
        """Name a datum; its value only where that is the same everywhere."""
        same = object is None or (type(object) in (bool, int) and -1000 < object < 1000)
        return f"<strong>{name or ''}</strong>" + (f" = {object!r}" if same else "")

    def bigsection(self, title: str, *rest: Any) -> str:
        """Leave out which modules a module imports: that depends on what there is."""
        return "" if title == "Modules" else super().bigsection(title, *rest)

    def multicolumn(self, list: list[Any], format: Callable[[Any], str]) -> str:
        """List the modules of a package but for its tests, which distributions leave out."""
        return super().multicolumn([each for each in list if each[0] not in ("test", "tests")], format)

    def filelink(self, url: str, path: str) -> str:
        """Keep the path of the installation to ourselves."""
        return ""

    def getdocloc(self, object: Any, basedir: str = "") -> str:
        """Point to the manual of this Python, whatever the environment says."""
        return "https://docs.python.org/{}.{}/library/{}.html".format(*sys.version_info[:2], object.__name__.lower())

    def markup(self, text: str, escape: Any = None, *names: Any) -> str:
        """Link addresses, RFCs and PEPs; pydoc's own linking of every word costs half of its time."""
        escape = escape or self.escape
        parts, here = [], 0
        for found in _MARKUP.finditer(text):
            word, rfc, pep = found.groups()
            url = escape(word).replace('"', "&quot;")
            if rfc:
                url = f"https://www.rfc-editor.org/rfc/rfc{int(rfc)}.txt"
            elif pep:
                url = f"https://peps.python.org/pep-{int(pep):04d}/"
            parts += [escape(text[here : found.start()]), f'<a href="{url}">{escape(word)}</a>']
            here = found.end()
        return "".join([*parts, escape(text[here:])])

    def page_of(self, object: Any, name: str) -> dict[str, str]:
        """Give the page of a module or class as its address (without `.html`), its title and its HTML."""
        body = _MEMBER_LINK.sub(r'href="\1.\2.html"', self.document(object, name.rpartition(".")[2]))
        return {"page": name, "title": pydoc.describe(object), "html": _ADDRESS.sub("", body)}


def pages(names: list[str]) -> Iterator[dict[str, str]]:
    """Yield the page of each module, then those of its public classes in the order of their names.

    A class seen before under the same name comes as `{"page", "same"}`, under another name as `{"page", "moved"}`.
    """
    html = Pages()
    seen: dict[int, str] = {}
    for module in filter(None, map(_module, names)):
        yield html.page_of(module, module.__name__)
        for name, value in _classes(module):
            page = f"{module.__name__}.{name}"
            if page in names:  # unittest.main is both
                continue
            first = seen.setdefault(id(value), page)
            if first == page:
                yield html.page_of(value, page)
            else:
                yield {"page": page, ("same" if first.endswith("." + name) else "moved"): first}


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:  # a build without it
        return None


def _classes(module: ModuleType) -> Iterator[tuple[str, type]]:
    public = getattr(module, "__all__", None)
    for name, value in sorted(vars(module).items()):
        if not inspect.isclass(value) or name.startswith("_"):
            continue
        ours = public is not None or (inspect.getmodule(value) or module) is module
        if ours and hasattr(value, "__mro__") and pydoc.visiblename(name, public, module):
            yield name, value


def quicken() -> None:
    """Remember what pydoc asks for over and over, once for every heir of a method."""
    for name in ("signature", "getcomments", "getdoc", "getmodule", "classify_class_attrs"):
        setattr(inspect, name, _remembered(getattr(inspect, name)))
    comments = inspect.getcomments
    # Comments above a class: inspect parses the whole file for each class to find them.
    inspect.getcomments = lambda object: None if inspect.isclass(object) else comments(object)
    pydoc.replace = _replace  # type: ignore[assignment]


def hide_optional_names() -> None:
    """Let pydoc document what every build has."""
    visible = pydoc.visiblename
    pydoc.visiblename = lambda name, *rest, **named: not _OPTIONAL.search(name) and visible(name, *rest, **named)


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    memory: dict[Any, tuple[Any, Any, Exception | None]] = {}

    def recall(object: Any, *args: Any, **named: Any) -> Any:
        key = (id(object), args, tuple(named.items()))
        if key not in memory:
            try:
                memory[key] = (object, function(object, *args, **named), None)
            except Exception as error:
                memory[key] = (object, None, error)
        _, value, failure = memory[key]
        if failure is not None:
            raise failure
        return value

    return recall


def _replace(text: str, *pairs: str) -> str:
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        text = text.replace(old, new)
    return text


def main() -> None:
    """Print a JSON line for each page; nothing that a module prints on import gets in between."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    quicken()
    hide_optional_names()
    with out:
        for page in islice(pages(MODULES), int(sys.argv[1]) if sys.argv[1:] else None):
            out.write(json.dumps(page) + "\n")


if __name__ == "__main__":
    main()
