"""Train Transformers on real text through the command line, and time steps beside `transformers`' Llama.

    python -m tests.bench.bench_transformer shakespeare [--rounds 5]
    python -m tests.bench.bench_transformer wikitext2 [--minutes 15] [--vocab-size 4096] [--options ...]

`shakespeare` is nanoGPT's CPU configuration (tinyshakespeare by characters, the first 90 % to train on, 4 layers, 4
heads, 128 wide, 12 times 64 characters a step, 2,000 steps; validation loss 1.8857), with 800,000 parameters where
nanoGPT has 804,096. The loss is over the whole validation text, cut into pieces of 64 predictions as nanoGPT's
estimate does at random places. Steps are timed in turns, each network in a process of its own.

`wikitext2` trains `--size mini` for so many minutes on WikiText-2, and the order-5 n-gram on the same blocks, and
measures both in bits per byte on the valid text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from tests.build import write_table
from tests.data import shared

BATCH, TIME, STEPS = 12, 64, 2000
RECIPES = {
    "adamw": ("--learning-rate", 3e-3, "--decay", 0.4),
    "muon": ("--optimizer", "muon", "--learning-rate", 5e-3, "--decay", 0.4),
}
#: Validation losses to reach with no more than nanoGPT has.
BOUNDS = {"adamw": 1.66, "muon": 1.62}
_TIMED_STEPS = 20
_WIKI = ("--optimizer", "muon", "--learning-rate", 0.01, "--batch-tokens", 2048, "--document-mask", "--decay", 0.4)


def corpuskit(*words: object, quiet: bool = True) -> str:
    """Run a command as a user would; give what it prints."""
    command = [sys.executable, "-m", "corpuskit", *(["--quiet"] if quiet else []), *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def characters() -> tuple[Any, Any]:
    """Give tinyshakespeare as ids of its 65 characters: the train and the validation text."""
    text = shared("lm/tinyshakespeare.txt").read_text("utf-8")
    _, ids = np.unique(np.array(list(text)), return_inverse=True)
    cut = int(0.9 * len(ids))
    return ids[:cut].astype(np.uint16), ids[cut:].astype(np.uint16)


def as_blocks(ids: Any) -> pa.Table:
    """Cut ids into blocks that predict 64 characters each."""
    length = TIME + 1
    kept = pa.array(ids[: len(ids) // length * length])
    return pa.table({"input_ids": pa.FixedSizeListArray.from_arrays(kept, length)})


# --- the loss on characters


def shakespeare(scratch: Path, rounds: int) -> bool:
    """Train with both optimizers, then time; tell whether all bounds hold."""
    train, valid = characters()
    write_table(scratch / "blocks", {"train": as_blocks(train), "valid": as_blocks(valid)}, shards=1, batch_rows=4096)
    good = True
    for name, words in RECIPES.items():
        began, out = time.perf_counter(), scratch / name
        fixed = ("--size", "tiny", "--steps", STEPS, "--batch-tokens", BATCH * (TIME + 1), "--device", "cpu")
        corpuskit("train", "transformer", scratch / "blocks", out, *fixed, *words)
        loss, parameters = validation_loss(out, valid)
        good &= loss <= BOUNDS[name]
        print(
            f"{name}: validation loss {loss:.4f} (at most {BOUNDS[name]} is promised, nanoGPT 1.8857) with "
            f"{parameters:,} parameters, {STEPS} steps of {BATCH} x {TIME}, {time.perf_counter() - began:.0f} s "
            f"(load {os.getloadavg()[0]:.1f})",
            flush=True,
        )
    return speed(rounds) and good


def validation_loss(model: Path, valid: Any) -> tuple[float, int]:
    """Give the mean nats of a character, and the number of parameters."""
    import torch

    from corpuskit.lm import network
    from corpuskit.lm.loss import token_nats

    loaded = network.load(model, "cpu")
    blocks = torch.from_numpy(valid[: len(valid) // (TIME + 1) * (TIME + 1)].astype(np.int64)).view(-1, TIME + 1)
    with torch.no_grad():
        nats = [
            token_nats(loaded.net(part[:, :-1]).flatten(0, 1), loaded.net.embed_tokens.weight, part[:, 1:].flatten())
            for part in blocks.split(128)
        ]
    return float(torch.cat(nats).double().mean()), loaded.parameters


# --- the time of a step


def speed(rounds: int) -> bool:
    """Time steps in turns, for one thread and for two; tell whether ours are no slower than theirs."""
    workers = {(kind, threads): Worker(kind, threads) for threads in (1, 2) for kind in ("ours", "llama")}
    found: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in workers}
    for _ in range(rounds):
        for key, worker in workers.items():
            found[key].append(worker.measure())
    for worker in workers.values():
        worker.close()
    good = True
    for threads in (1, 2):
        pairs = list(zip(found["ours", threads], found["llama", threads], strict=True))
        (ours, ours_cpu), (theirs, theirs_cpu) = (
            [statistics.median(each[at] for each in found[kind, threads]) for at in (0, 1)]
            for kind in ("ours", "llama")
        )
        ratio, ratio_cpu = (statistics.median(mine[at] / other[at] for mine, other in pairs) for at in (0, 1))
        good &= ratio <= 1
        print(
            f"{threads} thread(s): {ours:.1f} ms a step ({ours_cpu:.1f} of processor time), transformers' Llama "
            f"{theirs:.1f} ({theirs_cpu:.1f}); median ratio {ratio:.2f} ({ratio_cpu:.2f}), at most 1 is promised "
            f"(load {os.getloadavg()[0]:.1f})"
        )
    return good


class Worker:
    """A process that times steps of one network when it is told to."""

    def __init__(self, kind: str, threads: int) -> None:
        command = [sys.executable, "-m", "tests.bench.bench_transformer", "worker", kind, str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self) -> tuple[float, float]:
        """Give the milliseconds of a step, and those of processor time, which a loaded machine changes less."""
        print("go", file=self._pipe(self._process.stdin), flush=True)
        wall, cpu = map(float, self._pipe(self._process.stdout).readline().split())
        return wall, cpu

    def close(self) -> None:
        """End the process."""
        self._pipe(self._process.stdin).close()
        self._process.wait()

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def work(kind: str, threads: int) -> None:
    """Time steps for each line of standard input."""
    step = our_step(threads) if kind == "ours" else llama_step(threads)
    for _ in range(3):
        step()
    for _ in sys.stdin:
        began, began_cpu = time.perf_counter(), time.process_time()
        for _ in range(_TIMED_STEPS):
            step()
        took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
        print(took / _TIMED_STEPS * 1000, took_cpu / _TIMED_STEPS * 1000, flush=True)


def our_step(threads: int) -> Any:
    """Give a function that does a step as `train transformer` does."""
    import torch

    from corpuskit.lm.blocks import Blocks
    from corpuskit.lm.device import Lanes
    from corpuskit.lm.recipe import Recipe, shape_of
    from corpuskit.lm.trainer import Trainer

    blocks = [Blocks(as_blocks(ids).column("input_ids")) for ids in characters()]
    device = torch.device("cpu")
    trainer = Trainer(shape_of("tiny", 65, TIME + 1, 0, 0), Recipe(10**9, BATCH, 3e-3), *blocks, device)
    lanes = Lanes(device)
    lanes.count = threads
    lanes.__enter__()  # until the process ends
    return lambda: trainer.step(lanes)


def llama_step(threads: int) -> Any:
    """Give a function that does a step of nanoGPT's loop with transformers' Llama of the same size."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    config = LlamaConfig(
        vocab_size=65, hidden_size=128, intermediate_size=344, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=TIME, tie_word_embeddings=True, use_cache=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    ids, rng = characters()[0].astype(np.int64), np.random.default_rng(0)

    def step() -> None:
        starts = rng.integers(0, len(ids) - TIME, BATCH)
        batch = torch.from_numpy(np.stack([ids[at : at + TIME + 1] for at in starts]))
        logits = model(input_ids=batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()

    return step


# --- WikiText-2


def wikitext2(scratch: Path, minutes: float, vocab_size: int, options: list[str]) -> bool:
    """Train `mini` for so many minutes, and the n-gram; tell whether it beats it in bits per byte."""
    chosen = options or list(map(str, _WIKI))
    for split in ("train", "valid"):
        write_articles(shared(f"lm/wikitext-2.{split}.txt.gz"), scratch / f"{split}.jsonl")
        corpuskit("extract", scratch / f"{split}.jsonl", scratch / split)
    corpuskit("train", "tokenizer", scratch / "train", scratch / "tokenizer", "--vocab-size", vocab_size)
    corpuskit("tokenize", scratch / "train", scratch / "tokens", "--tokenizer", scratch / "tokenizer")
    corpuskit("shard", scratch / "tokens", scratch / "blocks", "--block-tokens", 256, "--valid-fraction", 0.02)
    corpuskit("train", "ngram", scratch / "blocks", scratch / "ngram", "--order", 5)
    steps = max(10, round(minutes * 60 / seconds_of_a_step(scratch, chosen)))
    began = time.perf_counter()
    words = ("train", "transformer", scratch / "blocks", scratch / "mini", "--size", "mini", "--steps", steps, "--json")
    *rows, _ = [json.loads(line) for line in corpuskit(*words, *chosen).splitlines()]
    took = time.perf_counter() - began
    print(f"mini, {' '.join(chosen)}: {steps} steps in {took / 60:.1f} minutes (load {os.getloadavg()[0]:.1f})")
    for row in rows:
        if row["valid_nats"] is not None:
            print(f"  {row['tokens']:>10,} tokens  train {row['train_nats']:.3f}  valid {row['valid_nats']:.3f} nats")
    bits = {}
    for name in ("ngram", "mini"):
        report = json.loads(corpuskit("evaluate", scratch / name, scratch / "valid", "--json", "--no-baselines"))
        bits[name] = report["bits_per_byte"]
        print(f"  {report['model']}: {bits[name]:.4f} bits per byte of {report['bytes']:,} bytes")
    return bits["mini"] < bits["ngram"]


def seconds_of_a_step(scratch: Path, options: list[str]) -> float:
    """Train a few steps to see how long one takes."""
    words = ("train", "transformer", scratch / "blocks", scratch / "probe", "--size", "mini", "--steps", 12, "--json")
    rows = [json.loads(line) for line in corpuskit(*words, *options).splitlines()][3:-2]  # not the one with valid
    tokens = rows[0]["tokens"] / rows[0]["step"]
    return statistics.median(tokens / row["tokens_per_second"] for row in rows)


def write_articles(source: Path, target: Path) -> None:
    """Write each article of WikiText-2, as given, as a document."""
    text = gzip.decompress(source.read_bytes()).decode()
    articles = re.split(r"(?m)^(?= = [^=\n]+ = $)", text)
    with open(target, "w", encoding="utf-8") as file:
        for at, article in enumerate(each for each in articles if each.strip()):
            file.write(json.dumps({"id": f"{target.stem}-{at}", "text": article}) + "\n")


def main() -> int:
    """Run one of the benchmarks; exit with 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["shakespeare", "speed", "wikitext2", "worker"])
    parser.add_argument("which", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="of `train transformer`, at the end")
    given = parser.parse_args()
    if given.what == "worker":
        work(given.which[0], int(given.which[1]))
        return 0
    if given.what == "speed":
        return int(not speed(given.rounds))
    with tempfile.TemporaryDirectory() as scratch:
        if given.what == "shakespeare":
            return int(not shakespeare(Path(scratch), given.rounds))
        return int(not wikitext2(Path(scratch), given.minutes, given.vocab_size, given.options))


if __name__ == "__main__":
    sys.exit(main())
