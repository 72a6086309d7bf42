"""Finds the session of a request without a valid session cookie, or starts one.

The identities are tried in the order that `identity` defines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from cometreel.engine.bound_values import BoundValues
from cometreel.engine.play_state import References
from cometreel.engine.sessions import Session, Sessions
from cometreel.identity import (
    IdentityKind,
    RequestCredentials,
    TokenHash,
    client_address,
    client_ids_of,
    credentials_of_message,
    first_known,
)
from cometreel.jsonvalue import JSONObject
from cometreel.scenario import SessionSection
from cometreel.wire import Request

__all__ = ["SessionFinder"]


class SessionFinder:
    """Finds and starts sessions for one scenario.

    `browser_cookie` is Bayeux's own cookie; `read_messages` returns the messages of a Bayeux request, none if they are
    malformed. `hashed` replaces tokens. `references` makes the reference numbers of a new session.
    """

    def __init__(
        self,
        sessions: Sessions,
        section: SessionSection,
        browser_cookie: str,
        read_messages: Callable[[Request], Sequence[JSONObject]],
        values: BoundValues,
        hashed: TokenHash,
        references: Callable[[], References],
    ) -> None:
        self._sessions, self._section, self._browser_cookie = sessions, section, browser_cookie
        self._read_messages, self._values, self._hashed = read_messages, values, hashed
        self._references = references

    # ------------------------------------------------------------------ find
    def find_or_start(
        self, request: Request, credentials: RequestCredentials | None, now: float, *, is_bayeux: bool
    ) -> tuple[Session, bool]:
        """Return the session of a request without a valid session cookie, and whether it was known."""
        if not (is_bayeux or credentials is not None or self._values.has_places or request.headers.cookies()):
            return self._start(request, None, now, is_own=False, logs_in=False), False  # it has no identity
        messages = self._read_messages(request) if is_bayeux else ()
        carried = credentials or _first_credentials(messages)
        find: dict[IdentityKind, Callable[[], Session | None]] = {
            "browser": partial(self._by_browser, request),
            "client": partial(self._sessions.by_clients, client_ids_of(messages)),
            "bound": partial(self._by_value, self._bound_values(request, messages)),
            "credentials": partial(self._by_credentials, carried),
        }
        found = first_known(find)
        if found is not None:
            return found, True
        is_own = is_bayeux and (request.websocket or any(map(_is_handshake, messages)))
        return self._start(request, carried, now, is_own=is_own, logs_in=credentials is not None), False

    def session_of_message(self, message: JSONObject, connection: Session) -> Session:
        """Return the session of a message without a clientId on a WebSocket.

        It is the session of a bound value or of credentials in it, else that of the connection.
        """
        credentials = credentials_of_message(message)
        find: dict[IdentityKind, Callable[[], Session | None]] = {
            "bound": partial(self._by_value, self._values.in_message(message)),
            "credentials": partial(self._by_credentials, credentials),
        }
        found = first_known(find)
        session = found or connection
        if found is not None and found.kind == "provisional":
            self._sessions.confirm(found)
        if credentials is not None:
            self.join(session, credentials)
        return session

    def _by_browser(self, request: Request) -> Session | None:
        found = self._sessions.by_name("browser", request.headers.cookies().get(self._browser_cookie))
        if found is not None and found.kind == "provisional":
            self._sessions.unshare_fault_counts(found, client_address(request))
        return found

    def _bound_values(self, request: Request, messages: Iterable[JSONObject]) -> Iterator[str]:
        yield from self._values.in_request(request)
        for message in messages:
            yield from self._values.in_message(message)

    def _by_value(self, values: Iterable[str]) -> Session | None:
        for value in values:
            if (session := self._sessions.by_name("bound", value)) is not None:
                self._sessions.add_name(session, "bound", value)  # the latest used is forgotten last
                return session
        return None

    def _by_credentials(self, credentials: RequestCredentials | None) -> Session | None:
        return self._sessions.by_name("credentials", self._name_of(credentials))

    def _name_of(self, credentials: RequestCredentials | None) -> str | None:
        """Return the name that credentials give to a session; None if they identify nobody."""
        if credentials is None or self._section.credentials == "ignore":
            return None
        if credentials.user is not None:
            return _user_name(credentials.user)
        return None if credentials.token is None else f"token {self._hashed(credentials.token)}"

    # ------------------------------------------------------------------ start
    def _start(
        self, request: Request, credentials: RequestCredentials | None, now: float, *, is_own: bool, logs_in: bool
    ) -> Session:
        """Start the session of a request without a known identity, or return the one that such requests share."""
        name = self._name_of(credentials)
        if self._section.cookie is None and not is_own and name is None:
            return self._anonymous(request, now, logs_in=logs_in)
        session = self._sessions.open(now, self._references())
        if name is not None:
            self._sessions.add_name(session, "credentials", name)
        else:
            self._sessions.share_fault_counts(session, client_address(request))
        return session

    def _anonymous(self, request: Request, now: float, *, logs_in: bool) -> Session:
        """Return the session of requests without identity; those that log in share another one."""
        if self._section.anonymous == "each":
            session = self._sessions.open(now, self._references(), "anonymous")
            self._sessions.share_fault_counts(session, client_address(request))
            return session
        key = client_address(request) if self._section.anonymous == "address" else ""
        return self._sessions.anonymous(f"{key} logged in" if logs_in else key, now, self._references)

    def release(self, session: Session) -> None:
        """End the session of a request that shares none, if its reply gave it no identity."""
        if self._section.anonymous == "each":
            self._sessions.discard(session)

    # ------------------------------------------------------------------ credentials
    def join(self, session: Session, credentials: RequestCredentials) -> None:
        """Let later requests with the same credentials find this session."""
        name = self._name_of(credentials)
        if name is None or self._sessions.has_name(session, "credentials", name):
            return
        if credentials.user is not None and session.user is not None and session.user != credentials.user:
            self._leave(session, session.user)
        self._sessions.add_name(session, "credentials", name)

    def log_in(self, session: Session, user: str | None) -> None:
        """Mark a session as logged in by this user."""
        session.authenticated = True
        if user is not None:
            session.user = user

    def _leave(self, session: Session, user: str) -> None:
        if self._sessions.has_name(session, "credentials", _user_name(user)):
            self._sessions.remove_name(session, "credentials", _user_name(user))


def _user_name(user: str) -> str:
    return f"user {user}"


def _first_credentials(messages: Iterable[JSONObject]) -> RequestCredentials | None:
    return next((found for message in messages if (found := credentials_of_message(message)) is not None), None)


def _is_handshake(message: JSONObject) -> bool:
    return message.get("channel") == "/meta/handshake"
