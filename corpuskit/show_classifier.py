"""Draw how well `train classifier` tells its classes apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Draw the measures: of all texts in a line, of each class in a table."""
    from corpuskit.show import columns_of

    interval = " to ".join(f"{each:.4f}" for each in report["interval"] or ())
    accuracy = "-" if report["accuracy"] is None else f"{report['accuracy']:.4f}"
    yield (
        f"learnt from {report['learnt_from']:,} texts, measured on {report['texts']:,}: accuracy {accuracy}"
        + (f" ({interval})" if interval else "")
        + (f"; always the most frequent class: {report['majority']:.4f}" if report["majority"] is not None else "")
    )
    rows: list[tuple[str, ...]] = [("class", "texts", "precision", "recall", "F1")]
    for name, each in report["classes"].items():
        rows.append((name, f"{each['texts']:,}", *(f"{each[what]:.4f}" for what in ("precision", "recall", "f1"))))
    macro = report["macro"]
    rows.append(("macro", "", *(f"{macro[what]:.4f}" for what in ("precision", "recall", "f1"))))
    yield from columns_of(rows, left={0})
