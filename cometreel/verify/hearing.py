"""The notifications of an exchange: which recorded one is which live one, and what differs.

Whether a notification comes before or after its reply is a race on two connections and isn't judged; the order of an
exchange's notifications within one channel is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from cometreel.jsonvalue import JSON
from cometreel.scenario import EventSpec, Profile
from cometreel.scenario.matchers import MISSING
from cometreel.scenario.values import Fixed
from cometreel.verify.comparing import leaves
from cometreel.verify.judging import Judge, Path
from cometreel.verify.knowledge import Knowledge
from cometreel.verify.pairing import Likeness, Pairs, pair
from cometreel.verify.plays import Heard, Play
from cometreel.verify.verdict import Finding

__all__ = ["Hearing", "Recorded", "recorded_events"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One notification that is to come: the `seq`-th of `count` that the event numbered `number` stands for."""

    number: int
    spec: EventSpec
    seq: int = 0
    count: int = 1


def recorded_events(judge: Judge, play: Play) -> list[Recorded]:
    """The notifications that are to come, in the order of the file."""
    made: list[Recorded] = []
    for number, spec in enumerate(play.step.exchange.events):
        count = spec.plan(judge.context(play)).count
        made += [Recorded(number, spec, seq, count) for seq in range(count)]
    return made


class Hearing:
    """Judges the notifications of one play. `unsolicited` loses those that turn out to belong to it."""

    def __init__(self, judge: Judge, profile: Profile, play: Play, unsolicited: list[Heard]) -> None:
        self._judge, self._play, self._unsolicited = judge, play, unsolicited
        self._references = (*profile.event, *profile.request)
        self._window = profile.window_seconds
        self._recorded = recorded_events(judge, play)
        self._live = list(play.heard)

    def findings(self) -> list[Finding]:
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
    def _likeness(self, number: int, live: int) -> Likeness:
        channel, data, ext = self._met(number, self._live[live], trial=True)
        heard = self._live[live]
        differences = len(self._judge.compared(data, heard.data, self._references))
        if ext is not MISSING:
            differences += len(self._judge.compared(ext, heard.message.get("ext"), ()))  # type: ignore[arg-type]  # not MISSING is JSON
        return Likeness(differences, max(leaves(data), leaves(heard.data)), channel == heard.channel)

    def _met(self, number: int, heard: Heard, *, trial: bool) -> tuple[JSON, JSON, JSON | object]:
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

    def _candidates(self) -> list[Heard]:
        begin, part = self._play.asked_at, self._play.step.part
        return [each for each in self._unsolicited if each.part == part and begin <= each.at <= begin + self._window]

    def _repeats(self, live: int, heard: Heard) -> bool:
        return heard.at >= self._live[live].at

    # --- what differs ---------------------------------------------------------------------------------------
    def _pair(self, number: int, live: int) -> Iterator[Finding]:
        each, heard, step = self._recorded[number], self._live[live], self._play.step
        channel, data, ext = self._met(number, heard, trial=False)
        path: Path = ("events", each.number)
        if channel != heard.channel:
            yield self._judge.finding(step, "notification moved", (*path, "channel"), channel, heard.channel)
        own = isinstance(each.spec.data, Fixed)
        yield from self._judge.differences(step, (*path, "data"), data, heard.data, self._references, own=own)
        if ext is not MISSING:
            live_ext = heard.message.get("ext")
            yield from self._judge.differences(step, (*path, "ext"), ext, live_ext, (), own=False)  # type: ignore[arg-type]  # not MISSING is JSON

    def _missing(self, number: int) -> Finding:
        nothing = Heard(self._play.step.part, {}, 0.0)
        channel, data, _ = self._met(number, nothing, trial=True)
        shown = data if isinstance(self._recorded[number].spec.data, Fixed) else self._judge.veil.shown(data)
        path: Path = ("events", self._recorded[number].number)
        told: JSON = {"channel": channel, "data": shown}
        return self._judge.finding(self._play.step, "notification missing", path, told, MISSING)

    def _doubled(self, number: int, live: list[int]) -> Finding:
        path: Path = ("events", self._recorded[number].number)
        return self._judge.finding(self._play.step, "notification doubled", path, "once", _times(len(live) + 1))

    def _extra(self, number: int, place: int) -> Finding:
        heard = self._live[number]
        path: Path = ("events", len(self._play.step.exchange.events) + place)
        told: JSON = {"channel": heard.channel, "data": self._judge.veil.shown(heard.data)}
        return self._judge.finding(self._play.step, "notification extra", path, MISSING, told)

    def _orders(self, pairs: Pairs) -> Iterator[Finding]:
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


def _copy(known: Knowledge) -> Knowledge:
    return replace(known, ids=dict(known.ids), captures=dict(known.captures))
