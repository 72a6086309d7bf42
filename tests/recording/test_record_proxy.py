"""The recording proxy: forwarding, recording, and disconnects of both sides."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no types
import httpx

STATS = {"operationName": "RequestAgentStats"}


def test_a_request_is_forwarded_unchanged(recording_proxy: Any, server: Any):
    """Path and query are unchanged, the host is the one of the server, hop-by-hop fields are removed."""
    with httpx.Client(base_url=recording_proxy.url) as client:
        headers = {"X-One": "1", "Connection": "keep-alive, X-Hop", "X-Hop": "gone", "TE": "trailers"}
        client.post("/api/v2/a%2Fb/?q=%41+b&q=2", content=b"{}", headers=headers)
    asked = server.asked.get()
    names = [name for name, _ in asked["headers"]]
    assert (asked["method"], asked["target"], asked["body"]) == ("POST", "/api/v2/a%2Fb/?q=%41+b&q=2", b"{}")
    assert dict(asked["headers"])["host"] == recording_proxy.recording.upstream.authority
    assert dict(asked["headers"])["x-one"] == "1"
    assert not {"x-hop", "te", "connection", "transfer-encoding"} & set(names)
    assert names.count("host") == names.count("content-length") == 1


def test_a_reply_is_forwarded_unchanged(recording_proxy: Any, server: Any):
    """Cookies and redirects are forwarded; a chunked body stays one."""
    server.status = 302
    server.fields = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Secure"), ("Location", "/there")]
    server.fields += [("Connection", "X-Hop"), ("X-Hop", "gone")]
    server.chunks = [b'{"status', b'Code":0}']
    for _ in range(2):
        with httpx.Client(base_url=recording_proxy.url) as client:
            reply = client.get("/api/v2/me")
        assert (reply.status_code, reply.content) == (302, b'{"statusCode":0}')
        assert reply.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Secure"]
        assert reply.headers["location"] == "/there"
        assert "x-hop" not in reply.headers
        assert reply.headers["transfer-encoding"] == "chunked"
        assert "cookie" not in dict(server.asked.get()["headers"])


def test_a_compressed_body_is_recorded_as_json_and_forwarded_unchanged(recording_proxy: Any, server: Any):
    body = json.dumps({"statusCode": 0, "version": "8.5"}).encode()
    for coding, packed in (("gzip", gzip.compress(body)), ("br", brotli.compress(body))):
        server.fields = [("Content-Type", "application/json"), ("Content-Encoding", coding)]
        server.chunks = [packed]
        with httpx.Client(base_url=recording_proxy.url) as client, client.stream("GET", "/api/v2/version") as reply:
            assert b"".join(reply.iter_raw()) == packed
            assert reply.headers["content-encoding"] == coding
    assert [event["json"]["version"] for event in recording_proxy.events() if event["kind"] == "reply"] == [
        "8.5",
        "8.5",
    ]


def test_a_body_that_can_not_be_decoded_is_forwarded_but_not_recorded(recording_proxy: Any, server: Any):
    server.fields = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
    server.chunks = [b"not gzip"]
    with httpx.Client(base_url=recording_proxy.url) as client, client.stream("GET", "/api/v2/version") as reply:
        assert b"".join(reply.iter_raw()) == b"not gzip"
    assert "omitted" in recording_proxy.events()[-1]


def test_the_reply_to_head_keeps_its_length_and_has_no_body(recording_proxy: Any, server: Any):
    server.fields, server.chunks = [("Content-Length", "7")], []
    reply = httpx.head(recording_proxy.url + "/api/v2/me")
    assert (reply.headers["content-length"], reply.content) == ("7", b"")


def test_assets_are_forwarded_but_not_recorded(recording_proxy: Any, server: Any):
    server.fields, server.chunks = [("Content-Type", "image/png")], [b"\x89PNG"]
    assert httpx.get(recording_proxy.url + "/logo.png").content == b"\x89PNG"
    assert recording_proxy.kinds() == ["request", "unwanted"]


def test_a_request_is_in_the_journal_before_the_server_replies(recording_proxy: Any, server: Any):
    server.hold = True
    with socket.create_connection(("127.0.0.1", int(recording_proxy.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /api/v2/me HTTP/1.1\r\nHost: x\r\n\r\n")
        server.asked.get(timeout=30)
        assert recording_proxy.kinds() == ["request"]


def test_a_disconnected_client_ends_its_request_to_the_server(recording_proxy: Any, server: Any):
    server.hold = True
    with socket.create_connection(("127.0.0.1", int(recording_proxy.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /api/v2/me HTTP/1.1\r\nHost: x\r\n\r\n")
        server.asked.get(timeout=30)
    assert server.left.get(timeout=30) == "http.disconnect"
    assert [(event["kind"], event.get("text")) for event in recording_proxy.events()][1:] == [
        ("error", "the client disconnected")
    ]
    assert recording_proxy.calls == [("GET", "/api/v2/me", b"", None)]


def test_a_server_that_is_down_gives_a_502_with_the_reason(record: Callable[[str], Any], unreachable: str):
    recording_proxy = record(unreachable)
    reply = httpx.post(recording_proxy.url + "/api/v2/workbins", json=STATS)
    assert reply.status_code == 502
    assert reply.json() == {
        "statusCode": 4,
        "statusMessage": f"cometreel: {unreachable} can't be reached: All connection attempts failed",
    }
    assert recording_proxy.kinds() == ["request", "error"]
    assert recording_proxy.calls == [("POST", "/api/v2/workbins", b'{"operationName":"RequestAgentStats"}', 502)]


def test_a_server_that_closes_the_connection_gives_a_502_with_the_reason(
    record: Callable[[str], Any], silent: tuple[str, socket.socket]
):
    url, listening = silent
    recording_proxy = record(url)

    def take_and_leave() -> None:
        taken, _ = listening.accept()
        taken.recv(1000)
        taken.close()

    thread = threading.Thread(target=take_and_leave)
    thread.start()
    reply = httpx.get(recording_proxy.url + "/api/v2/me")
    thread.join()
    message = f"cometreel: {url} closed the connection: Server disconnected without sending a response."
    assert (reply.status_code, reply.json()["statusMessage"]) == (502, message)
    assert recording_proxy.kinds() == ["request", "error"]


def test_a_request_that_is_not_http_is_not_forwarded(recording_proxy: Any, server: Any):
    with socket.create_connection(("127.0.0.1", int(recording_proxy.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /api/v2/\xe9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as answer:
            text = answer.read()
    assert text.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.asked.empty()


def test_the_end_of_a_recording_answers_held_requests(recording_proxy: Any, server: Any, stack: Any):
    server.hold = True
    replies = []
    thread = threading.Thread(
        target=lambda: replies.append(httpx.get(recording_proxy.url + "/api/v2/me", timeout=None))
    )
    thread.start()
    server.asked.get(timeout=30)
    stack.close()
    thread.join()
    assert [(reply.status_code, reply.json()["statusMessage"]) for reply in replies] == [
        (503, "cometreel: the recording has ended")
    ]


def test_secrets_are_not_in_the_journal(recording_proxy: Any, server: Any):
    server.fields = [("Set-Cookie", "JSESSIONID=canary-one; Path=/"), ("Content-Type", "application/json")]
    with httpx.Client(base_url=recording_proxy.url, auth=("ann", "canary-two")) as client:
        client.get("/api/v2/me")
        client.get("/api/v2/me", params={"token": "canary-three"})
    text = recording_proxy.recording.journal.read_text()
    assert [word for word in ("canary-one", "canary-two", "canary-three") if word in text] == []
