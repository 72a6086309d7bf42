"""The rule `dangling-reference`: a notification has a reference number that its reply doesn't have.

The scenario's correlation profile defines where these numbers are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cometreel.jsonvalue import JSON, encode
from cometreel.lint.issues import Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock
from cometreel.scenario import Profile, find

__all__ = ["dangling_references"]

_RULE = "dangling-reference"


def dangling_references(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each reference number in a notification that its reply doesn't have."""
    profile = context.scenario.profile
    owners = {
        number: str(block.raw.get("name"))
        for block in context.blocks
        if block.key == "exchanges"
        for number in _reply_numbers(block, profile)
    }
    for block in context.blocks:
        if block.key == "exchanges":
            yield from _in_exchange(block, profile, owners)
        elif block.key == "timeline":
            yield from _in_timeline(block, profile, owners)


def _in_exchange(block: RawBlock, profile: Profile, owners: Mapping[str, str]) -> Iterator[Issue]:
    expected = {*_reply_numbers(block, profile), *_client_numbers(block, profile)}
    events = block.raw.get("events")
    for number, event in enumerate(events if isinstance(events, list) else ()):
        for pointer, value in _event_numbers(event, profile):
            if value not in expected:
                wanted = " or ".join(sorted(expected)) or "a reply with this number"
                path: IssuePath = ("events", number, "data", *_steps(pointer))
                found = (
                    f"the notification has reference number {value}, the reply has {'another' if expected else 'none'}"
                )
                yield block.issue(_RULE, path, found, wanted, _owner(value, owners))


def _in_timeline(block: RawBlock, profile: Profile, owners: Mapping[str, str]) -> Iterator[Issue]:
    for pointer, value in _event_numbers(block.raw, profile):
        hint = _owner(value, owners) or "no reply has this number"
        path: IssuePath = ("data", *_steps(pointer))
        found = f"an unsolicited notification has reference number {value}"
        yield block.issue(_RULE, path, found, "an event of the exchange with this number", hint, level="note")


def _owner(value: str, owners: Mapping[str, str]) -> str:
    return f"the reply of {owners[value]!r} has it" if value in owners else ""


def _reply_numbers(block: RawBlock, profile: Profile) -> Iterator[str]:
    """Yield the reference numbers in a reply as text; an array or an object may contain several."""
    reply = block.raw.get("reply")
    body = reply.get("body") if isinstance(reply, dict) else None
    yield from _literals(body, (*profile.reply, *(f"{pointer}/*" for pointer in profile.map)))


def _client_numbers(block: RawBlock, profile: Profile) -> Iterator[str]:
    """Yield the reference numbers that the client chooses."""
    request = block.raw.get("request")
    for key in ("body", "data"):
        yield from _literals(request.get(key) if isinstance(request, dict) else None, profile.request)


def _event_numbers(event: JSON, profile: Profile) -> Iterator[tuple[str, str]]:
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
