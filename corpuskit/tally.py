"""Part what a step yields into kept and marked rows, and count where rows go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.dataset import MARKED, Ledger
from corpuskit.errors import CorpuskitError
from corpuskit.schema import DETAIL_PREFIX, DROP, ERROR, PADDING, REPEATED
from corpuskit.stage import Files, Step, Table


def split_marked(batch: pa.RecordBatch) -> dict[str, pa.RecordBatch]:
    """Part a batch into {"": kept, "drop": dropped, "error": errors}; kept rows lose the reserved columns."""
    names = batch.schema.names
    reserved = [name for name in names if name in MARKED or name.startswith(DETAIL_PREFIX)]
    plain = [name for name in names if name not in reserved]
    parts = {"": batch}
    if ERROR in names:
        parts[""], parts[ERROR] = _part(batch, ERROR)
    if DROP in names:
        parts[""], parts[DROP] = _part(parts[""], DROP)
    out = {"": parts[""].select(plain)}
    for column in MARKED:
        if column in parts and parts[column].num_rows:
            other = {*MARKED} - {column}
            out[column] = parts[column].select([name for name in names if name not in other])
    return out


def _part(batch: pa.RecordBatch, column: str) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    keep = pc.is_null(batch.column(column))
    if pc.all(keep, min_count=0).as_py():
        return batch, batch.slice(0, 0)
    kept = int(pc.sum(keep).as_py())
    if pc.all(keep.slice(0, kept), min_count=0).as_py():  # as the last block of a split: no copy of the others
        return batch.slice(0, kept), batch.slice(kept)
    return batch.filter(keep), batch.filter(pc.invert(keep))


def weigh(batch: pa.RecordBatch, counts: str | None) -> int:
    """Count a batch's rows, or the values of a list column that are not null, padding or repeated."""
    if counts is None:
        return int(batch.num_rows)
    values = batch.column(counts).flatten()
    surplus = sum(pc.sum(batch.column(name)).as_py() or 0 for name in (PADDING, REPEATED) if name in batch.schema.names)
    return len(values) - int(values.null_count) - int(surplus)


def weigh_by(batch: pa.RecordBatch, column: str, counts: str | None) -> dict[str, int]:
    """Weigh the rows of each reason in `column` apart."""
    reasons = batch.column(column)
    return {each: weigh(batch.filter(pc.equal(reasons, each)), counts) for each in reasons.unique().to_pylist()}


class Tally:
    """Count where rows go while a step runs."""

    def __init__(self, step: Step, reasons: Mapping[str, str], where: str) -> None:
        tables = {name: what for name, what in step.writes.items() if isinstance(what, Table)}
        conserving = {name: what for name, what in tables.items() if what.conserves}
        self.param = next((what.conserves for what in conserving.values()), None)
        # A step that makes opaque files accounts for what it read; one that reads them is a source: all that it
        # yields came in.
        makes_files = any(isinstance(what, Files) for what in step.writes.values())
        self._counted = conserving or ({} if makes_files else dict(list(tables.items())[:1]))
        self._reasons, self._where = reasons, where
        self._in = self._kept = 0
        self._marked: dict[str, Counter[str]] = {DROP: Counter(), ERROR: Counter()}

    def reading(self, param: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Count the input, if it is the one to account for."""
        counts = next((what.counts for what in self._counted.values()), None)
        for batch in batches:
            if param == self.param or self.param is None:
                self._in += weigh(batch, counts)
            yield batch

    def writing(self, artifact: str, parts: Mapping[str, pa.RecordBatch]) -> None:
        """Count one batch of the output. Raises CorpuskitError for a reason that the stage does not declare."""
        if artifact not in self._counted:
            return
        counts = self._counted[artifact].counts
        self._kept += weigh(parts[""], counts)
        for column in MARKED:
            if column in parts:
                reasons = parts[column].column(column).to_pylist()
                if counts is None:
                    self._marked[column].update(reasons)
                else:
                    self._marked[column].update(weigh_by(parts[column], column, counts))
                for reason in set(reasons) - set(self._reasons):
                    raise CorpuskitError(
                        self._where,
                        f"marks rows with `{reason}`, which is not declared",
                        "explain it in the stage's `reasons`",
                    )

    def ledger(self, *, files: int) -> Ledger:
        """Close the books. Raises CorpuskitError where rows are lost."""
        marked = {column: dict(sorted(counter.items())) for column, counter in self._marked.items()}
        gone = sum(sum(reasons.values()) for reasons in marked.values())
        if not self._counted:  # only opaque files come out: what went in was used
            rows = self._in or files
            return Ledger(rows, rows)
        if self.param is None:
            return Ledger(self._kept + gone, self._kept, marked[DROP], marked[ERROR])
        ledger = Ledger(self._in, self._kept, marked[DROP], marked[ERROR])
        if not ledger.adds_up:
            raise CorpuskitError(
                self._where,
                f"{ledger.rows_in} came in, but {ledger.kept} were kept and {gone} marked",
                "this is a fault of the stage: it must mark rows, not remove them",
            )
        return ledger
