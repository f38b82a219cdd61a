"""The loops over a text's bytes behind `language.identify`; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.language import JUDGED_BYTES, LOWER, MIN_LINE_BYTES, MIN_LINE_SCORE, UNSETTLED, UPPER

_KNOWN_LOGS = 256
_OVERDUE_BYTES = 512
_MIX, _HIGH_BIT = np.uint64(0x9E3779B97F4A7C15), np.uint64(63)
_BIAS = np.float32(2.0**112)  # the difference of the exponents of float32 and float16


@njit(cache=True, nogil=True, inline="always")
def _code_point(data: Any, at: int, stop: int) -> Any:
    """Decode one character of more than one byte: (code point, bytes); a bad one is U+FFFD and one byte."""
    first = np.int64(data[at])
    if 0xC0 <= first < 0xE0 and at + 1 < stop:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if 0xE0 <= first < 0xF0 and at + 2 < stop:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
    if 0xF0 <= first < 0xF5 and at + 3 < stop:
        high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
        return min(high | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F), 0x10FFFF), 4
    return 0xFFFD, 1


@njit(cache=True, nogil=True)
def look_twice(data: Any, offsets: Any, properties: Any, out: Any) -> None:
    """Tell which texts may not be in normal form C, or may be in capitals throughout."""
    for text in range(len(offsets) - 1):
        bits = np.uint8(0)
        at, stop = offsets[text], offsets[text + 1]
        while at < stop:
            if data[at] < 0x80:
                bits |= properties[data[at]]
                at += 1
            else:
                char, width = _code_point(data, at, stop)
                bits |= properties[char]
                at += width
        out[text] = (bits & UNSETTLED) != 0 or ((bits & UPPER) != 0 and (bits & LOWER) == 0)


@njit(cache=True, nogil=True)
def identify(data: Any, offsets: Any, model: Any, labels: Any, scores: Any, shares: Any) -> None:
    """Fill the class, its probability and its share of the characters for each text; class -1 without a feature.

    One walk of the automaton over a text serves both the text and its lines: the features of the lines are added up.
    Of a text of over JUDGED_BYTES, lines spread evenly over it are judged, of so many bytes together; a line that is
    passed over counts as being in the language of the line before it.
    """
    n_features = len(model.table)
    of_line, of_text = np.zeros(n_features, np.int32), np.zeros(n_features, np.int32)
    seen_line, seen_text = np.empty(n_features, np.int32), np.empty(n_features, np.int32)
    logs = np.log1p(np.arange(_KNOWN_LOGS).astype(np.float32))
    values = np.empty(len(model.prior), np.float32)
    chars = np.zeros(len(model.prior), np.int64)
    for text in range(len(offsets) - 1):
        at, stop = offsets[text], offsets[text + 1]
        start, line_chars, n_line, n_text = at, 0, 0, 0
        state: Any = 0
        byte = np.uint8(0)
        speaking, waiting = -1, 0  # the language of the last line that told; characters before the first such line
        chars[:] = 0
        length, judged = stop - at, 0
        while at < stop:
            over = at == start and _enough(judged, at - offsets[text], length)
            if over:
                at, line_chars = _end_of_line(data, at, stop)
            else:
                byte = data[at]
                line_chars += (byte & 0xC0) != 0x80
                state = np.int64(model.moves[np.int64(model.rows[state]) << 8 | byte])
                feature = model.features[state]
                at += 1
                if feature >= 0:
                    if of_line[feature] == 0:
                        seen_line[n_line] = feature
                        n_line += 1
                    of_line[feature] += 1
            if over or byte == 10 or at == stop:
                if at - start >= MIN_LINE_BYTES and (at < stop or n_text) and n_line:
                    _weigh(of_line, seen_line[:n_line], logs, model, values)
                    label, score = _decide(values, at - start, model)
                    if score >= MIN_LINE_SCORE:
                        speaking = label
                if speaking < 0:
                    waiting += line_chars
                else:
                    chars[speaking] += line_chars + waiting
                    waiting = 0
                n_text = _add_up(of_line, seen_line[:n_line], of_text, seen_text, n_text)
                judged += 0 if over else at - start
                start, line_chars, n_line = at, 0, 0
        if n_text:
            _weigh(of_text, seen_text[:n_text], logs, model, values)
            labels[text], scores[text] = _decide(values, judged, model)
            counted = chars.sum()
            shares[text] = chars[labels[text]] / counted if counted else 1.0
            of_text[seen_text[:n_text]] = 0


@njit(cache=True, nogil=True)
def _enough(judged: int, seen: int, length: int) -> Any:
    """Tell whether to pass over the line here: where more is judged than is due, and else every other time by chance.

    Chance, a hash of the place, keeps pages that alternate from being judged by every fourth line.
    """
    if length <= JUDGED_BYTES or judged == 0:
        return False
    due = JUDGED_BYTES * seen // length - judged
    return due < 0 or (due < _OVERDUE_BYTES and np.uint64(seen) * _MIX >> _HIGH_BIT != 0)


@njit(cache=True, nogil=True)
def _end_of_line(data: Any, at: int, stop: int) -> Any:
    """Give where the line ends, behind its line feed, and its characters."""
    chars = 0
    while at < stop:
        byte = data[at]
        chars += (byte & 0xC0) != 0x80
        at += 1
        if byte == 10:
            break
    return at, chars


@njit(cache=True, nogil=True)
def _add_up(of_line: Any, seen_line: Any, of_text: Any, seen_text: Any, n_text: int) -> int:
    """Move the counts of a line to those of its text; gives the number of features that the text has."""
    for feature in seen_line:
        if of_text[feature] == 0:
            seen_text[n_text] = feature
            n_text += 1
        of_text[feature] += of_line[feature]
        of_line[feature] = 0
    return n_text


@njit(cache=True, nogil=True)
def _wide(half: Any) -> Any:
    """Give the float32 of a float16's bits, which numba has no type for: exact for all that is finite."""
    bits = np.uint32(half)
    sign, rest = bits & np.uint32(0x8000), bits & np.uint32(0x7FFF)
    return np.uint32(sign << np.uint32(16) | rest << np.uint32(13)).view(np.float32) * _BIAS


@njit(cache=True, nogil=True)
def _weigh(counts: Any, seen: Any, logs: Any, model: Any, values: Any) -> None:
    """Sum log(1 + count) * log p(feature | class) over the features seen, and log p(class)."""
    table = model.table
    width = table.shape[1]
    values[:] = 0
    whole = len(seen) - len(seen) % 4
    for first in range(0, whole, 4):  # four rows at a time, which halves the traffic
        a, b, c, d = seen[first], seen[first + 1], seen[first + 2], seen[first + 3]
        wa, wb, wc, wd = _log(counts[a], logs), _log(counts[b], logs), _log(counts[c], logs), _log(counts[d], logs)
        for each in range(width):
            near = wa * _wide(table[a, each]) + wb * _wide(table[b, each])
            values[each] += near + (wc * _wide(table[c, each]) + wd * _wide(table[d, each]))
    for one in range(whole, len(seen)):
        weight = _log(counts[seen[one]], logs)
        for each in range(width):
            values[each] += weight * _wide(table[seen[one], each])
    for each in range(len(model.prior)):
        values[each] += model.prior[each]


@njit(cache=True, nogil=True, inline="always")
def _log(count: Any, logs: Any) -> Any:
    return logs[count] if count < _KNOWN_LOGS else np.float32(np.log1p(np.float32(count)))


@njit(cache=True, nogil=True)
def _decide(values: Any, n_bytes: int, model: Any) -> Any:
    """Give the likeliest class and its probability; classes of one label count together."""
    n_classes = len(model.prior)
    highest = values[:n_classes].max()
    scale = 1 / np.sqrt(n_bytes)
    total = 0.0
    for each in range(n_classes):
        values[each] = np.exp((values[each] - highest) * scale)
        total += values[each]
    best = 0
    for each in range(n_classes):
        first = model.first[each]
        if first != each:
            values[first] += values[each]
            values[each] = 0
    for each in range(n_classes):
        if values[each] > values[best]:
            best = each
    return best, values[best] / total
