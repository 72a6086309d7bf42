"""Reply channels: the framing of each transport, and no writes to a disconnected client."""

from __future__ import annotations

from cometreel.bayeux.outbox import EncodedMessage, Outbox
from cometreel.bayeux.reply_channels import HttpReplyChannel, WebSocketReplyChannel
from cometreel.bayeux.session import BayeuxSession
from cometreel.wire import Drop, Frame, Headers, Reply, Request

ENCODED = EncodedMessage("/a", b'{"channel":"/a"}')


def test_an_http_reply_has_messages_before_replies_and_the_given_headers() -> None:
    reply_channel = HttpReplyChannel(7, None, [("Set-Cookie", "a=b")])
    assert reply_channel.write([ENCODED], [{"channel": "/meta/connect"}]) == [
        Reply(
            7,
            200,
            Headers([("Content-Type", "application/json;charset=utf-8"), ("Set-Cookie", "a=b")]),
            b'[{"channel":"/a"},{"channel":"/meta/connect"}]',
        )
    ]


def test_a_jsonp_reply_calls_the_function_of_the_client() -> None:
    headers = Headers([("Content-Type", "text/javascript;charset=UTF-8")])
    assert HttpReplyChannel(7, "cb", []).write([ENCODED], []) == [Reply(7, 200, headers, b'cb([{"channel":"/a"}])')]


def test_refusal_has_no_body_and_no_content_type() -> None:
    assert HttpReplyChannel(7, "cb", []).refuse(500) == [Reply(7, 500)]


def test_nothing_is_sent_to_a_request_that_is_gone() -> None:
    reply_channel = HttpReplyChannel(7, None, [])
    assert reply_channel.drop() == [Drop(7)]
    reply_channel.gone = True
    assert reply_channel.write([ENCODED], []) == reply_channel.refuse(500) == reply_channel.drop() == []


def test_a_websocket_sends_each_message_in_a_frame_and_keeps_unconfirmed_ones() -> None:
    socket = WebSocketReplyChannel(Request(7, "GET", "/", websocket=True))
    session = BayeuxSession("c", "b", "websocket", Outbox(1), 0.0)
    assert socket.push(session, [ENCODED, ENCODED], remember=True) == [Frame(7, '[{"channel":"/a"}]')] * 2
    assert socket.write([ENCODED], [{"channel": "/b"}]) == [Frame(7, '[{"channel":"/a"},{"channel":"/b"}]')]
    assert list(socket.sent) == [(session, ENCODED), (session, ENCODED), None]
    for _ in range(4):  # one more than there are frames
        socket.confirm()
    assert not socket.sent
    assert (socket.close(1001), socket.close(1001)) == ([Drop(7, 1001)], [])
    assert socket.push(session, [ENCODED], remember=True) == socket.write([ENCODED], []) == []
