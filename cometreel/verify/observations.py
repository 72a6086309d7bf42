"""The requests, replies and notifications of a run. Times are monotonic, in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode
from cometreel.scenario import RequestOrPublish, can_be_written
from cometreel.verify.request_building import BuiltPublish, BuiltRequest
from cometreel.verify.script import ScriptStep
from cometreel.wire import Headers

__all__ = ["LiveReply", "PlayedStep", "ReceivedNotification"]


@dataclass(frozen=True, slots=True)
class LiveReply:
    """An HTTP reply of the live server."""

    status: int
    headers: Headers = Headers()
    body: bytes = b""

    @property
    def is_json(self) -> bool:
        """True if the body is JSON that a scenario can contain."""
        return self._decoded() is not None

    @property
    def json(self) -> JSON:
        """The body as JSON, None if it is not JSON."""
        decoded = self._decoded()
        return decoded[0] if decoded else None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def _decoded(self) -> tuple[JSON] | None:
        try:
            value = decode(self.body)
        except NotJSON:
            return None
        return (value,) if can_be_written(value) else None


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedNotification:
    """A message that a session received."""

    session: str
    message: JSONObject
    at: float

    @property
    def channel(self) -> str:
        """The channel of the message."""
        return str(self.message.get("channel"))

    @property
    def data(self) -> JSON:
        """The data of the message."""
        return self.message.get("data")


@dataclass(slots=True, eq=False)
class PlayedStep:
    """One step that was sent. Its result is `reply` (HTTP), `published` (the acknowledgement) or `failure`."""

    step: ScriptStep
    request: BuiltRequest | BuiltPublish
    normalized_request: RequestOrPublish
    captures: Mapping[str, JSON]
    sent_at: float
    reply: LiveReply | None = None
    published: JSONObject | None = None
    failure: str = ""
    replied_at: float | None = None
    notifications: list[ReceivedNotification] = field(default_factory=list)
    """The notifications assigned to the exchange, in order of arrival."""

    @property
    def completed(self) -> bool:
        """True if the reply was received or the request has failed."""
        return self.replied_at is not None
