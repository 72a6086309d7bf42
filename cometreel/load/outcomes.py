"""What became of the requests of an agent: one frozen fact for each thing that happened. Nothing here decides.

The definitions, for a request whose POST was meant for `intended`, written at `sent`, and answered with a referenceId:

| outcome | when |
|---|---|
| `Acknowledged` | the HTTP reply came, with statusCode 0 and, where a notification is expected, a referenceId |
| `Refused` | it came with something else, or not within the patience since `sent` |
| `Answered` | its notification came within the patience since `sent`; `late` if later than that since `intended` |
| `Mistaken` | it came within the patience and speaks of another owner or type |
| `Lost` | none came within the patience |
| `AnsweredAfterLost` | one came after it was counted as lost |
| `Duplicated` | one more came after it was answered |
| `Unclaimed` | a notification came that no request of this session explains |
| `Abandoned` | its agent was stopped before the patience was over: neither answered nor lost |
| `SessionLost` | the server doesn't know the CometD session any more |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from cometreel.load.expectation import Expectation

__all__ = [
    "Abandoned",
    "Acknowledged",
    "Answered",
    "AnsweredAfterLost",
    "Ask",
    "Duplicated",
    "Exchange",
    "Failure",
    "Lost",
    "Mistaken",
    "Outcome",
    "Refused",
    "SessionLost",
    "Unclaimed",
]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that an agent makes: the entry that it counts under, and what must answer it, if anything."""

    entry: str
    expects: Expectation | None


class Exchange:
    """One request under way. Times are seconds on the agent's own monotonic clock. Read it; the ledger writes it."""

    __slots__ = ("ack_at", "agent", "answered", "ask", "intended", "number", "reference", "sent", "settled_at")

    def __init__(self, number: int, agent: str, ask: Ask, intended: float, sent: float) -> None:
        self.number = number
        self.agent = agent
        self.ask = ask
        self.intended = intended
        self.sent = sent
        self.ack_at: float | None = None
        self.reference: int | str | None = None
        self.answered = False
        self.settled_at: float | None = None

    @property
    def open(self) -> bool:
        """Whether something can still become of it."""
        return self.settled_at is None

    def __repr__(self) -> str:
        return f"Exchange({self.number}, {self.ask.entry!r}, reference={self.reference})"


class Failure(Enum):
    """Why a POST wasn't acknowledged."""

    HTTP = "HTTP"
    """The HTTP status isn't 2xx; the detail is the status."""
    STATUS = "statusCode"
    """The body says a statusCode other than 0; the detail is that code, or -1 where there is none."""
    REFERENCE = "no referenceId"
    """The body names no referenceId although a notification is expected."""
    REPLY = "no reply"
    """The connection broke, or nothing came within the patience."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The HTTP reply came, with statusCode 0."""

    exchange: Exchange
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The POST failed; no notification is expected any more."""

    exchange: Exchange
    at: float
    failure: Failure
    detail: int = 0

    @property
    def text(self) -> str:
        """What a report counts it under: `HTTP 503`, `statusCode 4`, `no referenceId`, `no reply`."""
        return f"{self.failure.value} {self.detail}" if self.detail else self.failure.value


@dataclass(frozen=True, slots=True)
class Answered:
    """The right notification came within the patience."""

    exchange: Exchange
    at: float
    late: bool


@dataclass(frozen=True, slots=True)
class Mistaken:
    """A notification with the right referenceId came within the patience, and this part of it is wrong."""

    exchange: Exchange
    at: float
    part: str

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return f"wrong {self.part}"


@dataclass(frozen=True, slots=True)
class Lost:
    """No notification came within the patience; `at` is when that was over."""

    exchange: Exchange
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "lost"


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The agent was stopped while this was under way: nobody knows what would have become of it."""

    exchange: Exchange
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "abandoned"


@dataclass(frozen=True, slots=True)
class AnsweredAfterLost:
    """A notification came after its request was given up."""

    exchange: Exchange
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "late-after-lost"


@dataclass(frozen=True, slots=True)
class Duplicated:
    """One more notification came for a request that was answered."""

    exchange: Exchange
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "duplicate"


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A notification came that no request explains."""

    reference: int | str | None
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "unexpected"


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The CometD session was lost while this many requests waited for their notification."""

    at: float
    waiting: int

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "session lost"


Outcome: TypeAlias = (
    Acknowledged
    | Refused
    | Answered
    | Mistaken
    | Lost
    | Abandoned
    | AnsweredAfterLost
    | Duplicated
    | Unclaimed
    | SessionLost
)
