"""Extending a scenario by what a new recording has and it doesn't answer yet. Plain data in, plain data out.

What the scenario answers stays as a person may have edited it; of the new recording only the rest is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from urllib.parse import quote, urlencode

from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import (
    ExchangeBlock,
    Match,
    NormalizedPublish,
    NormalizedRequest,
    PublishBlock,
    RequestBlock,
    Scenario,
    ScenarioFile,
    TimelineBlock,
    WhenBlock,
)
from cometreel.scenario.markers import marker_of, unescaped
from cometreel.wire import Request

__all__ = ["extended"]

_EXAMPLES: Mapping[str, JSON] = {
    "number": 1.5,
    "integer": 1,
    "boolean": True,
    "object": {},
    "array": [],
    "null": None,
}
"""What stands for `{$any: KIND}` when it is asked whether something answers it; a text for every other kind."""


def extended(file: ScenarioFile, scenario: Scenario, recorded: ScenarioFile) -> ScenarioFile | None:
    """Add to a file what was recorded and its `scenario` doesn't answer; None if it answers everything.

    What was recorded refers to exchanges by name: where one is left out, the name of the exchange that answers in its
    place is put there, and a name that is taken already gets a number.
    """
    answering = {each.name: _answering(each, scenario) for each in recorded.exchanges or ()}
    names = _ExtendedNames(answering, set(scenario.by_name))
    added = [each for each in recorded.exchanges or () if answering[each.name] is None]
    if not added:
        return None
    fresh = {each.name for each in added}
    timeline = [each for each in recorded.timeline or () if each.since in fresh]
    changed: dict[str, object] = {"exchanges": [*(file.exchanges or ()), *map(names.exchange, added)]}
    if timeline:
        changed["timeline"] = [*(file.timeline or ()), *map(names.timeline, timeline)]
    if recorded.roles:
        changed["roles"] = {**recorded.roles, **(file.roles or {})}
    for block in ("bayeux", "correlation"):
        if getattr(file, block) is None and getattr(recorded, block) is not None:
            changed[block] = getattr(recorded, block)
    return file.model_copy(update=changed)


class _ExtendedNames:
    """The names that exchanges of the recording have in the extended scenario."""

    def __init__(self, answering: Mapping[str, str | None], taken: set[str]) -> None:
        self._names: dict[str, str] = {}
        for name, answers in answering.items():
            self._names[name] = answers or next(free for free in _numbered(name) if free not in taken)
            taken.add(self._names[name])

    def exchange(self, block: ExchangeBlock) -> ExchangeBlock:
        """Give an exchange its name, and its guards theirs."""
        changed: dict[str, object] = {"name": self._names[block.name]}
        if block.when is not None:
            changed["when"] = WhenBlock.model_validate({key: self._all(value) for key, value in _guards(block.when)})
        return block.model_copy(update=changed)

    def timeline(self, block: TimelineBlock) -> TimelineBlock:
        """Give what a timeline entry starts and ends with its name."""
        changed: dict[str, object] = {"since": self._all(block.since)}
        if block.until is not None:
            changed["until"] = self._all(block.until)
        return block.model_copy(update=changed)

    def _all(self, names: str | list[str] | None) -> str | list[str] | None:
        if isinstance(names, list):
            return [self._names.get(name, name) for name in names]
        return names if names is None else self._names.get(names, names)


def _guards(when: WhenBlock) -> list[tuple[str, str | list[str]]]:
    return [(key, value) for key, value in (("after", when.after), ("before", when.before)) if value is not None]


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name} {number}" for number in count(2))


def _answering(block: ExchangeBlock, scenario: Scenario) -> str | None:
    """Name the exchange that answers what a recorded one answers, if there is one."""
    asked = _question(block.request, scenario)
    for group in scenario.index.groups(asked):
        if isinstance(group.match(asked, {}), Match):
            return group.exchanges[0].name
    return None


def _question(request: RequestBlock | PublishBlock, scenario: Scenario) -> NormalizedRequest | NormalizedPublish:
    """Ask what a recorded exchange was asked, with an example wherever any value would do."""
    if isinstance(request, PublishBlock):
        message = {"channel": request.publish, "data": request.data, "ext": request.ext}
        return scenario.publish_question({key: _example(value) for key, value in message.items()})
    path = request.path
    segments = [quote(str(_example(segment)), safe="") for segment in path] if isinstance(path, list) else []
    text = "/" + "/".join(segments) if segments else str(_example(path))
    query = _example(request.query)
    pairs = list(query.items()) if isinstance(query, dict) else []
    body = b"" if "body" not in request.model_fields_set else encode(_example(request.body))
    if request.text is not None:
        body = str(_example(request.text)).encode()
    return scenario.question(Request(0, request.method, text, urlencode(pairs, doseq=True), body=body))


def _example(value: JSON) -> JSON:
    if (marker := marker_of(value)) is not None:
        return _EXAMPLES.get(str(marker[1]), "any")
    if isinstance(value, dict):
        return {unescaped(key): _example(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_example(item) for item in value]
    return value
