"""`cometreel init`: a folder to begin in. Parses and prints; `scaffold` writes the files."""

from __future__ import annotations

from pathlib import Path

import click

from cometreel.cli.scaffold import write_scaffold

__all__ = ["init"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Make a starter FOLDER (default: this one): a scenario, a test that passes, a README with three commands.

    A file that is there already stays as it is.

    \b
    Example:
      cometreel init workbins
      cd workbins && python -m pytest
    """
    started = write_scaffold(folder)
    for path in started.written:
        click.echo(path)
    for path in started.kept:
        click.echo(f"{path} was there already and stays", err=True)
