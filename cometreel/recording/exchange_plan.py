"""Groups drafts into exchanges and decides what distinguishes exchanges with the same request.

`as` if the answer depended on the session, `authenticated` if it was refused before the login, guards (`when:`) if the
same read had another answer after a write, otherwise the order of the exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cometreel.recording.drafts import ExchangeDraft

__all__ = ["PlannedExchange", "plan_exchanges"]


@dataclass(slots=True, eq=False)
class PlannedExchange:
    """An exchange of the scenario. `sessions` is empty for all sessions; `first` is the first use by each session."""

    draft: ExchangeDraft
    sessions: tuple[int, ...] = ()
    authenticated: bool | None = None
    after: tuple[PlannedExchange, ...] = ()
    before: tuple[PlannedExchange, ...] = ()
    first: dict[int, float] = field(default_factory=dict)
    repetitions: int = 0
    """How often a session got this answer again before it got another one."""
    order: tuple[float, int] = (0.0, 0)
    name: str = ""

    def add(self, draft: ExchangeDraft) -> None:
        """Add a draft to this exchange."""
        self.first.setdefault(draft.recorded.session, draft.at)


@dataclass(slots=True)
class _RequestGroup:
    """Sessions with the same answers to one request. Each of `runs` is a list of consecutive equal answers."""

    runs: list[list[ExchangeDraft]]
    members: dict[int, list[list[ExchangeDraft]]]
    planned: list[PlannedExchange] = field(default_factory=list)


def plan_exchanges(drafts: Sequence[ExchangeDraft]) -> list[PlannedExchange]:
    """Return the exchanges of a scenario, ordered by their first request."""
    groups: dict[bytes, list[ExchangeDraft]] = {}
    for draft in drafts:
        groups.setdefault(draft.request_key, []).append(draft)
    for group in groups.values():
        _complete(group)
    planned: list[PlannedExchange] = []
    read_clusters: list[_RequestGroup] = []
    for group in groups.values():
        exchanges, clusters = _group(group)
        planned += exchanges
        read_clusters += [cluster for cluster in clusters if group[0].is_read]
    writes = _writes(planned, drafts)
    for cluster in read_clusters:
        _add_guards(cluster, writes)
    _order_by_precision(planned)
    return sorted(planned, key=lambda exchange: exchange.order)


def _complete(group: Iterable[ExchangeDraft]) -> None:
    """Give drafts of which only the reply is known the notifications of the only other answer with this reply."""
    answers: dict[bytes, set[bytes]] = {}
    for draft in group:
        if not draft.is_half:
            answers.setdefault(draft.reply_key, set()).add(draft.answer_key)
    for draft in group:
        found = answers.get(draft.reply_key, set())
        if draft.is_half and len(found) == 1:
            (draft.answer_key,) = found


def _order_by_precision(planned: Iterable[PlannedExchange]) -> None:
    """Put requests with a condition (If-None-Match …) first and those with any body last: they match others too."""
    targets: dict[bytes, list[PlannedExchange]] = {}
    for exchange in sorted(planned, key=lambda exchange: exchange.order):
        if exchange.draft.target:
            targets.setdefault(exchange.draft.target, []).append(exchange)
    for same in targets.values():
        first, last = same[0].order[0], same[-1].order[0]
        vague = [exchange for exchange in same if exchange.draft.is_vague]
        for exchange in same:
            if exchange.draft.is_conditional:
                exchange.order = (first, -1)
        for number, exchange in enumerate(vague if len(vague) < len(same) else ()):
            exchange.order = (last, len(same) + number)


def _group(group: list[ExchangeDraft]) -> tuple[list[PlannedExchange], list[_RequestGroup]]:
    refused = [draft for draft in group if draft.refused]
    accepted = [draft for draft in group if not draft.refused]
    planned: list[PlannedExchange] = []
    has_both = bool(refused and accepted)
    if has_both:
        planned.append(_planned(refused, (), authenticated=False))
    clusters = _clusters(accepted if has_both else group)
    for number, cluster in enumerate(clusters):
        sessions = tuple(sorted(cluster.members)) if len(clusters) > 1 else ()
        _plan_cluster(cluster, tuple(session for session in sessions if session >= 0), has_both or None)
        if len(clusters) > 1 and -1 in sessions:  # exchanges for all sessions follow those with `as`
            for exchange in cluster.planned:
                exchange.order = (group[-1].at, number + 1)
        planned += cluster.planned
    return planned, clusters


def _plan_cluster(cluster: _RequestGroup, sessions: tuple[int, ...], authenticated: bool | None) -> None:
    for number, run in enumerate(cluster.runs):
        drafts = [draft for runs in cluster.members.values() for draft in (runs[number] if number < len(runs) else [])]
        exchange = _planned(drafts or run, sessions, authenticated=authenticated)
        exchange.draft = next((draft for draft in (*run, *drafts) if not draft.is_half), run[0])
        exchange.order = (run[0].at, number)
        changed = (len(runs[number]) for runs in cluster.members.values() if number + 1 < len(runs))
        exchange.repetitions = max(changed, default=1) - 1
        cluster.planned.append(exchange)


def _planned(drafts: list[ExchangeDraft], sessions: tuple[int, ...], *, authenticated: bool | None) -> PlannedExchange:
    exchange = PlannedExchange(drafts[0], sessions, authenticated, order=(drafts[0].at, 0))
    for draft in sorted(drafts, key=lambda draft: draft.at):
        exchange.add(draft)
    return exchange


def _clusters(drafts: Iterable[ExchangeDraft]) -> list[_RequestGroup]:
    """Group sessions with equal answers; a session may have fewer answers than its group."""
    by_session: dict[int, list[list[ExchangeDraft]]] = {}
    for draft in drafts:
        _extend(by_session.setdefault(draft.recorded.session, []), draft)
    clusters: list[_RequestGroup] = []
    for session, runs in sorted(by_session.items(), key=lambda item: -len(item[1])):
        cluster = next((cluster for cluster in clusters if _is_prefix(cluster.runs, runs)), None)
        if cluster is None:
            clusters.append(_RequestGroup(runs, {session: runs}))
        else:
            cluster.members[session] = runs
    for cluster in clusters:
        earliest = min(cluster.members.items(), key=lambda item: (-len(item[1]), item[1][0][0].at))
        cluster.runs = earliest[1]
    return sorted(clusters, key=lambda cluster: cluster.runs[0][0].at)


def _extend(runs: list[list[ExchangeDraft]], draft: ExchangeDraft) -> None:
    """Add a draft. Consecutive reads with the same answer share a run; each write has a run, except the last ones."""
    if runs and runs[-1][-1].answer_key == draft.answer_key:
        runs[-1].append(draft)
    else:
        if runs and not draft.is_read:
            runs[-1:] = [[one] for one in runs[-1]]
        runs.append([draft])


def _is_prefix(longer: list[list[ExchangeDraft]], runs: list[list[ExchangeDraft]]) -> bool:
    """True if one session's answers are the first ones of another session; the last ones to a write may be equal."""
    if len(runs) > len(longer) or any(
        one[0].answer_key != other[0].answer_key for one, other in zip(runs, longer, strict=False)
    ):
        return False
    return len(runs) == len(longer) or runs[-1][0].is_read or len(runs[-1]) <= len(longer[len(runs) - 1])


def _writes(
    planned: Iterable[PlannedExchange], drafts: Iterable[ExchangeDraft]
) -> dict[int, list[tuple[float, PlannedExchange]]]:
    """Return the writes of each session in order, with their exchanges."""
    by_draft: dict[bytes, list[PlannedExchange]] = {}
    for exchange in planned:
        by_draft.setdefault(exchange.draft.request_key, []).append(exchange)
    writes: dict[int, list[tuple[float, PlannedExchange]]] = {}
    for draft in drafts:
        session = draft.recorded.session
        if draft.is_read:
            continue
        for exchange in by_draft[draft.request_key]:
            if exchange.draft.answer_key == draft.answer_key and (
                not exchange.sessions or session in exchange.sessions
            ):
                writes.setdefault(session, []).append((draft.at, exchange))
                break
    return writes


def _add_guards(cluster: _RequestGroup, writes: dict[int, list[tuple[float, PlannedExchange]]]) -> None:
    """Guard different answers to one read with the write between them, so that a replay doesn't answer too early.

    All answers between two writes get the same guards, because only exchanges with equal guards are played in order.
    """
    start, after = 0, tuple[PlannedExchange, ...]()
    for number in range(len(cluster.planned)):
        write = _write_between(cluster, number, writes)
        if write is None and number + 1 < len(cluster.planned):
            continue
        before = () if write is None else (write,)
        for exchange in cluster.planned[start : number + 1]:
            exchange.after, exchange.before = after, before
        start, after = number + 1, before


def _write_between(
    cluster: _RequestGroup, number: int, writes: dict[int, list[tuple[float, PlannedExchange]]]
) -> PlannedExchange | None:
    """Return the last write that every session with both answers made between them, and no session before; or None."""
    common: list[PlannedExchange] | None = None
    earlier: list[PlannedExchange] = []
    for session, runs in cluster.members.items():
        session_writes = writes.get(session, [])
        start = runs[min(number, len(runs) - 1)][-1].at
        earlier += [write for at, write in session_writes if at <= start]
        if number + 1 < len(runs):
            between = [write for at, write in session_writes if start < at <= runs[number + 1][0].at]
            common = between if common is None else [write for write in common if write in between]
    found = [write for write in common or () if write not in earlier]
    return found[-1] if found else None
