"""The sessions of each browser cookie, and the number of polls that they hold.

A browser opens few connections to one server. If every tab held one, other requests would have to wait. Therefore a
server advises the tabs above a limit to poll slowly (CometD 3.1 `maxSessionsPerBrowser`).
"""

from __future__ import annotations

__all__ = ["Browsers"]


class Browsers:
    """Sessions and held polls by browser cookie."""

    __slots__ = ("_held", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, None]] = {}
        self._held: dict[tuple[str, str], int] = {}

    def join(self, browser: str, client_id: str) -> None:
        """Add a session to a browser."""
        self._sessions.setdefault(browser, {})[client_id] = None

    def leave(self, browser: str, client_id: str) -> None:
        """Remove a session."""
        mine = self._sessions.get(browser, {})
        mine.pop(client_id, None)
        if not mine:
            self._sessions.pop(browser, None)

    def sessions(self, browser: str) -> tuple[str, ...]:
        """Return the sessions of a browser, oldest first."""
        return tuple(self._sessions.get(browser, ()))

    def hold(self, browser: str, transport: str, limit: int) -> bool:
        """Count one more held poll of a browser; return False, and don't count it, above the limit.

        A negative limit means no limit. Each transport is counted separately, as in CometD.
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
