"""Correlation of notifications and requests, in every order in which they can arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from typing import Any
from urllib.parse import quote

import pytest

from cometreel.jsonvalue import JSON
from cometreel.recording import Distilled, distill
from cometreel.scenario import CorrelationBlock, ExchangeBlock
from cometreel.wire import Headers

WORKBINS = ["861640a2-0000-4000-8000-000000000001", "861640a2-0000-4000-8000-000000000002"]
STATS: JSON = {"operationName": "RequestAgentStats"}


def event(**data: JSON) -> JSON:
    return {"channel": "/v2/me/workbins", "data": data}


def stats(reference: int, count: int = 0) -> JSON:
    return event(messageType="WorkbinStatsMessage", referenceId=reference, count=count)


def subscribed(workbin: str, state: str = "Subscribed", **more: JSON) -> JSON:
    return event(messageType="WorkbinSubscriptionStateChangeMessage", stateResource=state, id=workbin, **more)


def events_of(distilled: Distilled) -> dict[str, list[JSON]]:
    """Return the numbers or ids of the events by exchange name; those of the timeline as `timeline`."""
    found = {
        exchange.name: [short(item.data) for item in exchange.events or []]
        for exchange in distilled.file.exchanges or []
    }
    found["timeline"] = [short(entry.data) for entry in distilled.file.timeline or []]
    return found


def short(data: Any) -> Any:
    return data.get("referenceId", data.get("operationId", data.get("id", data.get("text")))) if data else data


def afters(exchange: ExchangeBlock) -> list[JSON]:
    return [exchange.reply.after if exchange.reply else None, *[item.after for item in exchange.events or []]]


def test_a_notification_after_the_reply(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    post = wire.request(1, "POST", "/api/v2/workbins", STATS, session="s1")
    wire.reply(1.034, post, {"statusCode": 0, "referenceId": 66})
    wire.poll(0.5, 1.12, "c1", stats(66), session="s1")
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [66], "timeline": []}
    assert [afters(exchange) for exchange in distilled.file.exchanges] == [["34ms", "120ms"]]


def test_a_notification_before_the_reply(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    post = wire.request(1, "POST", "/api/v2/workbins", STATS, session="s1")
    wire.poll(0.5, 1.02, "c1", stats(66), session="s1")
    wire.reply(3, post, {"statusCode": 0, "referenceId": 66})
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [66], "timeline": []}
    assert [afters(exchange) for exchange in distilled.file.exchanges] == [["2s", "20ms"]]


@pytest.mark.parametrize("order", list(permutations(["reply 1", "reply 2", "event 1", "event 2"])))
def test_concurrent_requests_are_correlated_in_every_order(wire: Any, order: tuple[str, ...]) -> None:
    wire.login(0, "s1", "c1")
    flows = {}
    for number, owner in enumerate(("Place1", "Place2"), 1):
        body = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": owner}
        flows[f"reply {number}"] = wire.request(1 + number / 1000, "POST", "/api/v2/workbins", body, session="s1")
    for step, what in enumerate(order):
        number = int(what[-1])
        if what.startswith("reply"):
            wire.reply(1.1 + step, flows[what], {"statusCode": 0, "referenceId": 65 + number})
        else:
            wire.poll(1.05 + step, 1.1 + step, "c1", stats(65 + number), session="s1")
    assert events_of(wire.distil()) == {"stats of place Place1": [66], "stats of place Place2": [67], "timeline": []}


@pytest.mark.parametrize("reply_first", [True, False])
def test_one_request_gets_many_notifications_by_the_map(wire: Any, *, reply_first: bool) -> None:
    wire.login(0, "s1", "c1")
    path = f"/api/v2/me/workbins?workbinIds={WORKBINS[0]},{WORKBINS[1]}"
    post = wire.request(1, "POST", path, {"operationName": "Subscribe"}, session="s1")
    wire.reply(1.1 if reply_first else 2, post, {"referenceIds": {WORKBINS[0]: 56, WORKBINS[1]: 57}})
    wire.poll(0.5, 1.5, "c1", subscribed(WORKBINS[1], referenceId=57), session="s1")
    wire.poll(1.5, 1.6, "c1", subscribed(WORKBINS[0], referenceId=56), session="s1")
    distilled = wire.distil()
    assert events_of(distilled) == {"subscribe my workbins 1, 2": [57, 56], "timeline": []}
    assert {kind: number for kind, number in distilled.summary.correlated.items() if number} == {"map": 2}


def test_without_a_reference_the_workbin_and_the_type_are_used(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    for at, operation in ((1, "Subscribe"), (2, "Unsubscribe")):
        for number, workbin in enumerate(WORKBINS):
            path = f"/api/v2/workbins/{workbin}"
            wire.call(at + number / 10, "POST", path, {"operationName": operation}, {"statusCode": 0}, session="s1")
    for at, state in ((3, "Subscribed"), (4, "Unsubscribed")):
        for number, workbin in enumerate(reversed(WORKBINS)):
            wire.poll(at, at + number / 10, "c1", subscribed(workbin, state), session="s1")
    wire.poll(5, 6, "c1", subscribed(WORKBINS[0], "Subscribed"), session="s1")
    distilled = wire.distil()
    assert events_of(distilled) == {
        "subscribe workbin 1": [WORKBINS[0]],
        "subscribe workbin 2": [WORKBINS[1]],
        "unsubscribe workbin 1": [WORKBINS[0]],
        "unsubscribe workbin 2": [WORKBINS[1]],
        "timeline": [WORKBINS[0]],  # each request has one answer; this one is unsolicited
    }
    assert distilled.summary.correlated["fallback"] == 4


@pytest.mark.parametrize("order", list(permutations(["group", "own"])))
def test_a_request_that_is_answered_by_reference_gets_no_other_notification(wire: Any, order: tuple[str, ...]) -> None:
    """Only one of two notifications for the same workbin has a reference: each is matched to its request."""
    wire.login(0, "s1", "c1")
    path = f"/api/v2/me/workbins/{WORKBINS[0]}"
    body = {"operationName": "Subscribe"}
    wire.call(1, "POST", f"{path}?agentGroup=G", body, {"statusCode": 0, "referenceId": 9}, session="s1")
    wire.call(1.1, "POST", path, body, {"statusCode": 0, "referenceId": 10}, session="s1")
    events = {"group": subscribed(WORKBINS[0], agentGroup="G", referenceId=9), "own": subscribed(WORKBINS[0])}
    for at, which in enumerate(order, 2):
        wire.poll(at, at + 0.1, "c1", events[which], session="s1")
    assert events_of(wire.distil()) == {
        "subscribe my workbin 1 of group G": [9],
        "subscribe my workbin 1": [WORKBINS[0]],
        "timeline": [],
    }


def test_two_sessions_with_equal_references_are_kept_apart(wire: Any) -> None:
    for number in (1, 2):
        wire.login(0.1 * number, f"s{number}", f"c{number}", f"agent.{number}")
    posts = [wire.request(1 + n / 10, "POST", "/api/v2/workbins", STATS, session=f"s{n}") for n in (1, 2)]
    for number in (2, 1):
        wire.poll(1.2, 2 + number, f"c{number}", stats(7, count=number), session=f"s{number}")
    for number, post in enumerate(posts, 1):
        wire.reply(6, post, {"statusCode": 0, "referenceId": 7})
        assert number
    exchanges = wire.distil().file.exchanges
    played = [(e.as_, [item.data["count"] for item in e.events]) for e in exchanges if e.events]
    assert played == [("agent-1", [1]), ("agent-2", [2])]


def test_a_client_without_cookies_is_identified_by_its_client_id(wire: Any) -> None:
    for number in (1, 2):
        wire.login(0.1 * number, "", f"c{number}")
    publishes = [
        wire.bayeux(1, [{"channel": "/service/chat", "id": "5", "clientId": f"c{n}", "data": {"operation": "join"}}])
        for n in (1, 2)
    ]
    for number, publish in enumerate(publishes, 1):
        wire.reply(1.1, publish, [{"channel": "/service/chat", "data": {"id": f"room {number}"}},
                                   {"channel": "/service/chat", "id": "5", "successful": True}])  # fmt: skip
    distilled = wire.distil()
    assert events_of(distilled) == {
        "publish /service/chat join": ["room 1"],
        "publish /service/chat join (2)": ["room 2"],
        "timeline": [],
    }
    assert [exchange.as_ for exchange in distilled.file.exchanges] == ["agent-1", "agent-2"]
    assert distilled.file.session.cookie == "none"
    assert distilled.file.bayeux.require_cookie is False


def test_a_reference_used_again_belongs_to_the_latest_request(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    for at, count in ((1, 1), (10, 2)):
        wire.call(at, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
        wire.poll(at, at + 1, "c1", stats(5, count), session="s1")
    exchanges = wire.distil().file.exchanges
    assert [[item.data["count"] for item in exchange.events] for exchange in exchanges] == [[1], [2]]


def test_a_notification_outside_the_window_is_in_the_timeline(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    wire.poll(20, 31.5, "c1", stats(5), session="s1")
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [], "timeline": [5]}
    assert (distilled.file.timeline[0].since, distilled.file.timeline[0].after) == ("stats of my workbins", "30.5s")


@pytest.mark.parametrize("meta", ["handshake", "subscribe", "connect", "publish", "unsubscribe", "disconnect"])
def test_messages_are_read_from_any_bayeux_reply(wire: Any, meta: str) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    channel = "/service/x" if meta == "publish" else f"/meta/{meta}"
    flow = wire.bayeux(1.5, [{"channel": channel, "id": "7", "clientId": "c1"}], session="s1")
    answer: JSON = {"channel": channel, "id": "7", "successful": True}
    wire.reply(1.6, flow, [stats(5), answer])
    assert events_of(wire.distil())["stats of my workbins"] == [5]


def test_redelivered_messages_are_detected(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    wire.poll(1.1, 1.2, "c1", stats(5), session="s1", acknowledges=0, batch=1)
    wire.poll(1.3, 1.4, "c1", stats(5), stats(6), session="s1", acknowledges=0, batch=2)  # 1 was never acknowledged
    wire.poll(1.5, 1.6, "c1", stats(6), session="s1", acknowledges=2, batch=3)  # acknowledged: a new one like it
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [5], "timeline": [6, 6]}
    assert distilled.summary.left_out == ["a redelivered message (not acknowledged in time)"]


def test_a_client_that_starts_after_a_message_gets_no_copy_of_it(wire: Any) -> None:
    """A page that was reloaded disconnects, and its new client receives an equal message soon."""
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    wire.poll(1, 2, "c1", stats(5), session="s1")
    wire.login(3, "s1", "c2")
    wire.poll(3.5, 4, "c2", stats(5), session="s1")
    distilled = wire.distil()
    assert (events_of(distilled), distilled.summary.left_out) == (
        {"stats of my workbins": [5, 5], "timeline": []},
        [],
    )


def test_a_second_cometd_client_of_a_session_gets_copies_that_are_written_once(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.login(0.1, "s1", "c2")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    wire.poll(0.5, 1.2, "c2", stats(5), session="s1")
    wire.poll(0.5, 1.3, "c1", stats(5), session="s1")
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [5], "timeline": []}
    assert distilled.summary.left_out == ["a copy for another CometD client of the same session"]


def test_all_messages_that_are_redelivered_together_are_detected(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.poll(1, 2, "c1", stats(5), stats(6), session="s1", acknowledges=0, batch=1)
    wire.poll(3, 4, "c1", stats(5), stats(6), stats(7), session="s1", acknowledges=0, batch=2)
    distilled = wire.distil()
    assert events_of(distilled)["timeline"] == [5, 6, 7]
    assert distilled.summary.left_out == ["2 times a redelivered message (not acknowledged in time)"]


@pytest.mark.parametrize(("first", "copies"), [(1, 1), (2, 2)])
def test_each_copy_belongs_to_one_message(wire: Any, first: int, copies: int) -> None:
    """One CometD client of a session receives an equal message once or twice, the other one twice."""
    wire.login(0, "s1", "c1")
    wire.login(0.1, "s1", "c2")
    wire.poll(1, 2, "c1", *[stats(5)] * first, session="s1")
    wire.poll(1, 2.1, "c2", stats(5), stats(5), session="s1")
    distilled = wire.distil()
    assert events_of(distilled)["timeline"] == [5, 5]
    (line,) = distilled.summary.left_out
    assert line.startswith("2 times") == (copies == 2)


def test_an_equal_message_for_another_client_of_a_session_long_afterwards_is_no_copy(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.login(0.1, "s1", "c2")
    wire.poll(1, 2, "c1", stats(5), session="s1")
    wire.poll(1, 9, "c2", stats(5), session="s1")
    assert events_of(wire.distil())["timeline"] == [5, 5]


def test_a_rejected_subscription_starts_no_timeline_entry(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    message: JSON = {"channel": "/meta/subscribe", "id": "2", "clientId": "c1", "subscription": "/closed"}
    flow = wire.bayeux(1, [message], session="s1")
    refused: JSON = {"channel": "/meta/subscribe", "id": "2", "successful": False, "error": "403::denied"}
    wire.reply(1, flow, [refused])
    wire.poll(1, 3, "c1", stats(5), session="s1")
    (entry,) = wire.distil().file.timeline or []
    assert (entry.since, entry.after) == ("connect", "2s")


def test_notifications_are_correlated_by_the_operation_id_of_the_workspace_api(wire_of: Callable[..., Any]) -> None:
    wire = wire_of(profile_name="workspace-v3")
    wire.login(0, "s1", "c1")
    for at, operation in ((1, "op-a"), (1.1, "op-b")):
        body = {"operationId": operation, "data": {"id": at}}
        answer = {"status": {"code": 1}, "operationId": operation}
        wire.call(at, "POST", "/workspace/v3/workbins/get-contents", body, answer, session="s1")
    for at, operation in ((2, "op-b"), (3, "op-a")):
        message = {"messageType": "WorkbinsMessage", "name": "EventWorkbinContent", "operationId": operation}
        wire.poll(at - 0.5, at, "c1", {"channel": "/workspace/v3/workbins", "data": message}, session="s1")
    distilled = wire.distil()
    assert list(events_of(distilled).values()) == [["op-a"], ["op-b"], []]
    assert distilled.file.correlation == "workspace-v3"


def test_a_publish_gets_its_echo_and_no_other_messages(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    chat: dict[str, JSON] = {"channel": "/chat", "data": {"user": "k", "text": "hi"}}
    flow = wire.bayeux(1, [chat | {"id": "5", "clientId": "c1"}], session="s1")
    other: JSON = {"channel": "/chat", "data": {"user": "x", "text": "ho"}}
    wire.reply(1.1, flow, [other, chat, {"channel": "/chat", "id": "5", "successful": True}])
    distilled = wire.distil()
    assert [len(distilled.file.exchanges[0].events), len(distilled.file.timeline)] == [1, 1]
    assert distilled.file.exchanges[0].request.data == {"user": {"$any": "string"}, "text": {"$any": "string"}}
    assert distilled.file.exchanges[0].reply.successful is True


def test_notifications_in_websocket_frames_are_correlated(wire: Any) -> None:
    recorder = wire.recorder
    recorder.opened("w", "ws://gws/api/v2/notifications", Headers([("Cookie", "JSESSIONID=s1")]))

    def say(at: float, message: JSON, *, client: bool) -> None:
        wire.now = 1_700_000_000.0 + at
        recorder.frame("w", client, json.dumps([message]))

    say(0, {"channel": "/meta/handshake", "id": "1"}, client=True)
    say(0.1, {"channel": "/meta/handshake", "id": "1", "successful": True, "clientId": "c1"}, client=False)
    say(0.2, {"channel": "/meta/connect", "id": "2", "clientId": "c1"}, client=True)
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    say(1.2, stats(5), client=False)
    say(1.3, {"channel": "/service/chat", "id": "3", "clientId": "c1", "data": {"operation": "join"}}, client=True)
    say(1.4, {"channel": "/service/chat", "id": "3", "successful": True}, client=False)
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [5], "publish /service/chat join": [], "timeline": []}
    assert distilled.file.bayeux.endpoint == "/api/v2/notifications"


def test_the_cookie_of_the_reply_to_an_upgrade_joins_a_websocket_to_calls(wire: Any) -> None:
    recorder = wire.recorder
    for number in (1, 2):
        cookie = Headers([("Set-Cookie", f"JSESSIONID=s{number}-0a1b2c3d; Path=/; HttpOnly")])
        recorder.opened(f"w{number}", "ws://gws/api/v2/notifications", Headers(), cookie)
        recorder.frame(f"w{number}", True, json.dumps([{"channel": "/meta/connect", "clientId": f"c{number}"}]))
    for number in (1, 2):
        body: JSON = {"statusCode": 0, "referenceId": 5}
        wire.call(number, "POST", "/api/v2/workbins", STATS, body, session=f"s{number}-0a1b2c3d")
        recorder.frame(f"w{number}", False, json.dumps([stats(5)]))
    distilled = wire.distil()
    assert events_of(distilled) == {"stats of my workbins": [5], "timeline": []}
    assert (distilled.summary.correlated["reference"], distilled.summary.left_out) == (2, [])
    assert "0a1b2c3d" not in wire.text()


def test_a_publish_without_client_id_is_from_the_client_of_its_websocket(wire: Any) -> None:
    """The clientId of a publish is optional (Bayeux 1.0 §5.1); another client of the session gets a copy."""
    recorder = wire.recorder
    wire.login(0, "s1", "c2")
    recorder.opened("w", "ws://gws/api/v2/notifications", Headers([("Cookie", "JSESSIONID=s1")]))
    wire.now += 1
    recorder.frame("w", True, json.dumps([{"channel": "/meta/connect", "id": "2", "clientId": "c1"}]))
    recorder.frame("w", True, json.dumps([{"channel": "/service/chat", "id": "3", "data": {"operation": "join"}}]))
    recorder.frame("w", False, json.dumps([stats(5)]))
    wire.poll(1, 2, "c2", stats(5), session="s1")
    distilled = wire.distil()
    assert events_of(distilled) == {"publish /service/chat join": [], "timeline": [5]}
    assert distilled.summary.left_out == ["a copy for another CometD client of the same session"]


def test_notifications_of_callback_polling_are_correlated(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    message = quote('[{"channel":"/meta/connect","id":"9","clientId":"c1"}]')
    flow = wire.request(1.1, "GET", f"/api/v2/notifications?jsonp=f1&message={message}", session="s1", wanted=False)
    body = b'/**/f1([{"channel":"/v2/me/workbins","data":{"referenceId":5}},'
    wire.reply(1.2, flow, body + b'{"channel":"/meta/connect","id":"9","successful":true}]);',
                headers=[("Content-Type", "text/javascript")])  # fmt: skip
    assert events_of(wire.distil())["stats of my workbins"] == [5]


def subscribe(wire: Any, at: float, path: str, session: str = "s1", **more: Any) -> None:
    """Ask for a subscription; the reply contains no reference."""
    wire.call(at, "POST", path, {"operationName": "Subscribe"}, {"statusCode": 0}, session=session, **more)


def test_of_two_requests_for_one_workbin_the_first_is_answered_first(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    subscribe(wire, 1, f"/api/v2/workbins/{WORKBINS[0]}?agentGroup=G")
    subscribe(wire, 2, f"/api/v2/workbins/{WORKBINS[0]}")
    wire.poll(2.5, 3, "c1", subscribed(WORKBINS[0], operationId="first"), session="s1")
    wire.poll(3.5, 4, "c1", subscribed(WORKBINS[0], operationId="second"), session="s1")
    assert events_of(wire.distil()) == {
        "subscribe workbin 1 of group G": ["first"],
        "subscribe workbin 1": ["second"],
        "timeline": [],
    }


def test_each_workbin_of_a_list_in_the_query_is_answered(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    subscribe(wire, 1, f"/api/v2/me/workbins?workbinIds={WORKBINS[0]},{WORKBINS[1]}")
    wire.poll(2, 3, "c1", subscribed(WORKBINS[1]), subscribed(WORKBINS[0]), session="s1")
    assert events_of(wire.distil()) == {"subscribe my workbins 1, 2": [WORKBINS[1], WORKBINS[0]], "timeline": []}


def test_a_notification_with_an_unknown_reference_answers_no_request_for_its_workbin(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    subscribe(wire, 1, f"/api/v2/workbins/{WORKBINS[0]}")
    wire.poll(2, 3, "c1", subscribed(WORKBINS[0], referenceId=99), session="s1")
    assert events_of(wire.distil()) == {"subscribe workbin 1": [], "timeline": [99]}


def test_an_answer_by_reference_leaves_other_kinds_of_answers_open(wire: Any) -> None:
    """The subscription of one workbin is answered by its reference and fails later without one."""
    wire.login(0, "s1", "c1")
    body = {"operationName": "Subscribe"}
    wire.call(1, "POST", f"/api/v2/workbins/{WORKBINS[0]}", body, {"referenceId": 9}, session="s1")
    wire.poll(2, 3, "c1", subscribed(WORKBINS[0], referenceId=9), session="s1")
    wire.poll(4, 5, "c1", subscribed(WORKBINS[0], "RequestFailed"), session="s1")
    assert events_of(wire.distil()) == {"subscribe workbin 1": [9, WORKBINS[0]], "timeline": []}


def test_a_call_without_identity_is_answered_by_its_workbin_too(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.login(0, "s2", "c2")
    wire.call(0.5, "GET", "/api/v2/me", None, {"statusCode": 0}, session="s2")
    subscribe(wire, 1, f"/api/v2/workbins/{WORKBINS[0]}", session="")
    wire.poll(2, 3, "c1", subscribed(WORKBINS[0]), session="s1")
    assert events_of(wire.distil()) == {"me": [], "subscribe workbin 1": [WORKBINS[0]], "timeline": []}


@pytest.mark.parametrize(("method", "joined"), [("POST", 1), ("GET", 0)])
def test_a_read_is_not_answered_by_the_value_in_its_path(wire: Any, method: str, joined: int) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, method, "/orders/o-7", None, {"ok": True}, session="s1")
    wire.poll(2, 3, "c1", {"channel": "/orders", "data": {"order": "o-7"}}, session="s1")
    wire.recorder.close()
    rule = {"message": {}, "event": "/order", "request": "path-tail"}
    distilled = distill(wire.path, profile=CorrelationBlock.model_validate({"name": "orders", "fallback": [rule]}))
    assert distilled.summary.correlated["fallback"] == joined


def test_the_id_that_a_client_chooses_joins_a_notification_although_the_reply_does_not_repeat_it(
    wire_of: Callable[..., Any],
) -> None:
    wire = wire_of(profile_name="workspace-v3")
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/workspace/v3/workbins/get", {"operationId": "op-a"}, {"status": {"code": 1}}, session="s1")
    wire.poll(1.5, 2, "c1", {"channel": "/workspace/v3/workbins", "data": {"operationId": "op-a"}}, session="s1")
    assert list(events_of(wire.distil()).values()) == [["op-a"], []]


@pytest.mark.parametrize(("until", "timeline"), [(31, []), (31.001, [5])])
def test_the_window_includes_its_last_moment(wire: Any, until: float, timeline: list[int]) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    wire.poll(20, until, "c1", stats(5), session="s1")
    assert events_of(wire.distil())["timeline"] == timeline


def test_a_rule_that_joins_one_notification_leaves_the_others_unsolicited(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", "/api/v2/workbins", STATS, {"statusCode": 0, "referenceId": 5}, session="s1")
    wire.poll(2, 3, "c1", stats(5), stats(99), session="s1")
    assert wire.distil().summary.lines()[1] == "notifications: 1 by reference, 1 unsolicited"


def publish(wire: Any, at: float, channel: str, number: str, client: str = "c1", session: str = "s1") -> None:
    """Publish the text `hi`; the reply contains no message."""
    message: JSON = {"channel": channel, "id": number, "clientId": client, "data": {"text": "hi"}}
    flow = wire.bayeux(at, [message], session=session)
    wire.reply(at + 0.01, flow, [{"channel": channel, "id": number, "successful": True}])


def events_per_exchange(distilled: Distilled) -> list[int]:
    """Return the number of events of each exchange."""
    return [len(exchange.events or []) for exchange in distilled.file.exchanges or []]


def test_each_of_two_equal_publishes_has_its_echo(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    echo: JSON = {"channel": "/chat", "data": {"text": "hi"}}
    publish(wire, 1, "/chat", "5")
    publish(wire, 2, "/chat", "6")
    wire.poll(2.5, 3, "c1", echo, echo, session="s1")
    wire.poll(3.5, 4, "c1", echo, session="s1")
    distilled = wire.distil()
    assert (distilled.summary.correlated["channel"], len(distilled.file.timeline)) == (2, 1)
    assert events_per_exchange(distilled) == [1]


def test_a_publish_between_two_calls_has_its_echo(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "GET", "/a", None, {"n": 1}, session="s1")
    publish(wire, 2, "/chat", "5")
    wire.call(4, "GET", "/b", None, {"n": 2}, session="s1")
    wire.poll(2.5, 3, "c1", {"channel": "/chat", "data": {"text": "hi"}}, session="s1")
    assert events_per_exchange(wire.distil()) == [0, 1, 0]


@pytest.mark.parametrize(("channel", "events"), [("/service/chat", [1]), ("/service/news", [0])])
def test_a_message_of_a_service_channel_answers_the_publish_on_this_channel_only(
    wire: Any, channel: str, events: list[int]
) -> None:
    wire.login(0, "s1", "c1")
    publish(wire, 1, "/service/chat", "5")
    wire.poll(1.5, 2, "c1", {"channel": channel, "data": {"welcome": True}}, session="s1")
    assert events_per_exchange(wire.distil()) == events
