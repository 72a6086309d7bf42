"""Distills a journal into a scenario that is easy to read and edit. Reads one file and writes nothing.

Events that can't be used are left out and listed in the summary.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.recording.bindings import names_by_token
from cometreel.recording.distill_summary import DistillSummary, count_replaced, omissions, unnamed_roles
from cometreel.recording.drafts import Drafter, ExchangeDraft, NotExpressible, digest, role_name
from cometreel.recording.exchange_names import ExchangeNamer
from cometreel.recording.exchange_plan import PlannedExchange, plan_exchanges
from cometreel.recording.journal_events import JournalHeader, WireEvent
from cometreel.recording.policy import Policy
from cometreel.recording.profile_choice import correlate_by, profile_in_header
from cometreel.recording.receivers import NotificationReceivers
from cometreel.recording.recording_journal import read_journal, read_key
from cometreel.recording.redacted_events import redact_events
from cometreel.recording.redaction import Redactor
from cometreel.recording.role_ids import ids_in_requests, sent_by, user_ids
from cometreel.recording.scenario_values import Identifiers
from cometreel.recording.session_cookie import DEFAULT_COOKIE
from cometreel.recording.stable_pseudonyms import with_stable_pseudonyms
from cometreel.recording.transcript import RecordedDelivery, Transcript, build_transcript
from cometreel.recording.user_names import with_one_name_per_user
from cometreel.scenario import (
    DETECT,
    AdviceBlock,
    BayeuxBlock,
    ExchangeBlock,
    Profile,
    ProfileChoice,
    RequestBlock,
    RoleBlock,
    ScenarioBlock,
    SessionBlock,
    SourceBlock,
    TimelineBlock,
    WhenBlock,
)
from cometreel.scenario.files import without_garbage_collection

__all__ = ["Distilled", "distill", "distill_events"]

_META = ("handshake", "connect", "disconnect", "subscribe", "unsubscribe", "publish")
_TRANSPORTS = ("long-polling", "callback-polling", "websocket")
_PER_REPLY = frozenset({"content-type", "content-length", "location"})
_USUAL_ADVICE: JSONObject = {"reconnect": "retry", "timeout": 0, "interval": 0}
_FALLBACK_ANCHORS = ("subscribe", "connect", "handshake")
_Since: TypeAlias = str | dict[str, JSON]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Distilled:
    """The scenario of a journal and its summary.

    `head` are the other blocks. The exchanges and the entries of the timeline are created each time they are read,
    because together they need much more memory than the journal.
    """

    head: ScenarioBlock
    exchanges: Iterable[ExchangeBlock]
    timeline: Iterable[TimelineBlock]
    summary: DistillSummary

    @property
    def file(self) -> ScenarioBlock:
        """The whole scenario as a file model, ready for `dump`; a new one each time."""
        return self.head.model_copy(update={"exchanges": [*self.exchanges], "timeline": [*self.timeline] or None})

    def with_title(self, title: str) -> Distilled:
        """Return the scenario with another title."""
        return replace(self, head=self.head.model_copy(update={"title": title}))


def distill(
    journal: Path | str,
    *,
    policy: Policy | None = None,
    profile: ProfileChoice | None = None,
    generalise: bool = False,
) -> Distilled:
    """Build the scenario of a journal, also of a truncated one.

    The default profile is the one in the header of the journal; a correlation block is written into the scenario. With
    `detect`, it is the first included profile that explains a notification.
    If `policy` is not the policy of the journal, the events are redacted again with the key of the journal.
    `generalise` replaces the id and name of the requesting user in replies by templates, so that one recorded user
    can be replayed to many.

    :raises FileInvalid: if the file is missing, isn't a journal of this version, or its key is needed and missing.
    """
    with without_garbage_collection():
        return _distill(Path(journal), policy, profile, generalise=generalise)


def _distill(path: Path, policy: Policy | None, profile: ProfileChoice | None, *, generalise: bool) -> Distilled:
    header, events, problems = read_journal(path)
    choice = profile or profile_in_header(header, path)
    header = header or JournalHeader("", 0.0, DETECT, "default")
    if policy is not None and policy.name != header.policy:
        events = list(redact_events(events, Redactor(policy, read_key(path))))
        header = replace(header, policy=policy.name)
    with suppress(FileInvalid):  # without the key, an owner keeps the name that was not yet known to be of a user
        events = with_one_name_per_user(events, read_key(path))
    events = with_stable_pseudonyms(_emptied(events))
    distilled = distill_events(
        header,
        events,
        title=path.stem,
        profile=choice,
        generalise=generalise,
    )
    left_out = [*map(str, problems), *distilled.summary.left_out]
    return replace(distilled, summary=replace(distilled.summary, left_out=left_out))


def _emptied(events: list[WireEvent]) -> Iterator[WireEvent]:
    """Yield the events and remove them from the list, so that they are not kept beside new ones."""
    events.reverse()
    while events:
        yield events.pop()


def distill_events(
    header: JournalHeader,
    events: list[WireEvent],
    *,
    title: str,
    profile: ProfileChoice,
    generalise: bool = False,
) -> Distilled:
    """Build the scenario of a journal's events, which are ordered by time."""
    return _Distiller(header, events, title, profile, generalise=generalise).distill()


@dataclass(frozen=True, slots=True)
class _PlannedEntry:
    """An entry of the timeline: a delivery, and the exchange or event that it follows with its time."""

    delivery: RecordedDelivery
    since: _Since
    at: float
    sessions: tuple[int, ...]


class _Repeatable(Iterable[_T]):
    """Items that are created each time they are read."""

    def __init__(self, create: Callable[[], Iterator[_T]]) -> None:
        self._create = create

    def __iter__(self) -> Iterator[_T]:
        return self._create()


class _Distiller:
    def __init__(
        self,
        header: JournalHeader,
        events: list[WireEvent],
        title: str,
        choice: ProfileChoice,
        *,
        generalise: bool,
    ) -> None:
        self._header, self._events, self._title = header, events, title
        self._transcript: Transcript = build_transcript(events)
        written, self._profile, self._correlation = correlate_by(choice, self._transcript)
        self._correlation_block = written.name if isinstance(written, Profile) else written
        self._identifiers = identifiers = Identifiers()
        for event in events:
            if event.kind == "request" or event.client_side:
                identifiers.add_request(event)
        self._ids = user_ids(self._transcript)
        self._generalise = generalise
        user_values = self._user_values() if generalise else {}
        self._sessions_with_role: set[int] = set()
        self._unsolicited = 0
        hosts = frozenset(host.lower() for event in events for host in event.hosts)
        bound = names_by_token(self._transcript.bindings)
        receivers = NotificationReceivers(self._transcript, self._role_of)
        self._drafter = Drafter(self._profile, identifiers, user_values, bound, receivers, hosts)

    def distill(self) -> Distilled:
        drafts = self._drafts()
        planned = plan_exchanges(drafts)
        namer = ExchangeNamer(self._profile, self._identifiers)
        for exchange in planned:
            exchange.name = namer.name(exchange.draft.recorded)
            self._as(exchange.sessions)
        common = _common_headers([exchange.draft.headers for exchange in planned if exchange.draft.target])
        timeline = self._timeline(planned)
        roles = self._roles(_first_needs(planned, timeline))
        head = ScenarioBlock(
            cometreel=1,
            title=self._title,
            source=self._source(),
            bayeux=self._bayeux(),
            session=self._session(),
            correlation=self._correlation_block,
            reply_headers=common or None,
            roles=roles or None,
        )
        counts: dict[str, int] = {str(joined_by): number for joined_by, number in self._correlation.counts.items()}
        summary = DistillSummary(
            exchanges=len(planned),
            timeline=len(timeline),
            sessions=max(self._transcript.sessions, 1 if planned else 0),
            correlated=counts,
            replaced=count_replaced(self._events),
            unsolicited=self._unsolicited,
            left_out=[*omissions(self._transcript, drafts, planned), *unnamed_roles(roles, self._transcript.sessions)],
            weak=Counter(place for event in self._events for place in event.weak),
        )
        return Distilled(
            head,
            _Repeatable(lambda: (self._exchange(each, common) for each in planned)),
            _Repeatable(lambda: (self._entry(each) for each in timeline)),
            summary,
        )

    def _drafts(self) -> list[ExchangeDraft]:
        """Create the drafts; requests that the scenario format can't express are left out and counted.

        The notifications of such a request become unsolicited ones. Requests that only the order joins to different
        notifications stay apart.
        """
        drafts: list[ExchangeDraft] = []
        followed: Counter[tuple[int, bytes]] = Counter()
        for recorded in self._correlation.requests:
            try:
                draft = self._drafter.draft(recorded)
            except NotExpressible as error:
                self._transcript.left_out[str(error)] += 1
                self._correlation.release(recorded)
                continue
            if recorded.followers:
                followed[recorded.session, draft.request_key] += 1
                draft.answer_key += b" %d" % followed[recorded.session, draft.request_key]
            drafts.append(draft)
            self._transcript.left_out.update(draft.omitted_events)
        return drafts

    # --- blocks ---------------------------------------------------------------------------------------------

    def _exchange(self, planned: PlannedExchange, common: Mapping[str, JSON]) -> ExchangeBlock:
        blocks = self._drafter.blocks(planned.draft.recorded)
        when = WhenBlock(after=_names(planned.after), before=_names(planned.before))
        request, reply = blocks.request, blocks.reply
        if common and isinstance(request, RequestBlock) and reply is not None:
            own = {name: value for name, value in (reply.headers or {}).items() if name not in common}
            reply = reply.model_copy(update={"headers": own or None})
        if planned.authenticated is not None:
            request = request.model_copy(update={"authenticated": planned.authenticated})
        return ExchangeBlock.model_validate(
            {
                "name": planned.name,
                "as": self._as(planned.sessions),
                "when": when if planned.after or planned.before else None,
                "request": request,
                "reply": reply,
                "events": blocks.events or None,
            }
        )

    def _as(self, sessions: tuple[int, ...]) -> str | list[str] | None:
        roles = [self._role_of(session) for session in sessions]
        return roles[0] if len(roles) == 1 else roles or None

    def _role_of(self, session: int) -> str:
        self._sessions_with_role.add(session)
        return role_name(session)

    def _source(self) -> SourceBlock | None:
        if not self._header.started:
            return None
        started = datetime.fromtimestamp(int(self._header.started), UTC)
        return SourceBlock(recorded=started.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def _session(self) -> SessionBlock | None:
        cookie, bindings = self._transcript.cookie, self._transcript.bindings
        if (cookie == DEFAULT_COOKIE and not bindings) or not (self._transcript.calls or self._transcript.handshakes):
            return None
        named = None if cookie == DEFAULT_COOKIE else cookie or "none"
        return SessionBlock(cookie=named, bind=[rule.to_block() for rule in bindings] or None)

    def _bayeux(self) -> BayeuxBlock | None:
        if not self._transcript.handshakes:
            return None
        event, handshake, reply = self._transcript.handshakes[0]
        advice = reply.get("advice")
        fields: dict[str, JSON] = {"endpoint": self._endpoint(event)}
        if isinstance(advice, dict):
            times = {name: advice[name] for name in ("timeout", "interval") if _is_count(advice.get(name))}
            fields["advice"] = dict(AdviceBlock.model_validate(times).model_dump(exclude_none=True)) if times else None
        if _offers_ack(handshake):
            fields["ack"] = _offers_ack(reply)
        if not self._transcript.browser_cookie:
            fields["require_cookie"] = False
        if self._transcript.dialect == "4+":
            fields["dialect"] = "4+"
        offered = reply.get("supportedConnectionTypes")
        found: list[JSON] = [name for name in _TRANSPORTS if isinstance(offered, list) and name in offered]
        if found and found != ["long-polling", "callback-polling"]:
            fields["transports"] = found
        if self._transcript.in_form:
            fields["form"] = True
        fields.update(_handshake_members(handshake, reply))
        return BayeuxBlock.model_validate(fields)

    def _endpoint(self, event: WireEvent) -> str:
        paths = (other.path for other in (event, *self._events) if other.flow == event.flow)
        path = next((path for path in paths if path.startswith("/")), "/cometd")
        base, _, last = path.rstrip("/").rpartition("/")
        return base if last in _META and base else path.rstrip("/") or "/"

    def _user_values(self) -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = {}
        for session, (user_id, name) in self._ids.items():
            values = {user_id: "{{ user.id }}", name: "{{ user.name }}"}
            found[session] = {value: template for value, template in values.items() if value}
        for session, user in self._transcript.users.items():
            found.setdefault(session, {}).setdefault(user, "{{ user.name }}")
        return found

    def _roles(self, needed: Mapping[int, float]) -> dict[str, RoleBlock]:
        """Return the roles in the order in which sessions needed them: a replay assigns the first free one."""
        users: Mapping[int, str] = self._transcript.users
        first = {user: session for session, user in sorted(users.items(), reverse=True)}
        found = {*first.values(), *self._sessions_with_role, *(set(self._ids) - set(users))} - {-1}
        sessions = sorted(found, key=lambda session: (needed.get(session, math.inf), session))
        return {
            role_name(session): RoleBlock(
                user=users.get(session) or self._ids.get(session, ("", ""))[1] or None, id=self._role_ids.get(session)
            )
            for session in sessions
        }

    @cached_property
    def _role_ids(self) -> Mapping[int, str]:
        """The value that names each session in requests, as the replay assigns its role by it.

        An id that other sessions sent too is left out, because it would give them this role, unless templates need it.
        """
        if self._header.policy == "strict":
            return {}
        senders = sent_by(self._transcript)
        ids = {session: user_id for session, (user_id, _) in self._ids.items() if user_id}
        if not self._generalise:
            ids = _own(ids, senders)
        return {**_own(ids_in_requests(self._transcript), senders), **ids}

    # --- timeline -------------------------------------------------------------------------------------------

    def _timeline(self, planned: list[PlannedExchange]) -> list[_PlannedEntry]:
        """Return an entry per unsolicited message; equal messages of several sessions share an entry."""
        found: dict[tuple[bytes, int], list[tuple[RecordedDelivery, _Since, float]]] = {}
        repeated: Counter[tuple[bytes, int]] = Counter()
        all_sessions = set(self._transcript.anchors) | {delivery.session for delivery in self._transcript.deliveries}
        needed = _first_needs(planned, ())
        starts, asked = _starts(planned), {exchange.name: exchange.first for exchange in planned}
        for delivery in self._correlation.unsolicited:
            since, at = self._anchor(delivery, starts)
            key = digest([since, delivery.channel, delivery.data])
            repeated[key, delivery.session] += 1
            found.setdefault((key, repeated[key, delivery.session]), []).append((delivery, since, at))
        entries: list[_PlannedEntry] = []
        for group in found.values():
            sessions = tuple(sorted({delivery.session for delivery, _, _ in group}))
            is_for_all = all_sessions <= set(sessions) or sessions == (-1,)
            # the order alone joins it, or its sessions get their roles later: all who reached its start got it
            if group[0][0] in self._correlation.joined_by or self._are_late(sessions, group[0][2], needed):
                is_for_all = is_for_all or self._reached(group[0][1], asked) <= set(sessions)
            entry = _PlannedEntry(*group[0], () if is_for_all else sessions)
            try:
                self._entry(entry)
                entries.append(entry)
                self._unsolicited += group[0][0] not in self._correlation.joined_by
            except NotExpressible as error:
                self._transcript.left_out[str(error)] += len(group)
        return entries

    def _are_late(self, sessions: Iterable[int], at: float, needed: Mapping[int, float]) -> bool:
        """True if one of the sessions gets its role only after a time: nothing assigns it but an exchange with `as`."""
        named = {*self._transcript.users, *self._ids, *self._role_ids}
        return any(session not in named and needed.get(session, at) > at for session in sessions)

    def _reached(self, since: _Since, asked: Mapping[str, Mapping[int, float]]) -> set[int]:
        """Return the sessions that reached the start of a timeline entry."""
        if isinstance(since, str) and since in asked:
            return {*asked[since]} - {-1}
        transcript = self._transcript
        if isinstance(since, str):
            return {session for session, anchors in transcript.anchors.items() if since in anchors}
        return {session for session, names in transcript.subscriptions.items() if since["subscribe"] in names}

    def _entry(self, entry: _PlannedEntry) -> TimelineBlock:
        event = self._drafter.event(entry.delivery, entry.at)
        fields = {name: getattr(event, name) for name in event.model_fields_set}
        return TimelineBlock.model_validate({"as": self._as(entry.sessions), "since": entry.since, **fields})

    def _anchor(self, delivery: RecordedDelivery, starts: dict[int, list[tuple[float, str]]]) -> tuple[_Since, float]:
        """Return the latest exchange of the session before a delivery, else the start of its CometD session.

        The subscription to its channel is named if the client had subscribed to another one before.
        """
        started = starts.get(delivery.session, [])
        index = bisect_right(started, delivery.at, key=lambda start: start[0])
        if index:
            at, name = started[index - 1]
            return name, at
        anchors = self._transcript.anchors.get(delivery.session, {})
        subscribed = self._transcript.subscriptions.get(delivery.session, {}).get(delivery.channel)
        if subscribed is not None and anchors["subscribe"] < subscribed <= delivery.at:
            return {"subscribe": delivery.channel}, subscribed
        for name in _FALLBACK_ANCHORS:
            if name in anchors and anchors[name] <= delivery.at:
                return name, anchors[name]
        return "connect", delivery.at


def _own(ids: Mapping[int, str], senders: Mapping[str, set[int]]) -> dict[int, str]:
    """Return the ids that no other session sent."""
    return {session: value for session, value in ids.items() if senders.get(value, {session}) <= {session}}


def _first_needs(planned: Iterable[PlannedExchange], timeline: Iterable[_PlannedEntry]) -> dict[int, float]:
    """Return the time at which each session first got an answer, or a timeline entry, that others don't get."""
    needs: dict[int, float] = {}
    for exchange in planned:
        for session in exchange.sessions:
            if session in exchange.first:
                needs[session] = min(exchange.first[session], needs.get(session, math.inf))
    for entry in timeline:
        for session in entry.sessions:
            needs[session] = min(entry.at, needs.get(session, math.inf))
    return needs


def _common_headers(replies: list[Mapping[str, JSON]]) -> dict[str, JSON]:
    """Return the header fields that all HTTP replies have; they are written once, as `reply_headers`."""
    return {
        name: value
        for name, value in (replies[0] if len(replies) > 1 else {}).items()
        if name not in _PER_REPLY and all(name in other and other[name] == value for other in replies)
    }


def _starts(planned: list[PlannedExchange]) -> dict[int, list[tuple[float, str]]]:
    """Return the times of the first use of each exchange by session, in order."""
    starts: dict[int, list[tuple[float, str]]] = {}
    for exchange in planned:
        for session, at in exchange.first.items():
            starts.setdefault(session, []).append((at, exchange.name))
    for started in starts.values():
        started.sort(key=lambda start: start[0])
    return starts


def _names(planned: Iterable[PlannedExchange]) -> str | list[str] | None:
    names = [exchange.name for exchange in planned]
    return names[0] if len(names) == 1 else names or None


def _handshake_members(handshake: JSONObject, reply: JSONObject) -> JSONObject:
    """Return the key `handshake` if `ext` or `advice` of the reply are not those that a replay sends without it."""
    advice, ext = reply.get("advice"), reply.get("ext")
    usual = isinstance(advice, dict) and {**advice, "timeout": 0, "interval": 0} == _USUAL_ADVICE
    if usual and (ext is None or (_offers_ack(handshake) and ext == {"ack": True})):
        return {}
    return {"handshake": {name: value for name, value in (("ext", ext), ("advice", advice)) if isinstance(value, dict)}}


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _offers_ack(message: Mapping[str, JSON]) -> bool:
    ext = message.get("ext")
    return isinstance(ext, dict) and ext.get("ack") not in (None, False)
