"""What characters are: the bits that the loops over text look up, one number for every code point."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np
import numpy.typing as npt

from corpuskit.text.kept import kept, source_of
from corpuskit.text.unicode import CODE_POINTS

# White space, letters and line breaks as str.isspace, isalpha and splitlines see them; the symbols and the terminal
# punctuation of datatrove; decimal digits of any script.
SPACE, ALPHABETIC, SYMBOL, LINE_BREAK, TERMINAL, DECIMAL = 1, 2, 4, 8, 16, 32
# For parting words: letters (with their marks) that are lower or upper case, both where a script has no case; 0 to 9;
# quotes; currency signs; what parts from the start and the end of a word; what a full stop parts from; punctuation by
# Unicode's category; and whatever is none of letter, mark or digit.
LETTER, LOWER, UPPER, DIGIT, QUOTE, CURRENCY = 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11
PREFIX, SUFFIX, STOPPED, ICON, PUNCTUATION, OTHER = 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17

_SPANS = """21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736
        17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D
        2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F
        AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1
        11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7
        11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F
        16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88"""

#: The marks that end a sentence in the scripts of the world.
TERMINALS = frozenset(
    chr(code)
    for span in _SPANS.split()
    for code in range(int(span.split("-")[0], 16), int(span.split("-")[-1], 16) + 1)
)

#: The characters of which a word may be made alone without counting as one: datatrove's punctuation.
SYMBOLS = TERMINALS.union(
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】（），．：；？！％～１",
    map(chr, [*range(9), 11, 12, *range(13, 32), *range(127, 160)]),
)

_QUOTES = frozenset("'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉⟦⟧")
_SEPARATE = _QUOTES.union("…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪", TERMINALS) - {"."}
_CURRENCY = frozenset("$£€¥฿﷼₽₴" + "".join(map(chr, range(0x20A0, 0x20C0))))
# Nothing above is a letter, a space or a sign, but for what versions of Unicode to come may add.
_LAST = 0x34000


@functools.lru_cache(maxsize=1)
def properties() -> npt.NDArray[np.uint32]:
    """Give the property bits of every code point."""
    version = f"{unicodedata.unidata_version} {CODE_POINTS} ".encode() + source_of(__file__)
    return kept("characters", version, lambda: {"bits": _made()})["bits"]


def _made() -> npt.NDArray[np.uint32]:
    table = np.zeros(CODE_POINTS, np.uint32)
    table[:_LAST] = [_bits(chr(code)) for code in range(_LAST)]
    table[_LAST:] = OTHER
    return table


def _bits(char: str) -> int:
    category = unicodedata.category(char)
    if category == "Cn":
        return OTHER
    letter = category[0] in "LM"
    bits = 0
    if letter:
        lower, upper = char.islower(), char.isupper()
        bits |= LETTER + (not upper) * LOWER + (not lower) * UPPER + char.isalpha() * ALPHABETIC
    elif not "0" <= char <= "9":
        bits |= OTHER + char.isalpha() * ALPHABETIC
    else:
        bits |= DIGIT
    if category == "Nd":
        bits |= DECIMAL
    if char.isspace():
        bits |= SPACE + (len(f"a{char}b".splitlines()) > 1) * LINE_BREAK
    bits |= (char in SYMBOLS) * SYMBOL + (char in TERMINALS) * TERMINAL
    return bits | _parting(char, category, bits)


def _parting(char: str, category: str, bits: int) -> int:
    """Give the bits that say where a sign parts from a word, as the rules of spaCy's English tokenizer have it."""
    icon, quote = category == "So", char in _QUOTES
    separate = icon or char in _SEPARATE
    return (
        (separate or char in _CURRENCY or char in "§%=—–") * PREFIX
        + (separate or char in "—–") * SUFFIX
        + (bool(bits & (LOWER | DIGIT)) or char in "%²-+|\\?:" or char in _SEPARATE - {"…"}) * STOPPED
        + quote * QUOTE
        + (char in _CURRENCY) * CURRENCY
        + icon * ICON
        + (category[0] == "P") * PUNCTUATION
    )
