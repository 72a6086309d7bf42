"""The five kinds of `RequestAgentStats`: what each sends, and what it is called. Knows no sockets and no results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from cometreel.jsonvalue import JSONObject

__all__ = ["Expectation", "OwnerKind", "StatsRequest", "request_for", "expectation_for"]

_PATH = "/api/v2/workbins"
_OPERATION = "RequestAgentStats"


class OwnerKind(Enum):
    """Whose workbins a request asks about. The value is its word in a mix and in an owners file."""

    AGENT = "agent"
    """Those of the agent who asks."""
    PLACE = "place"
    AGENT_GROUP = "agent-group"
    PLACE_GROUP = "place-group"
    USER = "user"
    """Those of another user, by id."""

    @property
    def label(self) -> str:
        """The kind as reports and limits write it: `Agent`, `Place`, `AgentGroup`, `PlaceGroup`, `User`."""
        return self.value.title().replace("-", "")

    @property
    def entry(self) -> str:
        """The name of its rows in Locust's statistics: `RequestAgentStats Place`."""
        return f"{_OPERATION} {self.label}"

    @property
    def workbin_type(self) -> str:
        """What the answer must say as `Type`; a user's workbins are those of an agent."""
        return "Agent" if self is OwnerKind.USER else self.label

    @property
    def owned(self) -> bool:
        """Whether the request names an owner. An agent who asks for its own names none."""
        return self is not OwnerKind.AGENT


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """One POST: its path, percent-encoded, and its JSON body."""

    path: str
    body: JSONObject
    method: str = "POST"


def request_for(kind: OwnerKind, owner: str = "") -> StatsRequest:
    """Return the request of this kind about this owner (API reference, operation RequestAgentStats).

    The owner is the name of a place or a group, or the id of a user; it is ignored for an agent's own.
    """
    if kind is OwnerKind.USER:
        return StatsRequest(f"/api/v2/users/{quote(owner, safe='')}/workbins", {"operationName": _OPERATION})
    body: JSONObject = {"operationName": _OPERATION}
    if kind is not OwnerKind.AGENT:
        body |= {"workbinType": kind.label, "workbinOwner": owner}
    return StatsRequest(_PATH, body)


_MESSAGE = "WorkbinStatsMessage"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the answer to one request must say; None as owner means that the owner isn't known, so any is right."""

    workbin_type: str
    owner: str | None = None
    message_type: str = _MESSAGE

    def mismatch(self, data: JSONObject) -> str:
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


def expectation_for(kind: OwnerKind, owner: str = "", own_id: str | None = None) -> Expectation:
    """Return what answers a request of this kind; `own_id` is the id of the agent who asks, where it is known."""
    return Expectation(kind.workbin_type, owner if kind.owned else own_id)
