"""`cometreel show`: a conversation as a page or in the terminal. Parses, writes one file and prints; draws nothing."""

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
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write; NAME.html beside the file.")
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
@click.option("--text", is_flag=True, help="Print the conversation in place of drawing a page.")
@click.option("--diff", is_flag=True, help="Lay the second FILE over the first.")
def show(files: tuple[Path, ...], out: Path | None, *, open_: bool, text: bool, diff: bool) -> int:
    """Draw the conversation in a scenario or a journal, as one page that needs no network.

    A page that is there already is drawn anew; any other file stays.

    \b
    Example:
      cometreel show recordings/workbin-desktop.jsonl
      cometreel show recordings/workbin-desktop.yaml -o page.html --open
      cometreel show --text recordings/workbin-desktop.jsonl
      cometreel show --diff yesterday.jsonl today.jsonl
    """
    _check(files, out, open_=open_, text=text, diff=diff)
    with show_progress(f"reading {files[-1].name}"):
        shown = compare(*map(read_conversation, files)) if diff else read_conversation(files[0])
    if text:
        _print(shown)
        return ExitCode.DONE
    path = out or _beside(files[-1])
    with show_progress(f"drawing {path.name}"):
        _write(path, page(shown))
    click.echo(path)
    return _opened(path) if open_ else ExitCode.DONE


def _beside(file: Path) -> Path:
    """Name the page of a file or folder: NAME.html beside it."""
    return file.with_name(f"{file.stem or file.resolve().name}.html")


def _check(files: tuple[Path, ...], out: Path | None, *, open_: bool, text: bool, diff: bool) -> None:
    wanted = 2 if diff else 1
    if len(files) != wanted:
        what = "two files with --diff" if diff else "one file, or two with --diff"
        raise click.UsageError(f"{len(files) or 'no'} file{'' if len(files) == 1 else 's'}; expected {what}")
    if text and (out or open_):
        raise click.UsageError("--text draws no page: leave out -o and --open")


class _PipeConsole(Console):
    """A console that leaves it to `main` what a reader who has seen enough means; Rich would end with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _print(shown: Conversation | Comparison) -> None:
    """Print as wide as the terminal is; a log, which has no width, gets 100 columns."""
    if isinstance(sys.stdout, TextIOWrapper):  # recordings may hold letters that the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    console = _PipeConsole(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = COLUMNS
    if isinstance(shown, Comparison):
        print_comparison(shown, console)
    else:
        print_conversation(shown, console)


def _write(path: Path, text: str) -> None:
    """Write the page whole or not at all, and never over a file that isn't such a page.

    :raises FileInvalid: if it can't be written, or another file is there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not _is_page(path):
            expected = "no file, or a page that was drawn before"
            raise FileInvalid([Problem(str(path), 0, 0, "another file is there", expected, "choose a name with -o")])
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, "utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a writable folder with free space")]) from None


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(FIRST_LINE)) == FIRST_LINE.encode()


def _opened(path: Path) -> ExitCode:
    if webbrowser.open(path.resolve().as_uri()):
        return ExitCode.DONE
    click.echo("cometreel: no browser could be opened; open the page by hand", err=True)
    return ExitCode.NO
