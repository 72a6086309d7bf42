"""What happened in a run, as values: what was asked, answered and heard. Times are seconds, monotonic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode
from cometreel.scenario import Question, can_be_written
from cometreel.verify.request_building import BuiltPublish, BuiltRequest
from cometreel.verify.script import ScriptStep
from cometreel.wire import Headers

__all__ = ["ReceivedNotification", "LiveReply", "PlayedStep"]


@dataclass(frozen=True, slots=True)
class LiveReply:
    """An HTTP reply as it came."""

    status: int
    headers: Headers = Headers()
    body: bytes = b""

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON that a scenario can hold."""
        return self._decoded() is not None

    @property
    def json(self) -> JSON:
        """The body as JSON, None where it isn't."""
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
    """A message that a part was delivered."""

    part: str
    message: JSONObject
    at: float

    @property
    def channel(self) -> str:
        """Where it came."""
        return str(self.message.get("channel"))

    @property
    def data(self) -> JSON:
        """What it carries."""
        return self.message.get("data")


@dataclass(slots=True, eq=False)
class PlayedStep:
    """One step that was asked. Its answer is `reply` (HTTP) or `published` (the acknowledgement), or `failure`."""

    step: ScriptStep
    ask: BuiltRequest | BuiltPublish
    question: Question
    captures: Mapping[str, JSON]
    asked_at: float
    reply: LiveReply | None = None
    published: JSONObject | None = None
    failure: str = ""
    replied_at: float | None = None
    heard: list[ReceivedNotification] = field(default_factory=list)
    """The notifications that belong to it, in the order in which they came."""

    @property
    def answered(self) -> bool:
        """Whether nothing more is to come on the connection that it was asked on."""
        return self.replied_at is not None
