"""What can be asked of a running replay, and done to it, while clients talk to it. Sans-IO, as the backend is.

What sends something takes `now` and returns effects: `driver.apply(lambda now: control.push(…, now=now))`. The rest
may be called at once, on the thread of the driver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

from cometreel.bayeux import BayeuxSessionInfo
from cometreel.engine.backend import Backend
from cometreel.engine.counters import Counters
from cometreel.engine.faults import ActiveFault
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.request_journal import CallListener, Calls
from cometreel.engine.sessions import Session
from cometreel.engine.stub_suggestion import suggest_stub
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import Scenario, fault_from, fault_written
from cometreel.scenario.checks import channel as check_channel
from cometreel.wire import Effect

__all__ = ["ClientInfo", "Control", "FaultInfo", "SessionInfo", "client_info", "fault_info", "session_info"]


class Control:
    """Looks at one backend, and steers it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    # ------------------------------------------------------------------ what can be seen
    @property
    def calls(self) -> Calls:
        """What was asked, oldest first: the latest calls. `calls(operation="RequestAgentStats")` gives some of them."""
        return self._backend.calls

    @property
    def unmatched(self) -> Calls:
        """The calls that nothing answered, each with its `miss`: what was near, and what differed."""
        return self._backend.journal.unmatched

    @property
    def failed(self) -> Calls:
        """The calls whose exchange could not be played, or whose responder raised something; each has its `failure`."""
        return self._backend.journal.failed

    @property
    def unplayed(self) -> tuple[str, ...]:
        """The exchanges that no session has played since the beginning, in the order of the scenario."""
        played = self._backend.journal.played
        return tuple(exchange.name for exchange in self.scenario.exchanges if exchange.name not in played)

    @property
    def sessions(self) -> tuple[SessionInfo, ...]:
        """The live sessions, in the order in which they began."""
        return tuple(self._seen(session) for session in sorted(self._backend.sessions, key=lambda one: one.number))

    def latest_sessions(self, count: int) -> tuple[SessionInfo, ...]:
        """The live sessions that asked last, at most so many, in the order in which they began."""
        latest = nlargest(count, self._backend.sessions, key=lambda one: one.last_request)
        return tuple(self._seen(session) for session in sorted(latest, key=lambda one: one.number))

    @property
    def faults(self) -> tuple[FaultInfo, ...]:
        """The faults in force, those of the scenario first."""
        return tuple(map(fault_info, self._backend.faults))

    @property
    def settings(self) -> ReplaySettings:
        """The settings in force."""
        return self._backend.settings

    @property
    def scenario(self) -> Scenario:
        """The scenario in force."""
        return self._backend.scenario

    @property
    def counters(self) -> Counters:
        """What was counted since the beginning."""
        return self._backend.counters

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many calls had which outcome, without what stands behind its colon, also of those before a reset."""
        return self._backend.journal.outcomes

    @property
    def held_polls(self) -> int:
        """How many polls are held now."""
        return self._backend.server.held_polls()

    @property
    def session_count(self) -> int:
        """How many sessions are live, without a look at each."""
        return len(self._backend.sessions)

    def audience(self, session: int | None = None, user: str | None = None) -> tuple[int, ...]:
        """List the sessions that a notification would go to, by their numbers.

        :raises OptionInvalid: if there is no such session or user.
        """
        return tuple(one.number for one in self._audience(session, user))

    def missing(self, number: int) -> str:
        """Write the exchange that would answer the unmatched call of this number, as YAML under `exchanges:`.

        :raises OptionInvalid: if no such call is kept, or no scenario can say what it asks.
        """
        call = next((call for call in self.unmatched if call.number == number), None)
        if call is None:
            raise OptionInvalid("call", f"{number} is none that nothing answered", "one that `unmatched` lists")
        return suggest_stub(call, self.scenario)

    def listen(self, listener: CallListener) -> Callable[[], None]:
        """Tell a listener of each call from now on, as it is noted; return what ends that."""
        return self._backend.journal.listen(listener)

    # ------------------------------------------------------------------ what can be done
    def push(
        self,
        channel: str,
        data: JSON,
        *,
        now: float,
        session: int | None = None,
        user: str | None = None,
        ext: JSONObject | None = None,
    ) -> list[Effect]:
        """Send a notification now: to one session, to all sessions of a user, or to all.

        It goes to each of their CometD clients; where there is none, it waits for the session's next.

        :raises OptionInvalid: if there is no such session or user, or it isn't a message that could be sent.
        """
        for finding in check_channel(channel):
            raise OptionInvalid("channel", finding.found, finding.expected, finding.hint)
        message: JSONObject = {"channel": channel, "data": data}
        if ext is not None:
            message["ext"] = ext
        try:
            encode(message)
        except (TypeError, ValueError, RecursionError) as error:
            raise OptionInvalid("data", f"it can't be sent: {error}", "what JSON can say") from None
        return self._backend.notify(self._audience(session, user), message, now)

    def arm(self, fault: Mapping[str, JSON], *, session: int | None = None) -> FaultInfo:
        """Put a fault in force, written as one under `faults:`; for one session only if one is named.

        :raises FileInvalid: with everything that is wrong with the fault.
        :raises OptionInvalid: if there is no such session.
        """
        checked = fault_from(fault, self.scenario)
        if session is not None:
            self._audience(session, None)
        return fault_info(self._backend.faults.arm(checked, session))

    def lift(self, number: int) -> None:
        """Take a fault out of force, also one of the scenario.

        :raises OptionInvalid: if no fault in force has this number.
        """
        self._backend.faults.lift(number)

    def set_speed(self, speed: float, *, now: float) -> list[Effect]:
        """Play at another speed from now on; what is on the schedule already keeps its time.

        :raises OptionInvalid: if it isn't a number, 0 or more.
        """
        return self._backend.set_speed(self.settings.under({"speed": speed}).speed, now)

    def replace(self, scenario: Scenario, *, now: float) -> list[Effect]:
        """Play another scenario from now on; sessions stay, faults that were armed end."""
        return self._backend.replace(scenario, now)

    def reset(self, *, now: float) -> list[Effect]:
        """Begin anew: no session, no call, nothing played, the scenario's own faults. Scenario and speed stay."""
        return self._backend.reset(now)

    # ------------------------------------------------------------------ inside
    def _audience(self, session: int | None, user: str | None) -> Sequence[Session]:
        live = sorted(self._backend.sessions, key=lambda one: one.number)
        if session is not None:
            found = [one for one in live if one.number == session]
            if not found:
                raise OptionInvalid("session", f"no live session has the number {session}", _some(live, "number"))
            if user is not None and found[0].user != user:
                raise OptionInvalid("user", f"session {session} isn't {user!r}'s", "one of session and user")
            return found
        found = [one for one in live if user is None or one.user == user]
        if user is not None and not found:
            raise OptionInvalid("user", f"{user!r} has no live session", _some(live, "user"))
        return found

    def _seen(self, session: Session) -> SessionInfo:
        clients = map(self._backend.server.session, session.clients)
        return session_info(session, tuple(client_info(client) for client in clients if client is not None))


def _some(sessions: Sequence[Session], name: str) -> str:
    """Say which values would have done; the first ones only, where there are many."""
    values = dict.fromkeys(str(getattr(session, name)) for session in sessions if getattr(session, name) is not None)
    some = [*values][:10]
    return ", ".join([*some, "…"] if len(values) > len(some) else some) or "none: there is no live session"


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """One live CometD client."""

    label: str
    """Eight hexadecimal digits that name it for as long as it lives, and from which its clientId can't be told."""
    transport: str
    """`long-polling`, `callback-polling` or `websocket`."""
    polls: bool
    """Whether its poll is held now."""
    subscriptions: tuple[str, ...]
    waiting: int
    """How many notifications wait for its next poll, or for its acknowledgement."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One live HTTP session."""

    number: int
    """Its arrival number, from 1."""
    role: str | None
    """The recorded session that it plays."""
    user: str | None
    """Who is logged in."""
    authenticated: bool
    started: float
    """When its first request came, in seconds on the clock of the door."""
    last_request: float
    """When its latest request came."""
    clients: tuple[ClientInfo, ...]
    """Its live CometD clients, oldest first."""
    waiting: int
    """How many notifications wait for its first CometD client to come."""


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """One fault in force."""

    number: int
    """What `lift` takes."""
    written: JSONObject
    """As it stands, or would stand, under `faults:`."""
    session: int | None
    """The arrival number of the only session that it is for; None for all."""
    position: str | None
    """Where it stands in the scenario (`file:line:column`); None where it was armed."""


def client_info(client: BayeuxSessionInfo) -> ClientInfo:
    """Describe a CometD client."""
    return ClientInfo(
        label=hashlib.sha256(client.client_id.encode()).hexdigest()[:8],
        transport=client.transport,
        polls=client.held is not None,
        subscriptions=tuple(sorted(client.subscriptions)),
        waiting=client.queued,
    )


def session_info(session: Session, clients: tuple[ClientInfo, ...]) -> SessionInfo:
    """Describe a session with its clients."""
    return SessionInfo(
        number=session.number,
        role=session.role,
        user=session.user,
        authenticated=session.authenticated,
        started=session.started,
        last_request=session.last_request,
        clients=clients,
        waiting=len(session.waiting),
    )


def fault_info(armed: ActiveFault) -> FaultInfo:
    """Describe a fault in force."""
    position = armed.fault.position
    where = str(position) if position.file else None
    return FaultInfo(armed.number, fault_written(armed.fault), armed.session, where)
