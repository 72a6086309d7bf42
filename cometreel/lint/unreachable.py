"""The rule `unreachable`: an exchange is never played because an earlier one matches all its requests.

Follows the order of the engine: it plays the first group of the file that matches, is allowed and isn't used up.
Patterns that can't be compared reliably count as different.
"""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.lint.issues import Issue
from cometreel.lint.lint_context import LintContext
from cometreel.scenario import Exchange, ExchangeGroup
from cometreel.scenario.matchers import (
    AnyOfType,
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
    FormBody,
    JsonBody,
    PathText,
    PublishPattern,
    RequestPattern,
    Segments,
    TextBody,
    Trigger,
)

__all__ = ["covers", "unreachable"]


def unreachable(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each exchange that is never played."""
    default = context.scenario.settings.repeat or "last"
    groups = context.scenario.groups
    for group in groups:
        blocker = next((other for other in groups[: group.number] if _hides(other, group, default)), None)
        if blocker is None:
            continue
        first = blocker.exchanges[0]
        for exchange in group.exchanges:
            yield context.block_of(exchange).issue(
                "unreachable",
                ("name",),
                f"{exchange.name!r} is never played: {first.name!r} matches all its requests",
                "a different request, or a position before the other exchange",
                f"the other is at {first.position}",
            )


def _hides(other: ExchangeGroup, group: ExchangeGroup, default: str) -> bool:
    if (other.repeat or default) == "fail":  # when it is used up, the next one is played
        return False
    first, later = other.exchanges[0], group.exchanges[0]
    return _always_before(first, later) and covers(first.trigger, later.trigger)


def _always_before(first: Exchange, later: Exchange) -> bool:
    """True if the first exchange may be played in every session and at every time at which the later one may."""
    roles = not first.roles or (later.roles and later.roles <= first.roles)
    login = first.authenticated is None or first.authenticated is later.authenticated
    return bool(roles) and login and {*first.after} <= {*later.after} and {*first.before} <= {*later.before}


_KINDS = {Regex: "string", Csv: "string", ObjectOf: "object", ArrayOf: "array"}


def covers(general: Trigger, special: Trigger) -> bool:
    """True if `general` matches every request that `special` matches."""
    if isinstance(general, RequestPattern) and isinstance(special, RequestPattern):
        return (
            general.method == special.method
            and _path_covers(general, special)
            and _value_covers(general.query, special.query)
            and _headers_cover(general, special)
            and _body_covers(general, special)
        )
    if isinstance(general, PublishPattern) and isinstance(special, PublishPattern):
        ext = general.ext is None or (special.ext is not None and _value_covers(general.ext, special.ext))
        return ext and _value_covers(general.channel, special.channel) and _value_covers(general.data, special.data)
    return False


def _path_covers(general: RequestPattern, special: RequestPattern) -> bool:
    one, other = general.path, special.path
    if isinstance(one, ExactPath):  # the engine prefers the same spelling of `/me`
        return isinstance(other, ExactPath) and one.path == other.path
    if isinstance(other, ExactPath):
        context = MatchContext()
        one.compare(other.path, context)
        return not context.differences and not context.ids
    if isinstance(one, Segments) and isinstance(other, Segments):
        return len(one.segments) == len(other.segments) and all(map(_value_covers, one.segments, other.segments))
    return isinstance(one, PathText) and isinstance(other, PathText) and _value_covers(one.matcher, other.matcher)


def _headers_cover(general: RequestPattern, special: RequestPattern) -> bool:
    listed = {name.lower(): matcher for name, matcher in special.headers}
    return all(
        name.lower() in listed and _value_covers(matcher, listed[name.lower()]) for name, matcher in general.headers
    )


def _body_covers(general: RequestPattern, special: RequestPattern) -> bool:
    one, other = general.body, special.body
    if isinstance(one, JsonBody) and isinstance(other, JsonBody):
        return _value_covers(one.matcher, other.matcher)
    if isinstance(one, FormBody) and isinstance(other, FormBody):
        return _value_covers(one.matcher, other.matcher)
    if isinstance(one, TextBody) and isinstance(other, TextBody):
        return _value_covers(one.matcher, other.matcher)
    return one == other


def _value_covers(general: Matcher, special: Matcher) -> bool:
    """Compare two matchers; equal texts are equal matchers."""
    if repr(general) == repr(special):
        return True
    if isinstance(special, Literal):
        context = MatchContext()
        general.compare(special.value, "", context)
        return not context.differences and not context.ids
    if isinstance(special, OneOf):
        return all(_value_covers(general, choice) for choice in special.choices)
    if isinstance(general, OneOf):
        return any(_value_covers(choice, special) for choice in general.choices)
    return isinstance(general, Capture) or _same_type(general, special)


def _same_type(general: Matcher, special: Matcher) -> bool:
    if isinstance(general, AnyOfType):
        return _any_covers(general, special)
    if isinstance(general, ObjectOf) and isinstance(special, ObjectOf):
        return _object_covers(general, special)
    if isinstance(general, ArrayOf) and isinstance(special, ArrayOf):
        return len(general.items) == len(special.items) and all(map(_value_covers, general.items, special.items))
    return False


def _any_covers(general: AnyOfType, special: Matcher) -> bool:
    if general.kind == "anything":
        return True
    kind = special.kind if isinstance(special, AnyOfType) else _KINDS.get(type(special))
    return kind == general.kind or (general.kind == "number" and kind == "integer")


def _object_covers(general: ObjectOf, special: ObjectOf) -> bool:
    if special.partial and not general.partial:
        return False
    if not general.partial and general.members.keys() != special.members.keys():
        return False
    return all(
        key in special.members and _value_covers(matcher, special.members[key])
        for key, matcher in general.members.items()
    )
