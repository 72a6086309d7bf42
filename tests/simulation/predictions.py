"""Predicts sessions, replies and notifications from a plan and from requests, by the rules in docs/replay.md.

It knows nothing of the engine. It is the part of the checker that needs no Bayeux.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from cometreel.jsonvalue import JSON, JSONObject
from tests.simulation.history import Meaning
from tests.simulation.plan import DELAY, Operation, Plan, PlannedFault

Key = tuple[str, str, str]
"""Identifies the content of a notification: its channel, its event (`EXCHANGE.PLACE`) and its number."""


@dataclass(slots=True, eq=False)
class LiveSession:
    """An HTTP session, as the rules predict it."""

    node: int
    kind: Literal["full", "provisional", "anonymous"] = "provisional"
    names: set[str] = field(default_factory=set)
    has_requests: bool = False
    sockets: int = 0
    ended: bool = False
    successor: LiveSession | None = None
    user: str = ""
    role: str = ""
    role_in_turn: bool = False
    """True if it got its role because it was free, False if its user has it."""
    counts: dict[str, int] = field(default_factory=dict)
    """The plays of each exchange, by name, and of each group of equal requests, by the name of its first exchange."""
    used: set[int] = field(default_factory=set)
    highest: int = 0
    fault_counts: dict[int, int] = field(default_factory=dict)
    timeline: dict[int, list[DueEvent]] = field(default_factory=dict)
    clients: list[object] = field(default_factory=list)
    """The live CometD clients, oldest first."""
    had_client: bool = False
    waiting: list[DueEvent] = field(default_factory=list)
    last: float = 0.0


@dataclass(slots=True, eq=False)
class DueEvent:
    """A notification, or the end of CometD clients, that is due at a time."""

    due: float
    session: LiveSession
    key: Key
    deliver: str = "asker"
    order: tuple[int, float, int] = (0, 0.0, 0)
    """Its cause, its delay at speed 1 and the place of its event, if it is not in a batch."""
    sender: str = ""
    """The clientId of the sender of a publish."""
    ends: bool = False
    after: float = 0.0
    """Its delay at speed 1."""
    place: int = 0
    """The place of its cause in the scenario, by which equal times are ordered."""
    cause: int = 0
    cancelled: bool = False
    optional: bool = False
    """True if a rule says that it may be lost."""
    reported: bool = True
    """True if it is reported when no client gets it."""


@dataclass(slots=True)
class Prediction:
    """The reply to a call, and what it causes; `status` None is a broken connection."""

    due: float
    status: int | None
    body: JSONObject | None = None
    exchange: str = ""
    events: list[DueEvent] = field(default_factory=list)


class Predictor:
    """Predicts the calls of all sessions of one run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._scales: dict[int, float] = {}
        self._operations = {each.name: each for each in plan.operations}
        self._numbers = plan.recorded_numbers()
        names = [
            each.exchange_name(variant, place)
            for each in plan.operations
            for variant in each.variants()
            for place in range(len(each.answers))
        ]
        self._places = {name: place for place, name in enumerate(names)}
        self._highest = max(self._numbers.values(), default=0)
        self._role_of = {user: role for role, user in plan.users}
        self._user_of = dict(plan.users)
        self._roles = [role for role, _ in plan.users]
        self._next_role: dict[int, int] = {}
        self._faults: dict[str, list[tuple[int, PlannedFault]]] = {}
        for index, each in enumerate(plan.faults):
            self._faults.setdefault(each.target, []).append((index, each))
        self._since: dict[str, list[int]] = {}
        self._until: dict[str, list[int]] = {}
        for index, entry in enumerate(plan.timeline):
            self._since.setdefault(entry.since, []).append(index)
            if entry.until is not None:
                self._until.setdefault(entry.until, []).append(index)
        self._causes = 0
        self.sessions: list[LiveSession] = []
        self.by_name: dict[tuple[int, str], list[LiveSession]] = {}
        self.anonymous: dict[tuple[int, str], LiveSession] = {}

    # ------------------------------------------------------------------ sessions
    def start(self, node: int, now: float, kind: Literal["full", "provisional", "anonymous"]) -> LiveSession:
        """Start a session."""
        session = LiveSession(node, kind, highest=self._highest, last=now)
        self.sessions.append(session)
        return session

    def find(self, node: int, names: Iterable[str]) -> LiveSession | None:
        """Return the session of the first name that is known."""
        for name in names:
            found = self.by_name.get((node, name))
            if found:
                return found[-1]
        return None

    def resolve(self, node: int, meaning: Meaning, now: float, *, is_bayeux: bool, is_own: bool) -> LiveSession:
        """Return the session of a request."""
        found = self.find(node, meaning.names)
        if found is not None:
            session = found
        elif self.plan.options.cookie == "none" and not is_own and not _credentials(meaning.names):
            session = self._anonymous(node, now)
        else:
            session = self.start(node, now, "provisional")
        session.last = now
        if found is not None and session.kind == "provisional":
            session.kind = "full"
        if not is_bayeux:
            session.has_requests = True
        for name in _credentials(meaning.names):
            if session.kind != "anonymous" and name not in session.names:
                self.add_name(session, name)
        if meaning.user and session.user != meaning.user:
            session.user = meaning.user
            self._log_in(session)
        return session

    def _log_in(self, session: LiveSession) -> None:
        role = self._role_of.get(session.user)
        if role is not None and (not session.role or session.role_in_turn):
            session.role, session.role_in_turn = role, False

    def _anonymous(self, node: int, now: float) -> LiveSession:
        session = self.anonymous.get((node, ""))
        if session is None or session.ended:
            session = self.anonymous[node, ""] = self.start(node, now, "anonymous")
        return session

    def fork(self, anonymous: LiveSession, now: float) -> LiveSession:
        """Start the session of a client without identity to which a reply hands out a bound value."""
        session = self.start(anonymous.node, now, "provisional")
        session.counts, session.fault_counts = dict(anonymous.counts), anonymous.fault_counts
        session.role, session.role_in_turn = anonymous.role, anonymous.role_in_turn
        session.has_requests = True
        return session

    def add_name(self, session: LiveSession, name: str) -> None:
        """Let later requests with a name find this session."""
        if session.ended:
            return
        named = self.by_name.setdefault((session.node, name), [])
        if session in named:
            named.remove(session)
        named.append(session)
        session.names.add(name)

    def end_session(self, session: LiveSession) -> None:
        """Forget a session."""
        session.ended = True
        self.sessions.remove(session)
        for name in session.names:
            named = self.by_name[session.node, name]
            named.remove(session)
            if not named:
                del self.by_name[session.node, name]

    def forget_all(self, node: int) -> None:
        """Forget everything of a server that was reset or restarted."""
        for session in [each for each in self.sessions if each.node == node]:
            self.end_session(session)
        self._next_role.pop(node, None)
        self.anonymous.pop((node, ""), None)
        self.by_name = {key: value for key, value in self.by_name.items() if key[0] != node}

    def reload(self, node: int) -> None:
        """Forget which timeline entries have started, because the scenario was replaced."""
        for session in self.sessions:
            if session.node == node:
                session.timeline.clear()
                if not session.role_in_turn and self._user_of.get(session.role) != session.user:
                    session.role = ""
                self._log_in(session)
        self._next_role.pop(node, None)

    # ------------------------------------------------------------------ calls
    def call(self, session: LiveSession, meaning: Meaning, now: float, sender: str = "") -> Prediction:
        """Predict the reply to a call of an operation; status 404 if no exchange answers."""
        operation, had_role = self._operations[meaning.operation], bool(session.role)
        chosen = self._choose(operation, session)
        if chosen is None:
            return Prediction(now, 404)
        variant, place = chosen
        exchange = operation.exchange_name(variant, place)
        if operation.binds and session.kind == "anonymous":
            count = session
            session = self.fork(session, now)
            if not had_role:
                count.role, count.role_in_turn = "", False
            self._count(count, operation, variant, exchange)
        actions = self.triggered(session, exchange)
        if "status" in actions:
            return Prediction(now, 503, exchange=exchange)
        answer = operation.answers[place]
        self._count(session, operation, variant, exchange)
        body: JSONObject = {"a": exchange}
        number = ""
        if answer.numbered:
            live = self._take(session, self._numbers[exchange])
            body["referenceId"], number = live, str(live)
        if operation.echoes:
            body["n"], number = self._sent(operation, meaning.number), f"{number}:{meaning.number}"
        after = answer.after + DELAY * actions.count("delay")
        prediction = Prediction(
            now + self._scaled(session.node, after), None if "broken" in actions else 200, body, exchange
        )
        prediction.events = [*self._events(operation, variant, place, session, number, now, sender, actions)]
        if "disconnect" in actions:
            due, delay = (now, 0.0) if sender else (prediction.due, after)
            end = DueEvent(due, session, ("", "", ""), sender=sender, ends=True, after=delay)
            end.place, end.cause = self._places[exchange], self._causes
            prediction.events.insert(len(prediction.events) if sender else 0, end)
        prediction.events.sort(key=lambda each: each.after)
        prediction.events += self.on_anchor(session, exchange, now)
        return prediction

    def _choose(self, operation: Operation, session: LiveSession) -> tuple[str, int] | None:
        """Return the role and the place of the answer that is due."""
        first = {
            each: self._operations[each].exchange_name("", 0) for each in (operation.after, operation.before) if each
        }
        if operation.after and first[operation.after] not in session.counts:
            return None
        if operation.before and first[operation.before] in session.counts:
            return None
        for variant in operation.variants():
            if variant not in ("", session.role):
                continue
            count = session.counts.get(f"group {operation.name} {variant}", 0)
            length, rule = len(operation.answers), operation.repeat or self.plan.options.repeat
            if count < length:
                return variant, count
            if rule != "fail":
                return variant, length - 1 if rule == "last" else count % length
        return self._choose_role(operation, session)

    def _choose_role(self, operation: Operation, session: LiveSession) -> tuple[str, int] | None:
        """Give a session without a role the next free one that has an answer."""
        if session.role or not operation.roles:
            return None
        first = self._next_role.get(session.node, 0)
        counts = [
            sum(each.role == role and each.node == session.node for each in self.sessions) for role in self._roles
        ]
        length = len(self._roles)
        place = min(range(length), key=lambda one: (counts[one], (one - first) % length))
        self._next_role[session.node] = (place + 1) % length
        session.role, session.role_in_turn = self._roles[place], True
        return session.role, 0

    @staticmethod
    def _count(session: LiveSession, operation: Operation, variant: str, exchange: str) -> None:
        for name in (exchange, f"group {operation.name} {variant}"):
            session.counts[name] = session.counts.get(name, 0) + 1

    @staticmethod
    def _take(session: LiveSession, recorded: int) -> int:
        if recorded not in session.used:
            session.used.add(recorded)
            return recorded
        session.highest += 1
        return session.highest

    @staticmethod
    def _sent(operation: Operation, number: int) -> JSON:
        return str(number) if operation.trigger in ("query", "path", "regex", "form") else number

    def triggered(self, session: LiveSession, target: str) -> list[str]:
        """Count a request for the target of faults, and return the actions that are triggered."""
        actions: list[str] = []
        if target not in self._faults:
            return actions
        for index, planned in self._faults[target]:
            count = session.fault_counts[index] = session.fault_counts.get(index, 0) + 1
            if planned.nth is not None:
                applies = count == planned.nth
            else:
                applies = planned.every is None or count % planned.every == 0
            if applies:
                actions.append(planned.action)
        return actions

    def has_faults(self, target: str) -> bool:
        """True if the plan has a fault with this target."""
        return target in self._faults

    def set_speed(self, node: int, speed: float | None) -> None:
        """Change the speed of a server; None is that at its start."""
        speed = self.plan.options.speed if speed is None else speed
        self._scales[node] = 1 / speed if speed else 0.0

    def _scaled(self, node: int, seconds: float) -> float:
        if node not in self._scales:
            self.set_speed(node, None)
        return round(seconds * self._scales[node] * 1_000_000) / 1_000_000

    def _events(
        self,
        operation: Operation,
        variant: str,
        place: int,
        session: LiveSession,
        number: str,
        now: float,
        sender: str,
        actions: list[str],
    ) -> Iterator[DueEvent]:
        self._causes += 1
        name = operation.exchange_name(variant, place)
        copies = 0 if "drop" in actions else 2 ** actions.count("duplicate")
        for where, planned in enumerate(operation.answers[place].events):
            for seq in range(planned.count):
                unscaled = planned.after + seq * planned.gap
                due = now + self._scaled(session.node, unscaled)
                key = (planned.channel, f"{name}.{where}", number)
                for _ in range(copies):
                    order = (0, 0, 0) if planned.batch else (self._causes, unscaled, where)
                    event = DueEvent(due, session, key, planned.deliver, order, sender, planned.disconnect, unscaled)
                    event.place, event.cause = self._places[name], self._causes
                    yield event

    # ------------------------------------------------------------------ timeline
    def on_anchor(self, session: LiveSession, anchor: str, now: float) -> Iterator[DueEvent]:
        """End and start the timeline entries with an anchor; yield the notifications of those that start."""
        for index in self._until.get(anchor, ()):
            for each in session.timeline.pop(index, ()):
                each.cancelled = True
        for index in self._since.get(anchor, ()):
            if index in session.timeline:
                continue
            entry = self.plan.timeline[index]
            self._causes += 1
            started = [
                DueEvent(
                    now + self._scaled(session.node, entry.after + seq * entry.gap),
                    session,
                    (entry.channel, f"timeline {index}.0", ""),
                    entry.deliver,
                    (self._causes, seq, 0),
                    after=entry.after + seq * entry.gap,
                    place=len(self._places) + index,
                    cause=self._causes,
                )
                for seq in range(entry.count)
            ]
            session.timeline[index] = started
            yield from started


def _credentials(names: Iterable[str]) -> list[str]:
    return [each for each in names if each[0] in "ut"]
