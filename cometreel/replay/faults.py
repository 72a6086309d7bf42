"""When a fault strikes. Counted per HTTP session, so that no session changes what another one meets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cometreel.jsonvalue import JSON
from cometreel.replay.sessions import Session
from cometreel.scenario import DropEvent, DuplicateEvent, EventOut, Fault, FaultAction

__all__ = ["how_often", "striking"]


def striking(faults: Iterable[Fault], session: Session, seed: str, subscription: JSON = None) -> list[FaultAction]:
    """Count one more time that the target of these faults came up; return what strikes.

    `subscription` is that of a `/meta/subscribe` or `/meta/unsubscribe`: a channel, or an array of them.
    """
    channels = subscription if isinstance(subscription, list) else [subscription]
    actions = []
    for fault in faults:
        if fault.roles and session.role not in fault.roles:
            continue
        if fault.channel is not None and fault.channel not in channels:
            continue
        time = session.struck[fault.index] = session.struck.get(fault.index, 0) + 1
        if _strikes(fault, time, f"{seed}|{session.user or ''}"):
            actions.append(fault.action)
    return actions


def _strikes(fault: Fault, time: int, seed: str) -> bool:
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


def how_often(actions: Iterable[FaultAction], place: int, event: EventOut) -> int:
    """Tell how often an event is delivered: the one at this place (from 1) of its exchange."""
    aimed_at = (None, place, event.message.get("channel"))
    times = 1
    for action in actions:
        if isinstance(action, (DropEvent, DuplicateEvent)) and action.which in aimed_at:
            times = 0 if isinstance(action, DropEvent) else times * 2
    return times
