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
    from cometreel.scenario import Scenario
    from cometreel.serve.background import ServerStopped
    from cometreel.serve.recording_server import RecordingServer, record
    from cometreel.serve.replay_server import ReplayServer, UnmatchedRequests, replay

__version__ = "0.1.0"

_ENGINE, _ERRORS = "cometreel.engine", "cometreel.errors"
_MODULES = {
    "Call": _ENGINE,
    "Calls": _ENGINE,
    "ClientInfo": _ENGINE,
    "CometreelError": _ERRORS,
    "ExtraMissing": _ERRORS,
    "FaultInfo": _ENGINE,
    "FileInvalid": _ERRORS,
    "GivenUpEvent": _ENGINE,
    "InputError": _ERRORS,
    "Notification": _ENGINE,
    "OptionInvalid": _ERRORS,
    "Problem": _ERRORS,
    "RecordingResult": "cometreel.recording.recording_session",
    "RecordingServer": "cometreel.serve.recording_server",
    "ReplayServer": "cometreel.serve.replay_server",
    "Responder": _ENGINE,
    "ResponderRequest": _ENGINE,
    "Response": _ENGINE,
    "Scenario": "cometreel.scenario",
    "ServerStopped": "cometreel.serve.background",
    "SessionInfo": _ENGINE,
    "UnmatchedRequests": "cometreel.serve.replay_server",
    "markers": "cometreel.markers",
    "record": "cometreel.serve.recording_server",
    "replay": "cometreel.serve.replay_server",
}
"""The public names with the module that defines each."""

__all__ = [
    "Call",
    "Calls",
    "ClientInfo",
    "CometreelError",
    "ExtraMissing",
    "FaultInfo",
    "FileInvalid",
    "GivenUpEvent",
    "InputError",
    "Notification",
    "OptionInvalid",
    "Problem",
    "RecordingResult",
    "RecordingServer",
    "ReplayServer",
    "Responder",
    "ResponderRequest",
    "Response",
    "Scenario",
    "ServerStopped",
    "SessionInfo",
    "UnmatchedRequests",
    "__version__",
    "markers",
    "record",
    "replay",
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
