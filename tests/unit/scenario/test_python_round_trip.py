"""A scenario that is built in Python dumps to YAML that loads to an equal scenario with the same behaviour."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from hypothesis import HealthCheck, given, settings

from cometreel.scenario import (
    CompiledScenario,
    ExchangeBlock,
    ExchangeGroup,
    Mismatch,
    NormalizedPublish,
    Position,
    PublishBlock,
    RenderContext,
    RequestOrPublish,
    Scenario,
    TemplateFailed,
    User,
)
from cometreel.traffic.examples import NoExample, example, example_request
from cometreel.wire import Headers, Request
from tests.unit.scenario.python_blocks import python_scenarios


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(python_scenarios())
def test_the_dump_of_a_python_scenario_loads_to_an_equal_scenario(scenario: Scenario) -> None:
    text = scenario.dump()
    loaded = Scenario.loads(text)
    assert loaded == scenario
    assert loaded.dump() == text


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(python_scenarios())
def test_the_dump_of_a_python_scenario_behaves_equally(scenario: Scenario) -> None:
    blocks = scenario.exchanges or []
    loaded = Scenario.loads(scenario.dump())
    assert behaviour(scenario.compiled(), blocks) == behaviour(loaded.compiled(), blocks)


def behaviour(scenario: CompiledScenario, blocks: Sequence[ExchangeBlock]) -> list[object]:
    """Return the sections of a compiled scenario, its answers to an example of each request, and its timeline."""
    nowhere = Position("", 0, 0)
    return [
        scenario.bayeux,
        scenario.session,
        scenario.settings,
        scenario.profile,
        scenario.roles,
        (scenario.title, scenario.recorded, scenario.highest_ref, scenario.ignore),
        [dataclasses.replace(fault, position=nowhere) for fault in scenario.faults],
        [(entry.roles, entry.since, entry.until) for entry in scenario.timeline],
        [rendered(entry.event.render, CONTEXT) for entry in scenario.timeline],
        *(answers(scenario, block) for block in blocks),
    ]


CONTEXT = RenderContext(NormalizedPublish("/a"))


def answers(scenario: CompiledScenario, block: ExchangeBlock) -> list[object]:
    try:
        request = example_of(scenario, block)
    except NoExample:
        return []
    return [each for group in scenario.index.groups(request) for each in played(group, request)]


def example_of(scenario: CompiledScenario, block: ExchangeBlock) -> RequestOrPublish:
    if isinstance(block.request, PublishBlock):
        message = {"channel": example(block.request.publish), "data": example(block.request.data)}
        return scenario.normalize_publish({**message, "ext": example(block.request.ext)})
    path, query, fields, body = example_request(block.request)
    return scenario.normalize_request(Request(1, block.request.method, path, query, Headers(fields), body))


def played(group: ExchangeGroup, request: RequestOrPublish) -> Iterator[object]:
    match = group.match(request, {})
    if isinstance(match, Mismatch):
        return
    context = RenderContext(request, match.captures, match.session_captures, User("a", "1"), match.ids, ref=7)
    for exchange in group.exchanges:
        yield exchange.name, group.repeat, exchange.roles, exchange.after, exchange.before, exchange.authenticated
        if exchange.reply is not None:
            yield rendered(exchange.reply.render, context)
        for event in exchange.events:
            yield rendered(event.plan, context)
            yield rendered(event.render, context)


def rendered(render: Callable[[RenderContext], object], context: RenderContext) -> object:
    try:
        return render(context)
    except TemplateFailed as error:
        return error.text, error.reason
