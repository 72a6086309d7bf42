"""The run: order of requests, waiting times, and its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.verify.fake_run import FakeRun

StartRun = Callable[..., FakeRun]

GET = "{method: GET, path: /api/v2/me}"
ASK = "{method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}"
STATS = f"""
  - name: stats
    request: {ASK}
    reply: {{after: 30ms, body: {{statusCode: 0, referenceId: 1}}}}
    events:
      - {{after: 100ms, channel: /v2/me/workbins, data: {{referenceId: 1, n: 1}}}}
"""
ONE = "correlation: gws-v2\nexchanges:" + STATS
ME = f"\n  - name: me\n    request: {GET}\n    reply: {{body: {{statusCode: 0}}}}\n"


def test_get_is_sent_before_the_handshake(start_run: StartRun) -> None:
    run = start_run(f"correlation: gws-v2\nexchanges:{ME}{STATS}")
    assert run.actions() == ["0 GET /api/v2/me"]
    run.replies(0, {"statusCode": 0})
    assert run.actions() == ["connect everybody"]
    run.connects()
    assert run.actions() == ['1 POST /api/v2/workbins {"operationName":"RequestAgentStats"}']


def test_no_cometd_session_without_notifications(start_run: StartRun) -> None:
    run = start_run(f"exchanges:{ME}")
    run.replies(0, {"statusCode": 0})
    assert run.actions() == ["0 GET /api/v2/me"]
    assert run.run.finished


@pytest.mark.parametrize("first", ["reply", "notification"])
def test_next_exchange_starts_after_reply_and_notification_in_either_order(start_run: StartRun, first: str) -> None:
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{ME}").connects()
    run.actions()
    for step in [first, "notification" if first == "reply" else "reply"]:
        assert run.actions() == []
        if step == "reply":
            run.at(0.2).replies(0, {"statusCode": 0, "referenceId": 9})
        else:
            run.at(0.2).notifies({"referenceId": 9, "n": 1})
    assert run.actions() == ["1 GET /api/v2/me"]
    run.replies(1, {"statusCode": 0})
    assert run.lines() == []


def test_notification_of_another_exchange_does_not_count(start_run: StartRun) -> None:
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{ME}").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 8, "n": 1}).at(5)
    assert run.actions()[2:] == []


def test_wait_for_a_notification_is_recorded_time_plus_patience(start_run: StartRun) -> None:
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{ME}", patience_seconds=2).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9})
    run.actions()
    assert run.at(2.09).actions() == []
    assert run.at(2.1).actions() == ["1 GET /api/v2/me"]


def test_recorded_pace_waits_the_recorded_time(start_run: StartRun) -> None:
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{ME}", pace="recorded").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.actions()
    assert run.at(0.09).actions() == []
    assert run.at(0.1).actions() == ["1 GET /api/v2/me"]


def test_run_waits_one_second_at_the_end(start_run: StartRun) -> None:
    run = start_run(ONE).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.actions()
    assert run.at(0.99).actions() == []
    assert not run.run.finished
    assert run.at(1).actions() == ["disconnect everybody"]
    assert run.run.finished


def test_recorded_pace_waits_for_the_last_timeline_entry(start_run: StartRun) -> None:
    timeline_event = "timeline:\n  - {since: stats, after: 7s, channel: /v2/me/workbins, data: {a: 1}}\n"
    run = start_run(f"{ONE}{timeline_event}", pace="recorded").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.at(7.99)
    assert not run.run.finished
    assert run.at(8.01).run.finished


def test_unauthenticated_exchange_is_sent_anonymously(start_run: StartRun) -> None:
    refused = f"\n  - name: refused\n    request: {GET[:-1]}, authenticated: false}}\n    reply: {{status: 403}}\n"
    assert start_run(f"exchanges:{refused}").actions() == ["0 GET /api/v2/me anonymously"]


def test_sessions_of_exchanges(start_run: StartRun) -> None:
    roles = "roles: {a: {user: ann}, b: {user: ben}}\n"
    own = "".join(
        f"\n  - name: stats of {role}\n    as: {role}\n    request: {ASK}\n"
        f"    events: [{{channel: /v2/me/{role}, data: {{who: {role}}}}}]\n"
        for role in "ab"
    )
    run = start_run(f"{roles}exchanges:{ME}{own}")
    assert [(session.name, session.user, session.channels) for session in run.script.sessions] == [
        ("a", "ann", ("/v2/me/a",)),
        ("b", "ben", ("/v2/me/b",)),
    ]
    run.replies(0, {"statusCode": 0})
    assert [step.session for step in run.script.steps] == ["a", "a", "b"]
    assert run.actions() == ["0 GET /api/v2/me", "connect a"]


def test_roles_named_only_by_faults_have_no_session(start_run: StartRun) -> None:
    faults = "faults: [{exchange: me, as: late, delay: 1s}]\n"
    assert [
        session.name for session in start_run(f"roles: {{late: {{}}}}\nexchanges:{ME}{faults}").script.sessions
    ] == ["everybody"]


def test_guards_take_precedence_over_file_order(start_run: StartRun) -> None:
    def exchange(name: str, when: str) -> str:
        return f"\n  - name: {name}\n    when: {when}\n    request: {{method: GET, path: /{name}}}\n"

    text = f"exchanges:{exchange('c', '{after: b}')}{exchange('b', '{}')}{exchange('a', '{before: b}')}"
    assert [step.exchange.name for step in start_run(text).script.steps] == ["a", "b", "c"]


def test_circular_guards_are_reported(start_run: StartRun) -> None:
    text = (
        "exchanges:\n  - {name: a, when: {after: b}, request: {method: GET, path: /a}}"
        "\n  - {name: b, when: {after: a}, request: {method: GET, path: /b}}\n"
    )
    assert start_run(text).lines() == [
        "s.yaml:3: a: not played: it must follow 'b', which was not played",
        "s.yaml:4: b: not played: it must follow 'a', which was not played",
    ]


def test_exchange_after_one_not_played_is_not_played(start_run: StartRun) -> None:
    text = (
        "exchanges:\n  - {name: a, request: {method: GET, path: [x, {$any: string}]}}"
        "\n  - {name: b, when: {after: a}, request: {method: GET, path: /b}}\n"
    )
    assert start_run(text).lines() == [
        "s.yaml:3: a: not played: the scenario does not contain the value of {$any: string} in its path",
        "s.yaml:4: b: not played: it must follow 'a', which was not played",
    ]


def test_exchange_that_disconnects_is_not_played(start_run: StartRun) -> None:
    text = "exchanges:\n  - {name: a, request: {method: POST, path: /a}, events: [{disconnect: true}]}\n"
    assert start_run(text).lines() == [
        "s.yaml:3: a: not played: it disconnects the CometD session, which later exchanges need"
    ]


def test_exchange_with_a_failing_template_is_not_played(start_run: StartRun) -> None:
    text = (
        "exchanges:\n  - name: a\n    request: {method: POST, path: /a}\n"
        '    events: [{channel: /c, after: {$t: "{{ request.body.wait }}"}}]\n'
    )
    (line,) = start_run(text).lines()
    assert line.startswith("s.yaml:3: a: not played: s.yaml:5:")
    assert "the template '{{ request.body.wait }}' failed" in line


def test_lost_session_is_a_note(start_run: StartRun) -> None:
    run = start_run(ONE).connects()
    run.run.session_lost("everybody", "402::Unknown client", run.now)
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    assert run.notes() == [
        "the server lost the CometD session of 'everybody'; a new one was opened: 402::Unknown client"
    ]


def test_id_from_a_reply_is_used_in_the_next_request(start_run: StartRun) -> None:
    text = """correlation: gws-v2
exchanges:
  - name: list
    request: {method: GET, path: /workbins}
    reply: {body: {workbins: [{id: {$id: workbin-1}, name: Drafts}]}}
  - name: one
    request: {method: GET, path: [workbins, {$id: workbin-1}]}
    reply: {body: {id: {$id: workbin-1}}}
"""
    run = start_run(text).replies(0, {"workbins": [{"id": "live-7", "name": "Drafts"}]})
    assert run.actions() == ["0 GET /workbins", "1 GET /workbins/live-7"]
    assert run.replies(1, {"id": "live-8"}).lines() == [
        "s.yaml:9: one: value changed at /reply/body/id: recorded live-7, live live-8"
    ]


def test_id_from_a_notification_is_used_in_the_next_request(start_run: StartRun) -> None:
    text = """correlation: gws-v2
exchanges:
  - name: ask
    request: {method: POST, path: /ask}
    reply: {body: {referenceId: 1}}
    events: [{channel: /v2/me/workbins, data: {referenceId: 1, found: {$id: thing-1}}}]
  - name: one
    request: {method: GET, path: [things, {$id: thing-1}]}
"""
    run = start_run(text).connects().replies(0, {"referenceId": 3}).notifies({"referenceId": 3, "found": "t-3"})
    assert run.actions()[2:] == ["1 GET /things/t-3"]
    assert run.replies(1).lines() == []


def test_no_session_for_exchanges_that_cannot_be_sent(start_run: StartRun) -> None:
    run = start_run(
        "exchanges:\n  - {name: a, request: {method: POST, path: [{$any: string}]}, events: [{channel: /c}]}\n"
    )
    assert run.actions() == []
    assert run.run.finished


def test_meta_messages_are_no_notifications(start_run: StartRun) -> None:
    run = start_run(ONE).connects().replies(0, {"statusCode": 0, "referenceId": 9})
    run.notifies({"referenceId": 9, "n": 1}, "/meta/connect").notifies({"referenceId": 9, "n": 1})
    assert (run.lines(), run.notes()) == ([], [])


TRANSFER = """correlation: gws-v2
roles: {agent-1: {}, agent-2: {}}
exchanges:
  - name: transfer
    as: agent-1
    request: {method: POST, path: /transfer}
    reply: {body: {referenceId: 1}}
    events:
      - {after: 1s, channel: /offers, data: {n: 1, referenceId: 1}, deliver: agent-2}
      - {after: 1s, channel: /offers, data: {n: 2, referenceId: 1}}
  - {name: next, as: agent-1, request: {method: POST, path: /next}}
"""


def test_an_exchange_is_sent_when_all_sessions_that_it_needs_are_connected(start_run: StartRun) -> None:
    run = start_run(TRANSFER)
    assert run.actions() == ["connect agent-1", "connect agent-2"]
    assert run.connects("agent-2").actions() == []
    assert run.connects("agent-1").actions() == ["0 POST /transfer"]


def test_an_exchange_is_complete_when_each_session_has_its_notification(start_run: StartRun) -> None:
    run = start_run(TRANSFER).connects("agent-1").connects("agent-2").replies(0, {"referenceId": 5})
    run.actions()
    assert run.notifies({"n": 2, "referenceId": 5}, "/offers", "agent-1").actions() == []
    assert run.notifies({"n": 1, "referenceId": 5}, "/offers", "agent-2").actions() == ["1 POST /next"]
    run.replies(1)


def test_a_notification_that_came_before_does_not_complete_a_later_exchange(start_run: StartRun) -> None:
    """A server may start its reference numbers again."""
    again = STATS.replace("name: stats", "name: again")
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{again}{ME}", patience_seconds=2).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.actions()
    run.replies(1, {"statusCode": 0, "referenceId": 9})
    assert run.actions() == []
    assert run.at(2.2).actions() == ["2 GET /api/v2/me"]


def test_the_next_exchange_is_sent_after_all_notifications(start_run: StartRun) -> None:
    two = STATS + "      - {after: 100ms, channel: /v2/me/workbins, data: {referenceId: 1, n: 2}}\n"
    run = start_run(f"correlation: gws-v2\nexchanges:{two}{ME}").connects()
    run.actions()
    run.replies(0, {"statusCode": 0, "referenceId": 9})
    assert run.notifies({"referenceId": 9, "n": 1}).actions() == []
    assert run.notifies({"referenceId": 9, "n": 2}).actions() == ["1 GET /api/v2/me"]
    run.replies(1)


def test_the_wait_begins_when_the_request_is_sent(start_run: StartRun) -> None:
    """The handshake before it may take long."""
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{ME}", patience_seconds=2).at(5).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9})
    run.actions()
    assert run.at(7.0).actions() == []
    assert run.at(7.1).actions() == ["1 GET /api/v2/me"]
    run.replies(1)
    assert [step.seconds for step in run.verdict().steps] == [0.0, 0.0]


def test_the_wait_includes_all_repetitions_of_an_event_and_the_delay_of_the_reply(start_run: StartRun) -> None:
    three = STATS.replace("after: 100ms, ", "after: 100ms, count: 3, gap: 1s, ")
    run = start_run(f"correlation: gws-v2\nexchanges:{three}{ME}", patience_seconds=2).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9})
    run.actions()
    assert run.at(4.09).actions() == []
    assert run.at(4.1).actions() == ["1 GET /api/v2/me"]
    slow = start_run(
        "exchanges:\n  - {name: a, request: {method: GET, path: /a}, reply: {after: 7s}}\n" + ME[1:], pace="recorded"
    )
    slow.replies(0)
    assert slow.at(6.9).actions() == ["0 GET /a"]
    assert slow.at(7.0).actions() == ["1 GET /api/v2/me"]


def test_a_failed_request_is_followed_by_the_next_one(start_run: StartRun) -> None:
    run = start_run(f"exchanges:{ME}{ME.replace('name: me', 'name: again')}").at(0.5).does_not_answer(0)
    assert run.actions() == ["0 GET /api/v2/me", "1 GET /api/v2/me"]
    run.at(0.7).replies(1, {"statusCode": 0})
    assert [(step.name, round(step.seconds, 3)) for step in run.verdict().steps] == [("me", 0.5), ("again", 0.2)]


def test_a_session_is_connected_once_and_before_its_publish(start_run: StartRun) -> None:
    say = "\n  - {name: say, request: {publish: /service/x, data: 1}}\n"
    run = start_run(f"correlation: gws-v2\nexchanges:{say}{STATS}")
    assert run.actions() == ["connect everybody"]
    assert run.connects().actions() == ["0 publish /service/x 1"]
    assert run.acknowledges(0).actions() == ['1 POST /api/v2/workbins {"operationName":"RequestAgentStats"}']
    run.replies(1, {"referenceId": 3}).notifies({"referenceId": 3, "n": 1})


def test_a_run_without_cometd_does_not_wait_at_its_end(start_run: StartRun) -> None:
    run = start_run(f"exchanges:{ME}", pace="recorded").replies(0, {"statusCode": 0})
    assert run.run.finished


def test_recorded_pace_waits_from_the_anchor_of_a_timeline_entry(start_run: StartRun) -> None:
    timeline_event = "timeline:\n  - {since: stats, after: 7s, channel: /v2/me/workbins, data: {a: 1}}\n"
    slow = f"\n  - name: slow\n    request: {GET}\n    reply: {{after: 5s}}\n"
    run = start_run(f"correlation: gws-v2\nexchanges:{STATS}{slow}{timeline_event}", pace="recorded").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1}).at(0.1)
    run.replies(1)
    run.at(7.99)
    assert not run.run.finished
    assert run.at(8.0).run.finished


def test_the_recorded_id_is_that_of_the_recorded_user_only(start_run: StartRun) -> None:
    text = """roles: {a: {user: ann, id: "11"}}
exchanges:
  - {name: me, as: a, request: {method: GET, path: /me}, reply: {body: {id: {$t: "{{ user.id }}"}}}}
"""
    assert start_run(text, users={"a": "zoe"}).replies(0, {"id": "12"}).lines() == []
    (line,) = start_run(text, users={"a": "ann"}).replies(0, {"id": "12"}).lines()
    assert "value changed at /reply/body/id" in line


def test_sessions_subscribe_to_what_others_and_the_timeline_send_to_them(start_run: StartRun) -> None:
    """Channels of services are not subscribed to."""
    text = """correlation: gws-v2
roles: {b: {}, a: {}}
exchanges:
  - name: transfer
    as: [a, b]
    request: {method: POST, path: /transfer}
    events:
      - {channel: /offers, data: 1, deliver: b}
      - {channel: /service/x, data: 1}
timeline:
  - {as: a, since: handshake, channel: /news, data: 1}
"""
    run = start_run(text)
    assert [(each.name, each.channels) for each in run.script.sessions] == [("b", ("/offers",)), ("a", ("/news",))]
    assert [step.session for step in run.script.steps] == ["b", "a"]


def test_an_exchange_that_waited_for_a_guard_keeps_its_place_in_the_file(start_run: StartRun) -> None:
    names = ["late", "early", "second", "third"]
    guards = {"late": "{after: third}", "early": "{}", "second": "{after: early}", "third": "{}"}
    text = "exchanges:\n" + "".join(
        f"  - {{name: {name}, when: {guards[name]}, request: {{method: GET, path: /{name}}}}}\n" for name in names
    )
    assert [step.exchange.name for step in start_run(text).script.steps] == ["early", "second", "third", "late"]


def test_a_notification_of_another_exchange_does_not_complete_one_with_two(start_run: StartRun) -> None:
    two = STATS + "      - {after: 100ms, channel: /v2/me/workbins, data: {referenceId: 1, n: 2}}\n"
    run = start_run(f"correlation: gws-v2\nexchanges:{two}{ME}", patience_seconds=2).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9})
    run.actions()
    assert run.notifies({"referenceId": 8, "n": 1}).notifies({"referenceId": 9, "n": 1}).actions() == []
    assert run.notifies({"referenceId": 9, "n": 2}).actions() == ["1 GET /api/v2/me"]
    run.replies(1)


def test_exchanges_whose_guards_are_met_are_sent_in_file_order(start_run: StartRun) -> None:
    guards = {"first": "{before: last}", "second": "{}", "third": "{after: first}", "last": "{after: [first, third]}"}
    run = start_run(
        "exchanges:\n"
        + "".join(
            f"  - {{name: {name}, when: {when}, request: {{method: GET, path: /{name}}}}}\n"
            for name, when in guards.items()
        )
    )
    for number in range(4):
        run.replies(number)
    assert run.actions() == ["0 GET /first", "1 GET /second", "2 GET /third", "3 GET /last"]
    verdict = run.verdict()
    assert (verdict.any_played, verdict.same) == (True, True)


def test_a_run_that_can_send_no_exchange_has_played_nothing(start_run: StartRun) -> None:
    run = start_run("exchanges:\n  - {name: a, request: {method: POST, path: [{$any: string}]}}\n")
    assert run.verdict().any_played is False
