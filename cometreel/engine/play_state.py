"""The exchanges that one session has played, its position in each group of equal requests, its reference numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from cometreel.engine.replay_settings import Repeat

__all__ = ["PlayState", "Playable", "PlayableGroup", "References"]


class Playable(Protocol):
    """The part of an exchange that `PlayState` needs."""

    @property
    def name(self) -> str:
        """The unique name."""


AnyPlayable = TypeVar("AnyPlayable", bound=Playable)
AnyPlayable_co = TypeVar("AnyPlayable_co", bound=Playable, covariant=True)


class PlayableGroup(Protocol, Generic[AnyPlayable_co]):
    """Exchanges with equal triggers, in the order in which they are played."""

    @property
    def exchanges(self) -> Sequence[AnyPlayable_co]:
        """At least one exchange."""

    @property
    def repeat(self) -> Repeat | None:
        """The rule for a group that is used up; None for the default."""


class PlayState:
    """The exchanges that one session has played, and the position in each group of equal requests.

    It belongs to the HTTP session, so a new Bayeux handshake does not reset it.
    """

    __slots__ = ("_cursors", "_round", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """The number of plays of each exchange in this session, by name."""
        self._round: set[str] | None = None  # the exchanges played since a group began again; None: all of `counts`
        self._cursors: dict[str, int] = {}

    def pick(self, group: PlayableGroup[AnyPlayable], repeat: Repeat) -> AnyPlayable | None:
        """Return the exchange of a group that is played next; None if all are used up.

        `repeat` is used if the group has no `repeat`. The cost doesn't depend on the length of the group.
        """
        exchanges = group.exchanges
        first = exchanges[0].name
        if len(exchanges) == 1:
            is_used_up = (group.repeat or repeat) == "fail" and self._is_in_round(first)
            return None if is_used_up else exchanges[0]
        place = min(self._cursors.get(first, 0), len(exchanges))
        while place < len(exchanges) and self._is_in_round(exchanges[place].name):
            place += 1
        self._cursors[first] = place
        if place < len(exchanges):
            return exchanges[place]
        rule = group.repeat or repeat
        if rule == "fail":
            return None
        if rule == "last":
            return exchanges[-1]
        if self._round is None:
            self._round = set(self.counts)
        self._round.difference_update([exchange.name for exchange in exchanges])
        self._cursors.pop(first, None)
        return exchanges[0]

    def _is_in_round(self, name: str) -> bool:
        return name in (self.counts if self._round is None else self._round)

    def copy(self) -> PlayState:
        """Return an independent copy."""
        other = PlayState()
        other.counts, other._cursors = dict(self.counts), dict(self._cursors)
        other._round = None if self._round is None else set(self._round)
        return other

    def reset_positions(self) -> None:
        """Reset the positions in groups but keep the counts, because the scenario was replaced."""
        self._cursors.clear()

    def forget(self, names: Iterable[str]) -> None:
        """Forget the plays of exchanges that were removed."""
        for name in names:
            self.counts.pop(name, None)
            if self._round is not None:
                self._round.discard(name)

    def count(self, exchange: Playable) -> None:
        """Count a play."""
        self.counts[exchange.name] = self.counts.get(exchange.name, 0) + 1
        if self._round is not None:
            self._round.add(exchange.name)

    def was_played(self, name: str) -> bool:
        """True if an exchange was played at least once."""
        return name in self.counts

    def allows(self, after: Sequence[str], before: Sequence[str]) -> bool:
        """True if all of `after` and none of `before` were played in this session."""
        return all(name in self.counts for name in after) and not any(name in self.counts for name in before)


class References:
    """The reference numbers that one session has used. `highest` is the highest number in the scenario."""

    __slots__ = ("_earlier", "_first_new", "_highest", "_used")

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._first_new = highest + 1  # the new numbers of this scenario are those from here to `_highest`
        self._earlier: tuple[range, ...] = ()  # the new numbers that were taken under earlier scenarios
        self._used: set[int] | None = None  # the recorded numbers that were taken

    def copy(self) -> References:
        """Return a copy, to learn the next numbers without taking them."""
        found = References(self._highest)
        found._first_new, found._earlier = self._first_new, self._earlier
        found._used = None if self._used is None else {*self._used}
        return found

    def take(self, recorded: int | None = None) -> int:
        """Take the recorded number if it is free, else the next one above all others."""
        if recorded is not None and self._is_free(recorded):
            if self._used is None:
                self._used = set()
            self._used.add(recorded)
            return recorded
        self._highest += 1
        return self._highest

    def _is_free(self, recorded: int) -> bool:
        if self._used is not None and recorded in self._used:
            return False
        return not self._earlier or not any(recorded in numbers for numbers in self._earlier)

    def raise_to(self, highest: int) -> None:
        """Take new numbers above this one, because the scenario was replaced."""
        if self._highest >= self._first_new:
            self._earlier += (range(self._first_new, self._highest + 1),)
        self._highest = max(self._highest, highest)
        self._first_new = self._highest + 1
