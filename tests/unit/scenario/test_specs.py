"""Rendered replies and events: types, determinism, and failures with their position."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import EventOut, EventPlan, Match, RenderContext, ReplyOut, TemplateFailed, User, loads
from cometreel.scenario.compiled import PublishReplyOut
from cometreel.scenario.exchange import Exchange
from cometreel.wire import Headers, Request

ASKED = "{method: POST, path: /x, query: {a: '1'}, body: {id: {$id: w-1}, n: {$capture: n}}}"
HEAD = f"cometreel: 1\nexchanges:\n  - name: one\n    request: {ASKED}\n    "
REQUEST = Request(1, "POST", "/x", "a=1", Headers([("X-Trace", "t")]), b'{"id": "861640a2", "n": "86164e12"}')


def play(written: str, seed: str = "") -> tuple[Exchange, RenderContext]:
    scenario = loads(HEAD + written, "f")
    normalized = scenario.normalize_request(REQUEST)
    found = scenario.exchanges[0].match(normalized, {})
    assert isinstance(found, Match)
    return scenario.exchanges[0], RenderContext(
        normalized,
        found.captures,
        user=User("ann", "28383e55"),
        ids=found.ids,
        ref=67,
        now=datetime(2026, 11, 23, 10, tzinfo=UTC),
        seed=seed,
    )


def test_a_reply_is_rendered_with_all_template_variables() -> None:
    exchange, context = play("""reply:
      after: {$t: "{{ 10 + 24 }}ms"}
      status: {$t: "{{ 202 }}"}
      headers: {X-Trace: {$t: "{{ request.headers['x-trace'] }}"}, Set-Cookie: [a=1, b=2]}
      body:
        ref: {$t: "{{ ref }}"}
        n: {$t: "{{ n }}"}
        user: {$t: "{{ user.id }}/{{ user.name }}"}
        asked: {$t: "{{ request.method }} {{ request.path }} {{ request.query.a }} {{ request.body.id }}"}
        now: {$t: "{{ now }}"}
        map: {$entries: [[{$id: w-1}, 56], [fixed, {$csv: [{$id: w-1}, b]}]]}
        literal: "{{ not a template }}"
        $$any: x
""")
    assert exchange.reply is not None
    assert exchange.reply.render(context) == ReplyOut(
        after_seconds=0.034,
        status=202,
        headers=(("X-Trace", "t"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
        body={
            "ref": 67,
            "n": "86164e12",
            "user": "28383e55/ann",
            "asked": "POST /x 1 861640a2",
            "now": "2026-11-23T10:00:00Z",
            "map": {"861640a2": 56, "fixed": "861640a2,b"},
            "literal": "{{ not a template }}",
            "$any": "x",
        },
    )


@pytest.mark.parametrize(
    ("written", "content"),
    [("{}", b""), ("{text: 'ä'}", "ä".encode()), ("{base64: AP8=}", b"\x00\xff"), ("{text: {$t: '{{ ref }}'}}", b"67")],
)
def test_a_body_that_is_no_json_is_bytes(written: str, content: bytes) -> None:
    exchange, context = play(f"reply: {written}")
    assert exchange.reply is not None
    assert exchange.reply.render(context) == ReplyOut(0.0, 200, (), None, content)


def test_a_header_value_with_a_line_break_fails_clearly() -> None:
    exchange, context = play("""reply: {headers: {X: {$t: "{{ 'a\\r\\nSet-Cookie: b=1' }}"}}}""")
    assert exchange.reply is not None
    with pytest.raises(TemplateFailed, match="expected one line of text"):
        exchange.reply.render(context)


def test_a_null_body_is_json() -> None:
    exchange, context = play("reply: {body: null}")
    assert exchange.reply is not None
    assert exchange.reply.render(context) == ReplyOut(0.0, 200, (), None, None)


def test_a_repeated_event_has_a_sequence_number() -> None:
    exchange, context = play("""events:
      - {after: 1s, channel: /a, data: {n: {$t: "{{ seq }} of {{ count }}"}}, count: 3, gap: 200ms, batch: b}
      - {after: 2s, disconnect: true}
""")
    message, end = exchange.events
    assert message.plan(context) == EventPlan(1.0, 3, 0.2)
    assert message.render(context, 2) == EventOut({"channel": "/a", "data": {"n": "2 of 3"}}, "b")
    assert end.plan(context) == EventPlan(2.0)
    assert end.render(context) == EventOut({}, disconnect=True)


def test_only_repeated_events_have_a_gap() -> None:
    exchange, context = play("events: [{channel: /a, count: 2, gap: 1s}, {channel: /a, count: 1, gap: 1s}]")
    assert [event.plan(context) for event in exchange.events] == [EventPlan(0.0, 2, 1.0), EventPlan(0.0, 1, 0.0)]


def test_an_event_and_the_end_of_a_session_name_their_receivers() -> None:
    exchange, context = play("""events:
      - {channel: /a, data: 1, ext: {x: {$t: "{{ ref }}"}}, deliver: all}
      - {disconnect: true, deliver: all}
""")
    message, end = exchange.events
    assert message.render(context) == EventOut({"channel": "/a", "data": 1, "ext": {"x": 67}}, deliver="all")
    assert end.render(context) == EventOut({}, disconnect=True, deliver="all")


def test_each_repetition_of_an_event_has_its_own_random_values() -> None:
    exchange, context = play(
        """events: [{channel: /a, data: [{$t: "{{ uuid() }}"}, {$t: "{{ uuid() }}"}], count: 2}]"""
    )
    values = [value for seq in (0, 1) for value in exchange.events[0].render(context, seq).message["data"]]  # type: ignore[union-attr]  # a list
    assert len({*values}) == 4


@pytest.mark.parametrize(
    ("written", "reply"),
    [
        ("{}", PublishReplyOut(0.0, True)),
        ("{error: '403::denied'}", PublishReplyOut(0.0, False, "403::denied")),
        ("{successful: false}", PublishReplyOut(0.0, False)),
        ("{error: '1::x', successful: true, data: 1}", PublishReplyOut(0.0, True, "1::x", {"data": 1})),
    ],
)
def test_the_reply_to_a_publish_is_successful_unless_it_has_an_error(written: str, reply: PublishReplyOut) -> None:
    scenario = loads(f"cometreel: 1\nexchanges: [{{name: a, request: {{publish: /a}}, reply: {written}}}]")
    spec = scenario.exchanges[0].reply
    assert spec is not None
    assert spec.render(RenderContext(scenario.normalize_publish({"channel": "/a"}))) == reply


def test_true_and_one_are_different_constants() -> None:
    bodies = "".join(
        f"  - {{name: n{n}, request: {{method: GET, path: /{n}}}, reply: {{body: {body}}}}}\n"
        for n, body in enumerate(("1", "true", "1"))
    )
    scenario = loads(f"cometreel: 1\nexchanges:\n{bodies}")
    context = RenderContext(scenario.normalize_request(REQUEST))
    assert [repr(one.reply.render(context).body) for one in scenario.exchanges] == ["1", "True", "1"]  # type: ignore[union-attr]  # replies to HTTP requests


def test_a_publish_can_define_the_pushed_message() -> None:
    """The golden servers' /service/push, as a scenario."""
    scenario = loads("""\
cometreel: 1
exchanges:
  - name: push
    request: {publish: /service/push, data: {$any: object}}
    events:
      - after: {$t: "{{ request.data.delay | default(0) }}ms"}
        channel: {$t: "{{ request.data.channel }}"}
        data: {$t: "{{ dict(request.data.data, seq=seq) if count > 1 else request.data.data }}"}
        count: {$t: "{{ 0 if request.data.kick is defined else request.data.count | default(1) }}"}
        gap: {$t: "{{ request.data.gap | default(0) }}ms"}
        batch: {$t: "{{ request.data.batch | default(false) }}"}
      - after: {$t: "{{ request.data.delay | default(0) }}ms"}
        disconnect: {$t: "{{ request.data.kick | default(false) }}"}
        count: {$t: "{{ 1 if request.data.kick is defined else 0 }}"}
""")
    push, kick = scenario.exchanges[0].events

    def context(**data: JSON) -> RenderContext:
        return RenderContext(scenario.normalize_publish({"channel": "/service/push", "data": data}))

    several = context(channel="/p", data={"a": 1}, delay=300, count=3, gap=20)
    assert (push.plan(several), kick.plan(several).count) == (EventPlan(0.3, 3, 0.02), 0)
    assert push.render(several, 1) == EventOut({"channel": "/p", "data": {"a": 1, "seq": 1}})
    one = context(channel="/p", data="x", batch=True)
    assert (push.plan(one), push.render(one)) == (EventPlan(0.0), EventOut({"channel": "/p", "data": "x"}, "true"))
    end = context(kick=True, delay=100)
    assert (push.plan(end).count, kick.plan(end), kick.render(end).disconnect) == (0, EventPlan(0.1), True)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("reply: {body: {a: {$t: '{{ request.body.missing }}'}}}", "f:5:28: the template '{{ request.body.missing }}'"),
        ("reply: {status: {$t: '{{ 700 }}'}}", "f:5:12: the template '700' failed: the number 700; expected an HTTP"),
        ("reply: {after: {$t: '{{ ref }}'}}", "f:5:12: the template '67' failed: the number 67; expected a duration"),
        ("reply: {body: [1, {$t: '{{ request.body.no }}'}]}", "f:5:28: the template '{{ request.body.no }}'"),
        ("reply: {body: {$entries: [[a, {$t: '{{ session.x }}'}]]}}", "f:5:40: the template '{{ session.x }}'"),
        ("reply: {body: {$t: '{{ session.x }}'}}", "f:5:24: the template '{{ session.x }}' failed: 'dict object' has"),
    ],
)
def test_a_failure_has_the_position_of_the_template(written: str, reason: str) -> None:
    exchange, context = play(written)
    assert exchange.reply is not None
    with pytest.raises(TemplateFailed) as caught:
        exchange.reply.render(context)
    assert str(caught.value).startswith(reason)


def test_an_event_without_a_channel_at_run_time_fails_clearly() -> None:
    exchange, context = play("events: [{channel: {$t: '{{ n }}'}}]")
    with pytest.raises(TemplateFailed, match="expected a channel such as"):
        exchange.events[0].render(context)


def test_an_unbound_id_fails_clearly() -> None:
    exchange, context = play("reply: {body: {$id: w-1}}")
    assert exchange.reply is not None
    with pytest.raises(TemplateFailed, match="no request of this session has bound it yet"):
        exchange.reply.render(RenderContext(context.request))


def test_the_same_play_gives_the_same_random_values_in_any_order() -> None:
    written = """reply: {body: [{$t: "{{ uuid() }}"}, {$t: "{{ uuid('order') }}"}]}
    events:
      - {channel: /a, data: [{$t: "{{ uuid() }}"}, {$t: "{{ uuid('order') }}"}, {$t: "{{ randint(1, 6) }}"}]}
"""
    exchange, context = play(written, "seed")
    again, later = play(written, "seed")
    _, other = play(written, "other seed")
    assert exchange.reply is not None
    first = (exchange.reply.render(context), exchange.events[0].render(context))
    assert again.reply is not None
    second = (again.events[0].render(later), again.reply.render(later))
    assert first == (second[1], second[0])
    assert exchange.events[0].render(other) != first[1]
    data = first[1].message["data"]
    reply = first[0]
    assert isinstance(reply, ReplyOut)
    assert isinstance(data, list)
    assert isinstance(reply.body, list)
    assert (reply.body[0] == data[0], reply.body[1] == data[1]) == (False, True)
