"""`cometreel schema`: the JSON Schema that editors use to complete and check a scenario."""

from __future__ import annotations

import click

from cometreel.scenario import schema_text

__all__ = ["schema"]


@click.command()
def schema() -> None:
    """Print the JSON Schema of scenario files.

    \b
    Example:
      cometreel schema > cometreel.schema.json
    """
    click.echo(schema_text(), nl=False)
