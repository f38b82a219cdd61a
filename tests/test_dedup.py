"""The four steps of dedup as the runner calls them: against brute force, and whatever the shards and batches."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import UsageError
from corpuskit.schema import DOCS, rows_to_batch
from corpuskit.sketch import shingles
from corpuskit.stage import Whole
from corpuskit.stages import dedup
from corpuskit.stages.dedup import STAGE, Options
from tests.data import shared

Row = dict[str, Any]

DEFAULTS = Options()


def cut(rows: Sequence[Row], batch_rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, max(1, len(rows)), batch_rows):
        yield rows_to_batch(rows[start : start + batch_rows], DOCS)


def run(
    rows: Sequence[Row], options: Options = DEFAULTS, *, shards: int = 1, batch_rows: int = 1000, buckets: int = 1
) -> list[Row]:
    """Call the steps as the runner does, and give all rows, kept and marked, in their order."""
    bounds = [len(rows) * at // shards for at in range(shards + 1)]
    pieces = [rows[bounds[at] : bounds[at + 1]] for at in range(shards)]
    banded: list[pa.RecordBatch] = []
    sketched: list[pa.RecordBatch] = []
    for shard, piece in enumerate(pieces):
        for each in dedup.sign(cut(piece, batch_rows), options, shard):
            if isinstance(each, tuple):
                sketched.append(each[1])
            else:
                banded.append(each)
    sketches = cast(Whole, pa.Table.from_batches(sketched))
    random.Random(shards).shuffle(banded)
    edges = []
    for bucket in range(buckets):
        part = [batch.filter(pa.array(of_bucket(batch, buckets) == bucket)) for batch in banded]
        edges += list(dedup.pair(iter(part), options))
    random.Random(buckets).shuffle(edges)
    found = list(dedup.cluster(cast(Whole, pa.Table.from_batches(edges)), sketches, options))
    duplicates = cast(Whole, pa.Table.from_batches([each for each in found if isinstance(each, pa.RecordBatch)]))
    out: list[Row] = []
    for shard, piece in enumerate(pieces):
        for batch in dedup.keep(cut(piece, batch_rows), duplicates, options, shard):
            out += batch.to_pylist()
    assert [row["id"] for row in out] == [row["id"] for row in rows]
    return out


def of_bucket(batch: pa.RecordBatch, buckets: int) -> Any:
    return (batch["band"].to_numpy() >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)


def docs(*texts: str) -> list[Row]:
    return [{"id": f"{at:03d}", "text": text} for at, text in enumerate(texts)]


def dropped(rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    return {row["id"]: (row["drop"], row["drop_kept_id"]) for row in rows if row["drop"]}


def edited(text: str, every: int, rng: random.Random) -> str:
    """Change one word in so many."""
    words = text.split()
    for at in range(rng.randrange(every), len(words), every):
        words[at] = f"edit{rng.randrange(10**9)}x"
    return " ".join(words)


def shingle_set(text: str) -> set[str]:
    units = shingles.normalised(text).split(" ")
    return {" ".join(units[at : at + 5]) for at in range(len(units) - 4)}


def similarity(one: str, two: str) -> float:
    first, second = shingle_set(one), shingle_set(two)
    return len(first & second) / len(first | second) if first | second else 0.0


LONG = (
    "It is a truth universally acknowledged that a single man in possession of a good fortune must be in want of a wife"
)


@pytest.fixture(scope="module")
def corpus() -> list[Row]:
    """Real articles, some with copies in which one word of 1,000, 100, 60, 40 or 12 differs, in any order."""
    rng = random.Random(7)
    with gzip.open(shared("lm/wikitext-2.train.txt.gz"), "rt", encoding="utf-8") as file:
        lines = file.read(3_000_000).split("\n")
    texts = ["\n".join(lines[at : at + 12]) for at in range(0, len(lines), 12)][:500]
    planted = [edited(rng.choice(texts), every, rng) for every in (1000, 100, 60, 40, 12) for _ in range(40)]
    copies = [" \n".join(rng.choice(texts).split(" ")) for _ in range(30)]
    numbers = list(range(len(texts) + len(planted) + len(copies)))
    rng.shuffle(numbers)
    rows = [{"id": f"{at:04d}", "text": text} for at, text in zip(numbers, texts + planted + copies, strict=True)]
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def deduped(corpus: list[Row]) -> list[Row]:
    return run(corpus)


# Against brute force


def test_every_drop_has_the_similarity_that_it_tells_to_a_document_that_is_kept(deduped: list[Row]) -> None:
    kept = {row["id"]: row["text"] for row in deduped if row["drop"] is None}
    marked = [row for row in deduped if row["drop"]]
    assert len(marked) > 140
    for row in marked:
        exact = similarity(row["text"], kept[row["drop_kept_id"]])
        assert exact >= 0.8
        assert row["drop_similarity"] == pytest.approx(exact, abs=1e-6)


def test_no_two_documents_that_are_kept_are_near_duplicates(deduped: list[Row]) -> None:
    """All pairs: a pair of .85 or more is missed once in 70 times by 14 bands of 8 rows, and none is here."""
    kept = [shingle_set(row["text"]) for row in deduped if row["drop"] is None]
    where: dict[str, list[int]] = {}
    for at, each in enumerate(kept):
        for shingle in each:
            where.setdefault(shingle, []).append(at)
    pairs = {(one, two) for at in where.values() if len(at) < 50 for one in at for two in at if one < two}
    near = [(one, two) for one, two in pairs if len(kept[one] & kept[two]) / len(kept[one] | kept[two]) >= 0.85]
    assert len(pairs) > 100
    assert near == []


def test_drops_are_those_of_a_greedy_search_over_all_pairs(corpus: list[Row], deduped: list[Row]) -> None:
    """In the order of ids: the bands may miss a pair just above .8, but none of these."""
    sets = {row["id"]: shingle_set(row["text"]) for row in corpus}
    texts = {row["id"]: row["text"].split() for row in corpus}
    kept: list[str] = []
    expected = set()
    for name in sorted(sets):
        mine = sets[name]
        if any(
            texts[name] == texts[k] or (mine and len(mine & sets[k]) / len(mine | sets[k]) >= 0.8)
            for k in kept
            if 0.79 * len(mine) <= len(sets[k]) <= len(mine) / 0.79
        ):
            expected.add(name)
        else:
            kept.append(name)
    assert set(dropped(deduped)) == expected


def test_reasons_tell_copies_from_near_duplicates(deduped: list[Row]) -> None:
    texts = {row["id"]: row["text"].split() for row in deduped}
    for name, (why, kept) in dropped(deduped).items():
        assert (why == "exact_duplicate") == (texts[name] == texts[kept])


def test_the_smallest_id_of_copies_stays(deduped: list[Row]) -> None:
    assert all(kept < name for name, (_, kept) in dropped(deduped).items())


# Invariance


@pytest.mark.parametrize(("shards", "batch_rows", "buckets"), [(3, 1000, 1), (7, 11, 4), (1, 1, 64), (40, 5, 3)])
def test_rows_do_not_depend_on_shards_batches_or_buckets(
    corpus: list[Row], deduped: list[Row], shards: int, batch_rows: int, buckets: int
) -> None:
    assert run(corpus, shards=shards, batch_rows=batch_rows, buckets=buckets) == deduped


def test_what_is_kept_does_not_depend_on_the_order_of_documents(corpus: list[Row], deduped: list[Row]) -> None:
    shuffled = random.Random(1).sample(corpus, len(corpus))
    assert dropped(run(shuffled, shards=2)) == dropped(deduped)


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=12).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("xyz"), WORDS), max_size=12), st.sampled_from([1, 3, 7]), st.integers(1, 4))
def test_what_is_kept_is_the_same_with_repeated_ids(pairs: list[tuple[str, str]], shards: int, batch_rows: int) -> None:
    rows = [{"id": name, "text": text} for name, text in pairs]
    options = Options(bands=40, rows=1, shingle_words=2, min_similarity=0.5)
    one, other = run(rows, options), run(rows, options, shards=shards, batch_rows=batch_rows)
    assert one == other
    kept = [row for row in one if row["drop"] is None]
    assert len(kept) == len({row["text"] for row in kept})
    assert bool(kept) == bool(rows)
    assert all((row["drop_kept_id"]) in {each["id"] for each in kept} for row in one if row["drop"])


# Cases


def test_a_copy_is_an_exact_duplicate_whatever_its_white_space() -> None:
    out = run(docs("one two", "one  two\n", "one 2"))
    assert dropped(out) == {"001": ("exact_duplicate", "000")}
    assert out[1]["drop_similarity"] == 1.0


def test_of_two_rows_of_the_same_id_and_text_one_stays() -> None:
    row = {"id": "a", "text": LONG}
    for shards in (1, 2):
        assert [each["drop"] for each in run([row, row], shards=shards)] == [None, "exact_duplicate"]


def test_two_texts_of_the_same_id_both_stay() -> None:
    assert dropped(run([{"id": "a", "text": LONG}, {"id": "a", "text": "something else"}])) == {}


def test_texts_shorter_than_a_shingle_are_compared_exactly() -> None:
    assert dropped(run(docs("Chapter 1", "Chapter 2", "Chapter 1", "chapter 1"))) == {"002": ("exact_duplicate", "000")}


def test_empty_texts_are_copies_of_each_other() -> None:
    assert dropped(run(docs("", " ", "\n"))) == {"001": ("exact_duplicate", "000"), "002": ("exact_duplicate", "000")}


def test_numbers_accents_case_and_punctuation_do_not_tell_long_texts_apart() -> None:
    other = LONG.upper().replace("A", "À") + "!"
    assert dropped(run(docs(LONG, other, LONG + " in 1813", LONG + " in 2005"))) == {
        "001": ("near_duplicate", "000"),
        "002": ("near_duplicate", "000"),
        "003": ("near_duplicate", "000"),
    }


def test_text_without_spaces_is_compared_by_characters() -> None:
    text = "東京都は日本の首都であり、世界でも最大級の都市の一つである。江戸時代から続く文化が今も残っている。"
    assert dropped(
        run(docs(text, text.replace("最大級", "最大級"), text + "。", text[:25] + "全く違う内容がここに書かれている"))
    ) == {
        "001": ("exact_duplicate", "000"),
        "002": ("near_duplicate", "000"),
    }


def test_a_chain_of_similar_documents_is_not_one_cluster() -> None:
    words = [f"w{at}x" for at in range(140)]
    chain = [" ".join(_letters(word) for word in words[at : at + 100]) for at in (0, 7, 14)]
    assert [similarity(chain[0], chain[1]) >= 0.8, similarity(chain[0], chain[2]) >= 0.8] == [True, False]
    assert dropped(run(docs(*chain))) == {"001": ("near_duplicate", "000")}


def _letters(word: str) -> str:
    return "".join("abcdefghij"[int(char)] if char.isdigit() else char for char in word)


def test_a_family_of_thousands_of_pages_keeps_one() -> None:
    rng = random.Random(0)
    words = LONG.split() * 6
    base = [f"{word}{_letters(str(at))}" for at, word in enumerate(words)]
    pages = []
    for _ in range(4000):
        page = list(base)
        page[rng.randrange(len(page))] = f"name{_letters(str(rng.randrange(10**6)))}"
        pages.append(" ".join(page))
    out = run(docs(*pages))
    assert sum(row["drop"] is None for row in out) == 1


def test_a_family_of_thousands_that_differ_keeps_all_in_linear_time() -> None:
    """Half of each page is a template: all meet in bands, and none is a duplicate."""
    rng = random.Random(0)
    base = [_letters(f"t{at}") for at in range(60)]
    pages = [
        " ".join([*base, *(_letters(f"p{page}w{rng.randrange(10**9)}") for _ in range(20))]) for page in range(3000)
    ]
    assert dropped(run(docs(*pages), Options(bands=20, rows=2))) == {}


def test_threshold_asks_for_its_similarity() -> None:
    rng = random.Random(5)
    text = " ".join(_letters(f"w{at}") for at in range(400))
    near = edited(text, 60, rng)
    assert 0.8 < similarity(text, near) < 0.95
    assert dropped(run(docs(text, near), Options(threshold=0.95))) == {}
    assert dropped(run(docs(text, near), Options(threshold=0.7))) == {"001": ("near_duplicate", "000")}


def test_threshold_and_bands_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="chooses bands and rows"):
        Options(threshold=0.8, bands=20)


def test_no_documents_give_none() -> None:
    assert run([], shards=3) == []


def test_other_columns_pass_through() -> None:
    out = run([{"id": "a", "text": "x", "url": "https://test.example/"}])
    assert out[0]["url"] == "https://test.example/"


def test_inputs_are_left_as_they_were() -> None:
    batch = rows_to_batch(docs("a", "a"), DOCS)
    before = batch.to_pylist()
    list(dedup.sign(iter([batch]), Options(), 0))
    assert batch.to_pylist() == before


def test_the_work_tables_have_the_columns_that_are_declared() -> None:
    batch = rows_to_batch([], DOCS)
    bands, (name, sketches) = list(dedup.sign(iter([batch]), Options(), 0))
    assert bands.schema == dedup.BANDS
    assert (name, sketches.schema) == ("sketches", dedup.SKETCHES)
    (edges,) = dedup.pair(iter([bands]), Options())
    assert edges.schema == dedup.BANDS
    assert set(STAGE.reasons) == {"exact_duplicate", "near_duplicate"}
