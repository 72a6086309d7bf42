"""Scenarios as requests of agents: times, owners and skipped exchanges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSONObject
from cometreel.load import PlannedRequest, read_owners
from cometreel.locust_agents.scenario_script import AnyAnswer, ScriptedRequest, read_script

SCENARIOS = Path(__file__).parents[3] / "scenarios"
SCENARIO = """
cometreel: 1
roles: {one: {user: ann}, two: {user: ben}}
exchanges:
  - name: services
    request: {method: GET, path: /api/v2/services, query: {fields: "*"}}
    reply: {after: 100ms, status: 200, body: {statusCode: 0}}
  - name: stats
    as: two
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: P1}
    reply: {after: 30ms, status: 200, body: {statusCode: 0, referenceId: 1}}
    events: [{after: 300ms, channel: /v2/me/workbins, data: {messageType: WorkbinStatsMessage, referenceId: 1}}]
  - name: add
    request:
      method: POST
      path: [api, v2, workbins, {$one-of: [w1, w2]}]
      body: {$partial: {operationName: AddInteraction, id: i}}
    reply: {after: 50ms, status: 200, body: {statusCode: 0, referenceId: 2}}
  - name: refused
    request: {method: GET, path: /api/v2/me}
    reply: {status: 403, body: {statusCode: 20}}
  - name: a pattern
    request: {method: GET, path: {$regex: "/x.*"}}
  - name: a publish
    request: {publish: /service/chat, data: {}}
  - name: the end
    request: {method: POST, path: /api/v2/me, body: {operationName: EndContactCenterSession}}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    return path


def test_a_request_starts_when_the_exchange_before_it_is_over(scenario: Path):
    script = read_script([scenario], 2.0)
    services = ScriptedRequest(0.0, "GET services", "/api/v2/services?fields=*", None, expects_notification=False)
    body: JSONObject = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "P1"}
    stats = ScriptedRequest(0.05, "POST stats", "/api/v2/workbins", body, expects_notification=True)
    add = ScriptedRequest(
        0.2,
        "POST add",
        "/api/v2/workbins/w1",
        {"operationName": "AddInteraction", "id": "i"},
        expects_notification=False,
    )
    assert script.roles == ((services, add), (services, stats, add))
    assert script.seconds == pytest.approx(0.225)
    assert [script.requests_of(agent) for agent in range(3)] == [script.roles[0], script.roles[1], script.roles[0]]


def test_agents_subscribe_to_the_channels_of_the_notifications():
    channels = {"/v2/me/workbins", "/v2/me/workitems", "/v2/me/emails", "/v2/me/chats"}
    assert set(read_script([SCENARIOS / "add_and_pull.yaml"], 1.0).channels) == channels


@pytest.mark.parametrize(("deliver", "expected"), [("asker", True), ("subscribers", True), ("all", True), ("b", False)])
def test_a_notification_for_another_role_is_not_expected(deliver: str, expected: bool, tmp_path: Path):
    path = tmp_path / "roles.yaml"
    path.write_text(
        "cometreel: 1\nroles: {a: {}, b: {}}\nexchanges:\n  - name: ask\n"
        "    request: {method: POST, path: /x, body: {operationName: Ask}}\n"
        f"    events: [{{channel: /c, data: {{referenceId: 1}}, deliver: {deliver}}}]\n"
    )
    (line,) = read_script([path], speed=1.0).requests_of(0)
    assert line.expects_notification is expected


def test_skipped_exchanges_have_a_reason(scenario: Path):
    assert read_script([scenario], 1.0).skipped == {
        "refused": "the recorded reply is an error",
        "a pattern": "$regex matches a value that the scenario doesn't contain",
        "a publish": "it is a CometD publish",
        "the end": "it ends the session",
    }


def test_owners_are_replaced_by_agent_and_kind():
    owners = read_owners(["place=Place{1..3}", "user=u{1..2}"])
    script = read_script([SCENARIOS / "request_agent_stats.yaml"], 1.0)
    prepared = [line.prepare(4, owners, "own-id") for line in script.requests_of(0)]
    assert [
        (planned.entry, planned.expectation and planned.expectation.owner, path, json.loads(body or b"null"))
        for planned, path, body in prepared
    ] == [
        ("RequestAgentStats Agent", "own-id", "/api/v2/workbins", {"operationName": "RequestAgentStats"}),
        (
            "RequestAgentStats Place",
            "Place2",
            "/api/v2/workbins",
            {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place2"},
        ),
        (
            "RequestAgentStats AgentGroup",
            "ServiceAgentGroup",
            "/api/v2/workbins",
            {"operationName": "RequestAgentStats", "workbinType": "AgentGroup", "workbinOwner": "ServiceAgentGroup"},
        ),
        (
            "RequestAgentStats PlaceGroup",
            "ServicePlaceGroup",
            "/api/v2/workbins",
            {"operationName": "RequestAgentStats", "workbinType": "PlaceGroup", "workbinOwner": "ServicePlaceGroup"},
        ),
        ("RequestAgentStats User", "u1", "/api/v2/users/u1/workbins", {"operationName": "RequestAgentStats"}),
    ]


def test_other_operations_accept_any_notification_with_their_reference():
    line = ScriptedRequest(0.0, "POST x", "/x", {"operationName": "Other"}, expects_notification=True)
    assert line.prepare(0, read_owners([]), None) == (
        PlannedRequest("POST x", AnyAnswer()),
        "/x",
        b'{"operationName":"Other"}',
    )
    assert AnyAnswer().mismatch({"messageType": "Whatever"}) == ""


def test_a_scenario_without_requests_is_refused(tmp_path: Path):
    (tmp_path / "empty.yaml").write_text("cometreel: 1\nexchanges: []\n")
    with pytest.raises(OptionInvalid, match="none of its requests can be sent"):
        read_script([tmp_path / "empty.yaml"], 1.0)


WITHOUT_REQUESTS = {"chat_publish"}  # it has publishes only


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(SCENARIOS.glob("*.yaml")) if path.stem not in WITHOUT_REQUESTS],
    ids=lambda path: path.stem,
)
def test_every_shipped_scenario_has_requests(path: Path):
    assert any(read_script([path], 1.0).roles)
