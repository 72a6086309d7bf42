"""What is made ready of an exchange is, byte for byte, what rendering it gives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from cometreel.engine.play_state import Numbering, References
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.rendering import ExchangeRenderer, RenderedExchange
from cometreel.engine.replies import http_reply
from cometreel.engine.static_responses import StaticResponse
from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import Exchange, NormalizedRequest, RenderContext, ReplyOut, Scenario, load, loads
from cometreel.scenario.normalized_request import normalize_path

ROOT = Path(__file__).parents[3]
FILES = sorted([*(ROOT / "scenarios").glob("*.yaml"), *(ROOT / "recordings").glob("*.yaml")])
QUESTION = NormalizedRequest("POST", normalize_path("/api/v2/workbins"))

NUMBERS = """\
cometreel: 1
correlation: gws-v2
exchanges:
  - name: many
    request: {method: POST, path: /a}
    reply: {body: {statusCode: 0, referenceId: 5, referenceIds: {a: 5, b: 6}, text: '"5" Grüße'}}
    events: [{after: 20ms, channel: /c, data: {referenceId: 6}}, {channel: /c, data: {referenceId: 5}, batch: one}]
"""


def performed(scenario: Scenario, exchange: Exchange, references: References, *, ready: bool) -> RenderedExchange:
    """Play an exchange once, from what is ready or without it."""
    repertoire = PreparedScenario(scenario)
    score = ExchangeRenderer(
        QUESTION, lambda: RenderContext(QUESTION), scenario.profile, "http://live:1", Numbering(references)
    )
    made = repertoire.ready(exchange) if ready else StaticResponse()
    return score.render(exchange, repertoire.numbers[exchange.index], made)


def sent(performance: RenderedExchange) -> tuple[object, object]:
    """What goes over the wire."""
    reply = performance.reply
    return http_reply(1, reply) if isinstance(reply, ReplyOut) else reply, performance.events


def test_every_exchange_that_ships_is_the_same_ready_or_rendered() -> None:
    compared = 0
    for scenario in (load([path]) for path in FILES):
        for exchange in scenario.exchanges:
            made = PreparedScenario(scenario).ready(exchange)
            if made.reply is None or made.events is None:
                continue  # the rest of it needs a client
            compared += 1
            for taken in ((), (1, 66, 67, 68)):
                ready, rendered = (
                    sent(performed(scenario, exchange, used(scenario, taken), ready=ready)) for ready in (True, False)
                )
                assert ready == rendered, exchange.name
    assert compared > 50


def used(scenario: Scenario, taken: Iterable[int]) -> References:
    """The references of a session that has used up some of the recorded numbers."""
    references = References(scenario.highest_ref)
    for number in taken:
        references.take(number)
    return references


def test_each_number_is_put_where_it_stood_and_nothing_else_is_touched() -> None:
    scenario = loads(NUMBERS, "test.yaml")
    performance = performed(scenario, scenario.exchanges[0], used(scenario, [5]), ready=True)
    assert isinstance(performance.reply, ReplyOut)
    body: JSON = {"statusCode": 0, "referenceId": 7, "referenceIds": {"a": 7, "b": 6}, "text": '"5" Grüße'}
    assert performance.reply.content == encode(body)
    assert [(timed.after_seconds, timed.messages, timed.batch) for timed in performance.events] == [
        (0.0, ({"channel": "/c", "data": {"referenceId": 7}},), "one"),
        (0.02, ({"channel": "/c", "data": {"referenceId": 6}},), None),
    ]


@pytest.mark.parametrize(
    "reply",
    [
        '{body: {$t: "{{ user.id }}"}}',
        '{body: {a: [{$t: "{{ ref }}"}]}}',
        '{after: {$t: "1s"}, body: {}}',
        '{headers: {X-Who: {$t: "{{ user.name }}"}}, body: {}}',
        "{body: {uri: 'http://recorded:1/x'}}",
    ],
)
def test_what_depends_on_who_asks_is_never_ready(reply: str) -> None:
    text = f"cometreel: 1\nexchanges: [{{name: a, request: {{method: GET, path: /a}}, reply: {reply}}}]\n"
    scenario = loads(text, "test.yaml")
    assert PreparedScenario(scenario).ready(scenario.exchanges[0]).reply is None


@pytest.mark.parametrize(
    "event",
    [
        '{channel: /c, data: {$t: "{{ user.id }}"}}',
        "{channel: /c, data: {}, count: 2, gap: 1s}",
        "{channel: /c, data: {contactUri: 'http://recorded:1/x'}}",
    ],
)
def test_events_that_repeat_or_depend_on_who_asks_are_never_ready(event: str) -> None:
    text = f"cometreel: 1\nexchanges: [{{name: a, request: {{method: GET, path: /a}}, events: [{event}]}}]\n"
    scenario = loads(text, "test.yaml")
    assert PreparedScenario(scenario).ready(scenario.exchanges[0]).events is None


def test_a_client_that_chooses_its_own_ids_gets_nothing_ready() -> None:
    scenario = loads(NUMBERS.replace("gws-v2", "workspace-v3"), "test.yaml")
    assert PreparedScenario(scenario).ready(scenario.exchanges[0]) == StaticResponse()
