"""What every stage owes its users, found by discovery: a new stage is tested by being there."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpuskit import catalog, dataset
from corpuskit.cli import main
from corpuskit.dataset import MARKED
from corpuskit.errors import Unavailable
from corpuskit.executors.serial import run as serial
from corpuskit.options import specs
from corpuskit.pipeline import run_stage
from corpuskit.plan import StagePlan, final_artifacts, plan_stage
from corpuskit.stage import Files, Stage, Table
from corpuskit.verify import problems
from tests.build import hashes, load, prose, reshard, write_docs, write_table
from tests.commoncrawl_tree import CRAWL, SEGMENT, Tree, page
from tests.servers import run_nginx
from tests.test_download_wikipedia import put_content, two_files

#: Options that make a stage quick on the tests' small corpus.
QUICK: dict[str, dict[str, Any]] = {
    "download sample": {},
    "clean": {"preset": "wikipedia"},
    "train tokenizer": {"vocab_size": 600},
    "shard": {"block_tokens": 64, "valid_fraction": 0.1},
    "train ngram": {"order": 3},
    "train transformer": {"size": "tiny", "steps": 3, "batch_tokens": 256},
    "compare": {"tokens": 2048, "seeds": 2, "vocab_size": 300, "block_tokens": 64, "size": "layers=1,width=32"},
    "export": {"format": "jsonl"},
}
#: Which dataset of the small chain fits an input that takes this artifact.
GIVES = {
    "dump": "archives",
    "docs": "docs",
    "tokenizer": "tokenizer",
    "tokens": "tokens",
    "train": "blocks",
    "heldout": "blocks",
    "model": "ngram",
    "list": "list",
}
#: What a stage reads that others read something else for.
OWN = {("train classifier", "model"): "network", ("train classifier", "texts"): "labelled"}
#: A WARC record holds the moment in which its page was visited.
HOLD_THE_TIME = {"download urls"}
STAGES = list(catalog.discover())
READING = [words for words in STAGES if catalog.load(words).inputs]


@pytest.fixture(scope="module", autouse=True)
def sites(chain: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Serve what the downloads are to fetch, and tell them where it is."""
    home = tmp_path_factory.mktemp("sites")
    root = home / "site"
    put_content(root, "2026-09-01", two_files("2026-09-01"))
    tree = Tree(root)
    tree.put(f"{SEGMENT}/warc/CC-MAIN-00000.warc.gz", page("https://a.test/", "<p>One page.</p>"))
    tree.lists(f"crawl-data/{CRAWL}/warc.paths.gz", [f"{SEGMENT}/warc/CC-MAIN-00000.warc.gz"])
    (root / "page.html").write_text("<html><title>A</title><body><p>A page.</p></body></html>")
    (home / "set").mkdir()
    (home / "set" / "train.jsonl").write_text('{"text": "One."}\n{"text": "Two."}\n')
    chain["list"] = home / "list"
    chain["labelled"] = home / "labelled.jsonl"
    rows = [{"text": row["text"], "label": at % 2} for at, row in enumerate(prose(40))]
    chain["labelled"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    if importlib.util.find_spec("torch") is not None:
        words = ["train", "transformer", chain["blocks"], home / "network", "--size", "layers=1,width=32", "--steps", 2]
        assert main(["--quiet", *map(str, words), "--executor", "serial"]) == 0
        chain["network"] = home / "network"
    with run_nginx(root, home / "nginx") as server:
        chain["list"].write_text(f"{server.url}/page.html\n{server.url}/none.html\n")
        QUICK["download wikipedia"] = {"wiki": "simplewiki", "base_url": server.url}
        QUICK["download commoncrawl"] = {"crawl": CRAWL, "base_url": server.url}
        QUICK["download urls"] = {"base_url": server.url, "gap_seconds": 0.0}
        QUICK["download hub"] = {"dataset": str(home / "set")}
        yield


def inputs_of(stage: Stage, chain: dict[str, Path]) -> dict[str, Path]:
    words = next(each for each in STAGES if catalog.load(each) is stage)
    found = {}
    for each in stage.inputs:
        if not each.optional:
            name = OWN.get((words, each.name)) or next(GIVES[name] for name in each.artifacts if name in GIVES)
            if name not in chain:
                pytest.skip("needs the extra `train`")
            found[each.name] = chain[name]
    return found


def planned(words: str, inputs: dict[str, Path], out: Path) -> StagePlan:
    return plan_stage(words, QUICK.get(words, {}), {name: [str(path)] for name, path in inputs.items()}, str(out))


def outcome(words: str, inputs: dict[str, Path], out: Path) -> dataset.Manifest:
    try:
        manifest = run_stage(planned(words, inputs, out), serial).manifest
    except Unavailable as error:
        pytest.skip(str(error))
    assert list(problems(str(out))) == []
    return manifest


def content(out: Path, manifest: dataset.Manifest) -> dict[str, Any]:
    """Give what must not depend on shards: the rows of every table, in order, and the bytes of every file."""
    found: dict[str, Any] = {}
    for name, artifact in manifest.artifacts.items():
        if artifact.kind == "table":
            rows = load(out, name).to_pylist()
            # Which task marks a row decides the file that it lies in, so marked rows have no order of their own.
            found[name] = sorted(map(repr, rows)) if name in MARKED.values() else rows
        else:
            found[name] = [(shard.file, shard.sha256) for shard in artifact.shards]
    return found


def driving(stage: Stage, inputs: dict[str, Path]) -> list[str]:
    """Name the inputs that hold tables, which can be cut into other shards."""
    return [name for name, path in inputs.items() if (path / "manifest.json").exists()]


@pytest.mark.parametrize("words", READING)
def test_rows_and_bytes_are_the_same_for_any_number_of_shards_and_any_batch_size(
    words: str, chain: dict[str, Path], tmp_path: Path
) -> None:
    stage = catalog.load(words)
    inputs = inputs_of(stage, chain)
    tables = driving(stage, inputs)
    if not tables:
        pytest.skip("reads raw files only")
    results = []
    for shards, batch_rows in ((1, 1000), (3, 7), (7, 1)):
        layout = tmp_path / f"{shards}"
        cut = {name: reshard(inputs[name], layout / name, shards=shards, batch_rows=batch_rows) for name in tables}
        manifest = outcome(words, {**inputs, **cut}, layout / "out")
        results.append((manifest.key, manifest.ledger, content(layout / "out", manifest)))
    assert results[0][0] == results[1][0] == results[2][0]
    assert results[0][1] == results[1][1] == results[2][1]
    for name in results[0][2]:
        assert results[0][2][name] == results[1][2][name] == results[2][2][name], name


@pytest.mark.parametrize("words", READING)
def test_every_row_that_comes_in_is_kept_dropped_or_an_error(
    words: str, chain: dict[str, Path], tmp_path: Path
) -> None:
    manifest = outcome(words, inputs_of(catalog.load(words), chain), tmp_path / "out")
    assert manifest.ledger.rows_in > 0
    assert manifest.ledger.adds_up
    assert all(ledger.adds_up for ledger in manifest.tasks)


@pytest.mark.parametrize("words", READING)
def test_drop_and_error_reasons_are_declared_with_their_meaning(
    words: str, chain: dict[str, Path], tmp_path: Path
) -> None:
    manifest = outcome(words, inputs_of(catalog.load(words), chain), tmp_path / "out")
    declared = catalog.load(words).reasons
    assert {*manifest.ledger.dropped, *manifest.ledger.errors} <= set(declared)
    assert all(len(meaning.split()) > 2 for meaning in declared.values())


@pytest.mark.parametrize("words", READING)
def test_inputs_are_left_untouched(words: str, chain: dict[str, Path], tmp_path: Path) -> None:
    inputs = inputs_of(catalog.load(words), chain)
    copies = {}
    for name, path in inputs.items():
        copies[name] = tmp_path / name
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copies[name])
    before = {name: hashes(path) for name, path in copies.items()}
    outcome(words, copies, tmp_path / "out")
    assert {name: hashes(path) for name, path in copies.items()} == before


@pytest.mark.parametrize("words", READING)
def test_empty_input_gives_an_empty_output_of_the_same_columns(
    words: str, chain: dict[str, Path], tmp_path: Path
) -> None:
    stage = catalog.load(words)
    mistakes = {"download urls": "a list without addresses", "train classifier": "texts without two labels"}
    if words in mistakes:
        pytest.skip(f"{mistakes[words]} is a mistake")
    full_inputs = inputs_of(stage, chain)
    if not driving(stage, full_inputs):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "nothing.jsonl").touch()
        inputs = dict.fromkeys(full_inputs, tmp_path / "in")
    else:
        # Evaluation texts without a text are a mistake: nothing would be looked for.
        inputs = {
            name: path if name == "against" else emptied(path, tmp_path / name) for name, path in full_inputs.items()
        }
    full = outcome(words, full_inputs, tmp_path / "full")
    empty = outcome(words, inputs, tmp_path / "empty")
    for name, artifact in full.artifacts.items():
        if artifact.kind == "table" and name not in (*MARKED.values(), "log"):
            assert empty.artifacts[name].rows == 0
            assert empty.artifacts[name].columns == artifact.columns


def emptied(path: Path, target: Path) -> Path:
    """Copy a dataset without its rows; models and tokenizers stay as they are."""
    manifest = dataset.read_manifest(str(path))
    tables = {
        name: pa.Table.from_batches([], load(path, name).schema)
        for name, artifact in manifest.artifacts.items()
        if artifact.kind == "table" and name not in MARKED.values()
    }
    if not tables or manifest.main == "model":
        shutil.copytree(path, target)
        return target
    made = write_table(target, tables, shards=1, batch_rows=10)
    artifacts = dict(made.artifacts)
    for name, artifact in manifest.artifacts.items():
        if artifact.kind == "files":
            artifacts[name] = artifact
            shutil.copytree(path / artifact.folder, target / artifact.folder)
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    (target / dataset.MANIFEST).write_bytes(dataset.Manifest(**{**fields, "artifacts": artifacts}).encode())
    return target


@pytest.mark.parametrize("words", STAGES)
def test_a_second_run_makes_the_same_bytes(words: str, chain: dict[str, Path], tmp_path: Path) -> None:
    if words in HOLD_THE_TIME:
        pytest.skip("its output holds the time of the visit")
    inputs = inputs_of(catalog.load(words), chain)
    outcome(words, inputs, tmp_path / "one")
    outcome(words, inputs, tmp_path / "two")
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


@pytest.mark.parametrize("words", STAGES)
def test_further_columns_of_documents_pass_through(words: str, tmp_path: Path) -> None:
    stage = catalog.load(words)
    main = next(iter(final_artifacts(stage).items()))
    if [each.name for each in stage.inputs] != ["docs"] or main[0] != "docs":
        pytest.skip("does not turn documents into documents")
    write_docs(tmp_path / "plain", prose(20))
    table = load(tmp_path / "plain").append_column("my_score", pa.array([0.5] * 20))
    write_table(tmp_path / "docs", {"docs": table}, shards=2, batch_rows=3)
    outcome(words, {"docs": tmp_path / "docs"}, tmp_path / "out")
    out = load(tmp_path / "out")
    assert out.num_rows > 0
    assert set(out.column("my_score").to_pylist()) == {0.5}


@pytest.mark.parametrize("words", STAGES)
def test_a_stage_declares_itself_well(words: str) -> None:
    stage = catalog.load(words)
    first = catalog.docstring(words).split("\n")[0]
    assert first.endswith(".")
    assert len(first) <= 80
    assert dataclasses.is_dataclass(stage.options)
    assert stage.options.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert sum(not spec.how for spec in specs(stage.options)) <= 12
    assert all(len(spec.help) > 10 for spec in specs(stage.options)), "an option without help"
    assert all(isinstance(what, Table | Files) for step in stage.steps for what in step.writes.values())


def test_declaring_a_stage_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom corpuskit import catalog\nfor words in catalog.discover(): catalog.load(words)\n"
        "heavy = {'torch', 'datasets', 'ray', 'numba', 'scipy', 'tokenizers', 'ftfy', 'datasketch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize("words", STAGES)
def test_the_help_of_a_stage_names_every_option_and_every_reason(words: str, corpuskit: Any) -> None:
    result = corpuskit(*words.split(), "--help")
    stage = catalog.load(words)
    assert result.code == 0
    for spec in specs(stage.options):
        assert spec.flag in result.out
    for reason in stage.reasons:
        assert reason in result.out


def test_the_summary_of_a_dataset_is_one_json_object_that_adds_up(chain: dict[str, Path], corpuskit: Any) -> None:
    for name in ("docs", "tokens", "blocks", "ngram", "tokenizer"):
        shown = json.loads(corpuskit("show", chain[name], "--json").out)
        ledger = shown["ledger"]
        assert ledger["in"] == ledger["kept"] + sum(ledger["dropped"].values()) + sum(ledger["errors"].values())
