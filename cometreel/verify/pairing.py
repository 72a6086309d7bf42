"""Which recorded notification of an exchange is which live one, where several came and some may differ.

First those that are equal, in order; then, of the rest, the most alike. What is left is missing, doubled or extra.
Knows nothing of what makes two notifications alike: it is given the number of differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Likeness", "Pairs", "pair"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How two notifications compare: the number of differences, of values in all, and whether the channel is one."""

    differences: int
    leaves: int
    same_channel: bool

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.same_channel and not self.differences

    @property
    def close(self) -> bool:
        """Whether one may be the other, changed: on its own channel half of it may differ, elsewhere a quarter."""
        return self.differences * (2 if self.same_channel else 4) <= self.leaves + (1 if self.same_channel else 0)


@dataclass(slots=True)
class Pairs:
    """Numbers of recorded notifications, from 0, and of live ones."""

    pairs: dict[int, int] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    doubled: dict[int, list[int]] = field(default_factory=dict)
    """Live ones that came once more, by the recorded one that they repeat."""
    extra: list[int] = field(default_factory=list)


def pair(recorded: int, live: int, compare: Callable[[int, int], Likeness]) -> Pairs:
    """Pair so many recorded notifications with so many live ones."""
    made = Pairs()
    free = list(range(live))
    _pair_equal(range(recorded), free, compare, made)
    rest = [number for number in range(recorded) if number not in made.pairs]
    _pair_close(rest, free, compare, made)
    made.missing = [number for number in range(recorded) if number not in made.pairs]
    for number in free:
        twin = next((each for each in made.pairs if compare(each, number).equal), None)
        if twin is None:
            made.extra.append(number)
        else:
            made.doubled.setdefault(twin, []).append(number)
    return made


def _pair_equal(recorded: Sequence[int], free: list[int], compare: Callable[[int, int], Likeness], made: Pairs) -> None:
    for number in recorded:
        found = next((each for each in free if compare(number, each).equal), None)
        if found is not None:
            made.pairs[number] = found
            free.remove(found)


def _pair_close(rest: Sequence[int], free: list[int], compare: Callable[[int, int], Likeness], made: Pairs) -> None:
    alike = [(compare(number, each), number, each) for number in rest for each in free]
    close = [(like.differences + (not like.same_channel), number, each) for like, number, each in alike if like.close]
    for _, number, each in sorted(close):
        if number not in made.pairs and each in free:
            made.pairs[number] = each
            free.remove(each)
