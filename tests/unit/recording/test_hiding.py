"""Diagnoses of a replay mask the values that a recording replaces."""

from __future__ import annotations

from importlib.resources import files

import pytest
import yaml

from cometreel.scenario.hiding import hides

POLICY = yaml.safe_load(files("cometreel.recording").joinpath("policies", "default.yaml").read_text("utf-8"))
REPLACED = ("secret", "token", "name", "text", "tree")


@pytest.mark.parametrize(
    ("part", "name"),
    [("body", name) for name, rule in POLICY["keys"].items() if rule in REPLACED]
    + [("query", name) for name, rule in POLICY["queries"].items() if rule in REPLACED],
)
def test_a_diagnosis_hides_what_the_policy_replaces(part: str, name: str) -> None:
    assert hides(f"/{part}/{name.replace('*', 'x')}")


@pytest.mark.parametrize(("name", "rule"), [item for item in POLICY["keys"].items() if item[1] not in REPLACED])
def test_a_diagnosis_shows_what_the_policy_keeps(name: str, rule: str) -> None:
    assert not hides(f"/body/{name}") or rule == "message"


def test_names_of_the_schema_are_not_hidden() -> None:
    assert not any(hides(place) for place in ("/body", "/query", "/headers", "/data", "/body/operationName", "/body/0"))
