"""The engine as the server of the golden cases, in virtual time.

`matrix.py` holds the cases, written for sockets, threads and a clock. Here the three are replaced at their seams: a
request goes straight into the engine, and sleeping or waiting moves a virtual clock and does what becomes due.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from cometreel.bayeux import AllowAll, BayeuxServer, BayeuxSettings, Message, PublishResult
from cometreel.bayeux.settings import DialectName
from cometreel.wire import Effect, Headers, Reply, Request
from tests.golden.more_cases import load_matrix

HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((HERE / "golden-java-3.1.14.json").read_text("utf-8"))


def settings(dialect: DialectName) -> BayeuxSettings:
    """Return the settings of the recorded servers."""
    return BayeuxSettings(
        endpoint="/cometd",
        timeout=GOLDEN["timeout_ms"] / 1000,
        max_interval=GOLDEN["max_interval_ms"] / 1000,
        on_hangup="lose",
        dialect=dialect,
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

    def __init__(self, dialect: DialectName) -> None:
        self.now = 1000.0
        self.pending: dict[int, Any] = {}
        self.numbers = itertools.count(1)
        self._agenda: list[tuple[float, int, Callable[[float], list[Effect]]]] = []
        self.server = BayeuxServer(settings(dialect), Push(self), lambda kind: f"{kind}{next(self.numbers):020}")

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


def virtual_matrix(dialect: DialectName = "3.x") -> ModuleType:
    """Return the golden cases as a module whose requests go to a new engine in virtual time."""
    matrix: Any = load_matrix()  # Any, so that its globals can be replaced
    world = World(dialect)
    matrix.time = world
    matrix.Pending = virtual_pending(matrix, world)
    matrix.OPT = SimpleNamespace(
        T=GOLDEN["timeout_ms"], max_interval=GOLDEN["max_interval_ms"], path="/cometd", host="", port=0
    )
    return matrix  # type: ignore[no-any-return]  # Any, so that its globals can be replaced
