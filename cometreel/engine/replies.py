"""From rendered replies to what goes over the wire. No choice is made here."""

from __future__ import annotations

import re

from cometreel.engine.responders import Notification
from cometreel.engine.session_resolver import error_reply
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import ReplyOut, SetStatus
from cometreel.wire import Headers, Reply

__all__ = ["JSON_TYPE", "failure", "http_reply", "message_of", "rebase", "status_reply", "with_fields"]

JSON_TYPE = ("Content-Type", "application/json;charset=UTF-8")
"""What GWS says of a JSON body."""


def http_reply(request_id: int, reply: ReplyOut) -> Reply:
    """Make an HTTP reply; a JSON body gets GWS's own content type unless the scenario says another."""
    headers = Headers(reply.headers)
    if reply.content is not None:
        return Reply(request_id, reply.status, headers, reply.content)
    if not any(name.lower() == "content-type" for name, _ in reply.headers):
        headers = Headers((*reply.headers, JSON_TYPE))
    return Reply(request_id, reply.status, headers, encode(reply.body))


def status_reply(request_id: int, fault: SetStatus) -> Reply:
    """Make the reply of a fault that sets the status."""
    return http_reply(request_id, ReplyOut(0.0, fault.status, fault.headers, fault.body, fault.content))


def failure(request_id: int, text: str) -> Reply:
    """Answer that the scenario itself can't answer: 500 and statusCode 4, as GWS has it for its own errors."""
    return error_reply(request_id, 500, 4, text)


def message_of(push: Notification) -> JSONObject:
    """Make the Bayeux message of a responder's notification."""
    message: JSONObject = {"channel": push.channel, "data": push.data}
    return message if push.ext is None else {**message, "ext": push.ext}


def with_fields(reply: Reply, fields: list[tuple[str, str]]) -> Reply:
    """Add header fields to a reply."""
    return Reply(reply.request_id, reply.status, Headers([*reply.headers, *fields]), reply.body) if fields else reply


_ABSOLUTE = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)


def rebase(value: JSON, base: str) -> JSON:
    """Return the value with the host of every absolute `uri`, `…Uri` and item of `uris` replaced by `base`."""
    if isinstance(value, dict):
        return {key: _member(key, item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [rebase(item, base) for item in value]
    return value


def _member(key: str, value: JSON, base: str) -> JSON:
    if key == "uri" or key.endswith("Uri"):
        return _move(value, base) if isinstance(value, str) else rebase(value, base)
    if key == "uris" and isinstance(value, list):
        return [_move(item, base) if isinstance(item, str) else rebase(item, base) for item in value]
    return rebase(value, base)


def _move(uri: str, base: str) -> str:
    return _ABSOLUTE.sub(lambda _: base, uri, count=1) if _ABSOLUTE.match(uri) else uri
