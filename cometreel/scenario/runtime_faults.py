"""Reads and writes faults that are added at run time, in the syntax of the `faults:` block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import compiling
from cometreel.scenario.compiled import (
    BreakConnection,
    Delay,
    DropEvent,
    DuplicateEvent,
    EndSession,
    Fault,
    FaultAction,
    Position,
    RefuseMessage,
    SetStatus,
)
from cometreel.scenario.durations import format_duration
from cometreel.scenario.exchange import CompiledScenario
from cometreel.scenario.findings import Finding, findings_of, invalid, near
from cometreel.scenario.model import FaultBlock

__all__ = ["fault_from", "fault_written"]

_NO_POSITION = Position("", 0, 0)


def fault_from(written: Mapping[str, JSON] | FaultBlock, scenario: CompiledScenario) -> Fault:
    """Read a fault in the syntax of `faults:`, or a checked one; `drop_event` is accepted for `drop-event`.

    :raises FileInvalid: with all its problems.
    """
    block = written if isinstance(written, FaultBlock) else _checked(written)
    findings = list(_unknown(block, scenario))
    if findings:
        raise invalid("fault", findings)
    position = _NO_POSITION if block.origin is None else Position(*block.origin.position(()))
    return compiling.fault(block, len(scenario.faults), position)


def _checked(written: Mapping[str, JSON]) -> FaultBlock:
    try:
        return FaultBlock.model_validate(dict(written))
    except ValidationError as error:
        raise invalid("fault", findings_of(error)) from None


def _unknown(block: FaultBlock, scenario: CompiledScenario) -> Iterator[Finding]:
    for name in compiling.names(block.exchange):
        if name not in scenario.by_name:
            found = f"unknown exchange {name!r}"
            yield Finding(("exchange",), found, "the name of an exchange", near(name, scenario.by_name))
    for name in compiling.names(block.as_):
        if name not in scenario.roles:
            expected = ", ".join(scenario.roles) or "no role, as the scenario has none"
            yield Finding(("as",), f"unknown role {name!r}", expected, near(name, scenario.roles))


def fault_written(fault: Fault) -> JSONObject:
    """Return a fault in the syntax of `faults:`."""
    written: dict[str, JSON] = {
        "exchange": _names(fault.exchanges),
        "meta": fault.meta,
        "channel": fault.channel,
        "as": _names(fault.roles),
        "nth": fault.nth,
        "every": fault.every,
        "rate": fault.rate,
        **_action(fault.action),
    }
    return {key: value for key, value in written.items() if value is not None or key == "body"}


def _names(names: frozenset[str]) -> JSON:
    return None if not names else min(names) if len(names) == 1 else [*sorted(names)]


def _action(action: FaultAction) -> JSONObject:
    match action:
        case SetStatus():
            return _status(action)
        case Delay():
            return {"delay": format_duration(action.seconds)}
        case DropEvent():
            return {"drop-event": True if action.which is None else action.which}
        case DuplicateEvent():
            return {"duplicate-event": True if action.which is None else action.which}
        case EndSession():
            return {"disconnect": True}
        case BreakConnection():
            return {"broken": True}
        case RefuseMessage():
            return {"error": action.error, "advice": action.advice, "ext": action.ext}


def _status(action: SetStatus) -> JSONObject:
    written: JSONObject = {"status": action.status}
    if action.headers:
        written["headers"] = dict(action.headers)
    if action.content is None:
        written["body"] = action.body
    elif action.content:
        written["text"] = action.content.decode()
    return written
