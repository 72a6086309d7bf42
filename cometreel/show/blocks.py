"""From the blocks of a scenario to what is drawn. A journal's drafts are such blocks too, so both look the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import EventBlock, Profile, PublishBlock, ReplyBlock, RequestBlock, find
from cometreel.show.conversation import ConversationExchange, ConversationNotification

__all__ = ["Placement", "exchange_of", "kind_of", "notification_of"]

_KINDS = ("messageType", "notificationType")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an exchange stands: its lane, when it was asked and when the reply came."""

    lane: int
    at: float
    reply_at: float | None


def exchange_of(
    name: str,
    placed: Placement,
    request: RequestBlock | PublishBlock,
    reply: ReplyBlock | None,
    notifications: Sequence[ConversationNotification],
    profile: Profile,
) -> ConversationExchange:
    """Make an exchange of its blocks; `placed` says when and for whom."""
    asked = request.data if isinstance(request, PublishBlock) else _body(request)
    published = isinstance(request, PublishBlock)
    status = (_outcome(reply) if published else _status(reply)) if placed.reply_at is not None else ""
    return ConversationExchange(
        name,
        placed.lane,
        placed.at,
        "PUBLISH" if isinstance(request, PublishBlock) else request.method,
        _shown(request.publish) if isinstance(request, PublishBlock) else _target(request),
        _operation(asked, request, profile),
        _first(asked, profile.owner_type),
        asked,
        status,
        placed.reply_at,
        dict(reply.headers) if reply is not None and reply.headers else None,
        _answer(reply),
        tuple(sorted(notifications, key=lambda one: one.at)),
        (f"answered {status}",) if _is_failure(status) else (),
    )


def notification_of(event: EventBlock, at: float, lane: int) -> ConversationNotification:
    """Make a notification of its block; a disconnect is drawn as one too."""
    if event.channel is None:
        return ConversationNotification(at, lane, "/meta/disconnect", "the server ends the session")
    return ConversationNotification(at, lane, _shown(event.channel), kind_of(event.data), event.data, event.ext)


def kind_of(data: JSON) -> str:
    """What a message calls itself (`messageType` in GWS); empty where it doesn't."""
    if not isinstance(data, dict):
        return ""
    return next((kind for key in _KINDS if isinstance(kind := data.get(key), str)), "")


def _body(request: RequestBlock | ReplyBlock) -> JSON:
    return next((value for value in (request.body, request.text, request.base64) if value is not None), None)


def _answer(reply: ReplyBlock | None) -> JSON:
    if reply is None:
        return None
    told = {name: value for name in ("error", "data", "ext") if (value := getattr(reply, name)) is not None}
    return told or _body(reply)


def _status(reply: ReplyBlock | None) -> str:
    return "200" if reply is None or reply.status is None else _shown(reply.status)


def _outcome(reply: ReplyBlock | None) -> str:
    refused = reply is not None and (reply.successful is False or reply.error is not None)
    return "refused" if refused else "ok"


def _is_failure(status: str) -> bool:
    return status == "refused" or (status.isdigit() and int(status) >= 400)


def _target(request: RequestBlock) -> str:
    path = request.path
    shown = "/" + "/".join(map(_shown, path)) if isinstance(path, list) else _shown(path)
    query = request.query
    if isinstance(query, dict) and query:
        shown += "?" + "&".join(f"{name}={piece}" for name, value in query.items() for piece in _pieces(value))
    return shown


def _pieces(value: JSON) -> Iterator[str]:
    yield from map(_shown, value) if isinstance(value, list) else [_shown(value)]


def _shown(value: JSON) -> str:
    """A text as it is, a marker as it would be written in one line."""
    return value if isinstance(value, str) else encode(value).decode()


def _operation(asked: JSON, request: RequestBlock | PublishBlock, profile: Profile) -> str:
    published = isinstance(request, PublishBlock)
    named = _first(asked, ((profile.operation,) if profile.operation else ()) + (("/operation",) if published else ()))
    return named or ("PUBLISH" if isinstance(request, PublishBlock) else request.method)


def _first(document: JSON, pointers: Sequence[str]) -> str:
    """The first text at one of the pointers, also inside of a `$partial`, which is no level of its own."""
    inner = document.get("$partial") if isinstance(document, dict) else None
    values = (value for each in (document, inner) for pointer in pointers for _, value in find(each, pointer))
    return next((value for value in values if isinstance(value, str)), "")
