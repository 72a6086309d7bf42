"""One request or frame while it is processed, and one message of it.

`protocol` and `rules` pass them to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cometreel.bayeux.application import PolicyResult
from cometreel.bayeux.messages import Message
from cometreel.bayeux.reply_channels import ReplyChannel
from cometreel.bayeux.session import BayeuxSession
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Request

__all__ = ["BayeuxRequest", "MessageContext", "MessageRefused", "add_policy_result", "as_object", "reply_to"]


class MessageRefused(Exception):
    """The whole request is answered with a status, or with a broken connection if the status is None."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


@dataclass(init=False, slots=True)
class BayeuxRequest:
    """One HTTP request or WebSocket frame that is being processed."""

    request: Request
    reply_channel: ReplyChannel
    session: BayeuxSession | None
    """The session of its first message; all other messages are processed for it too (CometD 3.1)."""
    single: bool
    """True if the request has only one message."""
    replies: list[Message] = field(default_factory=list)
    drain: bool = False
    """True if the reply carries the queued messages of the session."""
    held: bool = False
    """True if the reply is held."""

    def __init__(
        self,
        request: Request,
        reply_channel: ReplyChannel,
        session: BayeuxSession | None,
        single: bool,
        replies: list[Message] | None = None,
        drain: bool = False,
        held: bool = False,
    ) -> None:
        self.request, self.reply_channel, self.session, self.single = request, reply_channel, session, single
        self.replies, self.drain, self.held = ([] if replies is None else replies), drain, held


@dataclass(init=False, slots=True, unsafe_hash=True)
class MessageContext:
    """One message of a live session that the application has allowed."""

    bayeux_request: BayeuxRequest
    session: BayeuxSession
    message: Message
    reply: Message
    policy: PolicyResult
    now: float

    def __init__(
        self,
        bayeux_request: BayeuxRequest,
        session: BayeuxSession,
        message: Message,
        reply: Message,
        policy: PolicyResult,
        now: float,
    ) -> None:
        self.bayeux_request, self.session, self.message, self.reply = bayeux_request, session, message, reply
        self.policy, self.now = policy, now


def reply_to(message: Message, channel: str) -> Message:
    """Return the start of the reply to a message: its channel, id as a string and subscription (CometD 3.1)."""
    reply: Message = {"channel": channel}
    number = message.get("id")
    if number is not None:
        reply["id"] = number if isinstance(number, str) else encode(number).decode()
    subscription = message.get("subscription")
    if subscription is not None:
        reply["subscription"] = subscription
    return reply


def add_policy_result(reply: Message, policy: PolicyResult) -> None:
    """Add the application's advice and extension to a reply."""
    if policy.advice is None and policy.ext is None:
        return
    for key, value in (("advice", policy.advice), ("ext", policy.ext)):
        if value is not None:
            reply[key] = {**as_object(reply.get(key)), **value}


def as_object(value: JSON) -> JSONObject:
    """Return a value if it is an object, else an empty object: a client can send anything."""
    return value if isinstance(value, dict) else {}


copy_by_constructor(__name__)
