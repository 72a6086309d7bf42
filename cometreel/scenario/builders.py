"""Functions that build the blocks of a scenario in Python.

Each returns a block of the model, with the same checks as in YAML, and has an argument for each key of its block.

The arguments have the names of the keys, with `_` for `-`, and `as_`, `from_` and `in_` for the words that Python
reserves. `custom` takes keys of your own, which start with `x-`. Lists may be any sequences, and durations may be
`timedelta`s. A wrong value raises `FileInvalid` with the file, line and column of the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from .block_building import build
from .model import (
    BindBlock,
    EventBlock,
    ExchangeBlock,
    FaultBlock,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    RoleBlock,
    TimelineBlock,
    WhenBlock,
)
from .python_values import (
    ABSENT,
    Absent,
    Duration,
    JSONInput,
    JSONPattern,
    JSONTemplate,
    ReplyMarker,
    RequestMarker,
    SharedMarker,
)

__all__ = [
    "bind",
    "delete",
    "event",
    "exchange",
    "fault",
    "get",
    "patch",
    "post",
    "publish",
    "put",
    "reply",
    "request",
    "role",
    "timeline_entry",
    "when",
]

OneOrMore: TypeAlias = str | Sequence[str]
TextToMatch: TypeAlias = str | RequestMarker
PathToMatch: TypeAlias = str | RequestMarker | Sequence[str | RequestMarker]
FieldsToMatch: TypeAlias = Mapping[str, str | RequestMarker | Sequence[str | RequestMarker]] | RequestMarker
HeadersToMatch: TypeAlias = Mapping[str, str | RequestMarker]
HeadersToSend: TypeAlias = Mapping[str, str | ReplyMarker | Sequence[str | ReplyMarker]]
OwnHeadersToSend: TypeAlias = Mapping[str, str | ReplyMarker | Sequence[str | ReplyMarker] | None]
Custom: TypeAlias = Mapping[str, JSONInput] | None
AnchorInput: TypeAlias = str | Mapping[Literal["subscribe", "unsubscribe"], str]
MetaChannelName: TypeAlias = Literal[
    "/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect"
]
RepeatRule: TypeAlias = Literal["last", "cycle", "fail"]

_REQUEST = ("exchanges", 0, "request")
_REPLY = ("exchanges", 0, "reply")
_EVENT = ("exchanges", 0, "events", 0)


def exchange(
    name: str,
    request: RequestBlock | PublishBlock,
    *,
    reply: ReplyBlock | None = None,
    events: Sequence[EventBlock] | None = None,
    as_: OneOrMore | None = None,
    when: WhenBlock | None = None,
    repeat: RepeatRule | None = None,
    custom: Custom = None,
) -> ExchangeBlock:
    """Build an exchange: a request, its reply, and the notifications that it causes.

    :param name: the name of the exchange, unique in the scenario
    :param request: the request to match: `post(…)`, `get(…)`, `request(…)` or `publish(…)`
    :param as_: the roles that it applies to; if left out, all sessions
    :param when: the exchanges that the session must, or must not, have played before
    :param repeat: how to answer equal requests when the answers are used up; set it on the last exchange
    :raises FileInvalid: if a value is invalid
    """
    return build(ExchangeBlock, locals(), at=("exchanges", 0))


def when(*, after: OneOrMore | None = None, before: OneOrMore | None = None, custom: Custom = None) -> WhenBlock:
    """Build the guards of an exchange.

    :param after: the exchanges that the session must have played
    :param before: the exchanges that the session must not have played
    """
    return build(WhenBlock, locals(), at=("exchanges", 0, "when"))


def request(
    method: str,
    path: PathToMatch,
    *,
    query: FieldsToMatch | None = None,
    headers: HeadersToMatch | None = None,
    authenticated: bool | None = None,
    body: JSONPattern | Absent = ABSENT,
    form: FieldsToMatch | None = None,
    text: TextToMatch | None = None,
    base64: str | bytes | SharedMarker | None = None,
    custom: Custom = None,
) -> RequestBlock:
    """Build an HTTP request to match, with at most one of body, form, text and base64.

    :param path: the path without the query, as text or as its segments
    :param query: the query parameters, in any order; if left out, the query must be empty
    :param headers: header fields that must match; other fields are ignored
    :param authenticated: True requires a logged-in session, False one that isn't; if left out, both match
    :param body: a JSON body; None is null
    :param form: the fields of a form, in any order
    :param text: a text body that isn't JSON
    :param base64: a binary body, as bytes or in Base64
    :raises FileInvalid: if a value is invalid
    """
    return build(RequestBlock, locals(), at=_REQUEST)


def get(
    path: PathToMatch,
    *,
    query: FieldsToMatch | None = None,
    headers: HeadersToMatch | None = None,
    authenticated: bool | None = None,
    custom: Custom = None,
) -> RequestBlock:
    """Build a GET request to match, as `request`."""
    return build(RequestBlock, {"method": "GET", **locals()}, at=_REQUEST)


def delete(
    path: PathToMatch,
    *,
    query: FieldsToMatch | None = None,
    headers: HeadersToMatch | None = None,
    authenticated: bool | None = None,
    custom: Custom = None,
) -> RequestBlock:
    """Build a DELETE request to match, as `request`."""
    return build(RequestBlock, {"method": "DELETE", **locals()}, at=_REQUEST)


def post(
    path: PathToMatch,
    *,
    query: FieldsToMatch | None = None,
    headers: HeadersToMatch | None = None,
    authenticated: bool | None = None,
    body: JSONPattern | Absent = ABSENT,
    form: FieldsToMatch | None = None,
    text: TextToMatch | None = None,
    base64: str | bytes | SharedMarker | None = None,
    custom: Custom = None,
) -> RequestBlock:
    """Build a POST request to match, as `request`."""
    return build(RequestBlock, {"method": "POST", **locals()}, at=_REQUEST)


def put(
    path: PathToMatch,
    *,
    query: FieldsToMatch | None = None,
    headers: HeadersToMatch | None = None,
    authenticated: bool | None = None,
    body: JSONPattern | Absent = ABSENT,
    form: FieldsToMatch | None = None,
    text: TextToMatch | None = None,
    base64: str | bytes | SharedMarker | None = None,
    custom: Custom = None,
) -> RequestBlock:
    """Build a PUT request to match, as `request`."""
    return build(RequestBlock, {"method": "PUT", **locals()}, at=_REQUEST)


def patch(
    path: PathToMatch,
    *,
    query: FieldsToMatch | None = None,
    headers: HeadersToMatch | None = None,
    authenticated: bool | None = None,
    body: JSONPattern | Absent = ABSENT,
    form: FieldsToMatch | None = None,
    text: TextToMatch | None = None,
    base64: str | bytes | SharedMarker | None = None,
    custom: Custom = None,
) -> RequestBlock:
    """Build a PATCH request to match, as `request`."""
    return build(RequestBlock, {"method": "PATCH", **locals()}, at=_REQUEST)


def publish(
    channel: TextToMatch,
    data: JSONPattern | Absent = ABSENT,
    *,
    ext: JSONPattern | Absent = ABSENT,
    authenticated: bool | None = None,
    custom: Custom = None,
) -> PublishBlock:
    """Build a Bayeux publish to match.

    :param channel: the channel that the client publishes to
    :param data: the published data; None is null
    :param ext: the ext field of the message
    :param authenticated: True requires a logged-in session, False one that isn't; if left out, both match
    :raises FileInvalid: if a value is invalid
    """
    values = {"publish": channel, "data": data, "ext": ext, "authenticated": authenticated, "custom": custom}
    return build(PublishBlock, values, at=_REQUEST)


def reply(
    body: JSONTemplate | Absent = ABSENT,
    *,
    after: Duration | ReplyMarker | None = None,
    status: int | ReplyMarker | None = None,
    headers: OwnHeadersToSend | None = None,
    text: str | ReplyMarker | None = None,
    base64: str | bytes | SharedMarker | None = None,
    successful: bool | ReplyMarker | None = None,
    error: str | ReplyMarker | None = None,
    data: JSONTemplate | Absent = ABSENT,
    ext: JSONTemplate | Absent = ABSENT,
    custom: Custom = None,
) -> ReplyBlock:
    """Build the reply to an HTTP request (body, status, headers) or to a publish (successful, error, data, ext).

    :param body: a JSON body; None is null
    :param after: the delay after the request, such as `"34ms"`
    :param status: the HTTP status; 200 if left out
    :param headers: header fields; None leaves out a field of `reply_headers`
    :param text: a text body that isn't JSON
    :param base64: a binary body, as bytes or in Base64
    :param successful: the result of the publish; true if left out, unless there is an error
    :param error: the Bayeux error, such as `403::denied`
    :raises FileInvalid: if a value is invalid
    """
    return build(ReplyBlock, locals(), at=_REPLY)


def event(
    channel: str | ReplyMarker | None = None,
    data: JSONTemplate | Absent = ABSENT,
    *,
    after: Duration | ReplyMarker | None = None,
    ext: JSONTemplate | Absent = ABSENT,
    disconnect: bool | ReplyMarker | None = None,
    deliver: str | None = None,
    batch: str | ReplyMarker | None = None,
    count: int | ReplyMarker | None = None,
    gap: Duration | ReplyMarker | None = None,
    custom: Custom = None,
) -> EventBlock:
    """Build a notification that an exchange causes, or the end of the CometD session.

    :param channel: the channel of the notification
    :param data: its data; None is null
    :param after: the delay after the request; may be shorter than that of the reply
    :param disconnect: True ends the CometD session instead of sending a notification
    :param deliver: the receivers: asker (default), subscribers, all, or the name of a role
    :param batch: notifications due at the same time with the same batch name are delivered together
    :param count: the number of times that the notification is sent
    :param gap: the time between two of them
    :raises FileInvalid: if a value is invalid
    """
    return build(EventBlock, locals(), at=_EVENT)


def timeline_entry(
    channel: str | ReplyMarker | None = None,
    data: JSONTemplate | Absent = ABSENT,
    *,
    since: AnchorInput | None = None,
    until: AnchorInput | Sequence[AnchorInput] | None = None,
    as_: OneOrMore | None = None,
    after: Duration | ReplyMarker | None = None,
    ext: JSONTemplate | Absent = ABSENT,
    disconnect: bool | ReplyMarker | None = None,
    deliver: str | None = None,
    batch: str | ReplyMarker | None = None,
    count: int | ReplyMarker | None = None,
    gap: Duration | ReplyMarker | None = None,
    custom: Custom = None,
) -> TimelineBlock:
    """Build an unsolicited notification; the arguments that `event` has too mean the same.

    :param since: the start: the name of an exchange, a step of a CometD client (`connect` if left out), or the
        subscription to a channel, `{"subscribe": "/v2/me/workbins"}`
    :param until: the end: one or several of the same
    :param as_: the roles that it applies to; if left out, all sessions
    :param after: the delay after the start
    :raises FileInvalid: if a value is invalid
    """
    return build(TimelineBlock, locals(), at=("timeline", 0))


def fault(
    exchange: OneOrMore | None = None,
    *,
    meta: MetaChannelName | None = None,
    channel: str | None = None,
    as_: OneOrMore | None = None,
    nth: int | None = None,
    every: int | None = None,
    rate: float | None = None,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    body: JSONInput | Absent = ABSENT,
    text: str | SharedMarker | None = None,
    delay: Duration | None = None,
    drop_event: bool | int | str | None = None,
    duplicate_event: bool | int | str | None = None,
    disconnect: Literal[True] | None = None,
    broken: Literal[True] | None = None,
    error: str | None = None,
    advice: Mapping[str, JSONInput] | None = None,
    ext: Mapping[str, JSONInput] | Absent = ABSENT,
    custom: Custom = None,
) -> FaultBlock:
    """Build a fault: a target, at most one of nth, every and rate, and one action.

    :param exchange: the names of the exchanges that it applies to
    :param meta: the Bayeux meta channel that it applies to, instead of exchanges
    :param channel: with meta `/meta/subscribe` or `/meta/unsubscribe`: the subscriptions to this channel only
    :param as_: the roles that it applies to; if left out, all sessions
    :param nth: apply it only the nth time in a session
    :param every: apply it every nth time in a session
    :param rate: apply it with this probability, from 0 to 1
    :param status: send this HTTP status, with headers, and with body or text
    :param delay: send the reply this much later
    :param drop_event: drop notifications: True for all, a number for the nth, or a channel
    :param duplicate_event: send notifications twice, selected as for drop_event
    :param disconnect: end the CometD session
    :param broken: close the connection instead of sending a reply
    :param error: send this Bayeux error, such as `402::Unknown client`, with advice and ext
    :raises FileInvalid: if a value is invalid
    """
    return build(FaultBlock, locals(), at=("faults", 0))


def role(user: str | None = None, *, id: str | None = None, custom: Custom = None) -> RoleBlock:  # noqa: A002
    """Build a role: the login name and the id of the user of a recorded session.

    :param user: the login name that is assigned to this role
    :param id: the user's id
    """
    return build(RoleBlock, locals(), at=("roles", ""))


def bind(from_: str, in_: OneOrMore, *, name: str | None = None, custom: Custom = None) -> BindBlock:
    """Build a rule for a value that a reply hands out and that clients send back, for `session={"bind": […]}`.

    :param from_: the place in the reply, such as `$response.body#/sessionId`
    :param in_: the places in later requests, such as `$request.header.X-Session`
    :param name: the name of the value in templates (`session.NAME`); the last name in `from_` if left out
    :raises FileInvalid: if a value is invalid
    """
    values = {"name": name, "from_": from_, "in_": [in_] if isinstance(in_, str) else in_, "custom": custom}
    return build(BindBlock, values, at=("session", "bind", 0))
