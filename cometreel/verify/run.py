"""What a run orders: everything that its driver does on the network. Orders are in the imperative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cometreel.bayeux import is_meta
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import EventSpec, Exchange, ReplySpec, TemplateFailed, User, can_be_written, parse_duration
from cometreel.scenario.values import Fixed
from cometreel.verify.comparator import Comparator
from cometreel.verify.expected_values import SessionVariables
from cometreel.verify.notification_comparison import (
    NotificationComparison,
    assign_notifications,
    expected_notifications,
    timeline_notes,
)
from cometreel.verify.observations import LiveReply, PlayedStep, ReceivedNotification
from cometreel.verify.report_masking import ReportMasking
from cometreel.verify.request_building import (
    BuiltPublish,
    BuiltRequest,
    RequestNotBuildable,
    build_request,
    match_request,
)
from cometreel.verify.script import Script, ScriptStep
from cometreel.verify.verdict import Drift, ExchangeOutcome, StepVerdict, Verdict

__all__ = [
    "CloseSession",
    "LISTEN_SECONDS",
    "OpenSession",
    "Pace",
    "RunAction",
    "SendPublish",
    "SendRequest",
    "VerifyRun",
]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Begin the CometD session of a part and subscribe to its channels; then say `connected`."""

    part: str


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send an HTTP request in a part's session; then say `replied` or `unanswered` with the number.

    `status` is the one that was recorded, None where it isn't known before; `seconds` how long the reply took then.
    `stranger` wants no session and no credentials: the request is to be refused, as it was when it was recorded.
    """

    number: int
    part: str
    ask: BuiltRequest
    status: int | None = None
    seconds: float = 0.0
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class SendPublish:
    """Publish in a part's CometD session; then say `published` or `unanswered` with the number."""

    number: int
    part: str
    ask: BuiltPublish


@dataclass(frozen=True, slots=True)
class CloseSession:
    """End the CometD session of a part."""

    part: str


RunAction: TypeAlias = OpenSession | SendRequest | SendPublish | CloseSession


Pace: TypeAlias = Literal["fast", "recorded"]
LISTEN_SECONDS: Final = 1.0
"""How long the run listens after the last exchange, for what comes once too often."""


@dataclass(slots=True)
class _PendingStep:
    """A play that is ready or under way: how many notifications it waits for, and how long it took when recorded.

    `first` is the number of messages that had been heard before it was asked.
    """

    play: PlayedStep
    wanted: int
    seconds: float
    first: int = 0


class VerifyRun:
    """One run of a script. Each method takes the time and gives orders.

    `users` are the live login names by part; `given` are values for markers in requests. `patience_seconds` is how
    long a reply or a notification may take beyond the time that it took when it was recorded.
    """

    def __init__(
        self,
        script: Script,
        veil: ReportMasking,
        *,
        users: Mapping[str, str] | None = None,
        given: Mapping[str, JSON] | None = None,
        pace: Pace = "fast",
        patience_seconds: float = 10.0,
    ) -> None:
        self._script, self._pace, self._patience = script, pace, patience_seconds
        names = users or {}
        self._knowledge = {
            part.name: SessionVariables(given or {}, _user(names.get(part.name), part.user, part.id))
            for part in script.parts
        }
        self._judge = Comparator(script.scenario, veil, self._knowledge)
        self._steps = iter(script.steps)
        self._next: ScriptStep | None = next(self._steps)
        self._plays: list[PlayedStep] = []
        self._left: dict[int, str] = {}
        self._heard: list[ReceivedNotification] = []
        self._remarks: list[str] = []
        self._connected: set[str] = set()
        self._connecting = False
        self._waiting: _PendingStep | None = None
        self._ready: _PendingStep | None = None
        self._played: set[str] = set()
        self._listens_until: float | None = None
        self.over = False

    # --- what the driver tells ------------------------------------------------------------------------------
    def start(self, now: float) -> list[RunAction]:
        """Begin."""
        return self._go_on(now)

    def connected(self, part: str, now: float) -> list[RunAction]:
        """Learn that a part's CometD session is there and has all its subscriptions."""
        self._connected.add(part)
        self._connecting = False
        return self._go_on(now)

    def replied(self, number: int, reply: LiveReply, now: float) -> list[RunAction]:
        """Learn the reply to an `SendRequest`."""
        play = self._plays[number]
        play.reply, play.replied_at = reply, now
        self._judge.learn(play)
        return self._go_on(now)

    def published(self, number: int, message: JSONObject, now: float) -> list[RunAction]:
        """Learn the acknowledgement of a `SendPublish`."""
        self._plays[number].published = message
        self._plays[number].replied_at = now
        return self._go_on(now)

    def unanswered(self, number: int, reason: str, now: float) -> list[RunAction]:
        """Learn that nothing came back on an `SendRequest` or a `SendPublish`."""
        self._plays[number].failure = reason
        self._plays[number].replied_at = now
        return self._go_on(now)

    def heard(self, part: str, message: JSONObject, now: float) -> list[RunAction]:
        """Take a message that was delivered to a part."""
        if not can_be_written(message):
            self._remarks.append(f"{part!r} heard a message that no scenario can hold, and it is left out")
        elif not is_meta(str(message.get("channel"))):
            self._heard.append(ReceivedNotification(part, message, now))
        return self._go_on(now)

    def lost(self, part: str, error: str, now: float) -> list[RunAction]:
        """Learn that a CometD session was lost and begins anew: what was sent in between is gone."""
        self._remarks.append(f"the CometD session of {part!r} was lost and began anew: {error}")
        return self._go_on(now)

    def deadline(self) -> float | None:
        """When `advance` has something to do."""
        if self._waiting is not None and self._waiting.play.answered:
            return self._ends_at(self._waiting)
        return self._listens_until

    def advance(self, now: float) -> list[RunAction]:
        """Do what is due."""
        return self._go_on(now)

    # --- going on -------------------------------------------------------------------------------------------
    def _go_on(self, now: float) -> list[RunAction]:
        """Give the orders of the next step that can be played, if nothing is waited for."""
        while not self._busy(now):
            if self._ready is not None:
                return self._begin(self._ready, now)
            if self._next is None:
                return self._listen(now)
            orders = self._play(self._next, now)
            if orders:
                return orders
        return []

    def _busy(self, now: float) -> bool:
        waiting = self._waiting
        if self._connecting or self.over:
            return True
        if waiting is None:
            return False
        if not waiting.play.answered or now < self._ends_at(waiting):
            return True
        if any(not isinstance(spec.data, Fixed) for spec in waiting.play.step.exchange.events):
            self._hearing(waiting.play, []).learn()
        self._waiting = None
        return False

    def _ends_at(self, waiting: _PendingStep) -> float:
        """When to go on: as soon as all has come, at the recorded pace not before its time; else after the patience."""
        asked_at = waiting.play.asked_at
        if not self._is_complete(waiting):
            return asked_at + waiting.seconds + self._patience
        return asked_at + waiting.seconds if self._pace == "recorded" else asked_at

    def _is_complete(self, waiting: _PendingStep) -> bool:
        if not waiting.wanted:
            return True
        play = waiting.play
        recent = [each for each in self._heard[waiting.first :] if each.part == play.step.part]
        if len(recent) < waiting.wanted:
            return False
        assign_notifications([play], recent, self._script.scenario.profile)
        return len(play.heard) >= waiting.wanted

    def _play(self, step: ScriptStep, now: float) -> list[RunAction]:
        """Order one step, or first the CometD session that it needs; nothing if it can't be played."""
        self._next = next(self._steps, None)
        try:
            self._ready = self._made(step, now)
        except (RequestNotBuildable, TemplateFailed) as reason:
            self._left[id(step)] = str(reason)
            return []
        if self._wants_connection(step):
            self._connecting = True
            return [OpenSession(step.part)]
        return self._begin(self._ready, now)

    def _begin(self, waiting: _PendingStep, now: float) -> list[RunAction]:
        play = waiting.play
        play.asked_at, waiting.first = now, len(self._heard)
        self._ready, self._waiting = None, waiting
        number, part = len(self._plays), play.step.part
        self._plays.append(play)
        self._played.add(play.step.exchange.name)
        if isinstance(play.ask, BuiltPublish):
            return [SendPublish(number, part, play.ask)]
        exchange = play.step.exchange
        status = exchange.reply.status if isinstance(exchange.reply, ReplySpec) else None
        recorded = status.value if isinstance(status, Fixed) and isinstance(status.value, int) else None
        return [
            SendRequest(number, part, play.ask, recorded, waiting.seconds, stranger=exchange.authenticated is False)
        ]

    def _wants_connection(self, step: ScriptStep) -> bool:
        """Browsers log in with a GET and then shake hands: the first step that isn't just a GET needs a connection."""
        if step.part in self._connected or not self._script.listens:
            return False
        method = getattr(step.block.request, "method", "")
        return bool(step.exchange.events) or str(method).upper() not in ("GET", "HEAD")

    def _made(self, step: ScriptStep, now: float) -> _PendingStep:
        _refuse(step.exchange, self._played)
        knowledge = self._knowledge[step.part]
        ask = build_request(step.block.request, knowledge)
        question, match = match_request(self._script.scenario, step.exchange, ask, {**knowledge.ids})
        knowledge.learn(match)
        play = PlayedStep(step, ask, question, match.captures, now)
        return _PendingStep(play, len(expected_notifications(self._judge, play)), self._judge.seconds(play))

    def _listen(self, now: float) -> list[RunAction]:
        if self._listens_until is None:
            self._listens_until = now + (self._rest(now) if self._connected else 0.0)
        if now < self._listens_until:
            return []
        self.over = True
        return [CloseSession(part) for part in sorted(self._connected)]

    def _rest(self, now: float) -> float:
        """How long to listen at the end: at the recorded pace, until the last that was due without being asked for."""
        if self._pace == "fast":
            return LISTEN_SECONDS
        asked = {play.step.exchange.name: play.asked_at for play in self._plays}
        due = [asked.get(cue.entry.since, now) + _after(cue.entry.event) for cue in self._script.cues]
        return max([LISTEN_SECONDS, *(at - now + LISTEN_SECONDS for at in due)])

    # --- the end --------------------------------------------------------------------------------------------
    def verdict(self, against: str) -> Verdict:
        """What was found, once the run is over."""
        unsolicited = assign_notifications(self._plays, self._heard, self._script.scenario.profile)
        plays = {id(play.step): play for play in self._plays}
        # the latest first: what came once too often belongs to the exchange that was asked last before it
        heard = {id(play): self._hearing(play, unsolicited).findings() for play in reversed(self._plays)}
        steps = tuple(self._verdicts(plays, heard))
        told = timeline_notes(self._script.cues, unsolicited, self._judge)
        files = tuple(source.document.file for source in self._script.sources)
        return Verdict(files, against, steps, (*self._remarks, *told))

    def _hearing(self, play: PlayedStep, unsolicited: list[ReceivedNotification]) -> NotificationComparison:
        return NotificationComparison(self._judge, self._script.scenario.profile, play, unsolicited)

    def _verdicts(self, plays: Mapping[int, PlayedStep], heard: Mapping[int, list[Drift]]) -> Iterator[StepVerdict]:
        for step in self._script.steps:
            name, position = step.exchange.name, step.position()
            play = plays.get(id(step))
            if play is None:
                reason = self._left.get(id(step), "the run ended before it")
                yield StepVerdict(name, step.part, position, ExchangeOutcome.NOT_PLAYED, reason=reason)
                continue
            findings = (*self._judge.reply(play), *heard[id(play)])
            outcome = ExchangeOutcome.DRIFT if findings else ExchangeOutcome.SAME
            seconds = (play.replied_at or play.asked_at) - play.asked_at
            yield StepVerdict(name, step.part, position, outcome, findings, seconds=seconds)


def _user(live: str | None, recorded: str | None, recorded_id: str | None) -> User:
    """The user as far as it is known: another one than the recorded has another id."""
    if live is None:
        return User()
    return User(live, recorded_id if live == recorded else None)


def _after(spec: EventSpec) -> float:
    return parse_duration(str(spec.after.value)) if isinstance(spec.after, Fixed) else 0.0


def _refuse(exchange: Exchange, played: set[str]) -> None:
    """Say why an exchange isn't played although its request can be made.

    :raises CantAsk: if it comes after one that wasn't played, or ends the session that the rest needs.
    """
    missing = [name for name in exchange.after if name not in played]
    if missing:
        raise RequestNotBuildable(f"it comes after {missing[0]!r}, which was not played")
    too_late = [name for name in exchange.before if name in played]
    if too_late:
        raise RequestNotBuildable(f"it comes before {too_late[0]!r}, which is played already")
    if any(getattr(event.disconnect, "value", True) is not False for event in exchange.events):
        raise RequestNotBuildable("it ends the CometD session, and nobody would hear the rest")
