"""Let `compare` tell a real corpus from the same with planted damage.

    python -m tests.bench.bench_compare [--tokens N] [--seeds 3] [--damage both|copies|boilerplate] [--keep DIR]

The corpus is WikiText-2's train text (raw: unknown words are its own `<unk>`), an article a document; its valid text is
held out. Damage: 30 % of the damaged corpus's pages are copies of others, of a twentieth of them, as templates and
mirrors are; a fifth of its text is boilerplate, menus, banners and footers of a web site, before and behind the text of
every page. Prints the table, the differences with their intervals, and the time (wanted: clean above damaged with an
interval that leaves out 0, within 20 minutes on two cores).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.build import write_docs

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "lm"
COPIES, COPIED, BOILERPLATE = 0.3, 0.05, 0.2
MENU = "Home | About us | News | Sports | Weather | Shop | Careers | Contact | Log in | Register"
LINES = [
    MENU,
    "We use cookies to give you the best experience on our website. Accept all | Reject | Manage preferences",
    "Sign up for our newsletter and never miss a story. Enter your e-mail address below.",
    "Share this article: Facebook Twitter LinkedIn Pinterest WhatsApp E-mail Print",
    "Copyright 2009 - 2024 Example Media Ltd. All rights reserved. Terms of use | Privacy policy | Imprint",
    "Read more: Ten things you did not know about your garden",
    "Advertisement - continue reading below",
    "This site is protected by reCAPTCHA and the privacy policy and terms of service apply.",
    "Please enable JavaScript in your browser to view the comments powered by Disqus.",
    "Previous post | Next post | Back to top",
    "Related articles | Most read | Most shared | Editor's choice",
    "Subscribe now for only $1 a week. Cancel anytime.",
]


def articles(name: str) -> list[str]:
    """Give the articles of a part of WikiText-2: they begin with a line such as ` = Robert Boulter = `."""
    text = gzip.decompress((ROOT / f"wikitext-2.{name}.txt.gz").read_bytes()).decode()
    return [each for each in re.split(r"(?m)^(?= = [^=].* = $)", text) if each.strip()]


def rows(name: str) -> list[dict[str, str]]:
    """Give them as documents."""
    return [{"id": f"{name}-{at}", "text": text} for at, text in enumerate(articles(name))]


def damaged(clean: list[dict[str, str]], kind: str) -> list[dict[str, str]]:
    """Plant the damage."""
    some = random.Random(0)
    found = [dict(row) for row in clean]
    if kind in ("both", "boilerplate"):
        for row in found:
            wanted = len(row["text"]) * BOILERPLATE / (1 - BOILERPLATE)
            lines = [MENU]
            while sum(map(len, lines)) < wanted:
                lines.append(some.choice(LINES))
            half = len(lines) // 2
            row["text"] = "\n".join([*lines[:half], row["text"], *lines[half:]])
    if kind in ("both", "copies"):
        sources = some.sample(found, max(1, round(len(found) * COPIED)))
        for at in range(round(len(clean) * COPIES / (1 - COPIES))):
            found.append({"id": f"copy-{at}", "text": some.choice(sources)["text"]})
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--damage", choices=("both", "copies", "boilerplate"), default="both")
    parser.add_argument("--keep", type=Path, help="where to leave the outputs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = given.keep or Path(scratch)
        clean = rows("train")
        for name, each in {
            "damaged": damaged(clean, given.damage),
            "clean": clean,
            "heldout": rows("valid"),
        }.items():
            write_docs(root / name, each)
            print(f"{name}: {len(each):,} documents, {sum(len(row['text']) for row in each) / 1e6:.1f} M characters")
        words = ["compare", root / "damaged", root / "clean", root / "out", "--heldout", root / "heldout"]
        words += ["--name", "damaged", "--name", "clean", "--seeds", given.seeds]
        words += ["--tokens", given.tokens] if given.tokens else []
        started, load = time.perf_counter(), os.getloadavg()[0]
        subprocess.run([sys.executable, "-m", "corpuskit", *map(str, words)], check=True)
        print(f"{time.perf_counter() - started:.0f} s, load {load:.1f} before, {os.getloadavg()[0]:.1f} after")
        subprocess.run([sys.executable, "-m", "corpuskit", "show", root / "out"], check=True)
        report = json.loads((root / "out" / "report.json").read_text())
        print(json.dumps(report["differences"]))


if __name__ == "__main__":
    main()
