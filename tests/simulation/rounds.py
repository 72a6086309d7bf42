"""Plays rounds of clients on one engine, to count the objects that are left."""

from __future__ import annotations

import gc

from tests.simulation.generation import plan_of
from tests.simulation.plan import Plan, Step
from tests.simulation.world import World

_SEED = 2


def objects_after_rounds(rounds: int) -> int:
    """Return the number of objects of the garbage collector while an engine is kept that has played these rounds.

    In each round, all clients connect, call, and leave; then their sessions expire.
    """
    plan = plan_of(_SEED, length=60)
    steps = tuple(step for step in plan.steps if step.client)
    world = World(Plan(plan.operations, plan.clients, (), plan.timeline, plan.faults, plan.users, plan.options))
    for _ in range(rounds):
        _play_round(world, steps)
    gc.collect()
    return len(gc.get_objects())


def _play_round(world: World, steps: tuple[Step, ...]) -> None:
    start = world.now
    for step in steps:
        world.until(start + step.at)
        world.perform(step.client, step.do, step.value)
        world.react()
    world.finish()
    world.restart_clients()
    world.history.clear()
    world.given_up.clear()
    for backend in world.nodes:
        backend.journal.clear()
