"""Tells which engine runs: the compiled one or pure Python."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["engine_form"]


def engine_form() -> str:
    """Return `compiled` if the engine was compiled with mypyc, otherwise `pure Python`. Imports nothing."""
    spec = find_spec("cometreel.wire")
    return "pure Python" if spec is None or (spec.origin or "").endswith(".py") else "compiled"
