"""Shrinks a plan that breaks a promise: fewer steps first, then a smaller scenario, then rounder values.

A smaller plan counts as the same failure if its first broken promise reads the same without names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from tests.simulation.plan import Answer, ClientPlan, Operation, Options, Plan, PlannedEntry, PlannedEvent, Step


class HasSteps(Protocol):
    """A plan of any kind: a dataclass with steps."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the run."""


Item = TypeVar("Item")
AnyPlan = TypeVar("AnyPlan", bound=HasSteps)
Smaller: TypeAlias = Callable[[AnyPlan], Iterator[AnyPlan]]
"""Yields smaller plans."""

_DETAILS = re.compile(r"'[^']*'|\{.*?\}|\(.*?\)|\b[a-f0-9]{32}\b|[\d.]+|\b[a-f]\b")


def kind_of(violation: str) -> str:
    """Return a broken promise without times, names and numbers."""
    return " ".join(_DETAILS.sub("", violation.partition(": ")[2]).split())


class Shrinker(Generic[AnyPlan]):
    """Shrinks one plan. `find` returns the broken promises of a plan."""

    def __init__(
        self,
        plan: AnyPlan,
        find: Callable[[AnyPlan], list[str]],
        smaller: Sequence[Smaller[AnyPlan]],
        *,
        max_runs: int,
    ) -> None:
        self._find, self._smaller, self._max_runs, self._runs = find, smaller, max_runs, 0
        self.plan = plan
        self._kind = kind_of(find(plan)[0])

    def shrink(self) -> AnyPlan:
        """Return the smallest plan that was found."""
        while True:
            before = self.plan
            self._shrink_steps()
            for candidates in self._smaller:
                self._shrink_with(candidates)
            if self.plan == before or self._runs > self._max_runs:
                return self.plan

    def _fails(self, plan: AnyPlan) -> bool:
        self._runs += 1
        if self._runs > self._max_runs:
            return False
        try:
            found = self._find(plan)
        except Exception:  # noqa: BLE001  # a plan whose parts don't fit together is no smaller plan
            return False
        return bool(found) and kind_of(found[0]) == self._kind

    def _take(self, plan: AnyPlan) -> bool:
        if plan == self.plan or not self._fails(plan):
            return False
        self.plan = plan
        return True

    def _shrink_steps(self) -> None:
        """Remove parts of the steps, from halves down to single ones."""
        size = max(1, len(self.plan.steps) // 2)
        while size:
            place = 0
            while place < len(self.plan.steps):
                fewer = (*self.plan.steps[:place], *self.plan.steps[place + size :])
                if not self._take(changed(self.plan, "steps", fewer)):
                    place += size
            size //= 2

    def _shrink_with(self, candidates: Smaller[AnyPlan]) -> None:
        again = True
        while again:
            again = any(self._take(candidate) for candidate in candidates(self.plan))


def changed(item: Item, name: str, value: object) -> Item:
    """Return a dataclass with another value of one field."""
    whole: Any = item
    new: Item = replace(whole, **{name: value})
    return new


def _without_each(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    for place in range(len(items)):
        yield (*items[:place], *items[place + 1 :])


def with_each(items: Sequence[Item], others: Callable[[Item], Iterable[Item]]) -> Iterator[tuple[Item, ...]]:
    """Yield the items with one of them replaced, for each item and each of the `others` of it."""
    for place, item in enumerate(items):
        for other in others(item):
            yield (*items[:place], other, *items[place + 1 :])


def _with_fewer_clients(plan: Plan) -> Iterator[Plan]:
    for client in plan.clients:
        steps = tuple(step for step in plan.steps if step.client != client.name)
        yield replace(plan, clients=tuple(each for each in plan.clients if each is not client), steps=steps)


def _with_fewer_parts(plan: Plan) -> Iterator[Plan]:
    for name in ("faults", "timeline", "operations", "users"):
        for fewer in _without_each(getattr(plan, name)):
            yield changed(plan, name, fewer)
    for timeline in with_each(plan.timeline, _simpler_entries):
        yield replace(plan, timeline=timeline)
    for operations in with_each(plan.operations, _smaller_operations):
        yield replace(plan, operations=operations)


def _simpler_entries(entry: PlannedEntry) -> Iterator[PlannedEntry]:
    yield replace(entry, identifier="")
    for fewer in _without_each(entry.ends()):
        yield replace(entry, until=fewer[0] if len(fewer) == 1 else fewer or None)
    for roles in _without_each(entry.roles):
        yield replace(entry, roles=roles)


def _smaller_operations(operation: Operation) -> Iterator[Operation]:
    if len(operation.answers) > 1:
        for fewer in _without_each(operation.answers):
            yield replace(operation, answers=fewer)
    for answers in with_each(operation.answers, _smaller_answers):
        yield replace(operation, answers=answers)
    for name in ("roles", "echoes", "sends", "authenticated", "after", "before", "repeat"):
        yield changed(operation, name, Operation.__dataclass_fields__[name].default)


def _smaller_answers(answer: Answer) -> Iterator[Answer]:
    for fewer in _without_each(answer.events):
        yield replace(answer, events=fewer)
    yield replace(answer, after=0.0)
    yield replace(answer, numbered=False)
    for events in with_each(answer.events, _simpler_events):
        yield replace(answer, events=events)


def _simpler_events(event: PlannedEvent) -> Iterator[PlannedEvent]:
    yield replace(event, count=1, gap=0.0)
    yield replace(event, batch=None)
    yield replace(event, deliver="asker")
    yield replace(event, after=0.0)


def _with_defaults(plan: Plan) -> Iterator[Plan]:
    default = Options()
    for name in Options.__dataclass_fields__:
        yield replace(plan, options=changed(plan.options, name, getattr(default, name)))
    yield replace(plan, through_yaml=False)
    for clients in with_each(plan.clients, _simpler_clients):
        yield replace(plan, clients=clients)


def _simpler_clients(client: ClientPlan) -> Iterator[ClientPlan]:
    for name in ("transport", "identity", "ack", "delay", "reconnects", "jar", "node", "address"):
        value = "long-polling" if name == "transport" else ClientPlan.__dataclass_fields__[name].default
        yield changed(client, name, value)


def _with_round_times(plan: Plan) -> Iterator[Plan]:
    """Move all steps to every tenth of a second, or one step to a round time."""
    evenly = tuple(step._replace(at=place / 10) for place, step in enumerate(plan.steps))
    if len(repr(evenly)) < len(repr(plan.steps)):
        yield replace(plan, steps=evenly)
    for steps in with_each(plan.steps, _shorter_steps):
        if all(one.at <= other.at for one, other in pairwise(steps)):
            yield replace(plan, steps=steps)


def _shorter_steps(step: Step) -> Iterator[Step]:
    changes = [step._replace(at=round(step.at, digits)) for digits in (0, 1, 2)]
    if step.do == "connect" and step.value:
        changes.append(step._replace(value=None))
    yield from (each for each in changes if len(repr(each)) < len(repr(step)))


SMALLER_PLANS: Sequence[Smaller[Plan]] = (_with_fewer_clients, _with_fewer_parts, _with_defaults, _with_round_times)
"""Make a plan of clients and their scenario smaller."""
