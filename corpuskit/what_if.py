"""Say what `clean` would keep with other bounds, from the signals that it stored; nothing is run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpuskit import dataset
from corpuskit.dataset import MARKED
from corpuskit.errors import UsageError
from corpuskit.schema import DROP
from corpuskit.text import presets, thresholds


@dataclass(frozen=True)
class WhatIf:
    """What a dataset of `clean` keeps and drops, as it is and with other bounds."""

    path: str
    bounds: Mapping[str, str]  # the rules that changed, in words
    before: Mapping[str, int]  # rows by reason; "" is kept
    after: Mapping[str, int]

    @classmethod
    def of(cls, path: str, thresholds_given: Sequence[str]) -> WhatIf:
        """Judge the stored signals anew. Raises UsageError for a dataset of another stage or an unknown signal."""
        manifest = dataset.read_manifest(path)
        if manifest.stage != "clean":
            raise UsageError(
                "--threshold", f"{path} was written by `{manifest.stage}`, not by `clean`", "name a dataset of `clean`"
            )
        preset, given = str(manifest.options["preset"]), list(manifest.options.get("threshold") or ())
        old, new = thresholds.rules_of(preset, given), thresholds.rules_of(preset, [*given, *thresholds_given])
        changed = {rule.reason: thresholds.in_words(rule) for rule in new if rule not in old}
        before: Counter[str] = Counter()
        after: Counter[str] = Counter()
        of_rules = {rule.reason for rule in (*old, *new)}
        for name in (manifest.main, MARKED[DROP]):
            artifact = manifest.artifacts.get(name)
            for file in dataset.shard_paths(path, artifact) if artifact else ():
                for batch in dataset.read_stream(file):
                    _count(batch, new, of_rules, before, after)
        return cls(path, changed, before, after)

    def summary(self) -> dict[str, Any]:
        """Give the figures as one JSON-ready object."""
        return {
            "bounds": dict(self.bounds),
            "rows": sum(self.before.values()),
            "kept": self.before.get("", 0),
            "would_keep": self.after.get("", 0),
            "dropped": {reason: count for reason, count in sorted(self.before.items()) if reason},
            "would_drop": {reason: count for reason, count in sorted(self.after.items()) if reason},
        }

    def lines(self) -> Iterator[str]:
        """Say it in words: kept now and then, and the reasons whose counts change."""
        for reason, words in self.bounds.items():
            yield f"with {reason}: {words}"
        rows, now, then = sum(self.before.values()), self.before.get("", 0), self.after.get("", 0)
        yield f"of {rows:,} rows {now:,} are kept, {then:,} would be ({then - now:+,})"
        reasons = {*self.before, *self.after} - {""}
        for reason in sorted(reasons, key=lambda each: (-self.before.get(each, 0), each)):
            is_now, would_be = self.before.get(reason, 0), self.after.get(reason, 0)
            note = f"  {would_be - is_now:+,}" if would_be != is_now else ""
            yield f"  {reason:<24} {is_now:>12,} -> {would_be:>12,}{note}"


def _count(
    batch: pa.RecordBatch,
    rules: Sequence[presets.Rule],
    of_rules: set[str],
    before: Counter[str],
    after: Counter[str],
) -> None:
    """Add a batch's reasons, as they are and as they would be; those that are no rule's stay."""
    columns = {rule.signal: _column(batch, rule.signal) for rule in rules} or {DROP: batch.column(0)}
    reasons, _ = presets.judge(columns, rules, batch.column("language"))
    was = batch.column(DROP).to_pylist() if DROP in batch.schema.names else [None] * batch.num_rows
    for old, new in zip(was, reasons, strict=True):
        before[old or ""] += 1
        after[old if old is not None and old not in of_rules else (new or "")] += 1


def _column(batch: pa.RecordBatch, signal: str) -> pa.Array:
    """Give a stored signal. Raises UsageError where this dataset has none."""
    if signal not in batch.schema.names:
        raise UsageError("--threshold", f"the dataset holds no {signal}", "run `clean` so that it is measured")
    return batch.column(signal)
