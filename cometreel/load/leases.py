"""Leases of agents and load shares: each is leased to one worker at a time, for a limited term.

`Leases` is the master's side, `WorkerLeases` the worker's side. They exchange plain data; messages may be late or get
lost. A worker stops using its leases one term after it sent the last report that was answered. The master waits half
a term longer, counted from the arrival of this report. So a worker that lost its connection never uses a lease that
another worker already has.

A share is 1/240 of the due requests and of the owners (see `arrivals`), and therefore of the rate. An agent is a number
from 0; the caller assigns users to agents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from cometreel.load.arrivals import SHARES

__all__ = ["Grant", "LeaseReport", "Leases", "WorkerLeases"]


class LeaseReport(TypedDict):
    """Worker to master, several times per term: the leases that it needs, uses and has returned."""

    worker: str
    sequence: int
    """Increases with each report."""
    seen: int
    """The sequence number of the latest grant that was applied; 0 before the first."""
    wanted: int
    """Number of agents that this worker has users for; 0 if it can't send requests."""
    leaving: bool
    """True if this worker sends no new requests: it returns its shares, and keeps its agents until it is removed."""
    agents: list[int]
    """The agents in use."""
    left: dict[str, float]
    """Returned shares (numbers as text), and the time up to which their due requests were sent."""


class Grant(TypedDict):
    """Master to worker, the reply to a report: all its leases. The worker must return all others."""

    sequence: int
    """The sequence number of the report."""
    term: float
    agents: list[int]
    shares: dict[str, float]
    """Share numbers as text, each with the time of the run from which its requests belong to this worker."""


@dataclass(slots=True)
class _Worker:
    """The leases that a worker may use. Leases to return map to the sequence number of the grant without them."""

    reported_at: float
    sequence: int = 0
    wanted: int = 0
    leaving: bool = False
    agents: set[int] = field(default_factory=set)
    shares: dict[int, float] = field(default_factory=dict)
    agents_leaving: dict[int, int] = field(default_factory=dict)
    shares_leaving: dict[int, int] = field(default_factory=dict)


class Leases:
    """The leases of all workers.

    :param agents: number of agents.
    :param start: start of the run on the master's clock; set it again if agents are leased before the run starts.
    :param term: validity of a grant in seconds.
    """

    def __init__(self, agents: int, *, start: float, term: float = 5.0) -> None:
        self.start = start
        self._term = term
        self._workers: dict[str, _Worker] = {}
        self._unused_agents = iter(range(agents))  # never leased, in order
        self._free_agents: dict[int, None] = {}  # returned, in order
        # not leased, with the time from which their requests are due
        self._free_shares = dict.fromkeys(range(SHARES), 0.0)

    @property
    def workers(self) -> list[str]:
        """Workers that are not lost."""
        return list(self._workers)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Number of agents and shares of each worker."""
        return {name: (len(worker.agents), len(worker.shares)) for name, worker in self._workers.items()}

    def handle_report(self, report: LeaseReport, now: float) -> Grant | None:
        """Process a worker's report and return its grant, or None if a newer report was already processed."""
        worker = self._workers.setdefault(report["worker"], _Worker(now))
        if report["sequence"] <= worker.sequence:
            return None
        worker.reported_at, worker.sequence, worker.wanted = now, report["sequence"], report["wanted"]
        worker.leaving = report["leaving"]
        self._reclaim(worker, report)
        self._lease_agents(worker, report)
        self._lease_shares(worker, now)
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
        """Reclaim the leases of workers without a report for one and a half terms; return the names of these workers.

        Due requests of their shares in the meantime may not have been sent. The next worker starts at the current time,
        and the report shows fewer sent than due requests.
        """
        lost = [name for name, worker in self._workers.items() if worker.reported_at + 1.5 * self._term <= now]
        for name in lost:
            self.remove(name, now)
        return lost

    def remove(self, name: str, now: float) -> None:
        """Reclaim all leases of a worker that is lost or has left."""
        worker = self._workers.pop(name)
        self._free_agents |= dict.fromkeys(sorted(worker.agents))
        for share, since in worker.shares.items():
            self._free_shares[share] = max(since, now - self.start)

    # ------------------------------------------------------------------ internals
    def _reclaim(self, worker: _Worker, report: LeaseReport) -> None:
        """Free the leases that the worker has returned, because it applied a grant without them.

        The time up to which a share was served is kept from every report: later ones may not repeat it.
        """
        for text, served_until in report["left"].items():
            if (left := int(text)) in worker.shares:
                worker.shares[left] = max(worker.shares[left], served_until)
        for agent, sequence in list(worker.agents_leaving.items()):
            if sequence <= report["seen"]:
                del worker.agents_leaving[agent]
                worker.agents.discard(agent)
                self._free_agents[agent] = None
        for share, sequence in list(worker.shares_leaving.items()):
            if sequence <= report["seen"]:
                del worker.shares_leaving[share]
                self._free_shares[share] = worker.shares.pop(share)

    def _lease_agents(self, worker: _Worker, report: LeaseReport) -> None:
        """Lease as many agents as the worker has users for. Agents that it doesn't use are taken back first."""
        has = worker.agents - worker.agents_leaving.keys()
        while len(has) < worker.wanted and (agent := self._free_agent()) is not None:
            worker.agents.add(agent)
            has.add(agent)
        used = set(report["agents"])
        for agent in sorted(has, key=lambda each: (each in used, each))[: max(len(has) - worker.wanted, 0)]:
            worker.agents_leaving[agent] = report["sequence"]

    def _free_agent(self) -> int | None:
        agent = next(self._unused_agents, None)
        if agent is None:
            agent = next(iter(self._free_agents), None)
            if agent is not None:
                del self._free_agents[agent]
        return agent

    def _lease_shares(self, worker: _Worker, now: float) -> None:
        """Move this worker's number of shares towards an equal part. Other workers follow with their next reports."""
        has = [share for share in worker.shares if share not in worker.shares_leaving]
        most = self._target(worker)
        for share in has[most:]:
            worker.shares_leaving[share] = worker.sequence
        fresh = now - self.start - self._term  # requests that were due longer ago are skipped
        for share in list(self._free_shares)[: max(most - len(has), 0)]:
            worker.shares[share] = max(self._free_shares.pop(share), fresh)

    def _target(self, worker: _Worker) -> int:
        """Return the number of shares that a worker should have: all workers that can send get equal parts."""
        able = [each for each in self._workers.values() if each.wanted and not each.leaving]
        if not worker.wanted or worker.leaving:
            return 0
        part, more = divmod(SHARES, len(able))
        place = next(number for number, each in enumerate(able) if each is worker)
        return part + (place < more)


class WorkerLeases:
    """The leases of one worker.

    Send `report` several times per term. Pass each reply to `apply_grant`; call `drop_expired` before sending requests.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._sequence = self._last_grant = 0
        self._sent: dict[int, float] = {}  # send time of each report without a reply
        self._expires_at = 0.0
        self._free: dict[int, None] = {}
        self._used: dict[int, None] = {}
        self._left: dict[
            int, tuple[float, int]
        ] = {}  # time up to which it was served, and the first report that contains this
        self.shares: dict[int, float] = {}
        """The shares, each with the time from which its due requests belong to this worker."""

    def report(self, wanted: int, now: float, *, leaving: bool = False) -> LeaseReport:
        """Return a report for the master. `wanted` is the number of users that are an agent or wait for one."""
        self._sequence += 1
        self._sent[self._sequence] = now
        return {
            "worker": self._worker,
            "sequence": self._sequence,
            "seen": self._last_grant,
            "wanted": wanted,
            "leaving": leaving,
            "agents": sorted(self._used),
            "left": {str(share): served_until for share, (served_until, _) in sorted(self._left.items())},
        }

    def apply_grant(self, grant: Grant, served_until: float, now: float) -> list[int]:
        """Apply a grant; return the agents in use that must stop now.

        :param served_until: time up to which the due requests were taken, in seconds since the start of the run.
        """
        sequence = grant["sequence"]
        sent = self._sent.get(sequence)
        if sent is None or sent + grant["term"] <= now:
            return []  # this or a newer grant was applied, or this one has expired
        self._last_grant, self._expires_at = sequence, sent + grant["term"]
        self._sent = {number: at for number, at in self._sent.items() if number > sequence}
        shares = {int(share): since for share, since in grant["shares"].items()}
        for share in shares.keys() & self._left.keys():
            shares[share] = max(shares[share], self._left[share][0])
        self._left = {
            share: (upto, first)
            for share, (upto, first) in self._left.items()
            if first > sequence and share not in shares
        }
        self._leave(set(self.shares) - set(shares), served_until)
        self.shares = {share: self.shares.get(share, since) for share, since in shares.items()}
        return self._set_agents(grant["agents"])

    def drop_expired(self, served_until: float, now: float) -> list[int]:
        """Drop all leases if the last grant has expired; return the agents in use that must stop now."""
        if now < self._expires_at or not (self.shares or self._used or self._free):
            return []
        self._leave(set(self.shares), served_until)
        self.shares = {}
        return self._set_agents([])

    @property
    def are_returned(self) -> bool:
        """True if there are no shares, and the master knows up to which time they were served."""
        return not self.shares and not self._left

    def acquire_agent(self) -> int | None:
        """Return a free leased agent; None if there is none."""
        agent = next(iter(self._free), None)
        if agent is not None:
            del self._free[agent]
            self._used[agent] = None
        return agent

    def release_agent(self, agent: int) -> None:
        """Make an agent free again."""
        if agent in self._used:
            del self._used[agent]
            self._free[agent] = None

    def _leave(self, shares: set[int], served_until: float) -> None:
        for share in shares:
            self._left[share] = (max(served_until, self.shares[share]), self._sequence + 1)

    def _set_agents(self, agents: list[int]) -> list[int]:
        kept = set(agents)
        stopped = [agent for agent in self._used if agent not in kept]
        self._used = {agent: None for agent in self._used if agent in kept}
        self._free = {agent: None for agent in agents if agent not in self._used}
        return stopped
