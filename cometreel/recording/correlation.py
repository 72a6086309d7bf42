"""Correlation: which delivered message answers which request. The rule is data, a profile; nothing here knows GWS.

Works on a finished transcript, so that either order of reply and notification is fine.
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
_RecordedRequest: TypeAlias = "RecordedCall | RecordedPublish"


@dataclass(slots=True, eq=False)
class CorrelatedRequest:
    """One thing that a client asked, and the deliveries that it owns, in order."""

    source: _RecordedRequest
    owned: list[RecordedDelivery] = field(default_factory=list)
    references: dict[bytes, JoinedBy] = field(default_factory=dict)
    answered: set[tuple[int, bytes]] = field(default_factory=set)

    @property
    def at(self) -> float:
        """When it was asked."""
        return self.source.at

    @property
    def session(self) -> int:
        """Who asked."""
        return self.source.session

    @property
    def body(self) -> JSON:
        """The body of the request, or the data of the publish."""
        if isinstance(self.source, RecordedPublish):
            return self.source.message.get("data")
        return self.source.request.body.value if self.source.request.body.kind == "json" else None


@dataclass(slots=True)
class Correlation:
    """All asks in order of time, what nobody asked for, and how many deliveries found their request in which way."""

    asks: list[CorrelatedRequest]
    unsolicited: list[RecordedDelivery]
    counts: dict[JoinedBy, int]


def correlate(transcript: Transcript, profile: Profile) -> Correlation:
    """Find the request of each delivery, by the profile's rule."""
    sources: list[_RecordedRequest] = [*transcript.calls, *transcript.publishes]
    asks = [CorrelatedRequest(source) for source in sorted(sources, key=lambda source: source.at)]
    finder = _Finder(profile, transcript.anonymous, asks)
    made = Correlation(asks, [], {"reference": 0, "map": 0, "fallback": 0, "channel": 0})
    for delivery in transcript.deliveries:
        finder.settle(delivery)
    for delivery in transcript.deliveries:
        found = finder.find(delivery)
        if found is None:
            made.unsolicited.append(delivery)
            continue
        ask, how = found
        ask.owned.append(delivery)
        made.counts[how] += 1
    return made


class _Finder:
    """Indexes asks by reference; what can't be indexed is looked for backwards within the window."""

    def __init__(self, profile: Profile, anonymous: int, asks: list[CorrelatedRequest]) -> None:
        self._profile = profile
        self._anonymous = anonymous
        self._by_reference: dict[bytes, list[CorrelatedRequest]] = {}
        self._asks: dict[int, list[CorrelatedRequest]] = {}
        for ask in asks:
            self._asks.setdefault(ask.session, []).append(ask)
            ask.references = dict(_references(ask, profile))
            for reference in ask.references:
                self._by_reference.setdefault(reference, []).append(ask)

    def settle(self, delivery: RecordedDelivery) -> None:
        """Note that a request which is answered by its reference waits for no answer by another rule."""
        found = self._of_reference(delivery)
        if found is None:
            return
        for number, rule in enumerate(self._profile.fallback):
            if _is_of(delivery, rule):
                found[0].answered |= {(number, encode(value)) for value in _values(delivery.data, (rule.event,))}

    def find(self, delivery: RecordedDelivery) -> tuple[CorrelatedRequest, JoinedBy] | None:
        """The request that a delivery answers, and how that is known."""
        found = self._of_reference(delivery)
        if found is not None:
            return found
        if not any(True for _ in _values(delivery.data, self._profile.event)):
            ask_by_rule = self._by_fallback(delivery)
            if ask_by_rule is not None:
                return ask_by_rule, "fallback"
        ask_by_channel = self._by_channel(delivery)
        return (ask_by_channel, "channel") if ask_by_channel is not None else None

    def _of_reference(self, delivery: RecordedDelivery) -> tuple[CorrelatedRequest, JoinedBy] | None:
        for reference in map(encode, _values(delivery.data, self._profile.event)):
            for ask in reversed(self._by_reference.get(reference, [])):
                if self._may(ask, delivery):
                    return ask, ask.references[reference]
        return None

    def _may(self, ask: CorrelatedRequest, delivery: RecordedDelivery) -> bool:
        ours = ask.session == delivery.session or self._anonymous in (ask.session, delivery.session)
        return ours and 0 <= delivery.at - ask.at <= self._profile.window_seconds

    def _near(self, delivery: RecordedDelivery) -> list[CorrelatedRequest]:
        """The asks that may own a delivery, the latest first."""
        near: list[CorrelatedRequest] = []
        for session in {delivery.session, self._anonymous}:
            asks = self._asks.get(session, [])
            first = bisect_left(asks, delivery.at - self._profile.window_seconds, key=_when)
            near += asks[first : bisect_right(asks, delivery.at, key=_when)]
        near.sort(key=_when, reverse=True)
        return near

    def _by_fallback(self, delivery: RecordedDelivery) -> CorrelatedRequest | None:
        for number, rule in enumerate(self._profile.fallback):
            if not _is_of(delivery, rule):
                continue
            for value in _values(delivery.data, (rule.event,)):
                answer = (number, encode(value))
                asked = [ask for ask in self._near(delivery) if _asks_for(ask, rule, value, self._profile)]
                waiting = [ask for ask in asked if answer not in ask.answered]
                if waiting:  # requests are answered in the order in which they came
                    waiting[-1].answered.add(answer)
                    return waiting[-1]
        return None

    def _by_channel(self, delivery: RecordedDelivery) -> CorrelatedRequest | None:
        """A publish owns its echo, and what comes back on its own service channel."""
        for ask in self._near(delivery):
            source = ask.source
            if not isinstance(source, RecordedPublish) or source.message.get("channel") != delivery.channel:
                continue
            echo = same(source.message.get("data"), delivery.data)
            if is_service(delivery.channel) or (echo and (-1, b"") not in ask.answered):
                ask.answered.add((-1, b""))
                return ask
        return None


def _when(ask: CorrelatedRequest) -> float:
    return ask.at


def _values(document: JSON, pointers: Iterable[str]) -> Iterator[JSON]:
    for pointer in pointers:
        for _, value in find(document, pointer):
            if value is not None:
                yield value


def _references(ask: CorrelatedRequest, profile: Profile) -> Iterator[tuple[bytes, JoinedBy]]:
    reply = _reply_body(ask.source)
    for value in _values(reply, profile.map):
        if isinstance(value, dict):
            yield from ((encode(reference), "map") for reference in value.values())
        else:
            yield encode(value), "map"
    for value in [*_values(reply, profile.reply), *_values(ask.body, profile.request)]:
        yield encode(value), "reference"


def _reply_body(source: _RecordedRequest) -> JSON:
    if isinstance(source, RecordedPublish):
        return source.reply.get("data") if source.reply else None
    return source.reply.body.value if source.reply.body.kind == "json" else None


def _is_of(delivery: RecordedDelivery, rule: Fallback) -> bool:
    return all(
        any(same(value, wanted) for _, value in find(delivery.data, pointer))
        for pointer, wanted in rule.message.items()
    )


def _asks_for(ask: CorrelatedRequest, rule: Fallback, value: JSON, profile: Profile) -> bool:
    if isinstance(ask.source, RecordedCall) and ask.source.request.method == "GET":
        return False
    if rule.operations:
        operations = _values(ask.body, (profile.operation,) if profile.operation else ())
        if not any(operation in rule.operations for operation in operations if isinstance(operation, str)):
            return False
    return any(same(value, named) for where in rule.request for named in _named(ask, where, profile))


def _named(ask: CorrelatedRequest, where: str, profile: Profile) -> Iterator[JSON]:
    """The values that a request names at a place: `path-tail`, `query:NAME`, `map-keys`, `body:POINTER`."""
    kind, _, argument = where.partition(":")
    if kind == "body":
        yield from _values(ask.body, (argument,))
    elif isinstance(ask.source, RecordedCall):
        if kind == "path-tail":
            yield unquote(ask.source.request.path.rstrip("/").rpartition("/")[2])
        elif kind == "query":
            for name, value in parse_qsl(ask.source.request.query):
                if name == argument:
                    yield from value.split(",")
        elif kind == "map-keys":
            for found in _values(_reply_body(ask.source), profile.map):
                if isinstance(found, dict):
                    yield from found
