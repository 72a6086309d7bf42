"""Any input in any state of a session raises no exception, and each request is answered once."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cometreel.bayeux import AllowAll, BayeuxServer, BayeuxSettings
from cometreel.jsonvalue import encode
from cometreel.wire import Accept, Drop, Frame, Headers, Reply, Request

META = ["/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect"]
NAMES = st.sampled_from([*META, "/meta/foo", "/a", "/a/*", "/**", "/service/x", "foo", "/", "//", "", "/a//b", "/*/b"])
JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["timeout", "ack", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
CLIENTS = st.sampled_from(["client1", "client2", "client3", "nobody"]) | JSONS
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": JSONS,
    "clientId": CLIENTS,
    "connectionType": JSONS,
    "subscription": NAMES | st.lists(NAMES, max_size=3) | JSONS,
    "advice": st.fixed_dictionaries({}, optional={"timeout": st.sampled_from([0, 1000, -1]) | JSONS, "interval": JSONS})
    | JSONS,
    "ext": st.fixed_dictionaries({"ack": st.booleans() | st.integers(-1, 9)}) | JSONS,
    "data": JSONS,
}
MESSAGES: st.SearchStrategy[Any] = st.fixed_dictionaries({"channel": NAMES | JSONS}, optional=FIELDS)
LIKELY: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"channel": st.sampled_from([*META, "/a"]), "clientId": st.sampled_from(["client1", "client3"])},
    optional={"subscription": st.just("/a"), "ext": st.just({"ack": True})},
)
BODIES = (
    st.lists(LIKELY | MESSAGES, max_size=3).map(encode) | LIKELY.map(encode) | JSONS.map(encode) | st.binary(max_size=9)
)
STEPS = st.one_of(
    st.tuples(st.just("post"), BODIES),
    st.tuples(st.just("frame"), BODIES),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 2.0, 20.0])),
    st.tuples(st.just("gone"), st.integers(0, 5)),
    st.tuples(st.just("delivered"), st.integers(0, 5)),
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("kick"), st.integers(1, 3)),
)


class TrackingServer:
    """A server whose requests are tracked: open, answered or disconnected."""

    def __init__(self, on_hangup: Any) -> None:
        self.server = BayeuxServer(
            BayeuxSettings(timeout=1.0, max_interval=5.0, on_hangup=on_hangup, require_cookie=False),
            AllowAll(),
            self.new_id,
        )
        self.now, self.ids, self.count = 0.0, 0, 0
        self.waiting: list[int] = []
        self.answered: list[int] = []
        self.socket: int | None = None
        self.do(self.post(encode([{"channel": "/meta/handshake"}])))

    def new_id(self, kind: str) -> str:
        self.ids += 1
        return f"client{self.ids}"

    def post(self, body: bytes) -> list[Any]:
        self.count += 1
        self.waiting.append(self.count)
        return self.server.receive(Request(self.count, "POST", "/cometd", body=body), self.now)

    def step(self, what: str, value: Any) -> None:
        if what == "post":
            self.do(self.post(value))
        elif what == "frame":
            if self.socket is None:
                self.count += 1
                self.socket = self.count
                request = Request(self.count, "GET", "/cometd", headers=Headers(), websocket=True)
                self.do(self.server.receive(request, self.now))
            self.do(self.server.frame(self.socket, value.decode("utf-8", "replace"), self.now))
        elif what == "wait":
            self.now += value
            self.do(self.server.advance(self.now))
        elif what == "gone" and self.waiting:
            self.do(self.server.gone(self.waiting.pop(value % len(self.waiting)), self.now))
        elif what == "delivered" and self.answered:
            self.do(self.server.delivered(self.answered.pop(value % len(self.answered)), self.now))
        elif what == "deliver":
            self.do(self.server.deliver(f"client{value}", [{"channel": "/a", "data": 1}], self.now))
        elif what == "kick":
            self.do(self.server.disconnect(f"client{value}", self.now))

    def do(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Reply):
                self.waiting.remove(effect.request_id)  # raises if the request was answered or has disconnected
                self.answered.append(effect.request_id)
            elif isinstance(effect, Drop):
                assert effect.request_id == self.socket
                self.socket = None
            else:
                assert isinstance(effect, Frame | Accept)
                assert effect.request_id == self.socket


@settings(max_examples=300, deadline=None)
@given(on_hangup=st.sampled_from(["keep", "lose"]), steps=st.lists(STEPS, max_size=25))
def test_no_input_raises_and_every_request_is_answered_exactly_once(
    on_hangup: str, steps: list[tuple[str, Any]]
) -> None:
    tracked = TrackingServer(on_hangup)
    for what, value in steps:
        tracked.step(what, value)
    tracked.do(tracked.server.release_all(tracked.now))
    assert tracked.waiting == []
    tracked.now += 100.0
    tracked.do(tracked.server.advance(tracked.now))
    assert tracked.server.client_ids() == ()
    assert tracked.server.deadline() is None
