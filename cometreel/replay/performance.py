"""One exchange played once: what it answers and what follows, rendered, with the live reference numbers in place.

The same exchange, seed and calls give the same bytes: nothing here looks at the time, at other sessions or at the
speed. The scenario's own clock moves with what a session has played.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.replay.hosts import rebase
from cometreel.replay.references import Numbering
from cometreel.replay.repertoire import Numbers
from cometreel.scenario import (
    EventOut,
    EventPlan,
    EventSpec,
    Exchange,
    HttpQuestion,
    Profile,
    PublishReplyOut,
    PublishReplySpec,
    Question,
    RenderContext,
    ReplyOut,
)
from cometreel.scenario.pointer import find
from cometreel.scenario.pointer import replace as replace_at

__all__ = ["LONGEST", "MAX_COUNT", "Performance", "Score", "Timed", "moved"]

MAX_COUNT = 10_000
"""How often one event may repeat itself: a client can choose `count`."""

LONGEST = 1e9
"""The longest time that an event waits, in seconds: a client can choose `after` and `gap`."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What is due together, `after_seconds` since the cause: messages, or the end of the CometD clients."""

    after_seconds: float
    messages: tuple[JSONObject, ...] = ()
    batch: str | None = None
    disconnect: bool = False


@dataclass(frozen=True, slots=True)
class Performance:
    """A reply and the events that follow, in the order in which they are due."""

    reply: ReplyOut | PublishReplyOut | None
    events: tuple[Timed, ...]


HowOften: TypeAlias = Callable[[int, EventOut], int]
"""How often an event is delivered, by its place in the exchange (from 1): faults drop and duplicate."""


def _once(_place: int, _event: EventOut) -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Score:
    """What is needed to render: the context as it stands at the cause, the correlation rule, and the client's host."""

    context: RenderContext
    profile: Profile
    base: str
    numbering: Numbering

    def perform(self, exchange: Exchange, numbers: Numbers, how_often: HowOften = _once) -> Performance:
        """Render an exchange with a live number for each recorded one.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        for recorded in numbers.recorded:
            self.numbering.live(recorded)
        if numbers.recorded or numbers.templated:
            score = replace(self, context=replace(self.context, ref=self.numbering.ref))
        else:
            score = self
        return Performance(score._reply(exchange), score.events(exchange.events, how_often))

    def events(self, specs: Sequence[EventSpec], how_often: HowOften = _once) -> tuple[Timed, ...]:
        """Render events, in the order in which they are due; those of one batch due together become one.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        timed: list[tuple[float, int, EventOut]] = []
        for place, spec in enumerate(specs, start=1):
            plan = spec.plan(self.context)
            for seq in range(min(plan.count, MAX_COUNT)):
                after = _due(plan, seq)
                event = self._live_event(spec.render(self._at(after), seq))
                timed += [(after, place, event)] * how_often(place, event)
        timed.sort(key=lambda item: item[:2])
        return tuple(_batched(timed))

    def _reply(self, exchange: Exchange) -> ReplyOut | PublishReplyOut | None:
        if exchange.reply is None:
            return None
        if isinstance(exchange.reply, PublishReplySpec):
            return exchange.reply.render(self.context)
        reply = exchange.reply.render(self.context)
        return replace(reply, body=rebase(self._live_reply(reply.body), self.base)) if reply.content is None else reply

    def _at(self, after_seconds: float) -> RenderContext:
        """Return the context with the scenario's clock moved on."""
        return replace(self.context, now=moved(self.context.now, after_seconds))

    def _live_reply(self, body: JSON) -> JSON:
        for pointer in self.profile.reply:
            body = replace_at(body, pointer, self._live)
        for pointer in self.profile.map:
            body = replace_at(body, pointer, self._live_map)
        return body

    def _live_map(self, mapping: JSON) -> JSON:
        if isinstance(mapping, dict):
            return {name: self._live(value) for name, value in mapping.items()}
        return self._live(mapping)

    def _live_event(self, event: EventOut) -> EventOut:
        data = event.message.get("data")
        for pointer in self.profile.event:
            data = replace_at(data, pointer, self._live)
        changed = {"data": rebase(data, self.base)} if "data" in event.message else {}
        return replace(event, message={**event.message, **changed})

    def _live(self, value: JSON) -> JSON:
        """Return the live id for one that stands where the correlation says: the client's own, or a renumbered one."""
        chosen = chosen_id(self.context.request, self.profile)
        if chosen is not None:
            return chosen
        if isinstance(value, int) and not isinstance(value, bool):
            return self.numbering.lookup(value)
        return value


def chosen_id(question: Question, profile: Profile) -> JSON:
    """Return the id that the client chose for its request, or None where it chose none."""
    asked = question.body if isinstance(question, HttpQuestion) else question.data
    found = (value for pointer in profile.request for _, value in find(asked, pointer))
    return next(found, None)


def _due(plan: EventPlan, seq: int) -> float:
    return min(LONGEST, max(0.0, plan.after_seconds) + seq * max(0.0, plan.gap_seconds))


def moved(now: datetime, seconds: float) -> datetime:
    """Move the scenario's clock on; at the end of the calendar it stands still."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return now


def _batched(timed: Iterable[tuple[float, int, EventOut]]) -> list[Timed]:
    """Join the events that are due at the same time under the same batch name, at the place of the first."""
    done: list[Timed] = []
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
        done.append(Timed(after, messages, event.batch, event.disconnect))
    return done
