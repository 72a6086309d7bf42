"""The queued messages of one session, with and without acknowledgements.

An outbox keeps the order of its messages and drops the oldest ones above its limit.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from cometreel.value_copies import copy_by_constructor

__all__ = ["AckedOutbox", "EncodedMessage", "Outbox"]


@dataclass(init=False, slots=True, unsafe_hash=True)
class EncodedMessage:
    """A message in bytes, encoded once for all its receivers.

    `origin` is a value of the application, which gets it back if the message is dropped.
    """

    channel: str
    body: bytes
    origin: Hashable | None = None

    def __init__(
        self,
        channel: str,
        body: bytes,
        origin: Hashable | None = None,
    ) -> None:
        self.channel, self.body, self.origin = channel, body, origin


class Outbox:
    """A bounded queue of messages that are removed when they are taken, unless they are put back."""

    __slots__ = ("_limit", "_messages", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: list[EncodedMessage] = []  # an empty deque has 600 bytes
        self.dropped: tuple[EncodedMessage, ...] = ()
        """The messages that were dropped at the limit, until the caller removes them."""

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def ready(self) -> bool:
        """True if it has messages to take."""
        return bool(self._messages)

    def put(self, message: EncodedMessage) -> bool:
        """Add a message at the end. Return False if the oldest one was dropped for it."""
        self._messages.append(message)
        return self._trim()

    def put_back(self, messages: Sequence[EncodedMessage]) -> bool:
        """Put messages that did not reach the client back at the front. Return False if some were dropped."""
        self._messages[:0] = messages
        return self._trim()

    def take(self) -> tuple[EncodedMessage, ...]:
        """Remove and return all messages."""
        taken = tuple(self._messages)
        self._messages.clear()
        return taken

    def _trim(self) -> bool:
        excess = len(self._messages) - self._limit
        if excess <= 0:
            return True
        self.dropped = (*self.dropped, *self._messages[:excess])
        del self._messages[:excess]
        return False

    def take_unsent(self) -> tuple[EncodedMessage, ...]:
        """Remove and return the messages that were never sent, because the session has ended."""
        return self.take()


class AckedOutbox:
    """A bounded queue of messages that stay until the client acknowledges their batch (CometD ack extension).

    New messages are added to the open batch. Each `/meta/connect` reply closes the batch and contains its number and
    all messages that aren't acknowledged; the client repeats the number in its next `/meta/connect`. The position of a
    message is the number of messages that were added before it.
    """

    __slots__ = ("_batch", "_limit", "_messages", "_removed", "_writes", "_written", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: list[tuple[int, EncodedMessage]] = []
        self._batch = 1
        self._removed = self._writes = self._written = 0
        self.dropped: tuple[EncodedMessage, ...] = ()
        """The messages that were dropped at the limit, until the caller removes them."""

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def ready(self) -> bool:
        """True if the open batch has a message, which was never taken."""
        return bool(self._messages) and self._messages[-1][0] == self._batch

    def put(self, message: EncodedMessage) -> bool:
        """Add a message to the open batch. Return False if the oldest one was dropped for it."""
        self._messages.append((self._batch, message))
        fits = len(self._messages) <= self._limit
        if not fits:
            self.dropped = (*self.dropped, self._messages.pop(0)[1])
            self._removed += 1
        return fits

    def acknowledge(self, batch: float) -> None:
        """Remove the messages of this batch and of all earlier ones."""
        acknowledged = 0
        while acknowledged < len(self._messages) and self._messages[acknowledged][0] <= batch:
            acknowledged += 1
        del self._messages[:acknowledged]
        self._removed += acknowledged

    def close(self) -> int:
        """Close the open batch and return its number."""
        self._batch += 1
        return self._batch - 1

    def take(self) -> tuple[EncodedMessage, ...]:
        """Return all messages that aren't acknowledged; they stay in the queue."""
        return tuple(message for _, message in self._messages)

    def start_write(self) -> int:
        """Start to write all messages; return the position after the last one, for `end_write`."""
        self._writes += 1
        return self._removed + len(self._messages)

    def end_write(self, position: int, *, written: bool) -> None:
        """End a write of the messages before a position: they have reached the client, or the write has failed."""
        self._writes -= 1
        if written:
            self._written = max(self._written, position)

    def take_unsent(self) -> tuple[EncodedMessage, ...]:
        """Remove all messages of a session that has ended, and return those that were never written.

        While messages are being written, nothing is removed or returned.
        """
        if self._writes:
            return ()
        unsent = self._messages[max(0, self._written - self._removed) :]
        self._removed += len(self._messages)
        self._messages.clear()
        return tuple(message for _, message in unsent)


copy_by_constructor(__name__)
