"""Draw what `compare` has found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Draw two tables: bits per byte by corpus and model, and the differences; then what they say."""
    from corpuskit.show import columns_of

    held = report["heldout"]
    yield (
        f"{report['tokens']:,} tokens a model, {report['seeds']} seeds; "
        f"held out: {held['documents']:,} documents, {held['bytes']:,} bytes"
    )
    rows = [("bits per byte", "documents", "tokens", "left out", *report["models"])]
    for name, about in report["corpora"].items():
        cells = [_cell(by_corpus[name]) for by_corpus in report["models"].values()]
        left_out = f"{max(about['left_out'], default=0):,}"
        rows.append((name, f"{about['documents']:,}", f"{about['tokens']:,}", left_out, *cells))
    yield from columns_of(rows, left={0})
    yield ""
    yield from columns_of([("difference", "model", "bits per byte", "95 %", ""), *_differences(report)], left={0, 1, 4})


def _cell(each: Mapping[str, Any]) -> str:
    return f"{each['bits_per_byte']:.4f} +- {each['spread']:.4f}"


def _differences(report: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for each in report["differences"]:
        one, other = each["corpora"]
        interval = " to ".join(f"{bound:+.4f}" for bound in each["interval"] or ())
        said = f"{each['better']} is better" if each["better"] else "no difference is shown"
        yield f"{one} - {other}", each["model"], f"{each['bits_per_byte']:+.4f}", interval, said
