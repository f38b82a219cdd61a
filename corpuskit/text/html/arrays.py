"""What lies where in the arrays that the segmenter fills, and in its own state."""

from __future__ import annotations

import numpy as np

from corpuskit.text.html.tags import NUMBER as _TAG_NUMBER

#: Columns of an element. FIRST and END: its blocks; TOKENS and TOKENS_END: those of its attributes; NUMBER: what a list
#: starts with.
PARENT, TAG, DEPTH, TOKENS, TOKENS_END, HIDDEN, FIRST, END, NUMBER = range(9)
ELEMENT_COLUMNS = 9
#: Columns of a block: START and STOP in the text, the element it stands in, bytes inside links, links, line breaks by
#: tag, whether it is preformatted.
START, STOP, ELEMENT, LINK, LINKS, BREAKS, FORM = range(7)
BLOCK_COLUMNS = 7
#: Kinds of a mark, (kind, start, stop): a place in the page that `said_kernels` reads. The text of a <title>, the
#: language of <html>, a <time>, a script of JSON, the first `datePublished`; META + n: the content of the nth of
#: META_NAMES.
TITLE, HTML, TIME, JSON, MICRODATA, META = range(1, 7)
#: What `found` tells.
N_TEXT, N_ELEMENTS, N_BLOCKS, N_TOKENS, N_MARKS, FIRST_HEADING = range(6)

#: What the head of a room tells (int64): the bytes that were taken of it, and where these arrays begin and end.
#: ABOUT: what the page says of itself, in lines.
TAKEN, R_MAIN, R_MARKS, R_HEADING, R_TEXT, R_ELEMENTS, R_BLOCKS, R_SAID, R_ABOUT = 0, 2, 4, 6, 8, 10, 12, 14, 16
ROOM_HEAD = 24
#: Bytes of a cache line: arrays in a room begin with one.
LINE = 64

#: Elements that are open at a time; deeper ones are not remembered. Browsers stop to nest there too.
MAX_DEPTH = 512

# The state of the machine: where the text ends and the open block begins, the space that is due (1, or 2 for a line
# feed), line breaks since the last text, link bytes, links and line breaks of the block, the top of the stack, where
# on it a link is open, how many `pre` are, elements that were not remembered, what is passed over, how much there is
# of each, and where the text of the open link begins.
(
    S_POS, S_BEGIN, S_GAP, S_BRS, S_LINK_BYTES, S_LINK_COUNT, S_BREAK_COUNT, S_TOP, S_LINK, S_PRE, S_OVER, S_SKIP_TAG,
    S_SKIP_DEPTH, S_SKIP_INNER, S_ELEMENTS, S_BLOCKS, S_TOKENS, S_MARKS, S_BODY, S_HIDES, S_HEADING, S_NUMBER,
    S_LINK_POS,
) = range(23)  # fmt: skip
STATES = 23

#: The constants of FNV-1a, 32 bits in 64.
OFFSET, PRIME, MASK = np.uint64(2166136261), np.uint64(16777619), np.uint64(0xFFFFFFFF)


def tag_numbers(names: str) -> list[np.int64]:
    """Give the numbers of tags, as the type of the columns."""
    return [np.int64(_TAG_NUMBER[name]) for name in names.split()]
