"""The recording proxy delays nothing: each piece of a body reaches the other side before the next one is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.stepwise_server import PATIENCE, StepwiseServer, download, serving_stepwise, upload

LARGE = 100_000  # bytes of a piece; two of them are more than the recorder forwards as a whole


def line_of(event: dict[str, Any]) -> str:
    body = "json" if "json" in event else event.get("omitted")
    return " ".join(filter(None, [event["kind"], event.get("path"), event.get("text"), body]))


def lines(proxy: Any, count: int) -> list[str]:
    """Wait for this number of events; return a line for each."""
    end = time.monotonic() + PATIENCE
    while len(proxy.events()) < count and time.monotonic() < end:
        time.sleep(0.02)
    return [line_of(event) for event in proxy.events()]


@pytest.fixture
def stepwise() -> Iterator[StepwiseServer]:
    with serving_stepwise() as server:
        yield server


@pytest.fixture
def proxy(record: Callable[[str], Any], stepwise: StepwiseServer) -> Any:
    return record(stepwise.url)


@pytest.fixture
def client(proxy: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=PATIENCE) as client:
        yield client


def test_every_server_sent_event_passes_at_once_and_the_stream_is_listed(
    proxy: Any, client: httpx.Client, stepwise: StepwiseServer
):
    stepwise.content_type = "text/event-stream"
    stepwise.pieces = [b"data: %d\n\n" % number for number in range(20)]
    assert download(client, stepwise, "/events") == b"".join(stepwise.pieces)
    assert lines(proxy, 2) == ["request /events", "unwanted an event stream"]
    assert proxy.calls == [("GET", "/events", b"", 200)]
    assert "left out: an event stream: GET /events" in proxy.recording.finish().lines


@pytest.mark.parametrize("has_length", [True, False], ids=["a known length", "an unknown length"])
def test_a_large_reply_passes_piece_by_piece_and_is_recorded_at_its_end(
    proxy: Any, client: httpx.Client, stepwise: StepwiseServer, has_length: bool
):
    stepwise.pieces = [b'{"a":"' + b"x" * LARGE, b"y" * LARGE + b'"}']
    stepwise.length = sum(map(len, stepwise.pieces)) if has_length else None
    assert download(client, stepwise, "/large") == b"".join(stepwise.pieces)
    assert lines(proxy, 2) == ["request /large", "reply json"]


def test_a_reply_over_the_limit_passes_and_its_body_is_listed(
    proxy: Any, client: httpx.Client, stepwise: StepwiseServer
):
    stepwise.pieces = [b'{"a":"', *[b"x" * 1024 * 1024] * 17, b'"}']
    assert len(download(client, stepwise, "/huge")) == 17 * 1024 * 1024 + 8
    assert lines(proxy, 2) == ["request /huge", "reply larger than 16777216 bytes"]


def test_assets_pass_piece_by_piece(proxy: Any, client: httpx.Client, stepwise: StepwiseServer):
    stepwise.content_type, stepwise.pieces = "image/png", [b"one", b"two"]
    assert download(client, stepwise, "/logo.png") == b"onetwo"
    assert lines(proxy, 2) == ["request /logo.png", "unwanted"]


@pytest.mark.parametrize("has_length", [True, False], ids=["a known length", "an unknown length"])
def test_an_upload_passes_piece_by_piece_and_is_recorded_at_its_end(
    proxy: Any, client: httpx.Client, stepwise: StepwiseServer, has_length: bool
):
    pieces = [b'{"a":"' + b"x" * LARGE, b"y" * LARGE + b'"}']
    length = {"Content-Length": str(sum(map(len, pieces)))} if has_length else {}
    assert upload(client, stepwise, "/upload", pieces, **{"Content-Type": "application/json", **length}) == 200
    assert lines(proxy, 2) == ["request /upload json", "reply json"]
    assert json.loads(proxy.calls[0][2]) == json.loads(b"".join(pieces))


def test_a_reply_that_is_cut_off_by_the_server_is_cut_off_and_recorded_as_an_error(
    record: Callable[[str], Any], silent: Any
):
    url, listening = silent
    proxy = record(url)
    with httpx.Client(base_url=proxy.url, timeout=PATIENCE) as client:

        def take_and_leave() -> None:
            taken, _ = listening.accept()
            taken.recv(1000)
            taken.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n")
            taken.close()

        thread = threading.Thread(target=take_and_leave)
        thread.start()
        with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", "/cut") as reply:
            assert b"".join(reply.iter_raw()) == b"[1"
        thread.join()
    assert [event["kind"] for event in proxy.events()] == ["request", "error"]


def test_a_client_that_leaves_an_event_stream_is_no_failed_request(
    proxy: Any, client: httpx.Client, stepwise: StepwiseServer
):
    stepwise.content_type, stepwise.pieces = "text/event-stream", [b"data: 1\n\n", b"data: 2\n\n"]
    with client.stream("GET", "/events") as reply:
        assert next(reply.iter_raw()) == b"data: 1\n\n"
    stepwise.received.put(None)
    assert lines(proxy, 2) == ["request /events", "unwanted an event stream"]
    assert proxy.calls == [("GET", "/events", b"", 200)]
