"""The scenarios of two neighbours of Web Services: a chat by publishing, and the Workspace API version 3."""

from __future__ import annotations

from cometreel.jsonvalue import JSON, JSONObject
from tests.scenarios.conftest import Begin
from tests.scenarios.words import BIN, meta
from tests.unit.engine.conversation import Client

CHAT = "/service/chatV2/customer-support"
CLIENT: JSONObject = {"type": "Client", "nickname": "Carla"}
ANN: JSONObject = {"type": "Agent", "nickname": "Ann"}


def send_command(agent: Client, operation: str, **more: JSON) -> None:
    agent.sends_messages({"channel": CHAT, "data": {"operation": operation, **more}})


def test_a_customer_chats_by_publishing(begin: Begin) -> None:
    talk = begin("chat_publish.yaml")
    carla = talk.client().connects(CHAT)
    send_command(carla, "requestChat", firstName="Carla", subject="Broken kettle")
    ((at, channel, first),) = carla.received
    assert (at, channel) == (0.0, CHAT), "it rides on the reply to the publish"
    assert isinstance(first, dict)
    key = first["secureKey"]
    joined: JSONObject = {"type": "ParticipantJoined", "index": 1, "utcTime": "2026-11-24T09:00:00Z", "from": CLIENT}
    assert first == {"secureKey": key, "messages": [joined], "nextPosition": 2}
    carla.received.clear()

    talk.at(3.0)
    time = "2026-11-24T09:00:02Z"
    hello: JSON = [
        {"type": "ParticipantJoined", "index": 2, "utcTime": time, "from": ANN},
        {"type": "Message", "index": 3, "text": "Hello Carla, how can I help?", "utcTime": time, "from": ANN},
    ]
    carla.receives((2.0, CHAT, {"messages": hello, "nextPosition": 4}))

    send_command(carla, "sendMessage", message="It leaks", secureKey=key)
    send_command(carla, "customNotice", message="on page 3", secureKey=key)
    send_command(carla, "disconnect", secureKey=key)
    talk.at(6.0)
    leaks: JSON = [{"type": "Message", "text": "It leaks", "utcTime": "2026-11-24T09:00:00.200Z", "from": CLIENT}]
    left: JSON = [{"type": "ParticipantLeft", "utcTime": "2026-11-24T09:00:00.050Z", "from": ANN}]
    typing: JSON = [{"type": "TypingStarted", "utcTime": "2026-11-24T09:00:01.500Z", "from": ANN}]
    carla.receives(
        (3.05, CHAT, {"messages": left}), (3.2, CHAT, {"messages": leaks}), (4.5, CHAT, {"messages": typing})
    )
    assert meta(carla, CHAT) == [{"channel": CHAT, "successful": True}] * 4


def test_a_message_without_a_key_is_refused(begin: Begin) -> None:
    carla = begin("chat_publish.yaml").client().connects(CHAT)
    send_command(carla, "sendMessage", message="hello?")
    refused: JSONObject = {"channel": CHAT, "successful": False, "error": "403::No chat without a secureKey"}
    assert meta(carla, CHAT) == [refused]


V3 = "/workspace/v3/workbins"


def test_the_operation_id_that_a_client_chooses_comes_back_in_reply_and_notification(begin: Begin) -> None:
    talk = begin("workspace_v3.yaml")
    agent = talk.client().connects(V3)
    assert "WORKSPACE_SESSIONID" in agent.cookies
    agent.sends("POST", f"{V3}/{BIN}09/subscribe", {"operationId": "mine-1"})
    agent.sends("POST", f"{V3}/{BIN}09/subscribe", {"operationId": "mine-2"})
    talk.at(1.0)

    def ack(operation: str) -> JSONObject:
        kind: JSONObject = {"messageType": "WorkbinsMessage", "name": "EventAck", "operationId": operation}
        return {**kind, "operation": "SubscribeWorkbinEvents", "workbinId": f"{BIN}09"}

    agent.receives(
        (0.02, 200, {"status": {"code": 1}, "operationId": "mine-1"}),
        (0.02, 200, {"status": {"code": 1}, "operationId": "mine-2"}),
        (0.1, V3, ack("mine-1")),
        (0.1, V3, ack("mine-2")),
    )


def test_an_added_interaction_is_notified_with_what_was_asked(begin: Begin) -> None:
    talk = begin("workspace_v3.yaml")
    agent = talk.client().connects(V3)
    body: JSONObject = {"operationId": "add-7", "data": {"interactionId": "00016AB14RQD006K"}}
    agent.sends("POST", f"{V3}/{BIN}01/add-interaction", body)
    talk.at(1.0)
    changed: JSONObject = {
        "messageType": "WorkbinsMessage",
        "name": "EventWorkbinContentChanged",
        "operation": "PlaceInWorkbin",
        "workbinContentOperation": "Add",
        "workbin": {"id": f"{BIN}01", "owner": "ann.archer"},
        "interaction": {"id": "00016AB14RQD006K"},
    }
    agent.receives((0.02, 200, {"status": {"code": 1}, "operationId": "add-7"}), (0.1, V3, changed))


def test_a_subscriber_of_version_3_is_notified_of_pulls_by_others(begin: Begin) -> None:
    talk = begin("workspace_v3.yaml")
    agent = talk.client().connects(V3)
    agent.sends("POST", f"{V3}/{BIN}01/subscribe", {})
    talk.at(9.0)
    agent.received.clear()
    talk.at(11.0)
    pulled: JSONObject = {
        "messageType": "WorkbinsMessage",
        "name": "EventWorkbinContentChanged",
        "operation": "Pull",
        "workbinContentOperation": "Remove",
        "workbin": {"id": f"{BIN}01", "owner": "ben.baker"},
        "interaction": {"id": "00016AB14RQD006M"},
    }
    agent.receives((10.0, V3, pulled))
