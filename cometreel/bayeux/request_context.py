"""One request or frame while it is being answered, and one message of it.

Only what the rules hand to each other; the rules themselves live in `protocol` and `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cometreel.bayeux.application import PolicyResult
from cometreel.bayeux.messages import Message
from cometreel.bayeux.reply_channels import ReplyChannel
from cometreel.bayeux.session import BayeuxSession
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.wire import Request

__all__ = ["BayeuxRequest", "RequestRefused", "MessageContext", "add_policy_result", "as_object", "reply_to"]


class RequestRefused(Exception):
    """The whole request is answered with a status, or with a broken connection where that is None."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class BayeuxRequest:
    """One HTTP request or WebSocket frame that is being answered."""

    request: Request
    line: ReplyChannel
    session: BayeuxSession | None
    """The session of its first message, for which all of it is taken (CometD 3.1)."""
    single: bool
    replies: list[Message] = field(default_factory=list)
    drain: bool = False
    """Whether the answer carries the messages that wait for the session."""
    held: bool = False
    """Whether the answer is put off."""


@immutable
class MessageContext:
    """One message of a live session that the application let go on."""

    exchange: BayeuxRequest
    session: BayeuxSession
    message: Message
    reply: Message
    verdict: PolicyResult
    now: float


def reply_to(message: Message, channel: str) -> Message:
    """Begin the reply to a message: its channel, and its id as a string (CometD 3.1)."""
    reply: Message = {"channel": channel}
    number = message.get("id")
    if number is not None:
        reply["id"] = number if isinstance(number, str) else encode(number).decode()
    return reply


def add_policy_result(reply: Message, verdict: PolicyResult) -> None:
    """Put the advice and the extension that an application asked for into a reply."""
    for key, value in (("advice", verdict.advice), ("ext", verdict.ext)):
        if value is not None:
            reply[key] = {**as_object(reply.get(key)), **value}


def as_object(value: JSON) -> JSONObject:
    """Give a value if it is an object, else an empty one: what a client sends may be anything."""
    return value if isinstance(value, dict) else {}
