"""What templates show: a table of programs for those that carry words or values within a sentence.

A program is a text in which `$1` to `$9` stand for positional arguments, `$*` for all of them run together, `$,` for
all of them with commas, `$-` for the last and `$$` for a dollar sign. A key may end in `/n`: for exactly n arguments.
A program that finds none of the arguments it names shows nothing. No program names an argument twice: nested
templates would grow exponentially.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

from corpuskit.text.wiki_names import MEDIA_EXTENSIONS

Named = Mapping[str, str]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.replace("\n", "|").split("|") if name.strip()]


#: Layout and markup that shows its first argument, or its second, or its last.
_FIRST = """
    nowrap|nobr|nobreak|small|smaller|big|larger|nobold|longitem|center|abbr|tooltip|sc|smallcaps|sic|linktext
    mvar|math|mono|code|samp|kbd|keypress|angbr|angle|ipa|ipa link|ipalink|unicode|vr|music|text|visible anchor|vanchor
    flag|flagu|flagcountry|bandera|bannera|banderaikur|flaga|флагче|зас|знаме|country|nts|number|quote|blockquote|cquote
    quotation|цитата|仮リンク|lien|gloss|em|strong|bold|italic|underline
    comment|ألمانية|incise|marriage|ja|railgauge|track gauge|lit|lit.|literal translation|translation|as written
    midsize|nombre/1|unité/1|currency/1|val/1|date-|linkless|not a typo|typo|proper name|birth-date|death-date
"""
_SECOND = """
    lang|langx|langi|langue|en langue|rtl-lang|color|colour|font color|fontcolor|resize|script|native name
    legend|легенда
"""
_LAST = "transl|transliteration|translit|sort|rotate|hs"

#: Programs by template name: lower-case, with spaces.
PROGRAMS: dict[str, str] = {
    **dict.fromkeys(_names(_FIRST), "$1"),
    **dict.fromkeys(_names(_SECOND), "$2"),
    **dict.fromkeys(_names(_LAST), "$-"),
    "frac/1": "1/$1",
    "frac/2": "$1/$2",
    "frac/3": "$1 $2/$3",
    "sfrac/1": "1/$1",
    "sfrac/2": "$1/$2",
    "sfrac/3": "$1 $2/$3",
    "chem": "$*",
    "chem2": "$*",
    "simplenuclide": "$1-$2",
    "simplenuclide2": "$1-$2",
    "nuclide2": "$1-$2",
    "lang3": "$3",
    "ship": "$1 $2",
    "uss": "USS $1",
    "hms": "HMS $1",
    "ss": "SS $1",
    "us$": "US$$$1",
    "usd": "US$$$1",
    "€": "€$1",
    "eur": "€$1",
    "£": "£$1",
    "gbp": "£$1",
    "¥": "¥$1",
    "inr": "₹$1",
    "currency/2": "$1 $2",
    "unité/2": "$1 $2",
    "unité/3": "$1 $2$3",
    "nombre/2": "$1 $2",
    "höhe": "$1 m",
    "circa": "c. $1",
    "c.": "c. $1",
    "floruit": "fl. $1",
    "isbn": "ISBN $1",
    "vol.": "Vol. $1",
    "s/2": "$1$2 siècle",
    "s-": "$1e",
    "segle": "segle $1",
    "date": "$1 $2 $3",
    "heure": "$1 h",
    "hlist": "$,",
    "flatlist": "$,",
    "ubl": "$,",
    "unbulleted list": "$,",
    "plainlist": "$1",
    "percentage/2": "$1/$2",
    "sortname": "$1 $2",
    "inflation/3": "$2",
    "oldstyledate": "$1 $2",
    "bibleref": "$1 $2",
    "bibleverse": "$1 $2:$3",
    "дата": "$3-$2-$1",
}

#: Templates that stand for characters when they have no arguments.
CHARACTERS: dict[str, str] = {
    "!": "|",
    "=": "=",
    "(": "{",
    ")": "}",
    "'": "'",
    "'s": "'s",
    "' \"": "' \"",
    '-"': '"',
    "snd": " – ",
    "spnd": " – ",
    "spaced ndash": " – ",
    "spaced en dash": " – ",
    "ndash": "–",
    "en dash": "–",
    "mdash": "—",
    "mdashb": "—",
    "em dash": "—",
    "nbsp": " ",
    "spaces": " ",
    "space": " ",
    "thinsp": " ",
    "thin space": " ",
    "hair space": " ",
    "wbr": "",
    "·": " · ",
    "•": " • ",
    "dot": " · ",
    "bull": " • ",
    "ldots": "…",
    "pi": "π",
    "times": "×",
    "minus": "−",
    "deg": "°",
    "prime": "′",
    "sharp": "♯",
    "flat": "♭",
    "yes": "Yes",
    "no": "No",
    "n/a": "N/A",
    "clear": "\n",
    "-": "\n",
    "br": "\n",
    "к.": "к.",
    "м.": "м.",
    "л.": "л.",
    "х.": "х.",
    "нар": "нар.",
    "1er": "1er",
    "ier": "er",
    "градус цельсія": "°C",
}

#: Templates that show nothing that belongs in a text, also where they stand within a sentence.
DROPPED = frozenset(
    _names(
        """
    r|ref|refn|rp|efn|sfn|sfnp|note|notetag|cref|cref2|cn|fact|clarify|who|whom|when|where|which|why|vague|dn|dubious
    webarchive|coord|anchor|якір|flagicon|flagdeco|прапорець|прапорець20|прапорзначок|знамеикона|ikonazastave|audio
    audio-ipa|listen|main|see|seealso|further|about|0|джерело|коли|fldez|smn|oclc|issn|doi|pmid|pmc|arxiv|bibcode|jstor
    url|youtube|google books|increase|decrease|збільшення|зменшення|portal|commons|commonscat|wikisource|wikiquote
    wiktionary|maplink|lähde|הערה|extinct|pow|in lang|citation needed|ref label|note label|page needed|by whom
    according to whom|better source|failed verification|dead link|недоступне посилання|liên kết hỏng|cần chú thích
    cần dẫn nguồn|cần số trang|số trang|нет аи|update inline|update after|verify source|not in source|weasel-inline
    full citation needed|color box|see also|official website|un population|biểu tượng lá cờ|lá cờ|map caption
    inflation-fn|subscription or libraries|fossil range|немає в джерелі|chính|xem thêm|докладніше|bartable|еіу
    relevance inline|prononciation|âm thanh|philpapers|inpho|ol author|planetmath|dmoz|wikidata|authority control|k-de
    """
    )
)
_DROPPED_PREFIXES = (
    "cite ",
    "citation",
    "chú thích",
    "harv",
    "infobox",
    "navbox",
    "flagicon",
    "ref-",
    "use dmy",
    "use mdy",
    "icd",
    "medline",
    "emedicine",
    "ipac-",
    "respell",
    "metadat",
    "population ",
    "ribbon",
)
_FIRST_PREFIXES = ("lang-", "ipa-", "vol-", "link-")
_TEXT_KEYS = ("text", "texte", "content", "code", "quote")
_ICON = re.compile(r"[a-z]{2,3} icon$")
_REFERENCE = re.compile(r"\$([1-9*,$-])")
_NUMBER = re.compile(r"[+−–-]?\d[\d.,\u00a0\u202f ]*(?:/\d+)?$")
_EXPRESSION = re.compile(r"\(?\s*(\d[\d.]{0,20})\s*([-+*/])\s*(\d[\d.]{0,20})\s*\)?(?:\s*round\s*(\d))?")
_DIGITS = re.compile(r"[0-9+−–-]+")
_SUPERSCRIPT = str.maketrans("0123456789+−–-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
_SUBSCRIPT = str.maketrans("0123456789+−–-", "₀₁₂₃₄₅₆₇₈₉₊₋₋₋")
_MAX_UNIT_CHARS = 30

_RANGES = {
    **{"to": " to ", "and": " and ", "or": " or ", "by": " by ", "to(-)": "–", "-": "–", "–": "–"},
    **{"x": " × ", "×": " × ", "*": " × ", "xx": " × ", "+/-": " ± ", "±": " ± ", "+": " + ", ",": ", "},
}
_UNITS = {
    **{"km2": "km²", "m2": "m²", "cm2": "cm²", "mm2": "mm²", "km3": "km³", "m3": "m³", "cm3": "cm³"},
    **{"sqkm": "km²", "sqm": "m²", "sqmi": "sq mi", "mi2": "sq mi", "sqft": "sq ft", "ft2": "sq ft", "sqin": "sq in"},
    **{"cuft": "cu ft", "ft3": "cu ft", "cuin": "cu in", "cumi": "cu mi", "kph": "km/h", "C": "°C", "F": "°F"},
    **{"PD/sqmi": "per sq mi", "PD/km2": "per km²", "/sqmi": "per sq mi", "/km2": "per km²"},
}
_SUBUNITS = {"ft": "in", "lb": "oz", "st": "lb", "mi": "yd", "yd": "ft"}


def normalise(name: str) -> str:
    """Give a template's name as the tables have it: lower-case, single spaces, no namespace, no substitution."""
    name = " ".join(name.replace("_", " ").split()).lower()
    for prefix in ("subst:", "safesubst:", "template:"):
        name = name.removeprefix(prefix)
    return name.strip()


def render(name: str, positional: Sequence[str], named: Named, title: str, inline: bool) -> str | None:
    """Give what a template shows, or None where it shows nothing that belongs in the text.

    An unknown template within a sentence (`inline`) shows its only positional argument, or a number with what follows
    it: most that are met so are units, languages or layout. On a line of its own it is furniture. `name` is normalised.
    """
    if not positional and name in CHARACTERS:
        return CHARACTERS[name]
    function = _FUNCTIONS.get(name)
    if function:
        return function(positional, named)
    program = PROGRAMS.get(f"{name}/{len(positional)}") or PROGRAMS.get(name)
    if program is not None:
        return _fill(program, positional) or next((named[key] for key in _TEXT_KEYS if named.get(key)), None)
    if name in DROPPED or name.startswith(_DROPPED_PREFIXES) or _ICON.match(name):
        return None
    if name.startswith(_FIRST_PREFIXES):
        return positional[0] if positional else None
    if name == "pagename" and title:
        return title
    if ":" in name or not inline or named or not positional or "\n" in positional[0]:
        return None
    if len(positional) == 1:
        return None if positional[0].lower().endswith(MEDIA_EXTENSIONS) else positional[0]
    return " ".join(positional[:2]) if _NUMBER.match(positional[0]) and len(positional[1]) <= _MAX_UNIT_CHARS else None


def parser_function(head: str, argument: str, rest: Sequence[str]) -> str | None:
    """Give what `{{head:argument|rest}}` shows, or None."""
    if head in ("formatnum", "lc", "uc", "lcfirst", "ucfirst"):
        return argument.strip()
    if head in ("plural", "grammar"):
        return rest[-1] if rest else argument.strip()
    if head == "gender":
        return rest[0] if rest else None
    return _expression(argument) if head == "#expr" else None


def script(text: str, kind: str) -> str:
    """Write a number with superscript ("sup") or subscript ("sub") characters, anything else as it is."""
    return text.translate(_SUPERSCRIPT if kind == "sup" else _SUBSCRIPT) if _DIGITS.fullmatch(text) else text


def _fill(program: str, positional: Sequence[str]) -> str | None:
    used = False

    def argument(reference: re.Match[str]) -> str:
        nonlocal used
        which = reference[1]
        if which == "$":
            return "$"
        if which == "*":
            value = "".join(positional)
        elif which == ",":
            value = ", ".join(each for each in positional if each)
        else:
            at = len(positional) if which == "-" else int(which)
            value = positional[at - 1] if 0 < at <= len(positional) else ""
        used = used or bool(value)
        return value

    filled = _REFERENCE.sub(argument, program).strip()
    return filled if used else None


def _expression(text: str) -> str | None:
    """Work out `a / b round n`; anything longer shows nothing."""
    found = _EXPRESSION.fullmatch(text.strip())
    if not found:
        return None
    try:
        a, b = Decimal(found[1]), Decimal(found[3])
        value = {"+": a + b, "-": a - b, "*": a * b}[found[2]] if found[2] != "/" else a / b
        rounded = value.quantize(Decimal(1).scaleb(-int(found[4] or 9)), ROUND_HALF_UP)
    except ArithmeticError:
        return None
    return f"{rounded.normalize():f}"


def _convert(positional: Sequence[str], named: Named) -> str | None:
    """{{convert|6|ft|1|in|m}} shows "6 ft 1 in", {{convert|5|to|7|km|mi}} shows "5 to 7 km"."""
    if not positional or not positional[0]:
        return None
    shown, at = positional[0], 1
    while at + 1 < len(positional) and positional[at] in _RANGES:
        shown += _RANGES[positional[at]] + positional[at + 1]
        at += 2
    if at < len(positional):
        unit = positional[at]
        shown += " " + _UNITS.get(unit, unit)
        more = positional[at + 1 : at + 3]
        if len(more) == 2 and _NUMBER.match(more[0]) and _SUBUNITS.get(unit) == more[1]:
            shown += f" {more[0]} {more[1]}"
    return shown


def _value(positional: Sequence[str], named: Named) -> str | None:
    shown = " ± ".join(positional[:2])
    power = "×10" + script(named["e"], "sup") if named.get("e") else ""
    unit = named.get("u") or named.get("ul") or ""
    return f"{shown}{power} {unit}".strip() if shown else None


def _date(positional: Sequence[str], named: Named) -> str | None:
    parts = [part for part in positional[:3] if part]
    if parts and all(part.isdigit() for part in parts):
        return "-".join(part.zfill(2) for part in parts)
    return " ".join(parts) or None


def _nihongo(positional: Sequence[str], named: Named) -> str | None:
    main, *more = positional or [""]
    foreign = ", ".join(part for part in more[:2] if part)
    return f"{main} ({foreign})" if main and foreign else main or foreign or None


def _chinese(positional: Sequence[str], named: Named) -> str | None:
    shown = [named[name] for name in ("c", "t", "s", "p", "w", "j", "l") if named.get(name)]
    return ", ".join(shown or positional) or None


def _as_of(positional: Sequence[str], named: Named) -> str | None:
    when = " ".join(part for part in positional[2::-1] if part)
    return named.get("alt") or ((("as of " if named.get("lc") else "As of ") + when) if when else None)


def _other_language(positional: Sequence[str], named: Named) -> str | None:
    return named.get("lt") or (positional[0] if positional else None)


def _not_translated(positional: Sequence[str], named: Named) -> str | None:
    """{{нп|title|text|language|title there}} shows the text, or the title."""
    return next((shown for shown in (*positional[1:2], *positional[:1]) if shown), None)


def _superscript(positional: Sequence[str], named: Named) -> str | None:
    return script(positional[0], "sup") if positional else None


def _power_of_ten(positional: Sequence[str], named: Named) -> str | None:
    return "×10" + script(positional[0], "sup") if positional else None


def _subscript(positional: Sequence[str], named: Named) -> str | None:
    return script(positional[0], "sub") if positional else None


_DATES = """
    birth date|birth date and age|death date|death date and age|start date|start date and age|end date|film date
    release date|start-date|end-date|dts|ngày sinh|ngày mất và tuổi|ngày bắt đầu và tuổi|дата релізу та вік
"""
_FUNCTIONS: dict[str, Callable[[Sequence[str], Named], str | None]] = {
    **dict.fromkeys(_names(_DATES), _date),
    "convert": _convert,
    "cvt": _convert,
    "sup": _superscript,
    "sub": _subscript,
    "val": _value,
    **dict.fromkeys(("нп", "нп2", "нп3", "нп5", "iw", "не перекладено", "не переведено"), _not_translated),
    "nihongo": _nihongo,
    "nihongo4": _nihongo,
    "zh": _chinese,
    "e": _power_of_ten,
    "as of": _as_of,
    "ill": _other_language,
    "interlanguage link": _other_language,
}
