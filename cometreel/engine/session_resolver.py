"""The entrance: whose request this is, who logs in with it, and which cookie its reply sets.

Decides only that; what is answered is decided elsewhere.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cometreel.bayeux import MalformedMessages, parse_messages
from cometreel.engine.play_state import References
from cometreel.engine.replay_settings import Auth
from cometreel.engine.sessions import Session, Sessions
from cometreel.jsonvalue import JSON, encode
from cometreel.wire import Headers, Reply, Request

__all__ = [
    "CSRF_HEADER",
    "Login",
    "SessionResolver",
    "announcement",
    "csrf_refusal",
    "error_reply",
    "login_of",
    "needs_token",
    "refusal",
]


class SessionResolver:
    """Lets requests in. `cookie` is the name of the session cookie, None for none; `browser_cookie` Bayeux's own."""

    def __init__(self, sessions: Sessions, cookie: str | None, browser_cookie: str, auth: Auth) -> None:
        self._sessions, self._cookie, self._browser_cookie, self._auth = sessions, cookie, browser_cookie, auth

    def known(self, request: Request, *, is_bayeux: bool) -> Session | None:
        """Find the session that a request belongs to, if there is one already."""
        cookies = request.headers.cookies()
        session = self._sessions.by_cookie(cookies.get(self._cookie)) if self._cookie else None
        session = session or self._sessions.by_browser(cookies.get(self._browser_cookie))
        if session is None and is_bayeux:
            session = self._sessions.by_clients(_client_ids(request))
        login = login_of(request.headers) if session is None else None
        return session or (self._sessions.by_user(login.user) if login is not None else None)

    def admit(
        self,
        request: Request,
        known: Session | None,
        now: float,
        references: Callable[[], References],
        on_login: Callable[[Session], None],
    ) -> tuple[Session, list[tuple[str, str]]]:
        """Bring a request into its session, a new one if it has none; return the header fields for its reply too."""
        session = known or self._sessions.open(now, references())
        self._sessions.touch(session, now)
        session.base = request.base
        login = login_of(request.headers)
        if login is not None and (not session.authenticated or login.user not in (None, session.user)):
            self._sessions.log_in(session, login.user)
            on_login(session)
        fields = announcement(request, self._sessions.token_of(session)) if self._auth == "csrf" else []
        if self._wants_cookie(request, new=known is None):
            fields.append(("Set-Cookie", f"{self._cookie}={self._sessions.cookie_of(session)}; Path=/; HttpOnly"))
        return session, fields

    def _wants_cookie(self, request: Request, *, new: bool) -> bool:
        """Tell whether a reply sets the cookie: to a session's first request, in place of a cookie gone stale, and to
        whoever is known by credentials alone, who may leave them out from now on.
        """
        if self._cookie is None:
            return False
        cookies = request.headers.cookies()
        sent, browser = cookies.get(self._cookie), cookies.get(self._browser_cookie)
        alone = sent is None and browser is None and login_of(request.headers) is not None
        return new or alone or (sent is not None and self._sessions.by_cookie(sent) is None)

    def is_locked_out(self, session: Session) -> bool:
        """Tell whether a session must log in first."""
        return self._auth != "open" and not session.authenticated

    def lacks_token(self, request: Request, session: Session) -> bool:
        """Tell whether a request must carry the session's CSRF token and doesn't."""
        wanted = needs_token(request, self._auth)
        return wanted and request.headers.get(CSRF_HEADER) != self._sessions.token_of(session)


def _client_ids(request: Request) -> Iterator[str]:
    """List the clientIds in the Bayeux messages of a request; none if it has no messages."""
    try:
        messages = parse_messages(request.body)
    except MalformedMessages:
        return
    for message in messages:
        client_id = message.get("clientId")
        if isinstance(client_id, str):
            yield client_id


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
