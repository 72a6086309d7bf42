"""Import of HAR files: the calls that are kept, their times, and the error for files that can't be used."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.recording import read_journal
from cometreel.scenario import CorrelationBlock, ExchangeBlock, parse
from tests.base_install import needs_extra
from tests.unit.traffic.har_entries import START, bayeux, conversation, entry, har

FLOWS = "expected a flow file written by `mitmdump -w`"
HAR = "expected HAR 1.2, as saved by developer tools"


def exchanges(path: Path) -> list[ExchangeBlock]:
    return parse(path.with_suffix(".yaml")).exchanges or []


def test_a_call_and_its_notification_on_a_held_poll_become_one_exchange(tmp_path: Path):
    path = har(tmp_path / "a.har", conversation())
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (exchange,) = exchanges(path)
    assert exchange.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True) == {
        "name": "stats of my workbins",
        "request": {"method": "POST", "path": "/api/v2/workbins", "body": {"operationName": "RequestAgentStats"}},
        "reply": {"after": "34ms", "status": 200, "body": {"statusCode": 0, "referenceId": 7}},
        "events": [
            {
                "after": "150ms",
                "channel": "/v2/me/workbins",
                "data": {"messageType": "WorkbinStatsMessage", "referenceId": 7, "workbinStats": {}},
            }
        ],
    }


def test_the_journal_uses_the_times_of_the_file_and_is_ordered_by_time(tmp_path: Path):
    path, journal = har(tmp_path / "a.har", conversation()), tmp_path / "kept.jsonl"
    assert run(["import", str(path), "--journal", str(journal)]) == ExitCode.SUCCESS
    header, events, problems = read_journal(journal)
    assert header is not None
    assert (header.started, problems) == (START, [])
    assert [(event.kind, event.at) for event in events] == [
        ("request", 0.0),
        ("reply", 0.01),
        ("request", 1.0),
        ("request", 2.0),
        ("reply", 2.034),
        ("reply", 2.15),
    ]


def test_no_journal_and_no_key_are_kept_by_default(tmp_path: Path):
    path = har(tmp_path / "a.har", conversation())
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.har", "a.yaml", "scenario.schema.json"]


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ([], ["/api/v2/diagnostics/version", "/api/v2/workbins", "/beacon"]),
        (["--url", "/api/v2/"], ["/api/v2/diagnostics/version", "/api/v2/workbins"]),
        (["--url", "^nowhere"], []),
    ],
)
def test_url_selects_the_calls_to_keep_besides_cometd_and_assets_are_never_kept(
    arguments: list[str], paths: list[str], tmp_path: Path
):
    page = [
        entry(0.1, "GET", "/api/v2/diagnostics/version", None, {"version": "8"}),
        entry(0.2, "GET", "/app.js", None, "let a", kind="text/javascript"),
        entry(0.3, "GET", "/api/v2/logo.png", None, "…", kind="image/png"),
        entry(3, "GET", "/beacon", None, {"seen": True}),
    ]
    path = har(tmp_path / "a.har", [*conversation(), *page])
    assert run(["import", str(path), *arguments]) == ExitCode.SUCCESS
    assert [getattr(exchange.request, "path", None) for exchange in exchanges(path)] == paths


def test_a_websocket_with_cometd_messages_is_kept(tmp_path: Path):
    sent = {"channel": "/chat/room", "id": "2", "clientId": "c1", "data": {"question": 1}}
    acknowledged = [{"channel": "/chat/room", "id": "2", "successful": True}]
    messages: list[JSON] = [
        {"type": "receive", "time": START + 2.1, "opcode": 1, "data": json.dumps(acknowledged)},
        {"type": "send", "time": START + 2.0, "opcode": 1, "data": json.dumps([sent])},
        {"type": "receive", "time": START + 2.2, "opcode": 2, "data": base64.b64encode(b"\x00\x01").decode()},
    ]
    path = har(
        tmp_path / "a.har",
        [entry(1, "GET", "/cometd", _resourceType="websocket", _webSocketMessages=messages)],
    )
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (exchange,) = exchanges(path)
    assert exchange.reply is not None
    assert exchange.request.model_dump(exclude_unset=True) == {"publish": "/chat/room", "data": {"question": 1}}
    assert exchange.reply.after == "100ms"


def test_the_cookie_of_the_reply_to_an_upgrade_joins_a_websocket_to_calls(tmp_path: Path):
    pushed = [{"channel": "/v2/me/workbins", "data": {"referenceId": 7}}]
    messages: list[JSON] = [
        {"type": "send", "time": START + 1, "data": json.dumps([{"channel": "/meta/connect", "clientId": "c1"}])},
        {"type": "receive", "time": START + 5, "data": json.dumps(pushed)},
    ]
    socket = entry(1, "GET", "/cometd", _resourceType="websocket", _webSocketMessages=messages)
    socket["response"] = {"status": 101, "headers": [{"name": "Set-Cookie", "value": "JSESSIONID=s1-0a1b2c3d; Path=/"}]}
    socket["request"] = {"method": "GET", "url": "ws://gws.example/cometd"}
    calls = [
        entry(2 + number, "POST", "/calls", {"number": number}, {"referenceId": 7}, session=f"s{number}-0a1b2c3d")
        for number in (1, 2)
    ]
    path = har(tmp_path / "a.har", [socket, *calls])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert [[event.channel for event in each.events or ()] for each in exchanges(path)] == [["/v2/me/workbins"], []]


def test_a_request_without_a_reply_is_reported_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cancelled = entry(5, "GET", "/api/v2/workbins")
    cancelled["response"] = {"status": 0, "headers": [], "content": {"size": 0}, "_error": "net::ERR_ABORTED"}
    path = har(tmp_path / "a.har", [*conversation(), cancelled])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert "left out: a request without a reply: GET /api/v2/workbins\n" in capsys.readouterr().err


def test_a_body_that_is_missing_in_the_file_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    evicted = entry(5, "GET", "/api/v2/workbins", None, "")
    evicted["response"] = {"status": 200, "headers": [], "content": {"size": 5000, "mimeType": "application/json"}}
    path = har(tmp_path / "a.har", [*conversation(), evicted])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert "left out: the body of the reply to 'workbins': not available" in capsys.readouterr().err


def test_compressed_binary_and_form_bodies_are_decoded(tmp_path: Path):
    answer = base64.b64encode(json.dumps({"statusCode": 0}).encode()).decode()
    packed = entry(5, "GET", "/api/v2/workbins", None, "")
    packed["response"] = {
        "status": 200,
        "headers": [
            {"name": "Content-Encoding", "value": "gzip"},
            {"name": "Content-Type", "value": "application/json"},
        ],
        "content": {"size": 16, "encoding": "base64", "text": answer},
    }
    form = entry(6, "POST", "/api/v2/form", None, {"statusCode": 0})
    request = form["request"]
    assert isinstance(request, dict)
    request["headers"] = [{"name": "Content-Type", "value": "application/x-www-form-urlencoded"}]
    request["postData"] = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a", "value": "1"}]}
    path, journal = har(tmp_path / "a.har", [*conversation(), packed, form]), tmp_path / "kept.jsonl"
    assert run(["import", str(path), "--journal", str(journal)]) == ExitCode.SUCCESS
    _, events, _ = read_journal(journal)
    bodies = [event.body.kind for event in events[-4:]]
    assert (bodies, events[-3].body.value) == (["none", "json", "form", "json"], {"statusCode": 0})


@pytest.mark.parametrize("text", [{}, {"text": ""}], ids=["params only", "an empty text"])
def test_a_form_without_a_content_type_field_is_a_form(text: JSONObject, tmp_path: Path):
    form = entry(6, "POST", "/api/v2/form", None, {"statusCode": 0})
    request = form["request"]
    assert isinstance(request, dict)
    params: JSON = [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]
    request["postData"] = {"mimeType": "application/x-www-form-urlencoded", "params": params, **text}
    path = har(tmp_path / "a.har", [*conversation(), form])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert getattr(exchanges(path)[-1].request, "form", None) == {"a": ["1", "2"]}


def test_the_reply_to_head_keeps_its_content_length(tmp_path: Path):
    head = entry(6, "HEAD", "/api/v2/list", None, None)
    reply = head["response"]
    assert isinstance(reply, dict)
    reply |= {"headers": [{"name": "Content-Length", "value": "55"}], "content": {"size": 0, "mimeType": ""}}
    path = har(tmp_path / "a.har", [*conversation(), head])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    reply_block = exchanges(path)[-1].reply
    assert reply_block is not None
    assert reply_block.headers == {"content-length": "55"}


def test_cookies_of_the_cookie_list_identify_the_session(tmp_path: Path):
    listed = entry(0.5, "GET", "/api/v2/me", None, {"statusCode": 0})
    request = listed["request"]
    assert isinstance(request, dict)
    request |= {"headers": [], "cookies": [{"name": "JSESSIONID", "value": "s1"}]}
    path, journal = har(tmp_path / "a.har", [*conversation(), listed]), tmp_path / "kept.jsonl"
    assert run(["import", str(path), "--journal", str(journal)]) == ExitCode.SUCCESS
    _, events, _ = read_journal(journal)
    assert len({event.identity["JSESSIONID"] for event in events if event.kind == "request"}) == 1


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "{file}: the file is empty; expected a HAR file, or a flow file of mitmproxy"),
    "text": (b"hello", "{file}: neither HAR nor flows; expected a HAR file, or a flow file of mitmproxy"),
    "other JSON": (b'{"a": 1}', f"{{file}}: log.entries is missing or empty; {HAR}"),
    "no entries": (b'{"log": {"entries": []}}', f"{{file}}: log.entries is missing or empty; {HAR}"),
    "not JSON": (b"{log", f"{{file}}: invalid or truncated JSON before its first entry; {HAR}"),
    "a netstring": (b"5:hello,", f"{{file}}: flow 1: not a flow, or truncated; {FLOWS}"),
    "a flow of nothing": (
        b"17:7:version;2:21#}",
        f"{{file}}: flow 1: not a flow, or truncated; {FLOWS}",
    ),
}


@needs_extra("record")
@pytest.mark.parametrize("name", BAD)
def test_an_unknown_format_is_reported_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    content, line = BAD[name]
    path = tmp_path / "bad.har"
    path.write_bytes(content)
    assert run(["import", str(path), "--journal", str(tmp_path / "bad.jsonl")]) == ExitCode.ERROR
    assert capsys.readouterr() == ("", f"cometreel: {line.format(file=path)}\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_truncated_file_is_rejected_with_the_number_of_the_last_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = har(tmp_path / "cut.har", conversation())
    path.write_bytes(path.read_bytes()[:-40])
    assert run(["import", str(path)]) == ExitCode.ERROR
    assert capsys.readouterr().err == f"cometreel: {path}: invalid or truncated JSON after entry 2; {HAR}\n"
    assert list(tmp_path.iterdir()) == [path]


def with_reply(**change: JSON) -> JSONObject:
    """Return a change of an entry's reply."""
    reply = entry(0, "GET", "/odd")["response"]
    assert isinstance(reply, dict)
    return {"response": {**reply, **change}}


def with_request(**change: JSON) -> JSONObject:
    """Return a change of an entry's request."""
    request = entry(0, "GET", "/odd")["request"]
    assert isinstance(request, dict)
    return {"request": {**request, **change}}


STRING = "a valid string"
ODD: dict[str, tuple[JSONObject, str]] = {
    "no time": ({"startedDateTime": None}, "startedDateTime is invalid: not a time like 2026-11-23T10:00:00.000Z"),
    "an empty time": ({"startedDateTime": ""}, "startedDateTime is invalid: not a time like 2026-11-23T10:00:00.000Z"),
    "a day before computers": (
        {"startedDateTime": "0001-01-01T00:00:00Z"},
        "startedDateTime is invalid: the year is 1",
    ),
    "the start of Unix time": (
        {"startedDateTime": "1970-01-01T00:00:00Z"},
        "startedDateTime is 1970-01-01, too far from the other entries",
    ),
    "the status of another tool for a failure": (
        with_reply(status=-1),
        "response.status is invalid: greater than or equal to 0",
    ),
    "the status of a canceled request in iOS": (
        with_reply(status=-999),
        "response.status is invalid: greater than or equal to 0",
    ),
    "the status of a crawler": (with_reply(status=999), "response.status is invalid: less than or equal to 599"),
    "no reply": ({"response": None}, "response is invalid: "),
    "no content": (with_reply(content=None), "response.content is invalid: "),
    "no header fields in the reply": (with_reply(headers=None), "response.headers is invalid: a valid list"),
    "no value of a header field": (
        with_reply(headers=[{"name": "ETag", "value": None}]),
        f"response.headers.0.value is invalid: {STRING}",
    ),
    "no header fields": (with_request(headers=None), "request.headers is invalid: a valid list"),
    "no value of a cookie": (
        with_request(cookies=[{"name": "a", "value": None}]),
        f"request.cookies.0.value is invalid: {STRING}",
    ),
    "no method": (with_request(method="G E"), "request.method is invalid: "),
    "no URL": (with_request(url="odd"), "request.url is invalid: "),
    "no request": ({"request": None}, "request is invalid: "),
    "a text for a duration": ({"time": "soon"}, "time is invalid: a valid number, unable to parse string as a number"),
    "an endless duration": ({"time": 1e300}, "time is more than 30 days"),
}


@pytest.mark.parametrize("place", [0, 3], ids=["the first entry", "the last entry"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_entry_is_skipped_by_its_number_without_its_values(
    name: str, place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    change, reason = ODD[name]
    entries = conversation()
    entries.insert(place, {**entry(9, "GET", "/odd"), **change})
    path = har(tmp_path / "odd.har", entries)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")]
    assert line.startswith(f"left out: entry {place + 1}: {reason}")
    assert "/odd" not in line
    assert [(each.name, len(each.events or [])) for each in exchanges(path)] == [("stats of my workbins", 1)]


def test_a_missing_reply_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    odd = entry(9, "GET", "/odd")
    del odd["response"]
    path = har(tmp_path / "odd.har", [*conversation(), odd])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert "left out: entry 4: response is missing\n" in capsys.readouterr().err


def test_many_odd_entries_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    odd: list[JSONObject] = [{"startedDateTime": ""}] * 60
    path = har(tmp_path / "odd.har", [*conversation(), *odd])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")]
    assert (len(lines), lines[-1]) == (51, "left out: 10 more parts of the file that can't be read")


def test_a_file_without_a_valid_entry_is_refused_with_the_first_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = har(tmp_path / "odd.har", [{**entry(9, "GET", "/odd"), "response": None}])
    assert run(["import", str(path)]) == ExitCode.ERROR
    printed = capsys.readouterr().err
    assert printed.startswith(f"cometreel: {path}: it contains no HTTP traffic that can be read; expected traffic of ")
    assert "(entry 1: response is invalid: " in printed
    assert list(tmp_path.iterdir()) == [path]


def test_odd_messages_of_a_websocket_are_skipped_and_the_others_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    sent = {"channel": "/chat/room", "id": "2", "clientId": "c1", "data": {"question": 1}}
    acknowledged = [{"channel": "/chat/room", "id": "2", "successful": True}]
    messages: list[JSON] = [
        {"type": "send", "time": START + 2.0, "opcode": 1, "data": json.dumps([sent])},
        {"type": "error", "time": START + 2.05, "opcode": -1, "data": "net::ERR_CONNECTION_RESET"},
        {"type": "receive", "time": START + 2.1, "opcode": 1, "data": json.dumps(acknowledged)},
        {"type": "receive", "time": START + 2.2, "opcode": 1, "data": None},
        {"type": "receive", "time": 2.2, "opcode": 1, "data": "x"},
        None,
    ]
    socket = entry(1, "GET", "/cometd", _resourceType="websocket", _webSocketMessages=messages)
    path = har(tmp_path / "a.har", [socket])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (exchange,) = exchanges(path)
    assert exchange.reply is not None
    assert exchange.reply.after == "100ms"
    found = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: entry")]
    assert [line.removeprefix("left out: entry 1: WebSocket message ")[:20] for line in found] == [
        "2: type is invalid: ",
        "4: data is invalid: ",
        "5: its time is too f",
        "6: the entry is inva",
    ]


def test_entries_in_another_order_are_sorted(tmp_path: Path):
    path = har(tmp_path / "a.har", conversation()[::-1])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert [len(each.events or []) for each in exchanges(path)] == [1]


def base64_of(value: JSON) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_a_request_body_in_base64_is_decoded(tmp_path: Path):
    called = entry(5, "POST", "/api/v2/workbins", None, {"statusCode": 0})
    text = base64_of({"operationName": "RequestStats"})
    request = called["request"]
    assert isinstance(request, dict)
    request["postData"] = {"mimeType": "application/json", "text": text, "encoding": "base64"}
    path = har(tmp_path / "a.har", [*conversation(), called])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert getattr(exchanges(path)[-1].request, "body", None) == {"operationName": "RequestStats"}


@pytest.mark.parametrize(
    "wrap", [lambda text: text, lambda text: text[:20] + "\r\n" + text[20:], lambda text: text.rstrip("=")]
)
def test_base64_with_line_breaks_or_without_padding_is_decoded(wrap: Callable[[str], str], tmp_path: Path):
    called = entry(5, "GET", "/api/v2/workbins", None, wrap(base64_of({"statusCode": 0, "a": 1})))
    reply = called["response"]
    assert isinstance(reply, dict)
    assert isinstance(reply["content"], dict)
    reply["content"]["encoding"] = "base64"
    path = har(tmp_path / "a.har", [*conversation(), called])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (reply_block,) = [each.reply for each in exchanges(path)[1:]]
    assert getattr(reply_block, "body", None) == {"statusCode": 0, "a": 1}


def test_a_plain_text_that_is_called_base64_is_a_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Firefox exports this; here it is the poll that has the notification, and a reply."""
    entries = conversation()
    for each in entries:
        reply = each["response"]
        assert isinstance(reply, dict)
        assert isinstance(reply["content"], dict)
        reply["content"]["encoding"] = "base64"
    path = har(tmp_path / "a.har", entries)
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (exchange,) = exchanges(path)
    assert (getattr(exchange.reply, "body", None), len(exchange.events or [])) == (
        {"statusCode": 0, "referenceId": 7},
        1,
    )
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("a.har", lambda text: text.encode("utf-16")),
        ("a.har", lambda text: text.encode("utf-16-le")),
        ("a.har", lambda text: b"\xfe\xff" + text.encode("utf-16-be")),
        ("a.har", lambda text: text.encode("utf-32")),
        ("a.har", lambda text: b"\xef\xbb\xbf" + text.encode()),
        ("a.zhar", lambda text: zlib.compress(text.encode(), 9)),
        ("a.har.gz", lambda text: gzip.compress(text.encode())),
        ("a.zhar", lambda text: zlib.compress(b"\xef\xbb\xbf" + text.encode())),
        ("a.har.gz", lambda text: gzip.compress(text.encode("utf-16"))),
    ],
)
def test_a_compressed_file_or_one_in_another_encoding_gives_the_same_scenario(
    name: str, convert: Callable[[str], bytes], tmp_path: Path
):
    plain = har(tmp_path / "plain.har", conversation())
    path = tmp_path / name
    path.write_bytes(convert(plain.read_text()))
    out = tmp_path / "out.yaml"
    assert run(["import", str(path), "-o", str(out)]) == ExitCode.SUCCESS
    assert run(["import", str(plain)]) == ExitCode.SUCCESS
    assert out.read_text().replace(f"title: {path.stem}", "title: plain") == plain.with_suffix(".yaml").read_text()


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda data: zlib.compress(data)[:-10], "the compressed data is damaged or truncated"),
        (lambda data: gzip.compress(data)[:-10], "the compressed data is damaged or truncated"),
        (lambda data: data.decode().encode("utf-16")[:-1], "it isn't text in UTF-16"),
    ],
)
def test_a_damaged_file_is_reported_in_one_line(
    damage: Callable[[bytes], bytes], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = har(tmp_path / "a.har", conversation())
    path.write_bytes(damage(path.read_bytes()))
    assert run(["import", str(path)]) == ExitCode.ERROR
    assert capsys.readouterr().err == (f"cometreel: {path}: {line}; expected a HAR file, or a flow file of mitmproxy\n")
    assert list(tmp_path.iterdir()) == [path]


def test_an_entry_that_is_nested_too_deeply_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = har(tmp_path / "deep.har", [*conversation(), entry(3, "GET", "/a", seconds=0.007), *conversation()[:1]])
    path.write_bytes(path.read_bytes().replace(b'"time": 7.0', b'"time": ' + b"[" * 100_000 + b"]" * 100_000))
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert "left out: entry 4: it is nested more than 100 deep\n" in capsys.readouterr().err


HOSTILE: dict[str, tuple[bytes, str]] = {
    "a number beyond numbers": (b'"time": 1e999', "{file}: invalid or truncated JSON after entry 3"),
    "a number of many digits": (b'"time": ' + b"9" * 5000, "{file}: invalid or truncated JSON after entry 3"),
    "no UTF-8": (b'"time": "\xff"', "{file}: invalid or truncated JSON after entry 3"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_reported_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    value, line = HOSTILE[name]
    path = har(tmp_path / "hostile.har", [*conversation(), entry(3, "GET", "/a", seconds=0.007)])
    path.write_bytes(path.read_bytes().replace(b'"time": 7.0', value))
    assert run(["import", str(path)]) == ExitCode.ERROR
    printed = capsys.readouterr().err
    assert printed.startswith(f"cometreel: {line.format(file=path)}; expected ")
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("side", ["publish", "delivery"])
def test_an_invalid_channel_is_reported_and_left_out(side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    poll = {"channel": "/meta/connect", "id": "9", "clientId": "c1"}
    printed = (
        bayeux(4, {"channel": "/a//b", "id": "9", "clientId": "c1", "data": 1}, {**poll, "successful": True})
        if side == "publish"
        else bayeux(4, poll, {"channel": "/a//b", "data": 1}, {**poll, "successful": True})
    )
    path = har(tmp_path / "odd.har", [*conversation(), printed])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    (left_out,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out:")]
    assert left_out.endswith(" is the text '/a//b'; expected a channel such as /v2/me/workbins")
    assert len(exchanges(path)) == 1


def test_data_urls_are_ignored(tmp_path: Path):
    picture = entry(3, "GET", "/a")
    request = picture["request"]
    assert isinstance(request, dict)
    request["url"] = "data:application/json,{}"
    path = har(tmp_path / "a.har", [*conversation(), picture])
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert len(exchanges(path)) == 1


def test_a_usage_error_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = har(tmp_path / "a.har", conversation())
    (tmp_path / "there.jsonl").write_text("kept")
    for arguments, line in (
        (["--url", "("], "--url: '('; expected a regular expression "),
        (
            ["--profile", "gws"],
            "--profile: 'gws'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile",
        ),
        (["--policy", "strikt"], "strikt: can't be read: No such file or directory; expected a policy"),
        (
            ["--journal", str(tmp_path / "there.jsonl")],
            f"{tmp_path}/there.jsonl: it exists already; expected a new file",
        ),
    ):
        assert run(["import", str(path), *arguments]) == ExitCode.ERROR
        printed = capsys.readouterr().err
        assert printed.startswith(f"cometreel: {line}")
        assert printed.count("\n") == 1
    assert (tmp_path / "there.jsonl").read_text() == "kept"


def test_the_profile_is_detected_or_read_from_a_file(tmp_path: Path):
    channel = "/v2/me/orders"
    poll: JSONObject = {"channel": "/meta/connect", "id": "3", "clientId": "c1"}
    shake: JSONObject = {"channel": "/meta/handshake", "id": "1"}
    pushed: JSONObject = {"channel": channel, "data": {"operationId": "op-1", "ticket": 7}}
    calls = [
        bayeux(0, shake, {**shake, "successful": True, "clientId": "c1"}),
        bayeux(1, poll, pushed, {**poll, "successful": True}, seconds=3),
        entry(2, "POST", "/orders", {"item": "lamp"}, {"operationId": "op-1", "ticket": 7}),
    ]
    path, own = har(tmp_path / "a.har", calls), tmp_path / "own.yaml"
    own.write_text("reply: [/ticket]\nevent: [/ticket]\n")
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert parse(path.with_suffix(".yaml")).correlation == "workspace-v3"
    assert run(["import", str(path), "--profile", str(own), "--force"]) == ExitCode.SUCCESS
    correlation = parse(path.with_suffix(".yaml")).correlation
    assert isinstance(correlation, CorrelationBlock)
    assert (correlation.reply, len(exchanges(path)[0].events or [])) == (["/ticket"], 1)


def test_a_file_without_cometd_is_refused_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = har(tmp_path / "a.har", [entry(0, "GET", "/page", None, {"a": 1})])
    assert run(["import", str(path), "--url", "/api/"]) == ExitCode.ERROR
    assert capsys.readouterr().err == (
        f"cometreel: {path}: nothing to record; expected traffic of a CometD application "
        "(it contains no CometD traffic, and no URL matches)\n"
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["import", str(tmp_path / "none.har")]) == ExitCode.ERROR
    assert re.fullmatch(r"cometreel: \S+none\.har: can't be read: No such file.*\n", capsys.readouterr().err)


def test_importing_again_keeps_the_edited_scenario_and_shows_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = har(tmp_path / "a.har", conversation())
    run(["import", str(path)])
    edited = path.with_suffix(".yaml").read_text().replace("title: a", "title: mine")
    path.with_suffix(".yaml").write_text(edited)
    capsys.readouterr()
    assert run(["import", str(path)]) == ExitCode.SUCCESS
    assert "-title: mine\n+title: a\n" in capsys.readouterr().out
    assert path.with_suffix(".yaml").read_text() == edited


def test_several_cookies_in_one_field_as_chrome_writes_them_are_separated(tmp_path: Path):
    setting = bayeux(0, {"channel": "/meta/handshake", "id": "1", "version": "1.0"}, {"channel": "/meta/handshake"})
    reply = setting["response"]
    assert isinstance(reply, dict)
    reply["headers"] = [{"name": "Set-Cookie", "value": "theme=dark; Path=/\nJSESSIONID=abc; Path=/api"}]
    path, journal = har(tmp_path / "a.har", [setting]), tmp_path / "kept.jsonl"
    assert run(["import", str(path), "--journal", str(journal)]) == ExitCode.SUCCESS
    assert "JSESSIONID" in read_journal(journal)[1][1].identity
