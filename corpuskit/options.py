"""One frozen dataclass declares a stage's options; the command line, recipes and reference derive from it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpuskit.errors import UsageError

_SEE = "its `--help` tells more"
_WORDS = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}


def option(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    max: float | None = None,
    choices: Sequence[str] | None = None,
    how: bool = False,
) -> Any:
    """Declare a field of an options dataclass. `...` as the default makes it required; None means off.

    An option with `how` says how the work is done, never what comes out: it is no part of the key and leaves no trace.
    """
    metadata = {"help": help, "min": min, "max": max, "choices": tuple(choices) if choices else None, "how": how}
    if default is ...:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """One option as its users meet it."""

    name: str
    kind: type
    many: bool  # a tuple on the Python side, a repeated flag or a TOML array outside
    optional: bool  # may be None, which means off
    required: bool
    default: Any
    help: str
    min: float | None
    max: float | None
    choices: tuple[str, ...] | None
    how: bool  # leaves no trace in the output

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")


def specs(options: type) -> list[OptionSpec]:
    """List the options of a dataclass in the order of their declaration, those that leave no trace last."""
    hints = typing.get_type_hints(options)
    found = []
    for field in dataclasses.fields(options):
        hint, optional, many = hints[field.name], False, False
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
            optional = True
        if typing.get_origin(hint) is tuple:
            hint, many = typing.get_args(hint)[0], True
        if hint not in _WORDS:
            raise TypeError(f"{options.__qualname__}.{field.name}: an option is int, float, str, bool, a tuple or None")
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        found.append(OptionSpec(field.name, hint, many, optional, required, default, **dict(field.metadata)))
    return sorted(found, key=lambda spec: spec.how)


def build(options: type, given: Mapping[str, Any], where: str) -> Any:
    """Make the options value out of words from a recipe or a command line.

    Raises UsageError that names `where` and the option: unknown, missing, of the wrong type, or out of bounds.
    """
    known = {spec.name: spec for spec in specs(options)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(where, f"unknown option `{name}`", _did_you_mean(name, known))
        values[name] = _check(known[name], value, where)
    for spec in known.values():
        if spec.required and spec.name not in values:
            raise UsageError(where, f"`{spec.name}` is required", f"give it: {spec.help}")
    return options(**values)


def traceless(options: type) -> set[str]:
    """Name the options that are no part of the key."""
    return {field.name for field in dataclasses.fields(options) if field.metadata.get("how")}


def plain(options: Any) -> dict[str, Any]:
    """Give an options value as JSON-ready words, every option resolved."""
    out = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        out[field.name] = list(value) if isinstance(value, tuple) else value
    return out


def _check(spec: OptionSpec, value: Any, where: str) -> Any:
    if value is None and (spec.optional or spec.default is None):
        return None
    if spec.many:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise UsageError(where, f"`{spec.name}`: expected an array, got {_shown(value)}", _SEE)
        return tuple(_check_one(spec, each, where) for each in value)
    return _check_one(spec, value, where)


def _check_one(spec: OptionSpec, value: Any, where: str) -> Any:
    if spec.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, spec.kind) or (spec.kind is not bool and isinstance(value, bool)):
        raise UsageError(where, f"`{spec.name}`: expected {_WORDS[spec.kind]}, got {_shown(value)}", _SEE)
    if spec.choices and value not in spec.choices:
        raise UsageError(where, f"`{spec.name}`: expected one of {', '.join(spec.choices)}, got {_shown(value)}", _SEE)
    if isinstance(value, (int, float)):
        # `not (>=)` rather than `<`, so that NaN is refused too.
        if spec.min is not None and not value >= spec.min:
            raise UsageError(where, f"`{spec.name}`: expected at least {spec.min:g}, got {_shown(value)}", _SEE)
        if spec.max is not None and not value <= spec.max:
            raise UsageError(where, f"`{spec.name}`: expected at most {spec.max:g}, got {_shown(value)}", _SEE)
    return value


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value!r}"


def _did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean `{close[0]}`?" if close else f"it has: {', '.join(sorted(known)) or 'no options'}"
