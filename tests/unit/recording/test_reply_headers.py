"""Header fields of replies: the recording keeps all but those of a connection, a body or a moment, and secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cometreel.recording import read_journal
from cometreel.scenario import dump, loads

KEPT = {
    "link": "</list?page=2>; rel=next",
    "x-total-count": "42",
    "etag": '"33a64df5"',
    "content-disposition": "attachment",
    "cache-control": "no-store",
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "X-Total-Count",
    "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT",
    "x-frame-options": "DENY",
    "vary": "Accept",
    "accept-ranges": "bytes",
}
DROPPED = {
    "connection": "X-Hop",
    "x-hop": "1",
    "keep-alive": "timeout=5",
    "transfer-encoding": "chunked",
    "content-length": "8",
    "content-md5": "Q2hlY2sgSW50ZWdyaXR5IQ==",
    "digest": "sha-256=x",
    "content-digest": "sha-256=:x:",
    "repr-digest": "sha-256=:x:",
    "date": "Mon, 23 Nov 2026 10:00:00 GMT",
    "server": "Jetty(9)",
    "via": "1.1 proxy",
    "age": "3",
    "strict-transport-security": "max-age=1",
    "alt-svc": 'h3=":443"',
}
JSON_FIELD = ("Content-Type", "application/json")


def reply_of(wire: Any, *fields: tuple[str, str], **more: Any) -> Any:
    """Record one call and return the reply of its exchange."""
    wire.call(1, "GET", "/list", None, {"a": 1}, reply_headers=[JSON_FIELD, *fields], **more)
    return wire.distil().file.exchanges[0].reply


@pytest.mark.parametrize(("name", "value"), KEPT.items())
def test_a_field_of_the_resource_is_kept(wire: Any, name: str, value: str) -> None:
    assert reply_of(wire, (name.title(), value)).headers == {name: value}


@pytest.mark.parametrize(("name", "value"), DROPPED.items())
def test_a_field_of_the_connection_the_body_or_the_moment_is_named_and_left_out(
    wire: Any, name: str, value: str
) -> None:
    fields = [(name, value), *([("Connection", "X-Hop")] if name == "x-hop" else [])]
    wire.call(1, "GET", "/list", None, {"a": 1}, reply_headers=[JSON_FIELD, *fields])
    distilled = wire.distil()
    assert distilled.file.exchanges[0].reply.headers is None
    (line,) = (line for line in distilled.summary.lines() if "header fields of replies" in line)
    assert name in line.partition(": ")[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Set-Cookie", "theme=dark-blue-42"),
        ("X-Auth-Token", "t0ken-1234-abcd"),
        ("X-Api-Key", "k3y-1234-abcd"),
        ("X-Session-Id", "s3ss10n-1234"),
        ("X-Trace", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
        ("X-Upstream", "Basic dXNlcjpwYXNzd29yZA=="),
        ("X-Bucket", "AKIAIOSFODNN7EXAMPLE"),
        ("X-Origin", "https://kate:hunter2hunter2@db.corp/x"),
    ],
)
def test_a_secret_field_never_reaches_the_disk(wire: Any, name: str, value: str) -> None:
    """Its name says so, or its value has the format of a well-known secret."""
    reply = reply_of(wire, (name, value))
    assert reply.headers is None
    assert value not in wire.text()
    assert json.loads(wire.text().splitlines()[2])["hid-headers"] == [name.lower()]


@pytest.mark.parametrize(
    ("name", "value", "gone", "kept"),
    [
        ("Content-Disposition", 'attachment; filename="kate@corp.example.pdf"', "kate", '.invalid.pdf"'),
        ("Content-Disposition", "attachment; filename*=UTF-8''kate%40corp.example.pdf", "kate", "filename*=UTF-8''"),
        ("X-User-Name", "kate.smith", "kate", ""),
        ("X-Line", "call +49 30 1234567", "1234567", "call +"),
        ("Link", "<https://other.corp/a?access_token=abcdef12345>; rel=next", "other.corp", "access_token=hidden"),
        ("Content-Location", "https://other.corp/a", "other.corp", "/a"),
        ("Location", "//other.corp/a?code=abcdef", "other.corp", "/a?code=hidden"),
        ("WWW-Authenticate", 'Digest realm="lab", nonce="dcd98b7102dd"', "dcd98b7102dd", 'Digest realm="lab"'),
        ("X-Next", "https://other.corp/b", "other.corp", "/b"),
    ],
)
def test_personal_data_and_hosts_in_a_field_are_replaced(
    wire: Any, name: str, value: str, gone: str, kept: str
) -> None:
    reply = reply_of(wire, (name, value))
    assert gone not in wire.text()
    assert kept in reply.headers[name.lower()]


def test_the_same_fields_recorded_again_give_the_same_scenario(wire_of: Callable[..., Any]) -> None:
    """The pseudonyms in header fields don't depend on the key of the recording."""
    texts = []
    for name in ("one", "two"):
        wire = wire_of(name=name)
        fields = [
            ("Link", "<https://other.corp/a>; rel=next"),
            ("X-User-Name", "kate.smith"),
            ("X-See", "http://b.corp/"),
        ]
        wire.call(1, "GET", "/list", None, {"a": 1}, reply_headers=[JSON_FIELD, *fields])
        texts.append(dump(wire.distil().file.model_copy(update={"title": ""})))
    assert texts[0] == texts[1]


def test_a_repeated_field_keeps_all_values(wire: Any) -> None:
    """The HAR files of browsers join them with line feeds."""
    fields = [("Link", "</a>; rel=next"), ("Link", "</b>; rel=last"), ("Vary", "Accept\nOrigin")]
    assert reply_of(wire, *fields).headers == {
        "link": ["</a>; rel=next", "</b>; rel=last"],
        "vary": ["Accept", "Origin"],
    }


def test_fields_that_all_replies_have_are_written_once(wire: Any) -> None:
    common = [JSON_FIELD, ("Cache-Control", "no-store"), ("Access-Control-Allow-Origin", "*")]
    wire.call(1, "GET", "/a", None, {"a": 1}, reply_headers=[*common, ("ETag", '"1"')])
    wire.call(2, "GET", "/b", None, {"b": 1}, reply_headers=[*common, ("ETag", '"2"')])
    wire.call(3, "POST", "/c", {"n": 1}, b"", status=204, reply_headers=common[1:])
    file = wire.distil().file
    assert file.reply_headers == {"cache-control": "no-store", "access-control-allow-origin": "*"}
    assert [each.reply.headers for each in file.exchanges] == [{"etag": '"1"'}, {"etag": '"2"'}, None]
    specs = [dict(each.reply.headers) for each in loads(dump(file)).exchanges]  # type: ignore[union-attr]  # each has one
    assert [sorted(names) for names in specs][2] == ["access-control-allow-origin", "cache-control"]


def test_replies_that_differ_in_other_fields_only_are_one_answer(wire: Any) -> None:
    """Otherwise each request id or counter would make an exchange of its own."""
    for number in range(3):
        fields = [JSON_FIELD, ("X-Request-Id", f"r-{number}"), ("X-Rate-Limit-Remaining", str(9 - number))]
        wire.call(number, "GET", "/a", None, {"a": 1}, reply_headers=fields)
    distilled = wire.distil()
    (exchange,) = distilled.file.exchanges or []
    assert exchange.reply is not None
    assert exchange.reply.headers == {"x-request-id": "r-0", "x-rate-limit-remaining": "9"}
    (line,) = (line for line in distilled.summary.left_out if "differ between equal replies" in line)
    assert line.partition(": ")[2] == "x-rate-limit-remaining, x-request-id"


def test_the_length_of_a_head_is_recorded(wire: Any) -> None:
    wire.call(1, "HEAD", "/list", None, b"", reply_headers=[JSON_FIELD, ("Content-Length", "1234")])
    wire.call(2, "GET", "/list", None, {"a": 1}, reply_headers=[JSON_FIELD, ("Content-Length", "8")])
    exchanges = wire.distil().file.exchanges
    assert [each.reply.headers for each in exchanges] == [{"content-length": "1234"}, None]
    assert [event.body.kind for event in read_journal(wire.path)[1]] == ["none", "none", "none", "json"]
