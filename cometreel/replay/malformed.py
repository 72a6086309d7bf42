"""Why the Bayeux server refused a whole request or frame, in words: the wire itself carries only a status.

Only explains what was decided elsewhere.
"""

from __future__ import annotations

from cometreel.bayeux import BayeuxSettings, MalformedMessages, parse_messages
from cometreel.wire import Request

__all__ = ["why_closed", "why_refused"]


def why_refused(request: Request, settings: BayeuxSettings) -> str | None:
    """Say what is wrong with a request that was refused; None if its messages are sound."""
    if request.method != "POST":
        return None if "jsonp=" in request.query else "no transport of Bayeux asks like this"
    if "long-polling" not in settings.transports:
        return "long-polling is not among the transports"
    return _wrong(request.body, len(request.body), settings)


def why_closed(text: str, settings: BayeuxSettings) -> str | None:
    """Say what is wrong with a frame for which a WebSocket was closed; None if its messages are sound."""
    return _wrong(text, len(text), settings)


def _wrong(body: bytes | str, size: int, settings: BayeuxSettings) -> str | None:
    if size > settings.max_message_bytes:
        return f"found {size} bytes; expected at most {settings.max_message_bytes}"
    try:
        messages = parse_messages(body)
    except MalformedMessages as error:
        return str(error)
    if not messages:
        return "found an empty array; expected a Bayeux message"
    if not all(isinstance(message.get("channel"), str) for message in messages):
        return "found a message without a channel; expected one, as /meta/connect"
    return None
