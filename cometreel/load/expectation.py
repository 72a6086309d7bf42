"""What a right notification must say: the message type, the owner and the type of every workbin in it.

Only compares; when a notification counts is the ledger's part.
"""

from __future__ import annotations

from dataclasses import dataclass

from cometreel.jsonvalue import JSONObject
from cometreel.load.kinds import Kind

__all__ = ["Expectation", "expectation_for"]

_MESSAGE = "WorkbinStatsMessage"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the answer to one request must say; None as owner means that the owner isn't known, so any is right."""

    workbin_type: str
    owner: str | None = None
    message_type: str = _MESSAGE

    def wrong(self, data: JSONObject) -> str:
        """Say which part of this notification is wrong: `messageType`, `workbinStats`, `Owner`, `Type`; empty if none.

        How an empty result is notified is unknown, so no `workbinStats`, and an empty one, are right.
        """
        if data.get("messageType") != self.message_type:
            return "messageType"
        stats = data.get("workbinStats")
        if stats is None:
            return ""
        if not isinstance(stats, dict):
            return "workbinStats"
        for workbin in stats.values():
            if not isinstance(workbin, dict):
                return "workbinStats"
            if workbin.get("Type") != self.workbin_type:
                return "Type"
            if self.owner is not None and workbin.get("Owner") != self.owner:
                return "Owner"
        return ""


def expectation_for(kind: Kind, owner: str = "", own_id: str | None = None) -> Expectation:
    """Return what answers a request of this kind; `own_id` is the id of the agent who asks, where it is known."""
    return Expectation(kind.workbin_type, owner if kind.owned else own_id)
