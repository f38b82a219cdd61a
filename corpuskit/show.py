"""What a person sees of a dataset, of a run, and of a plan: lines of text, or the same as JSON-ready words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from corpuskit import dataset, show_classifier, show_compare, storage
from corpuskit.dataset import MARKED, Artifact, Ledger, Manifest
from corpuskit.schema import DROP
from corpuskit.verify import datasets_below

_MOST_FILES = 20
_TEXT_CHARS = 300


def summary(path: str) -> dict[str, Any]:
    """Give what `show --json` prints."""
    manifest = dataset.read_manifest(path)
    counted = [each for each in manifest.artifacts.values() if each.counted] or [manifest.artifacts[manifest.main]]
    return {
        "stage": manifest.stage,
        "version": manifest.version,
        "rows": sum(each.rows for each in counted),
        "shards": sum(len(each.shards) for each in counted),
        "bytes": sum(each.bytes for each in counted),
        "ledger": msgspec.to_builtins(manifest.ledger),
        "unit": manifest.unit,
        "key": manifest.key,
        "columns": list(counted[0].columns),
        "options": manifest.options,
        "artifacts": {
            name: {"rows": each.rows, "files": len(each.shards), "bytes": each.bytes}
            for name, each in manifest.artifacts.items()
        },
        "lineage": [{"stage": each.stage, "key": each.key} for each in manifest.lineage],
        **({"figures": manifest.figures} if isinstance(manifest.figures, dict) else {}),
    }


def dataset_lines(path: str) -> Iterator[str]:
    """Describe a dataset: stage, options, ledger, artifacts with their columns, lineage."""
    manifest = dataset.read_manifest(path)
    yield f"{path}: written by `{manifest.stage}` (version {manifest.version}), key {manifest.key[:16]}"
    options = {name: value for name, value in manifest.options.items() if value is not None}
    if options:
        yield "options:   " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
    yield f"ledger:    {ledger_line(manifest.ledger, manifest.unit)}"
    for kind, reasons in (("dropped", manifest.ledger.dropped), ("errors", manifest.ledger.errors)):
        for reason, count in sorted(reasons.items(), key=lambda each: (-each[1], each[0])):
            yield f"           {kind:<8} {count:>12,}  {reason}"
    for name, artifact in manifest.artifacts.items():
        yield f"{name + ':':<10} {_artifact_line(artifact)}"
        yield from _about_lines(artifact)
    for word in ("model.json", "report.json"):
        file = storage.join(path, word)
        if storage.exists(file):
            described = json.loads(storage.read_bytes(file))
            yield f"{word + ':':<10} " + ", ".join(
                f"{k} = {json.dumps(v)}" for k, v in described.items() if not isinstance(v, (list, dict))
            )
    if manifest.lineage:
        yield "lineage:   " + " -> ".join([*(each.stage for each in manifest.lineage), manifest.stage])


def _about_lines(artifact: Artifact) -> Iterator[str]:
    """Say of each downloaded file where it comes from."""
    told = [shard for shard in artifact.shards if isinstance(shard.about, dict)]
    for shard in told[:_MOST_FILES]:
        about = dict(shard.about or {})
        words = [about.pop(key, "") for key in ("date", "license", "url")]
        more = [f"{key} {value}" for key, value in about.items() if key != "source"]
        yield f"           {shard.file}: " + ", ".join(
            printable(word) for word in (human_bytes(shard.bytes), *words, *more) if word
        )
    if len(told) > _MOST_FILES:
        yield f"           and {len(told) - _MOST_FILES:,} more: see manifest.json"


def ledger_line(ledger: Ledger, unit: str) -> str:
    """Say where the rows went, in one line."""
    return (
        f"{ledger.rows_in:,} {unit} in = {ledger.kept:,} kept + {sum(ledger.dropped.values()):,} dropped"
        f" + {sum(ledger.errors.values()):,} errors"
    )


def row_lines(path: str, count: int) -> Iterator[str]:
    """Print the first rows of the main table."""
    manifest = dataset.read_manifest(path)
    artifact = manifest.artifacts[manifest.main]
    left = count if artifact.kind == "table" else 0
    for file in dataset.shard_paths(path, artifact):
        for batch in dataset.read_stream(file) if left else ():
            for row in batch.slice(0, left).to_pylist():
                yield ""
                yield from row_lines_of(row)
            left -= min(left, batch.num_rows)
            if not left:
                break


def drop_lines(path: str, per_reason: int) -> Iterator[str]:
    """Print a sample of what was dropped and could not be read: so many rows of each reason, the commonest first.

    The sample is that of the smallest hashes of the ids, so it is spread over the dataset and the same every time.
    """
    manifest = dataset.read_manifest(path)
    for column, name in MARKED.items():
        artifact = manifest.artifacts.get(name)
        if artifact is None:
            continue
        counts = getattr(manifest.ledger, "dropped" if column == DROP else "errors")
        samples = _samples(dataset.shard_paths(path, artifact), column, per_reason)
        for reason in sorted(samples, key=lambda each: (-counts.get(each, 0), each)):
            yield ""
            total = counts.get(reason, len(samples[reason]))
            yield f"{name}: {reason}, {len(samples[reason]):,} of {total:,}"
            for _, file, at in sorted(samples[reason]):
                yield ""
                yield from row_lines_of(_row_at(file, at))


def _samples(files: Sequence[str], column: str, per_reason: int) -> dict[str, list[tuple[int, str, int]]]:
    """Choose rows by reason: (hash of the id, file, row)."""
    import heapq

    import xxhash

    chosen: dict[str, list[tuple[int, str, int]]] = {}
    for file in files:
        at = 0
        for batch in dataset.read_stream(file):
            ids = batch.column("id" if "id" in batch.schema.names else 0).to_pylist()
            for row, (reason, id) in enumerate(zip(batch.column(column).to_pylist(), ids, strict=True)):
                heap = chosen.setdefault(reason, [])
                one = (-xxhash.xxh3_64_intdigest(str(id).encode()), file, at + row)
                if len(heap) < per_reason:
                    heapq.heappush(heap, one)
                elif one > heap[0]:
                    heapq.heapreplace(heap, one)
            at += batch.num_rows
    return {reason: [(-key, file, row) for key, file, row in heap] for reason, heap in chosen.items()}


def _row_at(file: str, at: int) -> dict[str, Any]:
    for batch in dataset.read_stream(file):
        if at < batch.num_rows:
            row: dict[str, Any] = batch.slice(at, 1).to_pylist()[0]
            return row
        at -= batch.num_rows
    return {}


def row_lines_of(row: Mapping[str, Any]) -> Iterator[str]:
    """Print a row, its long texts cut, without the columns that are null."""
    wide = max(map(len, row), default=0)
    for name, value in row.items():
        if value is None:
            continue
        if isinstance(value, float):
            text = f"{value:.6g}"
        else:
            text = value if isinstance(value, str) else json.dumps(value)
        short = text if len(text) <= _TEXT_CHARS else f"{text[:_TEXT_CHARS]} ... ({len(text):,} characters)"
        yield f"{name:>{wide}}: " + printable(short).replace("\n", "\n" + " " * (wide + 2))


def printable(text: str) -> str:
    """Replace what is not printable: text of the web may hold escape sequences that would reprogram the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _artifact_line(artifact: Artifact) -> str:
    size = f"{len(artifact.shards):,} files, {human_bytes(artifact.bytes)}"
    if artifact.kind != "table":
        return (
            size
            + ": "
            + ", ".join(shard.file for shard in artifact.shards[:8])
            + (" ..." if len(artifact.shards) > 8 else "")
        )
    columns = ", ".join(f"{name} {kind}" for name, kind in artifact.columns.items())
    return f"{artifact.rows:,} rows, {size}: {columns}"


def human_bytes(count: int) -> str:
    """Give a size in the unit that a person would choose."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def run_lines(root: str) -> Iterator[str]:
    """Draw the table of a run: documents at every stage with the reasons of drops, and the verdict of the models."""
    paths = datasets_below(root)
    manifests = {path: dataset.read_manifest(path) for path in paths}
    rows: list[tuple[str, ...]] = [("stage", "in", "kept", "dropped", "errors", "why")]
    for path, manifest in manifests.items():
        if not _is_flow(manifest):
            continue
        ledger, unit = manifest.ledger, "" if manifest.unit == "rows" else f" ({manifest.unit})"
        why = {**manifest.ledger.dropped, **manifest.ledger.errors}
        reasons = [f"{reason} {count:,}" for reason, count in sorted(why.items(), key=lambda each: (-each[1], each[0]))]
        numbers = (ledger.rows_in, ledger.kept, sum(ledger.dropped.values()), sum(ledger.errors.values()))
        name = storage.join(path).rsplit("/", 1)[-1]
        for at, chunk in enumerate(_wrapped(reasons)):
            rows.append((name + unit, *(f"{n:,}" for n in numbers), chunk) if at == 0 else ("", "", "", "", "", chunk))
    yield from columns_of(rows, left={0, 5})
    reports = [
        json.loads(storage.read_bytes(storage.join(path, "report.json")))
        for path, manifest in manifests.items()
        if manifest.main in ("report", "classifier")
    ]
    if reports:
        yield ""
        yield from verdict_lines(reports)


def verdict_lines(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Draw the table of bits per byte: the baselines once, then every model; and what else was measured."""
    drawn = {"compare": show_compare.lines, "classifier": show_classifier.lines}
    for report in reports:
        if report["kind"] in drawn:
            yield from drawn[report["kind"]](report)
    reports = [report for report in reports if report["kind"] not in drawn]
    if not reports:
        return
    first = reports[0]
    bytes_, documents = first.get("bytes", 0), first.get("documents", 0)
    yield f"held out: {documents:,} documents, {bytes_:,} bytes of text, split `{first.get('split')}`"
    rows = [("model", "bits per byte", "95 %", "perplexity", "tokens")]
    names = {"uniform": "uniform", "gzip": "gzip -9", "zstd": "zstd -19"}
    for name, value in (first.get("baselines") or {}).items():
        if name in names:
            rows.append((names[name], _number(value), "", "", ""))
    for report in reports:
        untrained = (report.get("baselines") or {}).get("untrained")
        if untrained is not None:
            rows.append((f"{report['kind']}, untrained", _number(untrained), "", "", ""))
        described = str(report.get("model") or "").removeprefix("Transformer, ")
        label = f"{report['kind']} ({described})" if described else str(report["kind"])
        rows.append(
            (
                label,
                _number(report.get("bits_per_byte")),
                " to ".join(f"{each:.3f}" for each in report.get("interval") or ()),
                _number(report.get("perplexity"), 2),
                f"{report.get('tokens', 0):,}",
            )
        )
    yield from columns_of(rows, left={0})


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _is_flow(manifest: Manifest) -> bool:
    """Tell whether documents or tokens flow through a stage, rather than being learned from."""
    main = manifest.artifacts[manifest.main]
    return main.kind == "table" or manifest.main == "dump"


def _wrapped(words: Sequence[str], width: int = 60) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines[-1] += ","
            lines.append("")
        lines[-1] += (", " if lines[-1] else "") + word
    return lines


def columns_of(rows: Sequence[Sequence[str]], left: set[int]) -> Iterator[str]:
    """Draw a table; the columns `left` begin at their left, the others end at their right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
