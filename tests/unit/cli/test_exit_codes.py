"""The exit codes are a public interface: scripts depend on them."""

from cometreel.cli import ExitCode


def test_exit_codes_are_0_1_and_2():
    assert {code.name: code.value for code in ExitCode} == {"SUCCESS": 0, "CHECK_FAILED": 1, "ERROR": 2}
