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
        self._sessions: dict[str, tuple[str, ...]] = {}
        self._held: dict[str, dict[str, int]] = {}  # by transport, then by browser

    def join(self, browser: str, client_id: str) -> None:
        """Add a session to a browser."""
        self._sessions[browser] = (*self._sessions.get(browser, ()), client_id)

    def leave(self, browser: str, client_id: str) -> None:
        """Remove a session."""
        others = tuple([each for each in self._sessions.get(browser, ()) if each != client_id])
        if others:
            self._sessions[browser] = others
        else:
            self._sessions.pop(browser, None)

    def sessions(self, browser: str) -> tuple[str, ...]:
        """Return the sessions of a browser, oldest first."""
        return self._sessions.get(browser, ())

    def hold(self, browser: str, transport: str, limit: int) -> bool:
        """Count one more held poll of a browser; return False, and don't count it, above the limit.

        A negative limit means no limit. Each transport is counted separately, as in CometD.
        """
        counts = self._held.setdefault(transport, {})
        held = counts.get(browser, 0)
        if 0 <= limit <= held:
            return False
        counts[browser] = held + 1
        return True

    def release(self, browser: str, transport: str) -> None:
        """Count one held poll less."""
        counts = self._held.get(transport, {})
        held = counts.pop(browser, 0)
        if held > 1:
            counts[browser] = held - 1
        elif not counts:
            self._held.pop(transport, None)
