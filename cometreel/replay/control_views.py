"""What can be seen of a running replay from outside: snapshots that name no cookie, no token and no clientId."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cometreel.bayeux import SessionView
from cometreel.jsonvalue import JSONObject
from cometreel.replay.faults import Armed
from cometreel.replay.sessions import Session
from cometreel.scenario import fault_written

__all__ = ["ClientSeen", "FaultSeen", "SessionSeen", "client_seen", "fault_seen", "session_seen"]


@dataclass(frozen=True, slots=True)
class ClientSeen:
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
class SessionSeen:
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
    last_asked: float
    """When its latest request came."""
    clients: tuple[ClientSeen, ...]
    """Its live CometD clients, oldest first."""
    waiting: int
    """How many notifications wait for its first CometD client to come."""


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """One fault in force."""

    number: int
    """What `lift` takes."""
    written: JSONObject
    """As it stands, or would stand, under `faults:`."""
    session: int | None
    """The arrival number of the only session that it is for; None for all."""
    position: str | None
    """Where it stands in the scenario (`file:line:column`); None where it was armed."""


def client_seen(client: SessionView) -> ClientSeen:
    """Describe a CometD client."""
    return ClientSeen(
        label=hashlib.sha256(client.client_id.encode()).hexdigest()[:8],
        transport=client.transport,
        polls=client.held is not None,
        subscriptions=tuple(sorted(client.subscriptions)),
        waiting=client.queued,
    )


def session_seen(session: Session, clients: tuple[ClientSeen, ...]) -> SessionSeen:
    """Describe a session with its clients."""
    return SessionSeen(
        number=session.number,
        role=session.role,
        user=session.user,
        authenticated=session.authenticated,
        started=session.started,
        last_asked=session.last_asked,
        clients=clients,
        waiting=len(session.waiting),
    )


def fault_seen(armed: Armed) -> FaultSeen:
    """Describe a fault in force."""
    position = armed.fault.position
    where = str(position) if position.file else None
    return FaultSeen(armed.number, fault_written(armed.fault), armed.session, where)
