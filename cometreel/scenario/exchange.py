"""The compiled scenario: exchanges, the index that finds them, timeline entries."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from cometreel.jsonvalue import JSON, hashable
from cometreel.scenario.matchers import Literal, Matcher, ObjectOf
from cometreel.scenario.normalized_request import (
    NormalizedPublish,
    NormalizedRequest,
    RequestKey,
    RequestOrPublish,
    normalize_publish,
    normalize_request,
)
from cometreel.scenario.profiles import Profile
from cometreel.scenario.request_pattern import (
    BytesBody,
    ExactPath,
    FormBody,
    JsonBody,
    Match,
    Mismatch,
    PublishPattern,
    RequestPattern,
    Segments,
    Trigger,
    match,
)
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Request

from .compiled import Anchor, BayeuxSection, Fault, Position, Repeat, Role, SessionSection, SettingsSection
from .specs import EventSpec, PublishReplySpec, ReplySpec

__all__ = ["CompiledScenario", "Exchange", "ExchangeGroup", "ExchangeIndex", "TimelineEntry"]


Feature: TypeAlias = tuple[str, ...]
"""The location of a feature: `("method",)`, `("segment", "2")`, `("body", "operationName")`."""

_MAX_DEPTH = 2
_ABSENT = ("absent",)
_NOT_INDEXED = ("other",)
_CACHE_SIZE = 4096
"""The number of requests whose groups are cached, for each scenario."""
_NO_CAPTURES = Match({}, {}, {})


@dataclass(slots=True, unsafe_hash=True)
class Exchange:
    """One exchange. `index` is its position in the scenario; exchanges with equal patterns share a `group` number.

    Empty `roles` match every session; `authenticated` None matches both. `after` and `before` are guards: names of
    exchanges. Without a `reply`, the reply to an HTTP request is 200 with no body, that to a publish is the default.
    """

    index: int
    name: str
    trigger: Trigger
    roles: frozenset[str]
    authenticated: bool | None
    after: tuple[str, ...]
    before: tuple[str, ...]
    reply: ReplySpec | PublishReplySpec | None
    events: tuple[EventSpec, ...]
    repeat: Repeat | None
    group: int
    position: Position

    def match(self, request: RequestOrPublish, ids: Mapping[str, JSON]) -> Match | Mismatch:
        """Compare a request with the pattern; `ids` are the current `$id` bindings of the session."""
        return match(self.trigger, request, ids)


@dataclass(slots=True, unsafe_hash=True)
class ExchangeGroup:
    """Exchanges with equal triggers, roles and guards, in the order in which a session plays them.

    `repeat` is that of the last exchange: what happens when all were played, None for the default.
    """

    number: int
    exchanges: tuple[Exchange, ...]
    repeat: Repeat | None

    def may_be_played_by(self, role: str) -> bool:
        """True if sessions of this role can play the exchanges."""
        roles = self.exchanges[0].roles
        return not roles or role in roles

    def match(self, request: RequestOrPublish, ids: Mapping[str, JSON]) -> Match | Mismatch:
        """Compare a request with the common pattern."""
        return self.exchanges[0].match(request, ids)

    def without(self, names: Collection[str]) -> ExchangeGroup | None:
        """Return the group without the exchanges of these names; None if no exchange is left."""
        rest = tuple(exchange for exchange in self.exchanges if exchange.name not in names)
        if len(rest) == len(self.exchanges):
            return self
        return ExchangeGroup(self.number, rest, rest[-1].repeat) if rest else None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An unsolicited notification.

    It starts with the first `since` in a session (an exchange name, a step of a CometD client such as `handshake`, or
    the subscription to a channel) and ends with one of `until`.
    """

    index: int
    roles: frozenset[str]
    since: Anchor
    until: tuple[Anchor, ...]
    event: EventSpec
    position: Position


class _Bucket:
    """Several groups with equal features, by role."""

    __slots__ = ("_all", "_of_role", "_without_role")

    def __init__(self) -> None:
        self._all: list[ExchangeGroup] = []
        self._without_role: list[ExchangeGroup] = []
        self._of_role: dict[str, list[ExchangeGroup]] = {}

    def add(self, group: ExchangeGroup) -> None:
        roles = group.exchanges[0].roles
        self._all.append(group)
        if not roles:
            self._without_role.append(group)
        for role in roles:
            self._of_role.setdefault(role, []).append(group)

    def without(self, names: Collection[str]) -> _Bucket | None:
        """Return a copy without the exchanges of these names; None if no exchange is left."""
        bucket = _Bucket()
        for group in self._all:
            rest = group.without(names)
            if rest is not None:
                bucket.add(rest)
        return bucket if bucket._all else None

    def groups(self, role: str | None) -> list[ExchangeGroup]:
        """Return the groups that a role may play; all groups if the role is None."""
        return self._all if role is None else [*self._without_role, *self._of_role.get(role, ())]


_Shapes: TypeAlias = "dict[tuple[Feature, ...], dict[int, ExchangeGroup | _Bucket]]"


def _added(group: ExchangeGroup, before: ExchangeGroup | _Bucket | None) -> ExchangeGroup | _Bucket:
    """Return the groups of `before` and one more; a single group needs no bucket."""
    if before is None:
        return group
    if isinstance(before, ExchangeGroup):
        first, before = before, _Bucket()
        before.add(first)
    before.add(group)
    return before


class ExchangeIndex:
    """Finds the groups of exchanges that may match a request.

    Each pattern fixes some features of a request, such as the method, the path, or members of the query and the body.
    The set of these features is the shape of the pattern; one dictionary per shape maps the hash of their values to
    groups. A scenario has few shapes, so the cost of a lookup doesn't grow with the scenario.
    """

    def __init__(self, groups: Sequence[ExchangeGroup], shapes: _Shapes | None = None) -> None:
        self._shapes: _Shapes = {} if shapes is None else shapes
        for group in groups:
            shape, values = _shape_and_values(group)
            table = self._shapes.setdefault(shape, {})
            table[values] = _added(group, table.get(values))
        self._cache: dict[tuple[RequestKey, str | None], tuple[tuple[ExchangeGroup, Match | None], ...]] = {}

    def with_groups(self, groups: Sequence[ExchangeGroup]) -> ExchangeIndex:
        """Return an index that has these groups too."""
        return ExchangeIndex(groups, self._with_copies(groups, ()))

    def without(self, groups: Sequence[ExchangeGroup], names: Collection[str]) -> ExchangeIndex:
        """Return an index without the exchanges of these names, which are in these groups."""
        return ExchangeIndex((), self._with_copies(groups, names))

    def _with_copies(self, groups: Sequence[ExchangeGroup], names: Collection[str]) -> _Shapes:
        """Return the buckets, those of these groups as copies without some exchanges."""
        shapes = {shape: dict(table) for shape, table in self._shapes.items()}
        for shape, values in set(map(_shape_and_values, groups)):
            table = shapes.setdefault(shape, {})
            found = table.get(values)
            rest = None if found is None else found.without(names)
            if rest is not None:
                table[values] = rest
            elif found is not None:
                del table[values]
        return shapes

    def groups(self, request: RequestOrPublish, role: str | None = None) -> tuple[ExchangeGroup, ...]:
        """Return the groups that may match, in file order of their first exchange; the same spelling of `/me` first.

        With a role, only those that it may play, so that the cost doesn't grow with the number of roles.
        """
        features: dict[Feature, Hashable] = {}
        found: list[ExchangeGroup] = []
        for shape, table in self._shapes.items():
            for feature in shape:
                if feature not in features:
                    features[feature] = _feature_of_request(feature, request)
            bucket = table.get(hash(tuple(features[feature] for feature in shape)))
            if isinstance(bucket, _Bucket):
                found.extend(bucket.groups(role))
            elif bucket is not None and (role is None or bucket.may_be_played_by(role)):
                found.append(bucket)
        if len(found) > 1:
            found.sort(key=lambda group: (_has_other_spelling(group, request), group.number))
        return tuple(found)

    def answers(
        self, request: RequestOrPublish, role: str | None = None
    ) -> tuple[tuple[ExchangeGroup, Match | None], ...]:
        """Return the groups with their match, if it depends only on the request; cached for repeated requests."""
        key = request.key if isinstance(request, NormalizedRequest) else None
        if key is None:
            return tuple((group, None) for group in self.groups(request, role))
        found = self._cache.get((key, role))
        if found is None:
            found = tuple(
                (group, _NO_CAPTURES if _is_exact(group) else None)
                for group in self.groups(request, role)
                if not _is_exact(group) or isinstance(group.match(request, {}), Match)
            )
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key, role] = found
        return found


@dataclass(frozen=True, slots=True)
class CompiledScenario:
    """One or several scenario files, checked and linked.

    `highest_ref` is the largest reference number in it, 0 if there is none. `ignore` are JSON Pointers into reply
    bodies and event data, as in a profile's `volatile`: values that may differ between servers or days, which `verify`
    doesn't compare. Replay doesn't use them. `ids` are the names of the `$id` markers in requests.

    `exchanges` are in the order of the files; those added later follow. `groups` are in the order in which they are
    tried: those added last come first, with negative numbers. `lowest_group` is the lowest number so far, which keeps
    the number of a removed group from being used again.
    """

    title: str
    files: tuple[Path, ...]
    bayeux: BayeuxSection
    session: SessionSection
    settings: SettingsSection
    profile: Profile
    roles: Mapping[str, Role]
    exchanges: tuple[Exchange, ...]
    groups: tuple[ExchangeGroup, ...]
    timeline: tuple[TimelineEntry, ...]
    faults: tuple[Fault, ...]
    recorded: datetime | None
    highest_ref: int
    index: ExchangeIndex
    by_name: Mapping[str, Exchange]
    ignore: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()
    lowest_group: int = 0

    def unassigned_roles(self) -> frozenset[str]:
        """Return the roles that no login, request or timeline entry assigns: without user and id, and in no `as`."""
        used = {role for exchange in self.exchanges for role in exchange.roles}
        used |= {role for entry in self.timeline for role in entry.roles}
        return frozenset(role.name for role in self.roles.values() if not (role.user or role.id or role.name in used))

    def normalize_request(self, request: Request) -> NormalizedRequest:
        """Normalise an HTTP request, without the ids that the clients of this scenario choose."""
        return normalize_request(request, self.profile.request)

    def normalize_publish(self, message: Mapping[str, JSON]) -> NormalizedPublish:
        """Normalise a Bayeux publish, without the ids that the clients of this scenario choose."""
        return normalize_publish(message, self.profile.request)


def _is_exact(group: ExchangeGroup) -> bool:
    """True if a match depends only on the request key: the pattern has no markers and no headers."""
    trigger = group.exchanges[0].trigger
    if not isinstance(trigger, RequestPattern) or trigger.headers or not isinstance(trigger.path, ExactPath):
        return False
    is_plain = isinstance(trigger.body, BytesBody) or (
        isinstance(trigger.body, JsonBody | FormBody) and isinstance(trigger.body.matcher, Literal)
    )
    return is_plain and isinstance(trigger.query, Literal)


def _has_other_spelling(group: ExchangeGroup, request: RequestOrPublish) -> bool:
    trigger = group.exchanges[0].trigger
    if (
        isinstance(trigger, RequestPattern)
        and isinstance(trigger.path, ExactPath)
        and isinstance(request, NormalizedRequest)
    ):
        return trigger.path.path.me != request.path.me
    return False


def _shape_and_values(group: ExchangeGroup) -> tuple[tuple[Feature, ...], int]:
    """Return the shape of the pattern of a group, and the hash of the values of its features."""
    features = dict(_features_of_pattern(group.exchanges[0].trigger))
    shape = tuple(sorted(features))
    return shape, hash(tuple(features[feature] for feature in shape))


def _features_of_pattern(trigger: Trigger) -> Iterator[tuple[Feature, Hashable]]:
    if isinstance(trigger, PublishPattern):
        if isinstance(trigger.channel, Literal):
            yield ("publish",), hashable(trigger.channel.value)
        else:
            yield ("kind",), "publish"
        yield from _features_of_matcher(("data",), trigger.data)
        return
    yield ("method",), trigger.method
    if isinstance(trigger.path, ExactPath):
        yield ("path",), trigger.path.path.segments
    elif isinstance(trigger.path, Segments):
        yield ("segments",), len(trigger.path.segments)
        for number, segment in enumerate(trigger.path.segments):
            if isinstance(segment, Literal):
                yield ("segment", str(number)), hashable(segment.value)
    yield from _features_of_matcher(("query",), trigger.query)
    if isinstance(trigger.body, JsonBody):
        yield from _features_of_matcher(("body",), trigger.body.matcher)
    elif isinstance(trigger.body, FormBody):
        yield from _features_of_matcher(("form",), trigger.body.matcher)


def _features_of_matcher(feature: Feature, matcher: Matcher) -> Iterator[tuple[Feature, Hashable]]:
    """Yield a literal as a whole, otherwise its literal members down to a small depth."""
    if isinstance(matcher, Literal):
        yield feature, hashable(matcher.value)
    elif isinstance(matcher, ObjectOf) and len(feature) <= _MAX_DEPTH:
        for key, member in matcher.members.items():
            yield from _features_of_matcher((*feature, key), member)


def _feature_of_request(feature: Feature, request: RequestOrPublish) -> Hashable:
    if isinstance(request, NormalizedPublish):
        if feature == ("publish",):
            return request.channel
        if feature == ("kind",):
            return "publish"
        return _member(request.compared, feature[1:]) if feature[0] == "data" else _NOT_INDEXED
    return _feature_of_http_request(feature, request)


def _feature_of_http_request(feature: Feature, request: NormalizedRequest) -> Hashable:
    if feature[0] == "method":
        return request.method
    if feature[0] == "path":
        return request.path.segments
    if feature[0] == "segments":
        return len(request.path.segments)
    if feature[0] == "segment":
        return request.path.segments[int(feature[1])] if int(feature[1]) < len(request.path.segments) else _ABSENT
    if feature[0] == "query":
        return _member(request.query, feature[1:])
    if feature[0] == "body":
        return _feature_of_body(feature, request)
    if feature[0] == "form":
        return _member(request.form(), feature[1:])
    return _NOT_INDEXED


def _feature_of_body(feature: Feature, request: NormalizedRequest) -> Hashable:
    if request.is_json:
        return _member(request.compared, feature[1:])
    return _ABSENT if request.content else _member({}, feature[1:])  # no body is like an empty object


def _member(value: JSON, keys: Sequence[str]) -> Hashable:
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return hashable(value)


copy_by_constructor(__name__)
