"""A scenario as traffic: one client for each role makes the calls in the order of the file, in virtual time.

A scenario doesn't say when requests are made: each waits until what the one before caused is over. No fault is played.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cometreel.engine import Backend, ReplaySettings
from cometreel.scenario import (
    EventBlock,
    ExchangeBlock,
    PublishBlock,
    Scenario,
    ScenarioFile,
    load,
    parse,
    parse_duration,
)
from cometreel.traffic.examples import NoExample, example, example_request, needs_example
from cometreel.traffic.simulated_client import SimulatedClient, Simulator, Transaction

__all__ = ["Traffic", "traffic_of"]

_APART_SECONDS = 0.05
_ENDPOINT = "/cometd"
_EVERYBODY = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What crossed the wire, in the order in which it began, and what of the scenario couldn't be said so."""

    title: str
    spoken: tuple[Transaction, ...]
    notes: tuple[str, ...]


def traffic_of(path: Path) -> Traffic:
    """Play a scenario, a file or a folder of them.

    :raises FileInvalid: with every problem of every file.
    """
    scenario = load([path])
    return _Simulation(scenario, [parse(file) for file in scenario.files]).traffic(path)


class _Simulation:
    def __init__(self, scenario: Scenario, files: Sequence[ScenarioFile]) -> None:
        self._scenario, self._files = scenario, files
        settings = ReplaySettings(seed="export", repeat=scenario.settings.repeat or "last")
        start = 0.0 if scenario.recorded is None else scenario.recorded.timestamp()
        self._stage = Simulator(Backend(replace(scenario, faults=()), settings), start)
        self._clients: dict[str, SimulatedClient] = {}
        self._notes: list[str] = []

    def traffic(self, path: Path) -> Traffic:
        blocks = [block for file in self._files for block in file.exchanges or ()]
        for block in blocks:
            self._play(block)
        self._wait_for_timeline()
        for client in self._clients.values():
            client.ends()
        self._stage.end()
        self._note_what_is_left()
        spoken = sorted(self._stage.spoken, key=lambda one: (one.at, one.request.id))
        return Traffic(self._scenario.title or path.stem, tuple(spoken), tuple(self._notes))

    def _play(self, block: ExchangeBlock) -> None:
        roles = [block.as_] if isinstance(block.as_, str) else block.as_ or []
        client = self._client(roles[0] if roles else next(iter(self._scenario.roles), _EVERYBODY))
        try:
            self._ask(client, block)
        except NoExample as error:
            self._notes.append(f"{block.name!r} is left out: {error}")
            return
        self._stage.until(self._stage.now + _last(block))
        waited = 0
        while not client.answered and waited < _PATIENCE:
            self._stage.until(self._stage.now + 1)
            waited += 1
        self._stage.until(self._stage.now + _APART_SECONDS)
        self._check(block, roles)

    def _ask(self, client: SimulatedClient, block: ExchangeBlock) -> None:
        request = block.request
        if isinstance(request, PublishBlock):
            client.publishes(str(example(request.publish)), example(request.data), example(request.ext))
            return
        path, query, headers, body = example_request(request)
        client.calls(request.method, path, query, headers, body, login=request.authenticated is not False)

    def _check(self, block: ExchangeBlock, roles: Sequence[str]) -> None:
        played = self._stage.backend.calls[-1].exchange if self._stage.backend.calls else None
        if played != block.name:
            what = f"{played!r} answered in its place" if played else "nothing answered its request here"
            self._notes.append(f"{block.name!r} is not in it: {what}")
        elif needs_example(block.request):
            self._notes.append(f"{block.name!r}: one example stands for all the requests that it answers")
        if len(roles) > 1:
            self._notes.append(f"{block.name!r}: only {roles[0]} asks, of {', '.join(roles)}")

    def _client(self, role: str) -> SimulatedClient:
        if role not in self._clients:
            known = self._scenario.roles.get(role)
            user = (known.user or role) if known is not None else "user"
            client = SimulatedClient(self._stage, self._scenario.bayeux.endpoint or _ENDPOINT, user)
            self._clients[role] = client
            client.begins(sorted(_channels(self._files)))
        return self._clients[role]

    def _wait_for_timeline(self) -> None:
        entries = [entry for file in self._files for entry in file.timeline or ()]
        self._stage.until(self._stage.now + max(map(_span, entries), default=0.0))

    def _note_what_is_left(self) -> None:
        if self._scenario.faults:
            self._notes.append(f"faults are left out ({len(self._scenario.faults)}): traffic has no word for them")
        guarded = [exchange.name for exchange in self._scenario.exchanges if exchange.after or exchange.before]
        if guarded:
            self._notes.append(f"guards (when:) show only in the order: {', '.join(map(repr, guarded))}")


def _channels(files: Sequence[ScenarioFile]) -> Iterator[str]:
    """The channels of all notifications, each once."""
    events = [event for file in files for block in file.exchanges or () for event in block.events or ()]
    entries = [entry for file in files for entry in file.timeline or ()]
    yield from {event.channel for event in [*events, *entries] if isinstance(event.channel, str)}


def _last(block: ExchangeBlock) -> float:
    """Seconds from a request until the last that it causes, as far as the file says it."""
    return max([_seconds(block.reply.after if block.reply else None), *map(_span, block.events or ())])


def _span(event: EventBlock) -> float:
    count = event.count if isinstance(event.count, int) else 1
    return _seconds(event.after) + _seconds(event.gap) * (count - 1)


def _seconds(value: object) -> float:
    return parse_duration(value) if isinstance(value, str) else 0.0


_PATIENCE = 60
"""Seconds that a reply may take whose time the file doesn't say."""
