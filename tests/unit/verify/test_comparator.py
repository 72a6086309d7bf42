"""The comparison of a reply: the differences, their paths and lines, and values that are not compared."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cometreel.jsonvalue import JSON
from cometreel.verify.expected_values import SessionVariables
from tests.unit.verify.fake_run import FakeRun

StartRun = Callable[..., FakeRun]


def me(reply: str) -> str:
    return (
        f"correlation: gws-v2\nexchanges:\n  - name: me\n    request: {{method: GET, path: /me}}\n    reply: {reply}\n"
    )


BODY = "{body: {statusCode: 0, user: {id: u1, age: 40, tags: [a, b]}}}"
USER: dict[str, JSON] = {"id": "u1", "age": 40, "tags": ["a", "b"]}
LIVE: dict[str, JSON] = {"statusCode": 0, "user": USER}


def line(difference: str) -> str:
    return f"s.yaml:6: me: {difference}"


DIFFERENT: dict[str, tuple[JSON, list[str]]] = {
    "a value": (
        {**LIVE, "statusCode": 4},
        [line("value changed at /reply/body/statusCode: recorded 0, live 4")],
    ),
    "a type": (
        {**LIVE, "statusCode": "0"},
        [line('type changed at /reply/body/statusCode: recorded 0, live "0"')],
    ),
    "true is not 1": (
        {**LIVE, "statusCode": False},
        [line("type changed at /reply/body/statusCode: recorded 0, live false")],
    ),
    "a field is gone": (
        {"user": LIVE["user"]},
        [line("field removed at /reply/body/statusCode: recorded 0, live nothing")],
    ),
    "a field is new": (
        {**LIVE, "more": None},
        [line("field added at /reply/body/more: recorded nothing, live null")],
    ),
    "a field has another name": (
        {"statusCode": 0, "user": {"id": "u1", "years": 40, "tags": ["a", "b"]}},
        [line("field renamed at /reply/body/user/age: recorded age, live years")],
    ),
    "an item is gone": (
        {"statusCode": 0, "user": {"id": "u1", "age": 40, "tags": ["b"]}},
        [line("item removed at /reply/body/user/tags/0: recorded a, live nothing")],
    ),
    "an item is new": (
        {"statusCode": 0, "user": {"id": "u1", "age": 40, "tags": ["a", "b", "c"]}},
        [line("item added at /reply/body/user/tags/2: recorded nothing, live c")],
    ),
    "a field is gone, and two with its value are new": (
        {"number": 0, "code": 0, "user": LIVE["user"]},
        [
            line("field removed at /reply/body/statusCode: recorded 0, live nothing"),
            line("field added at /reply/body/number: recorded nothing, live 0"),
            line("field added at /reply/body/code: recorded nothing, live 0"),
        ],
    ),
    "a field has moved to another object": (
        {"user": {**USER, "statusCode": 0}},
        [
            line("field removed at /reply/body/statusCode: recorded 0, live nothing"),
            line("field added at /reply/body/user/statusCode: recorded nothing, live 0"),
        ],
    ),
    "several at once, in the order of the file": (
        {"new": 1, "user": {"id": "u2", "age": 41, "tags": ["a", "b"]}, "statusCode": 1},
        [
            line("value changed at /reply/body/statusCode: recorded 0, live 1"),
            line("value changed at /reply/body/user/id: recorded u1, live u2"),
            line("value changed at /reply/body/user/age: recorded 40, live 41"),
            line("field added at /reply/body/new: recorded nothing, live 1"),
        ],
    ),
    "no JSON any more": (
        "<html>",
        [
            line(
                "body is not JSON at /reply/body: recorded {statusCode: 0, user: {id: u1, age: 40, tags: [a, b]}}, "
                "live <html>"
            )
        ],
    ),
}


@pytest.mark.parametrize(("live", "expected"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_differences_are_reported_with_their_path(start_run: StartRun, live: JSON, expected: list[str]) -> None:
    assert start_run(me(BODY)).replies(0, live).lines() == expected


SAME: dict[str, JSON] = {
    "the same": LIVE,
    "other order of members": {"user": LIVE["user"], "statusCode": 0},
    "1.0 is 1": {**LIVE, "statusCode": 0.0},
}


@pytest.mark.parametrize("live", SAME.values(), ids=SAME.keys())
def test_equal_json_is_no_difference(start_run: StartRun, live: JSON) -> None:
    assert start_run(me(BODY)).replies(0, live).lines() == []


def test_status_and_recorded_headers_are_compared(start_run: StartRun) -> None:
    text = me("{status: 201, headers: {Location: /x, Allow: GET}}")
    run = start_run(text).replies(0, None, 200, location="/y", server="new")
    assert run.lines() == [
        line("status changed at /reply/status: recorded 201, live 200"),
        line("header changed at /reply/headers/Location: recorded /x, live /y"),
        line("header removed at /reply/headers/Allow: recorded GET, live nothing"),
    ]


@pytest.mark.parametrize(
    ("reply", "live", "expected"),
    [
        ("{text: hello}", "hello", []),
        ("{text: hello}", "goodbye", [line("text changed at /reply/text: recorded hello, live goodbye")]),
        ("{base64: AAEC}", "x", [line("content changed at /reply/base64: recorded 3 bytes, live 1 other bytes")]),
        ("{base64: AAEC}", "xyz", [line("content changed at /reply/base64: recorded 3 bytes, live 3 other bytes")]),
        ("{status: 200}", "anything", []),
    ],
)
def test_text_and_binary_bodies(start_run: StartRun, reply: str, live: str, expected: list[str]) -> None:
    assert start_run(me(reply)).replies(0, live).lines() == expected


def test_missing_reply_is_a_difference(start_run: StartRun) -> None:
    assert start_run(me(BODY)).does_not_answer(0).lines() == [
        line("reply missing at /reply: recorded a reply, live no reply within 10 s")
    ]


@pytest.mark.parametrize(
    ("body", "live", "expected"),
    [
        ("{referenceId: 7}", {"referenceId": 99}, []),
        ("{referenceIds: {a: 7, b: 8}}", {"referenceIds": {"a": 1, "b": 2}}, []),
        ("{metrics: {k: 1}}", {"metrics": {"k": 2, "more": 3}}, []),
        ("{metrics: {k: 1}}", {}, []),
        (
            "{referenceId: 7}",
            {"referenceId": "99"},
            [line('type changed at /reply/body/referenceId: recorded 7, live "99"')],
        ),
        ("{referenceId: 7}", {}, [line("field removed at /reply/body/referenceId: recorded 7, live nothing")]),
    ],
)
def test_references_are_compared_by_type_and_volatile_fields_not_at_all(
    start_run: StartRun, body: str, live: JSON, expected: list[str]
) -> None:
    assert start_run(me(f"{{body: {body}}}")).replies(0, live).lines() == expected


def test_ignored_fields_are_not_compared(start_run: StartRun) -> None:
    text = f"ignore: [/user/age, /user/tags/*/x]\n{me('{body: {user: {age: 1, tags: [{x: 1, z: 1}]}}}')}"
    live: JSON = {"user": {"age": 2, "tags": [{"x": 2, "z": 2}]}}
    assert start_run(text).replies(0, live).lines() == [
        "s.yaml:7: me: value changed at /reply/body/user/tags/0/z: recorded 1, live 2"
    ]


def test_line_number_is_that_of_the_value(start_run: StartRun) -> None:
    head = "exchanges:\n- name: me\n  request: {method: GET, path: /me}\n"
    text = f"{head}  reply:\n    body:\n      a: 1\n      b:\n        c: 2\n"
    assert start_run(text).replies(0, {"a": 1, "b": {"c": 3}}).lines() == [
        "s.yaml:9: me: value changed at /reply/body/b/c: recorded 2, live 3"
    ]


PERSONAL: dict[str, tuple[str, JSON, list[str]]] = {
    "names": ("{userName: bapolo}", {"userName": "ann.archer"}, []),
    "texts": ("{subject: text dotasi}", {"subject": "Broken kettle"}, []),
    "hosts": ("{uri: 'http://host-ba.example.invalid/a/1'}", {"uri": "http://10.0.0.7:8080/a/1"}, []),
    "the rest of an address": (
        "{uri: 'http://host-ba.example.invalid/a/1'}",
        {"uri": "http://host-ba.example.invalid/a/2"},
        ["value changed at /reply/body/uri"],
    ),
    "numbers": ("{employeeId: 17}", {"employeeId": 4711}, []),
    "user data": ("{userData: {PhoneNumber: '+393435', n: 4}}", {"userData": {"PhoneNumber": "+1555", "n": 17}}, []),
    "keys that hold numbers": ("{userData: {WWE_PARTY_77: x}}", {"userData": {"WWE_PARTY_5550100": "y"}}, []),
    "quoted sessions of messages": (
        "{statusMessage: \"Device 'ba' is not registered.\"}",
        {"statusMessage": "Device '5550100' is not registered."},
        [],
    ),
    "other words of messages": (
        "{statusMessage: \"Device 'ba' is not registered.\"}",
        {"statusMessage": "Device 'ba' is unknown."},
        ["value changed at /reply/body/statusMessage"],
    ),
    "a personal value of another type": ("{userName: ba}", {"userName": 5}, ["type changed at /reply/body/userName"]),
    "one that is gone": ("{userName: ba}", {}, ["field removed at /reply/body/userName"]),
    "one that is empty": ("{userName: ba}", {"userName": ""}, ["value changed at /reply/body/userName"]),
    "secrets": ("{clientId: s12345}", {"clientId": "5k2abcdefghijk"}, []),
}


@pytest.mark.parametrize(("body", "live", "expected"), PERSONAL.values(), ids=PERSONAL.keys())
def test_personal_values_are_compared_by_kind(start_run: StartRun, body: str, live: JSON, expected: list[str]) -> None:
    lines = start_run(me(f"{{body: {body}}}")).replies(0, live).lines()
    assert [each.partition(": me: ")[2].partition(":")[0] for each in lines] == expected


TEMPLATES: dict[str, tuple[str, JSON, list[str]]] = {
    "what is known is rendered": ('{a: {$t: "{{ request.method }}"}}', {"a": "GET"}, []),
    "and compared": ('{a: {$t: "{{ request.method }}"}}', {"a": "POST"}, ["recorded GET, live POST"]),
    "what differs each time is not": ('{a: {$t: "{{ uuid() }}"}, b: {$t: "{{ now }}"}}', {"a": "x", "b": "y"}, []),
    "but it must be there": ('{a: {$t: "{{ uuid() }}"}}', {}, ['recorded "{{ uuid() }}", live nothing']),
    "and no object": ('{a: {$t: "{{ uuid() }}"}}', {"a": {}}, ['recorded "{{ uuid() }}", live {}']),
    "the user is learned, and is one": (
        '{id: {$t: "{{ user.id }}"}, again: {$t: "/users/{{ user.id }}"}}',
        {"id": "u9", "again": "/users/u8"},
        ["recorded /users/u9, live /users/u8"],
    ),
}


@pytest.mark.parametrize(("body", "live", "expected"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_templates(start_run: StartRun, body: str, live: JSON, expected: list[str]) -> None:
    lines = start_run(me(f"\n      body: {body}")).replies(0, live).lines()
    assert [each[each.index("recorded ") :] for each in lines] == expected


IDS: dict[str, tuple[str, JSON, list[str]]] = {
    "as keys": ("{$entries: [[{$id: w-1}, 1], [b, 2]]}", {"live": 1, "b": 2}, []),
    "in lists": ("{a: {$csv: [{$id: w-1}, b]}}", {"a": "live,b"}, []),
    "the first time seen, then the same": ("{a: {$id: w-1}, b: {$id: w-1}}", {"a": "live", "b": "live"}, []),
    "no more the same": (
        "{a: {$id: w-1}, b: {$id: w-1}}",
        {"a": "live", "b": "dead"},
        ["value changed at /reply/body/b: recorded live, live dead"],
    ),
    "the name of another user": (
        "{a: {$id: w-1}, owner: {$id: w-1}, users: [{userName: ann}, {userName: bob}]}",
        {"a": "ann", "owner": "bob", "users": [{"userName": "ann"}, {"userName": "bob"}]},
        ["value changed at /reply/body/owner: recorded vanazoloke, live tutororare"],
    ),
    "a user whose name no client sends": (
        "{owner: x, name: {userName: x}}",
        {"owner": "b", "name": {"userName": "b"}},
        [],
    ),
    "not there": ("{a: {$id: w-1}}", {}, ['field removed at /reply/body/a: recorded "{$id: w-1}", live nothing']),
}


@pytest.mark.parametrize(("body", "live", "expected"), IDS.values(), ids=IDS.keys())
def test_ids_have_the_first_value_that_the_server_returns(
    start_run: StartRun, body: str, live: JSON, expected: list[str]
) -> None:
    text = f"{me(f'{{body: {body}}}')}  - {{name: w, request: {{method: GET, path: [w, {{$id: w-1}}]}}}}\n"
    run = start_run(text).replies(0, live)
    if run.actions()[1:]:
        run.replies(1)
    assert [each for each in run.lines() if "not played" not in each] == [line(each) for each in expected]


PUBLISH = "exchanges:\n  - name: say\n    request: {publish: /service/x, data: {a: 1}}\n    reply: "


@pytest.mark.parametrize(
    ("reply", "live", "expected"),
    [
        ("{}", {}, []),
        (
            "{}",
            {"successful": False, "error": "403::no"},
            ["success changed at /reply/successful: recorded true, live false"],
        ),
        ("{error: '403::no'}", {"successful": False, "error": "403::no"}, []),
        (
            "{error: '403::no'}",
            {"successful": False, "error": "404::gone"},
            ['error changed at /reply/error: recorded "403::no", live "404::gone"'],
        ),
        ("{error: '403::no'}", {}, ["success changed at /reply/successful: recorded false, live true"]),
        ("{data: {k: 1}}", {"data": {"k": 2}}, ["value changed at /reply/data/k: recorded 1, live 2"]),
        ("{ext: {k: 1}}", {}, ["field removed at /reply/ext: recorded {k: 1}, live nothing"]),
    ],
)
def test_acknowledgement_of_a_publish(
    start_run: StartRun, reply: str, live: dict[str, JSON], expected: list[str]
) -> None:
    run = start_run(PUBLISH + reply).connects()
    assert run.actions()[1:] == ['0 publish /service/x {"a":1}']
    assert run.acknowledges(0, **live).lines() == [f"s.yaml:5: say: {each}" for each in expected]


def test_other_headers_are_compared_by_presence(start_run: StartRun) -> None:
    """Their values may differ from reply to reply."""
    text = "reply_headers: {X-Node: a, Vary: b}\n" + me("{headers: {ETag: '\"1\"', X-Id: r1}, body: 1}")
    run = start_run(text).replies(0, 1, 200, etag='"2"', x_node="z", vary="b")
    assert run.lines() == ["s.yaml:7: me: header removed at /reply/headers/X-Id: recorded r1, live nothing"]


@pytest.mark.parametrize(
    ("location", "differences"),
    [
        ("https://public.example/next", 0),
        ("http://10.0.0.7:8080/next", 0),
        ("https://public.example/other", 1),
    ],
)
def test_a_link_to_the_server_may_use_any_of_its_names(start_run: StartRun, location: str, differences: int) -> None:
    text = me("{status: 302, headers: {Location: {$t: '{{ request.base }}/next'}}}")
    assert len(start_run(text).replies(0, None, 302, location=location).lines()) == differences


def test_true_is_no_reference_and_an_empty_password_is_a_difference(start_run: StartRun) -> None:
    run = start_run(me("{body: {referenceId: 1, password: recorded}}")).replies(
        0, {"referenceId": True, "password": ""}
    )
    assert [each.partition(" at ")[2].partition(":")[0] for each in run.lines()] == [
        "/reply/body/referenceId",
        "/reply/body/password",
    ]


def test_a_name_is_known_wherever_it_occurs(start_run: StartRun) -> None:
    run = start_run(me("{body: {user: {userName: bapob}, state: bapob}}"))
    assert run.replies(0, {"user": {"userName": "annet"}, "state": "annet"}).lines() == []


def test_a_live_value_in_an_expected_one_is_redacted(start_run: StartRun) -> None:
    body = "{a: {userName: {$id: n-1}}, b: {userName: {$id: n-1}}}"
    text = f"{me(f'{{body: {body}}}')}  - {{name: w, request: {{method: GET, path: [w, {{$id: n-1}}]}}}}\n"
    run = start_run(text).replies(0, {"a": {"userName": "Annette"}}).replies(1)
    (each,) = run.lines()
    assert each.startswith(line("field removed at /reply/body/b: recorded {userName: "))
    assert "Annette" not in each


BOUND = "session: {bind: [{from: $response.body#/sid, in: [$request.body#/sid, $request.header.X-Sid]}]}\n"


def test_a_value_that_the_server_hands_out_is_not_in_the_report(start_run: StartRun) -> None:
    run = start_run(BOUND.replace("sid", "basket") + me("{body: {basket: recorded, state: x}}")).replies(
        0, {"basket": "hush-hush-1", "state": "is hush-hush-1"}
    )
    (each,) = run.lines()
    assert "/reply/body/state" in each
    assert "hush" not in each


def test_a_literal_and_a_header_field_of_a_request_are_sent_as_written(start_run: StartRun) -> None:
    text = (
        BOUND
        + me("{body: {sid: recorded}}")
        + (
            "  - {name: marked, request: {method: POST, path: /x, body: {sid: {$any: string}}}}\n"
            "  - {name: own, request: {method: POST, path: /x, headers: {X-Sid: own}, body: {sid: literal}}}\n"
        )
    )
    run = start_run(text).replies(0, {"sid": "live"}).replies(1).replies(2)
    assert run.actions() == ["0 GET /me", '1 POST /x {"sid":"live"}', '2 POST /x {"sid":"literal"}']
    assert [dict(run.sent_headers(number))["X-Sid"] for number in (1, 2)] == ["live", "own"]


def test_the_bound_value_of_one_header_field_hides_no_difference_of_another(start_run: StartRun) -> None:
    bind = "session: {bind: [{from: $response.header.X-Token, in: [$request.header.X-Token]}]}\n"
    run = start_run(bind + me("{headers: {X-Token: t, Location: /x}}")).replies(
        0, None, 200, x_token="u", location="/y"
    )
    assert [each.partition(": me: ")[2] for each in run.lines()] == [
        "header changed at /reply/headers/Location: recorded /x, live /y"
    ]


def test_an_option_takes_precedence_over_a_captured_value() -> None:
    variables = SessionVariables({"n": 1}, captures={"n": 2, "m": 3})
    assert [variables.capture(name) for name in ("session.n", "n", "m", "x")] == [1, 1, 3, None]


def test_a_user_name_that_changes_is_a_difference(start_run: StartRun) -> None:
    text = me("{body: {who: {$t: '{{ user.name }}'}, link: {$t: '/users/{{ user.name }}'}}}")
    again = text.partition("exchanges:\n")[2].replace("name: me", "name: again", 1)
    run = start_run(text + again).replies(0, {"who": "u7", "link": "/users/u7"})
    lines = run.replies(1, {"who": "u8", "link": "/users/u8"}).lines()
    assert [each.partition(": ")[2].partition(":")[0] for each in lines] == ["again", "again"]
