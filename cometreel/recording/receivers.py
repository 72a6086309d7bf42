"""Finds the value of `deliver` for a notification that other sessions received than the one that asked."""

from __future__ import annotations

from collections.abc import Callable

from cometreel.bayeux import is_broadcast, is_service, patterns_of
from cometreel.recording.correlation import CorrelatedRequest
from cometreel.recording.transcript import RecordedDelivery, RecordedPublish, Transcript

__all__ = ["NotificationReceivers"]


class NotificationReceivers:
    """Compares the receivers of a notification with the sessions that could receive it.

    `role_of` returns the role of a session.
    """

    def __init__(self, transcript: Transcript, role_of: Callable[[int], str]) -> None:
        self._transcript, self._role_of = transcript, role_of
        self._complete = all("handshake" in transcript.anchors.get(session, {}) for session in transcript.connections)
        """False if a client may have subscribed before the recording started."""

    def of(self, recorded: CorrelatedRequest, delivery: RecordedDelivery) -> str | None:
        """Return the value of `deliver`; None if only the asker received it, or if the asker is unknown."""
        sessions = {each.session for each in recorded.received(delivery)}
        if sessions == {recorded.session} or recorded.is_anonymous:
            return None
        subscribed = self._subscribed(delivery)
        connected = {each for each in self._transcript.connections if self._transcript.is_connected(each, delivery.at)}
        if (
            len(sessions) == 1
            and not _is_echo(recorded, delivery)
            and sessions != (connected & subscribed or connected)
        ):
            return self._role_of(delivery.session)
        return "subscribers" if sessions <= subscribed or self._may_be_subscribed(delivery.channel) else "all"

    def _subscribed(self, delivery: RecordedDelivery) -> set[int]:
        """Return the sessions that had subscribed to the channel of a notification before it."""
        names = {delivery.channel, *patterns_of(delivery.channel)}
        return {
            session
            for session, subscribed in self._transcript.subscriptions.items()
            if any(name in names and since <= delivery.at for name, since in subscribed.items())
        }

    def _may_be_subscribed(self, channel: str) -> bool:
        """True if clients may have subscribed to a channel before the recording started."""
        return not (self._complete or is_service(channel))


def _is_echo(recorded: CorrelatedRequest, delivery: RecordedDelivery) -> bool:
    """True for a message that is published to all subscribers of its channel (Bayeux 1.0 §2.2)."""
    source = recorded.source
    return isinstance(source, RecordedPublish) and source.channel == delivery.channel and is_broadcast(source.channel)
