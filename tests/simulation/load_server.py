"""A simulated server for load agents, in virtual time: it loses, delays and repeats, and counts what it did itself.

It knows which notification answers which POST, so it needs no referenceId to count; it knows no ledger. The words that
it counts are those of `docs/load-report.md`.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.locust_agents.connection import ConnectionLoss
from cometreel.locust_agents.event_loop import Timer
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.request_queue import QueuedRequest, ReplyOrLoss
from tests.simulation.plan import Short

__all__ = ["AgentConnection", "LoadServer", "ServedAgent", "ServedPost", "ServerHabits", "VirtualClock"]

_HOLD = 5.0  # seconds
_PARTS = ("messageType", "workbinStats", "Type", "Owner")
_STATUSES = {"HTTP 503": (503, 0), "statusCode 4": (200, 4), "statusCode -1": (200, None)}


class VirtualClock:
    """A clock with timers. Timers of one time run in the order in which they were set."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Return the time."""
        return self.time

    def call_at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Call `call` when it is due."""
        timer = Timer(due, call)
        heapq.heappush(self._timers, (due, next(self._numbers), timer))
        return timer

    def run_until(self, end: float) -> None:
        """Let time pass; everything that is due happens at its time."""
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self.time = max(self.time, due)
            if timer.call is not None:
                timer.call(self.time)
        self.time = end


@dataclass(frozen=True, repr=False)
class ServerHabits(Short):
    """The faults of the server, as probabilities per POST or per poll, and its times in seconds."""

    patience: float
    late: float
    reuses: bool = False
    """True if the server uses referenceIds again."""
    lost_polls: float = 0.0
    """The probability that the connection of a held poll breaks instead of being answered."""
    forgotten: float = 0.0
    """The probability per poll that the server forgets its CometD session."""
    strays: float = 0.0
    """The probability per POST of a notification that answers no POST."""
    reply: float = 0.03
    """The mean time of a reply."""


@dataclass(eq=False)
class ServedPost:
    """A POST as the server knows it. Times are those of the client, because the network takes no time."""

    agent: ServedAgent
    random: Random
    """All draws for this POST, so that they don't depend on other POSTs."""
    number: int
    entry: str
    owner: str
    kind: str
    expects: bool
    intended: float
    sent: float
    reference: int = 0
    fate: str = ""
    acknowledged_at: float | None = None
    refused: bool = False
    replied_too_late: bool = False
    answered_at: float | None = None
    was_wrong: bool = False
    early: list[tuple[float, str]] = field(default_factory=list)
    """The time and the wrong part of notifications that were received before the reply."""
    words: list[str] = field(default_factory=list)
    """The counts of the server for this POST."""


@dataclass
class _Note:
    """A notification that is on its way."""

    post: ServedPost | None
    data: JSONObject
    part: str = ""
    counted: bool = True
    is_ahead: bool = False
    """True if a POST that is sent after its arrival gets its number."""


class ServedAgent:
    """One life of an agent, from its first connection until it is closed: its sessions, POSTs and notifications."""

    def __init__(self, name: str, worker: str) -> None:
        self.name, self.worker = name, worker
        self.posts: list[ServedPost] = []
        self.unexpected = self.sessions_lost = 0
        self.closed_at: float | None = None
        self.log: list[tuple[float, str]] = []
        self.client_id = ""
        self.waiting: list[_Note] = []
        self.poll: tuple[AgentConnection, int, str] | None = None
        self.free_references: list[int] = []
        self.unknown: set[str] = set()
        self.is_leaving = False

    def note(self, at: float, text: str) -> None:
        """Add a line to the transcript."""
        self.log.append((at, text))


class AgentConnection:
    """A connection of an agent in virtual time.

    A queue sends one request at a time, as `RequestQueue`; otherwise each request has a connection of its own. With
    `patient` it waits for replies longer than the ledger does.
    """

    def __init__(
        self, clock: VirtualClock, server: LoadServer, agent: ServedAgent, *, queue: bool, patient: bool
    ) -> None:
        self._clock, self._server, self._agent = clock, server, agent
        self._queue, self._patient = queue, patient
        self._waiting: list[QueuedRequest] = []
        self._open: dict[int, QueuedRequest] = {}
        self._tokens = itertools.count(1)
        self._closed = False

    @property
    def busy(self) -> bool:
        """True if a request waits for its reply."""
        return bool(self._open)

    def send(self, queued: QueuedRequest) -> None:
        """Send a request after those in the queue."""
        if self._closed:
            queued.on_done(ConnectionLoss.STOPPED, self._clock.time)
            return
        self._waiting.append(queued)
        self._next()

    def close(self) -> None:
        """Close the connection; no more callbacks are called."""
        self._closed = True
        self._open.clear()
        self._waiting.clear()

    def _next(self) -> None:
        while self._waiting and not self._closed and not (self._queue and self._open):
            queued, token = self._waiting.pop(0), next(self._tokens)
            self._open[token] = queued
            now = self._clock.time
            queued.on_sent(now)
            self._server.receive(self._agent, self, token, queued.request)
            patience = queued.patience * 3 if self._patient else queued.patience
            self._clock.call_at(now + patience, lambda _now, token=token: self._time_out(token))  # type: ignore[misc]  # a default

    def _time_out(self, token: int) -> None:
        if token in self._open:
            self._server.hang_up(self._agent, token, self)
            self.deliver(token, ConnectionLoss.NO_REPLY)

    def waits_for(self, token: int) -> bool:
        """Return True if the request still waits for its reply."""
        return token in self._open

    def deliver(self, token: int, outcome: ReplyOrLoss) -> None:
        """Pass the outcome of a request to the agent."""
        queued = self._open.pop(token, None)
        if queued is not None:
            queued.on_done(outcome, self._clock.time)
            self._next()


class LoadServer:
    """The server: answers POSTs and polls as its habits say, and counts."""

    def __init__(self, clock: VirtualClock, habits: ServerHabits, random: Random) -> None:
        self._clock, self._habits, self._random = clock, habits, random
        self.agents: list[ServedAgent] = []
        self._down_until = 0.0
        self._life = 0
        self._ids = itertools.count(1)
        self._references = itertools.count(66)

    # ------------------------------------------------------------------ called by the run
    def add_agent(self, name: str, worker: str) -> ServedAgent:
        """Add an agent that will connect."""
        agent = ServedAgent(name, worker)
        self.agents.append(agent)
        return agent

    def restart(self, seconds: float) -> None:
        """Forget all sessions and notifications, break all connections, and refuse new ones for some seconds."""
        now = self._clock.time
        self._down_until, self._life = now + seconds, self._life + 1
        for agent in self.agents:
            if agent.closed_at is not None:
                continue
            agent.note(now, "the server restarts")
            agent.waiting.clear()
            if agent.client_id:
                agent.unknown.add(agent.client_id)
            agent.client_id = ""
            if agent.poll is not None:
                connection, token, _ = agent.poll
                agent.poll = None
                self._later(0.001, connection, token, ConnectionLoss.CLOSED)

    def close_agent(self, agent: ServedAgent) -> None:
        """Finish the counts of an agent that is closed now."""
        now = agent.closed_at = self._clock.time
        agent.note(now, "the agent is closed")
        for post in agent.posts:
            over = now >= post.sent + self._habits.patience
            if post.acknowledged_at is None:
                agent.unexpected += len(post.early)
                if not post.refused:
                    post.words.append("no reply" if over else "abandoned")
            elif post.expects and post.answered_at is None:
                post.words.append("lost" if over else "abandoned")

    # ------------------------------------------------------------------ requests
    def receive(self, agent: ServedAgent, connection: AgentConnection, token: int, data: bytes) -> None:
        """Process a request of an agent."""
        head, _, body = data.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        content = json.loads(body)
        if path.startswith(b"/api/v2/notifications"):
            self._receive_messages(agent, connection, token, content)
        else:
            self._receive_post(agent, connection, token, content)

    def hang_up(self, agent: ServedAgent, token: int, connection: AgentConnection) -> None:
        """Forget the held poll of this request."""
        if agent.poll is not None and agent.poll[:2] == (connection, token):
            agent.poll = None

    def _is_down(self) -> bool:
        return self._clock.time < self._down_until

    def _later(
        self,
        seconds: float,
        connection: AgentConnection,
        token: int,
        outcome: ReplyOrLoss,
        first: Callable[[float], None] | None = None,
        otherwise: Callable[[], None] | None = None,
    ) -> None:
        """Deliver an outcome later; `first` counts it if the agent still waits for it, else `otherwise` is called."""

        def arrive(now: float) -> None:
            if connection.waits_for(token):
                if first is not None:
                    first(now)
                connection.deliver(token, outcome)
            elif otherwise is not None:
                otherwise()

        self._clock.call_at(self._clock.time + seconds, arrive)

    # ------------------------------------------------------------------ POSTs
    def _receive_post(
        self, agent: ServedAgent, connection: AgentConnection, token: int, content: dict[str, JSON]
    ) -> None:
        now, habits, random = self._clock.time, self._habits, Random(str(content["intended"]))  # not a secret
        expects = content["operationName"] != "Subscribe"
        post = ServedPost(
            agent,
            random,
            len(agent.posts) + 1,
            str(content["entry"]),
            str(content.get("owner", "")),
            str(content.get("kind", "")),
            expects,
            float(str(content["intended"])),
            now,
        )
        agent.posts.append(post)
        agent.note(now, f"POST {post.number}, {post.entry}, due {now - post.intended:.3f} s ago")
        if self._is_down():
            self._reply(post, connection, token, 0.001, "refused")
            return
        fate = post.fate = str(content["fate"]) if expects else "good"
        after, kind = self._soon(random), "good"
        if fate in {"broken", "broken, answered"}:
            kind = "broken"
        elif fate in _STATUSES or fate == "no referenceId":
            kind = fate
        else:
            self._assign(post)
        if fate.startswith("late reply"):
            after = habits.patience * (1.01 + random.random())
        if fate == "late reply, reused":
            self._clock.call_at(now + habits.patience * 1.001, lambda _now: self._free(post))
        if fate not in {"silent", "silent, answered"}:
            self._reply(post, connection, token, after, kind)
        if expects:
            self._push_answers(post, after)
        if random.random() < habits.strays:
            self._push_stray(post)

    def _soon(self, random: Random) -> float:
        return min(random.expovariate(1 / self._habits.reply), self._habits.patience * 0.9)

    def _assign(self, post: ServedPost) -> None:
        free, fate = post.agent.free_references, post.fate
        # without the reply, nobody can tell to which of two POSTs a notification belongs
        known = fate in {"good", "slow", "lost", "overdue", "duplicate", "late duplicate", "wrong"}
        may_reuse = free and self._habits.reuses and (known or fate.startswith("late reply"))
        post.reference = free.pop(0) if may_reuse else next(self._references)

    def _free(self, post: ServedPost) -> None:
        if self._habits.reuses:
            post.agent.free_references.append(post.reference)

    def _reply(self, post: ServedPost, connection: AgentConnection, token: int, after: float, kind: str) -> None:
        outcome: ReplyOrLoss
        if kind in {"broken", "refused"}:
            outcome = ConnectionLoss.CLOSED if kind == "broken" else ConnectionLoss.REFUSED
        else:
            status, code = _STATUSES.get(kind, (200, 0))
            body: JSONObject = {} if code is None else {"statusCode": code}
            if post.expects and kind == "good":
                body["referenceId"] = post.reference
            outcome = HttpReply(status, (), encode(body), last=False)
        life = self._life
        if kind != "refused":

            def arrive(now: float) -> None:
                broken = self._life != life
                if connection.waits_for(token):
                    self._replied(post, "broken" if broken else kind, now)
                    connection.deliver(token, ConnectionLoss.CLOSED if broken else outcome)

            self._clock.call_at(self._clock.time + after, arrive)
        else:
            self._later(after, connection, token, outcome, lambda now: self._replied(post, kind, now))

    def _replied(self, post: ServedPost, kind: str, now: float) -> None:
        """Count a reply, or the loss of a connection, that the agent receives now."""
        shown = f"referenceId {post.reference}" if kind == "good" and post.expects else kind
        post.agent.note(now, f"reply to POST {post.number}, {shown}")
        if now >= post.sent + self._habits.patience:
            post.replied_too_late = post.replied_too_late or kind == "good"
        elif kind == "good":
            post.acknowledged_at = now
            post.words.append("acked")
            early, post.early = post.early, []
            for at, part in early:
                self._count_answer(post, part, at)
        else:
            post.refused = True
            post.words.append("no reply" if kind in {"broken", "refused"} else kind)

    # ------------------------------------------------------------------ notifications
    def _push_answers(self, post: ServedPost, replied: float) -> None:  # noqa: C901, PLR0912  # a table of fates
        """Schedule the notifications of a POST, by its fate."""
        random, patience, late, fate = post.random, self._habits.patience, self._habits.late, post.fate
        soon = replied + self._soon(random)
        times: list[float] = []
        part = ""
        if fate in {"good", "broken, answered", "silent, answered"}:
            times = [soon]
        elif fate == "early":
            times = [replied * random.random()]
        elif fate == "early twice":
            times = [replied * random.random(), replied * random.random()]
        elif fate == "slow":
            times = [replied + random.uniform(late * 0.5, max(patience * 0.95, replied) - replied)]
        elif fate == "overdue":
            times = [patience * random.uniform(1.001, 3), patience * random.uniform(1.001, 3)][: random.choice((1, 2))]
        elif fate == "duplicate":
            times = [soon, soon + self._soon(random)]
        elif fate == "late duplicate":
            times = [soon, soon + patience * random.uniform(0.5, 2)]
        elif fate == "wrong":
            times, part = [soon], random.choice(_PARTS if post.owner else _PARTS[:3])
        elif fate == "wrong, then right":
            times, part = [soon, soon + self._soon(random)], "Type"
        elif fate == "late reply, answered":
            times = [replied + self._soon(random), replied + self._soon(random)]
        elif fate == "wrong reference":
            self._push_later(post.agent, soon, _Note(None, self._data(post, "", next(self._references))))
        for place, after in enumerate(sorted(times)):
            each = part if place == 0 else ""
            note = _Note(post, self._data(post, each, post.reference), each)
            self._push_later(post.agent, after, note)
        if fate in {"good", "slow", "lost", "overdue", "duplicate", "wrong"}:
            # every notification has arrived, or is never sent, long before the number is used again
            quiet = max([*times, patience]) + _HOLD + patience * 2
            self._clock.call_at(self._clock.time + quiet, lambda _now: self._free_if_quiet(post))

    def _free_if_quiet(self, post: ServedPost) -> None:
        if post.agent.closed_at is None and not any(note.post is post for note in post.agent.waiting):
            self._free(post)

    def _push_stray(self, post: ServedPost) -> None:
        kind = post.random.choice(("unknown", "none", "state", "ahead"))
        data: JSONObject = {"messageType": "WorkbinStatsMessage"}
        if kind in {"unknown", "ahead"}:
            data["referenceId"] = next(self._references)
        elif kind == "state":
            data = {"messageType": "WorkbinStateChangeMessage", "referenceId": next(self._references)}
        note = _Note(None, data, "", counted=kind != "state", is_ahead=kind == "ahead" and self._habits.reuses)
        self._push_later(post.agent, self._soon(post.random), note)

    def _data(self, post: ServedPost, part: str, reference: int) -> JSONObject:
        stats: JSONObject = {"Count": 1, "Type": post.kind, "Owner": post.owner or post.agent.name}
        data: JSONObject = {"messageType": "WorkbinStatsMessage", "workbinStats": {"id": stats}}
        if part in stats:
            stats[part] = "another"
        elif part == "workbinStats":
            data["workbinStats"] = []
        elif part == "messageType":
            data["messageType"] = "WorkbinErrorMessage"
        if reference:
            data["referenceId"] = reference
        return data

    def _push_later(self, agent: ServedAgent, after: float, note: _Note) -> None:
        life = self._life

        def push(_now: float) -> None:
            if self._life == life and agent.closed_at is None:
                agent.waiting.append(note)
                self._answer_poll(agent)

        self._clock.call_at(self._clock.time + after, push)

    def _answer_poll(self, agent: ServedAgent) -> None:
        """Answer a held poll with everything that waits."""
        if agent.poll is None or not agent.waiting:
            return
        connection, token, number = agent.poll
        agent.poll = None
        if self._random.random() < self._habits.lost_polls:
            if self._random.random() < 0.5:
                agent.waiting.clear()
            agent.note(self._clock.time, "the connection of the poll breaks")
            self._later(0.001, connection, token, ConnectionLoss.CLOSED)
            return
        notes, agent.waiting = agent.waiting, []
        messages: list[JSON] = [{"channel": "/v2/me/workbins", "data": note.data} for note in notes]
        messages.append({"channel": "/meta/connect", "id": number, "successful": True})
        reply = HttpReply(200, (), encode(messages), last=False)

        def count_all(now: float) -> None:
            for note in notes:
                self._count(agent, note, now)

        def keep() -> None:
            agent.waiting[:0] = notes

        self._later(self._random.random() * 0.01, connection, token, reply, count_all, keep)

    def _count(self, agent: ServedAgent, note: _Note, now: float) -> None:
        """Count a notification that the agent receives now."""
        post, reference = note.post, note.data.get("referenceId")
        wrong = f", wrong {note.part}" if note.part else ""
        agent.note(now, f"notification {reference}, for {f'POST {post.number}' if post else 'no POST'}{wrong}")
        if post is None:
            agent.unexpected += note.counted
            if note.is_ahead:
                agent.free_references.insert(0, int(str(reference)))
        elif post.acknowledged_at is not None:
            self._count_answer(post, note.part, now)
        elif post.replied_too_late:
            post.words.append("late-after-lost")
        elif not post.refused and now < post.sent + self._habits.patience:
            post.early.append((now, note.part))
        else:
            agent.unexpected += 1

    def _count_answer(self, post: ServedPost, part: str, at: float) -> None:
        """Count a notification for an acknowledged POST that the agent received at this time."""
        patience = self._habits.patience
        if post.answered_at is None and at < post.sent + patience:
            post.answered_at, post.was_wrong = at, bool(part)
            post.words.append(f"wrong {part}" if part else "answered")
            if not part and at - post.intended > self._habits.late:
                post.words.append("late")
        elif post.answered_at is None:
            post.words.append("late-after-lost")
        elif at < post.answered_at + patience:
            post.words.append("duplicate")
        else:
            post.agent.unexpected += 1

    # ------------------------------------------------------------------ Bayeux
    def _receive_messages(
        self, agent: ServedAgent, connection: AgentConnection, token: int, messages: list[dict[str, JSON]]
    ) -> None:
        first = messages[0]
        channel, number, client_id = first["channel"], str(first["id"]), str(first.get("clientId", ""))
        if self._is_down():
            self._later(0.001, connection, token, ConnectionLoss.REFUSED)
        elif channel == "/meta/handshake":
            agent.client_id = f"c{next(self._ids)}"
            answer: JSONObject = {"channel": channel, "id": number, "successful": True, "clientId": agent.client_id}
            self._answer(connection, token, [answer])
        elif client_id != agent.client_id or not client_id:
            self._refuse(agent, connection, token, messages, client_id)
        elif channel == "/meta/connect":
            if self._random.random() < self._habits.forgotten and not agent.is_leaving:
                agent.unknown.add(client_id)
                agent.client_id = ""
                self._refuse(agent, connection, token, messages, client_id)
            else:
                self._hold(agent, connection, token, first)
        else:
            agent.is_leaving = agent.is_leaving or channel == "/meta/disconnect"
            self._answer(connection, token, [_done(message) for message in messages])

    def _hold(self, agent: ServedAgent, connection: AgentConnection, token: int, message: dict[str, JSON]) -> None:
        number = str(message["id"])
        agent.poll = (connection, token, number)
        if agent.waiting:
            self._answer_poll(agent)
            return
        wait = 0.0 if message.get("advice") == {"timeout": 0} else _HOLD

        def time_out(_now: float) -> None:
            if agent.poll == (connection, token, number):
                agent.poll = None
                self._answer(connection, token, [_done(message)])

        self._clock.call_at(self._clock.time + wait, time_out)

    def _refuse(
        self,
        agent: ServedAgent,
        connection: AgentConnection,
        token: int,
        messages: list[dict[str, JSON]],
        client_id: str,
    ) -> None:
        advice: JSON = {"reconnect": "handshake", "interval": 0}
        replies: list[JSON] = [
            {"channel": each["channel"], "id": each["id"], "successful": False, "error": "402::", "advice": advice}
            for each in messages
        ]

        def count_once(now: float) -> None:
            if client_id in agent.unknown and not agent.is_leaving:
                agent.unknown.discard(client_id)
                agent.sessions_lost += 1
                agent.note(now, "402: the session is unknown")

        self._later(0.001, connection, token, HttpReply(200, (), encode(replies), last=False), count_once)

    def _answer(self, connection: AgentConnection, token: int, messages: list[JSON]) -> None:
        self._later(0.001, connection, token, HttpReply(200, (), encode(messages), last=False))


def _done(message: dict[str, JSON]) -> JSONObject:
    done: JSONObject = {"channel": message["channel"], "id": message["id"], "successful": True}
    return done | ({"subscription": message["subscription"]} if "subscription" in message else {})


def counts_of(agents: list[ServedAgent]) -> dict[str, Counter[str]]:
    """Return the server's counts by entry, and those without an entry under the empty name."""
    counts: dict[str, Counter[str]] = {"": Counter()}
    for agent in agents:
        counts[""]["unexpected"] += agent.unexpected
        counts[""]["session lost"] += agent.sessions_lost
        for post in agent.posts:
            words = counts.setdefault(post.entry, Counter())
            words["sent"] += 1
            words.update(post.words)
            words["expected"] += post.expects and "acked" in post.words
    return {entry: +words for entry, words in counts.items()}
