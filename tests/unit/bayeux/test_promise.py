"""The delivery guarantees, checked against a simple model with events in any order.

Until its session ends, no message is lost or reordered. A reply whose write failed is sent again, so a message can be
delivered twice; with the acknowledgement extension each is delivered once. Every HTTP request is answered once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cometreel.bayeux import AllowAll, BayeuxServer, BayeuxSettings
from cometreel.wire import Drop, Effect, Frame, Headers, Log, Reply, Request

KEEP = BayeuxSettings(endpoint="/b", timeout=5.0, max_interval=20.0, max_sessions_per_browser=-1)
LOSE = replace(KEEP, on_hangup="lose")
PEERS = st.integers(0, 1)
CHANNELS = st.sampled_from(["/a", "/b"])


@dataclass
class Peer:
    """The model of a client: the messages sent to it and received by it, and its pending requests."""

    http: bool
    acked: bool
    client_id: str = ""
    cookie: str = ""
    batch: int = -1
    subscribed: set[str] = field(default_factory=set)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    socket: int | None = None
    frames: list[str] = field(default_factory=list)
    """Unconfirmed frames that were sent to it."""
    replies: dict[int, bytes | None] = field(default_factory=dict)
    """Its HTTP requests: None while unanswered, the body while the reply is unconfirmed."""
    connecting: int | None = None
    may_switch: bool = False

    def read(self, text: str | bytes) -> None:
        for message in json.loads(text) if text else []:
            if message["channel"] == "/meta/connect" and self.acked:
                self.batch = message.get("ext", {}).get("ack", self.batch)
            elif not message["channel"].startswith("/meta/") and "data" in message:
                self.received.append(message["data"])


class Promise(RuleBasedStateMachine):
    """Two clients, one server, and a network on which any write can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.count = 0
        self.peers: list[Peer] = []
        self.server = BayeuxServer(KEEP, AllowAll(), self.new_id)

    def new_id(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    # ------------------------------------------------------------------ the network
    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            assert not isinstance(effect, Log), effect
            peer = next(p for p in self.peers if effect.request_id in p.replies or effect.request_id == p.socket)
            if isinstance(effect, Reply):
                assert peer.replies[effect.request_id] is None, "a request is answered once"
                peer.replies[effect.request_id] = effect.body
            elif isinstance(effect, Frame):
                peer.frames.append(effect.text)
            elif isinstance(effect, Drop):
                assert effect.request_id == peer.socket
                self.close(peer)

    def post(self, peer: Peer, **message: Any) -> int:
        """Send one message on the peer's transport."""
        if peer.client_id:
            message["clientId"] = peer.client_id
        text = json.dumps([message])
        if not peer.http:
            if peer.socket is None:
                peer.socket = number = self.number()
                self.do(self.server.receive(Request(number, "GET", "/b", websocket=True), self.now))
            self.do(self.server.frame(peer.socket, text, self.now))
            return peer.socket
        number = self.number()
        peer.replies[number] = None
        headers = Headers([("Cookie", f"BAYEUX_BROWSER={peer.cookie}")] if peer.cookie else [])
        self.do(self.server.receive(Request(number, "POST", "/b", headers=headers, body=text.encode()), self.now))
        return number

    def number(self) -> int:
        self.count += 1
        return self.count

    def close(self, peer: Peer) -> None:
        """Break the peer's WebSocket; unconfirmed frames are lost."""
        socket, peer.socket, peer.frames = peer.socket, None, []
        if peer.connecting == socket:
            peer.connecting = None
        assert socket is not None
        self.do(self.server.gone(socket, self.now))

    def forget(self, peer: Peer, number: int) -> bytes | None:
        if peer.connecting == number:
            peer.connecting = None
        return peer.replies.pop(number)

    # ------------------------------------------------------------------ what clients do
    @initialize(kinds=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=2), lose=st.booleans())
    def start(self, kinds: list[tuple[bool, bool]], lose: bool) -> None:
        """Start a server; with `on_hangup: lose` only clients with acknowledgements are checked."""
        if lose:
            self.server.reconfigure(LOSE)
        for http, acked in kinds:
            self.peers.append(Peer(http, acked or lose))
            self.handshake(len(self.peers) - 1)

    def handshake(self, index: int) -> None:
        """A client starts a new session; the peer of the old one receives nothing more."""
        old = self.peers[index]
        for number in [each for each, body in old.replies.items() if body is None]:
            self.forget(old, number)
            self.do(self.server.gone(number, self.now))
        if old.socket is not None:
            self.close(old)
        if old.client_id:
            self.do(self.server.disconnect(old.client_id, self.now))
        peer = self.peers[index] = Peer(old.http, old.acked, cookie=old.cookie, may_switch=old.http)
        ext = {"ack": True} if peer.acked else {}
        number = self.post(peer, channel="/meta/handshake", ext=ext)
        body = peer.frames[-1] if peer.socket is not None else peer.replies[number]
        assert body
        peer.client_id = json.loads(body)[0]["clientId"]
        if peer.http:
            view = self.server.session(peer.client_id)
            assert view is not None
            peer.cookie = view.browser
            self.confirm(index, at=0)

    @rule(index=PEERS)
    def poll(self, index: int) -> None:
        self.connect(index, timeout=None)

    @rule(index=PEERS, timeout=st.sampled_from([None, 0, 2000]))
    def connect(self, index: int, timeout: int | None) -> None:
        peer = self.peers[index]
        if peer.acked and peer.connecting is not None:
            return  # a client that counts acknowledgements has one connect at a time
        if peer.connecting in peer.replies and peer.replies[peer.connecting] is not None:
            return  # a client connects only after it has processed the last reply
        message: dict[str, Any] = {"channel": "/meta/connect", "connectionType": "any"}
        if peer.acked:
            message["ext"] = {"ack": peer.batch}
        if timeout is not None:
            message["advice"] = {"timeout": timeout}
        peer.connecting = self.post(peer, **message)

    @rule(index=PEERS, channel=CHANNELS)
    def subscribe(self, index: int, channel: str) -> None:
        peer = self.peers[index]
        if self.alive(peer):
            peer.subscribed.add(channel)
        self.post(peer, channel="/meta/subscribe", subscription=channel)

    @rule(index=PEERS, channel=CHANNELS)
    def publish(self, index: int, channel: str) -> None:
        number = self.number()
        if self.alive(self.peers[index]):
            for each in self.peers:
                if channel in each.subscribed and self.alive(each):
                    each.sent.append(number)
        self.post(self.peers[index], channel=channel, data=number)

    @rule(index=PEERS, how=st.sampled_from(["client", "server", "time", "handshake"]), really=st.integers(0, 4))
    def end(self, index: int, how: str, really: int) -> None:
        """A session ends, sometimes."""
        peer = self.peers[index]
        if really:
            return
        if how == "client":
            self.post(peer, channel="/meta/disconnect")
        elif how == "server":
            self.do(self.server.disconnect(peer.client_id, self.now))
        elif how == "time":
            self.wait(60.0)
        else:
            self.handshake(index)

    # ------------------------------------------------------------------ what the application does
    @rule(index=PEERS, count=st.integers(1, 3), batch=st.booleans(), channel=CHANNELS)
    def deliver(self, index: int, count: int, batch: bool, channel: str) -> None:
        peer = self.peers[index]
        numbers = [self.number() for _ in range(count)]
        if self.alive(peer):
            peer.sent += numbers
        messages: Any = [{"channel": channel, "data": number} for number in numbers]
        self.do(self.server.deliver(peer.client_id, messages, self.now, batch=batch))

    # ------------------------------------------------------------------ what the network does
    @rule(index=PEERS)
    def switch(self, index: int) -> None:
        """A client switches from long-polling to a WebSocket, or back."""
        peer = self.peers[index]
        if peer.may_switch and peer.connecting is None:
            peer.http = not peer.http

    @rule(index=PEERS, at=st.integers(0, 5))
    def confirm(self, index: int, at: int) -> None:
        """A reply, or the oldest frame, is confirmed."""
        peer = self.peers[index]
        answered = [number for number, body in peer.replies.items() if body is not None]
        if answered and (at % 2 or not peer.frames):
            number = answered[at % len(answered)]
            peer.read(self.forget(peer, number) or b"")
            self.do(self.server.delivered(number, self.now))
        elif peer.frames and peer.socket is not None:
            text = peer.frames.pop(0)
            if '"/meta/connect"' in text and not peer.http:
                peer.connecting = None
            peer.read(text)
            self.do(self.server.delivered(peer.socket, self.now))

    @rule(index=PEERS, at=st.integers(0, 5), read=st.booleans())
    def fail(self, index: int, at: int, read: bool) -> None:
        """A client disconnects during a request, or the write of its reply fails."""
        peer = self.peers[index]
        answered = [each for each, body in peer.replies.items() if body is not None]
        numbers = answered or list(peer.replies)
        if numbers:
            number = numbers[at % len(numbers)]
            body = self.forget(peer, number)
            if read and body is not None:
                peer.read(body)
            self.do(self.server.gone(number, self.now))

    @rule(index=PEERS, read=st.integers(0, 3))
    def break_socket(self, index: int, read: int) -> None:
        """A WebSocket breaks; the client may have read some of the unconfirmed frames."""
        peer = self.peers[index]
        if peer.socket is not None:
            for text in peer.frames[:read]:
                peer.read(text)
            self.close(peer)

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.5, 6.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.server.deadline()) is not None and due <= until:
            self.now = due
            self.do(self.server.advance(due))
        self.now = until

    # ------------------------------------------------------------------ the promise
    def alive(self, peer: Peer) -> bool:
        return self.server.session(peer.client_id) is not None

    @invariant()
    def messages_stay_in_order_and_with_ack_are_not_duplicated(self) -> None:
        for peer in self.peers:
            seen = peer.received if peer.acked else list(dict.fromkeys(peer.received))
            assert seen == peer.sent[: len(seen)], (peer.received, peer.sent)

    @precondition(lambda self: self.peers)
    @rule(index=PEERS)
    def nothing_is_lost(self, index: int) -> None:
        """A live session receives all its messages when no more writes fail."""
        peer = self.peers[index]
        for _ in range(12):
            while any(body is not None for body in peer.replies.values()) or peer.frames:
                self.confirm(index, at=0)
            if not self.alive(peer):
                return
            if peer.connecting is None:
                self.connect(index, timeout=0)
            else:
                self.wait(0.1)
        assert list(dict.fromkeys(peer.received)) == peer.sent

    def teardown(self) -> None:
        """Check that `release_all` answers every open request."""
        self.do(self.server.release_all(self.now))
        for peer in self.peers:
            assert all(body is not None for body in peer.replies.values())


TestPromise = Promise.TestCase
TestPromise.settings = settings(max_examples=400, stateful_step_count=35, deadline=None)
