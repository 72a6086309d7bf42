"""Two conversations laid over one another: which exchanges are the same, and what differs in them.

The second conversation sets the time. What the first one did is moved so that both begin at the same request, so
what differs in length is seen at once. Numbers that only correlate, and what a profile calls volatile, never differ.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Literal, TypeAlias, TypeVar

from cometreel.jsonvalue import JSON
from cometreel.scenario import Profile, find
from cometreel.scenario import remove as without
from cometreel.scenario import replace as with_value
from cometreel.show.conversation import Conversation, ConversationExchange, ConversationNotification, Lane

__all__ = ["ChangedPart", "Comparison", "ExchangePair", "PairState", "compare"]

PairState: TypeAlias = Literal["same", "changed", "added", "removed"]
_T = TypeVar("_T", ConversationExchange, ConversationNotification)
_SLACK_SECONDS = 0.02
_SLACK_SHARE = 0.25
_CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True)
class ChangedPart:
    """What differs: which part, in one line, and for bodies the lines of a unified difference."""

    what: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExchangePair:
    """One exchange of both, or of one of them; `before` is the first conversation's, moved to the second's time."""

    before: ConversationExchange | None
    after: ConversationExchange | None
    changes: tuple[ChangedPart, ...] = ()

    @property
    def state(self) -> PairState:
        """How the second conversation differs here from the first."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "changed" if self.changes else "same"

    @property
    def shown(self) -> ConversationExchange:
        """The exchange that is drawn in front."""
        exchange = self.after or self.before
        assert exchange is not None
        return exchange


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two conversations, all their exchanges in pairs, and the notifications that nobody asked for, in pairs too."""

    before: Conversation
    after: Conversation
    lanes: tuple[Lane, ...]
    pairs: tuple[ExchangePair, ...]
    unsolicited: tuple[tuple[ConversationNotification, PairState], ...]

    def counts(self) -> dict[PairState, int]:
        """How many exchanges are in each state."""
        found = Counter(pair.state for pair in self.pairs)
        return {state: found[state] for state in ("same", "changed", "added", "removed")}


def compare(before: Conversation, after: Conversation) -> Comparison:
    """Lay two conversations over one another: the same names, else the same requests, one by one."""
    lanes, lane = _lanes(before, after)
    firsts = [replace(_on(exchange, lane), lane=lane[exchange.lane]) for exchange in before.exchanges]
    matched = _matched(firsts, after.exchanges, (_name, _request))
    pairs = [_pair(one, other, after.profile) for one, other in _moved(firsts, after.exchanges, matched)]
    told = [replace(one, lane=lane[one.lane]) for one in before.unsolicited]
    return Comparison(
        before,
        after,
        lanes,
        tuple(sorted(pairs, key=lambda pair: pair.shown.at)),
        tuple(sorted(_told(told, after.unsolicited, after.profile), key=lambda one: one[0].at)),
    )


def _lanes(before: Conversation, after: Conversation) -> tuple[tuple[Lane, ...], list[int]]:
    """All lanes, the second conversation's first, and where each of the first one's is among them."""
    lanes = list(after.lanes)
    place = {lane.name: number for number, lane in enumerate(lanes)}
    for lane in before.lanes:
        if lane.name not in place:
            place[lane.name] = len(lanes)
            lanes.append(lane)
    return tuple(lanes), [place[lane.name] for lane in before.lanes]


def _on(exchange: ConversationExchange, lane: Sequence[int]) -> ConversationExchange:
    told = tuple(replace(one, lane=lane[one.lane]) for one in exchange.notifications)
    return replace(exchange, notifications=told)


def _name(exchange: ConversationExchange) -> Hashable:
    return exchange.name


def _request(exchange: ConversationExchange) -> Hashable:
    """What stays where another answer gave an exchange another name."""
    return exchange.method, exchange.target, "\n".join(_lines(exchange.request))


def _kind(one: ConversationNotification) -> Hashable:
    return one.channel, one.kind


def _matched(before: Sequence[_T], after: Sequence[_T], names: Sequence[Callable[[_T], Hashable]]) -> dict[int, int]:
    """Places in `before` to places in `after`: what has the same name in the same lane, then in any; then the next."""
    matched: dict[int, int] = {}
    for name in names:
        for with_lane in (True, False):
            left: dict[Hashable, list[int]] = {}
            taken = set(matched.values())
            for number in reversed(range(len(after))):
                if number not in taken:
                    one = after[number]
                    left.setdefault((one.lane if with_lane else None, name(one)), []).append(number)
            for number, one in enumerate(before):
                places = left.get((one.lane if with_lane else None, name(one)))
                if number not in matched and places:
                    matched[number] = places.pop()
    return matched


def _moved(
    before: Sequence[ConversationExchange], after: Sequence[ConversationExchange], matched: dict[int, int]
) -> Iterator[tuple[ConversationExchange | None, ConversationExchange | None]]:
    """The first one's exchanges in the second one's time: with their partner, else beside the last that has one."""
    shift = 0.0
    for number, one in enumerate(before):
        other = after[matched[number]] if number in matched else None
        shift = other.at - one.at if other is not None else shift
        yield _shifted(one, max(shift, -one.at)), other
    taken = set(matched.values())
    yield from ((None, other) for number, other in enumerate(after) if number not in taken)


def _shifted(exchange: ConversationExchange, shift: float) -> ConversationExchange:
    told = tuple(replace(one, at=one.at + shift) for one in exchange.notifications)
    reply_at = None if exchange.reply_at is None else exchange.reply_at + shift
    return replace(exchange, at=exchange.at + shift, reply_at=reply_at, notifications=told)


def _pair(before: ConversationExchange | None, after: ConversationExchange | None, profile: Profile) -> ExchangePair:
    if before is None or after is None:
        return ExchangePair(before, after)
    return ExchangePair(before, after, (*_bodies(before, after, profile), *_times(before, after)))


# --- what differs ---------------------------------------------------------------------------------------------


def _bodies(before: ConversationExchange, after: ConversationExchange, profile: Profile) -> Iterator[ChangedPart]:
    if (before.method, before.target) != (after.method, after.target):
        yield ChangedPart(f"asked as {after.method} {after.target}, before as {before.method} {before.target}")
    if before.status != after.status:
        yield ChangedPart(f"answered {after.status or 'nothing'}, before {before.status or 'nothing'}")
    replies = (*profile.reply, *(f"{path}/*" for path in profile.map))
    yield from _difference("request", before.request, after.request, (), profile)
    yield from _difference("reply", before.reply, after.reply, replies, profile)
    ours, theirs = before.notifications, after.notifications
    if len(ours) != len(theirs):
        yield ChangedPart(f"{len(theirs)} notifications, before {len(ours)}")
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        events = tuple(f"/data{pointer}" for pointer in profile.event)
        yield from _difference(f"notification {number}", _said(one), _said(other), events, profile)


def _said(one: ConversationNotification) -> JSON:
    return {"channel": one.channel, "data": one.data}


def _difference(
    what: str, before: JSON, after: JSON, references: Sequence[str], profile: Profile
) -> Iterator[ChangedPart]:
    one, other = (_lines(_steady(value, references, profile)) for value in (before, after))
    if one != other:
        lines = list(unified_diff(one, other, n=_CONTEXT_LINES, lineterm=""))[2:]
        yield ChangedPart(what, tuple(line for line in lines if not line.startswith("@@")))


def _steady(value: JSON, references: Sequence[str], profile: Profile) -> JSON:
    """A value without what differs between any two recordings."""
    for pointer in (*references, *profile.request):
        if find(value, pointer):
            value = with_value(value, pointer, lambda _: "…")
    for pointer in (*profile.volatile, *(f"/data{pointer}" for pointer in profile.volatile)):
        value = without(value, pointer)
    return value


def _lines(value: JSON) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines() if value is not None else []


def _times(before: ConversationExchange, after: ConversationExchange) -> Iterator[ChangedPart]:
    times = [("acknowledged", before.ack_seconds, after.ack_seconds)]
    pairs = zip(before.notifications, after.notifications, strict=False)
    times += [("notified", one.at - before.at, other.at - after.at) for one, other in pairs]
    for what, old, new in times:
        if old is not None and new is not None and _differ(old, new):
            yield ChangedPart(f"{what} after {new * 1000:.0f} ms, before {old * 1000:.0f} ms")


def _differ(one: float, other: float) -> bool:
    """A latency differs if it does by more than a quarter and by more than 20 ms."""
    return abs(one - other) > max(_SLACK_SECONDS, _SLACK_SHARE * max(one, other))


def _told(
    before: Sequence[ConversationNotification], after: Sequence[ConversationNotification], profile: Profile
) -> Iterator[tuple[ConversationNotification, PairState]]:
    matched = _matched(before, after, (_kind,))
    partner = {place: before[number] for number, place in matched.items()}
    for number, one in enumerate(after):
        if number not in partner:
            yield one, "added"
        else:
            both = (_lines(_steady(each.data, profile.event, profile)) for each in (one, partner[number]))
            yield one, "same" if next(both) == next(both) else "changed"
    yield from ((one, "removed") for number, one in enumerate(before) if number not in matched)
