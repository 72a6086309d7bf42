"""`cometreel completion`: click's shell completion scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["COMPLETE_VARIABLE", "completion"]

COMPLETE_VARIABLE = "_COMETREEL_COMPLETE"
"""The environment variable with which a shell requests completions (click's convention)."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the shell completion for bash, zsh or fish.

    \b
    Example:
      eval "$(cometreel completion bash)"
      cometreel completion zsh > ~/.zfunc/_cometreel
      cometreel completion fish > ~/.config/fish/completions/cometreel.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click supports these three
    click.echo(kind(context.find_root().command, {}, "cometreel", COMPLETE_VARIABLE).source())
