"""Records the results of one process in its tallies, and as events in Locust's statistics.

Locust shows two rows for each kind of owner, `ack` and `notification`, with the time from the intended start. Results
without an exchange of their own, such as duplicates and late-after-lost, are in `stray` rows, so that the first two
rows count each request once. Locust counts failures by text, so the texts are constant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

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

__all__ = ["LocustStats", "LoginFailed", "NotificationFailed", "PostFailed", "Stray"]


class PostFailed(Exception):
    """A POST wasn't acknowledged."""


class NotificationFailed(Exception):
    """The notification of a POST was late, lost or wrong."""


class Stray(Exception):
    """A notification belonged to no open exchange, or the session was lost."""


class LoginFailed(Exception):
    """The login of an agent failed."""


class LocustStats:
    """Updates the tallies and Locust's statistics."""

    def __init__(self, environment: Environment, tallies: StepTallies) -> None:
        self._fire: Callable[..., None] = environment.events.request.fire
        self.tallies = tallies
        self.login_error = ""
        """Error of the last failed login; empty if none failed."""

    def sent(self, exchange: PendingRequest) -> None:
        """Record a POST that was sent."""
        self.tallies.sent(exchange)

    def unsent(self, count: int) -> None:
        """Record queued requests that will not be sent."""
        self.tallies.whole.unsent += count

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Record outcomes of requests."""
        self.tallies.add(outcomes)
        for outcome in outcomes:
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
