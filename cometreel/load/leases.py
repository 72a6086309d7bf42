"""Who may do what: agents and shares of the load, leased to workers for a term, never to two at once.

The master's half; the worker's is `holding`. What they say to each other is plain data, and may come late or not at
all. A worker stops by itself one term after it sent the last report that was answered; the master waits half a term
longer since it heard that report. So a worker that is cut off, not dead, never acts beside its successor.

A share is a 240th of the requests that are due (`arrivals`), of the owners with them, and so of the rate. An agent is
a number from 0; which user it logs in as is the caller's part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from cometreel.load.arrivals import SHARES

__all__ = ["Grant", "Leases", "LeaseReport"]


class LeaseReport(TypedDict):
    """Worker to master, several times in a term: what it needs, uses and has left."""

    worker: str
    sequence: int
    """Counts up."""
    seen: int
    """The sequence of the latest grant that it follows; 0 before the first."""
    wanted: int
    """How many agents it has users for; 0 if it can't send anything."""
    agents: list[int]
    """The agents that it acts as now."""
    left: dict[str, float]
    """Shares that it has left (their numbers as text), and up to when it has sent what was due of them."""


class Grant(TypedDict):
    """Master to worker, the answer to its report: all that it may hold from now on. The rest must be left."""

    sequence: int
    """That of the report."""
    term: float
    agents: list[int]
    shares: dict[str, float]
    """Their numbers as text, and from when on what is due of them is its to send, in seconds since the run began."""


@dataclass(slots=True)
class _Worker:
    """What a worker may believe that it holds. What is leaving was left out of the grant with that sequence."""

    heard: float
    sequence: int = 0
    wanted: int = 0
    agents: set[int] = field(default_factory=set)
    shares: dict[int, float] = field(default_factory=dict)
    agents_leaving: dict[int, int] = field(default_factory=dict)
    shares_leaving: dict[int, int] = field(default_factory=dict)


class Leases:
    """What is leased to whom.

    :param agents: how many agents there are.
    :param start: when the run began, on the master's clock; set it again where agents are leased before that.
    :param term: seconds for which a grant is good.
    """

    def __init__(self, agents: int, *, start: float, term: float = 5.0) -> None:
        self.start = start
        self._term = term
        self._workers: dict[str, _Worker] = {}
        self._agents = dict.fromkeys(range(agents))  # nobody's, in order
        self._shares = dict.fromkeys(range(SHARES), 0.0)  # nobody's, and from when on they are due

    @property
    def workers(self) -> list[str]:
        """Those that are heard of."""
        return list(self._workers)

    def held(self) -> dict[str, tuple[int, int]]:
        """How many agents and shares each worker has."""
        return {name: (len(worker.agents), len(worker.shares)) for name, worker in self._workers.items()}

    def heard(self, report: LeaseReport, now: float) -> Grant | None:
        """Take a worker's report; return what it may hold from now on, or None for a report that was overtaken."""
        worker = self._workers.setdefault(report["worker"], _Worker(now))
        if report["sequence"] <= worker.sequence:
            return None
        worker.heard, worker.sequence, worker.wanted = now, report["sequence"], report["wanted"]
        self._take_back(worker, report)
        self._share_agents(worker, report)
        self._share_load(worker, now)
        return {
            "sequence": report["sequence"],
            "term": self._term,
            "agents": sorted(worker.agents - worker.agents_leaving.keys()),
            "shares": {
                str(share): since
                for share, since in sorted(worker.shares.items())
                if share not in worker.shares_leaving
            },
        }

    def advance(self, now: float) -> list[str]:
        """Take back what those had who weren't heard of for a term and a half; return their names.

        What was due of their shares in between was sent by nobody, or by a worker whose word about it is lost: the
        next holder begins at the present, and the report shows fewer requests sent than were due.
        """
        lost = [name for name, worker in self._workers.items() if worker.heard + 1.5 * self._term <= now]
        for name in lost:
            worker = self._workers.pop(name)
            self._agents |= dict.fromkeys(sorted(worker.agents))
            for share, since in worker.shares.items():
                self._shares[share] = max(since, now - self.start)
        return lost

    # ------------------------------------------------------------------ inside
    def _take_back(self, worker: _Worker, report: LeaseReport) -> None:
        """What a worker was told to leave is left once it follows a grant without it."""
        for agent, sequence in list(worker.agents_leaving.items()):
            if sequence <= report["seen"]:
                del worker.agents_leaving[agent]
                worker.agents.discard(agent)
                self._agents[agent] = None
        for share, sequence in list(worker.shares_leaving.items()):
            if sequence <= report["seen"]:
                del worker.shares_leaving[share]
                self._shares[share] = max(worker.shares.pop(share), report["left"].get(str(share), 0.0))

    def _share_agents(self, worker: _Worker, report: LeaseReport) -> None:
        """Give a worker as many agents as it has users for; take those first that it doesn't use."""
        has = worker.agents - worker.agents_leaving.keys()
        while len(has) < worker.wanted and self._agents:
            agent = next(iter(self._agents))
            del self._agents[agent]
            worker.agents.add(agent)
            has.add(agent)
        used = set(report["agents"])
        for agent in sorted(has, key=lambda each: (each in used, each))[: max(len(has) - worker.wanted, 0)]:
            worker.agents_leaving[agent] = report["sequence"]

    def _share_load(self, worker: _Worker, now: float) -> None:
        """Bring this worker nearer to an equal part. Others are told when they report."""
        has = [share for share in worker.shares if share not in worker.shares_leaving]
        most = self._part(worker)
        for share in has[most:]:
            worker.shares_leaving[share] = worker.sequence
        fresh = now - self.start - self._term  # what was nobody's for longer isn't made up for
        for share in list(self._shares)[: max(most - len(has), 0)]:
            worker.shares[share] = max(self._shares.pop(share), fresh)

    def _part(self, worker: _Worker) -> int:
        """How many shares a worker is to have: as many as the others that can send, or one more."""
        able = [each for each in self._workers.values() if each.wanted]
        if not worker.wanted:
            return 0
        part, more = divmod(SHARES, len(able))
        place = next(number for number, each in enumerate(able) if each is worker)
        return part + (place < more)
