"""The engine answers what the real CometD server answered, case by case, with time moved instead of slept."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.golden.recordings import JAVA, JAVA_FROM_SOURCE, NODE
from tests.golden.virtual_server import virtual_matrix


@pytest.fixture
def matrix() -> ModuleType:
    return virtual_matrix()


def test_the_golden_files_have_every_case(matrix: ModuleType) -> None:
    assert sorted(matrix.CASES) == sorted(JAVA) == sorted(NODE)
    assert len(JAVA) - len(JAVA_FROM_SOURCE) == 137


@pytest.mark.parametrize("name", sorted(JAVA))
def test_engine_answers_as_the_java_server(matrix: ModuleType, name: str) -> None:
    """Status, headers, bodies, their order and their timing are those that were recorded, to the last character."""
    case = JAVA[name]
    result = matrix.run_case(name)
    assert result["notes"] == case["notes"]
    expected = matrix.project(matrix.clone(case), core=False)
    differences = matrix.diff_steps(expected, matrix.project(matrix.clone(result), core=False))
    assert differences == []
