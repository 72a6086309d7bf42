"""How a test of an application uses the fixture: play, look at what was asked, push, break, answer in Python."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from cometreel.engine import Notification, Response
from cometreel.engine.responders import ResponderRequest
from cometreel.pytest_plugin import Reel
from tests.replay.desktop import AgentApplication

PLACE = {"workbinType": "Place", "workbinOwner": "Place1"}


@pytest.fixture
def stats(reel: Reel, scenarios: Path) -> Reel:
    """The replies and notifications about statistics, without delay."""
    return reel.play(scenarios / "request_agent_stats.yaml", speed=0)


def test_the_answer_comes_over_the_poll(stats: Reel):
    with AgentApplication(stats.url) as application:
        promised = application.request_stats(**PLACE)
        application.poll()
    (answer,) = application.messages
    assert answer["messageType"] == "WorkbinStatsMessage"
    assert answer["referenceId"] == promised["referenceId"]


def test_calls_lists_the_requests_of_the_application(stats: Reel):
    with AgentApplication(stats.url) as application:
        application.request_stats()
        application.request_stats(**PLACE)
    assert [call.operation for call in stats.calls] == ["RequestAgentStats", "RequestAgentStats"]
    (call,) = stats.calls(operation="RequestAgentStats", owner_type="Place")
    assert (call.owner, call.user, call.exchange, call.status) == ("Place1", "agent-1", "stats of place Place1", 200)


def test_something_happens_on_the_servers_side(stats: Reel):
    """A colleague has put something into the workbin: nobody here asked for it."""
    with AgentApplication(stats.url) as application:
        stats.push("/v2/me/workbins", {"messageType": "WorkbinStateChangeMessage", "action": "ItemAdded"})
        application.poll()
    assert application.messages == [{"messageType": "WorkbinStateChangeMessage", "action": "ItemAdded"}]


def test_a_push_reaches_only_its_session(stats: Reel):
    with AgentApplication(stats.url, "agent-1") as one, AgentApplication(stats.url, "agent-2") as two:
        stats.push("/v2/me/workbins", {"for": "two"}, user="agent-2")
        stats.push("/v2/me/workbins", {"for": "one"}, session=1)
        one.poll()
        two.poll()
    assert (one.messages, two.messages) == ([{"for": "one"}], [{"for": "two"}])


def test_the_server_fails_once(stats: Reel):
    """The second request for this place, and no other one."""
    stats.fault({"exchange": "stats of place Place1", "nth": 2, "status": 503, "body": {"statusCode": 4}})
    with AgentApplication(stats.url) as application:
        assert [application.request_stats(**PLACE)["statusCode"] for _ in range(3)] == [0, 4, 0]


def test_a_notification_is_lost(stats: Reel):
    stats.fault({"exchange": "stats of place Place1", "drop-event": 1})
    with AgentApplication(stats.url) as application:
        application.request_stats(**PLACE)
        application.request_stats()
        application.poll()
    assert [message["workbinStats"].popitem()[1]["Type"] for message in application.messages] == ["Agent"]


def test_an_answer_in_python(stats: Reel):
    """For what YAML can't say. `None` leaves a request to the scenario."""

    @stats.register
    def count(asked: ResponderRequest) -> Response | None:
        if asked.path != "/api/v2/workbins" or not isinstance(asked.body, dict) or "workbinOwner" not in asked.body:
            return None
        owner = asked.body["workbinOwner"]
        return Response({"statusCode": 0, "referenceId": 7}, events=[Notification("/v2/me/workbins", {"owner": owner})])

    with AgentApplication(stats.url) as application:
        assert application.request_stats(workbinOwner="Place77")["referenceId"] == 7
        application.poll()
    assert application.messages == [{"owner": "Place77"}]


def test_an_application_that_asks_for_what_is_not_there(stats: Reel):
    """The scenario doesn't answer this, and the test says that it means it."""
    stats.allow_unmatched()
    with AgentApplication(stats.url) as application:
        assert "nearest" in application.request_stats(workbinType="Place", workbinOwner="Place9")
    assert [call.outcome for call in stats.calls] == ["missed"]


@pytest.mark.reel("../../scenarios/not_logged_in.yaml", auth="session")
def test_without_a_login(reel: Reel):
    assert httpx.get(reel.url + "/api/v2/me").json()["statusCode"] == 20
