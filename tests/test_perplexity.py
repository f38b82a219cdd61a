"""Perplexity of documents under an n-gram model of words and one of tokens."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpuskit.errors import BadData, UsageError
from corpuskit.lm import ngram, ngram_counts, words
from corpuskit.lm.perplexity import Perplexity
from corpuskit.tokens import bpe, learning
from tests.build import prose

TEXTS = [row["text"] for row in prose(60)]


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    (folder / "text").write_text("\n".join(TEXTS[:50]) + "\n", encoding="utf-8")
    lines, known = words.learn_lines(folder / "text")
    counted = ngram_counts.estimate(
        lines.tokens, lines.offsets, order=3, vocab_size=len(known) + 1, end_id=words.END_ID
    )
    (folder / "model").mkdir()
    ngram.save(
        folder / "model",
        counted,
        vocab_size=len(known) + 1,
        end_id=words.END_ID,
        words=known,
    )
    return folder / "model"


@pytest.fixture(scope="module")
def of_tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "tokenizer").mkdir()
    bpe.save(learning.learn(TEXTS, 400), folder / "tokenizer")
    own = bpe.load(folder / "tokenizer")
    ids, offsets = own.encode(TEXTS[:50])
    tokens = np.insert(ids, offsets[1:], own.end_id)
    counted = ngram_counts.estimate(
        tokens, offsets + np.arange(51), order=3, vocab_size=own.vocab_size, end_id=own.end_id, types=own.vocab_size + 1
    )
    (folder / "model").mkdir()
    ngram.save(
        folder / "model",
        counted,
        vocab_size=own.vocab_size,
        end_id=own.end_id,
        tokenizer=folder / "tokenizer",
    )
    return folder / "model"


def test_a_document_of_words_has_the_perplexity_of_its_lines(of_words: Path, tmp_path: Path) -> None:
    text = "\n".join([TEXTS[1], "words nobody knows", TEXTS[2]])
    (tmp_path / "text").write_text(text + "\n", encoding="utf-8")
    model = ngram.load(of_words)
    lines = words.encode_lines(tmp_path / "text", model.words, model.unknown)
    nats, _ = model.score(lines.tokens, lines.offsets)
    (found,) = Perplexity.load(of_words).measure(pa.array([text])).to_pylist()
    assert found == pytest.approx(math.exp(nats.sum() / len(lines.tokens)), rel=1e-6)


def test_blank_lines_change_nothing(of_words: Path) -> None:
    model = Perplexity.load(of_words)
    text = "\n".join(TEXTS[:3])
    assert model.measure(pa.array([text])) == model.measure(pa.array(["\n \n" + text.replace("\n", "\n\n\t\n") + "\n"]))


def test_a_document_of_tokens_has_the_perplexity_of_its_ids(of_tokens: Path) -> None:
    model, own = ngram.load(of_tokens), bpe.load(of_tokens / "tokenizer")
    ids, _ = own.encode([TEXTS[1]])
    tokens = np.append(ids, own.end_id)
    nats, _ = model.score(tokens, np.array([0, len(tokens)]))
    (found,) = Perplexity.load(of_tokens).measure(pa.array([TEXTS[1]])).to_pylist()
    assert found == pytest.approx(math.exp(nats[0] / len(tokens)), rel=1e-6)


@pytest.mark.parametrize("name", ["of_words", "of_tokens"])
def test_text_like_the_models_own_has_a_lower_perplexity(name: str, request: pytest.FixtureRequest) -> None:
    model = Perplexity.load(request.getfixturevalue(name))
    seen, held, backwards = model.measure(
        pa.array([TEXTS[3], TEXTS[55], " ".join(reversed(TEXTS[55].split()))])
    ).to_pylist()
    assert seen < held < backwards


@pytest.mark.parametrize("name", ["of_words", "of_tokens"])
def test_empty_and_null_texts_have_none(name: str, request: pytest.FixtureRequest) -> None:
    found = Perplexity.load(request.getfixturevalue(name)).measure(pa.array(["", None, TEXTS[0]]))
    assert found.type == pa.float32()
    assert found.is_null().to_pylist() == [True, True, False]


@pytest.mark.parametrize("name", ["of_words", "of_tokens"])
def test_neighbours_and_batches_change_nothing(name: str, request: pytest.FixtureRequest) -> None:
    model = Perplexity.load(request.getfixturevalue(name))
    texts = pa.array([*TEXTS, "", None, "a\nb", "\n"] * 20)  # more than are held at a time
    assert len(texts) > 1024
    alone = [model.measure(texts.slice(row, 1))[0] for row in range(64)]
    assert model.measure(texts).to_pylist() == [value.as_py() for value in alone] * 20
    assert len(model.measure(pa.array([], pa.string()))) == 0


def test_a_model_without_its_tokenizer_needs_to_be_given_it(of_tokens: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(of_tokens, model)
    shutil.move(model / "tokenizer", tmp_path / "tokenizer")
    with pytest.raises(UsageError, match="came without its tokenizer"):
        Perplexity.load(model)
    given = Perplexity.load(model, tmp_path / "tokenizer")
    texts = pa.array(TEXTS[:3])
    assert given.measure(texts) == Perplexity.load(of_tokens).measure(texts)


def test_a_tokenizer_of_fewer_ids_is_not_the_models(of_tokens: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(of_tokens, model)
    shutil.rmtree(model / "tokenizer")
    (tmp_path / "other").mkdir()
    bpe.save(learning.learn(TEXTS, 300), tmp_path / "other")
    with pytest.raises(UsageError, match="expected the tokenizer of the model"):
        Perplexity.load(model, tmp_path / "other")


def test_another_kind_of_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"kind": "transformer"}))
    with pytest.raises(BadData):
        Perplexity.load(tmp_path)
