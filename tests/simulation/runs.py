"""Runs of one seed: the plan is played and checked, and for some seeds repeated in another way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from cometreel.wire import Accept, Frame, Reply
from tests.simulation.checker import violations
from tests.simulation.generation import plan_of
from tests.simulation.history import Delivered, Emitted
from tests.simulation.plan import Plan
from tests.simulation.shrinking import broken_promises
from tests.simulation.world import Stalled, World, play

REPEATED_ONE_IN = 25
"""One seed in this many is played again: equal seeds give equal bytes."""


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
    plan = plan_of(seed, length=length)
    try:
        world = play(plan)
    except Stalled as error:
        return [f"0: stalled: {error}"]
    except Exception:  # noqa: BLE001  # played again, and reported with its error
        return broken_promises(plan)
    broken = violations(world)
    totals.add(world)
    if not broken and seed % REPEATED_ONE_IN == 0:
        totals.repeated += 1
        broken = differences(world, play(plan))
    return broken


def bytes_of(world: World, clients: frozenset[str] | None = None) -> list[tuple[object, ...]]:
    """Return everything that servers have sent to these clients, or to all, without times."""
    found: list[tuple[object, ...]] = []
    for entry in world.history:
        if isinstance(entry, Emitted) and (clients is None or entry.client in clients):
            output = entry.output
            if isinstance(output, Reply):
                found.append((entry.client, output.status, output.headers.fields, output.body))
            elif isinstance(output, Frame):
                found.append((entry.client, output.text))
            elif isinstance(output, Accept):
                found.append((entry.client, output.headers.fields))
            else:
                found.append((entry.client, type(output).__name__))
    return found


def differences(one: World, other: World) -> list[str]:
    """Return how the bytes of two runs differ."""
    pairs = zip(bytes_of(one), bytes_of(other), strict=False)
    for place, (first, second) in enumerate(pairs):
        if first != second:
            return [f"0: output {place} of two equal runs differs: {first} and {second}"]
    return [] if len(bytes_of(one)) == len(bytes_of(other)) else ["0: one of two equal runs sends more"]
