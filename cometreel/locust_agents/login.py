"""How an agent gets in: the requests of each way, in order, as a generator. It yields requests and is sent replies.

The login workload is what a desktop of version 8.5.202.96 was seen to ask, and in that order: who am I (refused, then
with credentials), what is there, start of the session, and, once CometD is up, the workbins. Answers to what only
fills a screen are not looked at: a server may lack one of them and the desktop goes on.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cometreel.errors import PeerError
from cometreel.jsonvalue import JSON, NotJSON, decode
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.request_queue import ReplyOrLoss

__all__ = [
    "END_SESSION",
    "LOGIN_MODES",
    "LoginMode",
    "LoginRefused",
    "LoginRequest",
    "LoginRequests",
    "log_in",
    "first_requests",
    "session_gone",
]

LoginMode: TypeAlias = Literal["open", "basic", "session"]
LOGIN_MODES: tuple[LoginMode, ...] = get_args(LoginMode)

_ME = "/api/v2/me?subresources=features,devices,channels"
_STATE = "/api/v2/me/?subresources=devices,calls,channels,interactions,chats"
_START: JSON = {"operationName": "StartContactCenterSession", "channels": ["multimedia"]}


class LoginRefused(PeerError):
    """The server doesn't let the agent in. The sentence is the same for all agents: a report counts it."""


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """One request of a login; `credentials` says whether it carries the agent's own."""

    target: str
    body: JSON = None
    credentials: bool = False


END_SESSION = LoginRequest("/api/v2/me", body={"operationName": "EndContactCenterSession"})
"""What must come last: it ends the HTTP session too (documented)."""

LoginRequests: TypeAlias = Generator[LoginRequest, ReplyOrLoss, str]
"""Yields requests, is sent what became of them, and returns the agent's own id, empty where no reply told it."""


def log_in(login: LoginMode) -> LoginRequests:
    """Log in and start the session of a contact centre's agent.

    :raises LoginRefused: if the server doesn't let the agent in.
    """
    if login == "open":
        return ""
    if login == "session":
        yield LoginRequest(_ME)  # refused, and good for the cookie and the CSRF token
    reply = yield LoginRequest(_ME, credentials=True)
    user_id = _user_id(_required(reply, _ME))
    yield LoginRequest("/api/v2/services?fields=*")
    yield LoginRequest("/api/v2/me/groups")
    yield LoginRequest("/api/v2/groups")
    _required((yield LoginRequest("/api/v2/me", body=_START)), "StartContactCenterSession")
    return user_id


def first_requests() -> Generator[LoginRequest, ReplyOrLoss, list[str]]:
    """Read what a desktop shows once CometD is up; return the ids of the workbins."""
    yield LoginRequest("/api/v2/diagnostics/version")
    workbins = _workbins((yield LoginRequest("/api/v2/workbins?fields=*")))
    yield LoginRequest(_STATE)
    for workbin in workbins[:2]:
        yield LoginRequest(f"/api/v2/workbins/{workbin}?subresources=*")
    if len(workbins) > 2:
        yield LoginRequest(f"/api/v2/workbins?workbinIds={','.join(workbins[2:])}&subresources=*")
    return workbins


def session_gone(reply: HttpReply) -> bool:
    """Tell whether a reply says that the HTTP session isn't there (any more): log in again."""
    return reply.status in {401, 403}


def _required(outcome: ReplyOrLoss, request_name: str) -> JSON:
    """Return the body of the reply to a step that the agent can't do without."""
    if not isinstance(outcome, HttpReply):
        raise LoginRefused(f"login: {outcome.value}")
    if 300 <= outcome.status < 400:
        raise LoginRefused(f"login: {request_name} is redirected (HTTP {outcome.status}); redirects are not followed")
    body = _json(outcome)
    code = body.get("statusCode") if isinstance(body, dict) else None
    if outcome.status in {401, 403}:
        raise LoginRefused(f"login: {request_name} is refused (HTTP {outcome.status}, statusCode {code})")
    if not 200 <= outcome.status < 300 or code not in {0, 7}:  # 7: some of several channels could be started
        raise LoginRefused(f"login: {request_name} gets HTTP {outcome.status}, statusCode {code}")
    return body


def _json(reply: HttpReply) -> JSON:
    try:
        return decode(reply.body)
    except NotJSON:
        return None


def _user_id(body: JSON) -> str:
    user = body.get("user") if isinstance(body, dict) else None
    known = user.get("id") if isinstance(user, dict) else None
    return known if isinstance(known, str) else ""


def _workbins(outcome: ReplyOrLoss) -> list[str]:
    body = _json(outcome) if isinstance(outcome, HttpReply) and outcome.status == 200 else None
    found = body.get("workbins") if isinstance(body, dict) else None
    workbins = [each.get("id") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [each for each in workbins if isinstance(each, str)]
