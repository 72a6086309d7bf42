"""`cometreel addons`: where the files lie that are used by path: mitmproxy's addons and the scenarios that ship."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import click

from cometreel.errors import OptionInvalid

__all__ = ["addon_paths", "addons"]


def addon_paths() -> dict[str, Path]:
    """Every addon that is installed, by name, and the folder of the scenarios.

    An addon is a file with a list called `addons`: that is what mitmproxy looks for; the other files serve them.
    """
    folder = Path(str(files("cometreel.proxy_addons")))
    found = {path.stem: path for path in sorted(folder.glob("*.py")) if _has_addons(path)}
    return {**found, "scenarios": Path(str(files("cometreel.scenarios")))}


def _has_addons(path: Path) -> bool:
    """Tell without importing it: mitmproxy may be missing, and an addon is only ever run by path."""
    statements = ast.parse(path.read_bytes()).body
    assigned = [node for node in statements if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [
        target for node in assigned for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "addons" for target in targets)


@click.command()
@click.argument("name", required=False)
def addons(name: str | None) -> None:
    """Print where the mitmproxy addons lie, and the scenarios that ship: all of them, or the one called NAME.

    \b
    Example:
      cometreel addons
      mitmdump --mode reverse:http://gws.example:8080 -s "$(cometreel addons record)"
      ls "$(cometreel addons scenarios)"
    """
    paths = addon_paths()
    if name is None:
        width = max(map(len, paths), default=0)
        for known, path in paths.items():
            click.echo(f"{known:<{width}}  {path}")
        return
    if name not in paths:
        raise OptionInvalid("addons", f"there is no addon {name!r}", " or ".join(paths))
    click.echo(paths[name])
