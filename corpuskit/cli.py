"""The command line: commands derived from the stages' declarations, and the few that are none.

A command's body opens, calls and prints. Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from corpuskit import __version__, catalog, exits
from corpuskit.errors import BadData, CorpuskitError, UsageError
from corpuskit.lean import spare_threads

if TYPE_CHECKING:
    from corpuskit.options import OptionSpec
    from corpuskit.progress import Progress
    from corpuskit.stage import Stage

_ENOUGH_WIDTH = 110


class _PipeClosed(Exception):
    """The reader of standard output has gone away. Click would turn a BrokenPipeError into exit code 1."""


class _Commands(click.Group):
    """Lists stages without importing them, and imports the one that is called."""

    def __init__(self, prefix: str = "", **attributes: Any) -> None:
        super().__init__(**attributes)
        self._prefix = prefix

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _PipeClosed from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._words()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        words = f"{self._prefix} {cmd_name}".strip()
        if words in catalog.discover():
            return _stage_command(words)
        if not self._prefix and words in catalog.families():
            return _Commands(words, name=words, help=catalog.families()[words], context_settings=self.context_settings)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = f"did you mean `{close[0]}`?" if close else f"see `{ctx.command_path} --help`"
            raise UsageError(ctx.command_path, f"there is no command `{args[0]}`", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        stages, families = catalog.discover(), catalog.families()
        rows = []
        for name in self.list_commands(ctx):
            words = f"{self._prefix} {name}".strip()
            if words in stages:
                line = catalog.summary(stages[words])
            elif name in self.commands:
                line = self.commands[name].get_short_help_str(90)
            else:
                line = families.get(name, "")
            rows.append((name, line))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _words(self) -> list[str]:
        found = []
        for words in catalog.discover():
            family, _, member = words.partition(" ")
            if not self._prefix:
                found.append(family)
            elif family == self._prefix and member:
                found.append(member)
        return found


class _StageCommand(click.Command):
    """Lets several paths follow one flag, once the arguments are complete: `IN OUT --against FILE FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [param for param in self.params if isinstance(param, click.Option)]
        of_flag = {flag: option for option in options for flag in (*option.opts, *option.secondary_opts)}
        arguments = [param for param in self.params if isinstance(param, click.Argument)]
        fixed = all(argument.nargs == 1 for argument in arguments)
        out: list[str] = []
        bare, taken, repeating = 0, False, ""
        for word in args:
            option = of_flag.get(word.partition("=")[0])
            if option is not None:
                taken = not option.is_flag and "=" not in word
                repeating = word if taken and option.multiple and fixed else ""
            elif taken:
                taken = False
            elif repeating and bare >= len(arguments):
                out.append(repeating)
            else:
                bare, repeating = bare + 1, ""
            out.append(word)
        return super().parse_args(ctx, out)


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": _ENOUGH_WIDTH}


@click.group(cls=_Commands, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="corpuskit")
@click.option("--quiet", is_flag=True, help="Print problems only.")
@click.option("--verbose", is_flag=True, help="Print a line per stage, on a terminal or not.")
@click.pass_context
def cli(ctx: click.Context, quiet: bool, verbose: bool) -> None:
    """Turn raw text of the web into shards that a language model trains on, and prove that they are good.

    download -> extract -> clean -> dedup -> train tokenizer -> tokenize -> shard -> train ngram, train transformer ->
    evaluate. Every stage reads and writes dataset folders or, as `-`, streams; `run` does a whole recipe.
    """
    from corpuskit.progress import Progress, listen

    ctx.obj = Progress(quiet=quiet, verbose=verbose)
    listen(ctx.obj)
    ctx.call_on_close(ctx.obj.close)


def _execution(overwrite: bool = True) -> list[click.Option]:
    """Give the options that say how to run, never what: they leave no trace in the output."""
    options = [
        click.Option(
            ["--executor"],
            type=click.Choice(["serial", "pool", "ray"]),
            default="pool",
            show_default=True,
            help="Run tasks in this process, in a pool of processes, or on Ray.",
        ),
        click.Option(["--workers"], type=click.IntRange(min=1), help="Processes at once  [default: the cores]"),
        click.Option(["--ray-address"], metavar="ADDRESS", help="A running Ray cluster; none: one is started here."),
    ]
    if overwrite:
        options.append(click.Option(["--overwrite"], is_flag=True, help="Replace the output of another run."))
    options.append(click.Option(["--json"], is_flag=True, help="Print one machine-readable summary."))
    for word, text in (("--quiet", "Print problems only."), ("--verbose", "Print a line per stage.")):
        options.append(click.Option([word], is_flag=True, expose_value=False, callback=_louder, help=text))
    return options


def _louder(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Take --quiet and --verbose behind the command too."""
    if value:
        ctx.obj.set(**{str(param.name): True})


def _recipe() -> list[click.Parameter]:
    """Give the words that say which recipe, and how it is changed."""
    root_help = "Where the stages' folders are  [default: the recipe's, else data/NAME]"
    set_help = "Change a word of the recipe; repeatable."
    return [
        click.Argument(["recipe"]),
        click.Option(["--root"], metavar="DIR", help=root_help),
        click.Option(["--set", "settings"], multiple=True, metavar="STAGE.OPTION=VALUE", help=set_help),
        click.Option(["--until"], metavar="STAGE", help="Stop after this stage."),
    ]


def _stage_command(words: str) -> click.Command:
    if not catalog.has_user_stages():
        spare_threads()
    from corpuskit.options import specs
    from corpuskit.reference import help_text
    from corpuskit.streams import reads_or_writes_rows

    stage = catalog.load(words)
    params: list[click.Parameter] = []
    positional = [each for each in stage.inputs if not each.flag]
    for each in positional:
        metavar = "IN" if each is positional[-1] else each.name.upper()
        params.append(
            click.Argument(
                ["in_" + each.name],
                metavar=metavar + ("..." if each.many else ""),
                nargs=-1 if each.many else 1,
                required=True,
            )
        )
    params.append(
        click.Argument(["out"], required=stage.prints is None, metavar="OUT" if stage.prints is None else "[OUT]")
    )
    for each in stage.inputs:
        if each.flag:
            flag = "--" + each.name.replace("_", "-")
            required = not each.optional
            params.append(
                click.Option(
                    [flag, "in_" + each.name],
                    metavar="PATH..." if each.many else "PATH",
                    required=required,
                    multiple=each.many,
                    help=each.help,
                )
            )
    params += [_click_option(spec) for spec in specs(stage.options)]
    if reads_or_writes_rows(stage) and not any(spec.name == "format" for spec in specs(stage.options)):
        params.append(
            click.Option(
                ["--format", "stream_format"],
                type=click.Choice(["arrow", "jsonl"]),
                default="arrow",
                show_default=True,
                help="What `-` reads and writes.",
            )
        )
    params += _execution()
    return _StageCommand(
        words.split(" ")[-1],
        params=params,
        help=help_text(words, stage),
        context_settings=_SETTINGS,
        callback=click.pass_context(_stage_callback(words, stage)),
    )


def _click_option(spec: OptionSpec) -> click.Option:
    from corpuskit.reference import note, sentence

    takes = "" if spec.required else note(spec)  # Click says itself that it is required
    help_text = sentence(spec.help) + (f"  [{takes}]" if takes else "")
    # The default is None: what is not given takes the declaration's own default.
    if spec.kind is bool and not spec.many:
        flag = f"{spec.flag}/--no-{spec.flag[2:]}"
        return click.Option([flag, spec.name], default=None, help=help_text)
    kind: Any = click.Choice(spec.choices) if spec.choices else spec.kind
    return click.Option(
        [spec.flag, spec.name], type=kind, multiple=spec.many, default=None, required=spec.required, help=help_text
    )


def _stage_callback(words: str, stage: Stage) -> Callable[..., None]:
    from corpuskit.options import specs

    def run(ctx: click.Context, /, **params: Any) -> None:
        inputs = {}
        for each in stage.inputs:
            value = params["in_" + each.name]
            inputs[each.name] = list(value) if isinstance(value, tuple) else [value] if value is not None else []
        given = {}
        for spec in specs(stage.options):
            value = params[spec.name]
            if value is not None and not (spec.many and value == ()):
                given[spec.name] = value
        from corpuskit.commands import run_one

        for line in run_one(ctx.obj, words, given, inputs, params["out"], params):
            click.echo(line)

    return run


@cli.command(params=[*_recipe(), *_execution()])
@click.pass_obj
def run(
    progress: Progress,
    /,
    recipe: str,
    root: str | None,
    settings: tuple[str, ...],
    until: str | None,
    **params: Any,
) -> None:
    """Run a recipe: every stage that is not done yet, in order.

    A stage whose folder already holds the output of the same stage, options and input is skipped; an interrupted one
    goes on where it stopped. `corpuskit show ROOT` draws the table of the run.
    """
    if not catalog.has_user_stages():
        spare_threads()
    from corpuskit.commands import run_recipe

    for line in run_recipe(progress, recipe, root, settings, until, params):
        click.echo(line)


@cli.command(params=_recipe())
@click.option("--json", "as_json", is_flag=True, help="Print one machine-readable summary.")
def plan(recipe: str, root: str | None, settings: tuple[str, ...], until: str | None, as_json: bool) -> None:
    """Say what `run` would do with a recipe, and why; run nothing."""
    from corpuskit.commands import plan_lines

    for line in plan_lines(recipe, root, settings, until, as_json=as_json):
        click.echo(line)


@cli.command()
@click.argument("path")
@click.option("--rows", type=click.IntRange(min=0), default=None, help="Print this many rows too.")
@click.option(
    "--dropped",
    is_flag=True,
    help="Print a sample of what was dropped and could not be read, by reason  [3 rows of each]",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="SIGNAL=VALUE",
    help="Say what `clean` would keep with another bound on a stored signal (also >=, <=); repeatable.",
)
@click.option("--clusters", is_flag=True, help="Print the largest clusters of `dedup`, with a sample each.")
@click.option("--cluster", metavar="ID", help="Print the documents of the cluster that this one is in.")
@click.option("--html", is_flag=True, help="PATH is an HTML file: print its blocks, kept and dropped, with why.")
@click.option("--context", metavar="TEXT", help="Of an n-gram model: print what most probably follows this text too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(path: str, rows: int | None, thresholds: tuple[str, ...], **how: Any) -> None:
    """Show a dataset: its ledger, columns, rows, drops with reasons, lineage; or the table of a whole run.

    Of an n-gram model, or an ARPA file: grams and discounts of each order, size, and what follows a context.
    """
    from corpuskit.commands import show_lines

    for line in show_lines(path, rows, thresholds, **how):
        click.echo(line)


@cli.command()
@click.argument("model")
@click.option("--prompt", default="", help="The text to go on from  [default: the start of a document]")
@click.option("--tokens", type=click.IntRange(min=1), default=100, show_default=True, help="Write at most so many.")
@click.option("--temperature", type=click.FloatRange(min=0), default=1.0, help="0 takes the likeliest  [default: 1]")
@click.option("--top-k", type=click.IntRange(min=1), help="Draw from the K likeliest tokens only.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="And from the fewest of this p.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Equal seeds, equal text.")
@click.option("--samples", type=click.IntRange(min=1), default=1, show_default=True, help="So many texts.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", help="For a Transformer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
def generate(model: str, prompt: str, **how: Any) -> None:
    """Let a model write: an n-gram model, a Transformer, or an ARPA file; to its end mark, or for --tokens."""
    from corpuskit.model_text import generate_lines

    for line in generate_lines(model, prompt, **how):
        click.echo(line)


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--remove", metavar="SNAPSHOT", help="Remove this snapshot.")
@click.option("--check", is_flag=True, help="Recompute the hash of every file; exits with 65 where one does not hold.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def index(folder: str, remove: str | None, check: bool, as_json: bool) -> None:
    """List the snapshots that `dedup --index DIR` remembers, or remove one."""
    from corpuskit.commands import index_lines

    for line in index_lines(folder, remove, check=check, as_json=as_json):
        click.echo(line)


@cli.command()
@click.argument("path")
@click.pass_obj
def verify(progress: Progress, /, path: str) -> None:
    """Recompute every hash and every ledger of a dataset, or of all below a folder.

    Tokens and blocks prove themselves: the type of the ids, the largest id, end marks, where documents begin; a sample
    is decoded and encoded again, and compared with the documents where they are below the folder, too. Exits with 65
    and names each file that does not hold, with the row, what was expected and what was found.
    """
    from corpuskit.verify import checked

    wrong = 0
    for line, is_wrong in checked(path, progress.status):
        wrong += is_wrong
        (progress.problem if is_wrong else progress.line)(line)
    if wrong:
        raise BadData(
            path,
            f"{wrong} {'thing does' if wrong == 1 else 'things do'} not hold",
            "make the datasets named above anew",
        )
    progress.line(f"{path}: every hash and every ledger holds")


@cli.command()
@click.argument("path")
@click.option("--docs", metavar="PATH", help="The documents that it was made of  [default: looked for beside it]")
@click.option("--name", help="What the dataset is called  [default: its folder's name]")
@click.option("--description", metavar="TEXT", help="What it is, in a sentence or two  [default: made of the facts]")
@click.option("--url", help="Where it is published.")
@click.option("--creator", metavar="NAME", help="Who made it.")
@click.option("--license", metavar="SPDX", help="Its licence  [default: those of the documents]")
def card(path: str, docs: str | None, **said: str | None) -> None:
    """Write a dataset card, README.md, and croissant.json beside a dataset.

    Both tell where it comes from: sources and licences, every stage with its ledger, the hash of every file.
    """
    from corpuskit.card import write
    from corpuskit.card.facts import Said

    for file in write(path, docs, Said(**said)):
        click.echo(file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code. Errors print one line; a closed pipe is no error to talk about."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = cli.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="corpuskit",
            standalone_mode=False,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CorpuskitError as error:
        return exits.fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.UsageError as error:
        return exits.fail(_usage(error), 2)
    except click.ClickException as error:
        return exits.fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return exits.fail("interrupted; the same command goes on from here", 130)
    except (_PipeClosed, BrokenPipeError):
        return exits.pipe_closed()
    except OSError as error:
        return exits.fail(*exits.of_system(error))


def _usage(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "corpuskit"
    return f"{where}: {error.format_message().rstrip('.')}; see `{where} --help`"


def _terminated(number: int, frame: Any) -> None:
    raise SystemExit(143)
