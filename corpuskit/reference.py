"""The reference page of all stages, derived from their declarations; `make docs` writes it to docs/stages.md."""

from __future__ import annotations

from collections.abc import Iterator

from corpuskit import catalog
from corpuskit.options import OptionSpec, specs
from corpuskit.plan import final_artifacts
from corpuskit.stage import Files, Stage, Table


def lines() -> Iterator[str]:
    """Give the page in Markdown, line by line."""
    yield "# Stages"
    yield ""
    yield "Made from the stages' declarations by `make docs`; do not edit."
    for words in catalog.discover():
        stage = catalog.load(words)
        yield ""
        yield f"## {words}"
        yield ""
        yield f"    {usage(words, stage)}"
        yield ""
        for paragraph in catalog.docstring(words).split("\n\n"):
            # Indented lines are a table: four more spaces make them one in Markdown too.
            table = paragraph.startswith(" ")
            yield from (("    " if table else "") + line for line in paragraph.split("\n"))
            yield ""
        yield f"Reads {_reads(stage)}; writes {_writes(stage)}. Version {stage.version}."
        yield from _options(stage)
        yield from _reasons(stage)


def help_text(words: str, stage: Stage) -> str:
    """Give a command's help: its docstring and the reasons of its ledger."""
    # Click fills paragraphs anew, but for those that say not to: tables and lists here.
    paragraphs = catalog.docstring(words).split("\n\n")
    text = "\n\n".join(
        "\b\n" + each if any(line.startswith((" ", "* ", "- ")) for line in each.split("\n")) else each
        for each in paragraphs
    )
    if stage.reasons:
        longest = max(map(len, stage.reasons))
        lines = [f"  {reason.ljust(longest)}  {meaning}" for reason, meaning in stage.reasons.items()]
        text += "\n\n\b\nReasons in the ledger:\n" + "\n".join(lines)
    return text


def usage(words: str, stage: Stage) -> str:
    """Give the command with its arguments."""
    positional = [each for each in stage.inputs if not each.flag]
    parts = ["corpuskit", words]
    for each in positional:
        parts.append(("IN" if each is positional[-1] else each.name.upper()) + ("..." if each.many else ""))
    parts.append("OUT" if stage.prints is None else "[OUT]")
    for each in stage.inputs:
        if each.flag:
            flag = f"--{each.name.replace('_', '-')} PATH" + ("..." if each.many else "")
            parts.append(f"[{flag}]" if each.optional else flag)
    return " ".join(parts)


def note(spec: OptionSpec) -> str:
    """Say what an option takes: its bounds and its default."""
    bounds = [
        f"{word} {value:g}" for word, value in (("at least", spec.min), ("at most", spec.max)) if value is not None
    ]
    notes = [*bounds, *(["repeatable"] if spec.many else [])]
    if spec.required:
        notes.append("required")
    elif spec.kind is bool:
        notes.append("default: " + ("on" if spec.default else "off"))
    elif spec.default is not None and spec.default != ():
        shown = " ".join(spec.default) if isinstance(spec.default, tuple) else spec.default
        notes.append(f"default: {shown}")
    return "; ".join(notes)


def sentence(text: str) -> str:
    """Write a help text as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ")")) else ".")


def _reads(stage: Stage) -> str:
    named = []
    for each in stage.inputs:
        artifacts = " or ".join(f"`{name}`" for name in each.artifacts)
        named.append(artifacts + (" or raw files" if each.raw else "") + (" (optional)" if each.optional else ""))
    return " and ".join(named) or "nothing"


def _writes(stage: Stage) -> str:
    named = []
    for name, what in final_artifacts(stage).items():
        kind = "files" if isinstance(what, Files) else "a table"
        if isinstance(what, Table) and what.schema.names:
            kind += " with " + ", ".join(what.schema.names)
        named.append(f"`{name}` ({kind})")
    return ", ".join(named)


def _options(stage: Stage) -> Iterator[str]:
    found = specs(stage.options)
    if found:
        yield ""
        yield "| option | what it does | takes |"
        yield "| --- | --- | --- |"
        for spec in found:
            takes = ", ".join(spec.choices) if spec.choices else spec.kind.__name__
            text = sentence(spec.help).replace("|", "\\|")
            yield f"| `{spec.flag}` | {text} | {takes}{'; ' if note(spec) else ''}{note(spec)} |"


def _reasons(stage: Stage) -> Iterator[str]:
    if stage.reasons:
        yield ""
        yield "| reason in the ledger | what it means |"
        yield "| --- | --- |"
        for reason, meaning in stage.reasons.items():
            yield f"| `{reason}` | {sentence(meaning)} |"


if __name__ == "__main__":
    print("\n".join(lines()))
