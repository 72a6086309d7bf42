"""The correlation profile of a recording: detected, chosen, or from a file that the journal keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cometreel.cli.main import run
from cometreel.errors import CometreelError
from cometreel.recording import Recorder, distill, load_policy
from cometreel.scenario import DETECT, chosen_profile, dump, profile
from cometreel.show.journal_reader import conversation_of_journal

SAMPLE = Path(__file__).parents[3] / "recordings" / "workbin-desktop.jsonl"
OWN = "name: orders\nreply: [/ticket]\nevent: [/ticket]\nwindow: 10s\n"


def record(wire: Any, choice: Any) -> Any:
    """Let a wire record with a choice of a profile."""
    wire.recorder.close()
    wire.path = wire.path.with_name("chosen.jsonl")
    wire.recorder = Recorder(wire.path, policy=load_policy("default"), profile=choice, clock=lambda: wire.now)
    return wire


def workspace_call(wire: Any) -> None:
    """Two calls of Workspace API v3, answered in the other order."""
    wire.login(0, "s1", "c1")
    for at, operation in ((1, "op-a"), (1.1, "op-b")):
        answer = {"status": {"code": 1}, "operationId": operation}
        wire.call(at, "POST", "/workspace/v3/workbins/get-contents", {"data": {"id": at}}, answer, session="s1")
    for at, operation in ((2, "op-b"), (3, "op-a")):
        message = {"messageType": "WorkbinsMessage", "operationId": operation}
        wire.poll(at - 0.5, at, "c1", {"channel": "/workspace/v3/workbins", "data": message}, session="s1")


def events_by_exchange(distilled: Any) -> list[list[str]]:
    return [[event.data["operationId"] for event in each.events or []] for each in distilled.file.exchanges]


def test_a_recording_of_workspace_v3_is_paired_without_an_option(wire: Any):
    workspace_call(record(wire, DETECT))
    distilled = wire.distil()
    assert json.loads(wire.text().splitlines()[0])["profile"] == "detect"
    assert (distilled.file.correlation, events_by_exchange(distilled)) == ("workspace-v3", [["op-a"], ["op-b"]])
    assert conversation_of_journal(wire.path).profile.name == "workspace-v3"


def test_a_recording_of_gws_gives_the_same_file_as_with_its_profile():
    assert dump(distill(SAMPLE, profile=DETECT).file) == dump(distill(SAMPLE, profile=profile("gws-v2")).file)


def test_a_recording_that_no_profile_explains_is_one_of_gws(wire: Any):
    record(wire, DETECT).call(0, "GET", "/api/v2/me", None, {"statusCode": 0})
    assert wire.distil().file.correlation == "gws-v2"


def test_a_notification_that_only_follows_a_call_explains_no_profile(wire: Any):
    record(wire, DETECT).login(0, "s1", "c1")
    wire.call(1, "POST", "/orders", {}, {"ok": True}, session="s1")
    wire.poll(0.5, 2, "c1", {"channel": "/orders", "data": {"done": True}}, session="s1")
    distilled = wire.distil()
    assert (distilled.file.correlation, distilled.summary.correlated["reference"]) == ("gws-v2", 0)


def test_a_journal_with_the_name_of_a_profile_keeps_it_and_detect_can_be_chosen(wire_of: Callable[..., Any]):
    wire = wire_of(profile_name="gws-v2")
    workspace_call(wire)
    assert wire.distil().file.correlation == "gws-v2"
    assert distill(wire.path, profile=DETECT).file.correlation == "workspace-v3"


def test_a_profile_from_a_file_is_kept_in_the_journal(wire: Any, tmp_path: Path):
    own = tmp_path / "own.yaml"
    own.write_text(OWN)
    record(wire, chosen_profile(str(own), "--profile"))
    own.unlink()
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/orders", {"item": "lamp"}, {"ticket": 7}, session="s1")
    wire.poll(1, 1.5, "c1", {"channel": "/orders", "data": {"ticket": 7}}, session="s1")
    distilled = wire.distil()
    (exchange,) = distilled.file.exchanges
    assert [event.data for event in exchange.events] == [{"ticket": 7}]
    assert distilled.file.correlation.reply == ["/ticket"]
    assert conversation_of_journal(wire.path).profile.name == "orders"


def test_an_invalid_profile_in_a_journal_is_reported_in_one_line(wire: Any, capsys: pytest.CaptureFixture[str]):
    wire.recorder.close()
    header = {**json.loads(wire.text().splitlines()[0]), "profile": "own", "correlation": {"reply": 5}}
    wire.path.write_text(json.dumps(header) + "\n")
    assert run(["distill", str(wire.path)]) == 2
    assert capsys.readouterr().err == (
        f"cometreel: {wire.path}:1:1: recorded with a profile that is invalid; "
        "expected a shipped profile (choose one with --profile)\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("none.yaml", "x: 'none.yaml'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile"),
        ("{bad}", "{bad}:1:1: unknown key 'evnet'"),
    ],
)
def test_a_choice_that_does_not_exist_or_is_invalid_is_reported(text: str, sentence: str, tmp_path: Path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("evnet: [/a]\n")
    with pytest.raises(CometreelError) as raised:
        chosen_profile(text.format(bad=bad), "x")
    assert str(raised.value).startswith(sentence.format(bad=bad))
