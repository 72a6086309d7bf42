"""The exit codes are a promise to scripts."""

from cometreel.cli import Exit


def test_the_three_codes():
    assert {code.name: code.value for code in Exit} == {"DONE": 0, "NO": 1, "CANNOT": 2}
