"""One verification run, without I/O: the next request to send, what to wait for, and the time limits.

Exchanges are sent one at a time, in script order: the next one when the reply and the recorded number of notifications
have arrived. Notifications are assigned to exchanges at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cometreel.bayeux import is_meta
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import (
    Anchor,
    EventSpec,
    Exchange,
    PublishBlock,
    ReplySpec,
    RequestBlock,
    TemplateFailed,
    User,
    can_be_written,
    parse_duration,
)
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
from cometreel.verify.session_values import with_bound_values
from cometreel.verify.verdict import Drift, EqualCount, ExchangeOutcome, StepVerdict, Verdict

__all__ = [
    "LISTEN_SECONDS",
    "CloseSession",
    "OpenSession",
    "Pace",
    "RunAction",
    "SendPublish",
    "SendRequest",
    "VerifyRun",
]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Open the CometD session of a session and subscribe to its channels; then call `connected`."""

    session: str


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send an HTTP request in a session; then call `replied` or `no_answer` with the number.

    `status` is the recorded status, None if it is not fixed; `seconds` the recorded time until the reply.
    An `anonymous` request is sent without cookies and credentials, because the recorded one was refused.
    """

    number: int
    session: str
    request: BuiltRequest
    status: int | None = None
    seconds: float = 0.0
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class SendPublish:
    """Publish in a CometD session; then call `published` or `no_answer` with the number."""

    number: int
    session: str
    request: BuiltPublish


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Disconnect the CometD session of a session."""

    session: str


RunAction: TypeAlias = OpenSession | SendRequest | SendPublish | CloseSession


Pace: TypeAlias = Literal["fast", "recorded"]
LISTEN_SECONDS: Final = 1.0
"""Time to wait for further notifications after the last exchange."""


@dataclass(slots=True)
class _PendingStep:
    """A play that is prepared or sent. `recorded_seconds` is its recorded duration.

    `first_message` is the number of messages received before it was sent.
    """

    play: PlayedStep
    expected_notifications: int
    recorded_seconds: float
    first_message: int = 0


class VerifyRun:
    """One run of a script. Each method takes the current time and returns the actions to perform.

    `users` are the live login names by session; `option_values` are values of markers in requests.
    `patience_seconds` is the time that a reply or a notification may take beyond the recorded one. `base` is the URL of
    the server.
    """

    def __init__(
        self,
        script: Script,
        masking: ReportMasking,
        *,
        users: Mapping[str, str] | None = None,
        option_values: Mapping[str, JSON] | None = None,
        pace: Pace = "fast",
        patience_seconds: float = 10.0,
        base: str = "",
    ) -> None:
        self._script, self._pace, self._patience = script, pace, patience_seconds
        names = users or {}
        self._variables = {
            session.name: SessionVariables(
                option_values or {}, _user(names.get(session.name), session.user, session.id)
            )
            for session in script.sessions
        }
        self._comparator = Comparator(script.scenario, masking, self._variables, base)
        self._steps = iter(script.steps)
        self._next: ScriptStep | None = next(self._steps)
        self._plays: list[PlayedStep] = []
        self._skip_reasons: dict[int, str] = {}
        self._received: list[ReceivedNotification] = []
        self._session_notes: list[str] = []
        self._plans = {session.name: session for session in script.sessions}
        self._connected: set[str] = set()
        self._connecting: set[str] = set()
        self._pending: _PendingStep | None = None
        self._prepared: _PendingStep | None = None
        self._played_names: set[str] = set()
        self._listen_until: float | None = None
        self.finished = False

    # --- events from the driver -----------------------------------------------------------------------------
    def start(self, now: float) -> list[RunAction]:
        """Start the run."""
        return self._continue(now)

    def connected(self, session: str, now: float) -> list[RunAction]:
        """Handle the connected CometD session of a session, with all its subscriptions."""
        self._connected.add(session)
        self._connecting.discard(session)
        return self._continue(now)

    def replied(self, number: int, reply: LiveReply, now: float) -> list[RunAction]:
        """Handle the reply to a `SendRequest`."""
        play = self._plays[number]
        play.reply, play.replied_at = reply, now
        self._comparator.learn_from_reply(play)
        return self._continue(now)

    def published(self, number: int, message: JSONObject, now: float) -> list[RunAction]:
        """Handle the acknowledgement of a `SendPublish`."""
        self._plays[number].published = message
        self._plays[number].replied_at = now
        return self._continue(now)

    def no_answer(self, number: int, reason: str, now: float) -> list[RunAction]:
        """Handle a `SendRequest` or a `SendPublish` without a reply."""
        self._plays[number].failure = reason
        self._plays[number].replied_at = now
        return self._continue(now)

    def received(self, session: str, message: JSONObject, now: float) -> list[RunAction]:
        """Handle a message that a session received."""
        if not can_be_written(message):
            self._session_notes.append(
                f"{session!r} received a message that a scenario cannot contain; it is not compared"
            )
        elif not is_meta(str(message.get("channel"))):
            self._received.append(ReceivedNotification(session, message, now))
        return self._continue(now)

    def session_lost(self, session: str, error: str, now: float) -> list[RunAction]:
        """Handle a CometD session that the server no longer knows; messages until the new handshake are lost."""
        self._session_notes.append(f"the server lost the CometD session of {session!r}; a new one was opened: {error}")
        return self._continue(now)

    def deadline(self) -> float | None:
        """Return the time at which to call `advance`, None if there is none."""
        if self._pending is not None and self._pending.play.completed:
            return self._wait_until(self._pending)
        return self._listen_until

    def advance(self, now: float) -> list[RunAction]:
        """Perform the actions that are due."""
        return self._continue(now)

    # --- progress -------------------------------------------------------------------------------------------
    def _continue(self, now: float) -> list[RunAction]:
        """Return the actions of the next step that can be played, none while the run is waiting."""
        while not self._is_waiting(now):
            if self._prepared is not None:
                return self._send(self._prepared, now)
            if self._next is None:
                return self._finish(now)
            actions = self._start_step(self._next, now)
            if actions:
                return actions
        return []

    def _is_waiting(self, now: float) -> bool:
        pending = self._pending
        if self._connecting or self.finished:
            return True
        if pending is None:
            return False
        if not pending.play.completed or now < self._wait_until(pending):
            return True
        if any(not isinstance(spec.data, Fixed) for spec in pending.play.step.exchange.events):
            self._comparison(pending.play, []).learn()
        self._pending = None
        return False

    def _wait_until(self, pending: _PendingStep) -> float:
        """Return when to send the next step: once all has arrived, or when the patience has run out.

        At the recorded pace, not before the recorded time.
        """
        sent_at = pending.play.sent_at
        if not self._is_complete(pending):
            return sent_at + pending.recorded_seconds + self._patience
        return sent_at + pending.recorded_seconds if self._pace == "recorded" else sent_at

    def _is_complete(self, pending: _PendingStep) -> bool:
        if not pending.expected_notifications:
            return True
        play = pending.play
        receivers = {play.step.session, *map(play.step.receives, play.step.exchange.events)}
        recent = [each for each in self._received[pending.first_message :] if each.session in receivers]
        if len(recent) < pending.expected_notifications:
            return False
        assign_notifications([play], recent, self._script.scenario.profile)
        return len(play.notifications) >= pending.expected_notifications

    def _start_step(self, step: ScriptStep, now: float) -> list[RunAction]:
        """Send one step, or first open the CometD session that it needs; return no action if it cannot be played."""
        self._next = next(self._steps, None)
        try:
            self._prepared = self._prepare(step, now)
        except (RequestNotBuildable, TemplateFailed) as reason:
            self._skip_reasons[id(step)] = str(reason)
            return []
        if opened := self._open([*self._needs_cometd(step)]):
            return opened
        return self._send(self._prepared, now)

    def _open(self, sessions: Iterable[str]) -> list[RunAction]:
        self._connecting = set(sessions) - self._connected
        return [OpenSession(session) for session in sorted(self._connecting)]

    def _send(self, pending: _PendingStep, now: float) -> list[RunAction]:
        play = pending.play
        play.sent_at, pending.first_message = now, len(self._received)
        self._prepared, self._pending = None, pending
        number, session = len(self._plays), play.step.session
        self._plays.append(play)
        self._played_names.add(play.step.exchange.name)
        if isinstance(play.request, BuiltPublish):
            return [SendPublish(number, session, play.request)]
        exchange = play.step.exchange
        status = exchange.reply.status if isinstance(exchange.reply, ReplySpec) else None
        recorded = status.value if isinstance(status, Fixed) and isinstance(status.value, int) else None
        anonymous = exchange.authenticated is False
        return [SendRequest(number, session, play.request, recorded, pending.recorded_seconds, anonymous=anonymous)]

    def _needs_cometd(self, step: ScriptStep) -> Iterator[str]:
        """Yield the sessions whose CometD session must be open before a step.

        It is opened as late as possible, so that the sign-in and other requests before the first notification are sent
        before the handshake, as they were recorded.
        """
        if isinstance(step.block.request, PublishBlock):
            yield step.session
        yield from (step.receives(event) for event in step.exchange.events)
        yield from (name for name, plan in self._plans.items() if step.exchange.name in plan.anchors)

    def _prepare(self, step: ScriptStep, now: float) -> _PendingStep:
        _check_guards(step.exchange, self._played_names)
        variables = self._variables[step.session]
        block, rules = step.block.request, self._script.scenario.session.bind
        if isinstance(block, RequestBlock) and rules:
            block = with_bound_values(block, rules, variables)
        request = build_request(block, variables)
        normalized, match = match_request(self._script.scenario, step.exchange, request, {**variables.ids})
        variables.add_match(match)
        play = PlayedStep(step, request, normalized, match.captures, now)
        expected = len(expected_notifications(self._comparator, play))
        return _PendingStep(play, expected, self._comparator.recorded_seconds(play))

    def _finish(self, now: float) -> list[RunAction]:
        if opened := self._open(event.session for event in self._script.timeline_events):
            return opened
        if self._listen_until is None:
            self._listen_until = now + (self._listen_seconds(now) if self._connected else 0.0)
        if now < self._listen_until:
            return []
        self.finished = True
        return [CloseSession(session) for session in sorted(self._connected)]

    def _listen_seconds(self, now: float) -> float:
        """Return how long to wait at the end: at the recorded pace, until the last event of the timeline is due."""
        if self._pace == "fast":
            return LISTEN_SECONDS
        sent: dict[Anchor, float] = {play.step.exchange.name: play.sent_at for play in self._plays}
        due = [sent.get(event.entry.since, now) + _after(event.entry.event) for event in self._script.timeline_events]
        return max([LISTEN_SECONDS, *(at - now + LISTEN_SECONDS for at in due)])

    # --- result ---------------------------------------------------------------------------------------------
    def verdict(self, against: str) -> Verdict:
        """Return the verdict of the finished run."""
        unsolicited = assign_notifications(self._plays, self._received, self._script.scenario.profile)
        plays = {id(play.step): play for play in self._plays}
        # latest first: a duplicate belongs to the last exchange sent before it
        compared = {id(play): self._comparison(play, unsolicited).compare() for play in reversed(self._plays)}
        steps = tuple(self._step_verdicts(plays, compared))
        notes = timeline_notes(self._script.timeline_events, unsolicited, self._comparator)
        files = tuple(source.document.file for source in self._script.sources)
        return Verdict(files, against, steps, (*self._session_notes, *notes))

    def _comparison(self, play: PlayedStep, unsolicited: list[ReceivedNotification]) -> NotificationComparison:
        return NotificationComparison(self._comparator, self._script.scenario.profile, play, unsolicited)

    def _step_verdicts(
        self, plays: Mapping[int, PlayedStep], notifications: Mapping[int, tuple[list[Drift], EqualCount]]
    ) -> Iterator[StepVerdict]:
        for step in self._script.steps:
            name, position = step.exchange.name, step.position()
            play = plays.get(id(step))
            if play is None:
                reason = self._skip_reasons.get(id(step), "the run ended before it")
                yield StepVerdict(name, step.session, position, ExchangeOutcome.NOT_PLAYED, reason=reason)
                continue
            notification_drifts, count = notifications[id(play)]
            drifts = (*self._comparator.reply_drifts(play), *notification_drifts)
            outcome = ExchangeOutcome.DRIFT if drifts else ExchangeOutcome.SAME
            seconds = (play.replied_at or play.sent_at) - play.sent_at
            yield StepVerdict(name, step.session, position, outcome, drifts, seconds=seconds, notifications=count)


def _user(live: str | None, recorded: str | None, recorded_id: str | None) -> User:
    """Return what is known of the user: the recorded id only if the login name is the recorded one."""
    if live is None:
        return User()
    return User(live, recorded_id if live == recorded else None)


def _after(spec: EventSpec) -> float:
    return parse_duration(str(spec.after.value)) if isinstance(spec.after, Fixed) else 0.0


def _check_guards(exchange: Exchange, played: set[str]) -> None:
    """Check that an exchange may be played now.

    :raises RequestNotBuildable: if a guard forbids it, or if it would disconnect the CometD session.
    """
    missing = [name for name in exchange.after if name not in played]
    if missing:
        raise RequestNotBuildable(f"it must follow {missing[0]!r}, which was not played")
    too_late = [name for name in exchange.before if name in played]
    if too_late:
        raise RequestNotBuildable(f"it must precede {too_late[0]!r}, which was already played")
    if any(getattr(event.disconnect, "value", True) is not False for event in exchange.events):
        raise RequestNotBuildable("it disconnects the CometD session, which later exchanges need")
