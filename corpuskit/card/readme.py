"""The dataset card: a README.md with the head that the Hugging Face Hub reads."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpuskit.card.croissant import described, license_url
from corpuskit.card.facts import Facts, Passed
from corpuskit.show import human_bytes, printable

FILE = "README.md"
MARK = "<!-- made by `corpuskit card` -->"
# Licences that the Hub names as SPDX does, in small letters; all others are "other" to it.
_HUB_LICENSES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "unlicense", "cc0-1.0", "pddl", "odbl"),
    *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
    *("cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0"),
}
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LARGER = ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"))
_SPLITS = {"train": "train", "valid": "validation"}
_MOST_ROWS = 40


def text(facts: Facts) -> str:
    """Give README.md."""
    parts = [_head(facts), MARK, f"# {facts.name}", facts.said.description or described(facts)]
    parts += ["## What is in it", *_contents(facts)]
    parts += ["## Sources and licences", *_sources(facts)]
    parts += ["## How it was made", *_stages(facts)]
    if facts.tokenizer is not None:
        parts += ["## Tokenizer", _tokenizer(facts)]
    parts += ["## How to load it", *_loading(facts), "## Provenance", _provenance(facts)]
    return "\n\n".join(parts) + "\n"


def _head(facts: Facts) -> str:
    """Give the YAML head; JSON words are YAML."""
    known = [each.lower() for each in facts.licenses]
    words: dict[str, Any] = {"pretty_name": facts.name}
    if known:
        on_hub = sorted({each if each in _HUB_LICENSES else "other" for each in known})
        words["license"] = on_hub[0] if len(on_hub) == 1 else on_hub
        if "other" in on_hub:
            words["license_name"] = " AND ".join(facts.licenses)
    if facts.languages:
        words["language"] = facts.languages
    words["size_categories"] = [_size(facts.rows)]
    words["task_categories"] = ["text-generation"]
    configs = list(_data_files(facts))
    if configs:
        words["configs"] = [{"config_name": "default", "data_files": configs}]
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in words.items()]
    return "\n".join(["---", *lines, "---"])


def _size(rows: int) -> str:
    return next((name for least, name in (*_SIZES, *_LARGER) if rows < least), "n>1B")


def _data_files(facts: Facts) -> Iterator[dict[str, str]]:
    """Tell which files are which split, where `datasets` reads their format."""
    for name, artifact in facts.manifest.artifacts.items():
        if artifact.kind == "table" and name in _SPLITS and artifact.rows:
            yield {"split": _SPLITS[name], "path": f"{artifact.folder}/*.arrow"}
        elif artifact.kind == "files":
            files = [shard.file for shard in artifact.shards if shard.file.endswith((".parquet", ".jsonl"))]
            for split, on_hub in _SPLITS.items():
                mine = [file for file in files if file.rsplit("/", 1)[-1].startswith(split + "-")]
                if mine:
                    stem, _, ending = mine[0].partition("-0")
                    yield {"split": on_hub, "path": f"{stem}-*.{ending.rsplit('.', 1)[-1]}"}


def _contents(facts: Facts) -> Iterator[str]:
    manifest = facts.manifest
    packed = manifest.figures.get("packing", {}) if isinstance(manifest.figures, dict) else {}
    rows: list[tuple[str, ...]] = [("part", "rows", "tokens", "documents", "files", "size")]
    for name, artifact in manifest.artifacts.items():
        part = packed.get(name, {})
        numbers = [f"{part[word]:,}" if word in part else "" for word in ("tokens", "documents")]
        shown = f"{artifact.rows:,}" if artifact.kind == "table" else ""
        rows.append((f"`{name}`", shown, *numbers, f"{len(artifact.shards):,}", human_bytes(artifact.bytes)))
    yield _table(rows)
    for name, artifact in facts.tables.items():
        yield f"Columns of `{name}`: " + ", ".join(f"`{column}` ({kind})" for column, kind in artifact.columns.items())
    for split in _SPLITS:
        if packed.get(split, {}).get("documents"):
            yield _packing(split, packed["pack"], packed[split])


def _packing(split: str, pack: str, part: Mapping[str, int]) -> str:
    places = part["tokens"] + part["padding"]
    return (
        f"Packing of `{split}` ({pack}): {part['documents_cut'] / part['documents']:.1%} of the documents are cut"
        f" (concatenation cuts {part['documents_cut_by_concat'] / part['documents']:.1%}),"
        f" {part['padding'] / max(places, 1):.2%} of the places are padding."
    )


def _sources(facts: Facts) -> Iterator[str]:
    if facts.origins is None:
        told = f" It was said to be {facts.said.license}." if facts.said.license else ""
        yield "The documents were not at hand when this card was written, so their sources are not listed." + told
        return
    head = ("source", "licence (SPDX)", "language", "documents", "bytes of text")
    rows: list[tuple[str, ...]] = [head]
    for each in facts.origins[:_MOST_ROWS]:
        words = (each.source or "not said", _licence(each.license), each.language or "not said")
        rows.append((*map(_cell, words), f"{each.documents:,}", f"{each.bytes:,}"))
    yield _table(rows)
    if len(facts.origins) > _MOST_ROWS:
        yield f"and {len(facts.origins) - _MOST_ROWS:,} more."
    if any(not each.license for each in facts.origins):
        yield "Where no licence is said, the text remains its authors'."
    yield "Documents as they went into the tokens; a share of them is held out in `valid`."


def _licence(license: str) -> str:
    url = license_url(license)
    return f"[{license}]({url})" if url != license else license or "not said"


def _stages(facts: Facts) -> Iterator[str]:
    way = [each for each in facts.stages if each.on_the_way]
    yield _table([("stage", "counts", "in", "kept", "dropped", "errors", "why"), *map(_row, way)])
    summed = _summed([each for each in way if each.unit == "rows"])
    if summed is not None:
        yield summed
    beside = [each for each in facts.stages if not each.on_the_way]
    if beside:
        yield "Used on the way: what " + ", ".join(f"`{each.stage}` ({each.key[:16]})" for each in beside) + " made."
    yield "Options other than the defaults:"
    yield "\n".join(f"* `{each.stage}`: {_options(each)}" for each in facts.stages)


def _row(each: Passed) -> tuple[str, ...]:
    ledger = each.ledger
    why = sorted({**ledger.dropped, **ledger.errors}.items(), key=lambda one: (-one[1], one[0]))
    numbers = (ledger.rows_in, ledger.kept, sum(ledger.dropped.values()), sum(ledger.errors.values()))
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in why)
    return f"`{each.stage}`", each.unit, *(f"{number:,}" for number in numbers), _cell(reasons)


def _summed(stages: Sequence[Passed]) -> str | None:
    """Add the ledgers of the stages that documents passed up, where each took all that the one before it kept."""
    if not stages or any(one.ledger.kept != two.ledger.rows_in for one, two in itertools.pairwise(stages)):
        return None
    dropped = sum(sum(each.ledger.dropped.values()) for each in stages)
    errors = sum(sum(each.ledger.errors.values()) for each in stages)
    first, last = stages[0].ledger.rows_in, stages[-1].ledger.kept
    return f"Documents in all: {first:,} came in = {last:,} kept + {dropped:,} dropped + {errors:,} errors."


def _options(passed: Passed) -> str:
    return ", ".join(f"{name} = {_cell(json.dumps(value))}" for name, value in passed.options.items()) or "none"


def _tokenizer(facts: Facts) -> str:
    found = facts.tokenizer
    assert found is not None
    return (
        f"{found.vocab_size:,} entries; documents end with `{found.end_token}` (id {found.end_id}). It lies beside the"
        f" data; sha256 of its tokenizer.json: `{found.sha256}`."
    )


def _loading(facts: Facts) -> Iterator[str]:
    tables = facts.tables
    if "train" in tables:
        yield _code(
            "import datasets",
            'blocks = datasets.load_from_disk("PATH/train")  # or datasets.load_dataset("PATH")',
        )
        yield "or, memory-mapped, sharded among ranks and workers, with exact resume:"
        yield _code(
            "import corpuskit",
            "from torch.utils.data import DataLoader",
            'stream = corpuskit.load_blocks("PATH", batch_size=8, seed=0)',
            "for batch in DataLoader(stream, batch_size=None): ...",
        )
    elif tables:
        yield _code("import datasets", 'rows = datasets.load_from_disk("PATH")')
    elif any(True for _ in _data_files(facts)):
        yield _code("import datasets", 'data = datasets.load_dataset("PATH")')
    else:
        form = facts.manifest.options.get("format")
        yield f"Files of the format `{form}`." if form else "Files, for the programs that read them."


def _provenance(facts: Facts) -> str:
    return (
        f"`manifest.json` holds the sha256 of every file, all options and the ledgers of all stages; `croissant.json`"
        f" says the same as Croissant 1.1. `corpuskit verify PATH` recomputes it. Key: `{facts.manifest.key}`."
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _cell(words: str) -> str:
    return printable(words).replace("\n", " ").replace("|", "\\|")


def _code(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])
