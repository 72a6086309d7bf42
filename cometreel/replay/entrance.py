"""The entrance: whose request this is, who logs in with it, and which cookie its reply sets.

Decides only that; what is answered is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cometreel.bayeux import MalformedMessages, parse_messages
from cometreel.replay.auth import CSRF_HEADER, announcement, login_of, needs_token
from cometreel.replay.references import References
from cometreel.replay.sessions import Session, Sessions
from cometreel.replay.settings import Auth
from cometreel.wire import Request

__all__ = ["Entrance"]


class Entrance:
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
