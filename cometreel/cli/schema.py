"""`cometreel schema`: the JSON Schema with which editors complete and check scenarios."""

from __future__ import annotations

import click

from cometreel.scenario import schema_text

__all__ = ["schema"]


@click.command()
def schema() -> None:
    """Print the JSON Schema of scenarios.

    \b
    Example:
      cometreel schema > cometreel.schema.json
    """
    click.echo(schema_text(), nl=False)
