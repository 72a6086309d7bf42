"""There and back: what is exported and imported again is the same scenario, and other programs read it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.jsonvalue import JSON
from cometreel.scenario import parse

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "recordings" / "workbin-desktop.yaml"
LITERAL = ("request_agent_stats", "request_stats")
"""Scenarios that ship and hold no pattern, no personal data and no fault."""


def said(path: Path) -> list[JSON]:
    """The exchanges of a scenario without their names, which an import makes anew, each as plain data."""
    blocks = [
        block.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        for block in parse(path).exchanges or ()
    ]
    return [{key: value for key, value in block.items() if key != "name"} for block in blocks]


def there_and_back(path: Path, folder: Path, form: str) -> Path:
    """Export a scenario and import it again."""
    file = folder / f"export.{form}"
    arguments = ["--mitm", str(file)] if form == "mitm" else ["--har", "-o", str(file)]
    assert run(["export", str(path), *arguments]) == ExitCode.DONE
    back = folder / "back.yaml"
    assert run(["import", str(file), "-o", str(back)]) == ExitCode.DONE
    return back


@pytest.mark.parametrize("form", ["har", "mitm"])
def test_a_recording_comes_back_with_the_same_exchanges_names_and_times(form: str, tmp_path: Path):
    back = there_and_back(SAMPLE, tmp_path, form)
    assert parse(back).exchanges == parse(SAMPLE).exchanges
    assert parse(back).model_copy(update={"title": None, "timeline": None, "exchanges": None}) == parse(
        SAMPLE
    ).model_copy(update={"title": None, "timeline": None, "exchanges": None})


@pytest.mark.parametrize("form", ["har", "mitm"])
@pytest.mark.parametrize("name", LITERAL)
def test_a_scenario_that_was_written_by_hand_comes_back_with_the_same_exchanges(name: str, form: str, tmp_path: Path):
    path = ROOT / "scenarios" / f"{name}.yaml"
    assert said(there_and_back(path, tmp_path, form)) == said(path)


def test_what_nobody_asked_for_comes_back_after_what_came_before_it(tmp_path: Path):
    (entry,) = parse(there_and_back(SAMPLE, tmp_path, "har")).timeline or []
    (original,) = parse(SAMPLE).timeline or []
    assert (entry.channel, entry.data) == (original.channel, original.data)


def test_a_real_mitmdump_reads_the_flows(tmp_path: Path):
    file = tmp_path / "export.mitm"
    assert run(["export", str(SAMPLE), "--mitm", str(file)]) == ExitCode.DONE
    command = [str(Path(sys.executable).with_name("mitmdump")), "-nr", str(file), "--set", f"confdir={tmp_path / 'm'}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    calls = re.findall(r"(GET|POST) http://cometreel\.example(\S+)", printed)
    assert sum(path.startswith("/api/v2/notifications") for _, path in calls) > 20
    assert sum(not path.startswith("/api/v2/notifications") for _, path in calls) == 24
    assert "<< 403 " in printed


def test_a_real_mitmdump_reads_the_har(tmp_path: Path):
    file = tmp_path / "export.har"
    assert run(["export", str(SAMPLE), "--har", "-o", str(file)]) == ExitCode.DONE
    entries = json.loads(file.read_text())["log"]["entries"]
    command = [str(Path(sys.executable).with_name("mitmdump")), "-nr", str(file), "--set", f"confdir={tmp_path / 'm'}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"(GET|POST) http://cometreel\.example", printed)) == len(entries)


def test_the_same_scenario_is_the_same_file(tmp_path: Path):
    for form in ("har", "mitm"):
        one, other = tmp_path / f"one.{form}", tmp_path / f"other.{form}"
        for file in (one, other):
            arguments = ["--mitm", str(file)] if form == "mitm" else ["--har", "-o", str(file)]
            assert run(["export", str(SAMPLE), *arguments]) == ExitCode.DONE
        assert one.read_bytes() == other.read_bytes()
