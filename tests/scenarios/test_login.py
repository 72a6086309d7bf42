"""An agent logs in, as a desktop does it and under each way to be let in."""

from __future__ import annotations

import re

from cometreel.jsonvalue import JSONObject
from cometreel.wire import Reply
from tests.scenarios.conftest import Begin
from tests.scenarios.words import BIN, STATS, SUBSCRIBE, TOPIC, accepted, own_stats, subscribed


def test_an_agent_logs_in_as_a_desktop_does(begin: Begin) -> None:
    talk = begin("login_workload.yaml")
    agent = talk.client()
    agent.sends("GET", "/api/v2/me", query="subresources=features,devices,channels")
    agent.receives((0.0, 403, REFUSED))

    agent.user = "ben.baker"
    agent.sends("GET", "/api/v2/me", query="subresources=features,devices,channels")
    ((_, status, me),) = agent.received
    assert status == 200
    assert isinstance(me, dict)
    assert isinstance(me["user"], dict)
    agent.received.clear()
    identity = me["user"]["id"]
    assert me["user"]["userName"] == "ben.baker"
    assert me["user"]["uri"] == f"http://replay:1/api/v2/users/{identity}"
    assert re.fullmatch("[0-9a-f]{32}", str(identity)), "a user whom no role names has an id all the same"

    agent.user = None  # from here on the cookie is enough
    agent.sends(
        "POST", "/api/v2/me/", {"operationName": "StartContactCenterSession", "channels": ["voice", "workitem"]}
    )
    agent.sends("GET", f"/api/v2/contacts/{identity}", query="type=User")
    agent.receives((0.0, 200, {"statusCode": 0, "contact": {"id": identity}}))
    talk.at(0.1)
    agent.receives((0.056, 200, {"statusCode": 0}))
    agent.connects(TOPIC)
    agent.sends("GET", "/api/v2/diagnostics/version")
    agent.receives((0.1, 200, {"statusCode": 0, "version": "8.5.202.96"}))
    agent.sends("POST", "/api/v2/me/channels/voice", {"operationName": "NotReady"})
    talk.at(1.0)
    agent.receives((0.123, 200, {"statusCode": 0}))


def test_a_desktop_subscribes_to_all_of_its_workbins_at_once(begin: Begin) -> None:
    talk = begin("login_workload.yaml")
    agent = talk.client(user="agent-1").connects(TOPIC)
    workbins = [f"{BIN}0{number}" for number in (1, 2, 3, 4)]
    for workbin in workbins:
        agent.sends("POST", f"/api/v2/me/workbins/{workbin}", SUBSCRIBE)
    talk.at(1.0)
    agent.receives(
        *((0.034, 200, accepted(reference)) for reference in (66, 67, 68, 69)),
        *((0.12, TOPIC, subscribed(workbin)) for workbin in workbins),
    )


REFUSED: JSONObject = {"statusCode": 20, "statusMessage": "Access denied"}


def test_a_login_is_required_even_for_a_handshake(begin: Begin) -> None:
    talk = begin("not_logged_in.yaml", speed=0)
    agent = talk.client()
    agent.sends("GET", "/api/v2/me")
    agent.sends("POST", "/api/v2/workbins", STATS)
    agent.sends_messages({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]})
    agent.receives(*[(0.0, 403, REFUSED)] * 3)
    agent.user = "ann.archer"
    agent.sends("GET", "/api/v2/me", query="subresources=*")
    ((_, status, me),) = agent.received
    assert status == 200
    assert isinstance(me, dict)
    assert isinstance(me["user"], dict)
    agent.received.clear()
    agent.user = None  # the cookie is enough now
    agent.connects(TOPIC)
    agent.sends("POST", "/api/v2/workbins", STATS)
    agent.receives((0.0, 200, accepted(1)), (0.0, TOPIC, own_stats(str(me["user"]["id"]))))


def test_a_post_needs_the_token_that_any_get_announces(begin: Begin) -> None:
    talk = begin("csrf.yaml", speed=0)
    agent = talk.client(user="ann.archer")
    denied: JSONObject = {"statusCode": 3, "statusMessage": "Missing or invalid Csrf token"}
    agent.sends("POST", "/api/v2/workbins", STATS)
    agent.headers = {"X-CSRF-TOKEN": "another session's"}
    agent.sends("POST", "/api/v2/workbins", STATS)
    agent.receives((0.0, 403, denied), (0.0, 403, denied))

    agent.sends("GET", "/api/v2/me")
    assert isinstance(agent.last, Reply)
    announced = agent.last.headers.get("X-CSRF-HEADER")
    assert announced == "X-CSRF-TOKEN"
    agent.headers = {announced: str(agent.last.headers.get(announced))}
    agent.received.clear()
    agent.sends("POST", "/api/v2/workbins", STATS)
    agent.receives((0.0, 200, accepted(1)))
    agent.cookies, agent.headers = {}, {**agent.headers}
    agent.user = None
    agent.sends("POST", "/api/v2/workbins", STATS)
    agent.receives((0.0, 403, denied))


def test_bayeux_messages_need_no_token(begin: Begin) -> None:
    agent = begin("csrf.yaml").client(user="ann.archer").connects(TOPIC)
    assert all(message["successful"] for message in agent.meta)
