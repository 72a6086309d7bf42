"""Errors: position, value found, expected value and hint; all problems of a file at once."""

from __future__ import annotations

import pytest

from cometreel.errors import CometreelError, FileInvalid, InputError, OptionInvalid, Problem


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (Problem("a.yaml", 3, 7, "a number"), "a.yaml:3:7: a number"),
        (Problem("a.yaml", 3, 7, "a number", "text"), "a.yaml:3:7: a number; expected text"),
        (Problem("a.yaml", 0, 0, "no file", "", "try b.yaml"), "a.yaml: no file; try b.yaml"),
    ],
)
def test_the_text_of_a_problem_has_position_found_expected_and_hint(problem: Problem, sentence: str):
    assert str(problem) == sentence


def test_the_problems_of_a_file_are_in_file_order():
    error = FileInvalid([Problem("a", 10, 1, "later"), Problem("a", 2, 1, "sooner")])
    assert str(error) == "a:2:1: sooner\na:10:1: later"
    assert [problem.line for problem in error.problems] == [2, 10]


def test_an_invalid_option_has_its_details_as_attributes():
    error = OptionInvalid("--speed", "'fast'", "a number", "as 2")
    assert str(error) == "--speed: 'fast'; expected a number (as 2)"
    assert (error.option, error.found, error.expected, error.hint) == ("--speed", "'fast'", "a number", "as 2")


def test_input_errors_have_a_common_base_class():
    assert issubclass(FileInvalid, InputError)
    assert issubclass(OptionInvalid, InputError)
    assert issubclass(InputError, CometreelError)
