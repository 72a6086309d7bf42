"""Judging: an exchange as it was recorded against the same as it was played, and every difference between them.

Here the reply, and what replies and notifications share: values that always differ, and the veil. Notifications are
paired and judged in `hearing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario import PublishReplySpec, RenderContext, ReplySpec, Scenario, find, parse_duration
from cometreel.scenario.compiled import EPOCH
from cometreel.scenario.json_pointer import remove, replace
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.values import Fixed
from cometreel.verify.expected_values import ExpectedValues, SessionVariables
from cometreel.verify.observations import LiveReply, PlayedStep
from cometreel.verify.report_masking import ReportMasking
from cometreel.verify.script import ScriptStep
from cometreel.verify.value_comparison import ChangeKind, ValueChange, changes
from cometreel.verify.verdict import Drift

__all__ = ["Comparator", "DriftPath"]

DriftPath: TypeAlias = tuple[str | int, ...]


class Comparator:
    """Judges the exchanges of one scenario. `knowledge` is what each session has taught, by part."""

    def __init__(self, scenario: Scenario, veil: ReportMasking, knowledge: Mapping[str, SessionVariables]) -> None:
        profile = scenario.profile
        self.veil = veil
        self._scenario, self._knowledge = scenario, knowledge
        self._reply_references = (*profile.reply, *(f"{path}/*" for path in profile.map), *profile.request)
        self._left_out = (*profile.volatile, *scenario.ignore)

    def learn(self, play: PlayedStep) -> None:
        """Keep what the reply says of names that later requests use."""
        spec, reply = play.step.exchange.reply, play.reply
        if isinstance(spec, ReplySpec) and spec.body is not None and reply is not None and reply.is_json:
            self.meeting(play, "reply").expect(spec.body, reply.json)

    def seconds(self, play: PlayedStep) -> float:
        """How long the exchange took when it was recorded: until its reply or its last notification came."""
        reply = play.step.exchange.reply
        after = reply.after.value if reply is not None and isinstance(reply.after, Fixed) else "0s"
        plans = [spec.plan(self.context(play)) for spec in play.step.exchange.events]
        ends = [plan.after_seconds + (plan.count - 1) * plan.gap_seconds for plan in plans]
        return max([parse_duration(str(after)), *ends])

    def reply(self, play: PlayedStep) -> list[Drift]:
        """Every difference of the reply."""
        spec, step = play.step.exchange.reply, play.step
        if play.failure:
            return [self.finding(step, "reply missing", ("reply",), "a reply", play.failure)]
        if isinstance(spec, ReplySpec) and play.reply is not None:
            meeting = self.meeting(play, "reply")
            return [
                *self._status(step, meeting.expect(spec.status, play.reply.status), play.reply.status),
                *self._headers(step, spec, meeting, play.reply),
                *self._content(step, spec, meeting, play.reply),
            ]
        if isinstance(spec, PublishReplySpec) and play.published is not None:
            return list(self._published(step, spec, self.meeting(play, "reply"), play.published))
        return []

    # --- parts of a reply -----------------------------------------------------------------------------------
    def _status(self, step: ScriptStep, recorded: JSON, live: int) -> Iterator[Drift]:
        if recorded != live:
            yield self.finding(step, "status changed", ("reply", "status"), recorded, live)

    def _headers(self, step: ScriptStep, spec: ReplySpec, meeting: ExpectedValues, reply: LiveReply) -> Iterator[Drift]:
        for name, value in spec.headers:
            live = reply.headers.get(name)
            recorded = meeting.expect(value, MISSING if live is None else live)
            path: DriftPath = ("reply", "headers", name)
            if live is None:
                yield self.finding(step, "header removed", path, recorded, MISSING)
            else:
                yield from self.differences(step, path, recorded, live, (), what="header changed")

    def _content(self, step: ScriptStep, spec: ReplySpec, meeting: ExpectedValues, reply: LiveReply) -> Iterator[Drift]:
        if spec.body is not None:
            path: DriftPath = ("reply", "body")
            live: JSON | Missing = reply.json if reply.is_json else MISSING
            recorded = meeting.expect(spec.body, live)
            if reply.is_json:
                own = isinstance(spec.body, Fixed)
                yield from self.differences(step, path, recorded, reply.json, self._reply_references, own=own)
            else:
                yield self.finding(step, "body is no JSON", path, recorded, self.veil.shown(reply.text) or MISSING)
        elif spec.text is not None:
            recorded = meeting.expect(spec.text, reply.text)
            yield from self.differences(step, ("reply", "text"), recorded, reply.text, (), what="text changed")
        elif spec.content and spec.content != reply.body:
            sizes = (f"{len(spec.content)} bytes", f"{len(reply.body)} other bytes")
            yield self.finding(step, "content changed", ("reply", "base64"), *sizes)

    def _published(
        self, step: ScriptStep, spec: PublishReplySpec, meeting: ExpectedValues, live: Mapping[str, JSON]
    ) -> Iterator[Drift]:
        error = None if spec.error is None else meeting.expect(spec.error, live.get("error", MISSING))
        recorded = error is None if spec.successful is None else meeting.expect(spec.successful, MISSING)
        successful = live.get("successful") is True
        if recorded != successful:
            yield self.finding(step, "success changed", ("reply", "successful"), recorded, successful)
        if error is not None and successful is False:
            yield from self.differences(step, ("reply", "error"), error, live.get("error"), (), what="error changed")
        for name, value in spec.members:
            there = name in live
            expected = meeting.expect(value, live[name] if there else MISSING)
            if there:
                yield from self.differences(step, ("reply", name), expected, live[name], self._reply_references)
            else:
                yield self.finding(step, ChangeKind.REMOVED.value, ("reply", name), expected, MISSING)

    # --- what replies and notifications share ---------------------------------------------------------------
    def context(self, play: PlayedStep) -> RenderContext:
        """What templates see."""
        reply = play.reply.json if play.reply is not None else None
        found = [value for pointer in self._scenario.profile.reply for _, value in find(reply, pointer)]
        return RenderContext(
            request=play.question,
            captures=play.captures,
            ref=found[0] if found else None,
            now=self._scenario.recorded or EPOCH,
        )

    def meeting(
        self, play: PlayedStep, place: str, knowledge: SessionVariables | None = None, *, seq: int = 0, count: int = 1
    ) -> ExpectedValues:
        """Where the recorded values of a play meet the live ones."""
        known = knowledge or self.known(play)
        return ExpectedValues(self.context(play), known, place, seq=seq, count=count)

    def known(self, play: PlayedStep) -> SessionVariables:
        """What the session of a play has taught."""
        return self._knowledge[play.step.part]

    def compared(self, recorded: JSON, live: JSON, references: Sequence[str]) -> list[ValueChange]:
        """The differences under the veil, without what differs each time."""
        one, other = self.steady(recorded, references), self.steady(live, references)
        self.veil.learn(one)
        self.veil.learn(other)
        return changes(self.veil.over(one), self.veil.over(other))

    def steady(self, value: JSON, references: Sequence[str]) -> JSON:
        """A value without what differs each time; of a reference only its type is left."""
        for pointer in references:
            value = replace(value, pointer, _only_type)
        for pointer in self._left_out:
            value = remove(value, pointer)
        return value

    def differences(
        self,
        step: ScriptStep,
        path: DriftPath,
        recorded: JSON,
        live: JSON,
        references: Sequence[str],
        *,
        what: str = "",
        own: bool = True,
    ) -> Iterator[Drift]:
        """A finding for each difference; `own` says that the recorded value is the file's, with nothing live in it."""
        found = self.compared(recorded, live, references)
        if not found:
            return
        shown = self.veil.shown(live)
        told = recorded if own else self.veil.shown(recorded)
        for change in found:
            before, after = self.veil.at(told, change.path), self.veil.at(shown, change.live_path)
            if change.how in (ChangeKind.ADDED, ChangeKind.ITEM_ADDED):
                before = MISSING
            elif change.how is ChangeKind.RENAMED:
                before, after = change.recorded, change.live
            elif change.how in (ChangeKind.REMOVED, ChangeKind.ITEM_REMOVED):
                after = MISSING
            yield self.finding(
                step, what or change.how.value, (*path, *change.path), before, after, renamed=change.renamed
            )

    def finding(
        self,
        step: ScriptStep,
        what: str,
        path: DriftPath,
        recorded: JSON | Missing,
        live: JSON | Missing,
        *,
        renamed: str = "",
    ) -> Drift:
        """A finding at its place in the file."""
        return Drift(what, step.position(path), path, recorded, live, renamed)


def _only_type(value: JSON) -> JSON:
    if isinstance(value, str):
        return "(reference)"
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value
