"""The group `cometreel`, and the one place where an error becomes a line on stderr and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import shell_complete

from cometreel import CometreelError, __version__
from cometreel.cli.completion import COMPLETE_VARIABLE
from cometreel.cli.exit_codes import ExitCode
from cometreel.errors import FileInvalid

__all__ = ["COMMANDS", "main", "run"]

COMMANDS = {
    "addons": "cometreel.cli.addons:addons",
    "completion": "cometreel.cli.completion:completion",
    "distill": "cometreel.cli.distill:distill",
    "doctor": "cometreel.cli.doctor:doctor",
    "export": "cometreel.cli.export:export",
    "import": "cometreel.cli.import_:import_",
    "init": "cometreel.cli.init:init",
    "lint": "cometreel.cli.lint:lint",
    "schema": "cometreel.cli.schema:schema",
    "serve": "cometreel.cli.serve:serve",
    "show": "cometreel.cli.show:show",
    "verify": "cometreel.cli.verify:verify",
}
"""Each command and where it lives. A command is imported when it is asked for, so that `--version` answers at once."""


class _Commands(click.Group):
    """A group that imports a command only when it is needed."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="cometreel", message="%(prog)s %(version)s")
def main() -> None:
    """Record and replay CometD applications: the HTTP call and the notification that answers it.

    \b
    Example:
      mitmdump --mode reverse:http://gws.example:8080 -s "$(cometreel addons record)"
      cometreel distill recordings/2026-11-23T10-00-00.jsonl
      mitmdump --mode reverse:http://unused -s "$(cometreel addons replay)" \\
          --set reel_scenario=recordings/2026-11-23T10-00-00.yaml
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; without arguments, those of the process."""
    try:
        code = _invoke(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except (click.Abort, KeyboardInterrupt):
        return _tell("interrupted")
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.CANNOT
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "cometreel"
        return _tell(f"{error.format_message().rstrip('.')} (see: {command} --help)")
    except click.ClickException as error:
        return _tell(error.format_message())
    except CometreelError as error:
        return _tell(*_sentences(error))
    except OSError as error:
        return _tell(_of_the_system(error))


def _invoke(arguments: list[str]) -> int:
    """Call the command itself: click's own `main` would answer some errors in its own way."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(main, {}, "cometreel", COMPLETE_VARIABLE, instruction)
    try:
        with main.make_context("cometreel", arguments) as context:
            code = main.invoke(context)
    except click.exceptions.Exit as exit_:  # after --help and --version
        return exit_.exit_code
    return code if isinstance(code, int) else ExitCode.DONE


def _tell(*sentences: str) -> ExitCode:
    for sentence in sentences:
        click.echo(f"cometreel: {sentence}", err=True)
    return ExitCode.CANNOT


def _sentences(error: CometreelError) -> list[str]:
    """One line for each problem."""
    if isinstance(error, FileInvalid):
        return [str(problem) for problem in error.problems]
    return [" ".join(str(error).split())]


def _of_the_system(error: OSError) -> str:
    """Say what the operating system refused: the file, then its reason."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
