"""A client receives the same from the server, through the recorder and from the replay.

Each client runs the same workload three times: against the stand-in, through mitmdump with the record addon, and
against mitmdump with the replay addon, without the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.scenario import load
from demo import peers
from demo.client_output import ClientOutput, differences, parse_output
from demo.processes import Process

FILTER = "~u /api/v2/"


class RecordAndReplay:
    """Records a run and replays it, each in a new process."""

    def __init__(self, folder: Path, stand_in: Callable[..., str], mitmdump: Callable[..., peers.PeerServer]) -> None:
        self.journal = folder / "run.jsonl"
        self.scenario = folder / "run.yaml"
        self._stand_in = stand_in
        self._mitmdump = mitmdump

    def recorder(self, *arguments: str, **options: object) -> peers.PeerServer:
        """Start a new stand-in behind the record addon."""
        upstream = self._stand_in(*arguments)
        return self._mitmdump(f"reverse:{upstream}", "record", reel_out=self.journal, reel_filter=FILTER, **options)

    def replay(self, **options: object) -> peers.PeerServer:
        """Replay the recorded scenario without a server: the upstream's host does not exist."""
        return self._mitmdump("reverse:http://unused.invalid", "replay", reel_scenario=self.scenario, **options)


@pytest.fixture
def record_and_replay(
    tmp_path: Path, stand_in: Callable[..., str], mitmdump: Callable[..., peers.PeerServer]
) -> RecordAndReplay:
    return RecordAndReplay(tmp_path, stand_in, mitmdump)


@pytest.mark.parametrize("name", peers.CLIENTS)
def test_a_client_receives_the_same_from_server_recorder_and_replay(
    name: str, record_and_replay: RecordAndReplay, direct: dict[str, ClientOutput], client: Callable[..., ClientOutput]
):
    recorder = record_and_replay.recorder()
    through_record = client(name, recorder.url)
    assert differences(direct[name], through_record) == ""
    recorder.process.stop()
    assert load([record_and_replay.scenario]).exchanges
    from_replay = client(name, record_and_replay.replay().url)
    assert differences(direct[name], from_replay) == ""


def test_a_recording_with_csrf_protection_can_be_replayed(
    record_and_replay: RecordAndReplay, direct: dict[str, ClientOutput], client: Callable[..., ClientOutput]
):
    """The replay returns its own token and requires it, as the recorded server did."""
    recorder = record_and_replay.recorder("--csrf")
    assert differences(direct["csrf"], client("cometd-9", recorder.url)) == ""
    recorder.process.stop()
    assert differences(direct["csrf"], client("cometd-9", record_and_replay.replay(reel_auth="csrf").url)) == ""


def test_strict_policy_returns_the_identifiers_that_a_client_sends(
    record_and_replay: RecordAndReplay, direct: dict[str, ClientOutput], client: Callable[..., ClientOutput]
):
    """No identifier is recorded; the replay uses those of the client, and the workload completes."""

    def summary(run: ClientOutput) -> object:
        keys = {
            channel: [isinstance(data, dict) and sorted(data) for data in messages]
            for channel, messages in run.messages.items()
        }
        return [(reply["step"], reply["status"]) for reply in run.replies], keys, run.met

    recorder = record_and_replay.recorder(reel_policy="strict")
    client("cometd-3", recorder.url)
    recorder.process.stop()
    sent = ("Place1", "ServiceAgentGroup", "28383e5523c7479cae4afa8df88d66df", "861640a2-5e11-4c0b-b0a7-93d2c1f4e502")
    recorded = record_and_replay.journal.read_text() + record_and_replay.scenario.read_text()
    assert [value for value in sent if value in recorded] == []
    replayed = client("cometd-3", record_and_replay.replay().url)
    assert summary(replayed) == summary(direct["cometd-3"])
    assert [value for value in sent if value not in json.dumps(replayed.messages)] == []


def test_one_scenario_serves_every_client(
    record_and_replay: RecordAndReplay,
    direct: dict[str, ClientOutput],
    client: Callable[..., ClientOutput],
    start_client: Callable[..., Process],
):
    """The recording of one client is replayed to all three at once, which send other bytes for the same requests."""
    recorder = record_and_replay.recorder()
    client("cometd-3", recorder.url)
    recorder.process.stop()
    url = record_and_replay.replay().url
    started = {name: start_client(name, url) for name in peers.CLIENTS}
    found = {name: differences(direct[name], parse_output(process.await_end())) for name, process in started.items()}
    assert found == dict.fromkeys(peers.CLIENTS, "")


def test_two_agents_at_once(record_and_replay: RecordAndReplay, tmp_path: Path, start_client: Callable[..., Process]):
    """Both send the same requests and receive their own replies; the replay assigns roles in the order of logins."""
    steps = [step for step in json.loads(peers.WORKLOAD.read_text()) if "Workitem" not in json.dumps(step)]
    workload = tmp_path / "without_moves.json"
    workload.write_text(json.dumps(steps))

    def both(url: str) -> tuple[ClientOutput, ClientOutput]:
        ann = start_client("cometd-3", url, peers.ANN, workload)
        ann.await_line('"log in"')
        ben = start_client("cometd-9", url, peers.BEN, workload)
        return parse_output(ann.await_end()), parse_output(ben.await_end())

    recorder = record_and_replay.recorder()
    recorded = both(recorder.url)
    assert differences(*recorded) != ""
    recorder.process.stop()
    replayed = both(record_and_replay.replay().url)
    assert [differences(*pair) for pair in zip(recorded, replayed, strict=True)] == ["", ""]
