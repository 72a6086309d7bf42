"""Reference numbers: each live answer gets one that is still free in its session.

The recorded number where it is free, else the next above the scenario's highest. Knows nothing of where in a body
they stand.
"""

from __future__ import annotations

__all__ = ["Numbering", "References"]


class References:
    """The numbers that one session has used up. `highest` is the highest that the scenario recorded."""

    __slots__ = ("_highest", "_used")

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._used: set[int] = set()

    def take(self, recorded: int | None = None) -> int:
        """Take the recorded number if it is free, else the next above all others."""
        if recorded is not None and recorded not in self._used:
            self._used.add(recorded)
            return recorded
        self._highest += 1
        return self._highest

    def raise_to(self, highest: int) -> None:
        """Number from above this one on: another scenario has come into force."""
        self._highest = max(self._highest, highest)


class Numbering:
    """The numbers of one answer and its notifications: each recorded one has the same live one throughout."""

    __slots__ = ("_live", "_references", "_templated")

    def __init__(self, references: References) -> None:
        self._references = references
        self._live: dict[int, int] = {}
        self._templated: int | None = None

    def live(self, recorded: int) -> int:
        """The live number for a recorded one."""
        if recorded not in self._live:
            self._live[recorded] = self._references.take(recorded)
        return self._live[recorded]

    def lookup(self, number: int) -> int:
        """The live number for a recorded one of this answer; any other number is itself."""
        return self._live.get(number, number)

    @property
    def ref(self) -> int:
        """What templates see as `ref`: the first number of this answer, a new one if none was recorded."""
        if self._live:
            return next(iter(self._live.values()))
        if self._templated is None:
            self._templated = self._references.take()
        return self._templated
