"""The recording addon in real mitmproxy processes: clients, forwarding, failures and the end of a recording."""

from __future__ import annotations

import gzip
import json
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

LOGIN = [
    "request POST /api/v2/notifications: /meta/handshake",
    "reply 200: /meta/handshake",
    "request POST /api/v2/notifications: /meta/subscribe",
    "reply 200: /meta/subscribe",
]
ASK = ["request POST /api/v2/workbins: json", "reply 200: json"]
POLL = ["request POST /api/v2/notifications: /meta/connect", "reply 200: /v2/me/workbins /meta/connect"]


def events(journal: Path) -> list[dict[str, Any]]:
    """Return the events of a journal without its header."""
    return [json.loads(line) for line in journal.read_text().splitlines()[1:]]


def transcript(journal: Path) -> list[str]:
    """Return a line for each event of a journal."""
    return [line_of(event) for event in events(journal)]


def line_of(event: dict[str, Any]) -> str:
    head = [event["kind"], *(str(event[key]) for key in ("method", "path", "status", "from", "text") if key in event)]
    if "bayeux" in event:
        messages = event["bayeux"] if isinstance(event["bayeux"], list) else [event["bayeux"]]
        body = " ".join(message["channel"] for message in messages)
    else:
        body = next((key for key in ("json", "form", "body") if key in event), event.get("omitted", ""))
    return " ".join(head) + (f": {body}" if body else "")


def request_stats_and_poll(agent: Any) -> list[dict[str, Any]]:
    """Log in, request statistics and poll for the notification."""
    agent.log_in()
    promised = agent.request_stats("Place1")
    answer: list[dict[str, Any]] = agent.poll()
    assert answer[0]["data"]["referenceId"] == promised["referenceId"]
    return answer


def poll_until_cut(agent: Any) -> None:
    with pytest.raises(httpx.HTTPError):
        agent.poll()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "out" / "login.jsonl"


@pytest.fixture
def record(start: Any, application: Any, journal: Path) -> Callable[..., Any]:
    """Start mitmdump with the recording addon as a reverse proxy of the application."""

    def _record(*arguments: str, program: str = "mitmdump", **settings: object) -> Any:
        mode = () if "--mode" in arguments else ("--mode", f"reverse:{application.url}")
        return start(program, *mode, *arguments, script="record.py", **{"reel_out": journal, **settings})

    return _record


# --- clients ----------------------------------------------------------------------------------------------------


def test_http_1_in_reverse_mode(record: Any, desktop: Any, journal: Path) -> None:
    """Each event is written to the journal before it is forwarded, so the journal can be read while the proxy runs."""
    proxy = record()
    request_stats_and_poll(desktop(proxy.url))
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]
    assert "secret0" not in journal.read_text() + proxy.output(), "cookies and client ids never reach a file"


def test_http_2_over_tls(record: Any, desktop: Any, journal: Path) -> None:
    proxy = record()
    request_stats_and_poll(desktop(proxy.url.replace("http:", "https:"), http2=True, verify=False))
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]


def test_regular_mode(record: Any, application: Any, desktop: Any, journal: Path) -> None:
    proxy = record("--mode", "regular")
    request_stats_and_poll(desktop(application.url, proxy=proxy.url))
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]


def test_mitmweb_records(record: Any, desktop: Any, journal: Path) -> None:
    proxy = record("--no-web-open-browser", "--web-port", "0", program="mitmweb")
    request_stats_and_poll(desktop(proxy.url))
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]
    assert "scenario in " in proxy.stop()


def test_https_and_http_2_in_regular_mode(record: Any, secure_application: Any, desktop: Any, journal: Path) -> None:
    """The client trusts mitmproxy's certificate authority and uses HTTP/2 in a CONNECT tunnel."""
    proxy = record("--mode", "regular", ssl_insecure="true")
    request_stats_and_poll(desktop(secure_application.url, proxy=proxy.url, http2=True, verify=proxy.authority()))
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]


def test_the_console_records_and_prints_the_path_at_its_end(
    record: Any, desktop: Any, journal: Path, eventually: Any
) -> None:
    """Its screen shows no log, so the summary is printed at the end."""
    proxy = record(program="mitmproxy", terminal=True)
    request_stats_and_poll(desktop(proxy.url))
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]
    log = proxy.stop()
    assert f"scenario in {journal.with_suffix('.yaml')}" in log[log.rindex("recorded into") :]


def test_callback_polling(record: Any, desktop: Any, journal: Path) -> None:
    """JSONP has messages in the query, and a script as reply, which the default filter excludes."""
    agent = desktop(record().url)
    message = json.dumps([{"channel": "/meta/handshake", "version": "1.0", "id": "1"}])
    reply = agent.http.get("/api/v2/notifications", params={"jsonp": "cb1", "message": message})
    assert reply.text.startswith("cb1([")
    assert transcript(journal) == ["request GET /api/v2/notifications: /meta/handshake", "reply 200: /meta/handshake"]
    assert "clientsecret0" not in journal.read_text()


# --- forwarding -------------------------------------------------------------------------------------------------


def test_an_encoded_body_is_forwarded_unchanged_and_recorded_decoded(
    record: Any, application: Any, desktop: Any, journal: Path
) -> None:
    proxy = record()
    message = {"channel": "/meta/connect", "id": "1", "clientId": "c", "advice": {"timeout": 0}}
    sent = gzip.compress(json.dumps([message]).encode(), mtime=0)
    encodings = ("gzip", "deflate", "br", "zstd")
    for encoding in encodings:
        headers = {"Content-Encoding": "gzip", "X-Answer-Encoding": encoding}
        raw = []
        for base in (proxy.url, application.url):
            with desktop(base).http.stream("POST", "/api/v2/notifications", content=sent, headers=headers) as reply:
                assert reply.headers["content-encoding"] == encoding
                raw.append(b"".join(reply.iter_raw()))
        assert raw[0] == raw[1]
    exchange = ["request POST /api/v2/notifications: /meta/connect", "reply 200: /meta/connect"]
    assert transcript(journal) == exchange * len(encodings)


def test_a_body_that_cannot_be_decoded_is_forwarded_and_omitted(record: Any, desktop: Any, journal: Path) -> None:
    agent = desktop(record().url)
    sent = b'{"password":"secret0"}'
    reply = agent.http.post("/echo", content=sent, headers={"Content-Encoding": "zstd"})
    assert reply.content == sent
    assert "secret0" not in journal.read_text()


def test_a_poll_is_held_during_other_requests_and_delivers_the_notification(
    record: Any, application: Any, desktop: Any, journal: Path
) -> None:
    application.hold = 30.0
    agent = desktop(record().url)
    agent.log_in()
    answers: list[Any] = []
    held = threading.Thread(target=lambda: answers.extend(agent.poll()))
    held.start()
    application.wait_for("POST /api/v2/notifications", times=3)
    promised = agent.request_stats("Place1")
    held.join()
    assert [answer["channel"] for answer in answers] == ["/v2/me/workbins", "/meta/connect"]
    assert answers[0]["data"]["referenceId"] == promised["referenceId"]
    assert sorted(transcript(journal)[4:]) == sorted([*ASK, *POLL])
    assert transcript(journal)[4] == POLL[0]


def test_a_poll_without_messages_is_held_until_its_timeout(
    record: Any, application: Any, desktop: Any, journal: Path
) -> None:
    """The default of CometD, thirty seconds, is longer than the timeouts of many proxies."""
    application.hold = 31.0
    agent = desktop(record().url)
    agent.log_in()
    assert [answer["channel"] for answer in agent.poll(timeout=60)] == ["/meta/connect"]
    asked, answered = events(journal)[-2:]
    assert answered["t"] - asked["t"] >= application.hold - 0.1, "the poll is held as long as the server holds it"


def test_excluded_traffic_is_forwarded(record: Any, desktop: Any, journal: Path) -> None:
    """The default filter excludes assets by their reply; CometD is always recorded."""
    proxy = record()
    agent = desktop(proxy.url)
    assert agent.http.get("/logo.png").content == b"\x89PNG"
    assert agent.http.get("/api/v2/me").status_code == 200
    assert transcript(journal) == ["request GET /logo.png", "unwanted", "request GET /api/v2/me", "reply 200: json"]
    assert "left out: a request whose reply the filter excludes\n" in proxy.stop()
    assert "logo" not in journal.with_suffix(".yaml").read_text()


def test_only_traffic_of_the_filter_is_recorded_besides_cometd(record: Any, desktop: Any, journal: Path) -> None:
    """If a filter matches by the reply, the request is recorded with it."""
    agent = desktop(record(reel_filter="~u /wanted | ~t image").url)
    agent.log_in()
    for path in ("/other", "/wanted", "/logo.png"):
        assert agent.http.get(path).status_code == 200
    assert transcript(journal) == [
        *LOGIN,
        "request GET /wanted",
        "reply 200: json",
        "request GET /logo.png",
        "reply 200: not JSON: image/png, 4 bytes",
    ]


def test_a_streamed_body_is_forwarded_and_reported_as_missing(
    record: Any, desktop: Any, journal: Path, eventually: Any
) -> None:
    """Streamed bodies are forwarded before they are in the journal."""
    agent = desktop(record(stream_large_bodies="1k").url)
    sent = json.dumps({"a": "b" * 5000}).encode()
    reply = agent.http.post("/echo", content=sent, headers={"Content-Type": "application/json"})
    assert reply.content == sent
    eventually(lambda: len(events(journal)) == 2, "the reply in the journal")
    missing = "not available: the proxy streamed it (stream_large_bodies), or the imported file doesn't contain it"
    assert transcript(journal) == [f"request POST /echo: {missing}", f"reply 200: {missing}"]


# --- failures ---------------------------------------------------------------------------------------------------


def test_a_client_that_disconnects_during_a_poll_is_an_error_event(
    record: Any, application: Any, desktop: Any, journal: Path, eventually: Any
) -> None:
    application.hold = 5.0
    agent = desktop(record().url)
    agent.log_in()
    with pytest.raises(httpx.ReadTimeout):
        agent.poll(timeout=0.3)
    eventually(lambda: len(events(journal)) == 6, "the error")
    assert transcript(journal)[4:] == [POLL[0], "error Client disconnected."]


def test_a_server_that_resets_a_request(record: Any, desktop: Any, journal: Path) -> None:
    """The client gets a 502 of mitmproxy, the journal an error event."""
    agent = desktop(record().url)
    assert agent.http.get("/reset").status_code == 502
    assert [event["kind"] for event in events(journal)] == ["request", "error"]


def test_a_server_that_is_down(record: Any, desktop: Any, journal: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    agent = desktop(record("--mode", f"reverse:http://127.0.0.1:{port}").url)
    assert agent.http.get("/api/v2/me").status_code == 502
    assert [event["kind"] for event in events(journal)] == ["request", "error"]


def test_traffic_continues_on_a_full_disk(record: Any, desktop: Any, journal: Path) -> None:
    """One line at the start and one at the end; the journal and the last line contain the number of lost events."""
    proxy = record(flow_detail=0)
    agent = desktop(proxy.url)
    agent.http.post("/echo", json={"x": "y" * 50_000})
    full = journal.stat().st_size
    unlimited = resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (full, unlimited[1]))
    request_stats_and_poll(agent)
    assert journal.stat().st_size == full
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, unlimited)
    agent.http.get("/api/v2/me")
    assert transcript(journal)[2:] == ["lost", "request GET /api/v2/me", "reply 200: json"]
    assert events(journal)[2]["count"] == 8
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (full, unlimited[1]))
    agent.http.get("/api/v2/me")
    log = proxy.stop()
    assert f"recorded into {journal}; 10 events could not be written" in log
    line = f"{journal}: can't be written: File too large; traffic continues, but these events are lost"
    assert log.count(line) == 2, log
    assert log.count(f"{journal}: can be written again; 8 events were lost") == 1, log


# --- end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_journal_is_distilled_on_a_normal_stop(
    record: Any, desktop: Any, journal: Path, number: signal.Signals
) -> None:
    proxy = record()
    agent = desktop(proxy.url)
    request_stats_and_poll(agent)
    agent.http.close()  # mitmproxy 11 logs a traceback for each open connection
    log = proxy.stop(number)
    assert f"scenario in {journal.with_suffix('.yaml')}" in log
    assert proxy.process.returncode == 0
    assert "workbinOwner: Place1" in journal.with_suffix(".yaml").read_text()
    assert "Traceback" not in log


def test_the_journal_is_distilled_on_a_stop_during_a_poll(
    record: Any, application: Any, desktop: Any, journal: Path
) -> None:
    application.hold = 5.0
    proxy = record()
    agent = desktop(proxy.url)
    request_stats_and_poll(agent)
    held = threading.Thread(target=poll_until_cut, args=[agent])
    held.start()
    application.wait_for("POST /api/v2/notifications", times=4)
    log = proxy.stop()
    held.join()
    assert f"scenario in {journal.with_suffix('.yaml')}" in log


def test_kill_9_loses_no_forwarded_event_and_a_restart_appends(record: Any, desktop: Any, journal: Path) -> None:
    proxy = record()
    request_stats_and_poll(desktop(proxy.url))
    proxy.stop(signal.SIGKILL)
    assert transcript(journal) == [*LOGIN, *ASK, *POLL]
    before = journal.read_bytes()
    journal.write_bytes(before + b'{"t":9.1,"ki')  # as after a kill during a write
    again = record()
    desktop(again.url).http.get("/api/v2/me")
    log = again.stop()
    after = journal.read_bytes()
    assert after.startswith(before + b'{"t":9.1,"ki\n'), "existing lines are not changed"
    assert [json.loads(line)["kind"] for line in after[len(before) :].splitlines()[1:]] == [
        "resume",
        "request",
        "reply",
    ]
    assert "workbinOwner: Place1" in journal.with_suffix(".yaml").read_text(), log


def test_an_existing_scenario_is_never_overwritten(record: Any, desktop: Any, journal: Path) -> None:
    journal.parent.mkdir()
    journal.with_suffix(".yaml").write_text("mine")
    proxy = record()
    desktop(proxy.url).http.get("/api/v2/me")
    assert f"scenario in {journal.with_suffix('.new.yaml')}" in proxy.stop()
    assert journal.with_suffix(".yaml").read_text() == "mine"


def test_a_port_in_use_is_reported_by_mitmproxy_and_leaves_no_journal(record: Any, journal: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = record("--listen-port", str(taken.getsockname()[1]), listens=False)
        assert proxy.process.wait(30) == 1
    assert "address already in use" in proxy.output()
    assert not journal.parent.exists()


def test_an_invalid_option_is_reported_in_one_line_and_prevents_the_start(record: Any) -> None:
    proxy = record(listens=False, reel_profile="gws-v9")
    assert proxy.process.wait(30) == 1
    assert (
        "] reel_profile: 'gws-v9'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile\n"
        in proxy.output()
    )
    assert "Traceback" not in proxy.output()
