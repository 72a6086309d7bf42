"""Import of HAR files: the calls that are kept, their times, and the error for files that can't be used."""

from __future__ import annotations

import base64
import json
import re
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


WRONG: dict[str, tuple[JSONObject, str]] = {
    "no time": ({"startedDateTime": None}, "startedDateTime is invalid: not a time like 2026-11-23T10:00:00.000Z"),
    "a day before computers": (
        {"startedDateTime": "0001-01-01T00:00:00Z"},
        "startedDateTime is invalid: the year is 1",
    ),
    "no status of HTTP": ({"response": {"status": 99999}}, "response.status is invalid: less than or equal to 599"),
    "no method": ({"request": {"method": "G E", "url": "http://x/"}}, "request.method is invalid: "),
    "no URL": ({"request": {"method": "GET", "url": "hush"}}, "request.url is invalid: "),
    "no request": ({"request": None}, "request is invalid: "),
    "a number for a time": ({"time": "soon"}, "time is invalid: a valid number, unable to parse string as a number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_invalid_entry_is_reported_without_its_values(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    change, line = WRONG[name]
    path = har(tmp_path / "wrong.har", [*conversation(), {**entry(9, "GET", "/hush"), **change}])
    assert run(["import", str(path)]) == ExitCode.ERROR
    printed = capsys.readouterr().err
    assert printed.startswith(f"cometreel: {path}: entry 4: {line}")
    assert printed.count("\n") == 1
    assert "hush" not in printed


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nested without end": (
        b'"time": ' + b"[" * 100_000 + b"]" * 100_000,
        "{file}: entry 4: JSON nested more than 100 deep",
    ),
    "a number beyond numbers": (b'"time": 1e999', "{file}: invalid or truncated JSON after entry 3"),
    "a number of many digits": (b'"time": ' + b"9" * 5000, "{file}: invalid or truncated JSON after entry 3"),
    "an age": (b'"time": 1e300', "{file}: its times are more than 30 days apart"),
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
