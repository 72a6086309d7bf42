"""The conversation: exchanges, notifications and polls with their times, as the page and the terminal show it.

Plain data; `journal_reader` and `scenario_reader` create it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario import Profile

__all__ = [
    "Bookmark",
    "Conversation",
    "ConversationExchange",
    "ConversationNotification",
    "ConversationSource",
    "FrameInfo",
    "HeldPoll",
    "Lane",
    "MetaMessage",
    "PollEnding",
    "WebSocketSpan",
]

ConversationSource: TypeAlias = Literal["journal", "scenario"]
PollEnding: TypeAlias = Literal["answered", "empty", "refused", "broken", "open"]


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the timeline: a recorded session, or roles of a scenario. `detail` is the user."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConversationNotification:
    """A message that the server pushed. `at` is seconds since the start, `kind` the type of the message."""

    at: float
    lane: int
    channel: str
    kind: str
    data: JSON = None
    ext: JSON = None

    @property
    def label(self) -> str:
        """The text of the notification in the timeline."""
        return self.kind or self.channel


@dataclass(frozen=True, slots=True)
class ConversationExchange:
    """One request with its reply and the notifications that it causes.

    `method` is an HTTP method or `PUBLISH`; `target` is the path with its query, or the channel. `status` is the HTTP
    status, or `ok` or `refused` for a publish. `reply_at` is None without a reply. `faults` are errors, or faults of
    the scenario; `notes` describe what the timeline can't show.
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
        """The time from the request to the reply."""
        return None if self.reply_at is None else self.reply_at - self.at

    @property
    def end(self) -> float:
        """The time of the reply or of the last notification."""
        return max([self.at, self.reply_at or self.at, *(one.at for one in self.notifications)])

    def is_early(self, notification: ConversationNotification) -> bool:
        """True if a notification came before the reply."""
        return self.reply_at is not None and notification.at < self.reply_at


@dataclass(frozen=True, slots=True)
class HeldPoll:
    """A `/meta/connect` held from `at` to `until`; None if it was still open when the recording ended."""

    lane: int
    at: float
    until: float | None
    ending: PollEnding
    messages: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MetaMessage:
    """Another meta message, such as a handshake or a subscription. `refused` is the error of the server, if any."""

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
    """A WebSocket connection; `until` is None if it was still open when the recording ended."""

    lane: int
    at: float
    until: float | None
    frames: tuple[FrameInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A point in time for all lanes, such as a remark added during the recording."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole conversation, ordered by time. `notes` are sentences; `faults` those without an exchange."""

    title: str
    source: ConversationSource
    profile: Profile
    lanes: tuple[Lane, ...]
    exchanges: tuple[ConversationExchange, ...]
    unsolicited: tuple[ConversationNotification, ...] = ()
    polls: tuple[HeldPoll, ...] = ()
    meta_messages: tuple[MetaMessage, ...] = ()
    sockets: tuple[WebSocketSpan, ...] = ()
    marks: tuple[Bookmark, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """The duration."""
        return max(self._ends(), default=0.0)

    def _ends(self) -> Iterator[float]:
        yield from (exchange.end for exchange in self.exchanges)
        for timed in (self.unsolicited, self.meta_messages, self.marks):
            yield from (one.at for one in timed)
        for lasting in (self.polls, self.sockets):
            yield from (one.at if one.until is None else one.until for one in lasting)
