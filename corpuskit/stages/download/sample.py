"""Write a corpus out of this Python's own documentation.

Needs no network: the topics of the language reference (pydoc_data), the docstrings and comments of the standard
library, and pydoc's pages of its modules and classes, some 4.5 MB of English text under the PSF license. They come
in the two formats that real sources have: `python-docs.xml.bz2` is a MediaWiki export (schema 0.11, with redirects,
templates and categories), `python-pydoc.warc.gz` a crawl (WARC 1.0, with redirects, missing pages, revisits,
chunked and compressed answers). Classes that inherit the same methods have nearly the same page, so deduplication
finds something to do; functions of many modules are described in both archives, nearly all classes in one only.

The same Python gives the same bytes, wherever it is installed and whoever runs it; another version, other bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpuskit.options import option
from corpuskit.stage import Files, Stage, Step, Written, Yield


@dataclass(frozen=True)
class Options:
    """How much of it."""

    limit_pages: int | None = option(None, "Stop each of the two archives after so many pages.", min=1)


def write(options: Options, out: Path) -> Iterator[Yield]:
    """Write the two archives into `out`."""
    from corpuskit.formats.sample import write_sample

    for name, about in write_sample(out, options.limit_pages).items():
        yield Written(name, about)


STAGE = Stage(options=Options, inputs=(), steps=(Step(write, writes={"dump": Files()}),), version=2)
