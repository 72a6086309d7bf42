"""What a worker holds: its half of the leases. It obeys the last grant, and leaves everything when that has run out."""

from __future__ import annotations

from cometreel.load.leases import Grant, LeaseReport

__all__ = ["WorkerLeases"]


class WorkerLeases:
    """The agents and shares of one worker.

    Send `report` every second. Hand each answer to `granted`, ask `expired` before anything is sent.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._sequence = self._seen = 0
        self._sent: dict[int, float] = {}  # when each report that may still be answered was sent
        self._until = 0.0
        self._free: dict[int, None] = {}
        self._used: dict[int, None] = {}
        self._left: dict[int, tuple[float, int]] = {}  # up to when it was served, and the first report that says so
        self.shares: dict[int, float] = {}
        """The shares, and from when on what is due of them is ours."""

    def report(self, wanted: int, now: float) -> LeaseReport:
        """Say what is needed, for the master; `wanted` is the number of users that are an agent or want to be one."""
        self._sequence += 1
        self._sent[self._sequence] = now
        return {
            "worker": self._worker,
            "sequence": self._sequence,
            "seen": self._seen,
            "wanted": wanted,
            "agents": sorted(self._used),
            "left": {str(share): served for share, (served, _) in sorted(self._left.items())},
        }

    def granted(self, grant: Grant, served: float, now: float) -> list[int]:
        """Follow a grant; return the agents in use that must stop now.

        :param served: up to when what was due of our shares was taken, in seconds since the run began.
        """
        sequence = grant["sequence"]
        sent = self._sent.get(sequence)
        if sequence <= self._seen or sent is None or sent + grant["term"] <= now:
            return []  # an answer that was overtaken, or came when it had run out
        self._seen, self._until = sequence, sent + grant["term"]
        self._sent = {number: at for number, at in self._sent.items() if number > sequence}
        shares = {int(share): since for share, since in grant["shares"].items()}
        for share in shares.keys() & self._left.keys():
            shares[share] = max(shares[share], self._left[share][0])
        self._left = {
            share: (upto, first)
            for share, (upto, first) in self._left.items()
            if first > sequence and share not in shares
        }
        self._leave(set(self.shares) - set(shares), served)
        self.shares = {share: self.shares.get(share, since) for share, since in shares.items()}
        return self._keep_agents(grant["agents"])

    def expired(self, served: float, now: float) -> list[int]:
        """Leave everything if the last grant has run out; return the agents in use that must stop now."""
        if now < self._until or not (self.shares or self._used or self._free):
            return []
        self._leave(set(self.shares), served)
        self.shares = {}
        return self._keep_agents([])

    def take_agent(self) -> int | None:
        """Become an agent that nobody else is; None if none is free now."""
        agent = next(iter(self._free), None)
        if agent is not None:
            del self._free[agent]
            self._used[agent] = None
        return agent

    def give_agent(self, agent: int) -> None:
        """Be that agent no longer."""
        if agent in self._used:
            del self._used[agent]
            self._free[agent] = None

    def _leave(self, shares: set[int], served: float) -> None:
        for share in shares:
            self._left[share] = (max(served, self.shares[share]), self._sequence + 1)

    def _keep_agents(self, agents: list[int]) -> list[int]:
        kept = set(agents)
        stopped = [agent for agent in self._used if agent not in kept]
        self._used = {agent: None for agent in self._used if agent in kept}
        self._free = {agent: None for agent in agents if agent not in self._used}
        return stopped
