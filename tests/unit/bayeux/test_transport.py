"""Bayeux over HTTP: reading the requests of each transport, and refusing others."""

from __future__ import annotations

from typing import Any

import pytest

from cometreel.bayeux import BayeuxSettings, Message
from cometreel.bayeux.settings import DialectName
from cometreel.bayeux.transport import Polling, is_endpoint, read_polling
from cometreel.wire import Reply, Request

BODY = b'[{"channel":"/a"}]'
MESSAGE: Message = {"channel": "/a"}


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/api/v2/notifications", True),
        ("/api/v2/notifications/", True),
        ("/api/v2/notifications/connect", True),
        ("/api/v2/notifications/a/b", True),
        ("/api/v2/notifications;jsessionid=1", True),
        ("/api/v2/notifications2", False),
        ("/api/v2", False),
    ],
)
def test_endpoint_is_the_path_and_everything_below_it(path: str, served: bool) -> None:
    assert is_endpoint(path, "/api/v2/notifications") is served
    assert is_endpoint(path, "/api/v2/notifications/") is served


@pytest.mark.parametrize(
    ("method", "query", "body", "read"),
    [
        ("POST", "", BODY, Polling("long-polling", [MESSAGE])),
        (
            "GET",
            "jsonp=cb.x-1&message=%7B%22channel%22:%22/a%22%7D",
            b"",
            Polling("callback-polling", [MESSAGE], "cb.x-1"),
        ),
        (
            "GET",
            "jsonp=cb&message=%5B%7B%22channel%22:%22/a%22%7D%5D&message=%7B%22channel%22:%22/a%22%7D",
            b"",
            Polling("callback-polling", [MESSAGE, MESSAGE], "cb"),
        ),
    ],
)
def test_messages_are_read_from_a_body_or_from_the_query(method: str, query: str, body: bytes, read: Polling) -> None:
    assert read_polling(Request(1, method, "/b", query, body=body), BayeuxSettings()) == read


@pytest.mark.parametrize(
    ("method", "query", "body", "status"),
    [
        ("OPTIONS", "", b"", 200),
        ("POST", "", b"[", 400),
        ("POST", "", b"\xff", 400),
        ("POST", "", b'[{"a":NaN}]', 400),
        ("POST", "", b'[{"channel":"/meta/handshake","id":1e999}]', 400),
        ("POST", "", b"[" * 100_000, 400),
        ("POST", "", b"[]", 500),
        ("POST", "", b" " * 150_000, 200),
        ("POST", "", b" " * 150_001, 413),
        ("GET", "", b"", 400),
        ("GET", "jsonp=" + "x" * 65 + "&message=%7B%7D", b"", 400),
        ("GET", "jsonp=cb", b"", 500),
        ("HEAD", "", b"", 400),
        ("DELETE", "", b"", 400),
        ("PUT", "jsonp=cb&message=%7B%22channel%22:%22/a%22%7D", BODY, 400),
    ],
)
def test_other_requests_get_a_status(method: str, query: str, body: bytes, status: int) -> None:
    answer: Any = read_polling(Request(1, method, "/b", query, body=body), BayeuxSettings(max_message_bytes=150_000))
    assert isinstance(answer, Reply)
    assert answer.status == status


@pytest.mark.parametrize(
    ("method", "query", "body", "dialect", "status"),
    [
        ("POST", "", b"", "3.x", 200),
        ("POST", "", b" \r\n", "3.x", 200),
        ("POST", "", b"null", "3.x", 200),
        ("POST", "", b"", "4+", 500),
        ("POST", "", b" \r\n", "4+", 500),
        ("POST", "", b"null", "4+", 200),
        ("GET", "jsonp=cb&message=", b"", "3.x", 200),
        ("GET", "jsonp=cb&message=", b"", "4+", 200),
        ("GET", "jsonp=cb&message=null", b"", "3.x", 200),
        ("GET", "jsonp=cb&message=&message=null", b"", "3.x", 500),
    ],
)
def test_a_request_without_messages_gets_an_empty_reply(
    method: str, query: str, body: bytes, dialect: DialectName, status: int
) -> None:
    settings = BayeuxSettings(dialect=dialect)
    assert read_polling(Request(1, method, "/b", query, body=body), settings) == Reply(1, status)


def test_an_empty_message_parameter_beside_others_is_skipped() -> None:
    request = Request(1, "GET", "/b", "jsonp=cb&message=&message=%7B%22channel%22:%22/a%22%7D")
    assert read_polling(request, BayeuxSettings()) == Polling("callback-polling", [MESSAGE], "cb")


def test_disabled_transports_are_unknown() -> None:
    settings = BayeuxSettings(transports=("websocket",))
    for method, query in (("POST", ""), ("GET", "jsonp=cb&message=%7B%7D")):
        answer = read_polling(Request(1, method, "/b", query, body=BODY), settings)
        assert isinstance(answer, Reply)
        assert answer.status == 400


def test_the_error_page_of_an_unknown_transport_escapes_the_path() -> None:
    answer = read_polling(Request(1, "GET", "/b/<script>\u2603"), BayeuxSettings())
    assert isinstance(answer, Reply)
    assert b"/b/&lt;script&gt;&#9731;" in answer.body
