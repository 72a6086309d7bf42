"""`cometreel addons`: where the files lie that are used by path: mitmproxy's addons, locustfiles, scenarios."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import click

from cometreel.errors import OptionInvalid

__all__ = ["addon_paths", "addons"]


def addon_paths() -> dict[str, Path]:
    """Every addon and locustfile that is installed, by name, and the folder of the scenarios.

    An addon is a file with a list called `addons`: that is what mitmproxy looks for. A locustfile is one that wires
    itself into Locust. The other files serve them.
    """
    found = {
        path.stem: path
        for folder, is_one in (("proxy_addons", _has_addons), ("loadtests", _wires))
        for path in sorted(Path(str(files(f"cometreel.{folder}"))).glob("*.py"))
        if is_one(ast.parse(path.read_bytes()).body)  # without importing it: mitmproxy or Locust may be missing
    }
    return {**found, "scenarios": Path(str(files("cometreel.scenarios")))}


def _has_addons(statements: list[ast.stmt]) -> bool:
    assigned = [node for node in statements if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [
        target for node in assigned for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "addons" for target in targets)


def _wires(statements: list[ast.stmt]) -> bool:
    calls = [node.value.func for node in statements if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id == "wire" for called in calls)


@click.command()
@click.argument("name", required=False)
def addons(name: str | None) -> None:
    """Print where the mitmproxy addons, the locustfiles and the scenarios lie: all, or the one called NAME.

    \b
    Example:
      cometreel addons
      mitmdump --mode reverse:http://gws.example:8080 -s "$(cometreel addons record)"
      locust -f "$(cometreel addons agent_stats)" --host https://gws.example
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
