"""A small application under test, on plain httpx: it requests statistics and polls for the notifications."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

NOTIFICATIONS = "/api/v2/notifications"


class AgentApplication:
    """The application of one agent. `messages` are the notifications of the server."""

    def __init__(self, url: str, user: str = "agent-1") -> None:
        self.http = httpx.Client(base_url=url, auth=(user, "secret"), timeout=30)
        self.messages: list[dict[str, Any]] = []
        self._client_id = ""

    def log_in(self) -> Self:
        (reply,) = self._post(
            {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
        )
        self._client_id = reply["clientId"]
        self._post({"channel": "/meta/subscribe", "subscription": "/v2/me/workbins"})
        self.poll()  # the first one returns at once
        return self

    def request_stats(self, **body: str) -> dict[str, Any]:
        """Request statistics; the notification with them follows the reply."""
        reply = self.http.post("/api/v2/workbins", json={"operationName": "RequestAgentStats", **body})
        answer: dict[str, Any] = reply.json()
        return answer

    def poll(self) -> None:
        """Wait for the next messages, as long as the server holds the poll."""
        replies = self._post({"channel": "/meta/connect", "connectionType": "long-polling"})
        self.messages += [reply["data"] for reply in replies if "data" in reply]

    def _post(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        identity = {"clientId": self._client_id} if self._client_id else {}
        replies: list[dict[str, Any]] = self.http.post(NOTIFICATIONS, json=[{**message, **identity}]).json()
        return replies

    def __enter__(self) -> Self:
        return self.log_in()

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.http.close()
