"""Correlation profiles: data that describe how an API assigns notifications to requests.

Two profiles are included (`gws-v2`, `workspace-v3`); a scenario may define or extend one.
`recording.correlation` applies them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import ValidationError

from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.durations import parse_duration
from cometreel.scenario.findings import Finding, findings_of, near, problems_of
from cometreel.scenario.model import CorrelationBlock, FallbackBlock
from cometreel.scenario.yaml_reader import read_yaml

__all__ = [
    "DETECT",
    "Fallback",
    "Profile",
    "ProfileChoice",
    "chosen_profile",
    "profile",
    "profile_names",
    "profile_of",
    "read_profile",
    "unknown_profile",
]

DETECT: Final = "detect"
"""The choice of the first included profile that explains a notification of the journal."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """How to find the request of an event that has no reference number.

    `message`: pointers into the event's data and the values they must have. `operations`: operation names of possible
    requests, empty for any. `event`: pointer into the event's data to the value that both share. `request`: the
    locations of that value in the request, in order: `path-tail`, `query:NAME` (comma-separated lists are split),
    `map-keys` (of the reply's map), `body:POINTER`.
    """

    message: Mapping[str, JSON]
    event: str
    request: tuple[str, ...]
    operations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Profile:
    """The correlation rules of one API. Every path is a JSON Pointer in which `*` matches any member.

    `reply`: in the body of an HTTP reply, the reference number that its events carry. `map`: in the reply body, objects
    from resource id to reference number. `event`: in the event's data, the reference number. `request`: in a request
    body or the data of a publish, ids that the client chooses; replay echoes them and ignores them in matching.
    `volatile`: in reply bodies and event data, values that differ each time. `window_seconds`: the longest time between
    a request and its event. `operation`: in a request body, the operation name. `owner`, `owner_type`: in a request
    body, the parts of exchange names.
    """

    name: str
    reply: tuple[str, ...] = ()
    map: tuple[str, ...] = ()
    event: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    volatile: tuple[str, ...] = ()
    window_seconds: float = 30.0
    operation: str | None = None
    owner: tuple[str, ...] = ()
    owner_type: tuple[str, ...] = ()


ProfileChoice: TypeAlias = Profile | CorrelationBlock | Literal["detect"]


def profile_names() -> list[str]:
    """Return the names of the included profiles."""
    folder = files(__package__) / "profiles"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


@lru_cache
def profile(name: str) -> Profile:
    """Return the included profile of that name.

    :raises KeyError: if there is none.
    """
    if name not in profile_names():
        raise KeyError(name)
    text = (files(__package__) / "profiles" / f"{name}.yaml").read_bytes()
    document = read_yaml(text, f"profiles/{name}.yaml")
    return profile_of(CorrelationBlock.model_validate(document.value, context={"file": True}))


def read_profile(path: Path) -> CorrelationBlock:
    """Read a profile from a file with the keys of a scenario's `correlation:` block.

    :raises FileInvalid: if it can't be read or isn't a profile, with all problems.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a correlation profile in YAML")]) from None
    document = read_yaml(text, str(path), kind="a correlation profile", first="reply: [/ticket]")
    try:
        block = CorrelationBlock.model_validate(document.value, context={"file": True})
    except ValidationError as error:
        raise FileInvalid(problems_of(findings_of(error), document)) from None
    if (finding := unknown_profile(block.extends)) is not None:
        raise FileInvalid(problems_of([finding], document))
    return block


def chosen_profile(text: str, option: str) -> ProfileChoice:
    """Return the choice of an option: `detect`, the name of an included profile, or a file.

    :raises OptionInvalid: if there is none of these.
    :raises FileInvalid: if the file isn't a profile.
    """
    names = profile_names()
    if text == DETECT:
        return DETECT
    if text in names:
        return profile(text)
    path = os.path.expanduser(text)  # noqa: PTH111  # pathlib fails if the home folder is unknown
    if os.path.isfile(path):  # noqa: PTH113  # pathlib fails for a name that is too long
        return read_profile(Path(path))
    raise OptionInvalid(option, repr(text), f"{', '.join([DETECT, *names])}, or a YAML file with a profile")


def unknown_profile(name: str | None) -> Finding | None:
    """Return a finding if no included profile has this name; None if one has, or if the name is None."""
    names = profile_names()
    if name is None or name in names:
        return None
    return Finding(("extends",), f"unknown correlation profile {name!r}", " or ".join(names), near(name, names))


def profile_of(block: CorrelationBlock) -> Profile:
    """Compile an inline profile, including the one that it extends.

    :raises KeyError: if it extends an unknown profile.
    """
    base = Profile(name="inline") if block.extends is None else profile(block.extends)

    def merged(written: list[str] | None, inherited: tuple[str, ...]) -> tuple[str, ...]:
        return inherited if written is None else tuple(written)

    return Profile(
        name=block.name or base.name,
        reply=merged(block.reply, base.reply),
        map=merged(block.map, base.map),
        event=merged(block.event, base.event),
        request=merged(block.request, base.request),
        fallback=base.fallback if block.fallback is None else tuple(map(_fallback, block.fallback)),
        volatile=merged(block.volatile, base.volatile),
        window_seconds=base.window_seconds if block.window is None else parse_duration(block.window),
        operation=block.operation or base.operation,
        owner=merged(block.owner, base.owner),
        owner_type=merged(block.owner_type, base.owner_type),
    )


def _fallback(block: FallbackBlock) -> Fallback:
    request = (block.request,) if isinstance(block.request, str) else tuple(block.request)
    return Fallback(block.message, block.event, request, frozenset(block.operations or ()))
