"""Compares the live reply of an exchange with the recorded one.

Also contains what replies and notifications share: ignored values, references, and masking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from cometreel.http_fields import COMPARED
from cometreel.jsonvalue import JSON, same
from cometreel.scenario import CompiledScenario, PublishReplySpec, RenderContext, ReplySpec, find, parse_duration
from cometreel.scenario.compiled import EPOCH
from cometreel.scenario.json_pointer import remove, replace
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.values import Fixed
from cometreel.verify.expected_values import ExpectedValues, SessionVariables
from cometreel.verify.observations import LiveReply, PlayedStep
from cometreel.verify.report_masking import ReportMasking
from cometreel.verify.script import ScriptStep
from cometreel.verify.session_values import learn_bound_values, without_parameter
from cometreel.verify.value_comparison import ChangeKind, ValueChange, value_changes
from cometreel.verify.verdict import Drift

__all__ = ["Comparator", "DriftPath"]

DriftPath: TypeAlias = tuple[str | int, ...]


class Comparator:
    """Compares the exchanges of one scenario. `variables` are those of each session; `base` is the server's URL."""

    def __init__(
        self,
        scenario: CompiledScenario,
        masking: ReportMasking,
        variables: Mapping[str, SessionVariables],
        base: str = "",
    ) -> None:
        profile = scenario.profile
        self.masking = masking
        self._scenario, self._variables, self._base = scenario, variables, base
        bound = [rule.source for rule in scenario.session.bind]
        self._bound_headers = [source for source in bound if source.part == "header"]
        in_body = [source.pointer for source in bound if source.part == "body"]
        self._reply_references = (*profile.reply, *(f"{path}/*" for path in profile.map), *profile.request, *in_body)
        self._ignored = (*profile.volatile, *scenario.ignore)

    def learn_from_reply(self, play: PlayedStep) -> None:
        """Set session variables from the reply, for later requests."""
        spec, reply = play.step.exchange.reply, play.reply
        if reply is not None:
            rules = self._scenario.session.bind
            learn_bound_values(rules, reply, self.variables_of(play), self.masking.add_secret)
        if isinstance(spec, ReplySpec) and spec.body is not None and reply is not None and reply.is_json:
            self.expected_values(play, "reply").resolve(spec.body, reply.json)

    def recorded_seconds(self, play: PlayedStep) -> float:
        """Return the recorded time from the request to the reply or the last notification, whichever was later."""
        reply = play.step.exchange.reply
        after = reply.after.value if reply is not None and isinstance(reply.after, Fixed) else "0s"
        plans = [spec.plan(self.render_context(play)) for spec in play.step.exchange.events]
        ends = [plan.after_seconds + (plan.count - 1) * plan.gap_seconds for plan in plans]
        return max([parse_duration(str(after)), *ends])

    def reply_drifts(self, play: PlayedStep) -> list[Drift]:
        """Return every difference of the reply."""
        spec, step = play.step.exchange.reply, play.step
        if play.failure:
            return [self.drift(step, "reply missing", ("reply",), "a reply", play.failure)]
        if isinstance(spec, ReplySpec) and play.reply is not None:
            values = self.expected_values(play, "reply")
            return [
                *self._status(step, values.resolve(spec.status, play.reply.status), play.reply.status),
                *self._headers(step, spec, values, play.reply),
                *self._body(step, spec, values, play.reply),
            ]
        if isinstance(spec, PublishReplySpec) and play.published is not None:
            return list(self._acknowledgement(step, spec, self.expected_values(play, "reply"), play.published))
        return []

    # --- parts of a reply -----------------------------------------------------------------------------------
    def _status(self, step: ScriptStep, recorded: JSON, live: int) -> Iterator[Drift]:
        if not same(recorded, live):
            yield self.drift(step, "status changed", ("reply", "status"), recorded, live)

    def _headers(self, step: ScriptStep, spec: ReplySpec, values: ExpectedValues, reply: LiveReply) -> Iterator[Drift]:
        for name, value in spec.headers:
            live = reply.headers.get(name)
            recorded = values.resolve(value, MISSING if live is None else live)
            path: DriftPath = ("reply", "headers", name)
            if live is None:
                yield self.drift(step, "header removed", path, recorded, MISSING)
            elif name.lower() in COMPARED:
                both = self._without_bound(name, recorded, live)
                yield from self.drifts(step, path, *both, (), kind="header changed")

    def _without_bound(self, header: str, recorded: JSON, live: str) -> tuple[JSON, JSON]:
        """Return both values of a header field without the bound values in them."""
        for source in self._bound_headers:
            if source.name.lower() != header.lower():
                continue
            if source.parameter is None:
                return "", ""
            recorded = without_parameter(str(recorded), source.parameter)
            live = without_parameter(live, source.parameter)
        return recorded, live

    def _body(self, step: ScriptStep, spec: ReplySpec, values: ExpectedValues, reply: LiveReply) -> Iterator[Drift]:
        if spec.body is not None:
            path: DriftPath = ("reply", "body")
            live: JSON | Missing = reply.json if reply.is_json else MISSING
            recorded = values.resolve(spec.body, live)
            if reply.is_json:
                literal = isinstance(spec.body, Fixed)
                yield from self.drifts(step, path, recorded, reply.json, self._reply_references, literal=literal)
            else:
                yield self.drift(step, "body is not JSON", path, recorded, self.masking.redact(reply.text) or MISSING)
        elif spec.text is not None:
            recorded = values.resolve(spec.text, reply.text)
            yield from self.drifts(step, ("reply", "text"), recorded, reply.text, (), kind="text changed")
        elif spec.content and spec.content != reply.body:
            sizes = (f"{len(spec.content)} bytes", f"{len(reply.body)} other bytes")
            yield self.drift(step, "content changed", ("reply", "base64"), *sizes)

    def _acknowledgement(
        self, step: ScriptStep, spec: PublishReplySpec, values: ExpectedValues, live: Mapping[str, JSON]
    ) -> Iterator[Drift]:
        error = None if spec.error is None else values.resolve(spec.error, live.get("error", MISSING))
        recorded = error is None if spec.successful is None else values.resolve(spec.successful, MISSING)
        successful = live.get("successful") is True
        if not same(recorded, successful):
            yield self.drift(step, "success changed", ("reply", "successful"), recorded, successful)
        if error is not None and successful is False:
            yield from self.drifts(step, ("reply", "error"), error, live.get("error"), (), kind="error changed")
        for name, value in spec.members:
            present = name in live
            expected = values.resolve(value, live[name] if present else MISSING)
            if present:
                yield from self.drifts(step, ("reply", name), expected, live[name], self._reply_references)
            else:
                yield self.drift(step, ChangeKind.REMOVED.value, ("reply", name), expected, MISSING)

    # --- shared by replies and notifications -----------------------------------------------------------------
    def render_context(self, play: PlayedStep) -> RenderContext:
        """Return the context in which templates are rendered."""
        reply = play.reply.json if play.reply is not None else None
        found = [value for pointer in self._scenario.profile.reply for _, value in find(reply, pointer)]
        return RenderContext(
            request=play.normalized_request,
            captures=play.captures,
            ref=found[0] if found else None,
            now=self._scenario.recorded or EPOCH,
            base=self._base,
        )

    def expected_values(
        self, play: PlayedStep, place: str, variables: SessionVariables | None = None, *, seq: int = 0, count: int = 1
    ) -> ExpectedValues:
        """Return the resolver of the recorded values of a play."""
        variables = variables or self.variables_of(play)
        return ExpectedValues(self.render_context(play), variables, place, seq=seq, count=count)

    def variables_of(self, play: PlayedStep) -> SessionVariables:
        """Return the variables of the session of a play."""
        return self._variables[play.step.session]

    def value_changes(self, recorded: JSON, live: JSON, references: Sequence[str]) -> list[ValueChange]:
        """Return the differences between masked values, without those that are ignored."""
        one, other = self.without_volatile(recorded, references), self.without_volatile(live, references)
        self.masking.learn_names(one)
        self.masking.learn_names(other)
        for variables in self._variables.values():
            self.masking.learn_sent(each for each in variables.ids.values() if isinstance(each, str | int))
        return value_changes(self.masking.mask(one), self.masking.mask(other))

    def without_volatile(self, value: JSON, references: Sequence[str]) -> JSON:
        """Return a value without ignored and volatile members; of a reference only the type is kept."""
        for pointer in references:
            value = replace(value, pointer, _only_type)
        for pointer in self._ignored:
            value = remove(value, pointer)
        return value

    def drifts(
        self,
        step: ScriptStep,
        path: DriftPath,
        recorded: JSON,
        live: JSON,
        references: Sequence[str],
        *,
        kind: str = "",
        literal: bool = True,
    ) -> Iterator[Drift]:
        """Yield each difference. `literal` is True if the recorded value is as in the file, without live values."""
        found = self.value_changes(recorded, live, references)
        if not found:
            return
        redacted_live = self.masking.redact(live)
        redacted = recorded if literal else self.masking.redact(recorded)
        for change in found:
            before = self.masking.value_at(redacted, change.path)
            after = self.masking.value_at(redacted_live, change.live_path)
            if change.kind in (ChangeKind.ADDED, ChangeKind.ITEM_ADDED):
                before = MISSING
            elif change.kind is ChangeKind.RENAMED:
                before, after = change.recorded, change.live
            elif change.kind in (ChangeKind.REMOVED, ChangeKind.ITEM_REMOVED):
                after = MISSING
            yield self.drift(
                step, kind or change.kind.value, (*path, *change.path), before, after, renamed=change.renamed
            )

    def drift(
        self,
        step: ScriptStep,
        kind: str,
        path: DriftPath,
        recorded: JSON | Missing,
        live: JSON | Missing,
        *,
        renamed: str = "",
    ) -> Drift:
        """Return a difference with its position in the file."""
        return Drift(kind, step.position(path), path, recorded, live, renamed)


def _only_type(value: JSON) -> JSON:
    if isinstance(value, str):
        return "(reference)"
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value
