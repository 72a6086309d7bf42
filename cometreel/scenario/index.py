"""The index: from a question to the few groups of exchanges that may answer it.

Each trigger fixes some facts of a request: its method, its path, members of its query and body. The facts that
it fixes are its shape; one dictionary per shape maps their values to groups. A scenario has few shapes,
however many exchanges it has, so a lookup costs a few dictionary reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario.normalized_request import NormalizedPublish, NormalizedRequest, Question, RequestKey
from cometreel.scenario.request_pattern import (
    BytesBody,
    ExactPath,
    JsonBody,
    Match,
    PublishPattern,
    RequestPattern,
    Segments,
    Trigger,
)

from .exchange import Exchange, Group
from .matchers import Literal, Matcher, ObjectOf

__all__ = ["ShapeIndex"]

Fact: TypeAlias = tuple[str, ...]
"""Where a fact stands: `("method",)`, `("segment", "2")`, `("body", "operationName")`."""

_DEPTH = 2
_ABSENT = ("absent",)
_NOT_INDEXED = ("other",)
_REMEMBERED = 4096
"""How many requests the answers are remembered of, for each scenario."""
_EXACTLY = Match({}, {}, {})


def frozen(value: JSON) -> Hashable:
    """A hashable stand-in, equal exactly where the JSON values are the same: `1` is `1.0`, but isn't `true`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return frozenset((key, frozen(member)) for key, member in value.items())
    if isinstance(value, list):
        return ("list", *map(frozen, value))
    return value


class _Bucket:
    """Groups with equal facts, by the role that they are for."""

    def __init__(self) -> None:
        self._all: list[Group] = []
        self._everybody: list[Group] = []
        self._of_role: dict[str, list[Group]] = {}

    def add(self, group: Group) -> None:
        roles = group.exchanges[0].roles
        self._all.append(group)
        if not roles:
            self._everybody.append(group)
        for role in roles:
            self._of_role.setdefault(role, []).append(group)

    def groups(self, role: str | None) -> list[Group]:
        """Those that a role may play; all without a role."""
        return self._all if role is None else [*self._everybody, *self._of_role.get(role, ())]


class ShapeIndex:
    """Groups by the facts that their triggers fix."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._shapes: dict[tuple[Fact, ...], dict[tuple[Hashable, ...], _Bucket]] = {}
        for group in groups:
            facts = dict(_facts_of_trigger(group.exchanges[0].trigger))
            shape = tuple(sorted(facts))
            values = tuple(facts[fact] for fact in shape)
            self._shapes.setdefault(shape, {}).setdefault(values, _Bucket()).add(group)
        self._remembered: dict[tuple[RequestKey, str | None], tuple[tuple[Group, Match | None], ...]] = {}

    def groups(self, question: Question, role: str | None = None) -> tuple[Group, ...]:
        """The groups that may match, in file order of their first exchange; the same spelling of `/me` first.

        With a role, only those that it may play; a thousand roles that ask the same then cost what one does.
        """
        facts: dict[Fact, Hashable] = {}
        found: list[Group] = []
        for shape, table in self._shapes.items():
            for fact in shape:
                if fact not in facts:
                    facts[fact] = _fact_of_question(fact, question)
            bucket = table.get(tuple(facts[fact] for fact in shape))
            if bucket is not None:
                found.extend(bucket.groups(role))
        if len(found) > 1:
            found.sort(key=lambda group: (_spelt_otherwise(group, question), group.number))
        return tuple(found)

    def answers(self, question: Question, role: str | None = None) -> tuple[tuple[Group, Match | None], ...]:
        """The same groups, each with its match where that is known beforehand: nothing but the request decides it.

        Requests that are asked again and again are answered from memory.
        """
        asked = question.key if isinstance(question, NormalizedRequest) else None
        if asked is None:
            return tuple((group, None) for group in self.groups(question, role))
        found = self._remembered.get((asked, role))
        if found is None:
            found = tuple(
                (group, _EXACTLY if _is_exact(group) else None)
                for group in self.groups(question, role)
                if not _is_exact(group) or isinstance(group.match(question, {}), Match)
            )
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[asked, role] = found
        return found

    def candidates(self, question: Question) -> tuple[Exchange, ...]:
        """The exchanges of those groups."""
        return tuple(exchange for group in self.groups(question) for exchange in group.exchanges)


def _is_exact(group: Group) -> bool:
    """Tell whether only what was asked decides if a group matches: no marker, no header that is listed."""
    trigger = group.exchanges[0].trigger
    if not isinstance(trigger, RequestPattern) or trigger.headers or not isinstance(trigger.path, ExactPath):
        return False
    is_plain = isinstance(trigger.body, BytesBody) or (
        isinstance(trigger.body, JsonBody) and isinstance(trigger.body.matcher, Literal)
    )
    return is_plain and isinstance(trigger.query, Literal)


def _spelt_otherwise(group: Group, question: Question) -> bool:
    trigger = group.exchanges[0].trigger
    if (
        isinstance(trigger, RequestPattern)
        and isinstance(trigger.path, ExactPath)
        and isinstance(question, NormalizedRequest)
    ):
        return trigger.path.path.me != question.path.me
    return False


def _facts_of_trigger(trigger: Trigger) -> Iterator[tuple[Fact, Hashable]]:
    if isinstance(trigger, PublishPattern):
        if isinstance(trigger.channel, Literal):
            yield ("publish",), frozen(trigger.channel.value)
        else:
            yield ("kind",), "publish"
        yield from _facts_of_matcher(("data",), trigger.data)
        return
    yield ("method",), trigger.method
    if isinstance(trigger.path, ExactPath):
        yield ("path",), trigger.path.path.segments
    elif isinstance(trigger.path, Segments):
        yield ("segments",), len(trigger.path.segments)
        for number, segment in enumerate(trigger.path.segments):
            if isinstance(segment, Literal):
                yield ("segment", str(number)), frozen(segment.value)
    yield from _facts_of_matcher(("query",), trigger.query)
    if isinstance(trigger.body, JsonBody):
        yield from _facts_of_matcher(("body",), trigger.body.matcher)


def _facts_of_matcher(fact: Fact, matcher: Matcher) -> Iterator[tuple[Fact, Hashable]]:
    """A literal as a whole, else the literal members down to a small depth."""
    if isinstance(matcher, Literal):
        yield fact, frozen(matcher.value)
    elif isinstance(matcher, ObjectOf) and len(fact) <= _DEPTH:
        for key, member in matcher.members.items():
            yield from _facts_of_matcher((*fact, key), member)


def _fact_of_question(fact: Fact, question: Question) -> Hashable:
    if isinstance(question, NormalizedPublish):
        if fact == ("publish",):
            return question.channel
        if fact == ("kind",):
            return "publish"
        return _member(question.compared, fact[1:]) if fact[0] == "data" else _NOT_INDEXED
    return _fact_of_http(fact, question)


def _fact_of_http(fact: Fact, question: NormalizedRequest) -> Hashable:
    if fact[0] == "method":
        return question.method
    if fact[0] == "path":
        return question.path.segments
    if fact[0] == "segments":
        return len(question.path.segments)
    if fact[0] == "segment":
        return question.path.segments[int(fact[1])] if int(fact[1]) < len(question.path.segments) else _ABSENT
    if fact[0] == "query":
        return _member(question.query, fact[1:])
    if fact[0] == "body":
        return _member(question.compared, fact[1:]) if question.is_json else _ABSENT
    return _NOT_INDEXED


def _member(value: JSON, keys: Sequence[str]) -> Hashable:
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return frozen(value)
