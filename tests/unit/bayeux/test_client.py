"""The Bayeux client against the Bayeux server, in virtual time, on a simulated network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    parse_messages,
)
from cometreel.errors import BugError


class Link:
    """A client and a server, the requests between them, and the events of the client."""

    def __init__(self, talk: Any, settings: ClientSettings | None = None) -> None:
        self.talk, self.client = talk, BayeuxClient(settings)
        self.cookie: str | None = None
        self.up = True
        self.open: dict[int, Any] = {}
        self.events: list[ClientEvent] = []
        self.sent: list[Message] = []

    def do(self, events: Iterable[ClientEvent]) -> None:
        for event in events:
            if not isinstance(event, Send):
                self.events.append(event)
                continue
            self.sent += event.messages
            if self.up:
                self.open[event.number] = self.talk.post(list(event.messages), cookie=self.cookie)
            else:
                self.do(self.client.failed(event.number, self.talk.now))
        self.collect()

    def collect(self) -> None:
        """Pass all available replies to the client."""
        for number, answer in list(self.open.items()):
            if answer.held or number not in self.open:
                continue
            del self.open[number]
            given = answer.reply.headers.get("set-cookie")
            self.cookie = given.partition("=")[2].partition(";")[0] if given else self.cookie
            if answer.status != 200:
                self.do(self.client.failed(number, self.talk.now))
            else:
                self.do(self.client.receive(parse_messages(answer.reply.body), self.talk.now, number=number))

    def wait(self, seconds: float) -> None:
        until = self.talk.now + seconds
        while True:
            due = [when for when in (self.client.deadline(), self.talk.server.deadline()) if when is not None]
            if not due or min(due) > until:
                break
            self.talk.now = max(self.talk.now, min(due))
            self.talk.do(self.talk.server.advance(self.talk.now))
            self.collect()
            self.do(self.client.advance(self.talk.now))
        self.talk.now = until

    def take(self) -> list[ClientEvent]:
        """Return the events since the last call."""
        events, self.events = self.events, []
        return events

    def deliver(self, *data: Any) -> None:
        messages: Any = [{"channel": "/x", "data": each} for each in data]
        self.talk.do(self.talk.server.deliver(self.client.client_id, messages, self.talk.now))
        self.collect()


@pytest.fixture
def link(talk: Any) -> Link:
    return Link(talk)


def opened(link: Link) -> Link:
    link.do(link.client.handshake(link.talk.now))
    link.wait(0.0)
    link.take()
    return link


def test_handshake_subscribe_connect_receive_publish_disconnect(link: Link) -> None:
    link.do(link.client.subscribe(["/a", "/b/*"]))
    link.do(link.client.handshake(0.0))
    assert link.take() == [Established("client2"), Subscribed("/a"), Subscribed("/b/*"), Connected()]
    link.wait(0.0)
    link.deliver(1)
    assert link.take() == [Received({"channel": "/x", "data": 1})]
    link.do(link.client.publish("/a", {"n": 1}))
    echo, published = link.take()
    assert echo == Received({"channel": "/a", "data": {"n": 1}})
    assert isinstance(published, Published)
    link.do(link.client.disconnect())
    assert link.take() == [Closed()]
    assert (link.client.state, link.client.deadline(), link.open) == (ClientState.CLOSED, None, {})
    assert link.talk.server.client_ids() == ()


def test_the_first_connect_requests_an_immediate_reply_and_later_ones_are_held(link: Link) -> None:
    opened(link)
    connects = [message for message in link.sent if message["channel"] == "/meta/connect"]
    assert [message.get("advice") for message in connects] == [{"timeout": 0}, None]
    link.wait(65)
    connects = [message for message in link.sent if message["channel"] == "/meta/connect"]
    assert len(connects) == 4
    assert link.take() == []


def test_patience_is_the_timeout_of_the_server_plus_the_network_delay(link: Link) -> None:
    sends: list[Send] = []
    link.do(link.client.handshake(0.0))
    sends += [event for event in link.client.advance(0.0) if isinstance(event, Send)]
    assert [send.patience for send in sends] == [40.0]  # 30 and 10


def test_lost_session_is_followed_by_a_handshake_and_the_same_subscriptions(link: Link) -> None:
    opened(link)
    link.do(link.client.subscribe(["/a"]))
    link.take()
    old = link.client.client_id
    for number, answer in list(link.open.items()):  # the network delays the poll until the session has expired
        link.talk.gone(answer)
        del link.open[number]
        link.talk.wait(11)
        link.do(link.client.failed(number, link.talk.now))
    assert link.take() == [ConnectionBroken(1.0)]
    link.wait(1.0)
    lost, established, subscribed, connected = link.take()
    assert isinstance(lost, SessionUnknown)
    assert lost.error == "402::Unknown client"
    assert isinstance(established, Established)
    assert (subscribed, connected) == (Subscribed("/a"), Connected())
    assert link.client.client_id != old
    link.do(link.client.publish("/a", 1))
    assert link.take()[0] == Received({"channel": "/a", "data": 1})


def test_402_on_a_publish_is_reported_and_starts_a_new_session_at_once(link: Link) -> None:
    opened(link)
    assert link.client.client_id is not None
    link.cookie = "another"
    link.do(link.client.publish("/a", 1))
    failed, lost = link.take()
    assert isinstance(failed, Failed)
    assert isinstance(lost, SessionUnknown)
    link.wait(0.0)
    assert [type(event) for event in link.take()] == [Established, Connected]


def test_waits_grow_with_each_failure_up_to_the_limit_and_are_reset_after_success(talk: Any) -> None:
    link = opened(Link(talk, ClientSettings(max_backoff=3.0)))
    link.up = False
    number = next(iter(link.open))
    del link.open[number]
    link.do(link.client.failed(number, talk.now))
    link.wait(8.0)
    assert link.take() == [ConnectionBroken(1.0), ConnectionBroken(2.0), ConnectionBroken(3.0), ConnectionBroken(3.0)]
    link.up = True
    link.wait(3.0)
    assert Connected() in link.take()
    link.up = False
    number = next(iter(link.open))
    link.do(link.client.failed(number, talk.now))
    assert link.take() == [ConnectionBroken(1.0)]


def test_failed_handshake_is_tried_again_with_the_callers_jitter(talk: Any) -> None:
    link = Link(talk, ClientSettings(jitter=lambda seconds: seconds / 2))
    link.up = False
    link.do(link.client.handshake(0.0))
    link.wait(1.0)
    assert link.take() == [ConnectionBroken(0.5), ConnectionBroken(1.0)]
    link.up = True
    link.wait(1.0)
    assert [type(event) for event in link.take()] == [Established, Connected]


def test_the_client_backs_off_if_each_session_is_lost_immediately(link: Link) -> None:
    link.do(link.client.handshake(0.0))
    link.take()
    for failure in range(1, 4):
        link.client.state, link.client._was_connected = ClientState.CONNECTING, False
        reply: Any = {"channel": "/meta/connect", "successful": False, "error": "402::Unknown client"}
        pending = link.client._connect().messages[0]
        (lost,) = link.client.receive([{**reply, "id": pending["id"]}], 0.0)
        assert lost == SessionUnknown("402::Unknown client", float(failure))


def test_advice_none_ends_the_session(link: Link) -> None:
    opened(link)
    link.talk.do(link.talk.server.disconnect(link.client.client_id, 0.0))
    link.collect()
    assert link.take() == [Closed("the server ended the session")]
    assert link.client.deadline() is None


def test_interval_advice_delays_the_next_connect(talk_with: Callable[..., Any]) -> None:
    link = Link(talk_with(interval=5.0))
    link.do(link.client.handshake(0.0))
    assert link.client.deadline() == 5.0


def test_with_ack_each_message_is_received_once_even_if_replies_are_lost(talk: Any) -> None:
    link = opened(Link(talk, ClientSettings(ack=True)))
    for data in range(5):
        lost = {number: answer for number, answer in link.open.items() if data % 2}
        for number in lost:
            del link.open[number]
        link.deliver(data)
        for number in lost:
            link.do(link.client.failed(number, talk.now))
        link.wait(5.0)
    assert [event.message["data"] for event in link.take() if isinstance(event, Received)] == [0, 1, 2, 3, 4]


def test_refused_subscription_is_reported_and_not_repeated(link: Link) -> None:
    opened(link)
    link.do(link.client.subscribe(["/meta/x"]))
    (failed,) = link.take()
    assert isinstance(failed, Failed)
    assert failed.error == "403:denied_by_security_policy:create_denied"
    assert link.client.subscriptions == {}


def test_subscription_without_reply_is_repeated_with_the_next_connect(link: Link) -> None:
    opened(link)
    link.up = False
    link.do(link.client.subscribe(["/a"]))
    (failed,) = link.take()
    assert isinstance(failed, Failed)
    link.up = True
    link.wait(30.0)
    assert link.take() == [Subscribed("/a")]


def test_a_single_channel_may_be_given_as_text(link: Link) -> None:
    opened(link)
    link.do(link.client.subscribe("/a/b"))
    link.do(link.client.unsubscribe("/a/b"))
    assert link.take() == [Subscribed("/a/b"), Unsubscribed("/a/b")]


def test_unsubscribe_is_sent_only_if_the_session_is_subscribed(link: Link) -> None:
    opened(link)
    link.do(link.client.subscribe(["/a"]))
    link.do(link.client.unsubscribe(["/a", "/never"]))
    assert link.take() == [Subscribed("/a"), Unsubscribed("/a")]


def test_publish_without_a_session_fails_at_once(link: Link) -> None:
    (failed,) = link.client.publish("/a", 1)
    assert isinstance(failed, Failed)
    assert failed.error == "there is no session"


def test_a_disconnect_without_reply_ends_the_session(link: Link) -> None:
    opened(link)
    link.up = False
    link.do(link.client.disconnect())
    assert link.take() == [Closed()]
    assert link.client.disconnect() == []


def test_disconnect_during_the_handshake_stops_the_client(link: Link) -> None:
    link.client.handshake(0.0)
    assert link.client.disconnect() == [Closed()]


def test_a_closed_client_restarts_without_backoff(link: Link) -> None:
    link.up = False
    for _ in range(2):
        link.do(link.client.handshake(link.talk.now))
        assert link.take() == [ConnectionBroken(1.0)]
        link.do(link.client.disconnect())
        link.take()


def test_a_second_handshake_is_a_bug_error(link: Link) -> None:
    opened(link)
    with pytest.raises(BugError, match="CONNECTED can't shake hands"):
        link.client.handshake(0.0)


def test_reply_without_the_pending_message_is_a_failure(link: Link) -> None:
    link.do(link.client.handshake(0.0))
    link.take()
    number = link.client._connect()
    assert link.client.receive([], 0.0, number=number.number) == [ConnectionBroken(1.0)]


def test_malformed_replies_are_handled_without_an_exception(link: Link) -> None:
    opened(link)
    strange: Any = json.loads('[{}, {"channel": 5}, {"channel": "/meta/connect", "id": {}}, {"successful": "x"}]')
    assert link.client.receive(strange, 0.0) == [Received({}), Received({"channel": 5})]


def test_on_a_websocket_replies_are_matched_by_id_and_a_close_fails_all_pending_messages(talk: Any) -> None:
    client = BayeuxClient(ClientSettings(connection_type="websocket"))
    socket = talk.request("GET", websocket=True)
    reported: list[ClientEvent] = []

    def do(events: Iterable[ClientEvent]) -> None:
        for event in events:
            if isinstance(event, Send):
                read = len(socket.frames)
                talk.frame(socket, list(event.messages))
                for frame in socket.frames[read:]:
                    do(client.receive(frame, talk.now))
            else:
                reported.append(event)

    do(client.subscribe(["/a"]))
    do(client.handshake(0.0))
    do(client.advance(0.0))
    do(client.publish("/a", 1))
    assert [type(event) for event in reported] == [Established, Subscribed, Connected, Received, Published]
    reported.clear()
    talk.gone(socket)
    do(client.failed(None, 0.0))
    assert (reported, client.state) == ([ConnectionBroken(1.0)], ClientState.CONNECTING)
    socket = talk.request("GET", websocket=True)
    do(client.advance(1.0))
    assert reported[1:] == [Connected()]


REPLIES: Any = st.fixed_dictionaries(
    {"channel": st.sampled_from(["/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/disconnect", "/a"])},
    optional={
        "id": st.integers(1, 9).map(str),
        "successful": st.booleans(),
        "error": st.sampled_from(["402::Unknown client", "403::no", 5]),
        "clientId": st.sampled_from(["c", None]),
        "advice": st.fixed_dictionaries(
            {},
            optional={
                "reconnect": st.sampled_from(["retry", "handshake", "none", 5]),
                "interval": st.sampled_from([0, 500, -1, "x", None, 1e300]),
            },
        )
        | st.none(),
        "ext": st.fixed_dictionaries({"ack": st.integers() | st.none()}) | st.just(1),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("receive"), st.lists(REPLIES, max_size=3)),
            st.tuples(
                st.sampled_from(["failed", "advance", "subscribe", "publish", "disconnect", "handshake"]), st.none()
            ),
        ),
        max_size=25,
    )
)
def test_no_reply_in_any_state_raises_and_an_open_client_always_has_a_next_step(steps: Any) -> None:
    client = BayeuxClient()
    now = 0.0
    for what, messages in [("handshake", None), *steps]:
        now += 1.0
        if what == "receive":
            client.receive(messages, now)
        elif what == "failed":
            client.failed(None, now)
        elif what == "advance":
            client.advance(now)
        elif what == "subscribe":
            client.subscribe([f"/{now}"])
        elif what == "publish":
            client.publish("/a", 1)
        elif what == "disconnect":
            client.disconnect()
        elif client.state is ClientState.CLOSED:
            client.handshake(now)
        waits = client.deadline() is not None or any(
            pending.message["channel"] in {"/meta/handshake", "/meta/connect", "/meta/disconnect"}
            for pending in client._pending.values()
        )
        assert waits is (client.state is not ClientState.CLOSED)
