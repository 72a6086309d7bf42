"""HTTP/1.1 replies in any chunks, and requests as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.locust_agents.http_client import BrokenReply, HttpReply, ReplyParser, RequestHead, known_reply

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
ANNOUNCED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

HELLO = HttpReply(200, ((b"content-length", b"5"), (b"x-a", b"b")), b"hello", last=False)
REPLIES = {
    "of a known length": (LENGTH, HELLO),
    "in chunks": (CHUNKED, HttpReply(200, ((b"transfer-encoding", b"chunked"),), b"hello", last=False)),
    "without a body": (EMPTY, HttpReply(204, (), b"", last=False)),
    "after informational ones": (ANNOUNCED, HELLO),
    "the last of its connection": (
        LAST,
        HttpReply(200, ((b"connection", b"close"), (b"content-length", b"2")), b"ok", last=True),
    ),
}


@pytest.mark.parametrize(("data", "reply"), REPLIES.values(), ids=REPLIES.keys())
def test_a_reply_is_parsed(data: bytes, reply: HttpReply):
    assert ReplyParser().feed(data) == [reply]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_replies_may_arrive_in_any_chunks(sizes: list[int]):
    parser, data, replies = ReplyParser(), LENGTH + ANNOUNCED + CHUNKED + EMPTY, []
    for size in sizes:
        piece, data = data[:size], data[size:]
        replies += parser.feed(piece)
    replies += parser.feed(data)
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"hello")] * 3 + [(204, b"")]


def test_a_reply_without_a_length_ends_with_its_connection():
    parser = ReplyParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhel") == []
    assert parser.feed(b"lo") == []
    assert parser.end() == [HttpReply(200, ((b"content-type", b"text/plain"),), b"hello", last=True)]


@pytest.mark.parametrize("data", [LENGTH[:-1], CHUNKED[:-3], LENGTH[:30], b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_the_end_of_the_connection_within_a_reply_is_an_error(data: bytes):
    parser = ReplyParser()
    parser.feed(data)
    with pytest.raises(BrokenReply, match="ended within a reply"):
        parser.end()


def test_the_end_of_the_connection_between_replies_is_no_error():
    parser = ReplyParser()
    assert parser.end() == []
    parser.feed(LENGTH)
    assert parser.end() == []


def test_data_that_is_not_http_is_an_error():
    with pytest.raises(BrokenReply, match="not an HTTP reply"):
        ReplyParser().feed(b"SSH-2.0-OpenSSH\r\n")


def test_an_unrequested_upgrade_is_an_error():
    with pytest.raises(BrokenReply, match="another protocol"):
        ReplyParser().feed(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")


def test_a_reply_with_the_head_of_an_earlier_one_needs_no_parser():
    assert known_reply(LENGTH.replace(b"X-A: b", b"X-A: known")) is None
    ReplyParser().feed(LENGTH.replace(b"X-A: b", b"X-A: known"))
    again = LENGTH.replace(b"X-A: b", b"X-A: known").replace(b"hello", b"world")
    assert known_reply(again) == ReplyParser().feed(again)[0]


@pytest.mark.parametrize("data", [LENGTH[:-1], LENGTH + b"H", LENGTH + LENGTH, LENGTH[:20], b"", b"\r\n\r\n"])
def test_data_that_is_not_exactly_one_reply_needs_a_parser(data: bytes):
    ReplyParser().feed(LENGTH)
    assert known_reply(data) is None


@pytest.mark.parametrize("data", [CHUNKED, EMPTY, ANNOUNCED, LAST], ids=["chunked", "empty", "informational", "last"])
def test_a_reply_whose_head_gives_no_length_always_needs_a_parser(data: bytes):
    ReplyParser().feed(data)
    assert known_reply(data) is None


def test_requests_as_bytes():
    head = RequestHead("gws:8090", [("Accept", "application/json")])
    assert head.get("/a?b=c") == b"GET /a?b=c HTTP/1.1\r\nHost: gws:8090\r\nAccept: application/json\r\n\r\n"
    head.set_field("Cookie", "a=1")
    assert head.post("/a", b"{}", b"X: y\r\n") == (
        b"POST /a HTTP/1.1\r\nHost: gws:8090\r\nAccept: application/json\r\nCookie: a=1\r\nX: y\r\n"
        b"Content-Type: application/json;charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}"
    )
    head.set_field("Cookie", "")
    assert head.get("/") == b"GET / HTTP/1.1\r\nHost: gws:8090\r\nAccept: application/json\r\n\r\n"
