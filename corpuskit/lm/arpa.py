"""ARPA files: the text format of n-gram models that KenLM, SRILM and others read and write.

    \\data\\  ngram 1=..  \\1-grams:  log10 p TAB w1 .. wk TAB log10 back-off  ..  \\end\\

The words of a model of tokens are its ids in decimal, its end mark is `</s>`. Numbers have the shortest form that a
float32 reads back, as lmplz writes them. Reading takes any order of grams and missing back-offs; every gram's last
words must be a gram too, as in files of lmplz. What is read is a model of words whatever it was before.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import BadData, UsageError
from corpuskit.lm.ngram import NgramModel, Trie, check, first_nodes

START, END, UNKNOWN = b"<s>", b"</s>", b"<unk>"
_ROWS = 1 << 18
_IMPOSSIBLE = -99.0  # log10 of what has no probability, as SRILM writes it
_MISSING_UNKNOWN = -100.0  # what KenLM takes where `<unk>` is missing
_SPACE, _TAB, _NEWLINE, _NOTHING = (pa.scalar(each, pa.large_binary()) for each in (b" ", b"\t", b"\n", b""))
_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)\s*$")
_LINE = r"^(?P<p>\S+)[\t ]+(?P<gram>[^\t]*?)(?:[\t ]*\t[\t ]*(?P<backoff>\S+))?[\t \r]*$"


def write(model: NgramModel, out: Path) -> None:
    """Write the model as one ARPA file. Raises UsageError where a word has a name that ARPA keeps for its marks."""
    names = _names(model)
    bases = first_nodes(model.grams, model.vocab_size)
    first = _unigram_ids(model)
    add_end = model.end_id is None
    sizes = [len(first) + add_end, *model.grams[1:]]
    with open(out, "wb") as file:
        file.write(b"\\data\\\n" + b"".join(b"ngram %d=%d\n" % (k, n) for k, n in enumerate(sizes, 1)))
        for k in range(1, model.order + 1):
            file.write(b"\n\\%d-grams:\n" % k)
            if k == 1 and add_end:
                file.write(b"%g\t</s>%s\n" % (_IMPOSSIBLE, b"\t0" if model.order > 1 else b""))
            nodes = first if k == 1 else np.arange(bases[k], bases[k + 1])
            for start in range(0, len(nodes), _ROWS):
                _lines(model, bases, k, nodes[start : start + _ROWS], names, file)
        file.write(b"\n\\end\\\n")


def _names(model: NgramModel) -> pa.Array:
    """Give the word of every id."""
    if model.input == "words":
        words = [b"", *model.words]
        words += [b""] * (model.vocab_size - len(words))
    else:
        words = [b"%d" % at for at in range(model.vocab_size)]
    taken = {START, END, UNKNOWN} & set(words)
    if taken:
        word = min(taken).decode()
        raise UsageError(
            "arpa", f"the text has the word {word}, which ARPA keeps for a mark", "rename it and train anew"
        )
    if model.end_id is not None:
        words[model.end_id] = END
    return pa.array([*words, START, UNKNOWN], pa.large_binary())


def _unigram_ids(model: NgramModel) -> npt.NDArray[np.int64]:
    """List the ids that have a line: all of a closed vocabulary, else those that training saw, and the marks."""
    closed = model.input == "tokens" and model.types == model.vocab_size + 1
    keep = np.asarray(model.unigrams) > 0
    if closed:
        keep[:] = True
    if model.end_id is not None:
        keep[model.end_id] = True
    keep[model.vocab_size :] = True
    marks = np.array([model.vocab_size + 1, model.vocab_size])
    return np.concatenate([marks, np.flatnonzero(keep[: model.vocab_size])])


def _lines(
    model: NgramModel, bases: npt.NDArray[np.int64], k: int, nodes: npt.NDArray[np.int64], names: pa.Array, file: Any
) -> None:
    trie = model.trie
    columns, at = [], nodes
    for order in range(k, 0, -1):
        columns.append(names.take(pa.array(trie.tokens[at])))
        if order > 1:
            lower = trie.children[bases[order - 1] : bases[order] + (order == model.order)]
            at = bases[order - 1] + np.searchsorted(lower, at, "right") - 1
    grams = pc.binary_join_element_wise(*columns, _SPACE) if k > 1 else columns[0]
    probs = _log10(trie.probs[nodes])
    if k == 1:
        probs[nodes == model.vocab_size] = 0.0
    cells = [_text(probs), grams]
    if k < model.order:
        cells.append(_text(_log10(trie.backoffs[nodes])))
    joined = pc.binary_join_element_wise(*cells, _TAB)
    ended = pc.binary_join_element_wise(joined, _NEWLINE, _NOTHING)
    offsets = np.frombuffer(ended.buffers()[1], np.int64)
    file.write(memoryview(ended.buffers()[2])[offsets[ended.offset] : offsets[ended.offset + len(ended)]])


def _log10(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        found = np.minimum(np.log10(p), 0.0) + 0.0
    found[np.isneginf(found)] = _IMPOSSIBLE
    return found.astype(np.float32)


def _text(numbers: npt.NDArray[np.float32]) -> pa.Array:
    return pa.array(numbers).cast(pa.large_string()).cast(pa.large_binary())


def read(path: Path) -> NgramModel:
    """Read an ARPA file as a model of words. Raises BadData where it is not one."""
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise _bad(path, "it is empty") from None
        with data:
            sizes, starts = _sections(path, data)
            words, tables = [START, END, UNKNOWN], []
            for k, (start, stop) in enumerate(starts, 1):
                table = _section(path, data[start:stop], k)
                if len(table[1]) != sizes[k - 1]:
                    raise _bad(path, f"expected {sizes[k - 1]:,} grams of order {k}, found {len(table[1]):,}")
                tables.append(table)
    return _model(path, words, tables)


def _sections(path: Path, data: mmap.mmap) -> tuple[list[int], list[tuple[int, int]]]:
    """Give the number of grams of each order, and where its lines are."""
    head = data.find(b"\\data\\")
    first = data.find(b"\\1-grams:", max(head, 0))
    if head < 0 or first < 0:
        raise _bad(path, "it has no \\data\\ or no \\1-grams:")
    found = [_COUNT.match(line.strip()) for line in data[head:first].split(b"\n")]
    sizes = [int(each[2]) for each in found if each]
    if not 1 <= len(sizes) <= 8:
        raise _bad(path, f"expected an order of 1 to 8, found {len(sizes)}")
    places = [data.find(b"\n\\%d-grams:" % k, head) for k in range(1, len(sizes) + 1)]
    end = data.rfind(b"\n\\end\\")
    if min(places) < 0 or end < max(places) or places != sorted(places):
        raise _bad(path, "it is cut off, or a part is missing")
    begins = [data.find(b"\n", place + 1) + 1 for place in places]
    return sizes, list(zip(begins, [*places[1:], end], strict=True))


def _section(path: Path, text: bytes, k: int) -> tuple[pa.Array, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give the words [n * k], log10 p and log10 back-off of the lines."""
    lines = pa.array(line for line in text.split(b"\n") if line.strip()).cast(pa.large_binary())
    try:
        parts = pc.extract_regex(lines, _LINE)
        p = parts.field("p").cast(pa.large_string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
        backoff = parts.field("backoff")
        missing = pc.equal(pc.binary_length(backoff), 0).to_numpy(zero_copy_only=False)
        weights = pc.if_else(pa.array(missing), pa.scalar(b"0", backoff.type), backoff)
        b = weights.cast(pa.large_string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
        split = pc.split_pattern_regex(parts.field("gram"), r"[ ]+")
    except pa.ArrowInvalid as error:
        raise _bad(path, f"a line of order {k} is no gram: {error}") from None
    if len(lines) and (parts.null_count or not bool(pc.all(pc.equal(pc.list_value_length(split), k)).as_py())):
        raise _bad(path, f"a line of order {k} has not {k} words")
    if not (np.isfinite(p).all() and np.isfinite(b).all() and (p <= 1e-3).all()):
        raise _bad(path, f"a number of order {k} is no log10 of a probability")
    return split.flatten(), p, b


def _model(path: Path, marks: list[bytes], tables: list[Any]) -> NgramModel:
    unigrams = [word for word in tables[0][0].to_pylist() if word not in marks]
    if len(set(unigrams)) != len(unigrams):
        raise _bad(path, "a unigram is there twice")
    bos, unknown = len(unigrams) + 1, len(unigrams) + 2
    ids = pa.array([END, *unigrams, START, UNKNOWN], pa.large_binary())
    probs, backoffs = [np.zeros(unknown + 1)], [np.ones(unknown + 1)]
    counts = np.zeros(unknown + 1, np.uint32)
    probs[0][unknown] = 10.0**_MISSING_UNKNOWN
    keys: list[npt.NDArray[np.uint64]] = []
    tokens = [np.arange(unknown + 1, dtype=np.uint32)]
    children: list[npt.NDArray[np.int64]] = []
    for k, (words, p, backoff) in enumerate(tables, 1):
        found = pc.index_in(words, ids)
        if found.null_count:
            word = words.filter(pc.is_null(found))[0].as_py().decode("utf-8", "replace")
            raise _bad(path, f"{word} is in a gram of order {k} but no unigram")
        columns = found.to_numpy().astype(np.int64).reshape(-1, k)
        if k == 1:
            nodes = columns[:, 0]
            probs[0][nodes], backoffs[0][nodes], counts[nodes] = 10.0**p, 10.0**backoff, 1
            probs[0][bos], counts[bos], counts[unknown] = 0.0, 0, 0
            continue
        parent = columns[:, -1]
        for order in range(2, k):
            parent = _look_up(path, keys[order - 2], parent, columns[:, -order], k)
        key = _key(parent, columns[:, 0])
        order_of = np.argsort(key, kind="stable")
        key = key[order_of]
        if len(key) and (key[1:] == key[:-1]).any():
            raise _bad(path, f"a gram of order {k} is there twice")
        keys.append(key)
        tokens.append(columns[order_of, 0].astype(np.uint32))
        probs.append(10.0 ** p[order_of])
        backoffs.append(10.0 ** backoff[order_of])
        children.append(np.searchsorted(parent[order_of], np.arange(len(tokens[-2]))))
    grams = (int(counts[:bos].sum()) + 2, *map(len, tokens[1:]))
    bases = first_nodes(grams, unknown - 1)
    starts = [each + bases[k] for k, each in enumerate(children, 2)]
    trie = Trie(
        np.concatenate(tokens),
        np.concatenate(probs),
        np.concatenate([*starts, bases[-1:]]).astype(np.uint32),
        np.concatenate([np.empty(0), *backoffs[:-1]]),
    )
    made = NgramModel(
        path, len(tables), bos, len(unigrams) + 3, 0, "words", grams, "arpa", np.zeros((len(tables) + 1, 4)), counts,
        trie, tuple(unigrams),
    )  # fmt: skip
    check(made)
    return made


def _key(parent: npt.NDArray[np.int64], token: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    return (parent.astype(np.uint64) << np.uint64(32)) | token.astype(np.uint64)


def _look_up(
    path: Path, keys: npt.NDArray[np.uint64], parent: npt.NDArray[np.int64], token: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.int64]:
    wanted = _key(parent, token)
    at = np.searchsorted(keys, wanted)
    if len(wanted) and (not len(keys) or (keys[np.minimum(at, len(keys) - 1)] != wanted).any()):
        raise _bad(path, f"the last words of a gram of order {k} are no gram themselves")
    return at


def _bad(path: Path, problem: str) -> BadData:
    return BadData(str(path), f"expected an ARPA file: {problem}", "write it anew")


def is_arpa(path: Path) -> bool:
    """Tell an ARPA file by how it begins: with `\\data\\`, perhaps after blank lines."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4096).lstrip().startswith(b"\\data\\")
