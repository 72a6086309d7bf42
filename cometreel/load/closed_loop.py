"""What is asked in a closed loop, where each agent asks again once it was answered: who is next is the caller's part.

Workers don't share a schedule here, and still no two ask about one owner: each keeps to those of its shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from cometreel.load.arrivals import SHARES, Arrival, ArrivalPlan, Positions

__all__ = ["ClosedLoop"]


class ClosedLoop:
    """The turns of a worker's agents: the same ones on each run, where it has the same shares.

    A kind of which no owner lies in the shares has fewer owners than there are workers: all of it are asked about,
    since the mix must come out as ordered.
    """

    def __init__(self, plan: ArrivalPlan) -> None:
        self._plan = plan
        self._taken: Counter[int] = Counter()
        self._shares = frozenset(range(SHARES))
        self._places: Positions | None = None

    def follow(self, shares: Collection[int]) -> None:
        """Ask about the owners of these shares from now on."""
        if self._shares != shares:
            self._shares = frozenset(shares)
            self._places = self._plan.places(self._shares)

    def take(self, agent: int) -> Arrival:
        """Return what an agent asks next."""
        self._taken[agent] += 1
        return self._plan.turn(agent, self._taken[agent], self._places)
