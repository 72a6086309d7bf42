"""The replay engine: plays one scenario to any number of live sessions, without I/O."""

from __future__ import annotations

from cometreel.engine.backend import Backend
from cometreel.engine.clock_control import AdvanceResult
from cometreel.engine.control import ClientInfo, Control, FaultInfo, SessionInfo
from cometreel.engine.given_up import GivenUpEvent
from cometreel.engine.replay_settings import Auth, Repeat, ReplaySettings, Unmatched
from cometreel.engine.request_journal import Call, Calls
from cometreel.engine.responders import Notification, Responder, ResponderRequest, Response

__all__ = [
    "AdvanceResult",
    "Auth",
    "Backend",
    "Call",
    "Calls",
    "ClientInfo",
    "Control",
    "FaultInfo",
    "GivenUpEvent",
    "Notification",
    "Repeat",
    "ReplaySettings",
    "Responder",
    "ResponderRequest",
    "Response",
    "SessionInfo",
    "Unmatched",
]
