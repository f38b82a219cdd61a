"""`generate`: models of both kinds write, the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(params=["ngram", "transformer"])
def model(request: pytest.FixtureRequest, chain: dict[str, Path], tmp_path: Path, corpuskit: Any) -> Path:
    if request.param == "ngram":
        return chain["ngram"]
    words = ("--steps", 3, "--batch-tokens", 256, "--executor", "serial")
    assert corpuskit("train", "transformer", chain["blocks"], tmp_path / "model", *words).code == 0
    return tmp_path / "model"


def test_equal_seeds_give_equal_text_and_others_another(model: Path, corpuskit: Any) -> None:
    texts = [
        corpuskit("generate", model, "--prompt", "Paper", "--tokens", 12, "--seed", seed).out for seed in (1, 1, 2, 3)
    ]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1
    assert all(text.startswith("Paper") for text in texts)


def test_without_temperature_the_likeliest_is_written_whatever_the_seed(model: Path, corpuskit: Any) -> None:
    texts = {corpuskit("generate", model, "--tokens", 6, "--temperature", 0, "--seed", seed).out for seed in range(3)}
    assert len(texts) == 1


def test_json_tells_the_tokens_that_were_written(model: Path, corpuskit: Any) -> None:
    shown = json.loads(corpuskit("generate", model, "--prompt", "Paper", "--tokens", 5, "--json").out)
    assert shown["prompt"] == "Paper"
    assert 1 <= len(shown["tokens"]) <= 5
    assert shown["ended"] or len(shown["tokens"]) == 5


def test_what_is_no_model_is_one_line(chain: dict[str, Path], corpuskit: Any) -> None:
    result = corpuskit("generate", chain["docs"])
    assert result.code in (2, 65, 66)
    assert result.err.count("\n") == 1
