"""The mix, and the request and expected notification of each kind."""

from __future__ import annotations

import pytest

from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSONObject
from cometreel.load import DEFAULT_MIX, Expectation, OwnerKind, StatsRequest, expectation_for, parse_mix, request_for

KINDS = "agent, place, agent-group, place-group, user"


def test_a_mix_has_kinds_and_percentages():
    mix = parse_mix(" agent=50, place=20,agent-group=15,place-group=10,user=5")
    assert mix.parts == (
        (OwnerKind.AGENT, 50.0),
        (OwnerKind.PLACE, 20.0),
        (OwnerKind.AGENT_GROUP, 15.0),
        (OwnerKind.PLACE_GROUP, 10.0),
        (OwnerKind.USER, 5.0),
    )
    assert str(mix) == DEFAULT_MIX


def test_a_kind_with_0_percent_is_left_out():
    assert parse_mix("place=100,user=0").kinds() == (OwnerKind.PLACE,)


def test_the_other_kinds_share_the_percentages_of_those_that_are_left_out():
    mix = parse_mix(DEFAULT_MIX)
    assert (
        str(mix.without([OwnerKind.AGENT_GROUP, OwnerKind.PLACE_GROUP, OwnerKind.USER]))
        == "agent=71.4286,place=28.5714"
    )
    assert str(mix.without([])) == DEFAULT_MIX


@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        (0.0, OwnerKind.AGENT),
        (0.49999, OwnerKind.AGENT),
        (0.5, OwnerKind.PLACE),
        (0.69, OwnerKind.PLACE),
        (0.71, OwnerKind.AGENT_GROUP),
        (0.9999999, OwnerKind.USER),
    ],
)
def test_a_draw_selects_a_kind(draw: float, kind: OwnerKind):
    assert parse_mix(DEFAULT_MIX).pick(draw) is kind


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "agents=100",
            f"--reel-mix: 'agents=100'; expected KIND=PERCENT with one of {KINDS} (did you mean 'agent'?)",
        ),
        ("", f"--reel-mix: ''; expected KIND=PERCENT with one of {KINDS}"),
        (
            "agent",
            f"--reel-mix: 'agent'; expected KIND=PERCENT with one of {KINDS} (did you mean 'agent'?)",
        ),
        ("agent=half", "--reel-mix: 'half' for 'agent'; expected a number from 0 to 100"),
        ("agent=nan", "--reel-mix: 'nan' for 'agent'; expected a number from 0 to 100"),
        ("agent=50,agent=50", "--reel-mix: 'agent' is repeated; expected each kind once"),
        (
            "agent=50,place=20",
            "--reel-mix: the percentages of 'agent=50,place=20' add up to 70; expected 100 (30 are missing)",
        ),
        (
            "agent=90,place=20",
            "--reel-mix: the percentages of 'agent=90,place=20' add up to 110; expected 100 (10 are too many)",
        ),
    ],
)
def test_an_invalid_mix_is_refused(text: str, sentence: str):
    with pytest.raises(OptionInvalid) as refused:
        parse_mix(text)
    assert str(refused.value) == sentence


def test_thirds_add_up():
    assert len(parse_mix("agent=33.333333,place=33.333333,user=33.333334").parts) == 3


STATS = "RequestAgentStats"


@pytest.mark.parametrize(
    ("kind", "owner", "call", "expectation", "entry"),
    [
        (
            OwnerKind.AGENT,
            "",
            StatsRequest("/api/v2/workbins", {"operationName": STATS}),
            Expectation("Agent", "me"),
            f"{STATS} Agent",
        ),
        (
            OwnerKind.PLACE,
            "Place 1",
            StatsRequest(
                "/api/v2/workbins", {"operationName": STATS, "workbinType": "Place", "workbinOwner": "Place 1"}
            ),
            Expectation("Place", "Place 1"),
            f"{STATS} Place",
        ),
        (
            OwnerKind.AGENT_GROUP,
            "G",
            StatsRequest(
                "/api/v2/workbins", {"operationName": STATS, "workbinType": "AgentGroup", "workbinOwner": "G"}
            ),
            Expectation("AgentGroup", "G"),
            f"{STATS} AgentGroup",
        ),
        (
            OwnerKind.PLACE_GROUP,
            "G",
            StatsRequest(
                "/api/v2/workbins", {"operationName": STATS, "workbinType": "PlaceGroup", "workbinOwner": "G"}
            ),
            Expectation("PlaceGroup", "G"),
            f"{STATS} PlaceGroup",
        ),
        (
            OwnerKind.USER,
            "a/b c",
            StatsRequest("/api/v2/users/a%2Fb%20c/workbins", {"operationName": STATS}),
            Expectation("Agent", "a/b c"),
            f"{STATS} User",
        ),
    ],
)
def test_requests_are_those_of_the_api_reference(
    kind: OwnerKind, owner: str, call: StatsRequest, expectation: Expectation, entry: str
):
    assert (request_for(kind, owner), expectation_for(kind, owner, "me"), kind.entry) == (call, expectation, entry)


def test_an_unknown_owner_is_not_compared():
    data: JSONObject = {"messageType": "WorkbinStatsMessage", "workbinStats": {"w": {"Owner": "who?", "Type": "Agent"}}}
    assert expectation_for(OwnerKind.AGENT).mismatch(data) == ""
    assert expectation_for(OwnerKind.AGENT, own_id="f1a3").mismatch(data) == "Owner"
