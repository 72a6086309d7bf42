"""One exchange played once: what it answers and what follows, rendered, with the live reference numbers in place.

The same exchange, seed and calls give the same bytes: nothing here looks at the time, at other sessions or at the
speed. The scenario's own clock moves with what a session has played.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeAlias

from cometreel.engine.play_state import Numbering
from cometreel.engine.prepared_scenario import RecordedNumbers
from cometreel.engine.replies import rebase
from cometreel.engine.static_responses import StaticResponse
from cometreel.immutable import immutable
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
    Question,
    RenderContext,
    ReplyOut,
)
from cometreel.scenario.json_pointer import find
from cometreel.scenario.json_pointer import replace as replace_at

__all__ = [
    "LONGEST",
    "MAX_COUNT",
    "DeliveryCount",
    "RenderedExchange",
    "ExchangeRenderer",
    "TimedEvents",
    "scenario_time",
    "delivered_once",
]

MAX_COUNT = 10_000
"""How often one event may repeat itself: a client can choose `count`."""

LONGEST = 1e9
"""The longest time that an event waits, in seconds: a client can choose `after` and `gap`."""


@immutable
class TimedEvents:
    """What is due together, `after_seconds` since the cause: messages, or the end of the CometD clients."""

    after_seconds: float
    messages: tuple[JSONObject, ...] = ()
    batch: str | None = None
    disconnect: bool = False


@immutable
class RenderedExchange:
    """A reply and the events that follow, in the order in which they are due."""

    reply: ReplyOut | PublishReplyOut | None
    events: tuple[TimedEvents, ...]


DeliveryCount: TypeAlias = Callable[[int, EventOut], int]
"""How often an event is delivered, by its place in the exchange (from 1): faults drop and duplicate."""


def delivered_once(_place: int, _event: EventOut) -> int:
    """Deliver it once, as no fault says otherwise."""
    return 1


class ExchangeRenderer:
    """What is needed to render: who asks what, the correlation rule, and the client's host.

    `context` makes what templates see as it stands at the cause; most exchanges have none and never ask for it.
    """

    def __init__(
        self,
        question: Question,
        context: Callable[[], RenderContext],
        profile: Profile,
        base: str,
        numbering: Numbering,
    ) -> None:
        self._question, self._make_context = question, context
        self._profile, self._base, self._numbering = profile, base, numbering
        self._numbered = False

    @cached_property
    def _context(self) -> RenderContext:
        context = self._make_context()
        return replace(context, ref=self._numbering.ref) if self._numbered else context

    def render(
        self,
        exchange: Exchange,
        numbers: RecordedNumbers,
        ready: StaticResponse,
        how_often: DeliveryCount = delivered_once,
    ) -> RenderedExchange:
        """Render an exchange with a live number for each recorded one.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        for recorded in numbers.recorded:
            self._numbering.live(recorded)
        self._numbered = numbers.templated
        reply = self._reply(exchange) if ready.reply is None else ready.reply.fill(self._numbering)
        if ready.events is None:
            return RenderedExchange(reply, self.events(exchange.events, how_often))
        timed = [(after, place, self._live_event(event)) for after, place, event in ready.events]
        return RenderedExchange(reply, _in_order(timed, how_often))

    def events(self, specs: Sequence[EventSpec], how_often: DeliveryCount = delivered_once) -> tuple[TimedEvents, ...]:
        """Render events, in the order in which they are due; those of one batch due together become one.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        timed: list[tuple[float, int, EventOut]] = []
        for place, spec in enumerate(specs, start=1):
            plan = spec.plan(self._context)
            for seq in range(min(plan.count, MAX_COUNT)):
                after = _due(plan, seq)
                timed.append((after, place, self._live_event(spec.render(self._at(after), seq))))
        return _in_order(timed, how_often)

    def _reply(self, exchange: Exchange) -> ReplyOut | PublishReplyOut | None:
        if exchange.reply is None:
            return None
        if isinstance(exchange.reply, PublishReplySpec):
            return exchange.reply.render(self._context)
        reply = exchange.reply.render(self._context)
        if reply.content is not None:
            return reply
        body = rebase(self._live_reply(reply.body), self._base)
        return ReplyOut(reply.after_seconds, reply.status, reply.headers, body)

    def _at(self, after_seconds: float) -> RenderContext:
        """Return the context with the scenario's clock moved on."""
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
        return EventOut({**event.message, "data": rebase(data, self._base)}, event.batch, event.disconnect)

    def _live(self, value: JSON) -> JSON:
        """Return the live id for one that stands where the correlation says: the client's own, or a renumbered one."""
        chosen = chosen_id(self._question, self._profile)
        if chosen is not None:
            return chosen
        if isinstance(value, int) and not isinstance(value, bool):
            return self._numbering.lookup(value)
        return value


def chosen_id(question: Question, profile: Profile) -> JSON:
    """Return the id that the client chose for its request, or None where it chose none."""
    asked = question.body if isinstance(question, NormalizedRequest) else question.data
    found = (value for pointer in profile.request for _, value in find(asked, pointer))
    return next(found, None)


def _due(plan: EventPlan, seq: int) -> float:
    return min(LONGEST, max(0.0, plan.after_seconds) + seq * max(0.0, plan.gap_seconds))


def scenario_time(now: datetime, seconds: float) -> datetime:
    """Move the scenario's clock on; at the end of the calendar it stands still."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return now


def _in_order(timed: Sequence[tuple[float, int, EventOut]], how_often: DeliveryCount) -> tuple[TimedEvents, ...]:
    """Put events in the order in which they are due, each as often as faults say; those of one batch become one."""
    if not timed:
        return ()
    repeated = [item for item in timed for _ in range(how_often(item[1], item[2]))]
    repeated.sort(key=lambda item: item[:2])
    return tuple(_batched(repeated))


def _batched(timed: Iterable[tuple[float, int, EventOut]]) -> list[TimedEvents]:
    """Join the events that are due at the same time under the same batch name, at the place of the first."""
    done: list[TimedEvents] = []
    places: dict[tuple[float, str], int] = {}
    for after, _, event in timed:
        key = (after, event.batch) if event.batch is not None and not event.disconnect else None
        if key is not None and key in places:
            first = done[places[key]]
            done[places[key]] = replace(first, messages=(*first.messages, event.message))
            continue
        if key is not None:
            places[key] = len(done)
        messages = () if event.disconnect else (event.message,)
        done.append(TimedEvents(after, messages, event.batch, event.disconnect))
    return done
