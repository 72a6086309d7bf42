"""HTTP sessions: whom a request belongs to, what a session remembers, when it ends.

A request belongs to its known session cookie, else its known Bayeux cookie, else the known clientId in it, else to
the latest session of its user. Nothing here answers or schedules anything.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cometreel.engine.id_generator import IdGenerator
from cometreel.engine.play_state import PlayState, References
from cometreel.engine.scheduling import TimerHandle, microseconds, seconds
from cometreel.jsonvalue import JSON

if TYPE_CHECKING:
    from cometreel.engine.actions import Action, Notify

__all__ = ["Session", "Sessions"]


@dataclass(slots=True, eq=False)
class Session:
    """One HTTP session."""

    number: int
    """Its arrival number, from 1."""
    started: float
    """When its first request came (seconds): its own times count from here."""
    references: References
    serial: int
    """The number of its ids, over all scenarios of a run."""
    cookie: str | None = None
    """The value of its session cookie, without the node; None until it is given out."""
    token: str | None = None
    """Its CSRF token; None until it is given out."""
    plays: PlayState = field(default_factory=PlayState)
    user: str | None = None
    """Who has logged in; None before a login, and after one that names nobody."""
    authenticated: bool = False
    role: str | None = None
    leased: bool = False
    """Whether the role was given for want of a login that names one."""
    values: dict[str, JSON] = field(default_factory=dict)
    """What was captured as `session.name`."""
    ids: dict[str, JSON] = field(default_factory=dict)
    """What was bound to each `$id`."""
    clock: float = 0.0
    """Seconds that the scenario's clock has moved in this session."""
    base: str = ""
    """Scheme and authority under which the client asked last."""
    clients: dict[str, None] = field(default_factory=dict)
    """Its live CometD clients, oldest first."""
    waiting: deque[Notify] = field(default_factory=deque)
    """Notifications that came due while there was no client."""
    happened: dict[str, int] = field(default_factory=dict)
    """When each thing that a timeline may start from happened last (µs): exchanges, `connect`, `subscribe`."""
    running: dict[int, list[TimerHandle[Action]]] = field(default_factory=dict)
    """What is pending of each timeline entry that has started, by its index."""
    struck: dict[int, int] = field(default_factory=dict)
    """How often the target of each fault has come up, by the fault's index."""
    performances: int = 0
    """How many answers were given; puts those of one moment in their order."""
    last_asked: float = 0.0

    def tick(self, now: float) -> int:
        """Turn a time into microseconds such that equal distances within a session stay equal at any `now`."""
        return microseconds(self.started) + microseconds(now - self.started)

    def time(self, tick: int) -> float:
        """Turn microseconds back into a time at which `tick` gives just these."""
        return self.started + seconds(tick - microseconds(self.started))


class Sessions:
    """All live HTTP sessions, found in constant time by each thing that names one."""

    def __init__(self, mint: IdGenerator, node: str | None, idle_seconds: float) -> None:
        self._mint, self._node = mint, node
        self.idle_seconds = idle_seconds
        self._live: OrderedDict[int, Session] = OrderedDict()  # the one that asked longest ago comes first
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
        """Begin a session."""
        self._arrivals += 1
        serial = self._mint.number("session")
        session = self._live[self._arrivals] = Session(self._arrivals, now, references, serial, last_asked=now)
        return session

    def cookie_of(self, session: Session) -> str:
        """The whole value of a session's cookie: a sticky balancer routes by the node at its end."""
        if session.cookie is None:
            session.cookie = self._mint.numbered("session", session.serial)
            self._by_cookie[session.cookie] = session
        return f"{session.cookie}.{self._node}" if self._node else session.cookie

    def token_of(self, session: Session) -> str:
        """The CSRF token of a session."""
        if session.token is None:
            session.token = self._mint.numbered("token", session.serial)
        return session.token

    def by_cookie(self, value: str | None) -> Session | None:
        """The session that a cookie names, whatever node stands after the dot (some balancers cut it off)."""
        return self._by_cookie.get(value.partition(".")[0]) if value else None

    def by_browser(self, value: str | None) -> Session | None:
        """The session in which this Bayeux cookie was given out."""
        return self._by_browser.get(value) if value else None

    def by_client(self, client_id: str) -> Session | None:
        """The session of a live CometD client."""
        return self._by_client.get(client_id)

    def by_clients(self, client_ids: Iterable[str]) -> Session | None:
        """The session of the first of these CometD clients that is known."""
        return next((self._by_client[client] for client in client_ids if client in self._by_client), None)

    def by_user(self, user: str | None) -> Session | None:
        """The latest session of a user."""
        sessions = self._by_user.get(user) if user is not None else None
        return next(reversed(sessions.values())) if sessions else None

    def log_in(self, session: Session, user: str | None) -> None:
        """Note who is logged in to a session from now on."""
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
        """Note that a CometD client began in a session, with this Bayeux cookie."""
        session.clients[client_id] = None
        self._by_client[client_id] = session
        if browser and self._by_browser.get(browser) is not session:
            self._by_browser[browser] = session
            self._browsers.setdefault(session.number, []).append(browser)

    def remove_client(self, client_id: str) -> Session | None:
        """Note that a CometD client is over; return its session."""
        session = self._by_client.pop(client_id, None)
        if session is not None:
            session.clients.pop(client_id, None)
        return session

    def touch(self, session: Session, now: float) -> None:
        """Note that a session asked something, which keeps it alive."""
        session.last_asked = now
        self._live.move_to_end(session.number)

    def expired(self, now: float) -> list[Session]:
        """End the sessions that asked nothing for too long and have no live client; return them."""
        ended = []
        while self._live:
            session = next(iter(self._live.values()))
            if now - session.last_asked < self.idle_seconds:
                break
            if session.clients:
                self.touch(session, now)  # alive through its client; look again an idle time later
            else:
                self._close(session)
                ended.append(session)
        return ended

    def forget(self, session: Session) -> None:
        """End a session that nothing can ever name again."""
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
