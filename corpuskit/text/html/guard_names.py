"""Names of tags as numbers: their first eight letters, as `guard_kernels` reads them."""

from __future__ import annotations

import numpy as np


def _codes(*names: str) -> tuple[np.uint64, ...]:
    return tuple(np.uint64(int.from_bytes(name.encode()[:8], "big")) for name in names)


#: Resiliparse walks up from every block to the body: its time grows with the product of their number and depth.
BLOCKS = _codes("div", "article", "section", "main", "blockquote", "center", "aside", "form")
#: Each level of a list indents its lines by two spaces more.
LISTS = _codes("ul", "ol", "menu", "dir")
(ITEM,) = _codes("li")
#: What is no markup up to the end tag.
RAW = _codes("script", "style", "textarea", "title", "xmp", "iframe", "noframes", "noembed")
