"""The golden cases as data: what each server answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["JAVA", "JAVA_FROM_SOURCE", "NODE", "Case", "read_cases"]

Case: TypeAlias = dict[str, Any]
"""One case: its `steps`, each with `label`, `request` and `reply`, and its `notes`."""

HERE = Path(__file__).parent


def read_cases(*names: str) -> dict[str, Case]:
    """Return the cases of these files, by name."""
    return {
        name: case for file in names for name, case in json.loads((HERE / file).read_text("utf-8"))["cases"].items()
    }


JAVA_FROM_SOURCE = read_cases("more-java-3.1.json")
"""Cases that no Java server was recorded for. `source` names the place in the source of CometD 3.1."""
JAVA = read_cases("golden-java-3.1.14.json") | JAVA_FROM_SOURCE
NODE = read_cases("golden-node-1.2.1.json", "more-node-1.2.1.json")
