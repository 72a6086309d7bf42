"""The project's sources, parsed, and counts over them, which `make counts` prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]


def _files(*folders: str) -> list[Path]:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in paths if "node_modules" not in path.parts and path.name != "matrix.py")  # vendored


SOURCES = _files("cometreel", "proxy_addons", "loadtests", "demo", "benchmarks")
PYTHON = _files("cometreel", "proxy_addons", "loadtests", "demo", "benchmarks", "tests")
DOCS = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "scenarios/README.md",
]
CONSOLE = sorted(
    path
    for folder in ("cometreel/serve/admin/console", "cometreel/show/page", "cometreel/cli/starter")
    for path in (ROOT / folder).iterdir()
    if path.suffix in (".html", ".js", ".css", ".txt", ".md", ".yaml")
)


def relative(path: Path) -> str:
    """Return the path as seen from the project's root."""
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a source, once."""
    return ast.parse(path.read_text())


def shared_class_names() -> dict[str, list[str]]:
    """Return each class name or type alias that occurs in more than one module, with the modules.

    A leading underscore does not make another name: `_Step` and `Step` are the same word to a reader.
    """
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for name in sorted(set(class_names(parsed(path)))):
            places.setdefault(name, []).append(relative(path))
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}


def count_of_class_names() -> int:
    """Return how many different class names and type aliases there are."""
    return len({name for path in SOURCES for name in class_names(parsed(path))})


def repeated_file_names() -> dict[str, list[str]]:
    """Return each file name that occurs in more than one package, `__init__.py` apart, with the folders."""
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        if path.name not in ("__init__.py", "__main__.py"):
            places.setdefault(path.name, []).append(relative(path.parent))
    return {name: folders for name, folders in sorted(places.items()) if len(folders) > 1}


def class_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names of a module's classes and type aliases, without leading underscores."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_")
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and re.fullmatch(r"_*[A-Z]\w*[a-z]\w*", target.id):
                yield target.id.lstrip("_")


def main() -> None:
    """Print the counts that the project keeps low."""
    shared, files = shared_class_names(), repeated_file_names()
    print(f"class names in more than one module: {len(shared)} of {count_of_class_names()}", *shared)
    print(f"file names in more than one package: {len(files)}", *files)


if __name__ == "__main__":
    main()
