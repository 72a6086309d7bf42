"""The five kinds of owners in `RequestAgentStats`: the request of each kind and its expected notification."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from cometreel.jsonvalue import JSONObject

__all__ = ["Expectation", "OwnerKind", "StatsRequest", "expectation_for", "request_for"]

_PATH = "/api/v2/workbins"
_OPERATION = "RequestAgentStats"


class OwnerKind(Enum):
    """The kind of owner whose workbins a request is about. The value is the word in a mix and in an owners file."""

    AGENT = "agent"
    """The agent that sends the request."""
    PLACE = "place"
    AGENT_GROUP = "agent-group"
    PLACE_GROUP = "place-group"
    USER = "user"
    """Another user, by id."""

    __hash__ = object.__hash__  # that of Enum is a Python function, and each request looks its kind up several times

    @property
    def label(self) -> str:
        """The name in reports and limits: `Agent`, `Place`, `AgentGroup`, `PlaceGroup`, `User`."""
        return self.value.title().replace("-", "")

    @property
    def entry(self) -> str:
        """The name in Locust's statistics, such as `RequestAgentStats Place`."""
        return f"{_OPERATION} {self.label}"

    @property
    def workbin_type(self) -> str:
        """The expected `Type` in the notification. The workbins of a user have the type `Agent`."""
        return "Agent" if self is OwnerKind.USER else self.label

    @property
    def owned(self) -> bool:
        """True if the request names an owner. An agent that requests its own workbins names none."""
        return self is not OwnerKind.AGENT


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """One POST: its path, percent-encoded, and its JSON body."""

    path: str
    body: JSONObject


def request_for(kind: OwnerKind, owner: str = "") -> StatsRequest:
    """Return the request for an owner (API reference, operation RequestAgentStats).

    The owner is the name of a place or group, or the id of a user; it is ignored for the agent's own workbins.
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
    """The expected notification of one request. If `owner` is None, any owner is accepted."""

    workbin_type: str
    owner: str | None = None
    message_type: str = _MESSAGE

    def mismatch(self, data: JSONObject) -> str:
        """Return the part that is wrong: `messageType`, `workbinStats`, `Owner` or `Type`; empty if nothing is wrong.

        GWS doesn't document the notification of an empty result, so a missing or empty `workbinStats` is accepted.
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
    """Return the expected notification of a request. `own_id` is the id of the agent that sends it, if known."""
    return Expectation(kind.workbin_type, owner if kind.owned else own_id)
