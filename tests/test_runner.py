"""What a run owes its users: the same bytes however it is run, nothing lost or done twice or overwritten."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from corpuskit import catalog, dataset, storage
from tests.build import hashes, load, prose, write_archives, write_docs
from tests.conftest import shell

RECIPE = """
[[stage]]
use = "extract"
inputs = "{archives}"
[[stage]]
use = "clean"
preset = "none"
threshold = ["words>=5"]
[[stage]]
use = "dedup"
[[stage]]
use = "train tokenizer"
vocab_size = 600
[[stage]]
use = "tokenize"
[[stage]]
use = "shard"
block_tokens = 64
valid_fraction = 0.2
[[stage]]
use = "train ngram"
order = 3
[[stage]]
use = "evaluate"
"""

#: A stage whose second shard fails while a file named `trip` is there, and which counts its calls in a file.
FRAGILE = '''
"""Fail on purpose."""
from __future__ import annotations
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from corpuskit.errors import CorpuskitError
from corpuskit.options import option
from corpuskit.schema import DOCS
from corpuskit.stage import Batches, Input, Stage, Step, Table, Yield

@dataclass(frozen=True)
class Options:
    folder: str = option(..., "Where the trip wire and the log are.")
    lose: bool = option(False, "Lose a row.")
    reason: str | None = option(None, "Mark every row with this reason.")

def run(docs: Batches, options: Options, shard: int) -> Iterator[Yield]:
    from corpuskit.schema import mark
    with open(Path(options.folder) / "log", "a") as log:
        log.write(f"{shard}\\n")
    if (Path(options.folder) / "sleep").exists():
        time.sleep(60)
    if shard == 1 and (Path(options.folder) / "trip").exists():
        raise CorpuskitError("fragile", "tripped", "remove the wire")
    for batch in docs:
        if options.reason:
            batch = mark(batch, [options.reason] * batch.num_rows)
        yield batch.slice(1) if options.lose else batch

STAGE = Stage(Options, (Input("docs", "documents."),), (Step(run, {"docs": Table(DOCS, conserves="docs")}),))
'''

GOLDEN_ROWS = """{"id": "a", "text": "the cat and the dog have a house"}
{"id": "b", "text": "too short"}
{"id": "c", "text": "the sun is to rise and the moon to set", "mood": "good"}
{"id": "d"}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    archives = write_archives(tmp_path / "archives")
    path = tmp_path / "small.toml"
    path.write_text(RECIPE.format(archives=archives), encoding="utf-8")
    return path


@pytest.fixture
def fragile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "fragile.py").write_text(FRAGILE, encoding="utf-8")
    monkeypatch.setenv(catalog.VARIABLE, str(tmp_path / "stages"))
    catalog.load.cache_clear()
    write_docs(tmp_path / "docs", prose(30), shards=3)
    return tmp_path


def test_serial_pool_and_ray_write_the_same_bytes(recipe: Path, tmp_path: Path, corpuskit: Any) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    pytest.importorskip("torch", reason="needs the extra `train`")
    with recipe.open("a", encoding="utf-8") as file:
        file.write("[[stage]]\nuse = 'train transformer'\nsteps = 3\nbatch_tokens = 256\n")
        file.write("[[stage]]\nuse = 'evaluate'\nname = 'evaluate-transformer'\nmodel = 'train-transformer'\n")
    for root, how in {"serial": (), "pool": ("--workers", 2), "ray": ("--workers", 2)}.items():
        result = corpuskit("run", recipe, "--root", tmp_path / root, "--executor", root, *how)
        assert result.code == 0, result.err
        assert result.err == ""
    assert hashes(tmp_path / "serial") == hashes(tmp_path / "pool")
    assert hashes(tmp_path / "serial") == hashes(tmp_path / "ray")


def test_after_kill_9_at_random_points_a_rerun_ends_with_the_same_bytes(
    recipe: Path, tmp_path: Path, corpuskit: Any
) -> None:
    assert corpuskit("run", recipe, "--root", tmp_path / "whole", "--executor", "serial").code == 0
    command = [sys.executable, "-m", "corpuskit", "run", str(recipe), "--root", str(tmp_path / "cut"), "--workers", "2"]
    rng, kills, longest = random.Random(7), 0, 3.0
    while kills < 8:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(rng.uniform(0.3, longest))
        except subprocess.TimeoutExpired:
            child.kill()
            kills += 1
        else:  # it got through: begin anew, and strike earlier
            assert child.returncode in (0, 75)
            subprocess.run(["rm", "-rf", str(tmp_path / "cut")], check=True)
            longest *= 0.8
        child.wait()
        time.sleep(0.2)  # workers notice that their parent is gone
    assert subprocess.run(command, check=False).returncode == 0
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")


@pytest.mark.parametrize("when", ["before the rename", "after it"])
def test_cut_off_at_any_rename_nothing_is_left_beside_the_files(
    when: str, tmp_path: Path, corpuskit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """What kill -9 does: no handler of ours runs."""

    write_docs(tmp_path / "docs", prose(30), shards=2)
    how = ("--preset", "none", "--executor", "serial")
    assert corpuskit("clean", tmp_path / "docs", tmp_path / "whole", *how).code == 0
    rename, left = os.replace, 0

    def cut(old: str, new: str) -> None:
        nonlocal left
        left -= 1
        if left == 0 and when.startswith("before"):
            raise Killed
        rename(old, new)
        if left == 0:
            raise Killed

    for at in range(1, 99):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", cut)
            patch.setattr(storage.Sink, "abort", lambda self: None)
            left = at
            try:
                result = corpuskit("clean", tmp_path / "docs", tmp_path / "cut", *how)
            except Killed:
                continue
        assert result.code == 0
        assert at > 4  # what is done stays done, so there are fewer each time; the commit is done again
        break
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")


def test_a_second_run_skips_every_stage_and_says_so(recipe: Path, tmp_path: Path, corpuskit: Any) -> None:
    corpuskit("run", recipe, "--root", tmp_path / "root", "--executor", "serial")
    before = hashes(tmp_path / "root")
    result = corpuskit("--verbose", "run", recipe, "--root", tmp_path / "root")
    assert result.err.count("skipped, it is done") == 8
    assert "0 stages ran, 8 skipped" in result.err
    assert hashes(tmp_path / "root") == before


def test_a_rerun_does_only_the_shards_that_are_missing(fragile: Path, corpuskit: Any) -> None:
    (fragile / "trip").touch()
    command = ("fragile", fragile / "docs", fragile / "out", "--folder", fragile, "--executor", "serial")
    failed = corpuskit(*command)
    assert (failed.code, failed.err) == (1, "error: fragile: tripped; remove the wire\n")
    assert not dataset.is_dataset(str(fragile / "out"))
    (fragile / "trip").unlink()
    assert corpuskit(*command).code == 0
    assert (fragile / "log").read_text() == "0\n1\n1\n2\n"
    assert not (fragile / "out" / ".work").exists()


def test_a_shard_that_was_damaged_between_two_attempts_is_made_anew(fragile: Path, corpuskit: Any) -> None:
    (fragile / "trip").touch()
    command = ("fragile", fragile / "docs", fragile / "out", "--folder", fragile, "--executor", "serial")
    corpuskit(*command)
    (fragile / "trip").unlink()
    (shard,) = (fragile / "out" / ".work").rglob("docs-00000-*.arrow")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert corpuskit(*command).code == 0
    assert (fragile / "log").read_text() == "0\n1\n0\n1\n2\n"
    assert load(fragile / "out").num_rows == 30


@pytest.mark.parametrize("executor", ["serial", "pool", "ray"])
def test_a_mistake_of_the_user_is_one_line_with_every_executor(fragile: Path, corpuskit: Any, executor: str) -> None:
    if executor == "ray":
        pytest.importorskip("ray", reason="needs the extra `ray`")
    (fragile / "trip").touch()
    result = corpuskit(
        "fragile", fragile / "docs", fragile / "out", "--folder", fragile, "--executor", executor, "--workers", 2
    )
    assert (result.code, result.err) == (1, "error: fragile: tripped; remove the wire\n")


def test_a_stage_that_loses_a_row_is_a_failed_run(fragile: Path, corpuskit: Any) -> None:
    result = corpuskit("fragile", fragile / "docs", fragile / "out", "--folder", fragile, "--lose")
    assert result.code == 1
    assert "10 came in, but 9 were kept and 0 marked" in result.err


def test_a_reason_that_is_not_declared_is_a_failed_run(fragile: Path, corpuskit: Any) -> None:
    result = corpuskit("fragile", fragile / "docs", fragile / "out", "--folder", fragile, "--reason", "whim")
    assert result.code == 1
    assert "`whim`, which is not declared" in result.err


def test_the_output_of_another_run_is_not_overwritten_unless_asked(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(20))
    corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--preset", "none")
    refused = corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--preset", "gopher")
    assert refused.code == 73
    assert "option `preset` was 'none', now 'gopher'" in refused.err
    assert "--overwrite" in refused.err
    assert corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--preset", "gopher", "--overwrite").code == 0
    corpuskit("clean", tmp_path / "docs", tmp_path / "fresh", "--preset", "gopher")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_a_dataset_that_lost_a_file_is_made_anew(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(20), shards=2)
    corpuskit("clean", tmp_path / "docs", tmp_path / "out")
    before = hashes(tmp_path / "out")
    (tmp_path / "out" / "docs-00001-of-00002.arrow").unlink()
    assert corpuskit("verify", tmp_path / "out").code == 65
    result = corpuskit("--verbose", "clean", tmp_path / "docs", tmp_path / "out")
    assert (result.code, "skipped" in result.err) == (0, False)
    assert hashes(tmp_path / "out") == before


def test_a_folder_that_corpuskit_did_not_write_is_left_alone(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(5))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    result = corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--overwrite")
    assert result.code == 73
    assert "holds thesis.txt, which corpuskit did not write" in result.err
    assert os.listdir(tmp_path / "out") == ["thesis.txt"]


def test_two_runs_in_one_folder_do_not_meet(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(5))
    (tmp_path / "out" / ".work").mkdir(parents=True)
    with open(tmp_path / "out" / ".work" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = corpuskit("clean", tmp_path / "docs", tmp_path / "out")
    assert result.code == 75
    assert "another run works in this folder" in result.err


def test_a_run_waits_for_the_workers_of_one_that_was_killed(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(5))
    (tmp_path / "out" / ".work").mkdir(parents=True)
    lock = open(tmp_path / "out" / ".work" / "lock", "w")  # noqa: SIM115  # closed by another thread
    fcntl.flock(lock, fcntl.LOCK_EX)
    dying = threading.Timer(0.4, lock.close)
    dying.start()
    result = corpuskit("clean", tmp_path / "docs", tmp_path / "out")
    dying.join()
    assert result.code == 0


def test_one_flipped_byte_in_any_file_is_found_and_the_file_named(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(60), shards=2)
    corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--threshold", "words=149")
    assert corpuskit("verify", tmp_path / "out").code == 0
    manifest = dataset.read_manifest(str(tmp_path / "out"))
    files = [path for a in manifest.artifacts.values() for path in dataset.shard_paths(str(tmp_path / "out"), a)]
    assert len(files) == 4
    rng = random.Random(0)
    for file in files:
        data = bytearray(Path(file).read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 0x10
        Path(file).write_bytes(data)
        result = corpuskit("verify", tmp_path / "out")
        assert result.code == 65
        assert file in result.err
        data[at] ^= 0x10
        Path(file).write_bytes(data)
    assert corpuskit("verify", tmp_path / "out").code == 0


def test_a_manifest_that_tells_another_ledger_is_found(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(60))
    corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--threshold", "words=149")
    path = tmp_path / "out" / "manifest.json"
    words = json.loads(path.read_text())
    words["ledger"]["in"] += 1
    words["ledger"]["kept"] += 1
    path.write_text(json.dumps(words))
    result = corpuskit("verify", tmp_path / "out")
    assert result.code == 65
    assert "manifest.json: the ledger says" in result.err


def test_sigterm_ends_a_run_and_its_workers_with_143(fragile: Path) -> None:
    (fragile / "sleep").touch()
    words = ["fragile", fragile / "docs", fragile / "out", "--folder", fragile, "--workers", 2]
    command = [sys.executable, "-m", "corpuskit", *map(str, words)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 30
    while not (fragile / "log").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (143, b"")
    assert b"Traceback" not in err
    time.sleep(0.5)
    left = subprocess.run(["ps", "-e", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    mine = [line for line in left.splitlines() if line.split()[0] == str(child.pid)]
    assert [line for line in mine if not line.split()[1].startswith("Z")] == []


def test_a_full_disk_is_one_line_and_a_rerun_completes(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "docs", prose(300))
    # A limit on the size of files stands in for a disk that is full.
    result = shell(f"ulimit -f 50; corpuskit clean {tmp_path}/docs {tmp_path}/out --preset none")
    assert result.returncode == 74
    assert "cannot write" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "out").rglob("*.tmp.*"))
    assert corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--preset", "none").code == 0


def test_the_manifest_of_a_tiny_recipe_is_the_golden_one(tmp_path: Path, corpuskit: Any) -> None:
    # Keys decide what is skipped: if this changes, every user's data is made anew. Raise a stage's version then.
    (tmp_path / "rows.jsonl").write_text(GOLDEN_ROWS, encoding="utf-8")
    path = tmp_path / "golden.toml"
    extract = f"[[stage]]\nuse = 'extract'\ninputs = '{tmp_path}/rows.jsonl'\n"
    path.write_text(extract + "[[stage]]\nuse = 'clean'\npreset = 'wikipedia'\nthreshold = ['words=4']\n")
    corpuskit("run", path, "--root", tmp_path / "root", "--executor", "serial")
    made = json.loads((tmp_path / "root" / "clean" / "manifest.json").read_text())
    golden = json.loads((Path(__file__).parent / "cases" / "golden_manifest.json").read_text())
    assert made == golden


def test_the_ledger_of_mixed_archives_counts_every_row_under_its_reason(
    recipe: Path, tmp_path: Path, corpuskit: Any
) -> None:
    corpuskit("run", recipe, "--root", tmp_path / "root", "--until", "clean", "--executor", "serial")
    extract = json.loads((tmp_path / "root" / "extract" / "manifest.json").read_text())
    # 30 pages (3 redirects, 3 of namespace 4), 20 records (4 of status 404), 11 lines (1 is no JSON).
    assert extract["ledger"]["in"] == 61
    assert extract["ledger"]["kept"] == 24 + 16 + 10
    assert extract["ledger"]["dropped"] == {"http_status": 4, "not_namespace_0": 3, "redirect": 3}
    assert extract["ledger"]["errors"] == {"bad_json": 1}
    text = (tmp_path / "root" / "clean" / "manifest.json").read_text()
    assert str(tmp_path) not in text


def test_a_root_that_is_a_uri_gets_the_same_bytes(recipe: Path, tmp_path: Path, corpuskit: Any) -> None:
    # file:// takes the road of s3:// and gs://: no memory-mapping, no links, no locks.
    for root in (f"file://{tmp_path}/uri", str(tmp_path / "path")):
        result = corpuskit("run", recipe, "--root", root, "--executor", "serial")
        assert (result.code, result.err) == (0, "")
    assert hashes(tmp_path / "uri") == hashes(tmp_path / "path")
    assert corpuskit("verify", f"file://{tmp_path}/uri").code == 0
