"""Say of a dataset where it comes from: `croissant.json` for programs, `README.md` for people and the Hugging Face Hub.

Both are made of the manifest, its lineage, and the documents that the dataset was made of, where these are at hand.
They hold no moment, host or path: the same datasets give the same bytes.
"""

from __future__ import annotations

from corpuskit import storage
from corpuskit.card import croissant, readme
from corpuskit.card.facts import Said, gather
from corpuskit.errors import CannotCreate


def write(path: str, docs: str | None, said: Said) -> list[str]:
    """Write both files beside a dataset; gives their paths.

    Raises NoInput where a dataset is missing, CannotCreate where there is a README.md that a person wrote.
    """
    facts = gather(path, docs, said)
    text = storage.join(path, readme.FILE)
    if storage.exists(text) and readme.MARK not in storage.read_bytes(text).decode("utf-8", "replace"):
        raise CannotCreate(text, "is not a card that corpuskit wrote", "move it away")
    data = storage.join(path, croissant.FILE)
    storage.write_bytes(data, croissant.text(facts).encode())
    storage.write_bytes(text, readme.text(facts).encode())
    return [data, text]
