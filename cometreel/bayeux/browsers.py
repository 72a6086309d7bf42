"""The sessions that share a browser cookie, and how many polls they hold at once.

A browser opens few connections to one server: if every tab held one, no request would get through. So a server
counts, and tells the tabs above the limit to poll slowly (CometD 3.1 `maxSessionsPerBrowser`).
"""

from __future__ import annotations

__all__ = ["Browsers"]


class Browsers:
    """Sessions and held polls by browser."""

    __slots__ = ("_held", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, None]] = {}
        self._held: dict[tuple[str, str], int] = {}

    def join(self, browser: str, client_id: str) -> None:
        """Note that a session belongs to a browser."""
        self._sessions.setdefault(browser, {})[client_id] = None

    def leave(self, browser: str, client_id: str) -> None:
        """Note that a session is gone."""
        mine = self._sessions.get(browser, {})
        mine.pop(client_id, None)
        if not mine:
            self._sessions.pop(browser, None)

    def sessions(self, browser: str) -> tuple[str, ...]:
        """List the sessions of a browser, oldest first."""
        return tuple(self._sessions.get(browser, ()))

    def hold(self, browser: str, transport: str, limit: int) -> bool:
        """Count one more held poll of a browser; gives False, and doesn't count, above the limit.

        A negative limit means none. Each transport counts for itself, as in CometD.
        """
        held = self._held.get((browser, transport), 0)
        if 0 <= limit <= held:
            return False
        self._held[browser, transport] = held + 1
        return True

    def release(self, browser: str, transport: str) -> None:
        """Count one held poll less."""
        held = self._held.pop((browser, transport), 0)
        if held > 1:
            self._held[browser, transport] = held - 1
