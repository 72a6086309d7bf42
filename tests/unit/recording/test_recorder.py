"""The recorder: the traffic that it records and ignores; no traffic makes it fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometreel.recording import read_journal
from cometreel.scenario import dump, loads
from cometreel.wire import Headers

SHAKE = b'[{"channel":"/meta/handshake","id":"1"}]'


def kinds(wire: Any) -> list[str]:
    return [event.kind for event in read_journal(wire.path)[1]]


@pytest.mark.parametrize(
    ("body", "recorded"),
    [
        (SHAKE, True),
        (b'{"channel":"/meta/connect","clientId":"c"}', True),
        (b'[{"channel":"/service/x","clientId":"c","data":1}]', True),
        (b'[{"channel":"voice"}]', False),
        (b'{"channel":"/x"}', False),
        (b"[]", False),
        (b"[1,2]", False),
        (b'[{"channel":"/meta/handshake"', False),
        (b"", False),
    ],
)
def test_bayeux_is_found_by_its_shape_on_any_path(wire: Any, body: bytes, *, recorded: bool) -> None:
    found = wire.recorder.request("f", "POST", "http://h/any/where", Headers([("Content-Type", "text/plain")]), body)
    wire.recorder.reply("f", 200, Headers(), b"[]")
    assert found is recorded
    assert kinds(wire) == (["request", "reply"] if recorded else [])


@pytest.mark.parametrize("text", ['{"text":"hello"}', '[{"channel":"/meta/connect"}', "hello", '["a"]'])
def test_a_form_with_another_message_is_not_bayeux(wire: Any, text: str) -> None:
    headers = Headers([("Content-Type", "application/x-www-form-urlencoded")])
    body = f"message={quote(text)}&channel=a".encode()
    assert not wire.recorder.request("f", "POST", "http://h/cometd", headers, body)
    assert kinds(wire) == []


def test_a_form_with_bayeux_messages_is_bayeux(wire: Any) -> None:
    headers = Headers([("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")])
    body = b"message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fconnect%22%2C%22clientId%22%3A%22c%22%7D%5D"
    assert wire.recorder.request("f", "POST", "http://h/cometd", headers, body)
    assert read_journal(wire.path)[1][0].body.messages[0]["channel"] == "/meta/connect"


def test_the_reply_to_bayeux_messages_is_recorded_though_the_filter_does_not_want_it(wire: Any) -> None:
    shaken = b'[{"channel":"/meta/handshake","id":"1","successful":true}]'
    wire.recorder.request("f", "POST", "http://h/cometd", Headers(), SHAKE)
    wire.recorder.reply("f", 200, Headers(), shaken, wanted=False)
    wire.recorder.request("g", "GET", "http://h/x", Headers(), b"", wanted=True)
    wire.recorder.reply("g", 200, Headers(), b"1", wanted=False)
    assert kinds(wire) == ["request", "reply", "request", "unwanted"]


@pytest.mark.parametrize(("size", "kind"), [(40, "json"), (41, "omitted")])
def test_a_body_is_recorded_up_to_the_largest_size(
    wire: Any, monkeypatch: pytest.MonkeyPatch, size: int, kind: str
) -> None:
    monkeypatch.setattr("cometreel.recording.recorded_bodies.MAX_BODY", 40)
    wire.request(1, "POST", "/x", b'"' + b"x" * (size - 2) + b'"')
    assert [event.body.kind for event in read_journal(wire.path)[1]] == [kind]


def test_traffic_that_is_left_out_is_counted_once(wire: Any) -> None:
    wire.recorder.leave_out("a picture")
    wire.recorder.write_left_out()
    wire.recorder.leave_out("a picture")
    wire.recorder.close()
    assert [(event.text, event.count) for event in read_journal(wire.path)[1]] == [("a picture", 1)] * 2


def test_the_credentials_of_a_request_precede_those_of_its_messages(wire: Any) -> None:
    shake = [{"channel": "/meta/handshake", "ext": {"token": "message-0a1b2c3d"}}]
    header = [("Authorization", "Bearer header-0a1b2c3d")]
    for headers, messages in ((header, shake), (header, json.loads(SHAKE)), ([], shake)):
        wire.bayeux(1, messages, headers=headers)
    one, header_only, message_only = (event.credentials for event in read_journal(wire.path)[1])
    assert one == header_only
    assert len({one, message_only, ""}) == 3


def test_wanted_traffic_is_recorded(wire: Any) -> None:
    assert wire.recorder.request("f", "GET", "http://h/x", Headers(), b"", wanted=True)
    assert kinds(wire) == ["request"]


def test_replies_errors_and_frames_of_unrecorded_flows_are_ignored(wire: Any) -> None:
    wire.recorder.reply("f", 200, Headers(), b"x")
    wire.recorder.error("f", "reset")
    wire.recorder.frame("f", True, "x")
    wire.recorder.closed("f", 1000)
    wire.recorder.opened("w", "ws://h/x", Headers())
    wire.recorder.frame("w", True, '{"not":"bayeux"}')
    wire.recorder.closed("w", 1000)
    assert kinds(wire) == []


def test_a_websocket_is_recorded_from_its_first_bayeux_frame(wire: Any) -> None:
    wire.recorder.opened("w", "ws://h/x", Headers(), at=wire.now + 1)
    wire.now += 2
    wire.recorder.frame("w", True, SHAKE.decode())
    wire.recorder.closed("w", 1001)
    events = read_journal(wire.path)[1]
    assert [(event.kind, event.at, event.client_side) for event in events] == [
        ("open", 1.0, False),
        ("frame", 2.0, True),
        ("close", 2.0, False),
    ]


def test_a_websocket_stays_bayeux_after_a_frame_that_is_not(wire: Any) -> None:
    wire.recorder.opened("w", "ws://h/x", Headers())
    for text in (SHAKE.decode(), '{"not":"bayeux"}', '[{"channel":"/x","data":1}]'):
        wire.recorder.frame("w", False, text)
    assert [event.body.kind for event in read_journal(wire.path)[1]] == ["none", "bayeux", "json", "bayeux"]


def test_an_event_is_recorded_with_the_time_of_the_caller(wire: Any) -> None:
    wire.recorder.request("f", "GET", "http://h/x", Headers(), b"", wanted=True, at=wire.now + 0.25)
    wire.recorder.reply("f", 200, Headers(), b"", at=wire.now + 1.5)
    assert [event.at for event in read_journal(wire.path)[1]] == [0.25, 1.5]


def test_a_known_secret_is_removed_from_all_later_lines(wire: Any) -> None:
    wire.call(1, "POST", "/x", {"password": "tr0ub&dor", "token": "node0abc.n1"}, {"statusCode": 0})
    wire.call(2, "GET", "/echo/tr0ub%26dor", None, {"said": "not tr0ub&dor", "tr0ub&dor": "<node0abc.n1>"})
    text = wire.text()
    for secret in ("tr0ub&dor", "tr0ub%26dor", "node0abc"):
        assert secret not in text


@pytest.mark.parametrize("word", ["channel", "workbins", "services"])
def test_a_common_word_in_a_cookie_a_header_or_a_query_is_no_known_secret(wire: Any, word: str) -> None:
    headers = [("Cookie", f"theme={word}"), ("X-Session-Kind", word)]
    wire.call(1, "GET", f"/api/v2/{word}?state={word}", None, {word: word}, headers=headers)
    events = read_journal(wire.path)[1]
    assert (events[0].path, events[0].query, events[1].body.value) == (f"/api/v2/{word}", "state=hidden", {word: word})


NASTY = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            SHAKE,
            b"\xef\xbb\xbf" + SHAKE,
            b'[{"channel":"/meta/connect","clientId":5,"ext":[],"data":{"password":{"a":["b"]}}}]',
            b'[{"channel":"/a","clientId":"\\ud800","data":"\\u0000"},7]',
            b'{"userData":[[[{"x":1e308,"y":-0.0,"z":123456789012345678901234567890}]]]}',
            b'{"phoneNumber":1e22,"password":5,"id":true,"statusMessage":["\'a\'"],"":""}',
            b"[" * 3000,
            b"[" * 900 + b"]" * 900,
            b'"' + b"\\ud83d" * 20 + b'"',
            b"NaN",
            b"message=[1&message=%ff",
        ]
    ),
)
TEXT = st.text(max_size=30)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=NASTY,
    reply=NASTY,
    path=TEXT,
    query=TEXT,
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", "", "é;;="]),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["Cookie", "Authorization", "Set-Cookie", "X-CSRF-HEADER", "Location", "Accept", "ssid"]),
            TEXT,
        ),
        max_size=4,
    ),
)
def test_any_traffic_is_recorded_without_an_exception(
    wire: Any, body: bytes, reply: bytes, path: str, query: str, kind: str, fields: list[tuple[str, str]]
) -> None:
    headers = Headers([("Content-Type", kind), *fields])
    before = wire.recorder.recorded
    wire.recorder.request("f", "POST", f"http://h/{path}?{query}", headers, body, wanted=True)
    wire.recorder.reply("f", 200, headers, reply)
    wire.recorder.opened("w", f"ws://h/{path}", headers, wanted=True)
    wire.recorder.frame("w", True, body)
    wire.recorder.frame("w", False, reply.decode("latin-1"))
    wire.recorder.closed("w", 1006)
    assert wire.recorder.recorded - before == 6
    for line in wire.path.read_bytes().splitlines()[-6:]:
        json.loads(line)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.sampled_from(["$id", "on", "~"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requested=VALUES, answered=VALUES, delivered=VALUES, path=TEXT, query=TEXT)
def test_any_recording_distills_to_a_valid_scenario(
    wire_of: Callable[..., Any], requested: Any, answered: Any, delivered: Any, path: str, query: str
) -> None:
    wire = wire_of()
    wire.call(1, "POST", f"/{quote(path)}?{quote(query)}", requested, answered, session="s1")
    wire.poll(2, 3, "c1", {"channel": "/x", "data": delivered}, session="s1")
    distilled = wire.distil()
    again = loads(dump(distilled.file))
    assert (len(again.exchanges), len(again.timeline)) == (1, 1)
    wire.path.unlink()


def test_the_work_per_event_is_independent_of_the_number_of_known_secrets(wire_of: Callable[..., Any]) -> None:
    """Counts function calls, which don't depend on the load of the machine."""
    message = b'[{"channel":"/meta/connect","connectionType":"long-polling","id":"5","clientId":"1k2j3h4g5f6d7s8a9"}]'
    headers = Headers([("Cookie", "JSESSIONID=node0abcdef.n1; BAYEUX_BROWSER=zzz12345abc"), ("Accept", "*/*")])

    def calls_with(secrets: int) -> int:
        recorder = wire_of(name=f"with-{secrets}").recorder
        for number in range(secrets):
            recorder._redactor.secrets.add(f"secret-{number}-{number * 7919}")
        counted = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        def talk(flow: str) -> None:
            recorder.request(flow, "POST", "http://h/cometd/connect", headers, message)
            recorder.reply(flow, 200, headers, message)

        talk("f1")
        sys.setprofile(count)
        try:
            talk("f2")
        finally:
            sys.setprofile(None)
        return counted

    few, many = calls_with(500), calls_with(5000)
    assert many == few
    assert many < 400
