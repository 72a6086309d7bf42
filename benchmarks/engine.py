"""Measures the engine alone, in memory: exchanges per second, and growth with exchanges and sessions."""

from __future__ import annotations

import json
import time
from itertools import count

from benchmarks.figures import heading, row
from cometreel.engine import Backend, ReplaySettings
from cometreel.scenario import loads
from cometreel.wire import Headers, Reply, Request

PATH = "/api/v2/notifications"


def scenario(exchanges: int, *, events: bool = True) -> str:
    """Return a scenario with statistics for this many places; without `events`, only acknowledgements."""
    entries = [
        {
            "name": f"stats of place Place{number}",
            "request": {"method": "POST", "path": "/api/v2/workbins", "body": request_body(number)},
            "reply": {"status": 200, "body": {"statusCode": 0, "referenceId": 1000 + number}},
            **({"events": [_event(number)]} if events else {}),
        }
        for number in range(exchanges)
    ]
    return json.dumps({"cometreel": 1, "bayeux": {"endpoint": PATH}, "exchanges": entries})  # JSON is YAML


def _event(number: int) -> dict[str, object]:
    return {
        "after": "20ms",
        "channel": "/v2/me/workbins",
        "data": {
            "messageType": "WorkbinStatsMessage",
            "referenceId": 1000 + number,
            "workbinStats": {"86164e12": {"Count": 1, "Owner": f"Place{number}", "Type": "Place"}},
        },
    }


def request_body(number: int) -> dict[str, str]:
    """Return the body of a request for the statistics of one place."""
    return {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": f"Place{number}"}


class SimulatedAgent:
    """One live session with its cookies, CometD client and held poll."""

    def __init__(self, backend: Backend, ids: count[int], now: float) -> None:
        self.backend, self.ids, self.jar = backend, ids, dict[str, str]()
        reply = self.post(PATH, [{"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]}], now)
        assert reply
        self.client = json.loads(reply.body)[0]["clientId"]
        self.poll(now)
        self.poll(now)

    def poll(self, now: float) -> Reply | None:
        """Send a poll; the first is answered immediately, later ones are held."""
        body = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": self.client}
        return self.post(PATH, [body], now)

    def post(self, path: str, body: object, now: float) -> Reply | None:
        """Send a POST and return its reply, or None while it is held."""
        fields = [("Content-Type", "application/json")]
        if self.jar:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items())))
        request = Request(next(self.ids), "POST", path, headers=Headers(fields), body=json.dumps(body).encode())
        for effect in self.backend.receive(request, now):
            if isinstance(effect, Reply) and effect.request_id == request.id:
                for field in effect.headers.get_all("set-cookie"):
                    name, _, value = field.partition(";")[0].partition("=")
                    self.jar[name] = value
                self.backend.delivered(request.id, now)
                return effect
        return None


def exchanges_per_second(exchanges: int, sessions: int, rounds: int, *, different: int = 10) -> float:
    """Return how many exchanges per second run: POST, acknowledgement, notification on the held poll, next poll.

    `different` places are requested, spread over the whole scenario.
    """
    backend, ids, now = Backend(loads(scenario(exchanges)), ReplaySettings(seed="bench")), count(1), 0.0
    agents = [SimulatedAgent(backend, ids, now) for _ in range(sessions)]
    begin = time.perf_counter()
    for turn in range(rounds):
        agent = agents[turn % sessions]
        assert agent.post("/api/v2/workbins", request_body(turn % different * exchanges // different), now)
        now += 0.02
        answered = [effect for effect in backend.advance(now) if isinstance(effect, Reply)]
        assert len(answered) == 1, "the notification did not release the poll"
        assert b"WorkbinStatsMessage" in answered[0].body
        backend.delivered(answered[0].request_id, now)
        agent.poll(now)
    return rounds / (time.perf_counter() - begin)


def bench() -> None:
    """Print exchanges per second of the engine, and the growth ratios."""
    heading("Engine in memory: POST, acknowledgement, notification, next poll; exchanges/s")
    small, large, fresh, crowd = [], [], [], []
    for _ in range(5):
        small.append(exchanges_per_second(10, 10, 1000))
        large.append(exchanges_per_second(10_000, 10, 1000))
        fresh.append(exchanges_per_second(10_000, 10, 1000, different=1000))
        crowd.append(exchanges_per_second(10, 10_000, 1000))
    row("10 exchanges, 10 sessions", small, "exchanges/s")
    row("10,000 exchanges, 10 sessions", large, "exchanges/s")
    row("the same, each request new", fresh, "exchanges/s")
    row("10 exchanges, 10,000 sessions", crowd, "exchanges/s")
    row("ratio 10 : 10,000 exchanges", [one / other for one, other in zip(small, large, strict=True)])
    row("ratio 10 : 10,000 sessions", [one / other for one, other in zip(small, crowd, strict=True)])
