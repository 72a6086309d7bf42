"""A test records a real CometD server while a real client talks to it, and replays it when the server is gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import peers
from demo.client_output import ClientOutput, differences, parse_output
from demo.processes import Process

SHORT = ("log in", "start the session", "handshake", "subscribe to topics", "stats, own", "stats of a place")
"""The steps of a workload that takes a moment only."""

TEST = """
import sys
from pathlib import Path
import pytest
sys.path.insert(0, {root!r})
from demo import peers

@pytest.mark.reel("agent.yaml")
@pytest.mark.parametrize("name", [{name!r}])
def test_agent(reel, name, tmp_path):
    printed = peers.client(tmp_path, name, reel.url, workload=Path({workload!r})).await_end()
    Path(__file__).with_name({out!r}).write_text(printed)
    assert reel.calls(operation="RequestAgentStats", owner_type="Place")[0].owner == "Place1"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[], peers.PeerServer]]:
    """Start the stand-in: a real CometD server that knows workbins."""
    started: list[Process] = []

    def start() -> peers.PeerServer:
        found = peers.stand_in(tmp_path, name=f"stand-in-{len(started)}")
        started.append(found.process)
        return found

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def run_client(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClientOutput]:
    """Run pytest on a test that runs a client; return what the client received."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makefile(".ini", pytest="[pytest]\nfilterwarnings = error\n")

    steps = json.loads(peers.WORKLOAD.read_text())
    short = pytester.path / "short.json"
    short.write_text(json.dumps([step for step in steps if step["step"] in SHORT]))

    def run(name: str, out: str, *arguments: str) -> ClientOutput:
        values = {"root": str(peers.ROOT), "name": name, "out": out, "workload": str(short)}
        pytester.makepyfile(test_agent=TEST.format(**values))
        plain = ("-q", "-p", "no:cacheprovider", "-p", "cometreel.pytest_plugin")  # and nothing else that takes time
        pytester.runpytest_subprocess(*plain, *arguments).assert_outcomes(passed=1)
        return parse_output((pytester.path / out).read_text())

    return run


@pytest.mark.parametrize("name", peers.CLIENTS)
def test_a_recorded_scenario_is_replayed_without_the_server(
    name: str,
    run_client: Callable[..., ClientOutput],
    server: Callable[[], peers.PeerServer],
    pytester: pytest.Pytester,
):
    upstream = server()
    option = f"--reel-record={upstream.url}"
    recorded = run_client(name, "recorded", option)
    upstream.process.stop()
    assert differences(recorded, run_client(name, "replayed", option)) == ""
    private = json.loads((peers.NODE / "contact_center.json").read_text())["users"][0]
    written = "".join(path.read_text() for path in pytester.path.glob("agent.*"))
    assert [private[key] for key in ("userName", "password", "emailAddress") if private[key] in written] == []


def test_new_adds_a_question_with_the_notification_that_answers_it(
    run_client: Callable[..., ClientOutput], server: Callable[[], peers.PeerServer], pytester: pytest.Pytester
):
    """The scenario lacks what the place's statistics are; the rest stays as a person has edited it."""
    first = run_client("cometd-9", "recorded", f"--reel-record={server().url}")
    file = pytester.path / "agent.yaml"
    document = file.read_text()
    head, middle, tail = _cut(document, "stats of place Place1")
    file.write_text(head + tail)
    run_client("cometd-9", "added", f"--reel-record={server().url}", "--reel-record-mode=new")
    assert file.read_text() == head + tail
    extended = pytester.path / "agent.new.yaml"
    assert "name: stats of place Place1\n" in extended.read_text()
    assert extended.read_text().count("- name: ") == document.count("- name: ")
    assert "workbinOwner: Place1" in middle
    file.write_text(extended.read_text())
    assert differences(first, run_client("cometd-9", "replayed")) == ""


def _cut(document: str, name: str) -> tuple[str, str, str]:
    """Cut every exchange of a name out of a scenario."""
    before, found, after = document.partition(f"  - name: {name}\n")
    assert found
    inside, next_one, rest = after.partition("  - name: ")
    return before, found + inside, next_one + rest


def test_mode_all_records_again_and_keeps_every_journal(
    run_client: Callable[..., ClientOutput], server: Callable[[], peers.PeerServer], pytester: pytest.Pytester
):
    for number in range(2):
        run_client("cometd-3", f"run-{number}", f"--reel-record={server().url}", "--reel-record-mode=all")
    names = sorted(path.name for path in pytester.path.glob("agent*"))
    assert [name for name in names if name.endswith(".jsonl")] == ["agent.2.jsonl", "agent.jsonl"]
    assert "agent.yaml" in names
