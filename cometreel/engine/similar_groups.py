"""Finds the exchanges that are worth comparing with an unmatched request, without comparing all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias

from cometreel.jsonvalue import JSON, hashable
from cometreel.scenario import NormalizedPublish, NormalizedRequest, RequestOrPublish
from cometreel.scenario.exchange import ExchangeGroup
from cometreel.scenario.matchers import Literal, Matcher, ObjectOf
from cometreel.scenario.normalized_request import as_get, form_of
from cometreel.scenario.request_pattern import ExactPath, FormBody, JsonBody, PublishPattern, RequestPattern, Trigger

__all__ = ["MOST", "SimilarGroupsByPlace"]

MOST = 120
"""The maximum number of groups that are compared with one request."""

_PER_FEATURE = 40
_SimilarityFeature: TypeAlias = tuple[str, str, Hashable]
"""A part of a request (`body`, `query`, …), a name in it, and its value."""


class SimilarGroups:
    """Some groups, by the features of their requests: the method, the path, and the members of query and body.

    At most 40 groups are kept for each feature, so a value that few requests have finds them among any number.
    """

    def __init__(self, groups: Sequence[ExchangeGroup]) -> None:
        self._groups = groups
        self._by_feature: dict[_SimilarityFeature, list[int]] = {}
        for place, group in enumerate(groups) if len(groups) > MOST else ():
            for feature in _features_of_pattern(group):
                found = self._by_feature.setdefault(feature, [])
                if len(found) < _PER_FEATURE:
                    found.append(place)

    def find(self, request: RequestOrPublish) -> list[ExchangeGroup]:
        """Return at most `MOST` groups, in the order of the file: those with the most equal features."""
        if len(self._groups) <= MOST:
            return list(self._groups)
        shared: Counter[int] = Counter()
        for feature in _features_of_request(request):
            places = self._by_feature.get(feature, ())
            rare = len(places) < _PER_FEATURE
            shared.update(dict.fromkeys(places, _PER_FEATURE if rare else 1))
        chosen = dict.fromkeys(place for place, _ in shared.most_common(MOST))
        for place in range(MOST):
            if len(chosen) < MOST:
                chosen.setdefault(place)
        return [self._groups[place] for place in sorted(chosen)]


class SimilarGroupsByPlace:
    """Some groups, by their literal path or channel; `SimilarGroups` of each place, and of all."""

    def __init__(self, groups: Sequence[ExchangeGroup]) -> None:
        at: defaultdict[Hashable, list[ExchangeGroup]] = defaultdict(list)
        for group in groups:
            at[_literal_place(group.exchanges[0].trigger)].append(group)
        self._at = {place: SimilarGroups(members) for place, members in at.items()}
        self._all = SimilarGroups(groups)
        self._numbers = {group.number for group in groups}

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def find_at_place(self, request: RequestOrPublish) -> list[ExchangeGroup]:
        """Return the most similar groups with the path or channel of a request."""
        place = request.path.segments if isinstance(request, NormalizedRequest) else request.channel
        return self._at[place].find(request) if place in self._at else []

    def find(self, request: RequestOrPublish) -> list[ExchangeGroup]:
        """Return the most similar of all groups."""
        return self._all.find(request)


def _literal_place(trigger: Trigger) -> Hashable:
    """Return the literal path or channel of a trigger, or None."""
    if isinstance(trigger, RequestPattern):
        return trigger.path.path.segments if isinstance(trigger.path, ExactPath) else None
    return str(trigger.channel.value) if isinstance(trigger.channel, Literal) else None


def _features_of_pattern(group: ExchangeGroup) -> Iterator[_SimilarityFeature]:
    trigger = group.exchanges[0].trigger
    if isinstance(trigger, PublishPattern):
        yield from _members("data", _literals(trigger.data))
        return
    assert isinstance(trigger, RequestPattern)
    yield "method", "", trigger.method
    if isinstance(trigger.path, ExactPath):
        yield from (("path", "", segment) for segment in dict.fromkeys(trigger.path.path.segments))
    yield from _members("query", _literals(trigger.query))
    if isinstance(trigger.body, JsonBody):
        yield from _members("body", _literals(trigger.body.matcher))
    elif isinstance(trigger.body, FormBody):
        yield from _members("form", _literals(trigger.body.matcher))


def _literals(matcher: Matcher) -> Mapping[str, JSON]:
    if isinstance(matcher, Literal):
        return matcher.value if isinstance(matcher.value, dict) else {}
    members = matcher.members.items() if isinstance(matcher, ObjectOf) else ()
    return {key: member.value for key, member in members if isinstance(member, Literal)}


def _features_of_request(request: RequestOrPublish) -> Iterator[_SimilarityFeature]:
    if isinstance(request, NormalizedPublish):
        yield from _members("data", request.compared)
        return
    request = as_get(request) if request.method == "HEAD" else request
    yield "method", "", request.method
    yield from (("path", "", segment) for segment in dict.fromkeys(request.path.segments))
    yield from _members("query", request.query)
    if request.is_json:
        yield from _members("body", request.compared)
    elif request.content:
        yield from _members("form", form_of(request.content))


def _members(part: str, value: object) -> Iterator[_SimilarityFeature]:
    """Yield the members that aren't objects or lists."""
    for key, member in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(member, dict | list):
            yield part, key, hashable(member)
