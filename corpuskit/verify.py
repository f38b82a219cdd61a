"""Recompute every hash and every ledger of a dataset, or of all below a folder; let token shards prove themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from corpuskit import dataset, storage, verify_tokens
from corpuskit.dataset import MARKED, Artifact, Manifest
from corpuskit.errors import CorpuskitError, NoInput
from corpuskit.tally import weigh, weigh_by


def datasets_below(path: str) -> list[str]:
    """List the datasets of a folder: itself, or those that lie below it; upstream ones first.

    Raises NoInput where there is none.
    """
    if dataset.is_dataset(path):
        return [path]
    folders = [storage.join(path, name) for name in storage.names(path) if not name.startswith(".")]
    below = [
        storage.join(each, name) for each in folders if not dataset.is_dataset(each) for name in storage.names(each)
    ]
    found = [each for each in [*folders, *below] if dataset.is_dataset(each)]
    if not found:
        dataset.read_manifest(path)  # says what is missing
        raise NoInput(path, "holds no dataset", "check the path")
    return sorted(found, key=lambda each: (len(dataset.read_manifest(each).lineage), each))


def checked(path: str, tell: Callable[[str], None]) -> Iterator[tuple[str, bool]]:
    """Check a dataset, or all below a folder: (line, whether it is of something that does not hold)."""
    paths = datasets_below(path)
    beside = {dataset.read_manifest(each).key: each for each in paths}
    for each in paths:
        tell(f"verify: {each}")
        found = list(problems(each, beside))
        yield from ((line, True) for line in found)
        scope = None if found else verify_tokens.scope(each, dataset.read_manifest(each), beside)
        if scope is not None:
            yield f"{each}: {scope}", False


def problems(path: str, beside: Mapping[str, str] | None = None) -> Iterator[str]:
    """Give one line for everything that does not hold in a dataset, with the file at fault.

    `beside` maps the keys of other datasets at hand to their paths: texts of tokens are looked up there.
    """
    manifest = dataset.read_manifest(path)
    where = storage.join(path, dataset.MANIFEST)
    key = dataset.key_of(manifest.stage, manifest.version, manifest.options, manifest.inputs)
    if key != manifest.key:
        yield f"{where}: the key is {manifest.key[:16]}, but stage, options and inputs give {key[:16]}"
    whole = True
    for artifact in manifest.artifacts.values():
        for line in _wrong_files(path, artifact):
            whole = False
            yield line
    if whole:  # counting rows of a damaged shard would only repeat the message
        yield from _wrong_counts(path, manifest, where)
        yield from verify_tokens.problems(path, manifest, beside or {})


def _wrong_files(path: str, artifact: Artifact) -> Iterator[str]:
    for shard, file in zip(artifact.shards, dataset.shard_paths(path, artifact), strict=True):
        size = storage.size(file)
        if size is None:
            yield f"{file}: is missing"
        elif size != shard.bytes:
            yield f"{file}: expected {shard.bytes:,} bytes, found {size:,}"
        elif (found := storage.sha256(file)) != shard.sha256:
            yield f"{file}: expected sha256 {shard.sha256[:16]}..., found {found[:16]}..."


def _wrong_counts(path: str, manifest: Manifest, where: str) -> Iterator[str]:
    if not manifest.ledger.adds_up:
        yield f"{where}: the ledger does not add up: {manifest.ledger}"
    for at, ledger in enumerate(manifest.tasks):
        if not ledger.adds_up:
            yield f"{where}: the ledger of task {at} does not add up: {ledger}"
    kept, counted = 0, False
    for artifact in manifest.artifacts.values():
        if artifact.kind != "table":
            continue
        for shard, file in zip(artifact.shards, dataset.shard_paths(path, artifact), strict=True):
            rows = 0
            try:
                for batch in dataset.read_stream(file):
                    rows += batch.num_rows
                    if artifact.counted:
                        kept += weigh(batch, artifact.counts)
            except CorpuskitError as error:
                yield str(error)
            if rows != shard.rows:
                yield f"{file}: expected {shard.rows} rows, found {rows}"
        counted |= artifact.counted
    if counted and kept != manifest.ledger.kept:
        yield f"{where}: the ledger says {manifest.ledger.kept} kept, the shards hold {kept}"
    for column, said in (("drop", manifest.ledger.dropped), ("error", manifest.ledger.errors)):
        found = _reasons(path, manifest, column)
        if found != said:
            yield f"{where}: the ledger says {said}, {MARKED[column]}/ holds {found}"


def _reasons(path: str, manifest: Manifest, column: str) -> dict[str, int]:
    artifact = manifest.artifacts.get(MARKED[column])
    found: dict[str, int] = {}
    for file in dataset.shard_paths(path, artifact) if artifact else []:
        for batch in dataset.read_stream(file):
            found = dataset.add_counts(found, weigh_by(batch, column, artifact.counts if artifact else None))
    return dict(sorted(found.items()))
