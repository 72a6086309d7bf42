"""The rules of the Bayeux server that the golden cases don't contain."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from cometreel.bayeux import AllowAll, EncodedMessage, Message, PolicyResult, PublishResult
from cometreel.wire import Accept, Request

UNKNOWN = {"successful": False, "error": "402::Unknown client"}


# ---------------------------------------------------------------------- connect
def test_the_first_connect_is_answered_immediately_and_the_second_is_held(talk: Any) -> None:
    session = talk.handshake()
    assert session.connect().json == [{"channel": "/meta/connect", "id": "1", "successful": True}]
    poll = session.connect()
    talk.wait(29.9)
    assert poll.held
    talk.wait(0.1)
    assert poll.json == [{"channel": "/meta/connect", "id": "2", "successful": True}]


def test_a_client_disconnect_releases_the_held_poll_with_reconnect_none(talk: Any) -> None:
    session = talk.open()
    poll = session.connect()
    goodbye = session.send(session.message("/meta/disconnect"))
    assert goodbye.json == [{"channel": "/meta/disconnect", "id": "3", "successful": True}]
    assert poll.json == [
        {"channel": "/meta/connect", "id": "2", "successful": True, "advice": {"reconnect": "none"}},
    ]


def test_connect_after_disconnect_is_402_with_reconnect_handshake(talk: Any) -> None:
    session = talk.open()
    session.send(session.message("/meta/disconnect"))
    advice = {"reconnect": "handshake", "interval": 0}
    assert session.connect().json == [{"channel": "/meta/connect", "id": "3", **UNKNOWN, "advice": advice}]


def test_a_held_connect_is_released_by_the_first_message_or_a_whole_batch(talk: Any) -> None:
    session = talk.open()
    poll = session.connect()
    talk.wait(5)
    session.deliver(1, 2)
    assert [message.get("data") for message in poll.json] == [1, 2, None]


def test_messages_delivered_one_by_one_release_the_poll_with_the_first(talk: Any) -> None:
    session = talk.open()
    poll = session.connect()
    session.deliver(1, 2, 3, batch=False)
    assert [message.get("data") for message in poll.json] == [1, None]
    assert session.poll_now() == [2, 3]


def test_a_browser_above_its_limit_is_refused_when_the_interval_is_0(talk_with: Any) -> None:
    talk = talk_with(multi_session_interval=0.0)
    first = talk.open()
    second = talk.open(cookie=first.cookie)
    first.connect()
    assert second.connect().json == [
        {
            "channel": "/meta/connect",
            "id": "2",
            "successful": False,
            "advice": {"multiple-clients": True, "reconnect": "none"},
        }
    ]


@pytest.mark.parametrize(("limit", "held"), [(-1, True), (0, False), (1, False), (2, True)])
def test_second_poll_of_a_browser_is_held_up_to_the_limit(talk_with: Any, limit: int, held: bool) -> None:
    talk = talk_with(max_sessions_per_browser=limit)
    first = talk.open()
    second = talk.open(cookie=first.cookie)
    first.connect()
    assert second.connect().held is held


def test_a_disconnected_poll_no_longer_counts_for_its_browser(talk: Any) -> None:
    first = talk.open()
    second = talk.open(cookie=first.cookie)
    talk.gone(first.connect())
    assert second.connect().held


@pytest.mark.parametrize(
    ("advice", "after"),
    [
        ({"timeout": 1000}, 1.0),
        ({"timeout": "1000"}, 30.0),
        ({"timeout": True}, 30.0),
        ({"timeout": 1e300}, 30.0),
        (7, 30.0),
    ],
)
def test_a_client_sets_how_long_its_poll_is_held(talk: Any, advice: Any, after: float) -> None:
    poll = talk.open().connect(advice=advice)
    talk.wait(after - 0.001)
    assert poll.held
    talk.wait(0.001)
    assert poll.status == 200


# ---------------------------------------------------------------------- sessions
def test_session_expires_max_interval_after_its_last_reply_and_not_while_held(talk: Any) -> None:
    session = talk.open()
    session.connect()
    talk.wait(39.9)  # 30 held, and nearly 10 more
    assert talk.server.session(session.client_id) is not None
    talk.wait(0.1)
    assert talk.server.session(session.client_id) is None
    assert talk.server.client_ids() == ()
    assert talk.server.deadline() is None


def test_session_that_never_connects_expires_too(talk: Any) -> None:
    session = talk.handshake()
    talk.wait(10)
    assert talk.server.session(session.client_id) is None


def test_a_message_restarts_the_expiry_of_its_session(talk: Any) -> None:
    session = talk.open()
    talk.wait(9)
    session.publish("/a", 1)
    talk.wait(9)
    assert talk.server.session(session.client_id) is not None


def test_without_require_cookie_the_client_id_is_enough(talk_with: Any) -> None:
    talk = talk_with(require_cookie=False)
    session = talk.open()
    session.cookie = ""
    assert session.connect(advice={"timeout": 0}).json[0]["successful"] is True


def test_a_snapshot_has_the_data_of_the_session(talk: Any) -> None:
    session = talk.open()
    session.subscribe(["/a", "/b/*"])
    poll = session.connect()
    view = talk.server.session(session.client_id)
    assert (view.browser, view.transport, view.held, view.queued) == (session.cookie, "long-polling", poll.number, 0)
    assert view.subscriptions == {"/a", "/b/*"}
    assert talk.server.client_ids_of_browser(session.cookie) == (session.client_id,)


def test_release_all_answers_held_polls_closes_websockets_and_holds_no_later_poll(talk: Any) -> None:
    session, other = talk.open(), talk.open_socket()
    poll, socket = session.connect(), other.connect()
    talk.do(talk.server.release_all(talk.now))
    assert poll.json == [{"channel": "/meta/connect", "id": "2", "successful": True}]
    assert (socket.frames, socket.closed) == ([[{"channel": "/meta/connect", "id": "2", "successful": True}]], 1001)
    assert session.connect().status == 200


def test_reconfigure_keeps_the_sessions(talk: Any) -> None:
    session = talk.open()
    settings = talk.server.settings
    talk.server.reconfigure(type(settings)(endpoint="/other", dialect="4+"))
    assert not talk.server.handles("/cometd/connect")
    assert talk.server.session(session.client_id) is not None
    session.client_id = "nobody"
    assert session.connect().json[0]["error"] == "402::session_unknown"


# ---------------------------------------------------------------------- subscribe, publish
@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({}, {"successful": False, "error": "403::subscription_missing"}),
        ({"subscription": 5}, {"successful": False, "error": "403::subscription_invalid", "subscription": 5}),
        ({"subscription": {}}, {"successful": False, "error": "403::subscription_invalid", "subscription": {}}),
        (
            {"subscription": ["/a", "/meta/x", "/b"]},
            {"successful": False, "error": "403:denied_by_security_policy:create_denied"},
        ),
    ],
)
def test_a_refused_subscribe_has_an_error(talk: Any, fields: Any, reply: Any) -> None:
    session = talk.open()
    (answer,) = session.send(session.message("/meta/subscribe", **fields)).json
    assert {key: answer[key] for key in reply} == reply


@pytest.mark.parametrize("dialect", ["3.x", "4+"])
def test_every_reply_repeats_the_subscription_of_its_message(talk_with: Any, dialect: str) -> None:
    session = talk_with(dialect=dialect).open()
    messages = [
        session.message("/meta/subscribe", subscription=5),
        session.message("/meta/unsubscribe", subscription=5),
        session.message("/a", data=1, subscription=5),
        session.message("/meta/subscribe", subscription=None),
    ]
    assert session.send(*messages).json == [
        {
            "channel": "/meta/subscribe",
            "id": "2",
            "subscription": 5,
            "successful": False,
            "error": "403::subscription_invalid",
        },
        {
            "channel": "/meta/unsubscribe",
            "id": "3",
            "subscription": 5,
            "successful": False,
            "error": "403::subscription_invalid",
        },
        {"channel": "/a", "id": "4", "subscription": 5, "successful": True},
        {"channel": "/meta/subscribe", "id": "5", "successful": False, "error": "403::subscription_missing"},
    ]


@pytest.mark.parametrize("dialect", ["3.x", "4+"])
def test_a_batch_of_publishes_reaches_the_held_polls_of_two_clients_one_by_one(talk_with: Any, dialect: str) -> None:
    talk = talk_with(dialect=dialect)
    sender, first, second = talk.open(), talk.open(), talk.open()
    for session in (sender, first, second):
        session.subscribe("/a")
    polls = [session.connect() for session in (first, second, sender)]
    batch = sender.send(sender.message("/a", data=1), sender.message("/a", data=2))
    assert [message.get("data") for message in batch.json] == [1, 2, None, None]
    assert [[message.get("data") for message in poll.json] for poll in polls[:2]] == [[1, None], [1, None]]
    assert polls[2].held
    assert (first.poll_now(), second.poll_now(), sender.poll_now()) == ([2], [2], [])


def test_subscriptions_before_a_refused_one_in_an_array_are_kept(talk: Any) -> None:
    session = talk.open()
    session.subscribe(["/a", "/meta/x", "/b"])
    assert talk.server.session(session.client_id).subscriptions == {"/a"}


def test_a_trailing_slash_of_a_channel_is_ignored(talk: Any) -> None:
    session = talk.open()
    session.subscribe("/foo/")
    assert [message.get("data") for message in session.publish("/foo", 1).json] == [1, None]


def test_unsubscribe_ends_the_delivery_and_can_be_repeated_in_one_message(talk: Any) -> None:
    session = talk.open()
    session.subscribe("/a")
    for _ in range(2):
        assert session.send(session.message("/meta/unsubscribe", subscription="/a")).json[0]["successful"] is True
    assert len(session.publish("/a", 1).json) == 1
    talk.wait(4)
    (answer,) = session.send(session.message("/meta/unsubscribe", subscription="/a")).json
    assert answer["error"] == "400::channel_missing"


def test_an_ended_session_receives_no_messages(talk: Any) -> None:
    first, second = talk.open(), talk.open()
    second.subscribe("/**")
    second.send(second.message("/meta/disconnect"))
    assert first.publish("/a", 1).json == [{"channel": "/a", "id": "2", "successful": True}]


def test_service_and_meta_messages_reach_no_wildcard(talk: Any) -> None:
    first, second = talk.open(), talk.open()
    second.subscribe(["/**", "/service/*"])
    first.publish("/service/x", 1)
    assert second.poll_now() == []


def test_deliver_subscribed_only_checks_subscriptions(talk_with: Any) -> None:
    session = talk_with(deliver="subscribed").open()
    session.subscribe("/a/*")
    session.deliver(1, channel="/a/b")
    session.deliver(2, channel="/b")
    assert session.poll_now() == [1]


def test_meta_connect_deliver_only_keeps_messages_off_other_replies(talk_with: Any) -> None:
    session = talk_with(meta_connect_deliver_only=True).open()
    session.subscribe("/a")
    poll = session.connect()
    assert session.publish("/a", 1).json == [{"channel": "/a", "id": "4", "successful": True}]
    assert [message.get("data") for message in poll.json] == [1, None]


def test_a_full_queue_logs_one_warning(talk_with: Any) -> None:
    talk = talk_with(max_queue=3)
    session = talk.open()
    session.deliver(1, 2, 3, 4, 5)
    assert session.poll_now() == [3, 4, 5]
    assert [log.level for log in talk.logs] == ["warning"]


def test_messages_put_back_into_a_full_queue_log_a_warning_too(talk_with: Any) -> None:
    talk = talk_with(max_queue=1, confirm=False)
    session = talk.open()
    poll = session.connect()
    session.deliver(1)
    session.deliver(2)
    talk.gone(poll)
    assert [log.level for log in talk.logs] == ["warning"]
    assert session.poll_now() == [2]


# ---------------------------------------------------------------------- writes that fail
def test_messages_of_a_failed_write_are_sent_again_before_later_ones(talk_with: Any) -> None:
    talk = talk_with(confirm=False)
    session = talk.open()
    first = session.connect()
    session.deliver(1)
    session.deliver(2)
    second = session.connect()
    assert second.held, "2 must not overtake 1 while 1 may still come back"
    talk.gone(first)
    assert [message.get("data") for message in second.json] == [1, 2, None]


def test_messages_wait_only_until_the_write_before_them_is_done(talk_with: Any) -> None:
    talk = talk_with(confirm=False)
    session = talk.open()
    first = session.connect()
    session.deliver(1)
    session.deliver(2)
    second = session.connect()
    talk.delivered(first)
    assert [message.get("data") for message in second.json] == [2, None]


def test_on_hangup_lose_drops_messages_written_to_a_disconnected_client(talk_with: Any) -> None:
    talk = talk_with(on_hangup="lose")
    session = talk.open()
    poll = session.connect()
    talk.gone(poll)
    session.deliver(1)
    assert poll.effects == []
    assert session.poll_now() == []


def test_unknown_request_ids_are_ignored(talk: Any) -> None:
    assert talk.server.delivered(99, 0.0) == talk.server.gone(99, 0.0) == talk.server.frame(99, "[]", 0.0) == []
    assert talk.server.deliver("nobody", [{"channel": "/a"}], 0.0) == talk.server.disconnect("nobody", 0.0) == []


# ---------------------------------------------------------------------- the application
class Rule(AllowAll):
    """An application with fixed results that records its calls."""

    def __init__(self, policy: PolicyResult | None = None, result: PublishResult | None = None) -> None:
        self.policy, self.result = policy, result
        self.channel = ""
        self.calls: list[tuple[Any, ...]] = []

    def allow(self, message: Message, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        return self.policy if message["channel"] == self.channel else None

    def published(self, client_id: str, message: Message, request: Request, now: float) -> PublishResult | None:
        return self.result

    def started(self, client_id: str, request: Request, now: float) -> None:
        self.calls.append(("started", client_id))

    def connected(self, client_id: str, now: float) -> None:
        self.calls.append(("connected", client_id))

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        self.calls.append(("subscribed", client_id, channel))

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        self.calls.append(("unsubscribed", client_id, channel))

    def ended(self, client_id: str, reason: str, now: float) -> None:
        self.calls.append(("ended", client_id, reason, now))


def test_application_is_informed_about_sessions(talk_with: Any) -> None:
    rule = Rule()
    talk = talk_with(rule)
    one, two, three = talk.open(), talk.open(), talk.open()
    one.subscribe(["/a", "/b", "/a"])
    one.send(one.message("/meta/unsubscribe", subscription="/a"))
    two.send(two.message("/meta/disconnect"))
    talk.do(talk.server.disconnect(three.client_id, talk.now))
    talk.wait(10)
    assert rule.calls[6:] == [
        ("subscribed", one.client_id, "/a"),
        ("subscribed", one.client_id, "/b"),
        ("unsubscribed", one.client_id, "/a"),
        ("ended", two.client_id, "disconnect", 0.0),
        ("ended", three.client_id, "server-disconnect", 0.0),
        ("ended", one.client_id, "expired", 10.0),
    ]
    assert [event[0] for event in rule.calls[:6]] == ["started", "connected"] * 3


@pytest.mark.parametrize(
    ("channel", "fields"),
    [("/meta/connect", {}), ("/meta/subscribe", {"subscription": "/a"}), ("/meta/disconnect", {}), ("/a", {"data": 1})],
)
def test_application_can_refuse_any_message_with_its_own_error_and_advice(
    talk_with: Any, channel: str, fields: Any
) -> None:
    rule = Rule(PolicyResult(error="500::broken", advice={"reconnect": "none"}, ext={"why": 1}))
    session = talk_with(rule).open()
    rule.channel = channel
    (answer,) = session.send(session.message(channel, **fields)).json
    assert (answer["successful"], answer["error"]) == (False, "500::broken")
    assert (answer["advice"], answer["ext"]) == ({"reconnect": "none"}, {"why": 1})


def test_a_denied_handshake_has_no_session_no_cookie_and_reconnect_none(talk_with: Any) -> None:
    rule = Rule(PolicyResult(error="403::Handshake denied"))
    rule.channel = "/meta/handshake"
    talk = talk_with(rule)
    answer = talk.post([{"channel": "/meta/handshake", "id": "1"}])
    denied = {"successful": False, "error": "403::Handshake denied", "advice": {"reconnect": "none"}}
    assert answer.json == [{"channel": "/meta/handshake", "id": "1", **denied}]
    assert answer.reply.headers.get("set-cookie") is None


@pytest.mark.parametrize(
    ("policy", "status"),
    [(PolicyResult(status=503), 503), (PolicyResult(drop=True), None), (PolicyResult(unknown=True), 200)],
)
def test_application_can_break_a_poll(talk_with: Any, policy: PolicyResult, status: int | None) -> None:
    rule = Rule(policy)
    session = talk_with(rule).open()
    session.deliver(1)
    rule.channel = "/meta/connect"
    answer = session.connect()
    if status is None:
        assert answer.closed is not None
    else:
        assert answer.status == status
    rule.channel = ""
    if not policy.unknown:
        assert session.poll_now() == [1]


def test_application_sets_how_long_a_poll_is_held_even_the_first(talk_with: Any) -> None:
    rule = Rule(PolicyResult(hold=3.0))
    rule.channel = "/meta/connect"
    talk = talk_with(rule)
    poll = talk.handshake().connect()
    talk.wait(2.9)
    assert poll.held
    talk.wait(0.1)
    assert poll.status == 200


@pytest.mark.parametrize(
    ("result", "reply", "copies"),
    [
        (None, {"successful": True}, 1),
        (PublishResult(), {"successful": True}, 0),
        (PublishResult(handled=False), {"successful": True}, 1),
        (PublishResult(successful=False, error="407::no"), {"successful": False, "error": "407::no"}, 0),
        (PublishResult(data=None, ext={"e": 1}), {"successful": True, "data": None, "ext": {"e": 1}}, 0),
    ],
)
def test_the_application_decides_the_result_of_a_publish(talk_with: Any, result: Any, reply: Any, copies: int) -> None:
    session = talk_with(Rule(result=result)).open()
    session.subscribe("/a")
    *messages, answer = session.publish("/a", 1).json
    assert answer == {"channel": "/a", "id": "3", **reply}
    assert len(messages) == copies


# ---------------------------------------------------------------------- acknowledgements
def test_only_unacknowledged_messages_are_sent_again(talk: Any) -> None:
    session = talk.open(ext={"ack": True})
    session.deliver(1)
    assert [m.get("ext") for m in session.connect(ext={"ack": 1}).json] == [None, {"ack": 2}]
    session.deliver(2)
    again = session.connect(ext={"ack": 1}).json
    assert [message.get("data") for message in again] == [1, 2, None]
    assert session.connect(ext={"ack": again[-1]["ext"]["ack"]}).held


@pytest.mark.parametrize("number", [None, "1", True, [], {"a": 1}])
def test_an_acknowledgement_that_is_not_a_number_is_ignored(talk: Any, number: Any) -> None:
    session = talk.open(ext={"ack": True})
    session.deliver(1)
    assert session.connect(ext={"ack": number}).json[0]["data"] == 1


def test_a_disabled_ack_extension_is_not_announced(talk_with: Any) -> None:
    talk = talk_with(ack=False)
    answer = talk.post([{"channel": "/meta/handshake", "ext": {"ack": True}}])
    assert "ext" not in answer.json[0]


# ---------------------------------------------------------------------- WebSocket
def test_a_websocket_is_accepted_if_the_transport_is_enabled(talk_with: Any) -> None:
    assert talk_with().request("GET", websocket=True).effects == [Accept(1)]
    assert talk_with(transports=("long-polling",)).request("GET", websocket=True).status == 400


def test_a_websocket_gets_each_message_in_a_frame_while_its_connect_stays_held(talk: Any) -> None:
    session = talk.open_socket()
    socket = session.connect()
    session.deliver(1, 2)
    assert socket.frames == [[{"channel": "/x", "data": 1}], [{"channel": "/x", "data": 2}]]
    talk.wait(30)
    assert socket.frames[2:] == [[{"channel": "/meta/connect", "id": "2", "successful": True}]]


def test_the_replies_to_one_frame_are_one_frame_after_the_messages_that_it_caused(talk: Any) -> None:
    session = talk.open_socket()
    session.subscribe("/a")
    session.socket.effects.clear()
    session.send(session.message("/a", data=1), session.message("/b", data=2))
    assert [[message.get("id", "message") for message in frame] for frame in session.socket.frames] == [
        ["message"],
        ["3", "4"],
    ]


def test_with_ack_messages_and_their_batch_number_are_in_one_frame(talk: Any) -> None:
    session = talk.open_socket(ext={"ack": True})
    session.connect(ext={"ack": 1})
    session.deliver(1)
    assert session.socket.frames == [
        [
            {"channel": "/x", "data": 1},
            {"channel": "/meta/connect", "id": "2", "successful": True, "ext": {"ack": 2}},
        ]
    ]


def test_a_second_connect_on_a_websocket_replaces_the_first(talk: Any) -> None:
    session = talk.open_socket()
    session.connect()
    session.connect()
    talk.wait(30)
    assert [frame[0]["id"] for frame in session.socket.frames] == ["3"]


def test_two_sessions_can_hold_their_connects_on_one_websocket(talk: Any) -> None:
    one = talk.open_socket()
    talk.frame(one.socket, [{"channel": "/meta/handshake", "id": "h"}])
    two = type(one)(talk, "", one.socket.frames[0][0]["clientId"], one.socket)
    two.connect(advice={"timeout": 0})
    one.connect()
    two.connect()
    one.socket.effects.clear()
    talk.wait(30)
    assert [frame[0]["channel"] for frame in one.socket.frames] == ["/meta/connect"] * 2


def test_a_session_moves_to_a_new_websocket_and_the_old_one_is_closed(talk: Any) -> None:
    session = talk.open_socket()
    old = session.connect()
    session.socket = talk.request("GET", websocket=True)
    session.connect()
    assert old.closed == 1000
    session.deliver(1)
    assert session.socket.frames == [[{"channel": "/x", "data": 1}]]


def test_unconfirmed_frames_of_a_broken_websocket_are_sent_again_in_order(talk_with: Any) -> None:
    talk = talk_with(confirm=False)
    session = talk.open_socket()
    talk.delivered(session.socket)
    talk.delivered(session.socket)
    session.deliver(1, 2, 3)
    talk.delivered(session.socket)
    talk.gone(session.socket)
    session.deliver(4)
    session.socket = talk.request("GET", websocket=True)
    session.connect()
    assert [frame[0].get("data") for frame in session.socket.frames] == [2, 3, 4]


def test_a_session_expires_max_interval_after_its_websocket_closed(talk: Any) -> None:
    session = talk.open_socket()
    session.connect()
    talk.gone(session.socket)
    talk.wait(9.9)
    assert talk.server.session(session.client_id) is not None
    talk.wait(0.1)
    assert talk.server.session(session.client_id) is None


@pytest.mark.parametrize("how", ["expired", "server-disconnect"])
def test_an_ended_session_is_removed_from_its_websocket(talk: Any, how: str) -> None:
    session = talk.open_socket()
    if how == "expired":
        talk.wait(10)
    else:
        talk.do(talk.server.disconnect(session.client_id, talk.now))
    assert talk.server._delivery.reply_channels[session.socket.number].sessions == {}


def test_a_long_polling_session_moves_to_a_websocket_and_its_poll_ends(talk: Any) -> None:
    session = talk.open()
    poll = session.connect()
    session.socket = talk.request("GET", websocket=True)
    session.connect()
    assert poll.status == 500
    assert talk.server.session(session.client_id).transport == "websocket"


def test_messages_of_a_websocket_session_are_not_sent_in_http_replies(talk_with: Any) -> None:
    """They would be sent before the unconfirmed messages of the WebSocket."""
    talk = talk_with(confirm=False)
    session = talk.open()
    session.subscribe("/a")
    over_socket = type(session)(talk, session.cookie, session.client_id, talk.request("GET", websocket=True))
    over_socket.connect()
    session.deliver(1)
    assert session.publish("/a", 2).json == [{"channel": "/a", "id": "3", "successful": True}]
    assert [frame[0].get("data") for frame in over_socket.socket.frames] == [1, 2]


def test_a_poll_moves_a_session_from_its_websocket_to_long_polling(talk: Any) -> None:
    session = talk.open()
    over_socket = type(session)(talk, session.cookie, session.client_id, talk.request("GET", websocket=True))
    over_socket.connect()
    poll = session.connect()
    assert over_socket.socket.closed == 1000
    session.deliver(1)
    assert [message.get("data") for message in poll.json] == [1, None]


def test_unconfirmed_messages_of_a_websocket_are_queued_again_only_once(talk_with: Any) -> None:
    talk = talk_with(confirm=False)
    session = talk.open()
    over_socket = type(session)(talk, session.cookie, session.client_id, talk.request("GET", websocket=True))
    over_socket.connect(advice={"timeout": 0})
    session.deliver(1)
    poll = session.connect()
    assert poll.json[0]["data"] == 1
    talk.delivered(poll)
    over_socket.connect(advice={"timeout": 0})
    talk.gone(over_socket.socket)
    assert session.poll_now() == []


def test_the_server_ends_a_websocket_session_with_a_disconnect_and_the_held_connect(talk: Any) -> None:
    session = talk.open_socket()
    socket = session.connect()
    talk.do(talk.server.disconnect(session.client_id, talk.now))
    assert socket.frames == [
        [{"channel": "/meta/disconnect", "successful": True}],
        [{"channel": "/meta/connect", "id": "2", "successful": True, "advice": {"reconnect": "none"}}],
    ]


def test_the_server_sends_its_disconnect_on_a_websocket_without_a_held_connect_too(talk: Any) -> None:
    session = talk.open_socket()
    session.deliver(1)
    talk.do(talk.server.disconnect(session.client_id, talk.now))
    assert session.socket.frames == [
        [{"channel": "/x", "data": 1}],
        [{"channel": "/meta/disconnect", "successful": True}],
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", 1011), ("{", 1011), ("[]", 1011), ("[1]", 1011), ("[null]", 1011), ("[{}]", 1011), ("x" * 101, 1009)],
)
def test_an_invalid_frame_closes_the_websocket(talk_with: Any, text: str, code: int) -> None:
    talk = talk_with(max_message_bytes=100)
    socket = talk.request("GET", websocket=True)
    talk.frame(socket, text)
    assert socket.closed == code
    talk.frame(socket, "[]")
    assert len(socket.effects) == 2  # accepted, closed; nothing more


def test_messages_for_a_websocket_closed_by_an_invalid_frame_wait_for_the_next_one(talk: Any) -> None:
    session = talk.open_socket()
    talk.frame(session.socket, "{")
    session.deliver(1)
    session.socket = talk.request("GET", websocket=True)
    session.connect()
    assert session.socket.frames == [[{"channel": "/x", "data": 1}]]


def test_two_handshakes_in_one_frame_close_the_websocket(talk: Any) -> None:
    socket = talk.request("GET", websocket=True)
    talk.frame(socket, [{"channel": "/meta/handshake"}, {"channel": "/meta/handshake"}])
    assert socket.closed == 1011


class Reporting(AllowAll):
    """An application that remembers the messages that were dropped."""

    def __init__(self) -> None:
        self.reports: list[tuple[Any, str]] = []

    def dropped(self, client_id: str, message: EncodedMessage, reason: str, now: float) -> None:
        self.reports.append((json.loads(message.body)["data"], reason))


def test_messages_that_no_client_gets_are_reported(talk_with: Any) -> None:
    application = Reporting()
    talk = talk_with(application, max_queue=2, deliver="subscribed")
    session = talk.handshake()
    session.subscribe("/x")
    session.deliver("elsewhere", channel="/y")
    session.deliver(1, 2, 3)
    assert application.reports == [("elsewhere", "no subscriber"), (1, "queue full")]
    talk.wait(50.0)
    assert application.reports[2:] == [(2, "client gone"), (3, "client gone")]


@pytest.mark.parametrize("ack", [False, True])
def test_messages_that_were_sent_are_not_reported_when_their_session_ends(talk_with: Any, *, ack: bool) -> None:
    application = Reporting()
    talk = talk_with(application)
    session = talk.open(ext={"ack": ack})
    session.deliver(1)
    session.poll_now()
    session.deliver(2)
    talk.wait(50.0)
    assert application.reports == [(2, "client gone")]


@pytest.mark.parametrize("ack", [False, True])
def test_a_reply_that_was_not_written_is_reported_if_its_session_has_ended(talk_with: Any, *, ack: bool) -> None:
    application = Reporting()
    talk = talk_with(application, confirm=False)
    session = talk.open(ext={"ack": ack})
    session.deliver(1)
    answer = session.connect()
    session.send(session.message("/meta/disconnect"))
    talk.gone(answer)
    assert application.reports == [(1, "client gone")]


# ---------------------------------------------------------------------- one session, one transport, one browser
def test_a_session_of_long_polling_is_unknown_to_callback_polling(talk: Any) -> None:
    session = talk.open()
    message = json.dumps([session.message("/meta/connect", connectionType="callback-polling")])
    reply = talk.request("GET", query=f"jsonp=cb&message={quote(message)}", cookie=session.cookie)
    assert b'"error":"402::Unknown client"' in reply.reply.body
    assert session.poll_now() == []


def test_an_ended_session_no_longer_belongs_to_its_browser(talk: Any) -> None:
    first = talk.open()
    second = talk.open(cookie=first.cookie)
    first.send(first.message("/meta/disconnect"))
    assert talk.server.client_ids_of_browser(first.cookie) == (second.client_id,)


def test_a_session_expires_after_the_interval_of_its_client_and_max_interval(talk: Any) -> None:
    session = talk.open()
    session.connect(advice={"timeout": 0, "interval": 5000})
    talk.wait(14.9)
    assert talk.server.session(session.client_id) is not None
    talk.wait(0.1)
    assert talk.server.session(session.client_id) is None


def test_a_handshake_with_the_client_id_of_a_session_starts_another(talk: Any) -> None:
    first = talk.open()
    second = talk.handshake(cookie=first.cookie, clientId=first.client_id)
    assert talk.server.client_ids() == (first.client_id, second.client_id)


def test_a_message_after_the_disconnect_in_one_request_is_refused(talk: Any) -> None:
    session = talk.open()
    replies = session.send(session.message("/meta/disconnect"), session.message("/a", data=1)).json
    assert [(reply["channel"], reply["successful"]) for reply in replies] == [("/meta/disconnect", True), ("/a", False)]


def test_an_acked_session_gets_later_messages_while_an_earlier_reply_is_not_confirmed(talk_with: Any) -> None:
    talk = talk_with(confirm=False)
    session = talk.open(ext={"ack": True})
    poll = session.connect(ext={"ack": 1})
    session.deliver(1)
    assert [message.get("data") for message in poll.json] == [1, None]
    later = session.connect(ext={"ack": 2})
    session.deliver(2)
    assert [message.get("data") for message in later.json] == [2, None]


def test_the_advice_is_sent_again_after_the_advice_about_multiple_clients(talk: Any) -> None:
    first = talk.open()
    second = talk.open(cookie=first.cookie)
    poll = first.connect()
    assert second.connect().json[0]["advice"]["multiple-clients"] is True
    talk.gone(poll)
    second_poll = second.connect()
    talk.wait(30.0)
    assert second_poll.json[0]["advice"] == {"reconnect": "retry", "interval": 0, "timeout": 30_000}


def test_a_session_is_unknown_with_the_cookie_of_another_browser(talk: Any) -> None:
    session = talk.open()
    session.cookie = "another"
    (reply,) = session.publish("/a", 1).json
    assert (reply["successful"], reply["error"]) == (False, "402::Unknown client")


def test_messages_that_a_request_causes_for_its_own_session_are_in_its_reply_and_not_on_the_poll(talk: Any) -> None:
    session = talk.open()
    session.subscribe("/a")
    poll = session.connect()
    replies = session.publish("/a", 1).json
    assert [reply.get("data") for reply in replies] == [1, None]
    assert poll.held


def test_messages_of_an_acked_session_that_were_written_once_are_not_reported(talk_with: Any) -> None:
    application = Reporting()
    talk = talk_with(application, confirm=False)
    session = talk.open(ext={"ack": True})
    session.deliver(1)
    first = session.connect()
    session.deliver(2)
    second = session.connect()
    assert [message.get("data") for message in second.json] == [1, 2, None]
    session.send(session.message("/meta/disconnect"))
    talk.gone(second)
    assert application.reports == []  # the first reply can still be written
    talk.delivered(first)
    assert application.reports == [(2, "client gone")]


def test_messages_of_an_acked_session_whose_websocket_closed_are_reported_when_it_ends(talk_with: Any) -> None:
    application = Reporting()
    talk = talk_with(application, confirm=False)
    session = talk.open_socket(ext={"ack": True})
    session.deliver(1)
    session.connect()
    talk.gone(session.socket)
    assert application.reports == []
    talk.wait(50.0)
    assert application.reports == [(1, "client gone")]


# ---------------------------------------------------------------------- several sessions and channels of one client
def test_a_denied_handshake_with_the_client_id_of_a_session_does_not_restart_its_expiry(talk_with: Any) -> None:
    rule = Rule()
    talk = talk_with(rule)
    session = talk.open()
    rule.policy, rule.channel = PolicyResult(error="403::denied"), "/meta/handshake"
    talk.wait(9)
    answer = talk.post([{"channel": "/meta/handshake", "clientId": session.client_id}], cookie=session.cookie)
    assert answer.json[0]["error"] == "403::denied"
    talk.wait(1)
    assert talk.server.session(session.client_id) is None


def test_each_publish_of_a_request_is_published_by_its_own_session(talk_with: Any) -> None:
    class Senders(AllowAll):
        senders: tuple[str, ...] = ()

        def published(self, client_id: str, message: Message, request: Request, now: float) -> PublishResult | None:
            self.senders = (*self.senders, client_id)
            return None

    application = Senders()
    talk = talk_with(application)
    one = talk.open()
    two = talk.open(cookie=one.cookie)
    one.send(one.message("/a", data=1), two.message("/a", data=2), {"channel": "/a", "data": 3})
    assert application.senders == (one.client_id, two.client_id, one.client_id)


def test_a_connect_with_other_messages_is_answered_at_once(talk: Any) -> None:
    session = talk.open()
    replies = session.send(session.message("/meta/connect"), session.message("/a", data=1)).json
    assert [reply["channel"] for reply in replies] == ["/meta/connect", "/a"]


def test_a_channel_exists_for_three_seconds_after_a_publish(talk: Any) -> None:
    session = talk.open()
    unsubscribe = {"channel": "/meta/unsubscribe", "clientId": session.client_id, "subscription": "/a"}
    assert session.send(unsubscribe).json[0]["error"] == "400::channel_missing"
    session.publish("/a", 1)
    assert session.send(unsubscribe).json[0]["successful"] is True
    talk.wait(3.1)
    assert session.send(unsubscribe).json[0]["error"] == "400::channel_missing"


def test_a_session_that_changes_its_transport_gets_the_advice_again(talk: Any) -> None:
    session = talk.open()
    over_socket = type(session)(talk, session.cookie, session.client_id, talk.request("GET", websocket=True))
    over_socket.connect()
    talk.wait(30.0)
    over_socket.connect()
    talk.wait(30.0)
    advice = {"reconnect": "retry", "interval": 0, "timeout": 30_000}
    assert [frame[0].get("advice") for frame in over_socket.socket.frames] == [advice, None]


def test_an_unacknowledged_batch_is_sent_again_at_once_with_the_advice(talk: Any) -> None:
    session = talk.open(ext={"ack": True})
    session.deliver(1)
    assert "advice" not in session.connect(ext={"ack": 1}).json[-1]
    message, reply = session.connect(ext={"ack": 1}).json
    assert message == {"channel": "/x", "data": 1}
    assert reply["advice"] == {"reconnect": "retry", "interval": 0, "timeout": 30_000}


def test_a_session_that_leaves_a_websocket_without_a_held_connect_keeps_it_open(talk: Any) -> None:
    session = talk.open_socket()
    old, session.socket = session.socket, talk.request("GET", websocket=True)
    session.connect()
    session.deliver(1)
    assert (old.closed, old.frames) == (None, [])
    assert session.socket.frames == [[{"channel": "/x", "data": 1}]]


def test_a_session_that_leaves_a_websocket_takes_only_its_own_unconfirmed_messages_with_it(talk_with: Any) -> None:
    talk = talk_with(confirm=False)
    one = talk.open_socket()
    talk.frame(one.socket, [{"channel": "/meta/handshake", "id": "h"}])
    two = type(one)(talk, "", one.socket.frames[0][0]["clientId"], one.socket)
    two.connect(advice={"timeout": 0})
    one.deliver("one")
    two.deliver("two")
    one.socket = talk.request("GET", websocket=True)
    one.connect(advice={"timeout": 0})
    assert [frame[0].get("data") for frame in one.socket.frames] == ["one", None]


def test_a_frame_may_have_as_many_characters_as_a_message(talk_with: Any) -> None:
    text = json.dumps([{"channel": "/meta/handshake"}])
    exact, short = (talk_with(max_message_bytes=limit) for limit in (len(text), len(text) - 1))
    assert [talk.frame(talk.request("GET", websocket=True), text).closed for talk in (exact, short)] == [None, 1009]


# ---------------------------------------------------------------------- messages that the application sends
class Greeting(AllowAll):
    """An application that sends a message to all clients after each handshake."""

    def __init__(self) -> None:
        self.server: Any = None
        self.effects: list[Any] = []

    def started(self, client_id: str, request: Request, now: float) -> None:
        for each in self.server.client_ids():
            self.effects += self.server.deliver(each, [{"channel": "/x", "data": "hello"}], now)


def test_a_message_of_the_application_follows_the_reply_to_the_handshake(talk_with: Any) -> None:
    application = Greeting()
    talk = talk_with(application)
    application.server = talk.server
    socket = talk.request("GET", websocket=True)
    talk.frame(socket, [{"channel": "/meta/handshake", "id": "0"}])
    assert [frame[0]["channel"] for frame in socket.frames] == ["/meta/handshake", "/x"]


def test_a_call_from_within_the_application_returns_no_effects_because_the_outer_call_returns_them(
    talk_with: Any,
) -> None:
    application = Greeting()
    talk = talk_with(application)
    application.server = talk.server
    session = talk.open()
    session.poll_now()
    poll = session.connect()
    talk.handshake()
    assert [message.get("data") for message in poll.json] == ["hello", None]
    assert application.effects == []


def test_the_advice_of_the_application_changes_single_members_of_that_of_the_server(talk_with: Any) -> None:
    rule = Rule(PolicyResult(advice={"interval": 5000}))
    rule.channel = "/meta/connect"
    (reply,) = talk_with(rule).handshake().connect(advice={"timeout": 0}).json
    assert reply["advice"] == {"reconnect": "retry", "interval": 5000, "timeout": 30_000}
