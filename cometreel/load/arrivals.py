"""Which request is due when: the same ones in the same order on each run, whatever the number of workers.

Time is measured in *volume*, the number of requests that the rate makes due, and cut into cells of 64. All that is
drawn follows from (seed, cell, number in the cell), so a worker can begin anywhere. In a cell arrivals are evenly
spaced, or have exponential gaps; since these have no memory, beginning anew in each cell is still a Poisson process.
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

__all__ = ["Arrival", "ArrivalPlan", "ArrivalSchedule", "ClosedLoop", "Positions", "SHARES", "Spacing"]

Spacing: TypeAlias = Literal["constant", "poisson"]

Positions: TypeAlias = Mapping[OwnerKind, Sequence[int]]
"""Some owners of each kind, by their places in `Owners`."""

SHARES = 240
"""Into how many shares load is cut; it goes evenly into 2, 3, 4, 5, 6, 8, 10, 12, 15, 16 and 20 workers."""

_CELL = 64
_STRIDE = 149
"""From an owner's share to the next one's: a golden cut of `SHARES`, so that even few owners lie in all parts of it."""


class Arrival(NamedTuple):
    """One request that is due."""

    at: float
    """The intended start, in seconds since the run began."""
    kind: OwnerKind
    owner: str
    """The owner to ask about; empty where the agent asks about itself."""
    share: int
    """The share that it belongs to, from 0 to `SHARES` - 1."""
    draw: int
    """A number that chooses the agent: `agents[draw % len(agents)]` candidates those that the worker has."""


class ArrivalPlan:
    """What is to be asked, without when: the mix, the owners, and the seed that decides each draw.

    :raises OptionInvalid: if the mix asks about a kind that has no owner.
    """

    def __init__(self, mix: Mix, owners: Owners, seed: str = "", spacing: Spacing = "poisson") -> None:
        owners.check(mix)
        self.mix = mix
        self.owners = owners
        self.seed = seed
        self.spacing = spacing
        self._seeded = blake2b(digest_size=22, key=blake2b(seed.encode(), digest_size=32).digest())

    def draws_from(self, volume: float) -> Iterator[tuple[float, bytes]]:
        """Give every arrival from a volume on, for ever: where it lies, and the bytes that decide what it is."""
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
        """Return the request that these bytes decide; of the owners at these places only, if some are given."""
        kind = self.mix.pick(_fraction(drawn[7:14]))
        draw = int.from_bytes(drawn[14:22])
        if not kind.owned:
            return Arrival(at, kind, "", draw % SHARES, draw // SHARES)
        owners = self.owners.of(kind)
        candidates = range(len(owners)) if positions is None else positions[kind]
        position = candidates[draw % len(candidates)]
        return Arrival(at, kind, owners[position], _share_of(position), draw // len(candidates))

    def closed_loop_arrival(self, agent: int, number: int, positions: Positions | None = None) -> Arrival:
        """Return what an agent asks on its n-th turn in a closed loop, where it asks again once it was answered."""
        return self.arrival(0.0, self._draw(f"agent/{agent}/{number}"), positions)

    def positions(self, shares: Collection[int]) -> Positions:
        """Return where the owners stand that lie in these shares; all of a kind of which none does."""
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
    """The share of the owner at this place candidates those of its kind."""
    return position * _STRIDE % SHARES


def _fraction(drawn: bytes) -> float:
    """A number from 0 up to, not including, 1."""
    return (int.from_bytes(drawn) >> 3) / 2**53


class ArrivalSchedule:
    """The arrivals of some shares, in order of time. It never resets: what wasn't taken in time stays due at its time.

    :param rate: may be replaced while the schedule runs; what was taken stays taken, what follows follows the new one.
    :param shares: those that are ours, and from when on; `follow` changes them.
    """

    def __init__(
        self, plan: ArrivalPlan, rate: Rate, shares: Mapping[int, float] | None = None, since: float = 0.0
    ) -> None:
        self.plan = plan
        self.rate = rate
        self.served_until = since
        """Everything due before this, in seconds since the run began, is given out here, and nothing due later."""
        self._shares = dict.fromkeys(range(SHARES), 0.0) if shares is None else dict(shares)
        self._overdue: deque[Arrival] = deque()
        self._draws = plan.draws_from(rate.volume(since))
        self._next_volume, self._next_draw = next(self._draws)

    def set_shares(self, shares: Mapping[int, float]) -> None:
        """Serve these shares from now on; what is due already of those that are new, since their time, comes first.

        What waited in this way when a share is left again is still given out here: `served_until` has spoken for it.
        """
        added = {share: since for share, since in shares.items() if share not in self._shares}
        self._shares = dict(shares)
        if added:
            first = self.rate.volume(max(min(added.values()), 0.0)) - 1  # before it: times and volumes are rounded
            for volume, drawn in self.plan.draws_from(max(first, 0.0)):
                if volume >= self._next_volume:
                    break
                arrival = self.plan.arrival(self.rate.when(volume), drawn)
                if arrival.at >= added.get(arrival.share, math.inf):
                    self._overdue.append(arrival)

    def next_at(self) -> float:
        """When the next request of any share is due, in seconds since the run began; infinite if never."""
        return self._overdue[0].at if self._overdue else self.rate.when(self._next_volume)

    def due(self, seconds: float, limit: int = 1_000) -> list[Arrival]:
        """Take what is due by now, in order; at most so many at once, so that a caller can do something between."""
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
    """The turns of a worker's agents: the same ones on each run, where it has the same shares.

    A kind of which no owner lies in the shares has fewer owners than there are workers: all of it are asked about,
    since the mix must come out as ordered.
    """

    def __init__(self, plan: ArrivalPlan) -> None:
        self._plan = plan
        self._sent: Counter[int] = Counter()
        self._shares = frozenset(range(SHARES))
        self._positions: Positions | None = None

    def set_shares(self, shares: Collection[int]) -> None:
        """Ask about the owners of these shares from now on."""
        if self._shares != shares:
            self._shares = frozenset(shares)
            self._positions = self._plan.positions(self._shares)

    def next_request(self, agent: int) -> Arrival:
        """Return what an agent asks next."""
        self._sent[agent] += 1
        return self._plan.closed_loop_arrival(agent, self._sent[agent], self._positions)
