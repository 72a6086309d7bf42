"""The subscriptions of all sessions, and the channels that exist.

It is an index; the rules decide which subscriptions are allowed.
"""

from __future__ import annotations

from collections import OrderedDict

from cometreel.bayeux.channels import patterns_of

__all__ = ["Subscriptions"]

_LINGER = 3.0
"""Seconds that a channel without subscribers exists after its last use (CometD 3.1 sweeps after three passes)."""


class Subscriptions:
    """Subscriptions by channel and by session. No operation depends on the total number."""

    __slots__ = ("_by_channel", "_by_client", "_used")

    def __init__(self) -> None:
        self._by_channel: dict[str, dict[str, None]] = {}
        self._by_client: dict[str, dict[str, None]] = {}
        self._used: OrderedDict[str, float] = OrderedDict()

    def add(self, client_id: str, channel: str) -> bool:
        """Subscribe; return False if the subscription existed."""
        mine = self._by_client.setdefault(client_id, {})
        if channel in mine:
            return False
        mine[channel] = None
        self._by_channel.setdefault(channel, {})[client_id] = None
        return True

    def remove(self, client_id: str, channel: str, now: float) -> bool:
        """Unsubscribe; return False if there was no such subscription."""
        mine = self._by_client.get(client_id, {})
        if channel not in mine:
            return False
        del mine[channel]
        if not mine:
            del self._by_client[client_id]
        self._leave(client_id, channel, now)
        return True

    def forget(self, client_id: str, now: float) -> None:
        """Remove every subscription of a session."""
        for channel in self._by_client.pop(client_id, {}):
            self._leave(client_id, channel, now)

    def of(self, client_id: str) -> frozenset[str]:
        """Return the subscriptions of a session."""
        return frozenset(self._by_client.get(client_id, ()))

    def receives(self, client_id: str, channel: str) -> bool:
        """True if a session has a subscription that matches a channel."""
        mine = self._by_client.get(client_id, {})
        return channel in mine or any(pattern in mine for pattern in patterns_of(channel))

    def recipients(self, channel: str) -> tuple[str, ...]:
        """Return the receivers of a channel, each once: by pattern first, then by name (CometD 3.1)."""
        found: dict[str, None] = {}
        for name in (*patterns_of(channel), channel):
            found.update(self._by_channel.get(name, {}))
        return tuple(found)

    def use(self, channel: str, now: float) -> None:
        """Record the last use of a channel: a publish, which creates it, or the end of its last subscription."""
        self._used[channel] = now
        self._used.move_to_end(channel)
        while self._used and now - next(iter(self._used.values())) > _LINGER:
            self._used.popitem(last=False)

    def exists(self, channel: str, now: float) -> bool:
        """True if a channel has subscribers or was used recently."""
        return channel in self._by_channel or now - self._used.get(channel, now - 2 * _LINGER) <= _LINGER

    def _leave(self, client_id: str, channel: str, now: float) -> None:
        others = self._by_channel[channel]
        del others[client_id]
        if not others:
            del self._by_channel[channel]
            self.use(channel, now)
