"""`card`: a dataset card that people and the Hub read, and a croissant.json that mlcroissant takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpuskit import dataset
from tests.build import hashes, load, prose, write_docs

LICENSES = {"books": "CC0-1.0", "wiki": "CC-BY-SA-4.0"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from documents of two sources to blocks, and an export of them."""
    from corpuskit.cli import main

    root = tmp_path_factory.mktemp("run")
    rows = [
        {**row, "source": source, "license": LICENSES[source], "language": "en"}
        for row, source in zip(prose(200), ["books", "wiki", "wiki", "wiki"] * 50, strict=True)
    ]
    write_docs(root / "raw", [*rows, {**rows[0], "id": "again"}, {**rows[1], "id": "empty", "text": " "}])
    write_docs(root / "other", rows[:100])
    for words in (
        ["clean", root / "raw", root / "clean", "--preset", "none"],
        ["dedup", root / "clean", root / "dedup"],
        ["train", "tokenizer", root / "other", root / "tokenizer", "--vocab-size", 600],
        ["tokenize", root / "dedup", root / "tokens", "--tokenizer", root / "tokenizer"],
        [
            "shard",
            root / "tokens",
            root / "blocks",
            "--block-tokens",
            64,
            "--valid-fraction",
            0.1,
            "--pack",
            "best-fit",
        ],
        ["export", root / "blocks", root / "parquet", "--format", "parquet"],
        ["export", root / "blocks", root / "nanogpt", "--format", "nanogpt"],
    ):
        assert main(["--quiet", *map(str, words), "--executor", "serial"]) == 0
    return root


def croissant(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "croissant.json").read_text("utf-8"))
    return found


def head(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((path / "README.md").read_text("utf-8").split("---\n")[1])
    return found


@pytest.mark.parametrize("name", ["blocks", "parquet", "nanogpt", "dedup"])
@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_takes_the_description(made: Path, corpuskit: Any, name: str) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    result = corpuskit("card", made / name)
    assert result.code == 0, result.err
    opened = mlcroissant.Dataset(str(made / name / "croissant.json"))
    assert opened.metadata.name == name
    assert str(opened.metadata.ctx.conforms_to.value).endswith("/1.1")
    assert not list(opened.metadata.issues.errors)


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_reads_the_rows_of_parquet(made: Path, corpuskit: Any) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    assert corpuskit("card", made / "parquet").code == 0
    opened = mlcroissant.Dataset(str(made / "parquet" / "croissant.json"))
    found = [list(row["valid/input_ids"]) for row in opened.records("valid")]
    assert found == load(made / "blocks", "valid").column("input_ids").to_pylist()


@pytest.mark.parametrize("name", ["blocks", "parquet"])
def test_every_file_has_its_hash_and_size(made: Path, corpuskit: Any, name: str) -> None:
    assert corpuskit("card", made / name).code == 0
    told = {
        each["contentUrl"]: (each["sha256"], each["contentSize"])
        for each in croissant(made / name)["distribution"]
        if "sha256" in each
    }
    apart = {"manifest.json", "croissant.json", "README.md"}
    there = {
        file: (digest, f"{(made / name / file).stat().st_size} B")
        for file, digest in hashes(made / name).items()
        if file not in apart and not file.endswith(("state.json", "dataset_info.json"))
    }
    assert told == there


def test_the_description_tells_what_the_data_was_derived_from(made: Path, corpuskit: Any) -> None:
    assert corpuskit("card", made / "blocks").code == 0
    found = croissant(made / "blocks")
    labels = [each["prov:label"] for each in found["prov:wasDerivedFrom"]]
    assert labels[:2] == ["books", "wiki"]
    assert "output of tokenize" in labels
    runs = {each["prov:label"]: each for each in found["prov:wasGeneratedBy"]}
    assert list(runs)[-1] == "shard"
    tokens = dataset.read_manifest(str(made / "tokens")).key
    assert {"@id": f"urn:corpuskit:{tokens}"} in runs["shard"]["prov:used"]
    assert found["license"] == [f"https://spdx.org/licenses/{each}.html" for each in ("CC-BY-SA-4.0", "CC0-1.0")]


def test_the_head_is_one_that_the_hub_reads(made: Path, corpuskit: Any) -> None:
    from huggingface_hub import DatasetCard

    assert corpuskit("card", made / "blocks", "--name", "Small corpus").code == 0
    card = DatasetCard((made / "blocks" / "README.md").read_text("utf-8"))
    assert card.data.pretty_name == "Small corpus"
    assert card.data.license == ["cc-by-sa-4.0", "cc0-1.0"]
    assert card.data.language == ["en"]
    assert card.data.size_categories == ["1K<n<10K"]


@pytest.mark.parametrize("name", ["blocks", "parquet"])
def test_datasets_finds_the_splits_by_the_card(made: Path, corpuskit: Any, tmp_path: Path, name: str) -> None:
    import datasets

    assert corpuskit("card", made / name).code == 0
    found = datasets.load_dataset(str(made / name), cache_dir=str(tmp_path))
    for split, ours in (("train", "train"), ("validation", "valid")):
        assert found[split]["input_ids"][:] == load(made / "blocks", ours).column("input_ids").to_pylist()


def test_the_card_tells_sources_stages_and_the_ledger_summed_up(made: Path, corpuskit: Any) -> None:
    assert corpuskit("card", made / "blocks").code == 0
    text = (made / "blocks" / "README.md").read_text("utf-8")
    assert "| wiki | [CC-BY-SA-4.0](https://spdx.org/licenses/CC-BY-SA-4.0.html) | en | 148 |" in text
    assert "| books | [CC0-1.0](https://spdx.org/licenses/CC0-1.0.html) | en | 48 |" in text
    assert "| `dedup` | rows | 201 | 196 | 5 | 0 | near_duplicate 4, exact_duplicate 1 |" in text
    assert "Documents in all: 202 came in = 196 kept + 6 dropped + 0 errors." in text
    assert "Used on the way: what `test`" in text
    assert "`<|endoftext|>` (id 0)" in text
    assert "concatenation cuts" in text


def test_the_same_datasets_give_the_same_bytes(made: Path, corpuskit: Any) -> None:
    assert corpuskit("card", made / "blocks").code == 0
    before = hashes(made / "blocks")
    assert corpuskit("card", made / "blocks").code == 0
    assert hashes(made / "blocks") == before
    assert corpuskit("verify", made / "blocks").code == 0


def test_what_a_person_says_has_the_last_word(made: Path, corpuskit: Any) -> None:
    words = [
        "--license",
        "LicenseRef-Ours",
        "--description",
        "Prose.",
        "--url",
        "https://a.example/",
        "--creator",
        "Us",
    ]
    assert corpuskit("card", made / "nanogpt", *words).code == 0
    found = croissant(made / "nanogpt")
    assert found["license"] == ["LicenseRef-Ours"]
    assert (found["description"], found["url"], found["creator"]["name"]) == ("Prose.", "https://a.example/", "Us")
    assert head(made / "nanogpt")["license"] == "other"
    assert head(made / "nanogpt")["license_name"] == "LicenseRef-Ours"
    assert "configs" not in head(made / "nanogpt")


def test_documents_that_are_not_at_hand_are_said_to_be_so_or_given(
    chain: dict[str, Path], corpuskit: Any, tmp_path: Path, made: Path
) -> None:
    import shutil

    alone = tmp_path / "away" / "blocks"
    shutil.copytree(made / "blocks", alone, ignore=shutil.ignore_patterns("README.md", "croissant.json"))
    assert corpuskit("card", alone).code == 0
    assert "were not at hand" in (alone / "README.md").read_text("utf-8")
    assert "license" not in croissant(alone)
    assert corpuskit("card", alone, "--docs", made / "dedup").code == 0
    assert "| wiki |" in (alone / "README.md").read_text("utf-8")
    result = corpuskit("card", alone, "--docs", chain["docs"])
    assert result.code == 2
    assert "was not made of" in result.err


def test_a_readme_of_a_person_is_left_alone(made: Path, corpuskit: Any) -> None:
    (made / "tokens" / "README.md").write_text("mine")
    result = corpuskit("card", made / "tokens")
    assert result.code == 73
    assert (made / "tokens" / "README.md").read_text() == "mine"
    assert not (made / "tokens" / "croissant.json").exists()


def test_a_card_of_what_is_no_dataset_is_no_input(corpuskit: Any, tmp_path: Path) -> None:
    assert corpuskit("card", tmp_path).code == 66


def test_words_of_documents_cannot_break_a_table(corpuskit: Any, tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "b", "source": "x | y\n\x1b[2J", "license": None}]
    write_docs(tmp_path / "docs", rows)
    assert corpuskit("card", tmp_path / "docs").code == 0
    assert "| x \\| y �[2J | not said | not said | 1 | 1 |" in (tmp_path / "docs" / "README.md").read_text("utf-8")
