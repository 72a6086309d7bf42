"""HTTP sessions: the state of each, how a request finds its session, logins, and when a session ends.

`identity` defines the order in which the identities of a request are tried.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from cometreel.engine.id_generator import IdGenerator
from cometreel.engine.play_state import PlayState, References
from cometreel.engine.replay_settings import Auth
from cometreel.engine.scheduling import Ticks, TimerHandle, to_ticks
from cometreel.identity import CREDENTIAL_FIELDS, RequestCredentials, client_address, credentials_of
from cometreel.jsonvalue import JSON
from cometreel.scenario import Anchor, SessionSection
from cometreel.wire import Request

if TYPE_CHECKING:
    from cometreel.engine.actions import Action, Notify
    from cometreel.engine.session_finder import SessionFinder

__all__ = [
    "CSRF_HEADER",
    "NameKind",
    "ReplyFields",
    "Session",
    "SessionKind",
    "SessionResolver",
    "Sessions",
]

_IDLE = 1800.0  # seconds until an idle session ends: Jetty's sessionMaxInactiveInterval in GWS

NameKind: TypeAlias = Literal["browser", "bound", "credentials"]
"""The kinds of names that a session can have several of."""


SessionKind: TypeAlias = Literal["full", "provisional", "anonymous"]
"""A session whose client has returned; one whose client has not; one that requests without identity share."""


@dataclass(init=False, slots=True, eq=False)
class Session:
    """One HTTP session."""

    number: int
    """Its arrival number, from 1."""
    started: float
    """The time of its first request (seconds); its ticks are rounded relative to this time."""
    references: References
    serial: int
    """The number that its cookie and its token are generated from; unique in a run, even after a reset."""
    kind: SessionKind
    start: Ticks
    """The time of its first request."""
    last_request: float
    ended: bool
    """True if no later request can belong to it."""
    has_requests: bool
    """True if it has sent an HTTP request other than those of Bayeux."""
    sockets: int
    """The number of its open WebSockets."""
    successor: Session | None
    """The session that owns its CometD clients now, and receives its notifications."""
    key: str
    """The key under which requests without identity find it, if it is anonymous."""
    cookie: str | None
    """The value of its session cookie without the node; None until it is sent."""
    token: str | None
    """Its CSRF token; None until it is sent."""
    user: str | None
    """The user that is logged in; None before a login and after a login without a user name."""
    authenticated: bool
    role: str | None
    role_assigned: bool
    """True if the role was assigned in turn, False if the login decided it."""
    values: dict[str, JSON]
    """The values captured as `session.name`, and the latest value of each rule of `session.bind`."""
    ids: dict[str, JSON]
    """The value of each `$id`."""
    clock: float
    """Seconds that the scenario's clock has moved in this session."""
    base: str
    """Scheme and authority of the latest request."""
    clients: tuple[str, ...]
    """Its live CometD clients, oldest first."""
    had_client: bool
    """True if it has had a CometD client, or another session's client received its notifications."""
    waiting: list[Notify]
    """Notifications that were due while there was no client."""
    names: tuple[tuple[NameKind, str], ...]
    """The names that find it, the one that is forgotten first at the beginning."""
    anchors: dict[Anchor, Ticks]
    """The latest time of each event that a timeline entry can start with: exchanges, `connect`, `subscribe`."""
    timeline: dict[int, list[TimerHandle[Action]]]
    """The timers of each timeline entry that has started, by its index."""
    fault_counts: dict[int, int]
    """The number of requests for the target of each fault, by its index; clients without cookies share it."""
    causes: int
    """The number of times that actions were scheduled; it orders actions of equal time."""
    _plays: PlayState | None

    def __init__(
        self, number: int, started: float, references: References, serial: int, kind: SessionKind = "full"
    ) -> None:
        self.number, self.started, self.references, self.serial, self.kind = number, started, references, serial, kind
        self.start, self.last_request = to_ticks(started), started
        self.ended = self.has_requests = self.authenticated = self.role_assigned = self.had_client = False
        self.sockets = self.causes = 0
        self.successor = self.cookie = self.token = self.user = self.role = self._plays = None
        self.key = self.base = ""
        self.clock = 0.0
        self.clients, self.names = (), ()
        self.waiting = []
        self.values, self.ids, self.anchors, self.timeline, self.fault_counts = {}, {}, {}, {}, {}

    @property
    def plays(self) -> PlayState:
        """The exchanges that it has played."""
        if self._plays is None:
            self._plays = PlayState()
        return self._plays

    @plays.setter
    def plays(self, plays: PlayState) -> None:
        self._plays = plays

    def ticks(self, now: float) -> Ticks:
        """Convert a time to ticks. Equal durations within a session give equal ticks at any time."""
        # without `to_ticks` and `Ticks`, which would be two more calls for each request
        return self.start + round((now - self.started) * 1_000_000)  # type: ignore[return-value]  # ticks are integers

    def time(self, ticks: Ticks) -> float:
        """Convert ticks back to a time; `ticks(time(t))` is `t`."""
        return self.started + (ticks - self.start) / 1_000_000


_MAX_NAMES = 100  # of each kind: browser cookies, bound values, credentials of one session; the oldest is forgotten
_EVICTION_TRIES = 8


class Sessions:
    """All live HTTP sessions, with a constant-time lookup by cookie, client, bound value and credentials.

    `on_end` is called with each session that ends. At most `max_provisional` sessions whose client has not returned
    are kept, besides those with a live CometD client or an open WebSocket.
    """

    def __init__(
        self, ids: IdGenerator, node: str | None, on_end: Callable[[Session], None], section: SessionSection
    ) -> None:
        self._ids, self._node, self._on_end = ids, node, on_end
        self._live: OrderedDict[int, Session] = OrderedDict()  # ordered by the time of the latest request
        self._provisional: OrderedDict[int, Session] = OrderedDict()  # ordered by their start
        self._anonymous: OrderedDict[str, Session] = OrderedDict()  # ordered by the time of the latest request
        self._push_only: dict[int, Session] = {}  # with a CometD client, and without an HTTP request
        self._by_cookie: dict[str, Session] = {}
        self._by_client: dict[str, Session] = {}
        self._named: dict[NameKind, dict[str, Session | dict[int, Session]]] = {
            "browser": {},
            "bound": {},
            "credentials": {},
        }
        """The session of each name; if it names several, by number, and the one that was named last at the end."""
        self._fault_counts: OrderedDict[str, dict[int, int]] = OrderedDict()  # of clients without cookies, by address
        self._arrivals = 0
        self.configure(section)

    def configure(self, section: SessionSection) -> None:
        """Apply the limits of a scenario."""
        self.idle_seconds = section.max_idle_seconds or _IDLE
        self.no_end_before = float("-inf")
        """No session can end before this time, whatever requests arrive."""
        self._max_provisional = section.max_provisional

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._live.values())

    # ------------------------------------------------------------------ start and end
    def open(self, now: float, references: References, kind: SessionKind = "provisional") -> Session:
        """Start a session; the oldest provisional session ends if there are too many."""
        if kind == "provisional":
            self._evict()
        self._arrivals += 1
        serial = self._ids.number("session")
        session = self._live[self._arrivals] = Session(self._arrivals, now, references, serial, kind)
        if kind == "provisional":
            self._provisional[session.number] = session
        return session

    def anonymous(self, key: str, now: float, references: Callable[[], References]) -> Session:
        """Return the session that requests without identity share; start it if there is none under this key."""
        session = self._anonymous.get(key)
        if session is None:
            session = self._anonymous[key] = self.open(now, references(), "anonymous")
            session.key = key
            if len(self._anonymous) > self._max_provisional:
                self._close(next(iter(self._anonymous.values())))
        self._anonymous.move_to_end(key)
        return session

    def fork(self, anonymous: Session, now: float, references: References) -> Session:
        """Start a session that continues an anonymous one, because its next requests will identify it."""
        session = self.open(now, references)
        session.plays = anonymous.plays.copy()
        session.values, session.ids = dict(anonymous.values), dict(anonymous.ids)
        session.clock, session.base, session.authenticated = anonymous.clock, anonymous.base, anonymous.authenticated
        session.fault_counts, session.has_requests = anonymous.fault_counts, True
        return session

    def confirm(self, session: Session) -> None:
        """Make a provisional session a full one, because its client has returned."""
        session.kind = "full"
        del self._provisional[session.number]

    def _evict(self) -> None:
        """End the oldest provisional sessions without a client, so that another one can start."""
        for _ in range(_EVICTION_TRIES):
            if len(self._provisional) < self._max_provisional:
                return
            number, session = next(iter(self._provisional.items()))
            if session.clients or session.sockets:
                self._provisional.move_to_end(number)
            else:
                self._close(session)

    def touch(self, session: Session, now: float) -> None:
        """Restart the idle time of a session."""
        session.last_request = now
        self._live.move_to_end(session.number)

    def end_expired(self, now: float) -> None:
        """End the sessions that were idle for too long and have no live client and no open WebSocket."""
        if now < self.no_end_before:
            return
        self.no_end_before = now
        while self._live:
            session = next(iter(self._live.values()))
            if now - session.last_request < self.idle_seconds:
                self.no_end_before = session.last_request + self.idle_seconds
                return
            if session.clients or session.sockets:
                self.touch(session, now)  # kept alive by its client; check again after the idle time
            else:
                self._close(session)

    def discard(self, session: Session) -> None:
        """End a session that no later request can belong to."""
        if not session.clients and not session.sockets:
            self._close(session)

    def _close(self, session: Session) -> None:
        session.ended = True
        del self._live[session.number]
        self._provisional.pop(session.number, None)
        if session.cookie is not None:
            del self._by_cookie[session.cookie]
        for kind, name in session.names:
            self.remove_name(session, kind, name)
        if self._anonymous.get(session.key) is session:
            del self._anonymous[session.key]
        self._on_end(session)
        session.waiting.clear()  # both refer to the session, so they would keep its memory until a garbage collection
        session.timeline.clear()

    # ------------------------------------------------------------------ cookies and CometD clients
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
        if not value:
            return None
        return self._by_cookie.get(value) or self._by_cookie.get(value.partition(".")[0])

    def by_client(self, client_id: str) -> Session | None:
        """Return the session of a live CometD client."""
        return self._by_client.get(client_id)

    def by_clients(self, client_ids: Iterable[str]) -> Session | None:
        """Return the session of the first of these CometD clients that is live."""
        return next((self._by_client[client] for client in client_ids if client in self._by_client), None)

    def add_client(self, session: Session, client_id: str, browser: str | None) -> None:
        """Add a CometD client, and its Bayeux cookie, to a session."""
        session.clients = (*session.clients, client_id)
        self._by_client[client_id] = session
        if not session.has_requests:
            self._push_only[session.number] = session
        if browser:
            self.add_name(session, "browser", browser)

    def remove_client(self, client_id: str) -> None:
        """Remove a CometD client from its session."""
        session = self._by_client.pop(client_id, None)
        if session is not None:
            session.clients = tuple([each for each in session.clients if each != client_id])
            if not session.clients:
                self._push_only.pop(session.number, None)

    def move_clients(self, session: Session, to: Session) -> None:
        """Let another session own the CometD clients of one, with its timeline, and receive its notifications.

        A client that sends a handshake and another request at the same time starts two sessions and keeps one cookie.
        """
        session.successor = to
        to.clients = (*to.clients, *session.clients)
        for client_id in session.clients:
            self._by_client[client_id] = to
        session.clients = ()
        self._push_only.pop(session.number, None)
        if not to.has_requests:
            self._push_only[to.number] = to
        to.anchors = {**session.anchors, **to.anchors}
        to.timeline = {**session.timeline, **to.timeline}

    def add_request(self, session: Session) -> None:
        """Record that a session has sent an HTTP request other than those of Bayeux."""
        session.has_requests = True
        self._push_only.pop(session.number, None)

    def push_receiver(self, session: Session) -> Session | None:
        """Return the session that receives the notifications of a session without a client, or None.

        Notifications of an anonymous or provisional session go to the session with a CometD client that has sent no
        HTTP request, if there is exactly one.
        """
        if session.successor is not None:
            return session.successor
        if session.kind == "full" or len(self._push_only) != 1:
            return None
        return next(iter(self._push_only.values()))

    # ------------------------------------------------------------------ other names
    def add_name(self, session: Session, kind: NameKind, name: str) -> None:
        """Add a browser cookie, a bound value or credentials that later requests of the session carry."""
        if self.has_name(session, kind, name):
            self.remove_name(session, kind, name)
        if len(session.names) >= _MAX_NAMES:
            same_kind = [one for one in session.names if one[0] == kind]
            if len(same_kind) >= _MAX_NAMES:
                self.remove_name(session, *same_kind[0])
        session.names = (*session.names, (kind, name))
        named = self._named[kind].get(name)
        if named is None:
            self._named[kind][name] = session
        elif isinstance(named, Session):
            self._named[kind][name] = {named.number: named, session.number: session}
        else:
            named[session.number] = session

    def by_name(self, kind: NameKind, name: str | None) -> Session | None:
        """Return the latest session with a name."""
        named = self._named[kind].get(name) if name else None
        return next(reversed(named.values())) if isinstance(named, dict) else named

    def has_name(self, session: Session, kind: NameKind, name: str) -> bool:
        """True if a name belongs to this session."""
        return (kind, name) in session.names

    def remove_name(self, session: Session, kind: NameKind, name: str) -> None:
        """Remove a name of a session."""
        session.names = tuple([each for each in session.names if each != (kind, name)])
        named = self._named[kind][name]
        if isinstance(named, dict) and len(named) > 1:
            del named[session.number]
        else:
            del self._named[kind][name]

    # ------------------------------------------------------------------ faults
    def share_fault_counts(self, session: Session, address: str) -> None:
        """Let a session continue the fault counts of an address, because its client may keep no cookie."""
        if not address:
            return
        session.fault_counts = self._fault_counts.setdefault(address, session.fault_counts)
        self._fault_counts.move_to_end(address)
        if len(self._fault_counts) > self._max_provisional:
            self._fault_counts.popitem(last=False)

    def unshare_fault_counts(self, session: Session, address: str) -> None:
        """Let a session count faults alone from now on, because its client returned with a cookie."""
        if self._fault_counts.get(address) is session.fault_counts:
            del self._fault_counts[address]
        session.fault_counts = dict(session.fault_counts)


ReplyFields: TypeAlias = "Sequence[tuple[str, str]]"
"""Header fields to add to a reply: a session cookie, a CSRF token."""


class SessionResolver:
    """Finds or starts the session of each request, and handles logins, session cookies and CSRF tokens.

    `finder` finds the session of a request without a valid session cookie. `on_login` is called after each login.
    """

    def __init__(
        self,
        sessions: Sessions,
        finder: SessionFinder,
        cookie: str | None,
        browser_cookie: str,
        auth: Auth,
        on_login: Callable[[Session], None],
    ) -> None:
        self._sessions, self._finder, self._cookie = sessions, finder, cookie
        self._browser_cookie, self.auth, self._on_login = browser_cookie, auth, on_login

    def resolve(self, request: Request, now: float, *, is_bayeux: bool) -> tuple[Session, ReplyFields]:
        """Return the session of a request, and the fields to add to its reply; start a session if there is none."""
        headers, sessions = request.headers, self._sessions
        credentials = None if headers.names().isdisjoint(CREDENTIAL_FIELDS) else credentials_of(headers)
        by_cookie = self._by_cookie(request) if self._cookie is not None else None
        if by_cookie is not None:
            session, is_known = by_cookie, True
        else:
            session, is_known = self._finder.find_or_start(request, credentials, now, is_bayeux=is_bayeux)
        sessions.touch(session, now)
        session.base = request.base
        if is_known and session.kind == "provisional":
            sessions.confirm(session)
        if not session.has_requests and not is_bayeux:
            sessions.add_request(session)
        if credentials is not None:
            self._finder.join(session, credentials)
            self._log_in(session, credentials)
        if by_cookie is not None and self.auth != "csrf":
            return session, ()
        fields = self._announced_token(request, session) if self.auth == "csrf" else []
        if by_cookie is None and self._sets_cookie(request, credentials, is_known=is_known):
            fields.append(("Set-Cookie", f"{self._cookie}={sessions.cookie_of(session)}; Path=/; HttpOnly"))
        return session, fields

    def _by_cookie(self, request: Request) -> Session | None:
        """Return the session of the first valid session cookie; a browser also sends those of other local servers."""
        cookie, headers = self._cookie, request.headers
        if cookie is None or (value := headers.cookies().get(cookie)) is None:
            return None
        found = self._sessions.by_cookie(value)
        if found is None:
            found = next(filter(None, map(self._sessions.by_cookie, headers.cookie_values(cookie)[1:])), None)
        if found is not None and found.kind == "provisional":
            self._sessions.unshare_fault_counts(found, client_address(request))
        return found

    def _log_in(self, session: Session, credentials: RequestCredentials) -> None:
        if not session.authenticated or credentials.user not in (None, session.user):
            self._finder.log_in(session, credentials.user)
            self._on_login(session)

    def _sets_cookie(self, request: Request, credentials: RequestCredentials | None, *, is_known: bool) -> bool:
        """True if the reply to a request without a valid session cookie sets one.

        That is: for a new session, for a cookie that is no longer valid, and for a client that sent only credentials
        and may omit them from now on.
        """
        if self._cookie is None:
            return False
        cookies = request.headers.cookies()
        if not is_known or self._cookie in cookies:
            return True
        return self._browser_cookie not in cookies and credentials is not None

    def is_locked_out(self, session: Session) -> bool:
        """True if a session must log in first."""
        return self.auth != "open" and not session.authenticated

    def lacks_token(self, request: Request, session: Session) -> bool:
        """True if a modifying request lacks the session's CSRF token (GWS checks no Bayeux message)."""
        if self.auth != "csrf" or request.method.upper() not in _MODIFYING:
            return False
        return request.headers.get(CSRF_HEADER) != self._sessions.token_of(session)

    def _announced_token(self, request: Request, session: Session) -> list[tuple[str, str]]:
        """Return the header fields that announce the token in the reply to a GET."""
        if request.method.upper() != "GET":
            return []
        return [("X-CSRF-HEADER", CSRF_HEADER), (CSRF_HEADER, self._sessions.token_of(session))]


CSRF_HEADER = "X-CSRF-TOKEN"
"""The header field that carries the CSRF token in both directions (GWS, CSRF protection)."""

_MODIFYING = frozenset({"POST", "PUT", "DELETE", "PATCH"})
