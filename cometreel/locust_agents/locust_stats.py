"""Records the results of one process in its tallies, and as events in Locust's statistics.

Locust shows two rows for each kind of owner, `ack` and `notification`, with the time from the intended start. Results
without an exchange of their own, such as duplicates and late-after-lost, are in `stray` rows, so that the first two
rows count each request once. Locust counts failures by text, so the texts are constant.

An event takes longer than the rest of an exchange's statistics. While only Locust listens to its `request` event,
successes are therefore collected and added to its statistics by `flush`, as a master adds those of its workers. If a
locustfile or a plugin listens too, each success is an event at once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from locust import stats as locust_stats
from locust.env import Environment

from cometreel.load import (
    Abandoned,
    Acknowledged,
    Answered,
    Duplicate,
    LateAfterLost,
    Lost,
    PendingRequest,
    Refused,
    RequestOutcome,
    StepTallies,
    Wrong,
)
from cometreel.locust_agents.event_loop import clock

__all__ = ["FLUSH_INTERVAL", "LocustStats", "LoginFailed", "NotificationFailed", "PostFailed", "Stray"]


class PostFailed(Exception):
    """A POST wasn't acknowledged."""


class NotificationFailed(Exception):
    """The notification of a POST was late, lost or wrong."""


class Stray(Exception):
    """A notification belonged to no open exchange, or the session was lost."""


class LoginFailed(Exception):
    """The login of an agent failed."""


FLUSH_INTERVAL: Final = 0.1
"""Seconds between two calls of `LocustStats.flush`."""


class LocustStats:
    """Updates the tallies and Locust's statistics. Call `flush` every `FLUSH_INTERVAL` seconds, and at the end."""

    def __init__(self, environment: Environment, tallies: StepTallies) -> None:
        self._environment = environment
        self._fire: Callable[..., None] = environment.events.request.fire
        self._listeners: list[Any] | None = getattr(environment.events.request, "_handlers", None)
        self._acknowledged: list[Acknowledged] = []
        self._answered: list[Answered] = []
        self.tallies = tallies
        self.login_error = ""
        """Error of the last failed login; empty if none failed."""

    @property
    def _only_locust_listens(self) -> bool:
        listeners = self._listeners
        return listeners is not None and len(listeners) == 1 and listeners[0].__module__ == "locust.runners"

    def sent(self, exchange: PendingRequest) -> None:
        """Record a POST that was sent."""
        self.tallies.sent(exchange)

    def unsent(self, count: int) -> None:
        """Record queued requests that will not be sent."""
        self.tallies.whole.unsent += count

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Record outcomes of requests."""
        self.tallies.add(outcomes)
        collects = self._only_locust_listens
        for outcome in outcomes:
            if collects and isinstance(outcome, Acknowledged):
                self._acknowledged.append(outcome)
            elif collects and isinstance(outcome, Answered) and not outcome.late:
                self._answered.append(outcome)
            else:
                self._fire_outcome(outcome)

    def flush(self) -> None:
        """Add the collected successes to Locust's statistics."""
        acknowledged, self._acknowledged = self._acknowledged, []
        answered, self._answered = self._answered, []
        self._add_to_locust("ack", acknowledged)
        self._add_to_locust("notification", answered)

    def _add_to_locust(self, phase: str, outcomes: Sequence[Acknowledged | Answered]) -> None:
        by_entry: dict[str, list[Acknowledged | Answered]] = {}
        for outcome in outcomes:
            by_entry.setdefault(outcome.exchange.planned.entry, []).append(outcome)
        statistics = self._environment.stats
        for name, each in by_entry.items():
            new = _with_successes(locust_stats.StatsEntry(statistics, name, phase), each)
            statistics.get(name, phase).extend(new)
            statistics.total.extend(new)

    def _fire_outcome(self, outcome: RequestOutcome) -> None:
        if isinstance(outcome, Acknowledged):
            self._fire_exchange("ack", outcome.exchange, outcome.at, None)
        elif isinstance(outcome, Answered):
            late = NotificationFailed("late") if outcome.late else None
            self._fire_exchange("notification", outcome.exchange, outcome.at, late)
        elif isinstance(outcome, Refused):
            self._fire_exchange("ack", outcome.exchange, outcome.at, PostFailed(outcome.text))
        elif isinstance(outcome, Wrong):
            self._fire_exchange("notification", outcome.exchange, outcome.at, NotificationFailed(outcome.text))
        elif isinstance(outcome, Lost):
            self._fire_exchange("notification", outcome.exchange, None, NotificationFailed(outcome.text))
        elif isinstance(outcome, LateAfterLost | Duplicate | Abandoned):
            self._fire_exchange("stray", outcome.exchange, None, Stray(outcome.text))
        else:
            self._fire_event("stray", "CometD", None, Stray(outcome.text))

    def logged_in(self, seconds: float, error: str) -> None:
        """Record a login."""
        self.login_error = error or self.login_error
        self._fire_event("login", "Login", seconds, LoginFailed(error) if error else None)

    def _fire_exchange(self, phase: str, exchange: PendingRequest, at: float | None, error: Exception | None) -> None:
        self._fire_event(phase, exchange.planned.entry, None if at is None else at - exchange.intended, error)

    def _fire_event(self, phase: str, name: str, seconds: float | None, error: Exception | None) -> None:
        self._fire(
            request_type=phase,
            name=name,
            response_time=None if seconds is None else seconds * 1000,
            response_length=0,
            exception=error,
            context={},
            start_time=time.time() - (seconds or 0.0),
            response=None,
            url=None,
        )


def _with_successes(
    new: locust_stats.StatsEntry, outcomes: Sequence[Acknowledged | Answered]
) -> locust_stats.StatsEntry:
    """Add successes to an empty entry of Locust's statistics, as its method `log` adds one."""
    # the types of these attributes say int, but Locust passes fractions
    millis: list[Any] = [(outcome.at - outcome.exchange.intended) * 1000 for outcome in outcomes]
    wall = time.time() - clock()  # Locust uses the time of day
    new.num_requests = len(millis)
    new.total_response_time = sum(millis)
    new.min_response_time, new.max_response_time = min(millis), max(millis)
    new.response_times = Counter(map(locust_stats.bucket_response_time, millis))  # users may replace this function
    new.num_reqs_per_sec = Counter([int(outcome.at + wall) for outcome in outcomes])
    new.last_request_timestamp = max(outcome.at for outcome in outcomes) + wall
    return new
