"""What a session has already played: the order within a group of equal requests, repeats, and guards.

One `PlayState` belongs to one HTTP session, so that a rehandshake resets nothing. Knows neither requests nor replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from cometreel.engine.replay_settings import Repeat

__all__ = ["Numbering", "PlayState", "Playable", "PlayableGroup", "References"]


class Playable(Protocol):
    """What is needed of an exchange here."""

    @property
    def name(self) -> str:
        """Its unique name."""


AnyPlayable = TypeVar("AnyPlayable", bound=Playable)
AnyPlayable_co = TypeVar("AnyPlayable_co", bound=Playable, covariant=True)


class PlayableGroup(Protocol, Generic[AnyPlayable_co]):
    """Exchanges with equal triggers, in the order in which they are played."""

    @property
    def exchanges(self) -> Sequence[AnyPlayable_co]:
        """At least one."""

    @property
    def repeat(self) -> Repeat | None:
        """What happens when they have run out, if the group says."""


class PlayState:
    """How often each exchange was played, and how far each group of equal requests has got."""

    __slots__ = ("_cursors", "_round", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """How often each exchange was played in this session, by name."""
        self._round: set[str] = set()
        self._cursors: dict[str, int] = {}

    def pick(self, group: PlayableGroup[AnyPlayable], repeat: Repeat) -> AnyPlayable | None:
        """Choose which of a group answers next; None if all are used up.

        `repeat` holds where the group says nothing. What was played is passed over once, so that a long group costs
        no more than a short one.
        """
        place = self._cursor(group.exchanges)
        if place < len(group.exchanges):
            return group.exchanges[place]
        rule = group.repeat or repeat
        if rule == "fail":
            return None
        if rule == "last":
            return group.exchanges[-1]
        self._round.difference_update(exchange.name for exchange in group.exchanges)
        self._cursors.pop(group.exchanges[0].name, None)
        return group.exchanges[0]

    def _cursor(self, exchanges: Sequence[Playable]) -> int:
        """Return the place of the first that this round has not played, or their number."""
        first = exchanges[0].name
        place = min(self._cursors.get(first, 0), len(exchanges))
        while place < len(exchanges) and exchanges[place].name in self._round:
            place += 1
        self._cursors[first] = place
        return place

    def regroup(self) -> None:
        """Forget how far the groups have got, but not what was played: another scenario has come into force."""
        self._cursors.clear()

    def played(self, exchange: Playable) -> int:
        """Count a play; return how often the exchange was played before."""
        before = self.counts.get(exchange.name, 0)
        self.counts[exchange.name] = before + 1
        self._round.add(exchange.name)
        return before

    def used_up(self, name: str) -> bool:
        """Tell whether an exchange was played at least once."""
        return name in self.counts

    def allow(self, after: Sequence[str], before: Sequence[str]) -> bool:
        """Tell whether guards pass: all of `after` were played in this session, and none of `before`."""
        return all(name in self.counts for name in after) and not any(name in self.counts for name in before)


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
