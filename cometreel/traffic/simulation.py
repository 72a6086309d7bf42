"""Simulates the traffic of a scenario: one client per role makes the calls in file order, in virtual time.

The clients talk to the engine directly, without sockets or a clock. A scenario contains no request times, so each
request is sent when all effects of the previous one are over. Faults are not applied.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cometreel.bayeux import (
    BayeuxClient,
    ClientEvent,
    ClientState,
    Failed,
    MalformedMessages,
    Published,
    Received,
    Send,
    is_meta,
    parse_messages,
)
from cometreel.engine import Backend, ReplaySettings
from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import (
    CompiledScenario,
    EventBlock,
    ExchangeBlock,
    PublishBlock,
    ScenarioBlock,
    SubscriptionAnchor,
    load,
    parse,
    parse_duration,
)
from cometreel.scenario.values import Fixed
from cometreel.traffic.examples import NoExample, example, example_request, needs_example
from cometreel.traffic.traffic_events import SimulatedTraffic, Transaction
from cometreel.wire import Drop, Effect, Headers, Reply, Request

__all__ = ["simulate"]

_BASE = "http://cometreel.example"
_DEFAULT_ENDPOINT = "/cometd"
_DEFAULT_USER = "user"
_NO_ROLE = ""
_SECONDS_BETWEEN_CALLS = 0.05
_SECONDS_BETWEEN_EMPTY_POLLS = 1.0
"""Pause after a poll that was answered at once without messages; without it, virtual time would not advance."""
_MAX_REPLY_SECONDS = 60
"""Virtual seconds to wait for a reply whose delay is computed at run time."""


def simulate(path: Path) -> SimulatedTraffic:
    """Simulate the traffic of a scenario, a file or a folder of them.

    :raises FileInvalid: with every problem of every file.
    """
    scenario = load([path])
    return _Simulation(scenario, [parse(file) for file in scenario.files]).run(path)


class _Simulation:
    """Makes the calls of a scenario and collects notes about what the traffic does not show."""

    def __init__(self, scenario: CompiledScenario, files: Sequence[ScenarioBlock]) -> None:
        roles = {name: replace(role, user=role.user or name) for name, role in scenario.roles.items()}
        self._scenario = scenario = replace(scenario, roles=roles)  # so that each client logs in to its role
        self._files = files
        settings = ReplaySettings(seed="export", repeat=scenario.settings.repeat or "last")
        start = 0.0 if scenario.recorded is None else scenario.recorded.timestamp()
        self._network = _SimulatedNetwork(Backend(replace(scenario, faults=()), settings), start)
        self._clients: dict[str, _SimulatedClient] = {}
        self._notes: list[str] = []

    def run(self, path: Path) -> SimulatedTraffic:
        for block in (block for file in self._files for block in file.exchanges or ()):
            self._exchange(block)
        self._wait_for_timeline()
        for client in self._clients.values():
            client.disconnect()
        self._network.stop()
        self._note_omissions()
        transactions = sorted(self._network.transactions, key=lambda one: (one.at, one.request.id))
        return SimulatedTraffic(self._scenario.title or path.stem, tuple(transactions), tuple(self._notes))

    def _exchange(self, block: ExchangeBlock) -> None:
        roles = [block.as_] if isinstance(block.as_, str) else block.as_ or []
        client = self._client(roles[0] if roles else next(iter(self._scenario.roles), _NO_ROLE))
        for event in block.events or ():
            self._connect_receivers(event.deliver)
        try:
            self._send(client, block)
        except NoExample as error:
            self._notes.append(f"{block.name!r} is left out: {error}")
            return
        self._network.run_for(_duration(block))
        waited = 0
        while not client.replied and waited < _MAX_REPLY_SECONDS:
            self._network.run_for(1)
            waited += 1
        self._network.run_for(_SECONDS_BETWEEN_CALLS)
        self._note_exchange(block, roles)

    def _send(self, client: _SimulatedClient, block: ExchangeBlock) -> None:
        request = block.request
        if isinstance(request, PublishBlock):
            client.publish(str(example(request.publish)), example(request.data), example(request.ext))
            return
        path, query, headers, body = example_request(request)
        client.call(request.method, path, query, headers, body, login=request.authenticated is not False)

    def _note_exchange(self, block: ExchangeBlock, roles: Sequence[str]) -> None:
        calls = self._network.backend.calls
        played = calls[-1].exchange if calls else None
        if played != block.name:
            reason = f"{played!r} answers its request" if played else "no exchange matches its request"
            self._notes.append(f"{block.name!r} is not included: {reason}")
        elif needs_example(block.request):
            self._notes.append(f"{block.name!r}: one example request represents all requests that match its pattern")
        if len(roles) > 1:
            self._notes.append(f"{block.name!r}: only {roles[0]} sends the request, of {', '.join(roles)}")

    def _client(self, role: str) -> _SimulatedClient:
        if role not in self._clients:
            found = self._scenario.roles.get(role)
            user = _DEFAULT_USER if found is None or found.user is None else found.user
            client = _SimulatedClient(self._network, self._scenario.bayeux.endpoint or _DEFAULT_ENDPOINT, user)
            self._clients[role] = client
            client.connect(sorted(_channels(self._scenario)), login=role in self._receivers)
        return self._clients[role]

    def _connect_receivers(self, deliver: str | None) -> None:
        """Connect the clients of other roles that receive a notification."""
        if deliver in ("subscribers", "all"):
            for role in self._scenario.roles:
                self._client(role)
        elif deliver in self._scenario.roles:
            self._client(str(deliver))

    @cached_property
    def _receivers(self) -> frozenset[str]:
        """The roles that only receive notifications, and therefore log in with the handshake."""
        senders = {role for exchange in self._scenario.exchanges for role in exchange.roles}
        return frozenset(self._scenario.roles) - senders - {next(iter(self._scenario.roles), _NO_ROLE)}

    def _wait_for_timeline(self) -> None:
        entries = [entry for file in self._files for entry in file.timeline or ()]
        for entry in self._scenario.timeline:
            for role in entry.roles:
                self._client(role)
            self._connect_receivers(entry.event.deliver)
        self._network.run_for(max(map(_event_duration, entries), default=0.0))

    def _note_omissions(self) -> None:
        if self._scenario.faults:
            self._notes.append(f"faults are left out ({len(self._scenario.faults)}): the format can't express them")
        guarded = [exchange.name for exchange in self._scenario.exchanges if exchange.after or exchange.before]
        if guarded:
            self._notes.append(
                f"guards (when:) are left out, only the order of the calls shows them: {', '.join(map(repr, guarded))}"
            )
        given_up = Counter((event.cause, event.reason) for event in self._network.backend.journal.given_up.latest)
        for (cause, reason), count in given_up.items():
            self._notes.append(f"{count} of the notifications of {cause} are left out: {reason}")


def _channels(scenario: CompiledScenario) -> set[str]:
    """Return the channels of all notifications and of all subscriptions that timeline entries start or end with."""
    events = [event for exchange in scenario.exchanges for event in exchange.events]
    events += [entry.event for entry in scenario.timeline]
    anchors = [anchor for entry in scenario.timeline for anchor in (entry.since, *entry.until)]
    return {str(event.channel.value) for event in events if isinstance(event.channel, Fixed)} | {
        anchor.channel for anchor in anchors if isinstance(anchor, SubscriptionAnchor)
    }


def _duration(block: ExchangeBlock) -> float:
    """Return the seconds from a request to its last effect, as far as the file contains the delays."""
    return max([_seconds(block.reply.after if block.reply else None), *map(_event_duration, block.events or ())])


def _event_duration(event: EventBlock) -> float:
    count = event.count if isinstance(event.count, int) else 1
    return _seconds(event.after) + _seconds(event.gap) * (count - 1)


def _seconds(value: object) -> float:
    return parse_duration(value) if isinstance(value, str) else 0.0


@dataclass(frozen=True, slots=True)
class _OpenRequest:
    at: float
    request: Request
    on_reply: Callable[[Reply | None], None]


class _SimulatedNetwork:
    """Connects simulated clients to one engine and records the transactions.

    `now` is virtual time in seconds; `start` is its zero, in seconds since 1970.
    """

    def __init__(self, backend: Backend, start: float) -> None:
        self.backend = backend
        self.now = 0.0
        self.clients: list[_SimulatedClient] = []
        self.transactions: list[Transaction] = []
        self._start = start
        self._open: dict[int, _OpenRequest] = {}
        self._requests = 0

    def new_request_id(self) -> int:
        self._requests += 1
        return self._requests

    def send(self, request: Request, on_reply: Callable[[Reply | None], None]) -> None:
        """Pass a request to the engine; `on_reply` gets the reply, or None if the connection is closed without one."""
        self._open[request.id] = _OpenRequest(self.now, request, on_reply)
        self._apply(self.backend.receive(request, self.now))

    def run_for(self, seconds: float) -> None:
        """Advance virtual time, and run the engine and the clients at each of their deadlines."""
        end = self.now + seconds
        while (due := self._next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            for client in self.clients:
                client.advance()
            self._apply(self.backend.advance(self.now))
        self.now = end

    def stop(self) -> None:
        """Stop the server; requests that are still open end without a reply."""
        self._apply(self.backend.release_all(self.now))
        for request_id in [*self._open]:
            self._finish(request_id, None)

    def _next_deadline(self) -> float | None:
        deadlines = [self.backend.deadline(), *(client.deadline() for client in self.clients)]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Reply):
                on_reply = self._finish(effect.request_id, effect)
                self._apply(self.backend.delivered(effect.request_id, self.now))
                on_reply(effect)
            elif isinstance(effect, Drop):
                self._finish(effect.request_id, None)(None)

    def _finish(self, request_id: int, reply: Reply | None) -> Callable[[Reply | None], None]:
        ended = self._open.pop(request_id)
        self.transactions.append(Transaction(self._start + ended.at, ended.request, self._start + self.now, reply))
        return ended.on_reply


class _SimulatedClient:
    """An HTTP session with a CometD session over long polling: `BayeuxClient`, its cookies and its login.

    It waits for every reply and polls until it is disconnected.
    """

    def __init__(self, network: _SimulatedNetwork, endpoint: str, user: str) -> None:
        self.replied = False
        """True if the latest call or publish was answered."""
        self._network, self._endpoint, self._user = network, endpoint, user
        self._bayeux = BayeuxClient()
        self._cookies: dict[str, str] = {}
        self._earliest_poll = 0.0
        self._logs_in = False
        network.clients.append(self)

    def connect(self, channels: list[str], *, login: bool) -> None:
        """Open the CometD session, subscribe and start to poll; `login` with the handshake, or with the first call."""
        self._logs_in = login
        self._handle([*self._bayeux.subscribe(channels), *self._bayeux.handshake(self._network.now)])
        self._network.run_for(0)

    def call(
        self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, *, login: bool
    ) -> None:
        """Send a request of the application."""
        self.replied = False
        self._send(method, path, query, headers, body, self._on_reply, login=login)

    def publish(self, channel: str, data: JSON, ext: JSON) -> None:
        """Publish a message."""
        self.replied = False
        self._handle(self._bayeux.publish(channel, data, ext=ext if isinstance(ext, dict) else None))

    def disconnect(self) -> None:
        """End the CometD session."""
        self._handle(self._bayeux.disconnect())

    def advance(self) -> None:
        """Send the poll or handshake that is due."""
        if self._network.now >= self._earliest_poll:
            self._handle(self._bayeux.advance(self._network.now))

    def deadline(self) -> float | None:
        """Return the virtual time of the next poll or handshake."""
        due = self._bayeux.deadline()
        return None if due is None else max(due, self._earliest_poll)

    def _handle(self, events: Sequence[ClientEvent]) -> None:
        for event in events:
            if isinstance(event, Send):
                self._send_messages(event)
            elif isinstance(event, Published | Failed) and not is_meta(str(event.message["channel"])):
                self.replied = True

    def _send_messages(self, send: Send) -> None:
        sent_at = self._network.now
        is_poll = send.messages[0]["channel"] == "/meta/connect" and self._bayeux.state is ClientState.CONNECTED

        def on_reply(reply: Reply | None) -> None:
            events = self._messages_received(send, reply)
            is_empty = not any(isinstance(event, Received) for event in events)
            if is_poll and is_empty and sent_at == self._network.now:
                self._earliest_poll = self._network.now + _SECONDS_BETWEEN_EMPTY_POLLS
            self._handle(events)

        headers = [("Content-Type", "application/json;charset=UTF-8")]
        body = encode([*send.messages])
        self._send("POST", self._endpoint, "", headers, body, on_reply, login=self._logs_in)

    def _messages_received(self, send: Send, reply: Reply | None) -> list[ClientEvent]:
        if reply is not None:
            self._store_cookies(reply)
            if reply.status == 200:
                try:
                    return self._bayeux.receive(parse_messages(reply.body), self._network.now, number=send.number)
                except MalformedMessages:
                    pass
        return self._bayeux.failed(send.number, self._network.now)

    def _on_reply(self, reply: Reply | None) -> None:
        self.replied = True
        if reply is not None:
            self._store_cookies(reply)

    def _send(
        self,
        method: str,
        path: str,
        query: str,
        headers: list[tuple[str, str]],
        body: bytes,
        on_reply: Callable[[Reply | None], None],
        *,
        login: bool,
    ) -> None:
        fields = [*headers, *self._session_fields(login=login)]
        request = Request(self._network.new_request_id(), method, path, query, Headers(fields), body, _BASE)
        self._network.send(request, on_reply)

    def _session_fields(self, *, login: bool) -> Iterator[tuple[str, str]]:
        if login:
            credentials = f"{self._user}:{self._user}"  # not a real password
            yield "Authorization", "Basic " + base64.b64encode(credentials.encode()).decode()
        if self._cookies:
            yield "Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def _store_cookies(self, reply: Reply) -> None:
        for cookie in reply.headers.get_all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
