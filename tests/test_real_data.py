"""The chain on archives that nobody here made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.build import load
from tests.data import shared

PIPELINES = Path(__file__).parents[1] / "pipelines"
#: Documents that come out of `extract`: HTML responses of status 200, conversion records, pages of namespace 0.
DOCUMENTS = {
    "wikipedia/ltgwiki-pages-articles.xml.bz2": 903,
    "wikipedia/enwiki-pages-articles1-p10p30302-shortened.xml.bz2": 106,
    "warc/whirlwind.warc.gz": 1,
    "warc/dolma-sample-0000.warc.gz": 22,
    "warc/resiliparse-warcfile.warc.gz": 16,
    "warc/resiliparse-clipped.warc.gz": 1,
    "warc/aut-example.warc.gz": 94,
    "warc/commoncrawlscalatools-filter_test_1.wet.gz": 25,
    "warc/whirlwind.warc.wet.gz": 1,
    "warc/whirlwind.warc.wat.gz": 0,
    "warc/nodewarc-books.toscrape.warc": 1,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_of_an_archive_are_all_there_and_the_ledger_adds_up(
    name: str, tmp_path: Path, corpuskit: Any
) -> None:
    archive = shared(name)
    assert corpuskit("extract", archive, tmp_path / "docs", "--executor", "serial").code == 0
    shown = json.loads(corpuskit("show", tmp_path / "docs", "--json").out)
    assert shown["rows"] == DOCUMENTS[name]
    assert corpuskit("verify", tmp_path / "docs").code == 0


@pytest.mark.parametrize(
    "name", ["wikipedia/ltgwiki-pages-articles.xml.bz2", "warc/whirlwind.warc.gz", "warc/whirlwind.warc.wat.gz"]
)
def test_the_local_recipe_runs_to_its_end_on_large_tiny_and_empty_input(
    name: str, tmp_path: Path, corpuskit: Any
) -> None:
    settings = [f"extract.inputs={shared(name)}", "train-transformer.steps=3", "shard.block-tokens=64"]
    words = [word for setting in settings for word in ("--set", setting)]
    result = corpuskit("run", PIPELINES / "local.toml", "--root", tmp_path / "root", *words, "--executor", "serial")
    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    assert corpuskit("verify", tmp_path / "root").code == 0
    table = corpuskit("show", tmp_path / "root").out
    assert "gzip -9" in table
    assert "transformer" in table


def test_articles_of_a_small_wikipedia_hold_no_markup(tmp_path: Path, corpuskit: Any) -> None:
    corpuskit("extract", shared("wikipedia/ltgwiki-pages-articles.xml.bz2"), tmp_path / "docs")
    texts = load(tmp_path / "docs").column("text").to_pylist()
    leftovers = [text for text in texts if re.search(r"\{\{|\}\}|\[\[|\]\]|\{\||<ref", text)]
    assert len(leftovers) <= len(texts) * 0.005


def test_held_out_documents_are_whole_and_never_seen_in_train(tmp_path: Path, corpuskit: Any) -> None:
    docs, tokens, blocks = tmp_path / "docs", tmp_path / "tokens", tmp_path / "blocks"
    corpuskit("extract", shared("wikipedia/ltgwiki-pages-articles.xml.bz2"), docs)
    corpuskit("train", "tokenizer", docs, tmp_path / "tokenizer", "--vocab-size", 2048)
    corpuskit("tokenize", docs, tokens, "--tokenizer", tmp_path / "tokenizer")
    corpuskit("shard", tokens, blocks, "--block-tokens", 128, "--valid-fraction", 0.05)
    import datasets

    ids = {
        split: [i for row in datasets.load_from_disk(str(blocks / split))["input_ids"] for i in row]
        for split in ("train", "valid")
    }
    rows = load(tokens).to_pylist()
    held = {row["id"]: row["input_ids"] for row in load(blocks, "heldout").to_pylist()}
    assert held == {row["id"]: row["input_ids"] for row in rows if row["id"] in held}
    # The valid split is the held-out documents one after the other, up to the partial block at its end.
    stream = [i for document in held.values() for i in document]
    assert ids["valid"] == stream[: len(ids["valid"])]
    assert len(stream) - len(ids["valid"]) < 128
    train = ",".join(map(str, ids["train"]))
    long = [document for document in held.values() if len(document) > 40]
    assert long
    assert not any(",".join(map(str, document[:-1])) in train for document in long)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(blocks / "tokenizer" / "tokenizer.json"))
    texts = {row["id"]: row["text"] for row in load(docs).to_pylist()}
    assert all(
        tokenizer.decode(document[:-1], skip_special_tokens=False) == texts[key] for key, document in held.items()
    )
