"""Cometreel records and replays CometD applications: the HTTP call *and* the notification that answers it.

    with cometreel.replay("desktop.yaml", speed=0) as server:
        httpx.get(server.url + "/api/v2/me")

The names of `__all__` are the public API, with `cometreel.markers`. They are imported when they are used first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cometreel import markers
    from cometreel.engine import (
        AdvanceResult,
        Call,
        Calls,
        ClientInfo,
        FaultInfo,
        GivenUpEvent,
        Notification,
        Responder,
        ResponderRequest,
        Response,
        SessionInfo,
    )
    from cometreel.errors import (
        CometreelError,
        ExtraMissing,
        FileInvalid,
        InputError,
        OptionInvalid,
        Problem,
    )
    from cometreel.recording.recording_session import RecordingResult
    from cometreel.scenario import (
        BindBlock,
        EventBlock,
        ExchangeBlock,
        FaultBlock,
        PublishBlock,
        ReplyBlock,
        RequestBlock,
        RoleBlock,
        Scenario,
        TimelineBlock,
        WhenBlock,
    )
    from cometreel.scenario.builders import (
        bind,
        delete,
        event,
        exchange,
        fault,
        get,
        patch,
        post,
        publish,
        put,
        reply,
        request,
        role,
        timeline_entry,
        when,
    )
    from cometreel.serve.background import ServerStopped
    from cometreel.serve.recording_server import RecordingServer, record
    from cometreel.serve.replay_clock import ReplayClock
    from cometreel.serve.replay_server import ReplayServer, UnmatchedRequests, replay

__version__ = "0.1.0"

_ENGINE, _ERRORS = "cometreel.engine", "cometreel.errors"
_BUILDERS, _SCENARIO = "cometreel.scenario.builders", "cometreel.scenario"
_MODULES = {
    "AdvanceResult": _ENGINE,
    "BindBlock": _SCENARIO,
    "Call": _ENGINE,
    "Calls": _ENGINE,
    "ClientInfo": _ENGINE,
    "CometreelError": _ERRORS,
    "EventBlock": _SCENARIO,
    "ExchangeBlock": _SCENARIO,
    "ExtraMissing": _ERRORS,
    "FaultBlock": _SCENARIO,
    "FaultInfo": _ENGINE,
    "FileInvalid": _ERRORS,
    "GivenUpEvent": _ENGINE,
    "InputError": _ERRORS,
    "Notification": _ENGINE,
    "OptionInvalid": _ERRORS,
    "Problem": _ERRORS,
    "PublishBlock": _SCENARIO,
    "RecordingResult": "cometreel.recording.recording_session",
    "RecordingServer": "cometreel.serve.recording_server",
    "ReplayClock": "cometreel.serve.replay_clock",
    "ReplayServer": "cometreel.serve.replay_server",
    "ReplyBlock": _SCENARIO,
    "RequestBlock": _SCENARIO,
    "Responder": _ENGINE,
    "ResponderRequest": _ENGINE,
    "Response": _ENGINE,
    "RoleBlock": _SCENARIO,
    "Scenario": _SCENARIO,
    "ServerStopped": "cometreel.serve.background",
    "SessionInfo": _ENGINE,
    "TimelineBlock": _SCENARIO,
    "UnmatchedRequests": "cometreel.serve.replay_server",
    "WhenBlock": _SCENARIO,
    "bind": _BUILDERS,
    "delete": _BUILDERS,
    "event": _BUILDERS,
    "exchange": _BUILDERS,
    "fault": _BUILDERS,
    "get": _BUILDERS,
    "markers": "cometreel.markers",
    "patch": _BUILDERS,
    "post": _BUILDERS,
    "publish": _BUILDERS,
    "put": _BUILDERS,
    "record": "cometreel.serve.recording_server",
    "replay": "cometreel.serve.replay_server",
    "reply": _BUILDERS,
    "request": _BUILDERS,
    "role": _BUILDERS,
    "timeline_entry": _BUILDERS,
    "when": _BUILDERS,
}
"""The public names with the module that defines each."""

__all__ = [
    "AdvanceResult",
    "BindBlock",
    "Call",
    "Calls",
    "ClientInfo",
    "CometreelError",
    "EventBlock",
    "ExchangeBlock",
    "ExtraMissing",
    "FaultBlock",
    "FaultInfo",
    "FileInvalid",
    "GivenUpEvent",
    "InputError",
    "Notification",
    "OptionInvalid",
    "Problem",
    "PublishBlock",
    "RecordingResult",
    "RecordingServer",
    "ReplayClock",
    "ReplayServer",
    "ReplyBlock",
    "RequestBlock",
    "Responder",
    "ResponderRequest",
    "Response",
    "RoleBlock",
    "Scenario",
    "ServerStopped",
    "SessionInfo",
    "TimelineBlock",
    "UnmatchedRequests",
    "WhenBlock",
    "__version__",
    "bind",
    "delete",
    "event",
    "exchange",
    "fault",
    "get",
    "markers",
    "patch",
    "post",
    "publish",
    "put",
    "record",
    "replay",
    "reply",
    "request",
    "role",
    "timeline_entry",
    "when",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is used first.

    :raises AttributeError: if there is no such name.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    found: object = module if _MODULES[name] == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
