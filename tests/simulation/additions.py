"""Features that are added to a generated plan.

Each takes its random numbers from a stream of its own, so the plan of a seed is the same without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import TypeAlias, get_args

from tests.simulation.plan import (
    GETTING,
    IDENTIFIERS,
    ClientPlan,
    Generated,
    Operation,
    Options,
    Plan,
    PlannedEntry,
    Step,
)

Addition: TypeAlias = Callable[[Plan, Random], Plan]

_ADDRESSES = ("192.0.2.1", "192.0.2.2")


def _with_identifiers(plan: Plan, random: Random) -> Plan:
    """Let requests have the markers `$id` and `$csv`, and send them back in replies and notifications."""
    changed = [each for each in plan.operations if each.trigger != "publish" and not each.binds and not each.after]
    triggers = {each.name: random.choice([*IDENTIFIERS]) for each in random.sample(changed, random.randint(1, 2))}

    def marked(operation: Operation) -> Operation:
        if operation.name in triggers:
            return replace(operation, trigger=triggers[operation.name], echoes=random.random() < 0.8)
        return replace(operation, echoes=True) if triggers.get(operation.after or "") == "id" else operation

    operations = tuple(map(marked, plan.operations))
    first = {each.exchange_name("", 0): each.identifier for each in operations if each.name in triggers}
    starts = [each.exchange_name("", 0) for each in operations if each.name in triggers and not each.roles]

    def marked_entry(entry: PlannedEntry) -> PlannedEntry:
        since = random.choice(starts) if starts and random.random() < 0.5 else entry.since
        return replace(entry, since=since, identifier=first.get(since, ""))

    return replace(plan, operations=operations, timeline=tuple(map(marked_entry, plan.timeline)))


def _with_generated_values(plan: Plan, random: Random) -> Plan:
    """Send generated values in the replies and notifications of one operation, as templates take their time.

    A publish has no reply with a reference number.
    """
    chosen = random.choice([each for each in plan.operations if not each.binds])
    names = [each for each in get_args(Generated) if each != "ref" or chosen.trigger != "publish"]
    generating = replace(chosen, sends=tuple(random.sample(names, random.randint(1, len(names)))))
    operations = tuple(generating if each is chosen else each for each in plan.operations)
    return replace(plan, operations=operations, options=replace(plan.options, manual_clock=random.random() < 0.5))


def _with_lists(plan: Plan, random: Random) -> Plan:
    """Give timeline entries several ends, and those of a role another one."""
    exchanges = [each.exchange_name("", 0) for each in plan.operations if not each.roles]
    ends = [*exchanges, *exchanges, "unsubscribe", "unsubscribe /a", "subscribe /b", "disconnect", "handshake"]
    roles = [role for role, _ in plan.users if role != "listener"]

    def with_lists(entry: PlannedEntry) -> PlannedEntry:
        until = tuple(dict.fromkeys(random.choice(ends) for _ in range(random.randint(2, 3))))
        more = tuple(dict.fromkeys((*entry.roles, *random.sample(roles, 1)))) if entry.roles else ()
        return replace(entry, until=until if random.random() < 0.7 else entry.until, roles=more)

    return replace(plan, timeline=tuple(map(with_lists, plan.timeline)))


def _with_anonymous_sessions(plan: Plan, random: Random) -> Plan:
    """Let requests without identity share a session with those of their address, or none. One client at least has one.

    Clients of one address share the counts of faults, too, so their plans have none.
    """
    if plan.options.cookie != "none":
        return plan
    by_address = random.random() < 0.5

    def anonymous(client: ClientPlan) -> ClientPlan:
        is_anonymous = client is not plan.clients[0] and random.random() < 0.5
        identity = "anonymous" if is_anonymous and not client.jar else client.identity
        return replace(client, identity=identity, address=random.choice(_ADDRESSES) if by_address else "")

    return replace(
        plan,
        clients=tuple(map(anonymous, plan.clients)),
        faults=() if by_address else plan.faults,
        options=replace(
            plan.options,
            anonymous="address" if by_address else "each",
            max_provisional=Options().max_provisional if by_address else plan.options.max_provisional,
        ),
    )


def _with_logins(plan: Plan, random: Random) -> Plan:
    """Require a login, and possibly a CSRF token. Most clients log in; some exchanges are for the others."""

    def logging_in(client: ClientPlan) -> ClientPlan:
        if client.jar or client.identity in ("basic", "bearer") or random.random() < 0.3:
            return client
        return replace(client, identity=random.choice(["basic", "bearer"]), user=client.user or client.name)

    def restricted(operation: Operation) -> Operation:
        return replace(operation, authenticated=random.choice([None, None, None, True, False]))

    return replace(
        plan,
        clients=tuple(map(logging_in, plan.clients)),
        operations=tuple(map(restricted, plan.operations)),
        options=replace(plan.options, auth=random.choice(["session", "csrf"])),
    )


def _with_heads(plan: Plan, random: Random) -> Plan:
    """Send a HEAD before some of the GET requests."""
    getting = {each.name for each in plan.operations if each.trigger in GETTING}
    steps = list[Step]()
    for step in plan.steps:
        is_get = step.do == "call" and isinstance(step.value, list) and step.value[0] in getting
        if is_get and random.random() < 0.5:
            steps.append(step._replace(do="head"))
        steps.append(step)
    return replace(plan, steps=tuple(steps))


ADDITIONS: Mapping[str, Addition] = {
    "identifiers": _with_identifiers,
    "generated values": _with_generated_values,
    "lists": _with_lists,
    "anonymous sessions": _with_anonymous_sessions,
    "logins": _with_logins,
    "heads": _with_heads,
}
"""The additions by name."""
