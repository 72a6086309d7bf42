"""Translation of flows into requests of the engine, and of its replies into responses for HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import gzip

import pytest
from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow, tutils

from cometreel.http_fields import error_reply
from cometreel.mitmproxy_support.flow_translation import reply_into, request_from
from cometreel.wire import Headers, Reply


def flow(mode: str = "reverse:http://unused", *, tls: bool = False, **request: object) -> http.HTTPFlow:
    client: Client = tflow.tclient_conn()
    client.proxy_mode = ProxyMode.parse(mode)
    client.tls = tls
    given = {"host": "unused", "port": 80, "headers": http.Headers(), "content": b"", **request}
    return tflow.tflow(client_conn=client, req=tutils.treq(**given))


def test_path_and_query_are_unchanged() -> None:
    asked = request_from(flow(method=b"POST", path=b"/a%2Fb/?q=%20&r", content=b"{}"), 7)
    assert (asked.id, asked.method, asked.path, asked.query, asked.body) == (7, "POST", "/a%2Fb/", "q=%20&r", b"{}")
    assert not asked.websocket


def test_repeated_header_fields_and_bytes_that_are_not_utf_8_are_kept() -> None:
    fields = http.Headers([(b"X-A", b"1"), (b"x-a", b"2"), (b"X-Raw", b"\xff")])
    sent = flow(headers=fields)
    headers = request_from(sent, 1).headers
    assert headers.get_all("x-a") == ["1", "2"]
    reply_into(sent, Reply(1, 200, headers))
    assert sent.response is not None
    assert sent.response.headers.fields[:3] == fields.fields


def test_the_body_is_decoded() -> None:
    packed = flow(headers=http.Headers(content_encoding="gzip"), content=gzip.compress(b"[]"))
    assert request_from(packed, 1).body == b"[]"


def test_a_body_that_can_not_be_decoded_is_rejected() -> None:
    with pytest.raises(ValueError, match="gzip"):
        request_from(flow(headers=http.Headers(content_encoding="gzip"), content=b"[]"), 1)


@pytest.mark.parametrize(
    ("mode", "tls", "request_", "base"),
    [
        ("reverse:http://unused", False, {"headers": http.Headers(host="gws:81")}, "http://gws:81"),
        ("reverse:http://unused", True, {"headers": http.Headers(host="gws")}, "https://gws"),
        ("reverse:https://unused", False, {"headers": http.Headers(host="gws")}, "http://gws"),
        ("reverse:http://unused", True, {"authority": b"gws:82", "http_version": b"HTTP/2.0"}, "https://gws:82"),
        ("regular", True, {"scheme": b"https", "headers": http.Headers(host="gws")}, "https://gws"),
        ("regular", False, {"scheme": b"http", "host": "gws", "port": 83}, "http://gws:83"),
    ],
)
def test_the_base_is_the_scheme_and_authority_of_the_client(
    mode: str, tls: bool, request_: dict[str, object], base: str
) -> None:
    assert request_from(flow(mode, tls=tls, **request_), 1).base == base


@pytest.mark.parametrize(
    ("method", "upgrade", "websocket"),
    [(b"GET", "WebSocket", True), (b"GET", "h2c", False), (b"POST", "websocket", False)],
)
def test_an_upgrade_to_websocket_is_a_get(method: bytes, upgrade: str, websocket: bool) -> None:
    assert request_from(flow(method=method, headers=http.Headers(upgrade=upgrade)), 1).websocket is websocket


REPLY = Headers([("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])


@pytest.mark.parametrize(
    ("method", "status", "body", "length"),
    [
        (b"POST", 200, b"[]", ["2"]),
        (b"POST", 200, b"", ["0"]),
        (b"HEAD", 200, b"", ["2"]),
        (b"POST", 204, b"", []),
        (b"GET", 304, b"", []),
        (b"GET", 299, b"[]", ["2"]),
    ],
)
def test_a_reply_has_a_content_length(method: bytes, status: int, body: bytes, length: list[str]) -> None:
    sent = flow(method=method)
    reply_into(sent, Reply(1, status, REPLY, b"[]" if length != ["0"] else b""))
    assert sent.response is not None
    assert (sent.response.status_code, sent.response.raw_content) == (status, body)
    assert sent.response.headers.get_all("content-length") == length
    assert sent.response.headers.get_all("set-cookie") == ["a=1", "b=2"]


def test_a_length_that_the_engine_gives_is_kept() -> None:
    sent = flow(method=b"HEAD")
    reply_into(sent, Reply(1, 200, Headers([("Content-Length", "99")])))
    assert sent.response is not None
    assert sent.response.headers.get_all("content-length") == ["99"]


def test_http2_gets_lower_case_names_and_no_connection_specific_fields() -> None:
    sent = flow(http_version=b"HTTP/2.0")
    fields = [("Connection", "close, X-Hop"), ("Keep-Alive", "timeout=5"), ("X-Hop", "1"), ("X-A", "B")]
    reply_into(sent, Reply(1, 200, Headers(fields), b"x"))
    assert sent.response is not None
    assert sent.response.headers.fields == ((b"x-a", b"B"), (b"content-length", b"1"))


def test_an_error_reply_has_the_form_of_a_gws_error() -> None:
    reply = error_reply(0, 503, 6, "cometreel: no scenario is being replayed")
    assert reply.body == b'{"statusCode":6,"statusMessage":"cometreel: no scenario is being replayed"}'
    assert (reply.status, reply.headers.get("content-type")) == (503, "application/json;charset=UTF-8")
