"""What became of the requests of an agent: one frozen fact for each thing that happened. Nothing here decides.

The definitions, for a request whose POST was meant for `intended`, written at `sent`, and answered with a referenceId:

| outcome | when |
|---|---|
| `Acknowledged` | the HTTP reply came, with statusCode 0 and, where a notification is expected, a referenceId |
| `Refused` | it came with something else, or not within the patience since `sent` |
| `Answered` | its notification came within the patience since `sent`; `late` if later than that since `intended` |
| `Wrong` | it came within the patience and speaks of another owner or type |
| `Lost` | none came within the patience |
| `LateAfterLost` | one came after it was counted as lost |
| `Duplicate` | one more came after it was answered |
| `Unexpected` | a notification came that no request of this session explains |
| `Abandoned` | its agent was stopped before the patience was over: neither answered nor lost |
| `SessionLost` | the server doesn't know the CometD session any more |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from cometreel.load.owner_kinds import Expectation

__all__ = [
    "Abandoned",
    "Acknowledged",
    "Answered",
    "LateAfterLost",
    "PlannedRequest",
    "Duplicate",
    "PendingRequest",
    "Failure",
    "Lost",
    "Wrong",
    "RequestOutcome",
    "Refused",
    "SessionLost",
    "Unexpected",
]


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request that an agent makes: the entry that it counts under, and what must answer it, if anything."""

    entry: str
    expectation: Expectation | None


class PendingRequest:
    """One request under way. Times are seconds on the agent's own monotonic clock. Read it; the ledger writes it."""

    __slots__ = ("ack_at", "agent", "answered", "intended", "number", "planned", "reference", "sent", "settled_at")

    def __init__(self, number: int, agent: str, planned: PlannedRequest, intended: float, sent: float) -> None:
        self.number = number
        self.agent = agent
        self.planned = planned
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
        return f"PendingRequest({self.number}, {self.planned.entry!r}, reference={self.reference})"


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


class Acknowledged(NamedTuple):  # the two that each exchange makes are named tuples, which are made thrice as fast
    """The HTTP reply came, with statusCode 0."""

    exchange: PendingRequest
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The POST failed; no notification is expected any more."""

    exchange: PendingRequest
    at: float
    failure: Failure
    detail: int = 0

    @property
    def text(self) -> str:
        """What a report counts it under: `HTTP 503`, `statusCode 4`, `no referenceId`, `no reply`."""
        return f"{self.failure.value} {self.detail}" if self.detail else self.failure.value


class Answered(NamedTuple):
    """The right notification came within the patience."""

    exchange: PendingRequest
    at: float
    late: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """A notification with the right referenceId came within the patience, and this part of it is wrong."""

    exchange: PendingRequest
    at: float
    part: str

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return f"wrong {self.part}"


@dataclass(frozen=True, slots=True)
class Lost:
    """No notification came within the patience; `at` is when that was over."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "lost"


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The agent was stopped while this was under way: nobody knows what would have become of it."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "abandoned"


@dataclass(frozen=True, slots=True)
class LateAfterLost:
    """A notification came after its request was given up."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "late-after-lost"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """One more notification came for a request that was answered."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """What a report counts it under."""
        return "duplicate"


@dataclass(frozen=True, slots=True)
class Unexpected:
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


RequestOutcome: TypeAlias = (
    Acknowledged | Refused | Answered | Wrong | Lost | Abandoned | LateAfterLost | Duplicate | Unexpected | SessionLost
)
