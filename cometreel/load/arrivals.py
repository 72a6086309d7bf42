"""Arrivals: which request is due when. Each run has the same requests in the same order, with any number of workers.

Time is measured in *volume*, the number of requests that are due at the given rate, and divided into cells of 64. All
random draws depend on the seed, the cell and the number in the cell only, so a worker can start at any point. In a
cell, arrivals are evenly spaced or have exponential gaps. Exponential gaps have no memory, so restarting them in each
cell is still a Poisson process.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from typing import Literal, NamedTuple, TypeAlias

from cometreel.load.mix import Mix
from cometreel.load.owner_kinds import OwnerKind
from cometreel.load.owners import Owners
from cometreel.load.rate import Rate

__all__ = ["SHARES", "Arrival", "ArrivalPlan", "ArrivalSchedule", "ClosedLoop", "Positions", "Spacing"]

Spacing: TypeAlias = Literal["constant", "poisson"]

Positions: TypeAlias = Mapping[OwnerKind, Sequence[int]]
"""Some owners of each kind, by their index in `Owners`."""

SHARES = 240
"""The load is divided into this many shares. 240 is divisible by 2, 3, 4, 5, 6, 8, 10, 12, 15, 16 and 20 workers."""

_CELL = 64
_STRIDE = 149
"""Distance between the shares of consecutive owners: about the golden ratio of `SHARES`, to spread them evenly."""


class Arrival(NamedTuple):
    """One request that is due."""

    at: float
    """The intended start, in seconds since the start of the run."""
    kind: OwnerKind
    owner: str
    """The owner that the request names; empty if an agent asks for its own workbins."""
    share: int
    """The share of this request, from 0 to `SHARES` - 1."""
    draw: int
    """Selects the agent that sends the request: `agents[draw % len(agents)]` of the worker's agents."""


class ArrivalPlan:
    """The requests of a run without their times: the mix, the owners, and the seed of all draws.

    :raises OptionInvalid: if the mix has a kind without owners.
    """

    def __init__(self, mix: Mix, owners: Owners, seed: str = "", spacing: Spacing = "poisson") -> None:
        owners.check(mix)
        self.mix = mix
        self.owners = owners
        self.seed = seed
        self.spacing = spacing
        self._seeded = blake2b(digest_size=22, key=blake2b(seed.encode(), digest_size=32).digest())

    def draws_from(self, volume: float) -> Iterator[tuple[float, bytes]]:
        """Yield all arrivals from a volume on, without end: volume, and the random bytes that define the request."""
        for cell in count(int(volume // _CELL)):
            for volume_at, drawn in self._cell(cell):
                if volume_at >= volume:
                    yield volume_at, drawn

    def _cell(self, cell: int) -> Iterator[tuple[float, bytes]]:
        offset = 0.0
        for number in count():
            drawn = self._draw(f"{cell}/{number}")
            if self.spacing == "constant":
                offset = float(number)
            else:
                offset -= math.log(1.0 - _fraction(drawn[:7]))
            if offset >= _CELL:
                return
            yield cell * _CELL + offset, drawn

    def arrival(self, at: float, drawn: bytes, positions: Positions | None = None) -> Arrival:
        """Return the request that these random bytes define. If positions are given, only these owners are used."""
        kind = self.mix.pick(_fraction(drawn[7:14]))
        draw = int.from_bytes(drawn[14:22])
        if not kind.owned:
            return Arrival(at, kind, "", draw % SHARES, draw // SHARES)
        owners = self.owners.of(kind)
        candidates = range(len(owners)) if positions is None else positions[kind]
        turn, place = divmod(draw, len(candidates))
        position = candidates[place]
        return Arrival(at, kind, owners[position], _share_of(position), turn)

    def closed_loop_arrival(self, agent: int, number: int, positions: Positions | None = None) -> Arrival:
        """Return the n-th request of an agent in a closed loop, where it sends one after each answer."""
        return self.arrival(0.0, self._draw(f"agent/{agent}/{number}"), positions)

    def positions(self, shares: Collection[int]) -> Positions:
        """Return the positions of the owners in these shares; all positions of a kind that has none in them."""
        every_position = {kind: range(len(self.owners.of(kind))) for kind in OwnerKind}
        return {
            kind: [position for position in all_positions if _share_of(position) in shares] or all_positions
            for kind, all_positions in every_position.items()
        }

    def _draw(self, label: str) -> bytes:
        hashing = self._seeded.copy()
        hashing.update(label.encode())
        return hashing.digest()


def _share_of(position: int) -> int:
    """Return the share of the owner at this position among the owners of its kind."""
    return position * _STRIDE % SHARES


def _fraction(drawn: bytes) -> float:
    """Return a number from 0 up to, but not including, 1."""
    return (int.from_bytes(drawn) >> 3) / 2**53


class ArrivalSchedule:
    """The arrivals of some shares, in order of time. A request that is taken late keeps its intended start.

    :param rate: may be replaced at any time; requests that were taken are not affected.
    :param shares: the shares of this worker, with the time from which each is its own; `set_shares` changes them.
    """

    def __init__(
        self, plan: ArrivalPlan, rate: Rate, shares: Mapping[int, float] | None = None, since: float = 0.0
    ) -> None:
        self.plan = plan
        self.rate = rate
        self.served_until = since
        """Requests due before this time, in seconds since the start of the run, were returned; later ones were not."""
        self._shares = dict.fromkeys(range(SHARES), 0.0) if shares is None else dict(shares)
        self._overdue: deque[Arrival] = deque()
        self._draws = plan.draws_from(rate.volume(since))
        self._next_volume, self._next_draw = next(self._draws)

    def set_shares(self, shares: Mapping[int, float]) -> None:
        """Use these shares from now on. Overdue requests of the added shares come first.

        Overdue requests of a share stay here if the share is removed again: `served_until` counts them as returned.
        """
        added = {share: since for share, since in shares.items() if share not in self._shares}
        self._shares = dict(shares)
        if added:
            # one request earlier, because times and volumes are rounded
            first = self.rate.volume(max(min(added.values()), 0.0)) - 1
            for volume, drawn in self.plan.draws_from(max(first, 0.0)):
                if volume >= self._next_volume:
                    break
                arrival = self.plan.arrival(self.rate.when(volume), drawn)
                if arrival.at >= added.get(arrival.share, math.inf):
                    self._overdue.append(arrival)

    def next_at(self) -> float:
        """Return the time of the next request of any share, in seconds of the run; infinite if there is none."""
        return self._overdue[0].at if self._overdue else self.rate.when(self._next_volume)

    def due(self, seconds: float, limit: int = 1_000) -> list[Arrival]:
        """Return the requests that are due, in order, at most `limit` at once."""
        taken: list[Arrival] = []
        while self._overdue and len(taken) < limit:
            taken.append(self._overdue.popleft())
        while len(taken) < limit:
            at = self.rate.when(self._next_volume)
            if at > seconds:
                self.served_until = max(self.served_until, math.nextafter(seconds, math.inf))
                return taken
            arrival = self.plan.arrival(at, self._next_draw)
            if at >= self._shares.get(arrival.share, math.inf):
                taken.append(arrival)
            self._next_volume, self._next_draw = next(self._draws)
        self.served_until = max(self.served_until, self.rate.when(self._next_volume))
        return taken


class ClosedLoop:
    """The requests of a worker's agents in a closed loop, the same in each run with the same shares.

    Each worker uses the owners of its shares only, so no two workers use the same owner. Exception: a kind with fewer
    owners than workers may have no owner in the shares; then all its owners are used, to keep the mix.
    """

    def __init__(self, plan: ArrivalPlan) -> None:
        self._plan = plan
        self._sent: Counter[int] = Counter()
        self._shares = frozenset(range(SHARES))
        self._positions: Positions | None = None

    def set_shares(self, shares: Collection[int]) -> None:
        """Use the owners of these shares from now on."""
        if self._shares != shares:
            self._shares = frozenset(shares)
            self._positions = self._plan.positions(self._shares)

    def next_request(self, agent: int) -> Arrival:
        """Return the next request of an agent."""
        self._sent[agent] += 1
        return self._plan.closed_loop_arrival(agent, self._sent[agent], self._positions)
