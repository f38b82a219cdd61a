"""Measure every block of a page for the trees; import it only where it runs, for numba's sake.

A block is judged by its own text, by the elements around it (their tags, the log-odds of the tokens of their classes,
how much text and how many links they hold), by a score of containers like readability's, by its neighbours and by its
place in the page. Sums over containers are differences of running sums: the blocks of an element follow each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.alike_kernels import nearest_best
from corpuskit.text.html.arrays import (
    BREAKS,
    DEPTH,
    ELEMENT,
    END,
    FIRST,
    FORM,
    HIDDEN,
    LINK,
    LINKS,
    PARENT,
    START,
    STOP,
    TAG,
    TOKENS,
    TOKENS_END,
)  # fmt: skip
from corpuskit.text.html.own_kernels import (
    T_CHARS,
    T_COMMAS,
    T_DIGITS,
    T_ENDS,
    T_HASH,
    T_KNOWN,
    T_LAST,
    T_LENGTH,
    T_LETTERS,
    T_LEXICON,
    T_LEXICON_MAX,
    T_LEXICON_MIN,
    T_NUMBER,
    T_STARTS,
    T_SYMBOLS,
    T_UPPER,
    T_WIDE,
    WORDS,
    odds,
    of_text,
)  # fmt: skip
from corpuskit.text.html.tags import NAMES
from corpuskit.text.vector_kernels import borrowed

_LONG = 80.0  # from how many characters a text is more than a label
_FAR = 50.0

# The tags that a block may stand in directly, in groups that trees can part by one bound.
_GROUPS = (
    "p", "pre listing", "blockquote", "h1", "h2", "h3", "h4 h5 h6", "article main section",
    "div center details summary", "li", "dd dt dl", "td th caption tr table tbody thead tfoot",
    "figcaption figure legend", "header hgroup",
    "ul ol menu dir", "form fieldset dialog search", "address", "aside nav footer",
)  # fmt: skip
GROUP = np.array(
    [next((at for at, names in enumerate(_GROUPS) if name in names.split()), len(_GROUPS)) for name in NAMES], np.int64
)
# The tags that are looked for among all elements around a block, a bit each.
_AROUND = (
    "article", "main section", "aside", "nav", "header", "footer", "form fieldset", "ul ol menu dir", "table", "figure",
    "blockquote", "dl", "details", "pre listing", "dialog", "address", "p", "h1 h2 h3 h4 h5 h6", "td th", "li",
)  # fmt: skip
AROUND = np.array(
    [sum(1 << at for at, names in enumerate(_AROUND) if name in names.split()) for name in NAMES], np.int64
)
#: Elements that are a paragraph of a container rather than one.
_SMALL_NAMES = (
    "p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "dd", "dt", "figcaption", "td", "th",
)  # fmt: skip
_SMALL = np.array([name in _SMALL_NAMES for name in NAMES])
_IS_P, _IS_HEADING = (
    np.array([name in names.split() for name in NAMES]) for names in ("p pre blockquote", "h1 h2 h3 h4 h5 h6")
)
_N_AROUND = len(_AROUND)

#: Features of stage 1, and those that stage 2 has besides.
N_FIRST, N_SECOND = 139, 26


@njit(cache=True, nogil=True)
def _chains(elements: Any, count: int, tokens: Any, lexicon: Any, chain: Any, bits: Any) -> None:
    """Sum the log-odds of the tokens of each element, and along its ancestors.

    Columns of `chain`: own, sum, min, max, decayed by .7 a step. `bits`: the tags around, and 1 << 62 for hidden.
    """
    for each in range(count):
        element = elements[each]
        own = low = high = 0.0
        for token in range(element[TOKENS], element[TOKENS_END]):
            weight = odds(tokens[token], lexicon)
            own += weight
            low, high = min(low, weight), max(high, weight)
        parent = element[PARENT]
        row = chain[each]
        tag_bits = AROUND[element[TAG]] | (1 << 62 if element[HIDDEN] else 0)
        if parent < 0:
            row[0], row[1], row[2], row[3], row[4] = own, own, low, high, own
            bits[each] = tag_bits
        else:
            above = chain[parent]
            row[0], row[1] = own, above[1] + own
            row[2], row[3] = min(above[2], low), max(above[3], high)
            row[4] = 0.7 * above[4] + own
            bits[each] = bits[parent] | tag_bits


@njit(cache=True, nogil=True)
def _running(blocks: Any, count: int, elements: Any, own: Any, sums: Any) -> None:
    """Sum over the blocks before each: length, link bytes, long text, text of paragraphs, commas, headings."""
    sums[0, :] = 0
    for each in range(count):
        block = blocks[each]
        length = own[each, T_LENGTH]
        linked = length * block[LINK] / max(1, block[STOP] - block[START])
        tag = elements[block[ELEMENT], TAG]
        sums[each + 1, 0] = sums[each, 0] + length
        sums[each + 1, 1] = sums[each, 1] + linked
        sums[each + 1, 2] = sums[each, 2] + (length if length > _LONG and 2 * linked < length else 0.0)
        sums[each + 1, 3] = sums[each, 3] + (length if _IS_P[tag] else 0.0)
        sums[each + 1, 4] = sums[each, 4] + own[each, T_COMMAS]
        sums[each + 1, 5] = sums[each, 5] + (1.0 if _IS_HEADING[tag] else 0.0)


@njit(cache=True, nogil=True)
def _base(elements: Any, element: int) -> int:
    """Give the container that a block's text counts for."""
    while elements[element, PARENT] >= 0 and _SMALL[elements[element, TAG]]:
        element = elements[element, PARENT]
    return element


@njit(cache=True, nogil=True)
def _scores(blocks: Any, count: int, elements: Any, n_elements: int, own: Any, scores: Any) -> int:
    """Score containers by the paragraphs in them (Arc90's readability); gives the best one."""
    scores[:n_elements] = 0
    for each in range(count):
        length = own[each, T_LENGTH]
        if length < 25:
            continue
        block = blocks[each]
        density = block[LINK] / max(1, block[STOP] - block[START])
        value = (1 + own[each, T_COMMAS] + min(length / 100, 3.0)) * (1 - density)
        element = _base(elements, block[ELEMENT])
        share = 1.0
        for _ in range(3):
            scores[element] += value * share
            share /= 2
            element = elements[element, PARENT]
            if element < 0:
                break
    best = 0
    for each in range(1, n_elements):
        if scores[each] > scores[best]:
            best = each
    return best


@njit(cache=True, nogil=True)
def measure(
    text: Any, elements: Any, n_elements: int, blocks: Any, count: int, tokens: Any, lexicons: Any, room: Any, out: Any
) -> None:
    """Fill out[block, feature] for stage 1. `room` are (own, sums, chain, bits, scores, runs), scratch for one page.

    lexicons: of words and of tokens, see `model.table`.
    """
    # The caller owns them all, and waits (see `borrowed`).
    own, sums, chain, bits, scores, runs = (
        borrowed(room[0]), borrowed(room[1]), borrowed(room[2]), borrowed(room[3]), borrowed(room[4]),
        borrowed(room[5]),
    )  # fmt: skip
    text, elements, blocks, tokens, out = (
        borrowed(text),
        borrowed(elements),
        borrowed(blocks),
        borrowed(tokens),
        borrowed(out),
    )
    words, names = borrowed(lexicons[0]), borrowed(lexicons[1])
    kept = np.empty(WORDS, np.uint32)
    hashes = borrowed(kept)
    for each in range(count):
        of_text(text, blocks[each, START], blocks[each, STOP], words, own[each], hashes)
    _chains(elements, n_elements, tokens, names, chain, bits)
    _running(blocks, count, elements, own, sums)
    best = _scores(blocks, count, elements, n_elements, own, scores)
    bests = np.empty(count, np.int64)
    nearest_best(elements, n_elements, tokens, best, scores, count, bests)
    _runs(blocks, count, own, runs)
    headings(elements, blocks, count, runs)
    for each in range(count):
        row = out[each]
        at = _of_text(blocks[each], own[each], row)
        at = _of_elements(elements, blocks[each], chain, bits, row, at)
        at = _of_containers(elements, blocks[each], sums, count, row, at)
        at = _of_best(elements, blocks[each], each, bests[each], scores, sums, count, row, at)
        at = _of_neighbours(elements, blocks, each, count, own, chain, row, at)
        at = _of_place(blocks, each, count, own, sums, runs, n_elements, row, at)
    kept[0] = 0  # it lives until here


@njit(cache=True, nogil=True)
def _runs(blocks: Any, count: int, own: Any, runs: Any) -> None:
    """Columns of `runs`: 0 and 1, how many blocks that are links follow each other here, and before it; 2, how many
    blocks have this text; 3 and 4, blocks since a heading and since an h1 (see `headings`)."""
    run = 0
    for each in range(count):
        block = blocks[each]
        run = run + 1 if 10 * block[LINK] > 9 * (block[STOP] - block[START]) else 0
        runs[each, 1] = run
    run = 0
    for each in range(count - 1, -1, -1):
        run = max(run, runs[each, 1]) if runs[each, 1] else 0
        runs[each, 0] = run
    keys = np.full(_power(2 * count), -1, np.int64)
    totals = np.zeros(len(keys), np.int64)
    mask = len(keys) - 1
    for turn in range(2):
        for each in range(count):
            key = np.int64(own[each, T_HASH])
            slot = (key ^ key >> 15) & mask
            while keys[slot] >= 0 and keys[slot] != key:
                slot = (slot + 1) & mask
            if turn == 0:
                keys[slot] = key
                totals[slot] += 1
            else:
                runs[each, 2] = totals[slot]


@njit(cache=True, nogil=True)
def _power(least: int) -> int:
    size = 16
    while size < least:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def headings(elements: Any, blocks: Any, count: int, runs: Any) -> None:
    """Count the blocks since the last heading, and since the first h1."""
    since, since_first = _FAR, -_FAR
    h1 = GROUP[_H1]
    for each in range(count):
        tag = elements[blocks[each, ELEMENT], TAG]
        if _IS_HEADING[tag]:
            since = 0.0
            if GROUP[tag] == h1 and since_first < 0:
                since_first = 0.0
        runs[each, 3], runs[each, 4] = min(since, _FAR), min(since_first, 4 * _FAR)
        since += 1
        if since_first >= 0:
            since_first += 1


_H1 = NAMES.index("h1")


@njit(cache=True, nogil=True)
def _of_text(block: Any, own: Any, row: Any) -> int:
    size = max(1, block[STOP] - block[START])
    chars, words = max(1.0, own[T_CHARS]), own[T_NUMBER]
    row[0], row[1], row[2] = own[T_LENGTH], words, block[LINK] / size
    row[3], row[4], row[5] = block[LINKS], own[T_COMMAS], own[T_ENDS]
    row[6], row[7], row[8] = own[T_DIGITS] / chars, own[T_UPPER] / chars, own[T_LETTERS] / max(1.0, words)
    row[9], row[10], row[11] = own[T_LAST], own[T_STARTS], own[T_SYMBOLS] / chars
    row[12], row[13] = block[BREAKS], block[FORM]
    row[14], row[15] = own[T_LENGTH] * (1 - block[LINK] / size), own[T_WIDE] / chars
    row[16], row[17], row[18] = own[T_LEXICON], own[T_LEXICON_MIN], own[T_LEXICON_MAX]
    row[19] = own[T_LEXICON] / max(1.0, own[T_KNOWN])
    row[20], row[21] = (own[T_COMMAS] + own[T_ENDS]) / max(1.0, words), own[T_SYMBOLS]
    return 22


@njit(cache=True, nogil=True)
def _of_elements(elements: Any, block: Any, chain: Any, bits: Any, row: Any, at: int) -> int:
    element = block[ELEMENT]
    parent = max(0, elements[element, PARENT])
    row[at], row[at + 1] = GROUP[elements[element, TAG]], GROUP[elements[parent, TAG]]
    row[at + 2] = elements[element, DEPTH]
    row[at + 3], row[at + 4], row[at + 5] = chain[element, 0], chain[parent, 0], chain[element, 1]
    row[at + 6], row[at + 7], row[at + 8] = chain[element, 2], chain[element, 3], chain[element, 4]
    row[at + 9] = chain[0, 0]
    around = bits[element]
    for each in range(_N_AROUND):
        row[at + 10 + each] = around >> each & 1
    row[at + 10 + _N_AROUND] = around >> 62 & 1
    return at + 11 + _N_AROUND


@njit(cache=True, nogil=True)
def _of_containers(elements: Any, block: Any, sums: Any, count: int, row: Any, at: int) -> int:
    """Tell of the block's element and three around it: text, its share of the page, links, block length, long text."""
    total, long_total = max(1.0, sums[count, 0]), max(1.0, sums[count, 2])
    element = block[ELEMENT]
    for _ in range(4):
        first, end = elements[element, FIRST], elements[element, END]
        length, number = sums[end, 0] - sums[first, 0], max(1, end - first)
        row[at], row[at + 1] = length, length / total
        row[at + 2] = (sums[end, 1] - sums[first, 1]) / max(1.0, length)
        row[at + 3] = length / number
        row[at + 4] = (sums[end, 2] - sums[first, 2]) / long_total
        row[at + 5] = (sums[end, 3] - sums[first, 3]) / max(1.0, length)
        row[at + 6] = number
        at += 7
        if elements[element, PARENT] >= 0:
            element = elements[element, PARENT]
    return at


@njit(cache=True, nogil=True)
def _of_best(
    elements: Any, block: Any, place: int, best: int, scores: Any, sums: Any, count: int, row: Any, at: int
) -> int:
    top = max(1e-6, scores[best])
    element = block[ELEMENT]
    inside = elements[best, FIRST] <= place < elements[best, END]
    own = scores[_base(elements, element)] / top
    highest, steps, meets = 0.0, 0, element
    while meets >= 0:
        # The first element around the block that holds the best container too.
        if elements[meets, FIRST] <= elements[best, FIRST] and elements[meets, END] >= elements[best, END]:
            break
        highest = max(highest, scores[meets])
        meets = elements[meets, PARENT]
        steps += 1
    row[at], row[at + 1], row[at + 2] = inside, own, (1.0 if inside else highest / top)
    row[at + 3] = min(steps, 12)
    row[at + 4] = elements[best, DEPTH] - elements[max(0, meets), DEPTH]
    row[at + 5] = scores[best]
    gap = 0
    if place < elements[best, FIRST]:
        gap = place - elements[best, FIRST]
    elif place >= elements[best, END]:
        gap = place - elements[best, END] + 1
    row[at + 6] = max(-_FAR, min(_FAR, gap))
    row[at + 7] = (sums[elements[best, END], 0] - sums[elements[best, FIRST], 0]) / max(1.0, sums[count, 0])
    return at + 8


@njit(cache=True, nogil=True)
def _of_neighbours(elements: Any, blocks: Any, place: int, count: int, own: Any, chain: Any, row: Any, at: int) -> int:
    for step in range(-3, 4):
        if step == 0:
            continue
        other = place + step
        if 0 <= other < count:
            block = blocks[other]
            row[at], row[at + 1] = own[other, T_LENGTH], block[LINK] / max(1, block[STOP] - block[START])
            row[at + 2] = GROUP[elements[block[ELEMENT], TAG]]
            row[at + 3], row[at + 4] = own[other, T_LAST], chain[block[ELEMENT], 4]
        else:
            row[at] = row[at + 1] = row[at + 2] = row[at + 3] = row[at + 4] = -1
        at += 5
    return at


@njit(cache=True, nogil=True)
def _of_place(
    blocks: Any, place: int, count: int, own: Any, sums: Any, runs: Any, n_elements: int, row: Any, at: int
) -> int:
    total, long_total = max(1.0, sums[count, 0]), max(1.0, sums[count, 2])
    row[at], row[at + 1] = place, place / count
    row[at + 2], row[at + 3] = sums[place, 0] / total, sums[place, 2] / long_total
    row[at + 4], row[at + 5] = count - place, sums[count, 2] - sums[place + 1, 2]
    for each in range(5):
        row[at + 6 + each] = runs[place, each]
    row[at + 11], row[at + 12], row[at + 13] = total, count, sums[count, 1] / total
    row[at + 14], row[at + 15] = sums[count, 2] / total, sums[count, 3] / total
    row[at + 16], row[at + 17] = sums[count, 5], n_elements
    low, high = max(0, place - 5), min(count, place + 6)
    length = max(1.0, sums[high, 0] - sums[low, 0])
    row[at + 18] = (sums[high, 2] - sums[low, 2]) / length
    row[at + 19] = (sums[high, 1] - sums[low, 1]) / length
    return at + 20


@njit(cache=True, nogil=True)
def second(
    first: Any, elements: Any, n_elements: int, blocks: Any, count: int, own: Any, rows: Any, out: Any
) -> None:  # fmt: skip
    """Fill out[rows[block], N_FIRST:] with what stage 1 says of the blocks around: `first` are its probabilities.

    A block whose row is -1 is passed over.

    Neighbours, means over windows, over the block's element and three around it, over the page, and running means.
    """
    owned = np.zeros((count + 1, 2))
    sums, first, elements, blocks = borrowed(owned), borrowed(first), borrowed(elements), borrowed(blocks)
    own, out = borrowed(own), borrowed(out)
    for each in range(count):
        weight = min(own[each, T_LENGTH], 400.0)
        sums[each + 1, 0] = sums[each, 0] + weight
        sums[each + 1, 1] = sums[each, 1] + weight * first[each]
    mean = sums[count, 1] / max(1.0, sums[count, 0])
    before, highest = mean, 0.0
    for each in range(count):
        if rows[each] < 0:
            before, highest = _after(before, highest, first[each])
            continue
        row, at = out[rows[each]], N_FIRST
        row[at], at = first[each], at + 1
        for step in range(-4, 5):
            if step != 0:
                other = each + step
                row[at] = first[other] if 0 <= other < count else -1
                at += 1
        for reach in (2, 8):
            at = _window(sums, max(0, each - reach), each, row, at)
            at = _window(sums, each + 1, min(count, each + 1 + reach), row, at)
        element = blocks[each, ELEMENT]
        for _ in range(4):
            at = _window(sums, elements[element, FIRST], elements[element, END], row, at)
            row[at] = elements[element, END] - elements[element, FIRST]
            at += 1
            if elements[element, PARENT] >= 0:
                element = elements[element, PARENT]
        row[at], row[at + 1], row[at + 2] = mean, before, sums[each, 1] / max(1.0, sums[count, 1])
        row[at + 3], row[at + 4] = highest, sums[count, 1]
        before, highest = _after(before, highest, first[each])
    owned[0, 0] = 0  # it lives until here


@njit(cache=True, nogil=True, inline="always")
def _after(before: Any, highest: Any, probability: Any) -> Any:
    """Carry the running mean and the running maximum on."""
    return 0.7 * before + 0.3 * probability, max(0.9 * highest, probability)


@njit(cache=True, nogil=True, inline="always")
def _window(sums: Any, low: int, high: int, row: Any, at: int) -> int:
    weight = sums[high, 0] - sums[low, 0]
    row[at] = (sums[high, 1] - sums[low, 1]) / weight if weight > 0 else -1
    return at + 1
