"""`train ngram`: modified Kneser-Ney against the formulas, and against KenLM on WikiText-2."""

from __future__ import annotations

import gzip
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import BadData, CorpuskitError, NoInput, UsageError
from corpuskit.lm import ngram, ngram_counts, words
from corpuskit.lm.ngram_counts import FALLBACK, Smoothing, kneser_ney_discounts
from corpuskit.lm.ngram_tables import Work
from corpuskit.lm.sampling import Sampling, keep, sample
from corpuskit.stages.train import ngram as stage
from corpuskit.tokens import bpe, learning
from tests.build import hashes
from tests.data import shared

END, BOS = 0, -1
Docs = Sequence[Sequence[int]]


def flat(docs: Docs) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    offsets = np.cumsum([0, *map(len, docs)])
    return np.array([token for doc in docs for token in doc], np.int64), offsets


def model_of(docs: Docs, order: int, vocab_size: int, types: int | None = None) -> ngram.NgramModel:
    """Train, save and load."""
    made = ngram_counts.estimate(*flat(docs), order=order, vocab_size=vocab_size, end_id=END, types=types)
    with tempfile.TemporaryDirectory() as folder:
        ngram.save(Path(folder), made, vocab_size=vocab_size, end_id=END)
        return ngram.load(Path(folder))


def formulas(docs: Docs, order: int) -> tuple[Callable[[int, tuple[int, ...]], float], list[int], list[Any]]:
    """Estimate with dictionaries, from the definitions: p(word, context), grams and discounts of each order."""
    raw: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
    left: dict[tuple[int, ...], set[int]] = {}
    longest = set()
    for doc in docs:
        padded = [BOS] * (order - 1) + list(doc)
        for at in range(order - 1, len(padded)):
            longest.add(tuple(padded[at - order + 1 : at + 1]))
            for k in range(1, order + 1):
                gram = tuple(padded[at - k + 1 : at + 1])
                if gram[:2] != (BOS, BOS):
                    raw[k][gram] += 1
                    left.setdefault(gram, set()).add(padded[at - k])
    seen = list(dict.fromkeys(token for doc in docs for token in doc if token != END))
    rank = {BOS: 0, END: 1, **{token: 2 + at for at, token in enumerate(seen)}}
    last = max(longest, key=lambda gram: [rank[token] for token in reversed(gram)])

    adjusted, discounts, following = [], [], {}
    for k in range(1, order + 1):
        a = {g: raw[k][g] if k == order or g[0] == BOS else len(left[g]) for g in raw[k]}
        n = Counter(a.values())
        if k < order and (gram := last[-k:])[0] != BOS:
            n[a[gram]] -= 1
            n[raw[k][gram]] += 1
        adjusted.append(a)
        for gram, count in a.items():
            following.setdefault(gram[:-1], []).append(count)
        discounts.append(kneser_ney_discounts(np.array([n[j] for j in range(5)])) or FALLBACK)
    types = len(raw[1]) + 2

    def p(word: int, context: tuple[int, ...]) -> float:
        lower = p(word, context[1:]) if context else 1 / (types - 1)
        a, d = adjusted[len(context)], (0.0, *discounts[len(context)])
        counts = following.get(context)
        if counts is None:
            return lower
        gamma = sum(d[min(count, 3)] for count in counts) / sum(counts)
        count = a.get((*context, word), 0)
        return (count - d[min(count, 3)]) / sum(counts) + gamma * lower

    return p, [types, *(len(each) for each in raw[2:])], discounts


def nats_by_formulas(p: Callable[[int, tuple[int, ...]], float], doc: Sequence[int], order: int) -> float:
    total = 0.0
    for at, word in enumerate(doc):
        context = (BOS, *doc[:at])[-(order - 1) :] if order > 1 else ()
        total -= math.log(p(word, tuple(context)))
    return total


words_of = st.lists(st.integers(1, 4), max_size=7)
texts = st.lists(words_of.map(lambda doc: [*doc, END]), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(texts, st.lists(st.integers(1, 4), max_size=4), texts, st.integers(1, 8))
def test_every_document_scores_as_the_formulas_say(docs: Docs, tail: list[int], held: Docs, order: int) -> None:
    docs = [*docs, tail]  # a document that lost its end
    p, grams, discounts = formulas([doc for doc in docs if doc], order)
    model = model_of(docs, order, vocab_size=5)
    assert list(model.grams) == grams
    np.testing.assert_allclose(model.discounts[1:, 1:], discounts, rtol=1e-12)
    nats, _ = model.score(*flat(held))
    known = {token for doc in docs for token in doc}
    for doc, found in zip(held, nats, strict=True):
        if known.issuperset(doc):
            assert found == pytest.approx(nats_by_formulas(p, doc, order), rel=1e-11)


@pytest.mark.parametrize("order", [2, 5, 8])
def test_a_longer_text_scores_as_the_formulas_say(order: int) -> None:
    rng = np.random.default_rng(order)
    docs = [[*(rng.zipf(1.3, rng.integers(1, 30)) % 200 + 1).tolist(), END] for _ in range(200)]
    docs += [[5, 201, END]] * 2  # the last new word: lmplz takes it as seen after two words
    p, grams, discounts = formulas(docs, order)
    model = model_of(docs, order, vocab_size=202)
    assert list(model.grams) == grams
    assert sum(each != FALLBACK for each in discounts) >= 2
    np.testing.assert_allclose(model.discounts[1:, 1:], discounts, rtol=1e-12)
    for doc in docs[::10]:
        assert model.score(*flat([doc]))[0][0] == pytest.approx(nats_by_formulas(p, doc, order), rel=1e-11)


def test_ids_too_wide_for_one_sorting_key_change_nothing() -> None:
    rng = np.random.default_rng(1)
    docs = [[*rng.integers(1, 4, 60).tolist(), END] for _ in range(60)]
    wide = [[token * 700_000 for token in doc] for doc in docs]  # 22 bits: two ids a key
    small, large = model_of(docs, 8, 4), model_of(wide, 8, 2_100_001)
    assert small.grams == large.grams
    np.testing.assert_array_equal(small.discounts, large.discounts)
    np.testing.assert_array_equal(small.score(*flat(docs))[0], large.score(*flat(wide))[0])


@settings(max_examples=20, deadline=None)
@given(texts, st.lists(st.integers(0, 8), max_size=6), st.integers(1, 8))
def test_the_probabilities_of_a_closed_vocabulary_sum_to_one(docs: Docs, context: list[int], order: int) -> None:
    model = model_of(docs, order, vocab_size=9, types=10)
    nats, _ = model.score(*flat([context, *([*context, token] for token in range(9))]))
    assert math.fsum(np.exp(nats[0] - nats[1:])) == pytest.approx(1, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(texts, st.lists(st.integers(0, 5), max_size=6), st.integers(1, 8))
def test_the_probabilities_of_words_seen_and_unk_sum_to_one(docs: Docs, context: list[int], order: int) -> None:
    model = model_of(docs, order, vocab_size=5)
    seen = sorted({token for doc in docs for token in doc})
    nats, _ = model.score(*flat([context, *([*context, token] for token in [*seen, 99])]))
    assert math.fsum(np.exp(nats[0] - nats[1:])) == pytest.approx(1, abs=1e-12)


def test_the_end_mark_of_a_document_is_scored_apart() -> None:
    model = model_of([[1, 2, END], [1, END]], 3, 3)
    nats, ends = model.score(*flat([[1, 2, END], [1, 2], [], [END]]))
    assert nats[0] - ends[0] == pytest.approx(nats[1], rel=1e-14)
    assert ends[0] > 0
    assert ends[1] == ends[2] == nats[2] == 0
    assert ends[3] == nats[3] > 0


def test_documents_do_not_see_each_other() -> None:
    model = model_of([[1, 2, END], [2, 1, END]], 3, 3)
    together, apart = model.score(*flat([[1, 2, END], [2, 1]]))[0], model.score(*flat([[2, 1]]))[0]
    assert together[1] == apart[0]


def test_ids_outside_the_vocabulary_are_unk() -> None:
    model = model_of([[1, 2, END], [1, 1, 2, END]], 2, 3)
    nats, _ = model.score(np.array([7, -1, 4_000_000_000]), np.arange(4))
    assert nats[0] == nats[1] == nats[2]
    assert model.unseen(np.array([7, -1, 1, 0])) == 2


@pytest.mark.parametrize(
    "docs",
    [[[END]], [[1]], [[1, END]], [[1, 2, 3, END]] * 50, [[1] * 500 + [END]], [[], [1, END], []], [[1, END], [END]] * 9],
    ids=["one mark", "one token", "one word", "one sentence again", "one word again", "empty ones", "two words"],
)
@pytest.mark.parametrize("order", [1, 2, 8])
def test_degenerate_texts_give_a_model_with_finite_probabilities(docs: Docs, order: int) -> None:
    model = model_of(docs, order, vocab_size=4, types=5)
    assert np.isfinite(model.score(*flat([[1, 1, END], [2, 3, END]]))[0]).all()
    nats, _ = model.score(*flat([[1], *([1, token] for token in range(4))]))
    assert math.fsum(np.exp(nats[0] - nats[1:])) == pytest.approx(1, abs=1e-12)


def test_without_text_all_ids_of_a_closed_vocabulary_are_as_likely() -> None:
    model = model_of([], 3, vocab_size=8, types=9)
    assert model.score(*flat([[1, 2, 3]]))[0][0] == pytest.approx(3 * math.log(8), rel=1e-14)


def test_discounts_that_do_not_exist_are_an_error_if_no_fallback_is_wanted() -> None:
    with pytest.raises(CorpuskitError, match="order 1 has no grams"):
        ngram_counts.estimate(*flat([[1, END]]), order=2, vocab_size=2, end_id=END, smoothing=Smoothing(fallback=False))


def test_ids_beyond_the_vocabulary_are_refused_in_training() -> None:
    with pytest.raises(BadData, match="id 7 is not among the tokenizer's 3"):
        ngram_counts.estimate(*flat([[7, END]]), order=2, vocab_size=3, end_id=END)


def test_discounts_follow_chen_and_goodman() -> None:
    # Y = 10/(10 + 2*4) = 5/9: D1 = 1 - 2Y*4/10, D2 = 2 - 3Y*2/4, D3 = 3 - 4Y*1/2
    assert kneser_ney_discounts(np.array([0, 10, 4, 2, 1])) == pytest.approx((5 / 9, 7 / 6, 17 / 9))
    assert kneser_ney_discounts(np.array([0, 10, 4, 0, 1])) is None
    assert kneser_ney_discounts(np.array([0, 10, 1, 5, 1])) is None  # D2 < 0


# The stage ------------------------------------------------------------------------------------------------------


def trained(folder: Path, corpus: Any, tokenizer: Path | None = None, artifact: str = "", **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stage.train(corpus, tokenizer, stage.Options(**options), folder, {"corpus": artifact})
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    bpe.save(learning.learn(["ab ab abc abc cab"], 262), folder)
    return folder


def rows(docs: Docs) -> pa.Table:
    return pa.table({"input_ids": pa.array(docs, pa.list_(pa.uint16()))})


def blocks(stream: Sequence[int], length: int) -> pa.Table:
    ids = pa.FixedSizeListArray.from_arrays(pa.array(stream, pa.uint16()), length)
    return pa.table({"input_ids": ids})


DOCS = [[5, 6, 7, END], [5, 6, END], [6, 5, 7, 7, END]]
STREAM = [token for doc in DOCS for token in doc]


def test_blocks_give_the_model_of_their_documents(tokenizer: Path, tmp_path: Path) -> None:
    one = trained(tmp_path / "rows", rows(DOCS), tokenizer, "tokens")
    two = trained(tmp_path / "blocks", blocks(STREAM, 3), tokenizer, "train")
    assert hashes(one) == hashes(two)


def test_a_document_that_the_last_block_cuts_off_has_no_end(tokenizer: Path, tmp_path: Path) -> None:
    one = trained(tmp_path / "rows", rows([*DOCS[:2], [6, 5]]), tokenizer, "tokens")
    two = trained(tmp_path / "blocks", blocks(STREAM[:9], 3), tokenizer, "train")
    assert hashes(one) == hashes(two)


def test_blocks_that_tell_where_documents_begin_are_cut_there(tokenizer: Path, tmp_path: Path) -> None:
    # The second document lost its end mark to the end of a split's part.
    table = blocks([5, 6, 7, END, 5, 6, 6, 5, END], 3)
    table = table.append_column("document_starts", pa.array([[0], [1], [0]], pa.list_(pa.int32())))
    one = trained(tmp_path / "rows", rows([[5, 6, 7, END], [5, 6], [6, 5, END]]), tokenizer, "tokens")
    assert hashes(one) == hashes(trained(tmp_path / "blocks", table, tokenizer, "train"))


def test_the_same_tokens_in_other_chunks_give_the_same_bytes(tokenizer: Path, tmp_path: Path) -> None:
    cut = pa.concat_tables([rows(DOCS[:1]), rows([]), rows(DOCS[1:])])
    one, two = trained(tmp_path / "1", rows(DOCS), tokenizer), trained(tmp_path / "2", cut, tokenizer)
    assert hashes(one) == hashes(two)
    assert {"model.json", "tokens.npy", "tokenizer/tokenizer.json"} <= set(hashes(one))


def test_the_ids_of_a_tokenizer_are_a_closed_vocabulary(tokenizer: Path, tmp_path: Path) -> None:
    model = ngram.load(trained(tmp_path, rows(DOCS), tokenizer, order=3))
    assert (model.vocab_size, model.types, model.end_id, model.input) == (260, 261, 0, "tokens")


def test_without_a_tokenizer_the_end_mark_is_what_all_documents_end_with(tmp_path: Path) -> None:
    assert ngram.load(trained(tmp_path / "1", rows([[1, 2, 9], [3, 9]]), order=2)).end_id == 9
    assert ngram.load(trained(tmp_path / "2", rows([[1, 2, 9], [3, 8]]), order=2)).end_id is None


def test_no_text_at_all_gives_an_error_where_nothing_tells_the_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with pytest.raises(BadData, match="not one token"):
        trained(tmp_path / "1", tmp_path / "empty.txt", input="words")
    with pytest.raises(BadData, match="not one token"):
        trained(tmp_path / "2", rows([]))


def test_text_is_refused_where_tokens_are_expected_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a b\n")
    with pytest.raises(UsageError, match="--input words"):
        trained(tmp_path / "1", tmp_path / "text.txt")
    with pytest.raises(UsageError, match="expected a text file"):
        trained(tmp_path / "2", rows(DOCS), input="words")


def test_small_texts_warn_that_discounts_are_made_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "text.txt").write_text("a b\n")
    trained(tmp_path / "1", tmp_path / "text.txt", input="words", order=2)
    assert "order 1, 2; used 0.5, 1, 1.5" in caplog.text


@pytest.mark.parametrize("damage", ["model.json", "children.npy", "probs.npy"])
def test_a_damaged_model_is_refused(damage: str, tmp_path: Path) -> None:
    trained(tmp_path, rows(DOCS), order=3)
    file = tmp_path / damage
    if damage == "children.npy":
        children = np.load(file)
        children[3] = 1_000_000
        np.save(file, children)
    else:
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BadData):
        ngram.load(tmp_path)


# Text as words -------------------------------------------------------------------------------------------------


def learnt(tmp_path: Path, data: bytes, chunk_bytes: int = 1 << 20) -> tuple[list[list[int]], list[bytes]]:
    (tmp_path / "text").write_bytes(data)
    lines, known = words.learn_lines(tmp_path / "text", chunk_bytes)
    docs = [lines.tokens[a:b].tolist() for a, b in zip(lines.offsets, lines.offsets[1:], strict=False)]
    return docs, known


def test_words_are_cut_where_kenlm_cuts_them(tmp_path: Path) -> None:
    docs, known = learnt(tmp_path, b"a  b\tc\x00d\re\n a\xc2\xa0b\x0bc \n")
    assert known == [b"a", b"b", b"c", b"d", b"e", b"a\xc2\xa0b\x0bc"]
    assert docs == [[1, 2, 3, 4, 5, 0], [6, 0]]


def test_a_blank_line_is_a_sentence_without_words(tmp_path: Path) -> None:
    assert learnt(tmp_path, b"a\n\n \nb\n")[0] == [[1, 0], [0], [0], [2, 0]]


def test_a_last_line_needs_no_newline(tmp_path: Path) -> None:
    assert learnt(tmp_path, b"a\nb")[0] == learnt(tmp_path, b"a\nb\n")[0] == learnt(tmp_path, b"a\nb ")[0]


def test_marks_in_the_text_are_words_like_others(tmp_path: Path) -> None:
    assert learnt(tmp_path, b"<s> <unk> </s>\n")[0] == [[1, 2, 3, 0]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([b"a", b"bc", b" ", b"\t", b"\n", "é".encode()]), max_size=30), st.integers(1, 9))
def test_chunks_do_not_show(pieces: list[bytes], chunk_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        text.write_bytes(b"".join(pieces))
        (one, known), (two, known_too) = words.learn_lines(text), words.learn_lines(text, chunk_bytes)
        assert known == known_too
        for field in ("tokens", "offsets", "line_bytes"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
        lines = text.read_bytes().split(b"\n")
        lines = lines[:-1] if not lines[-1] else lines
        assert one.line_bytes.tolist() == [len(line) for line in lines]
        assert b"".join(words.text_chunks(text, one.line_bytes)) == b"\n".join(lines)


def test_gzip_is_told_by_its_content_and_damage_is_an_error(tmp_path: Path) -> None:
    packed = gzip.compress(b"a b\nc\n" * 1000)
    assert learnt(tmp_path, packed)[1] == [b"a", b"b", b"c"]
    with pytest.raises(BadData, match="gzip file is damaged"):
        learnt(tmp_path, packed[:-20])


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("x\n")
    (tmp_path / "a.txt").write_text("y")
    assert words.learn_lines(tmp_path)[1] == [b"y", b"x"]
    with pytest.raises(NoInput):
        words.learn_lines(tmp_path / "nothing")


# KenLM -----------------------------------------------------------------------------------------------------------

#: What lmplz and float64 sums over its model gave: grams, discounts, perplexity, nats, nats of end marks.
KENLM = {
    3: (
        [33280, 619591, 1398959],
        [[0.182087, 1.01364, 2.53778], [0.729716, 1.15964, 1.49569], [0.837583, 1.25118, 1.44388]],
        (247.6562091250487, 1192513.6490853236, 4653.213437356801),
    ),
    5: (
        [33280, 619591, 1398959, 1794725, 1914265],
        [
            [0.182087, 1.01364, 2.53778],
            [0.729716, 1.15964, 1.49569],
            [0.866965, 1.27126, 1.47995],
            [0.942337, 1.41604, 1.53705],
            [0.959168, 1.52824, 1.50737],
        ],
        (239.98395024926808, 1185705.3206835594, 4382.3208881612845),
    ),
}


@pytest.fixture(scope="module")
def wikitext(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """WikiText-2 as KenLM got it: without blank lines, and its `<unk>` a word like others."""
    folder = tmp_path_factory.mktemp("wikitext")
    made = {}
    for split in ("train", "valid"):
        lines = gzip.decompress(shared(f"lm/wikitext-2.{split}.txt.gz").read_bytes()).split(b"\n")
        made[split] = folder / f"{split}.txt"
        made[split].write_bytes(b"".join(line + b"\n" for line in lines if line.strip()))
    return made


@pytest.mark.parametrize("order", KENLM)
def test_wikitext_2_gives_the_model_of_kenlm(order: int, wikitext: dict[str, Path], tmp_path: Path) -> None:
    grams, discounts, (perplexity, nats, nats_end) = KENLM[order]
    model = ngram.load(trained(tmp_path, wikitext["train"], order=order, input="words"))
    assert list(model.grams) == grams
    for ours, theirs in zip(model.discounts[1:, 1:].ravel(), np.ravel(discounts), strict=True):
        assert float(f"{ours:.6g}") == theirs
    lines = words.encode_lines(wikitext["valid"], model.words, model.unknown)
    found, found_end = (each.sum() for each in model.score(lines.tokens, lines.offsets))
    assert len(lines.tokens) == 216_347
    assert model.unseen(lines.tokens) == 0
    assert found == pytest.approx(nats, rel=1e-7)
    assert found_end == pytest.approx(nats_end, rel=1e-7)
    assert math.exp(found / len(lines.tokens)) == pytest.approx(perplexity, rel=1e-7)


# How it is computed, and other models ---------------------------------------------------------------------------


def a_text(seed: int = 0, documents: int = 300) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [[*(rng.zipf(1.4, rng.integers(1, 30)) % 150 + 1).tolist(), END] for _ in range(documents)]


@pytest.mark.parametrize("prune", [(), (0, 0, 1)])
@pytest.mark.parametrize(("threads", "memory"), [(1, None), (3, None), (1, 20_000), (2, 1)])
def test_threads_and_memory_change_no_byte(
    threads: int, memory: int | None, prune: tuple[int, ...], tmp_path: Path
) -> None:
    found = []
    for name, work in (("plain", None), ("other", Work(threads, memory, tmp_path))):
        made = ngram_counts.estimate(
            *flat(a_text()), order=4, vocab_size=160, end_id=END, smoothing=Smoothing(prune=prune), work=work
        )
        (tmp_path / name).mkdir()
        ngram.save(tmp_path / name, made, vocab_size=160, end_id=END)
        found.append(hashes(tmp_path / name))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "smoothing",
    [
        Smoothing(prune=(0, 1, 2)),
        Smoothing("witten-bell"),
        Smoothing(interpolate_unigrams=False),
        Smoothing("none"),
    ],
    ids=["pruned", "witten-bell", "unigrams apart", "none"],
)
@pytest.mark.parametrize("order", [1, 3, 5])
def test_probabilities_sum_to_one_in_every_context(smoothing: Smoothing, order: int, tmp_path: Path) -> None:
    made = ngram_counts.estimate(
        *flat(a_text()), order=order, vocab_size=160, end_id=END, types=161,
        smoothing=Smoothing(smoothing.kind, True, smoothing.prune[:order], smoothing.interpolate_unigrams),
    )  # fmt: skip
    ngram.save(tmp_path, made, vocab_size=160, end_id=END)
    model = ngram.load(tmp_path)
    contexts = [doc[:at] for doc in a_text(documents=12) for at in range(min(len(doc), 7))]
    contexts += np.random.default_rng(1).integers(1, 160, (20, 4)).tolist()
    for context in contexts:
        nats, _ = model.score(*flat([context, *([*context, token] for token in range(160))]))
        if math.isfinite(nats[0]):
            assert math.fsum(np.exp(nats[0] - nats[1:])) == pytest.approx(1, abs=1e-9)
        assert math.fsum(model.next_probabilities(np.array(context, np.int64))) == pytest.approx(1, abs=1e-9)


def test_the_distribution_is_what_scoring_says(tmp_path: Path) -> None:
    model = model_of(a_text(), 4, 160, types=161)
    for context in ([], [1], [1, 2], [3, 1, 1, 2], [140, 139]):
        nats, _ = model.score(*flat([context, *([*context, token] for token in range(160))]))
        p = model.next_probabilities(np.array(context, np.int64))[:160]
        np.testing.assert_allclose(np.exp(nats[0] - nats[1:]), p, rtol=1e-11)


@pytest.mark.parametrize(
    "smoothing", [Smoothing(), Smoothing(prune=(0, 0, 1)), Smoothing("witten-bell"), Smoothing("none")]
)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_hits_are_where_the_distribution_has_its_top(smoothing: Smoothing, order: int, tmp_path: Path) -> None:
    made = ngram_counts.estimate(
        *flat(a_text()), order=order, vocab_size=160, end_id=END, types=161,
        smoothing=Smoothing(smoothing.kind, True, smoothing.prune[:order], True),
    )  # fmt: skip
    ngram.save(tmp_path, made, vocab_size=160, end_id=END)
    model = ngram.load(tmp_path)
    docs = [*a_text(documents=40), *a_text(seed=3, documents=40), [159, 158, 1, END], []]
    wanted = [
        sum(int(model.next_probabilities(np.array(doc[:at], np.int64)).argmax()) == doc[at] for at in range(len(doc)))
        for doc in docs
    ]
    assert sum(wanted) > 50
    assert model.hits(*flat(docs)).tolist() == wanted
    many = [*docs] * 60
    assert (model.hits(*flat(many), threads=3) == model.hits(*flat(many), threads=1)).all()


def test_pruned_grams_are_those_that_occur_too_seldom(tmp_path: Path) -> None:
    docs = [[1, 2, 3, END]] * 3 + [[1, 2, 4, END], [4, 2, 3, END]]
    made = ngram_counts.estimate(*flat(docs), order=3, vocab_size=5, end_id=END, smoothing=Smoothing(prune=(0, 1, 3)))
    # 2-grams seen twice or more: <s> 1, 1 2, 2 3, 3 </s>; 3-grams seen four times or more: <s> 1 2, 2 3 </s>
    assert made.grams == (7, 4, 2)


@pytest.mark.parametrize("prune", [(1,), (0, 2, 1), (0, 0, 0, 1)])
def test_thresholds_that_lmplz_refuses_are_refused(prune: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="thresholds, 0 first"):
        ngram_counts.estimate(*flat([[1, END]]), order=3, vocab_size=2, end_id=END, smoothing=Smoothing(prune=prune))


def test_witten_bell_is_worked_by_hand() -> None:
    # After 1: 2 twice and 3 once, two distinct words: p(2 | 1) = (2 + 2 p(2)) / (3 + 2). Order 1: 9 tokens, 4 distinct,
    # so p(2) = (2 + 4 / 5) / 13, five being the four words and <unk>.
    docs = [[1, 2, END], [1, 2, END], [1, 3, END]]
    made = ngram_counts.estimate(*flat(docs), order=2, vocab_size=4, end_id=END, smoothing=Smoothing("witten-bell"))
    with tempfile.TemporaryDirectory() as folder:
        ngram.save(Path(folder), made, vocab_size=4, end_id=END)
        p = ngram.load(Path(folder)).next_probabilities(np.array([1]))
    assert p[2] == pytest.approx((2 + 2 * (2 + 4 / 5) / 13) / 5, rel=1e-14)


def test_sampling_keeps_the_likeliest() -> None:
    p = np.array([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(keep(p, Sampling()), p)
    np.testing.assert_allclose(keep(p, Sampling(top_k=2)), [0, 4 / 7, 0, 3 / 7])
    np.testing.assert_allclose(keep(p, Sampling(top_p=0.6)), [0, 4 / 7, 0, 3 / 7])
    np.testing.assert_allclose(keep(p, Sampling(0.5)), p**2 / (p**2).sum())
    np.testing.assert_array_equal(keep(p, Sampling(0)), [0, 1, 0, 0])


def test_equal_seeds_draw_equal_tokens_up_to_the_end_mark() -> None:
    model = model_of(a_text(), 3, 160, types=161)
    one, two, other = (
        list(sample(model.next_probabilities, np.array([1]), tokens=50, end_id=END, how=Sampling(), seed=seed))
        for seed in (1, 1, 2)
    )
    assert one == two != other
    assert END not in one[:-1]
