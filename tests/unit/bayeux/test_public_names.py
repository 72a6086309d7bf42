"""The public names of the package are complete and sorted, and its modules import no I/O."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cometreel.bayeux

HOME = Path(cometreel.bayeux.__file__).parent
FORBIDDEN = {"asyncio", "gevent", "random", "select", "socket", "threading", "time", "mitmproxy", "pydantic"}


def test_public_names_are_complete() -> None:
    names = cometreel.bayeux.__all__
    assert all(hasattr(cometreel.bayeux, name) for name in names)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse((HOME / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cometreel.")
        for alias in node.names
    }
    assert set(names) == imported


@pytest.mark.parametrize("path", sorted(HOME.glob("*.py")), ids=lambda path: path.stem)
def test_modules_have_a_docstring_and_import_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    roots = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not FORBIDDEN & (roots | {module.split(".")[0] for module in froms})
    ours = ("cometreel.bayeux", "cometreel.wire", "cometreel.jsonvalue", "cometreel.errors", "cometreel.value_copies")
    assert all(module.startswith(ours) for module in froms if module.startswith("cometreel"))
    assert len((ast.get_docstring(tree) or "").split()) >= 15
