"""Long polling: messages in the body of a POST."""

from __future__ import annotations

from cometreel.wire import Headers, Request


class _LongPolling:
    name = "long-polling"
    has_socket = False

    def request(self, number: int, endpoint: str, text: str, headers: Headers) -> Request:
        return Request(number, "POST", endpoint, "", headers, text.encode())

    def text_of(self, body: bytes) -> bytes:
        return body


TRANSPORT = _LongPolling()
