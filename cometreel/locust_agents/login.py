"""The login of an agent as a generator: it yields requests and receives their replies.

The requests and their order are those of a desktop of version 8.5.202.96: the user (refused, then with credentials),
services and groups, the start of the session and, after the CometD handshake, the workbins. Replies that a desktop only
displays are ignored, since the desktop also works if the server lacks them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from cometreel.errors import PeerError
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode
from cometreel.load.formatting import shortened
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.request_queue import ReplyOrLoss

__all__ = [
    "END_SESSION",
    "LOGIN_MODES",
    "LoginMode",
    "LoginRefused",
    "LoginRequest",
    "LoginRequests",
    "RecordedLogin",
    "first_requests",
    "log_in",
    "log_in_as_recorded",
    "session_gone",
]

LoginMode: TypeAlias = Literal["open", "basic", "session"]
LOGIN_MODES: tuple[LoginMode, ...] = get_args(LoginMode)

_ME = "/api/v2/me?subresources=features,devices,channels"
_STATE = "/api/v2/me/?subresources=devices,calls,channels,interactions,chats"
_MAX_MESSAGE = 200
_START: JSON = {"operationName": "StartContactCenterSession", "channels": ["multimedia"]}


class LoginRefused(PeerError):
    """The login failed. The message is the same for all agents, because reports count failures by text.

    `credentials` is true if the server refused the user name or password.
    """

    def __init__(self, message: str, *, credentials: bool = False) -> None:
        super().__init__(message)
        self.credentials = credentials


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """One request of a login: a GET, or a POST with a JSON body or a form.

    `credentials` is true if it contains the user's credentials as Basic authentication.
    """

    target: str
    body: JSON = field(default=None, repr=False)  # may contain a password
    credentials: bool = False
    form: JSONObject | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RecordedLogin:
    """One request of a recorded login. If its recorded reply is a refusal, any reply is accepted."""

    name: str
    request: LoginRequest
    refused: bool = False


END_SESSION = LoginRequest("/api/v2/me", body={"operationName": "EndContactCenterSession"})
"""The last request of a session. It ends the HTTP session too (documented)."""

LoginRequests: TypeAlias = Generator[LoginRequest, ReplyOrLoss, str]
"""Yields requests, receives their outcomes, and returns the agent's user id, or an empty string if it is unknown."""


def log_in(login: LoginMode) -> LoginRequests:
    """Log in and start the contact center session.

    :raises LoginRefused: if the login fails.
    """
    if login == "open":
        return ""
    if login == "session":
        yield LoginRequest(_ME)  # refused, but sets the cookie and the CSRF token
    reply = yield LoginRequest(_ME, credentials=True)
    user_id = _user_id(_required(reply, _ME))
    yield LoginRequest("/api/v2/services?fields=*")
    yield LoginRequest("/api/v2/me/groups")
    yield LoginRequest("/api/v2/groups")
    _required((yield LoginRequest("/api/v2/me", body=_START)), "StartContactCenterSession")
    return user_id


def log_in_as_recorded(login: LoginMode, requests: Sequence[RecordedLogin]) -> LoginRequests:
    """Send the requests of a recorded login, which must succeed if they did in the recording.

    If the recording doesn't show where the credentials were sent, the first request contains them.

    :raises LoginRefused: if the login fails.
    """
    user_id = ""
    with_credentials = any(each.request.credentials for each in requests)
    for number, each in enumerate(requests):
        if each.refused and login == "basic":
            continue  # each request has credentials
        credentials = each.request.credentials or (number == 0 and not with_credentials)
        outcome = yield replace(each.request, credentials=credentials)
        if not each.refused:
            user_id = user_id or _user_id(_succeeded(outcome, repr(each.name)))
    return user_id


def first_requests() -> Generator[LoginRequest, ReplyOrLoss, list[str]]:
    """Send the requests of a desktop after the CometD handshake; return the ids of the workbins."""
    yield LoginRequest("/api/v2/diagnostics/version")
    workbins = _workbins((yield LoginRequest("/api/v2/workbins?fields=*")))
    yield LoginRequest(_STATE)
    for workbin in workbins[:2]:
        yield LoginRequest(f"/api/v2/workbins/{workbin}?subresources=*")
    if len(workbins) > 2:
        yield LoginRequest(f"/api/v2/workbins?workbinIds={','.join(workbins[2:])}&subresources=*")
    return workbins


def session_gone(reply: HttpReply) -> bool:
    """Return True if the HTTP session doesn't exist any more, so that the agent must log in again."""
    return reply.status in {401, 403}


_STARTED = (0, 7)  # 7: only some of several channels were started


def _required(outcome: ReplyOrLoss, request_name: str) -> JSON:
    """Return the body of the reply to a request of GWS that must succeed."""
    if isinstance(outcome, HttpReply) and 300 <= outcome.status < 400:
        raise LoginRefused(
            f"login failed: the server redirected {request_name} (HTTP {outcome.status}); redirects are not followed"
        )
    return _succeeded(outcome, request_name, allowed=_STARTED)


def _succeeded(outcome: ReplyOrLoss, request_name: str, *, allowed: tuple[JSON, ...] = (*_STARTED, None)) -> JSON:
    """Return the body of a reply that is no error. A recorded login may be redirected, or have no statusCode."""
    if not isinstance(outcome, HttpReply):
        raise LoginRefused(f"login failed: {outcome.value}")
    body = _json(outcome)
    code = body.get("statusCode") if isinstance(body, dict) else None
    if outcome.status in {401, 403}:
        text = f"login failed: the server refused {request_name} with HTTP {outcome.status} (statusCode {code})"
        raise LoginRefused(text, credentials=True)
    if not 200 <= outcome.status < 400 or code not in allowed:
        reason = _reason(code, body)
        raise LoginRefused(f"login failed: the server answered {request_name} with HTTP {outcome.status} ({reason})")
    return body


def _reason(code: JSON, body: JSON) -> str:
    message = body.get("statusMessage") if isinstance(body, dict) else None
    text = "no statusCode" if code is None else f"statusCode {code}"
    return f"{text}: {shortened(message, _MAX_MESSAGE)}" if isinstance(message, str) and message else text


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
