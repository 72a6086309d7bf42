"""Helpers for the transcripts of the shipped scenarios."""

from __future__ import annotations

from cometreel.jsonvalue import JSONObject
from tests.unit.engine.conversation import Client

BIN = "861640a2-7c64-4c0b-9d7e-1f6f0c5a00"
"""The id of a workbin, but for its last two digits."""

TOPIC = "/v2/me/workbins"
STATS: JSONObject = {"operationName": "RequestAgentStats"}
SUBSCRIBE: JSONObject = {"operationName": "Subscribe"}
UNSUBSCRIBE: JSONObject = {"operationName": "Unsubscribe"}


def accepted(reference: int) -> JSONObject:
    """The HTTP reply that promises an answer."""
    return {"statusCode": 0, "referenceId": reference}


def subscribed(workbin: str, state: str = "Subscribed") -> JSONObject:
    """The notification of a subscription."""
    return {"messageType": "WorkbinSubscriptionStateChangeMessage", "id": workbin, "stateResource": state}


def own_stats(owner: str, reference: int = 1) -> JSONObject:
    """The notification of one's own statistics."""
    workbins: JSONObject = {f"{BIN}01": {"Count": 3, "Owner": owner, "Type": "Agent"}}
    return {"messageType": "WorkbinStatsMessage", "referenceId": reference, "workbinStats": workbins}


def meta(client: Client, channel: str) -> list[JSONObject]:
    """The acknowledgements that a client got on a channel."""
    return [message for message in client.meta if message["channel"] == channel]
