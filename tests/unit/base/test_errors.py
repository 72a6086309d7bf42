"""Errors: where, what was found, what was expected, what to do; all problems of a file at once."""

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
def test_a_problem_says_where_what_and_what_to_do(problem: Problem, sentence: str):
    assert str(problem) == sentence


def test_the_problems_of_a_file_stand_in_its_order():
    error = FileInvalid([Problem("a", 10, 1, "later"), Problem("a", 2, 1, "sooner")])
    assert str(error) == "a:2:1: sooner\na:10:1: later"
    assert [problem.line for problem in error.problems] == [2, 10]


def test_an_option_carries_its_facts():
    error = OptionInvalid("--speed", "'fast'", "a number", "as 2")
    assert str(error) == "--speed: 'fast'; expected a number (as 2)"
    assert (error.option, error.found, error.expected, error.hint) == ("--speed", "'fast'", "a number", "as 2")


def test_bad_input_is_one_family():
    assert issubclass(FileInvalid, InputError)
    assert issubclass(OptionInvalid, InputError)
    assert issubclass(InputError, CometreelError)
