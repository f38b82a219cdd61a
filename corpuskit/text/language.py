"""Tell the language of texts, and which share of a text is in it.

The model is the one of py3langid 0.4 (BSD-3-Clause; Lui and Baldwin 2012, retrained by A. Barbaresi): naive Bayes over
byte n-grams that an automaton finds, 139 languages, in that library's wheel. It is run here by loops of our own, which
give the labels of py3langid and its normalised probabilities but for rounding.

Of 39,070 real sentences in 79 languages it names .912 right, .981 of the 25 largest languages of Common Crawl. What it
trades: Maori, Tigrinya, Tswana and Tsonga are not among its languages (Tigrinya reads as Amharic), half the Bosnian is
taken for Croatian and most Malay for Indonesian. See tests/bench/bench_language.py for it and its peers.

The score is a probability that is tempered by the square root of the text's bytes, so that it does not run up to 1
with the length alone: it compares between documents. Close languages share it: Chinese with Wu and Cantonese, Bosnian
with Croatian. Thresholds of other tools are not quite its own: of the sentences that it names right, fastText's
lid.176 gives .88 a score of .65 (FineWeb's threshold) or more; this model gives .95 of its own .65, and .88 of them
.83 or more.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import lzma
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import Unavailable, UsageError
from corpuskit.text.kept import Arrays, kept, source_of
from corpuskit.text.unicode import CODE_POINTS, utf8

#: The label of a text that says nothing of its language, ISO 639's own. Its score and share are 0.
UNDETERMINED = "und"
#: Lines of fewer bytes, and lines that the model is less sure of, are in the language of the line before them.
MIN_LINE_BYTES = 40
MIN_LINE_SCORE = 0.5
#: Of longer texts, lines of about so many bytes, spread over the text, are judged: more bytes name it no better.
JUDGED_BYTES = 4096

_COLUMNS = 16  # of a table, as the loops add them up

# The property bits of a code point.
UPPER, LOWER, UNSETTLED = 1, 2, 4

# Labels of the model that have a shorter code.
_SHORTER = {"kik": "ki"}


_LABELS = (
    "ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr "
    "fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab ki kk km kn ko "
    "ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru "
    "rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo "
    "yue zh zu zxx"
)
#: The labels that `identify` gives: ISO 639-1, or 639-3 where there is no shorter one. `zxx` is text in no language.
LANGUAGES: tuple[str, ...] = tuple(_LABELS.split())


class Identified(NamedTuple):
    """A label (string), its score and its share (float32) for each text."""

    labels: pa.Array
    scores: pa.Array
    shares: pa.Array


class Model(NamedTuple):
    """The arrays of the model: an automaton over bytes, and a row of log-probabilities for each feature.

    `moves` [rows * 256] gives states, `rows` and `features` go by state; none is the feature behind the last. `table`
    is [features, classes and zeros up to a multiple of _COLUMNS], the bits of float16, `prior` [classes]. `first` is
    the first class with the same label.
    """

    moves: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint16]
    features: npt.NDArray[np.int32]
    table: npt.NDArray[np.uint16]
    prior: npt.NDArray[np.float32]
    first: npt.NDArray[np.int64]


def identify(texts: pa.Array) -> Identified:
    """Name the language of each text, its probability, and the share of characters in lines of that language.

    Short or unclear lines are taken to be in the language of the line before them (those at the start, of the one
    after). Null and empty texts are UNDETERMINED. Raises Unavailable where the model is not installed.
    """
    from corpuskit.text import language_kernels as kernels

    model, names = _model()
    data, offsets = _bytes_of(_settled(texts))
    n = len(texts)
    classes, scores, shares = np.full(n, -1, np.int64), np.zeros(n, np.float32), np.zeros(n, np.float32)
    if offsets[-1] > offsets[0]:
        kernels.identify(data, offsets, model, classes, scores, shares)
    labels = pa.array(np.array([*names, UNDETERMINED], dtype=object)[classes], pa.string())
    return Identified(labels, pa.array(scores), pa.array(shares))


def thresholds(words: Sequence[str], where: str = "--min-language-score") -> dict[str, float]:
    """Parse words such as `en=0.65`; `*=0.5` is for the languages that no other word names. Raises UsageError."""
    found: dict[str, float] = {}
    for word in words:
        label, _, number = (part.strip() for part in word.partition("="))
        try:
            value = float(number)
        except ValueError:
            raise UsageError(where, f"expected LANGUAGE=SCORE, got {word!r}", "write it like en=0.65") from None
        if not 0 <= value <= 1:
            raise UsageError(where, f"expected a score from 0 to 1, got {number} for {label}")
        if label != "*" and label not in LANGUAGES:
            raise UsageError(where, f"no language {label!r} is known", _hint(label))
        if label in found:
            raise UsageError(where, f"{label} is named twice", "name it once")
        found[label] = value
    return found


def shorter(label: str) -> str:
    """Give the shortest code of a label of the model."""
    return _SHORTER.get(label, label)


def _hint(label: str) -> str:
    alike = [name for name in LANGUAGES if name[:1] == label[:1].lower()]
    also = f"; with {label[0].lower()} there are {', '.join(alike)}" if label and alike else ""
    return f"codes are those of ISO 639, such as en, zh, ltg; Norwegian is no{also}"


def _settled(texts: pa.Array) -> pa.Array:
    """Give texts as the model knows them: normal form C, and small letters where all are capitals."""
    from corpuskit.text import language_kernels as kernels

    if texts.null_count:
        texts = texts.fill_null("")
    data, offsets = _bytes_of(texts)
    if offsets[-1] == offsets[0]:
        return texts
    suspect = np.zeros(len(texts), np.bool_)
    kernels.look_twice(data, offsets, _properties(), suspect)
    changed: dict[int, str] = {}
    for row in np.flatnonzero(suspect).tolist():
        text = data[offsets[row] : offsets[row + 1]].tobytes().decode(errors="replace")
        settled = unicodedata.normalize("NFC", text.lower() if text.isupper() else text)
        if settled != text:
            changed[row] = settled
    if not changed:
        return texts
    import pyarrow.compute as pc

    mask = np.zeros(len(texts), np.bool_)
    mask[list(changed)] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(changed.values(), texts.type))


def _bytes_of(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Give `utf8` of texts, never writable, as some of Arrow's buffers are: the loops are compiled for one kind."""
    data, offsets = utf8(texts)
    data = data.view()
    data.flags.writeable = False
    return data, offsets


@functools.lru_cache(maxsize=1)
def _model() -> tuple[Model, list[str]]:
    """Read the model out of the wheel, without importing the library; gives the label of each class too."""
    spec = importlib.util.find_spec("py3langid")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            "language", "py3langid, whose model names languages, is not installed", "pip install py3langid"
        )
    file = Path(spec.submodule_search_locations[0]) / "data" / "model.npz.xz"
    try:
        packed = file.read_bytes()
        arrays = kept("language-rows", packed, lambda: _unpacked(packed))
        classes = [str(name) for name in arrays["classes"]]
        first = np.array([classes.index(name) for name in classes], np.int64)
        first.flags.writeable = False
        moves, rows, features = arrays["nextmove"], arrays["nextmove_row"], arrays["out_feat"]
        model = Model(moves, rows, features, arrays["ptc"], arrays["pc"], first)
    except (OSError, KeyError, ValueError, lzma.LZMAError) as error:
        problem = f"its model is not the one of 0.4: {type(error).__name__}"
        raise Unavailable("py3langid", problem, "pip install 'py3langid>=0.4,<0.5'") from None
    _check(model, len(classes))
    return model, [shorter(name) for name in classes]


def _unpacked(packed: bytes) -> Arrays:
    """Unpack the model's 68 MB, which takes half a second, and make its rows wider: see Model."""
    with np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in ("classes", "nextmove", "nextmove_row", "out_feat", "ptc", "pc")}
    table = found["ptc"].view(np.uint16)
    found["ptc"] = np.pad(table, ((0, 0), (0, -table.shape[1] % _COLUMNS)))
    found["out_feat"] = np.where(found["out_feat"] < 0, len(table), found["out_feat"]).astype(np.int32)
    return found


def _check(model: Model, n_classes: int) -> None:
    """Refuse arrays that the compiled loops, which do not check bounds, could run out of."""
    arrays: tuple[npt.NDArray[Any], ...] = model
    kinds = tuple(map(np.dtype, ("uint32", "uint16", "int32", "uint16", "float32", "int64")))
    fits = (
        tuple(array.dtype for array in arrays) == kinds
        and len(model.rows) == len(model.features)
        and len(model.prior) == n_classes
        and model.table.shape[1] == n_classes + -n_classes % _COLUMNS
        and int(model.moves.max()) < len(model.rows)
        and (int(model.rows.max()) + 1) * 256 <= len(model.moves)
        and int(model.features.min()) >= 0
        and int(model.features.max()) <= len(model.table)
    )
    if not fits:
        raise Unavailable("py3langid", "its model is not the one of 0.4", "pip install 'py3langid>=0.4,<0.5'")


@functools.lru_cache(maxsize=1)
def _properties() -> npt.NDArray[np.uint8]:
    """Give the property bits of every code point: see `_properties_made`."""
    version = f"{unicodedata.unidata_version} {CODE_POINTS} ".encode() + source_of(__file__)
    return kept("language-characters", version, lambda: {"bits": _properties_made()})["bits"]


def _properties_made() -> npt.NDArray[np.uint8]:
    """Make the property bits of every code point.

    UNSETTLED are those that normal form C changes or may change together with another: whatever it changes alone, has
    a combining class, or is the second half of a composition.
    """
    table = np.zeros(CODE_POINTS, np.uint8)
    # Unicode has neither case nor compositions elsewhere.
    for code in (*range(0x20000), *range(0x2F800, 0x2FA20)):
        char = chr(code)
        if 0xD800 <= code < 0xE000:
            continue
        table[code] |= char.isupper() * UPPER | (char.islower() or unicodedata.category(char) == "Lt") * LOWER
        if unicodedata.combining(char) or not unicodedata.is_normalized("NFC", char):
            table[code] |= UNSETTLED
        parts = unicodedata.decomposition(char).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            table[int(parts[1], 16)] |= UNSETTLED
    table[0x1161:0x1176] |= UNSETTLED  # Korean vowels and finals, which compose by rule
    table[0x11A8:0x11C3] |= UNSETTLED
    return table
