"""`cometreel doctor`: what this machine lacks and how to get it. Prints; what is looked for stands in `starting`."""

from __future__ import annotations

import click

from cometreel.cli.exits import Exit
from cometreel.starting import Check, checks

__all__ = ["doctor"]


@click.command()
def doctor() -> int:
    """Say what this machine has of what Cometreel can use, and how to get the rest.

    Exit codes: 0 all that is necessary is there, 1 something necessary is missing.

    \b
    Example:
      cometreel doctor
    """
    found = list(checks())
    width = max(len(check.name) for check in found)
    for check in found:
        click.echo(f"{_mark(check)}  {check.name:<{width}}  {_rest(check)}")
    return Exit.NO if any(check.needed and not check.ok for check in found) else Exit.DONE


def _mark(check: Check) -> str:
    return "ok     " if check.ok else "MISSING" if check.needed else "missing"


def _rest(check: Check) -> str:
    return check.found if check.ok else f"{check.purpose}; try: {check.cure}"
