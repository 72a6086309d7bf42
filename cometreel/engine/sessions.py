"""HTTP sessions: the state of each, how a request finds its session, logins, and when a session ends.

A request belongs to the session of its session cookie, else of its Bayeux cookie, else of a clientId in its body, else
to the latest session of its user.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from cometreel.bayeux import MalformedMessages, parse_messages
from cometreel.engine.id_generator import IdGenerator
from cometreel.engine.replay_settings import Auth, Repeat
from cometreel.engine.scheduling import Ticks, TimerHandle, to_seconds, to_ticks
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSON
from cometreel.scenario import Anchor
from cometreel.wire import Headers, Request

if TYPE_CHECKING:
    from cometreel.engine.actions import Action, Notify

__all__ = [
    "CSRF_HEADER",
    "Login",
    "PlayState",
    "Playable",
    "PlayableGroup",
    "References",
    "ResolvedSession",
    "Session",
    "SessionResolver",
    "Sessions",
    "login_of",
]


class Playable(Protocol):
    """The part of an exchange that `PlayState` needs."""

    @property
    def name(self) -> str:
        """The unique name."""


AnyPlayable = TypeVar("AnyPlayable", bound=Playable)
AnyPlayable_co = TypeVar("AnyPlayable_co", bound=Playable, covariant=True)


class PlayableGroup(Protocol, Generic[AnyPlayable_co]):
    """Exchanges with equal triggers, in the order in which they are played."""

    @property
    def exchanges(self) -> Sequence[AnyPlayable_co]:
        """At least one exchange."""

    @property
    def repeat(self) -> Repeat | None:
        """The rule for a group that is used up; None for the default."""


class PlayState:
    """The exchanges that one session has played, and the position in each group of equal requests.

    It belongs to the HTTP session, so a new Bayeux handshake does not reset it.
    """

    __slots__ = ("_cursors", "_round", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """The number of plays of each exchange in this session, by name."""
        self._round: set[str] = set()
        self._cursors: dict[str, int] = {}

    def pick(self, group: PlayableGroup[AnyPlayable], repeat: Repeat) -> AnyPlayable | None:
        """Return the exchange of a group that is played next; None if all are used up.

        `repeat` is used if the group has no `repeat`. The cost doesn't depend on the length of the group.
        """
        exchanges = group.exchanges
        first = exchanges[0].name
        place = min(self._cursors.get(first, 0), len(exchanges))
        while place < len(exchanges) and exchanges[place].name in self._round:
            place += 1
        self._cursors[first] = place
        if place < len(exchanges):
            return exchanges[place]
        rule = group.repeat or repeat
        if rule == "fail":
            return None
        if rule == "last":
            return exchanges[-1]
        self._round.difference_update(exchange.name for exchange in exchanges)
        self._cursors.pop(first, None)
        return exchanges[0]

    def reset_positions(self) -> None:
        """Reset the positions in groups but keep the counts, because the scenario was replaced."""
        self._cursors.clear()

    def count(self, exchange: Playable) -> None:
        """Count a play."""
        self.counts[exchange.name] = self.counts.get(exchange.name, 0) + 1
        self._round.add(exchange.name)

    def was_played(self, name: str) -> bool:
        """True if an exchange was played at least once."""
        return name in self.counts

    def allows(self, after: Sequence[str], before: Sequence[str]) -> bool:
        """True if all of `after` and none of `before` were played in this session."""
        return all(name in self.counts for name in after) and not any(name in self.counts for name in before)


class References:
    """The reference numbers that one session has used. `highest` is the highest number in the scenario."""

    __slots__ = ("_highest", "_used")

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._used: set[int] = set()

    def take(self, recorded: int | None = None) -> int:
        """Take the recorded number if it is free, else the next one above all others."""
        if recorded is not None and recorded not in self._used:
            self._used.add(recorded)
            return recorded
        self._highest += 1
        return self._highest

    def raise_to(self, highest: int) -> None:
        """Take new numbers above this one, because the scenario was replaced."""
        self._highest = max(self._highest, highest)


@dataclass(slots=True, eq=False)
class Session:
    """One HTTP session."""

    number: int
    """Its arrival number, from 1."""
    started: float
    """The time of its first request (seconds); its ticks are rounded relative to this time."""
    references: References
    serial: int
    """The number that its cookie and its token are generated from; unique in a run, even after a reset."""
    cookie: str | None = None
    """The value of its session cookie without the node; None until it is sent."""
    token: str | None = None
    """Its CSRF token; None until it is sent."""
    plays: PlayState = field(default_factory=PlayState)
    user: str | None = None
    """The user that is logged in; None before a login and after a login without a user name."""
    authenticated: bool = False
    role: str | None = None
    role_assigned: bool = False
    """True if the role was assigned in turn, False if the login decided it."""
    values: dict[str, JSON] = field(default_factory=dict)
    """The values captured as `session.name`."""
    ids: dict[str, JSON] = field(default_factory=dict)
    """The value of each `$id`."""
    clock: float = 0.0
    """Seconds that the scenario's clock has moved in this session."""
    base: str = ""
    """Scheme and authority of the latest request."""
    clients: dict[str, None] = field(default_factory=dict)
    """Its live CometD clients, oldest first."""
    waiting: deque[Notify] = field(default_factory=deque)
    """Notifications that were due while there was no client."""
    anchors: dict[Anchor, Ticks] = field(default_factory=dict)
    """The latest time of each event that a timeline entry can start with: exchanges, `connect`, `subscribe`."""
    timeline: dict[int, list[TimerHandle[Action]]] = field(default_factory=dict)
    """The timers of each timeline entry that has started, by its index."""
    fault_counts: dict[int, int] = field(default_factory=dict)
    """The number of requests for the target of each fault, by its index."""
    causes: int = 0
    """The number of times that actions were scheduled; it orders actions of equal time."""
    last_request: float = 0.0

    def ticks(self, now: float) -> Ticks:
        """Convert a time to ticks. Equal durations within a session give equal ticks at any time."""
        return Ticks(to_ticks(self.started) + to_ticks(now - self.started))

    def time(self, ticks: Ticks) -> float:
        """Convert ticks back to a time; `ticks(time(t))` is `t`."""
        return self.started + to_seconds(Ticks(ticks - to_ticks(self.started)))


class Sessions:
    """All live HTTP sessions, with a constant-time lookup by cookie, client and user."""

    def __init__(self, ids: IdGenerator, node: str | None, idle_seconds: float) -> None:
        self._ids, self._node = ids, node
        self.idle_seconds = idle_seconds
        self._live: OrderedDict[int, Session] = OrderedDict()  # ordered by the time of the latest request
        self._by_cookie: dict[str, Session] = {}
        self._by_browser: dict[str, Session] = {}
        self._by_client: dict[str, Session] = {}
        self._by_user: dict[str, dict[int, Session]] = {}
        self._browsers: dict[int, list[str]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._live.values())

    def open(self, now: float, references: References) -> Session:
        """Start a session."""
        self._arrivals += 1
        serial = self._ids.number("session")
        session = self._live[self._arrivals] = Session(self._arrivals, now, references, serial, last_request=now)
        return session

    def cookie_of(self, session: Session) -> str:
        """Return the value of a session's cookie, with the node that a sticky balancer routes by."""
        if session.cookie is None:
            session.cookie = self._ids.numbered("session", session.serial)
            self._by_cookie[session.cookie] = session
        return f"{session.cookie}.{self._node}" if self._node else session.cookie

    def token_of(self, session: Session) -> str:
        """Return the CSRF token of a session."""
        if session.token is None:
            session.token = self._ids.numbered("token", session.serial)
        return session.token

    def by_cookie(self, value: str | None) -> Session | None:
        """Return the session of a cookie, with any node after the dot (some balancers remove it)."""
        return self._by_cookie.get(value.partition(".")[0]) if value else None

    def by_browser(self, value: str | None) -> Session | None:
        """Return the session in which this Bayeux cookie was set."""
        return self._by_browser.get(value) if value else None

    def by_client(self, client_id: str) -> Session | None:
        """Return the session of a live CometD client."""
        return self._by_client.get(client_id)

    def by_clients(self, client_ids: Iterable[str]) -> Session | None:
        """Return the session of the first of these CometD clients that is live."""
        return next((self._by_client[client] for client in client_ids if client in self._by_client), None)

    def by_user(self, user: str | None) -> Session | None:
        """Return the latest session of a user."""
        sessions = self._by_user.get(user) if user is not None else None
        return next(reversed(sessions.values())) if sessions else None

    def log_in(self, session: Session, user: str | None) -> None:
        """Mark a session as logged in by this user."""
        session.authenticated = True
        if user is None or user == session.user:
            return
        self._log_out(session)
        session.user = user
        self._by_user.setdefault(user, {})[session.number] = session

    def _log_out(self, session: Session) -> None:
        if session.user is None:
            return
        of_user = self._by_user[session.user]
        del of_user[session.number]
        if not of_user:
            del self._by_user[session.user]

    def add_client(self, session: Session, client_id: str, browser: str | None) -> None:
        """Add a CometD client, and its Bayeux cookie, to a session."""
        session.clients[client_id] = None
        self._by_client[client_id] = session
        if browser and self._by_browser.get(browser) is not session:
            self._by_browser[browser] = session
            self._browsers.setdefault(session.number, []).append(browser)

    def remove_client(self, client_id: str) -> None:
        """Remove a CometD client from its session."""
        session = self._by_client.pop(client_id, None)
        if session is not None:
            session.clients.pop(client_id, None)

    def touch(self, session: Session, now: float) -> None:
        """Restart the idle time of a session."""
        session.last_request = now
        self._live.move_to_end(session.number)

    def expired(self, now: float) -> list[Session]:
        """End and return the sessions that were idle for too long and have no live client."""
        ended = []
        while self._live:
            session = next(iter(self._live.values()))
            if now - session.last_request < self.idle_seconds:
                break
            if session.clients:
                self.touch(session, now)  # kept alive by its client; check again after the idle time
            else:
                self._close(session)
                ended.append(session)
        return ended

    def discard(self, session: Session) -> None:
        """End a session that no later request can belong to."""
        if not session.clients and session.user is None and session.number not in self._browsers:
            self._close(session)

    def _close(self, session: Session) -> None:
        del self._live[session.number]
        if session.cookie is not None:
            del self._by_cookie[session.cookie]
        self._log_out(session)
        for browser in self._browsers.pop(session.number, ()):
            if self._by_browser.get(browser) is session:
                del self._by_browser[browser]


@immutable
class ResolvedSession:
    """The session of a request, and the header fields to add to its reply."""

    session: Session
    fields: list[tuple[str, str]]
    is_new: bool


class SessionResolver:
    """Finds or starts the session of each request, and handles logins, session cookies and CSRF tokens.

    `cookie` is the name of the session cookie, None for none; `browser_cookie` is Bayeux's own cookie. `references`
    makes the reference numbers of a new session; `on_login` is called after each login.
    """

    def __init__(
        self,
        sessions: Sessions,
        cookie: str | None,
        browser_cookie: str,
        auth: Auth,
        references: Callable[[], References],
        on_login: Callable[[Session], None],
    ) -> None:
        self._sessions, self._cookie, self._browser_cookie, self._auth = sessions, cookie, browser_cookie, auth
        self._references, self._on_login = references, on_login

    def resolve(self, request: Request, now: float, *, is_bayeux: bool) -> ResolvedSession:
        """Return the session of a request; start one if there is none."""
        login = login_of(request.headers)
        by_cookie = self._by_cookie(request)
        found = by_cookie or self._find(request, login, is_bayeux=is_bayeux)
        session = found or self._sessions.open(now, self._references())
        self._sessions.touch(session, now)
        session.base = request.base
        if login is not None and (not session.authenticated or login.user not in (None, session.user)):
            self._sessions.log_in(session, login.user)
            self._on_login(session)
        fields = self._announced_token(request, session) if self._auth == "csrf" else []
        if self._cookie is not None and by_cookie is None and self._sets_cookie(request, found, login):
            fields.append(("Set-Cookie", f"{self._cookie}={self._sessions.cookie_of(session)}; Path=/; HttpOnly"))
        return ResolvedSession(session, fields, found is None)

    def _by_cookie(self, request: Request) -> Session | None:
        return self._sessions.by_cookie(request.headers.cookies().get(self._cookie)) if self._cookie else None

    def _find(self, request: Request, login: Login | None, *, is_bayeux: bool) -> Session | None:
        """Find the session of a request that has no valid session cookie."""
        session = self._sessions.by_browser(request.headers.cookies().get(self._browser_cookie))
        if session is None and is_bayeux:
            session = self._sessions.by_clients(_client_ids(request))
        return session or (self._sessions.by_user(login.user) if login is not None else None)

    def _sets_cookie(self, request: Request, found: Session | None, login: Login | None) -> bool:
        """True if the reply to a request without a valid session cookie sets one.

        That is: for a new session, for a cookie that is no longer valid, and for a client that sent only credentials
        and may omit them from now on.
        """
        cookies = request.headers.cookies()
        return found is None or self._cookie in cookies or (self._browser_cookie not in cookies and login is not None)

    def is_locked_out(self, session: Session) -> bool:
        """True if a session must log in first."""
        return self._auth != "open" and not session.authenticated

    def lacks_token(self, request: Request, session: Session) -> bool:
        """True if a modifying request lacks the session's CSRF token (GWS checks no Bayeux message)."""
        if self._auth != "csrf" or request.method.upper() not in _MODIFYING:
            return False
        return request.headers.get(CSRF_HEADER) != self._sessions.token_of(session)

    def _announced_token(self, request: Request, session: Session) -> list[tuple[str, str]]:
        """Return the header fields that announce the token in the reply to a GET."""
        if request.method.upper() != "GET":
            return []
        return [("X-CSRF-HEADER", CSRF_HEADER), (CSRF_HEADER, self._sessions.token_of(session))]


def _client_ids(request: Request) -> Iterator[str]:
    """Yield the clientIds in the Bayeux messages of a request."""
    try:
        messages = parse_messages(request.body)
    except MalformedMessages:
        return
    for message in messages:
        client_id = message.get("clientId")
        if isinstance(client_id, str):
            yield client_id


CSRF_HEADER = "X-CSRF-TOKEN"
"""The header field that carries the CSRF token in both directions (GWS, CSRF protection)."""

_LOGIN_HEADERS = ("ssid", "RNSID", "x-api-key")
_CREDENTIALS = frozenset({"authorization", *(name.lower() for name in _LOGIN_HEADERS)})
_MODIFYING = frozenset({"POST", "PUT", "DELETE", "PATCH"})


@dataclass(frozen=True, slots=True)
class Login:
    """The credentials of a request; `user` is None if they contain no readable user name."""

    user: str | None


def login_of(headers: Headers) -> Login | None:
    """Return the login that a request carries, or None."""
    if headers.names().isdisjoint(_CREDENTIALS):
        return None
    for value in headers.get_all("authorization"):
        scheme, _, credentials = value.strip().partition(" ")
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
