"""The trainer: optimizers, schedules, interruptions, several processes, and the pieces of the path on GPUs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import CorpuskitError, UsageError
from corpuskit.lm.blocks import Blocks
from corpuskit.lm.recipe import Recipe, recipe_of, shape_of
from corpuskit.stages.train import transformer as stage
from tests.build import load

torch = pytest.importorskip("torch")

from corpuskit.lm import checkpoint, curve, device, flops, loss, network  # noqa: E402
from corpuskit.lm.device import Lanes  # noqa: E402
from corpuskit.lm.loss import summed_nats  # noqa: E402
from corpuskit.lm.optim import Optimizer  # noqa: E402
from corpuskit.lm.trainer import Ears, Trainer  # noqa: E402
from tests.test_transformer import CPU, SMALL, bytes_of, run, stream, table  # noqa: E402

SAVED = checkpoint.CHECKPOINT


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trainer(recipe: Recipe | None = None, valid: int = 120, **shape: Any) -> Trainer:
    chosen = dataclasses.replace(SMALL, **shape)
    blocks = [Blocks(table(stream(tokens), 12)["input_ids"]) for tokens in (1200, valid)]
    return Trainer(chosen, recipe or Recipe(12, batch_blocks=30, learning_rate=0.01, seed=5), *blocks, CPU)


# --- optimizers and schedules


def test_muon_updates_the_matrices_and_adamw_the_rest() -> None:
    recipe = Recipe(1, 1, learning_rate=0.01, optimizer="muon", weight_decay=0.0)
    net = network.new(SMALL)
    optimizer = Optimizer(net, recipe, CPU)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)
    optimizer.step(0.01)
    for name, weight in net.named_parameters():
        moved = (weight.detach() - before[name]) / 0.01
        if weight.ndim == 2 and "embed" not in name:  # orthogonal, of AdamW's size
            values = torch.linalg.svdvals(moved) / (0.2 * math.sqrt(max(weight.shape)))
            assert 0.6 < values.median() <= values.max() < 1.4  # five iterations bring most of them near 1
        else:  # AdamW's first step is the sign, at four times the rate
            torch.testing.assert_close(moved.abs(), torch.full_like(moved, 4.0), atol=0.01, rtol=0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("arch", ["llama", "lstm", "gru"])
def test_every_network_learns_with_every_optimizer(arch: str, optimizer: str, tmp_path: Path) -> None:
    trained = trainer(Recipe(60, 30, learning_rate=0.02, optimizer=optimizer), arch=arch)
    trained.run(tmp_path / SAVED, every=None)
    rows = trained.progress.rows
    assert rows[0]["train_nats"] > 2.6  # ln 23 = 3.1
    assert rows[-1]["valid_nats"] < 1.9


@given(st.integers(1, 300), st.sampled_from(["wsd", "cosine"]), st.floats(0, 1))
def test_the_rate_is_positive_never_above_its_highest_and_falls_at_the_end(
    steps: int, schedule: str, decay: float
) -> None:
    recipe = Recipe(steps, 1, 0.5, schedule=schedule, decay_fraction=decay)
    rates = [recipe.rate(step) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)
    highest = rates.index(max(rates))
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)


def test_a_cosine_is_half_way_down_in_its_middle() -> None:
    recipe = Recipe(20, 1, 1.0, schedule="cosine", warmup_fraction=0.05)
    assert [round(recipe.rate(step), 3) for step in (0, 1, 10, 19)] == [1.0, 0.994, 0.5, 0.006]


def test_muon_has_a_rate_of_its_own() -> None:
    shape = shape_of("tiny", 65, 64, 0, 0)
    rates = [recipe_of("tiny", shape, 9, optimizer=name).learning_rate for name in ("adamw", "muon")]
    assert rates == [0.002, 0.005]


# --- interruptions


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_that_is_cut_off_at_any_step_goes_on_with_the_same_bits(optimizer: str, tmp_path: Path) -> None:
    recipe = Recipe(12, 30, 0.01, optimizer=optimizer, patience=3, seed=5)
    whole = trainer(recipe)
    whole.run(tmp_path / "whole", every=None)
    for steps in (1, 5, 11):
        first = trainer(recipe)
        with Lanes(CPU) as lanes:
            for _ in range(steps):
                first.step(lanes)
        first._save(tmp_path / f"{steps}")
        second = trainer(recipe)
        second.run(tmp_path / f"{steps}", every=None)
        assert second.progress == whole.progress
        assert all(map(torch.equal, second.net.state_dict().values(), whole.net.state_dict().values()))


def _command(chain: dict[str, Path], out: Path, *words: object) -> list[str]:
    fixed = ["train", "transformer", chain["blocks"], out, "--device", "cpu", "--executor", "serial", *words]
    return [sys.executable, "-m", "corpuskit", *map(str, fixed)]


LONG = ("--steps", 40, "--batch-tokens", 256, "--checkpoint-every", 5)


def _started(command: list[str], out: Path) -> subprocess.Popen[str]:
    """Start training, and come back when its first checkpoint is there."""
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and not list(out.rglob(SAVED)):
        time.sleep(0.01)
    return child


def _saved_step(out: Path) -> int:
    (file,) = out.rglob(SAVED)
    return int(checkpoint.load_tensors(file)[1]["progress"]["step"])


@pytest.fixture(scope="module")
def uninterrupted(chain: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "model"
    subprocess.run(_command(chain, out, *LONG), check=True)
    return out


def test_sigterm_saves_exits_with_143_and_the_same_command_goes_on(
    chain: dict[str, Path], uninterrupted: Path, tmp_path: Path
) -> None:
    command = _command(chain, tmp_path / "model", *LONG)
    child = _started(command, tmp_path)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 143
    assert child.stderr is not None
    assert "Traceback" not in child.stderr.read()
    assert 5 <= _saved_step(tmp_path) < 40
    subprocess.run(command, check=True)
    assert bytes_of(tmp_path / "model") == bytes_of(uninterrupted)


def test_kill_9_loses_one_checkpoint_interval_at_most(
    chain: dict[str, Path], uninterrupted: Path, tmp_path: Path
) -> None:
    command = _command(chain, tmp_path / "model", *LONG, "--json")
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    reached = 0
    for line in child.stdout:  # a row of the log is a step here
        reached = json.loads(line)["step"]
        if reached >= 13:
            child.kill()
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    assert reached - _saved_step(tmp_path) <= 5
    subprocess.run(_command(chain, tmp_path / "model", *LONG), check=True)
    assert bytes_of(tmp_path / "model") == bytes_of(uninterrupted)


# --- several processes


def test_two_processes_of_torchrun_train_as_one_does(
    chain: dict[str, Path], uninterrupted: Path, tmp_path: Path
) -> None:
    words = _command(chain, tmp_path / "two", *LONG)[1:]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, *words], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    one, two = (load(out, "log").to_pylist() for out in (uninterrupted, tmp_path / "two"))
    assert [row["step"] for row in two] == [row["step"] for row in one]
    for name in ("train_nats", "valid_nats", "gradient_norm"):
        for left, right in zip(one, two, strict=True):
            assert (left[name] is None) == (right[name] is None)
            assert left[name] is None or left[name] == pytest.approx(right[name], abs=1e-5)


def test_a_process_that_helps_has_nothing_to_do_where_the_output_is_there(
    chain: dict[str, Path], uninterrupted: Path, monkeypatch: pytest.MonkeyPatch, corpuskit: Any
) -> None:
    before = bytes_of(uninterrupted)
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, value)
    assert corpuskit(*_command(chain, uninterrupted, *LONG)[3:]).code == 0
    assert corpuskit("show", uninterrupted).code == 0
    assert bytes_of(uninterrupted) == before


def test_numbers_of_processes_that_torchrun_did_not_set_mean_nothing(
    chain: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpuskit: Any
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = _command(chain, tmp_path / "model", "--steps", 1, "--batch-tokens", 64)[3:]
    assert corpuskit(*words).code == 0
    assert (tmp_path / "model" / "manifest.json").exists()


def test_torchrun_and_a_recipe_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpuskit: Any) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    (tmp_path / "r.toml").write_text('root = "x"\n[[stage]]\nuse = "download sample"\n')
    result = corpuskit("run", tmp_path / "r.toml")
    assert result.code == 2
    assert "torchrun" in result.err


# --- losses that are no numbers, and losses that no longer fall


def test_an_update_that_is_no_number_is_left_out_and_counted(tmp_path: Path) -> None:
    broken = trainer()
    gradient, calls = broken._gradient, []

    def sometimes(lanes: Lanes) -> Any:
        calls.append(1)
        nats, slopes = gradient(lanes)
        return (math.nan if len(calls) in (3, 4, 8) else nats), slopes

    broken._gradient = sometimes  # type: ignore[method-assign]
    broken.run(tmp_path / SAVED, every=None)
    assert broken.progress.bad == 3
    assert broken.progress.step == 12
    rows = broken.progress.rows
    assert [row["step"] for row in rows if row["train_nats"] is None] == [3, 4, 8]
    assert rows[-1]["valid_nats"] < rows[0]["train_nats"]
    assert all(torch.isfinite(weight).all() for weight in broken.net.parameters())


def test_a_gradient_that_is_no_number_moves_no_weight() -> None:
    broken = trainer()
    before = {name: value.clone() for name, value in broken.net.state_dict().items()}
    broken._gradient = lambda lanes: (1.0, [torch.full_like(each, math.inf) for each in broken.net.parameters()])  # type: ignore[method-assign]
    with Lanes(CPU) as lanes:
        broken.step(lanes)
    assert all(map(torch.equal, before.values(), broken.net.state_dict().values()))
    assert broken.progress.rows[-1]["gradient_norm"] is None


def test_patience_stops_with_the_weights_of_the_best_valid_loss(tmp_path: Path) -> None:
    impatient = trainer(Recipe(1000, 10, learning_rate=0.01, patience=2), valid=12)
    losses = iter([3.0, 2.0, 2.5, 2.25, 1.0])
    seen = []

    def scripted(lanes: Lanes) -> float:
        seen.append({name: value.clone() for name, value in impatient.net.state_dict().items()})
        return next(losses)

    impatient._valid_nats = scripted  # type: ignore[method-assign, assignment]
    impatient.run(tmp_path / SAVED, every=None)
    assert impatient.progress.stopped
    assert impatient.progress.step == 400  # every tenth of a hundred rows measures: at 100, 200, 300, 400
    assert impatient.progress.best == 2.0
    assert all(map(torch.equal, impatient.net.state_dict().values(), seen[1].values()))


def test_a_stopped_run_tells_the_steps_that_it_took(tmp_path: Path) -> None:
    blocks = table(stream(600), 12)
    valid = table([5] * 24, 12)  # gets worse and worse, as nothing like it is learnt
    log = run(tmp_path, blocks, valid, steps=400, batch_tokens=48, patience=1, learning_rate=0.02)
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["steps"] == log[-1]["step"] < 400
    assert about["left_out"] == 0


# --- what is said on the way


def test_status_and_rows_tell_tokens_a_second_and_the_log_does_not(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("corpuskit.lm.trainer._STATUS_SECONDS", 0.0)
    monkeypatch.setattr(flops, "_SIDE", 64)
    told: list[str] = []
    rows: list[tuple[dict[str, Any], float]] = []
    heard = trainer()
    heard.run(tmp_path / SAVED, None, Ears(told.append, lambda row, rate: rows.append((row, rate))))
    assert len(told) == 12
    for word in ("step 12 of 12", "nats a token", "tokens/s", "MFU", "0:00 left"):
        assert word in told[-1]
    assert [row for row, _ in rows] == heard.progress.rows
    assert all(rate > 0 for _, rate in rows)
    assert not [name for name in stage.LOG.names if "second" in name]


def test_json_prints_each_row_with_its_tokens_a_second(chain: dict[str, Path], tmp_path: Path) -> None:
    command = _command(chain, tmp_path / "model", "--steps", 3, "--batch-tokens", 128, "--json")
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    *rows, last = [json.loads(line) for line in printed.splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(row["event"] == "train" and row["tokens_per_second"] > 0 for row in rows)
    assert last["state"] == "ran"


def test_flops_of_a_token_are_six_a_weight_and_attention() -> None:
    shape = shape_of("tiny", 65, 64, 0, 0)
    matrices = 4 * (4 * 128 * 128 + 3 * 128 * 344) + 65 * 128
    assert flops.per_token(shape) == 6 * matrices + 12 * 4 * 128 * 64
    assert flops.per_token(shape_of("layers=2,width=32", 65, 64, 0, 0, "gru")) == 6 * (2 * 3 * 2 * 32 * 32 + 65 * 32)


def test_the_peak_of_a_gpu_is_that_of_its_data_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA A100-SXM4-40GB": 312e12, "Something else": None}
    for name, peak in names.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, name=name: name)
        assert flops.peak(torch.device("cuda", 0), Lanes(CPU)) == peak


# --- the loss curve


def test_the_curve_is_well_formed_and_draws_both_losses(tmp_path: Path) -> None:
    blocks = table(stream(600), 12)
    run(tmp_path, blocks, blocks, steps=30)
    root = ElementTree.parse(tmp_path / "loss.svg").getroot()
    lines = root.findall("{*}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [30, 3]
    words = [each.text for each in root.findall("{*}text")]
    assert {"train", "valid", "tokens read", "nats a token"} <= set(words)
    places = [point.split(",") for line in lines for point in line.attrib["points"].split()]
    assert all(64 <= float(x) <= 704 and 44 <= float(y) <= 372 for x, y in places)


@pytest.mark.parametrize("rows", [[], [{"tokens": 5, "train_nats": None, "valid_nats": None}]])
def test_a_curve_without_a_measurement_is_empty(rows: list[Any]) -> None:
    assert not ElementTree.fromstring(curve.svg(rows, "a < b")).findall("{*}polyline")


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_ticks_are_few_and_hold_the_values_between_them(low: float, span: float) -> None:
    found = curve.ticks(low, low + span)
    assert 2 <= len(found) <= 12
    assert found[0] <= low + 1e-6 * abs(low) + 1e-6
    assert found[-1] >= low + span - 1e-6 * abs(low + span) - 1e-6


# --- pieces of the path on GPUs, on a CPU


@pytest.mark.parametrize("masked", [False, True])
def test_a_step_under_bfloat16_autocast_is_near_that_in_float32(masked: bool) -> None:
    exact, rough = (trainer(Recipe(1, 20, 0.01, document_mask=masked)) for _ in range(2))
    with Lanes(CPU) as lanes:
        lanes.count = 1  # autocast is a matter of the thread
        nats, slopes = exact._gradient(lanes)
        with torch.autocast("cpu", torch.bfloat16):
            rough_nats, rough_slopes = rough._gradient(Alone())
    assert rough_nats == pytest.approx(nats, rel=0.01)
    flat, rough_flat = (torch.cat([each.float().flatten() for each in some]) for some in (slopes, rough_slopes))
    assert torch.nn.functional.cosine_similarity(flat, rough_flat, dim=0) > 0.99


class Alone:
    """A lane that is the calling thread."""

    def map(self, function: Any, parts: Any) -> Any:
        return map(function, parts)


def test_a_compiled_network_gives_the_same_gradient() -> None:
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("torch.compile needs a C++ compiler")
    net = network.new(dataclasses.replace(SMALL, layers=1))
    ids = torch.from_numpy(stream(24).reshape(2, 12))
    fused = torch.compile(net)
    found = []
    for forward in (net, fused):
        nats = summed_nats(forward(ids[:, :-1], None).flatten(0, 1), net.embed_tokens.weight, ids[:, 1:].flatten())
        found.append((nats.detach(), torch.autograd.grad(nats, list(net.parameters()))))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)


def test_networks_are_compiled_on_cuda_with_triton_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda net: "compiled")
    net = network.new(SMALL)
    for kind, found, wanted in (("cuda", True, "compiled"), ("cuda", False, net), ("cpu", True, net)):
        monkeypatch.setattr(device.importlib.util, "find_spec", lambda name, found=found: object() if found else None)
        assert device.compiled(net, torch.device(kind)) is wanted


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "wanted"),
    [(1, 1, "auto", "cuda"), (0, 1, "auto", "mps"), (0, 0, "auto", "cpu"), (1, 0, "cpu", "cpu")],
)
def test_the_device_is_the_first_that_is_there(
    cuda: int, mps: int, name: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert device.choose(name).type == wanted


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_cores", lambda: 8)
    assert [Lanes(CPU, processes).count for processes in (1, 2, 16)] == [8, 4, 1]
    assert Lanes(torch.device("cuda", 0)).count == 1


def test_scores_in_bfloat16_have_nearly_the_gradient_of_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(70, 32, generator=generator, requires_grad=True)
    embeddings = torch.randn(9000, 32, generator=generator, requires_grad=True)
    targets = torch.randint(9000, (70,), generator=generator)
    found = []
    for low in (None, torch.bfloat16):
        nats = summed_nats(vectors, embeddings, targets, low)
        found.append((nats.item(), *torch.autograd.grad(nats, (vectors, embeddings))))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-3)
    for exact, rough in zip(found[0][1:], found[1][1:], strict=True):
        assert rough.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > 0.999


def test_scores_are_bfloat16_for_large_vocabularies_on_cpus_that_multiply_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for native, kind, entries, wanted in (
        (True, "cpu", 32_768, torch.bfloat16),
        (True, "cpu", 65, None),
        (False, "cpu", 32_768, None),
        (True, "cuda", 32_768, None),  # autocast decides there
    ):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        assert loss.type_of_scores(torch.device(kind), entries) is wanted


# --- options that do not fit


def test_a_recurrent_network_with_masked_documents_is_refused_before_anything_runs(
    chain: dict[str, Path], tmp_path: Path, corpuskit: Any
) -> None:
    result = corpuskit(*_command(chain, tmp_path / "model", "--arch", "gru", "--document-mask")[3:])
    assert result.code == 2
    assert "--document-mask" in result.err
    assert not (tmp_path / "model").exists()


def test_a_size_that_is_none_is_refused_before_anything_runs(
    chain: dict[str, Path], tmp_path: Path, corpuskit: Any
) -> None:
    result = corpuskit(*_command(chain, tmp_path / "model", "--size", "enormous")[3:])
    assert result.code == 2
    assert "enormous" in result.err
    with pytest.raises(UsageError):
        stage._check(stage.Options(size="layers=x"), [])


def test_masked_documents_change_what_is_learnt(tmp_path: Path) -> None:
    blocks = table(stream(600), 12)
    logs = [run(tmp_path / str(mask), blocks, blocks, document_mask=mask) for mask in (False, True)]
    assert logs[0] != logs[1]


def test_a_lost_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from corpuskit.lm.ranks import Ranks

    def lost(tensor: Any) -> None:
        raise RuntimeError("Connection closed by peer\nmore of it")

    monkeypatch.setattr(torch.distributed, "all_reduce", lost)
    with pytest.raises(CorpuskitError, match="a process of the group is lost: Connection closed by peer; start all"):
        Ranks(0, 2, 2).add([torch.zeros(2)])
