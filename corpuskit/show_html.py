"""What a person sees of a web page: its blocks, kept and dropped, with their probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator

from corpuskit import storage
from corpuskit.show import printable

_TEXT_CHARS = 100
_TAGS = 3  # of those around a block, the inner ones


def page_lines(path: str, *, as_json: bool) -> Iterator[str]:
    """Print the blocks of an HTML file, `+` for those that are kept. Raises NoInput where there is no such file."""
    from corpuskit.text.charset import decode
    from corpuskit.text.html.judged import judge

    judged = judge(decode(storage.read_bytes(path), html=True).utf8())
    if as_json:
        blocks = [
            {
                "tags": "/".join(each.tags),
                "text": each.text,
                "probability": round(each.probability, 4),
                "kept": each.kept,
            }
            for each in judged.blocks
        ]
        yield json.dumps({"confidence": round(judged.confidence, 4), "cut": round(judged.cut, 4), "blocks": blocks})
        return
    kept = sum(each.kept for each in judged.blocks)
    yield f"{path}: {kept:,} of {len(judged.blocks):,} blocks are kept, the cut is {judged.cut:.2f}"
    yield f"html_confidence {judged.confidence:.2f}: the F1 that is to be expected of the text"
    for each in judged.blocks:
        text = printable(" ".join(each.text.split()))
        short = text if len(text) <= _TEXT_CHARS else f"{text[:_TEXT_CHARS]} ... ({len(each.text):,} characters)"
        yield f"{'+' if each.kept else '-'} {each.probability:.2f}  {'/'.join(each.tags[-_TAGS:]):<22} {short}"
