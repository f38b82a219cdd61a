"""The loops over a text's bytes behind `language.identify`; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.bytes_kernels import cases, feeds
from corpuskit.text.half_kernels import add_four, add_one, fetch
from corpuskit.text.language import JUDGED_BYTES, LOWER, MIN_LINE_BYTES, MIN_LINE_SCORE, UNSETTLED, UPPER
from corpuskit.text.vector_kernels import WIDTH, borrowed, count, low, lowest

_KNOWN_LOGS = 256
_OVERDUE_BYTES = 512
_MIX, _HIGH_BIT, _EIGHT, _ROOT = np.uint64(0x9E3779B97F4A7C15), np.uint64(63), np.uint64(8), np.uint64(0)
# Bytes walked at once, at most and if there are as many; the parts they are walked in, and the bytes before each.
_AHEAD, _LEAST, _PARTS, _WARM = 4096, 256, 16, 8
# Powers of e that a line's sum is as good without, and how near to MIN_LINE_SCORE that leaves its share.
_FAINT, _CLOSE = -18.0, 1e-4


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
    data, properties = borrowed(data), borrowed(properties)
    for text in range(len(offsets) - 1):
        bits = 0
        at, stop = offsets[text], offsets[text + 1]
        while at < stop:
            if data[at] >= 0x80:
                char, width = _code_point(data, at, stop)
                bits |= properties[char]
                at += width
            elif at + WIDTH <= stop:
                upper, lower, beyond = cases(data, at)
                size = lowest(beyond) if beyond else WIDTH
                bits |= (UPPER if upper & low(size) else 0) | (LOWER if lower & low(size) else 0)
                at += size
            else:
                bits |= properties[data[at]]
                at += 1
        out[text] = (bits & UNSETTLED) != 0 or ((bits & UPPER) != 0 and (bits & LOWER) == 0)


@njit(cache=True, nogil=True)
def identify(data: Any, offsets: Any, model: Any, labels: Any, scores: Any, shares: Any) -> None:
    """Fill the class, its probability and its share of the characters for each text; class -1 without a feature.

    One walk of the automaton over a text serves both the text and its lines: the features of the lines are added up.
    Of a text of over JUDGED_BYTES, lines spread evenly over it are judged, of so many bytes together; a line that is
    passed over counts as being in the language of the line before it.
    """
    data = borrowed(data)
    states, now, starts = np.empty(_AHEAD, np.uint32), np.empty(_PARTS, np.uint64), np.empty(_PARTS, np.uint64)
    automaton = (borrowed(model.moves), borrowed(model.rows), states, now, starts)
    features, none, table = borrowed(model.features), len(model.table), borrowed(model.table)
    prior, first = borrowed(model.prior), borrowed(model.first)
    of_line, of_text = np.zeros(none + 1, np.int32), np.zeros(none + 1, np.int32)
    seen_line, seen_text = np.empty(none + 1, np.int32), np.empty(none + 1, np.int32)
    logs = np.log1p(np.arange(_KNOWN_LOGS).astype(np.float32))
    values, weights = np.zeros(table.shape[1], np.float32), np.zeros(len(prior), np.float64)
    chars = np.zeros(len(prior), np.int64)
    for text in range(len(offsets) - 1):
        at, stop = offsets[text], offsets[text + 1]
        speaking, waiting = -1, 0  # the language of the last line that told; characters before the first such line
        chars[:] = 0
        length, judged, n_text = stop - at, 0, 0
        state, walked, origin = _ROOT, at, at  # `states` has the states behind data[origin:walked]
        while at < stop:
            end, line_chars = _end_of_line(data, at, stop)
            if _enough(judged, at - offsets[text], length):
                walked = at = end
            else:
                alone = end == stop and n_text == 0  # the whole text, or all of it that tells anything
                counts, seen, n_seen = (of_text, seen_text, n_text) if alone else (of_line, seen_line, 0)
                begin = at
                while at < end:
                    if at >= walked:
                        origin, walked = at, _ahead(data, at, end, stop, judged, offsets[text])
                        _walk(data, at, walked, state, automaton)
                    last = min(end, walked)
                    n_seen = _count(states[at - origin : last - origin], features, none, counts, seen, n_seen, table)
                    state, at = np.uint64(states[last - origin - 1]), last
                judged += end - begin
                if alone:
                    n_text = n_seen
                else:
                    if end - begin >= MIN_LINE_BYTES and n_seen:
                        _weigh(of_line, seen_line[:n_seen], logs, table, prior, values)
                        label = _language_of(values, weights, end - begin, first)
                        speaking = label if label >= 0 else speaking
                    n_text = _add_up(of_line, seen_line[:n_seen], of_text, seen_text, n_text)
            if speaking < 0:
                waiting += line_chars
            else:
                chars[speaking] += line_chars + waiting
                waiting = 0
        if n_text:
            _weigh(of_text, seen_text[:n_text], logs, table, prior, values)
            labels[text], scores[text] = _decide(values, judged, first)
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
    while at + WIDTH <= stop:
        ends, begins = feeds(data, at)
        if ends:
            place = lowest(ends)
            return at + place + 1, chars + count(begins & low(place + 1))
        chars += count(begins)
        at += WIDTH
    while at < stop:
        byte = data[at]
        chars += (byte & 0xC0) != 0x80
        at += 1
        if byte == 10:
            break
    return at, chars


@njit(cache=True, nogil=True)
def _ahead(data: Any, at: int, end: int, stop: int, judged: int, begin: int) -> int:
    """Tell how far to walk from `at`: over the next lines too, as far as they will be judged, _AHEAD bytes at most."""
    if stop - begin <= JUDGED_BYTES:
        return min(stop, at + _AHEAD)
    judged += end - at
    while end < stop and end - at < _LEAST and not _enough(judged, end - begin, stop - begin):
        last = end
        end, _ = _end_of_line(data, last, stop)
        judged += end - last
    return min(end, at + _AHEAD)


@njit(cache=True, nogil=True, inline="always")
def _moved(moves: Any, rows: Any, state: Any, byte: Any) -> Any:
    return np.uint64(moves[np.uint64(rows[state]) << _EIGHT | np.uint64(byte)])


@njit(cache=True, nogil=True)
def _walk(data: Any, at: int, stop: int, state: Any, automaton: Any) -> None:
    """Set the states behind each byte of data[at:stop], the automaton being in `state` before.

    Each step waits for two loads, so several parts are walked side by side. A state tells what the last few bytes are:
    the later parts begin some bytes early and are in the right state when they come to their start. Where one was not,
    it is walked again.
    """
    moves, rows, states, now, starts = automaton
    moves, rows, states, now = borrowed(moves), borrowed(rows), borrowed(states), borrowed(now)
    parts = max(1, min(_PARTS, (stop - at) // (4 * _WARM)))
    size = (stop - at) // parts
    now[:] = _ROOT
    for early in range(-_WARM, 0):
        for part in range(1, parts):
            now[part] = _moved(moves, rows, now[part], data[at + part * size + early])
    starts[:] = now
    now[0] = state
    for each in range(size):
        for part in range(parts):
            here = _moved(moves, rows, now[part], data[at + part * size + each])
            now[part] = here
            states[part * size + each] = here
    state = now[0]
    for part in range(1, parts):
        if starts[part] == state:
            state = now[part]
            continue
        for each in range(part * size, (part + 1) * size):
            state = _moved(moves, rows, state, data[at + each])
            states[each] = state
    for each in range(parts * size, stop - at):
        state = _moved(moves, rows, state, data[at + each])
        states[each] = state


@njit(cache=True, nogil=True)
def _count(states: Any, features: Any, none: int, counts: Any, seen: Any, n_seen: int, table: Any) -> int:
    """Count the features of states, `none` left out, and list those that are new; gives how many there are now.

    Their rows of the table are sent for: 29 MB lie far off, and to wait for each when it is added took a tenth.
    """
    counts[none] = 1  # never new
    for each in range(len(states)):
        feature = features[states[each]]
        fetch(table, feature)
        before = counts[feature]
        seen[n_seen] = feature
        n_seen += before == 0
        counts[feature] = before + 1
    return n_seen


@njit(cache=True, nogil=True)
def _add_up(of_line: Any, seen_line: Any, of_text: Any, seen_text: Any, n_text: int) -> int:
    """Move the counts of a line to those of its text; gives the number of features that the text has."""
    for feature in seen_line:
        before = of_text[feature]
        seen_text[n_text] = feature
        n_text += before == 0
        of_text[feature] = before + of_line[feature]
        of_line[feature] = 0
    return n_text


@njit(cache=True, nogil=True)
def _weigh(counts: Any, seen: Any, logs: Any, table: Any, prior: Any, values: Any) -> None:
    """Sum log(1 + count) * log p(feature | class) over the features seen, and log p(class)."""
    values[:] = 0
    whole = len(seen) - len(seen) % 4
    for first in range(0, whole, 4):  # four rows at a time, which halves the traffic
        a, b, c, d = seen[first], seen[first + 1], seen[first + 2], seen[first + 3]
        add_four(values, table, (a, b, c, d), (_log(counts[a], logs), _log(counts[b], logs),
                                               _log(counts[c], logs), _log(counts[d], logs)))  # fmt: skip
    for one in range(whole, len(seen)):
        add_one(values, table, seen[one], _log(counts[seen[one]], logs))
    for each in range(len(prior)):
        values[each] += prior[each]


@njit(cache=True, nogil=True, inline="always")
def _log(count: Any, logs: Any) -> Any:
    return logs[count] if count < _KNOWN_LOGS else np.float32(np.log1p(np.float32(count)))


@njit(cache=True, nogil=True)
def _language_of(values: Any, weights: Any, n_bytes: int, first: Any) -> int:
    """Give the class that `_decide` would give a probability of MIN_LINE_SCORE or more, -1 where there is none.

    Most lines are clear without the probabilities of all classes: what is far below the likeliest is nothing beside it.
    """
    n_classes = len(first)
    highest = values[:n_classes].max()
    scale = 1 / np.sqrt(n_bytes)
    total, best = 0.0, 0
    weights[:] = 0
    for each in range(n_classes):
        power = (values[each] - highest) * scale
        if power > _FAINT:
            weight = np.exp(power)
            total += weight
            weights[first[each]] += weight
    for each in range(n_classes):
        if weights[each] > weights[best]:
            best = each
    share = weights[best] / total
    if share > MIN_LINE_SCORE + _CLOSE:
        return best
    if share < MIN_LINE_SCORE - _CLOSE:
        return -1
    label, score = _decide(values, n_bytes, first)
    return label if score >= MIN_LINE_SCORE else -1


@njit(cache=True, nogil=True)
def _decide(values: Any, n_bytes: int, first: Any) -> Any:
    """Give the likeliest class and its probability; classes of one label count together."""
    n_classes = len(first)
    highest = values[:n_classes].max()
    scale = 1 / np.sqrt(n_bytes)
    total = 0.0
    for each in range(n_classes):
        values[each] = np.exp((values[each] - highest) * scale)
        total += values[each]
    best = 0
    for each in range(n_classes):
        if first[each] != each:
            values[first[each]] += values[each]
            values[each] = 0
    for each in range(n_classes):
        if values[each] > values[best]:
            best = each
    return best, values[best] / total
