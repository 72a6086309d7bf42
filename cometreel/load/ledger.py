"""The ledger of one agent: which reply and which notification belong to which POST. No I/O, no clock.

Nothing is ever counted by a guess: a notification that comes before the HTTP reply waits until each POST that was
under way when it came is answered, and only then is it one that nobody asked for. A referenceId belongs to the latest
POST that was answered with it. The definitions stand in `outcomes`, and for users in `docs/load-report.md`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cometreel.jsonvalue import JSON, JSONObject
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

__all__ = ["Ledger"]

_Reference = int | str
_EMPTY: Final[deque[PendingRequest]] = deque(maxlen=0)
"""What an agent has that never asked: there are thousands of them, and the two deques take 1.5 kB."""


@dataclass(frozen=True, slots=True)
class _EarlyNotification:
    """A notification that no reply has named yet. A POST up to number `before` may still do so."""

    at: float
    reference: _Reference
    data: JSONObject
    before: int


class Ledger:
    """The exchanges of one agent.

    :param agent: the name that its exchanges carry into reports.
    :param late: seconds since the intended start after which an answer is late.
    :param patience: seconds since the POST was written after which a missing answer is lost. A settled referenceId is
        remembered for as long again; after that the server may use it anew.
    """

    def __init__(self, agent: str, *, late: float, patience: float) -> None:
        self._agent = agent
        self._late = late
        self._patience = patience
        self._sent = 0
        self._posts: dict[int, PendingRequest] = {}  # written, and neither acknowledged nor refused
        self._by_reference: dict[_Reference, PendingRequest] = {}  # by the referenceId of the reply, until forgotten
        self._early: list[_EarlyNotification] = []
        self._by_deadline = _EMPTY  # in the order of writing, which is that of their deadlines
        self._settled = _EMPTY  # whose referenceId is to be forgotten
        self.waiting = 0
        """How many acknowledged exchanges wait for their notification."""

    @property
    def in_flight(self) -> int:
        """How many exchanges aren't settled: they wait for a reply or for a notification."""
        return len(self._posts) + self.waiting

    # ------------------------------------------------------------------ what happens
    def sent(self, planned: PlannedRequest, intended: float, now: float) -> PendingRequest:
        """Enter a POST that is written now and was meant for `intended`; hand the result to `replied` or `failed`."""
        if self._by_deadline is _EMPTY:
            self._by_deadline, self._settled = deque(), deque()
        self._sent += 1
        exchange = PendingRequest(self._sent, self._agent, planned, intended, now)
        self._posts[exchange.number] = exchange
        self._by_deadline.append(exchange)
        return exchange

    def replied(self, exchange: PendingRequest, status: int, body: JSON, now: float) -> list[RequestOutcome]:
        """Take the HTTP reply to a POST: its status, and its body as JSON (None where it is none)."""
        outcomes = self.advance(now)
        reference = _reference(body)
        refusal = _refusal(exchange, status, body, reference, now)
        if refusal is not None:
            return outcomes + self._refuse(refusal)
        if self._posts.pop(exchange.number, None) is None:  # given up already
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
        """Take it that a POST gets no reply: its connection broke."""
        return self.advance(now) + self._refuse(Refused(exchange, now, Failure.REPLY))

    def notified(self, data: JSONObject, now: float) -> list[RequestOutcome]:
        """Take the data of a notification that came on the CometD connection."""
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
        """Take it that the server has forgotten the CometD session. What waits is still waited for."""
        return [*self.advance(now), SessionLost(now, self.waiting)]

    # ------------------------------------------------------------------ time
    def deadline(self) -> float | None:
        """Give the time at which `advance` next settles something."""
        self._skip_settled()
        return self._by_deadline[0].sent + self._patience if self._by_deadline else None

    def advance(self, now: float) -> list[RequestOutcome]:
        """Settle what has waited for as long as the patience allows."""
        outcomes: list[RequestOutcome] = []
        by_deadline, settled, patience = self._by_deadline, self._settled, self._patience
        while by_deadline and (by_deadline[0].settled_at is not None or by_deadline[0].sent + patience <= now):
            exchange = by_deadline.popleft()
            if exchange.settled_at is None:
                outcomes += self._expire(exchange, exchange.sent + patience)
        while settled and self._forgotten(settled[0], now):
            self._forget(settled.popleft())
        return outcomes

    def close(self, now: float) -> list[RequestOutcome]:
        """Settle everything when the agent stops. What might still have been answered is abandoned, not lost.

        At the end of a run nothing new is sent for one patience before this, so that nothing is abandoned.
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

    # ------------------------------------------------------------------ inside
    def _skip_settled(self) -> None:
        while self._by_deadline and not self._by_deadline[0].open:
            self._by_deadline.popleft()

    def _deliver_early(self, exchange: PendingRequest) -> list[RequestOutcome]:
        """Deliver what came early to the exchange that was just named, and let go of what nobody can claim now."""
        outcomes: list[RequestOutcome] = []
        kept: list[_EarlyNotification] = []
        oldest = next(iter(self._posts), self._sent + 1)
        for early in self._early:
            if exchange.reference is not None and early.reference == exchange.reference:
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
        self._settle(exchange, at)
        exchange.answered = True
        assert exchange.planned.expectation is not None
        part = exchange.planned.expectation.mismatch(data)
        if part:
            return Wrong(exchange, at, part)
        return Answered(exchange, at, at - exchange.intended > self._late)

    def _settle(self, exchange: PendingRequest, at: float) -> None:
        exchange.settled_at = at
        self.waiting -= 1
        self._settled.append(exchange)

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
        """Note the referenceId of a reply that came too late, so that its notification isn't one nobody asked for."""
        if reference is not None:
            exchange.reference, exchange.settled_at = reference, now
            self._by_reference.setdefault(reference, exchange)
            self._settled.append(exchange)

    def _forgotten(self, exchange: PendingRequest, now: float) -> bool:
        return exchange.settled_at is not None and exchange.settled_at + self._patience <= now

    def _forget(self, exchange: PendingRequest) -> None:
        reference = exchange.reference
        if reference is not None and self._by_reference.get(reference) is exchange:
            del self._by_reference[reference]


def _refusal(
    exchange: PendingRequest, status: int, body: JSON, reference: _Reference | None, now: float
) -> Refused | None:
    """Say why this reply is no acknowledgement, or None where it is one."""
    if not 200 <= status < 300:
        return Refused(exchange, now, Failure.HTTP, status)
    code = body.get("statusCode") if isinstance(body, dict) else None
    if isinstance(code, bool) or not isinstance(code, int):
        return Refused(exchange, now, Failure.STATUS, -1)
    if code != 0:
        return Refused(exchange, now, Failure.STATUS, code)
    if exchange.planned.expectation is not None and reference is None:
        return Refused(exchange, now, Failure.REFERENCE)
    return None


def _reference(body: JSON) -> _Reference | None:
    """Read the referenceId of a reply or of a notification: a whole number in GWS, a text elsewhere."""
    reference = body.get("referenceId") if isinstance(body, dict) else None
    if isinstance(reference, bool) or not isinstance(reference, int | str):
        return None
    return reference
