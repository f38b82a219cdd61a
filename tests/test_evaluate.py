"""`evaluate`: bits per byte that compare, and what they are refused for."""

from __future__ import annotations

import gzip
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import BadData, UsageError
from corpuskit.lm import choices, confidence, metrics, ngram
from corpuskit.schema import DOCS, rows_to_batch, tokens_schema
from corpuskit.stages import evaluate as stage
from corpuskit.stages.train import ngram as train_stage
from corpuskit.tokens import bpe, learning
from tests.build import prose
from tests.data import shared

TEXTS = [row["text"] for row in prose(80)]
TRAIN, HELD = TEXTS[:60], [*TEXTS[60:], "Ķēnėņs 漢字 🎉\n\tšmuļs <|endoftext|> \x00", "x"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    bpe.save(learning.learn(TRAIN, 600), folder)
    return folder


def docs(texts: list[str]) -> pa.Table:
    rows = [{"id": f"doc-{at}", "text": text} for at, text in enumerate(texts)]
    return pa.Table.from_batches([rows_to_batch(rows, DOCS)])


def tokens(texts: list[str], tokenizer: Path) -> pa.Table:
    own = bpe.load(tokenizer)
    rows = [
        {
            "id": str(at),
            "input_ids": [*own.encode([text])[0].tolist(), own.end_id],
            "bytes": len(text.encode()),
        }
        for at, text in enumerate(texts)
    ]
    return pa.Table.from_batches([rows_to_batch(rows, tokens_schema(own.vocab_size))])


@pytest.fixture(scope="module")
def model(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    train_stage.train(tokens(TRAIN, tokenizer), tokenizer, train_stage.Options(order=3), out, {"corpus": "tokens"})
    return out


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(
        model: Path,
        corpus: Any,
        tokenizer: Path | None = None,
        artifact: str = "",
        choices: Path | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        stage.evaluate(model, corpus, tokenizer, choices, stage.Options(**options), tmp_path, {"corpus": artifact})
        text = (tmp_path / "report.json").read_text(encoding="utf-8")
        return dict(json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in JSON")))

    return run


def test_the_report_has_the_keys_that_scripts_rely_on(report: Any, model: Path) -> None:
    found = report(model, docs(HELD))
    keys = ["kind", "split", "documents", "tokens", "bytes", "nats", "nats_end", "perplexity", "bits_per_byte"]
    assert list(found)[:9] == keys
    assert set(found) - set(keys) == {
        "accuracy",
        "interval",
        "model",
        "grams",
        "oov",
        "baselines",
        "by",
        "choices",
        "continuations",
    }
    assert list(found["baselines"]) == ["uniform", "gzip", "zstd", "untrained"]
    assert (found["kind"], found["documents"]) == ("ngram", len(HELD))


def test_perplexity_and_bits_per_byte_follow_from_the_sums(report: Any, model: Path) -> None:
    found = report(model, docs(HELD))
    n_bytes = sum(len(text.encode()) for text in HELD)
    assert found["bytes"] == n_bytes
    assert found["perplexity"] == pytest.approx(math.exp(found["nats"] / found["tokens"]), rel=1e-12)
    bits = (found["nats"] - found["nats_end"]) / (math.log(2) * n_bytes)
    assert found["bits_per_byte"] == pytest.approx(bits, rel=1e-12)
    assert 0 < found["nats_end"] < found["nats"]


def test_documents_and_their_tokens_give_the_same_report(report: Any, model: Path, tokenizer: Path) -> None:
    from_docs = report(model, docs(HELD))
    assert report(model, tokens(HELD, tokenizer), tokenizer, "tokens") == from_docs
    without_bytes = tokens(HELD, tokenizer).drop_columns(["bytes"])
    assert report(model, without_bytes, tokenizer, "tokens") == from_docs


def test_the_split_is_valid_for_what_shard_held_out_and_all_for_the_rest(
    report: Any, model: Path, tokenizer: Path
) -> None:
    table = tokens(HELD, tokenizer)
    assert report(model, table, tokenizer, "heldout")["split"] == "valid"
    assert report(model, table, tokenizer, "tokens")["split"] == "all"


def test_a_model_beats_gzip_on_text_like_its_own_and_a_uniform_one_where_it_learnt_nothing(
    report: Any, model: Path, tokenizer: Path, tmp_path: Path
) -> None:
    found = report(model, docs(TRAIN))
    assert found["bits_per_byte"] < found["baselines"]["gzip"] < 8
    (tmp_path / "empty").mkdir()
    train_stage.train(
        tokens([], tokenizer), tokenizer, train_stage.Options(order=2), tmp_path / "empty", {"corpus": "tokens"}
    )
    empty = report(tmp_path / "empty", docs(HELD))
    assert empty["perplexity"] == pytest.approx(bpe.load(tokenizer).vocab_size, rel=1e-12)


def test_compressors_get_the_documents_joined_by_newlines(report: Any, model: Path) -> None:
    found = report(model, docs(HELD))["baselines"]
    text = "\n".join(HELD).encode()
    assert found["uniform"] == 8.0
    assert found["gzip"] == pytest.approx(8 * len(gzip.compress(text, 9)) / len(text), rel=1e-12)
    packed = zstandard.ZstdCompressor(level=19).compressobj()
    size = len(packed.compress(text)) + len(packed.flush())
    assert found["zstd"] == pytest.approx(8 * size / len(text), rel=1e-3)


def test_baselines_can_be_left_out(report: Any, model: Path) -> None:
    found = report(model, docs(HELD), baselines=False)["baselines"]
    assert found == {"uniform": 8.0, "gzip": None, "zstd": None, "untrained": None}


def test_no_documents_give_zeros_and_nulls_and_a_warning(
    report: Any, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = report(model, docs([]))
    assert [found[key] for key in ("documents", "tokens", "bytes", "nats", "nats_end")] == [0, 0, 0, 0, 0]
    assert found["perplexity"] is None
    assert found["bits_per_byte"] is None
    assert found["baselines"]["gzip"] is None
    assert "no documents" in caplog.text


def test_empty_documents_cost_their_end_marks_only(report: Any, model: Path) -> None:
    found = report(model, docs(["", ""]))
    assert (found["documents"], found["tokens"], found["bytes"]) == (2, 2, 0)
    assert found["nats"] == found["nats_end"] > 0
    assert found["bits_per_byte"] is None
    assert found["perplexity"] > 1


def test_max_documents_takes_the_first(report: Any, model: Path, tokenizer: Path) -> None:
    few = report(model, docs(HELD[:3]))
    assert report(model, docs(HELD), max_documents=3) == few
    assert report(model, tokens(HELD, tokenizer), tokenizer, max_documents=3) == few


def test_chunks_of_the_table_do_not_show(report: Any, model: Path) -> None:
    cut = pa.concat_tables([docs(HELD[:1]), docs([]), docs(HELD[1:])])
    assert report(model, cut) == report(model, docs(HELD))


def test_tokens_of_another_tokenizer_are_refused(report: Any, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    bpe.save(learning.learn(TRAIN, 300), other)
    with pytest.raises(UsageError, match="it has 300 ids, the model 600"):
        report(model, tokens(HELD, other), other)
    bpe.save(learning.learn(HELD, 600), other)
    with pytest.raises(UsageError, match="both have 600 ids, which mean different tokens"):
        report(model, tokens(HELD, other), other)


def test_ids_that_the_model_does_not_have_are_refused(report: Any, model: Path) -> None:
    table = pa.table({"input_ids": [[599], [600]], "bytes": [1, 1]})
    with pytest.raises(UsageError, match="it has an id 600, the model 600 ids"):
        report(model, table)


def test_text_is_refused_for_a_model_of_tokens(report: Any, model: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a b\n")
    with pytest.raises(UsageError, match="expected a dataset, got text"):
        report(model, tmp_path / "text")
    with pytest.raises(UsageError, match="--input words: the model learnt tokens"):
        report(model, tmp_path / "text", input="words")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"kind": "oracle"}'])
def test_what_is_no_model_is_refused(report: Any, tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if content is not None:
        (folder / "model.json").write_text(content)
    with pytest.raises(BadData, match="model"):
        report(folder, docs(HELD))


# Intervals and groups ------------------------------------------------------------------------------------------


def test_the_interval_holds_the_measure_and_narrows_with_more_documents(report: Any, model: Path) -> None:
    found = report(model, docs(HELD))
    low, high = found["interval"]
    assert low < found["bits_per_byte"] < high
    narrow = report(model, docs(HELD * 4))["interval"]
    assert (narrow[1] - narrow[0]) / (high - low) == pytest.approx(0.5, abs=0.1)


def test_the_interval_is_that_of_the_normal_law_where_it_holds() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(500, 1500, 3000)
    bits = sizes * rng.normal(1.0, 0.2, 3000)
    low, high = confidence.bits_per_byte(bits * math.log(2), sizes)
    rate = bits.sum() / sizes.sum()
    error = 1.96 * math.sqrt(((bits - rate * sizes) ** 2).sum()) / sizes.sum()
    assert (low, high) == (pytest.approx(rate - error, abs=error / 5), pytest.approx(rate + error, abs=error / 5))
    many = confidence.bits_per_byte(np.tile(bits, 20) * math.log(2), np.tile(sizes, 20))
    assert many[1] - many[0] == pytest.approx(2 * error / math.sqrt(20), rel=0.2)


@pytest.mark.parametrize(("nats", "sizes"), [([], []), ([1.0], [3]), ([1.0, math.inf], [1, 1]), ([0.0, 0.0], [0, 0])])
def test_there_is_no_interval_of_what_cannot_be_drawn_anew(nats: list[float], sizes: list[int]) -> None:
    assert confidence.bits_per_byte(np.array(nats), np.array(sizes, np.int64)) is None


def test_sources_and_languages_have_bits_of_their_own(report: Any, model: Path) -> None:
    rows = [
        {"id": f"doc-{at}", "text": text, "source": f"s{at % 2}", "language": "en" if at % 3 else None}
        for at, text in enumerate(HELD)
    ]
    found = report(model, pa.Table.from_batches([rows_to_batch(rows, DOCS)]))
    assert set(found["by"]) == {"source", "language"}
    assert set(found["by"]["language"]) == {"en", ""}
    for group in found["by"].values():
        assert sum(each["documents"] for each in group.values()) == len(HELD)
        mean = sum(each["bits_per_byte"] * each["bytes"] for each in group.values()) / found["bytes"]
        assert mean == pytest.approx(found["bits_per_byte"], rel=1e-12)
    alone = report(model, docs([row["text"] for row in rows if row["source"] == "s1"]))
    assert found["by"]["source"]["s1"]["bits_per_byte"] == pytest.approx(alone["bits_per_byte"], rel=1e-12)
    assert report(model, docs(HELD))["by"] == {}


# Choices -------------------------------------------------------------------------------------------------------


def written(path: Path, *items: object) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def test_what_the_model_has_read_is_chosen_before_its_words_turned_round(
    report: Any, model: Path, tmp_path: Path
) -> None:
    turned = [" ".join(reversed(text.split())) for text in TRAIN]
    pairs = written(tmp_path / "pairs.jsonl", *({"good": a, "bad": b} for a, b in zip(TRAIN, turned, strict=True)))
    found = report(model, docs(HELD), choices=pairs)["choices"]["pairs.jsonl"]["pairs"]
    assert found == {"items": len(TRAIN), "accuracy": 1.0, "interval": [1.0, 1.0]}
    wrong = written(tmp_path / "wrong.jsonl", *({"good": b, "bad": a} for a, b in zip(TRAIN, turned, strict=True)))
    assert report(model, docs(HELD), choices=wrong)["choices"]["wrong.jsonl"]["pairs"]["accuracy"] == 0.0


def test_choices_are_scored_by_their_own_tokens_behind_the_prompt(report: Any, model: Path, tokenizer: Path) -> None:
    own, scorer = bpe.load(tokenizer), ngram.load(model)
    item = choices.Item("choices", "the cat", ("sat on the mat", "sat", "mat the on sat"), 1)

    def encode(text: str) -> Any:
        return own.encode([text])[0]

    logs, tokens = choices._logs([item], encode, scorer.score)
    for ending, log, count in zip(item.endings, logs[0], tokens[0], strict=True):
        whole, before = encode(f"the cat {ending}"), len(encode("the cat"))
        wanted = sum(np.log(scorer.next_probabilities(whole[:at])[whole[at]]) for at in range(before, len(whole)))
        assert log == pytest.approx(wanted, rel=1e-9)
        assert count == len(whole) - before
    found = choices.ask([item], encode, scorer.score, lambda ids: 0)["choices"]
    rated = [log / len(ending) for log, ending in zip(logs[0], item.endings, strict=True)]
    assert found["accuracy"] == float(logs[0].argmax() == 1)
    assert found["accuracy_per_byte"] == float(np.argmax(rated) == 1)


def test_as_likely_is_not_chosen(report: Any, model: Path, tmp_path: Path) -> None:
    same = written(tmp_path / "same.jsonl", {"good": "a b", "bad": "a b"}, {"good": "c", "bad": "c"})
    assert report(model, docs(HELD), choices=same)["choices"]["same.jsonl"]["pairs"]["accuracy"] == 0.0


def test_what_comes_next_is_written_where_it_is_the_likeliest(report: Any, model: Path, tmp_path: Path) -> None:
    own, scorer = bpe.load(model / "tokenizer"), ngram.load(model)
    ids = own.encode([TRAIN[0][:40]])[0].tolist()
    for _ in range(3):
        ids.append(int(scorer.next_probabilities(np.array(ids)).argmax()))
    text = own.decode(ids)
    items = [{"prompt": TRAIN[0][:40], "answer": text[40:]}, {"prompt": TRAIN[0][:40], "answer": "qqqq"}]
    (tmp_path / "tasks").mkdir()
    written(tmp_path / "tasks" / "b.jsonl", *items)
    written(tmp_path / "tasks" / "a.jsonl", {"good": "x", "bad": "y"})
    found = report(model, docs(HELD), choices=tmp_path / "tasks")["choices"]
    assert list(found) == ["a.jsonl", "b.jsonl"]
    assert (found["b.jsonl"]["cloze"]["items"], found["b.jsonl"]["cloze"]["accuracy"]) == (2, 0.5)
    assert found["b.jsonl"]["cloze"]["perplexity"] > 1


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"good": "a"}', '{"prompt": "a", "choices": ["b"], "answer": 1}', '{"prompt": 1, "answer": "b"}',
     '{"prompt": "a", "choices": [], "answer": 0}', '{"prompt": "a", "choices": ["b"], "answer": true}'],
)  # fmt: skip
def test_an_item_of_no_kind_is_named_by_its_line(report: Any, model: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "items.jsonl").write_text('{"good": "a", "bad": "b"}\n\n' + line + "\n")
    with pytest.raises(BadData, match=r"items\.jsonl:3"):
        report(model, docs(HELD), choices=tmp_path / "items.jsonl")


def test_a_model_writes_on_as_its_own_text_went(report: Any, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu", reason="needs the extra `bleu`")
    own = report(model, docs(TRAIN), continuations=20)["continuations"]
    other = report(model, docs(["x", *[" ".join(reversed(text.split())) for text in HELD]]), continuations=20)
    assert own["documents"] == 20
    assert own["bleu"] > other["continuations"]["bleu"]
    assert 0 <= own["chrf"] <= 100
    assert own["signatures"][0].startswith("nrefs:1")
    assert TRAIN[0].startswith(own["samples"][0]["prompt"])
    assert TRAIN[0].startswith(own["samples"][0]["prompt"] + own["samples"][0]["stood_there"])
    assert report(model, docs(["x"]), continuations=5)["continuations"]["bleu"] is None


# Words ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def of_words(tmp_path: Path) -> Path:
    out, text = tmp_path / "words", tmp_path / "train.txt"
    out.mkdir()
    text.write_text("the cat sat\nthe dog sat\n\nthe cat ran\n" * 3)
    train_stage.train(text, None, train_stage.Options(order=2, input="words"), out, {})
    return out


def test_lines_are_documents_and_unknown_words_are_counted(report: Any, of_words: Path, tmp_path: Path) -> None:
    text = tmp_path / "held.txt"
    text.write_bytes("the cat flew\n\nthe  ørn sat".encode())
    found = report(of_words, text, input="words")
    assert (found["documents"], found["tokens"], found["oov"]) == (3, 9, 2)
    assert found["bytes"] == 12 + 0 + 13
    assert found["baselines"]["gzip"] == pytest.approx(8 * len(gzip.compress(text.read_bytes(), 9)) / 27)
    assert report(of_words, text) == found


def test_max_documents_counts_lines(report: Any, of_words: Path, tmp_path: Path) -> None:
    (tmp_path / "all").write_text("the cat\nsat\nthe dog\n")
    (tmp_path / "two").write_text("the cat\nsat\n")
    assert report(of_words, tmp_path / "all", max_documents=2) == report(of_words, tmp_path / "two")


def test_an_empty_file_has_no_documents(report: Any, of_words: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert report(of_words, tmp_path / "empty")["documents"] == 0


def test_a_dataset_is_refused_for_a_model_of_words(report: Any, of_words: Path) -> None:
    with pytest.raises(UsageError, match="expected a text file, got a dataset"):
        report(of_words, docs(HELD))


def test_words_and_tokens_of_one_text_compare_in_bits_per_byte(tmp_path: Path, report: Any) -> None:
    """The same words as ids and as text differ in nothing but in what unknown words cost."""
    lines = [line for line in shared("lm/tinyshakespeare.txt").read_text().split("\n") if line.strip()][:2000]
    text = tmp_path / "text"
    text.write_text("".join(line + "\n" for line in lines))
    known = {word: at + 1 for at, word in enumerate(dict.fromkeys(word for line in lines for word in line.split()))}
    table = pa.table(
        {
            "input_ids": pa.array(
                [[*(known[word] for word in line.split()), 0] for line in lines], pa.list_(pa.uint32())
            ),
            "bytes": [len(line.encode()) for line in lines],
        }
    )
    found = []
    for name, corpus, options in (("a", text, {"input": "words"}), ("b", table, {})):
        (tmp_path / name).mkdir()
        train_stage.train(corpus, None, train_stage.Options(order=4, **options), tmp_path / name, {})
        found.append(report(tmp_path / name, corpus, baselines=False))
    assert found[0] == found[1]


# Metrics -------------------------------------------------------------------------------------------------------


def test_one_bit_for_each_byte_is_one_bit_per_byte() -> None:
    assert metrics.bits_per_byte(80 * math.log(2) + 3, 3, 80) == pytest.approx(1)
    assert metrics.perplexity(80 * math.log(2), 80) == pytest.approx(2)


def test_measures_of_nothing_are_null() -> None:
    assert metrics.bits_per_byte(1.0, 1.0, 0) is None
    assert metrics.perplexity(0.0, 0) is None
    assert metrics.perplexity(math.inf, 1) is None
    assert metrics.bits_per_byte(math.nan, 0.0, 1) is None
    assert metrics.compressors([]) == {"gzip": None, "zstd": None}


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 7))
def test_pieces_compress_as_one_stream(text: bytes, step: int) -> None:
    pieces = [text[at : at + step] for at in range(0, len(text), step)]
    assert metrics.compressors(pieces) == metrics.compressors([text])


def test_the_nats_of_documents_add_up(model: Path, tokenizer: Path) -> None:
    from corpuskit.lm import ngram
    from corpuskit.tokens.columns import flatten

    ids, offsets = flatten(tokens(HELD, tokenizer).column("input_ids"))
    loaded = ngram.load(model)
    together, ends = loaded.score(ids, offsets)
    for at in range(len(HELD)):
        alone, end = loaded.score(ids[offsets[at] : offsets[at + 1]], np.array([0, offsets[at + 1] - offsets[at]]))
        assert (alone[0], end[0]) == (together[at], ends[at])


def test_reports_are_the_same_bytes_each_time(model: Path) -> None:
    made = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            stage.evaluate(model, docs(HELD), None, None, stage.Options(), Path(folder), {})
            made.append((Path(folder) / "report.json").read_bytes())
    assert made[0] == made[1]
