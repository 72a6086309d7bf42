"""Reads a conversation from a journal, also from an incomplete one, with the correlation and names of its scenario.

Session cookies and client ids, which a journal contains as tokens, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cometreel.errors import Problem
from cometreel.recording import RecordedBody, WireEvent, read_journal
from cometreel.recording.bindings import names_by_token
from cometreel.recording.correlation import CorrelatedRequest
from cometreel.recording.drafts import Drafter, ExchangeBlocks, ExchangeDraft, role_name
from cometreel.recording.exchange_names import ExchangeNamer
from cometreel.recording.exchange_plan import PlannedExchange, plan_exchanges
from cometreel.recording.profile_choice import correlate_by, profile_in_header
from cometreel.recording.receivers import NotificationReceivers
from cometreel.recording.scenario_values import Identifiers
from cometreel.recording.stable_pseudonyms import with_stable_pseudonyms
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, Transcript, build_transcript
from cometreel.scenario import ProfileChoice, can_be_written
from cometreel.show.blocks import Placement, exchange_of, kind_of
from cometreel.show.connections import ConnectionReader, exchange_of_call, exchange_of_publish
from cometreel.show.conversation import Bookmark, Conversation, ConversationExchange, ConversationNotification, Lane

__all__ = ["conversation_of_journal"]

_ANONYMOUS = "somebody"
_UNSUPPORTED = "it is nested too deeply, or contains a lone surrogate"


def conversation_of_journal(path: Path) -> Conversation:
    """Read a journal.

    :raises FileInvalid: if the file is missing, isn't a journal of this version, or has an unknown profile.
    """
    header, events, problems = read_journal(path)
    conversation = _JournalReader(
        profile_in_header(header, path), with_stable_pseudonyms(map(_without_unsupported_body, events))
    ).conversation(path.stem)
    return replace(conversation, notes=(*map(_sentence, problems), *conversation.notes))


def _without_unsupported_body(event: WireEvent) -> WireEvent:
    """Leave out a body that scenarios can't contain, as the recorder does; edited journals may have one."""
    return event if can_be_written(event.body.value) else replace(event, body=RecordedBody.of("omitted", _UNSUPPORTED))


def _sentence(problem: Problem) -> str:
    return f"Line {problem.line}: {problem.found}" + (f", {problem.hint}." if problem.hint else ".")


class _JournalReader:
    def __init__(self, choice: ProfileChoice, events: list[WireEvent]) -> None:
        self._events = events
        self._transcript: Transcript = build_transcript(events)
        _, self._profile, self._correlated = correlate_by(choice, self._transcript)
        self._start = min((event.at for event in events), default=0.0)

    def conversation(self, title: str) -> Conversation:
        identities = self._transcript.identities
        connections = ConnectionReader(self._events, lambda flow: self._lane(identities.session(flow)), self._start)
        exchanges = [*self._exchanges(), *connections.unanswered]
        conversation = Conversation(
            title,
            "journal",
            self._profile,
            tuple(self._lanes()),
            tuple(sorted(exchanges, key=lambda exchange: exchange.at)),
            tuple(self._notification(delivery) for delivery in self._correlated.unsolicited),
            tuple(connections.polls),
            tuple(connections.meta_messages),
            tuple(connections.sockets),
            tuple(self._bookmarks()),
            tuple(f"Not an exchange, {number} times: {why}." for why, number in self._transcript.left_out.items()),
        )
        return (
            replace(conversation, lanes=conversation.lanes[: self._transcript.sessions])
            if _last_lane_is_empty(conversation)
            else conversation
        )

    def _exchanges(self) -> Iterator[ConversationExchange]:
        identifiers = Identifiers()
        for event in self._events:
            if event.kind == "request" or event.client_side:
                identifiers.add_request(event)
        receivers = NotificationReceivers(self._transcript, role_name)
        drafter = Drafter(self._profile, identifiers, {}, names_by_token(self._transcript.bindings), receivers)
        drafts: list[ExchangeDraft] = []
        for request in self._correlated.requests:
            try:
                drafts.append(drafter.draft(request))
            except ValueError:  # a scenario can't contain it: an invalid channel, a reply after more than a year
                yield self._unchanged(request)
        names = _names_of(drafts, ExchangeNamer(self._profile, identifiers))
        for draft in drafts:
            yield self._exchange(draft, drafter.blocks(draft.recorded), names(draft))

    def _exchange(self, draft: ExchangeDraft, blocks: ExchangeBlocks, name: str) -> ConversationExchange:
        exchange = exchange_of(
            name,
            self._placement(draft.recorded),
            blocks.request,
            blocks.reply,
            self._notifications(draft.recorded),
            self._profile,
        )
        notes = (f"The body of the reply isn't in the journal: {draft.omitted}.",) if draft.omitted else ()
        return replace(exchange, notes=notes, faults=exchange.faults or _missing_reply(draft.recorded))

    def _placement(self, request: CorrelatedRequest) -> Placement:
        reply_at = request.source.reply_at
        return Placement(
            self._lane(request.session), self._since(request.at), None if reply_at is None else self._since(reply_at)
        )

    def _notifications(self, request: CorrelatedRequest) -> tuple[ConversationNotification, ...]:
        """Return the notifications of a request, each followed by its copies for other sessions."""
        return tuple(self._notification(one) for delivery in request.deliveries for one in request.received(delivery))

    def _unchanged(self, request: CorrelatedRequest) -> ConversationExchange:
        """Return an exchange as recorded, without the markers of a scenario."""
        exchange = (
            exchange_of_call(request.source)
            if isinstance(request.source, RecordedCall)
            else exchange_of_publish(request.source)
        )
        placement = self._placement(request)
        return replace(
            exchange,
            lane=placement.lane,
            at=placement.at,
            reply_at=placement.reply_at,
            notifications=self._notifications(request),
            faults=_missing_reply(request),
            notes=("A scenario can't contain this exchange; it is shown as recorded.",),
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

    # --- positions --------------------------------------------------------------------------------------------

    def _since(self, at: float) -> float:
        return round(at - self._start, 6)

    def _lane(self, session: int) -> int:
        """Return the lane of a session; requests without a session are in the last lane."""
        return session if session >= 0 else self._transcript.sessions

    def _lanes(self) -> Iterator[Lane]:
        users = self._transcript.users
        for session in range(self._transcript.sessions):
            yield Lane(f"agent-{session + 1}", users.get(session, ""))
        yield Lane(_ANONYMOUS)

    def _bookmarks(self) -> Iterator[Bookmark]:
        for event in self._events:
            if event.kind == "mark":
                yield Bookmark(self._since(event.at), event.text)
            elif event.kind == "resume":
                yield Bookmark(self._since(event.at), "the recording was resumed")
            elif event.kind == "lost":
                yield Bookmark(self._since(event.at), f"{event.count} events were lost: the disk was full or missing")


def _missing_reply(request: CorrelatedRequest) -> tuple[str, ...]:
    return ("no reply",) if request.source.reply_at is None else ()


def _last_lane_is_empty(conversation: Conversation) -> bool:
    """True if the lane of the requests without a session is empty."""
    last = len(conversation.lanes) - 1
    used = {exchange.lane for exchange in conversation.exchanges} | {one.lane for one in conversation.unsolicited}
    held = {poll.lane for poll in conversation.polls} | {socket.lane for socket in conversation.sockets}
    return last not in used | held | {message.lane for message in conversation.meta_messages}


class _ExchangeNames:
    """Returns the name of each draft: that of its planned exchange in the scenario."""

    def __init__(self, planned: Sequence[PlannedExchange]) -> None:
        self._by_answer: dict[tuple[bytes, bytes], list[PlannedExchange]] = {}
        self._by_trigger: dict[bytes, PlannedExchange] = {}
        for exchange in planned:
            draft = exchange.draft
            self._by_answer.setdefault((draft.request_key, draft.answer_key), []).append(exchange)
            self._by_trigger.setdefault(draft.request_key, exchange)

    def __call__(self, draft: ExchangeDraft) -> str:
        planned = self._by_answer.get((draft.request_key, draft.answer_key), [])
        session = draft.recorded.session
        matching = (exchange for exchange in planned if not exchange.sessions or session in exchange.sessions)
        return next(matching, self._by_trigger[draft.request_key]).name


def _names_of(drafts: Sequence[ExchangeDraft], namer: ExchangeNamer) -> _ExchangeNames:
    planned = plan_exchanges(drafts)
    for exchange in planned:
        exchange.name = namer.name(exchange.draft.recorded)
    return _ExchangeNames(planned)
