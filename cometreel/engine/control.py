"""Inspects and controls a running replay, without I/O.

Methods that send something take `now` and return effects: `driver.apply(lambda now: control.push(…, now=now))`. All
others can be called directly, on the thread of the driver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest, nsmallest

from cometreel.bayeux import BayeuxSessionInfo
from cometreel.engine.backend import Backend
from cometreel.engine.counters import Counters
from cometreel.engine.faults import ActiveFault
from cometreel.engine.given_up import GivenUpEvent, GiveUpReason
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.request_journal import CallListener, Calls
from cometreel.engine.responders import Responder
from cometreel.engine.sessions import Session, SessionKind
from cometreel.engine.stub_suggestion import suggest_stub
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import (
    CompiledScenario,
    ExchangeBlock,
    FaultBlock,
    fault_from,
    fault_written,
)
from cometreel.scenario.checks import channel as check_channel
from cometreel.scenario.runtime_changes import AddableBlock, extended, without
from cometreel.wire import Effect

__all__ = ["ClientInfo", "Control", "FaultInfo", "SessionInfo", "client_info", "fault_info", "session_info"]


class Control:
    """Inspects and controls one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    # ------------------------------------------------------------------ information
    @property
    def calls(self) -> Calls:
        """The latest calls, oldest first. `calls(operation="RequestAgentStats")` filters them."""
        return self._backend.calls

    @property
    def unmatched(self) -> Calls:
        """The unmatched calls, each with its `miss`: the closest exchanges and how they differ."""
        return self._backend.journal.unmatched

    @property
    def failed(self) -> Calls:
        """The calls whose exchange could not be played or whose responder raised an error, each with its `failure`."""
        return self._backend.journal.failed

    @property
    def given_up(self) -> tuple[GivenUpEvent, ...]:
        """The latest notifications that no client gets, each with the reason, oldest first."""
        return self._backend.journal.given_up.latest

    @property
    def given_up_counts(self) -> Mapping[GiveUpReason, int]:
        """The number of notifications that no client gets, by reason, since the start; a reset doesn't change it."""
        return self._backend.journal.given_up.counts

    @property
    def unplayed(self) -> tuple[str, ...]:
        """The exchanges that no session has played since the start, in the order of the scenario."""
        played = self._backend.journal.played
        return tuple(exchange.name for exchange in self.scenario.exchanges if exchange.name not in played)

    @property
    def sessions(self) -> tuple[SessionInfo, ...]:
        """The live sessions, oldest first."""
        return tuple(self._info(session) for session in sorted(self._backend.sessions, key=lambda one: one.number))

    def sessions_after(self, number: int, limit: int) -> tuple[SessionInfo, ...]:
        """Return at most `limit` live sessions with a higher number than this one, oldest first."""
        later = (session for session in self._backend.sessions if session.number > number)
        return tuple(map(self._info, nsmallest(limit, later, key=lambda one: one.number)))

    def latest_sessions(self, count: int) -> tuple[SessionInfo, ...]:
        """Return the `count` live sessions with the latest requests, oldest session first."""
        latest = nlargest(count, self._backend.sessions, key=lambda one: one.last_request)
        return tuple(self._info(session) for session in sorted(latest, key=lambda one: one.number))

    @property
    def faults(self) -> tuple[FaultInfo, ...]:
        """The active faults, those of the scenario first."""
        return tuple(map(fault_info, self._backend.faults))

    @property
    def settings(self) -> ReplaySettings:
        """The current settings."""
        return self._backend.settings

    @property
    def scenario(self) -> CompiledScenario:
        """The current scenario."""
        return self._backend.scenario

    @property
    def counters(self) -> Counters:
        """The counters since the start."""
        return self._backend.counters

    @property
    def outcomes(self) -> Mapping[str, int]:
        """The number of calls by outcome without its details, since the start; a reset doesn't change it."""
        return self._backend.journal.outcomes

    @property
    def held_polls(self) -> int:
        """The number of held polls."""
        return self._backend.server.held_polls()

    @property
    def session_count(self) -> int:
        """The number of live sessions."""
        return len(self._backend.sessions)

    def receivers(self, session: int | None = None, user: str | None = None) -> tuple[int, ...]:
        """Return the numbers of the sessions that a notification would be sent to.

        :raises OptionInvalid: if there is no such session or user.
        """
        return tuple(one.number for one in self._receivers(session, user))

    def suggested_stub(self, number: int) -> str:
        """Return an exchange for the unmatched call with this number, as YAML to paste under `exchanges:`.

        :raises OptionInvalid: if there is no such call, or the call can't be written in a scenario.
        """
        call = next((call for call in self.unmatched if call.number == number), None)
        if call is None:
            raise OptionInvalid("call", f"{number} is not an unmatched call", "the number of a call in `unmatched`")
        return suggest_stub(call, self.scenario, lambda text: self._backend.sessions.by_name("bound", text) is not None)

    def listen(self, listener: CallListener) -> Callable[[], None]:
        """Call a listener with each call from now on; return a function that stops it."""
        return self._backend.journal.listen(listener)

    # ------------------------------------------------------------------ commands
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

        It is sent to each of their CometD clients; a session without a client keeps it for the next one.

        :raises OptionInvalid: if there is no such session or user, or the message can't be sent.
        """
        for finding in check_channel(channel):
            raise OptionInvalid("channel", finding.found, finding.expected, finding.hint)
        message: JSONObject = {"channel": channel, "data": data}
        if ext is not None:
            message["ext"] = ext
        try:
            encode(message)
        except (TypeError, ValueError, RecursionError) as error:
            raise OptionInvalid("data", f"it can't be encoded: {error}", "a JSON value") from None
        return self._backend.notify(self._receivers(session, user), message, now)

    def add(self, blocks: Sequence[AddableBlock], *, now: float) -> list[Effect]:
        """Add exchanges, timeline entries and faults, until a reset. Sessions continue where they were.

        :raises FileInvalid: if they don't fit the scenario, with all problems; then nothing is added.
        """
        scenario = extended(self.scenario, [block for block in blocks if not isinstance(block, FaultBlock)])
        faults = [fault_from(block, scenario) for block in blocks if isinstance(block, FaultBlock)]
        effects = self._backend.extend(scenario, now)
        for fault in faults:
            self._backend.faults.add_fault(fault)
        return effects

    def remove(self, removed: Sequence[str | ExchangeBlock | FaultInfo], *, now: float) -> list[Effect]:
        """Remove exchanges, by name or block, until a reset, and faults.

        :raises OptionInvalid: if there is no such exchange or fault, or another exchange needs it.
        """
        faults = [one.number for one in removed if isinstance(one, FaultInfo)]
        names = [one if isinstance(one, str) else one.name for one in removed if not isinstance(one, FaultInfo)]
        scenario = without(self.scenario, names) if names else None
        for number in faults:
            self.remove_fault(number)
        return [] if scenario is None else self._backend.extend(scenario, now)

    def register(self, responder: Responder) -> None:
        """Add a responder, until a reset; it is called after those added earlier, and before exchanges are matched."""
        self._backend.register(responder)

    def add_fault(self, fault: Mapping[str, JSON] | FaultBlock, *, session: int | None = None) -> FaultInfo:
        """Add a fault, written as under `faults:`; it applies to one session if `session` is given.

        :raises FileInvalid: with all errors of the fault.
        :raises OptionInvalid: if there is no such session.
        """
        checked = fault_from(fault, self.scenario)
        if session is not None:
            self._receivers(session, None)
        return fault_info(self._backend.faults.add_fault(checked, session))

    def remove_fault(self, number: int) -> None:
        """Remove a fault; it may be one of the scenario.

        :raises OptionInvalid: if no active fault has this number.
        """
        self._backend.faults.remove_fault(number)

    def set_speed(self, speed: float, *, now: float) -> list[Effect]:
        """Change the speed of everything that is scheduled from now on.

        :raises OptionInvalid: if it isn't a number, 0 or more.
        """
        return self._backend.set_speed(self.settings.under({"speed": speed}).speed, now)

    def replace(self, scenario: CompiledScenario, *, now: float) -> list[Effect]:
        """Play another scenario from now on. Sessions stay; added faults are removed."""
        return self._backend.replace(scenario, now)

    def reset(self, *, now: float) -> list[Effect]:
        """Restart with the same speed, without sessions, calls, plays and everything that was added."""
        return self._backend.reset(now)

    # ------------------------------------------------------------------ inside
    def _receivers(self, session: int | None, user: str | None) -> Sequence[Session]:
        live = sorted(self._backend.sessions, key=lambda one: one.number)
        if session is not None:
            found = [one for one in live if one.number == session]
            if not found:
                raise OptionInvalid("session", f"no live session has the number {session}", _examples(live, "number"))
            if user is not None and found[0].user != user:
                raise OptionInvalid("user", f"session {session} isn't {user!r}'s", "one of session and user")
            return found
        found = [one for one in live if user is None or one.user == user]
        if user is not None and not found:
            raise OptionInvalid("user", f"{user!r} has no live session", _examples(live, "user"))
        return found

    def _info(self, session: Session) -> SessionInfo:
        clients = map(self._backend.server.session, session.clients)
        return session_info(session, tuple(client_info(client) for client in clients if client is not None))


def _examples(sessions: Sequence[Session], name: str) -> str:
    """Return the valid values as text; only the first ones if there are many."""
    values = dict.fromkeys(str(getattr(session, name)) for session in sessions if getattr(session, name) is not None)
    shown = [*values][:10]
    return ", ".join([*shown, "…"] if len(values) > len(shown) else shown) or "none: there is no live session"


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """One live CometD client."""

    label: str
    """Eight hexadecimal digits that identify it and don't reveal its clientId."""
    transport: str
    """`long-polling`, `callback-polling` or `websocket`."""
    polls: bool
    """True if its poll is held."""
    subscriptions: tuple[str, ...]
    waiting: int
    """The number of notifications that wait for its next poll, or for its acknowledgement."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One live HTTP session."""

    number: int
    """Its arrival number, from 1."""
    kind: SessionKind
    """`full`; `provisional` if its client has not returned; `anonymous` if requests without identity share it."""
    role: str | None
    """The recorded session whose role it has."""
    user: str | None
    """The user that is logged in."""
    authenticated: bool
    started: float
    """The time of its first request, in seconds on the driver's clock."""
    last_request: float
    """The time of its latest request."""
    clients: tuple[ClientInfo, ...]
    """Its live CometD clients, oldest first."""
    waiting: int
    """The number of notifications that wait for a CometD client."""


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """One active fault."""

    number: int
    """The number of the fault in its replay, from 1."""
    written: JSONObject
    """The fault as it is written under `faults:`."""
    session: int | None
    """The arrival number of the session that it is limited to; None for all."""
    position: str | None
    """Its position (`file:line:column`) in the scenario or in the Python code; None if it was added as a mapping."""


def client_info(client: BayeuxSessionInfo) -> ClientInfo:
    """Return a snapshot of a CometD client."""
    return ClientInfo(
        label=hashlib.sha256(client.client_id.encode()).hexdigest()[:8],
        transport=client.transport,
        polls=client.held is not None,
        subscriptions=tuple(sorted(client.subscriptions)),
        waiting=client.queued,
    )


def session_info(session: Session, clients: tuple[ClientInfo, ...]) -> SessionInfo:
    """Return a snapshot of a session with its clients."""
    return SessionInfo(
        number=session.number,
        kind=session.kind,
        role=session.role,
        user=session.user,
        authenticated=session.authenticated,
        started=session.started,
        last_request=session.last_request,
        clients=clients,
        waiting=len(session.waiting),
    )


def fault_info(active: ActiveFault) -> FaultInfo:
    """Return a snapshot of an active fault."""
    position = active.fault.position
    where = str(position) if position.file else None
    return FaultInfo(active.number, fault_written(active.fault), active.session, where)
