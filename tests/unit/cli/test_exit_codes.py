"""The exit codes are a promise to scripts."""

from cometreel.cli import ExitCode


def test_exit_codes_are_0_1_and_2():
    assert {code.name: code.value for code in ExitCode} == {"DONE": 0, "NO": 1, "CANNOT": 2}
