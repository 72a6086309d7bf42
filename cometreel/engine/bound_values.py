"""Bound values (`session.bind`): a reply hands out a new value to each session, and later requests carry it.

The value is looked for only at the places that the scenario names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote, unquote_plus

from cometreel.engine.rendering import ExchangeRenderer
from cometreel.engine.sessions import Session, Sessions
from cometreel.http_fields import FORM_TYPE, media_type
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import (
    Binding,
    CompiledScenario,
    Exchange,
    NormalizedRequest,
    ReplyOut,
    ReplySpec,
    RuntimeExpression,
)
from cometreel.scenario.json_pointer import escape, find, parse_pointer
from cometreel.scenario.json_pointer import replace as replace_at
from cometreel.scenario.matchers import Capture, Literal
from cometreel.scenario.normalized_request import form_of
from cometreel.scenario.request_pattern import RequestPattern, Segments
from cometreel.scenario.runtime_expressions import parameter_pattern
from cometreel.scenario.values import Fixed, Members, Value
from cometreel.wire import Request

__all__ = ["BoundValues"]


class BoundValues:
    """The bound values of one scenario. `new_value` returns a new opaque value each time."""

    def __init__(self, scenario: CompiledScenario, sessions: Sessions, new_value: Callable[[], str]) -> None:
        self._scenario, self._sessions, self._new_value = scenario, sessions, new_value
        self._rules = scenario.session.bind
        self._places = tuple(dict.fromkeys(place for rule in self._rules for place in rule.places))
        self.has_places = bool(self._places)
        """True if a request or a message can carry a value."""
        self._segments = _captured_segments(scenario) if self._rules else {}
        self.handed_out = {
            exchange.index: recorded
            for exchange in scenario.exchanges
            if self._rules and (recorded := _recorded_values(exchange.reply, self._rules))
        }
        """The rules for which the reply of an exchange can hand out a value, by the index of the exchange.

        Each with the recorded value, or None if a template renders it.
        """

    # ------------------------------------------------------------------ values that clients send back
    def in_request(self, request: Request) -> Iterator[str]:
        """Yield the values at the places of a request that the rules name."""
        if not self.has_places:
            return
        normalized = self._scenario.normalize_request(request)
        for place in self._places:
            if place.source == "request":
                yield from self._values(place, normalized)

    def in_message(self, message: JSONObject) -> Iterator[str]:
        """Yield the values at the places of a Bayeux message that the rules name."""
        for place in self._places:
            if place.source == "message":
                yield from (text for _, value in find(message, place.pointer) for text in _texts(value))

    def _values(self, place: RuntimeExpression, request: NormalizedRequest) -> Iterator[str]:
        if place.part == "path":
            for segments in self._segments.get(place.name, ()):
                yield from segments.values(request.path.segments)
        elif place.part == "query":
            yield from _texts(request.query.get(place.name))
        elif place.part == "header":
            for field in request.headers.get_all(place.name):
                yield field
                yield from field.split(" ")[1:2]  # the token of `Bearer TOKEN`
        elif request.is_json:
            yield from (text for _, value in find(request.body, place.pointer) for text in _texts(value))
        else:
            yield from _form_values(request, place.pointer)

    # ------------------------------------------------------------------ values that replies hand out
    def hand_out(self, exchange: Exchange, session: Session, renderer: ExchangeRenderer) -> ReplyOut | None:
        """Render the reply of an exchange with new values for this session in place of the recorded ones.

        The new values exist before the templates of the reply are evaluated.
        """
        rules = self.handed_out[exchange.index]
        new = {rule: self._new(rule, recorded, session) for rule, recorded in rules.items() if recorded is not None}
        reply = renderer.reply(exchange)
        if not isinstance(reply, ReplyOut):
            return None
        for rule in rules:
            reply = _with_value(reply, rule.source, partial(self._take, new, rule, session))
        return reply

    def _take(self, new: dict[Binding, JSON], rule: Binding, session: Session, recorded: JSON) -> JSON:
        """Return the new value of a rule, or a further one if it is in the reply several times."""
        return new.pop(rule) if rule in new else self._new(rule, recorded, session)

    def _new(self, rule: Binding, recorded: JSON, session: Session) -> JSON:
        """Return a new value of the session, a number for a number. A value that the session has already stays."""
        if not isinstance(recorded, str | int) or not _can_identify(recorded):
            return recorded
        if self._sessions.has_name(session, "bound", str(recorded)):
            return recorded
        text = self._new_value()
        new: str | int = int(text[:12], 16) if isinstance(recorded, int) else text
        self._sessions.add_name(session, "bound", str(new))
        session.values[rule.name] = new
        return new


def _with_value(reply: ReplyOut, source: RuntimeExpression, new: Callable[[JSON], JSON]) -> ReplyOut:
    if source.part == "header":
        return replace(reply, headers=tuple(_with_header(source, name, value, new) for name, value in reply.headers))
    return reply if reply.content is not None else replace(reply, body=replace_at(reply.body, source.pointer, new))


def _with_header(source: RuntimeExpression, name: str, value: str, new: Callable[[JSON], JSON]) -> tuple[str, str]:
    """Return a header field with a new value, or with a new value of one URL parameter."""
    if name.lower() != source.name.lower():
        return name, value
    if source.parameter is None:
        return name, str(new(value))
    found = parameter_pattern(source.parameter).search(value)
    if found is None:
        return name, value
    text = quote(str(new(unquote_plus(found[2]))), safe="")
    return name, value[: found.start(2)] + text + value[found.end(2) :]


@dataclass(frozen=True, slots=True)
class _CapturedSegment:
    """The place of a capture in a path with literal segments; None stands for any segment."""

    literals: tuple[str | None, ...]
    place: int

    def values(self, segments: Sequence[str]) -> Iterator[str]:
        """Yield the captured segment of a path, if its literal segments are the same."""
        if len(segments) == len(self.literals) and all(
            literal is None or literal == segment for literal, segment in zip(self.literals, segments, strict=True)
        ):
            yield segments[self.place]


def _captured_segments(scenario: CompiledScenario) -> dict[str, tuple[_CapturedSegment, ...]]:
    """Return where exchanges have captures in their paths, by the name of the capture."""
    found: dict[str, dict[_CapturedSegment, None]] = {}
    for group in scenario.groups:
        trigger = group.exchanges[0].trigger
        if not isinstance(trigger, RequestPattern) or not isinstance(trigger.path, Segments):
            continue
        segments = trigger.path.segments
        literals = tuple(str(one.value) if isinstance(one, Literal) else None for one in segments)
        for place, segment in enumerate(segments):
            if isinstance(segment, Capture):
                found.setdefault(segment.name, {})[_CapturedSegment(literals, place)] = None
    return {name: tuple(places) for name, places in found.items()}


def _recorded_values(reply: object, rules: Iterable[Binding]) -> dict[Binding, JSON]:
    """Return the rules whose value a reply can contain, with the recorded value; None if a template renders it."""
    if not isinstance(reply, ReplySpec):
        return {}
    found: dict[Binding, JSON] = {}
    for rule in rules:
        for value in _values_at(rule.source, reply):
            if not isinstance(value, Fixed):
                found.setdefault(rule, None)
            elif _can_identify(value.value):
                found.setdefault(rule, value.value)
    return found


def _can_identify(value: JSON) -> bool:
    """True for a text or a whole number; null in the reply to a failed login, for example, identifies nobody."""
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _values_at(source: RuntimeExpression, reply: ReplySpec) -> Iterator[Value]:
    if source.part == "body":
        if reply.body is not None:
            yield from _reachable(reply.body, parse_pointer(source.pointer))
        return
    for name, value in reply.headers:
        if name.lower() == source.name.lower():
            yield value if source.parameter is None or not isinstance(value, Fixed) else _parameter(value, source)


def _parameter(value: Fixed, source: RuntimeExpression) -> Value:
    found = parameter_pattern(source.parameter or "").search(str(value.value))
    return Fixed(None if found is None else unquote_plus(found[2]))


def _reachable(value: Value, tokens: Sequence[str]) -> Iterator[Value]:
    """Yield the values that a rendered value can have at this path; one that renders more than one as a whole."""
    if isinstance(value, Fixed):
        pointer = "".join(f"/{escape(token)}" for token in tokens)
        yield from (Fixed(found) for _, found in find(value.value, pointer))
    elif not tokens or not isinstance(value, Members):
        yield value
    else:
        named = {key.value: member for key, member in value.members if isinstance(key, Fixed)}
        if tokens[0] in named:
            yield from _reachable(named[tokens[0]], tokens[1:])
        elif tokens[0] == "*" or len(named) < len(value.members):
            yield value


def _texts(value: JSON) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str | int) and not isinstance(item, bool):
            yield str(item)


def _form_values(request: NormalizedRequest, pointer: str) -> Iterator[str]:
    """Yield the values of a field of a URL-encoded form."""
    tokens = parse_pointer(pointer)
    if len(tokens) == 1 and media_type(request.headers.get("content-type")) == FORM_TYPE:
        yield from _texts(form_of(request.content).get(tokens[0]))
