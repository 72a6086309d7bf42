"""Compares two conversations: pairs their exchanges and lists the differences of each pair.

The times are those of the second conversation. Exchanges of the first one are moved to the start of their partner, so
that different latencies are visible. Reference numbers and the profile's volatile values are ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Literal, TypeAlias, TypeVar

from cometreel.jsonvalue import JSON, readable
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
    """One difference: the part that differs, in one line, and for bodies the lines of a unified diff."""

    what: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExchangePair:
    """An exchange of both conversations or of one; the times of `before` are moved to those of the second."""

    before: ConversationExchange | None
    after: ConversationExchange | None
    changes: tuple[ChangedPart, ...] = ()

    @property
    def state(self) -> PairState:
        """The state of the exchange in the second conversation."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "changed" if self.changes else "same"

    @property
    def shown(self) -> ConversationExchange:
        """The exchange to draw in front."""
        exchange = self.after or self.before
        assert exchange is not None
        return exchange


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two conversations with their exchanges in pairs, and the states of their unsolicited notifications."""

    before: Conversation
    after: Conversation
    lanes: tuple[Lane, ...]
    pairs: tuple[ExchangePair, ...]
    unsolicited: tuple[tuple[ConversationNotification, PairState], ...]

    def counts(self) -> dict[PairState, int]:
        """Count the exchanges in each state."""
        found = Counter(pair.state for pair in self.pairs)
        return {state: found[state] for state in ("same", "changed", "added", "removed")}


def compare(before: Conversation, after: Conversation) -> Comparison:
    """Compare two conversations; pair exchanges by name, then by request, in order."""
    lanes, lane = _lanes(before, after)
    firsts = [replace(_with_lanes(exchange, lane), lane=lane[exchange.lane]) for exchange in before.exchanges]
    matched = _matched(firsts, after.exchanges, (_name, _request))
    pairs = [_pair(one, other, after.profile) for one, other in _with_partners(firsts, after.exchanges, matched)]
    unsolicited = [replace(one, lane=lane[one.lane]) for one in before.unsolicited]
    return Comparison(
        before,
        after,
        lanes,
        tuple(sorted(pairs, key=lambda pair: pair.shown.at)),
        tuple(sorted(_unsolicited(unsolicited, after.unsolicited, after.profile), key=lambda one: one[0].at)),
    )


def _lanes(before: Conversation, after: Conversation) -> tuple[tuple[Lane, ...], list[int]]:
    """Return all lanes, those of the second conversation first, and the indexes of the first one's lanes."""
    lanes = list(after.lanes)
    place = {lane.name: number for number, lane in enumerate(lanes)}
    for lane in before.lanes:
        if lane.name not in place:
            place[lane.name] = len(lanes)
            lanes.append(lane)
    return tuple(lanes), [place[lane.name] for lane in before.lanes]


def _with_lanes(exchange: ConversationExchange, lane: Sequence[int]) -> ConversationExchange:
    notifications = tuple(replace(one, lane=lane[one.lane]) for one in exchange.notifications)
    return replace(exchange, notifications=notifications)


def _name(exchange: ConversationExchange) -> Hashable:
    return exchange.name


def _request(exchange: ConversationExchange) -> Hashable:
    """Return the request, to pair exchanges whose names differ because their replies do."""
    return exchange.method, exchange.target, "\n".join(_lines(exchange.request))


def _kind(one: ConversationNotification) -> Hashable:
    return one.channel, one.kind


def _matched(before: Sequence[_T], after: Sequence[_T], keys: Sequence[Callable[[_T], Hashable]]) -> dict[int, int]:
    """Map indexes of `before` to `after`, for each key function: first in the same lane, then in any lane."""
    matched: dict[int, int] = {}
    for key in keys:
        for with_lane in (True, False):
            left: dict[Hashable, list[int]] = {}
            taken = set(matched.values())
            for number in reversed(range(len(after))):
                if number not in taken:
                    one = after[number]
                    left.setdefault((one.lane if with_lane else None, key(one)), []).append(number)
            for number, one in enumerate(before):
                places = left.get((one.lane if with_lane else None, key(one)))
                if number not in matched and places:
                    matched[number] = places.pop()
    return matched


def _with_partners(
    before: Sequence[ConversationExchange], after: Sequence[ConversationExchange], matched: dict[int, int]
) -> Iterator[tuple[ConversationExchange | None, ConversationExchange | None]]:
    """Yield all pairs; exchanges of the first move with their partner, or like the previous one that has a partner."""
    shift = 0.0
    for number, one in enumerate(before):
        other = after[matched[number]] if number in matched else None
        shift = other.at - one.at if other is not None else shift
        yield _shifted(one, max(shift, -one.at)), other
    taken = set(matched.values())
    yield from ((None, other) for number, other in enumerate(after) if number not in taken)


def _shifted(exchange: ConversationExchange, shift: float) -> ConversationExchange:
    notifications = tuple(replace(one, at=one.at + shift) for one in exchange.notifications)
    reply_at = None if exchange.reply_at is None else exchange.reply_at + shift
    return replace(exchange, at=exchange.at + shift, reply_at=reply_at, notifications=notifications)


def _pair(before: ConversationExchange | None, after: ConversationExchange | None, profile: Profile) -> ExchangePair:
    if before is None or after is None:
        return ExchangePair(before, after)
    return ExchangePair(before, after, (*_bodies(before, after, profile), *_times(before, after)))


# --- differences ----------------------------------------------------------------------------------------------


def _bodies(before: ConversationExchange, after: ConversationExchange, profile: Profile) -> Iterator[ChangedPart]:
    if (before.method, before.target) != (after.method, after.target):
        yield ChangedPart(f"request {after.method} {after.target}, before {before.method} {before.target}")
    if before.status != after.status:
        yield ChangedPart(f"status {after.status or 'missing'}, before {before.status or 'missing'}")
    replies = (*profile.reply, *(f"{path}/*" for path in profile.map))
    yield from _difference("request", before.request, after.request, (), profile)
    yield from _difference("reply", before.reply, after.reply, replies, profile)
    old, new = before.notifications, after.notifications
    if len(old) != len(new):
        yield ChangedPart(f"{len(new)} notifications, before {len(old)}")
    for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
        events = tuple(f"/data{pointer}" for pointer in profile.event)
        yield from _difference(f"notification {number}", _content(one), _content(other), events, profile)


def _content(one: ConversationNotification) -> JSON:
    return {"channel": one.channel, "data": one.data}


def _difference(
    what: str, before: JSON, after: JSON, references: Sequence[str], profile: Profile
) -> Iterator[ChangedPart]:
    one, other = (_lines(_comparable(value, references, profile)) for value in (before, after))
    if one != other:
        lines = list(unified_diff(one, other, n=_CONTEXT_LINES, lineterm=""))[2:]
        yield ChangedPart(what, tuple(line for line in lines if not line.startswith("@@")))


def _comparable(value: JSON, references: Sequence[str], profile: Profile) -> JSON:
    """Return a value without the parts that differ between any two recordings."""
    for pointer in (*references, *profile.request):
        if find(value, pointer):
            value = with_value(value, pointer, lambda _: "…")
    for pointer in (*profile.volatile, *(f"/data{pointer}" for pointer in profile.volatile)):
        value = without(value, pointer)
    return value


def _lines(value: JSON) -> list[str]:
    return readable(value, indent=2, sort_keys=True).splitlines() if value is not None else []


def _times(before: ConversationExchange, after: ConversationExchange) -> Iterator[ChangedPart]:
    times = [("acknowledged", before.ack_seconds, after.ack_seconds)]
    pairs = zip(before.notifications, after.notifications, strict=False)
    times += [("notified", one.at - before.at, other.at - after.at) for one, other in pairs]
    for what, old, new in times:
        if old is not None and new is not None and _differ(old, new):
            yield ChangedPart(f"{what} after {new * 1000:.0f} ms, before {old * 1000:.0f} ms")


def _differ(one: float, other: float) -> bool:
    """True if two latencies differ by more than a quarter and by more than 20 ms."""
    return abs(one - other) > max(_SLACK_SECONDS, _SLACK_SHARE * max(one, other))


def _unsolicited(
    before: Sequence[ConversationNotification], after: Sequence[ConversationNotification], profile: Profile
) -> Iterator[tuple[ConversationNotification, PairState]]:
    matched = _matched(before, after, (_kind,))
    partner = {place: before[number] for number, place in matched.items()}
    for number, one in enumerate(after):
        if number not in partner:
            yield one, "added"
        else:
            both = (_lines(_comparable(each.data, profile.event, profile)) for each in (one, partner[number]))
            yield one, "same" if next(both) == next(both) else "changed"
    yield from ((one, "removed") for number, one in enumerate(before) if number not in matched)
