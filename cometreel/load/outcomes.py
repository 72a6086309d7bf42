"""Outcomes of requests: one immutable value for each thing that can happen to an agent's request.

`intended` is the intended start of a POST, `sent` the time at which it was written.

| outcome | when |
|---|---|
| `Acknowledged` | the HTTP reply has statusCode 0 and, if a notification is expected, a referenceId |
| `Refused` | any other HTTP reply, or none within the patience since `sent` |
| `Answered` | the notification arrived within the patience since `sent`; `late` is counted from `intended` |
| `Wrong` | the notification arrived within the patience but is about another owner or has another type |
| `Lost` | no notification arrived within the patience |
| `LateAfterLost` | a notification arrived after its request was counted as lost, at any time |
| `Duplicate` | another notification arrived within the patience after the request was answered |
| `Unexpected` | a notification arrived that belongs to no request of this session |
| `Abandoned` | the agent was stopped before the patience was over: neither answered nor lost |
| `SessionLost` | the server doesn't know the CometD session any more |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from cometreel.load.owner_kinds import Expectation
from cometreel.value_copies import copy_by_constructor

__all__ = [
    "Abandoned",
    "Acknowledged",
    "Answered",
    "Duplicate",
    "Failure",
    "LateAfterLost",
    "Lost",
    "PendingRequest",
    "PlannedRequest",
    "Refused",
    "RequestOutcome",
    "SessionLost",
    "Unexpected",
    "Wrong",
]


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request that an agent will send: the entry under which it is counted, and the expected notification, if any."""

    entry: str
    expectation: Expectation | None


class PendingRequest:
    """A POST and its expected notification. Times are seconds on the agent's clock. Only the ledger changes it."""

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
        """True if the exchange is not finished."""
        return self.settled_at is None

    def __reduce__(self) -> tuple[object, ...]:
        start = (self.number, self.agent, self.planned, self.intended, self.sent)
        return _restored, (start, (self.ack_at, self.reference, self.answered, self.settled_at))

    def __repr__(self) -> str:
        return f"PendingRequest({self.number}, {self.planned.entry!r}, reference={self.reference})"


def _restored(
    start: tuple[int, str, PlannedRequest, float, float],
    progress: tuple[float | None, int | str | None, bool, float | None],
) -> PendingRequest:
    request = PendingRequest(*start)
    request.ack_at, request.reference, request.answered, request.settled_at = progress
    return request


class Failure(Enum):
    """The reason why a POST wasn't acknowledged."""

    HTTP = "HTTP"
    """The HTTP status isn't 2xx; the detail is the status."""
    STATUS = "statusCode"
    """The statusCode in the body isn't 0; the detail is the statusCode, or -1 if there is none."""
    REFERENCE = "no referenceId"
    """The body has no referenceId although a notification is expected."""
    REPLY = "no reply"
    """The connection was lost, or there was no reply within the patience."""


class Acknowledged(
    NamedTuple
):  # the two most frequent outcomes are named tuples: creating one takes a third of the time of a dataclass
    """The HTTP reply has statusCode 0."""

    exchange: PendingRequest
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The POST failed; no notification is expected."""

    exchange: PendingRequest
    at: float
    failure: Failure
    detail: int = 0
    message: str = ""
    """The statusMessage of the reply, without secrets. A replay describes the near miss in it."""

    @property
    def text(self) -> str:
        """The name in reports: `HTTP 503`, `statusCode 4`, `no referenceId`, `no reply`."""
        return f"{self.failure.value} {self.detail}" if self.detail else self.failure.value


class Answered(NamedTuple):
    """The expected notification arrived within the patience."""

    exchange: PendingRequest
    at: float
    late: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """A notification with the right referenceId arrived within the patience, but `part` of it is wrong."""

    exchange: PendingRequest
    at: float
    part: str

    @property
    def text(self) -> str:
        """The name in reports."""
        return f"wrong {self.part}"


@dataclass(frozen=True, slots=True)
class Lost:
    """No notification arrived within the patience, which ended at `at`."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """The name in reports."""
        return "lost"


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The agent was stopped while the exchange was in progress; its result is unknown."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """The name in reports."""
        return "abandoned"


@dataclass(frozen=True, slots=True)
class LateAfterLost:
    """A notification arrived after its request was given up."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """The name in reports."""
        return "late-after-lost"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another notification arrived for an answered request."""

    exchange: PendingRequest
    at: float

    @property
    def text(self) -> str:
        """The name in reports."""
        return "duplicate"


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A notification arrived that belongs to no request."""

    reference: int | str | None
    at: float

    @property
    def text(self) -> str:
        """The name in reports."""
        return "unexpected"


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The CometD session was lost while `waiting` requests had no notification."""

    at: float
    waiting: int

    @property
    def text(self) -> str:
        """The name in reports."""
        return "session lost"


RequestOutcome: TypeAlias = (
    Acknowledged | Refused | Answered | Wrong | Lost | Abandoned | LateAfterLost | Duplicate | Unexpected | SessionLost
)

copy_by_constructor(__name__)
