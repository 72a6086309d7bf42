"""The rule `dangling-reference`: reference numbers that join nothing, by the scenario's own correlation profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cometreel.jsonvalue import JSON, encode
from cometreel.lint.issues import Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock
from cometreel.scenario import Profile, find

__all__ = ["dangling_references"]

_RULE = "dangling-reference"


def dangling_references(subject: LintContext) -> Iterator[Issue]:
    """Every number in a notification that no reply gave."""
    profile = subject.scenario.profile
    givers = {
        number: str(block.raw.get("name"))
        for block in subject.blocks
        if block.key == "exchanges"
        for number in _given(block, profile)
    }
    for block in subject.blocks:
        if block.key == "exchanges":
            yield from _in_exchange(block, profile, givers)
        elif block.key == "timeline":
            yield from _in_timeline(block, profile, givers)


def _in_exchange(block: RawBlock, profile: Profile, givers: Mapping[str, str]) -> Iterator[Issue]:
    given = {*_given(block, profile), *_chosen(block, profile)}
    events = block.raw.get("events")
    for number, event in enumerate(events if isinstance(events, list) else ()):
        for pointer, value in _carried(event, profile):
            if value not in given:
                expected = " or ".join(sorted(given)) or "a reply that gives it"
                path: IssuePath = ("events", number, "data", *_steps(pointer))
                found = f"the notification carries {value}, the reply gives {'another' if given else 'none'}"
                yield block.issue(_RULE, path, found, expected, _owner(value, givers))


def _in_timeline(block: RawBlock, profile: Profile, givers: Mapping[str, str]) -> Iterator[Issue]:
    for pointer, value in _carried(block.raw, profile):
        hint = _owner(value, givers) or "at replay no reply gives it either"
        path: IssuePath = ("data", *_steps(pointer))
        found = f"a notification that nobody asked for carries {value}"
        yield block.issue(_RULE, path, found, "an event of the exchange that gave it", hint, level="note")


def _owner(value: str, givers: Mapping[str, str]) -> str:
    return f"it is the number of {givers[value]!r}" if value in givers else ""


def _given(block: RawBlock, profile: Profile) -> Iterator[str]:
    """The numbers that a reply gives, as text; an array or an object may hold several."""
    reply = block.raw.get("reply")
    body = reply.get("body") if isinstance(reply, dict) else None
    yield from _literals(body, (*profile.reply, *(f"{pointer}/*" for pointer in profile.map)))


def _chosen(block: RawBlock, profile: Profile) -> Iterator[str]:
    """The ids that the client chose itself."""
    request = block.raw.get("request")
    for key in ("body", "data"):
        yield from _literals(request.get(key) if isinstance(request, dict) else None, profile.request)


def _carried(event: JSON, profile: Profile) -> Iterator[tuple[str, str]]:
    data = event.get("data") if isinstance(event, dict) else None
    for pointer in profile.event:
        for place, value in find(data, pointer):
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                yield place, encode(value).decode()


def _literals(document: JSON, pointers: Iterable[str]) -> Iterator[str]:
    for pointer in pointers:
        for _, value in find(document, pointer):
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                yield encode(value).decode()


def _steps(pointer: str) -> IssuePath:
    return tuple(int(step) if step.isdigit() else step for step in pointer.split("/")[1:])
