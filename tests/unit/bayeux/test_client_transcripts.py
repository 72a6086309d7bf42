"""The Bayeux client against scripted replies, without a server."""

from __future__ import annotations

from collections.abc import Sequence

from cometreel.bayeux import (
    BayeuxClient,
    ClientEvent,
    ClientSettings,
    ClientState,
    Closed,
    Connected,
    ConnectionBroken,
    Established,
    Failed,
    Message,
    Published,
    Received,
    Send,
    SessionUnknown,
    Subscribed,
    Unsubscribed,
)
from cometreel.jsonvalue import JSON

UNKNOWN = "402::Unknown client"


def sends(events: Sequence[ClientEvent]) -> list[Send]:
    return [event for event in events if isinstance(event, Send)]


def sent(events: Sequence[ClientEvent]) -> Send:
    """The only request among these events."""
    (send,) = sends(events)
    return send


def accepted(send: Send, **fields: JSON) -> list[Message]:
    """Successful replies to all messages of a request."""
    return [{"channel": each["channel"], "id": each["id"], "successful": True, **fields} for each in send.messages]


def refused(send: Send, error: str, **fields: JSON) -> list[Message]:
    """Replies that refuse all messages of a request."""
    return [
        {"channel": each["channel"], "id": each["id"], "successful": False, "error": error, **fields}
        for each in send.messages
    ]


def handshaken(client: BayeuxClient, now: float = 0.0, client_id: str = "c1") -> Send:
    """Handshake; return the first connect."""
    events = client.receive(accepted(sent(client.handshake(now)), clientId=client_id), now)
    return sends(events)[-1]


def connected(client: BayeuxClient, **advice: JSON) -> Send:
    """Handshake, and connect for the first time with this advice; return the held connect."""
    first = handshaken(client)
    client.receive(accepted(first, advice={"reconnect": "retry", **advice}), 0.0)
    deadline = client.deadline()
    assert deadline is not None
    return sent(client.advance(deadline))


def renewed(client: BayeuxClient, client_id: str = "c2") -> list[Send]:
    """Handshake again when it is due; return the requests after its reply."""
    deadline = client.deadline()
    assert deadline is not None
    return sends(client.receive(accepted(sent(client.advance(deadline)), clientId=client_id), deadline))


# ------------------------------------------------------------------------------ handshakes and sessions
def test_a_handshake_has_the_ext_of_the_user_the_ack_extension_and_a_timeout_in_milliseconds():
    (handshake,) = sent(BayeuxClient(ClientSettings(ack=True)).handshake(0.0, ext={"token": "t"})).messages
    assert handshake["ext"] == {"token": "t", "ack": True}
    assert handshake["advice"] == {"timeout": 60_000, "interval": 0}


def test_each_later_handshake_has_the_ext_of_the_first():
    client = BayeuxClient()
    first = sent(client.handshake(0.0, ext={"token": "t"}))
    assert client.failed(first.number, 0.0) == [ConnectionBroken(1.0)]
    (again,) = sent(client.advance(1.0)).messages
    assert (again["channel"], again["ext"]) == ("/meta/handshake", {"token": "t"})


def test_an_ack_client_repeats_the_last_batch_and_starts_a_new_session_with_minus_one():
    client = BayeuxClient(ClientSettings(ack=True))
    first = handshaken(client)
    assert first.messages[0]["ext"] == {"ack": -1}
    client.receive(accepted(first, ext={"ack": 7}), 0.0)
    poll = sent(client.advance(0.0))
    assert poll.messages[0]["ext"] == {"ack": 7}
    assert client.receive(refused(poll, UNKNOWN), 1.0) == [SessionUnknown(UNKNOWN, 0.0)]
    (connect,) = renewed(client)
    assert connect.messages[0]["ext"] == {"ack": -1}


def test_the_first_connect_follows_the_subscriptions_and_is_answered_at_once():
    client = BayeuxClient()
    client.subscribe(["/a", "/b"])
    events = client.receive(accepted(sent(client.handshake(0.0)), clientId="c1"), 0.0)
    subscribe, connect = sends(events)
    assert events[0] == Established("c1")
    assert [message["subscription"] for message in subscribe.messages] == ["/a", "/b"]
    assert (connect.messages[0]["advice"], connect.patience) == ({"timeout": 0}, 10.0)


def test_a_session_that_was_connected_is_renewed_at_once_and_one_that_was_not_after_a_backoff():
    client = BayeuxClient()
    poll = connected(client)
    assert client.receive(refused(poll, UNKNOWN), 1.0) == [SessionUnknown(UNKNOWN, 0.0)]
    (first,) = renewed(client)
    assert client.receive(refused(first, UNKNOWN), 1.0) == [SessionUnknown(UNKNOWN, 1.0)]
    assert client.deadline() == 2.0


def test_the_interval_of_a_lost_session_delays_the_handshake_but_not_the_next_session():
    client = BayeuxClient()
    poll = connected(client, interval=5000)
    assert client.receive(refused(poll, UNKNOWN), 10.0) == [SessionUnknown(UNKNOWN, 5.0)]
    handshake = sent(client.advance(15.0))
    assert client.failed(handshake.number, 15.0) == [ConnectionBroken(1.0)]


def test_after_a_failure_the_client_waits_for_the_interval_and_the_backoff():
    client = BayeuxClient()
    poll = connected(client, interval=5000)
    assert client.failed(poll.number, 20.0) == [ConnectionBroken(6.0)]
    assert client.advance(25.9) == []
    again = sent(client.advance(26.0))
    assert again.messages[0]["channel"] == "/meta/connect"
    assert client.receive(accepted(again), 26.0) == [Connected()]


def test_an_interval_beyond_all_numbers_is_ignored():
    client = BayeuxClient()
    client.receive(accepted(handshaken(client), advice={"reconnect": "retry", "interval": 2**53}), 3.0)
    assert client.deadline() == 3.0


def test_advice_to_shake_hands_after_a_successful_connect_starts_a_new_session():
    client = BayeuxClient()
    poll = connected(client)
    assert client.receive(accepted(poll, advice={"reconnect": "handshake"}), 1.0) == [SessionUnknown("", 0.0)]
    assert sent(client.advance(1.0)).messages[0]["channel"] == "/meta/handshake"


def test_advice_not_to_reconnect_closes_the_client_with_a_reason():
    client = BayeuxClient()
    poll = connected(client)
    closed = [Closed("the server's advice is not to reconnect")]
    assert client.receive(accepted(poll, advice={"reconnect": "none"}), 1.0) == closed
    denied = refused(sent(client.handshake(2.0)), "403::Handshake denied", advice={"reconnect": "none"})
    assert client.receive(denied, 2.0) == [Closed("403::Handshake denied")]


def test_a_client_that_is_closed_subscribes_again_in_its_next_session():
    client = BayeuxClient()
    client.subscribe("/a")
    connected(client)
    client.receive([{"channel": "/meta/disconnect", "successful": True}], 1.0)
    events = client.receive(accepted(sent(client.handshake(2.0)), clientId="c2"), 2.0)
    assert [message["channel"] for send in sends(events) for message in send.messages] == [
        "/meta/subscribe",
        "/meta/connect",
    ]


# ------------------------------------------------------------------------------ lost sessions
def test_two_messages_refused_with_402_in_one_reply_lose_the_session_once():
    client = BayeuxClient()
    connected(client)
    first, second = sent(client.publish("/a", 1)), sent(client.publish("/a", 2))
    events = client.receive([*refused(first, UNKNOWN), *refused(second, UNKNOWN)], 1.0)
    assert [event for event in events if not isinstance(event, Failed)] == [SessionUnknown(UNKNOWN, 0.0)]
    assert client.client_id is None


def test_a_message_refused_for_another_reason_keeps_the_session():
    client = BayeuxClient()
    connected(client)
    publish = sent(client.publish("/a", 1))
    assert client.receive(refused(publish, "403::denied"), 1.0) == [Failed(publish.messages[0], "403::denied")]
    assert (client.state, client.client_id) == (ClientState.CONNECTED, "c1")


def test_a_subscription_that_is_refused_with_402_is_repeated_in_the_next_session():
    client = BayeuxClient()
    connected(client)
    subscribe = sent(client.subscribe("/a"))
    client.receive(refused(subscribe, UNKNOWN), 1.0)
    assert renewed(client)[0].messages[0]["subscription"] == "/a"


def test_without_a_session_an_unsubscribe_is_not_sent():
    client = BayeuxClient()
    client.subscribe("/a")
    first = handshaken(client)
    client.receive(refused(first, UNKNOWN), 0.0)
    assert client.unsubscribe("/a") == []
    assert [message["channel"] for send in renewed(client) for message in send.messages] == ["/meta/connect"]


def test_a_disconnect_of_the_server_without_a_session_changes_nothing():
    client = BayeuxClient()
    handshake = sent(client.handshake(0.0))
    assert client.receive([{"channel": "/meta/disconnect", "successful": True}], 0.0) == []
    assert client.receive(accepted(handshake, clientId="c1"), 0.0)[0] == Established("c1")


# ------------------------------------------------------------------------------ subscriptions
def test_a_second_subscribe_is_not_sent_while_the_first_is_under_way_nor_after_it():
    client = BayeuxClient()
    connected(client)
    subscribe = sent(client.subscribe("/a"))
    assert client.subscribe("/a") == []
    assert client.receive(accepted(subscribe), 0.0) == [Subscribed("/a")]
    assert client.subscribe("/a") == []


def test_subscribe_while_an_unsubscribe_is_under_way_subscribes_again():
    client = BayeuxClient()
    connected(client)
    client.receive(accepted(sent(client.subscribe("/a"))), 0.0)
    unsubscribe, subscribe = sent(client.unsubscribe("/a")), sent(client.subscribe("/a"))
    assert client.receive([*accepted(unsubscribe), *accepted(subscribe)], 0.0) == [Unsubscribed("/a"), Subscribed("/a")]
    assert client.subscriptions == {"/a": True}


def test_unsubscribe_while_a_subscribe_is_under_way_is_sent_and_the_channel_stays_unsubscribed():
    client = BayeuxClient()
    poll = connected(client)
    subscribe, unsubscribe = sent(client.subscribe("/a")), sent(client.unsubscribe("/a"))
    assert client.receive([*accepted(subscribe), *accepted(unsubscribe)], 0.0) == [Subscribed("/a"), Unsubscribed("/a")]
    client.receive(refused(poll, UNKNOWN), 1.0)
    assert [message["channel"] for send in renewed(client) for message in send.messages] == ["/meta/connect"]


# ------------------------------------------------------------------------------ publishing and replies
def test_a_message_is_published_between_the_handshake_and_the_first_connect():
    client = BayeuxClient()
    handshaken(client)
    publish = sent(client.publish("/a", {"n": 1}, ext={"trace": "x"}))
    assert publish.messages == (
        {"channel": "/a", "id": "3", "data": {"n": 1}, "ext": {"trace": "x"}, "clientId": "c1"},
    )
    (reply,) = accepted(publish)
    assert client.receive([reply], 0.0) == [Published(publish.messages[0], reply)]


def test_a_request_that_fails_fails_its_own_messages_only():
    client = BayeuxClient()
    connected(client)
    first, second = sent(client.publish("/a", 1)), sent(client.publish("/a", 2))
    assert client.failed(first.number, 1.0) == [Failed(first.messages[0], "")]
    assert client.receive(accepted(second), 1.0) == [Published(second.messages[0], accepted(second)[0])]


def test_a_message_without_a_reply_in_the_response_has_failed():
    client = BayeuxClient()
    connected(client)
    publish = sent(client.publish("/a", 1))
    messages: list[Message] = [{"channel": "/b", "data": 2}]
    assert client.receive(messages, 1.0, number=publish.number) == [
        Received(messages[0]),
        Failed(publish.messages[0], ""),
    ]


def test_a_reply_on_another_channel_does_not_answer_a_message():
    client = BayeuxClient()
    poll = connected(client)
    wrong: Message = {"channel": "/meta/disconnect", "id": poll.messages[0]["id"], "successful": True}
    assert client.receive([wrong], 1.0) == []
    assert client.receive(accepted(poll), 1.0) == []
    assert client.deadline() == 1.0


# ------------------------------------------------------------------------------ closing
def test_while_closing_a_402_and_a_failed_poll_start_nothing():
    client = BayeuxClient()
    poll = connected(client)
    publish = sent(client.publish("/a", 1))
    disconnect = sent(client.disconnect())
    assert client.receive(refused(publish, UNKNOWN), 1.0) == [Failed(publish.messages[0], UNKNOWN)]
    assert client.failed(poll.number, 1.0) == []
    assert (client.deadline(), client.subscribe("/b"), client.disconnect()) == (None, [], [])
    assert client.receive(accepted(disconnect), 1.0) == [Closed()]


def test_the_reply_to_a_poll_while_closing_starts_no_other_poll():
    client = BayeuxClient()
    poll = connected(client)
    disconnect = sent(client.disconnect())
    assert client.receive(accepted(poll, advice={"reconnect": "none"}), 1.0) == []
    assert client.deadline() is None
    assert client.receive(accepted(disconnect), 1.0) == [Closed()]


def test_a_disconnect_between_two_polls_cancels_the_next_poll():
    client = BayeuxClient()
    client.receive(accepted(handshaken(client), advice={"reconnect": "retry", "interval": 5000}), 0.0)
    client.disconnect()
    assert (client.deadline(), client.advance(5.0)) == (None, [])


def test_late_replies_to_a_closed_session_are_ignored():
    client = BayeuxClient()
    poll = connected(client)
    client.receive([{"channel": "/meta/disconnect", "successful": True}], 1.0)
    assert client.receive(accepted(poll), 1.0) == []
    assert client.deadline() is None


def test_a_late_reply_to_a_disconnect_does_not_end_a_new_session():
    client = BayeuxClient()
    connected(client)
    disconnect = sent(client.disconnect())
    client.failed(disconnect.number, 1.0)
    handshaken(client, 2.0, "c2")
    assert client.receive(accepted(disconnect), 2.0) == []
    assert client.client_id == "c2"
