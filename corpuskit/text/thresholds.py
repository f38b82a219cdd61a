"""Read bounds that a user gives, such as `words>=20`, and put them into a preset."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from corpuskit.errors import UsageError
from corpuskit.text import presets
from corpuskit.text.signals import SIGNALS

_WORD = re.compile(r"([a-z0-9_]+)\s*(>=|<=|=)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
#: Signals that are measured beside those of `signals.SIGNALS`.
FURTHER = ("language_score", "language_share", "perplexity", "removed_chars", "html_confidence")


def rules_of(preset: str, thresholds: Sequence[str], where: str = "--threshold") -> tuple[presets.Rule, ...]:
    """Give a preset's rules with the bounds of words like `words>=20`, `dup_lines<=0.5`, `words=20`.

    `=` moves the bound that the preset has on the signal, the lower one where it has both. A bound on a signal that the
    preset does not look at is a rule of its own, tried first, with the reason `too_low` or `too_high`. Of two bounds on
    one side of a signal the last counts. Raises UsageError that says what is wrong with a word.
    """
    rules = list(presets.PRESETS[preset])
    for word in thresholds:
        found = _WORD.fullmatch(word.strip())
        if found is None:
            raise UsageError(
                where, f"expected SIGNAL>=VALUE, SIGNAL<=VALUE or SIGNAL=VALUE, got `{word}`", "write it like words>=20"
            )
        signal, sign, value = found[1], found[2], float(found[3])
        if signal not in (*SIGNALS, *FURTHER):
            raise UsageError(where, f"there is no signal `{signal}`", _hint(signal))
        side = {">=": "at_least", "<=": "at_most"}.get(sign) or _side(rules, signal, word, where)
        _put(rules, signal, side, value)
    return tuple(rules)


def in_words(rule: presets.Rule) -> str:
    """Say a rule's bounds: `words >= 50`."""
    bounds = ((">=", rule.at_least), ("<=", rule.at_most))
    return ", ".join(f"{rule.signal} {sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _side(rules: Sequence[presets.Rule], signal: str, word: str, where: str) -> str:
    for side in ("at_least", "at_most"):
        if any(rule.signal == signal and getattr(rule, side) is not None for rule in rules):
            return side
    raise UsageError(where, f"`{word}`: the preset has no bound on {signal}", f"say {signal}>= or {signal}<=")


def _put(rules: list[presets.Rule], signal: str, side: str, value: float) -> None:
    mine = [at for at, rule in enumerate(rules) if rule.signal == signal and getattr(rule, side) is not None]
    change = {side: value}
    for at in mine:
        rules[at] = dataclasses.replace(rules[at], **change)  # type: ignore[arg-type]
    if not mine:
        reason = "too_low" if side == "at_least" else "too_high"
        rules.insert(0, dataclasses.replace(presets.Rule(reason, signal, f"({signal})"), **change))  # type: ignore[arg-type]


def _hint(signal: str) -> str:
    import difflib

    known = (*SIGNALS, *FURTHER)
    close = difflib.get_close_matches(signal, known, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
