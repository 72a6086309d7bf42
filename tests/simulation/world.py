"""The driver of a simulated run, in virtual time: servers, clients, and everything that happens between them.

`play` performs the steps of a plan and returns the history. Nothing is random: all decisions are in the plan.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from cometreel.engine import Backend, Control, ReplaySettings
from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario
from cometreel.wire import Accept, Begin, Chunk, Drop, Effect, End, Frame, Headers, Log, Reply, Request
from tests.simulation.clients import Client
from tests.simulation.history import (
    Changed,
    Delivered,
    Emitted,
    FrameSent,
    History,
    Logged,
    Lost,
    Meaning,
    Sent,
)
from tests.simulation.plan import START, Plan
from tests.simulation.released import kept_by

SETTLING = 60.0
"""How long clients poll after the last step before they leave, in seconds."""
_MAX_IDLE_CALLS = 1000
_MAX_ACTIONS = 8_000
_MAX_AT_ONCE = 200

Task: TypeAlias = Callable[[], None]


class Stalled(Exception):
    """The engine asks to be called again and again at the same time."""


class World:
    """Servers and clients in virtual time. `scenario` replaces that of the plan."""

    def __init__(
        self, plan: Plan, *, scenario: CompiledScenario | None = None, nonce: str = "", late: bool = False
    ) -> None:
        self.plan = plan
        self.late = late
        """True if the servers are called only once, when clients wake up."""
        self.scenario: CompiledScenario = scenario or plan.compiled()
        self._edited: set[int] = set()
        self._edited_scenario: CompiledScenario | None = None
        """The scenario after an edit, and the servers that have loaded it."""
        self.history: History = []
        self.now = START
        self.asleep = False
        """True while no client does anything; a slow one is done when it wakes up."""
        self.stopping: int | None = None
        """The server that accepts no requests now, because it stops."""
        self._nonce, self._restarts = nonce, 0
        self.nodes: list[Backend] = [self._backend(node) for node in range(plan.options.nodes)]
        self.clients: dict[str, Client] = {}
        self._request_of: dict[int, Client] = {}
        self._tasks: list[tuple[float, int, Task]] = []
        self._arrivals = 0
        self._requests = self._at_once = 0
        self._counted_at = self._slept = 0.0
        self.restart_clients()
        self._reactions: deque[Task] = deque()
        self.kept: dict[str, int] = {}
        """The number of objects that the engine keeps after all clients have left, by their kind."""
        self.given_up: list[tuple[str, str]] = []
        """The event, as `EXCHANGE.PLACE`, and the reason of each notification that was given up."""
        self.actions = 0
        """The number of requests, frames, hang-ups and changes."""

    def _backend(self, node: int) -> Backend:
        options = self.plan.options
        settings = ReplaySettings(
            seed=options.seed,
            speed=options.speed,
            repeat=options.repeat,
            max_waiting=options.max_waiting,
            node=f"n{node}" if options.nodes > 1 else None,
            auth=options.auth,
        )
        self._restarts += 1
        backend = Backend(self._scenario_of(node), settings, nonce=f"{self._nonce}{node}-{self._restarts}")
        if options.manual_clock:
            backend.follow_clock(START)
        return backend

    def _scenario_of(self, node: int) -> CompiledScenario:
        if node not in self._edited:
            return self.scenario
        if self._edited_scenario is None:
            self._edited_scenario = self.plan.edited().compiled()
        return self._edited_scenario

    # ------------------------------------------------------------------ time
    def after(self, seconds: float, task: Task) -> None:
        """Call a task at a later time, in the order of time."""
        self._arrivals += 1
        heapq.heappush(self._tasks, (self.now + seconds, self._arrivals, task))

    def soon(self, task: Task) -> None:
        """Call a task when the effects that are being performed are done."""
        self._reactions.append(task)

    def until(self, end: float) -> None:
        """Let time pass up to a time, and call each server at each of its deadlines."""
        tasks = self._tasks
        while True:
            self._advance(end)
            self.now = max(self.now, min(tasks[0][0], end) if tasks else end)
            if not tasks or tasks[0][0] > end:
                return
            heapq.heappop(tasks)[2]()
            self.react()

    def _advance(self, until: float) -> None:
        """Call the servers at their deadlines, the earliest first."""
        calls = 0
        nodes = self.nodes
        while True:
            first, at = 0, None
            for node, backend in enumerate(nodes):
                deadline = backend.deadline()
                if deadline is not None and (at is None or deadline < at):
                    first, at = node, deadline
            if at is None or at > until or (self._tasks and not self.asleep and self._tasks[0][0] < at):
                return
            calls = calls + 1 if at <= self.now else 0
            if calls > _MAX_IDLE_CALLS:
                raise Stalled(f"node {first} is due at {at} after {calls} calls at {self.now}")
            self.now = max(self.now, at)
            self.do(first, nodes[first].advance(self.now))
            if not self.asleep:
                self.react()

    def react(self) -> None:
        """Let the clients react to what they have received."""
        while self._reactions:
            self._reactions.popleft()()

    def restart_clients(self) -> None:
        """Replace all clients by new ones that know nothing, and forget all requests."""
        self.clients = {}
        for plan in self.plan.clients:
            self.clients[plan.name] = Client(plan, self)
        self._request_of.clear()
        self._tasks.clear()

    # ------------------------------------------------------------------ called by clients
    def new_id(self) -> int:
        """Return a new request id."""
        self._requests += 1
        return self._requests

    def send(self, client: Client, request: Request, meaning: Meaning) -> None:
        """Let a request reach the server of a client."""
        node = client.plan.node
        self._count()
        if client.plan.address:
            request = replace(request, address=client.plan.address)
        self._request_of[request.id] = client
        self.history.append(Sent(self.now, node, client.plan.name, request, meaning))
        self.do(node, self.nodes[node].receive(request, self.now))

    def _count(self) -> None:
        self.actions += 1
        self._at_once = self._at_once + 1 if self.now == self._counted_at else 0
        self._counted_at = self.now
        if self._at_once > _MAX_AT_ONCE or self.actions > _MAX_ACTIONS:
            raise Stalled("clients and servers answer each other again and again")

    def send_frame(self, client: Client, request_id: int, text: str, meaning: Meaning) -> None:
        """Let a frame reach the server of a client."""
        node = client.plan.node
        self._count()
        self.history.append(FrameSent(self.now, node, client.plan.name, request_id, text, meaning))
        self.do(node, self.nodes[node].frame(request_id, text, self.now))

    def deliver(self, client: Client, request_id: int, content: JSON) -> None:
        """Confirm the oldest reply or frame of a request."""
        node = client.plan.node
        self.history.append(Delivered(self.now, node, client.plan.name, request_id, content))
        backend = self.nodes[node]
        if backend.awaits_confirmation(request_id):
            self.do(node, backend.delivered(request_id, self.now))

    def lose(self, client: Client, request_id: int) -> None:
        """End the connection of a request from the side of its client."""
        node = client.plan.node
        self.actions += 1
        self.history.append(Lost(self.now, node, client.plan.name, request_id))
        self.do(node, self.nodes[node].gone(request_id, self.now))

    def do(self, node: int, effects: list[Effect]) -> None:
        """Perform the effects of a server; the clients react afterwards."""
        for effect in effects:
            if isinstance(effect, Log):
                self.history.append(Logged(self.now, node, effect.level, effect.text))
                continue
            client = self._request_of[effect.request_id]
            self.history.append(Emitted(self.now, node, client.plan.name, effect))
            if isinstance(effect, Reply):
                client.on_reply(effect)
            elif isinstance(effect, Frame):
                client.on_frame(effect)
            elif isinstance(effect, Accept):
                client.on_accept(effect)
            elif isinstance(effect, Drop):
                client.on_drop(effect)
            else:
                assert isinstance(effect, Begin | Chunk | End), effect
                client.on_part(effect)

    # ------------------------------------------------------------------ the environment
    def change(self, what: str, value: JSON) -> None:
        """Perform a step of the environment."""
        self.actions += 1
        node = value if what in ("restart", "crash", "reset", "reload", "edit") and isinstance(value, int) else 0
        node = min(node, len(self.nodes) - 1)
        backend = self.nodes[node]
        if what == "sleep":
            self._sleep(float(str(value)))
            return
        self.history.append(Changed(self.now, node, what, value))
        if what in ("reload", "edit"):
            if what == "edit":
                self._edited ^= {node}
            self.do(node, Control(backend).replace(self._scenario_of(node), now=self.now))
        elif what == "reset":
            self._note_given_up(backend)
            self.do(node, Control(backend).reset(now=self.now))
        elif what == "speed":
            for each, one in enumerate(self.nodes):
                self.do(each, Control(one).set_speed(float(value), now=self.now))  # type: ignore[arg-type]  # a number
        elif what == "push":
            for each, one in enumerate(self.nodes):
                self.do(each, Control(one).push("/pushed", {"e": "push.0", "n": value}, now=self.now))
        elif what in ("restart", "crash"):
            self._restart(node, graceful=what == "restart")
        else:
            raise ValueError(f"{what} is not a step of the environment")

    def _sleep(self, seconds: float) -> None:
        """Let time pass while all clients sleep: with a call at each deadline, or with one late call."""
        end = self.now + seconds
        self._slept += seconds
        self.history.append(Changed(self.now, 0, "sleep", seconds))
        self.asleep = True
        if not self.late:
            self._advance(end)
        self.now = end
        for node, backend in enumerate(self.nodes):
            self.do(node, backend.advance(end))
        self.asleep = False

    def _restart(self, node: int, *, graceful: bool) -> None:
        if graceful:
            self.stopping = node
            self.do(node, self.nodes[node].release_all(self.now))
            self.react()
            self.stopping = None
        self._note_given_up(self.nodes[node])
        self.nodes[node] = self._backend(node)
        for client in self.clients.values():
            if client.plan.node == node:
                client.on_restart()

    def _note_given_up(self, backend: Backend) -> None:
        for each in backend.journal.given_up.latest:
            cause = each.exchange or ("push" if each.entry is None else f"timeline {each.entry - 1}")
            self.given_up.append((f"{cause}.{each.event - 1}", each.reason))

    # ------------------------------------------------------------------ the run
    def play(self) -> History:
        """Perform all steps, let the clients leave, and return the history."""
        for step in self.plan.steps:
            self.until(START + step.at + self._slept)
            self.perform(step.client, step.do, step.value)
            self.react()
        self.finish()
        return self.history

    def perform(self, client: str, do: str, value: JSON) -> None:
        """Perform one step."""
        if client:
            self.clients[client].do(do, value)
        else:
            self.change(do, value)

    def finish(self) -> None:
        """Let all clients poll until they have received everything, then leave, then let their sessions expire."""
        self.history.append(Changed(self.now, 0, "finish"))
        for client in self.clients.values():
            client.calm()
            self.react()
        self.until(self.now + SETTLING)
        self.history.append(Changed(self.now, 0, "leave"))
        for client in self.clients.values():
            client.leave()
            self.react()
        options = self.plan.options
        for seconds in (SETTLING, options.max_idle, options.max_idle):
            self.until(self.now + seconds + 1)
            for node, backend in enumerate(self.nodes):
                probe = Request(self.new_id(), "GET", "/probe", headers=Headers((("X-Probe", "1"),)))
                backend.receive(probe, self.now)
                self.history.append(Changed(self.now, node, "probe"))
        for backend in self.nodes:
            self._note_given_up(backend)
            for name, count in kept_by(backend).items():
                self.kept[name] = self.kept.get(name, 0) + count


def play(plan: Plan, *, late: bool = False) -> World:
    """Play a plan; return the world, with its history."""
    world = World(plan, late=late)
    world.play()
    return world
