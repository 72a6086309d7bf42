"""The JSON of the admin API: the properties of `cometreel.engine.Control` under the same names, without secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeAlias, cast

from cometreel.engine import Call, ClientInfo, Control, FaultInfo, GivenUpEvent, SessionInfo
from cometreel.engine.clock_control import ClockControl
from cometreel.errors import FileInvalid, InputError, Problem
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.masking import masked, masked_text

__all__ = [
    "ToDatetime",
    "call_json",
    "clock_json",
    "fault_json",
    "given_up_json",
    "overview",
    "problem_json",
    "session_json",
    "settings_json",
]

LONGEST_BODY = 64 * 1024
"""The maximum length of a body; of a longer one, the beginning is shown as text."""

ToDatetime: TypeAlias = Callable[[float], datetime]
"""Converts seconds on the driver's clock to a date and time."""


def call_json(call: Call, to_datetime: ToDatetime) -> JSONObject:
    """Return the JSON of a call."""
    miss: JSONObject | None = None
    if call.miss is not None:
        miss = {"text": str(call.miss), "nearest": [near.as_json() for near in call.miss.nearest]}
    return {
        "number": call.number,
        "at": _time(to_datetime(call.at)),
        "session": call.session,
        "role": call.role,
        "user": call.user,
        "method": call.method,
        "target": masked_text(call.target),
        "body": _body(call),
        "operation": call.operation,
        "owner_type": call.owner_type,
        "owner": call.owner,
        "exchange": call.exchange,
        "status": call.status,
        "outcome": call.outcome,
        "miss": miss,
    }


def _body(call: Call) -> JSON:
    if not call.body:
        return None
    data = call.data
    if data is not None and len(call.body) <= LONGEST_BODY:
        return masked(data)
    text = call.body.decode(errors="replace") if data is None else encode(masked(data)).decode()
    return masked_text(text) if len(text) <= LONGEST_BODY else masked_text(text[:LONGEST_BODY]) + "…"


def given_up_json(event: GivenUpEvent, to_datetime: ToDatetime) -> JSONObject:
    """Return the JSON of a notification that no client gets."""
    return {
        "at": _time(to_datetime(event.at)),
        "session": event.session,
        "exchange": event.exchange,
        "entry": event.entry,
        "event": event.event,
        "call": event.call,
        "channel": masked_text(event.channel),
        "reason": event.reason,
        "remedy": event.remedy,
        "position": event.position,
    }


def session_json(session: SessionInfo, to_datetime: ToDatetime) -> JSONObject:
    """Return the JSON of a session."""
    return {
        "number": session.number,
        "kind": session.kind,
        "role": session.role,
        "user": session.user,
        "authenticated": session.authenticated,
        "started": _time(to_datetime(session.started)),
        "last_asked": _time(to_datetime(session.last_request)),
        "clients": [_client(client) for client in session.clients],
        "waiting": session.waiting,
    }


def _client(client: ClientInfo) -> JSON:
    return {
        "label": client.label,
        "transport": client.transport,
        "polls": client.polls,
        "subscriptions": [*client.subscriptions],
        "waiting": client.waiting,
    }


def fault_json(fault: FaultInfo) -> JSONObject:
    """Return the JSON of a fault."""
    return {
        "number": fault.number,
        "fault": fault.written,
        "session": fault.session,
        "position": fault.position,
    }


def settings_json(control: Control) -> JSONObject:
    """Return the JSON of the scenario and the settings."""
    scenario = control.scenario
    settings = cast(JSONObject, asdict(control.settings))
    return {
        "scenario": {
            "title": scenario.title,
            "files": [str(file) for file in scenario.files],
            "exchanges": len(scenario.exchanges),
            "roles": [*scenario.roles],
        },
        **settings,
    }


def clock_json(clock: ClockControl, to_datetime: ToDatetime) -> JSONObject:
    """Return the JSON of the clock."""
    return {"clock": clock.kind, "frozen": clock.is_frozen, "now": _time(to_datetime(clock.now))}


def overview(control: Control) -> JSONObject:
    """Return the numbers of the overview."""
    return {
        "title": control.scenario.title,
        "sessions": control.session_count,
        "held_polls": control.held_polls,
        "calls": sum(control.outcomes.values()),
        "unmatched": len(control.unmatched),
        "unplayed": len(control.unplayed),
        "given_up": len(control.given_up),
        "faults": len(control.faults),
        "speed": control.settings.speed,
    }


def problem_json(error: InputError) -> JSONObject:
    """Return all problems of an invalid request; problems of a file have their position in it."""
    if isinstance(error, FileInvalid):
        return {"problems": [_problem(problem) for problem in error.problems]}
    return {"problems": [{"text": " ".join(str(error).split())}]}


def _problem(problem: Problem) -> JSON:
    if not problem.line:
        return {"text": str(problem)}
    return {"text": str(problem), "file": problem.file, "line": problem.line, "column": problem.column}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
