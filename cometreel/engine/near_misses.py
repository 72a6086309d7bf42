"""Near misses: the exchanges closest to an unmatched request, what matched and what differs.

Nothing is played and no session is changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from cometreel.engine.matching import passes
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.sessions import Session
from cometreel.http_fields import error_reply
from cometreel.jsonvalue import JSON
from cometreel.masking import masked_text
from cometreel.scenario import Difference, Exchange, Mismatch, NormalizedPublish, NormalizedRequest, RequestOrPublish
from cometreel.scenario.exchange import ExchangeGroup
from cometreel.scenario.matchers import shortened
from cometreel.scenario.normalized_request import as_get
from cometreel.scenario.request_pattern import RequestPattern
from cometreel.wire import Headers, Reply

__all__ = ["Miss", "NearMiss", "explain", "miss_reply"]

_SHOWN = 3
_LISTED = 10
"""The maximum number of differences that are listed for one exchange."""

_WEIGHTS = {"": 12.0, "/path": 4.0, "/channel": 4.0, "/method": 3.0}


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An exchange close to a request: what matched and what differs; `why` it didn't answer if nothing differs."""

    exchange: Exchange
    agreed: tuple[str, ...]
    differences: tuple[Difference, ...]
    why: str = ""

    @property
    def distance(self) -> float:
        """The sum of the weights of all differences; that of the path depends on the similarity."""
        return sum(_weight(difference) for difference in self.differences)

    def __str__(self) -> str:
        if self.why:
            return f"{self.exchange.name!r} ({self.exchange.position}) matches, but {self.why}"
        parts = [f"{_part(d.where)} is {d.found}, expected {d.expected}" for d in self.differences[:_LISTED]]
        parts += ["and more"] if len(self.differences) > _LISTED else []
        agreed = ", ".join(dict.fromkeys(_part(where) for where in self.agreed[:_LISTED])) or "nothing"
        return f"{self.exchange.name!r} ({self.exchange.position}): {'; '.join(parts)}; agreed: {agreed}"

    def as_json(self) -> JSON:
        """Return the near miss as JSON."""
        listed = self.differences[:_LISTED]
        differs: list[JSON] = [{"where": d.where, "expected": d.expected, "found": d.found} for d in listed]
        agreed: list[JSON] = [*self.agreed[:_LISTED]]
        near: dict[str, JSON] = {"exchange": self.exchange.name, "agreed": agreed, "differs": differs}
        return {**near, "but": self.why} if self.why else near


@dataclass(frozen=True, slots=True)
class Miss:
    """An unmatched request or publish."""

    description: str
    nearest: tuple[NearMiss, ...]
    allowed: tuple[str, ...] = ()
    """The methods of the exchanges with the same path, if none has the method of the request."""
    malformed: bool = False
    """True if the Content-Type is JSON and the body isn't."""

    def __str__(self) -> str:
        text = f"no exchange answers {self.description}"
        if self.malformed:
            text += "; its body isn't JSON, though its Content-Type says so"
        if not self.nearest:
            return f"{text}; no exchange of the scenario is similar"
        return f"{text}; nearest: " + " | ".join(map(str, self.nearest))


def _part(where: str) -> str:
    return where.lstrip("/").replace("/", ".") or "the kind of request"


def _weight(difference: Difference) -> float:
    weight = _WEIGHTS.get(difference.where, 1.0)
    if difference.where in ("/path", "/channel"):
        weight *= 1.0 - SequenceMatcher(None, difference.expected, difference.found).ratio()
    return weight


def explain(normalized: RequestOrPublish, session: Session, prepared: PreparedScenario) -> Miss:
    """Return the exchanges closest to a request that is unmatched in this session."""
    near = [_compare(group, normalized, session) for group in prepared.similar_groups(normalized)]
    near.sort(key=lambda one: (one.distance, -len(one.agreed), one.exchange.index))
    malformed = (
        isinstance(normalized, NormalizedRequest)
        and bool(normalized.content)
        and not normalized.is_json
        and "json" in (normalized.headers.get("content-type") or "").lower()
    )
    return Miss(_description(normalized), tuple(near[:_SHOWN]), _allowed(near), malformed)


def _description(normalized: RequestOrPublish) -> str:
    if isinstance(normalized, NormalizedPublish):
        return f"the publish on {shortened(masked_text(normalized.channel))}"
    return f"{normalized.method} {shortened(masked_text(str(normalized.path)))}"


def _allowed(near: Iterable[NearMiss]) -> tuple[str, ...]:
    """Return the methods of the exchanges with the path of the request; none if its method is among them."""
    allowed = set()
    for one in near:
        places = {difference.where: difference for difference in one.differences}
        if "/path" in places or "" in places:
            continue
        if "/method" not in places:
            return ()
        allowed.add(places["/method"].expected)
    return tuple(sorted(allowed))


def _compare(group: ExchangeGroup, normalized: RequestOrPublish, session: Session) -> NearMiss:
    first = group.exchanges[0]
    if isinstance(normalized, NormalizedRequest) and normalized.method == "HEAD" and _is_get(first):
        normalized = as_get(normalized)
    result = group.match(normalized, session.ids)
    if isinstance(result, Mismatch):
        return NearMiss(first, result.agreed, result.differences)
    return NearMiss(first, (), (), _why(group, session))


def _is_get(exchange: Exchange) -> bool:
    return isinstance(exchange.trigger, RequestPattern) and exchange.trigger.method == "GET"


def _why(group: ExchangeGroup, session: Session) -> str:
    """Return why a group doesn't answer although its trigger matches."""
    first, last = group.exchanges[0], group.exchanges[-1]
    if first.roles and session.role not in first.roles:
        plays = f"plays {session.role}" if session.role else "plays no role"
        return f"it is for {', '.join(sorted(first.roles))} and this session {plays}"
    if not passes(first, session):
        return _guard(first, session)
    return f"it is used up: played {session.plays.counts[last.name]} times in this session, and `repeat: fail`"


def _guard(exchange: Exchange, session: Session) -> str:
    if exchange.authenticated is not None and exchange.authenticated is not session.authenticated:
        return f"it is for sessions that have {'' if exchange.authenticated else 'not '}logged in"
    early = [name for name in exchange.after if not session.plays.was_played(name)]
    if early:
        return f"it comes after {early[0]!r}, which was not played yet in this session"
    late = [name for name in exchange.before if session.plays.was_played(name)]
    if late:
        return f"it comes before {late[0]!r}, which was played already in this session"
    return "its guards don't pass"


def miss_reply(request_id: int, miss: Miss) -> Reply:
    """Return the reply to an unmatched request: 404, 405 for a wrong method, 400 for a body that isn't JSON."""
    status, code = (405, 6) if miss.allowed else (400, 2) if miss.malformed else (404, 6)
    text = str(miss)
    nearest: list[JSON] = [near.as_json() for near in miss.nearest]
    reply = error_reply(request_id, status, code, text[0].upper() + text[1:], nearest=nearest)
    if status != 405:
        return reply
    return Reply(request_id, status, Headers([*reply.headers, ("Allow", ", ".join(miss.allowed))]), reply.body)
