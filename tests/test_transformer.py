"""`train transformer`: the network against formulas by hand, training that interruptions leave no trace in, scores."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import BadData, CorpuskitError, NoInput, UsageError
from corpuskit.lm.blocks import Blocks, order
from corpuskit.lm.recipe import MAX_EPOCHS, SIZES, Recipe, Shape, recipe_of, shape_of
from corpuskit.options import specs
from corpuskit.stages.train import transformer as stage
from corpuskit.tokens import bpe, learning

torch = pytest.importorskip("torch")

from corpuskit.lm import checkpoint, network, rotary, scoring, transformer  # noqa: E402
from corpuskit.lm.device import Lanes, choose  # noqa: E402
from corpuskit.lm.loss import nats_and_hits, summed_nats, token_nats  # noqa: E402
from corpuskit.lm.trainer import Trainer  # noqa: E402

SMALL = Shape(layers=2, width=16, heads=2, kv_heads=2, hidden=24, vocab_size=23, block_tokens=12, end_id=0, seed=5)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Spare the oracles threads that wait for each other, and give back what they had."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def table(ids: Any, length: int, kind: pa.DataType | None = None, chunks: int = 1) -> pa.Table:
    """Cut a stream whose end mark is 0 into blocks, as `shard` does."""
    kept = np.asarray(ids)[: len(ids) // length * length].reshape(-1, length)
    rows = pa.array(kept.tolist(), pa.list_(kind or pa.uint16(), length))
    starts = [[int(at) + 1 for at in np.flatnonzero(block == 0) if at + 1 < length] for block in kept]
    whole = pa.table({"input_ids": rows, "document_starts": pa.array(starts, pa.list_(pa.int32()))})
    each = max(1, math.ceil(len(kept) / chunks))
    return pa.concat_tables([whole.slice(at, each) for at in range(0, max(1, len(kept)), each)])


def stream(tokens: int, vocab_size: int = 23) -> np.ndarray[Any, Any]:
    """Give a stream with some order in it: a walk of small steps, with an end mark now and then."""
    rng = np.random.default_rng(1)
    ids = 1 + np.cumsum(rng.integers(0, 3, tokens)) % (vocab_size - 1)
    ids[9::10] = 0
    return ids


def small_trainer(tokens: int = 1200, steps: int = 12, shape: Shape = SMALL) -> Trainer:
    length = shape.block_tokens
    train, valid = table(stream(tokens), length), table(stream(120), length)
    recipe = Recipe(steps, batch_blocks=90, learning_rate=0.005, seed=shape.seed)
    return Trainer(shape, recipe, Blocks(train["input_ids"]), Blocks(valid["input_ids"]), CPU)


def trained(folder: Path, steps: int = 12) -> Trainer:
    folder.mkdir(exist_ok=True)
    trainer = small_trainer(steps=steps)
    trainer.run(folder / checkpoint.CHECKPOINT, every=4)
    return trainer


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(folder: Path, train: pa.Table, valid: pa.Table, tokenizer: Path | None = None, **options: Any) -> list[Any]:
    folder.mkdir(exist_ok=True)
    given = stage.Options(**{"device": "cpu", "steps": 2, "batch_tokens": 24, **options})
    ((name, log),) = stage.train(train, valid, tokenizer, given, folder)
    assert name == "log"
    assert log.schema == stage.LOG
    return log.to_pylist()


# --- the network


def test_attention_is_the_loop_written_out_by_hand() -> None:
    layer = network.new(SMALL).layers[0].self_attn
    x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(0))
    rotation = rotary.rope(0, 5, SMALL)
    got = layer(x[0], rotation, None, None).detach().numpy()
    weights = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    inputs = x.double().numpy()[0]
    q, k, v = (inputs @ weights[f"{name}_proj.weight"].T for name in "qkv")
    gathered = np.zeros((5, 16))
    for head in (0, 8):
        for i in range(5):
            scores = [turned(q[i, head : head + 8], i) @ turned(k[j, head : head + 8], j) for j in range(i + 1)]
            weight = np.exp(np.array(scores) / math.sqrt(8))
            weight /= weight.sum()
            gathered[i, head : head + 8] = sum(weight[j] * v[j, head : head + 8] for j in range(i + 1))
    np.testing.assert_allclose(got, gathered @ weights["o_proj.weight"].T, atol=1e-6)


def turned(vector: Any, position: int) -> np.ndarray[Any, Any]:
    """Turn pairs (i, i + 4) of a head of 8 as complex numbers."""
    pairs = (vector[:4] + 1j * vector[4:]) * np.exp(1j * position * 10_000.0 ** (-np.arange(4) / 4))
    return np.concatenate([pairs.real, pairs.imag])


def test_rotated_products_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(8, generator=generator).expand(30, 8) for _ in "qk")
    rotation = rotary.rope(0, 30, SMALL)
    products = rotary.rotate(q, rotation) @ rotary.rotate(k, rotation).T
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(products[0], products[5], atol=1e-2)


def test_no_position_sees_a_later_one() -> None:
    model = network.new(SMALL)
    ids = torch.arange(1, 11)[None]
    changed = ids.clone()
    changed[0, 6:] = 3
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6], atol=1e-6, rtol=0)
    assert not torch.allclose(before[:, 6:], after[:, 6:], atol=1e-3)


def test_rms_norm_is_its_formula() -> None:
    norm = network.new(SMALL).norm
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(norm(x), x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt())


def test_embeddings_serve_both_ends_and_parameters_are_counted_once() -> None:
    for shape in (SMALL, shape_of("tiny", 4096, 256, 0, 0)):
        model = network.new(shape)
        assert sum(weight.numel() for weight in model.parameters()) == shape.parameters
        assert not [name for name in model.state_dict() if "head" in name]


def test_tiny_with_65_characters_has_800_thousand_parameters() -> None:
    assert shape_of("tiny", 65, 64, 0, 0).parameters == 800_000


def test_the_help_names_every_size() -> None:
    (size,) = [spec for spec in specs(stage.Options) if spec.name == "size"]
    assert all(name in size.help for name in SIZES)


def test_first_weights_come_from_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again = (network.new(SMALL).state_dict() for _ in range(2))
    other = network.new(dataclasses.replace(SMALL, seed=6)).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed_tokens.weight"], other["embed_tokens.weight"])


# --- the loss


@pytest.mark.parametrize("vocab_size", [7, 40_000])  # 40,000: three chunks of rows
def test_the_chunked_loss_and_its_gradient_are_those_of_cross_entropy(
    vocab_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpuskit.lm.loss._CHUNK_CPU", 1 << 20)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(70, 8, generator=generator, requires_grad=True)
    embeddings = torch.randn(vocab_size, 8, generator=generator, requires_grad=True)
    targets = torch.randint(vocab_size, (70,), generator=generator)
    oracle = torch.nn.functional.cross_entropy(vectors @ embeddings.T, targets, reduction="none")
    wanted = torch.autograd.grad(oracle.sum() * 0.5, (vectors, embeddings))
    total = summed_nats(vectors, embeddings, targets)
    got = torch.autograd.grad(total * 0.5, (vectors, embeddings))
    torch.testing.assert_close(token_nats(vectors, embeddings, targets), oracle.detach())
    nats, hits = nats_and_hits(vectors, embeddings, targets)
    torch.testing.assert_close(nats, oracle.detach())
    assert (hits == ((vectors @ embeddings.T).argmax(1) == targets)).all()
    torch.testing.assert_close(total, oracle.sum())
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_the_loss_works_under_bfloat16_autocast() -> None:
    model, ids = network.new(SMALL), torch.from_numpy(stream(24).reshape(2, 12))
    grads, sums = [], []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            nats = summed_nats(model(ids[:, :-1]).flatten(0, 1), model.embed_tokens.weight, ids[:, 1:].flatten())
        sums.append(nats.item())
        grads.append(torch.cat([slope.flatten() for slope in torch.autograd.grad(nats, list(model.parameters()))]))
    assert sums[1] == pytest.approx(sums[0], rel=0.01)
    assert torch.nn.functional.cosine_similarity(grads[0], grads[1], dim=0) > 0.99


# --- blocks, order, recipe


@pytest.mark.parametrize("kind", [pa.uint16(), pa.uint32()])
def test_blocks_are_read_across_chunks_in_the_order_asked_for(kind: pa.DataType) -> None:
    blocks = Blocks(table(np.arange(100), 10, kind, chunks=4)["input_ids"])
    rows = np.array([9, 0, 4, 4])
    assert len(blocks) == 10
    np.testing.assert_array_equal(blocks.take(rows), np.arange(100).reshape(10, 10)[rows])
    assert blocks.take(rows).dtype == np.int64
    assert blocks.largest_id() == 99


def test_blocks_of_one_chunk_are_not_copied() -> None:
    column = table(np.arange(100), 10)["input_ids"]
    (view,) = Blocks(column)._chunks
    address = column.chunk(0).flatten().buffers()[1].address
    assert view.ctypes.data == address


def test_blocks_of_several_lengths_are_refused() -> None:
    with pytest.raises(BadData, match="make them with `shard`"):
        Blocks(pa.chunked_array([pa.array([[1], [1, 2]])]))


@given(st.integers(1, 20), st.integers(0, 60), st.integers(1, 40), st.integers(0, 3))
def test_every_epoch_is_a_permutation_and_any_stretch_is_the_same(n: int, start: int, count: int, seed: int) -> None:
    whole = order(n, seed, 0, 10 * n)
    assert all(sorted(epoch) == list(range(n)) for epoch in whole.reshape(10, n))
    np.testing.assert_array_equal(order(n, seed, start, start + count), order(n, seed, 0, start + count)[start:])


def test_the_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(10, 1, 1.0, warmup_fraction=0.2, decay_fraction=0.4)
    assert [recipe.rate(step) for step in range(10)] == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_the_default_length_is_bounded_by_parameters_and_by_epochs() -> None:
    shape = shape_of("tiny", 4096, 256, 0, 0)
    for blocks in (0, 10, 100_000):
        recipe = recipe_of("tiny", shape, blocks)
        tokens = recipe.steps * recipe.batch_blocks * 256
        bound = min(SIZES["tiny"].tokens_per_parameter * shape.parameters, MAX_EPOCHS * blocks * 256)
        assert bound <= tokens < bound + recipe.batch_blocks * 256


# --- training


def test_the_loss_falls_on_a_repetitive_corpus(tmp_path: Path) -> None:
    rows = trained(tmp_path, steps=60).progress.rows
    assert rows[0]["train_nats"] > 2.9  # ln 23 = 3.1
    assert rows[-1]["train_nats"] < 1.7
    assert rows[-1]["valid_nats"] < 1.7


def test_a_run_that_is_interrupted_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")

    class Interrupted(Blocks):
        left = 7

        def take(self, rows: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise SystemExit(143)
            return super().take(rows)

    saved = tmp_path / checkpoint.CHECKPOINT
    first = small_trainer()
    first.train = Interrupted(table(stream(1200), 12)["input_ids"])
    with pytest.raises(SystemExit):
        first.run(saved, every=None)
    assert saved.exists()
    second = small_trainer()
    second.run(saved, every=None)
    assert 0 < first.progress.step < 12
    assert second.progress == whole.progress
    assert all(map(torch.equal, second.net.state_dict().values(), whole.net.state_dict().values()))


_CHILD = """
import sys
from pathlib import Path
import pyarrow as pa
from corpuskit.stages.train import transformer as stage
blocks = pa.ipc.open_file(sys.argv[1]).read_all()
options = stage.Options(device="cpu", steps=60, batch_tokens=48, checkpoint_every=3)
list(stage.train(blocks, blocks, None, options, Path(sys.argv[2])))
"""


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    blocks = table(stream(1200), 12)
    options = {"steps": 60, "batch_tokens": 48, "checkpoint_every": 3}
    log = run(tmp_path / "whole", blocks, blocks, **options)
    with pa.OSFile(str(tmp_path / "blocks.arrow"), "wb") as file, pa.ipc.new_file(file, blocks.schema) as writer:
        writer.write_table(blocks)
    out = tmp_path / "killed"
    out.mkdir()
    rng, kills = random.Random(0), 0
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path / "blocks.arrow"), str(out)])
        before = (out / checkpoint.CHECKPOINT).stat().st_mtime_ns if (out / checkpoint.CHECKPOINT).exists() else 0
        while child.poll() is None:
            here = out / checkpoint.CHECKPOINT
            if here.exists() and here.stat().st_mtime_ns != before:
                time.sleep(rng.uniform(0, 0.1))
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        kills += child.wait() == -signal.SIGKILL
    assert kills
    assert (out / checkpoint.CHECKPOINT).exists()
    assert run(out, blocks, blocks, **options) == log
    assert bytes_of(out) == bytes_of(tmp_path / "whole")


def test_what_an_interrupted_write_left_is_not_part_of_the_model(tmp_path: Path) -> None:
    blocks = table(stream(300), 12)
    for name in (".tmpAbC123", "checkpoint.safetensors.tmp.0a1b2c3d"):
        (tmp_path / name).write_bytes(b"half a file")
    run(tmp_path, blocks, blocks, steps=2, batch_tokens=48)
    assert sorted(bytes_of(tmp_path)) == ["loss.svg", "model.json", "model.safetensors"]


def test_a_checkpoint_of_another_run_is_not_taken_for_this_one(tmp_path: Path) -> None:
    saved = tmp_path / checkpoint.CHECKPOINT
    other = small_trainer(shape=dataclasses.replace(SMALL, seed=9))
    other._save(saved)
    fresh = small_trainer()
    fresh.run(saved, every=None)
    assert fresh.progress == trained(tmp_path / "alone").progress


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / checkpoint.CHECKPOINT).write_bytes(b"nothing of the kind")
    with pytest.raises(BadData, match=r"checkpoint\.safetensors"):
        small_trainer().run(tmp_path / checkpoint.CHECKPOINT, every=None)


def test_the_number_of_threads_has_no_say_in_the_result() -> None:
    found = []
    for threads in (1, 3):
        trainer, lanes = small_trainer(), Lanes(CPU)
        trainer._part_tokens = 240  # 90 blocks: five parts
        lanes.count = threads
        with lanes:
            found.append([trainer.step(lanes) for _ in range(4)])
    assert found[0] == found[1]


def test_the_number_of_threads_of_torch_is_what_it_was_before() -> None:
    torch.set_num_threads(2)
    before = torch.get_num_threads()
    with Lanes(CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_loss_that_is_no_number_stops_with_advice(tmp_path: Path) -> None:
    trainer = small_trainer()
    with torch.no_grad():
        trainer.net.norm.weight.fill_(math.nan)
    with pytest.raises(CorpuskitError, match="5 updates in a row are no numbers, up to step 5; lower --learning-rate"):
        trainer.run(tmp_path / checkpoint.CHECKPOINT, every=None)


def test_only_matrices_decay(tmp_path: Path) -> None:
    trainer = small_trainer()
    matrices, vectors = trainer.optimizer.groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert len(matrices["params"]) == 2 * 7
    assert len(vectors["params"]) == 1 + 2 * 2 + 1


# --- the stage


def test_a_run_gives_the_same_bytes_twice_and_others_with_another_seed(tmp_path: Path) -> None:
    blocks = table(stream(600), 12)
    logs = [run(tmp_path / name, blocks, blocks, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    folders = [bytes_of(tmp_path / name) for name in "abc"]
    assert sorted(folders[0]) == ["loss.svg", checkpoint.MODEL, checkpoint.WEIGHTS]
    assert logs[0] == logs[1]
    assert folders[0] == folders[1]
    assert logs[0] != logs[2]
    assert folders[0][checkpoint.WEIGHTS] != folders[2][checkpoint.WEIGHTS]


def test_the_cut_of_the_table_has_no_say(tmp_path: Path) -> None:
    for chunks in (1, 5):
        run(tmp_path / str(chunks), table(stream(600), 12, chunks=chunks), table(stream(60), 12))
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "5")


def test_the_log_counts_tokens_and_measures_valid_at_the_end(tmp_path: Path) -> None:
    log = run(tmp_path, table(stream(600), 12), table(stream(60), 12), steps=3)
    assert [(row["step"], row["tokens"]) for row in log] == [(1, 24), (2, 48), (3, 72)]
    assert [row["valid_nats"] is None for row in log] == [True, True, False]


def test_without_valid_blocks_valid_nats_are_null(tmp_path: Path) -> None:
    log = run(tmp_path, table(stream(600), 12), table([], 12))
    assert [row["valid_nats"] for row in log] == [None, None]


def test_without_blocks_the_first_weights_are_saved_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(tmp_path, table([], 12), table([], 12)) == []
    assert "no blocks to train on" in caplog.text
    assert network.load(tmp_path, "cpu").vocab_size == 1
    assert json.loads((tmp_path / checkpoint.MODEL).read_text())["tokens"] == 0


def test_the_tokenizer_travels_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    bpe.save(learning.learn(["one two two three"] * 3, 300), tmp_path / "tokenizer")
    run(tmp_path / "model", table(stream(600), 12), table([], 12), tokenizer=tmp_path / "tokenizer")
    copied = bpe.load(tmp_path / "model" / "tokenizer")
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (about["vocab_size"], about["end_id"]) == (copied.vocab_size, 0)


def test_ids_that_the_tokenizer_does_not_have_are_refused(tmp_path: Path) -> None:
    bpe.save(learning.learn(["one two"], 257), tmp_path)
    with pytest.raises(BadData, match="an id 500"):
        run(tmp_path / "model", table([500] * 24, 12), table([], 12), tokenizer=tmp_path)


def test_without_a_tokenizer_the_end_mark_is_what_precedes_a_document(tmp_path: Path) -> None:
    ids = np.where(stream(600) == 0, 22, stream(600))
    blocks = table(ids, 12).set_column(1, "document_starts", table(stream(600), 12)["document_starts"])
    run(tmp_path, blocks, blocks)
    assert json.loads((tmp_path / "model.json").read_text())["end_id"] == 22


def test_a_device_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UsageError, match="--device: there is no cuda"):
        choose("cuda")


# --- scores


def model_of(shape: Shape) -> Any:
    model = network.new(shape)
    with torch.no_grad():
        model.embed_tokens.weight.mul_(4)  # so that context shows in the scores
    return model


def naive(model: Any, document: Sequence[int]) -> list[float]:
    """Score token after token; windows as documented: of block_tokens, half of that apart."""
    shape = model.shape
    width = shape.block_tokens - 1
    stride = max(1, width // 2)
    inputs, nats = [shape.end_id, *document], []
    for at, token in enumerate(document):
        begin = 0 if at < width else ((at - width) // stride + 1) * stride
        with torch.no_grad():
            scores = model(torch.tensor([inputs[begin : at + 1]]))[0, -1] @ model.embed_tokens.weight.T
            nats.append(-torch.log_softmax(scores.double(), 0)[token].item())
    return nats


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
def test_scores_are_those_of_one_token_after_the_other(dtype: Any) -> None:
    model = model_of(SMALL)
    rng = np.random.default_rng(0)
    documents = [[*rng.integers(1, 23, size), 0] for size in (0, 3, 10, 11, 12, 16, 17, 40)] + [[]]
    tokens = np.concatenate([np.array(document, dtype) for document in documents])
    offsets = np.cumsum([0, *map(len, documents)])
    nats, nats_end = network.Network(model, CPU).score(tokens, offsets)
    wanted = [naive(model, document) for document in documents]
    assert nats.dtype == nats_end.dtype == np.float64
    np.testing.assert_allclose(nats, [sum(each) for each in wanted], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(nats_end, [each[-1] if each else 0 for each in wanted], rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), max_size=8), st.integers(1, 12))
def test_windows_count_every_token_once(sizes: list[int], width: int) -> None:
    offsets = np.cumsum([0, *sizes])
    found = scoring.windows(offsets, width)
    counted = [
        at
        for start, length, skip in zip(found.start, found.length, found.skip, strict=True)
        for at in range(start + skip, start + length)
    ]
    assert sorted(counted) == list(range(offsets[-1]))
    assert (found.length <= width).all()
    parts = scoring.parts(found, 30)
    assert sum(len(part.start) for part in parts) == len(found.start)


def test_no_documents_have_no_scores() -> None:
    nats, nats_end = network.Network(model_of(SMALL), CPU).score(np.empty(0, np.uint16), np.zeros(1, np.int64))
    assert len(nats) == len(nats_end) == 0


def test_the_probabilities_of_all_next_tokens_sum_to_one() -> None:
    model = network.Network(model_of(SMALL), CPU)
    tokens = np.array([[4, 7, 9, last] for last in range(23)], np.uint16).ravel()
    _, nats_last = model.score(tokens, np.arange(24) * 4)
    assert np.exp(-nats_last).sum() == pytest.approx(1, rel=1e-5)


def test_a_loaded_model_scores_as_the_one_that_was_trained(tmp_path: Path) -> None:
    blocks = table(stream(600), 12)
    run(tmp_path, blocks, blocks, steps=20)
    loaded = network.load(tmp_path, "cpu")
    tokens, offsets = stream(100).astype(np.uint16), np.arange(11) * 10
    saved, _ = checkpoint.load_tensors(tmp_path / checkpoint.WEIGHTS)
    model = transformer.Decoder(loaded.shape)
    model.load_state_dict({name.removeprefix("model."): value for name, value in saved.items()})
    np.testing.assert_array_equal(
        loaded.score(tokens, offsets)[0], network.Network(model, CPU).score(tokens, offsets)[0]
    )
    untrained = loaded.untrained()
    assert untrained.parameters == loaded.parameters
    assert untrained.score(tokens, offsets)[0].sum() > loaded.score(tokens, offsets)[0].sum()


def test_the_weights_have_the_names_of_a_llama(tmp_path: Path) -> None:
    network.save(network.new(dataclasses.replace(SMALL, layers=1)), tmp_path / "w.safetensors")
    saved, _ = checkpoint.load_tensors(tmp_path / "w.safetensors")
    projections = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    layer = [*projections, "input_layernorm", "post_attention_layernorm"]
    wanted = ["embed_tokens", "norm", *(f"layers.0.{name}" for name in layer)]
    assert sorted(saved) == sorted(f"model.{name}.weight" for name in wanted)
    assert saved["model.layers.0.mlp.gate_proj.weight"].shape == (24, 16)


def test_a_model_that_is_not_whole_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"model\.json"):
        network.load(tmp_path, "cpu")
    run(tmp_path, table(stream(600), 12), table([], 12))
    (tmp_path / checkpoint.WEIGHTS).unlink()
    with pytest.raises(NoInput, match=r"model\.safetensors"):
        network.load(tmp_path, "cpu")
