"""Make small datasets for tests, in any number of shards and any size of batch."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit import dataset
from corpuskit.dataset import MARKED, Artifact, Ledger, Manifest, Shard
from corpuskit.schema import DOCS, rows_to_batch


def prose(count: int) -> list[dict[str, Any]]:
    """Give documents of real English prose: what every Python tells about its own language."""
    from pydoc_data.topics import topics

    chunks: list[str] = []
    for name in sorted(topics):
        words = topics[name].split()
        chunks += [" ".join(words[at : at + 150]) for at in range(0, len(words), 150)]
    rows = [
        {"id": f"doc-{at:04d}", "text": text, "source": "python", "language": "en"} for at, text in enumerate(chunks)
    ]
    assert len(rows) >= count, "this Python carries fewer topics than expected"
    return rows[:count]


def write_docs(path: Path, rows: Iterable[Mapping[str, Any]], *, shards: int = 1, batch_rows: int = 1000) -> Path:
    """Write documents as a dataset."""
    table = pa.Table.from_batches([rows_to_batch(rows, DOCS)])
    write_table(path, {"docs": table}, shards=shards, batch_rows=batch_rows)
    return path


def write_table(path: Path, tables: Mapping[str, pa.Table], *, shards: int, batch_rows: int) -> Manifest:
    """Write tables as a dataset whose first table is the main one."""
    artifacts = {
        name: _artifact(path, name, table, "" if at == 0 else name, shards, batch_rows)
        for at, (name, table) in enumerate(tables.items())
    }
    rows = next(iter(tables.values())).num_rows
    ledger = Ledger(rows, rows)
    # The key stands for the content: the same rows in other shards are the same input.
    digest = hashlib.sha256(json.dumps([table.to_pylist() for table in tables.values()], default=str).encode())
    inputs = {"rows": [digest.hexdigest()]}
    key = dataset.key_of("test", 1, {}, inputs)
    manifest = Manifest(1, "test", 1, key, {}, inputs, artifacts, ledger, "rows", [ledger], [])
    (path / dataset.MANIFEST).write_bytes(manifest.encode())
    return manifest


def reshard(source: Path, target: Path, *, shards: int, batch_rows: int) -> Path:
    """Copy a dataset with its tables cut into other shards and batches; its key stays."""
    manifest = dataset.read_manifest(str(source))
    artifacts = {}
    for name, artifact in manifest.artifacts.items():
        if artifact.kind == "table" and name not in MARKED.values():
            artifacts[name] = _artifact(target, name, load(source, name), artifact.folder, shards, batch_rows, artifact)
        else:
            artifacts[name] = artifact
            for path in dataset.shard_paths(str(source), artifact):
                copy = target / Path(path).relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    new = Manifest(**{**{f: getattr(manifest, f) for f in manifest.__struct_fields__}, "artifacts": artifacts})
    (target / dataset.MANIFEST).write_bytes(new.encode())
    return target


def _artifact(
    path: Path, name: str, table: pa.Table, folder: str, shards: int, batch_rows: int, like: Artifact | None = None
) -> Artifact:
    (path / folder).mkdir(parents=True, exist_ok=True)
    made = []
    bounds = [table.num_rows * at // shards for at in range(shards + 1)]
    for at in range(shards):
        piece = table.slice(bounds[at], bounds[at + 1] - bounds[at])
        file = path / folder / f"{name}-{at:05d}-of-{shards:05d}.arrow"
        with pa.ipc.new_stream(str(file), table.schema) as writer:
            for batch in piece.combine_chunks().to_batches(max_chunksize=batch_rows):
                writer.write_batch(batch)
        data = file.read_bytes()
        made.append(Shard(file.name, len(data), hashlib.sha256(data).hexdigest(), piece.num_rows))
    columns = {field.name: str(field.type) for field in table.schema}
    counts, counted = (like.counts, like.counted) if like else (None, True)
    return Artifact("table", folder, made, columns, counts, counted)


def load(path: Path, artifact: str | None = None) -> pa.Table:
    """Read a table of a dataset, the main one by default; dropped rows of all tasks as one."""
    manifest = dataset.read_manifest(str(path))
    name = artifact or manifest.main
    if name not in manifest.artifacts:
        return pa.table({})
    return dataset.read_table(dataset.shard_paths(str(path), manifest.artifacts[name]))


def hashes(path: Path) -> dict[str, str]:
    """Hash every file below a folder."""
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def write_archives(folder: Path) -> Path:
    """Write a small MediaWiki export, a WARC and a JSON Lines file, each with rows to keep, to drop and to refuse."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [row["text"] for row in prose(30)]
    pages = "".join(
        f"<page><title>Page {at}</title><ns>{4 if at % 10 == 9 else 0}</ns><id>{at}</id>"
        + ('<redirect title="Page 0" />' if at % 10 == 8 else "")
        + f"<revision><id>{at}</id><timestamp>2026-01-01T00:00:00Z</timestamp>"
        + f"<text>{_escaped(text)}</text></revision></page>"
        for at, text in enumerate(texts)
    )
    export = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en"><siteinfo>'
        "<sitename>Test</sitename><dbname>testwiki</dbname><base>https://test.example/wiki/Main</base>"
        '<namespaces><namespace key="0" case="first-letter" />'
        '<namespace key="4" case="first-letter">Project</namespace>'
        f"</namespaces></siteinfo>{pages}</mediawiki>"
    )
    (folder / "testwiki.xml.bz2").write_bytes(bz2.compress(export.encode()))
    members = [_record(at, text) for at, text in enumerate(texts[:20])]
    (folder / "pages.warc.gz").write_bytes(b"".join(gzip.compress(member, mtime=0) for member in members))
    lines = [json.dumps({"id": str(at), "text": text}) for at, text in enumerate(texts[5:15])]
    (folder / "rows.jsonl").write_text("\n".join([*lines[:5], "{not json", *lines[5:]]) + "\n", encoding="utf-8")
    return folder


def _record(at: int, text: str) -> bytes:
    page = f"<html><head><title>Page {at}</title></head><body><article><p>{_escaped(text)}</p></article></body></html>"
    status = "404 Not Found" if at % 5 == 4 else "200 OK"
    http = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}".encode()
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{at:012d}>\r\n"
        f"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: https://test.example/{at}\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Whole:
    """A file's bytes as the stream that PageReader reads."""

    problem = damage = None

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self.file.read(size)

    def resume(self) -> bool:
        return False
