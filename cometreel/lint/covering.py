"""Whether one matcher accepts everything that another accepts. In doubt the answer is no.

Knows the matchers of the format and nothing of exchanges or files.
"""

from __future__ import annotations

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

__all__ = ["covers"]

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
