"""Different requests stay different in the scenario: tolerant JSON, forms, XML and other text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cometreel.engine import Backend, ReplaySettings
from cometreel.jsonvalue import JSON
from cometreel.scenario import ScenarioBlock, dump, loads
from cometreel.wire import Headers, Request

FORM = "application/x-www-form-urlencoded"


def recorded(wire: Any, kind: str, *bodies: bytes) -> tuple[ScenarioBlock, list[str]]:
    """Record a POST of each body, whose answer is its number; return the scenario and what was left out."""
    for number, body in enumerate(bodies):
        wire.call(number + 1, "POST", "/do", body, {"n": number}, headers=[("content-type", kind)])
    distilled = wire.distil()
    return distilled.file, distilled.summary.left_out


def answers(file: ScenarioBlock, *bodies: bytes) -> list[JSON]:
    """Return the answers of a replay to requests with these bodies, each in a new replay."""
    found: list[JSON] = []
    for body in bodies:
        backend = Backend(loads(dump(file)), ReplaySettings())
        (reply,) = [*backend.receive(Request(1, "POST", "/do", body=body), 0.0), *backend.advance(1.0)]
        found.append(json.loads(reply.body).get("n", "missed"))  # type: ignore[union-attr]  # a reply
    return found


@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [
        ("application/json", b'{"operationName": "start", }', b'{"operationName": "stop", }'),
        ("text/plain", b'{"a": 1, /* x */ }', b'{"a": 2, /* x */ }'),
        (FORM, b"action=start&grant_type=password", b"action=stop&grant_type=password"),
        (FORM, b"tag=a&tag=b", b"tag=b&tag=a"),
        (
            "text/xml",
            b"<do><name>Kate Smith</name><op>start</op></do>",
            b"<do><name>Kate Smith</name><op>stop</op></do>",
        ),
        ("application/soap+xml", b'<a:Do xmlns:a="urn:x" op="start"/>', b'<a:Do xmlns:a="urn:x" op="stop"/>'),
        ("text/plain", b"start", b"stop"),
        ("text/plain", b"op: start\nuser: Kate Smith\n", b"op: stop\nuser: Kate Smith\n"),
        ("application/graphql", b"{\n  users\n}\n", b"{\n  places\n}\n"),
    ],
)
def test_different_requests_get_their_own_answers(wire: Any, kind: str, one: bytes, two: bytes) -> None:
    file, left_out = recorded(wire, kind, one, two)
    assert answers(file, one, two) == [0, 1]
    assert [line for line in left_out if "in turn" in line] == []


@pytest.mark.parametrize(
    ("kind", "sent", "also"),
    [
        ("application/json", b'{"a": 1, "b": 2, }', b'{"b":2.0,"a":1}'),
        (FORM, b"a=x&b=y+z&c=", b"c=&b=y%20z&a=x"),
        (FORM, b"tag=a&tag=b&x=1", b"x=1&tag=a&tag=b"),
        (FORM, b"user=Kate+Smith&op=go", b"op=go&user=Someone+Else"),
        ("text/xml", b"<do><user>Kate</user><op>go</op></do>", b"<do><user>Ann Lee</user><op>go</op></do>"),
        ("text/plain", b"user: Kate Smith\r\nop: go", b"user: Ann\r\nop: go"),
    ],
)
def test_equal_requests_stay_equal(wire: Any, kind: str, sent: bytes, also: bytes) -> None:
    """The order of fields and replaced values make no difference."""
    file, _ = recorded(wire, kind, sent, b"<other/>" if kind == "text/xml" else b"other=1")
    assert answers(file, sent, also) == [0, 0]


@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [
        ("application/octet-stream", b"\x00\x01", b"\x00\x02"),
        ("multipart/form-data; boundary=x", b"--x\r\none\r\n--x--", b"--x\r\ntwo\r\n--x--"),
        ("text/plain", b"Dear Kate, all the best", b"Dear Ann, all the best"),
        ("application/json", b'{"a":1,"a":2}', b'{"a":1,"a":3}'),
        (FORM, b"comment=Hello+Kate", b"comment=Hello+Ann"),
        ("application/json", b'{"firstName": "Kate"}', b'{"firstName": "Ann"}'),
        ("application/json", b'{"password": "hunter2hunter2"}', b'{"password": "tr0ub4dor"}'),
        (FORM, b"pin=1234", b"pin=5678"),
        ("text/xml", b"<a><password>hunter2hunter2</password></a>", b"<a><password>tr0ub4dor</password></a>"),
    ],
)
def test_the_summary_says_where_different_requests_are_answered_in_turn(
    wire: Any, kind: str, one: bytes, two: bytes
) -> None:
    _, left_out = recorded(wire, kind, one, two)
    (line,) = (line for line in left_out if "in turn" in line)
    assert line.startswith("the difference between 2 requests like 'post do'")


@pytest.mark.parametrize(
    ("field", "status"), [("If-None-Match", 304), ("If-Modified-Since", 304), ("If-Match", 412), ("Range", 206)]
)
def test_a_reply_to_a_condition_is_not_sent_to_a_request_without_it(wire: Any, field: str, status: int) -> None:
    """A browser that receives a 304 for a request without a condition shows nothing."""
    wire.call(1, "GET", "/a", None, {"n": 1}, reply_headers=[("ETag", '"v1"'), ("Content-Type", "application/json")])
    wire.call(2, "GET", "/a", None, b"", headers=[(field, '"v1"')], status=status, reply_headers=[("ETag", '"v1"')])
    backend = Backend(loads(dump(wire.distil().file)), ReplaySettings())
    statuses = []
    for at, headers in enumerate(((), (), ((field, '"v1"'),), ())):
        sent = Request(1, "GET", "/a", headers=Headers(headers))
        (reply,) = [*backend.receive(sent, float(at)), *backend.advance(at + 0.9)]
        statuses.append(reply.status)  # type: ignore[union-attr]  # a reply
    assert statuses == [200, 200, status, 200]


def test_a_body_that_was_not_kept_does_not_answer_for_others(wire: Any) -> None:
    sent = (("application/zip", b"\x00"), ("application/json", b'{"a": 1}'), ("application/zip", b"\x01"))
    for number, (kind, body) in enumerate(sent):
        wire.call(number, "POST", "/do", body, {"n": number}, headers=[("content-type", kind)])
    assert answers(wire.distil().file, b'{"a": 1}', b"\x00") == [1, 0]
    assert [block.reply.body["n"] for block in wire.distil().file.exchanges] == [1, 0, 2]


def test_requests_that_differ_only_in_a_secret_of_the_query_are_named(wire: Any) -> None:
    for number, token in enumerate(("hunter2hunter2", "tr0ub4dor", "hunter2hunter2")):
        wire.call(number, "GET", f"/a?access_token={token}", None, {"n": number})
    (line,) = (line for line in wire.distil().summary.left_out if "in turn" in line)
    assert line.startswith("the difference between 2 requests like 'a'")


@pytest.mark.parametrize("body", [b"\x00\x01", b"Dear Kate, all the best", b"comment=Hello+Kate", b"a=1&pin=1"])
def test_a_repeated_request_is_not_called_different(wire: Any, body: bytes) -> None:
    _, left_out = recorded(wire, FORM if b"=" in body else "application/octet-stream", body, body)
    assert [line for line in left_out if "in turn" in line] == []


@pytest.mark.parametrize(
    ("kind", "body", "gone", "pattern"),
    [
        (
            FORM,
            b"grant_type=password&username=kate&password=hunter2hunter2&n=12",
            ["kate", "hunter2"],
            {
                "form": {
                    "grant_type": "password",
                    "username": {"$any": "string"},
                    "password": {"$any": "string"},
                    "n": "12",
                }
            },
        ),
        (
            FORM,
            b"name=size&value=12&name=password&value=hunter2hunter2",
            ["hunter2"],
            {"form": {"name": ["size", "password"], "value": [{"$any": "string"}, {"$any": "string"}]}},
        ),
        (
            FORM,
            b"value=hunter2hunter2&name=password",
            ["hunter2"],
            {"form": {"value": {"$any": "string"}, "name": "password"}},
        ),
        (
            FORM,
            b"tag=a&tag=Kate+Smith&%24x=y",
            ["Kate"],
            {"form": {"tag": [{"$any": "string"}, {"$any": "string"}], "$$x": "y"}},
        ),
        (
            "text/xml",
            b'<login user="kate"><password>hunter2</password><op>go</op></login>',
            ["kate", "hunter2"],
            {"text": {"$regex": '^<login user="[^"]*"><password>[^<]*</password><op>go</op></login>$'}},
        ),
        (
            "text/xml",
            b"<do><password/><op>go</op><secret><old>hunter2</old></secret><n>1</n></do>",
            ["hunter2"],
            {"text": {"$regex": "^<do><password/><op>go</op><secret><old>[^<]*</old></secret><n>1</n></do>$"}},
        ),
        ("text/xml", b"<a><!-- by Kate --><b><![CDATA[Dear Kate]]></b> x.y (1)</a>", ["Kate"], None),
        (
            "text/plain",
            b"password: hunter2\nmode: fast",
            ["hunter2"],
            {"text": {"$regex": "^password: [^\\n]*\nmode: fast$"}},
        ),
        ("text/plain", b"start", [], {"text": "start"}),
    ],
)
def test_personal_data_and_secrets_in_them_are_replaced(
    wire: Any, kind: str, body: bytes, gone: list[str], pattern: JSON
) -> None:
    file, _ = recorded(wire, kind, body)
    for text in (wire.text(), dump(file)):
        assert [word for word in gone if word in text] == []
    written = (file.exchanges or [])[0].request.model_dump(exclude_unset=True, exclude={"method", "path"})
    assert pattern is None or written == pattern
    assert answers(file, body) == [0]
