"""Round trip: a recording is distilled and replayed to a client with the same requests, and the replay is recorded.

Both recordings then distil to the same scenario: nothing is lost on the way, in either order of reply and event.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometreel.engine import Backend, ReplaySettings
from cometreel.jsonvalue import JSON
from cometreel.scenario import ScenarioBlock, dump, loads
from cometreel.wire import Headers, Reply, Request

OWNERS = ["Place1", "Place2", "Place3"]
LOGIN = ("Authorization", "Basic " + base64.b64encode(b"kate.smith:pass word!").decode())
RECORDINGS = count()
COMETD = "/api/v2/notifications/"


class Player:
    """A client of a replay in simulated time, whose traffic is recorded."""

    def __init__(self, backend: Backend, wire: Any) -> None:
        self._backend, self._wire = backend, wire
        self._due: list[tuple[float, int, str, str, JSON]] = []
        self._flows: dict[int, tuple[str, bool]] = {}
        self._cookies: dict[str, str] = {}
        self._client = ""
        self._count = 0

    def at(self, seconds: float, method: str, path: str, body: JSON = None) -> None:
        self._count += 1
        heappush(self._due, (seconds, self._count, method, path, body))

    def play(self, until: float) -> None:
        now = 0.0
        self.at(0, "POST", COMETD, [{"channel": "/meta/handshake", "id": "1", "version": "1.0"}])
        while True:
            deadline = self._backend.deadline()
            due = self._due[0][0] if self._due else until
            now = min(due, deadline if deadline is not None else until)
            if now >= until:
                return
            if deadline is not None and deadline <= due:
                self._handle(self._backend.advance(now), now)
            else:
                self._send(*heappop(self._due))

    def _send(self, now: float, number: int, method: str, path: str, body: JSON) -> None:
        bayeux = path == COMETD
        if bayeux and self._client:
            body = [{**message, "clientId": self._client} for message in body]  # type: ignore[union-attr, dict-item]  # messages
        cookie = ("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items()))
        headers = [LOGIN, *([cookie] if self._cookies else [])]
        flow = self._wire.request(now, method, path, body, headers=headers, wanted=not bayeux)
        self._flows[number] = (flow, bayeux)
        sent = b"" if body is None else json.dumps(body).encode()
        bare, _, query = path.partition("?")
        request = Request(number, method, bare, query, Headers([*headers, ("Content-Type", "application/json")]), sent)
        self._handle(self._backend.receive(request, now), now)

    def _handle(self, effects: Any, now: float) -> None:
        for effect in effects:
            if not isinstance(effect, Reply):
                continue
            flow, bayeux = self._flows.pop(effect.request_id)
            self._wire.reply(now, flow, effect.body, status=effect.status, headers=list(effect.headers))
            for field in effect.headers.get_all("set-cookie"):
                name, _, value = field.partition(";")[0].partition("=")
                self._cookies[name] = value
            self._handle(self._backend.delivered(effect.request_id, now), now)
            if bayeux:
                self._poll(json.loads(effect.body), now)

    def _poll(self, messages: Any, now: float) -> None:
        for message in messages:
            if message["channel"] == "/meta/handshake":
                self._client = message["clientId"]
            if message["channel"] in ("/meta/handshake", "/meta/connect"):
                self.at(now, "POST", COMETD, [{"channel": "/meta/connect", "id": "2"}])


def plain(file: ScenarioBlock) -> str:
    """Return a scenario without the values that may differ between recordings."""
    return dump(file.model_copy(update={"title": "", "source": None, "roles": None, "bayeux": None}))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(OWNERS), st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=6
    )
)
def test_a_recorded_replay_distills_to_the_same_scenario(
    wire_of: Callable[..., Any], acts: list[tuple[str, int, int]]
) -> None:
    first = wire_of(name=f"first-{next(RECORDINGS)}")
    flows: list[tuple[float, int, str, JSON]] = []
    first.login(0, "s1", "c1")
    for number, (owner, reply_ms, event_ms) in enumerate(acts):
        at = 1 + number * 4.0
        body: JSON = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": owner}
        flow = first.request(at, "POST", "/api/v2/workbins", body, session="s1", headers=[LOGIN])
        data: JSON = {"messageType": "WorkbinStatsMessage", "referenceId": 60 + number, "count": number}
        steps = [(reply_ms, "reply"), (event_ms, "event")]
        for after_ms, what in sorted(steps):
            if what == "reply":
                first.reply(at + after_ms / 1000, flow, {"statusCode": 0, "referenceId": 60 + number})
            else:
                message = {"channel": "/v2/me/workbins", "data": data}
                first.poll(at, at + after_ms / 1000, "c1", message, session="s1")
        flows.append((at, number, owner, body))
    recorded = first.distil()

    second = wire_of(name=f"second-{next(RECORDINGS)}")
    player = Player(Backend(loads(dump(recorded.file)), ReplaySettings(seed="1")), second)
    for at, _, _, sent in flows:
        player.at(at, "POST", "/api/v2/workbins", sent)
    player.play(until=60)
    assert plain(second.distil().file) == plain(recorded.file)
