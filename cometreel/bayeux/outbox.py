"""The messages that wait for one session, with and without acknowledgements.

Order and bookkeeping only: nothing here knows on which reply the messages leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from cometreel.immutable import immutable

__all__ = ["AckedOutbox", "Outbox", "EncodedMessage"]


@immutable
class EncodedMessage:
    """One message on its way to a client, encoded once however many sessions get it."""

    channel: str
    body: bytes


class Outbox:
    """A bounded queue whose messages are gone once taken, unless they are put back."""

    __slots__ = ("_limit", "_parcels")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parcels: deque[EncodedMessage] = deque()

    def __len__(self) -> int:
        return len(self._parcels)

    @property
    def ready(self) -> bool:
        """Whether there is something that was never taken, or was put back."""
        return bool(self._parcels)

    def put(self, parcel: EncodedMessage) -> bool:
        """Add a message at the end. Gives False if the oldest one had to go for it."""
        self._parcels.append(parcel)
        return self._trim()

    def put_back(self, parcels: Sequence[EncodedMessage]) -> bool:
        """Return messages that did not reach the client to the front. Gives False if some had to go."""
        self._parcels.extendleft(reversed(parcels))
        return self._trim()

    def take(self) -> tuple[EncodedMessage, ...]:
        """Remove and give everything that waits."""
        taken = tuple(self._parcels)
        self._parcels.clear()
        return taken

    def _trim(self) -> bool:
        fits = len(self._parcels) <= self._limit
        while len(self._parcels) > self._limit:
            self._parcels.popleft()
        return fits


class AckedOutbox:
    """A bounded queue whose messages stay until the client acknowledges their batch (CometD ack extension).

    Messages join the open batch. Each `/meta/connect` reply closes it, carries its number, and carries every message
    that isn't acknowledged yet; the client repeats the number in its next `/meta/connect`.
    """

    __slots__ = ("_batch", "_limit", "_parcels")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parcels: deque[tuple[int, EncodedMessage]] = deque()
        self._batch = 1

    def __len__(self) -> int:
        return len(self._parcels)

    @property
    def ready(self) -> bool:
        """Whether there is a message in the open batch: one that was never taken."""
        return bool(self._parcels) and self._parcels[-1][0] == self._batch

    def put(self, parcel: EncodedMessage) -> bool:
        """Add a message to the open batch. Gives False if the oldest one had to go for it."""
        self._parcels.append((self._batch, parcel))
        fits = len(self._parcels) <= self._limit
        if not fits:
            self._parcels.popleft()
        return fits

    def acknowledge(self, batch: float) -> None:
        """Forget the messages of that batch and of all before it."""
        while self._parcels and self._parcels[0][0] <= batch:
            self._parcels.popleft()

    def close(self) -> int:
        """Close the open batch and give its number."""
        self._batch += 1
        return self._batch - 1

    def take(self) -> tuple[EncodedMessage, ...]:
        """Give everything that isn't acknowledged; it all stays here."""
        return tuple(parcel for _, parcel in self._parcels)
