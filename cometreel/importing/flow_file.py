"""Flow files of mitmproxy (`mitmdump -w`), read by its own code. Loaded only when there is one to read.

A program writes a flow when it ends, so a held poll stands behind what happened meanwhile. The file is read twice:
for the times, then in their order, so that only what goes on at one time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from mitmproxy import exceptions, flow, http
from mitmproxy.io import FlowReader
from mitmproxy.websocket import WebSocketData

from cometreel.errors import FileInvalid, Problem
from cometreel.importing.steps import Answered, Asked, Closed, Failed, Opened, Said, Step, Story, headers_of, is_asset
from cometreel.wire import Headers

__all__ = ["flow_stories"]

_BROKEN = 1006
"""A WebSocket that ended without a word (RFC 6455 §7.4.1)."""

_UNREADABLE = (exceptions.FlowReadException, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What mitmproxy's own reader raises, and what it trips over where a flow lacks what it looks for."""


def flow_stories(file: BinaryIO, name: str, wants: Callable[[str], bool]) -> Iterator[Story]:
    """Give what each flow of a file tells; `wants` says which URLs are kept besides CometD.

    Flows that aren't HTTP are passed over.

    :raises FileInvalid: if it isn't a flow file of this or an earlier mitmproxy, or is cut off.
    """
    for _, place in sorted(_places(file, name)):
        file.seek(place)
        one = _next(file, name, 0)
        if isinstance(one, http.HTTPFlow):
            yield _story(one, wants)


def _places(file: BinaryIO, name: str) -> Iterator[tuple[float, int]]:
    """When each HTTP flow began, and where it lies in the file."""
    number, place = 1, file.tell()
    while (one := _next(file, name, number)) is not None:
        if isinstance(one, http.HTTPFlow):
            yield one.request.timestamp_start, place
        number, place = number + 1, file.tell()
    if number == 1:
        raise FileInvalid([Problem(name, 0, 0, "no flow in it", "a flow file, as `mitmdump -w` writes it")])


def _next(file: BinaryIO, name: str, number: int) -> flow.Flow | None:
    try:
        return next(iter(FlowReader(file).stream()), None)
    except _UNREADABLE as error:
        found = "it was written by another mitmproxy" if "version" in str(error) else "not a flow, or cut off"
        expected = "a flow file, as `mitmdump -w` writes it"
        raise FileInvalid([Problem(f"{name}: flow {number}", 0, 0, found, expected)]) from None


def _story(one: http.HTTPFlow, wants: Callable[[str], bool]) -> Story:
    asked = one.request
    wanted = wants(asked.pretty_url)
    headers, body = _content(asked)
    if one.websocket is not None:
        opened = Opened(asked.timestamp_start, one.id, asked.pretty_url, headers)
        return [opened, *_messages(one, one.websocket)]
    kept = wanted and not (one.response is not None and is_asset(one.response.headers.get("content-type", "")))
    first = Asked(asked.timestamp_start, one.id, asked.method, asked.pretty_url, headers, body, kept)
    return [first, *_end(one)]


def _messages(one: http.HTTPFlow, socket: WebSocketData) -> Iterator[Step]:
    for message in socket.messages:
        content = message.text if message.is_text else message.content
        yield Said(message.timestamp, one.id, message.from_client, content)
    if socket.timestamp_end is not None:
        yield Closed(socket.timestamp_end, one.id, socket.close_code or _BROKEN)


def _end(one: http.HTTPFlow) -> Iterator[Step]:
    reply = one.response
    began = one.request.timestamp_start
    if reply is not None and one.error is None:
        headers, body = _content(reply)
        ended = max(reply.timestamp_end or reply.timestamp_start, began)
        yield Answered(ended, one.id, reply.status_code, headers, body)
    elif one.error is not None:
        yield Failed(max(one.error.timestamp, began), one.id, one.error.msg)


def _content(message: http.Message) -> tuple[Headers, bytes | None]:
    """Give header fields and the body without its Content-Encoding; as it came where that can't be undone."""
    fields = [(_text(name), _text(value)) for name, value in message.headers.fields]
    try:
        return headers_of(fields, decoded=True), message.content
    except ValueError:
        return headers_of(fields, decoded=False), message.raw_content


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")  # as mitmproxy reads them
