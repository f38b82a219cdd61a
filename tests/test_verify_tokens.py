"""`verify` on tokens and blocks: a shard whose hash holds, and whose content does not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit import dataset
from corpuskit.dataset import Manifest, Shard
from corpuskit.tokens import bpe, proof
from corpuskit.verify import problems
from tests.build import load

Change = Callable[[dict[str, Any]], None]


def rewrite(path: Path, artifact: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the first file of a table that has rows, and let the manifest say that it was always so."""
    manifest = dataset.read_manifest(str(path))
    old = manifest.artifacts[artifact]
    at = next(at for at, shard in enumerate(old.shards) if shard.rows)
    file = Path(dataset.shard_paths(str(path), old)[at])
    table = change(pa.ipc.open_stream(file.read_bytes()).read_all())  # not a map of what is written anew
    with pa.ipc.new_stream(file, table.schema) as stream:
        for batch in table.combine_chunks().to_batches():
            stream.write_batch(batch)
    data = file.read_bytes()
    shards = [*old.shards]
    shards[at] = Shard(old.shards[at].file, len(data), hashlib.sha256(data).hexdigest(), table.num_rows)
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    made = type(old)(**{**{name: getattr(old, name) for name in old.__struct_fields__}, "shards": shards})
    fields["artifacts"] = {**manifest.artifacts, artifact: made}
    (path / dataset.MANIFEST).write_bytes(Manifest(**fields).encode())


def damage(path: Path, artifact: str, row: int, change: Change) -> None:
    """Change one row."""

    def changed(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        change(rows[row])
        return pa.Table.from_pylist(rows, schema=table.schema)

    rewrite(path, artifact, changed)


@pytest.fixture
def tokens(chain: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(chain["tokens"], tmp_path / "tokens"))


@pytest.fixture
def blocks(chain: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(chain["blocks"], tmp_path / "blocks"))


@pytest.fixture
def padded(chain: dict[str, Path], tmp_path: Path, corpuskit: Any) -> Path:
    words = ["shard", chain["tokens"], tmp_path / "padded", "--block-tokens", 64, "--pack", "best-fit"]
    assert corpuskit(*words, "--valid-fraction", 0.1).code == 0
    return tmp_path / "padded"


def set_id(at: int, value: int) -> Change:
    return lambda row: row["input_ids"].__setitem__(at, value)


def only(path: Path) -> str:
    (line,) = problems(str(path))
    return line


# All is well


@pytest.mark.parametrize("name", ["tokens", "blocks"])
def test_sound_shards_hold(chain: dict[str, Path], corpuskit: Any, name: str) -> None:
    result = corpuskit("--verbose", "verify", chain[name])
    assert result.code == 0
    assert "a sample was decoded" in result.err


def test_padded_blocks_hold(padded: Path) -> None:
    assert list(problems(str(padded))) == []


# Tokens


def test_an_id_above_the_vocabulary(tokens: Path, corpuskit: Any) -> None:
    damage(tokens, "tokens", 5, set_id(2, 1000))
    result = corpuskit("verify", tokens)
    assert result.code == 65
    assert "tokens-00000-of-00003.arrow, row 5: expected ids below 1,000, found 1,000" in result.err


def test_ids_of_another_width(tokens: Path) -> None:
    def widened(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("input_ids")
        field = pa.field("input_ids", pa.list_(pa.uint32()), False)
        return table.set_column(at, field, table.column(at).cast(pa.list_(pa.uint32())))

    rewrite(tokens, "tokens", widened)
    assert "expected ids of uint16 for a vocabulary of 1,000 entries, found uint32" in only(tokens)


def test_a_document_without_its_end_mark(tokens: Path) -> None:
    damage(tokens, "tokens", 3, set_id(-1, 7))
    assert "row 3: expected the end mark (id 0) at the end of the document, found 7" in only(tokens)


def test_a_document_of_no_tokens(tokens: Path) -> None:
    damage(tokens, "tokens", 3, lambda row: row.update(input_ids=[]))
    assert "row 3: expected the end mark (id 0) at the end of the document, found no token" in only(tokens)


def test_an_end_mark_inside_of_a_document(tokens: Path) -> None:
    damage(tokens, "tokens", 4, set_id(3, 0))
    assert "row 4: expected one end mark (id 0) in the document, found 2" in only(tokens)


def sampled(path: Path) -> int:
    """Give the first row of the first file whose text is decoded."""
    artifact = dataset.read_manifest(str(path)).artifacts["tokens"]
    chosen = np.random.default_rng(0).permutation(artifact.rows)[:64]
    return int(chosen[chosen < (artifact.shards[0].rows or 0)].min())


def test_bytes_that_are_not_those_of_the_text(tokens: Path) -> None:
    row = sampled(tokens)
    n_bytes = load(tokens).column("bytes")[row].as_py()
    damage(tokens, "tokens", row, lambda each: each.update(bytes=n_bytes + 1))
    assert (
        f"row {row}: expected a text of {n_bytes + 1:,} bytes, as the column `bytes` says, found {n_bytes:,}"
        in only(tokens)
    )


def test_ids_that_are_not_those_of_their_text(tokens: Path, chain: dict[str, Path]) -> None:
    tokenizer = bpe.load(chain["tokenizer"])
    row = sampled(tokens)
    text = tokenizer.decode(load(tokens).column("input_ids")[row].as_py()[:-1])
    slow = [
        tokenizer.backend.token_to_id(char) for char in tokenizer.backend.pre_tokenizer.pre_tokenize_str(text)[0][0]
    ]
    ids = [*slow, *tokenizer.encode([text[len(text.split(" ")[0]) :]])[0].tolist()]
    damage(tokens, "tokens", row, lambda each: each.update(input_ids=[*ids, 0]))
    assert f"row {row}: expected the ids of the text" in only(tokens)


def test_ids_that_are_no_utf8(tokens: Path, chain: dict[str, Path]) -> None:
    byte = bpe.load(chain["tokenizer"]).backend.token_to_id("Ã")  # the byte c3, which begins a character of two
    row = sampled(tokens)
    damage(tokens, "tokens", row, lambda each: each.update(input_ids=[byte, byte, 0], bytes=6))
    assert f"row {row}: expected the ids of the text" in only(tokens)


def test_a_text_that_is_not_the_documents(chain: dict[str, Path], tokens: Path, corpuskit: Any) -> None:
    root = tokens.parent
    shutil.copytree(chain["docs"], root / "docs")
    assert corpuskit("verify", root).code == 0
    row = sampled(tokens)
    tokenizer = bpe.load(chain["tokenizer"])
    text = tokenizer.decode(load(tokens).column("input_ids")[row].as_py()[:-1])
    other = text.replace("e", "o", 1)
    damage(tokens, "tokens", row, lambda each: each.update(input_ids=[*tokenizer.encode([other])[0].tolist(), 0]))
    assert list(problems(str(tokens))) == []
    result = corpuskit("verify", root)
    assert result.code == 65
    assert f"row {row}: expected the document's text" in result.err


def test_tokens_without_a_tokenizer_are_said_to_be_looked_at_less(tokens: Path, corpuskit: Any) -> None:
    manifest = dataset.read_manifest(str(tokens))
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields["artifacts"] = {"tokens": manifest.artifacts["tokens"]}
    (tokens / dataset.MANIFEST).write_bytes(Manifest(**fields).encode())
    result = corpuskit("--verbose", "verify", tokens)
    assert result.code == 0
    assert "no tokenizer beside the tokens" in result.err


# Blocks


def first_start(path: Path, split: str = "train") -> tuple[int, int]:
    """Give a block and a place inside of it where a document begins."""
    rows = load(path, split).column("document_starts").to_pylist()
    return next((row, start) for row, starts in enumerate(rows) for start in starts if start > 0)


def test_a_block_with_an_id_above_the_vocabulary(blocks: Path) -> None:
    damage(blocks, "train", 2, set_id(5, 4000))
    assert "row 2: expected ids below 1,000, found 4,000" in only(blocks)


def test_blocks_of_another_length(blocks: Path) -> None:
    def halved(table: pa.Table) -> pa.Table:
        column = table.column("input_ids").combine_chunks()
        ids = pa.FixedSizeListArray.from_arrays(column.flatten(), 32)
        starts = pa.array([[]] * len(ids), pa.list_(pa.int32()))
        return pa.table({"input_ids": ids, "document_starts": starts})

    rewrite(blocks, "train", halved)
    assert any("expected blocks of 64 tokens, found 32" in line for line in problems(str(blocks)))


def test_starts_that_do_not_rise(blocks: Path) -> None:
    row, start = first_start(blocks)
    damage(blocks, "train", row, lambda each: each.update(document_starts=[start, start]))
    assert f"row {row}: expected document_starts that rise" in next(problems(str(blocks)))


def test_a_start_outside_of_the_block(blocks: Path) -> None:
    row, _ = first_start(blocks)
    damage(blocks, "train", row, lambda each: each["document_starts"].append(64))
    assert f"row {row}: expected document_starts that rise from 0 to below 64" in next(problems(str(blocks)))


def test_a_start_that_no_end_mark_comes_before(blocks: Path) -> None:
    row, start = first_start(blocks)
    damage(blocks, "train", row, set_id(start - 1, 7))
    found = list(problems(str(blocks)))
    assert f"row {row}: expected an end mark (id 0) before the document that begins at {start}, found none" in found[0]


def test_an_end_mark_that_no_document_begins_after(blocks: Path) -> None:
    row, start = first_start(blocks)
    damage(blocks, "train", row, lambda each: each["document_starts"].remove(start))
    assert f"row {row}: expected a document to begin at {start}, after an end mark" in next(problems(str(blocks)))


def test_more_end_marks_than_documents(blocks: Path) -> None:
    ids = load(blocks, "train").column("input_ids").to_pylist()
    row = next(at for at, each in enumerate(ids) if each[-1] != 0)
    damage(blocks, "train", row, set_id(-1, 0))
    assert f"row {row + 1}: expected a document to begin with the block" in next(problems(str(blocks)))


def test_a_held_out_document_whose_bytes_are_wrong(blocks: Path) -> None:
    damage(blocks, "heldout", 0, lambda each: each.update(bytes=1))
    assert "row 0: expected a text of 1 bytes" in only(blocks)


def test_padding_of_another_id(padded: Path) -> None:
    row = next(at for at, count in enumerate(load(padded, "train").column("padding").to_pylist()) if count)
    damage(padded, "train", row, set_id(-1, 5))
    assert f"row {row}: expected padding with the end mark (id 0), found 5 at 63" in only(padded)


def test_padding_longer_than_the_block(padded: Path) -> None:
    damage(padded, "train", 0, lambda each: each.update(padding=64))
    assert any("row 0: expected padding of 0 to 63 places, found 64" in line for line in problems(str(padded)))


def test_a_document_that_is_lost_from_a_padded_split(padded: Path) -> None:
    row = next(
        at
        for at, (starts, ids) in enumerate(
            zip(
                *(load(padded, "train").column(name).to_pylist() for name in ("document_starts", "input_ids")),
                strict=True,
            )
        )
        if len(starts) > 1 and ids[starts[1] - 1] == 0
    )

    def joined(each: dict[str, Any]) -> None:
        each["input_ids"][each["document_starts"][1] - 1] = 7
        del each["document_starts"][1]

    damage(padded, "train", row, joined)
    assert any("pieces of" in line and "end marks" in line for line in problems(str(padded)))


def test_padding_that_cuts_a_document(padded: Path) -> None:
    row = next(at for at, count in enumerate(load(padded, "train").column("padding").to_pylist()) if count)
    count = load(padded, "train").column("padding")[row].as_py()
    damage(padded, "train", row, set_id(63 - count, 5))
    wanted = f"row {row}: expected an end mark (id 0) before the padding, found 5 at {63 - count}"
    assert wanted in next(problems(str(padded)))


def test_a_rest_may_begin_inside_of_a_word_but_not_end_in_another(tokenizer: bpe.TextTokenizer) -> None:
    ids = tokenizer.encode(["unmistakably characteristic naïveté " * 5])[0]
    for start in range(1, len(ids)):
        assert proof.wrong_piece(ids[start:], tokenizer) is None
    byte = tokenizer.backend.token_to_id("Ã")
    broken = np.concatenate([ids, [byte], ids])
    assert "expected the ids of the text" in str(proof.wrong_piece(broken, tokenizer))


def test_a_padded_block_that_begins_with_nothing(padded: Path) -> None:
    damage(padded, "train", 0, lambda each: each["document_starts"].remove(0))
    assert "row 0: expected a document, or a piece of one, to begin at 0" in next(problems(str(padded)))


# Laws


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_is_right(tokenizer: bpe.TextTokenizer, texts: list[str]) -> None:
    ids, offsets = tokenizer.encode(texts)
    for at, text in enumerate(texts):
        part = ids[offsets[at] : offsets[at + 1]]
        assert proof.wrong_text(part, tokenizer, len(text.encode()), text) is None


@pytest.fixture(scope="module")
def tokenizer(chain: dict[str, Path]) -> bpe.TextTokenizer:
    return bpe.load(chain["tokenizer"])


def test_a_tokenizer_that_folds_case_loses_something(tokenizer: bpe.TextTokenizer, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, normalizers

    assert proof.is_lossless(tokenizer)
    folded = Tokenizer.from_str(tokenizer.backend.to_str())
    folded.normalizer = normalizers.Lowercase()
    folded.save(str(tmp_path / "tokenizer.json"))
    assert not proof.is_lossless(bpe.load(tmp_path))
