"""A WebSocket: messages in text frames."""

from __future__ import annotations

from cometreel.wire import Headers, Request


class _WebSocket:
    name = "websocket"
    has_socket = True

    def request(self, number: int, endpoint: str, text: str, headers: Headers) -> Request:
        return Request(number, "GET", endpoint, "", headers, websocket=True)

    def text_of(self, body: bytes) -> bytes:
        return body


TRANSPORT = _WebSocket()
