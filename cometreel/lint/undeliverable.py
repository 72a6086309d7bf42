"""The rule `undeliverable`: a notification that no client can get, as far as the scenario tells."""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.bayeux import is_service
from cometreel.lint.issues import Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock
from cometreel.scenario import CompiledScenario, EventSpec, TimelineEntry
from cometreel.scenario.values import Fixed

__all__ = ["undeliverable"]

_RULE = "undeliverable"


def undeliverable(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each notification that a replay will give up."""
    scenario, unassigned = context.scenario, context.scenario.unassigned_roles()
    for exchange in scenario.exchanges:
        block = context.block_of(exchange)
        for number, event in enumerate(exchange.events):
            yield from _receivers(block, ("events", number), event, unassigned)
        if any(event.deliver == "asker" for event in exchange.events) and _is_unidentified(scenario):
            yield block.issue(
                _RULE,
                ("events",),
                "nothing joins this request with a CometD client if there are several",
                "session.cookie, session.bind or credentials: use",
            )
    entries = [block for block in context.blocks if block.key == "timeline"]
    for block, entry in zip(entries, scenario.timeline, strict=True):
        yield from _receivers(block, (), entry.event, unassigned)
        yield from _start(block, entry, scenario)


def _receivers(block: RawBlock, path: IssuePath, event: EventSpec, unassigned: frozenset[str]) -> Iterator[Issue]:
    if event.deliver in unassigned:
        found = f"nothing assigns the role {event.deliver!r}"
        expected = "a user or an id of the role, or an exchange or a timeline entry with as: that role"
        yield block.issue(_RULE, (*path, "deliver"), found, expected)
    channel = event.channel.value if isinstance(event.channel, Fixed) else None
    if event.deliver == "subscribers" and isinstance(channel, str) and is_service(channel):
        yield block.issue(_RULE, (*path, "deliver"), f"{channel!r} is a service channel", "asker, all or a role")


def _start(block: RawBlock, entry: TimelineEntry, scenario: CompiledScenario) -> Iterator[Issue]:
    """Yield an issue if an entry never starts, or starts when its client is gone."""
    if entry.since == "disconnect" and entry.event.deliver == "asker" and scenario.session.when_gone == "drop":
        found = "the client is gone when the entry starts"
        yield block.issue(_RULE, ("since",), found, "another start, or session.when_gone: keep")
    start = scenario.by_name.get(entry.since) if isinstance(entry.since, str) else None
    if start is not None and entry.roles and start.roles and not entry.roles & start.roles:
        found = f"{start.name!r} is for other roles than the entry"
        yield block.issue(_RULE, ("since",), found, f"an exchange for {_names(entry.roles)}, or other roles in as")


def _is_unidentified(scenario: CompiledScenario) -> bool:
    """True if the scenario excludes everything that could join an HTTP request with a CometD client."""
    session = scenario.session
    return session.cookie is None and session.credentials == "ignore" and not session.bind


def _names(roles: frozenset[str]) -> str:
    return " or ".join(sorted(roles))
