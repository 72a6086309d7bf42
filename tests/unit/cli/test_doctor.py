"""`cometreel doctor`: each thing found or missing, what it is for, how to get it; 1 only for what is necessary."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.cli.doctor import DoctorCheck, _files, _loopback, _package, _ports, checks


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command on a machine that has these things."""

    def show(*found: DoctorCheck) -> tuple[int, str]:
        monkeypatch.setattr("cometreel.cli.doctor.checks", lambda: iter(found))
        code = run(["doctor"])
        return code, capsys.readouterr().out

    return show


THERE = DoctorCheck("Python", "3.11.7", "to run at all", "install it", needed=True)


def test_what_is_there_is_shown_with_what_was_found(shown: Callable[..., tuple[int, str]]):
    assert shown(THERE) == (ExitCode.DONE, "ok       Python  3.11.7\n")


def test_what_is_missing_is_shown_with_its_purpose_and_its_cure(shown: Callable[..., tuple[int, str]]):
    missing = DoctorCheck("haproxy", "", "for many processes", "apt-get install haproxy")
    line = "missing  haproxy  for many processes; try: apt-get install haproxy\n"
    assert shown(THERE, missing) == (ExitCode.DONE, "ok       Python   3.11.7\n" + line)


def test_only_what_is_necessary_makes_the_answer_no(shown: Callable[..., tuple[int, str]]):
    missing = DoctorCheck("mitmproxy", "", "to record", "pip install mitmproxy", needed=True)
    assert shown(missing) == (ExitCode.NO, "MISSING  mitmproxy  to record; try: pip install mitmproxy\n")


def test_this_machine_has_what_is_necessary(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor"]) == ExitCode.DONE
    names = [re.split(r"\s{2,}", line)[1] for line in capsys.readouterr().out.splitlines()]
    assert names == [check.name for check in checks()]
    assert names[:3] == ["Python", "mitmproxy", "a free port"]
    assert {"locust", "file limit", "local ports", "node", "haproxy", "chromium"} <= {*names}


def test_every_check_of_something_missing_has_a_cure():
    assert [check.name for check in checks() if not check.ok and not check.cure] == []


def test_a_package_that_is_not_installed_is_missing():
    assert not _package("no-such-package-as-this", "for nothing", "leave it").ok


@pytest.mark.parametrize(("limit", "found"), [(1024, ""), (4096, "4096 open files"), (-1, "no limit")])
def test_the_file_limit_must_hold_thousands_of_polls(limit: int, found: str):
    assert _files(limit).found == found


@pytest.mark.parametrize(
    ("text", "found"), [("32768\t60999\n", "28232"), ("50000\t60999\n", ""), (None, "not limited as Linux does")]
)
def test_the_local_ports_must_be_enough(text: str | None, found: str, tmp_path: Path):
    path = tmp_path / "range"
    if text is not None:
        path.write_text(text)
    assert _ports(path).found == found


def test_a_machine_on_which_nothing_may_listen_is_told_so():
    def refuse() -> int:
        raise PermissionError(1, "Operation not permitted")

    check = _loopback(refuse)
    assert (check.ok, check.needed, check.cure) == (
        False,
        True,
        "allow programs to listen on 127.0.0.1 (Operation not permitted)",
    )
