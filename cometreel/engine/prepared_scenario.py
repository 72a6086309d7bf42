"""The lookup tables of one scenario: static responses, reference numbers, timeline entries, similar exchanges.

Built once for each scenario that is played.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from cometreel.bayeux.channels import patterns_of
from cometreel.engine.similar_groups import MOST, SimilarGroupsByPlace
from cometreel.engine.static_responses import StaticResponse, literal_of, reads, static_response_of
from cometreel.jsonvalue import JSON
from cometreel.scenario import (
    Anchor,
    CompiledScenario,
    Exchange,
    Profile,
    ReplySpec,
    RequestOrPublish,
    SubscriptionAnchor,
    SubscriptionKind,
    TimelineEntry,
)
from cometreel.scenario.exchange import ExchangeGroup
from cometreel.scenario.json_pointer import find
from cometreel.scenario.normalized_request import NormalizedPath
from cometreel.scenario.request_pattern import RequestPattern
from cometreel.value_copies import copy_by_constructor

__all__ = ["PreparedScenario", "RecordedNumbers", "numbers_of"]


class PreparedScenario:
    """The lookup tables of one scenario.

    `previous` are those of the scenario before exchanges were added to it or removed from it. Only the added ones are
    indexed then.
    """

    def __init__(self, scenario: CompiledScenario, previous: PreparedScenario | None = None) -> None:
        self.scenario = scenario
        self._groups = {group.number: group for group in scenario.groups}
        self.similar: SimilarGroupsByPlace = previous.similar if previous else SimilarGroupsByPlace(scenario.groups)
        """The groups that were indexed first, with those that were removed since."""
        self._added = SimilarGroupsByPlace([group for group in scenario.groups if group.number not in self.similar])
        self._since = _by_anchor(scenario.timeline, lambda entry: _with_roles((entry.since,), entry))
        self._until = _by_anchor(scenario.timeline, lambda entry: _with_roles(entry.until, entry))
        anchors = [name for entry in scenario.timeline for name in (entry.since, *entry.until)]
        self.anchors: dict[Anchor, None] = dict.fromkeys(anchors)
        """Everything that a timeline entry starts or ends with, in the order of the scenario."""
        self._subscriptions = _by_subscription(self.anchors)
        self.numbers: dict[int, RecordedNumbers] = {}
        """The reference numbers of the exchanges that were played, by index; `recorded_numbers` adds those of one."""
        self.static_responses: dict[int, StaticResponse] = {}
        """The static responses of the exchanges that were played, by index; `static_response` adds one."""

    def static_response(self, exchange: Exchange) -> StaticResponse:
        """Create the static response of an exchange that is played for the first time."""
        static = self.static_responses[exchange.index] = static_response_of(exchange, self.scenario.profile)
        return static

    def recorded_numbers(self, exchange: Exchange) -> RecordedNumbers:
        """Find the reference numbers of an exchange that is played for the first time."""
        numbers = self.numbers[exchange.index] = numbers_of(exchange, self.scenario.profile)
        return numbers

    def similar_groups(self, normalized: RequestOrPublish) -> list[ExchangeGroup]:
        """Return the most similar groups with the same path or channel as a request, or of all if there are none."""
        tables = (self._added, self.similar)
        at_place = self._current(group for table in tables for group in table.find_at_place(normalized))
        return at_place or self._current(group for table in tables for group in table.find(normalized))

    def _current(self, groups: Iterable[ExchangeGroup]) -> list[ExchangeGroup]:
        """Return at most `MOST` groups as they are now, without those that were removed."""
        current = (self._groups.get(group.number) for group in groups)
        return list(islice((group for group in current if group is not None), MOST))

    def has_path(self, path: NormalizedPath) -> bool:
        """True if an exchange has this path, whatever the rest of its request is."""
        patterns = (group.exchanges[0].trigger for group in self.scenario.groups)
        return any(isinstance(pattern, RequestPattern) and pattern.accepts_path(path) for pattern in patterns)

    def entries_since(self, anchor: Anchor, role: str | None) -> list[TimelineEntry]:
        """Return the timeline entries that start with this anchor in a session of this role."""
        return _for_role(self._since, anchor, role)

    def subscription_anchors(self, kind: SubscriptionKind, subscription: str) -> list[SubscriptionAnchor]:
        """Return the anchors of a client's subscription: those of its channel, and of the channels that it covers."""
        return self._subscriptions.get((kind, subscription), [])

    def entries_until(self, anchor: Anchor, role: str | None) -> list[TimelineEntry]:
        """Return the timeline entries that end with this anchor in a session of this role."""
        return _for_role(self._until, anchor, role)


@dataclass(frozen=True, slots=True)
class RecordedNumbers:
    """The recorded reference numbers of one exchange, those of the reply first.

    `templated` is true if a template uses `ref`.
    """

    recorded: tuple[int, ...]
    templated: bool


def numbers_of(exchange: Exchange, profile: Profile) -> RecordedNumbers:
    """Return the reference numbers of an exchange at the places that the correlation profile names."""
    found: list[int] = []
    if isinstance(exchange.reply, ReplySpec):
        body = literal_of(exchange.reply.body)
        maps = [mapping for pointer in profile.map for _, mapping in find(body, pointer)]
        found = [*_at(body, profile.reply), *(number for mapping in maps for number in _at(mapping, ("/*",)))]
    for event in exchange.events:
        found += _at(literal_of(event.data), profile.event)
    specs = [*exchange.events] if exchange.reply is None else [exchange.reply, *exchange.events]
    return RecordedNumbers(tuple(dict.fromkeys(found)), any(reads(spec, "ref") for spec in specs))


def _at(document: JSON, pointers: Iterable[str]) -> Iterator[int]:
    for pointer in pointers:
        for _, value in find(document, pointer):
            if isinstance(value, int) and not isinstance(value, bool):
                yield value


Anchors: TypeAlias = "Mapping[tuple[Anchor, str | None], Sequence[TimelineEntry]]"


def _by_anchor(
    entries: Iterable[TimelineEntry], keys: Callable[[TimelineEntry], Iterable[tuple[Anchor, str | None]]]
) -> Anchors:
    found: defaultdict[tuple[Anchor, str | None], list[TimelineEntry]] = defaultdict(list)
    for entry in entries:
        for key in keys(entry):
            found[key].append(entry)
    return dict(found)


def _by_subscription(anchors: Iterable[Anchor]) -> dict[tuple[SubscriptionKind, str], list[SubscriptionAnchor]]:
    found: defaultdict[tuple[SubscriptionKind, str], list[SubscriptionAnchor]] = defaultdict(list)
    for anchor in anchors:
        if isinstance(anchor, SubscriptionAnchor):
            for name in (anchor.channel, *patterns_of(anchor.channel)):
                found[anchor.kind, name].append(anchor)
    return dict(found)


def _with_roles(anchors: Iterable[Anchor], entry: TimelineEntry) -> list[tuple[Anchor, str | None]]:
    roles: list[str | None] = [*sorted(entry.roles)] if entry.roles else [None]
    return [(anchor, role) for anchor in anchors for role in roles]


def _for_role(anchors: Anchors, anchor: Anchor, role: str | None) -> list[TimelineEntry]:
    found = [*anchors.get((anchor, None), ())]
    if role is not None:
        found += anchors.get((anchor, role), ())
    return found


copy_by_constructor(__name__)
