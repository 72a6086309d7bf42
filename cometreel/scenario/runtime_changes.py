"""Adds blocks to a compiled scenario and removes exchanges from it, while it is replayed.

Only what is added is compiled, so that the cost doesn't grow with the number of patterns in the scenario.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from cometreel.errors import OptionInvalid

from .compiled import SubscriptionAnchor
from .exchange import CompiledScenario
from .findings import near
from .linking import link_added
from .model import Block, ExchangeBlock, FaultBlock, ScenarioBlock, TimelineBlock
from .python_scenario import source_of

__all__ = ["AddableBlock", "extended", "without"]

AddableBlock: TypeAlias = ExchangeBlock | TimelineBlock | FaultBlock
"""A block that can be added to a scenario while it is replayed."""


def extended(scenario: CompiledScenario, blocks: Sequence[Block]) -> CompiledScenario:
    """Return a scenario with more exchanges, timeline entries and faults.

    Added exchanges are tried before older ones, so that the latest one answers if several match. Several with equal
    requests in one call are played in order, as in a file. `reply_headers` don't apply to them.

    :raises FileInvalid: with every problem, at the position of its block: a name that is in use, an unknown name.
    :raises OptionInvalid: if something else is to be added.
    """
    for block in blocks:
        if not isinstance(block, AddableBlock):
            found = f"a value of the type {type(block).__name__}"
            raise OptionInvalid("block", found, "an exchange, a timeline entry or a fault")
    added = ScenarioBlock(
        exchanges=[block for block in blocks if isinstance(block, ExchangeBlock)],
        timeline=[block for block in blocks if isinstance(block, TimelineBlock)],
        faults=[block for block in blocks if isinstance(block, FaultBlock)],
    )
    return link_added(scenario, source_of(added))


def without(scenario: CompiledScenario, names: Collection[str]) -> CompiledScenario:
    """Return a scenario without these exchanges.

    :raises OptionInvalid: if an exchange is unknown, or others that stay refer to it.
    """
    removed = set(names)
    for name in sorted(removed):
        if name not in scenario.by_name:
            raise OptionInvalid("exchange", f"unknown exchange {name!r}", "a name", near(name, scenario.by_name))
        references = list(_references(scenario, name, removed))
        if references:
            found = f"{name!r} is referred to by {'; '.join(references)}"
            raise OptionInvalid("exchange", found, "an exchange without references", "remove these too")
    numbers = {scenario.by_name[name].group for name in removed}
    rest = (group.without(removed) if group.number in numbers else group for group in scenario.groups)
    return replace(
        scenario,
        exchanges=tuple(exchange for exchange in scenario.exchanges if exchange.name not in removed),
        groups=tuple(group for group in rest if group is not None),
        index=scenario.index.without([group for group in scenario.groups if group.number in numbers], removed),
        by_name={name: exchange for name, exchange in scenario.by_name.items() if name not in removed},
    )


def _references(scenario: CompiledScenario, name: str, removed: Collection[str]) -> Iterator[str]:
    """Yield the blocks that stay and refer to an exchange, each with its position."""
    for exchange in scenario.exchanges:
        if exchange.name not in removed and (name in exchange.after or name in exchange.before):
            yield f"when of {exchange.name!r} in {exchange.position}"
    for entry in scenario.timeline:
        anchors = [anchor for anchor in (entry.since, *entry.until) if not isinstance(anchor, SubscriptionAnchor)]
        if name in anchors:
            yield f"the timeline entry in {entry.position}"
    for fault in scenario.faults:
        if name in fault.exchanges:
            yield f"the fault in {fault.position}"
