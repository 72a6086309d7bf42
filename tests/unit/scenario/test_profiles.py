"""Correlation profiles: included ones, and extensions in a scenario."""

from __future__ import annotations

import pytest

from cometreel.scenario import loads, profile, profile_names
from cometreel.scenario.json_pointer import parse_pointer


def test_two_profiles_are_included() -> None:
    assert profile_names() == ["gws-v2", "workspace-v3"]


@pytest.mark.parametrize("name", profile_names())
def test_an_included_profile_is_valid(name: str) -> None:
    known = profile(name)
    assert known.name == name
    assert known.reply
    assert known.event
    assert known.window_seconds > 0
    for pointer in (*known.reply, *known.map, *known.event, *known.request, *known.volatile):
        assert parse_pointer(pointer)


def test_workspace_v3_correlates_by_an_id_chosen_by_the_client() -> None:
    assert profile("workspace-v3").request == ("/operationId",)


def test_a_scenario_can_extend_a_profile() -> None:
    written = "cometreel: 1\ncorrelation: {extends: gws-v2, name: mine, window: 5s, volatile: [/a, /b/*]}"
    mine = loads(written).profile
    assert (mine.name, mine.window_seconds, mine.volatile) == ("mine", 5.0, ("/a", "/b/*"))
    assert (mine.reply, mine.fallback) == (profile("gws-v2").reply, profile("gws-v2").fallback)


def test_without_correlation_the_profile_is_empty() -> None:
    assert loads("cometreel: 1").profile.reply == ()


def test_an_unknown_profile_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        profile("gws-v3")


@pytest.mark.parametrize(("in_event", "in_timeline", "highest"), [(60, 61, 61), (70, 61, 70), (1, "true", 57)])
def test_the_highest_reference_number_of_a_scenario_is_found(in_event: int, in_timeline: object, highest: int) -> None:
    scenario = loads(f"""\
cometreel: 1
correlation: gws-v2
exchanges:
  - name: a
    request: {{method: POST, path: /x}}
    reply: {{body: {{referenceId: 7, other: 99, referenceIds: {{u: 56, v: 57}}}}}}
    events: [{{channel: /a, data: {{referenceId: {in_event}}}}}]
timeline:
  - {{channel: /a, data: {{referenceId: {in_timeline}}}}}
""")
    assert scenario.highest_ref == highest
