"""Hold tokens and blocks on disk against their tokenizer, their end marks and their text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import dataset, storage
from corpuskit.dataset import MARKED, Artifact, Manifest
from corpuskit.errors import CorpuskitError
from corpuskit.schema import PADDING
from corpuskit.tokens import bpe, proof

_SAMPLE = 64  # documents, or blocks, of a table that are decoded
_MOST_LINES = 3  # of a file: the rest would say the same again
_END_OF_BLOCKS = "partial_block"


@dataclass
class _Found:
    """What a pass over a table has counted."""

    starts: int = 0
    ends: int = 0
    ended: bool | None = None  # whether the last block of the file so far ends with a document
    documents: dict[str, tuple[str, int, Any]] = field(default_factory=dict)  # id: file, row, ids that are decoded


def problems(path: str, manifest: Manifest, beside: Mapping[str, str]) -> Iterator[str]:
    """Give one line for each thing that does not hold in the tables of tokens of a dataset.

    `beside` maps the keys of other datasets at hand to their paths: texts of documents are looked up there.
    """
    tables = _tables(manifest)
    if not tables:
        return
    try:
        tokenizer = _tokenizer(path, manifest)
    except CorpuskitError as error:
        yield f"{storage.join(path, 'tokenizer')}: {error.problem}"
        return
    for name, artifact in tables.items():
        found = _Found()
        for lines in _checked(path, artifact, manifest, tokenizer, found):
            yield from lines[:_MOST_LINES]
        if name in ("train", "valid") and tokenizer is not None:
            yield from _wrong_totals(path, name, manifest, found)
        if name == "tokens" and tokenizer is not None:
            yield from _wrong_texts(manifest, tokenizer, found, beside)


def scope(path: str, manifest: Manifest, beside: Mapping[str, str]) -> str | None:
    """Say what `problems` looks at in a dataset; None where it has no tokens."""
    if not _tables(manifest):
        return None
    try:
        tokenizer = _tokenizer(path, manifest)
    except CorpuskitError:
        return None
    if tokenizer is None:
        return "no tokenizer beside the tokens: ids, end marks and texts are not looked at"
    if not proof.is_lossless(tokenizer):
        return "ids and end marks hold; the tokenizer loses some of a text, so none is decoded"
    known = any(key in beside for key in manifest.inputs.get("docs", []))
    return "ids and end marks hold; of each table a sample was decoded" + (
        ", and compared with the documents" if known else ""
    )


def _tables(manifest: Manifest) -> dict[str, Artifact]:
    return {
        name: artifact
        for name, artifact in manifest.artifacts.items()
        if artifact.kind == "table" and "input_ids" in artifact.columns and name not in MARKED.values()
    }


def _tokenizer(path: str, manifest: Manifest) -> bpe.TextTokenizer | None:
    artifact = manifest.artifacts.get("tokenizer")
    if artifact is None or not artifact.shards:
        return None
    with storage.local_copy(storage.join(path, artifact.folder)) as folder:
        return bpe.load(folder)


def _checked(
    path: str, artifact: Artifact, manifest: Manifest, tokenizer: bpe.TextTokenizer | None, found: _Found
) -> Iterator[list[str]]:
    """Give what is wrong in each file, and decode a sample of the whole table's rows."""
    sample = np.sort(np.random.default_rng(0).permutation(artifact.rows)[:_SAMPLE]) if artifact.rows else np.empty(0)
    lossless = tokenizer is not None and proof.is_lossless(tokenizer)
    before = 0
    for file in dataset.shard_paths(path, artifact):
        lines: list[str] = []
        found.ended = None
        row = 0
        for batch in dataset.read_stream(file):
            wrong = list(_wrong_rows(batch, manifest, tokenizer, found))
            if not wrong and lossless and tokenizer is not None:
                chosen = sample[(sample >= before) & (sample < before + batch.num_rows)] - before
                wrong = list(_wrong_samples(batch, chosen.tolist(), tokenizer, file, row, found))
            lines += [f"{file}, row {row + at:,}: {what}" if at >= 0 else f"{file}: {what}" for at, what in wrong]
            row += batch.num_rows
            before += batch.num_rows
            if wrong and wrong[0][0] < 0:
                break  # the type of the column is wrong, so everything else would be
        yield lines


def _wrong_rows(
    batch: pa.RecordBatch, manifest: Manifest, tokenizer: bpe.TextTokenizer | None, found: _Found
) -> Iterator[proof.Wrong]:
    kind = batch.schema.field("input_ids").type
    blocks = pa.types.is_fixed_size_list(kind)
    wanted = manifest.options.get("block_tokens") if blocks else None
    if wanted is not None and kind.list_size != wanted:
        yield -1, f"expected blocks of {wanted:,} tokens, found {kind.list_size:,}"
        return
    if tokenizer is not None:
        if (problem := proof.wrong_type(kind, tokenizer.vocab_size)) is not None:
            yield -1, problem
            return
        wrong = list(proof.wrong_ids(batch, tokenizer.vocab_size))
        yield from wrong
        if wrong:
            return
    if not blocks:
        if tokenizer is not None:
            yield from proof.wrong_documents(batch, tokenizer.end_id)
        return
    wrong = list(proof.wrong_starts(batch))
    yield from wrong
    if tokenizer is not None and not wrong:
        edges = proof.edges(batch, tokenizer.end_id)
        found.starts += int(edges.starts.sum())
        found.ends += int(edges.ends.sum())
        yield from proof.wrong_edges(batch, edges, tokenizer.end_id, found.ended)
        found.ended = bool(edges.ends[-1, -1]) if batch.num_rows else found.ended


def _wrong_samples(
    batch: pa.RecordBatch, rows: list[int], tokenizer: bpe.TextTokenizer, file: str, first: int, found: _Found
) -> Iterator[proof.Wrong]:
    """Decode some rows; documents are kept for a comparison with their texts."""
    if pa.types.is_fixed_size_list(batch.schema.field("input_ids").type):
        check = proof.wrong_piece if PADDING in batch.schema.names else proof.wrong_text
        for row in rows:
            one = batch.slice(row, 1)
            ids = np.array(one.column("input_ids")[0].values)
            for document in proof.whole_documents(ids, proof.edges(one, tokenizer.end_id), 0):
                if (problem := check(document, tokenizer)) is not None:
                    yield row, problem
        return
    for row in rows:
        ids = np.array(batch.column("input_ids")[row].values)[:-1]
        size = batch.column("bytes")[row].as_py() if "bytes" in batch.schema.names else None
        if (problem := proof.wrong_text(ids, tokenizer, size)) is not None:
            yield row, problem
        found.documents[str(batch.column("id")[row].as_py())] = file, first + row, ids


def _wrong_totals(path: str, split: str, manifest: Manifest, found: _Found) -> Iterator[str]:
    """Hold the end marks of a split against the documents that begin in it, and against the figures."""
    artifact = manifest.artifacts[split]
    where = storage.join(path, artifact.folder)
    figures = manifest.figures if isinstance(manifest.figures, dict) else {}
    packed = figures.get("packing", {}).get(split, {})
    if PADDING in artifact.columns:
        told = packed.get("pieces", found.starts), packed.get("documents", found.ends)
        if told != (found.starts, found.ends):
            yield (
                f"{where}: expected {told[0]:,} pieces of {told[1]:,} documents,"
                f" found {found.starts:,} starts and {found.ends:,} end marks"
            )
        return
    lost = _dropped_blocks(path, manifest)
    if found.starts - found.ends not in range(lost + 1):
        more = f" or up to {lost} less, for documents that dropped blocks end" if lost else ""
        yield f"{where}: expected as many end marks as documents, {found.starts:,}{more}, found {found.ends:,}"


def _dropped_blocks(path: str, manifest: Manifest) -> int:
    """Count the blocks that were dropped for not being full."""
    artifact = manifest.artifacts.get(MARKED["drop"])
    if not manifest.ledger.dropped.get(_END_OF_BLOCKS) or artifact is None:
        return 0
    columns = (
        batch.column("drop") for file in dataset.shard_paths(path, artifact) for batch in dataset.read_stream(file)
    )
    return sum(pc.sum(pc.equal(column, _END_OF_BLOCKS)).as_py() or 0 for column in columns)


def _wrong_texts(
    manifest: Manifest, tokenizer: bpe.TextTokenizer, found: _Found, beside: Mapping[str, str]
) -> Iterator[str]:
    """Compare the sampled documents with the texts that they were made of, where these are at hand."""
    wanted = pa.array(list(found.documents), pa.string())
    texts: dict[str, set[str]] = {}
    for key in manifest.inputs.get("docs", []):
        if key not in beside or not len(wanted):
            continue
        docs = dataset.read_manifest(beside[key]).artifacts.get("docs")
        for file in dataset.shard_paths(beside[key], docs) if docs is not None else ():
            for batch in dataset.read_stream(file):
                rows = pc.is_in(batch.column("id").cast(pa.string()), value_set=wanted)
                for row in batch.filter(rows).select(["id", "text"]).to_pylist():
                    texts.setdefault(str(row["id"]), set()).add(row["text"])
    for id, (file, row, ids) in found.documents.items():
        known = texts.get(id, set())
        if known and tokenizer.decode(ids) not in known:
            problem = proof.wrong_text(ids, tokenizer, None, sorted(known)[0])
            yield f"{file}, row {row:,}: {problem}"
