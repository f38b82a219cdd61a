"""Let lm-evaluation-harness measure an exported model, and compare its bits per byte with `corpuskit evaluate`'s."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

TOLERANCE = 1e-4
_TASK = """task: corpuskit_documents
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - metric: bits_per_byte
  - metric: byte_perplexity
"""


def texts(folder: Path) -> list[str]:
    """Read the texts of a dataset of documents, in order."""
    shards = json.loads((folder / "manifest.json").read_text())["artifacts"]["docs"]["shards"]
    tables = [pa.ipc.open_stream(pa.memory_map(str(folder / shard["file"]))).read_all() for shard in shards]
    return [text for table in tables for text in table.column("text").to_pylist()]


def theirs(export: Path, documents: list[str], scratch: Path) -> float:
    """Run lm-eval on a local task of these texts; give its bits per byte."""
    scratch.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text}) for text in documents]
    (scratch / "documents.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (scratch / "task.yaml").write_text(_TASK.format(file=(scratch / "documents.jsonl").resolve()), encoding="utf-8")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={export},dtype=float32"]
    command += ["--tasks", "corpuskit_documents", "--include_path", str(scratch), "--device", "cpu"]
    command += ["--batch_size", "1", "--output_path", str(scratch / "results")]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    subprocess.run(command, check=True, env=offline)
    (file,) = (scratch / "results").rglob("results*.json")
    results: dict[str, Any] = json.loads(file.read_text())["results"]["corpuskit_documents"]
    return float(results["bits_per_byte,none"])


def main() -> int:
    """Print both figures; exit with 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path, help="the output of `export --format transformers`")
    parser.add_argument("docs", type=Path, help="documents, each shorter than a block of the model")
    parser.add_argument("report", type=Path, help="what `corpuskit evaluate MODEL DOCS --json` printed")
    parser.add_argument("scratch", type=Path, help="a folder for the task and its results")
    given = parser.parse_args()
    ours = json.loads(given.report.read_text())
    documents = texts(given.docs)
    if len(documents) != ours["documents"]:
        print(f"{len(documents)} documents, the report has {ours['documents']}")
        return 1
    other = theirs(given.export, documents, given.scratch)
    apart = abs(other - ours["bits_per_byte"])
    print(f"{len(documents)} documents, {ours['bytes']} bytes; bits per byte: corpuskit {ours['bits_per_byte']:.6f}, "
          f"lm-eval {other:.6f}, {apart:.1e} apart")  # fmt: skip
    return int(not apart <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
