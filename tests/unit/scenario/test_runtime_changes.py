"""Exchanges, timeline entries and faults are added to a scenario while it is replayed, and exchanges are removed."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import pytest

from cometreel import markers
from cometreel.errors import FileInvalid, OptionInvalid
from cometreel.scenario import CompiledScenario, Scenario, compiling
from cometreel.scenario import builders as build
from cometreel.scenario.model import Block
from cometreel.scenario.runtime_changes import extended, without
from cometreel.wire import Request

OLD = Scenario(
    correlation="gws-v2",
    roles={"agent-1": build.role("a")},
    exchanges=[
        build.exchange("log in", build.post("/login", body={"place": markers.id("place-1")})),
        build.exchange("stats", build.get("/stats"), reply=build.reply({"referenceId": 7})),
        build.exchange("stats again", build.get("/stats"), repeat="cycle"),
        build.exchange("any stats", build.get(markers.regex("^/stats"))),
    ],
).compiled()


def offered(scenario: CompiledScenario, path: str) -> list[str]:
    """Return the exchanges that a GET of this path may play, in the order in which they are tried."""
    request = scenario.normalize_request(Request(1, "GET", path))
    return [exchange.name for group in scenario.index.groups(request) for exchange in group.exchanges]


def test_the_exchange_added_last_is_tried_first() -> None:
    once = extended(OLD, [build.exchange("new", build.get("/stats"))])
    twice = extended(once, [build.exchange("newer", build.get("/stats")), build.exchange("other", build.get("/other"))])
    assert offered(twice, "/stats") == ["newer", "new", "stats", "stats again", "any stats"]
    assert offered(OLD, "/stats") == ["stats", "stats again", "any stats"]
    assert [group.number for group in twice.groups] == sorted(group.number for group in twice.groups)
    assert [exchange.index for exchange in twice.exchanges] == list(range(7))


def test_every_group_entry_and_fault_has_its_own_number() -> None:
    """Also after one was removed, and several were added one after the other."""
    scenario = OLD
    for number in range(3):
        exchange = build.exchange(f"new {number}", build.get(f"/{number}"))
        entry, fault = build.timeline_entry("/a", since="stats"), build.fault("stats", disconnect=True)
        scenario = extended(scenario, [exchange, entry, fault])
    again = extended(without(scenario, ["new 2"]), [build.exchange("new 3", build.get("/3"))])
    assert len({group.number for group in (*scenario.groups, *again.groups)}) == len(scenario.groups) + 1
    assert [entry.index for entry in scenario.timeline] == [fault.index for fault in scenario.faults] == [0, 1, 2]


def test_equal_requests_of_one_call_are_played_in_order() -> None:
    new = extended(OLD, [build.exchange(name, build.get("/new")) for name in ("one", "two")])
    assert [exchange.name for exchange in new.groups[0].exchanges] == ["one", "two"]


@pytest.mark.parametrize("number", [10, 1000])
def test_only_added_exchanges_are_compiled(number: int) -> None:
    old = Scenario(exchanges=[build.exchange(f"old {n}", build.get(f"/{n}")) for n in range(number)]).compiled()
    with mock.patch.object(compiling, "request_pattern", wraps=compiling.request_pattern) as compiled:
        new = without(extended(old, [build.exchange("new", build.get("/new"))]), ["old 7"])
    assert compiled.call_count == 1
    assert (offered(new, "/new"), offered(new, "/7"), offered(new, "/8")) == (["new"], [], ["old 8"])


def test_added_blocks_refer_to_existing_ones() -> None:
    reply = build.reply({"place": markers.id("place-1"), "referenceId": 90})
    new = extended(
        OLD,
        [
            build.exchange("new", build.get("/new"), reply=reply, as_="agent-1", when=build.when(after="log in")),
            build.timeline_entry("/v2/me/a", since="new", until="stats"),
            build.fault(["new", "stats"], disconnect=True),
        ],
    )
    assert (new.by_name["new"].after, new.highest_ref) == (("log in",), 90)
    assert [(entry.index, entry.since, entry.until) for entry in new.timeline] == [(0, "new", ("stats",))]
    assert [fault.exchanges for fault in new.faults] == [{"new", "stats"}]
    assert (OLD.timeline, OLD.faults, set(OLD.by_name)) == ((), (), {"log in", "stats", "stats again", "any stats"})


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([build.exchange("stats", build.get("/a"))], "the name 'stats' is used twice; expected a unique name (first"),
        ([build.exchange("a", build.get("/a"), when=build.when(after="b"))], "unknown exchange 'b'; expected the name"),
        ([build.exchange("a", build.get("/a"), as_="b")], "unknown role 'b'; expected agent-1"),
        ([build.fault("b", disconnect=True)], "unknown exchange 'b'; expected the name of an exchange"),
        (
            [build.exchange("a", build.get("/a"), reply=build.reply(markers.id("b")))],
            "no request binds {$id: b}; expected the name of an $id in a request",
        ),
        (
            [build.exchange("a", build.get("/a"), repeat="fail"), build.exchange("b", build.get("/a"))],
            "repeat: fail is set, but exchanges with the same request follow; expected repeat: on the last one, 'b'",
        ),
    ],
    ids=lambda each: each.partition(";")[0] if isinstance(each, str) else "",
)
def test_added_blocks_are_checked(blocks: Sequence[Block], text: str) -> None:
    with pytest.raises(FileInvalid) as caught:
        extended(OLD, blocks)
    (problem,) = caught.value.problems
    assert problem.file == __file__
    assert str(problem).split(": ", 1)[1].startswith(text)


def test_only_exchanges_timeline_entries_and_faults_can_be_added() -> None:
    with pytest.raises(OptionInvalid, match="block: a value of the type RoleBlock; expected an exchange, a timeline"):
        extended(OLD, [build.role("a")])


def test_a_removed_exchange_is_no_longer_tried() -> None:
    rest = without(OLD, ["stats again"])
    assert offered(rest, "/stats") == ["stats", "any stats"]
    assert rest.groups[1].repeat is None
    assert offered(without(rest, ["stats"]), "/stats") == ["any stats"]
    assert set(without(rest, ["stats"]).by_name) == {"log in", "any stats"}


def test_removing_what_was_added_gives_the_previous_scenario() -> None:
    new = extended(OLD, [build.exchange("new", build.get("/stats"))])
    rest = without(new, ["new"])
    assert (rest.exchanges, rest.groups, rest.by_name) == (OLD.exchanges, OLD.groups, OLD.by_name)
    assert offered(rest, "/stats") == offered(OLD, "/stats")
    again = extended(rest, [build.exchange("new", build.get("/stats"))])
    assert offered(again, "/stats") == offered(new, "/stats")


def test_an_exchange_that_others_refer_to_is_not_removed() -> None:
    new = extended(
        OLD,
        [
            build.exchange("new", build.get("/new"), when=build.when(after="log in")),
            build.timeline_entry("/a", since="log in"),
            build.fault("log in", disconnect=True),
        ],
    )
    with pytest.raises(OptionInvalid) as caught:
        without(new, ["log in"])
    places = [new.by_name["new"].position, new.timeline[0].position, new.faults[0].position]
    assert str(caught.value) == (
        f"exchange: 'log in' is referred to by when of 'new' in {places[0]}; the timeline entry in {places[1]}; "
        f"the fault in {places[2]}; expected an exchange without references (remove these too)"
    )
    with_reference = extended(OLD, [build.exchange("new", build.get("/new"), when=build.when(after="log in"))])
    assert set(without(with_reference, ["log in", "new"]).by_name) == {"stats", "stats again", "any stats"}


def test_an_unknown_exchange_is_not_removed() -> None:
    with pytest.raises(OptionInvalid, match=r"unknown exchange 'stat'; expected a name \(did you mean 'stats'"):
        without(OLD, ["stat"])
