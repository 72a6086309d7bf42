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
