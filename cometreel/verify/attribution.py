"""Which live notification belongs to which exchange: by the profile's rule, the same that recording correlates by.

A notification may come before the reply or long after it, so this is done on everything that was heard so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cometreel.recording.correlation import correlate
from cometreel.recording.journal_events import NO_BODY, RecordedBody, WireEvent
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, RecordedPublish, Transcript
from cometreel.scenario import Profile
from cometreel.verify.observations import LiveReply, PlayedStep, ReceivedNotification
from cometreel.verify.request_building import BuiltPublish

__all__ = ["attribute"]


def attribute(
    plays: Sequence[PlayedStep], heard: Sequence[ReceivedNotification], profile: Profile
) -> list[ReceivedNotification]:
    """Give each play the notifications that are its own; return those that nobody asked for."""
    sessions = {part: number for number, part in enumerate(dict.fromkeys(play.step.part for play in plays))}
    sources = {id(source): (play, source) for play in plays for source in [_source(play, sessions)]}
    deliveries = {id(delivery): (each, delivery) for each in heard for delivery in [_delivery(each, sessions)]}
    transcript = Transcript(
        calls=[source for _, source in sources.values() if isinstance(source, RecordedCall)],
        publishes=[source for _, source in sources.values() if isinstance(source, RecordedPublish)],
        deliveries=[delivery for _, delivery in deliveries.values()],
    )
    found = correlate(transcript, profile)
    for ask in found.requests:
        sources[id(ask.source)][0].heard = _of(ask.deliveries, deliveries)
    return _of(found.unsolicited, deliveries)


def _of(
    found: Iterable[RecordedDelivery], deliveries: dict[int, tuple[ReceivedNotification, RecordedDelivery]]
) -> list[ReceivedNotification]:
    return [deliveries[id(delivery)][0] for delivery in found]


def _source(play: PlayedStep, sessions: dict[str, int]) -> RecordedCall | RecordedPublish:
    session, ask = sessions[play.step.part], play.ask
    replied_at = play.asked_at if play.replied_at is None else play.replied_at
    if isinstance(ask, BuiltPublish):
        message = {"channel": ask.channel, "data": ask.data}
        return RecordedPublish(play.asked_at, session, "", message, NO_BODY, 0, replied_at, play.published)
    path, _, query = ask.url.partition("?")
    asked = LiveReply(0, body=ask.body)
    request = WireEvent(0, play.asked_at, "request", method=ask.method, path=path, query=query, body=_body(asked))
    reply = play.reply or LiveReply(0)
    return RecordedCall(
        play.asked_at, session, request, replied_at, WireEvent(0, replied_at, "reply", body=_body(reply))
    )


def _body(content: LiveReply) -> RecordedBody:
    return RecordedBody("json", content.json) if content.is_json else NO_BODY


def _delivery(each: ReceivedNotification, sessions: dict[str, int]) -> RecordedDelivery:
    session = sessions.get(each.part, len(sessions))
    return RecordedDelivery(each.at, session, "", each.channel, each.message, NO_BODY, 0, "")
