"""Shingles, signatures and bands against plain Python and against datasketch; clusters against brute force."""

from __future__ import annotations

import gzip
import itertools
import re
import unicodedata
from typing import Any

import datasketch
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from corpuskit.sketch import bands, clusters, minhash, shingles
from corpuskit.sketch.cluster_kernels import jaccard
from corpuskit.sketch.shingle_kernels import xxh32
from corpuskit.text import threads
from tests.data import shared


@njit
def hash_part(data: Any, start: int, stop: int) -> Any:
    return xxh32(data, start, stop)


TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from([*"aB1٣ \n.'-—東のไทก한é\u0301ΣςİǅⅣ²😀𝔸\U00020000ﬁ\u00ad", "word ", "2,000 "]), max_size=80
    ).map("".join),
)


def units(text: str) -> list[str]:
    """Normalise as the documentation says, with the tools of the standard library."""
    unspaced = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in shingles.UNSPACED) + "]+")
    parts = []
    for char in text:
        written = char if "가" <= char <= "힣" else unicodedata.normalize("NFD", char.lower()).replace("ς", "σ")
        written = "".join("0" if unicodedata.category(each) == "Nd" else each for each in written)
        written = "".join(
            each
            for each in written
            if each.isspace() or unicodedata.category(each)[0] in "LN" or unicodedata.category(each) == "Mc"
        )
        parts.append(f" {written} " if unspaced.fullmatch(written) else written)
    return re.sub("0+", "0", "".join(parts)).split()


def set_of(text: str, width: int = 5) -> list[int]:
    parts = units(text)
    return sorted(
        {xxhash.xxh32_intdigest(" ".join(parts[at : at + width]).encode()) for at in range(len(parts) - width + 1)}
    )


def sets(texts: list[str], width: int = 5) -> list[list[int]]:
    values, offsets = shingles.shingles(pa.array(texts, pa.string()), width)
    return [values[start:stop].tolist() for start, stop in itertools.pairwise(offsets)]


@pytest.fixture(scope="module")
def articles() -> list[str]:
    with gzip.open(shared("lm/wikitext-2.valid.txt.gz"), "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    return ["\n".join(lines[at : at + 12]) for at in range(0, len(lines), 12)]


# Shingles


@settings(deadline=None, max_examples=800)
@given(TEXTS)
def test_normalised_text_is_that_of_the_standard_library(text: str) -> None:
    assert shingles.normalised(text).split(" ") == (units(text) or [""])


@settings(deadline=None, max_examples=800)
@given(st.lists(TEXTS, max_size=4), st.integers(1, 6))
def test_shingles_are_the_hashed_runs_of_normalised_units(texts: list[str], width: int) -> None:
    assert sets(texts, width) == [set_of(text, width) for text in texts]


def test_a_compatibility_ideograph_is_a_unit_like_the_one_that_it_stands_for() -> None:
    assert shingles.normalised("0\ufa2a") == "0 \u98ef"


def test_shingles_of_79_languages_are_the_hashed_runs_of_normalised_units() -> None:
    texts = [path.read_text(encoding="utf-8")[:3000] for path in sorted(shared("langid/lingua-sentences").iterdir())]
    assert sets(texts) == [set_of(text) for text in texts]


@settings(deadline=None)
@given(st.binary(max_size=70))
def test_xxh32_is_that_of_xxhash(data: bytes) -> None:
    padded = np.frombuffer(b"ab" + data + b"12345678", np.uint8)
    assert int(hash_part(padded, 2, 2 + len(data))) == xxhash.xxh32_intdigest(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't  STOP!", "dont stop"),
        ("In 1999, 2,000 ran 3.5 km", "in 0 0 ran 0 km"),
        ("Ünïcödé café\u0301", "unicode cafe"),
        ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
        ("東京に go", "東 京 に go"),
        ("한국어 텍스트", "한국어 텍스트"),
        ("a\u00adb \u200b— 😀", "ab"),
        ("", ""),
    ],
)
def test_normalised(text: str, expected: str) -> None:
    assert shingles.normalised(text) == expected


def test_a_text_of_four_words_has_no_shingle_of_five() -> None:
    assert sets(["one two three four", "one two three four five"])[0] == []
    assert len(sets(["one two three four five"])[0]) == 1


def test_no_code_point_outgrows_the_room_for_it() -> None:
    kinds, starts, _ = shingles._table()
    for code in np.flatnonzero(np.diff(starts) > 1):
        written = starts[code + 1] - starts[code] + 2 * (kinds[code] == shingles.UNIT)
        assert written <= shingles.GROWTH * len(chr(code).encode())


def test_digests_tell_texts_apart_but_for_white_space() -> None:
    texts = ["a b", " a\n\u3000b\t", "ab", "a  B", "", " "]
    digests, variants = shingles.digests(pa.array(texts))
    each = [digests[at : at + 16] for at in range(0, len(digests), 16)]
    assert each[0] == each[1]
    assert each[4] == each[5]
    assert len(set(each)) == 4
    assert len(set(variants.tolist())) == 6


# Signatures


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_permutations_are_those_of_datasketch(count: int, seed: int) -> None:
    sketch = datasketch.MinHash(num_perm=count, seed=seed, scheme="affine32")
    np.testing.assert_array_equal(minhash.permutations(count, seed), sketch.permutations)


def theirs(text: str, width: int, count: int, seed: int) -> Any:
    """Sketch a text with datasketch, its shingles made by the standard library."""
    return sketch_of(shingles_of(text, width), count, seed)


def shingles_of(text: str, width: int) -> list[bytes]:
    parts = units(text)
    return [" ".join(parts[at : at + width]).encode() for at in range(len(parts) - width + 1)]


def sketch_of(made: list[bytes], count: int, seed: int) -> Any:
    sketch = datasketch.MinHash(num_perm=count, seed=seed, hashfunc=xxhash.xxh32_intdigest, scheme="affine32")
    if made:
        sketch.update_batch(made)
    return sketch.hashvalues


@settings(deadline=None, max_examples=200)
@given(
    st.lists(TEXTS, max_size=3),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 7, 64, 112, 128, 256]),
)
def test_signatures_are_those_of_datasketch(texts: list[str], width: int, seed: int, count: int) -> None:
    ours = shingles.sketch(pa.array(texts, pa.string()), width, minhash.permutations(count, seed))
    for text, signature in zip(texts, ours.signatures, strict=True):
        np.testing.assert_array_equal(signature, theirs(text, width, count, seed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "one two three four five",
        "😀 𝔸𝔹 \U00020000\U00030000 𐐀𐐁 𝟙𝟚 " * 9,
        "a\udcffb c\ud800 d\udfff e f".encode("utf-8", "replace").decode(),
        "x" * 1_000_000 + " y z a b " + "é" * 500_000,
        "7" * 1_000_000 + " 8 9 a b c",
    ],
    ids=["empty", "one word", "one shingle", "astral", "surrogates", "words of 1 MB", "a number of 1 MB"],
)
def test_signatures_of_odd_texts_are_those_of_datasketch(text: str) -> None:
    made = shingles_of(text, 5)
    for count in (64, 112, 128, 256):
        ours = shingles.sketch(pa.array([text]), 5, minhash.permutations(count, 1)).signatures
        np.testing.assert_array_equal(ours[0], sketch_of(made, count, 1))


def test_signatures_of_10_000_real_documents_are_those_of_datasketch(articles: list[str]) -> None:
    files = sorted(shared("langid/lingua-sentences").iterdir())
    lines = [line for file in files for line in file.read_text(encoding="utf-8").split("\n")[:150]]
    texts = [*articles, *lines][:10_000]
    assert len(texts) == 10_000
    made = [shingles_of(text, 3) for text in texts]
    for count in (64, 112, 128, 256):
        ours = shingles.sketch(pa.array(texts), 3, minhash.permutations(count, 1)).signatures
        for each, signature in zip(made, ours, strict=True):
            np.testing.assert_array_equal(signature, sketch_of(each, count, 1))


@pytest.mark.parametrize("count", [64, 112, 128, 256])
def test_signatures_of_real_articles_are_those_of_datasketch(articles: list[str], count: int) -> None:
    ours = shingles.sketch(pa.array(articles), 5, minhash.permutations(count, 1)).signatures
    for at in range(0, len(articles), 9):
        np.testing.assert_array_equal(ours[at], theirs(articles[at], 5, count, 1))


def test_signatures_with_and_without_the_sets_are_the_same(articles: list[str]) -> None:
    column, permuted = pa.array(articles), minhash.permutations(112, 1)
    with_sets, without = (shingles.sketch(column, 5, permuted, sets=sets) for sets in (True, False))
    np.testing.assert_array_equal(with_sets.signatures, without.signatures)
    np.testing.assert_array_equal(minhash.signatures(with_sets.hashes, with_sets.offsets, permuted), without.signatures)


@pytest.mark.parametrize("count", ["1", "2", "3", "7"])
def test_sketches_are_the_same_for_any_number_of_threads(
    articles: list[str], count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["", *articles[:20], "x " * 300_000, "", "", articles[21], ""]
    expected = shingles.sketch(pa.array(texts), 5, minhash.permutations(16, 1))
    monkeypatch.setenv(threads.THREADS, count)
    monkeypatch.setattr(threads, "_LEAST_BYTES", 100)
    found = shingles.sketch(pa.array(texts), 5, minhash.permutations(16, 1))
    np.testing.assert_array_equal(found.signatures, expected.signatures)
    np.testing.assert_array_equal(found.hashes, expected.hashes)
    np.testing.assert_array_equal(found.offsets, expected.offsets)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 5))
def test_threads_share_all_texts_and_each_once(sizes: list[int], count: int) -> None:
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(threads.THREADS, str(count))
        patch.setattr(threads, "_LEAST_BYTES", 1)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        threads.side_by_side(lambda first, last: seen.extend(range(first, last)), offsets)
    assert sorted(seen) == list(range(len(sizes)))


def test_datasketch_takes_our_signatures(articles: list[str]) -> None:
    ours = shingles.sketch(pa.array(articles[:2]), 5, minhash.permutations(128, 7)).signatures
    one, two = minhash.to_datasketch(ours, seed=7)
    other = datasketch.MinHash(num_perm=128, seed=7, hashfunc=xxhash.xxh32_intdigest, scheme="affine32")
    assert one.jaccard(two) == np.mean(ours[0] == ours[1])
    other.merge(one)
    np.testing.assert_array_equal(other.hashvalues, ours[0])


def test_agreeing_places_estimate_the_similarity() -> None:
    values = np.concatenate([np.arange(3000), np.arange(1000, 4000)]).astype(np.uint32)
    one, two = minhash.signatures(values, np.array([0, 3000, 6000]), minhash.permutations(4096, 1))
    assert np.mean(one == two) == pytest.approx(0.5, abs=0.03)


# Bands


def test_equal_rows_in_different_bands_do_not_meet() -> None:
    hashes = bands.band_hashes(np.full((2, 6), 7, np.uint32), 3, 2)
    assert hashes[0].tolist() == hashes[1].tolist()
    assert len(set(hashes[0].tolist())) == 3


def test_a_band_changes_with_each_of_its_rows_alone() -> None:
    signature = np.arange(6, dtype=np.uint32).reshape(1, 6)
    for place in range(6):
        changed = signature.copy()
        changed[0, place] += 1
        equal = bands.band_hashes(signature, 3, 2)[0] == bands.band_hashes(changed, 3, 2)[0]
        assert np.flatnonzero(~equal).tolist() == [place // 2]


def test_band_hashes_spread_evenly() -> None:
    signatures = np.random.default_rng(0).integers(0, 2**32, (20_000, 8), dtype=np.uint32)
    counts = np.bincount((bands.band_hashes(signatures, 1, 8)[:, 0] >> np.uint64(60)).astype(int), minlength=16)
    assert counts.min() > 1100  # of 1,250 on average


def test_pairs_meet_as_often_as_the_formula_says() -> None:
    trials, size = 1000, 400
    rng = np.random.default_rng(1)
    shared_part = rng.integers(0, 2**32, (trials, size), dtype=np.uint32)  # similarity 400 / (400 + 2 * 50) = .8
    values = np.concatenate(
        [part for row in shared_part for _ in "ab" for part in (row, rng.integers(0, 2**32, 50, dtype=np.uint32))]
    )
    offsets = np.arange(2 * trials + 1) * (size + 50)
    hashes = bands.band_hashes(minhash.signatures(values, offsets, minhash.permutations(112, 1)), 14, 8)
    met = np.mean((hashes[::2] == hashes[1::2]).any(axis=1))
    assert met == pytest.approx(1 - (1 - 0.8**8) ** 14, abs=0.03)


def test_choose_bands_is_datasketchs_choice() -> None:
    assert bands.choose_bands(0.8) == (9, 13)


def test_meeting_keeps_shared_bands_in_order() -> None:
    met = bands.meeting(np.array([5, 1, 5, 2, 1], np.uint64), np.array([9, 3, 4, 4, 2], np.uint64))
    assert [column.tolist() for column in met] == [[1, 1, 5, 5], [2, 3, 4, 9]]


# Clusters

SETS = st.lists(st.frozensets(st.integers(0, 12), min_size=1), min_size=1, max_size=14)


def found(groups: list[frozenset[int]], least: float, texts: list[int] | None = None) -> list[tuple[int, float]]:
    """Run `duplicates` where all documents meet in one band."""
    arrays = [np.array(sorted(group), np.uint32) for group in groups]
    numbers = np.arange(len(groups))
    result = clusters.duplicates(
        np.zeros(len(groups), np.uint64),
        numbers,
        numbers if texts is None else np.array(texts),
        np.array([len(array) for array in arrays]),
        lambda members: np.concatenate([arrays[member] for member in members]),
        least,
    )
    return list(zip(result.kept.tolist(), result.similarity.tolist(), strict=True))


def greedy(groups: list[frozenset[int]], least: float) -> list[tuple[int, float]]:
    kept: list[int] = []
    out = []
    for at, group in enumerate(groups):
        best = max(((len(group & groups[k]) / len(group | groups[k]), -k) for k in kept), default=(0.0, 1))
        if best[0] >= least:
            out.append((-best[1], best[0]))
        else:
            kept.append(at)
            out.append((-1, 0.0))
    return out


@settings(deadline=None, max_examples=500)
@given(SETS, st.sampled_from([0.3, 0.5, 0.75, 0.8, 1.0]))
def test_clusters_are_those_of_a_greedy_search_over_all_pairs(groups: list[frozenset[int]], least: float) -> None:
    assert found(groups, least) == greedy(groups, least)


@settings(deadline=None, max_examples=500)
@given(st.frozensets(st.integers(0, 40)), st.frozensets(st.integers(0, 40)), st.floats(0.1, 1))
def test_jaccard_is_exact_down_to_the_least_asked_for(one: frozenset[int], two: frozenset[int], least: float) -> None:
    exact = len(one & two) / max(1, len(one | two))
    values = np.array([*sorted(one), *sorted(two)], np.uint32)
    similarity = jaccard(values, 0, len(one), values, len(one), len(values), least) if one | two else 0.0
    assert similarity == exact if exact >= least else similarity < least


def test_a_chain_does_not_drop_what_differs_from_all_that_is_kept() -> None:
    chain = [frozenset(range(at, at + 20)) for at in (0, 2, 4)]  # neighbours .82, ends .67
    assert [kept for kept, _ in found(chain, 0.8)] == [-1, 0, -1]


def test_a_copy_of_a_dropped_text_goes_for_the_document_that_is_kept() -> None:
    near = [frozenset(range(20)), frozenset(range(1, 21)), frozenset(range(1, 21))]
    assert found(near, 0.8, [0, 1, 1]) == [(-1, 0.0), (0, 19 / 21), (0, 19 / 21)]


def test_a_copy_of_a_kept_text_is_wholly_similar() -> None:
    assert found([frozenset({1, 2}), frozenset({1, 2})], 0.8, [0, 0]) == [(-1, 0.0), (0, 1.0)]


def test_families_in_batches_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    groups = [
        np.unique(rng.integers(family * 50, family * 50 + 12, 9)).astype(np.uint32)
        for family in range(30)
        for _ in "abcd"
    ]

    def run() -> clusters.Found:
        order = rng.permutation(len(groups))
        return clusters.duplicates(
            (order // 4).astype(np.uint64),
            order,
            np.arange(len(groups)),
            np.array([len(group) for group in groups]),
            lambda members: np.concatenate([groups[member] for member in members]),
            0.5,
        )

    expected = run()
    assert 0 < np.count_nonzero(expected.kept >= 0) < len(groups)
    for size in (1, 50, 200):
        monkeypatch.setattr(clusters, "_BATCH_SHINGLES", size)
        again = run()
        assert again.kept.tolist() == expected.kept.tolist()
        assert again.similarity.tolist() == expected.similarity.tolist()
