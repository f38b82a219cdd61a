"""What a person sees of the clusters of a dedup run, and of the figures that stages leave in their manifests."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc

from corpuskit import dataset, storage
from corpuskit.dataset import MARKED, Manifest
from corpuskit.errors import NoInput, UsageError
from corpuskit.schema import DROP
from corpuskit.show import columns_of, printable, row_lines_of
from corpuskit.tokens import packing_figures

_SAMPLE_CHARS = 160
_MOST_MEMBERS = 100


def packing_lines(manifest: Manifest) -> Iterator[str]:
    """Say what packing has cut, padded and repeated; nothing of other stages than `shard`."""
    if isinstance(manifest.figures, Mapping) and "packing" in manifest.figures:
        yield from packing_figures.lines(manifest.figures)


def figure_lines(manifest: Manifest) -> Iterator[str]:
    """Say what a stage has found out about its output as a whole."""
    figures = manifest.figures if isinstance(manifest.figures, Mapping) else {}
    if "s_curve" in figures:
        curve = ", ".join(f"{similarity[1:]} {chance:.1%}" for similarity, chance in figures["s_curve"].items())
        bands, rows, least = figures["bands"], figures["rows"], figures["min_similarity"]
        yield f"s-curve:   {bands} x {rows}, at least {least:g}; pairs seen: {curve}"
    if "clusters" in figures:
        clusters = figures["clusters"]
        sizes = ", ".join(f"{size}: {count:,}" for size, count in clusters["histogram"].items())
        repeats = clusters["repeats_of_earlier_snapshots"]
        yield (
            f"clusters:  {clusters['count']:,} of {clusters['documents']:,} documents"
            + (f", by size {sizes}" if sizes else "")
            + (f"; {repeats:,} repeat earlier snapshots" if repeats else "")
        )
    if "repeated" in figures:
        yield "repeated:  " + ", ".join(f"{name} {count:,}" for name, count in figures["repeated"].items())
    if "packing" in figures:
        yield from (f"packing:   {line}" for line in packing_lines(manifest))
        yield "sources:"
        for row in columns_of(packing_figures.source_rows(figures), left={0, 1}):
            yield f"  {printable(row)}"
    if "hits" in figures:
        table: list[tuple[str, ...]] = [("evaluation set", "items", "too short", "found", "documents")]
        for name, hits in figures["hits"].items():
            numbers = (hits[each] for each in ("items", "items_too_short", "items_found", "documents"))
            table.append((printable(name), *(f"{number:,}" for number in numbers)))
        yield "hits:"
        yield from (f"  {line}" for line in columns_of(table, left={0}))


def largest(path: str) -> dict[str, Any]:
    """Give the figures on clusters, with a sample of the largest: of each the kept text, and a dropped one."""
    manifest = _of_dedup(path)
    figures: Any = manifest.figures
    clusters = dict(figures["clusters"])
    ids = {each["id"] for each in clusters["largest"]}
    kept = {row["id"]: row for row in _rows(path, manifest, manifest.main, "id", ids)}
    dropped: dict[str, dict[str, Any]] = {}
    for row in _rows(path, manifest, MARKED[DROP], "drop_kept_id", ids):
        # A near-duplicate says more than a copy; of these, the one that differs most.
        other = dropped.get(row["drop_kept_id"])
        if other is None or (row["drop_similarity"], row["id"]) < (other["drop_similarity"], other["id"]):
            dropped[row["drop_kept_id"]] = row
    clusters["largest"] = [
        {
            **each,
            "kept": _sample(kept.get(each["id"])),
            "dropped": {
                "id": dropped[each["id"]]["id"],
                "similarity": round(dropped[each["id"]]["drop_similarity"], 4),
                "text": _sample(dropped[each["id"]]),
            },
        }
        for each in clusters["largest"]
        if each["id"] in dropped
    ]
    return clusters


def largest_lines(path: str) -> Iterator[str]:
    """Print the histogram of clusters and the largest ones, with a sample each."""
    found = largest(path)
    yield f"{found['count']:,} clusters of {found['documents']:,} documents"
    yield from (f"  {size:>12} documents: {count:>12,} clusters" for size, count in found["histogram"].items())
    for each in found["largest"]:
        dropped = each["dropped"]
        yield ""
        yield f"{each['size']:,} documents, {printable(each['id'])} stays: {each['kept']}"
        yield f"  {dropped['similarity']:.3f} {printable(dropped['id'])}: {dropped['text']}"
    yield ""
    yield f"`corpuskit show {path} --cluster ID` prints one"


def cluster(path: str, id: str) -> list[dict[str, Any]]:
    """Give the documents of a cluster, the kept one first, then by similarity. `id` is that of any of them.

    Raises NoInput where no document has the id.
    """
    manifest = _of_dedup(path)
    kept_id = id
    for row in _rows(path, manifest, MARKED[DROP], "id", {id}):
        kept_id = row["drop_kept_id"]
    kept = list(_rows(path, manifest, manifest.main, "id", {kept_id}))
    dropped = list(_rows(path, manifest, MARKED[DROP], "drop_kept_id", {kept_id}))
    if not kept and not dropped:
        raise NoInput("--cluster", f"{path} has no document `{id}`", "`--clusters` names the largest clusters")
    return kept + heapq.nsmallest(len(dropped), dropped, key=lambda row: (-row["drop_similarity"], row["id"]))


def cluster_lines(path: str, id: str, rows: int | None) -> Iterator[str]:
    """Print the documents of a cluster."""
    found = cluster(path, id)
    most = _MOST_MEMBERS if rows is None else rows
    for row in found[:most]:
        yield ""
        yield "dropped" if row.get(DROP) else "kept"
        yield from row_lines_of({name: value for name, value in row.items() if name != "signature"})
    if len(found) > most:
        yield ""
        yield f"and {len(found) - most:,} more: --rows N prints more"


def _of_dedup(path: str) -> Manifest:
    manifest = dataset.read_manifest(path)
    if manifest.stage != "dedup":
        raise UsageError(
            "--cluster", f"{path} was written by `{manifest.stage}`, not by `dedup`", "name a dataset of `dedup`"
        )
    return manifest


def _rows(path: str, manifest: Manifest, artifact: str, column: str, values: set[str]) -> Iterator[dict[str, Any]]:
    """Give the rows of a table with one of some values, batch after batch."""
    import pyarrow as pa

    wanted = pa.array(sorted(values), pa.string())
    table = manifest.artifacts.get(artifact)
    for file in dataset.shard_paths(path, table) if table else ():
        for batch in dataset.read_stream(file):
            found = batch.filter(pc.is_in(batch.column(column).cast(pa.string()), wanted))
            yield from found.to_pylist()


def _sample(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "(in another snapshot)"
    text = " ".join(row["text"].split())
    return printable(text if len(text) <= _SAMPLE_CHARS else text[:_SAMPLE_CHARS] + " ...")


def index_lines(folder: str, *, as_json: bool) -> Iterator[str]:
    """List the snapshots of an index."""
    from corpuskit.sketch import index

    if not storage.exists(folder):
        raise NoInput(folder, "expected an index, found nothing", "check the path")
    metas = [index.read_meta(folder, name) for name in index.names(folder)]
    if as_json:
        yield json.dumps({"snapshots": [{**meta, "bytes": _bytes(meta)} for meta in metas]})
        return
    table = [("snapshot", "documents", "band entries", "MB", "deduplicated against")]
    for meta in metas:
        against = ", ".join(each.partition("@")[0] for each in meta["against"]) or "nothing"
        size = f"{_bytes(meta) / 1e6:,.1f}"
        table.append((meta["name"], f"{meta['documents']:,}", f"{meta['entries']:,}", size, against))
    yield from columns_of(table, left={0, 4})


def _bytes(meta: Mapping[str, Any]) -> int:
    return sum(size for size, _ in meta["files"].values())
