"""The five kinds of `RequestAgentStats`: what each sends, and what it is called. Knows no sockets and no results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from cometreel.jsonvalue import JSONObject

__all__ = ["Call", "Kind", "call_for"]

_PATH = "/api/v2/workbins"
_OPERATION = "RequestAgentStats"


class Kind(Enum):
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
        return "Agent" if self is Kind.USER else self.label

    @property
    def owned(self) -> bool:
        """Whether the request names an owner. An agent who asks for its own names none."""
        return self is not Kind.AGENT


@dataclass(frozen=True, slots=True)
class Call:
    """One POST: its path, percent-encoded, and its JSON body."""

    path: str
    body: JSONObject
    method: str = "POST"


def call_for(kind: Kind, owner: str = "") -> Call:
    """Return the request of this kind about this owner (API reference, operation RequestAgentStats).

    The owner is the name of a place or a group, or the id of a user; it is ignored for an agent's own.
    """
    if kind is Kind.USER:
        return Call(f"/api/v2/users/{quote(owner, safe='')}/workbins", {"operationName": _OPERATION})
    body: JSONObject = {"operationName": _OPERATION}
    if kind is not Kind.AGENT:
        body |= {"workbinType": kind.label, "workbinOwner": owner}
    return Call(_PATH, body)
