"""A miss in a large scenario names the closest of all exchanges, and compares few of them."""

from __future__ import annotations

from cometreel.engine.near_misses import explain
from cometreel.engine.play_state import References
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.sessions import Session
from cometreel.engine.similar_groups import MOST
from cometreel.scenario import CompiledScenario, loads
from cometreel.scenario import builders as build
from cometreel.scenario.runtime_changes import extended, without
from cometreel.wire import Headers, Request

JSON_TYPE = Headers([("Content-Type", "application/json")])


def many(count: int) -> CompiledScenario:
    """A scenario with one request for each of many owners, to one path, and a few other requests at the end."""
    owners = "".join(
        f"  - name: place {number}\n"
        f"    request: {{method: POST, path: /w, body: {{op: Stats, owner: P{number}, n: 1}}}}\n"
        for number in range(count)
    )
    others = "  - {name: users, request: {method: GET, path: /api/v2/users, query: {page: '1'}}}\n"
    return loads(f"cometreel: 1\nexchanges:\n{owners}{others}")


def nearest(scenario: CompiledScenario, session: Session, request: Request) -> list[str]:
    miss = explain(scenario.normalize_request(request), session, PreparedScenario(scenario))
    return [near.exchange.name for near in miss.nearest]


def test_a_rare_value_finds_its_exchange_among_many() -> None:
    request = Request(1, "POST", "/w", "", JSON_TYPE, b'{"op": "Stats", "owner": "P3987", "n": 2}')
    assert nearest(many(5000), Session(1, 0.0, References(0), 1), request)[0] == "place 3987"


def test_a_similar_path_is_found_among_many() -> None:
    assert (
        nearest(many(5000), Session(1, 0.0, References(0), 1), Request(1, "GET", "/api/v2/user", "page=1"))[0]
        == "users"
    )


def test_few_exchanges_are_compared() -> None:
    scenario = many(5000)
    request = scenario.normalize_request(
        Request(1, "POST", "/w", "", JSON_TYPE, b'{"op": "Stats", "owner": "X", "n": 1}')
    )
    prepared = PreparedScenario(scenario)
    assert len(prepared.similar_groups(request)) == MOST
    assert [group.number for group in PreparedScenario(many(50)).similar_groups(request)] == [*range(50)]


def test_added_exchanges_are_found_and_removed_ones_are_not() -> None:
    scenario = many(5000)
    before = PreparedScenario(scenario)
    added = extended(scenario, [build.exchange("new", build.post("/w", body={"op": "Stats", "owner": "P3987"}))])
    removed = without(added, ["place 3987"])
    later = PreparedScenario(removed, PreparedScenario(added, before))
    request = removed.normalize_request(Request(1, "POST", "/w", "", JSON_TYPE, b'{"op": "Stats", "owner": "P3987"}'))
    names = [group.exchanges[0].name for group in later.similar_groups(request)]
    assert (names[0], "place 3987" in names, len(names)) == ("new", False, MOST)


def test_the_most_similar_of_all_are_found_when_a_place_has_lost_its_exchanges() -> None:
    scenario = many(3)
    rest = without(scenario, ["users"])
    request = rest.normalize_request(Request(1, "GET", "/api/v2/users"))
    found = PreparedScenario(rest, PreparedScenario(scenario)).similar_groups(request)
    assert [group.exchanges[0].name for group in found] == ["place 0", "place 1", "place 2"]


def test_a_rare_value_counts_more_than_several_frequent_ones() -> None:
    kinds = "".join(
        f"  - name: {kind} {number}\n"
        f"    request: {{method: POST, path: /w, body: {{f{kind}: 1, g{kind}: 1, n: {number}}}}}\n"
        for kind in range(4)
        for number in range(50)
    )
    rare = "  - {name: rare, request: {method: POST, path: /w, body: {owner: P1, m: 9}}}\n"
    scenario = loads(f"cometreel: 1\nexchanges:\n{kinds}{rare}")
    members = ", ".join(f'"{letter}{kind}": 1' for letter in "fg" for kind in range(4))
    request = Request(1, "POST", "/w", "", JSON_TYPE, f'{{"owner": "P1", {members}}}'.encode())
    groups = PreparedScenario(scenario).similar_groups(scenario.normalize_request(request))
    assert groups[-1].exchanges[0].name == "rare"
    assert [group.number for group in groups] == sorted(group.number for group in groups), "in the order of the file"


def test_a_head_is_compared_with_the_only_get_of_its_path() -> None:
    scenario = extended(many(500), [build.exchange("page", build.get("/w", query={"page": "1"}))])
    again = loads(
        "cometreel: 1\nexchanges:\n" + "".join(_posts(500)) + "  - {name: page, request: {method: GET, path: /w}}\n"
    )
    for each in (scenario, again):
        assert nearest(each, Session(1, 0.0, References(0), 1), Request(1, "HEAD", "/w", "page=2"))[0] == "page"


def _posts(count: int) -> list[str]:
    return [f"  - {{name: p{n}, request: {{method: POST, path: /w, query: {{page: '{n}'}}}}}}\n" for n in range(count)]
