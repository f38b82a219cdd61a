"""`download hub`: sets in the shapes that the hub has, from folders and from a server that speaks its protocol."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpuskit.errors import BadData, NoInput, UsageError
from corpuskit.sources.hub import folder_revision, license_of, spdx
from corpuskit.stage import Written
from corpuskit.stages.download import hub
from corpuskit.stages.download.hub import Options, fetch, find
from tests.build import hashes, load
from tests.conftest import Result

GLUE = """---
license: mit
configs:
- config_name: sst2
  data_files:
  - {split: train, path: sst2/train-*}
  - {split: validation, path: sst2/validation-*}
- config_name: mnli
  data_files: mnli/*.parquet
---
"""


def parquet(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def card(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def imdb(tmp_path: Path) -> Path:
    folder = tmp_path / "imdb"
    for split, count in (("train", 5), ("test", 3)):
        texts = [f"Review {at} of {split}." for at in range(count)]
        parquet(
            folder / "plain_text" / f"{split}-00000-of-00001.parquet", text=texts, label=[at % 2 for at in range(count)]
        )
    return folder


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    folder = card(tmp_path / "glue", GLUE)
    parquet(folder / "sst2" / "train-0.parquet", sentence=["fine", "bad"], label=[1, 0], idx=[0, 1])
    parquet(folder / "sst2" / "validation-0.parquet", sentence=["so so"], label=[0], idx=[0])
    parquet(folder / "mnli" / "train.parquet", premise=["A.", None, None], hypothesis=["B.", "C.", None], idx=[7, 8, 9])
    return folder


def got(out: Path, folder: Path | str, **options: Any) -> list[Written]:
    """Run both steps in this process."""
    out.mkdir(exist_ok=True)
    chosen = Options(dataset=str(folder), **options)
    return list(fetch(pa.Table.from_batches(find(chosen)), chosen, out))  # type: ignore[arg-type]


def read(out: Path, name: str) -> pa.Table:
    return pq.read_table(out / name)


# The shapes of the sets


def test_a_set_of_two_splits_becomes_a_file_for_each(imdb: Path, tmp_path: Path) -> None:
    names = {each.name: each.about["rows"] for each in got(tmp_path / "out", imdb, split="all")}
    assert names == {"imdb-default-train-00000.parquet": "5", "imdb-default-test-00000.parquet": "3"}


def test_the_text_is_the_first_column_and_the_others_keep_their_values(glue: Path, tmp_path: Path) -> None:
    got(tmp_path / "out", glue, config="sst2", text_column=("sentence",))
    table = read(tmp_path / "out", "glue-sst2-train-00000.parquet")
    assert table.to_pydict() == {"text": ["fine", "bad"], "label": [1, 0], "idx": [0, 1]}


def test_several_text_columns_are_joined_by_a_blank_line_and_nulls_add_nothing(glue: Path, tmp_path: Path) -> None:
    got(tmp_path / "out", glue, config="mnli", text_column=("premise", "hypothesis"))
    table = read(tmp_path / "out", "glue-mnli-train-00000.parquet")
    assert table.to_pydict() == {"text": ["A.\n\nB.", "C.", None], "idx": [7, 8, 9]}


def test_another_column_called_text_is_kept_under_another_name(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "a.parquet", text=["short"], text_original=["x"], body=["long"], id=[3])
    got(tmp_path / "out", tmp_path / "set", text_column=("body",))
    table = read(tmp_path / "out", "set-default-train-00000.parquet")
    assert table.to_pydict() == {"text": ["long"], "text_original_2": ["short"], "text_original": ["x"], "id": [3]}


def test_nested_values_stay_nested(tmp_path: Path) -> None:
    answers = [[{"text": "yes", "label": 1}], []]
    parquet(tmp_path / "set" / "a.parquet", text=["p", "q"], answers=answers, meta=[{"n": {"deep": [1]}}, None])
    got(tmp_path / "out", tmp_path / "set")
    table = read(tmp_path / "out", "set-default-train-00000.parquet")
    assert table.column("answers").to_pylist() == answers
    assert table.column("meta").to_pylist()[0] == {"n": {"deep": [1]}}


def test_compressed_json_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    lines = "".join(json.dumps({"text": f"Page {at}\nmore"}) + "\n" for at in range(3))
    (tmp_path / "set" / "shard-0.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    got(tmp_path / "out", tmp_path / "set")
    assert read(tmp_path / "out", "set-default-train-00000.parquet").column("text").to_pylist()[2] == "Page 2\nmore"


def test_lines_of_text_files_are_rows(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    got(tmp_path / "out", tmp_path / "set")
    assert read(tmp_path / "out", "set-default-train-00000.parquet").column("text").to_pylist() == ["one", "", "two"]


def test_a_csv_column_that_is_empty_at_first_is_still_a_column_of_text(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    rows = ["text,note"] + [f"row {at}," for at in range(10_000)] + ["last,remark"]
    (tmp_path / "set" / "a.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    got(tmp_path / "out", tmp_path / "set")
    note = read(tmp_path / "out", "set-default-train-00000.parquet").column("note")
    assert (len(note), note.null_count, note[-1].as_py()) == (10_001, 10_000, "remark")


def test_words_for_nothing_are_texts_in_csv(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.csv").write_text("text,n\nNA,1\nnull,2\n,3\n", encoding="utf-8")
    got(tmp_path / "out", tmp_path / "set")
    table = read(tmp_path / "out", "set-default-train-00000.parquet")
    assert table.to_pydict() == {"text": ["NA", "null", None], "n": [1, 2, 3]}


def test_values_of_mixed_types_are_kept_as_json(tmp_path: Path, corpuskit: Any) -> None:
    (tmp_path / "set").mkdir()
    rows = [{"text": "a", "meta": {"k": 1}}, {"text": "b", "meta": {"k": ["two"]}}]
    (tmp_path / "set" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    corpuskit("download", "hub", tmp_path / "out", "--dataset", tmp_path / "set", "--license", "MIT")
    assert corpuskit("extract", tmp_path / "out", tmp_path / "docs").code == 0
    table = load(tmp_path / "docs")
    assert table.column("text").to_pylist() == ["a", "b"]
    assert "two" in table.column("extra")[1].as_py()


def test_the_names_of_labels_stay_known_to_datasets(tmp_path: Path) -> None:
    import datasets

    names = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}, features).to_parquet(tmp_path / "set" / "a.parquet")
    got(tmp_path / "out", tmp_path / "set")
    schema = pq.read_schema(tmp_path / "out" / "set-default-train-00000.parquet")
    assert datasets.Features.from_arrow_schema(schema)["label"] == names


def test_pictures_are_left_out_with_a_warning(tmp_path: Path, corpuskit: Callable[..., Result]) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "page": datasets.List(datasets.Image())})
    table = pa.table({"text": ["a"], "page": [[{"bytes": b"no picture", "path": None}]]}, features.arrow_schema)
    (tmp_path / "set").mkdir()
    pq.write_table(table, tmp_path / "set" / "a.parquet")
    result = corpuskit("download", "hub", tmp_path / "out", "--dataset", tmp_path / "set", "--license", "MIT")
    assert "columns that hold no text are left out: page" in result.err
    assert read(tmp_path / "out", "set-default-train-00000.parquet").column_names == ["text"]


def test_a_split_without_rows_is_a_file_without_rows(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "a.parquet", text=pa.array([], pa.string()))
    [written] = got(tmp_path / "out", tmp_path / "set")
    assert written.about["rows"] == "0"
    assert read(tmp_path / "out", written.name).num_rows == 0


# What is told of them


def test_the_revision_of_a_folder_is_a_hash_of_its_names_and_contents(imdb: Path) -> None:
    first = folder_revision(imdb)
    (imdb / ".cache").mkdir()
    (imdb / ".cache" / "x").touch()
    assert folder_revision(imdb) == first
    (imdb / "more.parquet").touch()
    assert folder_revision(imdb) != first
    assert folder_revision(imdb).startswith("sha256:")


def test_the_licence_of_the_card_is_told_as_spdx_and_that_of_the_user_wins(glue: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"config": "sst2", "text_column": ("sentence",)}
    assert got(tmp_path / "one", glue, **options)[0].about["license"] == "MIT"
    assert got(tmp_path / "two", glue, **options, license="CC0-1.0")[0].about["license"] == "CC0-1.0"


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
        ("odc-by", "ODC-By-1.0"),
        ("cc0-1.0", "CC0-1.0"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("unknown", "LicenseRef-unknown"),
        ("openrail++", "LicenseRef-openrail"),
    ],
)
def test_licence_words_of_the_hub_become_spdx(words: str, expression: str) -> None:
    assert spdx(words) == expression


def test_several_licences_all_hold() -> None:
    assert license_of({"license": ["mit", "cc-by-4.0"]}) == "MIT AND CC-BY-4.0"
    assert license_of({"license": "other", "license_name": "my terms"}) == "LicenseRef-my-terms"
    assert license_of({}) is None


def test_a_card_that_tells_of_other_rows_is_a_warning(imdb: Path, tmp_path: Path, corpuskit: Any) -> None:
    info = "dataset_info:\n  features:\n  - {name: text, dtype: string}\n  - {name: label, dtype: int64}\n  splits:\n"
    card(imdb, f"---\nlicense: mit\n{info}  - {{name: train, num_bytes: 9, num_examples: 6}}\n---\n")
    result = corpuskit("download", "hub", tmp_path / "out", "--dataset", imdb)
    assert (result.code, result.out) == (0, "")
    assert result.err == "warning: download hub: imdb-default-train: the card tells of 6 rows, the files hold 5\n"


def test_a_card_without_a_licence_is_a_warning(imdb: Path, tmp_path: Path, corpuskit: Any) -> None:
    result = corpuskit("download", "hub", tmp_path / "out", "--dataset", imdb)
    assert result.code == 0
    assert result.err == f"warning: download hub: {imdb}: its card names no license; name one by --license\n"


# Documents


def test_extract_carries_what_the_web_sets_tell_into_every_document(tmp_path: Path, corpuskit: Any) -> None:
    folder = card(tmp_path / "fineweb", "---\nlicense: odc-by\n---\n")
    parquet(
        folder / "data" / "000_00000.parquet",
        text=["A page.", None],
        id=["<urn:uuid:1>", "<urn:uuid:2>"],
        url=["https://a.example/", "https://b.example/"],
        date=["2013-05-18T07:24:24Z", "2013-05-19T00:00:00Z"],
        language=["en", "en"],
        language_score=[0.9, 0.8],
    )
    assert corpuskit("download", "hub", tmp_path / "out", "--dataset", folder).code == 0
    assert corpuskit("extract", tmp_path / "out", tmp_path / "docs").code == 0
    [row] = load(tmp_path / "docs").to_pylist()
    assert row == {
        "id": "<urn:uuid:1>",
        "text": "A page.",
        "source": "fineweb",
        "url": "https://a.example/",
        "title": None,
        "language": "en",
        "license": "ODC-By-1.0",
        "date": "2013-05-18T07:24:24Z",
        "author": None,
        "html_confidence": None,
        "extra": '{"language_score":0.9}',
    }
    shown = json.loads(corpuskit("show", tmp_path / "docs", "--json").out)
    assert shown["ledger"] == {"in": 2, "kept": 1, "dropped": {}, "errors": {"no_text_column": 1}}


def test_rows_without_an_id_are_named_after_file_and_row(glue: Path, tmp_path: Path, corpuskit: Any) -> None:
    words = ["--config", "sst2", "--split", "all", "--text-column", "sentence"]
    corpuskit("download", "hub", tmp_path / "out", "--dataset", glue, *words)
    corpuskit("extract", tmp_path / "out", tmp_path / "docs")
    assert load(tmp_path / "docs").column("id").to_pylist() == [
        "glue-sst2-train-00000.parquet:1",
        "glue-sst2-train-00000.parquet:2",
        "glue-sst2-validation-00000.parquet:1",
    ]


# What a user gets wrong


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "--config: {0} has several; choose one of: sst2, mnli"),
        ({"config": "qqp"}, "--config: {0} has no `qqp`; choose one of: sst2, mnli"),
        (
            {"config": "sst2", "text_column": ("sentence",), "split": "dev"},
            "--split: {0} has no `dev`; choose one of: train, validation, all",
        ),
        (
            {"config": "mnli"},
            "--text-column: {0} (mnli): it has no column `text`; give --text-column premise, --text-column hypothesis",
        ),
        (
            {"config": "sst2", "text_column": ("label",)},
            "--text-column: {0} (sst2): its column `label` is no string; give --text-column sentence",
        ),
        ({"revision": "v1"}, "--revision: {0} is a folder, which has one state only; leave it out"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(options: dict[str, Any], line: str, glue: Path) -> None:
    with pytest.raises(UsageError) as caught:
        list(find(Options(dataset=str(glue), **options)))
    assert str(caught.value) == line.format(glue)


def test_a_set_that_needs_a_script_is_refused(imdb: Path) -> None:
    (imdb / "imdb.py").touch()
    with pytest.raises(UsageError, match=r"made by a script of its own, imdb\.py, and scripts are not run"):
        list(find(Options(dataset=str(imdb))))


def test_a_folder_without_data_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"it has no data files of a known kind"):
        list(find(Options(dataset=str(card(tmp_path / "set", "# Nothing\n")))))


def test_a_damaged_file_is_bad_data_and_names_the_set(imdb: Path, tmp_path: Path) -> None:
    file = imdb / "plain_text" / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadData, match=f"dataset {imdb}: ArrowInvalid: "):
        got(tmp_path / "out", imdb)


def test_files_of_other_columns_are_bad_data(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "a.parquet", text=["a"], n=[1])
    parquet(tmp_path / "set" / "b.parquet", words=["a"])
    with pytest.raises(BadData, match=r"CastError"):
        got(tmp_path / "out", tmp_path / "set")


def test_a_folder_of_save_to_disk_is_for_extract(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "set")
    with pytest.raises(UsageError, match=r"was written by `save_to_disk`.*corpuskit extract"):
        list(find(Options(dataset=str(tmp_path / "set"))))


# Files, cuts and going on


def test_files_are_cut_at_their_bounds_and_hold_every_row_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_FILE_ROWS", 700)
    monkeypatch.setattr(hub, "_FILE_BYTES", 30_000)
    monkeypatch.setattr(hub, "_GROUP_ROWS", 64)
    texts = ["x" * (at % 97) for at in range(5_000)]
    for at in range(3):
        parquet(tmp_path / "set" / f"{at}.parquet", text=texts[at::3], n=list(range(5_000))[at::3])
    written = got(tmp_path / "out", tmp_path / "set")
    tables = [read(tmp_path / "out", each.name) for each in written]
    assert len(tables) > 5
    assert all(len(table) <= 700 for table in tables)
    assert all(sum(map(len, table.column("text").to_pylist()[:-1])) < 30_000 for table in tables)
    rows = [at for table in tables for at in table.column("n").to_pylist()]
    assert rows == [n for at in range(3) for n in range(5_000)[at::3]]
    assert sum(int(each.about["rows"]) for each in written) == 5_000


def test_limit_rows_stops_each_split(imdb: Path, tmp_path: Path) -> None:
    assert [each.about["rows"] for each in got(tmp_path / "out", imdb, split="all", limit_rows=4)] == ["4", "3"]


def test_written_files_are_told_with_their_size_and_hash(imdb: Path, tmp_path: Path) -> None:
    for each in got(tmp_path / "out", imdb, split="all"):
        data = (tmp_path / "out" / each.name).read_bytes()
        assert (each.bytes, each.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def big(folder: Path) -> Path:
    """Make a set of three files that gives some ten output files under the bounds of `CHILD`."""
    for at in range(3):
        texts = [f"{at} {row} " + "word " * (row % 50) for row in range(20_000)]
        parquet(folder / f"part-{at}.parquet", text=texts, row=list(range(20_000)))
    return folder


CHILD = """
import sys
from corpuskit.cli import main
from corpuskit.stages.download import hub
hub._FILE_ROWS, hub._GROUP_ROWS = 5_300, 900
sys.exit(main(sys.argv[1:]))
"""


def child(*words: object, **environment: str) -> subprocess.Popen[str]:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    command = [sys.executable, "-c", CHILD, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def test_a_killed_download_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    words = ["--dataset", big(tmp_path / "set"), "--license", "MIT"]
    assert child("download", "hub", tmp_path / "whole", *words).wait(60) == 0
    out = tmp_path / "cut"
    for wanted in (1, 4, 8):  # killed when so many files are whole
        process = child("download", "hub", out, *words)
        while process.poll() is None and len(list(out.rglob("*.parquet"))) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (out / "manifest.json").exists()
        assert all(pq.read_metadata(file).num_rows == 5_300 for file in out.rglob("*.parquet"))
    before = {file.name: file.stat().st_mtime_ns for file in out.rglob("*.parquet")}
    last = child("download", "hub", out, *words)
    assert (last.communicate()[1], last.returncode) == ("", 0)
    assert hashes(out) == hashes(tmp_path / "whole")
    after = {file.name: file.stat().st_mtime_ns for file in out.rglob("*.parquet")}
    noted = sorted(before)[: len(before) - 1]  # the last one may have been renamed, but not yet noted
    assert len(noted) >= 7
    assert {name: after[name] for name in noted} == {name: before[name] for name in noted}


def test_a_rerun_at_any_file_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_FILE_ROWS", 333)
    monkeypatch.setattr(hub, "_GROUP_ROWS", 50)
    for at in range(2):
        parquet(tmp_path / "set" / f"{at}.parquet", text=[f"{at} {row}" for row in range(1_100)])
    whole = got(tmp_path / "out", tmp_path / "set")
    notes = (tmp_path / "out" / "progress.part.json").read_text().splitlines(keepends=True)
    for kept in range(len(whole)):
        out = tmp_path / f"again-{kept}"
        out.mkdir()
        for each in whole[:kept]:
            (out / each.name).write_bytes((tmp_path / "out" / each.name).read_bytes())
        (out / "progress.part.json").write_text("".join(notes[:kept]) + notes[kept][:30])  # cut while noting
        assert got(out, tmp_path / "set") == whole


def test_a_noted_file_that_was_damaged_is_made_again(imdb: Path, tmp_path: Path) -> None:
    whole = got(tmp_path / "out", imdb, split="all")
    (tmp_path / "out" / whole[0].name).write_bytes(b"PAR1")
    assert got(tmp_path / "out", imdb, split="all") == whole
    assert hashlib.sha256((tmp_path / "out" / whole[0].name).read_bytes()).hexdigest() == whole[0].sha256


def test_a_folder_that_changed_under_a_download_is_bad_data(imdb: Path, tmp_path: Path) -> None:
    options = Options(dataset=str(imdb))
    listing = pa.Table.from_batches(find(options))
    (tmp_path / "out").mkdir()
    list(fetch(listing, options, tmp_path / "out"))  # type: ignore[arg-type]
    (imdb / "new.parquet").touch()
    with pytest.raises(BadData, match="no longer those that the download began with"):
        list(fetch(listing, options, tmp_path / "out"))  # type: ignore[arg-type]


# A server that speaks as much of the hub's protocol as a download needs

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Serves the folder `server.root` as the sets `org/...` at one commit; other names are the ways to refuse."""

    protocol_version = "HTTP/1.1"
    REFUSED = {  # noqa: RUF012
        "nobody/none": (401, "RepoNotFound"),
        "some/gated": (403, "GatedRepo"),
        "too/many": (429, ""),
        "bad/gateway": (502, ""),
    }

    def log_message(self, *words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        asked = unquote(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name = urlsplit(self.path).path.split("/")[4]
        paths = [part.partition("=")[2] for part in asked.split("&") if part.startswith("paths=")]
        found = [self._entry(name, path) for path in paths]
        self._answer(200, json.dumps([each for each in found if each]).encode())

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        parts = path.strip("/").split("/")
        self.server.asked.append((self.command, path, self.headers.get("Range")))  # type: ignore[attr-defined]
        if parts[:2] != ["api", "datasets"] and parts[0] != "datasets":
            self._answer(404, b"")
        elif parts[0] == "api" and "/".join(parts[2:4]) in self.REFUSED:
            status, code = self.REFUSED["/".join(parts[2:4])]
            self._answer(status, b"", {"X-Error-Code": code} if code else {})
        elif parts[0] == "api" and parts[2] == "mute":
            self.server.mute.wait(20)  # type: ignore[attr-defined]
        elif parts[0] == "api" and parts[4] == "revision" and parts[5] not in ("main", SHA):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif parts[0] == "api" and parts[4] == "revision":
            self._answer(200, json.dumps(self._info(parts[3])).encode())
        elif parts[0] == "api" and parts[4] == "tree":
            self._tree(parts[3], "/".join(parts[6:]))
        else:
            self._file(parts[2], "/".join(parts[5:]))

    def _info(self, name: str) -> dict[str, Any]:
        names = self._names(name, "")
        return {
            "id": f"org/{name}",
            "sha": SHA,
            "private": False,
            "siblings": [{"rfilename": each} for each in names],
            "cardData": {"license": "apache-2.0"},
        }

    def _names(self, name: str, under: str) -> list[str]:
        root: Path = self.server.root / name  # type: ignore[attr-defined]
        return sorted(each.relative_to(root).as_posix() for each in (root / under).rglob("*") if each.is_file())

    def _entry(self, name: str, path: str) -> dict[str, Any] | None:
        file = self.server.root / name / path  # type: ignore[attr-defined]
        if file.is_dir():
            return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
        return {"type": "file", "path": path, "oid": "0" * 40, "size": file.stat().st_size} if file.is_file() else None

    def _tree(self, name: str, under: str) -> None:
        if not (self.server.root / name / under).is_dir():  # type: ignore[attr-defined]
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        names = {each.removeprefix(under).lstrip("/").partition("/") for each in self._names(name, under)}
        deep = "recursive=true" in urlsplit(self.path).query.lower()
        found = sorted(
            {(under + "/" if under else "") + (first + slash + rest if deep else first) for first, slash, rest in names}
        )
        self._answer(200, json.dumps([self._entry(name, each) for each in found]).encode())

    def _file(self, name: str, path: str) -> None:
        file = self.server.root / name / path  # type: ignore[attr-defined]
        if not file.is_file():
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": SHA})
            return
        data = file.read_bytes()
        about = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
        if span := self.headers.get("Range"):
            first, last = (int(each or len(data) - 1) for each in span.removeprefix("bytes=").split("-"))
            about["Content-Range"] = f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
            self._answer(206, data[first : last + 1], about)
        else:
            self._answer(200, data, about)

    def _answer(self, status: int, body: bytes, fields: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(fields or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    made.root, made.asked, made.mute = tmp_path, [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.mute.set()  # type: ignore[attr-defined]
    made.shutdown()
    made.server_close()
    thread.join()


def online(server: ThreadingHTTPServer, home: Path, *words: object) -> tuple[int | None, str]:
    """Run a command against the server, with a home of its own; gives exit code and stderr."""
    where = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    process = child(*words, **where)
    err = process.communicate(timeout=60)[1]
    return process.returncode, err.replace(where["HF_ENDPOINT"], "HUB")


def test_a_set_of_the_hub_is_pinned_to_its_commit(imdb: Path, server: Any, tmp_path: Path) -> None:
    result = online(server, tmp_path / "home", "download", "hub", tmp_path / "out", "--dataset", "org/imdb")
    assert result == (0, "")
    [shard] = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["artifacts"]["dump"]["shards"]
    assert shard["file"] == "org-imdb-default-train-00000.parquet"
    assert shard["about"]["revision"] == SHA
    assert shard["about"]["source"] == "org/imdb"
    assert shard["about"]["license"] == "Apache-2.0"
    assert shard["about"]["url"].endswith(f"/datasets/org/imdb/tree/{SHA}")
    assert read(tmp_path / "out", shard["file"]).column("text")[4].as_py() == "Review 4 of train."
    files = [path for _, path, _ in server.asked if path.endswith(".parquet")]
    assert files
    assert all(f"/resolve/{SHA}/" in path for path in files)


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        (
            "nobody/none",
            69,
            "no folder of that name, and the hub has no such set (401 for HUB/api/datasets/nobody/none",
        ),
        ("some/gated", 69, "it is gated (403 for HUB/api/datasets/some/gated/revision/main); ask for access"),
        ("too/many", 75, "the hub limits its rate (429 for HUB/api/datasets/too/many/revision/main); try again later"),
        ("bad/gateway", 69, "HUB/api/datasets/bad/gateway/revision/main answers 502; check the network"),
        ("mute/mute", 69, "HUB/api/datasets/mute/mute/revision/main does not answer: TimeoutError: timed out; check"),
    ],
)
def test_what_the_hub_refuses_is_one_line_that_says_why(
    name: str, code: int, line: str, server: Any, tmp_path: Path
) -> None:
    words = ["--dataset", name, "--tries", 1, "--timeout-seconds", 0.5]
    result = online(server, tmp_path / "home", "download", "hub", tmp_path / "out", *words)
    assert result[0] == code
    assert result[1].count("\n") == 1
    assert f"dataset {name}: {line}" in result[1]


def test_an_unknown_revision_is_told(imdb: Path, server: Any, tmp_path: Path) -> None:
    words = ["--dataset", "org/imdb", "--revision", "v9"]
    code, err = online(server, tmp_path / "home", "download", "hub", tmp_path / "out", *words)
    assert (code, err.count("\n")) == (69, 1)
    assert "no revision `v9`" in err


def test_a_script_on_the_hub_is_refused(imdb: Path, server: Any, tmp_path: Path) -> None:
    (imdb / "imdb.py").touch()
    code, err = online(server, tmp_path / "home", "download", "hub", tmp_path / "out", "--dataset", "org/imdb")
    assert (code, err.count("\n")) == (2, 1)
    assert "made by a script of its own, imdb.py" in err


def test_a_name_without_a_network_is_unavailable(tmp_path: Path) -> None:
    process = child("download", "hub", tmp_path / "out", "--dataset", "org/imdb")
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 69
    assert err.endswith(
        "dataset org/imdb: no folder of that name, and HF_HUB_OFFLINE keeps from asking the hub; "
        "give the path of a folder, or unset HF_HUB_OFFLINE\n"
    )
