"""Round trips: an exported file imports as the same scenario, and other programs read it."""

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
"""Shipped scenarios without patterns, personal data and faults."""


def exchanges_without_names(path: Path) -> list[JSON]:
    """Return the exchanges of a scenario as plain data, without the names, which an import generates."""
    blocks = [
        block.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        for block in parse(path).exchanges or ()
    ]
    return [{key: value for key, value in block.items() if key != "name"} for block in blocks]


def round_trip(path: Path, folder: Path, form: str) -> Path:
    """Export a scenario and import it again."""
    file = folder / f"export.{form}"
    arguments = ["--mitm", str(file)] if form == "mitm" else ["--har", "-o", str(file)]
    assert run(["export", str(path), *arguments]) == ExitCode.SUCCESS
    back = folder / "back.yaml"
    assert run(["import", str(file), "-o", str(back)]) == ExitCode.SUCCESS
    return back


@pytest.mark.parametrize("form", ["har", "mitm"])
def test_a_recording_has_the_same_exchanges_names_and_times_after_a_round_trip(form: str, tmp_path: Path):
    back = round_trip(SAMPLE, tmp_path, form)
    assert parse(back).exchanges == parse(SAMPLE).exchanges
    assert parse(back).model_copy(update={"title": None, "timeline": None, "exchanges": None}) == parse(
        SAMPLE
    ).model_copy(update={"title": None, "timeline": None, "exchanges": None})


@pytest.mark.parametrize("form", ["har", "mitm"])
@pytest.mark.parametrize("name", LITERAL)
def test_a_written_scenario_has_the_same_exchanges_after_a_round_trip(name: str, form: str, tmp_path: Path):
    path = ROOT / "scenarios" / f"{name}.yaml"
    assert exchanges_without_names(round_trip(path, tmp_path, form)) == exchanges_without_names(path)


def test_an_unsolicited_notification_is_in_the_timeline_after_a_round_trip(tmp_path: Path):
    (entry,) = parse(round_trip(SAMPLE, tmp_path, "har")).timeline or []
    (original,) = parse(SAMPLE).timeline or []
    assert (entry.channel, entry.data) == (original.channel, original.data)


def test_a_real_mitmdump_reads_the_flows(tmp_path: Path):
    file = tmp_path / "export.mitm"
    assert run(["export", str(SAMPLE), "--mitm", str(file)]) == ExitCode.SUCCESS
    command = [str(Path(sys.executable).with_name("mitmdump")), "-nr", str(file), "--set", f"confdir={tmp_path / 'm'}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    calls = re.findall(r"(GET|POST) http://cometreel\.example(\S+)", printed)
    assert sum(path.startswith("/api/v2/notifications") for _, path in calls) > 20
    assert sum(not path.startswith("/api/v2/notifications") for _, path in calls) == 24
    assert "<< 403 " in printed


def test_a_real_mitmdump_reads_the_har(tmp_path: Path):
    file = tmp_path / "export.har"
    assert run(["export", str(SAMPLE), "--har", "-o", str(file)]) == ExitCode.SUCCESS
    entries = json.loads(file.read_text())["log"]["entries"]
    command = [str(Path(sys.executable).with_name("mitmdump")), "-nr", str(file), "--set", f"confdir={tmp_path / 'm'}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"(GET|POST) http://cometreel\.example", printed)) == len(entries)


def test_the_same_scenario_always_gives_the_same_file(tmp_path: Path):
    for form in ("har", "mitm"):
        one, other = tmp_path / f"one.{form}", tmp_path / f"other.{form}"
        for file in (one, other):
            arguments = ["--mitm", str(file)] if form == "mitm" else ["--har", "-o", str(file)]
            assert run(["export", str(SAMPLE), *arguments]) == ExitCode.SUCCESS
        assert one.read_bytes() == other.read_bytes()
