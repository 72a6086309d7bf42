"""Notifications that the replay gave up: for each the reason, and the scenario key that would have delivered it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cometreel.engine.actions import Origin
from cometreel.scenario import CompiledScenario
from cometreel.wire import Log

__all__ = ["GIVE_UP_REASONS", "GiveUpReason", "GivenUpEvent", "GivenUpEvents"]

GiveUpReason: TypeAlias = Literal[
    "no connection in time", "queue full", "role never assigned", "session ended", "client gone", "no subscriber"
]

_BIND = "bind the request to the session of a CometD client with session.cookie, session.bind or session.credentials"
_REMEDIES: Mapping[GiveUpReason, str] = {
    "no connection in time": _BIND,
    "queue full": _BIND,
    "role never assigned": "give the role a user or an id under roles:, or name it with as: in an exchange",
    "session ended": "raise session.max_idle, or session.max_provisional for clients that keep no cookies",
    "client gone": "set session.when_gone: keep to deliver it to the next client",
    "no subscriber": "let a client subscribe, or set deliver: asker for the event",
}
_REMEDIES_QUEUED: Mapping[GiveUpReason, str] = {
    **_REMEDIES,
    "queue full": "raise bayeux.max_queue, or let the client poll more often",
    "client gone": "raise bayeux.max_interval, or let the client poll before its CometD session ends",
    "no subscriber": "let the client subscribe, or set deliver: all under bayeux:",
}
"""The remedies for notifications that were given to the Bayeux server."""

GIVE_UP_REASONS = tuple(_REMEDIES)
_MAX_EVENTS = 1000


@dataclass(slots=True, unsafe_hash=True)
class GivenUpEvent:
    """One notification that was due and that no client gets."""

    at: float
    """The time, in seconds on the driver's clock."""
    session: int
    """The arrival number of the session that caused it."""
    exchange: str | None
    """The exchange that caused it; None for a timeline entry, a responder and a push."""
    entry: int | None
    """The place of the timeline entry in the scenario, from 1."""
    event: int
    """The place of the event in its exchange, from 1."""
    call: int | None
    """The number of the call that caused it."""
    channel: str
    reason: GiveUpReason
    remedy: str
    """The scenario key that would have delivered it."""
    position: str | None
    """The position of the exchange or the timeline entry: `file:line:column`."""

    @property
    def cause(self) -> str:
        """The exchange, the timeline entry or the call that caused it, as text."""
        if self.exchange is not None:
            return repr(self.exchange)
        if self.entry is not None:
            return f"timeline entry {self.entry}"
        return "a push" if self.call is None else f"the responder of call {self.call}"

    def __str__(self) -> str:
        where = f"{self.position}: " if self.position else ""
        which = f"event {self.event} of {self.cause}" if self.exchange is not None else f"the event of {self.cause}"
        about = f"{which} on {self.channel} for session {self.session}"
        return f"{where}{about} is given up: {self.reason}; {self.remedy}"


class GivenUpEvents:
    """The latest notifications that were given up, and their number by reason since the start."""

    def __init__(self) -> None:
        self._latest: deque[GivenUpEvent] = deque(maxlen=_MAX_EVENTS)
        self._logged: set[tuple[str | None, int | None, GiveUpReason]] = set()
        self.counts: Counter[GiveUpReason] = Counter()
        """The number by reason; a reset doesn't change it."""

    @property
    def latest(self) -> tuple[GivenUpEvent, ...]:
        """The latest ones, oldest first."""
        return tuple(self._latest)

    def add(
        self,
        origin: Origin,
        channel: str,
        reason: GiveUpReason,
        at: float,
        scenario: CompiledScenario,
        *,
        was_queued: bool = False,
    ) -> Log | None:
        """Record one; return a warning for the first one of an exchange with this reason.

        `was_queued` if the Bayeux server had it for a client.
        """
        event = GivenUpEvent(
            at=at,
            session=origin.session,
            exchange=origin.exchange,
            entry=None if origin.entry is None else origin.entry + 1,
            event=origin.event,
            call=origin.call,
            channel=channel,
            reason=reason,
            remedy=(_REMEDIES_QUEUED if was_queued else _REMEDIES)[reason],
            position=_position(origin, scenario),
        )
        self._latest.append(event)
        self.counts[reason] += 1
        key = (event.exchange, event.entry, reason)
        if key in self._logged:
            return None
        self._logged.add(key)
        return Log("warning", f"{event} (later ones of the same exchange are only counted)")

    def clear(self) -> None:
        """Remove all of them, and log again; the counts continue."""
        self._latest.clear()
        self._logged.clear()


def _position(origin: Origin, scenario: CompiledScenario) -> str | None:
    """Return the position of the cause; None if a replaced scenario doesn't have it any more."""
    if origin.exchange is not None:
        exchange = scenario.by_name.get(origin.exchange)
        return None if exchange is None else str(exchange.position)
    if origin.entry is not None and origin.entry < len(scenario.timeline):
        return str(scenario.timeline[origin.entry].position)
    return None
