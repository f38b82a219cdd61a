"""Measure every block of a page for the trees; import it only where it runs, for numba's sake.

A block is judged by its own text, by the elements around it (their tags, the log-odds of the tokens of their classes,
how much text and how many links they hold), by a score of containers like readability's, by its neighbours and by its
place in the page. Sums over containers are differences of running sums: the blocks of an element follow each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.scan_kernels import borrowed
from corpuskit.text.html.segment_kernels import (
    BREAKS, DEPTH, ELEMENT, END, FIRST, FORM, HIDDEN, LINK, LINKS, PARENT, START, STOP, TAG, TOKENS, TOKENS_END,
)  # fmt: skip
from corpuskit.text.html.tags import NAMES

_OFFSET, _PRIME, _MASK = np.uint64(2166136261), np.uint64(16777619), np.uint64(0xFFFFFFFF)
_WORDS = 40  # words of a block that are looked up
_LONG = 80.0  # from how many characters a text is more than a label
_FAR = 50.0

# The tags that a block may stand in directly, in groups that trees can part by one bound.
_GROUPS = (
    "p", "pre listing", "blockquote", "h1", "h2", "h3", "h4 h5 h6", "article main section", "div center details summary",
    "li", "dd dt dl", "td th caption tr table tbody thead tfoot", "figcaption figure legend", "header hgroup",
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
_SMALL = np.array([name in "p li h1 h2 h3 h4 h5 h6 pre blockquote dd dt figcaption td th".split() for name in NAMES])
_IS_P, _IS_HEADING = (
    np.array([name in names.split() for name in NAMES]) for names in ("p pre blockquote", "h1 h2 h3 h4 h5 h6")
)
_N_AROUND = len(_AROUND)

#: Features of stage 1, and those that stage 2 has besides.
N_FIRST, N_SECOND = 139, 26

# What `_own` counts of a text.
(
    _CHARS, _LENGTH, _NUMBER, _COMMAS, _ENDS, _DIGITS, _UPPER, _SYMBOLS, _LETTERS, _LAST, _STARTS, _WIDE, _LEXICON,
    _LEXICON_MIN, _LEXICON_MAX, _HASH, _KNOWN,
) = range(17)  # fmt: skip
_OWN = 17


@njit(cache=True, nogil=True)
def odds(value: Any, keys: Any, values: Any) -> Any:
    """Look a hash up in a table of open addressing; gives (its log-odds, whether it is known)."""
    slot = np.int64(value & np.uint64(len(keys) - 1))
    while values[slot] != 0:
        if keys[slot] == value:
            return values[slot], True
        slot = (slot + 1) & (len(keys) - 1)
    return np.float32(0), False


@njit(cache=True, nogil=True)
def _own(text: Any, start: int, stop: int, keys: Any, values: Any, own: Any, hashes: Any) -> None:
    """Count what the text itself tells, and write the hashes of its first words to `hashes`. Lengths count characters, those of Chinese, Japanese and Korean 2.5 times."""
    chars = wide = words = commas = ends = digits = upper = symbols = letters = known = 0
    total, low, high = 0.0, 0.0, 0.0
    whole, word, inside, last = _OFFSET, _OFFSET, False, 0
    at = start
    while at < stop:
        byte = np.int64(text[at])
        whole = ((whole ^ np.uint64(byte)) * _PRIME) & _MASK
        if byte < 0x80:
            width, code = 1, byte
        elif byte < 0xE0 or at + 2 >= stop:
            width, code = 2, 0x80
        elif byte < 0xF0:
            width = 3
            code = (byte & 15) << 12 | (np.int64(text[at + 1]) & 63) << 6 | np.int64(text[at + 2]) & 63
        else:
            width, code = 4, 0x1F000
        is_word = False
        if code < 0x80:
            folded = code | 32
            if 97 <= folded <= 122:
                is_word = True
                letters += 1
                upper += code < 97
            elif 48 <= code <= 57:
                is_word = True
                digits += 1
            elif code == 44 or code == 59:
                commas += 1
            elif code == 46 or code == 33 or code == 63:
                ends += 1
            elif code != 32 and code != 10 and code != 45 and code != 39 and code != 34 and code != 58 and code != 40:
                symbols += code != 41
        elif code == 0x80:
            is_word = True
            letters += 1
            if byte == 0xD8 and at + 1 < stop and text[at + 1] == 0x8C:  # Arabic comma
                commas += 1
            elif (byte == 0xD8 and at + 1 < stop and text[at + 1] == 0x9F) or (byte == 0xDB and text[at + 1] == 0x94):
                ends += 1
            elif byte == 0xC2:  # » and its like
                symbols += 1
                is_word = False
        elif code == 0x3002 or code == 0xFF01 or code == 0xFF1F or code == 0x0964 or code == 0x0965:
            ends += 1
            wide += code != 0x0964 and code != 0x0965
        elif code == 0x3001 or code == 0xFF0C or code == 0xFF1B:
            commas += 1
            wide += 1
        elif 0x2000 <= code < 0x2C00:
            symbols += code != 0x2019 and code != 0x2018 and code != 0x201C and code != 0x201D and code != 0x2013
        else:
            is_word = True
            letters += 1
            wide += 0x3040 <= code < 0xFB00
        if is_word:
            if not inside:
                word, inside = _OFFSET, True
                words += 1
            for each in range(at, min(stop, at + width)):
                value = np.uint64(text[each])
                if 65 <= value <= 90:
                    value |= np.uint64(32)
                word = ((word ^ value) * _PRIME) & _MASK
        elif inside:
            inside = False
            if words <= _WORDS:
                hashes[words - 1] = np.uint32(word)
        if code != 32 and code != 10:
            last = code
        chars += 1
        at += width
    if inside and words <= _WORDS:
        hashes[words - 1] = np.uint32(word)
    for each in range(min(words, _WORDS)):
        weight, found = odds(np.uint64(hashes[each]), keys, values)
        if found:
            known += 1
            total += weight
            low, high = min(low, weight), max(high, weight)
    first = text[start]
    own[_CHARS], own[_LENGTH], own[_NUMBER] = chars, chars + 1.5 * wide, words
    own[_COMMAS], own[_ENDS], own[_DIGITS], own[_UPPER], own[_SYMBOLS] = commas, ends, digits, upper, symbols
    own[_LETTERS], own[_WIDE], own[_HASH] = letters, wide, np.float64(whole)
    own[_LAST] = _ending(last)
    own[_STARTS] = (
        1 if 65 <= first <= 90 else 2 if 97 <= first <= 122 else 3 if 48 <= first <= 57 else 0 if first > 127 else 4
    )
    own[_LEXICON], own[_LEXICON_MIN], own[_LEXICON_MAX], own[_KNOWN] = total, low, high, known


@njit(cache=True, nogil=True, inline="always")
def _ending(code: Any) -> Any:
    """Say how a text ends: a sentence's end 3, a quote or bracket 2, a colon or comma 1, else 0."""
    if code == 46 or code == 33 or code == 63 or code == 0x3002 or code == 0xFF01 or code == 0xFF1F or code == 0x0964:
        return 3.0
    if code == 34 or code == 41 or code == 0x201D or code == 0x300D or code == 0x2026:
        return 2.0
    if code == 58 or code == 44 or code == 59:
        return 1.0
    return 0.0


@njit(cache=True, nogil=True)
def _chains(elements: Any, count: int, tokens: Any, keys: Any, values: Any, chain: Any, bits: Any) -> None:
    """Sum the log-odds of the tokens of each element, and along its ancestors.

    Columns of `chain`: own, sum, min, max, decayed by .7 a step. `bits`: the tags around, and 1 << 62 for hidden.
    """
    for each in range(count):
        element = elements[each]
        own = low = high = 0.0
        for token in range(element[TOKENS], element[TOKENS_END]):
            weight, _ = odds(np.uint64(tokens[token]), keys, values)
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
        length = own[each, _LENGTH]
        linked = length * block[LINK] / max(1, block[STOP] - block[START])
        tag = elements[block[ELEMENT], TAG]
        sums[each + 1, 0] = sums[each, 0] + length
        sums[each + 1, 1] = sums[each, 1] + linked
        sums[each + 1, 2] = sums[each, 2] + (length if length > _LONG and 2 * linked < length else 0.0)
        sums[each + 1, 3] = sums[each, 3] + (length if _IS_P[tag] else 0.0)
        sums[each + 1, 4] = sums[each, 4] + own[each, _COMMAS]
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
        length = own[each, _LENGTH]
        if length < 25:
            continue
        block = blocks[each]
        density = block[LINK] / max(1, block[STOP] - block[START])
        value = (1 + own[each, _COMMAS] + min(length / 100, 3.0)) * (1 - density)
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

    lexicons: (keys, log-odds) of words, then of tokens: tables whose sizes are powers of two, 0 marking a free slot.
    """
    # The caller owns them all, and waits (see `borrowed`).
    own, sums, chain, bits, scores, runs = (
        borrowed(room[0]), borrowed(room[1]), borrowed(room[2]), borrowed(room[3]), borrowed(room[4]), borrowed(room[5]),
    )  # fmt: skip
    text, elements, blocks, tokens, out = (
        borrowed(text),
        borrowed(elements),
        borrowed(blocks),
        borrowed(tokens),
        borrowed(out),
    )
    lexicons = (borrowed(lexicons[0]), borrowed(lexicons[1]), borrowed(lexicons[2]), borrowed(lexicons[3]))
    kept = np.empty(_WORDS, np.uint32)
    hashes = borrowed(kept)
    for each in range(count):
        _own(text, blocks[each, START], blocks[each, STOP], lexicons[0], lexicons[1], own[each], hashes)
    _chains(elements, n_elements, tokens, lexicons[2], lexicons[3], chain, bits)
    _running(blocks, count, elements, own, sums)
    best = _scores(blocks, count, elements, n_elements, own, scores)
    _runs(blocks, count, own, runs)
    headings(elements, blocks, count, runs)
    for each in range(count):
        row = out[each]
        at = _of_text(blocks[each], own[each], row)
        at = _of_elements(elements, blocks[each], chain, bits, row, at)
        at = _of_containers(elements, blocks[each], sums, count, row, at)
        at = _of_best(elements, blocks[each], each, best, scores, sums, count, row, at)
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
            key = np.int64(own[each, _HASH])
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
    chars, words = max(1.0, own[_CHARS]), own[_NUMBER]
    row[0], row[1], row[2] = own[_LENGTH], words, block[LINK] / size
    row[3], row[4], row[5] = block[LINKS], own[_COMMAS], own[_ENDS]
    row[6], row[7], row[8] = own[_DIGITS] / chars, own[_UPPER] / chars, own[_LETTERS] / max(1.0, words)
    row[9], row[10], row[11] = own[_LAST], own[_STARTS], own[_SYMBOLS] / chars
    row[12], row[13] = block[BREAKS], block[FORM]
    row[14], row[15] = own[_LENGTH] * (1 - block[LINK] / size), own[_WIDE] / chars
    row[16], row[17], row[18] = own[_LEXICON], own[_LEXICON_MIN], own[_LEXICON_MAX]
    row[19] = own[_LEXICON] / max(1.0, own[_KNOWN])
    row[20], row[21] = (own[_COMMAS] + own[_ENDS]) / max(1.0, words), own[_SYMBOLS]
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
            row[at], row[at + 1] = own[other, _LENGTH], block[LINK] / max(1, block[STOP] - block[START])
            row[at + 2] = GROUP[elements[block[ELEMENT], TAG]]
            row[at + 3], row[at + 4] = own[other, _LAST], chain[block[ELEMENT], 4]
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
def second(first: Any, elements: Any, n_elements: int, blocks: Any, count: int, own: Any, out: Any) -> None:
    """Fill out[block, N_FIRST:] with what stage 1 says of the blocks around: `first` are its probabilities.

    Neighbours, means over windows, over the block's element and three around it, over the page, and running means.
    """
    owned = np.zeros((count + 1, 2))
    sums, first, elements, blocks = borrowed(owned), borrowed(first), borrowed(elements), borrowed(blocks)
    own, out = borrowed(own), borrowed(out)
    for each in range(count):
        weight = min(own[each, _LENGTH], 400.0)
        sums[each + 1, 0] = sums[each, 0] + weight
        sums[each + 1, 1] = sums[each, 1] + weight * first[each]
    mean = sums[count, 1] / max(1.0, sums[count, 0])
    before, highest = mean, 0.0
    for each in range(count):
        row, at = out[each], N_FIRST
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
        before = 0.7 * before + 0.3 * first[each]
        highest = max(0.9 * highest, first[each])
    owned[0, 0] = 0  # it lives until here


@njit(cache=True, nogil=True, inline="always")
def _window(sums: Any, low: int, high: int, row: Any, at: int) -> int:
    weight = sums[high, 0] - sums[low, 0]
    row[at] = (sums[high, 1] - sums[low, 1]) / weight if weight > 0 else -1
    return at + 1


@njit(cache=True, nogil=True)
def word_hashes(text: Any, keys: Any, values: Any) -> Any:
    """Give the hashes of the first words of a text, as `_own` looks them up."""
    hashes, own = np.empty(_WORDS, np.uint32), np.empty(_OWN)
    _own(text, 0, len(text), keys, values, own, hashes)
    return hashes[: min(_WORDS, int(own[_NUMBER]))]
