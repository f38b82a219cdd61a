"""What a card tells, gathered from manifests and documents."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import catalog, dataset, storage
from corpuskit.dataset import MARKED, Ancestor, Artifact, Ledger, Manifest, Shard
from corpuskit.errors import CorpuskitError, UsageError
from corpuskit.options import specs
from corpuskit.plan import final_artifacts
from corpuskit.stage import Table

_GROUPS = ["source", "license", "language"]
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says of a dataset, and no file knows."""

    name: str | None = None
    description: str | None = None
    url: str | None = None
    creator: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Documents of one source, licence and language; "" where nobody says."""

    source: str
    license: str
    language: str
    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Passed:
    """A stage that the data passed: what it did with how many of what."""

    stage: str
    version: int
    key: str
    options: Mapping[str, Any]
    ledger: Ledger
    unit: str
    inputs: Mapping[str, Sequence[str]]
    on_the_way: bool  # the data passed it; else what it made was only used, as a tokenizer is


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The tokenizer beside a dataset."""

    vocab_size: int
    end_token: str
    end_id: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a dataset. `origins` is None where its documents are not at hand."""

    name: str
    said: Said
    manifest: Manifest
    origins: Sequence[Origin] | None
    stages: Sequence[Passed]
    tokenizer: Tokenizer | None
    parquet: Mapping[str, Artifact]  # of an export: the files of each split, as a table

    @property
    def licenses(self) -> list[str]:
        """Give the SPDX licences of the documents, or the one that was said; sorted, without those nobody names."""
        if self.said.license is not None:
            return [self.said.license]
        return sorted({origin.license for origin in self.origins or () if origin.license})

    @property
    def languages(self) -> list[str]:
        """Give the languages of the documents by their text's size, without those nobody names."""
        sizes: dict[str, int] = {}
        for origin in self.origins or ():
            sizes[origin.language] = sizes.get(origin.language, 0) + origin.bytes
        return sorted((name for name in sizes if name), key=lambda name: (-sizes[name], name))

    @property
    def tables(self) -> dict[str, Artifact]:
        """Give the tables that the stage made, without what it set aside."""
        artifacts = self.manifest.artifacts.items()
        return {name: each for name, each in artifacts if each.kind == "table" and name not in MARKED.values()}

    @property
    def rows(self) -> int:
        """Count the rows of its tables; of opaque files those that went into them."""
        counted = [each.rows for each in self.tables.values() if each.counted]
        return sum(counted) if counted else self.manifest.ledger.kept


def gather(path: str, docs: str | None, said: Said) -> Facts:
    """Gather all that is known of a dataset. `docs` is the dataset of documents that it was made of.

    Without, it is looked for beside the dataset, by the keys of its lineage. Raises NoInput and UsageError.
    """
    manifest = dataset.read_manifest(path)
    name = said.name or os.path.basename(os.path.abspath(path)) if not storage.is_remote(path) else said.name
    way = _way(manifest)
    found = _docs(path, [each.key for each in manifest.lineage if each.key in way] + [manifest.key], docs)
    return Facts(
        name=name or path.rstrip("/").rsplit("/", 1)[-1],
        said=said,
        manifest=manifest,
        origins=None if found is None else _origins(found),
        stages=[_passed(each, each.key in way) for each in [*manifest.lineage, _own(manifest)]],
        tokenizer=_tokenizer(path, manifest),
        parquet=_parquet(path, manifest),
    )


def _way(manifest: Manifest) -> set[str]:
    """Give the keys of the stages that the data passed: those of main inputs, all where a lineage does not tell."""
    inputs = {each.key: each.inputs for each in manifest.lineage} | {manifest.key: manifest.inputs}
    if not any(each.inputs for each in manifest.lineage):
        return set(inputs)
    way, ahead = set(), [manifest.key]
    while ahead:
        key = ahead.pop()
        if key in inputs and key not in way:
            way.add(key)
            ahead += next(iter(inputs[key].values()), [])
    return way


def _docs(path: str, keys: Sequence[str], given: str | None) -> str | None:
    """Find the last documents that the data was, before it was tokens: those given, or a dataset beside it."""
    if given is not None:
        if dataset.read_manifest(given).key not in keys:
            raise UsageError("--docs", f"{path} was not made of {given}", "give documents of its lineage")
        return given
    above = (
        os.path.dirname(os.path.abspath(path)) if not storage.is_remote(path) else path.rstrip("/").rsplit("/", 1)[0]
    )
    beside = [storage.join(above, name) for name in storage.names(above) if not name.startswith(".")]
    at = {}
    for each in [path, *beside]:
        if dataset.is_dataset(each):
            one = dataset.read_manifest(each)
            if one.key in keys and "docs" in one.artifacts:
                at[keys.index(one.key)] = each
    return at[max(at)] if at else None


def _origins(path: str) -> list[Origin]:
    artifact = dataset.read_manifest(path).artifacts.get("docs")
    if artifact is None:
        raise UsageError("--docs", f"{path} holds no documents", "give documents of its lineage")
    parts = []
    for file in dataset.shard_paths(path, artifact):
        for batch in dataset.read_stream(file):
            known = set(batch.schema.names)
            none = pa.array([""] * batch.num_rows)
            columns = [
                batch.column(name).cast(pa.string()).fill_null("") if name in known else none for name in _GROUPS
            ]
            sizes = pc.binary_length(batch.column("text")).cast(pa.int64()).fill_null(0)
            ones = pa.array([1] * batch.num_rows, pa.int64())
            table = pa.Table.from_arrays([*columns, ones, sizes], names=[*_GROUPS, "documents", "bytes"])
            parts.append(_summed(table, ["documents", "bytes"]))
    total = _summed(pa.concat_tables(parts), ["documents", "bytes"])
    found = [Origin(**row) for row in total.to_pylist()]
    return sorted(found, key=lambda each: (-each.bytes, each.source, each.license, each.language))


def _summed(table: pa.Table, names: Sequence[str]) -> pa.Table:
    summed = table.group_by(_GROUPS).aggregate([(name, "sum") for name in names])
    return summed.select([*_GROUPS, *(f"{name}_sum" for name in names)]).rename_columns([*_GROUPS, *names])


def _own(manifest: Manifest) -> Ancestor:
    return Ancestor(manifest.stage, manifest.version, manifest.key, manifest.options, manifest.ledger, manifest.inputs)


def _passed(each: Ancestor, on_the_way: bool) -> Passed:
    """Take what the stage's declaration tells: the unit of its ledger, and which options are not the default."""
    unit, options = "rows", each.options
    try:
        stage = catalog.load(each.stage)
    except CorpuskitError:  # of a dataset that another program, or a later version, has made
        pass
    else:
        final = final_artifacts(stage)
        defaults = {spec.name: list(spec.default) if spec.many else spec.default for spec in specs(stage.options)}
        options = {name: value for name, value in options.items() if value != defaults.get(name)}
        if any(isinstance(what, Table) and what.counts for what in final.values()):
            unit = "tokens"
        elif not stage.inputs and not isinstance(next(iter(final.values())), Table):
            unit = "files"
    return Passed(each.stage, each.version, each.key, options, each.ledger, unit, each.inputs, on_the_way)


def _parquet(path: str, manifest: Manifest) -> dict[str, Artifact]:
    """Find the Parquet files of an export, and read their columns and rows."""
    import pyarrow.parquet as pq

    found: dict[str, Artifact] = {}
    for artifact in manifest.artifacts.values():
        for shard in artifact.shards:
            split = os.path.basename(shard.file).partition("-")[0]
            if artifact.kind == "files" and shard.file.endswith(".parquet"):
                with storage.source(storage.join(path, artifact.folder, shard.file)) as file:
                    read = pq.ParquetFile(file)
                    columns = {field.name: str(field.type) for field in read.schema_arrow}
                    one = Shard(shard.file, shard.bytes, shard.sha256, read.metadata.num_rows)
                before = found[split].shards if split in found else []
                found[split] = Artifact("table", artifact.folder, [*before, one], columns)
    return found


def _tokenizer(path: str, manifest: Manifest) -> Tokenizer | None:
    from corpuskit.tokens import bpe

    for artifact in manifest.artifacts.values():
        for shard in artifact.shards:
            folder, name = os.path.split(shard.file)
            if artifact.kind == "files" and name == bpe.TOKENIZER:
                with storage.local_copy(storage.join(path, artifact.folder, folder)) as local:
                    loaded = bpe.load(local)
                return Tokenizer(loaded.vocab_size, loaded.end_token, loaded.end_id, shard.sha256)
    return None
