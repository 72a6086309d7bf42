"""The recording addon delays nothing: each piece of a body reaches the other side before the next one is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stepwise_server import StepwiseServer, download, serving_stepwise, upload

LARGE = 100_000  # bytes of a piece; two of them are more than the recorder forwards as a whole


def lines(journal: Path) -> list[str]:
    """Return a line for each event of a journal: its kind, path, remark and body."""
    found = []
    for line in journal.read_text().splitlines()[1:]:
        event = json.loads(line)
        body = "json" if "json" in event else event.get("omitted", "")
        found.append(" ".join(filter(None, [event["kind"], event.get("path"), event.get("text"), body])))
    return found


@pytest.fixture
def server() -> Iterator[StepwiseServer]:
    with serving_stepwise() as server:
        yield server


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


@pytest.fixture
def record(start: Any, server: StepwiseServer, journal: Path) -> Callable[..., Any]:
    """Start mitmdump with the recording addon."""

    def run(**settings: object) -> Any:
        mode = ("--mode", f"reverse:{server.url}")
        return start("mitmdump", *mode, script="record.py", **{"reel_out": journal, **settings})

    return run


@pytest.fixture
def client() -> Iterator[Callable[..., httpx.Client]]:
    opened: list[httpx.Client] = []

    def make(proxy: Any, **extra: Any) -> httpx.Client:
        url = proxy.url.replace("http:", "https:") if extra.get("http2") else proxy.url
        opened.append(httpx.Client(base_url=url, timeout=30, trust_env=False, **extra))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_every_server_sent_event_passes_at_once_and_the_stream_is_listed(
    record: Any, client: Any, server: StepwiseServer, journal: Path, version: str
) -> None:
    server.content_type = "text/event-stream;charset=UTF-8"
    server.pieces = [b"data: %d\n\n" % number for number in range(20)]
    proxy = record()
    options = {"http2": True, "verify": False} if version == "HTTP/2" else {}
    assert download(client(proxy, **options), server, "/events") == b"".join(server.pieces)
    assert lines(journal) == ["request /events", "unwanted an event stream"]
    assert "left out: an event stream: GET /events\n" in proxy.stop()


def test_a_client_that_leaves_an_event_stream_is_no_failed_request(
    record: Any, client: Any, server: StepwiseServer, journal: Path
) -> None:
    server.content_type, server.pieces = "text/event-stream", [b"data: 1\n\n", b"data: 2\n\n"]
    proxy = record()
    with client(proxy).stream("GET", "/events") as reply:
        assert next(reply.iter_raw()) == b"data: 1\n\n"
    proxy.await_log("client disconnect")
    server.received.put(None)
    log = proxy.stop()
    assert lines(journal) == ["request /events", "unwanted an event stream"]
    assert "left out: an event stream: GET /events\n" in log
    assert "without a reply" not in log


@pytest.mark.parametrize("has_length", [True, False], ids=["a known length", "an unknown length"])
def test_a_large_reply_passes_piece_by_piece_and_is_recorded_at_its_end(
    record: Any, client: Any, server: StepwiseServer, journal: Path, has_length: bool, eventually: Any
) -> None:
    server.pieces = [b'{"a":"' + b"x" * LARGE, b"y" * LARGE + b'"}']
    server.length = sum(map(len, server.pieces)) if has_length else None
    assert download(client(record()), server, "/large") == b"".join(server.pieces)
    eventually(lambda: len(lines(journal)) == 2, "the reply in the journal")
    assert lines(journal) == ["request /large", "reply json"]


def test_a_small_reply_of_unknown_length_is_in_the_journal_when_the_client_has_it(
    record: Any, client: Any, server: StepwiseServer, journal: Path
) -> None:
    server.pieces = [b'{"a"', b":1}"]
    assert download(client(record()), server, "/small") == b'{"a":1}'
    assert lines(journal) == ["request /small", "reply json"]


def test_a_reply_over_the_limit_passes_and_its_body_is_listed(
    record: Any, client: Any, server: StepwiseServer, journal: Path
) -> None:
    server.pieces = [b'{"a":"', *[b"x" * 1024 * 1024] * 17, b'"}']
    proxy = record()
    assert len(download(client(proxy), server, "/huge")) == 17 * 1024 * 1024 + 8
    assert lines(journal) == ["request /huge", "reply larger than 16777216 bytes"]
    assert "left out: the body of the reply to 'huge': larger than 16777216 bytes\n" in proxy.stop()


def test_a_reply_that_the_filter_excludes_passes_piece_by_piece_and_is_counted(
    record: Any, client: Any, server: StepwiseServer, journal: Path
) -> None:
    server.content_type, server.pieces, server.length = "image/png", [b"one", b"two"], 6
    proxy = record()
    assert download(client(proxy), server, "/logo.png") == b"onetwo"
    assert "left out: a request whose reply the filter excludes\n" in proxy.stop()
    assert lines(journal) == ["request /logo.png", "unwanted"]


def test_a_request_that_the_filter_excludes_passes_piece_by_piece_and_is_counted(
    record: Any, client: Any, server: StepwiseServer, journal: Path
) -> None:
    server.pieces, server.length = [b"one", b"two"], 6
    proxy = record(reel_filter="~u none")
    for _ in range(2):
        assert download(client(proxy), server, "/page") == b"onetwo"
    assert "left out: 2 times a request that the filter excludes\n" in proxy.stop()
    assert lines(journal) == ["unwanted a request that the filter excludes"]


def test_a_filter_that_reads_bodies_decides_at_the_end_of_the_reply(
    record: Any, client: Any, server: StepwiseServer, journal: Path
) -> None:
    http = client(record(reel_filter="~bs needle"))
    for body in (b'{"a":"needle"}', b'{"a":"hay"}'):
        server.pieces = [body[:5], body[5:]]
        assert download(http, server, "/search") == body
    assert lines(journal) == ["request /search", "reply json"]


@pytest.mark.parametrize("has_length", [True, False], ids=["a known length", "an unknown length"])
def test_an_upload_passes_piece_by_piece_and_is_recorded_at_its_end(
    record: Any, client: Any, server: StepwiseServer, journal: Path, has_length: bool, eventually: Any
) -> None:
    pieces = [b'{"a":"' + b"x" * LARGE, b"y" * LARGE + b'"}']
    length = {"Content-Length": str(sum(map(len, pieces)))} if has_length else {}
    headers = {"Content-Type": "application/json", **length}
    assert upload(client(record()), server, "/upload", pieces, **headers) == 200
    eventually(lambda: len(lines(journal)) == 2, "the reply in the journal")
    assert lines(journal) == ["request /upload json", "reply json"]


def test_a_slow_redaction_holds_up_no_other_request(
    record: Any, client: Any, server: StepwiseServer, journal: Path, eventually: Any
) -> None:
    """60,000 values are redacted on a thread; requests in the meantime are recorded after them."""
    many = json.dumps({f"key{number}": number for number in range(60_000)}).encode()
    server.pieces = [many]
    http = client(record())
    assert download(http, server, "/many") == many
    server.pieces = [b"{}"]
    assert download(http, server, "/next") == b"{}"
    eventually(lambda: len(lines(journal)) == 4, "both replies in the journal")
    assert lines(journal) == ["request /many", "reply json", "request /next", "reply json"]
