"""The account of one process: what happened goes into its figures, and into Locust's own as events.

For each kind of owner Locust shows two rows, `ack` and `notification`, with the time from the intended start. What
belongs to no exchange of its own (a duplicate, an answer after all hope) stands in `stray` rows, so that the first
two count each request once. Failures have constant texts: Locust counts them by text.
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
    """Something came that belongs to no exchange, or no longer; or the session is gone."""


class LoginFailed(Exception):
    """An agent wasn't let in."""


class LocustStats:
    """Keeps the figures of a process in step with Locust's."""

    def __init__(self, environment: Environment, tallies: StepTallies) -> None:
        self._fire: Callable[..., None] = environment.events.request.fire
        self.tallies = tallies
        self.logins = 0
        """How many agents have logged in."""
        self.login_error = ""
        """Why the last login failed; empty if none did."""

    def sent(self, exchange: PendingRequest) -> None:
        """Enter a POST that was written."""
        self.tallies.sent(exchange)

    def unsent(self, many: int) -> None:
        """Enter requests that waited for their turn and won't be sent any more."""
        self.tallies.whole.unsent += many

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Enter what became of requests."""
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
        """Enter a login."""
        if error:
            self.login_error = error
        else:
            self.logins += 1
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
