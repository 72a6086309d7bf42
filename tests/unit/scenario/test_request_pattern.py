"""Patterns of whole requests: a mismatch lists all differences and shows no secrets."""

from __future__ import annotations

import json

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import Difference, Match, Mismatch, loads
from cometreel.scenario.normalized_request import normalize_path
from cometreel.scenario.request_pattern import RequestPattern
from cometreel.wire import Headers, Request

HEAD = "cometreel: 1\nexchanges:\n  - name: one\n    request: "


def compare(written: str, request: Request) -> Match | Mismatch:
    scenario = loads(HEAD + written)
    return scenario.exchanges[0].match(scenario.normalize_request(request), {})


@pytest.mark.parametrize(
    ("written", "request_", "matches"),
    [
        ("{method: get, path: x/}", Request(1, "GET", "/x"), True),
        ("{method: GET, path: /a%62}", Request(1, "GET", "/%61b/"), True),
        ("{method: GET, path: /api/v2/me/workbins}", Request(1, "GET", "/api/v2/workbins"), True),
        ("{method: GET, path: {$regex: '^/api/v2/me/x$'}}", Request(1, "GET", "/api/v2/me/x/"), True),
        ("{method: GET, path: {$regex: '^/api/v2/x$'}}", Request(1, "GET", "/api/v2/me/x"), True),
        ("{method: GET, path: [api, v2, me, {$any: string}]}", Request(1, "GET", "/api/v2/me/x"), True),
        ("{method: GET, path: [api, v2, {$any: string}]}", Request(1, "GET", "/api/v2/x/y"), False),
        ("{method: GET, path: [api, v2, users, {$any: string}, me]}", Request(1, "GET", "/api/v2/users/7/me"), True),
        ("{method: GET, path: [api, v2, users, {$any: string}, me]}", Request(1, "GET", "/api/v2/users/7"), False),
        ("{method: GET, path: /x}", Request(1, "GET", "/x", "a=1"), False),
        ("{method: GET, path: /x, query: {a: '1', b: [x, y]}}", Request(1, "GET", "/x", "b=x&a=1&b=y"), True),
        ("{method: GET, path: /x, query: {b: [x, y]}}", Request(1, "GET", "/x", "b=y&b=x"), False),
        ("{method: GET, path: /x, query: {$partial: {a: '1'}}}", Request(1, "GET", "/x", "a=1&_=99"), True),
        ("{method: GET, path: /x, query: {$any: object}}", Request(1, "GET", "/x", "a=1"), True),
        ("{method: GET, path: /x}", Request(1, "GET", "/x", body=b"{}"), False),
        ("{method: POST, path: /x, body: {}}", Request(1, "POST", "/x", body=b" {} "), True),
        ("{method: POST, path: /x, body: null}", Request(1, "POST", "/x", body=b"null"), True),
        ("{method: POST, path: /x, body: null}", Request(1, "POST", "/x"), False),
        ("{method: POST, path: /x, text: 'ä'}", Request(1, "POST", "/x", body="ä".encode()), True),
        ("{method: POST, path: /x, text: {$regex: b}}", Request(1, "POST", "/x", body=b"abc"), True),
        ("{method: POST, path: /x, text: {$any: string}}", Request(1, "POST", "/x", body=b"\xff"), False),
        ("{method: POST, path: /x, base64: /w==}", Request(1, "POST", "/x", body=b"\xff"), True),
        ("{method: GET, path: /x, headers: {a: b}}", Request(1, "GET", "/x", headers=Headers([("A", "b")])), True),
        ("{method: GET, path: /x, headers: {a: b}}", Request(1, "GET", "/x"), False),
        (
            "{method: GET, path: /x, headers: {a: 'b, c'}}",
            Request(1, "GET", "/x", headers=Headers([("A", "b"), ("a", "c")])),
            True,
        ),
        ("{method: POST, path: /x, body: {$one-of: [{}, {a: 1}]}}", Request(1, "POST", "/x"), True),
        ("{method: POST, path: /x, body: {$one-of: [{b: 1}, {a: 1}]}}", Request(1, "POST", "/x"), False),
        ("{method: POST, path: /x, form: {'1': ''}}", Request(1, "POST", "/x", body=b"1"), True),
        ("{method: POST, path: /x, form: {$any: object}}", Request(1, "POST", "/x", body=b'{"a":1}'), False),
        ("{method: POST, path: /x, form: {$any: object}}", Request(1, "POST", "/x", body=b"a=1"), True),
        (
            "{method: POST, path: /x, base64: 5A==}",  # ä in ISO 8859-1
            Request(
                1,
                "POST",
                "/x",
                headers=Headers([("Content-Type", "text/plain;charset=ISO-8859-1")]),
                body="ä".encode(),
            ),
            True,
        ),
    ],
)
def test_match(written: str, request_: Request, matches: bool) -> None:
    assert isinstance(compare(written, request_), Match) is matches


def test_a_mismatch_lists_agreements_and_all_differences() -> None:
    found = compare(
        "{method: POST, path: /api/v2/workbins, query: {a: x}, body: {operationName: Subscribe, n: {$any: number}}}",
        Request(1, "PUT", "/api/v2/workbin", "a=z", body=b'{"operationName": "Subscribe", "n": "1", "m": []}'),
    )
    assert found == Mismatch(
        ("/body/operationName",),
        (
            Difference("/method", "POST", "PUT"),
            Difference("/path", "/api/v2/workbins", "/api/v2/workbin"),
            Difference("/query/a", "x", "z"),
            Difference("/body/n", "{$any: number}", '"1"'),
            Difference("/body/m", "nothing", "[]"),
        ),
    )


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-CSRF-TOKEN", "x-api-key", "ssid"])
def test_a_mismatch_masks_secret_headers(name: str) -> None:
    request = Request(1, "GET", "/x", headers=Headers([(name, "s3cret")]))
    found = compare(f"{{method: GET, path: /x, headers: {{{name}: expected}}}}", request)
    assert found == Mismatch(
        ("/method", "/path", "/query", "/body"), (Difference(f"/headers/{name.lower()}", "[hidden]", "[hidden]"),)
    )


@pytest.mark.parametrize(
    ("written", "body", "where", "found"),
    [
        ("body: {oldPassword: a}", b'{"oldPassword":"s3cret"}', "oldPassword", "[hidden]"),
        ("body: {}", b'{"newPwd":"s3cret"}', "newPwd", "[hidden]"),
        ("body: {userData: {a: 1}}", b'{"userData":{"a":"s3cret"}}', "userData/a", "[hidden]"),
        ("body: {name: pin, value: a}", b'{"name":"pin","value":"s3cret"}', "value", "[hidden]"),
        ("body: {name: pin}", b'{"name":"pin","value":"s3cret"}', "value", "[hidden]"),
        ("body: {me: 1}", b'{"me":[{"email":"s3cret"}]}', "me", '[{email: "[hidden]"}]'),
        ("body: {to: [a]}", b'{"to":["a","s3cret"]}', "to/1", "[hidden]"),
        ("text: a", b'{"me":{"pin":"s3cret"}}', "", '{me: {pin: "[hidden]"}}'),
        ("text: {$regex: z}", b"j_password=s3cret", "", "a text of 17 characters"),
        ("text: {$regex: z}", b"\xff\xfe", "", "2 bytes"),
        ("body: {}", b"pw=s3cret", "", "a text of 9 characters"),
    ],
)
def test_a_mismatch_masks_what_a_recording_redacts(written: str, body: bytes, where: str, found: str) -> None:
    mismatch = compare(f"{{method: POST, path: /x, {written}}}", Request(1, "POST", "/x", body=body))
    assert isinstance(mismatch, Mismatch)
    place = f"/body/{where}" if where else "/body"
    assert [(one.where, one.found) for one in mismatch.differences] == [(place, found)]


def test_a_mismatch_masks_the_fields_of_a_form() -> None:
    found = compare("{method: POST, path: /x, form: {$any: string}}", Request(1, "POST", "/x", body=b"code=s3cret&b=2"))
    assert isinstance(found, Mismatch)
    assert [(one.where, one.found) for one in found.differences] == [("/form", '{code: "[hidden]", b: "2"}')]


def test_a_mismatch_masks_query_parameters() -> None:
    found = compare(
        "{method: GET, path: /x, query: {code: a}}", Request(1, "GET", "/x", "code=s3cret&access_token=s3cret")
    )
    assert isinstance(found, Mismatch)
    assert found.differences == (
        Difference("/query/code", "a", "[hidden]"),
        Difference("/query/access_token", "nothing", "[hidden]"),
    )


def test_named_groups_are_captures_in_paths_too() -> None:
    found = compare("{method: GET, path: {$regex: '^/w/(?P<id>[^/]+)$'}}", Request(1, "GET", "/w/861640a2/"))
    assert found == Match({"id": "861640a2"}, {}, {})


@pytest.mark.parametrize(
    ("written", "request_", "match"),
    [
        ("path: [w, {$capture: id}]", Request(1, "POST", "/w/7"), Match({"id": "7"}, {}, {})),
        ("path: [w, {$id: w-1}]", Request(1, "POST", "/w/7"), Match({}, {}, {"w-1": "7"})),
        ("path: /x, text: {$regex: 'n=(?P<n>\\d+)'}", Request(1, "POST", "/x", body=b"n=7"), Match({"n": "7"}, {}, {})),
        (
            "path: /x, headers: {X-Order: {$capture: session.order}}",
            Request(1, "POST", "/x", headers=Headers([("x-order", "7")])),
            Match({}, {"order": "7"}, {}),
        ),
    ],
)
def test_captures_come_from_every_part_of_a_request(written: str, request_: Request, match: Match) -> None:
    assert compare(f"{{method: POST, {written}}}", request_) == match


def test_an_id_that_the_session_has_bound_matches_no_other_value() -> None:
    scenario = loads(HEAD + "{method: POST, path: /x, body: {place: {$id: place-1}}}")
    request = scenario.normalize_request(Request(1, "POST", "/x", body=b'{"place":"P"}'))
    assert scenario.exchanges[0].match(request, {"place-1": "P"}) == Match({}, {}, {})
    assert isinstance(scenario.exchanges[0].match(request, {"place-1": "Q"}), Mismatch)


def test_an_id_that_the_client_chooses_is_not_compared() -> None:
    head = HEAD.replace("exchanges", "correlation: workspace-v3\nexchanges")
    live: dict[str, JSON] = {"operationId": "live", "n": 1}
    for body in ("{operationId: old, n: {$any: number}}", "{$partial: {operationId: old, n: 1}}"):
        scenario = loads(f"{head}{{method: POST, path: /x, body: {body}}}")
        request = scenario.normalize_request(Request(1, "POST", "/x", body=json.dumps(live).encode()))
        assert scenario.exchanges[0].match(request, {}) == Match({}, {}, {})
        scenario = loads(f"{head}{{publish: /x, data: {body}}}")
        assert scenario.exchanges[0].match(scenario.normalize_publish({"channel": "/x", "data": live}), {}) == Match(
            {}, {}, {}
        )


def test_a_publish_and_a_request_never_match_each_other() -> None:
    scenario = loads(HEAD + "{publish: /service/x, data: {a: 1}, ext: {$partial: {b: 2}}}")
    (exchange,) = scenario.exchanges
    good = scenario.normalize_publish({"channel": "/service/x", "data": {"a": 1}, "ext": {"b": 2, "ack": 1}})
    bad = scenario.normalize_publish({"channel": "/service/y", "data": {"a": True}})
    assert exchange.match(good, {}) == Match({}, {}, {})
    assert exchange.match(bad, {}) == Mismatch(
        (),
        (
            Difference("/channel", "/service/x", "/service/y"),
            Difference("/data/a", "1", "true"),
            Difference("/ext", "{$partial: {b: 2}}", "null"),
        ),
    )
    assert exchange.match(scenario.normalize_request(Request(1, "GET", "/x")), {}) == Mismatch(
        (), (Difference("", "publish /service/x", "GET /x"),)
    )


TEXT = "{method: POST, path: /x, text: 'a=1&b=2'}"


@pytest.mark.parametrize(
    ("written", "body", "expected", "found"),
    [
        (TEXT, b"a=1&b=3", "a=1&b=2", "a text of 7 characters that differs from character 7 on"),
        (TEXT, b"a=1", "a=1&b=2", "a text of 3 characters that differs from character 4 on"),
        (TEXT, b"a=1&b=2&c=3", "a=1&b=2", "a text of 11 characters that differs from character 8 on"),
        (TEXT, b"", "a=1&b=2", "nothing"),
        (TEXT, b"{}", "a=1&b=2", "{}"),
        ("{method: POST, path: /x, base64: YQ==}", b"b", "1 bytes", "a text of 1 character"),
        ("{method: POST, path: /x}", b"b", "nothing", "a text of 1 character"),
    ],
)
def test_a_text_that_differs_is_described_as_a_text(written: str, body: bytes, expected: str, found: str) -> None:
    """The text that was sent is not shown: it may contain secrets."""
    mismatch = compare(written, Request(1, "POST", "/x", body=body))
    assert isinstance(mismatch, Mismatch)
    assert mismatch.differences == (Difference("/body", expected, found),)


@pytest.mark.parametrize(
    ("written", "sent", "matches"),
    [
        ("application/json", "application/json;charset=UTF-8", True),
        ("application/json", "Application/JSON", True),
        ("application/json", "application/json", True),
        ("application/json", "application/json-patch+json", False),
        ("application/json", "text/json", False),
        ("application/json", None, False),
        ("application/json; charset=utf-8", 'application/json;charset="UTF-8"', True),
        ("application/json; charset=utf-8", "application/json", False),
        ("application/json; charset=utf-8", "application/json;charset=latin1", False),
        ("a/b;x=1;y=2", "a/b; y=2; x=1", True),
    ],
)
def test_media_types_are_compared_without_parameters_unless_some_are_written(
    written: str, sent: str | None, matches: bool
) -> None:
    headers = Headers([] if sent is None else [("content-type", sent)])
    pattern = f"{{method: GET, path: /x, headers: {{Content-Type: '{written}'}}}}"
    assert isinstance(compare(pattern, Request(1, "GET", "/x", headers=headers)), Match) is matches


def test_a_mismatch_of_a_huge_body_has_a_limited_size() -> None:
    body = b"{" + b",".join(b'"%d": "x"' % number for number in range(20_000)) + b"}"
    found = compare("{method: POST, path: /x, body: {a: 1}}", Request(1, "POST", "/x" * 30_000, body=body))
    assert isinstance(found, Mismatch)
    assert len(repr(found)) < 10_000
    found = compare("{method: POST, path: /x, body: [a]}", Request(1, "POST", "/x", body=body))
    assert isinstance(found, Mismatch)
    assert len(repr(found)) < 1_000


@pytest.mark.parametrize(("path", "accepted"), [("/x/", True), ("/y", False)])
def test_a_pattern_accepts_its_own_path(path: str, accepted: bool) -> None:
    (exchange,) = loads(HEAD + "{method: GET, path: /x}").exchanges
    assert isinstance(exchange.trigger, RequestPattern)
    assert exchange.trigger.accepts_path(normalize_path(path)) is accepted
