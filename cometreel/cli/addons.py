"""`cometreel addons`: the paths of the mitmproxy addons, the locustfiles and the included scenarios."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import click

from cometreel.errors import OptionInvalid

__all__ = ["addon_paths", "addons"]


def addon_paths() -> dict[str, Path]:
    """Return the path of every addon and locustfile by name, and the folder of the scenarios.

    An addon is a file with a list called `addons`, as in mitmproxy. A locustfile is a file that calls
    `register_listeners`.
    """
    found = {
        path.stem: path
        for folder, is_wanted in (("proxy_addons", _has_addons), ("loadtests", _registers_listeners))
        for path in sorted(Path(str(files(f"cometreel.{folder}"))).glob("*.py"))
        if is_wanted(ast.parse(path.read_bytes()).body)  # not imported: mitmproxy or Locust may be missing
    }
    return {**found, "scenarios": Path(str(files("cometreel.scenarios")))}


def _has_addons(statements: list[ast.stmt]) -> bool:
    assigned = [node for node in statements if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [
        target for node in assigned for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "addons" for target in targets)


def _registers_listeners(statements: list[ast.stmt]) -> bool:
    calls = [node.value.func for node in statements if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id == "register_listeners" for called in calls)


@click.command()
@click.argument("name", required=False)
def addons(name: str | None) -> None:
    """Print the paths of the mitmproxy addons, the locustfiles and the included scenarios.

    With NAME, print only that path.

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
        for known_name, path in paths.items():
            click.echo(f"{known_name:<{width}}  {path}")
        return
    if name not in paths:
        raise OptionInvalid("addons", f"there is no addon {name!r}", " or ".join(paths))
    click.echo(paths[name])
