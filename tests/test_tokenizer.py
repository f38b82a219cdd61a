"""`train tokenizer` and `tokenize`."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from corpuskit.errors import NoInput, UsageError
from corpuskit.options import build
from corpuskit.schema import DOCS, rows_to_batch
from corpuskit.stages import tokenize
from corpuskit.stages.train import tokenizer as stage
from corpuskit.tokens import bpe, learning, pieces
from tests.data import shared

TEXTS = [
    "The cat sat on the mat. The cat sat there all day, and the mat was flat.",
    "Ķēnėņs i muols: Latgola, Rēzekne — 1917 g.",
    "def f(x):\n    return x  # twice\n\n\tpass\r\n",
    "漢字とかな、混じり文。🎉👩‍👩‍👧 \u200d\ufeff\x00",
]


def documents(texts: list[str | None]) -> pa.RecordBatch:
    rows = [{"id": f"doc-{at}", "text": text, "source": "here", "language": "en"} for at, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in DOCS]))


def learned(folder: Path, docs: pa.Table, **options: Any) -> bpe.TextTokenizer:
    folder.mkdir(parents=True, exist_ok=True)
    stage.train(docs=docs, options=stage.Options(**options), out=folder)
    return bpe.load(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of 350 entries."""
    out = tmp_path_factory.mktemp("tokenizer")
    learned(out, pa.table(documents([text * 3 for text in TEXTS])), vocab_size=350)
    return out


@pytest.fixture(scope="module")
def trained(folder: Path) -> bpe.TextTokenizer:
    return bpe.load(folder)


def encoded(tokenizer: Path, batch: pa.RecordBatch, **options: Any) -> pa.RecordBatch:
    (out,) = tokenize.encode(docs=iter([batch]), tokenizer=tokenizer, options=tokenize.Options(**options))
    return out


# Learning


def test_id_0_is_the_end_mark_and_the_bytes_follow(trained: bpe.TextTokenizer) -> None:
    assert (trained.end_token, trained.end_id) == ("<|endoftext|>", 0)
    alphabet = {trained.backend.id_to_token(at) for at in range(1, 257)}
    assert alphabet == set(pre_tokenizers.ByteLevel.alphabet())


def test_no_documents_give_the_bytes_and_the_mark(tmp_path: Path) -> None:
    tokenizer = learned(tmp_path, pa.table(documents([])))
    assert tokenizer.vocab_size == 257
    assert json.loads((tmp_path / "report.json").read_text())["bytes_per_token"] is None


def test_a_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(UsageError, match="expected at least 257, got 256"):
        build(stage.Options, {"vocab_size": 256}, "train tokenizer")


def test_the_most_frequent_pair_is_merged_first(tmp_path: Path) -> None:
    tokenizer = learned(tmp_path, pa.table(documents(["abab abab xy"])), vocab_size=258)
    assert tokenizer.backend.id_to_token(257) == "ab"


@pytest.mark.parametrize("threads", ["1", "4"])
def test_the_same_bytes_for_any_chunks_order_of_rows_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    texts = [f"{text} {at} {at * 7}" for at in range(40) for text in TEXTS]
    whole = pa.table(documents(texts))
    shuffled = whole.take(pa.array(np.random.default_rng(1).permutation(len(texts))))
    cut = pa.concat_tables(shuffled.slice(at, 13) for at in range(0, len(texts), 13))
    learned(tmp_path / "a", whole, vocab_size=500, sample_bytes=4000)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false" if threads == "1" else "true")
    learned(tmp_path / "b", cut, vocab_size=500, sample_bytes=4000)
    for name in ("tokenizer.json", "tokenizer_config.json", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_sample_has_as_many_bytes_as_asked_for() -> None:
    docs = pa.table(documents(["abc" * 10] * 100))
    chosen, _ = stage.sample(docs, sample_bytes=100, seed=0)
    assert [len(text) for text in chosen] == [30, 30, 30, 10]


def test_a_cut_sample_ends_at_a_character() -> None:
    assert stage.sample(pa.table(documents(["ēēē"])), sample_bytes=5, seed=0)[0] == ["ēē"]


def test_a_larger_sample_begins_with_the_smaller_one() -> None:
    docs = pa.table(documents([f"text {at:04d}" for at in range(500)]))
    small, large = (stage.sample(docs, sample_bytes=size, seed=0)[0] for size in (90, 900))
    assert large[: len(small)] == small


def test_another_seed_takes_another_sample() -> None:
    docs = pa.table(documents([f"text {at:04d}" for at in range(500)]))
    assert stage.sample(docs, 90, seed=0) != stage.sample(docs, 90, seed=1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=6)), max_size=20), st.integers(1, 40), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_sample_depends_on_the_set_of_documents_only(
    rows: list[tuple[str, str]], sample_bytes: int, random: Any
) -> None:
    docs = pa.table({"id": [row[0] for row in rows], "text": [row[1] for row in rows]}, _id_text)
    order = list(range(len(rows)))
    random.shuffle(order)
    other = pa.concat_tables([docs.slice(0, 0), *(docs.slice(at, 1) for at in order)])
    chosen, _ = stage.sample(docs, sample_bytes, seed=3)
    assert chosen == stage.sample(other, sample_bytes, seed=3)[0]
    sizes = sum(len(row[1].encode()) for row in rows)
    assert min(sizes, sample_bytes) - 3 <= sum(len(text.encode()) for text in chosen) <= sample_bytes


_id_text = pa.schema([("id", pa.string()), ("text", pa.string())])


@pytest.mark.timeout(60)
def test_a_megabyte_without_a_space_does_not_stall_the_training() -> None:
    blob = "".join(np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), 1_000_000))
    assert learning.learn([blob], 2000).get_vocab_size() == 2000


def test_the_report_tells_bytes_per_token(folder: Path, trained: bpe.TextTokenizer) -> None:
    report = json.loads((folder / "report.json").read_text())
    texts = [text * 3 for text in TEXTS]
    size, tokens = sum(len(text.encode()) for text in texts), len(trained.encode(texts)[0])
    assert report["sample_bytes"] == report["measured_bytes"] == size
    assert report["bytes_per_token"] == round(size / tokens, 4)
    assert (report["documents"], report["entries"]) == (4, 350)


def test_the_report_tells_languages_and_what_is_never_used(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "the cat the cat the cat", "language": "en"},
        {"id": "b", "text": "жук жук", "language": "ru"},
        {"id": "c", "text": "жук", "language": "ru"},
        {"id": "d", "text": "xyz", "language": None},
    ]
    docs = pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in ("id", "text", "language")]))
    trained = learned(tmp_path, docs, vocab_size=300)
    report = json.loads((tmp_path / "report.json").read_text())
    tokens = {text: len(trained.encode([text])[0]) for text in ("the cat the cat the cat", "жук жук", "жук", "xyz")}
    assert list(report["languages"]) == ["en", "ru", ""]
    assert report["languages"]["ru"] == {
        "bytes": 19,
        "tokens": tokens["жук жук"] + tokens["жук"],
        "bytes_per_token": round(19 / (tokens["жук жук"] + tokens["жук"]), 4),
    }
    assert report["measured_tokens"] == sum(tokens.values())
    used = {at for text in tokens for at in trained.encode([text])[0].tolist()}
    assert report["unused"]["count"] == trained.vocab_size - 1 - len(used)
    assert report["longest"][0]["entry"] == "жук"
    assert report["longest"][0]["count"] == 3


# Kinds of models


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bpe.TextTokenizer]:
    pytest.importorskip("sentencepiece", reason="needs the extra `unigram`")
    docs = pa.table(documents([f"{text} {at}" for at in range(30) for text in TEXTS]))
    found = {}
    for model in learning.MODELS:
        for pattern in learning.PATTERNS:
            out = tmp_path_factory.mktemp(f"{model}-{pattern}")
            how = {"model": model, "pattern": pattern, "special_token": ("<|user|>", "<|end|>")}
            found[f"{model} {pattern}"] = learned(out, docs, vocab_size=700, **how)
    return found


ODD = "ab 1.'s\n\r\t\u00a0ē漢"
KINDS = [f"{model} {pattern}" for model in learning.MODELS for pattern in learning.PATTERNS]


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text() | st.text(alphabet="#a \u0120\n1'sé", max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_from_every_kind(kinds: dict[str, bpe.TextTokenizer], kind: str, text: str) -> None:
    ids, _ = kinds[kind].encode([text, text])
    assert kinds[kind].decode(ids) == text + text
    assert not set(ids.tolist()) & {0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
@given(
    texts=st.lists(st.text(max_size=30) | st.text(alphabet="ab 1.'s\n\r\t\u00a0ē漢", max_size=60), max_size=6),
    chunk=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_every_kind_has_the_ids_of_tokenizers(
    kinds: dict[str, bpe.TextTokenizer], kind: str, texts: list[str], chunk: int
) -> None:
    ids, offsets = kinds[kind].encode(texts, chunk)
    rows = [ids[start:end].tolist() for start, end in pairwise(offsets)]
    assert rows == [kinds[kind].backend.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_long_runs_come_back_and_are_encoded_in_time(kinds: dict[str, bpe.TextTokenizer], kind: str) -> None:
    for text in ("x" * 100_000, " " * 10_000 + "y", "#" * 5_000, "é漢" * 5_000):
        assert kinds[kind].decode(kinds[kind].encode([text])[0]) == text


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_the_ids_behind_the_mark(kinds: dict[str, bpe.TextTokenizer], kind: str) -> None:
    loaded = kinds[kind].backend
    assert [loaded.token_to_id(name) for name in ("<|endoftext|>", "<|user|>", "<|end|>")] == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_every_kind(kinds: dict[str, bpe.TextTokenizer], kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    learned(
        tmp_path, pa.table(documents(TEXTS * 5)), vocab_size=600, special_token=("<|user|>",), model=kind.split()[0]
    )
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    ids = bpe.load(tmp_path).encode([TEXTS[1]])[0].tolist()
    assert theirs(TEXTS[1])["input_ids"] == ids
    assert theirs.decode(ids) == TEXTS[1]
    assert (theirs.eos_token_id, theirs.convert_tokens_to_ids("<|user|>")) == (0, 1)


@pytest.mark.parametrize("model", ["unigram", "wordpiece"])
def test_other_models_too_depend_on_the_documents_alone(tmp_path: Path, model: str) -> None:
    pytest.importorskip("sentencepiece", reason="needs the extra `unigram`")
    docs = pa.table(documents([f"{text} {at} {at * 7}" for at in range(40) for text in TEXTS]))
    shuffled = docs.take(pa.array(np.random.default_rng(1).permutation(len(docs))))
    for name, table in (("a", docs), ("b", shuffled), ("c", docs)):
        learned(tmp_path / name, table, vocab_size=700, model=model)
    assert len({(tmp_path / name / "tokenizer.json").read_bytes() for name in "abc"}) == 1


def test_llama3s_pattern_parts_numbers_by_three(kinds: dict[str, bpe.TextTokenizer]) -> None:
    words = kinds["bpe llama3"].backend.pre_tokenizer.pre_tokenize_str("in 1234567, i'M")
    assert [word for word, _ in words] == ["in", "Ġ", "123", "456", "7", ",", "Ġi", "'M"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vocab_size": 300, "model": "wordpiece"}, "expected at least 513"),
        ({"vocab_size": 257, "special_token": ("<a>",)}, "expected at least 258"),
        ({"special_token": ("<a>", "<a>")}, "differ from each other"),
        ({"special_token": ("<|endoftext|>",)}, "differ from each other"),
        ({"special_token": (" ",)}, "expected words"),
    ],
)
def test_what_cannot_be_a_vocabulary_is_refused(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        learned(tmp_path, pa.table(documents(TEXTS)), **options)


# Round trips and ids


@given(st.text())
@settings(deadline=None)
def test_any_text_comes_back(trained: bpe.TextTokenizer, text: str) -> None:
    ids, _ = trained.encode([text])
    assert trained.decode(ids) == text


@pytest.mark.parametrize("text", ["<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", " <|endoftext|> "])
def test_a_mark_spelled_out_is_plain_text(trained: bpe.TextTokenizer, text: str) -> None:
    ids, _ = trained.encode([text])
    assert trained.end_id not in ids
    assert trained.decode(ids) == text


@given(st.text(alphabet="ab 1.'s\n\r\t\u00a0\u3000\x1cē漢", max_size=60), st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_cutting_long_texts_changes_no_id(trained: bpe.TextTokenizer, text: str, chunk_chars: int) -> None:
    assert trained.cuttable
    whole = trained.backend.encode(text, add_special_tokens=False).ids
    ids, _ = trained.encode([text], chunk_chars)
    assert ids.tolist() == whole
    ids, _ = trained.encode([memoryview(text.encode())], chunk_chars)
    assert ids.tolist() == whole


@given(st.lists(st.text(alphabet="ab 1.\n\u3000漢🙂", max_size=40), max_size=6), st.integers(1, 9))
@settings(deadline=None)
def test_long_texts_of_a_column_stay_bytes_and_give_the_same(
    trained: bpe.TextTokenizer, texts: list[str], window: int
) -> None:
    column = pa.array(["", *texts, None])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LONG_BYTES", 12)
        patch.setattr(pieces, "_WINDOW", window)
        patch.setattr(bpe, "_FAST_CHARS", 5)
        patch.setattr(bpe, "_CHUNK_CHARS", 5)
        patch.setattr(pieces, "_FIRST_IDS", 1)
        found, undecodable = pieces.texts_of(column.slice(1))
        kinds = [isinstance(text, memoryview) for text in found]
        ids, offsets, _ = trained.encode_documents(found)
        assert trained.differing(found) is None
    assert not undecodable
    assert kinds == [len(text.encode()) > 12 for text in texts] + [False]
    rows = [ids[start:end].tolist() for start, end in pairwise(offsets)]
    plain = [trained.backend.encode(text, add_special_tokens=False).ids for text in [*texts, ""]]
    assert rows == [[*each, trained.end_id] for each in plain]


def test_a_long_text_that_is_no_utf8_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONG_BYTES", 8)
    raw = pa.array([b"a", b"long enough \xff", b"\xff", b"long but right"], pa.binary())
    column = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    texts, undecodable = pieces.texts_of(column)
    assert undecodable == [1, 2]
    assert [len(text) for text in texts] == [1, 0, 1, 14]


@given(st.lists(st.text(max_size=30), max_size=12), st.integers(1, 60))
@settings(deadline=None)
def test_ids_are_those_of_tokenizers(trained: bpe.TextTokenizer, texts: list[str], chunk_chars: int) -> None:
    ids, offsets = trained.encode(texts, chunk_chars)
    rows = [ids[start:end].tolist() for start, end in pairwise(offsets)]
    assert rows == [trained.backend.encode(text, add_special_tokens=False).ids for text in texts]


def test_ids_of_real_text_are_those_of_tokenizers(tmp_path: Path) -> None:
    text = gzip.decompress(shared("lm/wikitext-2.valid.txt.gz").read_bytes()).decode()[:400_000]
    trained = learned(tmp_path, pa.table(documents([text])), vocab_size=2000)
    plain = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids, _ = trained.encode([text], chunk_chars=10_000)
    assert ids.tolist() == plain.encode(text, add_special_tokens=False).ids
    assert trained.decode(ids) == text


# `tokenize`


def test_a_row_ends_with_the_mark_and_keeps_its_bytes(folder: Path, trained: bpe.TextTokenizer) -> None:
    out = encoded(folder, documents(TEXTS))
    for row, text in zip(out.to_pylist(), TEXTS, strict=True):
        assert row["input_ids"][-1] == 0
        assert trained.decode(row["input_ids"][:-1]) == text
        assert row["bytes"] == len(text.encode())
        assert (row["source"], row["language"], row["drop"], row["error"]) == ("here", "en", None, None)


def test_an_empty_text_is_its_end_mark(folder: Path) -> None:
    assert encoded(folder, documents([""])).select(["input_ids", "bytes"]).to_pylist() == [
        {"input_ids": [0], "bytes": 0}
    ]


def test_rows_do_not_depend_on_the_size_of_batches(folder: Path) -> None:
    batch = documents(TEXTS * 3)
    parts = [batch.slice(at, 5) for at in range(0, batch.num_rows, 5)]
    out = list(tokenize.encode(docs=iter(parts), tokenizer=folder, options=tokenize.Options()))
    assert pa.Table.from_batches(out).to_pylist() == encoded(folder, batch).to_pylist()


def test_a_small_vocabulary_has_uint16_ids_if_only_of_no_document(folder: Path) -> None:
    out = encoded(folder, documents([]))
    assert out.num_rows == 0
    assert out.schema.field("input_ids").type == pa.list_(pa.uint16())


def test_a_large_vocabulary_has_uint32_ids(tmp_path: Path) -> None:
    words = {f"w{at}": at for at in range(65_536)} | {"</s>": 65_536}
    foreign(tmp_path, models.WordLevel(words, unk_token="w0"), pre_tokenizers.Whitespace(), eos_token="</s>")
    for texts in ([], ["w65535 w7"]):
        out = encoded(tmp_path, documents(list(texts)))
        assert out.schema.field("input_ids").type == pa.list_(pa.uint32())
    assert out.column("input_ids").to_pylist() == [[65535, 7, 65536]]


def test_a_row_without_text_is_an_error(folder: Path) -> None:
    out = encoded(folder, documents(["a", None]))
    assert out.column("error").to_pylist() == [None, "no_text"]


def test_a_row_that_is_not_utf8_is_an_error(folder: Path) -> None:
    text = pa.array([b"good", b"bad \xff"], pa.binary()).view(pa.string())
    batch = pa.RecordBatch.from_arrays([pa.array(["a", "b"]), text], names=["id", "text"])
    assert encoded(folder, batch).column("error").to_pylist() == [None, "not_utf8"]


def test_the_input_is_left_alone(folder: Path) -> None:
    batch = documents(TEXTS)
    before = batch.to_pylist()
    encoded(folder, batch)
    assert batch.to_pylist() == before


def test_every_reason_is_explained() -> None:
    assert set(tokenize.STAGE.reasons) == {"no_text", "not_utf8", "end_mark_in_text"}


# Tokenizers of others


def foreign(folder: Path, model: Any, words: Any, **config: Any) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = words
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer


WORDS = {"<unk>": 0, "</s>": 1, "a": 2, "b": 3}


def test_a_text_whose_ids_have_the_mark_is_dropped(tmp_path: Path) -> None:
    foreign(tmp_path, models.WordLevel(WORDS, "<unk>"), pre_tokenizers.WhitespaceSplit(), eos_token="</s>")
    out = encoded(tmp_path, documents(["a b", "a </s> b", "", "</s>"]))
    assert out.column("drop").to_pylist() == [None, "end_mark_in_text", None, "end_mark_in_text"]
    assert out.column("input_ids").to_pylist()[0] == [2, 3, 1]


def test_a_mark_that_is_added_but_not_special_is_plain_text_too(tmp_path: Path, folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("<end>", special=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    out = encoded(tmp_path, documents(["a<end>b"]), eos_token="<end>")
    assert out.column("drop").to_pylist() == [None]
    assert out.column("input_ids").to_pylist()[0].count(350) == 1


def test_truncation_padding_and_a_template_of_the_file_are_not_applied(tmp_path: Path, folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing("<|endoftext|> $A", None, [("<|endoftext|>", 0)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=50)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    batch = documents(TEXTS)
    assert encoded(tmp_path, batch).equals(encoded(folder, batch))


def test_a_text_with_a_normalizer_is_not_cut(tmp_path: Path, folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Prepend("_")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    trained = bpe.load(tmp_path)
    text = "the cat sat on the mat " * 5
    assert trained.encode([text], chunk_chars=7)[0].tolist() == tokenizer.encode(text).ids


def test_the_mark_is_the_option_then_the_configuration_then_endoftext(tmp_path: Path) -> None:
    words = WORDS | {"<|endoftext|>": 4}
    foreign(tmp_path, models.WordLevel(words, "<unk>"), pre_tokenizers.Whitespace(), eos_token={"content": "</s>"})
    assert bpe.load(tmp_path, "b").end_id == 3
    assert bpe.load(tmp_path).end_id == 1
    assert bpe.load(tmp_path / "tokenizer.json").end_id == 4


def test_a_tokenizer_without_a_mark_is_an_error_that_says_so(tmp_path: Path) -> None:
    foreign(tmp_path, models.WordLevel(WORDS, "<unk>"), pre_tokenizers.Whitespace())
    with pytest.raises(UsageError, match=r"names no token that ends a document.*--eos-token"):
        bpe.load(tmp_path)
    with pytest.raises(UsageError, match="has no token 'x' to end documents with"):
        bpe.load(tmp_path, "x")


def test_a_mark_outside_the_vocabulary_is_an_error(tmp_path: Path) -> None:
    foreign(tmp_path, models.WordLevel(WORDS, "<unk>"), pre_tokenizers.Whitespace(), eos_token="<eot>")
    with pytest.raises(UsageError, match="its eos_token '<eot>' is not in its vocabulary"):
        bpe.load(tmp_path)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"no tokenizer.json in "):
        bpe.load(tmp_path)


def test_a_file_that_is_no_tokenizer_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError, match=r"tokenizer.json is not a tokenizer: "):
        bpe.load(tmp_path)


def test_a_configuration_that_is_no_json_is_an_error(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UsageError, match=r"tokenizer_config.json is not JSON"):
        bpe.load(tmp_path)


# What travels with the tokens


def attached(source: Path, out: Path, **options: Any) -> bpe.TextTokenizer:
    out.mkdir()
    tokenize.attach(tokenizer=source, options=tokenize.Options(**options), out=out)
    return bpe.load(out)


def test_the_files_of_the_tokenizer_travel_and_nothing_else(tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "model"
    source.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (source / name).write_bytes((folder / name).read_bytes())
    (source / "model.safetensors").write_bytes(b"weights")
    attached(source, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tokenizer.json", "tokenizer_config.json"]
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_a_mark_given_as_an_option_travels_too(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    foreign(source, models.WordLevel(WORDS, "<unk>"), pre_tokenizers.Whitespace(), eos_token="</s>", model_max_length=7)
    assert attached(source, tmp_path / "out", eos_token="b").end_token == "b"
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["model_max_length"] == 7


def test_a_tokenizer_given_as_a_file_gets_a_configuration(tmp_path: Path, folder: Path) -> None:
    trained = attached(folder / "tokenizer.json", tmp_path / "out")
    assert trained.end_token == "<|endoftext|>"
    config = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_decoding_leaves_the_mark_out(trained: bpe.TextTokenizer) -> None:
    ids, _ = trained.encode(["the mat"])
    assert trained.decode([*ids.tolist(), 0]) == "the mat"


def test_the_decoder_is_byte_level(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert isinstance(tokenizer.decoder, decoders.ByteLevel)


def test_a_documents_batch_needs_no_source_nor_language(folder: Path) -> None:
    batch = rows_to_batch([{"id": "a", "text": "b"}], pa.schema([("id", pa.string()), ("text", pa.string())]))
    assert encoded(folder, batch).column("source").to_pylist() == [None]
