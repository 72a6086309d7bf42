"""Adds the exchanges of a new recording to a scenario that doesn't answer them yet.

Existing exchanges are kept, because they may have been edited. Works on values, reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from urllib.parse import quote, urlencode

from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import (
    CompiledScenario,
    ExchangeBlock,
    Match,
    NormalizedPublish,
    NormalizedRequest,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    ScenarioBlock,
    TimelineBlock,
    WhenBlock,
)
from cometreel.scenario.field_types import Anchor, Anchors
from cometreel.scenario.value_markers import marker_of, unescaped
from cometreel.wire import Request

__all__ = ["extend_scenario"]

_EXAMPLES: Mapping[str, JSON] = {
    "number": 1.5,
    "integer": 1,
    "boolean": True,
    "object": {},
    "array": [],
    "null": None,
}
"""Example values for `{$any: KIND}`; a text for all other kinds."""


def extend_scenario(file: ScenarioBlock, scenario: CompiledScenario, recorded: ScenarioBlock) -> ScenarioBlock | None:
    """Add the recorded exchanges that `scenario`, the loaded `file`, doesn't answer; None if it answers all of them.

    References to a recorded exchange that is not added are changed to the exchange that answers its request. Names that
    exist already get a number.
    """
    answered_by = {each.name: _answered_by(each, scenario) for each in recorded.exchanges or ()}
    names = _ExtendedNames(answered_by, set(scenario.by_name))
    added = [each for each in recorded.exchanges or () if answered_by[each.name] is None]
    if not added:
        return None
    new_names = {each.name for each in added}
    timeline = [each for each in recorded.timeline or () if isinstance(each.since, str) and each.since in new_names]
    headers = _AddedHeaders(recorded.reply_headers or {}, file.reply_headers or {})
    new = [headers.exchange(names.exchange(each)) for each in added]
    update: dict[str, object] = {"exchanges": [*(file.exchanges or ()), *new]}
    if timeline:
        update["timeline"] = [*(file.timeline or ()), *map(names.timeline, timeline)]
    if recorded.roles:
        update["roles"] = {**recorded.roles, **(file.roles or {})}
    for block in ("bayeux", "correlation"):
        if getattr(file, block) is None and getattr(recorded, block) is not None:
            update[block] = getattr(recorded, block)
    return file.model_copy(update=update)


class _AddedHeaders:
    """Writes the header fields of all recorded replies into each added one, except those that `existing` has."""

    def __init__(self, recorded: Mapping[str, JSON], existing: Mapping[str, JSON]) -> None:
        self._recorded, self._existing = recorded, {name.lower(): value for name, value in existing.items()}

    def exchange(self, block: ExchangeBlock) -> ExchangeBlock:
        """Return an exchange whose reply has the recorded header fields in the extended scenario."""
        if not isinstance(block.request, RequestBlock) or not (self._recorded or self._existing):
            return block
        reply = block.reply or ReplyBlock()
        wanted = {**self._recorded, **(reply.headers or {})}
        left_out: dict[str, JSON] = {name: None for name in self._existing if name not in wanted}
        own = {name: value for name, value in wanted.items() if self._existing.get(name) != value}
        return block.model_copy(update={"reply": reply.model_copy(update={"headers": {**own, **left_out} or None})})


class _ExtendedNames:
    """Maps names of recorded exchanges to names in the extended scenario."""

    def __init__(self, answered_by: Mapping[str, str | None], used: set[str]) -> None:
        self._names: dict[str, str] = {}
        for name, existing in answered_by.items():
            self._names[name] = existing or next(free for free in _numbered(name) if free not in used)
            used.add(self._names[name])

    def exchange(self, block: ExchangeBlock) -> ExchangeBlock:
        """Return an exchange with the new names in it and its guards."""
        update: dict[str, object] = {"name": self._names[block.name]}
        if block.when is not None:
            update["when"] = WhenBlock.model_validate(
                {key: self._new_names(value) for key, value in _guards(block.when)}
            )
        return block.model_copy(update=update)

    def timeline(self, block: TimelineBlock) -> TimelineBlock:
        """Return a timeline entry with the new names in `since` and `until`."""
        update: dict[str, object] = {key: self._new_names(value) for key, value in _anchors(block)}
        return block.model_copy(update=update)

    def _new_names(self, names: Anchors | list[str]) -> Anchors:
        return [self._new_name(name) for name in names] if isinstance(names, list) else self._new_name(names)

    def _new_name(self, name: Anchor) -> Anchor:
        return self._names.get(name, name) if isinstance(name, str) else name


def _guards(when: WhenBlock) -> list[tuple[str, str | list[str]]]:
    return [(key, value) for key, value in (("after", when.after), ("before", when.before)) if value is not None]


def _anchors(block: TimelineBlock) -> list[tuple[str, Anchors]]:
    return [(key, value) for key, value in (("since", block.since), ("until", block.until)) if value is not None]


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name} {number}" for number in count(2))


def _answered_by(block: ExchangeBlock, scenario: CompiledScenario) -> str | None:
    """Return the name of the exchange that answers the request of a recorded one, or None."""
    request = _example_request(block.request, scenario)
    for group in scenario.index.groups(request):
        if isinstance(group.match(request, {}), Match):
            return group.exchanges[0].name
    return None


def _example_request(
    request: RequestBlock | PublishBlock, scenario: CompiledScenario
) -> NormalizedRequest | NormalizedPublish:
    """Return a request that a recorded pattern matches, with examples for the markers."""
    if isinstance(request, PublishBlock):
        message = {"channel": request.publish, "data": request.data, "ext": request.ext}
        return scenario.normalize_publish({key: _example(value) for key, value in message.items()})
    path = request.path
    segments = [quote(str(_example(segment)), safe="") for segment in path] if isinstance(path, list) else []
    text = "/" + "/".join(segments) if segments else str(_example(path))
    query = _example(request.query)
    pairs = list(query.items()) if isinstance(query, dict) else []
    body = b"" if "body" not in request.model_fields_set else encode(_example(request.body))
    if "form" in request.model_fields_set:
        form = _example(request.form)
        body = urlencode(form, doseq=True).encode() if isinstance(form, dict) else b""
    if request.text is not None:
        body = str(_example(request.text)).encode()
    return scenario.normalize_request(Request(0, request.method, text, urlencode(pairs, doseq=True), body=body))


def _example(value: JSON) -> JSON:
    if (marker := marker_of(value)) is not None:
        return _EXAMPLES.get(str(marker[1]), "any")
    if isinstance(value, dict):
        return {unescaped(key): _example(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_example(item) for item in value]
    return value
