"""`cometreel doctor`: one line for each check; exit code 1 only if a requirement is missing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cometreel import wire
from cometreel.cli import ExitCode, run
from cometreel.cli.doctor import (
    DoctorCheck,
    _extra,
    _listening,
    _local_ports,
    _open_files,
    _python_for_recording,
    checks,
)
from cometreel.extras import EXTRAS
from tests.base_install import needs_extra


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command with these results."""

    def show(*found: DoctorCheck) -> tuple[int, str]:
        monkeypatch.setattr("cometreel.cli.doctor.checks", lambda: iter(found))
        code = run(["doctor"])
        return code, capsys.readouterr().out

    return show


PYTHON = DoctorCheck("Python", "3.11.7", "to run Cometreel", "install it", required=True)


def test_a_part_that_was_found_is_printed_with_its_version(shown: Callable[..., tuple[int, str]]):
    assert shown(PYTHON) == (ExitCode.SUCCESS, "ok       Python  3.11.7\n")


def test_a_missing_part_is_printed_with_its_purpose_and_advice(shown: Callable[..., tuple[int, str]]):
    missing = DoctorCheck("haproxy", "", "for many processes", "apt-get install haproxy")
    line = "missing  haproxy  for many processes; try: apt-get install haproxy\n"
    assert shown(PYTHON, missing) == (ExitCode.SUCCESS, "ok       Python   3.11.7\n" + line)


def test_only_a_missing_requirement_changes_the_exit_code(shown: Callable[..., tuple[int, str]]):
    missing = DoctorCheck("Python", "", "to run Cometreel", "install it", required=True)
    assert shown(missing) == (ExitCode.CHECK_FAILED, "MISSING  Python  to run Cometreel; try: install it\n")


def test_this_machine_meets_the_requirements(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor"]) == ExitCode.SUCCESS
    names = [re.split(r"\s{2,}", line)[1] for line in capsys.readouterr().out.splitlines()]
    assert names == [check.name for check in checks()]
    assert names[:4] == ["Python", "engine", "listening", "pytest"]
    assert {"extra record", "extra load", "file limit", "local ports", "node", "haproxy", "chromium"} <= {*names}


def test_the_running_engine_is_shown():
    form = "pure Python" if wire.__file__.endswith(".py") else "compiled"
    assert [check.found for check in checks() if check.name == "engine"] == [form]


def test_every_missing_part_has_advice():
    assert [check.name for check in checks() if not check.ok and not check.advice] == []


@needs_extra("verify")
def test_every_extra_is_listed_with_its_versions():
    assert [check.name for check in checks() if check.name.startswith("extra ")] == [f"extra {each}" for each in EXTRAS]
    assert _extra("verify").found == f"httpx {version('httpx')}, deepdiff {version('deepdiff')}"


def test_an_extra_with_one_missing_distribution_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "deepdiff", None)
    check = _extra("verify")
    assert (check.ok, check.required, check.advice) == (False, False, "pip install 'cometreel[verify]'")


@pytest.mark.parametrize(("version", "found"), [((3, 11), ""), ((3, 12), "3.12"), ((3, 14), "3.14")])
def test_python_3_12_is_recommended_for_recording(version: tuple[int, int], found: str):
    check = _python_for_recording(version)
    assert (check.name, check.found, check.required) == ("Python 3.12", found, False)
    assert re.findall(r"CVE-\d+-\d+", check.purpose) == ["CVE-2025-43859", "CVE-2025-47287"]
    assert check.advice == "record with Python 3.12 or newer"


@needs_extra("record")
def test_only_python_3_11_gets_a_mitmproxy_without_the_fixed_versions():
    """The advisories are fixed in h11 0.16 and tornado 6.5. Remove the check when mitmproxy allows them on 3.11."""
    limits = {Requirement(text).name: Requirement(text).specifier for text in requires("mitmproxy") or ()}
    allowed = [name for name, fixed in (("h11", "0.16.0"), ("tornado", "6.5")) if fixed in limits[name]]
    assert allowed == ([] if sys.version_info < (3, 12) else ["h11", "tornado"])


@pytest.mark.parametrize("page", ["README.md", "docs/record.md"])
def test_the_pages_recommend_python_3_12_for_recording(page: str):
    text = " ".join((Path(__file__).parents[3] / page).read_text("utf-8").split())
    assert "Python 3.12 or newer for recording" in text
    assert "11.0.2" in text


@pytest.mark.parametrize(("limit", "found"), [(1024, ""), (4096, "4096 open files"), (-1, "no limit")])
def test_the_file_limit_must_allow_thousands_of_polls(limit: int, found: str):
    assert _open_files(limit).found == found


@pytest.mark.parametrize(
    ("text", "found"), [("32768\t60999\n", "28232"), ("50000\t60999\n", ""), (None, "not limited as on Linux")]
)
def test_the_local_ports_must_be_enough(text: str | None, found: str, tmp_path: Path):
    path = tmp_path / "range"
    if text is not None:
        path.write_text(text)
    assert _local_ports(path).found == found


def test_a_machine_that_forbids_listening():
    def refuse() -> int:
        raise PermissionError(1, "Operation not permitted")

    check = _listening(refuse)
    assert (check.ok, check.required, check.advice) == (
        False,
        True,
        "allow programs to listen on 127.0.0.1 (Operation not permitted)",
    )
