"""The active faults, and when each is triggered. Requests are counted per HTTP session.

Faults come from the scenario, or are added while it plays. The caller applies the faults that are triggered.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cometreel.engine.sessions import Session
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario import DropEvent, DuplicateEvent, EventOut, Fault, FaultAction
from cometreel.value_copies import copy_by_constructor

__all__ = ["ActiveFault", "Faults", "delivery_count", "triggered"]


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """An active fault."""

    number: int
    """Its number, unique within a run."""
    fault: Fault
    session: int | None = None
    """The arrival number of the session that it is limited to; None for all."""


class Faults:
    """The active faults, by their target. `last` is the highest fault number used so far."""

    def __init__(self, faults: Iterable[Fault], last: int = 0) -> None:
        self.last = last
        self._active: dict[int, ActiveFault] = {}
        for fault in faults:
            self._add(fault)
        self._update()

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(self._active.values())

    def add_fault(self, fault: Fault, session: int | None = None) -> ActiveFault:
        """Add a fault. It gets a new index, so that its count starts at 0."""
        active = self._add(replace(fault, index=-1 - self.last), session)
        self._update()
        return active

    def remove_fault(self, number: int) -> None:
        """Remove a fault.

        :raises OptionInvalid: if no active fault has this number.
        """
        if number not in self._active:
            known = ", ".join(map(str, self._active)) or "none: no fault is active"
            raise OptionInvalid("fault", f"no active fault has the number {number}", known)
        del self._active[number]
        self._update()

    def on_meta(self, channel: str) -> Sequence[ActiveFault]:
        """Return the faults whose target is a meta channel."""
        return self._by_meta.get(channel, ())

    def _add(self, fault: Fault, session: int | None = None) -> ActiveFault:
        self.last += 1
        active = self._active[self.last] = ActiveFault(self.last, fault, session)
        return active

    def _update(self) -> None:
        by_exchange, by_meta = defaultdict(list), defaultdict(list)
        for active in self:
            for name in active.fault.exchanges:
                by_exchange[name].append(active)
            if active.fault.meta is not None:
                by_meta[active.fault.meta].append(active)
        self.by_exchange: Mapping[str, Sequence[ActiveFault]] = dict(by_exchange)
        """The faults that have an exchange as their target, by its name."""
        self._by_meta = dict(by_meta)


def triggered(
    faults: Iterable[ActiveFault], session: Session, seed: str, subscription: JSON = None
) -> list[FaultAction]:
    """Count one more request for the target of these faults; return the actions of those that are triggered.

    `subscription` is the value in a `/meta/subscribe` or `/meta/unsubscribe`: a channel or an array of channels.
    """
    channels = subscription if isinstance(subscription, list) else [subscription]
    actions = []
    for active in faults:
        fault = active.fault
        if active.session not in (None, session.number) or (fault.roles and session.role not in fault.roles):
            continue
        if fault.channel is not None and fault.channel not in channels:
            continue
        count = session.fault_counts[fault.index] = session.fault_counts.get(fault.index, 0) + 1
        if _triggers(fault, count, f"{seed}|{session.user or ''}"):
            actions.append(fault.action)
    return actions


def _triggers(fault: Fault, count: int, seed: str) -> bool:
    if fault.nth is not None:
        return count == fault.nth
    if fault.every is not None:
        return count % max(1, fault.every) == 0
    if fault.rate is not None:
        return _chance(f"{seed}|{fault.index}|{count}") < fault.rate
    return True


def _chance(text: str) -> float:
    """Return a number from 0 to 1 that depends only on the text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def delivery_count(actions: Iterable[FaultAction], place: int, event: EventOut) -> int:
    """Return how often the event at this place (from 1) of an exchange is delivered."""
    targets = (None, place, event.message.get("channel"))
    times = 1
    for action in actions:
        if isinstance(action, (DropEvent, DuplicateEvent)) and action.which in targets:
            times = 0 if isinstance(action, DropEvent) else times * 2
    return times


copy_by_constructor(__name__)
