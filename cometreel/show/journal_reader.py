"""A conversation from a journal, also from a torn one: correlated and named exactly as its scenario would be.

Reads one file and draws nothing. Session cookies and client ids, tokens in the journal already, are left out wholly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.recording import JournalHeader, RecordedBody, WireEvent, read_journal
from cometreel.recording.correlation import CorrelatedRequest, correlate
from cometreel.recording.drafts import Drafter, ExchangeDraft
from cometreel.recording.exchange_names import ExchangeNamer
from cometreel.recording.exchange_plan import PlannedExchange, plan_exchanges
from cometreel.recording.identities import Identities
from cometreel.recording.scenario_values import Identifiers
from cometreel.recording.stable_pseudonyms import with_stable_pseudonyms
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, Transcript, build_transcript
from cometreel.scenario import Profile, can_be_written
from cometreel.scenario import profile as shipped_profile
from cometreel.show.blocks import Placement, exchange_of, kind_of
from cometreel.show.conversation import Bookmark, Conversation, ConversationExchange, ConversationNotification, Lane
from cometreel.show.wires import Wires, called, published

__all__ = ["conversation_of_journal"]

_DEFAULT = "gws-v2"
_SOMEBODY = "somebody"
_UNFIT = "it is nested too deeply, or holds half a character"


def conversation_of_journal(path: Path) -> Conversation:
    """Read a journal.

    :raises FileInvalid: if the file is missing, is no journal of this version, or names a profile that isn't shipped.
    """
    header, events, problems = read_journal(path)
    made = _JournalReader(_profile(header, path), with_stable_pseudonyms(map(_fit, events))).conversation(path.stem)
    return replace(made, notes=(*map(_sentence, problems), *made.notes))


def _profile(header: JournalHeader | None, path: Path) -> Profile:
    name = header.profile if header else _DEFAULT
    try:
        return shipped_profile(name)
    except KeyError:
        found = f"recorded under the profile {name!r}, which isn't shipped"
        raise FileInvalid([Problem(str(path), 1, 1, found, "a shipped profile")]) from None


def _fit(event: WireEvent) -> WireEvent:
    """Leave out a body that no scenario can hold, as the recorder does; this one was put there by hand."""
    return event if can_be_written(event.body.value) else replace(event, body=RecordedBody("omitted", _UNFIT))


def _sentence(problem: Problem) -> str:
    return f"Line {problem.line}: {problem.found}" + (f", {problem.hint}." if problem.hint else ".")


class _JournalReader:
    def __init__(self, profile: Profile, events: list[WireEvent]) -> None:
        self._profile = profile
        self._events = events
        self._transcript: Transcript = build_transcript(events)
        self._correlated = correlate(self._transcript, profile)
        self._begun = min((event.at for event in events), default=0.0)

    def conversation(self, title: str) -> Conversation:
        identities = Identities(self._events)
        wires = Wires(self._events, lambda flow: self._lane(identities.session(flow)), self._begun)
        exchanges = [*self._exchanges(), *wires.unanswered]
        made = Conversation(
            title,
            "journal",
            self._profile,
            tuple(self._lanes()),
            tuple(sorted(exchanges, key=lambda exchange: exchange.at)),
            tuple(self._notification(delivery) for delivery in self._correlated.unsolicited),
            tuple(wires.polls),
            tuple(wires.steps),
            tuple(wires.sockets),
            tuple(self._marks()),
            tuple(f"Not an exchange, {number} times: {why}." for why, number in self._transcript.left_out.items()),
        )
        return replace(made, lanes=made.lanes[: self._transcript.sessions]) if _nobody_is_last(made) else made

    def _exchanges(self) -> Iterator[ConversationExchange]:
        identifiers = Identifiers()
        for event in self._events:
            if event.kind == "request" or event.client_side:
                identifiers.add_request(event)
        drafter = Drafter(self._profile, identifiers, {})
        drafts: list[ExchangeDraft] = []
        for ask in self._correlated.requests:
            try:
                drafts.append(drafter.draft(ask))
            except ValueError:  # a channel that Bayeux doesn't allow, a reply after a year
                yield self._as_said(ask)
        names = _names(drafts, ExchangeNamer(self._profile, identifiers))
        for draft in drafts:
            yield self._exchange(draft, names(draft))

    def _exchange(self, draft: ExchangeDraft, name: str) -> ConversationExchange:
        exchange = exchange_of(
            name, self._placed(draft.recorded), draft.request, draft.reply, self._told(draft.recorded), self._profile
        )
        notes = (f"The body of the reply isn't in the journal: {draft.omitted}.",) if draft.omitted else ()
        return replace(exchange, notes=notes, faults=exchange.faults or _silence(draft.recorded))

    def _placed(self, ask: CorrelatedRequest) -> Placement:
        reply_at = ask.source.reply_at
        return Placement(
            self._lane(ask.session), self._since(ask.at), None if reply_at is None else self._since(reply_at)
        )

    def _told(self, ask: CorrelatedRequest) -> tuple[ConversationNotification, ...]:
        return tuple(self._notification(delivery) for delivery in ask.deliveries)

    def _as_said(self, ask: CorrelatedRequest) -> ConversationExchange:
        """Draw an exchange as it was said, without the markers that a scenario would put into it."""
        said = called(ask.source) if isinstance(ask.source, RecordedCall) else published(ask.source)
        placed = self._placed(ask)
        return replace(
            said,
            lane=placed.lane,
            at=placed.at,
            reply_at=placed.reply_at,
            notifications=self._told(ask),
            faults=_silence(ask),
            notes=("No scenario can hold this exchange; it is drawn as it was said.",),
        )

    def _notification(self, delivery: RecordedDelivery) -> ConversationNotification:
        return ConversationNotification(
            self._since(delivery.at),
            self._lane(delivery.session),
            delivery.channel,
            kind_of(delivery.data),
            delivery.data,
            delivery.message.get("ext"),
        )

    # --- places -----------------------------------------------------------------------------------------------

    def _since(self, at: float) -> float:
        return round(at - self._begun, 6)

    def _lane(self, session: int) -> int:
        """The anonymous session, where it isn't the only one, comes last."""
        return session if session >= 0 else self._transcript.sessions

    def _lanes(self) -> Iterator[Lane]:
        users = self._transcript.users
        for session in range(self._transcript.sessions):
            yield Lane(f"agent-{session + 1}", users.get(session, ""))
        yield Lane(_SOMEBODY)

    def _marks(self) -> Iterator[Bookmark]:
        for event in self._events:
            if event.kind == "mark":
                yield Bookmark(self._since(event.at), event.text)
            elif event.kind == "resume":
                yield Bookmark(self._since(event.at), "the recording was resumed")
            elif event.kind == "lost":
                yield Bookmark(self._since(event.at), f"{event.count} events were lost: the disk was full or missing")


def _silence(ask: CorrelatedRequest) -> tuple[str, ...]:
    return ("no reply",) if ask.source.reply_at is None else ()


def _nobody_is_last(made: Conversation) -> bool:
    """Tell whether the lane of those who name nobody is empty."""
    last = len(made.lanes) - 1
    asked = {exchange.lane for exchange in made.exchanges} | {one.lane for one in made.unsolicited}
    held = {poll.lane for poll in made.polls} | {socket.lane for socket in made.sockets}
    return last not in asked | held | {step.lane for step in made.steps}


class _ExchangeNames:
    """The name of each draft: that of the planned exchange which it would be in the scenario."""

    def __init__(self, planned: Sequence[PlannedExchange]) -> None:
        self._by_answer: dict[tuple[str, str], list[PlannedExchange]] = {}
        self._by_trigger: dict[str, PlannedExchange] = {}
        for exchange in planned:
            draft = exchange.draft
            self._by_answer.setdefault((draft.request_key, draft.answer_key), []).append(exchange)
            self._by_trigger.setdefault(draft.request_key, exchange)

    def __call__(self, draft: ExchangeDraft) -> str:
        same = self._by_answer.get((draft.request_key, draft.answer_key), [])
        session = draft.recorded.session
        mine = (exchange for exchange in same if not exchange.sessions or session in exchange.sessions)
        return next(mine, self._by_trigger[draft.request_key]).name


def _names(drafts: Sequence[ExchangeDraft], namer: ExchangeNamer) -> _ExchangeNames:
    planned = plan_exchanges(drafts)
    for exchange in planned:
        exchange.name = namer.name(exchange.draft.recorded)
    return _ExchangeNames(planned)
