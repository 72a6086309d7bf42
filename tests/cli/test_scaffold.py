"""The test of the starter project, run by a separate pytest: unchanged, and with an edited scenario."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run

_PATIENCE_SECONDS = 120  # of this test; the starter's own patience is a few seconds


def ended(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the starter's test to its end."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)


def test_it_passes(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    result = ended(tmp_path)
    assert (result.returncode, result.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "1 passed"), result.stdout


NEAR_MISS = "nearest: 'stats of place Place1' (workbins.yaml:10)"


@pytest.mark.parametrize(
    ("before", "after", "error", "shown"),
    [
        (
            "workbinOwner: Place1",
            "workbinOwner: Place2",
            "AssertionError: POST /api/v2/workbins: HTTP 404: ",
            [NEAR_MISS, "differs: body.workbinOwner is Place1, not Place2"],
        ),
        (
            "path: /api/v2/workbins",
            "path: /api/v2/bins",
            "AssertionError: POST /api/v2/workbins: HTTP 404: ",
            [NEAR_MISS, "differs: path is /api/v2/workbins, not /api/v2/bins"],
        ),
        (
            "endpoint: /api/v2/notifications",
            "endpoint: /api/v2/cometd",
            "AssertionError: POST /api/v2/notifications: HTTP 404: ",
            [NEAR_MISS, "differs: path is /api/v2/notifications, not /api/v2/workbins"],
        ),
        (
            "channel: /v2/me/workbins",
            "channel: /v2/me/calls",
            "AssertionError: no notification on /v2/me/workbins within 5 s; see `events` in workbins.yaml",
            [],
        ),
        (
            "after: 120ms",
            "after: 120s",
            "AssertionError: no notification on /v2/me/workbins within 5 s; see `events` in workbins.yaml",
            [],
        ),
        (
            "endpoint: /api/v2/notifications",
            "endpoint: /api/v2/notifications\n  advice: {timeout: 10}",
            "",
            [],
        ),
    ],
    ids=["owner", "path", "endpoint", "channel", "delay", "short polls"],
)
def test_it_fails_soon_and_shows_why_when_the_scenario_is_edited(
    tmp_path: Path, before: str, after: str, error: str, shown: list[str]
):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    scenario = tmp_path / "workbins.yaml"
    text = scenario.read_text()
    assert before in text
    scenario.write_text(text.replace(before, after))
    result = ended(tmp_path)
    assert error in result.stdout
    assert [line for line in shown if line not in result.stdout] == []
    assert result.returncode == (1 if error else 0)


def test_the_readme_installs_pytest_before_it_runs_the_test(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    commands = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("$ ")]
    assert commands[:2] == ["$ pip install pytest", "$ python -m pytest"]
