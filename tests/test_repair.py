"""Repair against ftfy itself, to the byte, and against its own plain definition; its tables against their sources."""

from __future__ import annotations

import bz2
import itertools
import os
import random
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import ftfy
import numpy as np
import pyarrow as pa
import pytest
from ftfy.badness import is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.text import repair_tables
from corpuskit.text.repair import FTFY_DEFAULTS, Repair, fix_column, ftfy_config, repair, repair_column, tidy
from corpuskit.text.unicode import not_utf8
from tests.data import shared

OURS = Repair()
WAYS = [
    OURS,
    FTFY_DEFAULTS,
    Repair("NFKC", "auto"),
    Repair("NFKC", straight_quotes=True, character_width=True),
    Repair(None, unescape_html=True),
    Repair("NFD", "auto"),
]
BOTH = pytest.mark.parametrize("how", [OURS, FTFY_DEFAULTS], ids=["ours", "ftfy"])

PIECES = [
    *"aZ .,\t\x0b\x0c\x1b[m&;<\x7f\x80\x85\x9d\xa0\xad…’“”éèàñÂÃâ€œ™˜ŠŸÐÑØÙŒ×²³√±Вв‚Äβā°ï¿½",
    *"\n\n\n\r\r\x00\u0301\u0327\u0338\u0323ﬁŉǆ\ufeff\u2028\u2029\u3000，Ａ＜＆ｶﾞ한\u1100\u1161\u11a8가각\u200b\u2009\u206a\ufffc😀",
    *"\u1680\x1c\u09c7\u09be\u0bc6\u0dd9\u0dcf\u0958\u212b\u2126\ufb2c\U0001d160ＡⅣ①",
    *("schÃ¶n", "â€™", "Ã  la mode", "Â ", "вЂњ", "ê\u0327", "\r\n", "ГўВЂВ", "ØÙØÙ", "Œ\n", "\u039f\x9d\u0392"),
    *(
        "&eacute;",
        "&EACUTE;",
        "&lt;b&gt;",
        "&amp;amp;",
        "&#10;",
        "&#x1b;",
        "&foo;",
        "&am",
        "p;",
        "<\u0338",
        "\x1b[36;44m",
    ),
    *("plain words that go on for longer than a block of bytes", "  \n", "Việt Nam", "Привіт, світе", "café"),
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join)


def fixed(texts: list[str], how: Repair) -> list[str]:
    found: list[str] = fix_column(pa.array(texts, pa.string()), how).to_pylist()
    return found


def repaired(texts: list[str], how: Repair = OURS) -> list[str]:
    found: list[str] = repair_column(pa.array(texts, pa.string()), how).to_pylist()
    return found


def by_ftfy(texts: list[str], how: Repair) -> list[str]:
    config = ftfy_config(how)
    return [ftfy.fix_text(text, config) for text in texts]


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """Real sentences of 79 languages, 20 lines a text."""
    texts = []
    for path in sorted(shared("langid/lingua-sentences").iterdir()):
        lines = path.read_text(encoding="utf-8").split("\n")[:100]
        texts += ["\n".join(lines[at : at + 20]) for at in range(0, len(lines), 20)]
    return texts


@pytest.fixture(scope="module")
def wikitext() -> list[str]:
    """Real pages of a wiki, markup and all: entities, tags, long lines."""
    dump = bz2.decompress(shared("wikipedia/ltgwiki-pages-articles.xml.bz2").read_bytes()).decode()
    pages = re.findall(r"<text[^>]*>(.*?)</text>", dump, re.DOTALL)
    return [page.replace("&lt;", "<").replace("&amp;", "&") for page in pages]


# ftfy


def test_the_defaults_of_ftfy_are_those_that_we_call_so() -> None:
    assert ftfy_config(FTFY_DEFAULTS) == ftfy.TextFixerConfig(explain=False)


@settings(deadline=None, max_examples=600)
@given(st.lists(TEXTS, max_size=6), st.sampled_from(WAYS))
def test_a_column_is_fixed_as_ftfy_fixes_each_text(texts: list[str], how: Repair) -> None:
    assert fixed(texts, how) == by_ftfy(texts, how)


@BOTH
def test_texts_of_characters_that_matter_to_ftfy_come_out_as_ftfys(how: Repair) -> None:
    tables = repair_tables.load()
    assert tables is not None
    kinds = [np.flatnonzero(tables["classes"] == kind) for kind in range(int(tables["classes"].max()) + 1)]
    kinds += [tables["NFKC-straight-width.codes"], *(tables["pairs"] >> 21, tables["pairs"] & 0x1FFFFF)]
    kinds += [np.flatnonzero(tables["properties"] & bit) for bit in (repair_tables.MAYBE, 0xFF << 11)]
    chance = random.Random(4)
    texts = []
    for _ in range(5000):
        codes = [int(chance.choice(chance.choice(kinds))) for _ in range(chance.choice([2, 3, 5, 9]))]
        texts.append("".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000))
    assert fixed(texts, how) == by_ftfy(texts, how)


@BOTH
def test_sentences_of_79_languages_come_out_as_ftfys(sentences: list[str], how: Repair) -> None:
    assert fixed(sentences[::2], how) == by_ftfy(sentences[::2], how)


@BOTH
def test_wikitext_comes_out_as_ftfys(wikitext: list[str], how: Repair) -> None:
    assert fixed(wikitext[::2], how) == by_ftfy(wikitext[::2], how)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp1251", "mac_roman", "cp437"])
def test_misdecoded_sentences_come_out_as_ftfys(sentences: list[str], encoding: str) -> None:
    wrong = [text.encode()[:600].decode(encoding, "replace") for text in sentences[::16]]
    assert fixed(wrong, OURS) == by_ftfy(wrong, OURS)


@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_decomposed_sentences_come_out_as_ftfys(sentences: list[str], form: str) -> None:
    apart = [unicodedata.normalize(form, text) for text in sentences[::8]]
    assert fixed(apart, OURS) == by_ftfy(apart, OURS)


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("&eacute;\na<b\n&eacute;", "é\na<b\n&eacute;"),
        ("&eacute;<\n&eacute;", "&eacute;<\n&eacute;"),
        ("&lt;\n&eacute;", "<\né"),
        ("＜\n＆ｅａｃｕｔｅ；", "<\né"),
        ("&amp;amp;", "&"),
        ("&am\x00p;", "&"),
        ("&nosuchthing;", "&nosuchthing;"),
        ("&abcdefghijklmnopqrstuvwxyz;", "&abcdefghijklmnopqrstuvwxyz;"),
        ("a\r\nb\rc\r\r\nd\u2028e\u2029f", "a\nb\nc\n\nd\ne\nf"),
        ("\x1b[1mbold\x1b[0m", "bold"),
        ("schÃ¶n &amp; gut", "schön & gut"),
        ("\u201cＡ\u201d", '"A"'),
    ],
)
def test_lines_depend_on_those_before_them_as_in_ftfy(broken: str, whole: str) -> None:
    assert fixed([broken, broken], FTFY_DEFAULTS) == [whole, whole] == by_ftfy([broken, broken], FTFY_DEFAULTS)


@pytest.mark.parametrize(
    "text",
    [
        "Ã©" * 300_000 + " â€™ " * 150_000,
        "é" * 999_999 + "Ã©",
        "a" * 1_000_001,
        "&eacute;" * 130_000 + "<&eacute;\n&eacute;",
    ],
    ids=["mojibake", "letters", "ascii", "entities"],
)
def test_a_line_longer_than_ftfy_treats_at_once_is_cut_as_ftfy_cuts_it(text: str) -> None:
    assert fixed([text], FTFY_DEFAULTS) == by_ftfy([text], FTFY_DEFAULTS)


# Columns


def test_null_is_empty_and_a_slice_keeps_its_bounds() -> None:
    column = pa.array(["never\x00", "schÃ¶n\r", None, "a\x00", "never\x00"]).slice(1, 3)
    assert fix_column(column).to_pylist() == ["schön\n", "", "a"]
    assert repair_column(column).to_pylist() == ["schön", "", "a"]
    assert repair_column(column).null_count == 0


@pytest.mark.parametrize("texts", [[], [""], ["", None], ["plain"], ["e\u0301"]])
def test_columns_of_any_size_and_width_come_out_as_strings(texts: list[str | None]) -> None:
    expected = [unicodedata.normalize("NFC", text or "") for text in texts]
    for kind in (pa.string(), pa.large_string()):
        for treat in (fix_column, repair_column):
            out = treat(pa.array(texts, kind))
            out.validate(full=True)
            assert (out.type, out.to_pylist()) == (pa.string(), expected)


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    raw = b"fine\xff\nsch\xc3\xa9\xe2\x82"
    column = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, len(raw)], np.int32)), pa.py_buffer(raw)]
    )
    assert fix_column(column).to_pylist() == [ftfy.fix_text(raw.decode(errors="replace"), ftfy_config(OURS))]
    assert repair_column(column).to_pylist() == ["fine\ufffd\nsché\ufffd"]
    assert not_utf8(column) == [0]
    assert not_utf8(pa.array(["fine", None, "schön"])) == []


def test_the_bytes_of_the_input_are_left_as_they_were() -> None:
    column = pa.array(["schÃ¶n\r\n", "a \n\n\n\xa0b"])
    before = column.to_pylist()
    repair_column(column)
    assert column.to_pylist() == before


# Repair


@settings(deadline=None, max_examples=400)
@given(st.lists(TEXTS, max_size=6), st.sampled_from(WAYS))
def test_a_column_is_repaired_as_each_text_by_its_definition(texts: list[str], how: Repair) -> None:
    assert repaired(texts, how) == [repair(text, how) for text in texts]


@settings(deadline=None, max_examples=400)
@given(st.lists(TEXTS, max_size=6), st.sampled_from(WAYS))
def test_repairing_twice_changes_nothing(texts: list[str], how: Repair) -> None:
    once = repaired(texts, how)
    assert repaired(once, how) == once


def test_real_texts_are_repaired_by_the_definition(sentences: list[str], wikitext: list[str]) -> None:
    texts = [*sentences[::8], *wikitext[::8]]
    assert repaired(texts) == [repair(text) for text in texts]


SPACES = st.lists(
    st.sampled_from([*"ab\n\n\n\t\r\x0b\x0c\x1c\x1f\x85\xa0é한\u1680\u2000\u200a\u2028\u202f\u205f\u3000  ", "x" * 40])
)


@settings(deadline=None, max_examples=500)
@given(SPACES.map("".join))
def test_compiled_tidying_is_that_of_plain_python(text: str) -> None:
    from corpuskit.text.repair import _tidied

    column, changed = _tidied(pa.array([text, "b", text]))
    assert column.to_pylist() == [tidy(text), "b", tidy(text)]
    assert changed.tolist() == [tidy(text) != text, False, tidy(text) != text]


def test_tidying_knows_every_white_space() -> None:
    from corpuskit.text.repair import _tidied

    chars = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    texts = [text for char in chars for text in (f"a{char}b", f"a{char}\nb")]
    assert _tidied(pa.array(texts))[0].to_pylist() == [tidy(text) for text in texts]


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("schÃ¶n", "schön"),
        ("It\u2019s \u201cfine\u201d", "It\u2019s \u201cfine\u201d"),
        ("中文，标点。", "中文，标点。"),
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a  \nb\t\n", "a\nb"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("a\n \n\t\n \nb", "a\n\nb"),
        ("10\xa0000\u2009km", "10 000 km"),
        ("    indented\n    too", "indented\n    too"),
        ("a\x00b\x07c\ufeffd", "abcd"),
        ("page\x0cpage", "page\npage"),
        ("ﬁn", "fin"),
        ("&amp;", "&amp;"),
        (" \n ", ""),
        ("1\rÂ b", "1\n b"),
    ],
)
def test_repair(broken: str, whole: str) -> None:
    assert repaired([broken, broken]) == [whole, whole]


# Tables


def test_the_tables_that_we_carry_are_those_that_the_installed_versions_give() -> None:
    file = repair_tables.HOME / repair_tables.file_name()
    if not file.exists():
        pytest.skip(f"no tables are carried for these versions: {file.name}")
    made, carried = repair_tables.build(), repair_tables.read(file)
    assert set(carried) == set(made)
    for name, values in made.items():
        np.testing.assert_array_equal(carried[name], values, err_msg=name)
        assert carried[name].dtype == values.dtype


def automaton_finds(text: str, classes: np.ndarray, moves: np.ndarray) -> bool:
    state = repair_tables.BEGIN
    for char in text:
        state = int(moves[state, classes[ord(char)]])
    return state == repair_tables.BAD


def test_the_automaton_is_is_bad() -> None:
    tables = repair_tables.load()
    assert tables is not None
    classes, moves = tables["classes"], tables["moves"]
    kinds = [np.flatnonzero(classes == kind).tolist() for kind in range(int(classes.max()) + 1)]
    chance = random.Random(7)
    texts = ["".join(chr(chance.choice(kind)) for kind in chance.choices(kinds, k=3)) for _ in range(20_000)]
    texts += ["".join(map(chr, pair)) for pair in itertools.product([kind[0] for kind in kinds], repeat=2)]
    assert [automaton_finds(text, classes, moves) for text in texts] == [is_bad(text) for text in texts]
    assert any(map(is_bad, texts))


def test_tables_of_unknown_versions_are_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(repair_tables, "HOME", tmp_path / "none")
    made = repair_tables.load()
    kept = tmp_path / "corpuskit" / repair_tables.file_name()
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]
    monkeypatch.setattr(repair_tables, "build", lambda: pytest.fail("made again"))
    again = repair_tables.load()
    assert made is not None
    assert again is not None
    assert all((made[name] == again[name]).all() for name in made)


def test_a_cache_that_is_cut_short_or_not_ours_to_write_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair_tables, "HOME", tmp_path / "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(repair_tables, "build", lambda: dict.fromkeys(("classes", "properties"), np.zeros(1, np.uint8)))
    kept = tmp_path / "corpuskit" / repair_tables.file_name()
    kept.parent.mkdir()
    kept.write_bytes(b"PK\x03\x04 cut")
    assert list(repair_tables.load() or ()) == ["classes", "properties"]
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert list(repair_tables.load() or ()) == ["classes", "properties"]


def test_ftfy_is_not_imported_where_no_line_needs_it() -> None:
    code = """if True:
        import sys
        import pyarrow as pa
        from corpuskit.text import repair, repair_tables
        text = "caf\\u00e9 \\u201cquoted\\u201d"
        assert repair.repair_column(pa.array([text + " "])).to_pylist() == [text]
        assert "ftfy" not in sys.modules
        print(repair_tables.file_name())
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == repair_tables.file_name()
    assert f"-ftfy-{ftfy.__version__}-" in done.stdout


def test_where_there_are_no_tables_ftfy_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from corpuskit.text import repair as room

    monkeypatch.setattr(room, "_table", lambda how: None)
    texts = ["schÃ¶n \r\n\x00", "&eacute; ", "plain"]
    assert fixed(texts, FTFY_DEFAULTS) == by_ftfy(texts, FTFY_DEFAULTS)
    assert repaired(texts) == ["schön", "&eacute;", "plain"]


def test_an_expression_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftfy.badness.BADNESS_RE", re.compile("(a+)b"))
    with pytest.raises(repair_tables.Unsupported, match="MAX_REPEAT"):
        repair_tables.build()


def test_the_command_writes_the_tables(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "corpuskit.text.repair_tables", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    (file,) = tmp_path.iterdir()
    assert run.stdout == f"{file}\n"
    assert file.name == repair_tables.file_name()
