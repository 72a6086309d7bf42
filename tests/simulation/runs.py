"""Runs of one seed: the plan is played and checked, and for some seeds repeated in another way."""

from __future__ import annotations

from dataclasses import dataclass

from cometreel.wire import Accept, Frame, Reply
from tests.simulation.checker import violations
from tests.simulation.generation import plan_of
from tests.simulation.history import Delivered, Emitted
from tests.simulation.plan import Plan
from tests.simulation.world import Stalled, World, play

REPEATED_ONE_IN = 50
"""One seed in this many is played again, with late calls of the engine: equal seeds give equal bytes."""


@dataclass
class Totals:
    """The numbers of all runs."""

    seeds: int = 0
    actions: int = 0
    notifications: int = 0
    given_up: int = 0
    repeated: int = 0

    def add(self, world: World) -> None:
        """Add a run."""
        self.seeds += 1
        self.actions += world.actions
        self.given_up += len(world.given_up)
        self.notifications += sum(
            "data" in message
            for entry in world.history
            if isinstance(entry, Delivered) and isinstance(entry.content, list)
            for message in entry.content
            if isinstance(message, dict)
        )

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds ({self.repeated} of them twice), {self.actions} actions, "
            f"{self.notifications} notifications received, {self.given_up} given up"
        )


def run_seed(seed: int, totals: Totals, *, length: int = 150) -> list[str]:
    """Play a seed; return the promises that it breaks."""
    return broken_promises(plan_of(seed, length=length), repeated=is_repeated(seed), totals=totals)


def is_repeated(seed: int) -> bool:
    """True if the run of a seed is repeated."""
    return seed % REPEATED_ONE_IN == REPEATED_ONE_IN // 2


def broken_promises(plan: Plan, *, repeated: bool = False, totals: Totals | None = None) -> list[str]:
    """Play a plan; return the promises that it breaks, an error of the engine among them.

    `repeated` plays it again, with late calls of the engine. The run is added to `totals`.
    """
    try:
        world = play(plan)
        again = play(plan, late=True) if repeated else None
    except Stalled as error:
        return [f"0: stalled: {error}"]
    except Exception as error:  # noqa: BLE001  # any error of the engine breaks a promise
        return [f"0: {type(error).__name__}: {error}"]
    if totals is not None:
        totals.add(world)
        totals.repeated += repeated
    return violations(world) or ([] if again is None else differences(world, again))


def bytes_of(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Return everything that servers have sent, in order and without times, by client."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for entry in world.history:
        if isinstance(entry, Emitted):
            output, sent = entry.output, found.setdefault(entry.client, [])
            if isinstance(output, Reply):
                sent.append((output.status, output.headers.fields, output.body))
            elif isinstance(output, Frame):
                sent.append((output.text,))
            elif isinstance(output, Accept):
                sent.append((output.headers.fields,))
            else:
                sent.append((type(output).__name__,))
    return found


def differences(one: World, other: World) -> list[str]:
    """Return how the bytes of two runs differ: the place of the first difference, and what was sent there."""
    found, expected = bytes_of(one), bytes_of(other)
    for client in sorted({*found, *expected}):
        pairs = zip(found.get(client, ()), expected.get(client, ()), strict=False)
        for place, (first, second) in enumerate(pairs):
            if first != second:
                return [f"0: output {place} for {client} differs in two equal runs", *map(str, (first, second))]
        if len(found.get(client, ())) != len(expected.get(client, ())):
            return [f"0: {client} receives more in one of two equal runs"]
    return []
