"""Equal seeds give equal bytes through each server: the run in memory is repeated over real sockets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cometreel.engine import clock
from cometreel.engine.driver import Driver
from cometreel.serve import server_connections
from cometreel.serve.websocket_connection import WebSocketConnection
from cometreel.wire import Headers, Reply
from tests.simulation import real_servers, socket_run
from tests.simulation.history import Emitted, Sent
from tests.simulation.real_servers import (
    LEFT_OUT,
    SERVERS,
    check_servers,
    compared,
    played_in_memory,
    report_failure,
    serving_here,
    socket_plan,
)
from tests.simulation.socket_run import AllowedDifferences
from tests.simulation.transcript import check_printed

SAMPLE = (60, 111, 146, 156, 194)
"""Seeds that have all kinds of steps, clients and outputs together."""

ON_SERVERS = [("serve", 156), ("serve", 194), ("uvicorn", 60), ("uvicorn", 146), ("granian", 28)]
"""Not all seeds on all servers, for speed. `make simulate SOCKETS=9` plays nine seeds on each server."""


@pytest.mark.parametrize(("server", "seed"), ON_SERVERS)
def test_a_server_sends_the_bytes_of_the_engine(server: str, seed: int, tmp_path: Path):
    found, count = compared(SERVERS[server].serving, socket_plan(seed), tmp_path)
    assert (found, count > 90) == ("", True)


@pytest.mark.parametrize("seed", [28, 156])
def test_mitmdump_sends_the_bytes_of_the_engine(seed: int, tmp_path: Path):
    found, count = compared(SERVERS["mitmdump"].serving, socket_plan(seed), tmp_path)
    assert (found, count > 90) == ("", True)


def test_the_sample_has_all_kinds_of_steps_clients_and_outputs(tmp_path: Path):
    every = [socket_plan(seed) for seed in range(300)]
    sample = [socket_plan(seed) for seed in SAMPLE]
    for kinds in (
        lambda plan: {step.do for step in plan.steps},
        lambda plan: {(client.transport, client.ack) for client in plan.clients},
        lambda plan: {client.identity for client in plan.clients},
        lambda plan: {operation.trigger for operation in plan.operations},
        lambda plan: {plan.options.dialect},
    ):
        assert _all(kinds, sample) == _all(kinds, every)
    assert {"reset", "reload", "push", "speed", "sleep"} <= {step.do for plan in sample for step in plan.steps}
    assert not LEFT_OUT.keys() & {step.do for plan in sample for step in plan.steps}
    assert _all(_outputs, [played_in_memory(plan, tmp_path / "scenario.yaml").history for plan in sample]) == {
        ("Accept", True),
        ("Drop", False),
        ("Drop", True),
        ("Frame", True),
        ("Reply", False),
    }


def _all(kinds: Callable[[Any], set[Any]], plans: list[Any]) -> set[Any]:
    return set().union(*map(kinds, plans))


def _outputs(history: list[Any]) -> set[tuple[str, bool]]:
    sockets = {entry.request.id for entry in history if isinstance(entry, Sent) and entry.request.websocket}
    outputs = [entry.output for entry in history if isinstance(entry, Emitted)]
    return {(type(each).__name__, each.request_id in sockets) for each in outputs}


# ------------------------------------------------------------------ the comparison can fail
def _reply_bytes(change: Callable[[Reply], Reply]) -> tuple[object, str, Callable[[Any], Any]]:
    def changed(original: Any) -> Any:
        return lambda reply, head, *, close: original(change(reply), head, close=close)

    return server_connections, "reply_bytes", changed


def _with_first_argument(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda original: lambda self, first, *more: original(self, change(first), *more)


def _without_cookies(reply: Reply) -> Reply:
    fields = [field for field in reply.headers if field[0] != "Set-Cookie"]
    return Reply(reply.request_id, reply.status, Headers(fields), reply.body)


FAULTS: dict[str, tuple[object, str, Callable[[Any], Any]]] = {
    "a header field is missing": _reply_bytes(_without_cookies),
    "a header field is added": _reply_bytes(
        lambda reply: Reply(reply.request_id, reply.status, Headers([*reply.headers, ("X-More", "1")]), reply.body)
    ),
    "a byte of a body is changed": _reply_bytes(
        lambda reply: Reply(reply.request_id, reply.status, reply.headers, reply.body.replace(b'"n"', b'"m"'))
    ),
    "a status is another one": _reply_bytes(
        lambda reply: Reply(reply.request_id, {404: 410}.get(reply.status, reply.status), reply.headers, reply.body)
    ),
    "a byte of a frame is changed": (
        WebSocketConnection,
        "send_message",
        _with_first_argument(lambda text: text.replace("/a", "/A")),
    ),
    "a close code is another one": (WebSocketConnection, "close", _with_first_argument(lambda code: code + 1)),
    "a frame is sent twice": (
        WebSocketConnection,
        "send_message",
        lambda original: lambda self, text: [original(self, text) for _ in range(2)],
    ),
    "the clock is fast": (clock.ManualClock, "move_to", _with_first_argument(lambda at: at + 0.01)),
    "writes are not reported to the engine": (Driver, "written", lambda _: lambda self, request_id: None),
    "the end of a connection is not reported to the engine": (
        Driver,
        "hung_up",
        lambda _: lambda self, request_id: None,
    ),
}
"""The owner and the name of a function, and its change, by what is wrong then."""
FAULTY_PATIENCE = 2.0


SHOWN = ("a byte of a body is changed", "a frame is sent twice", "the clock is fast")
"""The faults whose runs are shrunk; `make simulate SOCKETS=1` shrinks each run that fails."""


def _plant(fault: str, patch: pytest.MonkeyPatch) -> None:
    owner, name, change = FAULTS[fault]
    patch.setattr(owner, name, change(getattr(owner, name)))


@pytest.mark.parametrize("fault", sorted({*FAULTS}.difference(SHOWN)))
def test_a_fault_of_a_server_is_noticed(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket_run, "PATIENCE", FAULTY_PATIENCE)
    _plant(fault, monkeypatch)
    found = (compared(serving_here, socket_plan(seed), tmp_path)[0] for seed in SAMPLE)
    assert any(found)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a server in this process."""
    monkeypatch.setattr(real_servers, "SERVERS", {"here": SimpleNamespace(serving=serving_here)})
    monkeypatch.setattr(socket_run, "PATIENCE", FAULTY_PATIENCE)
    return "here"


@pytest.mark.parametrize("fault", SHOWN)
def test_a_fault_of_a_server_is_shown_by_a_test_of_at_most_ten_steps(fault: str, here: str):
    with pytest.MonkeyPatch.context() as patch:
        _plant(fault, patch)
        check_printed(report_failure(SAMPLE[0], here), patch)


def test_a_difference_that_is_not_repeated_is_not_shrunk(here: str):
    assert report_failure(SAMPLE[0], here) == "The next run had no difference, so it depends on more than the seed."


def test_the_command_prints_the_numbers_of_equal_outputs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(real_servers, "SERVERS", {"serve": SERVERS["serve"]})
    assert check_servers([28])
    assert re.fullmatch(r"on sockets: \d{3} equal outputs of serve\n", capsys.readouterr().out)


def test_the_command_prints_the_first_difference_as_a_test(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    strict = replace(SERVERS["serve"], allowed=AllowedDifferences({}))
    monkeypatch.setattr(real_servers, "SERVERS", {"serve": strict})
    monkeypatch.setattr(real_servers, "MAX_RUNS", 2)
    assert not check_servers([28])
    assert "seed 28 on serve, after " in (report := capsys.readouterr().out)
    assert "SEED=28 SOCKETS=1 repeats it." in report
    assert "('connection', 'Upgrade')" in report
    assert report.endswith("    assert broken_bytes(plan, server='serve') == []\n\n")


@pytest.mark.parametrize("seed", SAMPLE)
def test_a_server_in_this_process_sends_the_bytes_of_the_engine(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(socket_run, "PATIENCE", FAULTY_PATIENCE)
    assert compared(serving_here, socket_plan(seed), tmp_path)[0] == ""
