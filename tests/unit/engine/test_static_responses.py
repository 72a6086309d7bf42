"""Static responses have the same bytes as rendered ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cometreel.bayeux import EncodedMessage
from cometreel.bayeux.message_handlers import encoded_message
from cometreel.engine.actions import Action
from cometreel.engine.bound_values import BoundValues
from cometreel.engine.handler import http_reply
from cometreel.engine.id_generator import IdGenerator
from cometreel.engine.matching import ExchangeChoice
from cometreel.engine.play_state import References
from cometreel.engine.player import Player
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.rendering import RenderedExchange
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.scheduling import Schedule
from cometreel.engine.sessions import Session, Sessions
from cometreel.engine.static_responses import StaticResponse
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import CompiledScenario, Exchange, Match, NormalizedRequest, ReplyOut, load, loads
from cometreel.scenario.normalized_request import normalize_path
from tests.unit.engine.conversation import Conversation

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


def played(scenario: CompiledScenario, exchange: Exchange, references: References, *, static: bool) -> RenderedExchange:
    """Play an exchange once, from its static response or without it."""
    prepared = PreparedScenario(scenario)
    if not static:
        prepared.static_responses[exchange.index] = StaticResponse()
    schedule: Schedule[Action] = Schedule()
    sessions = Sessions(IdGenerator(None, None, ""), None, lambda _: None, scenario.session)
    values = BoundValues(scenario, sessions, lambda: "new")
    player = Player(prepared, ReplaySettings(), schedule, lambda: datetime(1970, 1, 1, tzinfo=UTC), values)
    session = Session(1, 0.0, references, 1)
    session.base = "http://live:1"
    return player.play(ExchangeChoice(exchange, Match({}, {}, {})), QUESTION, session)


def sent(rendered: RenderedExchange) -> tuple[object, object]:
    """Return the parts that go over the wire."""
    reply = rendered.reply
    events = [replace(timed, messages=encoded(timed.messages)) for timed in rendered.events]
    return http_reply(1, reply) if isinstance(reply, ReplyOut) else reply, events


def encoded(messages: Iterable[JSONObject | EncodedMessage]) -> tuple[EncodedMessage, ...]:
    """Return messages as bytes."""
    return tuple(each if isinstance(each, EncodedMessage) else encoded_message(each) for each in messages)


def test_shipped_exchanges_are_the_same_static_or_rendered() -> None:
    compared = 0
    for scenario in (load([path]) for path in FILES):
        for exchange in scenario.exchanges:
            made = PreparedScenario(scenario).static_response(exchange)
            if made.reply is None or made.events is None:
                continue  # it must be rendered
            compared += 1
            for taken in ((), (1, 66, 67, 68)):
                from_static, rendered = (
                    sent(played(scenario, exchange, used(scenario, taken), static=static)) for static in (True, False)
                )
                assert from_static == rendered, exchange.name
    assert compared > 50


DELAYED = """\
  - name: slow
    request: {method: POST, path: /slow}
    reply: {after: 30ms, body: {statusCode: 0, referenceId: 8}}
    events: [{after: 10ms, channel: /c, data: {referenceId: 8}}]
"""
NEVER = "faults: [{exchange: many, nth: 1000, status: 500}, {exchange: slow, nth: 1000, broken: true}]\n"


@pytest.mark.parametrize("speed", [1.0, 0.0])
def test_a_ready_response_is_played_like_one_with_a_fault_that_is_not_triggered(
    conversation: Callable[..., Conversation], speed: float
) -> None:
    transcripts = []
    exchanges = NUMBERS.partition("\n")[2] + DELAYED
    for text in (exchanges, exchanges + NEVER):
        talk = conversation(text, speed=speed)
        client = talk.client().connects()
        for at, path in enumerate(("/a", "/slow", "/a", "/slow", "/a"), start=1):
            talk.at(at)
            client.sends("POST", path)
        talk.at(10)
        calls = [(call.exchange, call.outcome, call.status, call.target) for call in talk.backend.calls]
        transcripts.append((calls, client.received))
        client.received = []
    assert transcripts[0] == transcripts[1]
    assert len(transcripts[0][1]) == 13  # five replies, and the notifications: two for `many`, one for `slow`


def used(scenario: CompiledScenario, taken: Iterable[int]) -> References:
    """Return the references of a session that has used some of the recorded numbers."""
    references = References(scenario.highest_ref)
    for number in taken:
        references.take(number)
    return references


def test_only_the_reference_numbers_of_a_static_response_are_replaced() -> None:
    scenario = loads(NUMBERS, "test.yaml")
    rendered = played(scenario, scenario.exchanges[0], used(scenario, [5]), static=True)
    assert isinstance(rendered.reply, ReplyOut)
    body: JSON = {"statusCode": 0, "referenceId": 7, "referenceIds": {"a": 7, "b": 6}, "text": '"5" Grüße'}
    assert rendered.reply.content == encode(body)
    assert [(timed.after_seconds, timed.messages, timed.batch) for timed in rendered.events] == [
        (0.0, (EncodedMessage("/c", b'{"channel":"/c","data":{"referenceId":7}}'),), "one"),
        (0.02, (EncodedMessage("/c", b'{"channel":"/c","data":{"referenceId":6}}'),), None),
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
def test_a_reply_that_depends_on_the_request_is_not_static(reply: str) -> None:
    text = f"cometreel: 1\nexchanges: [{{name: a, request: {{method: GET, path: /a}}, reply: {reply}}}]\n"
    scenario = loads(text, "test.yaml")
    assert PreparedScenario(scenario).static_response(scenario.exchanges[0]).reply is None


@pytest.mark.parametrize(
    "event",
    [
        '{channel: /c, data: {$t: "{{ user.id }}"}}',
        "{channel: /c, data: {}, count: 2, gap: 1s}",
        "{channel: /c, data: {contactUri: 'http://recorded:1/x'}}",
    ],
)
def test_events_that_repeat_or_depend_on_the_request_are_not_static(event: str) -> None:
    text = f"cometreel: 1\nexchanges: [{{name: a, request: {{method: GET, path: /a}}, events: [{event}]}}]\n"
    scenario = loads(text, "test.yaml")
    assert PreparedScenario(scenario).static_response(scenario.exchanges[0]).events is None


def test_responses_are_not_static_if_the_client_chooses_ids() -> None:
    scenario = loads(NUMBERS.replace("gws-v2", "workspace-v3"), "test.yaml")
    assert PreparedScenario(scenario).static_response(scenario.exchanges[0]) == StaticResponse()
