"""Who is let in: logins, the refusal that GWS sends, and the CSRF token.

Reads credentials only to learn who logs in; there are no passwords in a scenario, so none is checked.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cometreel.jsonvalue import JSON, encode
from cometreel.replay.settings import Auth
from cometreel.wire import Headers, Reply, Request

__all__ = ["CSRF_HEADER", "Login", "announcement", "csrf_refusal", "error_reply", "login_of", "needs_token", "refusal"]

CSRF_HEADER = "X-CSRF-TOKEN"
"""The header under which the token is announced and wanted (GWS, CSRF protection)."""

_LOGIN_HEADERS = ("ssid", "RNSID", "x-api-key")
_CREDENTIALS = frozenset({"authorization", *(name.lower() for name in _LOGIN_HEADERS)})
_MODIFYING = frozenset({"POST", "PUT", "DELETE", "PATCH"})


@dataclass(frozen=True, slots=True)
class Login:
    """A request that carries credentials; `user` is None if they name nobody that can be read."""

    user: str | None


def login_of(headers: Headers) -> Login | None:
    """Tell who logs in with this request; None if nobody does."""
    if headers.names().isdisjoint(_CREDENTIALS):
        return None
    for field in headers.get_all("authorization"):
        scheme, _, credentials = field.strip().partition(" ")
        if scheme.lower() == "basic":
            user = _basic_user(credentials.strip())
            if user:
                return Login(user)
        elif credentials:
            return Login(None)
    oracle = headers.get("RNUSERNAME")
    if any(headers.get(name) for name in _LOGIN_HEADERS):
        return Login(oracle)
    return None


def _basic_user(credentials: str) -> str | None:
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    user, colon, _ = text.partition(":")
    return user if colon else None


def error_reply(request_id: int, status: int, code: int, message: str, **facts: JSON) -> Reply:
    """Make an error as GWS does: an HTTP status and `{"statusCode", "statusMessage"}`."""
    body = encode({"statusCode": code, "statusMessage": message, **facts})
    return Reply(request_id, status, Headers([("Content-Type", "application/json;charset=UTF-8")]), body)


def refusal(request: Request) -> Reply:
    """Refuse whoever has not logged in: 403 and statusCode 20."""
    return error_reply(request.id, 403, 20, "Access denied")


def csrf_refusal(request: Request) -> Reply:
    """Refuse a modifying request without the session's token."""
    return error_reply(request.id, 403, 3, "Missing or invalid Csrf token")


def needs_token(request: Request, auth: Auth) -> bool:
    """Tell whether this request must carry the token (Bayeux messages needn't)."""
    return auth == "csrf" and request.method.upper() in _MODIFYING


def announcement(request: Request, token: str) -> list[tuple[str, str]]:
    """The header fields that tell a client the token: on every GET."""
    if request.method.upper() != "GET":
        return []
    return [("X-CSRF-HEADER", CSRF_HEADER), (CSRF_HEADER, token)]
