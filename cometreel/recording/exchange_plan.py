"""The plan: which drafts become one exchange, and what each exchange must say besides its request and its answer.

`as` where the answer depended on who asked, `authenticated` where the first was refused, guards where the same
read gave another answer after something was done, and otherwise one exchange after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cometreel.recording.drafts import ExchangeDraft

__all__ = ["PlannedExchange", "plan_exchanges"]


@dataclass(slots=True, eq=False)
class PlannedExchange:
    """One exchange to be. `sessions` is empty for everybody; `first` says when each session first played it."""

    draft: ExchangeDraft
    sessions: tuple[int, ...] = ()
    authenticated: bool | None = None
    after: list[PlannedExchange] = field(default_factory=list)
    before: list[PlannedExchange] = field(default_factory=list)
    first: dict[int, float] = field(default_factory=dict)
    order: tuple[float, int] = (0.0, 0)
    name: str = ""

    def played(self, draft: ExchangeDraft) -> None:
        """Note that a draft is this exchange."""
        self.first.setdefault(draft.ask.session, draft.at)


@dataclass(slots=True)
class _Cluster:
    """Sessions that got the same answers to one request, and those answers as runs of equal ones."""

    runs: list[list[ExchangeDraft]]
    members: dict[int, list[list[ExchangeDraft]]]
    planned: list[PlannedExchange] = field(default_factory=list)


def plan_exchanges(drafts: Sequence[ExchangeDraft]) -> list[PlannedExchange]:
    """Plan the exchanges of a scenario, in the order in which they were first asked."""
    groups: dict[str, list[ExchangeDraft]] = {}
    for draft in drafts:
        groups.setdefault(draft.trigger, []).append(draft)
    planned: list[PlannedExchange] = []
    reading: list[_Cluster] = []
    for group in groups.values():
        made, clusters = _group(group)
        planned += made
        reading += [cluster for cluster in clusters if group[0].reads]
    acts = _acts(planned, drafts)
    for cluster in reading:
        _guard(cluster, acts)
    return sorted(planned, key=lambda exchange: exchange.order)


def _group(group: list[ExchangeDraft]) -> tuple[list[PlannedExchange], list[_Cluster]]:
    refused = [draft for draft in group if draft.refused]
    accepted = [draft for draft in group if not draft.refused]
    made: list[PlannedExchange] = []
    both = bool(refused and accepted)
    if both:
        made.append(_planned(refused, (), authenticated=False))
    clusters = _clusters(accepted if both else group)
    for number, cluster in enumerate(clusters):
        sessions = tuple(sorted(cluster.members)) if len(clusters) > 1 else ()
        _emit(cluster, tuple(session for session in sessions if session >= 0), both or None)
        if len(clusters) > 1 and -1 in sessions:  # for anybody else, so it comes after those for somebody
            for exchange in cluster.planned:
                exchange.order = (group[-1].at, number + 1)
        made += cluster.planned
    return made, clusters


def _emit(cluster: _Cluster, sessions: tuple[int, ...], authenticated: bool | None) -> None:
    for number, run in enumerate(cluster.runs):
        played = [draft for runs in cluster.members.values() for draft in (runs[number] if number < len(runs) else [])]
        exchange = _planned(played or run, sessions, authenticated=authenticated)
        exchange.draft = run[0]
        exchange.order = (run[0].at, number)
        cluster.planned.append(exchange)


def _planned(drafts: list[ExchangeDraft], sessions: tuple[int, ...], *, authenticated: bool | None) -> PlannedExchange:
    exchange = PlannedExchange(drafts[0], sessions, authenticated, order=(drafts[0].at, 0))
    for draft in sorted(drafts, key=lambda draft: draft.at):
        exchange.played(draft)
    return exchange


def _clusters(drafts: Iterable[ExchangeDraft]) -> list[_Cluster]:
    """Put sessions together whose answers don't contradict: one's are the beginning of the other's."""
    by_session: dict[int, list[list[ExchangeDraft]]] = {}
    for draft in drafts:
        _extend(by_session.setdefault(draft.ask.session, []), draft)
    clusters: list[_Cluster] = []
    for session, runs in sorted(by_session.items(), key=lambda item: -len(item[1])):
        cluster = next((cluster for cluster in clusters if _begins(cluster.runs, runs)), None)
        if cluster is None:
            clusters.append(_Cluster(runs, {session: runs}))
        else:
            cluster.members[session] = runs
    for cluster in clusters:
        earliest = min(cluster.members.items(), key=lambda item: (-len(item[1]), item[1][0][0].at))
        cluster.runs = earliest[1]
    return sorted(clusters, key=lambda cluster: cluster.runs[0][0].at)


def _extend(runs: list[list[ExchangeDraft]], draft: ExchangeDraft) -> None:
    """Add a draft: reads in a row with the same answer are one run, acts are a run each, but for the last ones."""
    if runs and runs[-1][-1].answer == draft.answer:
        runs[-1].append(draft)
    else:
        if runs and not draft.reads:
            runs[-1:] = [[one] for one in runs[-1]]
        runs.append([draft])


def _begins(longer: list[list[ExchangeDraft]], runs: list[list[ExchangeDraft]]) -> bool:
    return len(runs) <= len(longer) and all(
        one[0].answer == other[0].answer for one, other in zip(runs, longer, strict=False)
    )


def _acts(
    planned: Iterable[PlannedExchange], drafts: Iterable[ExchangeDraft]
) -> dict[int, list[tuple[float, PlannedExchange]]]:
    """What each session did, in order: the exchanges that don't only read."""
    by_draft: dict[str, list[PlannedExchange]] = {}
    for exchange in planned:
        by_draft.setdefault(exchange.draft.trigger, []).append(exchange)
    acts: dict[int, list[tuple[float, PlannedExchange]]] = {}
    for draft in drafts:
        session = draft.ask.session
        if draft.reads:
            continue
        for exchange in by_draft[draft.trigger]:
            if exchange.draft.answer == draft.answer and (not exchange.sessions or session in exchange.sessions):
                acts.setdefault(session, []).append((draft.at, exchange))
                break
    return acts


def _guard(cluster: _Cluster, acts: dict[int, list[tuple[float, PlannedExchange]]]) -> None:
    """Say what was done between two answers, so that asking once more doesn't show the future."""
    for number in range(len(cluster.runs) - 1):
        act = _between(cluster, number, acts)
        if act is not None:
            cluster.planned[number].before.append(act)
            cluster.planned[number + 1].after.append(act)


def _between(
    cluster: _Cluster, number: int, acts: dict[int, list[tuple[float, PlannedExchange]]]
) -> PlannedExchange | None:
    """The last act that every session did between two answers and not before them."""
    common: list[PlannedExchange] | None = None
    for session, runs in cluster.members.items():
        if number + 1 >= len(runs):
            continue
        start, end = runs[number][-1].at, runs[number + 1][0].at
        done = acts.get(session, [])
        earlier = [act for at, act in done if at <= start]
        here = [act for at, act in done if start < at <= end and act not in earlier]
        common = here if common is None else [act for act in common if act in here]
    return common[-1] if common else None
