"""The replay: a scenario played back to any number of live sessions, without I/O."""

from __future__ import annotations

from cometreel.replay.backend import Backend
from cometreel.replay.calls import Call, Calls
from cometreel.replay.control import Control
from cometreel.replay.control_views import ClientSeen, FaultSeen, SessionSeen
from cometreel.replay.responders import Answer, Asked, Push, Responder
from cometreel.replay.settings import Auth, Repeat, ReplaySettings, Unmatched

__all__ = [
    "Answer",
    "Asked",
    "Auth",
    "Backend",
    "Call",
    "Calls",
    "ClientSeen",
    "Control",
    "FaultSeen",
    "Push",
    "Repeat",
    "ReplaySettings",
    "Responder",
    "SessionSeen",
    "Unmatched",
]
