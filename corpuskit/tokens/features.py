"""The two JSON files that make a folder of Arrow streams one that `datasets.load_from_disk` opens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

_VALUES = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
# Arrow's names of the types that `datasets` calls otherwise.
_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def features(schema: pa.Schema) -> dict[str, Any]:
    """Give the `features` of dataset_info.json as `datasets` 5 writes them.

    Takes strings, binaries, numbers, booleans, nulls, and lists and structs of these. Raises TypeError for others.
    """
    return {field.name: _feature(field.type) for field in schema}


def folder_files(schema: pa.Schema, data_files: Sequence[str], fingerprint: str) -> dict[str, str]:
    """Give the JSON text of state.json and dataset_info.json, by file name.

    `data_files` are the names of Arrow IPC streams beside them, in order. Equal arguments give equal text.
    """
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in data_files],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = {"citation": "", "description": "", "features": features(schema), "homepage": "", "license": ""}
    return {"state.json": _text(state), "dataset_info.json": _text(info)}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "List"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_large_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "LargeList"}
    if any(test(kind) for test in _VALUES):
        return {"dtype": _NAMES.get(str(kind), str(kind)), "_type": "Value"}
    raise TypeError(f"no feature of `datasets` for the Arrow type {kind}")


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
