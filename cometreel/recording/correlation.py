"""Matches notifications to the requests that caused them. The rules are data: a correlation profile.

Works on a complete transcript, so a notification may arrive before the reply.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from cometreel.bayeux import is_service
from cometreel.jsonvalue import JSON, encode, same
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, RecordedPublish, Transcript
from cometreel.scenario import Profile
from cometreel.scenario.json_pointer import find
from cometreel.scenario.profiles import Fallback

__all__ = ["CorrelatedRequest", "Correlation", "JoinedBy", "correlate"]

JoinedBy: TypeAlias = Literal["reference", "map", "fallback", "channel"]
_RequestSource: TypeAlias = "RecordedCall | RecordedPublish"


@dataclass(slots=True, eq=False)
class CorrelatedRequest:
    """A recorded call or publish with the notifications that answer it, in order."""

    source: _RequestSource
    deliveries: list[RecordedDelivery] = field(default_factory=list)
    references: dict[bytes, JoinedBy] = field(default_factory=dict)
    answered_fallbacks: set[tuple[int, bytes]] = field(default_factory=set)

    @property
    def at(self) -> float:
        """Time of the request, in seconds since the start of the journal."""
        return self.source.at

    @property
    def session(self) -> int:
        """Number of the session."""
        return self.source.session

    @property
    def body(self) -> JSON:
        """The body of the request, or the data of the publish."""
        if isinstance(self.source, RecordedPublish):
            return self.source.message.get("data")
        return self.source.request.body.value if self.source.request.body.kind == "json" else None


@dataclass(slots=True)
class Correlation:
    """All requests ordered by time, the unsolicited deliveries, and the number of deliveries by kind of match."""

    requests: list[CorrelatedRequest]
    unsolicited: list[RecordedDelivery]
    counts: dict[JoinedBy, int]


def correlate(transcript: Transcript, profile: Profile) -> Correlation:
    """Find the request of each delivery with the rules of a profile."""
    sources: list[_RequestSource] = [*transcript.calls, *transcript.publishes]
    requests = [CorrelatedRequest(source) for source in sorted(sources, key=lambda source: source.at)]
    finder = _Finder(profile, transcript.anonymous, requests)
    correlation = Correlation(requests, [], {"reference": 0, "map": 0, "fallback": 0, "channel": 0})
    for delivery in transcript.deliveries:
        finder.mark_answered(delivery)
    for delivery in transcript.deliveries:
        found = finder.find(delivery)
        if found is None:
            correlation.unsolicited.append(delivery)
            continue
        request, joined_by = found
        request.deliveries.append(delivery)
        correlation.counts[joined_by] += 1
    return correlation


class _Finder:
    """Finds requests by reference with an index, and by the other rules backwards within the time window."""

    def __init__(self, profile: Profile, anonymous: int, requests: list[CorrelatedRequest]) -> None:
        self._profile = profile
        self._anonymous = anonymous
        self._by_reference: dict[bytes, list[CorrelatedRequest]] = {}
        self._by_session: dict[int, list[CorrelatedRequest]] = {}
        for request in requests:
            self._by_session.setdefault(request.session, []).append(request)
            request.references = dict(_references(request, profile))
            for reference in request.references:
                self._by_reference.setdefault(reference, []).append(request)

    def mark_answered(self, delivery: RecordedDelivery) -> None:
        """Exclude a request that is answered by its reference from the fallback rules."""
        found = self._by_own_reference(delivery)
        if found is None:
            return
        for number, rule in enumerate(self._profile.fallback):
            if _matches(delivery, rule):
                found[0].answered_fallbacks |= {
                    (number, encode(value)) for value in _values(delivery.data, (rule.event,))
                }

    def find(self, delivery: RecordedDelivery) -> tuple[CorrelatedRequest, JoinedBy] | None:
        """Return the request that a delivery answers and the kind of match, or None."""
        found = self._by_own_reference(delivery)
        if found is not None:
            return found
        if not any(True for _ in _values(delivery.data, self._profile.event)):
            by_fallback = self._by_fallback(delivery)
            if by_fallback is not None:
                return by_fallback, "fallback"
        by_channel = self._by_channel(delivery)
        return (by_channel, "channel") if by_channel is not None else None

    def _by_own_reference(self, delivery: RecordedDelivery) -> tuple[CorrelatedRequest, JoinedBy] | None:
        for reference in map(encode, _values(delivery.data, self._profile.event)):
            for request in reversed(self._by_reference.get(reference, [])):
                if self._can_answer(request, delivery):
                    return request, request.references[reference]
        return None

    def _can_answer(self, request: CorrelatedRequest, delivery: RecordedDelivery) -> bool:
        is_same_session = request.session == delivery.session or self._anonymous in (request.session, delivery.session)
        return is_same_session and 0 <= delivery.at - request.at <= self._profile.window_seconds

    def _recent(self, delivery: RecordedDelivery) -> list[CorrelatedRequest]:
        """Return the requests within the time window before a delivery, the latest first."""
        recent: list[CorrelatedRequest] = []
        for session in {delivery.session, self._anonymous}:
            requests = self._by_session.get(session, [])
            first = bisect_left(requests, delivery.at - self._profile.window_seconds, key=_time)
            recent += requests[first : bisect_right(requests, delivery.at, key=_time)]
        recent.sort(key=_time, reverse=True)
        return recent

    def _by_fallback(self, delivery: RecordedDelivery) -> CorrelatedRequest | None:
        for number, rule in enumerate(self._profile.fallback):
            if not _matches(delivery, rule):
                continue
            for value in _values(delivery.data, (rule.event,)):
                answer = (number, encode(value))
                candidates = [
                    request
                    for request in self._recent(delivery)
                    if _requests_value(request, rule, value, self._profile)
                ]
                waiting = [request for request in candidates if answer not in request.answered_fallbacks]
                if waiting:  # requests are answered in order
                    waiting[-1].answered_fallbacks.add(answer)
                    return waiting[-1]
        return None

    def _by_channel(self, delivery: RecordedDelivery) -> CorrelatedRequest | None:
        """Return the publish that a delivery echoes, or whose service channel it uses."""
        for request in self._recent(delivery):
            source = request.source
            if not isinstance(source, RecordedPublish) or source.message.get("channel") != delivery.channel:
                continue
            echo = same(source.message.get("data"), delivery.data)
            if is_service(delivery.channel) or (echo and (-1, b"") not in request.answered_fallbacks):
                request.answered_fallbacks.add((-1, b""))
                return request
        return None


def _time(request: CorrelatedRequest) -> float:
    return request.at


def _values(document: JSON, pointers: Iterable[str]) -> Iterator[JSON]:
    for pointer in pointers:
        for _, value in find(document, pointer):
            if value is not None:
                yield value


def _references(request: CorrelatedRequest, profile: Profile) -> Iterator[tuple[bytes, JoinedBy]]:
    reply = _reply_body(request.source)
    for value in _values(reply, profile.map):
        if isinstance(value, dict):
            yield from ((encode(reference), "map") for reference in value.values())
        else:
            yield encode(value), "map"
    for value in [*_values(reply, profile.reply), *_values(request.body, profile.request)]:
        yield encode(value), "reference"


def _reply_body(source: _RequestSource) -> JSON:
    if isinstance(source, RecordedPublish):
        return source.reply.get("data") if source.reply else None
    return source.reply.body.value if source.reply.body.kind == "json" else None


def _matches(delivery: RecordedDelivery, rule: Fallback) -> bool:
    return all(
        any(same(value, wanted) for _, value in find(delivery.data, pointer))
        for pointer, wanted in rule.message.items()
    )


def _requests_value(request: CorrelatedRequest, rule: Fallback, value: JSON, profile: Profile) -> bool:
    if isinstance(request.source, RecordedCall) and request.source.request.method == "GET":
        return False
    if rule.operations:
        operations = _values(request.body, (profile.operation,) if profile.operation else ())
        if not any(operation in rule.operations for operation in operations if isinstance(operation, str)):
            return False
    return any(same(value, named) for place in rule.request for named in _values_at(request, place, profile))


def _values_at(request: CorrelatedRequest, place: str, profile: Profile) -> Iterator[JSON]:
    """Yield the values at a place of a request: `path-tail`, `query:NAME`, `map-keys` or `body:POINTER`."""
    kind, _, argument = place.partition(":")
    if kind == "body":
        yield from _values(request.body, (argument,))
    elif isinstance(request.source, RecordedCall):
        if kind == "path-tail":
            yield unquote(request.source.request.path.rstrip("/").rpartition("/")[2])
        elif kind == "query":
            for name, value in parse_qsl(request.source.request.query):
                if name == argument:
                    yield from value.split(",")
        elif kind == "map-keys":
            for found in _values(_reply_body(request.source), profile.map):
                if isinstance(found, dict):
                    yield from found
