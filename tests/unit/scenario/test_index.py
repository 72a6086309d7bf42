"""The cost of finding an exchange doesn't depend on the size of the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import permutations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario, Exchange, Match, RequestOrPublish, loads
from cometreel.scenario.normalized_request import as_get
from cometreel.wire import Headers, Request

HEAD = "cometreel: 1\ncorrelation: workspace-v3\nexchanges:\n"


def many(number: int) -> CompiledScenario:
    """Exchanges of four kinds that differ in one value."""
    lines = [HEAD]
    for n in range(number // 4):
        body = f"{{operationName: RequestAgentStats, workbinOwner: Place{n}}}"
        marked = f"{{operationName: AddEmail, id: {{$any: string}}, data: {{workbin: w{n}}}}}"
        lines.append(f"  - {{name: a{n}, request: {{method: POST, path: /api/v2/workbins, body: {body}}}}}\n")
        lines.append(f"  - {{name: b{n}, request: {{method: POST, path: /api/v2/workbins, body: {marked}}}}}\n")
        lines.append(
            f"  - {{name: c{n}, request: {{method: GET, path: /api/v2/workbins/w{n}, query: {{fields: '*'}}}}}}\n"
        )
        lines.append(
            f"  - {{name: d{n}, request: {{publish: /service/chat, data: {{to: u{n}, text: {{$any: string}}}}}}}}\n"
        )
    return loads("".join(lines))


def candidates(scenario: CompiledScenario, normalized: RequestOrPublish) -> list[Exchange]:
    """Return the exchanges of the groups that may match."""
    return [exchange for group in scenario.index.groups(normalized) for exchange in group.exchanges]


def post(body: JSON) -> Request:
    return Request(1, "POST", "/api/v2/workbins", body=json.dumps(body).encode())


@pytest.mark.parametrize("number", [8, 4000])
def test_the_number_of_comparisons_does_not_grow_with_the_scenario(number: int) -> None:
    scenario, last = many(number), number // 4 - 1
    requests: dict[str, RequestOrPublish] = {
        f"a{last}": scenario.normalize_request(
            post({"workbinOwner": f"Place{last}", "operationName": "RequestAgentStats"})
        ),
        f"b{last}": scenario.normalize_request(
            post({"operationName": "AddEmail", "id": "i", "data": {"workbin": f"w{last}"}})
        ),
        f"c{last}": scenario.normalize_request(Request(1, "GET", f"/api/v2/workbins/w{last}/", "fields=*")),
        f"d{last}": scenario.normalize_publish({"channel": "/service/chat", "data": {"to": f"u{last}", "text": "hi"}}),
        "nothing": scenario.normalize_request(post({"operationName": "Nobody"})),
    }
    tried: dict[str, list[str]] = {}
    for name, normalized in requests.items():
        found = candidates(scenario, normalized)
        tried[name] = [exchange.name for exchange in found if isinstance(exchange.match(normalized, {}), Match)]
        assert len(found) == len(tried[name])  # no unnecessary comparison
    assert tried == {**{name: [name] for name in requests}, "nothing": []}


def test_a_request_repeated_ten_thousand_times_is_compared_once() -> None:
    """Exchanges with equal patterns are one group."""
    text = HEAD + "".join(f"  - {{name: n{n}, request: {{method: GET, path: /x}}}}\n" for n in range(1000))
    scenario = loads(text)
    (group,) = scenario.index.groups(scenario.normalize_request(Request(1, "GET", "/x")))
    assert len(group.exchanges) == 1000
    assert {exchange.group for exchange in group.exchanges} == {group.number} == {0}


ORDER = """
  - {name: any post, request: {method: POST, path: {$regex: '^/api/'}, body: {$any: object}}}
  - {name: partial, request: {method: POST, path: /api/v2/x, body: {$partial: {op: A}}}}
  - {name: exact, request: {method: POST, path: /api/v2/x, body: {op: A, n: 1}}}
  - {name: me, request: {method: POST, path: /api/v2/me/x, body: {op: A, n: 1}}}
  - {name: segments, request: {method: POST, path: [api, v2, {$capture: kind}], body: {op: {$one-of: [A, B]}, n: 1}}}
  - {name: true, request: {method: POST, path: /api/v2/x, body: {op: A, n: true}}}
"""


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/api/v2/x", {"op": "A", "n": 1}, ["any post", "partial", "exact", "segments", "me"]),
        ("/api/v2/me/x", {"op": "A", "n": 1.0}, ["any post", "me", "segments", "partial", "exact"]),
        ("/api/v2/x", {"op": "A", "n": True}, ["any post", "partial", "true"]),
        ("/api/v2/y", {"op": "B", "n": 1}, ["any post", "segments"]),
        ("/api/v2/y/z", {}, ["any post"]),
        ("/x", {}, []),
    ],
)
def test_candidates_are_in_file_order_and_the_same_spelling_of_me_comes_first(
    path: str, body: Mapping[str, JSON], found: list[str]
) -> None:
    scenario = loads(HEAD + ORDER.replace("name: true", "name: 'true'"))
    normalized = scenario.normalize_request(Request(1, "POST", path, body=json.dumps(body).encode()))
    matched = [one.name for one in candidates(scenario, normalized) if isinstance(one.match(normalized, {}), Match)]
    assert matched == found


def test_ids_chosen_by_the_client_are_ignored_in_matching() -> None:
    text = HEAD + "  - {name: a, request: {method: POST, path: /w, body: {operationId: recorded, n: 1}}}\n"
    scenario = loads(text)
    normalized = scenario.normalize_request(Request(1, "POST", "/w", body=b'{"operationId": "live", "n": 1}'))
    assert [exchange.name for exchange in candidates(scenario, normalized)] == ["a"]


def test_equal_requests_with_different_roles_or_guards_are_different_groups() -> None:
    text = """\
cometreel: 1
roles: {one: {}, two: {}}
exchanges:
  - {name: a, as: one, request: {method: GET, path: /x}}
  - {name: b, as: two, request: {method: GET, path: /x/}}
  - {name: c, when: {after: a}, request: {method: GET, path: /x}}
  - {name: d, as: [one], request: {method: get, path: x}}
  - {name: e, request: {method: GET, path: /x, authenticated: true}}
"""
    assert [exchange.group for exchange in loads(text).exchanges] == [0, 1, 2, 0, 3]


ROLES = """\
cometreel: 1
roles: {one: {}, two: {}}
exchanges:
  - {name: a, as: one, request: {method: GET, path: /x}}
  - {name: b, as: two, request: {method: GET, path: /x}}
  - {name: c, request: {method: GET, path: /x}}
  - {name: for two, as: two, request: {method: GET, path: /y}}
  - {name: for all, request: {method: GET, path: /z}}
"""


@pytest.mark.parametrize("order", list(permutations([None, "one", "two"])))
def test_a_role_is_offered_its_exchanges_and_those_for_all_whoever_asks_first(order: tuple[str | None, ...]) -> None:
    """The answers to repeated requests are remembered for each role."""
    scenario, found = loads(ROLES), {}
    for path in ("/x", "/y", "/z"):
        request = scenario.normalize_request(Request(1, "GET", path))
        for role in (*order, *order):
            answers = scenario.index.answers(request, role)
            found[path, role] = [group.exchanges[0].name for group, _ in answers]
    assert found == {
        ("/x", None): ["a", "b", "c"],
        ("/x", "one"): ["a", "c"],
        ("/x", "two"): ["b", "c"],
        ("/y", None): ["for two"],
        ("/y", "one"): [],
        ("/y", "two"): ["for two"],
        ("/z", None): ["for all"],
        ("/z", "one"): ["for all"],
        ("/z", "two"): ["for all"],
    }


def test_an_answer_that_depends_on_header_fields_is_not_remembered() -> None:
    scenario = loads(HEAD + "  - {name: a, request: {method: GET, path: /x, headers: {a: b}}}\n")
    for fields, matches in (((), False), ([("a", "b")], True), ((), False)):
        request = scenario.normalize_request(Request(1, "GET", "/x", headers=Headers(fields)))
        found = [group.match(request, {}) for group, _ in scenario.index.answers(request)]
        assert [isinstance(each, Match) for each in found] == [matches]


def test_a_head_gets_the_answers_of_a_get() -> None:
    text = "".join(f"  - {{name: {name}, request: {{method: {name}, path: /x}}}}\n" for name in ("HEAD", "GET"))
    scenario = loads(HEAD + text)
    head = scenario.normalize_request(Request(1, "HEAD", "/x"))
    for request, name in ((head, "HEAD"), (as_get(head), "GET")):
        assert [group.exchanges[0].name for group, _ in scenario.index.answers(request)] == [name]


def test_a_request_without_body_is_offered_the_exchange_with_an_empty_object() -> None:
    scenario = loads(HEAD + "  - {name: a, request: {method: POST, path: /x, body: {}}}\n")
    for body in (b"", b"{}"):
        request = scenario.normalize_request(Request(1, "POST", "/x", body=body))
        assert [exchange.name for exchange in candidates(scenario, request)] == ["a"]


def test_a_role_that_no_login_exchange_or_timeline_entry_names_is_unassigned() -> None:
    scenario = loads("""\
cometreel: 1
roles: {by user: {user: kate}, by id: {id: A1}, by exchange: {}, by timeline: {}, nobody: {}}
exchanges: [{name: a, as: by exchange, request: {method: GET, path: /x}}]
timeline: [{channel: /a, as: by timeline, since: connect}]
""")
    assert scenario.unassigned_roles() == {"nobody"}


def test_a_group_repeats_as_its_last_exchange_says() -> None:
    exchanges = [
        "{name: a, request: {method: GET, path: /x}}",
        "{name: b, request: {method: GET, path: /x}, repeat: cycle}",
    ]
    (group,) = loads(HEAD + "".join(f"  - {each}\n" for each in exchanges)).groups
    assert ([exchange.name for exchange in group.exchanges], group.repeat) == (["a", "b"], "cycle")


def test_timeline_entries_and_faults_are_numbered_in_the_order_of_the_file() -> None:
    scenario = loads("""\
cometreel: 1
timeline: [{channel: /a}, {channel: /b}]
faults: [{meta: /meta/connect, broken: true}, {meta: /meta/subscribe, broken: true}]
""")
    assert [entry.index for entry in scenario.timeline] == [0, 1]
    assert [(fault.index, fault.meta) for fault in scenario.faults] == [(0, "/meta/connect"), (1, "/meta/subscribe")]


def test_an_answer_that_depends_on_the_character_set_is_not_remembered() -> None:
    scenario = loads(HEAD + "  - {name: a, request: {method: POST, path: /x, base64: 6Q==}}\n")  # \u00e9 in ISO 8859-1
    for charset, names in (("; charset=iso-8859-1", ["a"]), ("; charset=utf-16", []), ("", [])):
        headers = Headers([("Content-Type", f"text/plain{charset}")])
        request = scenario.normalize_request(Request(1, "POST", "/x", body="\u00e9".encode(), headers=headers))
        answers = [(group, match or group.match(request, {})) for group, match in scenario.index.answers(request)]
        assert [group.exchanges[0].name for group, match in answers if isinstance(match, Match)] == names


def test_the_captures_of_a_query_are_not_remembered() -> None:
    scenario = loads(HEAD + "  - {name: a, request: {method: GET, path: /x, query: {q: {$capture: q}}}}\n")
    request = scenario.normalize_request(Request(1, "GET", "/x", "q=1"))
    ((group, match),) = scenario.index.answers(request)
    assert (group.match(request, {}), match) == (Match({"q": "1"}, {}, {}), None)


def test_a_publish_with_a_marker_as_its_channel_is_offered_for_publishes_only() -> None:
    scenario = loads(HEAD + "  - {name: a, request: {publish: {$regex: '^/chat/'}, data: {$any: anything}}}\n")
    publish = scenario.normalize_publish({"channel": "/chat/1", "data": 1})
    call = scenario.normalize_request(Request(1, "GET", "/chat/1"))
    assert [[exchange.name for exchange in candidates(scenario, each)] for each in (publish, call)] == [["a"], []]


def test_the_case_of_the_name_of_a_header_field_makes_no_other_request() -> None:
    exchanges = [
        f"{{name: {name}, request: {{method: GET, path: /x, headers: {{{name}: '1'}}}}}}" for name in ("X-A", "x-a")
    ]
    (group,) = loads(HEAD + "".join(f"  - {each}\n" for each in exchanges)).groups
    assert [exchange.name for exchange in group.exchanges] == ["X-A", "x-a"]
