"""The conversation: what was said by whom, placed in time, as both the page and the terminal draw it.

Plain data, made from a journal or from a scenario by the neighbours of this module. Nothing here draws or reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario import Profile

__all__ = [
    "Conversation",
    "PollEnding",
    "ConversationExchange",
    "FrameInfo",
    "Lane",
    "Bookmark",
    "ConversationNotification",
    "HeldPoll",
    "WebSocketSpan",
    "ConversationSource",
    "MetaMessage",
]

ConversationSource: TypeAlias = Literal["journal", "scenario"]
PollEnding: TypeAlias = Literal["answered", "empty", "refused", "broken", "open"]


@dataclass(frozen=True, slots=True)
class Lane:
    """Who speaks: a recorded session, or the roles that a scenario's exchanges are for. `detail` is its user."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConversationNotification:
    """A message that the server pushed. `at` is seconds since the beginning, `kind` what the message calls itself."""

    at: float
    lane: int
    channel: str
    kind: str
    data: JSON = None
    ext: JSON = None

    @property
    def label(self) -> str:
        """What it is called in a drawing."""
        return self.kind or self.channel


@dataclass(frozen=True, slots=True)
class ConversationExchange:
    """One request with its acknowledgement and the notifications that answer it.

    `method` is an HTTP method or `PUBLISH`; `target` the path with its query, or the channel. `status` is the HTTP
    status, or `ok` or `refused` for a publish. `reply_at` is None where no reply came. `faults` say what went wrong, or
    what a scenario makes go wrong; `notes` what the drawing can't show.
    """

    name: str
    lane: int
    at: float
    method: str
    target: str
    operation: str = ""
    owner_type: str = ""
    request: JSON = None
    status: str = ""
    reply_at: float | None = None
    headers: JSON = None
    reply: JSON = None
    notifications: tuple[ConversationNotification, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ack_seconds(self) -> float | None:
        """How long the reply took."""
        return None if self.reply_at is None else self.reply_at - self.at

    @property
    def end(self) -> float:
        """When the last of it had come."""
        return max([self.at, self.reply_at or self.at, *(one.at for one in self.notifications)])

    def is_early(self, notification: ConversationNotification) -> bool:
        """Tell whether a notification came before the reply."""
        return self.reply_at is not None and notification.at < self.reply_at


@dataclass(frozen=True, slots=True)
class HeldPoll:
    """A `/meta/connect`, held from `at` `until`; `until` is None where it was open when the recording ended."""

    lane: int
    at: float
    until: float | None
    ending: PollEnding
    messages: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MetaMessage:
    """Another message of Bayeux's own: a handshake, a subscription. `refused` is the server's error, if it said no."""

    lane: int
    at: float
    channel: str
    detail: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """One WebSocket frame and how many Bayeux messages it carried."""

    at: float
    sent: bool
    messages: int


@dataclass(frozen=True, slots=True)
class WebSocketSpan:
    """A WebSocket connection; `until` is None where it was open when the recording ended."""

    lane: int
    at: float
    until: float | None
    frames: tuple[FrameInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A moment that concerns everybody, such as a remark made while recording."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole conversation, in order of time. `notes` are whole sentences; `faults` those that aim at no exchange."""

    title: str
    source: ConversationSource
    profile: Profile
    lanes: tuple[Lane, ...]
    exchanges: tuple[ConversationExchange, ...]
    unsolicited: tuple[ConversationNotification, ...] = ()
    polls: tuple[HeldPoll, ...] = ()
    steps: tuple[MetaMessage, ...] = ()
    sockets: tuple[WebSocketSpan, ...] = ()
    marks: tuple[Bookmark, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max(self._ends(), default=0.0)

    def _ends(self) -> Iterator[float]:
        yield from (exchange.end for exchange in self.exchanges)
        for timed in (self.unsolicited, self.steps, self.marks):
            yield from (one.at for one in timed)
        for lasting in (self.polls, self.sockets):
            yield from (one.at if one.until is None else one.until for one in lasting)
