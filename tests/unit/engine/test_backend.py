"""The backend as its clients see it, in virtual time."""

from __future__ import annotations

import json

import pytest

from cometreel.jsonvalue import JSONObject
from cometreel.scenario import loads
from cometreel.wire import Effect, Log, Reply, Request
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import ENDPOINT, Received, whole

STATS_PATH = "/api/v2/workbins"
ASK: JSONObject = {"operationName": "RequestAgentStats"}
CHANNEL = "/v2/me/workbins"
STATS = """
exchanges:
  - name: stats
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {after: 34ms, body: {statusCode: 0, referenceId: 67}}
    events:
      - {after: 120ms, channel: /v2/me/workbins, data: {messageType: WorkbinStatsMessage, referenceId: 67}}
"""


def stats(number: int) -> JSONObject:
    return {"messageType": "WorkbinStatsMessage", "referenceId": number}


def done(number: int) -> JSONObject:
    return {"statusCode": 0, "referenceId": number}


def test_a_reply_is_sent_after_its_recorded_delay_and_its_event_on_the_held_poll(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client().connects()
    talk.at(1.0)
    a.sends("POST", STATS_PATH, ASK)
    talk.at(1.02)
    a.receives()
    talk.at(2.0)
    a.receives((1.034, 200, done(67)), (1.12, CHANNEL, stats(67)))


def test_an_event_recorded_before_the_reply_is_sent_before_it(conversation: Talk) -> None:
    talk = conversation(STATS.replace("120ms", "4ms"))
    a = talk.client().connects()
    a.sends("POST", STATS_PATH, ASK)
    talk.at(1.0)
    a.receives((0.004, CHANNEL, stats(67)), (0.034, 200, done(67)))


@pytest.mark.parametrize(("speed", "reply_at", "event_at"), [(2, 0.017, 0.06), (0.5, 0.068, 0.24), (0, 0.0, 0.0)])
def test_speed_scales_every_delay_and_nothing_else(
    conversation: Talk, speed: float, reply_at: float, event_at: float
) -> None:
    talk = conversation(STATS, speed=speed)
    a = talk.client().connects()
    a.sends("POST", STATS_PATH, ASK)
    talk.at(1.0)
    a.receives((reply_at, 200, done(67)), (event_at, CHANNEL, stats(67)))


def test_speed_zero_keeps_the_order_of_delays(conversation: Talk) -> None:
    talk = conversation(STATS.replace("120ms", "4ms"), speed=0)
    a = talk.client().connects()
    a.sends("POST", STATS_PATH, ASK)
    a.receives((0.0, CHANNEL, stats(67)), (0.0, 200, done(67)))


def test_a_repeated_request_gets_the_next_number_above_the_highest_of_the_scenario(conversation: Talk) -> None:
    talk = conversation(STATS, speed=0)
    a = talk.client().connects()
    for _ in range(3):
        a.sends("POST", STATS_PATH, ASK)
    numbers = [67, 68, 69]
    a.receives(*[line for n in numbers for line in ((0.0, 200, done(n)), (0.0, CHANNEL, stats(n)))])


def test_events_wait_until_the_session_connects(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client()
    a.sends("POST", STATS_PATH, ASK)
    talk.at(5.0)
    a.receives((0.034, 200, done(67)))
    a.connects()
    a.receives((5.0, CHANNEL, stats(67)))


def test_events_go_to_every_live_client_of_the_session(conversation: Talk) -> None:
    talk = conversation(STATS + "bayeux: {endpoint: /api/v2/notifications, max_sessions_per_browser: 5}\n")
    a = talk.client("a").connects()
    b = talk.client("b")
    b.cookies.update(a.cookies)
    b.connects()
    a.sends("POST", STATS_PATH, ASK)
    talk.at(1.0)
    a.receives((0.034, 200, done(67)), (0.12, CHANNEL, stats(67)))
    b.receives((0.12, CHANNEL, stats(67)))


def test_sessions_receive_only_their_own_events(conversation: Talk) -> None:
    talk = conversation(STATS)
    a, b = talk.client("a").connects(), talk.client("b").connects()
    a.sends("POST", STATS_PATH, ASK)
    talk.at(0.5)
    b.sends("POST", STATS_PATH, ASK)
    talk.at(1.0)
    a.receives((0.034, 200, done(67)), (0.12, CHANNEL, stats(67)))
    b.receives((0.534, 200, done(67)), (0.62, CHANNEL, stats(67)))


def test_a_client_that_disconnects_and_polls_again_gets_all_events(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client().connects()
    a.sends("POST", STATS_PATH, ASK)
    talk.at(0.1)
    a.disconnects()
    talk.at(3.0)
    a.receives((0.034, 200, done(67)))
    a.polls = True
    a.poll()
    a.receives((3.0, CHANNEL, stats(67)))


def test_the_events_of_a_reply_are_sent_even_if_its_client_has_disconnected(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client().connects()
    number = a.sends("POST", STATS_PATH, ASK)
    talk.do(talk.backend.gone(number, talk.now))
    talk.at(1.0)
    a.receives((0.12, CHANNEL, stats(67)))


def test_release_all_answers_held_requests_immediately(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client().connects()
    a.sends("POST", STATS_PATH, ASK)
    a.polls = False
    talk.do(talk.backend.release_all(talk.now))
    a.receives((0.0, 200, done(67)))
    assert a.last is not None
    assert (a.last.request_id, a.last.status) == (a.held, 200)


SEVERAL = """
exchanges:
  - name: several
    request: {method: POST, path: /x}
    reply: {body: {ok: true}}
    events:
      - {after: 2s, channel: /c, data: late}
      - {after: 1s, channel: /c, data: first}
      - {after: 1s, channel: /c, data: second}
      - {after: 1s, channel: /c, data: third, batch: b}
      - {after: 1s, channel: /c, data: fourth, batch: b}
      - {after: 3s, channel: /c, data: {$t: "{{ seq }}"}, count: 3, gap: 500ms}
"""


def test_events_are_delivered_one_by_one_unless_they_share_a_batch(conversation: Talk) -> None:
    talk = conversation(SEVERAL)
    a = talk.client().connects()
    a.sends("POST", "/x")
    answered = len(a.meta)
    talk.at(1.5)
    a.receives(
        (0.0, 200, {"ok": True}),
        (1.0, "/c", "first"),
        (1.0, "/c", "second"),
        (1.0, "/c", "third"),
        (1.0, "/c", "fourth"),
    )
    assert len(a.meta) - answered == 2, "the first alone, and with the next poll what has come due meanwhile"
    talk.at(9.0)
    a.receives((2.0, "/c", "late"), (3.0, "/c", 0), (3.5, "/c", 1), (4.0, "/c", 2))


SAME_TIME = """
exchanges:
  - name: one
    request: {method: POST, path: /one}
    reply: {after: REPLY, body: {referenceId: 1}}
    events:
      - {after: 1s, channel: /c, data: {n: TEXT, referenceId: 1}}
      - {after: 1s, channel: /c, data: {n: b, referenceId: 1}}
  - name: two
    request: {method: POST, path: /two}
    reply: {after: REPLY, body: {referenceId: 11}}
    events:
      - {after: 1s, channel: /c, data: {n: TEXT, referenceId: 11}}
      - {after: 1s, channel: /c, data: {n: b, referenceId: 11}}
timeline:
  - {since: one, after: 1s, channel: /c, data: news}
"""


@pytest.mark.parametrize(("reply", "at", "numbers"), [("0s", 0.0, (11, 12, 1)), ("10ms", 0.01, (1, 11, 12))])
@pytest.mark.parametrize("text", ["a", "{$t: a}"], ids=["static", "template"])
def test_what_is_due_at_the_same_time_is_in_the_order_of_the_scenario_then_of_its_causes(
    conversation: Talk, reply: str, at: float, numbers: tuple[int, ...], text: str
) -> None:
    talk = conversation(SAME_TIME.replace("REPLY", reply).replace("TEXT", text))
    a = talk.client().connects()
    for path in ("/two", "/two", "/one"):
        a.sends("POST", path)
    talk.at(0.5)
    replies: list[Received] = [(at, 200, {"referenceId": number}) for number in numbers]
    a.receives(*replies)
    talk.at(2.0)
    events: list[Received] = [(1.0, "/c", {"n": n, "referenceId": number}) for number in (1, 11, 12) for n in "ab"]
    a.receives(*events, (1.0, "/c", "news"))


BATCHES = """
exchanges:
  - name: batches
    request: {method: POST, path: /x}
    reply: {text: TEXT}
    events:
      - {after: 1s, channel: /c, data: 1, batch: b}
      - {after: 2s, channel: /c, data: 3, batch: b}
      - {after: 1s, channel: /c, data: 2, batch: b}
"""


@pytest.mark.parametrize("text", ["ok", "{$t: ok}"], ids=["static", "template"])
def test_events_of_one_batch_due_at_two_times_are_two_batches(conversation: Talk, text: str) -> None:
    talk = conversation(BATCHES.replace("TEXT", text))
    a = talk.client().connects()
    a.sends("POST", "/x")
    polls = len(a.meta)
    talk.at(1.5)
    a.receives((0.0, 200, "ok"), (1.0, "/c", 1), (1.0, "/c", 2))
    assert len(a.meta) - polls == 1, "one reply to a poll has both"
    talk.at(3.0)
    a.receives((2.0, "/c", 3))


CLOCK = """
source: {recorded: 2026-11-23T10:00:00Z}
exchanges:
  - {name: work, request: {method: POST, path: /work}, reply: {after: 10s, text: done}}
  - name: time
    request: {method: GET, path: /time}
    reply: {after: 5s, text: {$t: "{{ now }}"}}
    events: [{after: 1m, channel: /time, data: {$t: "{{ now }}"}}]
"""


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_the_clock_of_the_scenario_moves_by_the_delays_of_the_replies(conversation: Talk, speed: float) -> None:
    """Templates see the time that the recording would have, whatever the speed and the real time are."""
    talk = conversation(CLOCK, speed=speed)
    a, b = talk.client("a").connects(), talk.client("b")
    for number, (method, path) in enumerate([("GET", "/time"), ("POST", "/work"), ("GET", "/time"), ("GET", "/time")]):
        talk.at(number * 20.0)
        a.sends(method, path)
    talk.at(200.0)
    replies = [body for _, what, body in a.received if what == 200]
    events = [data for _, what, data in a.received if what == "/time"]
    a.received.clear()
    assert replies == ["2026-11-23T10:00:00Z", "done", "2026-11-23T10:00:15Z", "2026-11-23T10:00:20Z"]
    assert events == ["2026-11-23T10:01:00Z", "2026-11-23T10:01:15Z", "2026-11-23T10:01:20Z"]
    b.sends("GET", "/time")
    talk.at(300.0)
    assert b.received.pop()[2] == "2026-11-23T10:00:00Z", "each session has its own clock"


@pytest.mark.parametrize("text", ["{$t: 'done{{ \"\" }}'}", "done"], ids=["template", "static"])
def test_the_time_of_a_timeline_entry_counts_from_the_request_that_it_starts_with(
    conversation: Talk, text: str
) -> None:
    """As the time of a notification of this request does."""
    talk = conversation(
        CLOCK.replace("text: done", f"text: {text}")
        + 'timeline: [{since: work, after: 1m, channel: /entry, data: {$t: "{{ now }}"}}]\n'
    )
    a = talk.client().connects()
    a.sends("POST", "/work")
    talk.at(60.0)
    a.receives((10.0, 200, "done"), (60.0, "/entry", "2026-11-23T10:01:00Z"))


def test_generated_values_differ_between_users_and_between_plays(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n  - {name: id, request: {method: GET, path: /id}, reply: {text: {$t: '{{ uuid() }}'}}}\n"
    )
    received = []
    for name in ("ann", "ben", "ann"):
        client = talk.client(name, user=name)
        for _ in range(2):
            client.sends("GET", "/id")
            received.append(client.received.pop()[2])
    ann, ben, again = received[:2], received[2:4], received[4:]
    assert len({*ann, *ben}) == 4
    assert again != ann, "the third client of the same user continues its session"


def test_a_disconnect_event_ends_the_clients_of_the_session(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n  - {name: end, request: {method: POST, path: /x}, events: [{after: 1s, disconnect: true}]}\n"
    )
    a = talk.client().connects()
    a.sends("POST", "/x")
    talk.at(2.0)
    a.receives((0.0, 200, ""))
    assert [message["channel"] for message in a.meta[-2:]] == ["/meta/disconnect", "/meta/connect"]


PUSH = """
exchanges:
  - name: push
    request: {publish: /service/push, data: {channel: {$capture: channel}, after: {$capture: after}}}
    reply: {successful: true, ext: {ok: 1}}
    events:
      - {after: {$t: "{{ after }}"}, channel: {$t: "{{ channel }}"}, data: pushed}
"""


def test_immediate_events_of_a_publish_are_in_its_reply(conversation: Talk) -> None:
    talk = conversation(PUSH)
    a = talk.client().connects()
    held = a.held
    a.sends_messages({"channel": "/service/push", "data": {"channel": "/c", "after": "0s"}})
    a.receives((0.0, "/c", "pushed"))
    assert a.meta[-1] == {"channel": "/service/push", "successful": True, "ext": {"ok": 1}}
    assert a.held == held, "the poll stays held"


def test_delayed_events_of_a_publish_go_to_the_publishing_client_only(conversation: Talk) -> None:
    talk = conversation(PUSH + "bayeux: {endpoint: /api/v2/notifications, max_sessions_per_browser: 5}\n")
    a, b = talk.client("a").connects(), talk.client("b")
    b.cookies.update(a.cookies)
    b.connects()
    a.sends_messages({"channel": "/service/push", "data": {"channel": "/c", "after": "2s"}})
    talk.at(3.0)
    a.receives((2.0, "/c", "pushed"))
    b.receives()


def test_an_unmatched_service_publish_is_acknowledged_as_by_a_real_server_and_logged(conversation: Talk) -> None:
    talk = conversation(PUSH)
    a = talk.client().connects()
    a.sends_messages({"channel": "/service/pull", "data": 1})
    assert a.meta[-1]["successful"] is True
    talk.logged("warning: no exchange answers the publish on /service/pull; nearest: 'push'")
    assert [(call.method, call.target, call.outcome) for call in talk.backend.calls] == [
        ("PUBLISH", "/service/pull", "missed")
    ]


def test_a_websocket_gets_the_same_messages_as_long_polling(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client()
    socket = talk.number()

    talk.send(a, Request(socket, "GET", ENDPOINT, websocket=True))
    a.receives((0.0, "Accept", None))
    a.sends_messages(
        {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["websocket"]}, websocket=socket
    )
    a.client_id = str(a.meta[-1]["clientId"])
    a.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    session = next(iter(talk.backend.sessions))
    a.cookies["JSESSIONID"] = talk.backend.sessions.cookie_of(session)
    a.sends("POST", STATS_PATH, ASK)
    talk.at(1.0)
    a.receives((0.034, 200, done(67)), (0.12, CHANNEL, stats(67)))


TIMELINE = """
exchanges:
  - {name: come, request: {method: POST, path: /come}, reply: {body: {}}}
  - {name: go, request: {method: POST, path: /go}, reply: {body: {}}}
timeline:
  - {since: come, until: go, after: 1s, channel: /c, data: news}
  - {since: come, after: 2s, channel: /c, data: more}
  - {since: connect, after: 500ms, channel: /c, data: welcome}
"""


def test_the_timeline_starts_and_ends_with_its_anchors(conversation: Talk) -> None:
    talk = conversation(TIMELINE)
    a = talk.client().connects()
    a.sends("POST", "/come")
    talk.at(0.9)
    a.receives((0.0, 200, {}), (0.5, "/c", "welcome"))
    a.sends("POST", "/go")
    talk.at(5.0)
    a.receives((0.9, 200, {}), (2.0, "/c", "more"))
    a.sends("POST", "/come")
    talk.at(9.0)
    a.receives((5.0, 200, {}), (6.0, "/c", "news"))


def test_uris_in_replies_have_the_host_that_the_client_used(conversation: Talk) -> None:
    talk = conversation(
        """
exchanges:
  - name: me
    request: {method: GET, path: /api/v2/me}
    reply: {body: {user: {uri: "http://gws.old:8090/api/v2/users/1", note: "see http://gws.old:8090"}}}
"""
    )
    a = talk.client()
    a.sends("GET", "/api/v2/me/")
    a.receives((0.0, 200, {"user": {"uri": "http://replay:1/api/v2/users/1", "note": "see http://gws.old:8090"}}))


CHOSEN = """
correlation: workspace-v3
exchanges:
  - name: do
    request: {method: POST, path: /workspace/v3/do, body: {operationId: recorded, data: {n: 1}}}
    reply: {body: {status: {code: 1}, operationId: recorded}}
    events: [{after: 1s, channel: /workspace/v3/workbins, data: {messageType: M, operationId: recorded}}]
"""


def test_an_id_that_the_client_chose_is_echoed_and_ignored_in_matching(conversation: Talk) -> None:
    talk = conversation(CHOSEN)
    a = talk.client().connects()
    a.sends("POST", "/workspace/v3/do", {"operationId": "mine", "data": {"n": 1}})
    talk.at(2.0)
    a.receives(
        (0.0, 200, {"status": {"code": 1}, "operationId": "mine"}),
        (1.0, "/workspace/v3/workbins", {"messageType": "M", "operationId": "mine"}),
    )


def test_replacing_the_scenario_keeps_the_sessions(conversation: Talk) -> None:

    talk = conversation(STATS)
    a = talk.client().connects()
    a.sends("POST", STATS_PATH, ASK)
    talk.do(talk.backend.replace(loads(whole(STATS.replace("67", "80").replace("34ms", "1ms"))), talk.now))
    talk.at(1.0)
    a.receives((0.034, 200, done(67)), (0.12, CHANNEL, stats(67)))
    a.sends("POST", STATS_PATH, ASK)
    talk.at(2.0)
    a.receives((1.001, 200, done(80)), (1.12, CHANNEL, stats(80)))


def test_the_request_journal_has_session_request_and_answer_of_each_call(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client(user="kate")
    a.sends("POST", STATS_PATH, ASK)
    a.sends("GET", "/nothing", query="a=1")
    talk.at(1.0)
    a.received.clear()
    talk.logs.clear()
    calls = [
        (call.session, call.user, call.method, call.target, call.exchange, call.outcome) for call in talk.backend.calls
    ]
    assert calls == [
        (1, "kate", "POST", STATS_PATH, "stats", "played"),
        (1, "kate", "GET", "/nothing?a=1", None, "missed"),
    ]
    assert json.loads(talk.backend.calls[0].body) == ASK


def test_the_request_journal_is_bounded(conversation: Talk) -> None:
    talk = conversation(STATS, speed=0, max_calls=2)
    a = talk.client()
    for _ in range(5):
        a.sends("POST", STATS_PATH, ASK)
    a.received.clear()
    assert len(talk.backend.calls) == 2


def test_only_unmatched_get_requests_are_forwarded(conversation: Talk) -> None:
    talk = conversation(STATS, unmatched="forward")
    a = talk.client()
    a.sends("GET", "/api/v2/services")
    a.receives((0.0, "Forward", None))
    a.sends("POST", "/api/v2/services", {"a": 1})
    talk.logged("warning: no exchange answers POST /api/v2/services")
    assert a.received.pop()[1] == 404


# ---------------------------------------------------------------------- a late call
LATE = """
bayeux: {endpoint: /api/v2/notifications, max_interval: 10s}
exchanges:
  - name: ask
    request: {method: POST, path: /ask}
    reply: {after: 2s, text: ok}
    events:
      - {after: 5s, channel: /c, data: AFTER_5}
      - {after: AFTER, channel: /c, data: 2}
      - {after: 60s, channel: /c, data: 3}
"""


def as_seen(effects: list[Effect]) -> list[object]:
    """Return replies and log lines, without ids."""
    seen: list[object] = []
    for effect in effects:
        if isinstance(effect, Log):
            seen.append(effect.text)
        elif isinstance(effect, Reply):
            seen.append(effect.body)
    return seen


@pytest.mark.parametrize("after", ["12s", "14.9s", "20s", "29s", "31s", "45s"])
@pytest.mark.parametrize("first", [True, False], ids=["an event answers the poll", "the poll times out"])
def test_a_late_advance_does_the_same_as_one_at_each_deadline(conversation: Talk, after: str, first: bool) -> None:
    """Its client has hung up meanwhile, or neither polls nor confirms."""
    seen = []
    for late in (True, False):
        text = LATE.replace("AFTER_5", "1").replace("AFTER", after)
        talk = conversation(text if first else text.replace("{after: 5s,", "{after: 50s,"), seed="s")
        a = talk.client().handshakes()
        a.poll()
        a.poll()
        a.sends("POST", "/ask")
        effects: list[Effect] = []
        while not late and (deadline := talk.backend.deadline()) is not None and deadline <= talk.start + 90.0:
            effects += talk.backend.advance(deadline)
        effects += talk.backend.advance(talk.start + 90.0)
        given_up = [(event.at, event.channel, event.reason) for event in talk.backend.journal.given_up.latest]
        seen.append((as_seen(effects), talk.backend.deadline(), given_up))
        a.received.clear()
    assert seen[0] == seen[1]
    assert seen[0][0], "something is due"


@pytest.mark.parametrize("start", [1000.0, 1000.0000004, 1000.0000006, 0.1])
def test_an_action_is_performed_at_its_deadline_and_not_before(conversation: Talk, start: float) -> None:
    """Times in seconds are rounded to microseconds, those of a session from its first request."""
    talk = conversation(STATS, start=start)
    a = talk.client()
    a.sends("POST", STATS_PATH, ASK)
    deadline = talk.backend.deadline()
    assert deadline is not None
    assert round(deadline - start, 9) == 0.034
    assert talk.backend.advance(deadline - 0.0000008) == []
    assert len(talk.backend.advance(deadline)) == 1


def test_a_reply_is_sent_once_by_a_graceful_stop(conversation: Talk) -> None:
    talk = conversation(STATS)
    a = talk.client()
    a.sends("POST", STATS_PATH, ASK)
    talk.do(talk.backend.release_all(talk.now))
    talk.at(1.0)
    a.receives((0.0, 200, done(67)))
    talk.do(talk.backend.release_all(talk.now))
    a.receives()
    talk.logged("warning: test.yaml:7:5: event 1 of 'stats' on /v2/me/workbins for session 1 is given up: no conn")


def test_a_static_reply_with_a_number_may_have_a_percent_sign(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n  - name: x\n    request: {method: GET, path: /x}\n"
        "    reply: {body: {referenceId: 1, text: '100 % %d', done: true}}\n"
        "    events: [{channel: /c, data: {referenceId: 1, text: '%s'}}]\n"
    )
    a = talk.client().connects()
    for number in (1, 2):
        a.sends("GET", "/x")
        event: Received = (0.0, "/c", {"referenceId": number, "text": "%s"})
        a.receives((0.0, 200, {"referenceId": number, "text": "100 % %d", "done": True}), event)


def test_true_is_no_reference_number(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n"
        "  - {name: a, request: {method: GET, path: /a}, reply: {body: {referenceId: true}}}\n"
        "  - {name: b, request: {method: GET, path: /b}, reply: {body: {referenceId: 1}}}\n"
    )
    a = talk.client()
    a.sends("GET", "/a")
    a.sends("GET", "/b")
    a.receives((0.0, 200, {"referenceId": True}), (0.0, 200, {"referenceId": 1}))


def test_the_numbers_in_a_map_and_the_uris_in_events_are_live_with_templates_too(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - name: x
    request: {method: GET, path: /x}
    reply: {body: {referenceId: 5, referenceIds: {a: 5, b: 6}, text: {$t: hi}}}
    events: [{channel: /c, data: {referenceId: 6, text: {$t: hi}, uri: "http://gws.old/x"}}]
""")
    a = talk.client().connects()
    for one, two in ((5, 6), (7, 8)):
        a.sends("GET", "/x")
        a.receives(
            (0.0, 200, {"referenceId": one, "referenceIds": {"a": one, "b": two}, "text": "hi"}),
            (0.0, "/c", {"referenceId": two, "text": "hi", "uri": "http://replay:1/x"}),
        )


MANY = """
source: {recorded: 9999-12-31T23:00:00Z}
exchanges:
  - name: many
    request: {method: POST, path: /x, body: {count: {$capture: number}, gap: {$capture: pause}}}
    events:
      - {channel: /c, data: {$t: "{{ seq }} {{ now }}"}, count: {$t: "{{ number }}"}, gap: {$t: "{{ pause }}"}}
"""


def test_the_number_and_the_time_of_events_from_a_request_are_limited(conversation: Talk) -> None:
    talk = conversation(MANY + "bayeux: {endpoint: /api/v2/notifications, max_queue: 20000}\n")
    a = talk.client().connects()
    a.sends("POST", "/x", {"count": 30_000, "gap": "0s"})
    assert len(a.received) == 1 + 10_000
    a.received.clear()
    a.sends("POST", "/x", {"count": 3, "gap": "8760h"})
    a.sends("POST", "/x", {"count": 10_000, "gap": "8760h"})
    assert [data for _, what, data in a.received if what == "/c"] == ["0 9999-12-31T23:00:00Z"] * 2
    a.received.clear()
    a.polls = False
    talk.do(talk.backend.advance(talk.start + 1e9))
    assert talk.backend.deadline() is None, "nothing is due after the longest delay"
    a.received.clear()
    talk.logs.clear()


def test_an_exchange_keeps_the_ids_that_other_exchanges_have_bound(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n"
        "  - {name: a, request: {method: GET, path: [a, {$id: one}]}, reply: {body: {$id: one}}}\n"
        "  - {name: b, request: {method: GET, path: [b, {$id: two}]}, reply: {body: [{$id: one}, {$id: two}]}}\n"
    )
    a = talk.client()
    a.sends("GET", "/a/x")
    a.sends("GET", "/b/y")
    a.sends("GET", "/a/z")
    assert [(what, body) for _, what, body in a.received[:2]] == [(200, '"x"'), (200, ["x", "y"])]
    assert a.received[2][1] == 404
    a.received.clear()
    talk.logs.clear()
