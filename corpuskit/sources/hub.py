"""Open a text set of the Hugging Face Hub, or a folder laid out like one, as a stream of Arrow tables.

`datasets` does the reading (https://huggingface.co/docs/datasets/stream); here is what it leaves open: one commit
for the whole download, a licence in SPDX words, the columns that become the document, errors in one line, waits with
an end, and silence on stderr. Sets that need a script of their own are refused: there is no way to run one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import NoInput, UsageError
from corpuskit.sources.hub_library import Pinned, explained, patiently

_BATCH_ROWS = 1_000
#: What the hub calls a licence where SPDX has another word. The GNU licences of the hub name no "or later".
_SPDX = {
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "c-uda": "C-UDA-1.0",
    "lgpl-lr": "LGPLLR",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """What becomes of a set's columns: `text` joins these, the others keep their value, perhaps under a new name."""

    text: tuple[str, ...]
    others: tuple[tuple[str, str], ...]  # (name in the set, name in the output)
    left_out: tuple[str, ...]  # pictures, sound and the like
    schema: pa.Schema

    def arrange(self, table: pa.Table) -> pa.Table:
        """Give the output's columns of a table: `text`, then the others."""
        kind = self.schema.field(0).type
        text, *more = (table.column(name).cast(kind) for name in self.text)
        for part in more:
            # Two by two: `skip` leaves a row of nothing but nulls out, and the result is short of it (pyarrow 26).
            both = pc.binary_join_element_wise(text, part, pa.scalar("\n\n", kind), null_handling="emit_null")
            text = pc.coalesce(both, text, part)
        return pa.Table.from_arrays([text, *(table.column(name) for name, _ in self.others)], schema=self.schema)


@dataclass(frozen=True, slots=True)
class Opened:
    """A set that is ready to be read. Lives as long as the `library` that it was opened in."""

    pinned: Pinned
    config: str
    splits: Mapping[str, Any]
    features: Any
    expected: Mapping[str, int]  # rows, where the card tells

    def batches(self, split: str, shard: int, skip: int) -> Iterator[tuple[int, int, pa.Table]]:
        """Give (source file, its rows before, table of at most 1,000 rows), from row `skip` of file `shard` on.

        Raises CorpuskitError for what the library cannot read.
        """
        stream = self.splits[split].with_format("arrow")
        with explained(self.pinned):
            count = stream.num_shards
        for at in range(shard, count):
            before = skip if at == shard else 0
            with explained(self.pinned):
                one = stream.shard(num_shards=count, index=at)
                if self.pinned.folder:
                    # Parquet, row group by row group: else the reader runs ahead of us by up to 1 GiB. From the hub it
                    # may, for there every row group would cost two requests more.
                    one = one.reshard()
                tables = iter((one.skip(before) if before else one).iter(batch_size=_BATCH_ROWS))
            while True:
                with explained(self.pinned):
                    table = next(tables, None)
                if table is None:
                    break
                yield at, before, table
                before += table.num_rows


def pin(dataset: str, revision: str | None, tries: int) -> Pinned:
    """Ask the hub for the commit and the licence of a set, or look into a folder of that name.

    Raises UsageError, NoInput, Unavailable or Busy.
    """
    folder = Path(dataset).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise UsageError("--revision", f"{dataset} is a folder, which has one state only", "leave it out")
        return _pin_folder(dataset, folder.resolve())
    if folder.exists():
        raise UsageError("--dataset", f"{dataset} is a file", "files need no download: give it to `corpuskit extract`")
    if dataset.startswith((".", "/", "~")) or dataset.count("/") > 1:
        raise NoInput("--dataset", f"{dataset}: no such folder", "check the path")
    from huggingface_hub import HfApi, constants

    named = Pinned(dataset, None, revision or "main", None, None)
    with explained(named):
        info = patiently(lambda: HfApi().dataset_info(dataset, revision=named.revision), tries)
    _refuse_script(dataset, [each.rfilename for each in info.siblings or ()])
    card = info.card_data.to_dict() if info.card_data else {}
    return Pinned(
        dataset, None, str(info.sha), license_of(card), f"{constants.ENDPOINT}/datasets/{dataset}/tree/{info.sha}"
    )


def _pin_folder(dataset: str, folder: Path) -> Pinned:
    from huggingface_hub import DatasetCard

    if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        raise UsageError(
            "--dataset",
            f"{dataset} was written by `save_to_disk`, which no stream reads",
            f"give its Arrow files to `corpuskit extract {dataset} OUT`",
        )
    _refuse_script(dataset, [path.name for path in folder.iterdir()], folder.name)
    card: dict[str, Any] = {}
    if (folder / "README.md").is_file():
        with explained(Pinned(dataset, folder, "", None, None)):
            card = DatasetCard.load(folder / "README.md").data.to_dict()
    return Pinned(dataset, folder, folder_revision(folder), license_of(card), None)


def folder_revision(folder: Path) -> str:
    """Hash the names and contents of a folder's files; hidden ones, which `datasets` does not read, do not count."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith((".", "__")) for part in name.split("/")) and name != ".huggingface.yaml"
        if not hidden and path.is_file():
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
            whole.update(f"{digest.hexdigest()}  {name}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _refuse_script(dataset: str, files: Sequence[str], name: str | None = None) -> None:
    script = (name or dataset.rpartition("/")[2]) + ".py"
    if script in files:
        raise UsageError(
            "--dataset",
            f"{dataset} is made by a script of its own, {script}, and scripts are not run",
            "see whether its hub page offers converted files, and try --revision refs/convert/parquet",
        )


def license_of(card: Mapping[str, Any]) -> str | None:
    """Give the SPDX expression of a data set card's licence, or None where it has none."""
    words = card.get("license")
    words = [words] if isinstance(words, str) else words or []
    named = card.get("license_name")
    if words == ["other"] and isinstance(named, str) and named:
        words = [named]
    return " AND ".join(spdx(str(word)) for word in words) or None


def spdx(word: str) -> str:
    """Give the SPDX identifier of a hub's licence word; `LicenseRef-<word>` where SPDX has none."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if known := _SPDX.get(word.lower()):
        return known
    try:
        return str(canonicalize_license_expression(word))
    except InvalidLicenseExpression:
        return "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-") or "unknown")


def open_set(pinned: Pinned, config: str | None, cache: str) -> Opened:
    """Open a set at its pinned state. Raises UsageError for an unknown config, and what `explained` raises."""
    builder, splits = _build(pinned, config, cache, None)
    with explained(pinned):
        features = builder.info.features or _first_features(splits)
    if any(str(getattr(each, "dtype", "")) == "null" for each in features.values()):
        # A column that is empty at first may hold text later, which no cast brings into a column of nulls.
        features = _without_null_columns(features)
    if features != builder.info.features:
        builder, splits = _build(pinned, config, cache, features)
    counts = {name: info.num_examples for name, info in (builder.info.splits or {}).items() if info.num_examples}
    return Opened(pinned, str(builder.config.name), splits, features, counts)


def _build(pinned: Pinned, config: str | None, cache: str, features: Any) -> tuple[Any, Mapping[str, Any]]:
    import datasets

    path, revision = (str(pinned.folder), None) if pinned.folder else (pinned.dataset, pinned.revision)
    try:
        builder = datasets.load_dataset_builder(
            path, name=config, revision=revision, cache_dir=cache, features=features
        )
    except Exception as error:
        with explained(pinned):
            names = datasets.get_dataset_config_names(path, revision=revision) if _lacks_config(error) else []
            if not names:
                raise
        raise unknown("--config", config, names, pinned) from None
    if hasattr(builder.config, "fragment_scan_options"):  # Parquet
        from pyarrow.dataset import ParquetFragmentScanOptions

        # Else batches are whole row groups, and the reader keeps all that it has read of a file until the file ends.
        builder.config.batch_size = _BATCH_ROWS
        builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
    if getattr(builder.config, "keep_default_na", False) and builder.config.na_values is None:  # CSV
        # Else texts such as "NA", "null" and "None" are lost.
        builder.config.keep_default_na, builder.config.na_values = False, [""]
    with explained(pinned):
        return builder, {str(name): split for name, split in builder.as_streaming_dataset().items()}


def _lacks_config(error: Exception) -> bool:
    return isinstance(error, ValueError) and ("Config name is missing" in str(error) or "BuilderConfig" in str(error))


def unknown(flag: str, given: str | None, names: Sequence[str], pinned: Pinned) -> UsageError:
    """Give the error for a config or split that is not there, or not told where there are several."""
    problem = f"{pinned.dataset} has several" if given is None else f"{pinned.dataset} has no `{given}`"
    return UsageError(flag, problem, f"choose one of: {', '.join(names)}")


def _first_features(splits: Mapping[str, Any]) -> Any:
    """Tell the features of files that carry none from their first rows."""
    import datasets

    for split in splits.values():
        for table in split.with_format("arrow").iter(batch_size=_BATCH_ROWS):
            fields = [
                pa.field(field.name, pa.null()) if column.null_count == len(column) else field
                for field, column in zip(table.schema, table.columns, strict=True)
            ]
            return datasets.Features.from_arrow_schema(pa.schema(fields))
    return datasets.Features({"text": datasets.Value("string")})  # no rows at all


def _without_null_columns(features: Any) -> Any:
    import datasets

    string = datasets.Value("string")
    return datasets.Features(
        {name: string if str(getattr(each, "dtype", "")) == "null" else each for name, each in features.items()}
    )


def columns_of(opened: Opened, text_columns: Sequence[str]) -> Columns:
    """Decide what becomes of the columns. Raises UsageError for a text column that is none.

    A column that is not the text but is called `text` becomes `text_original`.
    """
    import datasets

    strings = [name for name, each in opened.features.items() if _is_string(each)]
    for name in text_columns:
        if name not in strings:
            found = f"its column `{name}` is no string" if name in opened.features else f"it has no column `{name}`"
            offer = ", ".join(f"--text-column {each}" for each in strings)
            remedy = f"give {offer}" if strings else f"none of its columns is: {', '.join(opened.features)}"
            raise UsageError("--text-column", f"{opened.pinned.dataset} ({opened.config}): {found}", remedy)
    left_out = [name for name, each in opened.features.items() if _is_media(each)]
    others: list[tuple[str, str]] = []
    taken = {"text", *opened.features} - {*text_columns} | {"text"}
    for name in opened.features:
        if name in text_columns or name in left_out:
            continue
        new, at = name, 1
        while new == "text" or (new != name and new in taken):
            new, at = "text_original" + (f"_{at}" if at > 1 else ""), at + 1
        others.append((name, new))
    large = any(opened.features[name].dtype == "large_string" for name in text_columns)
    kinds = {"text": datasets.Value("large_string" if large else "string")}
    kinds |= {new: opened.features[name] for name, new in others}
    # The metadata tells `datasets` what the columns mean: the names of labels, say.
    return Columns(tuple(text_columns), tuple(others), tuple(left_out), datasets.Features(kinds).arrow_schema)


def _is_string(feature: Any) -> bool:
    return type(feature).__name__ == "Value" and feature.dtype in ("string", "large_string")


def _is_media(feature: Any) -> bool:
    """Tell whether a feature holds pictures, sound or the like, at whatever depth."""
    if isinstance(feature, dict):
        return any(map(_is_media, feature.values()))
    if isinstance(feature, (list, tuple)):
        return any(map(_is_media, feature))
    if hasattr(feature, "feature"):
        return _is_media(feature.feature)
    return hasattr(feature, "decode_example") and type(feature).__name__ != "Json"
