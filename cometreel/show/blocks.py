"""Converts the blocks of a scenario to conversation exchanges. Journals are drafted into the same blocks first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cometreel.jsonvalue import JSON, as_text
from cometreel.scenario import EventBlock, Profile, PublishBlock, ReplyBlock, RequestBlock, find
from cometreel.show.conversation import ConversationExchange, ConversationNotification

__all__ = ["Placement", "exchange_of", "kind_of", "notification_of"]

_KINDS = ("messageType", "notificationType")


@dataclass(frozen=True, slots=True)
class Placement:
    """The position of an exchange: its lane, the time of the request and of the reply."""

    lane: int
    at: float
    reply_at: float | None


def exchange_of(
    name: str,
    placement: Placement,
    request: RequestBlock | PublishBlock,
    reply: ReplyBlock | None,
    notifications: Sequence[ConversationNotification],
    profile: Profile,
) -> ConversationExchange:
    """Convert the blocks of an exchange."""
    body = request.data if isinstance(request, PublishBlock) else _body(request)
    is_publish = isinstance(request, PublishBlock)
    status = (_publish_status(reply) if is_publish else _status(reply)) if placement.reply_at is not None else ""
    return ConversationExchange(
        name,
        placement.lane,
        placement.at,
        "PUBLISH" if isinstance(request, PublishBlock) else request.method,
        as_text(request.publish) if isinstance(request, PublishBlock) else _target(request),
        _operation(body, request, profile),
        _first(body, profile.owner_type),
        body,
        status,
        placement.reply_at,
        dict(reply.headers) if reply is not None and reply.headers else None,
        _reply_body(reply),
        tuple(sorted(notifications, key=lambda notification: notification.at)),
        (f"answered {status}",) if _is_failure(status) else (),
    )


def notification_of(event: EventBlock, at: float, lane: int) -> ConversationNotification:
    """Convert an event block; a disconnect is shown as a notification too."""
    if event.channel is None:
        return ConversationNotification(at, lane, "/meta/disconnect", "the server ends the session")
    return ConversationNotification(at, lane, as_text(event.channel), kind_of(event.data), event.data, event.ext)


def kind_of(data: JSON) -> str:
    """Return the type of a message (`messageType` in GWS), or an empty text."""
    if not isinstance(data, dict):
        return ""
    return next((kind for key in _KINDS if isinstance(kind := data.get(key), str)), "")


def _body(request: RequestBlock | ReplyBlock) -> JSON:
    form = request.form if isinstance(request, RequestBlock) else None
    return next((value for value in (request.body, form, request.text, request.base64) if value is not None), None)


def _reply_body(reply: ReplyBlock | None) -> JSON:
    if reply is None:
        return None
    members = {name: value for name in ("error", "data", "ext") if (value := getattr(reply, name)) is not None}
    return members or _body(reply)


def _status(reply: ReplyBlock | None) -> str:
    return "200" if reply is None or reply.status is None else as_text(reply.status)


def _publish_status(reply: ReplyBlock | None) -> str:
    refused = reply is not None and (reply.successful is False or reply.error is not None)
    return "refused" if refused else "ok"


def _is_failure(status: str) -> bool:
    return status == "refused" or (status.isdigit() and int(status) >= 400)


def _target(request: RequestBlock) -> str:
    path = request.path
    target = "/" + "/".join(map(as_text, path)) if isinstance(path, list) else as_text(path)
    query = request.query
    if isinstance(query, dict) and query:
        target += "?" + "&".join(f"{name}={piece}" for name, value in query.items() for piece in _pieces(value))
    return target


def _pieces(value: JSON) -> Iterator[str]:
    yield from map(as_text, value) if isinstance(value, list) else [as_text(value)]


def _operation(body: JSON, request: RequestBlock | PublishBlock, profile: Profile) -> str:
    is_publish = isinstance(request, PublishBlock)
    name = _first(body, ((profile.operation,) if profile.operation else ()) + (("/operation",) if is_publish else ()))
    return name or ("PUBLISH" if isinstance(request, PublishBlock) else request.method)


def _first(document: JSON, pointers: Sequence[str]) -> str:
    """Return the first text at one of the pointers, also inside a `$partial`."""
    inner = document.get("$partial") if isinstance(document, dict) else None
    values = (value for each in (document, inner) for pointer in pointers for _, value in find(each, pointer))
    return next((value for value in values if isinstance(value, str)), "")
