"""The notifications of an exchange: which recorded one is which live one, and what differs.

Whether a notification comes before or after its reply is a race on two connections and isn't judged; the order of an
exchange's notifications within one channel is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from cometreel.jsonvalue import JSON
from cometreel.scenario import EventSpec, Profile
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.values import Fixed
from cometreel.verify.comparator import Comparator, DriftPath
from cometreel.verify.expected_values import SessionVariables
from cometreel.verify.observations import PlayedStep, ReceivedNotification
from cometreel.verify.value_comparison import leaves
from cometreel.verify.verdict import Drift

__all__ = ["ExpectedNotification", "NotificationComparison", "Pairs", "Similarity", "pair", "recorded_events"]


@dataclass(frozen=True, slots=True)
class ExpectedNotification:
    """One notification that is to come: the `seq`-th of `count` that the event numbered `number` stands for."""

    number: int
    spec: EventSpec
    seq: int = 0
    count: int = 1


def recorded_events(judge: Comparator, play: PlayedStep) -> list[ExpectedNotification]:
    """The notifications that are to come, in the order of the file."""
    made: list[ExpectedNotification] = []
    for number, spec in enumerate(play.step.exchange.events):
        count = spec.plan(judge.context(play)).count
        made += [ExpectedNotification(number, spec, seq, count) for seq in range(count)]
    return made


class NotificationComparison:
    """Judges the notifications of one play. `unsolicited` loses those that turn out to belong to it."""

    def __init__(
        self, judge: Comparator, profile: Profile, play: PlayedStep, unsolicited: list[ReceivedNotification]
    ) -> None:
        self._judge, self._play, self._unsolicited = judge, play, unsolicited
        self._references = (*profile.event, *profile.request)
        self._window = profile.window_seconds
        self._recorded = recorded_events(judge, play)
        self._live = list(play.heard)

    def findings(self) -> list[Drift]:
        """Every difference, in the order of the file."""
        pairs = pair(len(self._recorded), len(self._live), self._likeness)
        self._adopt(pairs)
        found = [finding for number, live in sorted(pairs.pairs.items()) for finding in self._pair(number, live)]
        found += [self._missing(number) for number in pairs.missing]
        found += [self._doubled(number, live) for number, live in sorted(pairs.doubled.items())]
        found += [self._extra(number, place) for place, number in enumerate(pairs.extra)]
        return [*found, *self._orders(pairs)]

    def learn(self) -> None:
        """Keep what the notifications say of names that later requests use."""
        for number, live in pair(len(self._recorded), len(self._live), self._likeness).pairs.items():
            self._met(number, self._live[live], trial=False)

    # --- which is which -------------------------------------------------------------------------------------
    def _likeness(self, number: int, live: int) -> Similarity:
        channel, data, ext = self._met(number, self._live[live], trial=True)
        heard = self._live[live]
        differences = len(self._judge.compared(data, heard.data, self._references))
        if ext is not MISSING:
            differences += len(self._judge.compared(ext, heard.message.get("ext"), ()))
        return Similarity(differences, max(leaves(data), leaves(heard.data)), channel == heard.channel)

    def _met(self, number: int, heard: ReceivedNotification, *, trial: bool) -> tuple[JSON, JSON, JSON | Missing]:
        """Channel, data and ext of a recorded notification facing a live one; a trial teaches nothing."""
        each = self._recorded[number]
        known = self._judge.known(self._play)
        meeting = self._judge.meeting(
            self._play,
            f"event {each.number}",
            _copy(known) if trial else known,
            seq=each.seq,
            count=each.count,
        )
        channel = "" if each.spec.channel is None else meeting.expect(each.spec.channel, heard.channel)
        ext = MISSING if each.spec.ext is None else meeting.expect(each.spec.ext, heard.message.get("ext", MISSING))
        return channel, meeting.expect(each.spec.data, heard.data), ext

    def _adopt(self, pairs: Pairs) -> None:
        """Look for what is missing among what nobody asked for: its reference may be what has changed."""
        for number in list(pairs.missing):
            for heard in self._candidates():
                self._live.append(heard)
                if self._likeness(number, len(self._live) - 1).close:
                    pairs.pairs[number] = len(self._live) - 1
                    pairs.missing.remove(number)
                    self._unsolicited.remove(heard)
                    break
                self._live.pop()
        for number, live in list(pairs.pairs.items()):
            for heard in self._candidates():
                self._live.append(heard)
                again = len(self._live) - 1
                if self._likeness(number, again).equal and self._repeats(live, heard):
                    pairs.doubled.setdefault(number, []).append(again)
                    self._unsolicited.remove(heard)
                else:
                    self._live.pop()

    def _candidates(self) -> list[ReceivedNotification]:
        begin, part = self._play.asked_at, self._play.step.part
        return [each for each in self._unsolicited if each.part == part and begin <= each.at <= begin + self._window]

    def _repeats(self, live: int, heard: ReceivedNotification) -> bool:
        return heard.at >= self._live[live].at

    # --- what differs ---------------------------------------------------------------------------------------
    def _pair(self, number: int, live: int) -> Iterator[Drift]:
        each, heard, step = self._recorded[number], self._live[live], self._play.step
        channel, data, ext = self._met(number, heard, trial=False)
        path: DriftPath = ("events", each.number)
        if channel != heard.channel:
            yield self._judge.finding(step, "notification moved", (*path, "channel"), channel, heard.channel)
        own = isinstance(each.spec.data, Fixed)
        yield from self._judge.differences(step, (*path, "data"), data, heard.data, self._references, own=own)
        if ext is not MISSING:
            live_ext = heard.message.get("ext")
            yield from self._judge.differences(step, (*path, "ext"), ext, live_ext, (), own=False)

    def _missing(self, number: int) -> Drift:
        nothing = ReceivedNotification(self._play.step.part, {}, 0.0)
        channel, data, _ = self._met(number, nothing, trial=True)
        shown = data if isinstance(self._recorded[number].spec.data, Fixed) else self._judge.veil.shown(data)
        path: DriftPath = ("events", self._recorded[number].number)
        told: JSON = {"channel": channel, "data": shown}
        return self._judge.finding(self._play.step, "notification missing", path, told, MISSING)

    def _doubled(self, number: int, live: list[int]) -> Drift:
        path: DriftPath = ("events", self._recorded[number].number)
        return self._judge.finding(self._play.step, "notification doubled", path, "once", _times(len(live) + 1))

    def _extra(self, number: int, place: int) -> Drift:
        heard = self._live[number]
        path: DriftPath = ("events", len(self._play.step.exchange.events) + place)
        told: JSON = {"channel": heard.channel, "data": self._judge.veil.shown(heard.data)}
        return self._judge.finding(self._play.step, "notification extra", path, MISSING, told)

    def _orders(self, pairs: Pairs) -> Iterator[Drift]:
        """A finding for each channel on which the notifications came in another order."""
        arrived = sorted(pairs.pairs.items(), key=lambda each: (self._live[each[1]].at, each[1]))
        by_channel = sorted(arrived, key=lambda each: self._live[each[1]].channel)
        for channel, group in groupby(by_channel, key=lambda each: self._live[each[1]].channel):
            live: list[JSON] = [self._recorded[number].number for number, _ in group]
            recorded = sorted(live, key=lambda number: int(str(number)))
            if live != recorded:
                what = f"order changed on {channel}"
                yield self._judge.finding(self._play.step, what, ("events",), recorded, live)


def _times(number: int) -> str:
    return {2: "twice"}.get(number, f"{number} times")


def _copy(known: SessionVariables) -> SessionVariables:
    return replace(known, ids=dict(known.ids), captures=dict(known.captures))


@dataclass(frozen=True, slots=True)
class Similarity:
    """How two notifications compare: the number of differences, of values in all, and whether the channel is one."""

    differences: int
    leaves: int
    same_channel: bool

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.same_channel and not self.differences

    @property
    def close(self) -> bool:
        """Whether one may be the other, changed: on its own channel half of it may differ, elsewhere a quarter."""
        return self.differences * (2 if self.same_channel else 4) <= self.leaves + (1 if self.same_channel else 0)


@dataclass(slots=True)
class Pairs:
    """Numbers of recorded notifications, from 0, and of live ones."""

    pairs: dict[int, int] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    doubled: dict[int, list[int]] = field(default_factory=dict)
    """Live ones that came once more, by the recorded one that they repeat."""
    extra: list[int] = field(default_factory=list)


def pair(recorded: int, live: int, compare: Callable[[int, int], Similarity]) -> Pairs:
    """Pair so many recorded notifications with so many live ones."""
    made = Pairs()
    free = list(range(live))
    _pair_equal(range(recorded), free, compare, made)
    rest = [number for number in range(recorded) if number not in made.pairs]
    _pair_close(rest, free, compare, made)
    made.missing = [number for number in range(recorded) if number not in made.pairs]
    for number in free:
        twin = next((each for each in made.pairs if compare(each, number).equal), None)
        if twin is None:
            made.extra.append(number)
        else:
            made.doubled.setdefault(twin, []).append(number)
    return made


def _pair_equal(
    recorded: Sequence[int], free: list[int], compare: Callable[[int, int], Similarity], made: Pairs
) -> None:
    for number in recorded:
        found = next((each for each in free if compare(number, each).equal), None)
        if found is not None:
            made.pairs[number] = found
            free.remove(found)


def _pair_close(rest: Sequence[int], free: list[int], compare: Callable[[int, int], Similarity], made: Pairs) -> None:
    alike = [(compare(number, each), number, each) for number in rest for each in free]
    close = [(like.differences + (not like.same_channel), number, each) for like, number, each in alike if like.close]
    for _, number, each in sorted(close):
        if number not in made.pairs and each in free:
            made.pairs[number] = each
            free.remove(each)
