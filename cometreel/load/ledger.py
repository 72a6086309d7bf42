"""The ledger of one agent: matches replies and notifications to POSTs. No I/O, no clock.

A notification that arrives before the HTTP reply is kept until every POST that was open at its arrival has a reply.
Only then is it counted as unexpected. A referenceId belongs to the latest POST whose reply contained it. `outcomes`
defines the results; `docs/load-report.md` explains them to users.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.load.formatting import shortened
from cometreel.load.outcomes import (
    Abandoned,
    Acknowledged,
    Answered,
    Duplicate,
    Failure,
    LateAfterLost,
    Lost,
    PendingRequest,
    PlannedRequest,
    Refused,
    RequestOutcome,
    SessionLost,
    Unexpected,
    Wrong,
)
from cometreel.masking import masked_text
from cometreel.value_copies import copy_by_constructor

__all__ = ["LOST_KEPT", "Ledger"]

_Reference = int | str
_EMPTY: Final[deque[PendingRequest]] = deque(maxlen=0)
"""Shared by agents that have not sent a request: there are thousands, and three deques take 2.2 kB."""

LOST_KEPT: Final = 1_000
"""Number of lost exchanges of an agent whose late notifications are recognised."""


@dataclass(frozen=True, slots=True)
class _EarlyNotification:
    """A notification that matches no reply yet. The reply to a POST up to number `before` may still match."""

    at: float
    reference: _Reference
    data: JSONObject
    before: int


class Ledger:
    """Tracks the exchanges of one agent.

    :param agent: name of the agent in reports.
    :param late: seconds since the intended start after which an answer is late.
    :param patience: seconds since the POST was sent after which a missing answer is lost. The referenceId of an
        answered exchange is remembered for the same time. That of a lost one is remembered until the server uses it
        again; of more than `LOST_KEPT`, the latest.
    """

    def __init__(self, agent: str, *, late: float, patience: float) -> None:
        self._agent = agent
        self._late = late
        self._patience = patience
        self._sent = 0
        self._posts: dict[int, PendingRequest] = {}  # sent, neither acknowledged nor refused
        self._by_reference: dict[_Reference, PendingRequest] = {}  # by the referenceId of the reply, until it expires
        self._early: list[_EarlyNotification] = []
        self._by_deadline = _EMPTY  # in order of sending, so in order of their deadlines
        self._settled = _EMPTY  # answered; their referenceIds expire in this order
        self._lost = _EMPTY  # not answered in time; their referenceIds don't expire
        self.waiting = 0
        """Number of acknowledged exchanges without a notification."""

    @property
    def in_flight(self) -> int:
        """Number of exchanges that wait for a reply or for a notification."""
        return len(self._posts) + self.waiting

    # ------------------------------------------------------------------ events
    def sent(self, planned: PlannedRequest, intended: float, now: float) -> PendingRequest:
        """Record a POST that is sent now, with its intended start. Pass the result to `replied` or `failed`."""
        if self._by_deadline is _EMPTY:
            self._by_deadline, self._settled, self._lost = deque(), deque(), deque()
        self._sent += 1
        exchange = PendingRequest(self._sent, self._agent, planned, intended, now)
        self._posts[exchange.number] = exchange
        self._by_deadline.append(exchange)
        return exchange

    def replied(self, exchange: PendingRequest, status: int, body: JSON, now: float) -> list[RequestOutcome]:
        """Process the HTTP reply to a POST: its status and its JSON body (None if it isn't JSON)."""
        outcomes = self.advance(now)
        reference = _reference(body)
        refusal = _refusal(exchange, status, body, reference, now)
        if refusal is not None:
            return outcomes + self._refuse(refusal)
        if self._posts.pop(exchange.number, None) is None:  # it was given up before
            self._remember_reference(exchange, reference, now)
            return outcomes
        exchange.ack_at = now
        outcomes.append(Acknowledged(exchange, now))
        if exchange.planned.expectation is None:
            exchange.settled_at = now
        else:
            self.waiting += 1
            assert reference is not None
            exchange.reference = reference
            self._by_reference[reference] = exchange
        return outcomes + self._deliver_early(exchange) if self._early else outcomes

    def failed(self, exchange: PendingRequest, now: float) -> list[RequestOutcome]:
        """Process the loss of a connection: the POST gets no reply."""
        return self.advance(now) + self._refuse(Refused(exchange, now, Failure.REPLY))

    def notified(self, data: JSONObject, now: float) -> list[RequestOutcome]:
        """Process the data of a notification from the CometD connection."""
        outcomes = self.advance(now)
        reference = _reference(data)
        exchange = None if reference is None else self._by_reference.get(reference)
        if exchange is not None and not self._forgotten(exchange, now):
            outcomes.append(self._deliver(exchange, data, now))
        elif self._posts and reference is not None:
            self._early.append(_EarlyNotification(now, reference, data, self._sent))
        else:
            outcomes.append(Unexpected(reference, now))
        return outcomes

    def session_lost(self, now: float) -> list[RequestOutcome]:
        """Process the loss of the CometD session. Open exchanges stay open."""
        return [*self.advance(now), SessionLost(now, self.waiting)]

    # ------------------------------------------------------------------ time
    def deadline(self) -> float | None:
        """Return the time at which `advance` must be called next."""
        by_deadline = self._by_deadline
        while by_deadline and by_deadline[0].settled_at is not None:
            by_deadline.popleft()
        return by_deadline[0].sent + self._patience if by_deadline else None

    def advance(self, now: float) -> list[RequestOutcome]:
        """Give up all exchanges whose patience is over."""
        outcomes: list[RequestOutcome] = []
        by_deadline, settled, patience = self._by_deadline, self._settled, self._patience
        while by_deadline and (by_deadline[0].settled_at is not None or by_deadline[0].sent + patience <= now):
            exchange = by_deadline.popleft()
            if exchange.settled_at is None:
                outcomes += self._expire(exchange, exchange.sent + patience)
        while settled:
            settled_at = settled[0].settled_at
            if settled_at is None or settled_at + patience > now:
                break
            self._forget(settled.popleft())
        return outcomes

    def close(self, now: float) -> list[RequestOutcome]:
        """Finish all exchanges because the agent stops. Exchanges that could still be answered are abandoned, not lost.

        A run stops sending one patience before this call, so that no exchange is abandoned.
        """
        outcomes = self.advance(now)
        for exchange in [each for each in self._by_deadline if each.open]:
            if self._posts.pop(exchange.number, None) is None:
                self._settle(exchange, now)
            exchange.settled_at = now
            outcomes.append(Abandoned(exchange, now))
        outcomes += [Unexpected(early.reference, early.at) for early in self._early]
        self._early.clear()
        self._by_deadline.clear()
        return outcomes

    # ------------------------------------------------------------------ internals
    def _deliver_early(self, exchange: PendingRequest) -> list[RequestOutcome]:
        """Match early notifications to this exchange, and report those that no open POST can match any more."""
        outcomes: list[RequestOutcome] = []
        kept: list[_EarlyNotification] = []
        oldest = next(iter(self._posts), self._sent + 1)
        for early in self._early:
            is_open_at_arrival = exchange.number <= early.before
            if is_open_at_arrival and exchange.reference is not None and early.reference == exchange.reference:
                outcomes.append(self._deliver(exchange, early.data, early.at))
            elif oldest <= early.before:
                kept.append(early)
            else:
                outcomes.append(Unexpected(early.reference, early.at))
        self._early = kept
        return outcomes

    def _deliver(self, exchange: PendingRequest, data: JSONObject, at: float) -> RequestOutcome:
        if not exchange.open:
            return Duplicate(exchange, at) if exchange.answered else LateAfterLost(exchange, at)
        exchange.answered = True
        self._settle(exchange, at)
        assert exchange.planned.expectation is not None
        part = exchange.planned.expectation.mismatch(data)
        if part:
            return Wrong(exchange, at, part)
        return Answered(exchange, at, at - exchange.intended > self._late)

    def _settle(self, exchange: PendingRequest, at: float) -> None:
        exchange.settled_at = at
        self.waiting -= 1
        self._remember(exchange)

    def _remember(self, exchange: PendingRequest) -> None:
        if exchange.answered:
            self._settled.append(exchange)
            return
        self._lost.append(exchange)
        if len(self._lost) > LOST_KEPT:
            self._forget(self._lost.popleft())

    def _expire(self, exchange: PendingRequest, at: float) -> Iterable[RequestOutcome]:
        if exchange.ack_at is None:
            return self._refuse(Refused(exchange, at, Failure.REPLY))
        self._settle(exchange, at)
        return [Lost(exchange, at)]

    def _refuse(self, refusal: Refused) -> list[RequestOutcome]:
        exchange = refusal.exchange
        if self._posts.pop(exchange.number, None) is None:
            return []
        exchange.settled_at = refusal.at
        return [refusal, *self._deliver_early(exchange)]

    def _remember_reference(self, exchange: PendingRequest, reference: _Reference | None, now: float) -> None:
        """Store the referenceId of a reply that came too late, so that its notification isn't counted as unexpected."""
        if reference is not None:
            exchange.reference, exchange.settled_at = reference, now
            known = self._by_reference.get(reference)
            if known is None or known.number < exchange.number:
                self._by_reference[reference] = exchange
            self._remember(exchange)

    def _forgotten(self, exchange: PendingRequest, now: float) -> bool:
        return exchange.answered and exchange.settled_at is not None and exchange.settled_at + self._patience <= now

    def _forget(self, exchange: PendingRequest) -> None:
        reference = exchange.reference
        if reference is not None and self._by_reference.get(reference) is exchange:
            del self._by_reference[reference]


def _refusal(
    exchange: PendingRequest, status: int, body: JSON, reference: _Reference | None, now: float
) -> Refused | None:
    """Return why this reply is no acknowledgement, or None if it is one."""
    if not 200 <= status < 300:
        return Refused(exchange, now, Failure.HTTP, status, _message(body))
    code = body.get("statusCode") if isinstance(body, dict) else None
    if isinstance(code, bool) or not isinstance(code, int):
        return Refused(exchange, now, Failure.STATUS, -1, _message(body))
    if code != 0:
        return Refused(exchange, now, Failure.STATUS, code, _message(body))
    if exchange.planned.expectation is not None and reference is None:
        return Refused(exchange, now, Failure.REFERENCE)
    return None


_LONGEST_MESSAGE = 300


def _message(body: JSON) -> str:
    message = body.get("statusMessage") if isinstance(body, dict) else None
    return shortened(masked_text(" ".join(message.split())), _LONGEST_MESSAGE) if isinstance(message, str) else ""


def _reference(body: JSON) -> _Reference | None:
    """Return the referenceId of a reply or notification: an integer in GWS, a string elsewhere."""
    reference = body.get("referenceId") if isinstance(body, dict) else None
    if isinstance(reference, bool) or not isinstance(reference, int | str):
        return None
    return reference


copy_by_constructor(__name__)
