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

__all__ = ["Grant", "LeaseReport", "Leases", "WorkerLeases"]


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

    reported_at: float
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
        self._unused_agents = iter(range(agents))  # nobody's yet, in order
        self._free_agents: dict[int, None] = {}  # nobody's any more, in order
        self._free_shares = dict.fromkeys(range(SHARES), 0.0)  # nobody's, and from when on they are due

    @property
    def workers(self) -> list[str]:
        """Those that are heard of."""
        return list(self._workers)

    def counts(self) -> dict[str, tuple[int, int]]:
        """How many agents and shares each worker has."""
        return {name: (len(worker.agents), len(worker.shares)) for name, worker in self._workers.items()}

    def handle_report(self, report: LeaseReport, now: float) -> Grant | None:
        """Take a worker's report; return what it may hold from now on, or None for a report that was overtaken."""
        worker = self._workers.setdefault(report["worker"], _Worker(now))
        if report["sequence"] <= worker.sequence:
            return None
        worker.reported_at, worker.sequence, worker.wanted = now, report["sequence"], report["wanted"]
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
        """Take back what those had who weren't heard of for a term and a half; return their names.

        What was due of their shares in between was sent by nobody, or by a worker whose word about it is lost: the
        next holder begins at the present, and the report shows fewer requests sent than were due.
        """
        lost = [name for name, worker in self._workers.items() if worker.reported_at + 1.5 * self._term <= now]
        for name in lost:
            worker = self._workers.pop(name)
            self._free_agents |= dict.fromkeys(sorted(worker.agents))
            for share, since in worker.shares.items():
                self._free_shares[share] = max(since, now - self.start)
        return lost

    # ------------------------------------------------------------------ inside
    def _reclaim(self, worker: _Worker, report: LeaseReport) -> None:
        """What a worker was told to leave is left once it follows a grant without it."""
        for agent, sequence in list(worker.agents_leaving.items()):
            if sequence <= report["seen"]:
                del worker.agents_leaving[agent]
                worker.agents.discard(agent)
                self._free_agents[agent] = None
        for share, sequence in list(worker.shares_leaving.items()):
            if sequence <= report["seen"]:
                del worker.shares_leaving[share]
                self._free_shares[share] = max(worker.shares.pop(share), report["left"].get(str(share), 0.0))

    def _lease_agents(self, worker: _Worker, report: LeaseReport) -> None:
        """Give a worker as many agents as it has users for; take those first that it doesn't use."""
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
        """Bring this worker nearer to an equal part. Others are told when they report."""
        has = [share for share in worker.shares if share not in worker.shares_leaving]
        most = self._target(worker)
        for share in has[most:]:
            worker.shares_leaving[share] = worker.sequence
        fresh = now - self.start - self._term  # what was nobody's for longer isn't made up for
        for share in list(self._free_shares)[: max(most - len(has), 0)]:
            worker.shares[share] = max(self._free_shares.pop(share), fresh)

    def _target(self, worker: _Worker) -> int:
        """How many shares a worker is to have: as many as the others that can send, or one more."""
        able = [each for each in self._workers.values() if each.wanted]
        if not worker.wanted:
            return 0
        part, more = divmod(SHARES, len(able))
        place = next(number for number, each in enumerate(able) if each is worker)
        return part + (place < more)


class WorkerLeases:
    """The agents and shares of one worker.

    Send `report` every second. Hand each answer to `granted`, ask `expired` before anything is sent.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._sequence = self._last_grant = 0
        self._sent: dict[int, float] = {}  # when each report that may still be answered was sent
        self._expires_at = 0.0
        self._free: dict[int, None] = {}
        self._used: dict[int, None] = {}
        self._left: dict[
            int, tuple[float, int]
        ] = {}  # up to when it was served_until, and the first report that says so
        self.shares: dict[int, float] = {}
        """The shares, and from when on what is due of them is ours."""

    def report(self, wanted: int, now: float) -> LeaseReport:
        """Say what is needed, for the master; `wanted` is the number of users that are an agent or want to be one."""
        self._sequence += 1
        self._sent[self._sequence] = now
        return {
            "worker": self._worker,
            "sequence": self._sequence,
            "seen": self._last_grant,
            "wanted": wanted,
            "agents": sorted(self._used),
            "left": {str(share): served_until for share, (served_until, _) in sorted(self._left.items())},
        }

    def apply_grant(self, grant: Grant, served_until: float, now: float) -> list[int]:
        """Follow a grant; return the agents in use that must stop now.

        :param served_until: up to when what was due of our shares was taken, in seconds since the run began.
        """
        sequence = grant["sequence"]
        sent = self._sent.get(sequence)
        if sequence <= self._last_grant or sent is None or sent + grant["term"] <= now:
            return []  # an answer that was overtaken, or came when it had run out
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
        """Leave everything if the last grant has run out; return the agents in use that must stop now."""
        if now < self._expires_at or not (self.shares or self._used or self._free):
            return []
        self._leave(set(self.shares), served_until)
        self.shares = {}
        return self._set_agents([])

    def acquire_agent(self) -> int | None:
        """Become an agent that nobody else is; None if none is free now."""
        agent = next(iter(self._free), None)
        if agent is not None:
            del self._free[agent]
            self._used[agent] = None
        return agent

    def release_agent(self, agent: int) -> None:
        """Be that agent no longer."""
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
