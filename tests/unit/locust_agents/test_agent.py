"""An agent against the replay engine in virtual time: login, requests, lost sessions and logout."""

from __future__ import annotations

from pathlib import Path

from cometreel.engine import ReplaySettings
from cometreel.jsonvalue import encode
from cometreel.load import OwnerKind, PlannedRequest, expectation_for, request_for
from cometreel.locust_agents.agent import Agent, AgentConfig
from cometreel.locust_agents.scenario_script import read_script
from tests.unit.locust_agents.fake_server import World

SCENARIOS = Path(__file__).parents[3] / "scenarios"
STATS = (SCENARIOS / "request_agent_stats.yaml").read_text()
LOGIN = (SCENARIOS / "login_workload.yaml").read_text()
SEEDED = ReplaySettings(seed="test")
CALL = request_for(OwnerKind.PLACE, "Place1")
PLACE = PlannedRequest(OwnerKind.PLACE.entry, expectation_for(OwnerKind.PLACE, "Place1"))


def request_stats(world: World, agent: Agent) -> bool:
    return agent.request(PLACE, CALL.path, encode(CALL.body), world.time)


def faulty(scenario: str, fault: str) -> str:
    return f"{scenario}\nfaults:\n  - {fault}\n"


def test_handshake_subscription_poll_and_answer():
    world = World(STATS, SEEDED, AgentConfig())
    agent = world.agent()
    world.advance(1.0)
    assert (agent.ready.is_set(), agent.connected, agent.can_push, world.logins) == (True, True, True, [""])
    assert request_stats(world, agent)
    world.advance(1.0)
    assert world.outcomes == ["Acknowledged", "Answered"]
    assert world.requests == [
        "POST /api/v2/notifications/handshake",
        "POST /api/v2/notifications/",
        "POST /api/v2/notifications/connect",
        "POST /api/v2/notifications/connect",
        "POST /api/v2/workbins",
        "POST /api/v2/notifications/connect",
    ]
    assert (agent.in_flight, agent.idle) == (0, True)


def test_polls_are_repeated():
    world = World(STATS, SEEDED, AgentConfig())
    agent = world.agent()
    world.advance(100.0)
    assert agent.can_push
    assert world.requests.count("POST /api/v2/notifications/connect") == 2 + 3


def test_login_and_logout_are_those_of_a_desktop():
    world = World(LOGIN, SEEDED, AgentConfig(login="session", after_login=("Subscribe",)))
    agent = world.agent()
    world.advance(5.0)
    assert (agent.ready.is_set(), bool(agent.user_id)) == (True, True)
    assert world.requests[:2] == ["GET /api/v2/me?subresources=features,devices,channels"] * 2
    assert "GET /api/v2/workbins?fields=*" in world.requests
    assert world.outcomes == ["Acknowledged"] * 4
    agent.log_out()
    world.advance(1.0)
    assert agent.logged_out.is_set()
    assert [each for each in world.requests[-3:] if "connect" not in each or "disconnect" in each] == [
        "POST /api/v2/notifications/disconnect",
        "POST /api/v2/me",
    ]
    agent.close()
    assert not request_stats(world, agent)


def test_retries_slow_down_while_the_server_is_down():
    world = World(STATS, SEEDED, AgentConfig())
    world.down = True
    agent = world.agent()
    world.advance(60.0)
    tries = len(world.requests)
    assert 5 < tries < 40
    assert not agent.ready.is_set()
    assert not request_stats(world, agent)
    world.down = False
    world.advance(60.0)
    assert agent.ready.is_set()
    assert request_stats(world, agent)


def test_handshake_and_subscription_after_402():
    world = World(STATS, SEEDED, AgentConfig())
    agent = world.agent()
    world.advance(1.0)
    first = world.requests.count("POST /api/v2/notifications/handshake")
    world.down = True
    world.advance(45.0)  # longer than the server waits for the next poll
    world.down = False
    world.advance(60.0)
    assert (agent.connected, agent.can_push) == (True, True)
    assert world.requests.count("POST /api/v2/notifications/handshake") == first + 1
    assert "SessionLost" in world.outcomes
    assert request_stats(world, agent)
    world.advance(1.0)
    assert world.outcomes[-2:] == ["Acknowledged", "Answered"]


def test_an_unanswered_request_is_lost_after_the_patience():
    scenario = faulty(STATS, "{exchange: stats of place Place1, drop-event: true}")
    world = World(scenario, SEEDED, AgentConfig(patience=3.0))
    agent = world.agent()
    world.advance(1.0)
    request_stats(world, agent)
    world.advance(2.9)
    assert world.outcomes == ["Acknowledged"]
    world.advance(0.2)
    assert world.outcomes == ["Acknowledged", "Lost"]
    assert agent.idle


def test_queued_requests_are_unsent_after_close():
    world = World(STATS, SEEDED, AgentConfig())
    agent = world.agent()
    world.advance(1.0)
    for _ in range(3):
        request_stats(world, agent)
    agent.close()
    assert world.unsent_count == 2
    assert agent.in_flight == 0


def test_notifications_of_subscriptions_are_not_unexpected():
    """The scenario has one workbin without a referenceId, a group with one, and several workbins with one each."""
    world = World((SCENARIOS / "subscribe.yaml").read_text(), SEEDED, AgentConfig())
    agent = world.agent()
    world.advance(1.0)
    one = "861640a2-7c64-4c0b-9d7e-1f6f0c5a0001"
    lines = read_script([SCENARIOS / "subscribe.yaml"], 1.0).requests_of(0)
    assert agent.request(
        PlannedRequest("one", None), f"/api/v2/me/workbins/{one}", encode({"operationName": "Subscribe"}), 1.0
    )
    for line in lines:
        assert line.body is not None
        assert agent.request(PlannedRequest(line.name, None), line.path, encode(line.body), world.time)
    world.advance(5.0)
    assert world.outcomes == ["Acknowledged"] * (1 + len(lines))
    assert any("workbinIds" in line.path for line in lines)
    assert any("Group=" in line.path for line in lines)


def test_a_failed_login_is_repeated_until_the_server_accepts_it():
    world = World(LOGIN, SEEDED, AgentConfig(login="session"))
    world.down = True
    agent = world.agent()
    world.advance(5.0)
    assert {*world.logins} == {"login failed: the connection was refused"}
    assert not agent.ready.is_set()
    world.down = False
    world.advance(60.0)
    assert (agent.ready.is_set(), world.logins[-1]) == (True, "")


def test_an_agent_is_idle_when_its_last_queued_request_is_refused():
    world = World(faulty(STATS, "{exchange: stats of place Place1, status: 500}"), SEEDED, AgentConfig())
    agent = world.agent()
    world.advance(1.0)
    refused_before: list[int] = []
    agent.on_idle = lambda: refused_before.append(len(world.outcomes))
    for _ in range(3):
        request_stats(world, agent)
    world.advance(1.0)
    assert (world.outcomes, refused_before) == (["Refused"] * 3, [3])


def test_a_401_right_after_the_login_does_not_log_in_again():
    """The request may have been sent before the login."""
    scenario = faulty(LOGIN, "{exchange: subscribe to each workbin, status: 401}")
    world = World(scenario, SEEDED, AgentConfig(login="session", after_login=("Subscribe",)))
    world.agent()
    world.advance(4.0)
    assert "Refused" in world.outcomes
    assert sum(each.startswith("GET /api/v2/me?") for each in world.requests) == 2
