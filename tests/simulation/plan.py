"""The plan of a simulated run: a scenario in a reduced form, its clients, and the steps.

The scenario that the engine plays and the predictions of the checker are both derived from a plan. All classes have a
short `repr` that can be pasted as Python: it leaves out the fields that have their default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache, partial
from typing import Literal, NamedTuple, TypeAlias

from cometreel import markers
from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario
from cometreel.scenario.builders import (
    AnchorInput,
    bind,
    event,
    exchange,
    fault,
    publish,
    reply,
    request,
    role,
    timeline_entry,
    when,
)
from cometreel.scenario.model import (
    EventBlock,
    ExchangeBlock,
    FaultBlock,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    TimelineBlock,
)
from cometreel.scenario.python_scenario import Scenario
from cometreel.scenario.python_values import JSONPattern, Marker

ENDPOINT = "/cometd"
CSRF_HEADER = "X-CSRF-TOKEN"
"""The header field with the CSRF token, in both directions."""

Trigger: TypeAlias = Literal[
    "literal",
    "any",
    "capture",
    "partial",
    "keep",
    "one-of",
    "query",
    "path",
    "regex",
    "form",
    "header",
    "publish",
    "id",
    "csv",
]
CAPTURING: frozenset[Trigger] = frozenset({"capture", "keep", "query", "path", "regex", "form", "publish"})
"""The triggers that capture the number of a call, so that templates can send it back."""
GETTING: frozenset[Trigger] = frozenset({"query", "path", "header", "csv"})
"""The triggers that are GET requests."""
IDENTIFIERS: Mapping[Trigger, str] = {"id": "owner", "csv": "place"}
"""The name of the `$id` in the request of a trigger."""
Generated: TypeAlias = Literal["ref", "now", "uuid"]
RECORDED = "2026-11-23T10:00:00Z"
"""The time at which the scenario's clock starts."""
START = 1000.0
"""The time of the first step on the clock of the engine, in seconds."""
_GENERATED: Mapping[Generated, Mapping[str, str]] = {
    "ref": {"ref": "{{ ref }}"},
    "now": {"now": "{{ now }}"},
    "uuid": {"uuid": "{{ uuid('play') }}", "own": "{{ uuid() }}"},
}
"""The members with generated values, and their templates."""
Repeat: TypeAlias = Literal["last", "cycle", "fail"]


FaultName: TypeAlias = Literal["status", "delay", "drop", "duplicate", "disconnect", "broken", "error"]


class Short:
    """A base class for dataclasses whose `repr` leaves out defaults and shows the first two fields by position."""

    def __repr__(self) -> str:
        shown, by_name = [], False
        for each in fields(self):  # type: ignore[arg-type]  # each subclass is a dataclass
            value = getattr(self, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if value == default:
                by_name = True
            else:
                shown.append(f"{each.name}={value!r}" if by_name else repr(value))
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class PlannedEvent(Short):
    """A notification of an operation: `after` and `gap` in seconds at speed 1."""

    channel: str
    after: float = 0.0
    deliver: str = "asker"
    count: int = 1
    gap: float = 0.0
    batch: str | None = None
    disconnect: bool = False
    """True if it ends the CometD clients instead."""


@dataclass(frozen=True, repr=False)
class Answer(Short):
    """One recorded answer to the request of an operation."""

    events: tuple[PlannedEvent, ...] = ()
    after: float = 0.0
    numbered: bool = False
    """True if the reply and the events have a reference number."""


@dataclass(frozen=True, repr=False)
class Operation(Short):
    """A request that clients send, and its answers in recorded order."""

    name: str
    trigger: Trigger = "literal"
    answers: tuple[Answer, ...] = (Answer(),)
    repeat: Repeat | None = None
    after: str | None = None
    """The operation that the session must have called before."""
    before: str | None = None
    """The operation that the session must not have called before."""
    roles: tuple[str, ...] = ()
    """The roles that have their own answers, before those for all sessions."""
    echoes: bool = False
    """True if reply and events repeat the number of the call by a template, or an identifier by `$id`."""
    binds: bool = False
    """True if the reply hands out a bound value."""
    authenticated: bool | None = None
    """True if it is for sessions that are logged in, False for others; None for both."""
    sends: tuple[Generated, ...] = ()
    """The generated values in reply and events."""

    @property
    def identifier(self) -> str:
        """The name of the `$id` in its request; of a guard, that in the request before; empty if there is none."""
        return IDENTIFIERS.get(self.trigger, "owner" if self.trigger == "literal" and self.echoes else "")

    def variants(self) -> tuple[str, ...]:
        """Return the role of each set of answers; empty for that of all sessions."""
        return (*self.roles, "")

    def exchange_name(self, variant: str, place: int) -> str:
        """Return the name of the exchange of one answer."""
        return f"{self.name}{'-' * bool(variant)}{variant} {place + 1}"


@dataclass(frozen=True, repr=False)
class PlannedEntry(Short):
    """A timeline entry; `since` and `until` are exchanges or steps of a client, as `subscribe` or `subscribe /a`."""

    channel: str
    since: str = "connect"
    until: str | tuple[str, ...] | None = None
    """Its ends; the first one that is reached counts."""
    after: float = 0.1
    count: int = 1
    gap: float = 0.0
    deliver: str = "asker"
    roles: tuple[str, ...] = ()
    """The roles of the sessions that it is for; empty for all sessions."""
    identifier: str = ""
    """The name of the `$id` that it sends; empty if there is none."""

    def ends(self) -> tuple[str, ...]:
        """Return the steps and exchanges at which it ends."""
        return (self.until,) if isinstance(self.until, str) else self.until or ()


@dataclass(frozen=True, repr=False)
class PlannedFault(Short):
    """A fault: its target is an exchange or a meta channel."""

    target: str
    action: FaultName
    nth: int | None = None
    every: int | None = None
    rate: float | None = None

    @property
    def is_meta(self) -> bool:
        """True if the target is a meta channel."""
        return self.target.startswith("/meta/")


Identity: TypeAlias = Literal["cookies", "browser", "clientId", "bound", "basic", "bearer", "anonymous"]


@dataclass(frozen=True, repr=False)
class ClientPlan(Short):
    """A client: its transport, identity and manners. Clients with the same `jar` are tabs of one browser."""

    name: str
    transport: str = "long-polling"
    identity: Identity = "cookies"
    ack: bool = False
    user: str = ""
    delay: float = 0.0
    """The time between a reply and its next poll."""
    reconnects: bool = True
    """True if it shakes hands again when its CometD session is unknown."""
    jar: str = ""
    node: int = 0
    address: str = ""


@dataclass(frozen=True, repr=False)
class Options(Short):
    """The settings of the scenario and of the replay."""

    timeout: int = 10_007
    """In milliseconds. These numbers are odd, so that no two different times of a run are equal by accident."""
    max_interval: float = 8.013
    max_idle: float = 1800.0
    require_cookie: bool = True
    cookie: str = "JSESSIONID"
    anonymous: Literal["one", "address", "each"] = "one"
    on_hangup: Literal["keep", "lose"] = "keep"
    when_gone: Literal["drop", "keep"] = "drop"
    deliver: Literal["all", "subscribed"] = "all"
    connect_only: bool = False
    max_queue: int = 10_000
    max_waiting: int = 1000
    max_provisional: int = 10_000
    browser_limit: int = -1
    speed: float = 1.0
    repeat: Repeat = "last"
    nodes: int = 1
    seed: str | None = None
    dialect: Literal["3.x", "4+"] = "3.x"
    auth: Literal["open", "session", "csrf"] = "open"
    manual_clock: bool = False
    """True if `now` in templates follows the time of the engine."""


class Step(NamedTuple):
    """A step of a client, or of the environment if `client` is empty; `at` is in seconds since the start."""

    at: float
    client: str
    do: str
    value: JSON = None

    def __repr__(self) -> str:
        value = "" if self.value is None else f", {self.value!r}"
        return f"Step({self.at!r}, {self.client!r}, {self.do!r}{value})"


@dataclass(frozen=True, repr=False)
class Plan(Short):
    """A scenario, its clients and the steps of one run."""

    operations: tuple[Operation, ...] = ()
    clients: tuple[ClientPlan, ...] = ()
    steps: tuple[Step, ...] = ()
    timeline: tuple[PlannedEntry, ...] = ()
    faults: tuple[PlannedFault, ...] = ()
    users: tuple[tuple[str, str], ...] = ()
    """Pairs of a role and its user; the user is empty if no login has the role."""
    options: Options = field(default_factory=Options)
    through_yaml: bool = False
    """True if the scenario is dumped as YAML and loaded again."""

    def scenario(self) -> Scenario:
        """Return the scenario, built as objects."""
        options = self.options
        built = Scenario(
            title="a simulated run",
            source={"recorded": RECORDED},
            bayeux={
                "endpoint": ENDPOINT,
                "advice": {"timeout": options.timeout, "interval": 0},
                "max_interval": f"{options.max_interval}s",
                "max_sessions_per_browser": options.browser_limit,
                "meta_connect_deliver_only": options.connect_only,
                "require_cookie": options.require_cookie,
                "on_hangup": options.on_hangup,
                "deliver": options.deliver,
                "dialect": options.dialect,
                "max_queue": options.max_queue,
            },
            session={
                "cookie": options.cookie,
                "anonymous": options.anonymous,
                "max_idle": f"{options.max_idle}s",
                "when_gone": options.when_gone,
                "max_provisional": options.max_provisional,
                "bind": [bind("$response.body#/sid", ["$request.header.X-Session", "$message#/ext/sid"])],
            },
            correlation="gws-v2",
            roles={name: role(user or None) for name, user in self.users},
            exchanges=[each for operation in self.operations for each in _exchanges(operation, self)],
            timeline=[_entry(each, place) for place, each in enumerate(self.timeline)],
            faults=[_fault(each) for each in self.faults],
        )
        return Scenario.loads(built.dump()) if self.through_yaml else built

    def compiled(self) -> CompiledScenario:
        """Return the compiled scenario."""
        return self.scenario().compiled()

    def edited(self) -> Plan:
        """Return the plan with other delays of replies and other channels: somebody has edited the scenario."""
        return replace(self, operations=tuple(map(_edited, self.operations)))

    def recorded_numbers(self) -> dict[str, int]:
        """Return the recorded reference number of each exchange that has one, by name."""
        names = [
            operation.exchange_name(variant, place)
            for operation in self.operations
            for variant in operation.variants()
            for place, answer in enumerate(operation.answers)
            if answer.numbered
        ]
        return {name: 100 + place for place, name in enumerate(names)}


_NEXT_CHANNEL = {"/a": "/b", "/b": "/c/d", "/c/d": "/a"}


def _edited(operation: Operation) -> Operation:
    answers = [
        replace(
            answer,
            after=round(answer.after + 0.021, 6),
            events=tuple(replace(each, channel=_NEXT_CHANNEL.get(each.channel, "")) for each in answer.events),
        )
        for answer in operation.answers
    ]
    return replace(operation, answers=tuple(answers))


def _exchanges(operation: Operation, plan: Plan) -> Iterator[ExchangeBlock]:
    numbers = plan.recorded_numbers()
    guard = when(after=_first(operation.after, plan), before=_first(operation.before, plan))
    has_guard = operation.after is not None or operation.before is not None
    for variant in operation.variants():
        for place, answer in enumerate(operation.answers):
            name = operation.exchange_name(variant, place)
            is_last = place == len(operation.answers) - 1
            yield exchange(
                name,
                trigger_of(operation),
                as_=variant or None,
                when=guard if has_guard else None,
                repeat=operation.repeat if is_last else None,
                reply=None if operation.trigger == "publish" else _reply(operation, answer, name, numbers.get(name)),
                events=[
                    _event(operation, each, name, where, numbers.get(name)) for where, each in enumerate(answer.events)
                ]
                or None,
            )


def _first(name: str | None, plan: Plan) -> list[str] | None:
    """Return the exchange that a guard on an operation names."""
    return None if name is None else [next(each.exchange_name("", 0) for each in plan.operations if each.name == name)]


def trigger_of(operation: Operation) -> RequestBlock | PublishBlock:
    """Return the request that calls an operation."""
    return _trigger(operation.name, operation.trigger, operation.authenticated)


@lru_cache(maxsize=256)
def _trigger(name: str, kind: Trigger, authenticated: bool | None) -> RequestBlock | PublishBlock:
    number = markers.capture("n")
    if kind == "publish":
        return publish(f"/service/{name}", {"n": number}, authenticated=authenticated)
    matching = partial(request, authenticated=authenticated)
    if kind == "query":
        return matching("GET", f"/{name}", query={"n": number})
    if kind == "path":
        return matching("GET", ["items", name, number])
    if kind == "csv":
        return matching("GET", f"/{name}", query={"list": markers.csv(markers.id(IDENTIFIERS[kind]), number)})
    if kind == "form":
        return matching("POST", f"/{name}", form={"n": number})
    if kind == "header":
        return matching("GET", f"/{name}", headers={"X-Call": name})
    bodies: dict[str, JSONPattern] = {
        "literal": {"op": name},
        "any": {"op": name, "n": markers.any("integer")},
        "capture": {"op": name, "n": number},
        "keep": {"op": name, "n": markers.capture("session.kept")},
        "one-of": {"op": markers.one_of(name, name.upper()), "n": markers.any("integer")},
        "partial": markers.partial({"op": name}),
        "id": {"op": name, "owner": markers.id("owner")},
        "regex": {"op": markers.regex(f"^{name}-(?P<n>[0-9]+)$")},
    }
    return matching("POST", "/calls", body=bodies[kind])


def identifier_of(trigger: Trigger, number: int) -> str:
    """Return the identifier that a client sends with a call; the two names share a value."""
    usual, other = ("k1", "k2") if trigger == "id" else ("k3", "k1")
    return usual if number % 3 else other


def list_of(number: int) -> str:
    """Return the list that a client sends with a call of a `csv`; some are too short to match."""
    return identifier_of("csv", number) + f",{number}" * is_complete(number)


def is_complete(number: int) -> bool:
    """True if the list with this number is long enough."""
    return number % 5 != 0


def _template(operation: Operation) -> Marker:
    if operation.trigger == "csv":
        return markers.csv(markers.template("{{ n }}"), markers.id(operation.identifier))
    if operation.identifier:
        return markers.id(operation.identifier)
    return markers.template("{{ session.kept }}" if operation.trigger == "keep" else "{{ n }}")


def _generated(operation: Operation) -> dict[str, Marker]:
    members = [each for name in operation.sends for each in _GENERATED[name].items()]
    return {member: markers.template(text) for member, text in members}


def _reply(operation: Operation, answer: Answer, name: str, number: int | None) -> ReplyBlock:
    body: dict[str, object] = {"a": name}
    if number is not None:
        body["referenceId"] = number
    if operation.echoes:
        body["n"] = _template(operation)
    if operation.binds:
        body["sid"] = "recorded"
    body |= _generated(operation)
    return reply(body, after=f"{answer.after}s")  # type: ignore[arg-type]  # values are JSON or templates


def _event(operation: Operation, planned: PlannedEvent, name: str, where: int, number: int | None) -> EventBlock:
    if planned.disconnect:
        return event(disconnect=True, after=f"{planned.after}s")
    data: dict[str, object] = {"e": f"{name}.{where}"}
    if number is not None:
        data["referenceId"] = number
    if operation.echoes:
        data["n"] = _template(operation)
    data |= _generated(operation)
    return event(
        planned.channel,
        data,  # type: ignore[arg-type]  # values are JSON or templates
        after=f"{planned.after}s",
        deliver=planned.deliver,
        batch=planned.batch,
        count=planned.count,
        gap=f"{planned.gap}s",
    )


def _entry(planned: PlannedEntry, place: int) -> TimelineBlock:
    data: dict[str, object] = {"e": f"timeline {place}.0"}
    if planned.identifier:
        data["n"] = markers.id(planned.identifier)
    return timeline_entry(
        planned.channel,
        data,  # type: ignore[arg-type]  # values are JSON or markers
        since=_anchor(planned.since),
        until=_anchor(planned.until) if isinstance(planned.until, str) else [*map(_anchor, planned.ends())] or None,
        after=f"{planned.after}s",
        count=planned.count,
        gap=f"{planned.gap}s",
        deliver=planned.deliver,
        as_=[*planned.roles] or None,
    )


def _anchor(name: str) -> AnchorInput:
    """Return the start or the end of an entry as in a scenario."""
    step, _, channel = name.partition(" /")
    if not channel:
        return name
    return {"subscribe": f"/{channel}"} if step == "subscribe" else {"unsubscribe": f"/{channel}"}


DELAY = 0.251
"""The delay of a fault with the action `delay`, in seconds."""


def _fault(planned: PlannedFault) -> FaultBlock:
    actions: dict[str, dict[str, object]] = {
        "status": {"status": 503},
        "delay": {"delay": f"{DELAY}s"},
        "drop": {"drop_event": True},
        "duplicate": {"duplicate_event": True},
        "disconnect": {"disconnect": True},
        "broken": {"broken": True},
        "error": {"error": "402::Unknown client"},
    }
    target = {"meta": planned.target} if planned.is_meta else {"exchange": planned.target}
    return fault(**target, nth=planned.nth, every=planned.every, rate=planned.rate, **actions[planned.action])  # type: ignore[arg-type]  # the members of each action differ
