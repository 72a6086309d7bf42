"""`cometreel show`: draws a journal or scenario as an HTML page, or prints it as text."""

from __future__ import annotations

import os
import sys
import webbrowser
from io import TextIOWrapper
from pathlib import Path

import click
from rich.console import Console

from cometreel.cli.exit_codes import ExitCode
from cometreel.cli.progress import show_progress
from cometreel.errors import FileInvalid, Problem
from cometreel.show import (
    COLUMNS,
    FIRST_LINE,
    Comparison,
    Conversation,
    compare,
    page,
    print_comparison,
    print_conversation,
    read_conversation,
)

__all__ = ["show"]


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, metavar="FILE...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Output file; default NAME.html next to FILE.")
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
@click.option("--text", is_flag=True, help="Print text instead of drawing a page.")
@click.option("--diff", is_flag=True, help="Compare two FILEs.")
def show(files: tuple[Path, ...], out: Path | None, *, open_: bool, text: bool, diff: bool) -> int:
    """Draw a journal or scenario as an HTML page, or print it as text.

    The page needs no network. An existing page is replaced; any other existing file is not overwritten.

    \b
    Example:
      cometreel show recordings/workbin-desktop.jsonl
      cometreel show recordings/workbin-desktop.yaml -o page.html --open
      cometreel show --text recordings/workbin-desktop.jsonl
      cometreel show --diff yesterday.jsonl today.jsonl
    """
    _check_usage(files, out, open_=open_, text=text, diff=diff)
    with show_progress(f"reading {files[-1].name}"):
        shown = compare(*map(read_conversation, files)) if diff else read_conversation(files[0])
    if text:
        _print(shown)
        return ExitCode.SUCCESS
    path = out or _default_path(files[-1])
    with show_progress(f"drawing {path.name}"):
        _write(path, page(shown))
    click.echo(path)
    return _open(path) if open_ else ExitCode.SUCCESS


def _default_path(file: Path) -> Path:
    """Return the path of the page of a file or folder: NAME.html next to it."""
    return file.with_name(f"{file.stem or file.resolve().name}.html")


def _check_usage(files: tuple[Path, ...], out: Path | None, *, open_: bool, text: bool, diff: bool) -> None:
    wanted = 2 if diff else 1
    if len(files) != wanted:
        expected = "two files with --diff" if diff else "one file, or two with --diff"
        raise click.UsageError(f"{len(files) or 'no'} file{'' if len(files) == 1 else 's'}; expected {expected}")
    if text and (out or open_):
        raise click.UsageError("--text draws no page: omit -o and --open")


class _PipeConsole(Console):
    """A console that lets `run` handle a closed pipe; Rich would end with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _print(shown: Conversation | Comparison) -> None:
    """Print in the width of the terminal, or in 100 columns to a file."""
    if isinstance(sys.stdout, TextIOWrapper):  # the terminal's encoding may lack characters of a recording
        sys.stdout.reconfigure(errors="backslashreplace")
    console = _PipeConsole(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = COLUMNS
    if isinstance(shown, Comparison):
        print_comparison(shown, console)
    else:
        print_conversation(shown, console)


def _write(path: Path, text: str) -> None:
    """Write the page in one step. Replaces only a page of this command.

    :raises FileInvalid: if it can't be written, or another file exists.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not _is_page(path):
            expected = "no file, or a page that `cometreel show` has drawn"
            raise FileInvalid([Problem(str(path), 0, 0, "the file exists", expected, "choose a name with -o")])
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(text, "utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a writable folder with free space")]) from None


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(FIRST_LINE)) == FIRST_LINE.encode()


def _open(path: Path) -> ExitCode:
    if webbrowser.open(path.resolve().as_uri()):
        return ExitCode.SUCCESS
    click.echo("cometreel: no browser could be started; open the page yourself", err=True)
    return ExitCode.CHECK_FAILED
