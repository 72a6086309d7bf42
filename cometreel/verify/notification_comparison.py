"""Compares the live notifications of an exchange with the recorded ones.

Notifications are assigned to exchanges by the correlation rule of the profile, as in recording. The order of a
notification and its reply is not compared, because they use two connections; the order of an exchange's notifications
within one session and channel is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.recording.correlation import correlate
from cometreel.recording.journal_events import NO_BODY, RecordedBody, RedactedPaths, WireEvent
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, RecordedPublish, Transcript
from cometreel.scenario import EventSpec, Profile
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.values import Fixed
from cometreel.verify.comparator import Comparator, DriftPath
from cometreel.verify.expected_values import SessionVariables
from cometreel.verify.observations import LiveReply, PlayedStep, ReceivedNotification
from cometreel.verify.request_building import BuiltPublish
from cometreel.verify.script import SEVERAL, ExpectedTimelineEvent
from cometreel.verify.value_comparison import count_values
from cometreel.verify.verdict import MOVED, Drift, EqualCount, one_line

__all__ = [
    "ExpectedNotification",
    "NotificationComparison",
    "Pairs",
    "Similarity",
    "assign_notifications",
    "expected_notifications",
    "pair_notifications",
    "timeline_notes",
]


@dataclass(frozen=True, slots=True)
class ExpectedNotification:
    """One expected notification: repetition `seq` of `count` of the event with index `number`."""

    number: int
    spec: EventSpec
    seq: int = 0
    count: int = 1


def expected_notifications(comparator: Comparator, play: PlayedStep) -> list[ExpectedNotification]:
    """Return the expected notifications of a play, in file order."""
    result: list[ExpectedNotification] = []
    for number, spec in enumerate(play.step.exchange.events):
        count = spec.plan(comparator.render_context(play)).count
        result += [ExpectedNotification(number, spec, seq, count) for seq in range(count)]
    return result


class NotificationComparison:
    """Compares the notifications of one play. Those found to belong to it are removed from `unsolicited`."""

    def __init__(
        self, comparator: Comparator, profile: Profile, play: PlayedStep, unsolicited: list[ReceivedNotification]
    ) -> None:
        self._comparator, self._play, self._unsolicited = comparator, play, unsolicited
        self._references = (*profile.event, *profile.request)
        self._window = profile.window_seconds
        self._recorded = expected_notifications(comparator, play)
        self._live = list(play.notifications)

    def compare(self) -> tuple[list[Drift], EqualCount]:
        """Return every difference, in file order, and how many of the recorded notifications are equal."""
        pairs = pair_notifications(len(self._recorded), len(self._live), self._similarity)
        self._claim_unsolicited(pairs)
        changes = {number: list(self._compare(number, live)) for number, live in sorted(pairs.pairs.items())}
        found = [drift for drifts in changes.values() for drift in drifts]
        found += [self._missing(number) for number in pairs.missing]
        found += [self._duplicate(number, live) for number, live in sorted(pairs.duplicates.items())]
        extra = [number for number in pairs.extra if not self._is_expected_copy(self._live[number])]
        found += [self._extra(number, place, pairs) for place, number in enumerate(extra)]
        unequal = {number for number, drifts in changes.items() if drifts} | {*pairs.missing, *pairs.duplicates}
        for drift, moved in self._order_changes(pairs):
            found.append(drift)
            unequal |= moved
        recorded = len(self._recorded)
        return found, EqualCount(recorded - len(unequal), recorded)

    def learn(self) -> None:
        """Set session variables from the notifications, for later requests."""
        for number, live in pair_notifications(len(self._recorded), len(self._live), self._similarity).pairs.items():
            self._resolve(number, self._live[live], trial=False)

    # --- pairing --------------------------------------------------------------------------------------------
    def _similarity(self, number: int, live: int) -> Similarity:
        return self._similarity_to(number, self._live[live])

    def _similarity_to(self, number: int, notification: ReceivedNotification) -> Similarity:
        channel, data, ext = self._resolve(number, notification, trial=True)
        differences = len(self._comparator.value_changes(data, notification.data, self._references))
        if ext is not MISSING:
            live_ext = notification.message.get("ext")
            differences += len(self._comparator.value_changes(ext, live_ext, ()))
        values = max(count_values(data), count_values(notification.data))
        return Similarity(
            differences, values, channel == notification.channel, self._receiver(number) == notification.session
        )

    def _receiver(self, number: int) -> str:
        return self._play.step.receives(self._recorded[number].spec)

    def _is_expected_copy(self, notification: ReceivedNotification) -> bool:
        """True if a notification of another session is a copy of an event for several; copies are not compared."""
        if notification.session == self._play.step.session:
            return False
        return any(
            expected.spec.deliver in SEVERAL
            and replace(self._similarity_to(number, notification), same_session=True).close
            for number, expected in enumerate(self._recorded)
        )

    def _resolve(
        self, number: int, notification: ReceivedNotification, *, trial: bool
    ) -> tuple[JSON, JSON, JSON | Missing]:
        """Return the expected channel, data and ext; a trial does not change the session's variables."""
        expected = self._recorded[number]
        variables = self._comparator.variables_of(self._play)
        values = self._comparator.expected_values(
            self._play,
            f"event {expected.number}",
            _copy(variables) if trial else variables,
            seq=expected.seq,
            count=expected.count,
        )
        spec, live_ext = expected.spec, notification.message.get("ext", MISSING)
        channel = "" if spec.channel is None else values.resolve(spec.channel, notification.channel)
        ext = MISSING if spec.ext is None else values.resolve(spec.ext, live_ext)
        return channel, values.resolve(spec.data, notification.data), ext

    def _claim_unsolicited(self, pairs: Pairs) -> None:
        """Take missing and duplicate notifications from the unsolicited ones: their reference may have changed."""
        for number in list(pairs.missing):
            for notification in self._candidates(self._receiver(number)):
                self._live.append(notification)
                if self._similarity(number, len(self._live) - 1).close:
                    pairs.pairs[number] = len(self._live) - 1
                    pairs.missing.remove(number)
                    self._unsolicited.remove(notification)
                    break
                self._live.pop()
        for number, live in list(pairs.pairs.items()):
            for notification in self._candidates(self._receiver(number)):
                self._live.append(notification)
                last = len(self._live) - 1
                if self._similarity(number, last).equal and notification.at >= self._live[live].at:
                    pairs.duplicates.setdefault(number, []).append(last)
                    self._unsolicited.remove(notification)
                else:
                    self._live.pop()

    def _candidates(self, session: str) -> list[ReceivedNotification]:
        start = self._play.sent_at
        end = start + self._window
        return [each for each in self._unsolicited if each.session == session and start <= each.at <= end]

    # --- differences ----------------------------------------------------------------------------------------
    def _compare(self, number: int, live: int) -> Iterator[Drift]:
        expected, notification, step = self._recorded[number], self._live[live], self._play.step
        channel, data, ext = self._resolve(number, notification, trial=False)
        path: DriftPath = ("events", expected.number)
        if channel != notification.channel:
            yield self._comparator.drift(step, MOVED, (*path, "channel"), channel, notification.channel)
        receiver = self._receiver(number)
        if receiver != notification.session:
            yield self._comparator.drift(step, MOVED, (*path, "deliver"), receiver, notification.session)
        literal = isinstance(expected.spec.data, Fixed)
        yield from self._comparator.drifts(
            step, (*path, "data"), data, notification.data, self._references, literal=literal
        )
        if ext is not MISSING:
            live_ext = notification.message.get("ext")
            yield from self._comparator.drifts(step, (*path, "ext"), ext, live_ext, (), literal=False)

    def _missing(self, number: int) -> Drift:
        nothing = ReceivedNotification(self._play.step.session, {}, 0.0)
        channel, data, _ = self._resolve(number, nothing, trial=True)
        literal = isinstance(self._recorded[number].spec.data, Fixed)
        recorded: JSON = {"channel": channel, "data": data if literal else self._comparator.masking.redact(data)}
        path: DriftPath = ("events", self._recorded[number].number)
        return self._comparator.drift(self._play.step, "notification missing", path, recorded, MISSING)

    def _duplicate(self, number: int, live: list[int]) -> Drift:
        path: DriftPath = ("events", self._recorded[number].number)
        return self._comparator.drift(self._play.step, "notification doubled", path, "once", _times(len(live) + 1))

    def _extra(self, number: int, place: int, pairs: Pairs) -> Drift:
        notification = self._live[number]
        path: DriftPath = ("events", len(self._play.step.exchange.events) + place)
        redacted: JSONObject = {
            "channel": notification.channel,
            "data": self._comparator.masking.redact(notification.data),
        }
        if notification.session != self._play.step.session:
            redacted["deliver"] = notification.session
        drift = self._comparator.drift(self._play.step, "notification extra", path, MISSING, redacted)
        later = [each for each, live in pairs.pairs.items() if self._arrival(live) > self._arrival(number)]
        return replace(drift, before=min((self._recorded[each].number for each in later), default=None))

    def _arrival(self, live: int) -> tuple[float, int]:
        return self._live[live].at, live

    def _order_changes(self, pairs: Pairs) -> Iterator[tuple[Drift, set[int]]]:
        """Yield a difference for each channel on which the order has changed, and the notifications that moved."""

        def place(pair: tuple[int, int]) -> tuple[str, str]:
            return self._live[pair[1]].channel, self._live[pair[1]].session

        arrived = sorted(pairs.pairs.items(), key=lambda each: self._arrival(each[1]))
        for (channel, _), group in groupby(sorted(arrived, key=place), key=place):
            numbers = [number for number, _ in group]
            live: list[JSON] = [self._recorded[number].number for number in numbers]
            recorded = sorted(live, key=lambda number: int(str(number)))
            if live != recorded:
                kind = f"order changed on {channel}"
                moved = {number for number, was, now in zip(numbers, recorded, live, strict=True) if was != now}
                yield self._comparator.drift(self._play.step, kind, ("events",), recorded, live), moved


def _times(number: int) -> str:
    return {2: "twice"}.get(number, f"{number} times")


def _copy(variables: SessionVariables) -> SessionVariables:
    return replace(variables, ids=dict(variables.ids), captures=dict(variables.captures))


@dataclass(frozen=True, slots=True)
class Similarity:
    """The result of comparing two notifications: differences, number of values, and if the place is the same."""

    differences: int
    values: int
    same_channel: bool
    same_session: bool = True

    @property
    def same_place(self) -> bool:
        """True if channel and session are the same."""
        return self.same_channel and self.same_session

    @property
    def equal(self) -> bool:
        """True if there is no difference."""
        return self.same_place and not self.differences

    @property
    def close(self) -> bool:
        """True if one may be the other, changed: up to half of its values differ, at another place a quarter."""
        return self.differences * (2 if self.same_place else 4) <= self.values + (1 if self.same_place else 0)


@dataclass(slots=True)
class Pairs:
    """Pairs of a recorded and a live notification, and those without a partner, all by index."""

    pairs: dict[int, int] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    duplicates: dict[int, list[int]] = field(default_factory=dict)
    """Additional equal live notifications, by recorded one."""
    extra: list[int] = field(default_factory=list)


def pair_notifications(recorded: int, live: int, compare: Callable[[int, int], Similarity]) -> Pairs:
    """Pair recorded notifications with live ones, given the number of each: equal ones first, then the closest."""
    result = Pairs()
    free = list(range(live))
    _pair_equal(range(recorded), free, compare, result)
    rest = [number for number in range(recorded) if number not in result.pairs]
    _pair_close(rest, free, compare, result)
    result.missing = [number for number in range(recorded) if number not in result.pairs]
    for number in free:
        equal = next((each for each in result.pairs if compare(each, number).equal), None)
        if equal is None:
            result.extra.append(number)
        else:
            result.duplicates.setdefault(equal, []).append(number)
    return result


def _pair_equal(
    recorded: Sequence[int], free: list[int], compare: Callable[[int, int], Similarity], result: Pairs
) -> None:
    for number in recorded:
        found = next((each for each in free if compare(number, each).equal), None)
        if found is not None:
            result.pairs[number] = found
            free.remove(found)


def _pair_close(rest: Sequence[int], free: list[int], compare: Callable[[int, int], Similarity], result: Pairs) -> None:
    candidates = [(compare(number, each), number, each) for number in rest for each in free]
    close = [
        (similarity.differences + (not similarity.same_channel) + (not similarity.same_session), number, each)
        for similarity, number, each in candidates
        if similarity.close
    ]
    for _, number, each in sorted(close):
        if number not in result.pairs and each in free:
            result.pairs[number] = each
            free.remove(each)


# --- assignment to exchanges --------------------------------------------------------------------------------
def assign_notifications(
    plays: Sequence[PlayedStep], received: Sequence[ReceivedNotification], profile: Profile
) -> list[ReceivedNotification]:
    """Set the notifications of each play, and return the unsolicited ones.

    Assigns everything received so far, because a notification may arrive before its reply or long after it.
    """
    sessions = {session: number for number, session in enumerate(dict.fromkeys(play.step.session for play in plays))}
    sources = {id(source): (play, source) for play in plays for source in [_source(play, sessions)]}
    deliveries = {id(delivery): (each, delivery) for each in received for delivery in [_delivery(each, sessions)]}
    transcript = Transcript(
        calls=[source for _, source in sources.values() if isinstance(source, RecordedCall)],
        publishes=[source for _, source in sources.values() if isinstance(source, RecordedPublish)],
        deliveries=[delivery for _, delivery in deliveries.values()],
        connections={number: [(0.0, float("inf"))] for number in sessions.values()},
    )
    found = correlate(transcript, profile)
    for ask in found.requests:
        joined = sorted([*ask.deliveries, *(copy for _, copy in ask.copies)], key=lambda delivery: delivery.at)
        sources[id(ask.source)][0].notifications = _received(joined, deliveries)
    return _received(found.unsolicited, deliveries)


def _received(
    found: Iterable[RecordedDelivery], deliveries: dict[int, tuple[ReceivedNotification, RecordedDelivery]]
) -> list[ReceivedNotification]:
    return [deliveries[id(delivery)][0] for delivery in found]


def _source(play: PlayedStep, sessions: dict[str, int]) -> RecordedCall | RecordedPublish:
    session, built = sessions[play.step.session], play.request
    replied_at = play.sent_at if play.replied_at is None else play.replied_at
    if isinstance(built, BuiltPublish):
        message = encode({"channel": built.channel, "data": built.data})
        reply = None if play.published is None else encode(play.published)
        return RecordedPublish(play.sent_at, session, "", built.channel, message, RedactedPaths(), 0, replied_at, reply)
    path, _, query = built.url.partition("?")
    body = _body(LiveReply(0, body=built.body))
    request = WireEvent(0, play.sent_at, "request", method=built.method, path=path, query=query, body=body)
    replied = WireEvent(0, replied_at, "reply", body=_body(play.reply or LiveReply(0)))
    return RecordedCall(play.sent_at, session, request, replied_at, replied)


def _body(content: LiveReply) -> RecordedBody:
    return RecordedBody.of("json", content.json) if content.is_json else NO_BODY


def _delivery(each: ReceivedNotification, sessions: dict[str, int]) -> RecordedDelivery:
    session = sessions.get(each.session, len(sessions))
    return RecordedDelivery(each.at, session, "", each.channel, encode(each.message), "")


# --- timeline -----------------------------------------------------------------------------------------------
def timeline_notes(
    expected: Sequence[ExpectedTimelineEvent], unsolicited: Sequence[ReceivedNotification], comparator: Comparator
) -> Iterator[str]:
    """Yield a note for each timeline entry, and for each other unsolicited notification.

    Notes are not differences: on a live server other users work too, so unsolicited notifications vary.
    """
    left = list(unsolicited)
    for event in expected:
        place = f"{event.entry.position.file}:{event.entry.position.line}: timeline"
        equal = next((each for each in left if _differences(event, each, comparator) == 0), None)
        found = equal or next((each for each in left if _is_close(event, each, comparator)), None)
        if found is None:
            yield f"{place}: not received during the run"
            continue
        left.remove(found)
        values = "" if found is equal else f" with other values: {_redacted(found, comparator)}"
        yield f"{place}: received{values}"
    for each in left:
        yield f"unsolicited notification: {_redacted(each, comparator)}"


def _redacted(notification: ReceivedNotification, comparator: Comparator) -> str:
    return one_line({"channel": notification.channel, "data": comparator.masking.redact(notification.data)})


def _differences(
    expected: ExpectedTimelineEvent, notification: ReceivedNotification, comparator: Comparator
) -> int | None:
    """Return the number of differences; None on another channel or session, or with a template."""
    event = expected.entry.event
    if notification.session != expected.session or not isinstance(event.channel, Fixed):
        return None
    if event.channel.value != notification.channel or not isinstance(event.data, Fixed):
        return None
    return len(comparator.value_changes(event.data.value, notification.data, ()))


def _is_close(expected: ExpectedTimelineEvent, notification: ReceivedNotification, comparator: Comparator) -> bool:
    differences = _differences(expected, notification, comparator)
    return differences is not None and 2 * differences <= count_values(notification.data)
