"""Correlation profiles: how an API says which notification answers which request, as data.

Two ship (`gws-v2`, `workspace-v3`); a scenario may also write its own, or extend one. Nothing here correlates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.durations import parse_duration
from cometreel.scenario.findings import Finding, findings_of, near, problems_of
from cometreel.scenario.model import CorrelationBlock, FallbackBlock
from cometreel.scenario.yaml_reader import read_yaml

__all__ = ["Fallback", "Profile", "profile", "profile_names", "profile_of", "read_profile", "unknown_profile"]


@dataclass(frozen=True, slots=True)
class Fallback:
    """How an event that carries no id finds its request.

    `message`: pointers into the event's data and the values they must have. `operations`: the requests'
    operation names, empty for any. `event`: pointer into the event's data to the value that both share.
    `request`: where the request has it, in order: `path-tail`, `query:NAME` (comma lists count), `map-keys` (of the
    reply's map), `body:POINTER`.
    """

    message: Mapping[str, JSON]
    event: str
    request: tuple[str, ...]
    operations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Profile:
    """The correlation rule of one API; every path is a JSON Pointer in which `*` stands for any member.

    `reply`: into the body of an HTTP reply, the id that events carry. `map`: into the reply body, objects of
    resource id to such an id. `event`: into an event's data, the same id. `request`: into a request body or a
    publish's data, ids that the client chooses; they are echoed, and ignored in matching. `volatile`: into
    reply bodies and event data, values that differ each time. `window_seconds`: how long after its request an
    event may come. `operation`: into a request body, the operation's name. `owner`, `owner_type`: into a
    request body, what names are made of.
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


def profile_names() -> list[str]:
    """The names of the profiles that ship."""
    folder = files(__package__) / "profiles"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


@lru_cache
def profile(name: str) -> Profile:
    """The shipped profile of that name.

    :raises KeyError: if there is none.
    """
    if name not in profile_names():
        raise KeyError(name)
    text = (files(__package__) / "profiles" / f"{name}.yaml").read_bytes()
    document = read_yaml(text, f"profiles/{name}.yaml")
    return profile_of(CorrelationBlock.model_validate(document.value, context={"file": True}))


def read_profile(path: Path) -> CorrelationBlock:
    """Read a profile from a file that says what a scenario says under `correlation:`.

    :raises FileInvalid: if it can't be read or isn't a profile, with all its problems.
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


def unknown_profile(name: str | None) -> Finding | None:
    """Say what is wrong with a name that no shipped profile has; None if one has it, or nothing is named."""
    known = profile_names()
    if name is None or name in known:
        return None
    return Finding(("extends",), f"no correlation profile is called {name!r}", " or ".join(known), near(name, known))


def profile_of(block: CorrelationBlock) -> Profile:
    """The profile that a block writes, on top of the one that it extends.

    :raises KeyError: if it extends a profile that doesn't ship.
    """
    base = Profile(name="inline") if block.extends is None else profile(block.extends)

    def said(written: list[str] | None, inherited: tuple[str, ...]) -> tuple[str, ...]:
        return inherited if written is None else tuple(written)

    return Profile(
        name=block.name or base.name,
        reply=said(block.reply, base.reply),
        map=said(block.map, base.map),
        event=said(block.event, base.event),
        request=said(block.request, base.request),
        fallback=base.fallback if block.fallback is None else tuple(map(_fallback, block.fallback)),
        volatile=said(block.volatile, base.volatile),
        window_seconds=base.window_seconds if block.window is None else parse_duration(block.window),
        operation=block.operation or base.operation,
        owner=said(block.owner, base.owner),
        owner_type=said(block.owner_type, base.owner_type),
    )


def _fallback(block: FallbackBlock) -> Fallback:
    request = (block.request,) if isinstance(block.request, str) else tuple(block.request)
    return Fallback(block.message, block.event, request, frozenset(block.operations or ()))
