"""Croissant 1.1: a dataset as JSON-LD, with the hash and size of every file and what it was derived from.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from corpuskit import __version__
from corpuskit.card.facts import Facts, Passed
from corpuskit.dataset import MARKED, Artifact
from corpuskit.storage import join

FILE = "croissant.json"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/x-parquet",
    "jsonl": "application/jsonlines",
    "json": "application/json",
    "md": "text/markdown",
    "txt": "text/plain",
    "gz": "application/gzip",
}
_TYPES = {"string": "sc:Text", "double": "sc:Float", "float": "sc:Float", "bool": "sc:Boolean"}


def text(facts: Facts) -> str:
    """Give croissant.json."""
    return json.dumps(_dataset(facts), indent=1, ensure_ascii=False) + "\n"


def license_url(license: str) -> str:
    """Give the address of an SPDX licence; an expression or another name stays what it is."""
    plain = re.fullmatch(r"[A-Za-z0-9.+-]+", license) and not license.startswith("LicenseRef-")
    return f"https://spdx.org/licenses/{license}.html" if plain else license


def _dataset(facts: Facts) -> dict[str, Any]:
    said, manifest = facts.said, facts.manifest
    optional = {
        "license": [license_url(each) for each in facts.licenses],
        "inLanguage": facts.languages,
        "url": said.url,
        "creator": {"@type": "sc:Organization", "name": said.creator} if said.creator else None,
    }
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": facts.name,
        "description": said.description or described(facts),
        **{name: value for name, value in optional.items() if value},
        "version": f"1.0.0+{manifest.key[:16]}",
        "prov:wasDerivedFrom": [*_sources(facts), *map(_derived, facts.stages[:-1])],
        "prov:wasGeneratedBy": [_activity(each) for each in facts.stages],
        "distribution": [*_files(facts), *(_set(*each) for each in facts.parquet.items() if len(each[1].shards) > 1)],
        "recordSet": [
            _records(name, each, name in facts.parquet)
            for name, each in {**facts.tables, **facts.parquet}.items()
            if each.rows
        ],
    }


def described(facts: Facts) -> str:
    """Say in a sentence what a dataset is."""
    sources = sorted({origin.source for origin in facts.origins or () if origin.source})
    block = facts.manifest.options.get("block_tokens")
    tables = ", ".join(f"{artifact.rows:,} rows of `{name}`" for name, artifact in facts.tables.items())
    what = f"Blocks of {block:,} tokens" if block else "Data"
    named = f" of text from {', '.join(sources[:5])}" + (" and others" if sources[5:] else "") if sources else ""
    return f"{what}{named}: {tables or 'files'}, written by corpuskit's `{facts.manifest.stage}`."


def _sources(facts: Facts) -> Iterator[dict[str, Any]]:
    """Name the collections that the documents say they are of."""
    for source in sorted({origin.source for origin in facts.origins or () if origin.source}):
        licenses = sorted({each.license for each in facts.origins or () if each.source == source and each.license})
        yield {
            "@type": "prov:Entity",
            "prov:label": source,
            **({"sc:license": [license_url(each) for each in licenses]} if licenses else {}),
        }


def _derived(passed: Passed) -> dict[str, Any]:
    return {"@id": _urn(passed), "@type": "prov:Entity", "prov:label": f"output of {passed.stage}"}


def _urn(passed: Passed) -> str:
    return f"urn:corpuskit:{passed.key}"


def _activity(passed: Passed) -> dict[str, Any]:
    ledger = passed.ledger
    return {
        "@id": f"{_urn(passed)}#run",
        "@type": "prov:Activity",
        "prov:label": passed.stage,
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "prov:label": f"corpuskit {__version__}, stage version {passed.version}",
        },
        "prov:used": [{"@id": f"urn:corpuskit:{key}"} for keys in passed.inputs.values() for key in keys],
        "sc:description": "options other than the defaults: " + json.dumps(dict(passed.options), sort_keys=True),
        "sc:result": f"{ledger.rows_in} {passed.unit} in, {ledger.kept} kept, {sum(ledger.dropped.values())} dropped, "
        f"{sum(ledger.errors.values())} errors",
    }


def _files(facts: Facts) -> Iterator[dict[str, Any]]:
    for name, artifact in facts.manifest.artifacts.items():
        for shard in artifact.shards:
            place = join(artifact.folder, shard.file) if artifact.folder else shard.file
            yield {
                "@type": "cr:FileObject",
                "@id": _id(place),
                "name": place,
                "description": "Set aside by the stage." if name in MARKED.values() else f"Part of `{name}`.",
                "contentUrl": place,
                "contentSize": f"{shard.bytes} B",
                "encodingFormat": _FORMATS.get(place.rsplit(".", 1)[-1], "application/octet-stream"),
                "sha256": shard.sha256,
            }


def _set(name: str, artifact: Artifact) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files-{name}",
        "name": f"files-{name}",
        "description": f"The Parquet files of `{name}`.",
        "encodingFormat": _FORMATS["parquet"],
        "includes": re.sub(r"-\d+-of-\d+", "-*", _place(artifact)),
    }


def _id(place: str) -> str:
    """Name a file; mlcroissant takes no white space there."""
    return re.sub(r"\s", "_", place)


def _place(artifact: Artifact) -> str:
    """Give the path of the first file."""
    first = artifact.shards[0].file
    return join(artifact.folder, first) if artifact.folder else first


def _records(name: str, artifact: Artifact, readable: bool) -> dict[str, Any]:
    """Describe the columns of a table. Of Arrow files, which no reader of Croissant knows, the first stands for all."""
    several = readable and len(artifact.shards) > 1
    where = {"fileSet": {"@id": f"files-{name}"}} if several else {"fileObject": {"@id": _id(_place(artifact))}}
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": column,
            "description": f"Arrow type {arrow}.",
            **_kind(arrow),
            "source": {**where, "extract": {"column": column}},
        }
        for column, arrow in artifact.columns.items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{artifact.rows:,} rows in {len(artifact.shards):,} files of the same columns.",
        "field": fields,
    }


def _kind(kind: str) -> Mapping[str, Any]:
    lists = re.fullmatch(r"(?:large_|fixed_size_)?list<\w+: (\w+)(?: not null)?>(?:\[(\d+)\])?", kind)
    plain = lists[1] if lists else kind
    named = _TYPES.get(plain, "sc:Integer" if re.fullmatch(r"u?int\d+", plain) else "sc:Text")
    array = {"isArray": True, "arrayShape": lists[2] or "-1"} if lists else {}
    return {"dataType": named, **array}
