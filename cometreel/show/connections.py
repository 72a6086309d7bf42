"""Reads polls, meta messages, WebSockets and requests without reply from the events of a journal.

The events must be ordered by time. Client ids are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from cometreel.bayeux import is_meta
from cometreel.jsonvalue import JSONObject
from cometreel.recording import WireEvent
from cometreel.recording.transcript import RecordedCall, RecordedPublish
from cometreel.show.conversation import (
    ConversationExchange,
    FrameInfo,
    HeldPoll,
    MetaMessage,
    PollEnding,
    WebSocketSpan,
)

__all__ = ["ConnectionReader", "exchange_of_call", "exchange_of_publish", "exchange_of_request"]

_CONNECT = "/meta/connect"


class ConnectionReader:
    """Reads all events; `lane` returns the lane of a flow, `start` is the time that counts as 0."""

    def __init__(self, events: Iterable[WireEvent], lane: Callable[[str], int], start: float) -> None:
        self.polls: list[HeldPoll] = []
        self.meta_messages: list[MetaMessage] = []
        self.sockets: list[WebSocketSpan] = []
        self.unanswered: list[ConversationExchange] = []
        self._lane = lane
        self._start = start
        self._open: dict[str, WireEvent] = {}
        self._sockets: dict[str, tuple[float, list[FrameInfo]]] = {}
        self._pending: dict[tuple[str, str], tuple[WireEvent, JSONObject]] = {}
        for event in events:
            self._read(event)
        for request in self._open.values():
            self._unfinished(request, None)
        for event, message in self._pending.values():
            if _channel(message) == _CONNECT:
                self._held(event.flow, event.at, None, "open", 0, "")
        for flow in list(self._sockets):
            self._closed(flow, None)
        self.polls.sort(key=lambda poll: poll.at)
        self.meta_messages.sort(key=lambda message: message.at)
        self.sockets.sort(key=lambda socket: socket.at)

    def _read(self, event: WireEvent) -> None:
        if event.kind == "request":
            self._open[event.flow] = event
        elif event.kind == "reply":
            request = self._open.pop(event.flow, None)
            if request is not None and request.body.kind == "bayeux":
                self._answered(request, event)
        elif event.kind == "error":
            if event.flow in self._open:
                self._unfinished(self._open.pop(event.flow), event)
            self._closed(event.flow, event)
        elif event.kind == "unwanted":
            self._open.pop(event.flow, None)
        elif event.kind == "open":
            self._open.pop(event.flow, None)
            self._sockets.setdefault(event.flow, (event.at, []))
        elif event.kind == "frame":
            self._frame(event)
        elif event.kind == "close":
            self._closed(event.flow, event)

    def _since(self, at: float) -> float:
        return round(at - self._start, 6)

    # --- long polling -----------------------------------------------------------------------------------------

    def _answered(self, request: WireEvent, reply: WireEvent) -> None:
        answers = {_key(message): message for message in reply.body.messages if "successful" in message}
        for message in request.body.messages:
            answer = answers.get(_key(message), {})
            if _channel(message) == _CONNECT:
                delivered = sum(not is_meta(_channel(message)) for message in reply.body.messages)
                self._poll(request, reply, answer, delivered)
            elif is_meta(_channel(message)):
                self._meta_message(request, message, answer)

    def _poll(self, request: WireEvent, reply: WireEvent, answer: JSONObject, delivered: int) -> None:
        ending, detail = _ending(answer, delivered)
        if reply.body.kind != "bayeux":
            ending, detail = "broken", f"HTTP {reply.status}"
        self._held(request.flow, request.at, reply.at, ending, delivered, detail)

    def _held(self, flow: str, at: float, until: float | None, ending: PollEnding, messages: int, detail: str) -> None:
        end = None if until is None else self._since(until)
        self.polls.append(HeldPoll(self._lane(flow), self._since(at), end, ending, messages, detail))

    def _meta_message(self, request: WireEvent, message: JSONObject, answer: JSONObject) -> None:
        subscription = message.get("subscription")
        names = subscription if isinstance(subscription, list) else [subscription]
        detail = ", ".join(name for name in names if isinstance(name, str))
        error = answer.get("error")
        refused = (error if isinstance(error, str) else "refused") if answer.get("successful") is False else ""
        self.meta_messages.append(
            MetaMessage(self._lane(request.flow), self._since(request.at), _channel(message), detail, refused)
        )

    def _unfinished(self, request: WireEvent, error: WireEvent | None) -> None:
        why = (error.text or "the connection broke") if error else "no reply when the recording ended"
        channels = [_channel(message) for message in request.body.messages]
        if _CONNECT in channels:
            ending: PollEnding = "broken" if error else "open"
            self._held(request.flow, request.at, error.at if error else None, ending, 0, why if error else "")
        elif not channels:
            exchange = replace(exchange_of_request(request), lane=self._lane(request.flow), at=self._since(request.at))
            self.unanswered.append(replace(exchange, faults=(why,)))

    # --- WebSockets -------------------------------------------------------------------------------------------

    def _frame(self, event: WireEvent) -> None:
        messages = event.body.messages
        _, frames = self._sockets.setdefault(event.flow, (event.at, []))
        frames.append(FrameInfo(self._since(event.at), event.client_side, len(messages)))
        delivered = sum(not is_meta(_channel(message)) and "successful" not in message for message in messages)
        for message in messages:
            key = (event.flow, f"{_channel(message)} {message.get('id')}")
            if event.client_side and is_meta(_channel(message)):
                self._pending[key] = (event, message)
            elif key in self._pending:
                self._add_answer_in_frame(*self._pending.pop(key), event, message, delivered)

    def _add_answer_in_frame(
        self, request: WireEvent, message: JSONObject, reply: WireEvent, answer: JSONObject, delivered: int
    ) -> None:
        if _channel(message) == _CONNECT:
            ending, detail = _ending(answer, delivered)
            self._held(request.flow, request.at, reply.at, ending, delivered, detail)
        else:
            self._meta_message(request, message, answer)

    def _closed(self, flow: str, event: WireEvent | None) -> None:
        if flow in self._sockets:
            at, frames = self._sockets.pop(flow)
            until = None if event is None else self._since(event.at)
            self.sockets.append(WebSocketSpan(self._lane(flow), self._since(at), until, tuple(frames)))


def _ending(answer: JSONObject, delivered: int) -> tuple[PollEnding, str]:
    if answer.get("successful") is False:
        error = answer.get("error")
        return "refused", error if isinstance(error, str) else "refused"
    return ("answered", "") if delivered else ("empty", "")


def _channel(message: JSONObject) -> str:
    return str(message.get("channel", ""))


def _key(message: JSONObject) -> tuple[str, str]:
    return _channel(message), str(message.get("id", ""))


def exchange_of_request(request: WireEvent) -> ConversationExchange:
    """Return the exchange of a request without a reply."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    body = request.body.value if request.body.kind in ("json", "text", "form", "pieces") else None
    name = f"{request.method} {request.path}"
    return ConversationExchange(name, 0, request.at, request.method, target, request.method, request=body)


def exchange_of_call(call: RecordedCall) -> ConversationExchange:
    """Return the exchange of a request and its reply."""
    exchange = exchange_of_request(call.request)
    body = call.reply.body.value if call.reply.body.kind in ("json", "text") else None
    return ConversationExchange(
        exchange.name,
        0,
        call.at,
        exchange.method,
        exchange.target,
        exchange.method,
        "",
        exchange.request,
        str(call.reply.status),
        reply=body,
    )


def exchange_of_publish(publish: RecordedPublish) -> ConversationExchange:
    """Return the exchange of a publish and its reply."""
    channel = publish.channel
    answer = publish.reply or {}
    status = "refused" if answer.get("successful") is False else "ok"
    members = {name: value for name, value in answer.items() if name in ("error", "data", "ext")}
    return ConversationExchange(
        f"publish {channel}",
        0,
        publish.at,
        "PUBLISH",
        channel,
        "PUBLISH",
        "",
        publish.data,
        status,
        reply=members or None,
    )
