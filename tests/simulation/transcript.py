"""Prints a plan that breaks a promise as a unit test that can be pasted, with what happened as a comment."""

from __future__ import annotations

import json
from collections.abc import Iterable

from cometreel.wire import Frame, Reply
from tests.simulation.history import Delivered, Emitted, FrameSent, HistoryEntry, Lost, Sent
from tests.simulation.plan import START, Options, Plan
from tests.simulation.world import World

_MAX_LINES = 40
_WIDTH = 110
_IMPORTS = """\
from tests.simulation.plan import (
    Answer, ClientPlan, Operation, Options, Plan, PlannedEntry, PlannedEvent, PlannedFault, Step
)
from tests.simulation.runs import broken_promises
"""


def transcript(plan: Plan, seed: int, broken: Iterable[str], *, repeated: bool = False) -> str:
    """Return the source of a test that fails while the plan breaks a promise, when it is `repeated` if so."""
    lines = [_IMPORTS, f"def test_seed_{seed}() -> None:"]
    lines += [f"    # {each}"[:_WIDTH] for each in broken]
    lines += ["    plan = Plan("]
    for name in ("operations", "clients", "steps", "timeline", "faults", "users", "options", "through_yaml"):
        lines += _argument(name, getattr(plan, name))
    arguments = "plan, repeated=True" if repeated else "plan"
    lines += ["    )", f"    assert broken_promises({arguments}) == []"]
    return "\n".join(lines) + "\n"


def _argument(name: str, value: object) -> list[str]:
    if value in ((), False) or value == Options():
        return []
    if not isinstance(value, tuple):
        return [f"        {name}={value!r},"]
    return [f"        {name}=(", *[f"            {each!r}," for each in value], "        ),"]


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
