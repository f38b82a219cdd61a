"""The embedded corpus: real formats, the same bytes everywhere, and near-duplicates in it."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import mwparserfromhell
import pytest
from fastwarc.warc import ArchiveIterator
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.extract.html2text import extract_plain_text

from corpuskit.errors import Unavailable
from corpuskit.formats.sample import write_sample
from corpuskit.formats.sample_markup import inline, wikitext
from corpuskit.formats.sample_source import read
from corpuskit.formats.sample_warc import gzip_member
from corpuskit.stages.download.sample import STAGE, Options, write

XML = "{http://www.mediawiki.org/xml/export-0.11/}"
FILES = ["python-docs.xml.bz2", "python-pydoc.warc.gz"]
WRITE = """
import sys
from pathlib import Path
from corpuskit.errors import Unavailable
from corpuskit.formats.sample import write_sample
write_sample(Path(sys.argv[1]))
assert not {"asyncio", "mailbox", "tkinter", "unittest", "xmlrpc"} & set(sys.modules), "the process is marked"
"""


class Record(NamedTuple):
    kind: str
    id: str
    url: str
    status: int | None
    type: str | None
    headers: dict[str, str]
    block_holds: bool
    payload_holds: bool | None
    body: bytes


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    write_sample(out)
    return out


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """The sample as another user makes it at another place, in another locale and time zone."""
    out, home = tmp_path_factory.mktemp("elsewhere"), tmp_path_factory.mktemp("home")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
        **{"HOME": str(home), "TMPDIR": str(home), "USER": "somebody", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8"},
        **{"PYTHONHASHSEED": "7", "PYTHONDOCS": "/docs", "PYTHONOPTIMIZE": "2", "COLUMNS": "40", "TERM": "dumb"},
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    subprocess.run([sys.executable, "-B", "-c", WRITE, str(out)], cwd=home, env=environment, check=True)
    return out


@pytest.fixture(scope="module")
def pages(sample) -> list[ElementTree.Element]:
    return list(root_of(sample).iter(f"{XML}page"))


@pytest.fixture(scope="module")
def records(sample) -> list[Record]:
    found = []
    with (sample / "python-pydoc.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file, parse_http=False):
            holds, payload = record.verify_block_digest(), None
            is_answer = record.headers["WARC-Type"] in ("response", "revisit")
            if is_answer:
                record.parse_http()
            if is_answer and "WARC-Payload-Digest" in record.headers and record.headers["WARC-Type"] == "response":
                payload = record.verify_payload_digest()
            http = record.http_headers if is_answer else None
            found.append(
                Record(
                    record.headers["WARC-Type"],
                    record.record_id,
                    record.headers.get("WARC-Target-URI", ""),
                    http.status_code if http else None,
                    record.http_content_type if http else None,
                    dict(record.headers.items()),
                    holds,
                    payload,
                    record.reader.read(),
                )
            )
    return found


def root_of(sample: Path) -> ElementTree.Element:
    return ElementTree.fromstring(bz2.decompress((sample / FILES[0]).read_bytes()))


def words(record: Record) -> set[str]:
    found = extract_plain_text(record.body.decode()).lower().split()
    return {" ".join(found[at : at + 5]) for at in range(len(found) - 4)}


def similarity(one: Record, other: Record) -> float:
    return len(words(one) & words(other)) / len(words(one) | words(other))


def page_of(records: list[Record], name: str) -> Record:
    return next(each for each in records if each.kind == "response" and each.url.endswith(f"/{name}.html"))


# ---- the same everywhere


@pytest.mark.parametrize("name", FILES)
def test_another_user_place_locale_and_hash_seed_give_the_same_bytes(sample, elsewhere, name):
    assert (elsewhere / name).read_bytes() == (sample / name).read_bytes()


@pytest.mark.parametrize(("name", "opened"), [(FILES[0], bz2.open), (FILES[1], gzip.open)])
def test_no_path_of_the_machine_and_no_address_of_an_object_is_in_it(elsewhere, name, opened):
    with opened(elsewhere / name) as file:
        text = file.read().decode("utf-8", "replace")
    for path in (sys.prefix, sys.base_prefix, str(elsewhere.parent), str(Path(__file__).parents[1])):
        assert path not in text
    assert not re.search(r"(?:&nbsp;| )at(?:&nbsp;| )0x[0-9a-f]{6}", text, re.I)


def test_the_folder_holds_the_two_archives_and_the_stage_says_what_is_known_about_them(tmp_path):
    told = list(write(Options(limit_pages=5), tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES == sorted(each.name for each in told)
    for entry in (each.about for each in told):
        assert sorted(entry) == ["date", "license", "source", "url"]
        assert entry["license"] == "PSF-2.0"
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", entry["date"])


def test_the_stage_reads_nothing_and_stops_after_so_many_pages(tmp_path):
    assert STAGE.inputs == ()
    assert len(list(write(Options(limit_pages=5), tmp_path))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    dump = bz2.decompress((tmp_path / FILES[0]).read_bytes()).decode()
    crawl = gzip.decompress((tmp_path / FILES[1]).read_bytes())
    documents = [page for page in dump.split("<page>")[1:] if "<ns>0</ns>" in page and "<redirect" not in page]
    assert len(documents) == 5
    assert crawl.count(b"<title>Pydoc: class ") + crawl.count(b"<title>Pydoc: built-in module ") == 5


def test_a_python_without_its_documentation_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    with pytest.raises(Unavailable, match="lacks pydoc_data"):
        write_sample(tmp_path)


# ---- the wiki


def test_the_dump_has_a_few_hundred_documents_redirects_and_pages_of_other_namespaces(pages):
    spaces = Counter(page.findtext(f"{XML}ns") for page in pages)
    redirects = sum(page.find(f"{XML}redirect") is not None for page in pages)
    assert spaces["0"] - redirects > 400
    assert redirects > 100
    assert min(spaces["4"], spaces["10"], spaces["14"]) >= 1


def test_titles_and_page_numbers_are_unique(pages):
    assert max(Counter(page.findtext(f"{XML}title") for page in pages).values()) == 1
    assert [page.findtext(f"{XML}id") for page in pages] == [str(n) for n in range(1, len(pages) + 1)]


def test_every_redirect_leads_to_a_page(pages):
    titles = {page.findtext(f"{XML}title") for page in pages if page.find(f"{XML}redirect") is None}
    for page in pages:
        redirect = page.find(f"{XML}redirect")
        if redirect is not None:
            assert redirect.get("title") in titles
            assert page.findtext(f"{XML}revision/{XML}text") == f"#REDIRECT [[{redirect.get('title')}]]"


def test_every_text_has_the_size_and_the_hash_that_are_told(pages):
    for page in pages:
        text = page.find(f"{XML}revision/{XML}text")
        data = (text.text or "").encode()
        assert len(data) == int(text.get("bytes"))
        assert int.from_bytes(hashlib.sha1(data).digest(), "big") == int(text.get("sha1"), 36)


def test_siteinfo_names_wiki_base_case_and_namespaces(sample):
    root = root_of(sample)
    assert root.get("version") == "0.11"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    info = root.find(f"{XML}siteinfo")
    assert info.findtext(f"{XML}dbname") == "python-docs"
    assert info.findtext(f"{XML}base") == "https://python-docs.example/wiki/Main_Page"
    names = {space.get("key"): space.text for space in info.iter(f"{XML}namespace")}
    assert (names["0"], names["10"], names["14"]) == (None, "Template", "Category")


def test_pages_have_the_markup_of_a_real_wiki(pages):
    text = "\n".join(page.findtext(f"{XML}revision/{XML}text") or "" for page in pages)
    for mark in ("\n== ", "\n=== ", "\n* ", "\n** ", "\n# ", "\n: ", "\n; ", "{{Infobox code", "<pre>", "[[Category:"):
        assert mark in text
    for mark in ('<syntaxhighlight lang="python">', "<ref name=", '{| class="wikitable"', "'''", "<code>", "[https://"):
        assert mark in text


def test_a_parser_finds_balanced_templates_only(pages):
    for page in pages[::5]:
        if page.findtext(f"{XML}ns") == "0":
            code = mwparserfromhell.parse(page.findtext(f"{XML}revision/{XML}text"))
            names = {str(template.name).strip().partition(":")[0] for template in code.filter_templates()}
            assert names <= {"Infobox code", "DISPLAYTITLE"}


# ---- the crawl


def test_every_digest_of_the_crawl_holds(records):
    assert all(record.block_holds for record in records)
    assert {record.payload_holds for record in records} == {True, None}


def test_every_record_is_a_gzip_member(sample, records):
    data, members = (sample / FILES[1]).read_bytes(), 0
    while data:
        inflate = zlib.decompressobj(31)
        assert inflate.decompress(data).startswith(b"WARC/1.0\r\n")
        data, members = inflate.unused_data, members + 1
    assert members == len(records)


def test_record_ids_are_unique_and_every_capture_has_request_answer_and_metadata(records):
    assert max(Counter(record.id for record in records).values()) == 1
    kinds = Counter(record.kind for record in records)
    assert kinds["warcinfo"] == 1
    assert kinds["request"] == kinds["metadata"] == kinds["response"] + kinds["revisit"] > 1000


def test_answers_are_pages_redirects_missing_pages_text_and_a_picture(records):
    answers = Counter((record.status, record.type) for record in records if record.kind == "response")
    assert answers[200, "text/html"] > 1000
    assert answers[301, "text/html"] > 5
    assert answers[404, "text/html"] == 6
    assert answers[200, "text/plain"] == answers[200, "image/png"] == 1


def test_some_answers_are_chunked_or_compressed_or_both(sample):
    found = Counter()
    with (sample / FILES[1]).open("rb") as file:
        for record in ArchiveIterator(file):
            if record.headers["WARC-Type"] == "response":
                names = {name.lower() for name, _ in record.http_headers.items()}
                found["transfer-encoding" in names, "content-encoding" in names] += 1
    assert min(found[True, False], found[False, True], found[True, True]) >= 1


def test_a_revisit_refers_to_an_earlier_answer_with_the_same_payload(records):
    known = {record.id: record.headers for record in records if record.kind == "response"}
    revisits = [record.headers for record in records if record.kind == "revisit"]
    assert len(revisits) > 5
    for headers in revisits:
        first = known[headers["WARC-Refers-To"]]
        assert first["WARC-Payload-Digest"] == headers["WARC-Payload-Digest"]
        assert first["WARC-Target-URI"] == headers["WARC-Refers-To-Target-URI"]
        assert first["WARC-Date"] == headers["WARC-Refers-To-Date"] < headers["WARC-Date"]


def test_classes_that_inherit_the_same_methods_have_nearly_the_same_page(records):
    assert similarity(page_of(records, "builtins.ConnectionError"), page_of(records, "builtins.BrokenPipeError")) > 0.8
    assert similarity(page_of(records, "builtins.OverflowError"), page_of(records, "builtins.str")) < 0.1


def test_values_of_data_stay_out_of_the_pages(records):
    text = extract_plain_text(page_of(records, "string").body.decode())
    assert "ascii_lowercase" in text
    assert "abcdefghij" not in text


# ---- their parts


def test_lists_code_headings_and_definitions_become_markup():
    text = """\
Title
=====

First line
of a paragraph::

    x = 1

* one
  more
  * nested

>>> 1 + 1
2

f(x)
    Return the value of x.
"""
    assert wikitext(text) == (
        "== Title ==\n\nFirst line of a paragraph:\n\n<pre>\nx = 1\n</pre>\n\n* one more\n** nested\n\n"
        '<syntaxhighlight lang="python">\n>>> 1 + 1\n2\n</syntaxhighlight>\n\n; f(x)\n: Return the value of x.'
    )


def test_literals_and_emphasis_become_markup():
    assert inline("Use ``a`` and :func:`b`, *not* **c**.") == "Use <code>a</code> and <code>b</code>, ''not'' '''c'''."
    assert inline('The "with" statement', sphinx=True) == "The <code>with</code> statement"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=60))
def test_escaped_text_holds_no_template_link_or_argument(text):
    code = mwparserfromhell.parse(inline(text))
    assert not [*code.filter_templates(), *code.filter_wikilinks(), *code.filter_arguments()]


@given(st.text(st.sampled_from(" \n\t*#-=.>:ab1()\"'`"), max_size=80))
def test_any_text_can_be_converted_and_keeps_its_letters(text):
    kept = re.sub(r"</?(?:pre|code|syntaxhighlight[^>]*)>|&\w+;|&#\d+;", "", wikitext(text))
    assert Counter(kept)["a"] == text.count("a")


def test_a_source_is_read_and_never_run():
    source = b'''"""About it."""
raise SystemExit

# This comment has several words, so that it is worth a place in the notes of the page.
# x = 1
class A(B):
    """A class."""

    def method(self, x: int = 1) -> str:
        """Do it."""
        # The reason for this is that a reader of the code would not see it at once.
        return ""

def undocumented(): ...
'''
    module = read(source, "m", "Lib/m.py")
    assert (module.doc, module.functions) == ("About it.", ())
    assert (module.classes[0].name, module.classes[0].head, module.classes[0].doc) == ("A", "B", "A class.")
    assert module.classes[0].members[0].head == "(self, x: int=1) -> str"
    assert list(module.notes) == ["A"]


@given(st.binary(max_size=200))
def test_a_gzip_member_holds_what_was_given_and_no_time(data):
    member = gzip_member(data)
    assert gzip.GzipFile(fileobj=io.BytesIO(member)).read() == data
    assert member[4:8] == b"\0\0\0\0"
