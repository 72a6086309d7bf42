"""The rule `unreachable`: an exchange that an earlier one always answers for is never played.

Follows the engine's own order: the first group of the file that matches, may be played and has something left.
"""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.lint.issues import Issue
from cometreel.lint.lint_context import LintContext
from cometreel.scenario import Exchange, Group
from cometreel.scenario.matchers import (
    Any,
    ArrayOf,
    Capture,
    Csv,
    Literal,
    MatchContext,
    Matcher,
    ObjectOf,
    OneOf,
    Regex,
)
from cometreel.scenario.request_pattern import (
    ExactPath,
    JsonBody,
    PathText,
    PublishPattern,
    RequestPattern,
    Segments,
    TextBody,
    Trigger,
)

__all__ = ["covers", "unreachable"]


def unreachable(subject: LintContext) -> Iterator[Issue]:
    """Every exchange that can't be played."""
    default = subject.scenario.settings.repeat or "last"
    for group in subject.scenario.groups:
        blocker = next((other for other in _before(subject, group) if _blocks(other, group, default)), None)
        if blocker is None:
            continue
        first = blocker.exchanges[0]
        for exchange in group.exchanges:
            yield subject.block_of(exchange).issue(
                "unreachable",
                ("name",),
                f"{exchange.name!r} is never played: {first.name!r} answers all that it would answer",
                "a request of its own, or a place before it",
                f"the other is at {first.position}",
            )


def _before(subject: LintContext, group: Group) -> Iterator[Group]:
    """The groups that are asked before this one."""
    yield from subject.scenario.groups[: group.number]


def _blocks(other: Group, group: Group, default: str) -> bool:
    if (other.repeat or default) == "fail":  # once it is used up, the next one's turn comes
        return False
    one, late = other.exchanges[0], group.exchanges[0]
    return _whenever(one, late) and covers(one.trigger, late.trigger)


def _whenever(one: Exchange, late: Exchange) -> bool:
    """Tell whether one may be played in every session and at every time at which the late one may."""
    who = not one.roles or (late.roles and late.roles <= one.roles)
    login = one.authenticated is None or one.authenticated is late.authenticated
    return bool(who) and login and {*one.after} <= {*late.after} and {*one.before} <= {*late.before}


_KINDS = {Regex: "string", Csv: "string", ObjectOf: "object", ArrayOf: "array"}


def covers(general: Trigger, special: Trigger) -> bool:
    """Tell whether every request that `special` answers is one that `general` answers too."""
    if isinstance(general, RequestPattern) and isinstance(special, RequestPattern):
        return (
            general.method == special.method
            and _path(general, special)
            and _value(general.query, special.query)
            and _headers(general, special)
            and _body(general, special)
        )
    if isinstance(general, PublishPattern) and isinstance(special, PublishPattern):
        ext = general.ext is None or (special.ext is not None and _value(general.ext, special.ext))
        return ext and _value(general.channel, special.channel) and _value(general.data, special.data)
    return False


def _path(general: RequestPattern, special: RequestPattern) -> bool:
    one, other = general.path, special.path
    if isinstance(one, ExactPath):  # asked with `/me`, the exchange that is spelt so is preferred
        return isinstance(other, ExactPath) and one.path == other.path
    if isinstance(other, ExactPath):
        trial = MatchContext()
        one.compare(other.path, trial)
        return not trial.differences and not trial.ids
    if isinstance(one, Segments) and isinstance(other, Segments):
        return len(one.segments) == len(other.segments) and all(map(_value, one.segments, other.segments))
    return isinstance(one, PathText) and isinstance(other, PathText) and _value(one.matcher, other.matcher)


def _headers(general: RequestPattern, special: RequestPattern) -> bool:
    listed = {name.lower(): matcher for name, matcher in special.headers}
    return all(name.lower() in listed and _value(matcher, listed[name.lower()]) for name, matcher in general.headers)


def _body(general: RequestPattern, special: RequestPattern) -> bool:
    one, other = general.body, special.body
    if isinstance(one, JsonBody) and isinstance(other, JsonBody):
        return _value(one.matcher, other.matcher)
    if isinstance(one, TextBody) and isinstance(other, TextBody):
        return _value(one.matcher, other.matcher)
    return one == other


def _value(general: Matcher, special: Matcher) -> bool:
    """Compare two matchers; text that reads the same is the same."""
    if repr(general) == repr(special):
        return True
    if isinstance(special, Literal):
        trial = MatchContext()
        general.compare(special.value, "", trial)
        return not trial.differences and not trial.ids
    if isinstance(special, OneOf):
        return all(_value(general, choice) for choice in special.choices)
    if isinstance(general, OneOf):
        return any(_value(choice, special) for choice in general.choices)
    return isinstance(general, Capture) or _of_a_kind(general, special)


def _of_a_kind(general: Matcher, special: Matcher) -> bool:
    if isinstance(general, Any):
        return _kind(general, special)
    if isinstance(general, ObjectOf) and isinstance(special, ObjectOf):
        return _object(general, special)
    if isinstance(general, ArrayOf) and isinstance(special, ArrayOf):
        return len(general.items) == len(special.items) and all(map(_value, general.items, special.items))
    return False


def _kind(general: Any, special: Matcher) -> bool:
    if general.kind == "anything":
        return True
    kind = special.kind if isinstance(special, Any) else _KINDS.get(type(special))
    return kind == general.kind or (general.kind == "number" and kind == "integer")


def _object(general: ObjectOf, special: ObjectOf) -> bool:
    if special.partial and not general.partial:
        return False
    if not general.partial and general.members.keys() != special.members.keys():
        return False
    return all(
        key in special.members and _value(matcher, special.members[key]) for key, matcher in general.members.items()
    )
