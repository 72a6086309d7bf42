"""Distilling: from a finished journal to a scenario that a person likes to read. Reads one file, writes nothing.

What can't be used is left out and said, never silently.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.recording.correlation import Correlation, correlate
from cometreel.recording.distill_summary import DistillSummary, replaced_in
from cometreel.recording.drafts import Drafter, ExchangeDraft, NotExpressible, canonical
from cometreel.recording.exchange_names import ExchangeNamer
from cometreel.recording.exchange_plan import PlannedExchange, plan_exchanges
from cometreel.recording.journal_events import JournalHeader, WireEvent
from cometreel.recording.policy import Policy
from cometreel.recording.re_redaction import redacted_again
from cometreel.recording.recording_journal import read_journal, read_key
from cometreel.recording.redaction import Redactor
from cometreel.recording.scenario_values import Identifiers
from cometreel.recording.stable_pseudonyms import with_stable_pseudonyms
from cometreel.recording.transcript import RecordedDelivery, Transcript, transcript_of
from cometreel.scenario import (
    AdviceBlock,
    BayeuxBlock,
    CorrelationBlock,
    ExchangeBlock,
    Profile,
    RoleBlock,
    ScenarioFile,
    SessionBlock,
    SourceBlock,
    TimelineBlock,
    WhenBlock,
    profile_of,
)
from cometreel.scenario import (
    profile as shipped_profile,
)
from cometreel.scenario.json_pointer import find

__all__ = ["Distilled", "distill", "distill_events"]

_META = ("handshake", "connect", "disconnect", "subscribe", "unsubscribe", "publish")
_TRANSPORTS = ("long-polling", "callback-polling", "websocket")
_FALLBACK_ANCHORS = ("subscribe", "connect", "handshake")


@dataclass(frozen=True, slots=True)
class Distilled:
    """A scenario as a file model, ready for `dump`, and what there is to say about it."""

    file: ScenarioFile
    summary: DistillSummary


def distill(
    journal: Path | str,
    *,
    policy: Policy | None = None,
    profile: Profile | CorrelationBlock | None = None,
    generalise: bool = False,
) -> Distilled:
    """Build the scenario of a journal, also of a torn one.

    The profile is the one that the journal names, unless another is given; a block, which has no name that others
    know, is written into the scenario whole. Another policy than the journal's redacts
    it once more, with the journal's key. `generalise` turns the asking user's own id and name in answers into
    templates, so that one recorded agent can play many.

    :raises FileInvalid: if the file is missing, is no journal of this version, or its key is wanted and missing.
    """
    path = Path(journal)
    header, events, problems = read_journal(path)
    header = header or JournalHeader("", 0.0, "gws-v2", "default")
    if policy is not None and policy.name != header.policy:
        events = list(redacted_again(events, Redactor(policy, read_key(path))))
        header = replace(header, policy=policy.name)
    rule = profile or _profile(header.profile, path)
    made = distill_events(header, with_stable_pseudonyms(events), title=path.stem, profile=rule, generalise=generalise)
    return Distilled(made.file, _with(made.summary, [str(problem) for problem in problems]))


def distill_events(
    header: JournalHeader,
    events: list[WireEvent],
    *,
    title: str,
    profile: Profile | CorrelationBlock,
    generalise: bool = False,
) -> Distilled:
    """Build the scenario of a journal's events."""
    return _Distiller(header, events, title, profile, generalise=generalise).distilled()


def _profile(name: str, path: Path) -> Profile:
    try:
        return shipped_profile(name)
    except KeyError:
        found = f"recorded under the profile {name!r}, which isn't shipped"
        raise FileInvalid([Problem(str(path), 1, 1, found, "a shipped profile", "name one with --profile")]) from None


def _with(summary: DistillSummary, first: list[str]) -> DistillSummary:
    return DistillSummary(
        summary.exchanges,
        summary.timeline,
        summary.sessions,
        summary.correlated,
        summary.replaced,
        first + summary.left_out,
    )


class _Distiller:
    def __init__(
        self,
        header: JournalHeader,
        events: list[WireEvent],
        title: str,
        said: Profile | CorrelationBlock,
        *,
        generalise: bool,
    ) -> None:
        self._header, self._events, self._title = header, events, title
        self._profile = profile = said if isinstance(said, Profile) else profile_of(said)
        self._correlation = said.name if isinstance(said, Profile) else said
        self._transcript: Transcript = transcript_of(events)
        self._correlated: Correlation = correlate(self._transcript, profile)
        self._identifiers = identifiers = Identifiers()
        for event in events:
            if event.kind == "request" or event.client_side:
                identifiers.see(event)
        self._ids = _user_ids(self._transcript)
        own = self._own() if generalise else {}
        self._drafter = Drafter(profile, identifiers, own)
        self._used: set[int] = set()

    def distilled(self) -> Distilled:
        drafts = self._drafts()
        planned = plan_exchanges(drafts)
        namer = ExchangeNamer(self._profile, self._identifiers)
        for exchange in planned:
            exchange.name = namer.name(exchange.draft.ask)
        exchanges = [self._exchange(exchange) for exchange in planned]
        timeline = self._timeline(planned)
        file = ScenarioFile(
            cometreel=1,
            title=self._title,
            source=self._source(),
            bayeux=self._bayeux(),
            session=self._session(),
            correlation=self._correlation,
            roles=self._roles() or None,
            exchanges=exchanges,
            timeline=timeline or None,
        )
        counts: dict[str, int] = {str(how): number for how, number in self._correlated.counts.items()}
        left_out = _left_out(self._transcript, drafts, planned)
        sessions = max(self._transcript.sessions, 1 if exchanges else 0)
        found = replaced_in(self._events)
        return Distilled(file, DistillSummary(len(exchanges), len(timeline), sessions, counts, found, left_out))

    def _drafts(self) -> list[ExchangeDraft]:
        """Make the drafts; what no scenario can say is left out and counted."""
        drafts: list[ExchangeDraft] = []
        for ask in self._correlated.asks:
            try:
                draft = self._drafter.draft(ask)
            except NotExpressible as why:
                self._transcript.left_out[str(why)] += 1
            else:
                drafts.append(draft)
                self._transcript.left_out.update(draft.unsaid)
        return drafts

    # --- blocks ---------------------------------------------------------------------------------------------

    def _exchange(self, planned: PlannedExchange) -> ExchangeBlock:
        draft = planned.draft
        when = WhenBlock(after=_names(planned.after), before=_names(planned.before))
        request = draft.request
        if planned.authenticated is not None:
            request = request.model_copy(update={"authenticated": planned.authenticated})
        return ExchangeBlock.model_validate(
            {
                "name": planned.name,
                "as": self._as(planned.sessions),
                "when": when if planned.after or planned.before else None,
                "request": request,
                "reply": draft.reply,
                "events": draft.events or None,
            }
        )

    def _as(self, sessions: tuple[int, ...]) -> str | list[str] | None:
        self._used.update(sessions)
        roles = [_role(session) for session in sessions]
        return roles[0] if len(roles) == 1 else roles or None

    def _source(self) -> SourceBlock | None:
        if not self._header.started:
            return None
        started = datetime.fromtimestamp(int(self._header.started), UTC)
        return SourceBlock(recorded=started.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def _session(self) -> SessionBlock | None:
        cookies = self._transcript.cookies - {"BAYEUX_BROWSER"}
        if "JSESSIONID" in cookies or not (self._transcript.calls or self._transcript.handshakes):
            return None
        return SessionBlock(cookie=min(cookies, default="none"))

    def _bayeux(self) -> BayeuxBlock | None:
        if not self._transcript.handshakes:
            return None
        event, asked, answer = self._transcript.handshakes[0]
        advice = answer.get("advice")
        fields: dict[str, JSON] = {"endpoint": self._endpoint(event)}
        if isinstance(advice, dict):
            times = {name: advice[name] for name in ("timeout", "interval") if _is_count(advice.get(name))}
            fields["advice"] = dict(AdviceBlock.model_validate(times).model_dump(exclude_none=True)) if times else None
        if _offers_ack(asked):
            fields["ack"] = _offers_ack(answer)
        if not self._transcript.cookies_on_bayeux:
            fields["require_cookie"] = False
        if self._transcript.dialect == "4+":
            fields["dialect"] = "4+"
        offered = answer.get("supportedConnectionTypes")
        found: list[JSON] = [name for name in _TRANSPORTS if isinstance(offered, list) and name in offered]
        if found and found != ["long-polling", "callback-polling"]:
            fields["transports"] = found
        return BayeuxBlock.model_validate(fields)

    def _endpoint(self, event: WireEvent) -> str:
        own = (other.path for other in (event, *self._events) if other.flow == event.flow)
        path = next((path for path in own if path.startswith("/")), "/cometd")
        base, _, last = path.rstrip("/").rpartition("/")
        return base if last in _META and base else path.rstrip("/") or "/"

    def _own(self) -> dict[int, dict[str, str]]:
        own: dict[int, dict[str, str]] = {}
        for session, (user_id, name) in self._ids.items():
            values = {user_id: "{{ user.id }}", name: "{{ user.name }}"}
            own[session] = {value: template for value, template in values.items() if value}
        for session, user in self._transcript.users.items():
            own.setdefault(session, {}).setdefault(user, "{{ user.name }}")
        return own

    def _roles(self) -> dict[str, RoleBlock]:
        known: Mapping[int, str] = self._transcript.users
        first = {user: session for session, user in sorted(known.items(), reverse=True)}
        sessions = sorted({*first.values(), *self._used, *(set(self._ids) - set(known))} - {-1})
        literal = self._header.policy != "strict"
        return {
            _role(session): RoleBlock(
                user=known.get(session) or self._ids.get(session, ("", ""))[1] or None,
                id=(self._ids.get(session, ("", ""))[0] or None) if literal else None,
            )
            for session in sessions
        }

    # --- what nobody asked for ------------------------------------------------------------------------------

    def _timeline(self, planned: list[PlannedExchange]) -> list[TimelineBlock]:
        """One entry for each message that nobody asked for; the same one in every session is written once."""
        found: dict[tuple[str, int], list[tuple[RecordedDelivery, str, float]]] = {}
        repeated: Counter[tuple[str, int]] = Counter()
        begins = _begins(planned)
        for delivery in self._correlated.unsolicited:
            since, at = self._anchor(delivery, begins)
            told = canonical([since, delivery.channel, delivery.data])
            repeated[told, delivery.session] += 1
            found.setdefault((told, repeated[told, delivery.session]), []).append((delivery, since, at))
        listening = set(self._transcript.anchors) | {delivery.session for delivery in self._transcript.deliveries}
        entries: list[TimelineBlock] = []
        for group in found.values():
            sessions = tuple(sorted({delivery.session for delivery, _, _ in group}))
            everybody = listening <= set(sessions) or sessions == (-1,)
            try:
                entries.append(self._entry(group[0], () if everybody else sessions))
            except NotExpressible as why:
                self._transcript.left_out[str(why)] += len(group)
        return entries

    def _entry(self, one: tuple[RecordedDelivery, str, float], sessions: tuple[int, ...]) -> TimelineBlock:
        delivery, since, at = one
        event = self._drafter.event(delivery, at)
        told = {name: getattr(event, name) for name in event.model_fields_set}
        return TimelineBlock.model_validate({"as": self._as(sessions), "since": since, **told})

    def _anchor(self, delivery: RecordedDelivery, begins: dict[int, list[tuple[float, str]]]) -> tuple[str, float]:
        """The last exchange that this session had begun before, else the beginning of its CometD session."""
        begun = begins.get(delivery.session, [])
        place = bisect_right(begun, delivery.at, key=lambda begin: begin[0])
        if place:
            at, name = begun[place - 1]
            return name, at
        anchors = self._transcript.anchors.get(delivery.session, {})
        for name in _FALLBACK_ANCHORS:
            if name in anchors and anchors[name] <= delivery.at:
                return name, anchors[name]
        return "connect", delivery.at


def _begins(planned: list[PlannedExchange]) -> dict[int, list[tuple[float, str]]]:
    """When each session first played each exchange, in order."""
    begins: dict[int, list[tuple[float, str]]] = {}
    for exchange in planned:
        for session, at in exchange.first.items():
            begins.setdefault(session, []).append((at, exchange.name))
    for begun in begins.values():
        begun.sort(key=lambda begin: begin[0])
    return begins


def _names(planned: list[PlannedExchange]) -> str | list[str] | None:
    names = [exchange.name for exchange in planned]
    return names[0] if len(names) == 1 else names or None


def _role(session: int) -> str:
    return f"agent-{session + 1}"


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _offers_ack(message: Mapping[str, JSON]) -> bool:
    ext = message.get("ext")
    return isinstance(ext, dict) and ext.get("ack") not in (None, False)


def _user_ids(transcript: Transcript) -> dict[int, tuple[str, str]]:
    """Each session's own user id and name, as `GET …/me` told it."""
    found: dict[int, tuple[str, str]] = {}
    for call in transcript.calls:
        if call.request.method == "GET" and call.request.path.rstrip("/").endswith("/me"):
            user, name = (_first(call.reply.body.value, pointer) for pointer in ("/user/id", "/user/userName"))
            if user:
                found.setdefault(call.session, (user, name))
    return found


def _first(value: JSON, pointer: str) -> str:
    return next((item for _, item in find(value, pointer) if isinstance(item, str)), "")


def _left_out(transcript: Transcript, drafts: list[ExchangeDraft], planned: list[PlannedExchange]) -> list[str]:
    reasons = [f"{number} times {reason}" if number > 1 else reason for reason, number in transcript.left_out.items()]
    names = {exchange.draft.trigger: exchange.name for exchange in reversed(planned)}
    bodies = Counter((names.get(draft.trigger, ""), draft.omitted) for draft in drafts if draft.omitted)
    for (name, reason), number in bodies.items():
        times = f", {number} times" if number > 1 else ""
        reasons.append(f"the body of the reply to {name!r}: {reason}{times}")
    return reasons
