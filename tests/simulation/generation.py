"""Generates a plan from a seed. Each seed turns a random subset of features and additions on (swarm testing).

With all features in each run, some would hide faults in others: a node that restarts every second never fills a queue.
"""

from __future__ import annotations

from random import Random
from typing import get_args

from cometreel.jsonvalue import JSON
from tests.simulation.additions import ADDITIONS
from tests.simulation.plan import (
    CAPTURING,
    IDENTIFIERS,
    Answer,
    ClientPlan,
    FaultName,
    Identity,
    Operation,
    Options,
    Plan,
    PlannedEntry,
    PlannedEvent,
    PlannedFault,
    Repeat,
    Step,
    Trigger,
)
from tests.simulation.transports import TRANSPORTS

FEATURES = (
    "aborts",
    "acks",
    "anonymous",
    "batches",
    "binding",
    "broadcast",
    "callers without polls",
    "connect only",
    "credentials",
    "disconnect events",
    "exchange faults",
    "failing replies",
    "few provisional sessions",
    "few waiting",
    "full queues",
    "guards",
    "hang-ups",
    "jumps",
    "keep when gone",
    "lost on hang-up",
    "meta faults",
    "misbehaviour",
    "no cookies",
    "nodes",
    "pauses",
    "publishes",
    "pushes",
    "rates",
    "reloads",
    "reordering",
    "repeats",
    "resets",
    "restarts",
    "roles",
    "roles of entries",
    "roles of notifications",
    "slow clients",
    "speeds",
    "subscribed only",
    "tabs",
    "templates",
    "timeline",
)
_CHANNELS = ("/a", "/b", "/c/d")
_TRIGGERS: tuple[Trigger, ...] = tuple(
    each for each in get_args(Trigger) if each != "publish" and each not in IDENTIFIERS
)
"""Those of HTTP requests without an identifier."""
_EXCHANGE_FAULTS: tuple[FaultName, ...] = ("status", "delay", "drop", "duplicate", "disconnect", "broken")
_META_FAULTS: tuple[FaultName, ...] = ("status", "broken", "error")
_DELAYS = (0.0, 0.0, 0.01, 0.1, 0.1, 0.3, 1.0, 3.0)
_YAML_ONE_IN = 50
_SHARE = 0.3
"""The share of the seeds that have a feature or an addition."""


class Generator:
    """Generates the plan of one seed."""

    def __init__(self, seed: int, *, length: int = 150) -> None:
        self._random = random = Random(seed)  # not for secrets
        self._seed, self._length = seed, length
        self._features = {each for each in FEATURES if random.random() < _SHARE}
        if self._has("few waiting") and random.random() < 0.5:
            self._features.add("batches")  # each counts as one
        self._number = 0

    def _has(self, feature: str) -> bool:
        return feature in self._features

    def plan(self) -> Plan:
        """Return the plan."""
        options = self._options()
        users = self._users(options)
        operations = self._operations(users)
        clients = self._clients(options)
        return Plan(
            operations,
            clients,
            self._steps(operations, clients),
            self._timeline(operations, users) if self._has("timeline") or self._has("roles of entries") else (),
            self._faults(operations, options),
            users,
            options,
            through_yaml=self._seed % _YAML_ONE_IN == 0,
        )

    def _options(self) -> Options:
        random, has = self._random, self._has
        full = has("full queues")
        no_cookies = has("no cookies")
        certain = not has("lost on hang-up")  # it is known when the server notices that a client has gone
        return Options(
            timeout=random.choice([3_007, 10_007, 30_011]),
            max_interval=random.choice([4.013, 8.017]),
            require_cookie=not no_cookies,
            cookie="none" if no_cookies else "JSESSIONID",
            on_hangup="lose" if has("lost on hang-up") else "keep",
            when_gone="keep" if has("keep when gone") else "drop",
            deliver="subscribed" if has("subscribed only") else "all",
            connect_only=has("connect only"),
            max_queue=random.choice([1, 3]) if full else 10_000,
            max_waiting=random.choice([1, 2, 4]) if has("few waiting") and certain else 1000,
            max_provisional=random.choice([1, 2, 3]) if has("few provisional sessions") and certain else 10_000,
            browser_limit=1 if has("tabs") and random.random() < 0.5 else -1,
            speed=random.choice([0.0, 0.5, 3.0]) if has("speeds") else 1.0,
            repeat=self._repeat() or "last",
            nodes=2 if has("nodes") else 1,
            seed=None if has("restarts") else random.choice([None, "7"]),
            dialect=random.choice(["3.x", "4+"]),
        )

    def _repeat(self) -> Repeat | None:
        choices: list[Repeat] = ["last", "cycle", "fail"]
        return self._random.choice(choices) if self._has("repeats") else None

    def _users(self, options: Options) -> tuple[tuple[str, str], ...]:
        """Return roles: those of users, those that only timeline entries assign, and one for notifications."""
        random, users = self._random, list[tuple[str, str]]()
        if self._has("roles of entries"):
            users += [("watcher-1", ""), ("watcher-2", "")][: random.randint(0, 2)]
            if not users:  # others must assign the roles
                self._features.add("roles")
        if self._has("roles"):
            users += [("agent-1", "ann"), ("agent-2", "bob")]
        if self._has("roles of notifications") and options.on_hangup == "keep":
            users.append(("listener", ""))
        return tuple(users)

    # ------------------------------------------------------------------ the scenario
    def _operations(self, users: tuple[tuple[str, str], ...]) -> tuple[Operation, ...]:
        random = self._random
        triggers = [*random.sample(_TRIGGERS, random.randint(2, 4))]
        triggers += ["publish"] if self._has("publishes") else []
        operations = [self._operation(f"op{place}", trigger, users) for place, trigger in enumerate(triggers)]
        if self._has("binding"):
            operations.append(Operation("bind", "literal", binds=True))
        if self._has("guards"):
            first = operations[0].name
            operations.append(Operation("after", "literal", (self._answer("literal"),), after=first))
            operations.append(Operation("before", "any", (self._answer("any"),), before=first))
        return tuple(operations)

    def _operation(self, name: str, trigger: Trigger, users: tuple[tuple[str, str], ...]) -> Operation:
        random = self._random
        listener = "listener" if ("listener", "") in users else ""
        roles = tuple(role for role, user in users if user) if trigger != "publish" and name != "op0" else ()
        answers = tuple(self._answer(trigger, listener) for _ in range(random.choice([1, 1, 2, 3])))
        echoes = trigger in CAPTURING and self._has("templates")
        return Operation(name, trigger, answers, self._repeat(), roles=roles, echoes=echoes)

    def _answer(self, trigger: Trigger, listener: str = "") -> Answer:
        random = self._random
        events = tuple(self._event(listener) for _ in range(random.choice([0, 1, 1, 2, 3])))
        if self._has("batches") and random.random() < 0.5:
            after = random.choice(_DELAYS)
            events += tuple(PlannedEvent(random.choice(_CHANNELS), after, batch="x") for _ in range(2))
        if self._has("disconnect events") and random.random() < 0.15:
            events = (*events, PlannedEvent("", random.choice(_DELAYS), disconnect=True))
        return Answer(events, random.choice(_DELAYS[:6]), trigger != "publish" and random.random() < 0.6)

    def _event(self, listener: str) -> PlannedEvent:
        random = self._random
        deliver = "asker"
        if self._has("broadcast") and random.random() < 0.4:
            choices = ["subscribers", "all"] + (["agent-1"] if self._has("roles") else [])
            deliver = random.choice(choices)
        elif listener and random.random() < 0.3:
            deliver = listener
        batch = "x" if self._has("batches") and random.random() < 0.5 else None
        many = random.random() < 0.2
        return PlannedEvent(
            random.choice(_CHANNELS),
            random.choice(_DELAYS),
            deliver,
            random.randint(2, 4) if many else 1,
            random.choice((0.0, 0.1, 0.5)) if many else 0.0,
            batch,
        )

    def _timeline(
        self, operations: tuple[Operation, ...], users: tuple[tuple[str, str], ...]
    ) -> tuple[PlannedEntry, ...]:
        random = self._random
        plain = [each.exchange_name("", 0) for each in operations if not each.roles]
        steps = ["connect", "handshake", "subscribe", "unsubscribe", "subscribe /a", "subscribe /c/d", *plain]
        roles = [role for role, _ in users if role != "listener"] if self._has("roles of entries") else []
        if roles:  # many sessions connect before they have a role
            steps += ["connect"] * 9
        return tuple(
            PlannedEntry(
                random.choice(_CHANNELS),
                random.choice(steps),
                random.choice([*plain, "unsubscribe /a"]) if random.random() < 0.5 else None,
                random.choice(_DELAYS),
                random.randint(1, 4),
                random.choice((0.1, 0.7)),
                random.choice(["subscribers", "all"]) if self._has("broadcast") and random.random() < 0.3 else "asker",
                roles=tuple(random.sample(roles, 1)) if roles and random.random() < 0.7 else (),
            )
            for _ in range(random.randint(1, 3))
        )

    def _faults(self, operations: tuple[Operation, ...], options: Options) -> tuple[PlannedFault, ...]:
        random, faults = self._random, list[PlannedFault]()
        if self._has("rates") and options.on_hangup == "keep":
            target = random.choice([each for each in operations if not each.binds])
            rate = random.choice([0.0, 0.2, 0.5, 0.8, 1.0])
            faults.append(PlannedFault(target.exchange_name("", 0), "status", rate=rate))
        when = [{"nth": 2}, {"every": 3}, {"nth": 1}]
        if self._has("exchange faults"):
            for _ in range(random.randint(1, 3)):
                target = random.choice([each for each in operations if not each.binds])
                action: FaultName = random.choice(_EXCHANGE_FAULTS)
                faults.append(PlannedFault(target.exchange_name("", 0), action, **random.choice(when)))
        if self._has("meta faults"):
            meta = random.choice(["/meta/connect", "/meta/subscribe", "/meta/handshake"])
            action = random.choice(_META_FAULTS)
            if action == "error" and meta != "/meta/handshake" and options.on_hangup == "lose":
                action = "status"  # the fault's 402 is that of a client that has expired, so nobody can tell them apart
            faults.append(PlannedFault(meta, action, **random.choice(when)))
        return tuple(faults)

    # ------------------------------------------------------------------ clients and steps
    def _clients(self, options: Options) -> tuple[ClientPlan, ...]:
        random, clients = self._random, []
        identities: list[Identity] = ["cookies"] if options.cookie != "none" else ["clientId", "basic"]
        identities += ["cookies", "browser"] if options.cookie != "none" else []
        identities += ["basic", "bearer"] if self._has("credentials") or self._has("roles") else []
        identities += ["bound"] if self._has("binding") else []
        identities += ["anonymous"] if self._has("anonymous") else []
        transports = [*TRANSPORTS]
        for place in range(random.randint(2, 4)):
            identity = random.choice(identities)
            transport = random.choice(transports)
            jar = "tabs" if self._has("tabs") and identity == "cookies" else ""
            clients.append(
                ClientPlan(
                    "abcdef"[place],
                    transport,
                    identity,
                    ack=self._has("acks") and random.random() < 0.6,
                    user=random.choice(["ann", "bob", "cid", f"user{place}"])
                    if identity in ("basic", "bearer")
                    else "",
                    delay=random.choice([0.0, 0.2, 2.0]) if self._has("slow clients") else 0.0,
                    reconnects=random.random() < 0.9,
                    jar=jar,
                    node=0 if jar else random.randrange(options.nodes),
                )
            )
        return tuple(clients)

    def _steps(self, operations: tuple[Operation, ...], clients: tuple[ClientPlan, ...]) -> tuple[Step, ...]:
        random = self._random
        names = [each.name for each in clients]
        client_steps = self._client_steps()
        environment = self._environment_steps()
        share = 0.1 if environment else 0.0
        steps, at = [], 0.0
        for each in clients:
            at += random.random() * 0.1
            if each.identity == "bound":
                steps.append(Step(round(at, 6), each.name, "call", ["bind", 0]))
                at += 0.05
            if each.identity != "anonymous" and not (self._has("callers without polls") and random.random() < 0.5):
                steps.append(Step(round(at, 6), each.name, "connect", self._subscription()))
        pace = random.choice([0.02, 0.1, 0.5])
        while len(steps) < self._length:
            at += random.expovariate(1 / pace)
            if random.random() < 0.01:
                at += random.choice([5.0, 15.0])
            if random.random() < share:
                steps.append(Step(round(at, 6), "", *self._environment(random.choice(environment))))
            else:
                what = random.choice(client_steps)
                steps.append(Step(round(at, 6), random.choice(names), *self._client(what, operations)))
        return tuple(steps)

    def _subscription(self) -> list[JSON]:
        return [*self._random.sample([*_CHANNELS, "/broadcast", "/**"], self._random.randint(0, 2))]

    def _client_steps(self) -> list[str]:
        steps = ["call"] * 14 + ["resume", "subscribe", "unsubscribe"]
        extra = {
            "aborts": ["abort", "abort"],
            "hang-ups": ["drop", "drop", "hangup", "resume"],
            "failing replies": ["fail", "fail"],
            "reordering": ["delay"],
            "slow clients": ["slow", "slow", "pause", "resume"],
            "publishes": ["publish", "publish"],
            "misbehaviour": [
                "poll",
                "batch",
                "handshake",
                "malformed",
                "stranger",
                "unmatched",
                "favicon",
                "options",
                "forget",
            ],
            "callers without polls": ["connect", "disconnect", "connect"],
            "resets": ["connect"],
            "jumps": ["connect"],
        }
        for feature, more in extra.items():
            if self._has(feature):
                steps += more
        return steps

    def _client(self, what: str, operations: tuple[Operation, ...]) -> tuple[str, JSON]:
        random = self._random
        if what == "call":
            self._number += 1
            return what, [random.choice(operations).name, self._number]
        if what in ("subscribe", "unsubscribe", "batch"):
            return what, random.choice([*_CHANNELS, "/broadcast"])
        if what == "connect":
            return what, self._subscription()
        if what in ("slow", "delay"):
            return what, round(random.choice([0.03, 0.2, 1.0, 5.0]) + random.random() / 1000, 6)
        if what == "fail":
            return what, random.choice([1, 1, 2, 3])
        if what in ("publish", "unmatched"):
            self._number += 1
            return what, self._number
        return what, None

    def _environment_steps(self) -> list[str]:
        found = {
            "pauses": "sleep",
            "jumps": "jump",
            "pushes": "push",
            "reloads": "reload",
            "resets": "reset",
            "restarts": "restart",
            "speeds": "speed",
        }
        steps = [step for feature, step in found.items() if self._has(feature)]
        also = {"restart": "crash", "reload": "edit"}
        return steps * 3 + [also[step] for step in steps if step in also]

    def _environment(self, what: str) -> tuple[str, JSON]:
        random = self._random
        self._number += 1
        if what == "jump":
            return "sleep", round(random.choice([20.0, 100.0, 1000.0]) + random.random(), 6)
        values: dict[str, JSON] = {
            "sleep": round(random.choice([0.05, 0.5, 2.0]) + random.random() / 100, 6),
            "push": self._number,
            "speed": random.choice([0.0, 0.5, 1.0, 10.0]),
        }
        return what, values.get(what, random.randrange(2))


def plan_of(seed: int, *, length: int = 150, additions: bool = True) -> Plan:
    """Return the plan of a seed, with this number of steps, and with its additions if wanted."""
    plan = Generator(seed, length=length).plan()
    for name, add in ADDITIONS.items() if additions else ():
        random = Random(f"{seed} {name}")  # not for secrets
        if random.random() < _SHARE:
            plan = add(plan, random)
    return plan
