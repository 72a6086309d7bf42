"""The faults in force, and when one strikes. Counted per HTTP session, so that no session changes what another meets.

Faults come from the scenario, or are armed while it plays; what they do is done where they strike.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cometreel.engine.sessions import Session
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario import DropEvent, DuplicateEvent, EventOut, Fault, FaultAction

__all__ = ["ActiveFault", "Faults", "delivery_count", "triggered"]


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault in force."""

    number: int
    """Names it while it is in force; no other fault of the same run gets it."""
    fault: Fault
    session: int | None = None
    """The arrival number of the only session that it is for; None for all."""


class Faults:
    """The faults in force, found by what they aim at. `last` is the highest number that was given before."""

    def __init__(self, faults: Iterable[Fault], last: int = 0) -> None:
        self.last = last
        self._armed: dict[int, ActiveFault] = {}
        for fault in faults:
            self._add(fault)
        self._arrange()

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(self._armed.values())

    def arm(self, fault: Fault, session: int | None = None) -> ActiveFault:
        """Put a fault in force; its index is of its own, so that nothing that was counted before counts for it."""
        armed = self._add(replace(fault, index=-1 - self.last), session)
        self._arrange()
        return armed

    def lift(self, number: int) -> None:
        """Take a fault out of force.

        :raises OptionInvalid: if no fault in force has this number.
        """
        if number not in self._armed:
            known = ", ".join(map(str, self._armed)) or "none: no fault is in force"
            raise OptionInvalid("fault", f"no fault in force has the number {number}", known)
        del self._armed[number]
        self._arrange()

    def on_exchange(self, name: str) -> Sequence[ActiveFault]:
        """List the faults that aim at an exchange."""
        return self._by_exchange.get(name, ())

    def on_meta(self, channel: str) -> Sequence[ActiveFault]:
        """List the faults that aim at a meta channel."""
        return self._by_meta.get(channel, ())

    def _add(self, fault: Fault, session: int | None = None) -> ActiveFault:
        self.last += 1
        armed = self._armed[self.last] = ActiveFault(self.last, fault, session)
        return armed

    def _arrange(self) -> None:
        by_exchange, by_meta = defaultdict(list), defaultdict(list)
        for armed in self:
            for name in armed.fault.exchanges:
                by_exchange[name].append(armed)
            if armed.fault.meta is not None:
                by_meta[armed.fault.meta].append(armed)
        self._by_exchange, self._by_meta = dict(by_exchange), dict(by_meta)


def triggered(
    faults: Iterable[ActiveFault], session: Session, seed: str, subscription: JSON = None
) -> list[FaultAction]:
    """Count one more time that the target of these faults came up; return what strikes.

    `subscription` is that of a `/meta/subscribe` or `/meta/unsubscribe`: a channel, or an array of them.
    """
    channels = subscription if isinstance(subscription, list) else [subscription]
    actions = []
    for armed in faults:
        fault = armed.fault
        if armed.session not in (None, session.number) or (fault.roles and session.role not in fault.roles):
            continue
        if fault.channel is not None and fault.channel not in channels:
            continue
        time = session.struck[fault.index] = session.struck.get(fault.index, 0) + 1
        if _triggers(fault, time, f"{seed}|{session.user or ''}"):
            actions.append(fault.action)
    return actions


def _triggers(fault: Fault, time: int, seed: str) -> bool:
    if fault.nth is not None:
        return time == fault.nth
    if fault.every is not None:
        return time % max(1, fault.every) == 0
    if fault.rate is not None:
        return _chance(f"{seed}|{fault.index}|{time}") < fault.rate
    return True


def _chance(text: str) -> float:
    """Draw a number from 0 to 1 that only the text decides."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def delivery_count(actions: Iterable[FaultAction], place: int, event: EventOut) -> int:
    """Tell how often an event is delivered: the one at this place (from 1) of its exchange."""
    aimed_at = (None, place, event.message.get("channel"))
    times = 1
    for action in actions:
        if isinstance(action, (DropEvent, DuplicateEvent)) and action.which in aimed_at:
            times = 0 if isinstance(action, DropEvent) else times * 2
    return times
