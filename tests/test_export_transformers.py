"""`export --format transformers`: `transformers` loads the folder offline, and computes and writes what we do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpuskit.tokens import bpe

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from corpuskit.lm import network  # noqa: E402

WORDS = ("--steps", 25, "--batch-tokens", 512, "--device", "cpu", "--executor", "serial")
SHAPE = "layers=2,width=48,heads=4,kv_heads=2"


@pytest.fixture(scope="module")
def model(chain: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from corpuskit.cli import main

    out = tmp_path_factory.mktemp("llama") / "model"
    words = ["--quiet", "train", "transformer", chain["blocks"], out, "--size", SHAPE, "--learning-rate", 0.01, *WORDS]
    assert main([str(word) for word in words]) == 0
    return out


@pytest.fixture(scope="module")
def folder(model: Path) -> Path:
    from corpuskit.cli import main

    out = model.parent / "export"
    assert main(["--quiet", "export", str(model), str(out), "--format", "transformers"]) == 0
    return out


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_folder_holds_what_a_hub_repository_of_a_llama_does(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    } <= {file.name for file in folder.iterdir()}
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["hidden_size"]) == (4, 2, 48)


def test_logits_are_equal(model: Path, folder: Path) -> None:
    net = network.load(model, "cpu").net
    loaded, told = transformers.LlamaForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    ids = torch.randint(net.shape.vocab_size, (4, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = net(ids) @ net.embed_tokens.weight.T, loaded.eval()(input_ids=ids).logits
    assert ours.abs().max() > 1
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_tokenizer_gives_the_same_ids_and_no_marks(model: Path, folder: Path) -> None:
    tokenizer, own = transformers.AutoTokenizer.from_pretrained(folder), bpe.load(model / "tokenizer")
    for text in ("Paper and  ink.\n", "", "<|endoftext|> é 数"):
        plain = tokenizer(text, split_special_tokens=True)["input_ids"]
        assert plain == own.encode([text])[0].tolist()
    assert tokenizer.decode(tokenizer("Paper and ink.")["input_ids"], skip_special_tokens=True) == "Paper and ink."


def test_the_pipeline_writes_what_generate_does(model: Path, folder: Path, corpuskit: Any) -> None:
    pipe = transformers.pipeline("text-generation", model=str(folder), device="cpu")
    end = pipe.tokenizer.bos_token
    for prompt in ("Paper", "The ink is"):
        (theirs,) = pipe(end + prompt, max_new_tokens=20, do_sample=False)
        shown = corpuskit("generate", model, "--prompt", prompt, "--tokens", 20, "--temperature", 0, "--device", "cpu")
        assert shown.out.rstrip("\n") == theirs["generated_text"].removeprefix(end).rstrip("\n")


def test_another_tokenizer_than_ours_gets_its_marks_too(model: Path, tmp_path: Path) -> None:
    from corpuskit import exports

    copied = tmp_path / "model"
    (copied / "tokenizer").mkdir(parents=True)
    for name in ("model.json", "model.safetensors", "tokenizer/tokenizer.json"):
        (copied / name).write_bytes((model / name).read_bytes())
    (copied / "tokenizer" / "tokenizer_config.json").write_text('{"eos_token": {"content": "<|endoftext|>"}}')
    (tmp_path / "out").mkdir()
    exports.write("transformers", exports.Given("transformer", {}, copied), tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == tokenizer.pad_token_id == 0


@pytest.mark.parametrize("arch", ["lstm", "gru"])
def test_recurrent_networks_are_refused(arch: str, chain: dict[str, Path], tmp_path: Path, corpuskit: Any) -> None:
    words = ("--arch", arch, "--size", "layers=1,width=16", *WORDS)
    assert corpuskit("train", "transformer", chain["blocks"], tmp_path / "model", *words).code == 0
    result = corpuskit("export", tmp_path / "model", tmp_path / "out", "--format", "transformers")
    assert result.code == 2
    assert f"one of {arch}" in result.err


def test_a_recurrent_network_writes_and_is_measured(chain: dict[str, Path], tmp_path: Path, corpuskit: Any) -> None:
    words = ("--arch", "lstm", "--size", "layers=1,width=32", *WORDS)
    assert corpuskit("train", "transformer", chain["blocks"], tmp_path / "model", *words).code == 0
    report = json.loads(corpuskit("evaluate", tmp_path / "model", chain["blocks"], "--json").out)
    assert report["model"].startswith("LSTM, ")
    assert np.isfinite(report["bits_per_byte"])
    assert corpuskit("generate", tmp_path / "model", "--prompt", "Paper", "--tokens", 8).out.startswith("Paper")


def test_a_model_of_the_first_format_still_loads(model: Path, tmp_path: Path) -> None:
    words = json.loads((model / "model.json").read_text())
    older = {name: value for name, value in words.items() if name not in ("kv_heads", "arch")}
    (tmp_path / "model.json").write_text(json.dumps({**older, "heads": 4}))
    assert network.load_shape(tmp_path).kv_heads == 4
    assert network.load_shape(tmp_path).arch == "llama"
