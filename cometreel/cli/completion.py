"""`cometreel completion`: what a shell needs to complete our commands; click's own mechanism, printed."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["COMPLETE_VARIABLE", "completion"]

COMPLETE_VARIABLE = "_COMETREEL_COMPLETE"
"""The variable by which a shell asks this program for completions (click's convention)."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands, options and files.

    \b
    Example:
      eval "$(cometreel completion bash)"
      cometreel completion zsh > ~/.zfunc/_cometreel
      cometreel completion fish > ~/.config/fish/completions/cometreel.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click's own three
    click.echo(kind(context.find_root().command, {}, "cometreel", COMPLETE_VARIABLE).source())
