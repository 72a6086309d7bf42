"""The exit codes are a promise to scripts."""

from cometreel.cli import ExitCode


def test_the_three_codes():
    assert {code.name: code.value for code in ExitCode} == {"SUCCESS": 0, "CHECK_FAILED": 1, "ERROR": 2}
