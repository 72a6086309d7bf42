"""The manual clock: the time of a driver's engine, which stands still, runs or is moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["ManualClock"]

_MAX_LEFT = 10_000


def _nothing() -> None:
    """Do nothing: nobody waits for a change."""


class ManualClock:
    """A clock that starts frozen at the current time of `real`, in seconds. `Driver` reads it instead of `real`.

    It also counts what the driver has handed to a host and what isn't written yet.
    """

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._offset = 0.0
        self._stands_at: float | None = real()
        self.unwritten: Counter[int] = Counter()
        """The number of replies, parts and frames that aren't written, by request."""
        self.left: set[int] = set()
        """The latest requests of clients that have closed their connections, or some of them."""
        self.changed: Callable[[], None] = _nothing
        """Called when a client has sent something, has read something or is gone."""

    def time(self) -> float:
        """Return the current time."""
        return self._real() + self._offset if self._stands_at is None else self._stands_at

    def real_time(self, at: float) -> float | None:
        """Return the time of `real` at which this clock reaches a time; None if it is frozen before that."""
        if self._stands_at is None:
            return at - self._offset
        return self._real() if at <= self._stands_at else None

    def freeze(self) -> None:
        """Let the time stand still."""
        self._stands_at = self.time()

    def resume(self) -> None:
        """Let the time run from here on."""
        if self._stands_at is not None:
            self._offset, self._stands_at = self._stands_at - self._real(), None

    def move_to(self, at: float) -> None:
        """Move a frozen clock forward; an earlier time changes nothing."""
        if self._stands_at is not None:
            self._stands_at = max(self._stands_at, at)

    # ------------------------------------------------------------------ called by the driver
    def handed_over(self, request_id: int) -> None:
        """Count a reply, a part or a frame that a host is to write."""
        self.unwritten[request_id] += 1

    def written(self, request_id: int) -> None:
        """Count one as written."""
        if self.unwritten[request_id] <= 1:
            del self.unwritten[request_id]
        else:
            self.unwritten[request_id] -= 1
        self.changed()

    def gone(self, request_id: int) -> None:
        """Take note that the client of a request has closed its connection."""
        self.unwritten.pop(request_id, None)
        if len(self.left) >= _MAX_LEFT:
            self.left.clear()
        self.left.add(request_id)
        self.changed()
