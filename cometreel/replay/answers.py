"""From rendered replies to what goes over the wire. No choice is made here."""

from __future__ import annotations

from cometreel.jsonvalue import JSONObject, encode
from cometreel.replay.auth import error_reply
from cometreel.replay.responders import Push
from cometreel.scenario import ReplyOut, SetStatus
from cometreel.wire import Headers, Reply

__all__ = ["JSON_TYPE", "failure", "http_reply", "message_of", "status_reply", "with_fields"]

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


def message_of(push: Push) -> JSONObject:
    """Make the Bayeux message of a responder's notification."""
    message: JSONObject = {"channel": push.channel, "data": push.data}
    return message if push.ext is None else {**message, "ext": push.ext}


def with_fields(reply: Reply, fields: list[tuple[str, str]]) -> Reply:
    """Add header fields to a reply."""
    return Reply(reply.request_id, reply.status, Headers([*reply.headers, *fields]), reply.body) if fields else reply
