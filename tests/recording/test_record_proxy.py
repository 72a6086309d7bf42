"""What the forwarder passes on, what it records of it, and what it does when one side is gone."""

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


def test_a_call_reaches_the_server_as_the_client_made_it(studio: Any, server: Any):
    """Path and query keep their spelling, the host is the server's own, what concerns a connection ends here."""
    with httpx.Client(base_url=studio.url) as client:
        headers = {"X-One": "1", "Connection": "keep-alive, X-Hop", "X-Hop": "gone", "TE": "trailers"}
        client.post("/api/v2/a%2Fb/?q=%41+b&q=2", content=b"{}", headers=headers)
    asked = server.asked.get()
    names = [name for name, _ in asked["headers"]]
    assert (asked["method"], asked["target"], asked["body"]) == ("POST", "/api/v2/a%2Fb/?q=%41+b&q=2", b"{}")
    assert dict(asked["headers"])["host"] == studio.recording.upstream.authority
    assert dict(asked["headers"])["x-one"] == "1"
    assert not {"x-hop", "te", "connection", "transfer-encoding"} & set(names)
    assert names.count("host") == names.count("content-length") == 1


def test_a_reply_reaches_the_client_as_the_server_made_it(studio: Any, server: Any):
    """Cookies and redirects are the client's business; a body in chunks comes whole."""
    server.status = 302
    server.fields = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Secure"), ("Location", "/there")]
    server.fields += [("Connection", "X-Hop"), ("X-Hop", "gone")]
    server.chunks = [b'{"status', b'Code":0}']
    for _ in range(2):
        with httpx.Client(base_url=studio.url) as client:
            reply = client.get("/api/v2/me")
        assert (reply.status_code, reply.content) == (302, b'{"statusCode":0}')
        assert reply.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Secure"]
        assert reply.headers["location"] == "/there"
        assert "x-hop" not in reply.headers
        assert reply.headers["content-length"] == "16"
        assert "cookie" not in dict(server.asked.get()["headers"])


def test_a_compressed_body_is_recorded_as_json_and_passed_on_as_it_is(studio: Any, server: Any):
    body = json.dumps({"statusCode": 0, "version": "8.5"}).encode()
    for coding, packed in (("gzip", gzip.compress(body)), ("br", brotli.compress(body))):
        server.fields = [("Content-Type", "application/json"), ("Content-Encoding", coding)]
        server.chunks = [packed]
        with httpx.Client(base_url=studio.url) as client, client.stream("GET", "/api/v2/version") as reply:
            assert b"".join(reply.iter_raw()) == packed
            assert reply.headers["content-encoding"] == coding
    assert [event["json"]["version"] for event in studio.events() if event["kind"] == "reply"] == ["8.5", "8.5"]


def test_a_body_that_its_coding_does_not_fit_is_passed_on_and_left_out_of_the_journal(studio: Any, server: Any):
    server.fields = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
    server.chunks = [b"not gzip"]
    with httpx.Client(base_url=studio.url) as client, client.stream("GET", "/api/v2/version") as reply:
        assert b"".join(reply.iter_raw()) == b"not gzip"
    assert "omitted" in studio.events()[-1]


def test_the_reply_to_head_keeps_its_length_and_has_no_body(studio: Any, server: Any):
    server.fields, server.chunks = [("Content-Length", "7")], []
    reply = httpx.head(studio.url + "/api/v2/me")
    assert (reply.headers["content-length"], reply.content) == ("7", b"")


def test_pages_and_pictures_pass_but_are_not_wanted(studio: Any, server: Any):
    server.fields, server.chunks = [("Content-Type", "image/png")], [b"\x89PNG"]
    assert httpx.get(studio.url + "/logo.png").content == b"\x89PNG"
    assert studio.kinds() == ["request", "unwanted"]


def test_a_call_is_in_the_journal_before_the_server_answers(studio: Any, server: Any):
    server.hold = True
    with socket.create_connection(("127.0.0.1", int(studio.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /api/v2/me HTTP/1.1\r\nHost: x\r\n\r\n")
        server.asked.get(timeout=30)
        assert studio.kinds() == ["request"]


def test_a_client_that_hangs_up_ends_its_call_at_the_server_too(studio: Any, server: Any):
    server.hold = True
    with socket.create_connection(("127.0.0.1", int(studio.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /api/v2/me HTTP/1.1\r\nHost: x\r\n\r\n")
        server.asked.get(timeout=30)
    assert server.left.get(timeout=30) == "http.disconnect"
    assert [(event["kind"], event.get("text")) for event in studio.events()][1:] == [("error", "the client hung up")]
    assert studio.calls == [("GET", "/api/v2/me", b"", None)]


def test_a_server_that_is_down_is_a_502_that_says_so(record: Callable[[str], Any], nobody: str):
    studio = record(nobody)
    reply = httpx.post(studio.url + "/api/v2/workbins", json=STATS)
    assert reply.status_code == 502
    assert reply.json() == {
        "statusCode": 4,
        "statusMessage": f"cometreel: {nobody} can't be reached: All connection attempts failed",
    }
    assert studio.kinds() == ["request", "error"]
    assert studio.calls == [("POST", "/api/v2/workbins", b'{"operationName":"RequestAgentStats"}', 502)]


def test_a_server_that_breaks_off_is_a_502_that_says_so(record: Callable[[str], Any], rude: tuple[str, socket.socket]):
    url, listening = rude
    studio = record(url)

    def take_and_leave() -> None:
        taken, _ = listening.accept()
        taken.recv(1000)
        taken.close()

    thread = threading.Thread(target=take_and_leave)
    thread.start()
    reply = httpx.get(studio.url + "/api/v2/me")
    thread.join()
    said = f"cometreel: {url} broke off: Server disconnected without sending a response."
    assert (reply.status_code, reply.json()["statusMessage"]) == (502, said)
    assert studio.kinds() == ["request", "error"]


def test_a_request_that_is_not_http_is_not_passed_on(studio: Any, server: Any):
    with socket.create_connection(("127.0.0.1", int(studio.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /api/v2/\xe9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as answer:
            text = answer.read()
    assert text.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.asked.empty()


def test_the_end_of_a_recording_answers_who_is_still_held(studio: Any, server: Any, stack: Any):
    server.hold = True
    replies = []
    thread = threading.Thread(target=lambda: replies.append(httpx.get(studio.url + "/api/v2/me", timeout=None)))
    thread.start()
    server.asked.get(timeout=30)
    stack.close()
    thread.join()
    assert [(reply.status_code, reply.json()["statusMessage"]) for reply in replies] == [
        (503, "cometreel: the recording has ended")
    ]


def test_secrets_are_not_in_the_journal(studio: Any, server: Any):
    server.fields = [("Set-Cookie", "JSESSIONID=canary-one; Path=/"), ("Content-Type", "application/json")]
    with httpx.Client(base_url=studio.url, auth=("ann", "canary-two")) as client:
        client.get("/api/v2/me")
        client.get("/api/v2/me", params={"token": "canary-three"})
    text = studio.recording.journal.read_text()
    assert [word for word in ("canary-one", "canary-two", "canary-three") if word in text] == []
