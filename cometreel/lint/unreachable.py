"""The rule `unreachable`: an exchange that an earlier one always answers for is never played.

Follows the engine's own order: the first group of the file that matches, may be played and has something left.
"""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.lint.covering import covers
from cometreel.lint.issues import Issue
from cometreel.lint.subject import Subject
from cometreel.scenario import Exchange, Group

__all__ = ["unreachable"]


def unreachable(subject: Subject) -> Iterator[Issue]:
    """Every exchange that can't be played."""
    default = subject.scenario.settings.repeat or "last"
    for group in subject.scenario.groups:
        blocker = next((other for other in _before(subject, group) if _blocks(other, group, default)), None)
        if blocker is None:
            continue
        first = blocker.exchanges[0]
        for exchange in group.exchanges:
            yield subject.block_of(exchange).issue(
                "unreachable",
                ("name",),
                f"{exchange.name!r} is never played: {first.name!r} answers all that it would answer",
                "a request of its own, or a place before it",
                f"the other is at {first.position}",
            )


def _before(subject: Subject, group: Group) -> Iterator[Group]:
    """The groups that are asked before this one."""
    yield from subject.scenario.groups[: group.number]


def _blocks(other: Group, group: Group, default: str) -> bool:
    if (other.repeat or default) == "fail":  # once it is used up, the next one's turn comes
        return False
    one, late = other.exchanges[0], group.exchanges[0]
    return _whenever(one, late) and covers(one.trigger, late.trigger)


def _whenever(one: Exchange, late: Exchange) -> bool:
    """Tell whether one may be played in every session and at every time at which the late one may."""
    who = not one.roles or (late.roles and late.roles <= one.roles)
    login = one.authenticated is None or one.authenticated is late.authenticated
    return bool(who) and login and {*one.after} <= {*late.after} and {*one.before} <= {*late.before}
