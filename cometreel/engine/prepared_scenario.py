"""The lookup tables of one scenario: static responses, reference numbers, timeline entries, similar exchanges.

Built once for each scenario that is played.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cometreel.bayeux.channels import patterns_of
from cometreel.engine.similar_groups import SimilarGroups
from cometreel.engine.static_responses import StaticResponse, literal_of, reads, static_response_of
from cometreel.jsonvalue import JSON
from cometreel.scenario import (
    Anchor,
    CompiledScenario,
    Exchange,
    NormalizedRequest,
    Profile,
    ReplySpec,
    RequestOrPublish,
    SubscriptionAnchor,
    SubscriptionKind,
    TimelineEntry,
)
from cometreel.scenario.exchange import ExchangeGroup
from cometreel.scenario.json_pointer import find
from cometreel.scenario.matchers import Literal
from cometreel.scenario.normalized_request import NormalizedPath
from cometreel.scenario.request_pattern import ExactPath, RequestPattern, Trigger

__all__ = ["PreparedScenario", "RecordedNumbers", "numbers_of"]


class PreparedScenario:
    """The lookup tables of one scenario."""

    def __init__(self, scenario: CompiledScenario) -> None:
        self.scenario = scenario
        groups_at: defaultdict[Hashable, list[ExchangeGroup]] = defaultdict(list)
        for group in scenario.groups:
            groups_at[_literal_place(group.exchanges[0].trigger)].append(group)
        self._similar_at = {place: SimilarGroups(groups) for place, groups in groups_at.items()}
        self._similar = SimilarGroups(scenario.groups)
        self._since = _by_anchor(scenario.timeline, lambda entry: _with_roles((entry.since,), entry))
        self._until = _by_anchor(scenario.timeline, lambda entry: _with_roles(entry.until, entry))
        self.anchors = {name for entry in scenario.timeline for name in (entry.since, *entry.until)}
        """Everything that a timeline entry starts or ends with."""
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
        place = normalized.path.segments if isinstance(normalized, NormalizedRequest) else normalized.channel
        return self._similar_at.get(place, self._similar).find(normalized)

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


def _literal_place(trigger: Trigger) -> Hashable:
    """Return the literal path or channel of a trigger, or None."""
    if isinstance(trigger, RequestPattern):
        return trigger.path.path.segments if isinstance(trigger.path, ExactPath) else None
    return str(trigger.channel.value) if isinstance(trigger.channel, Literal) else None


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
