"""The summary of distilling: counts, and everything that a scenario does not contain, without recorded values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cometreel.recording.drafts import ExchangeDraft
from cometreel.recording.exchange_plan import PlannedExchange
from cometreel.recording.journal_events import WireEvent
from cometreel.recording.known_secrets import SHORTEST
from cometreel.recording.transcript import Transcript
from cometreel.scenario import RoleBlock
from cometreel.scenario.json_pointer import parse_pointer

__all__ = ["DistillSummary", "count_replaced", "omissions", "unnamed_roles"]


@dataclass(frozen=True, slots=True)
class DistillSummary:
    """Counts and omissions, without recorded values.

    `replaced` is by class and key, `correlated` by the kind of match (reference, map, fallback, channel, broadcast,
    order). `unsolicited` is the number of timeline entries that nothing joins to a request.
    """

    exchanges: int
    timeline: int
    sessions: int
    correlated: dict[str, int]
    replaced: dict[tuple[str, str], int]
    unsolicited: int
    left_out: list[str] = field(default_factory=list)
    weak: dict[str, int] = field(default_factory=dict)
    """The places of secrets that were hidden in these places only, because their values are too common."""

    def lines(self) -> list[str]:
        """Return the summary as lines of text."""
        size = (
            _count(self.exchanges, "exchange"),
            _count(self.timeline, "timeline entry"),
            _count(self.sessions, "session"),
        )
        lines = [", ".join(size)]
        matches = [f"{number} by {match}" for match, number in self.correlated.items() if number]
        lines.append("notifications: " + ", ".join([*matches, f"{self.unsolicited} unsolicited"]))
        for kind in ("secret", "personal", "identifier"):
            found = {key: number for (class_, key), number in self.replaced.items() if class_ == kind}
            if found:
                keys = ", ".join(f"{key} {number}" for key, number in sorted(found.items()))
                lines.append(f"replaced {kind} values: {sum(found.values())} ({keys})")
        if self.weak:
            places = ", ".join(place if number == 1 else f"{place} {number}" for place, number in self.weak.items())
            reason = f"shorter than {SHORTEST} characters, or equal to a name used elsewhere"
            lines.append(f"hidden in its own place only ({reason}): {places}")
        lines += [f"left out: {reason}" for reason in self.left_out]
        return lines


def omissions(transcript: Transcript, drafts: list[ExchangeDraft], planned: list[PlannedExchange]) -> Iterator[str]:
    """Yield what the exchanges do not contain; the scenario's other events are counted in the transcript."""
    names = {exchange.draft.request_key: exchange.name for exchange in reversed(planned)}
    yield from _left_out(transcript, drafts, names)
    yield from _left_out_headers(transcript, drafts, planned)
    yield from _answered_in_turn(drafts, names)
    for exchange in planned:
        if exchange.repetitions and not exchange.before:
            times = f"{exchange.repetitions} times " if exchange.repetitions > 1 else ""
            reason = "nothing shows why it changed then, so a replay changes it at once"
            yield f"{times}the repeated answer {exchange.name!r}: {reason}"


def _left_out(transcript: Transcript, drafts: list[ExchangeDraft], names: Mapping[bytes, str]) -> list[str]:
    reasons = [f"{number} times {reason}" if number > 1 else reason for reason, number in transcript.left_out.items()]
    bodies = Counter((names.get(draft.request_key, ""), draft.omitted) for draft in drafts if draft.omitted)
    for (name, reason), number in bodies.items():
        times = f", {number} times" if number > 1 else ""
        reasons.append(f"the body of the reply to {name!r}: {reason}{times}")
    return reasons


def _answered_in_turn(drafts: list[ExchangeDraft], names: Mapping[bytes, str]) -> Iterator[str]:
    """Name the requests that had different answers and differ only in values that the scenario doesn't compare."""
    repeated = {key for key, number in Counter(draft.request_key for draft in drafts).items() if number > 1}
    sent: dict[tuple[bytes, int], dict[int, set[bytes]]] = {}
    for draft in drafts:
        if draft.request_key in repeated:
            requests = sent.setdefault((draft.request_key, draft.recorded.session), {})
            requests.setdefault(draft.sent, set()).add(draft.answer_key)
    numbers: dict[bytes, int] = {}
    for (key, _), requests in sent.items():
        if len(requests) > 1 and len(set().union(*requests.values())) > 1:
            numbers[key] = max(numbers.get(key, 0), len(requests))
    for key, number in numbers.items():
        if key in names:
            reason = "it is only in values that were replaced or not kept, so they are answered in turn"
            yield f"the difference between {number} requests like {names[key]!r}: {reason}"


def unnamed_roles(roles: Mapping[str, RoleBlock], sessions: int) -> Iterator[str]:
    """Name the roles whose sessions nothing names, so that a replay can't tell which live session is which."""
    names = sorted(name for name, role in roles.items() if role.user is None and role.id is None)
    if names and sessions > 1:
        reason = "nothing names them; the first sessions that need a role get it"
        yield f"the users of the roles {', '.join(names)}: {reason}"


def _left_out_headers(
    transcript: Transcript, drafts: list[ExchangeDraft], planned: list[PlannedExchange]
) -> Iterator[str]:
    """Name the header fields that a replay doesn't repeat, and those that differ between equal answers."""
    dropped = {name for call in transcript.calls for name in call.reply.dropped_headers}
    if dropped:
        yield f"header fields of replies that the replay sets itself or doesn't need: {', '.join(sorted(dropped))}"
    answers = {(each.draft.request_key, each.draft.answer_key): each.draft for each in planned}
    varying: set[str] = set()
    for draft in drafts:
        first = answers.get((draft.request_key, draft.answer_key), draft)
        one, other = first.headers, draft.headers
        varying |= {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    if varying:
        names = ", ".join(sorted(varying))
        yield f"values of header fields that differ between equal replies, except the first: {names}"


def _count(number: int, name: str) -> str:
    if number == 1:
        return f"1 {name}"
    return f"{number} {name.removesuffix('y')}ies" if name.endswith("ry") else f"{number} {name}s"


def count_replaced(events: Iterable[WireEvent]) -> dict[tuple[str, str], int]:
    """Count the replaced values of a journal by class and key."""
    found: Counter[tuple[str, str]] = Counter()
    for event in events:
        found.update(("secret", f"header {name}") for name in event.hidden_headers)
        found.update((_class(redaction), f"query {name}") for name, redaction in event.hidden_query.items())
        found.update((_class(redaction), "path") for redaction in event.hidden_path.values())
        hidden = event.body.hidden
        found.update(("secret", _last_key(pointer)) for pointer in hidden.secret)
        found.update(("personal", _last_key(pointer)) for pointer in hidden.personal)
        found.update(("identifier", _last_key(pointer)) for pointer in hidden.identifiers)
    return dict(found)


def _class(redaction: str) -> str:
    return "identifier" if redaction.startswith("id ") else redaction


def _last_key(pointer: str) -> str:
    names = [token for token in parse_pointer(pointer) if not token.isdigit()]
    return names[-1] if names else "body"
