"""Measures the engine alone, in memory: exchanges per second, and growth with exchanges and sessions."""

from __future__ import annotations

import cProfile
import gc
import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count

from benchmarks.figures import heading, row
from cometreel.engine import Backend, ReplaySettings
from cometreel.http_fields import RawFields, cached_headers, field_text
from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import loads
from cometreel.serve.app_factory import GC_THRESHOLDS
from cometreel.wire import Headers, Reply, Request

PATH = "/api/v2/notifications"


def scenario(exchanges: int, *, after: str | None = "20ms", timeout: int = 30_000) -> str:
    """Return a scenario with statistics for this many places; its polls are held for `timeout` milliseconds.

    Each has a notification after the time `after`, or none if it is None.
    """
    entries = [
        {
            "name": f"stats of place Place{number}",
            "request": {"method": "POST", "path": "/api/v2/workbins", "body": request_body(number)},
            "reply": {"status": 200, "body": {"statusCode": 0, "referenceId": 1000 + number}},
            **({"events": [_event(number, after)]} if after else {}),
        }
        for number in range(exchanges)
    ]
    return json.dumps(
        {"cometreel": 1, "bayeux": {"endpoint": PATH, "advice": {"timeout": timeout}}, "exchanges": entries}
    )  # JSON is YAML


def _event(number: int, after: str) -> dict[str, object]:
    return {
        "after": after,
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


def collect_garbage_less_often() -> None:
    """Set up the garbage collector as `cometreel serve` does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


class SimulatedAgent:
    """One live session with its cookies, CometD client and held poll. Its requests are prepared, as a socket's are.

    `headers` decodes header fields; by default equal ones once, as an HTTP server does.
    """

    def __init__(
        self,
        backend: Backend,
        ids: count[int],
        now: float,
        headers: Callable[[RawFields], Headers] = cached_headers,
    ) -> None:
        self._headers = headers
        self.backend, self.ids, self._jar = backend, ids, dict[str, str]()
        self._fields: RawFields = ((b"content-type", b"application/json"),)
        reply = self.post(PATH, [{"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]}], now)
        assert reply
        client = json.loads(reply.body)[0]["clientId"]
        self._connect = encode({"channel": "/meta/connect", "connectionType": "long-polling", "clientId": client})
        self.poll(now)
        self.poll(now)

    def poll(self, now: float) -> Reply | None:
        """Send a poll; the first is answered immediately, later ones are held."""
        return self.send(PATH, self._connect, now)

    def post(self, path: str, body: JSON, now: float) -> Reply | None:
        """Send a POST and return its reply, or None while it is held."""
        return self.send(path, encode(body), now)

    def send(self, path: str, body: bytes, now: float) -> Reply | None:
        """Send a POST with an encoded body; an HTTP server decodes equal header fields once."""
        request = Request(next(self.ids), "POST", path, headers=self._headers(self._fields), body=body)
        for effect in self.backend.receive(request, now):
            if isinstance(effect, Reply) and effect.request_id == request.id:
                for field in effect.headers.get_all("set-cookie"):
                    name, _, value = field.partition(";")[0].partition("=")
                    self._keep(name, value)
                if self.backend.awaits_confirmation(request.id):
                    self.backend.delivered(request.id, now)
                return effect
        return None

    def _keep(self, name: str, value: str) -> None:
        self._jar[name] = value
        cookies = "; ".join(f"{name}={value}" for name, value in self._jar.items())
        self._fields = ((b"content-type", b"application/json"), (b"cookie", cookies.encode()))


class EngineRun:
    """Live sessions of one backend that play exchanges in turn: POST, acknowledgement, notification, next poll.

    `different` places are requested, spread over the whole scenario.
    """

    def __init__(self, exchanges: int, sessions: int, *, different: int = 10) -> None:
        self.backend, self._ids, self._now = (
            Backend(loads(scenario(exchanges)), ReplaySettings(seed="bench")),
            count(1),
            0.0,
        )
        self._agents = [SimulatedAgent(self.backend, self._ids, self._now) for _ in range(sessions)]
        self._bodies = [encode({**request_body(place * exchanges // different)}) for place in range(different)]
        self._turn = 0

    def play(self, rounds: int) -> None:
        """Play complete exchanges, each by the next session."""
        for _ in range(rounds):
            self.post()
            self.advance()

    def post(self) -> None:
        """Let the next session send its POST; its acknowledgement comes at once."""
        self._turn += 1
        agent = self._agents[self._turn % len(self._agents)]
        assert agent.send("/api/v2/workbins", self._bodies[self._turn % len(self._bodies)], self._now)

    def advance(self, expected: int = 1) -> None:
        """Deliver the notifications of the latest POSTs, and let each receiver poll again."""
        self._now += 0.02
        answered = [effect for effect in self.backend.advance(self._now) if isinstance(effect, Reply)]
        assert len(answered) == expected, "the notification did not release the poll"
        assert b"WorkbinStatsMessage" in answered[0].body
        for place, reply in enumerate(answered, start=self._turn - expected + 1):
            self.backend.delivered(reply.request_id, self._now)
            self._agents[place % len(self._agents)].poll(self._now)

    def post_seconds(self, rounds: int, profile: cProfile.Profile | None = None) -> float:
        """Return the processor time of one POST alone; each session has at most one notification to come."""
        seconds, group = 0.0, len(self._agents)
        for _ in range(0, rounds, group):
            with profile or nullcontext():
                begin = time.process_time()
                for _ in range(group):
                    self.post()
                seconds += time.process_time() - begin
            self.advance(group)
        return seconds / (-(-rounds // group) * group)

    def exchange_seconds(self, rounds: int, profile: cProfile.Profile | None = None) -> float:
        """Return the processor time of one complete exchange."""
        with profile or nullcontext():
            begin = time.process_time()
            self.play(rounds)
            return (time.process_time() - begin) / rounds


def bytes_per_session(sessions: int = 5000) -> float:
    """Return the memory of an idle session with its held poll, without the bounded cache of header fields."""
    backend, ids = Backend(loads(scenario(10)), ReplaySettings(seed="bench")), count(1)
    SimulatedAgent(backend, ids, 0.0)
    gc.collect()
    tracemalloc.start()
    for _ in range(sessions):
        SimulatedAgent(backend, ids, 0.0, _new_headers)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / sessions


def _new_headers(fields: RawFields) -> Headers:
    return Headers((field_text(name), field_text(value)) for name, value in fields)


def exchanges_per_second(exchanges: int, sessions: int, rounds: int, *, different: int = 10) -> float:
    """Return how many complete exchanges the engine plays per second of processor time."""
    return 1 / EngineRun(exchanges, sessions, different=different).exchange_seconds(rounds)


def bench() -> None:
    """Print exchanges per second of the engine, and the growth ratios."""
    heading("Engine in memory: POST, acknowledgement, notification, next poll; exchanges/s")
    collect_garbage_less_often()
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
