"""`cometreel init`: creates a starter project."""

from __future__ import annotations

from pathlib import Path

import click

from cometreel.cli.scaffold import write_scaffold

__all__ = ["init"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Create a starter project: a scenario and a passing test.

    FOLDER is the current folder by default. Existing files are not overwritten.

    \b
    Example:
      cometreel init workbins
      cd workbins && python -m pytest
    """
    result = write_scaffold(folder)
    for path in result.written:
        click.echo(path)
    for path in result.kept:
        click.echo(f"{path} exists and was not changed", err=True)
