"""Callback polling: messages in the query of a GET, and the reply as a call of a JavaScript function."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from cometreel.wire import Headers, Request


class _CallbackPolling:
    name = "callback-polling"
    has_socket = False

    def request(self, number: int, endpoint: str, text: str, headers: Headers) -> Request:
        return Request(number, "GET", endpoint, f"jsonp=take&message={_quoted(text)}", headers)

    def text_of(self, body: bytes) -> bytes:
        return body[len(b"take(") : -1]


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """Encode messages for a query; those of equal polls are encoded once."""
    return quote(text)


TRANSPORT = _CallbackPolling()
