"""The command line as its users meet it: streams, mistakes, plans."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpuskit import catalog
from tests.build import load, prose, write_archives, write_docs
from tests.conftest import shell

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    return write_archives(tmp_path / "archives")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write_docs(tmp_path / "docs", prose(40), shards=2)


def test_stages_pipe_into_each_other(archives: Path, tmp_path: Path, corpuskit: Any) -> None:
    result = shell(
        f"set -o pipefail; corpuskit extract {archives} - | corpuskit clean - - | corpuskit dedup - {tmp_path}/out"
    )
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")
    corpuskit("extract", archives, tmp_path / "docs")
    corpuskit("clean", tmp_path / "docs", tmp_path / "clean")
    corpuskit("dedup", tmp_path / "clean", tmp_path / "folders")
    assert load(tmp_path / "out").to_pylist() == load(tmp_path / "folders").to_pylist()


def test_json_lines_come_out_one_document_a_line(archives: Path) -> None:
    result = shell(f"corpuskit extract {archives}/rows.jsonl - --format jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 10
    assert {"id", "text", "source", "url", "title", "language", "license", "date"} <= set(rows[0])


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    write_docs(tmp_path / "many", [row for at in range(50) for row in prose(300)])
    result = shell(f"corpuskit clean {tmp_path}/many - --preset none --format jsonl | head -1; echo ${{PIPESTATUS[0]}}")
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "141"
    assert json.loads(result.stdout.splitlines()[0])["id"] == "doc-0000"


def test_a_full_standard_output_is_one_line(docs: Path) -> None:
    result = shell(f"corpuskit clean {docs} - --preset none > /dev/full")
    assert result.returncode == 74
    assert "No space left on device" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_stream_that_breaks_off_is_bad_data_for_the_next_command(docs: Path, tmp_path: Path) -> None:
    result = shell(
        f"corpuskit clean {docs} - --preset none | head -c 20000 | corpuskit dedup - {tmp_path}/out; echo $?"
    )
    assert result.stdout.strip() == "65"
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_command_that_fails_in_a_pipe_fails_the_next_one_too(tmp_path: Path) -> None:
    result = shell(f"corpuskit clean {tmp_path}/nowhere - | corpuskit dedup - {tmp_path}/out; echo $?")
    assert result.stdout.strip() == "65"
    assert "no such file or folder" in result.stderr


def test_json_lines_are_read_from_standard_input(tmp_path: Path) -> None:
    line = json.dumps({"id": "a", "text": prose(1)[0]["text"], "score": 0.5})
    result = shell(f"corpuskit clean - - --preset none --format jsonl <<< '{line}'".replace("\\'", ""))
    assert json.loads(result.stdout)["score"] == 0.5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "standard input, line 2: expected a JSON object"),
        ('{"id": "a"}', "standard input, line 2: expected a string `text`"),
        ("[]", "standard input, line 2: expected a JSON object"),
    ],
)
def test_a_bad_line_on_standard_input_is_named(tmp_path: Path, line: str, message: str) -> None:
    good = '{"id": "b", "text": "x"}'
    result = shell(f"printf '%s\\n%s\\n' '{good}' '{line}' | corpuskit clean - {tmp_path}/out --format jsonl")
    assert result.returncode == 65
    assert message in result.stderr


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


MISTAKES: list[tuple[str, int, str]] = [
    ("clean nowhere out", 66, "clean: nowhere: no such file or folder; check the path"),
    ("clean docs out --preset gofer", 2, "'gofer' is not one of"),
    ("clean docs out --presett gopher", 2, "No such option '--presett'"),
    ("dedup docs out --bands -1", 2, "`bands`: expected at least"),
    ("dedup docs out --bands many", 2, "'many' is not a valid integer"),
    ("clean docs", 2, "Missing argument 'OUT'"),
    ("clean docs docs", 2, "is both `docs` and the output"),
    ("clean archives out", 66, "expected a dataset with `docs`"),
    ("clean archives out", 66, "give the output of"),
    ("tokenize docs out", 2, "Missing option '--tokenizer'"),
    ("tokenize docs out --tokenizer docs", 2, "`tokenizer`: expected `tokenizer`, "),
    ("shard docs out", 2, "`tokens`: expected `tokens`, "),
    ("cleen docs out", 2, "there is no command `cleen`; did you mean `clean`?"),
    ("train ngramm docs out", 2, "did you mean `ngram`?"),
    ("run nowhere.toml", 66, "nowhere.toml: no such recipe"),
    ("show nowhere", 66, "nowhere: expected a dataset"),
    ("verify docs/docs-00000-of-00002.arrow", 66, "expected a dataset"),
    ("--workers 2 clean docs out", 2, "No such option '--workers'"),
    ("clean docs out --workers 0", 2, "0 is not in the range"),
]


@pytest.mark.parametrize(("command", "code", "message"), MISTAKES)
def test_a_mistake_gives_one_line_that_names_the_place_and_the_remedy(
    command: str, code: int, message: str, docs: Path, archives: Path, corpuskit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs.parent)
    result = corpuskit(*command.split())
    assert result.code == code
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("error: ")
    assert ";" in result.err, "an error says what to do next"


def test_a_ray_address_where_nobody_answers_is_named_at_once(docs: Path, tmp_path: Path, corpuskit: Any) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    result = corpuskit("clean", docs, tmp_path / "out", "--executor", "ray", "--ray-address", "127.0.0.1:1")
    assert result.code == 69
    assert "--ray-address 127.0.0.1:1: no Ray cluster answers" in result.err
    assert len(result.err.splitlines()) == 1


RECIPES: list[tuple[str, str]] = [
    ("", "expected [[stage]] tables, found none"),
    ("stage = 3", "expected [[stage]] tables"),
    ("[[stage]]\nuse = ", "expected TOML"),
    ("colour = 1\n[[stage]]\nuse = 'clean'", "unknown key `colour`"),
    ("[[stage]]\nname = 'clean'", "[[stage]] 1: expected `use`"),
    ("[[stage]]\nuse = 'cleen'", "[[stage]] 1 `cleen`: there is no stage `cleen`; did you mean `clean`?"),
    (
        "[[stage]]\nuse = 'clean'\ninputs = 'docs'\npreset = 3",
        "[[stage]] 1 `clean`: `preset`: expected a string, got 3",
    ),
    ("[[stage]]\nuse = 'dedup'\ninputs = 'docs'\nband = 3", "unknown option `band`; did you mean `bands`?"),
    ("[[stage]]\nuse = 'dedup'\ninputs = 'docs'\nbands = '3'", '`bands`: expected a whole number, got "3"'),
    ("[[stage]]\nuse = 'clean'", "`clean`: reads `docs`, which no earlier stage writes"),
    ("[[stage]]\nuse = 'shard'\n[[stage]]\nuse = 'clean'", "`shard`: reads `tokens`, which no earlier stage writes"),
    ("[[stage]]\nuse = 'extract'", "name the input: --set extract.inputs=PATH"),
    ("[[stage]]\nuse = 'clean'\ninputs = 3", "expected a path or the name of an earlier stage"),
    ("[[stage]]\nuse = 'clean'\ninputs = 'docs'\n[[stage]]\nuse = 'clean'", "another stage has that name"),
    ("[[stage]]\nuse = 'clean'\nname = '../up'\ninputs = 'docs'", "`name`: expected letters"),
]


@pytest.mark.parametrize(("text", "message"), RECIPES)
def test_a_mistake_in_a_recipe_names_the_file_the_table_and_the_word(
    text: str, message: str, docs: Path, corpuskit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs.parent)
    result = corpuskit("run", recipe(docs.parent, text), "--root", docs.parent / "root")
    assert result.code == 2
    assert message in result.err
    assert "mine.toml" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (docs.parent / "root").exists()


def test_a_setting_for_a_stage_that_is_not_there_is_named(docs: Path, corpuskit: Any) -> None:
    path = recipe(docs.parent, f"[[stage]]\nuse = 'clean'\ninputs = '{docs}'")
    result = corpuskit("run", path, "--set", "dedup.bands=3")
    assert (result.code, "the recipe has no stage `dedup`; it has: clean" in result.err) == (2, True)
    result = corpuskit("run", path, "--set", "clean")
    assert "expected STAGE.OPTION=VALUE" in result.err


def test_settings_are_read_as_toml_and_else_as_strings(docs: Path, tmp_path: Path, corpuskit: Any) -> None:
    path = recipe(tmp_path, f"[[stage]]\nuse = 'clean'\ninputs = '{docs}'")
    root = ("--root", tmp_path / "root")
    assert corpuskit("run", path, *root, "--set", "clean.preset=none", "--set", "clean.redact-pii=true").code == 0
    shown = json.loads(corpuskit("show", tmp_path / "root" / "clean", "--json").out)
    assert (shown["options"]["preset"], shown["options"]["redact_pii"]) == ("none", True)


def test_a_missing_extra_is_named_with_the_way_to_install_it(
    docs: Path, chain: dict[str, Path], tmp_path: Path
) -> None:
    import subprocess
    import sys

    words = ["train", "transformer", str(chain["blocks"]), str(tmp_path / "model")]
    script = f"import sys; sys.modules['torch'] = None; from corpuskit.cli import main; sys.exit(main({words!r}))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 69
    assert "needs `torch`, which is not installed; pip install 'corpuskit-pipeline[train]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_plan_says_what_would_run_and_why_and_runs_nothing(docs: Path, tmp_path: Path, corpuskit: Any) -> None:
    path = recipe(tmp_path, f"[[stage]]\nuse = 'clean'\ninputs = '{docs}'\n[[stage]]\nuse = 'dedup'")
    root = ("--root", tmp_path / "root")
    first = corpuskit("plan", path, *root)
    assert re.findall(r"^(\w+) +(\w+)", first.out, re.M) == [("clean", "run"), ("dedup", "run")]
    assert not (tmp_path / "root").exists()
    corpuskit("run", path, *root, "--until", "clean")
    second = corpuskit("plan", path, *root, "--json")
    assert [row["action"] for row in json.loads(second.out)] == ["skip", "run"]
    third = corpuskit("plan", path, *root, "--set", "clean.preset=none")
    assert "needs --overwrite  option `preset` was 'gopher', now 'none'" in third.out


def test_an_error_in_a_later_stage_is_found_before_anything_runs(docs: Path, tmp_path: Path, corpuskit: Any) -> None:
    path = recipe(tmp_path, f"[[stage]]\nuse = 'clean'\ninputs = '{docs}'\n[[stage]]\nuse = 'dedup'\nbands = 'x'")
    assert corpuskit("run", path, "--root", tmp_path / "root").code == 2
    assert not (tmp_path / "root").exists()


def test_show_prints_dropped_documents_with_their_reasons(docs: Path, tmp_path: Path, corpuskit: Any) -> None:
    corpuskit("clean", docs, tmp_path / "out", "--threshold", "words=1000")
    result = corpuskit("show", tmp_path / "out", "--dropped", "--rows", 2)
    assert "40 rows in = 0 kept + 40 dropped + 0 errors" in result.out
    assert result.out.count("gopher_too_short") >= 2


def test_text_of_the_web_cannot_write_escape_sequences_to_the_terminal(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", [{"id": "a", "text": "\x1b]0;owned\x07 \x9b31m"}])
    out = corpuskit("show", tmp_path / "docs", "--rows", 1).out
    assert "owned" in out
    assert not {"\x1b", "\x07", "\x9b"} & set(out)


def test_the_stage_of_the_readme_runs_by_command_and_by_recipe_as_it_stands_there(
    docs: Path, tmp_path: Path, corpuskit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = README.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# stages/shout\.py\n.*?)```", text, re.S)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "shout.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv(catalog.VARIABLE, str(tmp_path / "stages"))
    catalog.load.cache_clear()
    assert "shout" in corpuskit("--help").out
    assert corpuskit("shout", docs, tmp_path / "out", "--min-chars", 900).code == 0
    kept, dropped = load(tmp_path / "out"), load(tmp_path / "out", "dropped")
    assert kept.num_rows + dropped.num_rows == 40
    assert all(text == text.upper() for text in kept.column("text").to_pylist())
    assert set(dropped.column("drop").to_pylist()) == {"too_short"}
    path = recipe(tmp_path, f"[[stage]]\nuse = 'shout'\ninputs = '{docs}'\nmin_chars = 900")
    assert corpuskit("run", path, "--root", tmp_path / "root", "--workers", 2).code == 0
    assert load(tmp_path / "root" / "shout").equals(kept)


def test_a_dataset_opens_with_datasets(docs: Path, tmp_path: Path, corpuskit: Any) -> None:
    corpuskit("clean", docs, tmp_path / "out", "--preset", "none")
    import datasets

    opened = datasets.load_from_disk(str(tmp_path / "out"))
    assert opened["id"][:3] == load(tmp_path / "out").column("id").to_pylist()[:3]


def test_arrow_on_standard_output_is_a_plain_ipc_stream(docs: Path) -> None:
    import subprocess
    import sys

    out = subprocess.run([sys.executable, "-m", "corpuskit", "clean", str(docs), "-"], capture_output=True, check=True)
    assert pa.ipc.open_stream(out.stdout).read_all().num_rows > 0


def test_a_missing_extra_is_found_before_anything_runs(
    docs: Path, tmp_path: Path, corpuskit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    monkeypatch.setattr(metadata, "requires", lambda name: ['no-such-package>=1; extra == "train"'])
    stages = ["clean", "train tokenizer", "tokenize", "shard", "train transformer"]
    text = "\n".join(f"[[stage]]\nuse = '{words}'" for words in stages).replace(
        "'clean'", f"'clean'\ninputs = '{docs}'"
    )
    result = corpuskit("run", recipe(tmp_path, text), "--root", tmp_path / "root")
    assert result.code == 69
    assert "needs `no-such-package`, which is not installed" in result.err
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("name", ["demo", "local", "wikipedia", "commoncrawl"])
def test_every_recipe_that_comes_with_the_source_can_be_planned(
    name: str, docs: Path, tmp_path: Path, corpuskit: Any
) -> None:
    path = README.parent / "pipelines" / f"{name}.toml"
    settings = () if name == "demo" else ("--set", f"extract.inputs={tmp_path / 'rows.jsonl'}")
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "b"}\n')
    result = corpuskit("plan", path, "--root", tmp_path / "root", *settings, "--json")
    assert result.code == 0, result.err
    assert {row["action"] for row in json.loads(result.out)} == {"run"}


def test_the_shell_script_tells_the_same_chain_as_the_demo_recipe() -> None:
    pipelines = README.parent / "pipelines"
    script = re.sub(r"^#.*$", "", (pipelines / "demo.sh").read_text(encoding="utf-8"), flags=re.M)
    called = re.findall(r"^corpuskit ((?:train |download )?[a-z]+)", script, re.M)
    used = re.findall(r'^use = "(.*)"', (pipelines / "demo.toml").read_text(encoding="utf-8"), re.M)
    assert [words for words in called if words in catalog.discover()] == used
    assert set(called) - set(used) == {"show", "verify"}


def test_a_process_that_runs_several_commands_hears_each_once() -> None:
    import logging

    from corpuskit.cli import main

    for _ in range(2):
        main(["--quiet", "show", "nowhere"])
    assert [type(each).__name__ for each in logging.getLogger("corpuskit").handlers].count("_ToProgress") == 1
