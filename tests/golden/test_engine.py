"""The engine answers what the real CometD server answered, case by case, with time moved instead of slept.

`matrix.py` holds the cases, written for sockets, threads and a clock. Here the three are replaced at their seams: a
request goes straight into the engine, and sleeping or waiting moves a virtual clock and does what becomes due.
"""

from __future__ import annotations

import heapq
import importlib.util
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cometreel.bayeux import AllowAll, BayeuxServer, BayeuxSettings, Message, PublishResult
from cometreel.wire import Effect, Headers, Reply, Request

HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((HERE / "golden-java-3.1.14.json").read_text("utf-8"))
SETTINGS = BayeuxSettings(
    endpoint="/cometd",
    timeout=GOLDEN["timeout_ms"] / 1000,
    max_interval=GOLDEN["max_interval_ms"] / 1000,
    on_hangup="lose",
    transports=("long-polling", "callback-polling"),
)


class Push(AllowAll):
    """Implements `/service/push` of the recorded servers: delivers to the publisher, later or at once."""

    def __init__(self, world: World) -> None:
        self.world = world

    def published(self, client_id: str, message: Message, request: Request, now: float) -> PublishResult | None:
        if message["channel"] != "/service/push":
            return None
        order: Any = message["data"]
        if order.get("kick"):
            self.world.later(order.get("delay", 0), partial(self.world.server.disconnect, client_id))
            return PublishResult()
        count = order.get("count", 1)
        data = [order["data"] if count == 1 else {**order["data"], "seq": number} for number in range(count)]
        messages: list[Message] = [{"channel": order["channel"], "data": each} for each in data]
        gap = order.get("gap")
        groups = [messages] if gap is None else [[message] for message in messages]
        for number, group in enumerate(groups):
            deliver = partial(self.world.server.deliver, client_id, group, batch=bool(order.get("batch")))
            self.world.later(order.get("delay", 0) + number * (gap or 0), deliver)
        return PublishResult()


class World:
    """A virtual clock, the engine, and the requests that wait for their reply."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pending: dict[int, Any] = {}
        self.numbers = itertools.count(1)
        self._agenda: list[tuple[float, int, Callable[[float], list[Effect]]]] = []
        self.server = BayeuxServer(SETTINGS, Push(self), lambda kind: f"{kind}{next(self.numbers):020}")

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.run(self.now + seconds)

    def later(self, milliseconds: float, action: Callable[[float], list[Effect]]) -> None:
        if milliseconds == 0:
            action(self.now)
        else:
            heapq.heappush(self._agenda, (self.now + milliseconds / 1000, next(self.numbers), action))

    def run(self, until: float, stop: Callable[[], bool] = lambda: False) -> None:
        while not stop():
            due = [when for when in (self.server.deadline(), self._agenda[0][0] if self._agenda else None) if when]
            if not due or min(due) > until:
                self.now = until
                return
            self.now = max(self.now, min(due))
            if self._agenda and self._agenda[0][0] <= self.now:
                self.do(heapq.heappop(self._agenda)[2](self.now))
            self.do(self.server.advance(self.now))

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert isinstance(effect, Reply), effect
            self.pending.pop(effect.request_id).arrived(effect)
            self.do(self.server.delivered(effect.request_id, self.now))


def virtual_pending(matrix: ModuleType, world: World) -> type:
    """Make the matrix's own `Pending` without a thread and without a socket."""

    class Pending(matrix.Pending):  # type: ignore[name-defined, misc]  # a class of a module loaded from a path
        def __init__(  # the arguments are the matrix's
            self, ctx: Any, step: Any, method: str, path: str, body: bytes | None, headers: Any, read_timeout: float
        ) -> None:
            self.ctx, self.step, self.reply = ctx, step, matrix.Reply()
            self.read_timeout, self.t0, self.th = read_timeout, world.now, SimpleNamespace(join=self.join)
            self.id = next(world.numbers)
            world.pending[self.id] = self
            path, _, query = path.partition("?")
            request = Request(self.id, method, path, query, Headers(headers.items()), body or b"")
            world.do(world.server.receive(request, world.now))

        def join(self, _: float) -> None:
            world.run(self.t0 + self.read_timeout, lambda: self.reply.done_at is not None)
            if self.reply.done_at is None:
                self.reply.error = "no reply (read timeout)"
                self.ended()

        def arrived(self, reply: Reply) -> None:
            self.reply.status, self.reply.headers, self.reply.body = reply.status, list(reply.headers), reply.body
            self.ended()

        def ended(self) -> None:
            self.reply.done_at, self.reply.elapsed = world.now, world.now - self.t0

        def hangup(self) -> None:
            if world.pending.pop(self.id, None) is not None:
                world.do(world.server.gone(self.id, world.now))
            if self.step is not None:
                self.step["reply"] = {"error": "client hung up"}

    return Pending


@pytest.fixture
def matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix", HERE / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    world = World()
    module.time = world
    module.Pending = virtual_pending(module, world)
    module.OPT = SimpleNamespace(
        T=GOLDEN["timeout_ms"], max_interval=GOLDEN["max_interval_ms"], path="/cometd", host="", port=0
    )
    return module  # type: ignore[no-any-return]  # Any, so that its globals can be replaced


def test_the_golden_file_has_every_case_of_the_matrix(matrix: ModuleType) -> None:
    assert sorted(matrix.CASES) == sorted(GOLDEN["cases"])
    assert len(matrix.CASES) == 137


@pytest.mark.parametrize("name", sorted(GOLDEN["cases"]))
def test_engine_answers_as_the_java_server(matrix: ModuleType, name: str) -> None:
    """Status, headers, bodies, their order and their timing are those that were recorded, to the last character."""
    case = GOLDEN["cases"][name]
    result = matrix.run_case(name)
    assert result["notes"] == case["notes"]
    expected = matrix.project(matrix.clone(case), core=False)
    differences = matrix.diff_steps(expected, matrix.project(matrix.clone(result), core=False))
    assert differences == []
