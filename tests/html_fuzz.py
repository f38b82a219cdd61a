"""Feed the extractor of HTML with pages that nobody would write.

    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=... python -m tests.html_fuzz [--pages 100000] [--seed 0] [--bomb-bytes 65536]

Runs in a process of its own, since what goes wrong with compiled code may take the process along; numba does not know
cached code with bounds checks from code without, hence the cache of its own. Pages are mutations of the test cases
and, where the development data is at hand, of real pages; page N of seed S is always the same. Ends with 1 and says
the number of the first page that raised, took too long, or had another text than before. Two runs whose memory comes
filled with other bytes (MALLOC_PERTURB_ of glibc) must print the same digests: memory that was read before it was
written would tell them apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import random
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.data import ROOT

CASES = Path(__file__).parent / "cases" / "html"
_MAX_BYTES = 200_000
#: What a page may take under bounds checks: far more than any does, far less than the square of its size.
_SECONDS, _SECONDS_PER_BYTE = 1.0, 4e-6
_BATCH = 256
_TAGS = (
    b"div p table tr td th tbody ul ol li dl dt dd h1 h2 pre a b span br script style title textarea svg select option"
    b" noscript iframe template blockquote article section nav footer form main html body head ruby rt button xmp"
    b" listing details summary figure caption col center font object math video audio map input img meta plaintext"
).split()
_PIECES = (
    b"\0", b"\xff\xfe", b"\xc3", b"\xe2\x80", b"\xf4\x90\x80\x80", b"\xed\xa0\x80", b"\xc2\xa0", b"\xe2\x80\x8b",
    b"<", b">", b"&",
    b"</", b"<!--", b"-->", b"<!", b"<?", b"<![CDATA[", b"]]>", b"=", b"'", b'"', b"/>", b"&#", b"&#x", b"&#0;",
    b"&#xD800;", b"&#x110000;", b"&#99999999999999999999;", b"&nbsp;", b"&amp;amp;", b"&notanentity;", b"&lt",
    b"\r\n", b"\t", b"\x0c",
    b"<br>", b"<br/><br/>", b"<p/>", b"</p>", b"</br>", b"<a href=x>", b"</a>", b'<div style="display:none">',
    b"<div hidden>",
    b'<p class="', b"<pre>\n", b"</script", b"</style >", b"<title>", b"</body>", b"</html>", b"<html>", b"<body>",
    b'<meta name=date content="2026-01-02T03:04', b"<meta property='og:title' content='", b"<html lang=", b"<time ",
    b"<time class=published datetime='2026-1-2", b"<time datetime=", b'<i itemprop="datePublished" content="2026-01"',
    b"datePublished", b'<script type="application/ld+json">{"author":[{"@type":"x","name": "A B"',
    b'"datePublished" : "2026-01-02 \xd9\xa1', b'"author":"', b"</script>", b"&nLt;", b"&ThickSpace", b"&#xa0",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Give the test cases, and real pages of up to 60 KB where there are any."""
    found = [path.read_bytes() for path in sorted(CASES.rglob("*.html"))]
    archive = ROOT / "html_gold" / "cleaneval-dev.tar.xz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            pages = sorted((member for member in tar if member.name.endswith(".html")), key=lambda member: member.name)
            found += [tar.extractfile(page).read() for page in pages if page.size <= 60_000]  # type: ignore[union-attr]
    return found


def _slice(rng: random.Random, page: bytes) -> tuple[int, int]:
    start = rng.randrange(len(page) + 1)
    return start, min(len(page), start + int(rng.paretovariate(0.6)))


def _cut(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    return page[: rng.randrange(len(page) + 1)]


def _drop(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    start, stop = _slice(rng, page)
    return page[:start] + page[stop:]


def _repeat(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    start, stop = _slice(rng, page)
    times = rng.choice((1, 2, 30, 1000))
    return page[:start] + page[start:stop][: _MAX_BYTES // times] * times + page[start:]


def _splice(rng: random.Random, page: bytes, pages: list[bytes]) -> bytes:
    other = rng.choice(pages)
    return page[: rng.randrange(len(page) + 1)] + other[rng.randrange(len(other) + 1) :]


def _flip(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    out = bytearray(page)
    for _time in range(rng.choice((1, 4, 64)) if out else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _sprinkle(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    out = page
    for _time in range(rng.choice((1, 3, 12))):
        at = rng.randrange(len(out) + 1)
        out = out[:at] + rng.choice(_PIECES) * rng.choice((1, 1, 2, 50)) + out[at:]
    return out


def _rename(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    old, new = rng.choice(_TAGS), rng.choice(_TAGS)
    return page.replace(b"<" + old, b"<" + new) if rng.random() < 0.5 else page.replace(b"</" + old, b"</" + new)


def _unclose(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    return page.replace(rng.choice((b"</", b">", b'"', b"-->", b"</div>", b"</p>", b"</td>", b"</li>")), b"")


def _nest(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    at, depth = rng.randrange(len(page) + 1), rng.choice((10, 600, 3000))
    tags = [rng.choice(_TAGS) for _time in range(rng.choice((1, 2, 5)))]
    return page[:at] + b"".join(b"<" + tag + b">" for tag in tags) * (depth // len(tags)) + page[at:]


def _attributes(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    at, count = page.find(b"<", rng.randrange(len(page) + 1)), rng.choice((3, 300, 5000))
    name = page.find(b" ", at)
    more = b" ".join(
        rng.choice((b"class=a%d", b"id='b%d'", b'c%d="', b"hidden%d", b"=%d", b"style=%d")) % n for n in range(count)
    )
    return page[:name] + b" " + more + page[name:] if at >= 0 and name >= 0 else page + b"<p " + more


def _shout(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    start, stop = _slice(rng, page)
    return page[:start] + page[start:stop].swapcase() + page[stop:]


def _noise(rng: random.Random, page: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(page) + 1)
    return page[:at] + rng.randbytes(rng.choice((1, 7, 200, 5000))) + page[at:]


MUTATIONS: tuple[Callable[[random.Random, bytes, list[bytes]], bytes], ...] = (
    _cut, _drop, _repeat, _splice, _flip, _sprinkle, _rename, _unclose, _nest, _attributes, _shout, _noise,
)  # fmt: skip


def mutated(number: int, seed: int, pages: list[bytes]) -> bytes:
    """Give page `number` of `seed`: a page changed in one to six ways."""
    rng = random.Random(f"{seed} {number}")
    page = rng.choice(pages)
    for _ in range(rng.randint(1, 6)):
        page = rng.choice(MUTATIONS)(rng, page, pages)[:_MAX_BYTES]
    return page


def bombs(size: int) -> Iterator[tuple[str, bytes]]:
    """Give pages of about `size` bytes that are all of one kind."""
    units = (
        "<div>", "<div><p>x", "<ul><li>x", "<ol><li>", "<table><tr><td>x", "<dl><dt>x<dd>y", "<p>x", "<li>x",
        "<h1>x", "<td>x", "<b>", "<a>x",
        "<a href=x><div>", "<span>x</span>", "<br>", "<br>x", "</div>", "</p>", "</td>", "<", "</", "<!", "<!--",
        "<!-- -", "<?", "<![CDATA[",
        "<a ", "<a b='", "&", "&amp;", "&#", "&#x41;", "&nbsp;", "&a", "x", " ", "x ", "\n", "\0", "<script>",
        "</script", "<style>", "<title>",
        "<textarea>", "<plaintext>", "<svg>", "<svg></svg>", "<select><option>x", "<noscript>", "<template>",
        "<pre>", "<pre>x\n", "<form>",
        "<iframe>", "<body>", "<html>", "<blockquote><p>x", "<article>x", "<div hidden>x", "<div class='a b c'>x",
        "<div></p>", "<p><div>",
        "<table></div>", "<td></table>", "<ruby><rt>x", "<div style='display:none'>x</div>", "<h2><h3>",
        "<p>word word word, word. ",
    )  # fmt: skip
    for unit in units:
        yield unit, unit.encode() * (size // len(unit))
    yield "attributes", b"<p " + b"".join(b"a%d=%d " % (n, n) for n in range(size // 14)) + b">x"
    yield "classes", b"<p class='" + b"ab " * (size // 3) + b"'>x"
    yield "different classes", b"".join(b"<i class=k%d><p class=c%d>x%d</p>" % (n, n, n) for n in range(size // 34))
    yield "deep, then ends", b"<div>" * (size // 10) + b"</p>" * (size // 10)
    yield "deep tables, then ends", b"<table><tr><td>" * 200 + b"</div>" * (size // 6)
    yield "deep, many blocks", b"<div>" * 1000 + b"<p>x y</p>" * (size // 10)
    yield "different words", b"<p>" + b" ".join(b"w%d" % n for n in range(size // 8))
    yield "different paragraphs", b"".join(b"<p>some text %d, and more of it.</p>" % n for n in range(size // 38))
    yield "cells", b"<table>" + b"<tr>" + b"<td>x" * (size // 5)
    yield "rows", b"<table>" + b"<tr><td>x<td>y" * (size // 14)
    yield "names of meta", b"<meta name=author content='&#1;" * (size // 29)
    yield "a date after spaces", b"<meta name=date content='" + b"&#32;" * (size // 5) + b"2026-01-02'>"
    yield "a fraction of a second", b"<meta name=date content='2026-01-02T03:04:05." + b"6" * size + b"'>"
    yield "times", b"<time datetime='2026-13-01'>" * (size // 28)
    yield "long times", b"".join(b"<time datetime='%s'>" % (b"&amp;" * (size // 2600)) for _ in range(500))
    yield "a time without values", b"<time " + b"a" * (size // 2) + b" " * (size // 2) + b">"
    yield "a time of quotes", b"<time " + b"a='b=\"" * (size // 6) + b">"
    yield "words of microdata", b"<p " + b"datePublished " * (size // 14)
    json = b"<script type='application/ld+json'>"
    for unit in (b'"author":', b'"author":{', b'"author":{"name":', b'"author":{"name" ', b'"datePublished":"'):
        yield f"JSON, {unit.decode()}", json + unit * (size // len(unit))
        yield f"JSON in parts, {unit.decode()}", (json + unit * (size // 2000 // len(unit)) + b"</script>") * 2000
    yield "title", b"<title>" + b"a &amp; " * (size // 8)
    yield "title that is no UTF-8", b"<title>" + b"\xff\xc3" * (size // 2)
    yield "bad UTF-8", b"<p>" + b"\xff\xc3" * (size // 2)
    yield "signs without spaces", b"<p>" + "漢".encode() * (size // 3)


def endings() -> Iterator[bytes]:
    """Give pages that end inside of a tag, a reference or a sign."""
    for tag in _TAGS:
        for page in (b"<", b"</", b"x<", b"<p>x</p><", b"<svg><", b"<pre>x<", b"<table><tr><td>x<"):
            for end in (
                b"",
                b" ",
                b"/",
                b" a",
                b" a=",
                b' a="',
                b" a='b",
                b" class=b",
                b" class='b",
                b" hidden",
                b">",
                b"/>",
            ):
                yield page + tag + end
    for end in (
        b"&",
        b"&#",
        b"&#x",
        b"&#6",
        b"&am",
        b"&amp",
        b"<",
        b"</",
        b"<!",
        b"<!-",
        b"<!--",
        b"<!-->",
        b"<?",
        b"\xc3",
        b"\xe2\x80",
        b"\xf0\x9f",
    ):
        for start in (b"", b"x", b"<p>x ", b"<title>", b"<script>", b"<pre>"):
            yield start + end


def _extract() -> Callable[[bytes], str]:
    from corpuskit.text.html import html_to_text

    return lambda page: "\n".join(str(each) for each in dataclasses.astuple(html_to_text(page)))


def fuzz(pages: int, seed: int) -> str | None:
    """Extract mutated pages, some a second time after others and beside another; give what is wrong with the first."""
    extract, known, digest = _extract(), seeds(), hashlib.sha256()
    for page in known[:3]:
        extract(page)
    with ThreadPoolExecutor(2) as pool:
        for first in range(0, pages, _BATCH):
            batch = [(number, mutated(number, seed, known)) for number in range(first, min(pages, first + _BATCH))]
            texts = []
            for number, page in batch:
                start = time.process_time()
                try:
                    texts.append(extract(page))
                except Exception as error:
                    return f"page {number}: {type(error).__name__}: {error}"
                seconds = time.process_time() - start
                if seconds > _SECONDS + _SECONDS_PER_BYTE * len(page):
                    return f"page {number}: {len(page)} bytes took {seconds:.2f} s"
            order = random.Random(first).sample(range(len(batch)), len(batch))[: _BATCH // 4]
            for at, text in zip(order, pool.map(lambda at, batch=batch: extract(batch[at][1]), order), strict=True):
                if text != texts[at]:
                    return f"page {batch[at][0]}: another text the second time"
            digest.update("\0".join(texts).encode("utf-8", "replace"))
            print(f"pages to {batch[-1][0]}: {digest.hexdigest()[:16]}", flush=True)
    return None


def explode(size: int) -> str | None:
    """Extract each bomb at a quarter of the size and at the whole; give which one takes more than linear time."""
    extract = _extract()
    for page in endings():
        try:
            extract(page)
        except Exception as error:
            return f"{page!r}: {type(error).__name__}: {error}"
    small = dict(bombs(size // 4))
    for name, page in bombs(size):
        print(f"bomb {name!r}", flush=True)
        took = []
        for each in (small[name], page):
            start = time.process_time()
            extract(each)
            took.append(time.process_time() - start)
        if took[1] > 8 * took[0] + 0.25 + len(page) * 2e-7:
            return f"{name!r}: {took[0]:.3f} s for {len(small[name])} bytes, {took[1]:.3f} s for {len(page)}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bomb-bytes", type=int, default=1 << 16)
    parser.add_argument("--write", type=int, help="write page N to standard output, and no more")
    options = parser.parse_args()
    if options.write is not None:
        sys.stdout.buffer.write(mutated(options.write, options.seed, seeds()))
        return
    wrong = explode(options.bomb_bytes) if options.bomb_bytes else None
    wrong = wrong or fuzz(options.pages, options.seed)
    if wrong:
        sys.exit(wrong)


if __name__ == "__main__":
    main()
