"""ARPA files: ours read by KenLM, and read back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpuskit.cli import main
from corpuskit.errors import BadData, UsageError
from corpuskit.lm import arpa, ngram, words
from corpuskit.stages.train import ngram as stage
from tests.data import shared


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [line for line in shared("lm/tinyshakespeare.txt").read_text().split("\n") if line.strip()]
    file = tmp_path_factory.mktemp("text") / "text"
    file.write_text("".join(line + "\n" for line in lines[:6000]))
    return file


@pytest.fixture(scope="module", params=[(), (0, 0, 1)], ids=["full", "pruned"])
def model(text: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ngram.NgramModel:
    out = tmp_path_factory.mktemp("model")
    stage.train(text, None, stage.Options(order=4, input="words", prune=request.param), out, {})
    return ngram.load(out)


@pytest.fixture(scope="module")
def written(model: ngram.NgramModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("arpa") / "model.arpa"
    arpa.write(model, file)
    return file


def test_kenlm_reads_every_probability_as_we_wrote_it(model: ngram.NgramModel, written: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm has no build for this machine")
    theirs, section = kenlm.Model(str(written)), 0
    wrong = seen = 0
    for line in written.read_text().split("\n"):
        if line.endswith("-grams:"):
            section = int(line[1])
        parts = line.split("\t")
        if section < 2 or len(parts) < 2 or " <s>" in parts[1]:
            continue
        gram = parts[1].split(" ")
        state, after = kenlm.State(), kenlm.State()
        if gram[0] == "<s>":
            theirs.BeginSentenceWrite(state)
            gram = gram[1:]
        else:
            theirs.NullContextWrite(state)
        for word in gram[:-1]:
            theirs.BaseScore(state, word, after)
            state, after = after, kenlm.State()
        seen += 1
        wrong += np.float32(theirs.BaseScore(state, gram[-1], after)) != np.float32(parts[0])
    assert (seen, wrong) == (sum(model.grams[1:]), 0)


def test_kenlm_scores_sentences_as_we_do(model: ngram.NgramModel, written: Path, text: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm has no build for this machine")
    theirs = kenlm.Model(str(written))
    sentences = [" ".join(line.split()[::-1]) for line in text.read_text().split("\n")[:500]]
    sentences += text.read_text().split("\n")[:500]
    held = text.parent / "held"
    held.write_text("".join(line + "\n" for line in sentences))
    lines = words.encode_lines(held, model.words, model.unknown)
    ours, _ = model.score(lines.tokens, lines.offsets)
    for nats, sentence in zip(ours, sentences, strict=True):
        assert nats == pytest.approx(-math.log(10) * sum(p for p, _, _ in theirs.full_scores(sentence)), rel=1e-5)


def test_an_arpa_file_is_the_model_that_wrote_it(model: ngram.NgramModel, written: Path, text: Path) -> None:
    back = ngram.load(written)
    assert (back.order, back.grams) == (model.order, model.grams)
    found = []
    for each in (model, back):
        lines = words.encode_lines(text, each.words, each.unknown)
        found.append(each.score(lines.tokens, lines.offsets)[0])
    np.testing.assert_allclose(*found, rtol=1e-6)


SMALL = """
\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.5
-0.5\tb\t-0.25
-0.75\ta\t-0.125
-1\t</s>

\\2-grams:
-0.3\ta b
-0.2\t<s> a

\\end\\
"""


def test_a_file_by_hand_scores_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_text(SMALL)
    found = ngram.load(file)
    (tmp_path / "text").write_text("a b\nb c\n")
    lines = words.encode_lines(tmp_path / "text", found.words, found.unknown)
    nats, _ = found.score(lines.tokens, lines.offsets)
    # <s> a, a b, then b's back-off and </s>; <s>'s back-off and b, b's and <unk>, </s>
    assert nats / math.log(10) == pytest.approx([0.2 + 0.3 + 0.25 + 1, 0.5 + 0.5 + 0.25 + 1 + 1])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\\end\\", "", "cut off"),
        ("ngram 2=2", "ngram 2=3", "expected 3 grams of order 2, found 2"),
        ("-0.3\ta b", "-0.3\ta z", "z is in a gram of order 2 but no unigram"),
        ("-0.3\ta b", "-0.3\ta b a", "has not 2 words"),
        ("-0.3\ta b", "x\ta b", "is no gram"),
        ("-0.3\ta b", "nan\ta b", "no log10"),
        ("-0.3\ta b", "-0.2\t<s> a", "is there twice"),
        ("\\data\\", "", "no \\\\data"),
    ],
)
def test_a_file_that_is_no_arpa_is_refused(old: str, new: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_text(SMALL.replace(old, new))
    with pytest.raises(BadData, match=problem):
        ngram.load(file)


def test_words_that_arpa_keeps_for_its_marks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a <unk>\n")
    (tmp_path / "out").mkdir()
    stage.train(tmp_path / "text", None, stage.Options(order=2, input="words"), tmp_path / "out", {})
    with pytest.raises(UsageError, match="<unk>"):
        arpa.write(ngram.load(tmp_path / "out"), tmp_path / "arpa")


def test_evaluate_and_generate_and_show_take_an_arpa_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.arpa").write_text(SMALL)
    (tmp_path / "text").write_text("a b\n")
    assert (
        main(["evaluate", str(tmp_path / "model.arpa"), str(tmp_path / "text"), "--json", "--executor", "serial"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["nats"] == pytest.approx(1.75 * math.log(10))
    assert main(["generate", str(tmp_path / "model.arpa"), "--prompt", "a", "--temperature", "0", "--tokens", "1"]) == 0
    assert capsys.readouterr().out == "a b\n"
    assert main(["show", str(tmp_path / "model.arpa"), "--context", "a", "--rows", "1"]) == 0
    assert "0.501187  'b'" in capsys.readouterr().out


def test_export_writes_the_model_that_kenlm_reads(chain: dict[str, Path], tmp_path: Path, corpuskit: Any) -> None:
    kenlm = pytest.importorskip("kenlm")
    assert corpuskit("export", chain["ngram"], tmp_path / "out", "--format", "arpa").code == 0
    assert kenlm.Model(str(tmp_path / "out" / "model.arpa")).order == 3
    refused = corpuskit("export", chain["blocks"], tmp_path / "no", "--format", "arpa")
    assert refused.code == 2
    assert "holds a model of kind `ngram`, the input has blocks" in refused.err
