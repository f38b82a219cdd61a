"""A picture of the losses: SVG written by hand, the same bytes for the same log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 44, 48
_SERIES = (("train_nats", "train", "#2a6f97"), ("valid_nats", "valid", "#d1495b"))
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}"
    ".grid{stroke:#e3e3e3}.axis{stroke:#666}polyline{fill:none;stroke-width:2;stroke-linejoin:round}"
)


def svg(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """Draw `train_nats` and `valid_nats` over `tokens`; a loss that was not measured is left out."""
    lines = {
        name: [(row["tokens"], row[name]) for row in rows if row[name] is not None and math.isfinite(row[name])]
        for name, _, _ in _SERIES
    }
    points = [point for line in lines.values() for point in line]
    across = ticks(0.0, max((x for x, _ in points), default=1.0))
    losses = [y for _, y in points]
    up = ticks(min(losses, default=0.0), max(losses, default=1.0))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' role="img" aria-label="{_escaped(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{_LEFT}" y="22">{_escaped(title)}</text>',
    ]
    left, right, bottom = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for value in up:
        y = _y(value, up)
        out.append(f'<line class="grid" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>')
        out.append(f'<text x="{left - 8}" y="{y}" dy="4" text-anchor="end">{_number(value, up)}</text>')
    for value in across:
        x = _x(value, across)
        out.append(f'<line class="axis" x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 5}"/>')
        out.append(f'<text x="{x}" y="{bottom + 19}" text-anchor="middle">{_count(value)}</text>')
    out.append(f'<line class="axis" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
    out.append(f'<text x="{(left + right) / 2:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">tokens read</text>')
    middle = (_TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 16 {middle:.1f})"'
    out.append(f'<text x="16" y="{middle:.1f}" {turned}>nats a token</text>')
    for at, (name, label, color) in enumerate(_SERIES):
        out += _line(lines[name], across, up, color, label, at)
    return "\n".join([*out, "</svg>"]) + "\n"


def ticks(low: float, high: float) -> list[float]:
    """Give some five to ten round numbers, evenly apart, from at most `low` to at least `high`."""
    span = high - low if high > low else max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 8)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(at * step, 12) for at in range(first, max(last, first + 1) + 1)]


def _line(
    line: Sequence[tuple[float, float]],
    across: Sequence[float],
    up: Sequence[float],
    color: str,
    label: str,
    at: int,
) -> list[str]:
    if not line:
        return []
    x = _WIDTH - _RIGHT - 180 + 90 * at
    out = [
        f'<line x1="{x}" y1="18" x2="{x + 22}" y2="18" stroke="{color}" stroke-width="2"/>',
        f'<text x="{x + 28}" y="22">{label}</text>',
    ]
    places = [(_x(tokens, across), _y(nats, up)) for tokens, nats in line]
    out.append(f'<polyline stroke="{color}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>')
    last = places[-1]
    out.append(f'<circle cx="{last[0]}" cy="{last[1]}" r="3" fill="{color}"/>')
    return out


def _x(value: float, across: Sequence[float]) -> str:
    return f"{_LEFT + (value - across[0]) / (across[-1] - across[0]) * (_WIDTH - _LEFT - _RIGHT):.1f}"


def _y(value: float, up: Sequence[float]) -> str:
    return f"{_HEIGHT - _BOTTOM - (value - up[0]) / (up[-1] - up[0]) * (_HEIGHT - _TOP - _BOTTOM):.1f}"


def _number(value: float, up: Sequence[float]) -> str:
    digits = max(0, -math.floor(math.log10(up[1] - up[0]) + 1e-9))
    return f"{value:.{digits}f}"


def _count(value: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
