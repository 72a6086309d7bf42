"""The objects that an engine keeps: after all clients have left, there are none."""

from __future__ import annotations

from cometreel.engine import Backend


def kept_by(backend: Backend) -> dict[str, int]:
    """Return the number of objects that an engine keeps, by their kind, without the kinds that have none.

    The session of the latest request, a probe without identity, is not counted.
    """
    registry, sessions = backend.server._registry, backend.sessions
    counts = {
        "sessions": max(0, len(sessions) - 1),
        "CometD sessions": len(registry.sessions),
        "held polls": backend.server.held_polls(),
        "reply channels": len(backend.server.reply_channels),
        "Bayeux deadlines": int(backend.server.deadline() is not None),
        "scheduled actions": len(backend._schedule._heap),
        "delayed replies": len(backend._pending),
        "waiting sessions": len(backend._router._waiting),
        "subscriptions": len(registry.subscriptions._by_client) + len(registry.subscriptions._by_channel),
        "browsers": len(registry.browsers._sessions),
        "polls of browsers": sum(len(each) for each in registry.browsers._held.values()),
        "clients": len(sessions._by_client),
        "names": sum(len(each) for each in sessions._named.values()),
        "requests of Bayeux": len(backend._application._sessions_of),
        "delays of Bayeux": len(backend._application._delays),
        "broken requests of Bayeux": len(backend._application._broken),
        "statuses of Bayeux": len(backend._application._statuses),
    }
    return {name: count for name, count in counts.items() if count}
