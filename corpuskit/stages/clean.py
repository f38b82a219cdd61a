"""Repair texts, name their language, measure them, and drop what reads badly.

Every text is repaired first: mojibake, ligatures, control characters and line breaks, to the byte as ftfy does it
(curly quotes and full-width forms stay), Unicode normal form C, spaces of odd widths, trailing space, and more than
one blank line in a row. Repairing twice changes nothing. Then

* its language is named; `language_score` and `language_share` (of its characters, line by line; of a long text,
  by lines spread over it) say how surely. What the source says of its own language stays where the model does not
  know that language, or is unsure
* the presets that edit lines (c4, fineweb) cut out what is no sentence; `removed_chars` counts it
* e-mail and public IP addresses, phone, card and account numbers are counted, and replaced with --redact-pii
* its signals are measured and kept as columns, whatever the preset: `corpuskit show --threshold` says what other
  bounds would keep, and nothing is run again
* with --perplexity-model, a model of `train ngram`, its perplexity is measured too (CCNet, Wenzek et al. 2020)

A preset is a set of bounds on the signals:

  gopher     the quality and repetition rules of Rae 2021 (arXiv 2112.11446), as in datatrove
  c4         the line and page rules of Raffel 2020 (arXiv 1910.10683)
  fineweb    gopher, c4 without terminal punctuation, and FineWeb's own rules (arXiv 2406.17557)
  fineweb2   the rules for other languages (arXiv 2506.20920), with Gopher's bounds
  wikipedia  for edited text of any language: 10 words, few signs, at least half of the words with a letter
  none       repairs and measures; drops empty texts only

--threshold moves a bound or adds one: `words>=20`, `perplexity<=800`, `top_2gram_chars=0.25`. --language keeps
documents of these languages only: `en`, or `en=0.7` with a score of one's own (else 0.5). --blocklist takes a file of
domains and URLs, or a folder of the UT1 lists. What was dropped says its figures: "31 words, at least 50".

    corpuskit clean docs/ clean/ --preset fineweb --language en --redact-pii
    corpuskit show clean/ --threshold words=30
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import schema
from corpuskit.errors import UsageError
from corpuskit.options import option
from corpuskit.stage import Batches, Input, Stage, Step, Table, warn
from corpuskit.text import presets, thresholds
from corpuskit.text.signals import SIGNALS
from corpuskit.text.unicode import not_utf8

if TYPE_CHECKING:
    from corpuskit.lm.perplexity import Perplexity
    from corpuskit.text.blocklist import Blocklist
    from corpuskit.text.repair import Repair

#: What a language must score to be believed against what the source says, and to be kept by --language.
SURE_SCORE = 0.5
_PII = "pii_"
#: What gives the signals that not all documents have.
_WHERE_FROM = {
    "perplexity": "give --perplexity-model",
    "removed_chars": "give --edit-lines",
    "html_confidence": "`extract` gives it, for web pages",
}


@dataclass(frozen=True)
class Options:
    """What to repair, what to measure and what to drop."""

    preset: str = option("gopher", "the bounds on the signals", choices=tuple(presets.PRESETS))
    threshold: tuple[str, ...] = option((), "another bound on a signal: SIGNAL>=VALUE, SIGNAL<=VALUE, SIGNAL=VALUE")
    language: tuple[str, ...] = option((), "keep only documents in this language: en, or en=0.7 with its lowest score")
    redact_pii: bool = option(False, "replace personal data by placeholders; without, it is only counted")
    edit_lines: bool | None = option(None, "cut out lines by C4's rules (default: as the preset says)")
    normal_form: str = option(
        "NFC", "the Unicode normal form; NFKC also unifies compatible characters", choices=("NFC", "NFKC")
    )
    unescape_html: bool = option(False, "resolve entities such as &amp; in texts without a `<`")
    straight_quotes: bool = option(False, "write curly quotes as ' and \"")

    def __post_init__(self) -> None:
        """Refuse bounds and languages that make no sense before anything runs."""
        self.rules()
        self.languages()

    def rules(self) -> tuple[presets.Rule, ...]:
        """Give the preset's rules with the user's bounds."""
        return thresholds.rules_of(self.preset, self.threshold)

    def languages(self) -> dict[str, float]:
        """Give the languages to keep with their lowest scores; none means all."""
        from corpuskit.text import language

        words = [each for word in self.language for each in word.split(",") if each.strip()]
        scored = [word if "=" in word else f"{word}={SURE_SCORE}" for word in words]
        known = [word for word in scored if word.partition("=")[0].strip() in (*language.LANGUAGES, "*")]
        # Another code may be one that a source gives to its own documents.
        declared = {word.partition("=")[0].strip(): 0.0 for word in scored if word not in known and _is_code(word)}
        odd = [word for word in scored if word not in known and not _is_code(word)]
        return language.thresholds([*known, *odd], "--language") | declared


def _is_code(word: str) -> bool:
    code = word.partition("=")[0].strip()
    return 2 <= len(code) <= 12 and code.replace("_", "").replace("-", "").isalpha() and code.islower()


def clean(
    docs: Batches, options: Options, blocklist: Path | None = None, perplexity_model: Path | None = None
) -> Batches:
    """Repair, measure and mark documents. Text that is not UTF-8 is an error."""
    rules, wanted = options.rules(), options.languages()
    blocked, model = _blocklist(blocklist), _model(perplexity_model)
    for batch in docs:
        undecodable = not_utf8(batch.column("text"))
        batch, found = _measured(batch, options, model)
        _need(rules, found)
        reasons, details = presets.judge(found, rules, batch.column("language"))
        for row, why in _first(batch, blocked, wanted).items():
            reasons[row], details[row] = why
        if undecodable:
            errors: list[str | None] = [None] * batch.num_rows
            for row in undecodable:
                errors[row] = "not_utf8"
            batch = schema.with_column(batch, schema.ERROR, pa.array(errors, pa.string()))
        yield schema.mark(batch, reasons, detail=pa.array(details, pa.string()))


def _need(rules: Sequence[presets.Rule], found: Mapping[str, pa.Array]) -> None:
    """Refuse a bound on what is not measured here. Raises UsageError."""
    missing = next((rule.signal for rule in rules if rule.signal not in found), None)
    if missing is not None:
        how = _WHERE_FROM.get(missing, "choose another signal")
        raise UsageError("--threshold", f"the documents have no `{missing}`", how)


def _measured(
    batch: pa.RecordBatch, options: Options, model: Perplexity | None
) -> tuple[pa.RecordBatch, Mapping[str, pa.Array]]:
    """Repair the texts and add all that is measured of them; gives the signals that rules may look at too."""
    from corpuskit.text import language, pii, repair, signals
    from corpuskit.text.lines import LineRules, edit_column

    how = repair.Repair(
        "NFKC" if options.normal_form == "NFKC" else "NFC",
        "auto" if options.unescape_html else False,
        straight_quotes=options.straight_quotes,
    )
    texts = repair.repair_column(batch.column("text"), how)
    if "title" in batch.schema.names:
        batch = schema.with_column(batch, "title", _titles(batch.column("title"), how))
    named = language.identify(texts)
    spoken = _language(batch, named)
    lines = presets.LINES.get(options.preset) if options.edit_lines is None else None
    lines = lines or (LineRules() if options.edit_lines else None)
    edited = None
    if lines is not None:
        edited, removed = edit_column(texts, lines)
    found: dict[str, pa.Array] = signals.signals(texts, spoken, edited=edited)
    found |= {"language_score": named.scores, "language_share": named.shares}
    texts = texts if edited is None else edited
    if lines is not None:
        found["removed_chars"] = removed
    if model is not None:
        found["perplexity"] = model.measure(texts)
    texts, counted = pii.redact(texts) if options.redact_pii else (texts, pii.scan(texts))
    batch = schema.with_column(schema.with_column(batch, "text", texts.cast(pa.string())), "language", spoken)
    for name, values in {**found, **{_PII + kind: counts for kind, counts in counted.items()}}.items():
        batch = schema.with_column(batch, name, values)
    return batch, {name: batch.column(name) for name in batch.schema.names if name in _JUDGED}


def _titles(titles: pa.Array, how: Repair) -> pa.Array:
    """Repair titles as texts are, each in one line. What is null stays so."""
    from corpuskit.text.repair import repair_column

    fixed = pc.utf8_trim_whitespace(pc.replace_substring_regex(repair_column(titles, how), r"\s*\n\s*", " "))
    return pc.if_else(pc.is_valid(titles), fixed, None).cast(pa.string())


def _language(batch: pa.RecordBatch, named: object) -> pa.Array:
    """Say the language of each document: what was found, or what its source says where that is to be preferred."""
    from corpuskit.text.language import LANGUAGES, UNDETERMINED, Identified

    assert isinstance(named, Identified)
    labels, scores = named.labels, named.scores.to_numpy()
    found = pc.if_else(pc.equal(labels, UNDETERMINED), pa.scalar(None, pa.string()), labels)
    if "language" not in batch.schema.names:
        return found
    declared = batch.column("language").cast(pa.string())
    code = pc.list_element(pc.split_pattern_regex(pc.utf8_lower(declared.fill_null("")), "[-_]"), 0)
    known = pc.is_in(code, pa.array(LANGUAGES))
    stays = pc.and_(declared.is_valid(), pc.or_(pc.invert(known), pa.array(scores < SURE_SCORE)))
    return pc.if_else(stays, declared, pc.coalesce(found, declared))


def _first(
    batch: pa.RecordBatch, blocked: Blocklist | None, wanted: Mapping[str, float]
) -> dict[int, tuple[str, str | None]]:
    """Give the rows that are dropped before any rule is tried: empty, blocked, in another language."""
    why: dict[int, tuple[str, str | None]] = {}
    if wanted:
        why |= _foreign(batch, wanted)
    if blocked is not None and "url" in batch.schema.names:
        for row, reason in enumerate(blocked.reasons(batch.column("url")).to_pylist()):
            if reason is not None:
                why[row] = (reason, None)
    empty: npt.NDArray[np.bool_] = pc.equal(pc.binary_length(batch.column("text")), 0).to_numpy(zero_copy_only=False)
    return why | dict.fromkeys(np.flatnonzero(empty).tolist(), ("empty", None))


def _foreign(batch: pa.RecordBatch, wanted: Mapping[str, float]) -> dict[int, tuple[str, str | None]]:
    from corpuskit.text.language import LANGUAGES

    why: dict[int, tuple[str, str | None]] = {}
    codes, scores = batch.column("language").to_pylist(), batch.column("language_score").to_pylist()
    for row, (named, score) in enumerate(zip(codes, scores, strict=True)):
        code = (named or "").lower().replace("_", "-").partition("-")[0]
        lowest = wanted.get(code, wanted.get("*"))
        if lowest is None:
            why[row] = ("other_language", f"{named or 'no language'}, score {score:.2f}")
        elif score < lowest and code in LANGUAGES:
            why[row] = ("unsure_language", f"{named}, score {score:.2f}, at least {lowest:g}")
    return why


def _blocklist(path: Path | None) -> Blocklist | None:
    from corpuskit.text.blocklist import Blocklist

    if path is None:
        return None
    loaded = Blocklist.load(path)
    if loaded.ignored:
        warn(f"{path.name}: {loaded.ignored:,} lines of the blocklist are neither domains nor URLs")
    return loaded


def _model(path: Path | None) -> Perplexity | None:
    from corpuskit.lm.perplexity import Perplexity

    return None if path is None else Perplexity.load(path)


_JUDGED = frozenset((*SIGNALS, *thresholds.FURTHER))

STAGE = Stage(
    options=Options,
    inputs=(
        Input("docs", "documents: a dataset"),
        Input(
            "blocklist",
            "Drop documents by their URL: a file of domains and URLs, one a line, or a folder of the UT1 lists.",
            flag=True,
            raw=True,
            optional=True,
        ),
        Input(
            "perplexity_model",
            "Measure perplexity under this model of `train ngram`, or an ARPA file.",
            accepts=("model",),
            flag=True,
            raw=True,
            optional=True,
        ),
    ),
    steps=(Step(clean, {"docs": Table(schema.DOCS, conserves="docs")}),),
    reasons={
        "empty": "nothing is left of the text but white space",
        "blocked_domain": "the blocklist names the domain of its URL",
        "blocked_url": "the blocklist names its URL",
        "other_language": "in a language that --language does not name",
        "unsure_language": "in a language of --language, but with a lower score",
        **presets.REASONS,
        "not_utf8": "the bytes of the text are not UTF-8",
    },
    version=3,
)
