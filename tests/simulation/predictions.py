"""Predicts sessions, replies and notifications from a plan and from requests, by the rules in docs/replay.md.

It knows nothing of the engine. It is the part of the checker that needs no Bayeux.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Request
from tests.simulation.answers import MessageAnswer
from tests.simulation.history import Meaning
from tests.simulation.plan import (
    CSRF_HEADER,
    DELAY,
    IDENTIFIERS,
    RECORDED,
    START,
    Operation,
    Plan,
    PlannedFault,
    identifier_of,
    is_complete,
)

Key = tuple[str, str, str]
"""Identifies the content of a notification: its channel, its event (`EXCHANGE.PLACE`) and its number."""

Play: TypeAlias = tuple[str, str, int]
"""Identifies equal plays: the user of the session, the exchange, and how often the session has played it before."""

_EVICTION_TRIES = 8
"""The number of sessions that are looked at to end one."""


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
    authenticated: bool = False
    token: str = ""
    """Its CSRF token; empty until a reply has announced it."""
    role: str = ""
    role_in_turn: bool = False
    """True if it got its role because it was free, False if its user has it."""
    counts: dict[str, int] = field(default_factory=dict)
    """The plays of each exchange, by name, and of each group of equal requests, by the name of its first exchange."""
    identifiers: dict[str, str] = field(default_factory=dict)
    """The value of each `$id`, by name."""
    clock: float = 0.0
    """The time that has passed on the scenario's clock, in seconds."""
    used: set[int] = field(default_factory=set)
    highest: int = 0
    fault_counts: dict[int, int] = field(default_factory=dict)
    anchors: dict[str, float] = field(default_factory=dict)
    """The latest time of each exchange and step at which a timeline entry starts or ends."""
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
    batch: tuple[int, float, str, str] | None = None
    """Equal for all notifications that are delivered together."""
    cancelled: bool = False
    optional: bool = False
    """True if a rule says that it may be lost."""
    reported: bool = True
    """True if it is reported when no client gets it."""
    play: Play | None = None
    """The play that generates its values; None if it has none."""
    part: str = ""
    """Its place among the notifications of the play."""


@dataclass(slots=True)
class Prediction:
    """The reply to a call, and what it causes; `status` None is a broken connection."""

    due: float
    status: int | None
    body: JSONObject | None = None
    exchange: str = ""
    events: list[DueEvent] = field(default_factory=list)
    session: LiveSession | None = None
    """The session of the client from now on, if the reply starts one."""
    play: Play | None = None
    """The play that generates its values; None if it has none."""
    answers: list[MessageAnswer] | None = None
    """The answers to the Bayeux messages of the request; None if it has none."""


@dataclass(slots=True)
class Content:
    """The content of a reply, and of the notifications of its play."""

    body: JSONObject
    number: str
    """The numbers and identifiers of the notifications."""
    at: float | None = None
    """The scenario's clock at the time of the play, if they contain it."""
    play: Play | None = None
    """Identifies their generated values, if they contain some."""


class Predictor:
    """Predicts the calls of all sessions of one run."""

    def __init__(self, plan: Plan, on_eviction: Callable[[LiveSession], None]) -> None:
        self.plan, self._on_eviction = plan, on_eviction
        self._scales: dict[int, float] = {}
        self._operations = {each.name: each for each in plan.operations}
        is_edited = any(each.do == "edit" for each in plan.steps)
        self._edited = {each.name: each for each in plan.edited().operations} if is_edited else {}
        self._edited_on: set[int] = set()
        """The nodes that have loaded the edited scenario."""
        self._numbers = plan.recorded_numbers()
        names = [
            each.exchange_name(variant, place)
            for each in plan.operations
            for variant in each.variants()
            for place in range(len(each.answers))
        ]
        self._places = {name: place for place, name in enumerate(names)}
        self._highest = max(self._numbers.values(), default=0)
        self._role_of = {user: role for role, user in plan.users if user}
        self._user_of = dict(plan.users)
        self._roles = [role for role, _ in plan.users]
        known = {*self._role_of.values()}.union(*[each.roles for each in plan.operations])
        waited_for = set[str]().union(*[each.roles for each in plan.timeline])
        self._of_entries = [each for each in self._roles if each not in known and each in waited_for]
        """The roles that only timeline entries assign."""
        self.of_notifications = {*self._roles} - known - waited_for
        """The roles that only notifications assign."""
        self._next_role: dict[int, int] = {}
        self._ever: dict[int, set[str]] = {}
        """The roles that sessions have had, by node."""
        self._waited_for: dict[int, set[int]] = {}
        """The timeline entries that were reported because no session ever had their role, by node."""
        self._faults: dict[str, list[tuple[int, PlannedFault]]] = {}
        for index, each in sorted(enumerate(plan.faults), key=lambda one: one[1].rate is not None):
            self._faults.setdefault(each.target, []).append((index, each))
        self._since: dict[str, list[int]] = {}
        self._until: dict[str, list[int]] = {}
        for index, entry in enumerate(plan.timeline):
            self._since.setdefault(entry.since, []).append(index)
            for end in entry.ends():
                self._until.setdefault(end, []).append(index)
        self._anchors = {*self._since, *self._until}
        both = [anchor for entry in plan.timeline for anchor in (entry.since, *entry.ends())]
        self._of_channels = [each for each in dict.fromkeys(both) if " /" in each]
        self._causes = 0
        self._started: list[DueEvent] = []
        self._provisional: dict[int, list[LiveSession]] = {}
        """The provisional sessions of each node; the first one ends first."""
        self.chances: dict[tuple[int, str, int], bool] = {}
        """The results of faults with a rate, by fault, user and number of the request: true if it has applied."""
        self.unequal_chances: list[str] = []
        """The requests for which a fault with a rate has applied in one session and not in another."""
        self.sessions: list[LiveSession] = []
        self.by_name: dict[tuple[int, str], list[LiveSession]] = {}
        self.anonymous: dict[tuple[int, str], LiveSession] = {}
        """The sessions that requests without identity share, by node and address."""

    # ------------------------------------------------------------------ sessions
    def start(self, node: int, now: float, kind: Literal["full", "provisional", "anonymous"]) -> LiveSession:
        """Start a session."""
        provisional = self._provisional.setdefault(node, [])
        if kind == "provisional":
            self._evict(provisional)
        session = LiveSession(node, kind, highest=self._highest, last=now)
        self.sessions.append(session)
        if kind == "provisional":
            provisional.append(session)
        return session

    def _evict(self, provisional: list[LiveSession]) -> None:
        """End the oldest provisional sessions, so that another one can start.

        Those that have a CometD client or a WebSocket now stay, and count as new ones.
        """
        for _ in range(_EVICTION_TRIES):
            if len(provisional) < self.plan.options.max_provisional:
                return
            if provisional[0].clients or provisional[0].sockets:
                provisional.append(provisional.pop(0))
            else:
                self._on_eviction(provisional[0])

    def find(self, node: int, names: Iterable[str]) -> LiveSession | None:
        """Return the session of the first name that is known."""
        for name in names:
            found = self.by_name.get((node, name))
            if found:
                return found[-1]
        return None

    def resolve(
        self, node: int, meaning: Meaning, now: float, address: str, *, is_bayeux: bool, is_own: bool
    ) -> LiveSession:
        """Return the session of a request."""
        found = self.find(node, meaning.names)
        if found is not None:
            session = found
        elif self.plan.options.cookie == "none" and not is_own and not _credentials(meaning.names):
            session = self._anonymous(node, now, address)
        else:
            session = self.start(node, now, "provisional")
        session.last = now
        if found is not None and session.kind == "provisional":
            session.kind = "full"
            self._provisional[node].remove(session)
        if not is_bayeux:
            session.has_requests = True
        for name in _credentials(meaning.names):
            session.authenticated = True
            if session.kind != "anonymous" and name not in session.names:
                self.add_name(session, name)
        if meaning.user and session.user != meaning.user:
            session.user = meaning.user
            self._log_in(session)
        return session

    def _log_in(self, session: LiveSession) -> None:
        role = self._role_of.get(session.user)
        if role is not None and (not session.role or session.role_in_turn):
            self._assign(session, role, in_turn=False)

    def _assign(self, session: LiveSession, role: str, *, in_turn: bool) -> None:
        """Give a session a role, and start the timeline entries that have waited for it."""
        if in_turn:
            self._next_role[session.node] = (self._roles.index(role) + 1) % len(self._roles)
        session.role, session.role_in_turn = role, in_turn
        self._ever.setdefault(session.node, set()).add(role)
        for index in [*session.timeline]:
            if not self._is_for(session, index):
                for each in session.timeline.pop(index):
                    each.cancelled = True
        for anchor, at in session.anchors.items():
            for index in self._since.get(anchor, ()):
                entry = self.plan.timeline[index]
                is_over = any(session.anchors.get(end, 0.0) >= at for end in entry.ends())
                if role in entry.roles and not is_over:
                    self._start_entry(session, index, at)

    def assign_in_turn(self, session: LiveSession, among: Iterable[str]) -> None:
        """Give a session that of these roles which the fewest sessions have; then round robin."""
        role = min(among, key=lambda each: self._turn(session.node, each))
        self._assign(session, role, in_turn=True)

    def _turn(self, node: int, role: str) -> tuple[int, int]:
        place = self._roles.index(role) - self._next_role.get(node, 0)
        return self._sessions_with(node, role), place % len(self._roles)

    def _sessions_with(self, node: int, role: str) -> int:
        return sum(each.role == role and each.node == node for each in self.sessions)

    def _anonymous(self, node: int, now: float, address: str) -> LiveSession:
        key = node, address if self.plan.options.anonymous == "address" else ""
        session = self.anonymous.get(key)
        if session is None or session.ended:
            session = self.anonymous[key] = self.start(node, now, "anonymous")
        return session

    def fork(self, anonymous: LiveSession, now: float) -> LiveSession:
        """Start the session of a client without identity to which a reply hands out a bound value."""
        session = self.start(anonymous.node, now, "provisional")
        session.counts, session.fault_counts = dict(anonymous.counts), anonymous.fault_counts
        session.identifiers, session.clock = dict(anonymous.identifiers), anonymous.clock
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
        if session.kind == "provisional":
            self._provisional[session.node].remove(session)
        for name in session.names:
            named = self.by_name[session.node, name]
            named.remove(session)
            if not named:
                del self.by_name[session.node, name]

    def forget_all(self, node: int) -> None:
        """Forget everything of a server that was reset or restarted."""
        for session in [each for each in self.sessions if each.node == node]:
            self.end_session(session)
        self._forget_roles(node)
        self.anonymous = {key: session for key, session in self.anonymous.items() if key[0] != node}
        self.by_name = {key: value for key, value in self.by_name.items() if key[0] != node}

    def reload(self, node: int, *, edited: bool) -> None:
        """Forget which timeline entries have started, because the scenario was replaced: `edited`, by another one."""
        if edited:
            self._edited_on ^= {node}
        self._forget_roles(node)
        for session in self.sessions:
            if session.node == node:
                session.timeline.clear()
                if not session.role_in_turn and self._user_of.get(session.role) != session.user:
                    session.role = ""
                if session.role:
                    self._ever.setdefault(node, set()).add(session.role)
                self._log_in(session)

    def _forget_roles(self, node: int) -> None:
        for each in (self._next_role, self._ever, self._waited_for):
            each.pop(node, None)

    def never_assigned(self, session: LiveSession) -> Iterator[int]:
        """Yield, once, the timeline entries that a session without a role has reached, and whose roles nobody had."""
        ever = self._ever.get(session.node, set())
        reported = self._waited_for.setdefault(session.node, set())
        for index, entry in enumerate(self.plan.timeline):
            if not session.role and entry.roles and entry.since in session.anchors and ever.isdisjoint(entry.roles):
                if index not in reported:
                    yield index
                reported.add(index)

    # ------------------------------------------------------------------ calls
    def call(
        self, session: LiveSession, meaning: Meaning, now: float, sender: str = "", *, failed: bool = False
    ) -> Prediction:
        """Predict the reply to a call of an operation; status 404 if no exchange answers.

        `failed` is true if the reply has the status of a fault: it shows whether a fault with a rate was triggered.
        """
        operation, had_role = self._operation(session, meaning), bool(session.role)
        chosen = self._choose(operation, session, meaning.number)
        if chosen is None:
            return Prediction(now, 404)
        variant, place = chosen
        exchange = operation.exchange_name(variant, place)
        started = None
        if operation.binds and session.kind == "anonymous":
            count = session
            session = started = self.fork(session, now)
            if not had_role:
                count.role, count.role_in_turn = "", False
            self._count(count, operation, variant, exchange)
        actions = self.triggered(session, exchange, failed=failed)
        if "status" in actions:
            return Prediction(now, 503, exchange=exchange)
        answer = operation.answers[place]
        content = self._content(operation, answer.numbered, exchange, session, meaning)
        self._count(session, operation, variant, exchange)
        replied = 0.0 if operation.trigger == "publish" else answer.after
        session.clock += replied
        after = DELAY * actions.count("delay") + replied
        prediction = Prediction(
            now + self._scaled(session.node, after), None if "broken" in actions else 200, content.body, exchange
        )
        prediction.session, prediction.play = started, content.play
        prediction.events = [*self._events(operation, variant, place, session, content, now, sender, actions)]
        for _ in range(actions.count("disconnect")):
            due, delay = (now, 0.0) if sender else (prediction.due, after)
            end = DueEvent(due, session, ("", "", ""), sender=sender, ends=True, after=delay)
            end.place, end.cause = self._places[exchange], self._causes
            prediction.events.insert(len(prediction.events) if sender else 0, end)
        prediction.events.sort(key=lambda each: each.after)
        prediction.events = _by_batch(prediction.events)
        self.on_anchor(session, exchange, now)
        return prediction

    def is_locked_out(self, session: LiveSession) -> bool:
        """True if a session must log in first."""
        return self.plan.options.auth != "open" and not session.authenticated

    def lacks_token(self, session: LiveSession, request: Request) -> bool:
        """True if a POST doesn't have the CSRF token of its session."""
        if self.plan.options.auth != "csrf" or request.method != "POST":
            return False
        return not session.token or request.headers.get(CSRF_HEADER) != session.token

    def call_with_login(self, session: LiveSession, meaning: Meaning, request: Request, *, failed: bool) -> Prediction:
        """Predict the reply to an HTTP call; status 403 if it needs a login or a CSRF token."""
        now = session.last
        if self.lacks_token(session, request):
            return Prediction(now, 403)
        if not self.is_locked_out(session):
            return self.call(session, meaning, now, failed=failed)
        if self._operations[meaning.operation].authenticated is not False:
            return Prediction(now, 403)
        prediction = self.call(session, meaning, now, failed=failed)
        return Prediction(now, 403) if prediction.status == 404 else prediction

    def head(self, session: LiveSession, meaning: Meaning) -> Prediction:
        """Predict the reply to a HEAD: that of the next GET, which is not played."""
        operation, now, is_locked_out = self._operation(session, meaning), session.last, self.is_locked_out(session)
        if is_locked_out and operation.authenticated is not False:
            return Prediction(now, 403)
        chosen = self._choose(operation, session, meaning.number)
        if chosen is None:
            return Prediction(now, 403 if is_locked_out else 404)
        exchange, answer = operation.exchange_name(*chosen), operation.answers[chosen[1]]
        unchanged = replace(session, used={*session.used}, identifiers={**session.identifiers})
        content = self._content(operation, answer.numbered, exchange, unchanged, meaning)
        due = now + self._scaled(session.node, answer.after)
        return Prediction(due, 200, content.body, exchange, play=content.play)

    def _content(
        self, operation: Operation, numbered: bool, exchange: str, session: LiveSession, meaning: Meaning
    ) -> Content:
        """Take a reference number, keep an identifier, and return the content of the reply and the notifications."""
        body: JSONObject = {"a": exchange}
        number = ""
        if operation.trigger in IDENTIFIERS:
            session.identifiers[operation.identifier] = identifier_of(operation.trigger, meaning.number)
        if numbered:
            live = self._take(session, self._numbers[exchange])
            body["referenceId"], number = live, str(live)
        if operation.echoes:
            body["n"] = sent = self._sent(operation, session, meaning.number)
            number = f"{number}:{sent}"
        if "ref" in operation.sends:
            body["ref"] = ref = body["referenceId"] if numbered else self._take(session, None)
            number = f"{number}:{ref}"
        content = Content(body, number)
        if "now" in operation.sends:
            moved = session.last - START if self.plan.options.manual_clock else 0.0
            content.at = max(session.clock, moved)
            body["now"] = time_text(content.at)
        if "uuid" in operation.sends:
            content.play = session.user, exchange, session.counts.get(exchange, 0)
        return content

    def _operation(self, session: LiveSession, meaning: Meaning) -> Operation:
        """Return the operation that a request calls, as the server of the session has loaded it."""
        return (self._edited if session.node in self._edited_on else self._operations)[meaning.operation]

    def _choose(self, operation: Operation, session: LiveSession, number: int) -> tuple[str, int] | None:
        """Return the role and the place of the answer to the call with a number; None if there is none."""
        if not _matches(operation, session, number) or operation.authenticated not in (None, session.authenticated):
            return None
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
        self.assign_in_turn(session, operation.roles)
        return session.role, 0

    @staticmethod
    def _count(session: LiveSession, operation: Operation, variant: str, exchange: str) -> None:
        for name in (exchange, f"group {operation.name} {variant}"):
            session.counts[name] = session.counts.get(name, 0) + 1

    @staticmethod
    def _take(session: LiveSession, recorded: int | None) -> int:
        if recorded is not None and recorded not in session.used:
            session.used.add(recorded)
            return recorded
        session.highest += 1
        return session.highest

    @staticmethod
    def _sent(operation: Operation, session: LiveSession, number: int) -> JSON:
        if operation.identifier:
            return f"{number}," * (operation.trigger == "csv") + session.identifiers[operation.identifier]
        return str(number) if operation.trigger in ("query", "path", "regex", "form") else number

    def triggered(self, session: LiveSession, target: str, *, failed: bool = False) -> list[str]:
        """Count a request for the target of faults, and return the actions that are triggered."""
        actions: list[str] = []
        for index, planned in self._faults.get(target, ()):
            count = session.fault_counts[index] = session.fault_counts.get(index, 0) + 1
            if planned.nth is not None:
                applies = count == planned.nth
            elif planned.rate is not None:
                applies = failed and "status" not in actions  # of the others, which come first
                if applies or not failed:
                    self._learn_chance(index, session.user, count, applies=applies)
            else:
                applies = planned.every is None or count % planned.every == 0
            if applies:
                actions.append(planned.action)
        return actions

    def _learn_chance(self, index: int, user: str, count: int, *, applies: bool) -> None:
        if self.chances.setdefault((index, user, count), applies) != applies:
            self.unequal_chances.append(f"request {count} of the user {user!r} for the target of fault {index}")

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
        content: Content,
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
                at = "" if content.at is None else f":{time_text(content.at + unscaled)}"
                key = (planned.channel, f"{name}.{where}", content.number + at)
                for _ in range(copies):
                    order = (0, 0, 0) if planned.batch else (self._causes, unscaled, where)
                    event = DueEvent(due, session, key, planned.deliver, order, sender, planned.disconnect, unscaled)
                    event.place, event.cause = self._places[name], self._causes
                    event.play, event.part = content.play, f"notification {where}.{seq}"
                    if planned.batch and not planned.disconnect:
                        event.batch = self._causes, unscaled, planned.batch, planned.deliver
                    yield event

    # ------------------------------------------------------------------ timeline
    def on_anchor(self, session: LiveSession, anchor: str, now: float) -> None:
        """End and start the timeline entries with an anchor."""
        if anchor not in self._anchors:
            return
        since = self._since.get(anchor, ())
        if not session.role and self._of_entries:
            self._assign_role_of_entry(session, {role for index in since for role in self.plan.timeline[index].roles})
        session.anchors[anchor] = now
        for index in self._until.get(anchor, ()):
            if self._is_for(session, index):
                for each in session.timeline.pop(index, ()):
                    each.cancelled = True
        for index in since:
            if self._is_for(session, index):
                self._start_entry(session, index, now)

    def on_subscription(self, session: LiveSession, step: str, channel: str, now: float) -> None:
        """End and start the timeline entries of a subscription, and those of the channels that it covers."""
        self.on_anchor(session, step, now)
        for anchor in self._of_channels:
            name, _, of = anchor.partition(" ")
            if name == step and channel in (of, "/**"):
                self.on_anchor(session, anchor, now)

    def _assign_role_of_entry(self, session: LiveSession, waited_for: set[str]) -> None:
        """Give a session the role of an entry, if nothing else assigns it and no other such role has fewer sessions."""
        among = [each for each in self._of_entries if each in waited_for]
        if among:
            role = min(among, key=lambda each: self._turn(session.node, each))
            fewest = min(self._sessions_with(session.node, each) for each in self._of_entries)
            if self._sessions_with(session.node, role) == fewest:
                self._assign(session, role, in_turn=True)

    def _is_for(self, session: LiveSession, index: int) -> bool:
        roles = self.plan.timeline[index].roles
        return not roles or session.role in roles

    def _start_entry(self, session: LiveSession, index: int, at: float) -> None:
        if index in session.timeline:
            return
        entry = self.plan.timeline[index]
        number = f":{session.identifiers[entry.identifier]}" if entry.identifier else ""
        self._causes += 1
        session.timeline[index] = [
            DueEvent(
                at + self._scaled(session.node, entry.after + seq * entry.gap),
                session,
                (entry.channel, f"timeline {index}.0", number),
                entry.deliver,
                (self._causes, seq, 0),
                after=entry.after + seq * entry.gap,
                place=len(self._places) + index,
                cause=self._causes,
            )
            for seq in range(entry.count)
        ]
        self._started += session.timeline[index]

    @property
    def has_started(self) -> bool:
        """True if timeline entries have started since the last call of `take_started`."""
        return bool(self._started)

    def take_started(self) -> list[DueEvent]:
        """Return the notifications of the timeline entries that have started since the last call."""
        started, self._started = self._started, []
        return started


def time_text(seconds: float) -> str:
    """Return a time of the scenario's clock as in a template."""
    time = datetime.fromisoformat(RECORDED) + timedelta(seconds=seconds)
    return time.isoformat(timespec="milliseconds" if time.microsecond else "seconds").replace("+00:00", "Z")


def _matches(operation: Operation, session: LiveSession, number: int) -> bool:
    """True if an identifier has the value that the session has sent before, or the first one and no other's value."""
    if operation.trigger not in IDENTIFIERS:
        return True
    name, value, known = operation.identifier, identifier_of(operation.trigger, number), session.identifiers
    is_kept = known[name] == value if name in known else value not in known.values()
    return is_kept and (operation.trigger != "csv" or is_complete(number))


def _by_batch(events: list[DueEvent]) -> list[DueEvent]:
    """Move the notifications of a batch to the place of its first one."""
    first: dict[object, int] = {}
    places = [place if each.batch is None else first.setdefault(each.batch, place) for place, each in enumerate(events)]
    return [event for _, event in sorted(zip(places, events, strict=True), key=lambda each: each[0])]


def _credentials(names: Iterable[str]) -> list[str]:
    return [each for each in names if each[0] in "ut"]
