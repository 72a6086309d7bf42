"""What an application sees through the recorder and from the replay is what it sees from the server itself.

Each client runs the same workload three times: at the stand-in, through mitmdump with the record addon, and at
mitmdump with the replay addon, when the server is gone.
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


class Studio:
    """Records a run and replays it; each in a fresh process."""

    def __init__(self, folder: Path, stand_in: Callable[..., str], mitmdump: Callable[..., peers.Server]) -> None:
        self.journal = folder / "run.jsonl"
        self.scenario = folder / "run.yaml"
        self._stand_in = stand_in
        self._mitmdump = mitmdump

    def recorder(self, *arguments: str, **options: object) -> peers.Server:
        """A fresh stand-in behind the record addon."""
        upstream = self._stand_in(*arguments)
        return self._mitmdump(f"reverse:{upstream}", "record", reel_out=self.journal, reel_filter=FILTER, **options)

    def replay(self, **options: object) -> peers.Server:
        """The recorded scenario, with no server behind it: the upstream's name leads nowhere."""
        return self._mitmdump("reverse:http://unused.invalid", "replay", reel_scenario=self.scenario, **options)


@pytest.fixture
def studio(tmp_path: Path, stand_in: Callable[..., str], mitmdump: Callable[..., peers.Server]) -> Studio:
    return Studio(tmp_path, stand_in, mitmdump)


@pytest.mark.parametrize("name", peers.CLIENTS)
def test_one_client_three_ways(
    name: str, studio: Studio, direct: dict[str, ClientOutput], client: Callable[..., ClientOutput]
):
    recorder = studio.recorder()
    through_record = client(name, recorder.url)
    assert differences(direct[name], through_record) == ""
    recorder.process.stop()
    assert load([studio.scenario]).exchanges
    from_replay = client(name, studio.replay().url)
    assert differences(direct[name], from_replay) == ""


def test_with_csrf_protection(studio: Studio, direct: dict[str, ClientOutput], client: Callable[..., ClientOutput]):
    """The replay announces a token of its own and wants it back, as the recorded server did."""
    recorder = studio.recorder("--csrf")
    assert differences(direct["csrf"], client("cometd-9", recorder.url)) == ""
    recorder.process.stop()
    assert differences(direct["csrf"], client("cometd-9", studio.replay(reel_auth="csrf").url)) == ""


def test_under_the_strict_policy_a_client_gets_back_what_it_sends(
    studio: Studio, direct: dict[str, ClientOutput], client: Callable[..., ClientOutput]
):
    """No identifier is recorded; at replay the client's own take their places, and the workload runs to its end."""

    def course(run: ClientOutput) -> object:
        told = {
            channel: [isinstance(data, dict) and sorted(data) for data in messages]
            for channel, messages in run.messages.items()
        }
        return [(reply["step"], reply["status"]) for reply in run.replies], told, run.met

    recorder = studio.recorder(reel_policy="strict")
    client("cometd-3", recorder.url)
    recorder.process.stop()
    sent = ("Place1", "ServiceAgentGroup", "28383e5523c7479cae4afa8df88d66df", "861640a2-5e11-4c0b-b0a7-93d2c1f4e502")
    recorded = studio.journal.read_text() + studio.scenario.read_text()
    assert [value for value in sent if value in recorded] == []
    replayed = client("cometd-3", studio.replay().url)
    assert course(replayed) == course(direct["cometd-3"])
    assert [value for value in sent if value not in json.dumps(replayed.messages)] == []


def test_one_scenario_serves_every_client(
    studio: Studio,
    direct: dict[str, ClientOutput],
    client: Callable[..., ClientOutput],
    start_client: Callable[..., Process],
):
    """What one client recorded is replayed to all three at once, which send other bytes for the same questions."""
    recorder = studio.recorder()
    client("cometd-3", recorder.url)
    recorder.process.stop()
    url = studio.replay().url
    started = {name: start_client(name, url) for name in peers.CLIENTS}
    found = {name: differences(direct[name], parse_output(process.await_end())) for name, process in started.items()}
    assert found == dict.fromkeys(peers.CLIENTS, "")


def test_two_agents_at_once(studio: Studio, tmp_path: Path, start_client: Callable[..., Process]):
    """Both ask the same, each is told its own; the replay casts them in the order in which they log in."""
    steps = [step for step in json.loads(peers.WORKLOAD.read_text()) if "Workitem" not in json.dumps(step)]
    workload = tmp_path / "without_moves.json"
    workload.write_text(json.dumps(steps))

    def both(url: str) -> tuple[ClientOutput, ClientOutput]:
        ann = start_client("cometd-3", url, peers.ANN, workload)
        ann.await_line('"log in"')
        ben = start_client("cometd-9", url, peers.BEN, workload)
        return parse_output(ann.await_end()), parse_output(ben.await_end())

    recorder = studio.recorder()
    recorded = both(recorder.url)
    assert differences(*recorded) != ""
    recorder.process.stop()
    replayed = both(studio.replay().url)
    assert [differences(*pair) for pair in zip(recorded, replayed, strict=True)] == ["", ""]
