"""Prints a plan that breaks a promise as a unit test that can be pasted, with what happened as a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest

from cometreel.wire import Frame, Reply
from tests.simulation.history import Delivered, Emitted, FrameSent, HistoryEntry, Lost, Sent
from tests.simulation.plan import START, Plan, Short
from tests.simulation.world import World

_MAX_LINES = 40
_WIDTH = 110
_NAMES = {
    "tests.simulation.plan": (
        *("Answer", "ClientPlan", "Operation", "Options", "Plan", "PlannedEntry", "PlannedEvent", "PlannedFault"),
        "Step",
    ),
    "tests.simulation.load_ledger": ("LoadPlan",),
    "tests.simulation.load_server": ("ServerHabits",),
}
"""The names that a plan may contain, by their module."""


def transcript(plan: Short, seed: int, check: Callable[..., list[str]], **arguments: object) -> str:
    """Return the source of a test that fails while the check finds something in the plan, with these arguments."""
    name = type(plan).__name__
    lines = [f"def test_seed_{seed}() -> None:"]
    lines += [f"    # {each}"[:_WIDTH] for each in check(plan, **arguments)]
    lines += [f"    plan = {name}("]
    for field in fields(plan):  # type: ignore[arg-type]  # each subclass is a dataclass
        lines += _argument(field, getattr(plan, field.name))
    given = ", ".join(["plan", *(f"{key}={value!r}" for key, value in arguments.items())])
    lines += ["    )", f"    assert {check.__name__}({given}) == []"]
    source = "\n".join(lines) + "\n"
    used = {**_NAMES, check.__module__: (*_NAMES.get(check.__module__, ()), check.__name__)}
    called = {*re.findall(r"\w+(?=\()", source)}
    found = {module: [each for each in names if each in called] for module, names in sorted(used.items())}
    imports = [f"from {module} import {', '.join(names)}\n" for module, names in found.items() if names]
    return "".join([*imports, "\n\n", source])


def _argument(field: Field[object], value: object) -> list[str]:
    if value == (field.default if field.default_factory is MISSING else field.default_factory()):
        return []
    if not isinstance(value, tuple):
        return [f"        {field.name}={value!r},"]
    return [f"        {field.name}=(", *[f"            {each!r}," for each in value], "        ),"]


def pasted(source: str) -> Callable[[], None]:
    """Return the test in the source of a transcript, as if it were pasted into a test file."""
    names: dict[str, Any] = {}
    exec(source, names)
    test: Callable[[], None] = next(each for name, each in names.items() if name.startswith("test_"))
    return test


def check_printed(source: str, patch: pytest.MonkeyPatch) -> None:
    """Check that a printed test has at most ten steps, fails with the fault that is planted, and passes without it."""
    assert 1 <= source.count(" Step(") <= 10
    test = pasted(source)
    with pytest.raises(AssertionError):
        test()
    patch.undo()
    test()


def conversation(plan: Plan) -> list[str]:
    """Return what clients and servers send in a run, a line for each; at most 40 lines."""
    world = World(plan)
    try:
        world.play()
    except Exception as error:  # noqa: BLE001  # the failure is part of the conversation
        return [*_lines(world.history), f"{type(error).__name__}: {error}"][-_MAX_LINES:]
    return [*_lines(world.history)][:_MAX_LINES]


def _lines(history: Iterable[HistoryEntry]) -> Iterable[str]:
    for entry in history:
        text = _line(entry)
        if text:
            yield f"{entry.at - START:10.6f}  {text}"[:_WIDTH]


def _line(entry: HistoryEntry) -> str:
    if isinstance(entry, Sent):
        messages = ", ".join(str(each["channel"]) for each in entry.meaning.messages)
        about = messages or entry.request.body.decode()
        return f"{entry.client} sends {entry.request.id}: {entry.request.method} {entry.request.path} {about}"
    if isinstance(entry, FrameSent):
        channels = ", ".join(str(each["channel"]) for each in entry.meaning.messages)
        return f"{entry.client} sends on {entry.request_id}: {channels}"
    if isinstance(entry, Emitted):
        output = entry.output
        content = output.body if isinstance(output, Reply) else output.text if isinstance(output, Frame) else ""
        status = f" {output.status}" if isinstance(output, Reply) else ""
        return f"  {type(output).__name__} {output.request_id}{status} {content!s}"
    if isinstance(entry, Delivered):
        return f"    {entry.client} receives {entry.request_id}" if not isinstance(entry.content, dict) else ""
    if isinstance(entry, Lost):
        return f"    {entry.client} loses {entry.request_id}"
    return f"{type(entry).__name__} {json.dumps(entry[2:])}"
