"""Matches notifications to the requests that caused them. The rules are data: a correlation profile.

Works on a complete transcript, so a notification may arrive before the reply.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, get_args
from urllib.parse import parse_qsl, unquote

from cometreel.bayeux import is_broadcast, is_service
from cometreel.jsonvalue import JSON, encode, same
from cometreel.recording.transcript import COPY_SECONDS, RecordedCall, RecordedDelivery, RecordedPublish, Transcript
from cometreel.scenario import Profile
from cometreel.scenario.json_pointer import find
from cometreel.scenario.profiles import Fallback

__all__ = ["CorrelatedRequest", "Correlation", "JoinedBy", "correlate"]

JoinedBy: TypeAlias = Literal["reference", "map", "fallback", "channel", "broadcast", "order"]
_RequestSource: TypeAlias = "RecordedCall | RecordedPublish"
_ANONYMOUS = -1
_T = TypeVar("_T")
_ECHO = -1
"""The number of the rule that a delivery echoes a publish."""


@dataclass(slots=True, eq=False)
class CorrelatedRequest:
    """A recorded call or publish with the notifications that answer it, in order.

    Most requests have none, and there are many: an empty tuple is shared, an empty list needs memory.
    """

    source: _RequestSource
    deliveries: Sequence[RecordedDelivery] = ()
    copies: Sequence[tuple[RecordedDelivery, RecordedDelivery]] = ()
    """The same message as other sessions received it, each after the delivery in `deliveries`."""
    followers: Sequence[RecordedDelivery] = ()
    """The notifications that are joined only because this is the last request before them."""
    could_receive: bool = True
    """False if the session had no CometD client that could receive an answer."""

    def received(self, delivery: RecordedDelivery) -> list[RecordedDelivery]:
        """Return a delivery, and the same message as other sessions received it."""
        return [delivery, *(copy for original, copy in self.copies if original is delivery)]

    @property
    def at(self) -> float:
        """Time of the request, in seconds since the start of the journal."""
        return self.source.at

    @property
    def session(self) -> int:
        """Number of the session."""
        return self.source.session

    @property
    def is_anonymous(self) -> bool:
        """True if nothing in the request identifies a session."""
        return isinstance(self.source, RecordedCall) and (self.source.anonymous or self.source.session == _ANONYMOUS)

    @property
    def body(self) -> JSON:
        """The body of the request, or the data of the publish."""
        if isinstance(self.source, RecordedPublish):
            return self.source.data
        return self.source.request.body.value if self.source.request.body.kind == "json" else None


@dataclass(slots=True)
class Correlation:
    """All requests ordered by time, the unsolicited deliveries, and the kind of match of the others.

    Deliveries that are joined by order are among the unsolicited ones too.
    """

    requests: list[CorrelatedRequest]
    unsolicited: list[RecordedDelivery] = field(default_factory=list)
    joined_by: dict[RecordedDelivery, JoinedBy] = field(default_factory=dict)

    @property
    def counts(self) -> dict[JoinedBy, int]:
        """The number of deliveries by kind of match."""
        counted = Counter(self.joined_by.values())
        return {kind: counted[kind] for kind in get_args(JoinedBy)}

    def release(self, request: CorrelatedRequest) -> None:
        """Make the notifications of a request unsolicited, because the request can't be used."""
        released = [*request.deliveries, *(copy for _, copy in request.copies)]
        for delivery in (*released, *request.followers):
            self.joined_by.pop(delivery, None)
        self.unsolicited = sorted([*self.unsolicited, *released], key=lambda delivery: delivery.at)
        request.deliveries, request.copies, request.followers = (), (), ()


def correlate(transcript: Transcript, profile: Profile) -> Correlation:
    """Find the request of each delivery with the rules of a profile.

    A message that other sessions received too, or instead, is a broadcast of one cause. If the rules join nothing at
    all, each delivery follows the last request before it in its session.
    """
    sources: list[_RequestSource] = [*transcript.calls, *transcript.publishes]
    requests = [
        CorrelatedRequest(source, could_receive=_could_receive(source, transcript))
        for source in sorted(sources, key=lambda source: source.at)
    ]
    finder = _Finder(profile, transcript, requests)
    correlation = Correlation(requests)
    joined_by = correlation.joined_by
    for delivery in transcript.deliveries:
        finder.mark_answered(delivery)
    broadcasts = _Broadcasts(finder, several=_several_sessions(transcript))
    unsolicited: list[RecordedDelivery] = []
    for delivery in transcript.deliveries:
        found = finder.find(delivery)
        if found is None:
            unsolicited.append(delivery)
            continue
        request, joined_by[delivery] = found
        request.deliveries = _added(request.deliveries, delivery)
        broadcasts.add(request, delivery)
    for delivery in unsolicited:
        if broadcasts.join(delivery):
            joined_by[delivery] = "broadcast"
        else:
            correlation.unsolicited.append(delivery)
    if not joined_by:
        joined_by.update({each: "order" for each in correlation.unsolicited if finder.follow(each)})
    return correlation


def _added(items: Sequence[_T], item: _T) -> Sequence[_T]:
    """Return the items with another one; a list is changed, because it may be long."""
    if not isinstance(items, list):
        return [*items, item]
    items.append(item)
    return items


def _could_receive(source: _RequestSource, transcript: Transcript) -> bool:
    times = transcript.connections.get(source.session)
    return times is not None and source.at <= times[-1][1]


def _several_sessions(transcript: Transcript) -> bool:
    callers = {call.session for call in transcript.calls} - {_ANONYMOUS}
    return len({*transcript.connections, *callers, *(each.session for each in transcript.deliveries)}) > 1


class _Finder:
    """Finds requests by reference with an index, and by the other rules backwards within the time window."""

    def __init__(self, profile: Profile, transcript: Transcript, requests: list[CorrelatedRequest]) -> None:
        self._profile = profile
        self._listeners = _Listeners(transcript)
        self._by_reference: dict[bytes, list[tuple[CorrelatedRequest, JoinedBy]]] = {}
        self._answered: set[tuple[CorrelatedRequest, int, bytes]] = set()
        """Requests whose answer by a rule, given by its number, with a value was found."""
        self._by_session: dict[int, list[CorrelatedRequest]] = {}
        self._publishes: dict[str, list[CorrelatedRequest]] = {}
        for request in requests:
            if isinstance(request.source, RecordedPublish):
                self._publishes.setdefault(request.source.channel, []).append(request)
            key = _ANONYMOUS if request.is_anonymous else request.session
            self._by_session.setdefault(key, []).append(request)
            for reference, joined_by in dict(_references(request, profile)).items():
                self._by_reference.setdefault(reference, []).append((request, joined_by))

    def mark_answered(self, delivery: RecordedDelivery) -> None:
        """Exclude a request that is answered by its reference from the fallback rules."""
        found = self._by_own_reference(delivery)
        if found is None:
            return
        for number, rule in enumerate(self._profile.fallback):
            if _matches(delivery, rule):
                self._answered |= {(found[0], number, encode(value)) for value in _values(delivery.data, (rule.event,))}

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
            for request, joined_by in reversed(self._by_reference.get(reference, [])):
                if self._can_answer(request, delivery):
                    return request, joined_by
        return None

    def _can_answer(self, request: CorrelatedRequest, delivery: RecordedDelivery) -> bool:
        if not self._is_recent(request, delivery):
            return False
        if request.is_anonymous or not request.could_receive:
            return self._listeners.only(delivery.at) == delivery.session
        return request.session == delivery.session

    def _is_recent(self, request: CorrelatedRequest, delivery: RecordedDelivery) -> bool:
        return 0 <= delivery.at - request.at <= self._profile.window_seconds

    def _recent(self, delivery: RecordedDelivery) -> list[CorrelatedRequest]:
        """Return the requests within the time window before a delivery, the latest first."""
        recent: list[CorrelatedRequest] = []
        sessions = [delivery.session]
        if _ANONYMOUS in self._by_session and self._listeners.only(delivery.at) == delivery.session:
            sessions.append(_ANONYMOUS)
        for session in sessions:
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
                answer = encode(value)
                candidates = [
                    request
                    for request in self._recent(delivery)
                    if _requests_value(request, rule, value, self._profile)
                ]
                waiting = [request for request in candidates if (request, number, answer) not in self._answered]
                if waiting:  # requests are answered in order
                    self._answered.add((waiting[-1], number, answer))
                    return waiting[-1]
        return None

    def _by_channel(self, delivery: RecordedDelivery) -> CorrelatedRequest | None:
        """Return the publish that a delivery echoes, or whose service channel it uses."""
        for request in self._recent(delivery):
            source = request.source
            if not isinstance(source, RecordedPublish) or source.channel != delivery.channel:
                continue
            echo = _echoes(request, delivery)
            if is_service(delivery.channel) or (echo and (request, _ECHO, b"") not in self._answered):
                self._answered.add((request, _ECHO, b""))
                return request
        return None

    def cause_elsewhere(self, delivery: RecordedDelivery) -> CorrelatedRequest | None:
        """Return the request of another session that alone has a delivery's reference, or whose publish it repeats."""
        for reference in map(encode, _values(delivery.data, self._profile.event)):
            found = [each for each, _ in self._by_reference.get(reference, ()) if not each.is_anonymous]
            recent = [each for each in found if self._is_recent(each, delivery)]
            if len(recent) == 1 and all(each.session != delivery.session for each in found):
                return recent[0]
        if is_broadcast(delivery.channel):
            publishes = (each for each in self._publishes.get(delivery.channel, ()) if self._is_recent(each, delivery))
            return max((each for each in publishes if _echoes(each, delivery)), key=_time, default=None)
        return None

    def follow(self, delivery: RecordedDelivery) -> bool:
        """Join a delivery to the last request before it in its session; return False if there is none."""
        recent = self._recent(delivery)
        if recent:
            recent[0].followers = _added(recent[0].followers, delivery)
        return bool(recent)


class _Listeners:
    """The sessions with a push connection that send no request of their own."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._first_call: dict[int, float] = {}
        for call in transcript.calls:
            if not call.anonymous:
                self._first_call.setdefault(call.session, call.at)

    def only(self, at: float) -> int | None:
        """Return the only such session whose connection is live at a time; None if there are several or none."""
        live = [
            session
            for session in self._transcript.connections
            if self._transcript.is_connected(session, at) and self._first_call.get(session, at + 1) > at
        ]
        return live[0] if len(live) == 1 else None


class _Broadcasts:
    """Finds the deliveries of one message to several sessions, or to another session than that of the request."""

    def __init__(self, finder: _Finder, *, several: bool) -> None:
        self._finder, self._several = finder, several
        self._joined: dict[tuple[str, bytes], list[tuple[CorrelatedRequest, RecordedDelivery]]] = {}

    def add(self, request: CorrelatedRequest, delivery: RecordedDelivery) -> None:
        """Add a delivery that is joined to its request."""
        if self._several:
            self._joined.setdefault(_content(delivery), []).append((request, delivery))

    def join(self, delivery: RecordedDelivery) -> bool:
        """Join the delivery to a cause in another session; return False if there is none."""
        if not self._several:
            return False
        for request, original in self._joined.get(_content(delivery), ()):
            sessions = {each.session for each in request.received(original)}
            is_near = abs(delivery.at - original.at) <= COPY_SECONDS and delivery.at >= request.at
            if is_near and delivery.session not in sessions:
                request.copies = _added(request.copies, (original, delivery))
                return True
        cause = self._finder.cause_elsewhere(delivery)
        if cause is None:
            return False
        cause.deliveries = sorted([*cause.deliveries, delivery], key=lambda one: one.at)
        self.add(cause, delivery)
        return True


def _content(delivery: RecordedDelivery) -> tuple[str, bytes]:
    return delivery.channel, encode(delivery.data)


def _echoes(request: CorrelatedRequest, delivery: RecordedDelivery) -> bool:
    source = request.source
    if not isinstance(source, RecordedPublish) or source.channel != delivery.channel:
        return False
    return same(source.data, delivery.data)


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
        return (source.reply or {}).get("data")
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
