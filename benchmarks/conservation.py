"""Counts notifications over a recorded and replayed hour of mixed traffic: recorded = replayed + given up.

A generated server and its clients talk in virtual time, and a recorder writes their traffic. The scenario that is
distilled from it is replayed to clients that send the same requests at the same times. Each kind of identity that joins
requests with CometD clients has its own hour; a second replay has clients that are away for ten minutes, so that
notifications are given up. `tests/unit/recording/test_conservation.py` asserts the figures.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Protocol

from cometreel.bayeux import AllowAll, BayeuxServer, BayeuxSettings
from cometreel.engine import Backend, ReplaySettings
from cometreel.engine.given_up import GiveUpReason
from cometreel.jsonvalue import JSONObject
from cometreel.recording import Recorder, distill, load_policy
from cometreel.scenario import CompiledScenario, dump, loads, profile
from cometreel.wire import Accept, Effect, Frame, Headers, Reply, Request

__all__ = ["IDENTITIES", "Conservation", "bench", "conservation"]

HOUR: Final = 3600.0
IDENTITIES: Final = ("cookie", "Basic", "Bearer", "no identity", "WebSocket")
ENDPOINT: Final = "/api/v2/notifications"
START: Final = 1_800_000_000.0
PAUSE: Final = 15.0
"""Seconds between the end of a CometD session and the next one of the same client."""
AWAY: Final = 600.0
PLACES: Final = ("Place1", "Place2", "Place3")


@dataclass(frozen=True, slots=True)
class Conservation:
    """The figures of one hour. `notifications` were received by the recorded clients, `replayed` by the live ones.

    The live clients had no CometD session for `away` seconds.
    """

    identity: str
    away: float
    requests: int
    notifications: int
    replayed: int
    given_up: dict[GiveUpReason, int]

    @property
    def difference(self) -> int:
        """The number of notifications that are neither replayed nor reported; 0 if nothing is lost or invented."""
        return self.notifications - self.replayed - sum(self.given_up.values())


# ---------------------------------------------------------------------- the clients and their world
class Server(Protocol):
    """A server without I/O: the engine, or the one that is recorded."""

    def receive(self, request: Request, now: float) -> list[Effect]:
        """Process a request or an upgrade."""

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Process a frame of a WebSocket."""

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Confirm a reply or a frame."""

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """End a request or a WebSocket whose client is gone."""

    def deadline(self) -> float | None:
        """Return the time of the next `advance`."""

    def advance(self, now: float) -> list[Effect]:
        """Process everything that is due."""


class World:
    """Clients and one server in virtual time; a recorder, if there is one, writes their traffic."""

    def __init__(self, server: Server, recorder: Recorder | None = None) -> None:
        self.server, self.recorder = server, recorder
        self.now = 0.0
        self._owners: dict[int, VirtualClient] = {}
        self._ids = itertools.count(1)
        self._planned: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan an action."""
        heapq.heappush(self._planned, (seconds, next(self._ids), action))

    def run(self, until: float) -> None:
        """Move the time forward, from action to deadline."""
        while True:
            deadline = self.server.deadline()
            planned = self._planned[0][0] if self._planned else until + 1
            due = min(planned, until + 1 if deadline is None else deadline)
            if due > until:
                break
            self.now = max(self.now, due)
            if planned <= due:
                heapq.heappop(self._planned)[2]()
            else:
                self._perform(self.server.advance(self.now))
        self.now = until

    def send(self, client: VirtualClient, method: str, path: str, body: bytes, *, websocket: bool = False) -> int:
        """Send a request or an upgrade."""
        number = next(self._ids)
        self._owners[number] = client
        headers = Headers(client.fields())
        if self.recorder is not None and websocket:
            self.recorder.opened(str(number), f"ws://gws.corp{path}", headers, at=START + self.now)
        elif self.recorder is not None:
            wanted = not path.startswith(ENDPOINT)
            url = f"http://gws.corp{path}"
            self.recorder.request(str(number), method, url, headers, body, wanted=wanted, at=START + self.now)
        request = Request(number, method, path, headers=headers, body=body, websocket=websocket)
        self._perform(self.server.receive(request, self.now))
        return number

    def send_frame(self, number: int, text: str) -> None:
        """Send a frame of a WebSocket."""
        if self.recorder is not None:
            self.recorder.frame(str(number), True, text, at=START + self.now)
        self._perform(self.server.frame(number, text, self.now))

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Reply | Frame | Accept):
                self._take(effect)

    def _take(self, effect: Reply | Frame | Accept) -> None:
        number = effect.request_id
        if self.recorder is not None and isinstance(effect, Reply):
            self.recorder.reply(str(number), effect.status, effect.headers, effect.body, at=START + self.now)
        elif self.recorder is not None and isinstance(effect, Frame):
            self.recorder.frame(str(number), False, effect.text, at=START + self.now)
        if isinstance(effect, Accept):
            return
        self._owners[number].receive(effect)
        self.at(self.now, lambda: self._perform(self.server.delivered(number, self.now)))


@dataclass(eq=False)
class VirtualClient:
    """One client: it signs in, keeps a CometD session, and sends its requests."""

    world: World
    name: str
    identity: str
    channels: Sequence[str]
    received: list[JSONObject] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    client_id: str = ""
    socket: int | None = None
    polls: bool = False
    requests: int = 0

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield the header fields that identify the client."""
        yield "Content-Type", "application/json"
        if self.identity == "Basic":
            yield "Authorization", "Basic " + base64.b64encode(f"login of {self.name}:any".encode()).decode()
        elif self.identity == "Bearer":
            yield "Authorization", f"Bearer token-of-{self.name}"
        cookies = self.cookies if self.identity in ("cookie", "WebSocket") else {}
        if cookies:
            yield "Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())

    def sign_in(self) -> None:
        """Send the request that names the client."""
        self._post({"operationName": "StartContactCenterSession", "agentId": self.name})

    def ask(self, place: str) -> None:
        """Request the statistics of a place."""
        self._post({"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": place})

    def _post(self, body: JSONObject) -> None:
        self.requests += 1
        self.world.send(self, "POST", "/api/v2/workbins", json.dumps(body).encode())

    def connect(self) -> None:
        """Start a CometD session, subscribe and poll."""
        if self.identity == "WebSocket":
            self.socket = self.world.send(self, "GET", ENDPOINT, b"", websocket=True)
        self.polls = True
        self._send({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]})
        for channel in self.channels:
            self._send({"channel": "/meta/subscribe", "subscription": channel})
        self._poll()

    def disconnect(self) -> None:
        """End the CometD session."""
        self.polls = False
        self._send({"channel": "/meta/disconnect"})
        if self.socket is not None:
            self.world.server.gone(self.socket, self.world.now)
            self.socket = None

    def receive(self, effect: Reply | Frame) -> None:
        """Take a reply or a frame; poll again after the reply to a poll."""
        text = effect.body if isinstance(effect, Reply) else effect.text
        if isinstance(effect, Reply):
            for cookie in effect.headers.get_all("set-cookie"):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
        messages = json.loads(text) if text else []
        for message in messages if isinstance(messages, list) else ():
            if message["channel"] == "/meta/handshake":
                self.client_id = message["clientId"]
            elif message["channel"] == "/meta/connect" and message["successful"] and self.polls:
                self.world.at(self.world.now, self._poll)
            elif "data" in message:
                self.received.append(message)

    def _poll(self) -> None:
        if self.polls:
            self._send({"channel": "/meta/connect", "connectionType": "long-polling"})

    def _send(self, message: JSONObject) -> None:
        text = json.dumps([{**message, **({"clientId": self.client_id} if self.client_id else {})}])
        if self.socket is None:
            self.world.send(self, "POST", ENDPOINT, text.encode())
        else:
            self.world.send_frame(self.socket, text)


# ---------------------------------------------------------------------- the recorded server
class GeneratedServer(AllowAll):
    """A server whose answers are drawn from a seed. Without identities it has only one user."""

    def __init__(self, identity: str, *, broadcasts: bool) -> None:
        self._random, self._is_anonymous = Random(identity), identity == "no identity"
        self._shares = (70, 10, 10 if broadcasts else 0, 10)
        self._count = Counter[str]()
        settings = BayeuxSettings(ENDPOINT, max_sessions_per_browser=-1, require_cookie=False)
        self._bayeux = BayeuxServer(settings, self, self._new_id)
        self._due: list[tuple[float, int, Callable[[float], list[Effect]]]] = []
        self._clients: dict[str, str] = {}  # the session of each live CometD client
        self._sessions: dict[int, str] = {}  # by the number of an upgrade

    def receive(self, request: Request, now: float) -> list[Effect]:
        """Answer a POST later; pass Bayeux on."""
        session = self._session(request)
        has_cookie = self._is_anonymous or "JSESSIONID" in request.headers.cookies()
        cookie = [] if has_cookie else [("Set-Cookie", f"JSESSIONID={session}; Path=/")]
        if self._bayeux.handles(request.path):
            self._sessions[request.id] = session
            return self._bayeux.receive(request, now, headers=cookie)
        reference = self._number("reference")
        body = json.dumps({"statusCode": 0, "referenceId": reference}).encode()
        reply = Reply(request.id, 200, Headers([("Content-Type", "application/json"), *cookie]), body)
        self._later(now + self._random.uniform(0.005, 0.05), lambda _: [reply])
        self._plan(session, reference, str(json.loads(request.body).get("workbinOwner")), now)
        return []

    def _plan(self, session: str, reference: int, place: str, now: float) -> None:
        """Plan the notifications that a request causes, and an unsolicited one now and then."""
        stats: JSONObject = {"messageType": "WorkbinStatsMessage", "referenceId": reference, "place": place}
        kind = self._random.choices(("one", "two", "broadcast", "none"), self._shares)[0]
        delays = [self._random.uniform(0.001, 0.5) for _ in range({"two": 2, "none": 0}.get(kind, 1))]
        for number, delay in enumerate(sorted(delays)):
            message: JSONObject = {"channel": "/v2/me/workbins", "data": {**stats, "part": number}}
            if kind == "broadcast":
                message["channel"] = "/v2/news"
                self._later(now + delay, lambda at, news=message: self._broadcast(news, at))  # type: ignore[misc]  # mypy can't infer a lambda with a default
            else:
                self._push_later(session, message, now + delay)
        if self._random.random() < 0.2:
            state: JSONObject = {"messageType": "StateChange", "state": self._number("state")}
            self._push_later(session, {"channel": "/v2/me/workbins", "data": state}, now + self._random.uniform(1, 5))

    def _push_later(self, session: str, message: JSONObject, at: float) -> None:
        self._later(at, lambda now: [each for client in self._of(session) for each in self._push(client, message, now)])

    def _of(self, session: str) -> list[str]:
        """Return the CometD clients of a session."""
        return [client for client, owner in self._clients.items() if owner == session]

    def _push(self, client: str, message: JSONObject, now: float) -> list[Effect]:
        return self._bayeux.deliver(client, [message], now)

    def _broadcast(self, message: JSONObject, now: float) -> list[Effect]:
        clients = self._bayeux.subscribers(str(message["channel"]))
        return [each for client in clients for each in self._push(client, message, now)]

    def _session(self, request: Request) -> str:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return authorization
        if self._is_anonymous:
            return ""
        return request.headers.cookies().get("JSESSIONID") or self._new_id("session")

    def _new_id(self, kind: str) -> str:
        return f"{kind[0]}{self._random.getrandbits(96):024x}"

    def _number(self, kind: str) -> int:
        self._count[kind] += 1
        return self._count[kind]

    def _later(self, at: float, action: Callable[[float], list[Effect]]) -> None:
        heapq.heappush(self._due, (at, self._number("action"), action))

    def deadline(self) -> float | None:
        """Return the time of the next push or timer."""
        times = [self._bayeux.deadline(), self._due[0][0] if self._due else None]
        return min((at for at in times if at is not None), default=None)

    def advance(self, now: float) -> list[Effect]:
        """Perform the actions that are due."""
        effects = self._bayeux.advance(now)
        while self._due and self._due[0][0] <= now:
            effects += heapq.heappop(self._due)[2](now)
        return effects

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Pass a frame on."""
        return self._bayeux.frame(request_id, text, now)

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Pass a confirmation on."""
        return self._bayeux.delivered(request_id, now)

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Pass the end of a WebSocket on."""
        return self._bayeux.gone(request_id, now)

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Remember the session of a CometD client."""
        self._clients[client_id] = self._sessions[request.id]

    def ended(self, client_id: str, reason: object, now: float) -> None:
        """Forget a CometD client."""
        self._clients.pop(client_id, None)


# ---------------------------------------------------------------------- one hour
def play(world: World, identity: str, seconds: float, away: float = PAUSE) -> list[VirtualClient]:
    """Let clients sign in, connect, send requests, and connect again after a pause; return them."""
    number = 1 if identity == "no identity" else 4
    clients = []
    for place in range(number):
        random = Random(f"{identity}{place}")
        news = ["/v2/news"] if place % 2 == 0 else []
        client = VirtualClient(world, f"A{place + 1}", identity, ["/v2/me/*", *news])
        clients.append(client)
        start = place * 0.7
        world.at(start, client.sign_in)
        world.at(start + 1, client.connect)
        pause = seconds * random.uniform(0.4, 0.6)
        world.at(pause, client.disconnect)
        world.at(pause + away, client.connect)
        at = start + 5
        while (at := at + random.expovariate(1 / 30)) < seconds - 10:
            owner = random.choice(PLACES)
            world.at(at, lambda client=client, owner=owner: client.ask(owner))  # type: ignore[misc]  # mypy can't infer a lambda with a default
    world.run(seconds)
    return clients


def conservation(identity: str, folder: Path, seconds: float = HOUR, away: float = PAUSE) -> Conservation:
    """Record and replay traffic with one kind of identity, and count its notifications.

    There are no broadcasts if clients are away for longer than the recorded ones: a replay can't know who would have
    subscribed.
    """
    journal = folder / f"{identity} {away:g}.jsonl"
    recorder = Recorder(journal, policy=load_policy("default"), profile=profile("gws-v2"), clock=lambda: START)
    server = GeneratedServer(identity, broadcasts=away == PAUSE)
    recorded = play(World(server, recorder), identity, seconds)
    recorder.close()
    scenario = loads(dump(distill(journal).file))
    replayed, given_up = replay(scenario, identity, seconds, away)
    return Conservation(
        identity,
        away,
        sum(client.requests for client in recorded),
        sum(len(client.received) for client in recorded),
        replayed,
        given_up,
    )


def replay(
    scenario: CompiledScenario, identity: str, seconds: float, away: float = PAUSE
) -> tuple[int, dict[GiveUpReason, int]]:
    """Replay a scenario to the same clients; return the notifications that they received, and those given up."""
    backend = Backend(scenario, ReplaySettings(seed="conservation", max_calls=0))
    world = World(backend)
    clients = play(world, identity, seconds, away)
    for client in clients:
        client.polls = False
    backend.release_all(world.now)
    return sum(len(client.received) for client in clients), dict(backend.journal.given_up.counts)


def bench(folder: Path) -> None:
    """Print the figures for each kind of identity."""
    title = "Conservation: notifications of a recorded hour (goal: recorded = replayed + given up)"
    print(f"\n{title}\n{'-' * len(title)}")
    print(
        f"{'identity':<20}{'requests':>10}{'recorded':>10}{'replayed':>10}{'given up':>10}{'difference':>12}",
        flush=True,
    )
    for away, identity in itertools.product((PAUSE, AWAY), IDENTITIES):
        found = conservation(identity, folder, away=away)
        name = identity if away == PAUSE else f"{identity}, away"
        total = sum(found.given_up.values())
        figures = f"{found.requests:>10}{found.notifications:>10}{found.replayed:>10}{total:>10}{found.difference:>12}"
        reasons = ", ".join(f"{reason}: {number}" for reason, number in found.given_up.items())
        print(f"{name:<20}{figures}  {reasons}".rstrip(), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        bench(Path(made))
