"""Converts a conversation to the JSON that the page draws. Times are seconds; bodies are JSON texts, stored once each.

Bodies stay text so that the page shows numbers with all their digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.show.comparison import Comparison, ExchangePair
from cometreel.show.conversation import (
    Conversation,
    ConversationExchange,
    ConversationNotification,
    HeldPoll,
    Lane,
    MetaMessage,
    WebSocketSpan,
)

__all__ = ["payload_of", "payload_of_both"]

_DIGITS = 6


def payload_of(conversation: Conversation) -> JSONObject:
    """Return the payload for one conversation."""
    bodies = _BodyTable()
    exchanges: list[JSON] = [bodies.exchange(exchange) for exchange in conversation.exchanges]
    unsolicited: list[JSON] = [bodies.notification(one) for one in conversation.unsolicited]
    return {
        "title": conversation.title,
        "subtitle": conversation.source,
        **_frame(conversation, conversation.lanes),
        "exchanges": exchanges,
        "unsolicited": unsolicited,
        "bodies": bodies.texts(),
    }


def payload_of_both(comparison: Comparison) -> JSONObject:
    """Return the payload for a comparison of two conversations."""
    bodies = _BodyTable()
    after, before = comparison.after, comparison.before
    exchanges: list[JSON] = [bodies.pair(pair) for pair in comparison.pairs]
    unsolicited: list[JSON] = [{**bodies.notification(one), "state": state} for one, state in comparison.unsolicited]
    frame = _frame(after, comparison.lanes)
    ends = (_end(exchange) for pair in comparison.pairs for exchange in (pair.before, pair.after))
    return {
        "title": f"{before.title} → {after.title}",
        "subtitle": "difference",
        **frame,
        "seconds": _time(max([after.seconds, *ends])),
        "compared": {"before": f"{before.title} ({before.source})", "after": f"{after.title} ({after.source})"},
        "exchanges": exchanges,
        "unsolicited": unsolicited,
        "bodies": bodies.texts(),
    }


class _BodyTable:
    """Converts exchanges and notifications; a body becomes its index in `texts`, 0 if there is none."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def texts(self) -> list[JSON]:
        """Return the bodies, ordered by index."""
        return list(self._numbers)

    def exchange(self, exchange: ConversationExchange) -> JSONObject:
        """Convert one exchange; empty fields are left out."""
        notifications: list[JSON] = [self.notification(one) for one in exchange.notifications]
        return _without_empty(
            {
                "name": exchange.name,
                "lane": exchange.lane,
                "at": _time(exchange.at),
                "method": exchange.method,
                "target": exchange.target,
                "operation": exchange.operation,
                "ownerType": exchange.owner_type,
                "status": exchange.status,
                "replyAt": None if exchange.reply_at is None else _time(exchange.reply_at),
                "request": self._body(exchange.request),
                "headers": self._body(exchange.headers),
                "reply": self._body(exchange.reply),
                "notifications": notifications,
                "faults": list(exchange.faults),
                "notes": list(exchange.notes),
            }
        )

    def notification(self, one: ConversationNotification) -> JSONObject:
        """Convert one notification."""
        return _without_empty(
            {
                "at": _time(one.at),
                "lane": one.lane,
                "channel": one.channel,
                "kind": one.kind,
                "data": self._body(one.data),
                "ext": self._body(one.ext),
            }
        )

    def pair(self, pair: ExchangePair) -> JSONObject:
        """Convert a pair: the exchange in front, its differences, and the times of the other exchange."""
        changes: list[JSON] = [{"what": change.what, "lines": list(change.lines)} for change in pair.changes]
        made = {**self.exchange(pair.shown), "state": pair.state, **_without_empty({"changes": changes})}
        if pair.before is not None and pair.after is not None:
            made["before"] = {
                "replyAt": None if pair.before.reply_at is None else _time(pair.before.reply_at),
                "notifications": [_time(one.at) for one in pair.before.notifications],
            }
        return made

    def _body(self, value: JSON) -> int:
        text = "" if value is None else encode(value).decode()
        return self._numbers.setdefault(text, len(self._numbers))


def _frame(conversation: Conversation, lanes: Iterable[Lane]) -> JSONObject:
    """Convert everything but exchanges and notifications."""
    return {
        "seconds": _time(conversation.seconds),
        "lanes": [{"name": lane.name, "detail": lane.detail} for lane in lanes],
        "polls": [_poll(poll) for poll in conversation.polls],
        "metaMessages": [_meta_message(message) for message in conversation.meta_messages],
        "sockets": [_socket(socket) for socket in conversation.sockets],
        "marks": [{"at": _time(mark.at), "text": mark.text} for mark in conversation.marks],
        "notes": list(conversation.notes),
        "faults": list(conversation.faults),
    }


def _poll(poll: HeldPoll) -> JSONObject:
    until = None if poll.until is None else _time(poll.until)
    return {
        "lane": poll.lane,
        "at": _time(poll.at),
        "until": until,
        "ending": poll.ending,
        "messages": poll.messages,
        "detail": poll.detail,
    }


def _meta_message(message: MetaMessage) -> JSONObject:
    return {
        "lane": message.lane,
        "at": _time(message.at),
        "channel": message.channel,
        "detail": message.detail,
        "refused": message.refused,
    }


def _socket(socket: WebSocketSpan) -> JSONObject:
    return {
        "lane": socket.lane,
        "at": _time(socket.at),
        "until": None if socket.until is None else _time(socket.until),
        "frames": [[_time(frame.at), frame.sent, frame.messages] for frame in socket.frames],
    }


def _end(exchange: ConversationExchange | None) -> float:
    return 0.0 if exchange is None else exchange.end


def _time(seconds: float) -> float:
    return round(seconds, _DIGITS)


def _without_empty(fields: Mapping[str, JSON]) -> JSONObject:
    return {
        key: value for key, value in fields.items() if value not in ("", None, []) and (value or key in _ZERO_ALLOWED)
    }


_ZERO_ALLOWED = ("lane", "at", "replyAt")
