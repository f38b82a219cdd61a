"""Repair texts, and drop documents that read badly.

Every text is repaired first: mojibake, ligatures, control characters and line breaks by ftfy (curly quotes and
full-width forms stay), Unicode normal form C, spaces of odd widths, trailing space, and more than one blank line in
a row. Repairing twice changes nothing.

Then seven signals are measured and kept as columns: words, mean_word_length, symbol_ratio, bullet_lines,
ellipsis_lines, alpha_words, stop_words. A preset is a set of bounds on them:

  gopher     the quality rules of Rae 2021 (arXiv 2112.11446, table A1): 50 to 100,000 words of 3 to 10 characters on
             average, at most 0.1 hash signs or ellipses a word, 0.9 bullet lines, 0.3 lines ending in an ellipsis,
             at least 0.8 words with a letter, and 2 of the, be, to, of, and, that, have, with
  wikipedia  for edited text of any language: 10 words, at most 0.1 hash signs or ellipses a word, at least half of
             the words with a letter
  none       repair only

The stop words are English: that rule holds where the language is `en...` or unknown. Words are what white space
separates, so for languages written without spaces only `none` is of use. Empty texts are dropped by every preset.
What was dropped says its figures: "31 words, at least 50".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import schema
from corpuskit.options import option
from corpuskit.stage import Batches, Input, Stage, Step, Table
from corpuskit.text import quality, unicode


@dataclass(frozen=True, slots=True)
class Options:
    """What to repair and what to drop."""

    preset: str = option("gopher", "the bounds on the signals", choices=tuple(quality.PRESETS))
    min_words: int | None = option(None, "drop shorter documents (default: as the preset says)", min=0)
    max_words: int | None = option(None, "drop longer documents (default: as the preset says)", min=1)
    normal_form: str = option(
        "NFC", "the Unicode normal form; NFKC also unifies compatible characters", choices=("NFC", "NFKC")
    )
    unescape_html: bool = option(False, "resolve entities such as &amp; in texts without a `<`")
    straight_quotes: bool = option(False, "write curly quotes as ' and \"")


def clean(docs: Batches, options: Options) -> Batches:
    """Repair, measure and mark documents. Text that is not UTF-8 is an error."""
    how = unicode.Repair(options.normal_form, options.unescape_html, options.straight_quotes)
    bounds = quality.rules(options.preset, min_words=options.min_words, max_words=options.max_words)
    for batch in docs:
        texts, undecodable = unicode.decoded(batch.column("text"))
        repaired = pa.array([unicode.repair(text, how) for text in texts], pa.string())
        signals = quality.signals(repaired)
        reasons, details = quality.judge(signals, bounds, _english(batch))
        for row in np.flatnonzero(pc.equal(pc.binary_length(repaired), 0)).tolist():
            reasons[row], details[row] = "empty", None
        batch = schema.with_column(batch, "text", repaired)
        for name, values in signals.items():
            batch = schema.with_column(batch, name, values)
        if undecodable:
            errors: list[str | None] = [None] * batch.num_rows
            for row in undecodable:
                errors[row] = "not_utf8"
            batch = schema.with_column(batch, schema.ERROR, pa.array(errors, pa.string()))
        yield schema.mark(batch, reasons, detail=pa.array(details, pa.string()))


def _english(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Tell which documents are in English, or in a language that nobody named."""
    if "language" not in batch.schema.names:
        return np.ones(batch.num_rows, np.bool_)
    named = pc.starts_with(batch.column("language").cast(pa.string()), "en")
    found: npt.NDArray[np.bool_] = named.fill_null(True).to_numpy(zero_copy_only=False)
    return found


STAGE = Stage(
    options=Options,
    inputs=(Input("docs", "documents: a dataset"),),
    steps=(Step(clean, {"docs": Table(schema.DOCS, conserves="docs")}),),
    reasons={**quality.REASONS, "not_utf8": "the bytes of the text are not UTF-8"},
)
