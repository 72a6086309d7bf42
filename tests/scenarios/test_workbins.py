"""Workbins are subscribed to, filled and emptied."""

from __future__ import annotations

from cometreel.jsonvalue import JSON, JSONObject
from tests.scenarios.conftest import Begin
from tests.scenarios.words import BIN, SUBSCRIBE, TOPIC, UNSUBSCRIBE, accepted, subscribed
from tests.unit.engine.conversation import Received


def test_any_workbin_can_be_subscribed_to_with_or_without_me(begin: Begin) -> None:
    talk = begin("subscribe.yaml")
    agent = talk.client().connects(TOPIC)
    agent.sends("POST", f"/api/v2/workbins/{BIN}42", SUBSCRIBE)
    agent.sends("POST", f"/api/v2/me/workbins/{BIN}42", UNSUBSCRIBE)
    agent.sends("POST", f"/api/v2/me/workbins/{BIN}ff", SUBSCRIBE)
    talk.at(1.0)
    agent.receives(
        (0.034, 200, accepted(50)),
        (0.034, 200, accepted(51)),
        (0.034, 200, accepted(52)),
        (0.12, TOPIC, subscribed(f"{BIN}ff", "RequestFailed")),
        (0.12, TOPIC, subscribed(f"{BIN}42")),
        (0.12, TOPIC, subscribed(f"{BIN}42", "Unsubscribed")),
    )


def test_a_repeated_request_gets_new_reference_numbers_in_its_map(begin: Begin) -> None:
    """No two requests of one session share a number."""
    talk = begin("subscribe.yaml", speed=0)
    agent = talk.client().connects(TOPIC)
    for _ in range(2):
        agent.sends("POST", "/api/v2/workbins", SUBSCRIBE, query=f"workbinIds={BIN}01,{BIN}03")

    def accepted_as(first: int) -> JSONObject:
        return {"statusCode": 0, "referenceIds": {f"{BIN}01": first, f"{BIN}03": first + 1}}

    events: list[Received] = [(0.0, TOPIC, subscribed(f"{BIN}01")), (0.0, TOPIC, subscribed(f"{BIN}03"))]
    agent.receives((0.0, 200, accepted_as(56)), *events, (0.0, 200, accepted_as(68)), *events)


ADDED_BY_ANOTHER: JSONObject = {
    "messageType": "WorkbinStateChangeMessage",
    "action": "ItemAdded",
    "id": f"{BIN}03",
    "chatStateResourceV2": {
        "id": "00016AB14RQD007A",
        "chatType": "Inbound",
        "capabilities": [],
        "participants": [],
        "receivedDate": "2016-04-08 15:06:02.000+0300",
        "userData": {},
    },
}
REMOVED_BY_ANOTHER: JSONObject = {
    "messageType": "WorkbinStateChangeMessage",
    "action": "ItemRemoved",
    "id": f"{BIN}03",
    "chatStateResourceV2": {"id": "00016AB14RQD007A"},
}


def test_a_subscriber_is_notified_of_changes_by_others_until_it_unsubscribes(begin: Begin) -> None:
    talk = begin("add_and_pull.yaml")
    stays, leaves = talk.client("stays").connects(TOPIC), talk.client("leaves").connects(TOPIC)
    for agent in (stays, leaves):
        agent.sends("POST", f"/api/v2/me/workbins/{BIN}03", SUBSCRIBE)
    talk.at(8.0)
    for agent in (stays, leaves):
        agent.receives(
            (0.034, 200, accepted(81)), (0.12, TOPIC, subscribed(f"{BIN}03")), (5.0, TOPIC, ADDED_BY_ANOTHER)
        )
    leaves.sends("POST", f"/api/v2/me/workbins/{BIN}03", UNSUBSCRIBE)
    talk.at(20.0)
    stays.receives((12.0, TOPIC, REMOVED_BY_ANOTHER))
    leaves.receives((8.034, 200, accepted(82)), (8.12, TOPIC, subscribed(f"{BIN}03", "Unsubscribed")))


def test_only_a_subscriber_is_notified_of_the_workbin_that_it_adds_to(begin: Begin) -> None:
    talk = begin("add_and_pull.yaml", speed=0)
    agent = talk.client().connects(TOPIC)
    add: JSONObject = {"operationName": "AddWorkitem", "id": "00016AB14RQD006M"}

    def item(reference: int) -> JSONObject:
        kind: JSONObject = {"messageType": "WorkitemStateChangeMessage", "notificationType": "StatusChange"}
        return {**kind, "workitem": {"id": "00016AB14RQD006M"}, "referenceId": reference}

    agent.sends("POST", f"/api/v2/workbins/{BIN}01", add)
    agent.receives((0.0, 200, accepted(83)), (0.0, "/v2/me/workitems", item(83)))
    agent.sends("POST", f"/api/v2/workbins/{BIN}01", SUBSCRIBE)
    agent.received.clear()
    agent.sends("POST", f"/api/v2/workbins/{BIN}01", add)
    about: JSONObject = {"messageType": "WorkbinStateChangeMessage", "action": "ItemAdded", "id": f"{BIN}01"}
    about |= {"workitemStateResourceV2": {"id": "00016AB14RQD006M"}, "referenceId": 84}
    agent.receives((0.0, 200, accepted(84)), (0.0, "/v2/me/workitems", item(84)), (0.0, TOPIC, about))


def test_a_pulled_work_item_is_removed_in_its_own_session_only(begin: Begin) -> None:
    talk = begin("add_and_pull.yaml", speed=0)
    pulls, looks = talk.client("pulls").connects(TOPIC), talk.client("looks")
    pulls.sends("POST", f"/api/v2/workbins/{BIN}03", {"operationName": "PullWorkitem", "id": "00016AB14RQD006P"})
    assert [what for _, what, _ in pulls.received] == [200, "/v2/me/workitems", TOPIC]
    contents = []
    for agent in (pulls, looks):
        agent.received.clear()
        agent.sends("GET", f"/api/v2/workbins/{BIN}03", query="subresources=*")
        contents.append(agent.received.pop()[2])
    workbin: JSONObject = {"id": f"{BIN}03", "workbinName": "Place Bin", "displayName": "Bin of this place"}
    workbin |= {"uri": f"http://replay:1/api/v2/workbins/{BIN}03", "type": "Place"}
    items: JSON = [{"id": "00016AB14RQD006P", "subject": "Change of address", "userData": {}}]
    assert contents == [
        {"statusCode": 0, "workbin": workbin},
        {"statusCode": 0, "workbin": {**workbin, "workitems": items}},
    ]
