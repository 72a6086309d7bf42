"""The run: what is asked when, for how long it waits, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.verify.fake_run import FakeRun

Begin = Callable[..., FakeRun]

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


def test_a_get_comes_before_the_handshake_as_browsers_log_in(stage: Begin) -> None:
    run = stage(f"correlation: gws-v2\nexchanges:{ME}{STATS}")
    assert run.actions() == ["0 GET /api/v2/me"]
    run.replies(0, {"statusCode": 0})
    assert run.actions() == ["connect everybody"]
    run.connects()
    assert run.actions() == ['1 POST /api/v2/workbins {"operationName":"RequestAgentStats"}']


def test_without_anything_to_hear_there_is_no_cometd_session(stage: Begin) -> None:
    run = stage(f"exchanges:{ME}")
    run.replies(0, {"statusCode": 0})
    assert run.actions() == ["0 GET /api/v2/me"]
    assert run.run.finished


@pytest.mark.parametrize("first", ["reply", "notification"])
def test_the_next_exchange_begins_when_reply_and_notification_have_come_in_either_order(
    stage: Begin, first: str
) -> None:
    run = stage(f"correlation: gws-v2\nexchanges:{STATS}{ME}").connects()
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


def test_a_notification_of_another_exchange_does_not_end_the_wait(stage: Begin) -> None:
    run = stage(f"correlation: gws-v2\nexchanges:{STATS}{ME}").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 8, "n": 1}).at(5)
    assert run.actions()[2:] == []


def test_a_notification_is_waited_for_as_long_as_it_took_and_the_patience(stage: Begin) -> None:
    run = stage(f"correlation: gws-v2\nexchanges:{STATS}{ME}", patience_seconds=2).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9})
    run.actions()
    assert run.at(2.09).actions() == []
    assert run.at(2.1).actions() == ["1 GET /api/v2/me"]


def test_at_the_recorded_pace_an_exchange_takes_as_long_as_it_took(stage: Begin) -> None:
    run = stage(f"correlation: gws-v2\nexchanges:{STATS}{ME}", pace="recorded").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.actions()
    assert run.at(0.09).actions() == []
    assert run.at(0.1).actions() == ["1 GET /api/v2/me"]


def test_at_the_end_it_listens_a_second_for_what_comes_once_too_often(stage: Begin) -> None:
    run = stage(ONE).connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.actions()
    assert run.at(0.99).actions() == []
    assert not run.run.finished
    assert run.at(1).actions() == ["disconnect everybody"]
    assert run.run.finished


def test_at_the_recorded_pace_it_listens_until_the_last_entry_of_the_timeline(stage: Begin) -> None:
    timeline_event = "timeline:\n  - {since: stats, after: 7s, channel: /v2/me/workbins, data: {a: 1}}\n"
    run = stage(f"{ONE}{timeline_event}", pace="recorded").connects()
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    run.at(7.99)
    assert not run.run.finished
    assert run.at(8.01).run.finished


def test_who_was_refused_asks_as_a_stranger(stage: Begin) -> None:
    refused = f"\n  - name: refused\n    request: {GET[:-1]}, authenticated: false}}\n    reply: {{status: 403}}\n"
    assert stage(f"exchanges:{refused}").actions() == ["0 GET /api/v2/me as a anonymous"]


def test_an_exchange_is_taken_by_the_session_that_it_names_any_other_by_the_first(stage: Begin) -> None:
    roles = "roles: {a: {user: ann}, b: {user: ben}}\n"
    own = "".join(
        f"\n  - name: stats of {role}\n    as: {role}\n    request: {ASK}\n"
        f"    events: [{{channel: /v2/me/{role}, data: {{who: {role}}}}}]\n"
        for role in "ab"
    )
    run = stage(f"{roles}exchanges:{ME}{own}")
    assert [(session.name, session.user, session.channels) for session in run.script.sessions] == [
        ("a", "ann", ("/v2/me/a",)),
        ("b", "ben", ("/v2/me/b",)),
    ]
    run.replies(0, {"statusCode": 0})
    assert [step.session for step in run.script.steps] == ["a", "a", "b"]
    assert run.actions() == ["0 GET /api/v2/me", "connect a"]


def test_roles_that_only_faults_name_have_no_part(stage: Begin) -> None:
    faults = "faults: [{exchange: me, as: late, delay: 1s}]\n"
    assert [session.name for session in stage(f"roles: {{late: {{}}}}\nexchanges:{ME}{faults}").script.sessions] == [
        "everybody"
    ]


def test_guards_come_before_the_order_of_the_file(stage: Begin) -> None:
    def exchange(name: str, when: str) -> str:
        return f"\n  - name: {name}\n    when: {when}\n    request: {{method: GET, path: /{name}}}\n"

    text = f"exchanges:{exchange('c', '{after: b}')}{exchange('b', '{}')}{exchange('a', '{before: b}')}"
    assert [step.exchange.name for step in stage(text).script.steps] == ["a", "b", "c"]


def test_guards_in_a_circle_are_told_not_played(stage: Begin) -> None:
    text = (
        "exchanges:\n  - {name: a, when: {after: b}, request: {method: GET, path: /a}}"
        "\n  - {name: b, when: {after: a}, request: {method: GET, path: /b}}\n"
    )
    assert stage(text).lines() == [
        "s.yaml:3: a: not played: it comes after 'b', which was not played",
        "s.yaml:4: b: not played: it comes after 'a', which was not played",
    ]


def test_what_follows_an_exchange_that_was_not_played_is_not_played_either(stage: Begin) -> None:
    text = (
        "exchanges:\n  - {name: a, request: {method: GET, path: [x, {$any: string}]}}"
        "\n  - {name: b, when: {after: a}, request: {method: GET, path: /b}}\n"
    )
    assert stage(text).lines() == [
        "s.yaml:3: a: not played: {$any: string} in its path stands for a value that the scenario doesn't hold",
        "s.yaml:4: b: not played: it comes after 'a', which was not played",
    ]


def test_an_exchange_that_ends_the_cometd_session_is_not_played(stage: Begin) -> None:
    text = "exchanges:\n  - {name: a, request: {method: POST, path: /a}, events: [{disconnect: true}]}\n"
    assert stage(text).lines() == [
        "s.yaml:3: a: not played: it ends the CometD session, and nobody would hear the rest"
    ]


def test_a_template_that_fails_leaves_its_exchange_out(stage: Begin) -> None:
    text = (
        "exchanges:\n  - name: a\n    request: {method: POST, path: /a}\n"
        '    events: [{channel: /c, after: {$t: "{{ request.body.wait }}"}}]\n'
    )
    (line,) = stage(text).lines()
    assert line.startswith("s.yaml:3: a: not played: s.yaml:5:")
    assert "the template '{{ request.body.wait }}' failed" in line


def test_a_session_that_is_lost_and_begins_anew_is_told(stage: Begin) -> None:
    run = stage(ONE).connects()
    run.run.session_lost("everybody", "402::Unknown client", run.now)
    run.replies(0, {"statusCode": 0, "referenceId": 9}).notifies({"referenceId": 9, "n": 1})
    assert run.notes() == ["the CometD session of 'everybody' was lost and began anew: 402::Unknown client"]


def test_a_value_that_the_server_named_is_used_in_the_next_request(stage: Begin) -> None:
    text = """correlation: gws-v2
exchanges:
  - name: list
    request: {method: GET, path: /workbins}
    reply: {body: {workbins: [{id: {$id: workbin-1}, name: Drafts}]}}
  - name: one
    request: {method: GET, path: [workbins, {$id: workbin-1}]}
    reply: {body: {id: {$id: workbin-1}}}
"""
    run = stage(text).replies(0, {"workbins": [{"id": "live-7", "name": "Drafts"}]})
    assert run.actions() == ["0 GET /workbins", "1 GET /workbins/live-7"]
    assert run.replies(1, {"id": "live-8"}).lines() == [
        "s.yaml:9: one: value changed at /reply/body/id: recorded live-7, live live-8"
    ]


def test_a_value_that_a_notification_named_is_used_too(stage: Begin) -> None:
    text = """correlation: gws-v2
exchanges:
  - name: ask
    request: {method: POST, path: /ask}
    reply: {body: {referenceId: 1}}
    events: [{channel: /v2/me/workbins, data: {referenceId: 1, found: {$id: thing-1}}}]
  - name: one
    request: {method: GET, path: [things, {$id: thing-1}]}
"""
    run = stage(text).connects().replies(0, {"referenceId": 3}).notifies({"referenceId": 3, "found": "t-3"})
    assert run.actions()[2:] == ["1 GET /things/t-3"]
    assert run.replies(1).lines() == []


def test_a_session_is_begun_only_for_what_can_be_asked(stage: Begin) -> None:
    run = stage("exchanges:\n  - {name: a, request: {method: POST, path: [{$any: string}]}, events: [{channel: /c}]}\n")
    assert run.actions() == []
    assert run.run.finished
