"""Renders the reply and the notifications of one exchange, with live reference numbers.

The result depends only on the exchange, the seed and the session's calls so far, not on the time, the speed or other
sessions. The scenario's own clock moves with the exchanges that a session has played.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from cometreel.bayeux import EncodedMessage
from cometreel.engine.play_state import References
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import (
    EventOut,
    EventPlan,
    EventSpec,
    Exchange,
    NormalizedRequest,
    Profile,
    PublishReplyOut,
    PublishReplySpec,
    RenderContext,
    ReplyOut,
    RequestOrPublish,
)
from cometreel.scenario.json_pointer import find
from cometreel.scenario.json_pointer import replace as replace_at
from cometreel.value_copies import copy_by_constructor

__all__ = [
    "LONGEST",
    "MAX_COUNT",
    "DeliveryCount",
    "ExchangeRenderer",
    "Numbering",
    "RenderedExchange",
    "TimedEvents",
    "delivered_once",
    "in_order",
    "rebase",
    "scenario_time",
]

MAX_COUNT = 10_000
"""The maximum `count` of an event; a template can take it from a request."""

LONGEST = 1e9
"""The maximum delay of an event in seconds; a template can take `after` and `gap` from a request."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class TimedEvents:
    """The messages, or the end of the CometD clients, due at the same time: `after_seconds` after the cause."""

    after_seconds: float
    messages: tuple[JSONObject | EncodedMessage, ...] = ()
    batch: str | None = None
    disconnect: bool = False
    deliver: str = "asker"
    """The receivers: `asker`, `subscribers`, `all` or the name of a role."""
    places: tuple[int, ...] = ()
    """The place of each message's event in the exchange, from 1."""

    def __init__(
        self,
        after_seconds: float,
        messages: tuple[JSONObject | EncodedMessage, ...] = (),
        batch: str | None = None,
        disconnect: bool = False,
        deliver: str = "asker",
        places: tuple[int, ...] = (),
    ) -> None:
        self.after_seconds, self.messages, self.batch, self.disconnect = after_seconds, messages, batch, disconnect
        self.deliver, self.places = deliver, places


@dataclass(init=False, slots=True, unsafe_hash=True)
class RenderedExchange:
    """A reply, and the events that follow in the order in which they are due."""

    reply: ReplyOut | PublishReplyOut | None
    events: tuple[TimedEvents, ...]

    def __init__(
        self,
        reply: ReplyOut | PublishReplyOut | None,
        events: tuple[TimedEvents, ...],
    ) -> None:
        self.reply, self.events = reply, events


class Numbering:
    """The live reference numbers of one reply and its notifications. `live` maps recorded numbers to them."""

    __slots__ = ("_new", "_references", "live")

    def __init__(self, references: References, live: dict[int, int]) -> None:
        self._references, self.live = references, live
        self._new: int | None = None

    @property
    def ref(self) -> int:
        """The variable `ref` of templates: the first number of this reply, or a new one if none was recorded."""
        if self.live:
            return next(iter(self.live.values()))
        if self._new is None:
            self._new = self._references.take()
        return self._new


DeliveryCount: TypeAlias = Callable[[int, EventOut], int]
"""Returns how often an event is delivered, given its place in the exchange (from 1): faults drop and duplicate."""


def delivered_once(_place: int, _event: EventOut) -> int:
    """Return 1: no fault changes the number of deliveries."""
    return 1


class ExchangeRenderer:
    """Renders for one request. `base` is the scheme and authority that the client used.

    `context` returns the variables of templates; it is called only if there is a template. `with_ref` adds `ref`.
    """

    def __init__(
        self,
        normalized: RequestOrPublish,
        context: Callable[[], RenderContext],
        profile: Profile,
        base: str,
        numbering: Numbering,
        *,
        with_ref: bool = False,
    ) -> None:
        self._normalized, self._make_context = normalized, context
        self._profile, self._base, self._numbering = profile, base, numbering
        self._with_ref = with_ref
        self._made: RenderContext | None = None  # mypyc compiles a `cached_property` to one that isn't cached

    @property
    def _context(self) -> RenderContext:
        if self._made is None:
            context = self._make_context()
            self._made = replace(context, ref=self._numbering.ref) if self._with_ref else context
        return self._made

    def reply(self, exchange: Exchange) -> ReplyOut | PublishReplyOut | None:
        """Render the reply.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        if exchange.reply is None:
            return None
        if isinstance(exchange.reply, PublishReplySpec):
            return exchange.reply.render(self._context)
        reply = exchange.reply.render(self._context)
        if reply.content is not None:
            return reply
        body = rebase(self._live_reply(reply.body), self._base)
        return ReplyOut(reply.after_seconds, reply.status, reply.headers, body)

    def events(self, specs: Sequence[EventSpec], how_often: DeliveryCount = delivered_once) -> tuple[TimedEvents, ...]:
        """Render events, in the order in which they are due.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        timed: list[tuple[float, int, EventOut]] = []
        for place, spec in enumerate(specs, start=1):
            plan = spec.plan(self._context)
            for seq in range(min(plan.count, MAX_COUNT)):
                after = _due(plan, seq)
                timed.append((after, place, self._live_event(spec.render(self._at(after), seq))))
        return in_order(timed, how_often)

    def _at(self, after_seconds: float) -> RenderContext:
        """Return the context at a later time of the scenario's clock."""
        return replace(self._context, now=scenario_time(self._context.now, after_seconds))

    def _live_reply(self, body: JSON) -> JSON:
        for pointer in self._profile.reply:
            body = replace_at(body, pointer, self._live)
        for pointer in self._profile.map:
            body = replace_at(body, pointer, self._live_map)
        return body

    def _live_map(self, mapping: JSON) -> JSON:
        if isinstance(mapping, dict):
            return {name: self._live(value) for name, value in mapping.items()}
        return self._live(mapping)

    def _live_event(self, event: EventOut) -> EventOut:
        data = event.message.get("data")
        for pointer in self._profile.event:
            data = replace_at(data, pointer, self._live)
        if "data" not in event.message:
            return event
        message = {**event.message, "data": rebase(data, self._base)}
        return EventOut(message, event.batch, event.disconnect, event.deliver)

    def _live(self, value: JSON) -> JSON:
        """Return the live id of a recorded one: the id that the client chose, or the live reference number."""
        chosen = chosen_id(self._normalized, self._profile)
        if chosen is not None:
            return chosen
        if isinstance(value, int) and not isinstance(value, bool):
            return self._numbering.live.get(value, value)
        return value


def chosen_id(normalized: RequestOrPublish, profile: Profile) -> JSON:
    """Return the id that the client chose for its request, or None."""
    sent = normalized.body if isinstance(normalized, NormalizedRequest) else normalized.data
    found = (value for pointer in profile.request for _, value in find(sent, pointer))
    return next(found, None)


def _due(plan: EventPlan, seq: int) -> float:
    return plan.after_seconds + seq * plan.gap_seconds


def scenario_time(now: datetime, seconds: float) -> datetime:
    """Add seconds to a time of the scenario's clock; return the time unchanged if the result is out of range."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return now


def in_order(timed: Sequence[tuple[float, int, EventOut]], how_often: DeliveryCount) -> tuple[TimedEvents, ...]:
    """Sort events by the time when they are due, repeat or drop them, and join those of one batch."""
    if not timed:
        return ()
    repeated = [item for item in timed for _ in range(how_often(item[1], item[2]))]
    repeated.sort(key=lambda item: item[:2])
    return tuple(_batched(repeated))


def _batched(timed: Iterable[tuple[float, int, EventOut]]) -> list[TimedEvents]:
    """Join the events with the same time, batch name and receivers, at the place of the first one."""
    done: list[TimedEvents] = []
    batches: dict[tuple[float, str, str], int] = {}
    for after, place, event in timed:
        key = (after, event.batch, event.deliver) if event.batch is not None and not event.disconnect else None
        if key is not None and key in batches:
            first = done[batches[key]]
            messages, places = (*first.messages, event.message), (*first.places, place)
            done[batches[key]] = replace(first, messages=messages, places=places)
            continue
        if key is not None:
            batches[key] = len(done)
        messages = () if event.disconnect else (event.message,)
        done.append(TimedEvents(after, messages, event.batch, event.disconnect, event.deliver, (place,)))
    return done


_ABSOLUTE = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)


def rebase(value: JSON, base: str) -> JSON:
    """Return the value with the host of every absolute `uri`, `…Uri` and item of `uris` replaced by `base`."""
    if isinstance(value, dict):
        return {key: _rebased_member(key, item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [rebase(item, base) for item in value]
    return value


def _rebased_member(key: str, value: JSON, base: str) -> JSON:
    if key == "uri" or key.endswith("Uri"):
        return _rebased_uri(value, base) if isinstance(value, str) else rebase(value, base)
    if key == "uris" and isinstance(value, list):
        return [_rebased_uri(item, base) if isinstance(item, str) else rebase(item, base) for item in value]
    return rebase(value, base)


def _rebased_uri(uri: str, base: str) -> str:
    return _ABSOLUTE.sub(lambda _: base, uri, count=1) if _ABSOLUTE.match(uri) else uri


copy_by_constructor(__name__)
