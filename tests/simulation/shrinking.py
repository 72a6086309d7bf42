"""Shrinks a plan that breaks a promise: fewer steps first, then a smaller scenario, then rounder values.

A smaller plan counts as the same failure if its first broken promise reads the same without names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from tests.simulation.plan import Operation, Options, Plan, PlannedEntry, Step


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


def _with_fewer_clients(plan: Plan) -> Iterator[Plan]:
    for client in plan.clients:
        steps = tuple(step for step in plan.steps if step.client != client.name)
        yield replace(plan, clients=tuple(each for each in plan.clients if each is not client), steps=steps)


def _with_fewer_parts(plan: Plan) -> Iterator[Plan]:
    for name in ("faults", "timeline", "operations", "users"):
        for fewer in _without_each(getattr(plan, name)):
            yield changed(plan, name, fewer)
    for where, entry in enumerate(plan.timeline):
        for changed_entry in _simpler(entry):
            yield replace(plan, timeline=(*plan.timeline[:where], changed_entry, *plan.timeline[where + 1 :]))
    for where, operation in enumerate(plan.operations):
        for each in _smaller(operation):
            yield replace(plan, operations=(*plan.operations[:where], each, *plan.operations[where + 1 :]))


def _simpler(entry: PlannedEntry) -> Iterator[PlannedEntry]:
    yield replace(entry, identifier="")
    for fewer in _without_each(entry.ends()):
        yield replace(entry, until=fewer[0] if len(fewer) == 1 else fewer or None)
    for roles in _without_each(entry.roles):
        yield replace(entry, roles=roles)


def _smaller(operation: Operation) -> Iterator[Operation]:
    if len(operation.answers) > 1:
        for fewer in _without_each(operation.answers):
            yield replace(operation, answers=fewer)
    for place, answer in enumerate(operation.answers):
        smaller = [replace(answer, events=fewer) for fewer in _without_each(answer.events)]
        smaller += [replace(answer, after=0.0), replace(answer, numbered=False)]
        for where, event in enumerate(answer.events):
            changes = (
                replace(event, count=1, gap=0.0),
                replace(event, batch=None),
                replace(event, deliver="asker"),
                replace(event, after=0.0),
            )
            for change in changes:
                events = (*answer.events[:where], change, *answer.events[where + 1 :])
                smaller.append(replace(answer, events=events))
        for each in smaller:
            yield replace(operation, answers=(*operation.answers[:place], each, *operation.answers[place + 1 :]))
    for name in ("roles", "echoes", "sends", "authenticated", "after", "before", "repeat"):
        yield changed(operation, name, Operation.__dataclass_fields__[name].default)


def _with_defaults(plan: Plan) -> Iterator[Plan]:
    default = Options()
    for name in Options.__dataclass_fields__:
        yield replace(plan, options=changed(plan.options, name, getattr(default, name)))
    yield replace(plan, through_yaml=False)
    for place, client in enumerate(plan.clients):
        for name in ("transport", "identity", "ack", "delay", "reconnects", "jar", "node", "address"):
            value = "long-polling" if name == "transport" else type(client).__dataclass_fields__[name].default
            other = changed(client, name, value)
            yield replace(plan, clients=(*plan.clients[:place], other, *plan.clients[place + 1 :]))


def _with_round_times(plan: Plan) -> Iterator[Plan]:
    """Move all steps to every tenth of a second, or one step to a round time."""
    evenly = tuple(step._replace(at=place / 10) for place, step in enumerate(plan.steps))
    if len(repr(evenly)) < len(repr(plan.steps)):
        yield replace(plan, steps=evenly)
    for place, step in enumerate(plan.steps):
        changes = [step._replace(at=round(step.at, digits)) for digits in (0, 1, 2)]
        if step.do == "connect" and step.value:
            changes.append(step._replace(value=None))
        for each in changes:
            steps = (*plan.steps[:place], each, *plan.steps[place + 1 :])
            ordered = all(one.at <= other.at for one, other in pairwise(steps))
            if ordered and len(repr(each)) < len(repr(step)):
                yield replace(plan, steps=steps)


SMALLER_PLANS: Sequence[Smaller[Plan]] = (_with_fewer_clients, _with_fewer_parts, _with_defaults, _with_round_times)
"""Make a plan of clients and their scenario smaller."""
