"""The command group `cometreel`; turns every error into one line on stderr and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem, shell_complete

from cometreel import CometreelError, __version__
from cometreel.cli.completion import COMPLETE_VARIABLE
from cometreel.cli.engine_form import engine_form
from cometreel.cli.exit_codes import ExitCode
from cometreel.errors import FileInvalid

__all__ = ["COMMANDS", "CommandEntry", "main", "run"]


class CommandEntry(NamedTuple):
    """A command that isn't imported yet."""

    target: str
    """`module:attribute`."""
    summary: str
    """The first sentence of its help."""


COMMANDS = {
    "addons": CommandEntry(
        "cometreel.cli.addons:addons",
        "Print the paths of the mitmproxy addons, the locustfiles and the included scenarios.",
    ),
    "completion": CommandEntry(
        "cometreel.cli.completion:completion", "Print the shell completion for bash, zsh or fish."
    ),
    "distill": CommandEntry("cometreel.cli.distill:distill", "Create a scenario from a journal."),
    "doctor": CommandEntry(
        "cometreel.cli.doctor:doctor", "Check the installation and print how to install missing parts."
    ),
    "export": CommandEntry(
        "cometreel.cli.export:export", "Convert a scenario to HAR, mitmproxy flows or an OpenAPI summary."
    ),
    "import": CommandEntry(
        "cometreel.cli.import_:import_", "Create a scenario from a browser's HAR file or a mitmproxy flow file."
    ),
    "init": CommandEntry("cometreel.cli.init:init", "Create a starter project: a scenario and a passing test."),
    "lint": CommandEntry("cometreel.cli.lint:lint", "Check scenarios for likely mistakes."),
    "schema": CommandEntry("cometreel.cli.schema:schema", "Print the JSON Schema of scenarios."),
    "serve": CommandEntry("cometreel.cli.serve:serve", "Replay scenarios on an HTTP server and print its URL."),
    "show": CommandEntry("cometreel.cli.show:show", "Draw a journal or scenario as an HTML page, or print it as text."),
    "verify": CommandEntry("cometreel.cli.verify:verify", "Compare the answers of a live server with a scenario."),
}
"""Every command. A command is imported only to run it or to print its own help, so that `--help` is fast."""


class _LazyGroup(click.Group):
    """A group that imports a command when it is needed; the list of commands needs none of them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name].summary) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(
    __version__, "-V", "--version", prog_name="cometreel", message=f"%(prog)s %(version)s (engine: {engine_form()})"
)
def main() -> None:
    """Record and replay CometD applications: the HTTP call and the notification that answers it.

    \b
    Example:
      mitmdump --mode reverse:http://gws.example:8080 -s "$(cometreel addons record)"
      cometreel distill recordings/2026-11-23T10-00-00.jsonl
      cometreel serve recordings/2026-11-23T10-00-00.yaml
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. The default arguments are those of the process."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of the output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCESS
    except (click.Abort, KeyboardInterrupt):
        return _print_error("interrupted")
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.ERROR
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else " ".join(["cometreel", *_named_command(arguments)])
        return _print_error(f"{error.format_message().rstrip('.')} (see: {command} --help)")
    except click.ClickException as error:
        return _print_error(error.format_message())
    except CometreelError as error:
        return _print_error(*_error_lines(error))
    except OSError as error:
        return _print_error(_os_error_text(error))


def _invoke(arguments: list[str]) -> int:
    """Run the command without click's own `main`, which would print some errors in its own format."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(main, {}, "cometreel", COMPLETE_VARIABLE, instruction)
    try:
        with main.make_context("cometreel", arguments) as context:
            code = main.invoke(context)
    except click.exceptions.Exit as exit_:  # after --help and --version
        return exit_.exit_code
    return code if isinstance(code, int) else ExitCode.SUCCESS


def _named_command(arguments: Sequence[str]) -> list[str]:
    """Return the command of a usage error for which click gives no context, such as an option without its value."""
    return [name for name in arguments[:1] if name in COMMANDS]


def _print_error(*lines: str) -> ExitCode:
    for line in lines:
        click.echo(f"cometreel: {line}", err=True)
    return ExitCode.ERROR


def _error_lines(error: CometreelError) -> list[str]:
    """Return one line for each problem."""
    if isinstance(error, FileInvalid):
        return [str(problem) for problem in error.problems]
    return [" ".join(str(error).split())]


def _os_error_text(error: OSError) -> str:
    """Return the file, then the reason of the operating system."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
