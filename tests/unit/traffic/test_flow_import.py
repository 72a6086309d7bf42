"""Import of mitmproxy flow files with odd flows, as old versions and addons wrote them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cometreel.cli import ExitCode, run
from cometreel.jsonvalue import JSON
from cometreel.recording import read_journal
from cometreel.scenario import ExchangeBlock, parse
from tests.base_install import needs_extra

pytestmark = needs_extra("record")
START = 1_700_000_000.0
SHAKE: JSON = [{"channel": "/meta/handshake", "id": "1", "successful": True, "clientId": "c1"}]


def flow(number: int, method: str, path: str, body: JSON, reply: JSON, *, at: float, **more: Any) -> dict[str, Any]:
    """Return the state of a flow, as mitmproxy writes it."""
    from mitmproxy.test import tflow  # noqa: PLC0415  # an optional dependency

    one = tflow.tflow(resp=True)
    one.id = str(number)
    one.request.method, one.request.path = method, path
    for message, content, time in ((one.request, body, at), (one.response, reply, at + 0.05)):
        assert message is not None
        message.headers.clear()
        message.headers["Content-Type"] = "application/json"
        message.content = b"" if content is None else json.dumps(content).encode()
        message.timestamp_start = message.timestamp_end = time
    state: dict[str, Any] = one.get_state()
    for key, value in more.items():
        part, _, name = key.partition("_")
        state[part][name] = value
    return state


def conversation() -> list[dict[str, Any]]:
    """A handshake, and a call whose notification arrives on a poll."""
    poll: JSON = [{"channel": "/meta/connect", "id": "2", "clientId": "c1"}]
    pushed: JSON = [
        {"channel": "/v2/me/workbins", "data": {"messageType": "WorkbinStatsMessage", "referenceId": 7}},
        {"channel": "/meta/connect", "id": "2", "successful": True},
    ]
    shake: JSON = [{"channel": "/meta/handshake", "id": "1", "version": "1.0"}]
    stats: JSON = {"operationName": "RequestAgentStats"}
    return [
        flow(1, "POST", "/api/v2/notifications", shake, SHAKE, at=START),
        flow(2, "POST", "/api/v2/workbins", stats, {"statusCode": 0, "referenceId": 7}, at=START + 1),
        flow(3, "POST", "/api/v2/notifications", poll, pushed, at=START + 2),
    ]


def write(path: Path, states: Iterable[dict[str, Any]]) -> Path:
    from mitmproxy.io import tnetstring  # noqa: PLC0415  # an optional dependency

    path.write_bytes(b"".join(map(tnetstring.dumps, states)))
    return path


def as_strings(value: Any) -> Any:
    """Convert all bytes of a state to strings."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {key: as_strings(item) for key, item in value.items()}
    return type(value)(map(as_strings, value)) if isinstance(value, list | tuple) else value


def exchanges(path: Path) -> list[ExchangeBlock]:
    return parse(path.with_suffix(".yaml")).exchanges or []


def left_out(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line.removeprefix("left out: ") for line in lines if line.startswith("left out: ")]


def assert_paired(path: Path) -> None:
    assert [(each.name, len(each.events or [])) for each in exchanges(path)] == [("stats of my workbins", 1)]


def test_strings_in_place_of_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    states = conversation()
    for state in states:
        state["request"], state["response"] = as_strings(state["request"]), as_strings(state["response"])
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert_paired(path)
    assert left_out(capsys) == []


@pytest.mark.parametrize("place", [0, 3], ids=["the first flow", "the last flow"])
@pytest.mark.parametrize(
    "change",
    [
        {"request_headers": None},
        {"request_headers": [[1, 2]]},
        {"request_method": 5},
        {"request_path": None},
        {"response_status_code": "many"},
        {"response_content": 5},
    ],
)
def test_an_invalid_flow_is_skipped_by_its_number(
    place: int, change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    states = conversation()
    states.insert(place, flow(9, "GET", "/odd", None, {"statusCode": 0}, at=START + 3, **change))
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert left_out(capsys) == [f"flow {place + 1}: not a flow, or truncated"]
    assert_paired(path)


def test_a_flow_with_a_member_that_mitmproxy_does_not_know_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = write(tmp_path / "a.mitm", [*conversation(), {**conversation()[0], "cackup": None}])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert left_out(capsys) == ["flow 4: not a flow, or truncated"]
    assert_paired(path)


@pytest.mark.parametrize("place", [0, 3], ids=["the first flow", "the last flow"])
def test_a_flow_of_another_year_is_skipped_by_its_number(
    place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    states = conversation()
    states.insert(place, flow(9, "GET", "/odd", None, {"statusCode": 0}, at=0.0))
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert left_out(capsys) == [f"flow {place + 1}: its time is 1970-01-01, too far from the other flows"]
    assert_paired(path)


@pytest.mark.parametrize("wrong", [0, None])
def test_a_request_without_a_time_has_the_one_of_its_reply(wrong: float | None, tmp_path: Path):
    states = conversation()
    states[1]["request"] |= {"timestamp_start": wrong, "timestamp_end": wrong}
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert_paired(path)


@pytest.mark.parametrize("wrong", [0, None])
def test_a_reply_without_a_time_has_the_one_of_its_request(wrong: float | None, tmp_path: Path):
    states = conversation()
    states[1]["response"] |= {"timestamp_start": wrong, "timestamp_end": wrong}
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (exchange,) = exchanges(path)
    assert getattr(exchange.reply, "after", None) == "0s"


def test_flows_without_any_time_keep_their_order(tmp_path: Path):
    states = conversation()
    for state in states:
        for part in ("request", "response"):
            state[part] |= {"timestamp_start": 0, "timestamp_end": 0}
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert_paired(path)


def test_a_text_frame_that_is_not_utf_8_is_skipped_by_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from mitmproxy.test import tflow  # noqa: PLC0415  # an optional dependency

    handshake = json.dumps([{"channel": "/meta/handshake", "id": "1"}]).encode()
    publish = json.dumps([{"channel": "/chat", "id": "2", "clientId": "c1", "data": {"a": 1}}]).encode()
    done = json.dumps([{"channel": "/chat", "id": "2", "successful": True}]).encode()
    socket = tflow.twebsocketflow()
    assert socket.websocket is not None
    socket.request.timestamp_start = START
    state = socket.get_state()
    frames: list[tuple[bool, bytes | str]] = [
        (True, handshake), (False, json.dumps(SHAKE)), (True, b'[{"a":"\xff"}]'), (True, publish), (False, done)
    ]  # fmt: skip
    state["websocket"]["messages"] = [
        (1, from_client, content, START + number, False, False) for number, (from_client, content) in enumerate(frames)
    ]
    state["websocket"]["timestamp_end"] = START + 9
    path = write(tmp_path / "a.mitm", [state])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert left_out(capsys) == ["flow 1: WebSocket message 3: a text that is not UTF-8"]
    assert [getattr(each.request, "publish", None) for each in exchanges(path)] == ["/chat"]


def test_the_cookie_of_the_reply_to_an_upgrade_is_recorded(tmp_path: Path):
    from mitmproxy.test import tflow  # noqa: PLC0415  # an optional dependency

    socket = tflow.twebsocketflow()
    assert socket.response is not None
    socket.request.timestamp_start = START
    socket.response.headers["Set-Cookie"] = "JSESSIONID=s1-0a1b2c3d; Path=/"
    state = socket.get_state()
    handshake = json.dumps([{"channel": "/meta/handshake", "id": "1"}]).encode()
    state["websocket"]["messages"] = [(1, True, handshake, START + 1, False, False)]
    path, journal = write(tmp_path / "a.mitm", [state]), tmp_path / "kept.jsonl"
    assert run(["import", str(path), "--journal", str(journal)]) == ExitCode.SUCCESS
    assert [(each.kind, [*each.identity]) for each in read_journal(journal)[1]][:3] == [
        ("open", []),
        ("reply", ["JSESSIONID"]),
        ("frame", []),
    ]
    assert "0a1b2c3d" not in journal.read_text("utf-8")


@pytest.mark.parametrize(
    ("coding", "encode"), [("x-gzip", gzip.compress), ("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_body_in_a_content_coding_is_decoded(coding: str, encode: Callable[[bytes], bytes], tmp_path: Path):
    states = conversation()
    for part in ("request", "response"):
        state = states[1][part]
        state["headers"] = [*state["headers"], (b"Content-Encoding", coding.encode())]
        state["content"] = encode(state["content"])
    path = write(tmp_path / "a.mitm", states)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert_paired(path)


def test_the_reply_to_head_keeps_its_content_length(tmp_path: Path):
    head = flow(9, "HEAD", "/list", None, None, at=START + 3)
    head["response"]["headers"] = [(b"Content-Length", b"55")]
    path = write(tmp_path / "a.mitm", [*conversation(), head])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    reply = exchanges(path)[-1].reply
    assert reply is not None
    assert reply.headers == {"content-length": "55"}


def test_a_body_that_is_not_encoded_as_stated_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    states = conversation()
    odd = flow(9, "GET", "/odd", None, {"statusCode": 0}, at=START + 3)
    odd["response"]["headers"] = [*odd["response"]["headers"], (b"Content-Encoding", b"br")]
    path = write(tmp_path / "a.mitm", [*states, odd])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert "the body of the reply to 'odd': not encoded as its Content-Encoding states" in left_out(capsys)


def test_a_compressed_flow_file_is_read(tmp_path: Path):
    path = write(tmp_path / "a.mitm", conversation()[::-1])
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert_paired(path)


def test_a_file_of_a_later_mitmproxy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = write(tmp_path / "a.mitm", [{**state, "version": 999} for state in conversation()])
    assert run(["import", str(path)]) == ExitCode.ERROR
    assert capsys.readouterr().err == (
        f"cometreel: {path}: flow 1: it was written by an incompatible mitmproxy version; "
        "expected a flow file written by `mitmdump -w`\n"
    )
