"""Simulated load tests in virtual time: the ledgers and tallies must agree with the counts of the server.

Each seed chooses the habits of the server, the agents, the rate, and what happens to the workers (swarm testing).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from random import Random

from cometreel.jsonvalue import JSON, encode
from cometreel.load import (
    Acknowledged,
    Answered,
    Arrival,
    ArrivalPlan,
    ArrivalSchedule,
    Leases,
    OwnerKind,
    PendingRequest,
    PlannedRequest,
    RequestOutcome,
    SessionLost,
    StepTallies,
    Tally,
    TallyState,
    Unexpected,
    WorkerLeases,
    expectation_for,
    parse_rate,
    request_for,
)
from cometreel.load.mix import DEFAULT_MIX, parse_mix
from cometreel.load.owners import Owners
from cometreel.load.tally import COUNTED, count_of
from cometreel.locust_agents.agent import Agent, AgentConfig, AgentContext
from cometreel.locust_agents.load_target import parse_target
from cometreel.locust_agents.request_queue import RequestSender
from tests.simulation.load_server import (
    AgentConnection,
    LoadServer,
    ServedAgent,
    ServerHabits,
    VirtualClock,
    counts_of,
)
from tests.simulation.plan import Short, Step
from tests.simulation.shrinking import Shrinker, changed, with_each
from tests.simulation.transcript import transcript

__all__ = ["POSTS", "LoadPlan", "broken_load", "main", "plan_of", "report_failure"]

_TARGET = parse_target("http://gws.example")
_OWNERS = Owners({kind: [f"{kind.label}{number}" for number in range(1, 21)] for kind in OwnerKind if kind.owned})
_FATES = (
    "broken",
    "broken, answered",
    "silent",
    "silent, answered",
    "HTTP 503",
    "statusCode 4",
    "statusCode -1",
    "no referenceId",
    "early",
    "early twice",
    "slow",
    "lost",
    "overdue",
    "duplicate",
    "late duplicate",
    "wrong",
    "wrong, then right",
    "wrong reference",
)
_FATES_OF_PATIENT = ("late reply", "late reply, reused", "late reply, answered")
_REPORT_INTERVAL = 0.5
POSTS = 2_000
"""About the number of POSTs of a seed."""
_ALL = 100_000  # requests
_TICK = 1e-4  # seconds that a worker waits at least, as times are rounded
_SHOWN = 24  # lines of a transcript


@dataclass(frozen=True, repr=False)
class LoadPlan(Short):
    """A load test, and what happens in it."""

    seed: int
    habits: ServerHabits
    rate: str
    seconds: float
    steps: tuple[Step, ...] = ()
    """The requests that are sent when the rate has them due, each with its fate (`request`), and the changes: `restart`
    of the server, with its time; `join`, `leave` and `kill` of a worker, with its index."""
    agents: int = 1
    workers: int = 1
    queue: bool = False
    """True if an agent sends one POST at a time, as over one connection."""
    patient: bool = False
    """True if connections wait for replies longer than the ledger."""
    parts: tuple[float, ...] = ()
    """When the steps of the load test begin, which have tallies of their own."""
    subscribes: bool = False
    lost_messages: float = 0.0
    """The probability that a message between a worker and the coordinator is lost."""

    def schedule(self) -> ArrivalSchedule:
        """Return the requests that are due."""
        return ArrivalSchedule(ArrivalPlan(parse_mix(DEFAULT_MIX), _OWNERS, str(self.seed)), parse_rate(self.rate))


def plan_of(seed: int, posts: int) -> LoadPlan:
    """Return the plan of a seed with about this number of POSTs."""
    random = Random(seed)  # not a secret
    queue, patient = random.random() < 0.6, random.random() < 0.4
    known = _FATES + (_FATES_OF_PATIENT if patient else ())
    chosen = [fate for fate in known if random.random() < 0.5]
    faulty = random.choice((0.2, 0.6, 0.9))
    patience = random.choice((1.013, 3.007, 10.003))
    agents = random.choice((1, 3, 8, 20))
    seconds = random.choice((20.0, 40.0, 90.0))
    rate = posts / seconds
    forms = (f"{rate:g}", f"ramp 1..{2 * rate:g} in {seconds:g}s", f"spike {rate / 2:g}..{3 * rate:g} at 5s for 4s")
    possible = ["restart"] * (random.random() < 0.4) + ["join", "leave", "kill"] * (random.random() < 0.5)
    times = sorted(random.uniform(3, seconds) for _ in range(random.randint(1, 5)))
    plan = LoadPlan(
        seed,
        ServerHabits(
            patience,
            patience * random.choice((0.1, 0.4)),
            reuses=random.random() < 0.7,
            lost_polls=random.choice((0, 0, 0.02, 0.2)),
            forgotten=random.choice((0, 0, 0.01)),
            strays=random.choice((0, 0, 0.05)),
            # slow replies keep the queue of a connection from sending what is due
            reply=random.choice((0.002, 0.03, patience / 10)),
        ),
        random.choice(forms),
        seconds,
        agents=agents,
        workers=random.choice((1, 2, 4)),
        queue=queue,
        patient=patient,
        parts=(seconds / 3, seconds / 2) if random.random() < 0.5 else (),
        subscribes=random.random() < 0.3,
        lost_messages=random.choice((0.0, 0.0, 0.2)),
    )
    changes = [_change(round(at, 6), random.choice(possible), random) for at in times] if possible else []
    requests = [
        Step(_time_of(arrival), "", "request", random.choice(chosen) if chosen and random.random() < faulty else None)
        for arrival in plan.schedule().due(seconds, limit=_ALL)
    ]
    return replace(plan, steps=tuple(sorted(changes + requests, key=lambda step: step.at)))


def _change(at: float, what: str, random: Random) -> Step:
    values: dict[str, JSON] = {"restart": random.choice((0.1, 2.0)), "join": None}
    return Step(at, "", what, values.get(what, random.randrange(4)))


def _time_of(arrival: Arrival) -> float:
    """Return the time of the step of an arrival."""
    return round(arrival.at, 6)


class _LoadWorker:
    """A worker in virtual time: leases, schedule, agents and tallies. It is the stats sink of its agents."""

    def __init__(self, name: str, run: LoadRun) -> None:
        self.name, self.run = name, run
        self.tallies = StepTallies(name, run.began)
        for number, since in enumerate(run.plan.parts, 1):
            self.tallies.add_step(number, since)
        self.leases = WorkerLeases(name)
        self.schedule = run.plan.schedule()
        self.schedule.set_shares({})
        self.agents: dict[int, tuple[Agent, ServedAgent]] = {}
        self.leaving = self.stopped = False
        self.wanted = 0

    # ------------------------------------------------------------------ stats
    def sent(self, exchange: PendingRequest) -> None:
        """Count a POST that was sent."""
        self.tallies.sent(exchange)

    def unsent(self, count: int) -> None:
        """Count requests that stay in a queue; the tally gets them as a worker of Locust counts them."""
        for _ in range(count):
            self.tallies.unsent(self.run.clock.time - self.run.began)

    def logged_in(self, seconds: float, error: str) -> None:
        """Ignore logins."""

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Count outcomes."""
        self.tallies.add(outcomes)

    # ------------------------------------------------------------------ work
    def report(self, now: float) -> None:
        """Report to the coordinator, which may answer."""
        if self.stopped:
            return
        served = self.schedule.served_until
        for number in self.leases.drop_expired(served, now):
            self._close(number)
        self.schedule.set_shares(self.leases.shares)
        report = self.leases.report(self.wanted, now, leaving=self.leaving)
        if not self.run.loses_message():
            grant = self.run.coordinator.handle_report(json.loads(json.dumps(report)), now)
            if grant is not None and not self.run.loses_message():
                for number in self.leases.apply_grant(json.loads(json.dumps(grant)), served, now):
                    self._close(number)
                self.schedule.set_shares(self.leases.shares)
                while not self.leaving and len(self.agents) < self.wanted:
                    free = self.leases.acquire_agent()
                    if free is None:
                        break
                    self.agents[free] = self.run.start_agent(free, self)
        if self.leaving and self.leases.are_returned and not any(each.in_flight for each, _ in self.agents.values()):
            self.stop()
            self.run.coordinator.remove(self.name, now)
            return
        self.run.clock.call_at(now + _REPORT_INTERVAL, self.report)

    def send_due(self, now: float) -> None:
        """Send everything that is due, and wait for the next request."""
        if self.stopped or self.leaving or self.run.is_draining:
            return
        for arrival in self.schedule.due(now - self.run.began):
            self.run.due.append(arrival)
            if _time_of(arrival) in self.run.fates:
                self.run.taken.append((self, arrival))
                self._send(arrival)
        wait = min(max(self.schedule.next_at() - (now - self.run.began), _TICK), _REPORT_INTERVAL)
        self.run.clock.call_at(now + wait, self.send_due)

    def _send(self, arrival: Arrival) -> None:
        self.tallies.due(arrival.at)
        numbers = sorted(self.agents)
        agent = self.agents[numbers[arrival.draw % len(numbers)]][0] if numbers else None
        planned, path, body = self.run.request_of(arrival)
        if agent is None or not agent.request(planned, path, body, self.run.began + arrival.at):
            self.tallies.unsent(arrival.at)

    def _close(self, number: int) -> None:
        agent, served = self.agents.pop(number)
        self.run.server.close_agent(served)
        agent.close()

    def stop(self) -> None:
        """Close all agents."""
        self.stopped = True
        for number in list(self.agents):
            self._close(number)

    def kill(self) -> None:
        """End without a word: its figures are lost."""
        self.stopped = True
        for agent, served in self.agents.values():
            self.run.server.close_agent(served)
            agent.close()
        self.agents.clear()


class LoadRun:
    """One load test in virtual time."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.fates = {step.at: step.value or "good" for step in plan.steps if step.do == "request"}
        self.random = Random(plan.seed + 1)  # not a secret
        self.clock = VirtualClock()
        self.began = self.clock.time
        self.server = LoadServer(self.clock, plan.habits, Random(plan.seed + 2))  # not a secret
        self.coordinator = Leases(plan.agents, start=self.began, term=2.5)
        self.due: list[Arrival] = []
        self.taken: list[tuple[_LoadWorker, Arrival]] = []
        """The requests that are steps of the plan, and their workers."""
        self.words: dict[tuple[ServedAgent, int], list[str]] = {}
        self.strays: Counter[tuple[ServedAgent, str]] = Counter()
        self.is_draining = False
        self.workers: list[_LoadWorker] = []
        self.killed: list[_LoadWorker] = []

    # ------------------------------------------------------------------ called by workers
    def loses_message(self) -> bool:
        """Return True if a message between a worker and the coordinator is lost."""
        return self.random.random() < self.plan.lost_messages

    def start_agent(self, number: int, worker: _LoadWorker) -> tuple[Agent, ServedAgent]:
        """Start an agent of a worker."""
        served = self.server.add_agent(f"agent-{number + 1}", worker.name)
        is_first = True
        plan = self.plan

        def new_sender() -> RequestSender:
            nonlocal is_first
            posts, is_first = is_first, False
            queue, patient = plan.queue or not posts, plan.patient and posts
            return AgentConnection(self.clock, self.server, served, queue=queue, patient=patient)

        config = AgentConfig(late=plan.habits.late, patience=plan.habits.patience)
        random = Random(self.random.random())  # not a secret
        sink = _AgentSink(self, served, worker)
        agent = Agent(number, None, AgentContext(_TARGET, config, sink, random, self.clock, new_sender))
        agent.start()
        return agent, served

    def request_of(self, arrival: Arrival) -> tuple[PlannedRequest, str, bytes]:
        """Return the request of an arrival; its body tells the server what it can't know."""
        kind, owner = arrival.kind, arrival.owner
        call = request_for(kind, owner)
        body: dict[str, JSON]
        if self.plan.subscribes and arrival.draw % 5 == 0:
            planned, body = PlannedRequest("Subscribe", None), {"operationName": "Subscribe"}
        else:
            planned, body = PlannedRequest(kind.entry, expectation_for(kind, owner)), {**call.body}
        told = {
            "entry": planned.entry,
            "owner": owner,
            "kind": kind.workbin_type,
            "fate": self.fates[_time_of(arrival)],
        }
        return planned, call.path, encode({**body, **told, "intended": repr(self.began + arrival.at)})

    # ------------------------------------------------------------------ the run
    def _add_worker(self) -> None:
        worker = _LoadWorker(f"worker-{len(self.workers) + 1}", self)
        self.workers.append(worker)
        self._share_users()
        worker.report(self.clock.time)
        worker.send_due(self.clock.time)

    def _able(self) -> list[_LoadWorker]:
        return [each for each in self.workers if not each.stopped and not each.leaving]

    def _share_users(self) -> None:
        able = self._able()
        for each in able:
            each.wanted = -(-self.plan.agents // len(able))

    def _change(self, step: Step) -> None:
        able = self._able()
        if step.do == "restart":
            self.server.restart(float(str(step.value)))
        elif step.do == "join":
            self._add_worker()
        elif len(able) > 1:
            worker = able[int(str(step.value)) % len(able)]
            if step.do == "leave":
                worker.leaving = True
            else:
                worker.kill()
                self.killed.append(worker)
            self._share_users()

    def play(self) -> None:
        """Send until the end, wait until all requests have ended, and close all agents."""
        for _ in range(self.plan.workers):
            self._add_worker()
        self.clock.call_at(self.clock.time + 1.0, self._advance_leases)
        for step in self.plan.steps:
            if step.do != "request":
                self.clock.call_at(self.began + step.at, lambda _now, step=step: self._change(step))  # type: ignore[misc]  # a default
        self.clock.run_until(self.began + self.plan.seconds)
        self.is_draining = True
        # a worker doesn't wait for ever: what is still in a queue then is unsent
        end = self.clock.time + 2 * self.plan.habits.patience + 1
        while self.clock.time < end and any(
            agent.in_flight for worker in self.workers for agent, _ in worker.agents.values()
        ):
            self.clock.run_until(self.clock.time + 0.05)
        for worker in self.workers:
            worker.stop()

    def _advance_leases(self, now: float) -> None:
        self.coordinator.advance(now)
        self.clock.call_at(now + 1.0, self._advance_leases)

    # ------------------------------------------------------------------ results
    @property
    def agents(self) -> list[ServedAgent]:
        """The agents whose figures reached the report."""
        lost = {worker.name for worker in self.killed}
        return [agent for agent in self.server.agents if agent.worker not in lost]

    def merged(self) -> Tally:
        """Return the merged tally of all workers whose figures arrived: in groups, as JSON, in a random order."""
        states = [worker.tallies.whole.state() for worker in self.workers if worker not in self.killed]
        return _merged(states, self.random)

    def merged_step(self, number: int) -> Tally:
        """Return the merged tally of a step."""
        tallies = [worker.tallies.step(number) for worker in self.workers if worker not in self.killed]
        return _merged([tally.state() for tally in tallies if tally is not None], self.random)


class _AgentSink:
    """Passes the results of one life of an agent to its worker, and notes them by request."""

    def __init__(self, run: LoadRun, served: ServedAgent, worker: _LoadWorker) -> None:
        self._run, self._served, self._worker = run, served, worker

    def sent(self, exchange: PendingRequest) -> None:
        self._run.words[self._served, exchange.number] = []
        self._worker.sent(exchange)

    def unsent(self, count: int) -> None:
        self._worker.unsent(count)

    def logged_in(self, seconds: float, error: str) -> None:
        self._worker.logged_in(seconds, error)

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        self._worker.add(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Unexpected | SessionLost):
                self._run.strays[self._served, outcome.text] += 1
                continue
            words = self._run.words[self._served, outcome.exchange.number]
            if isinstance(outcome, Acknowledged):
                words.append("acked")
            elif isinstance(outcome, Answered):
                words += ["answered", "late"] if outcome.late else ["answered"]
            else:
                words.append(outcome.text)


def _merged(states: list[TallyState], random: Random) -> Tally:
    random.shuffle(states)
    groups = [Tally(), Tally()]
    for state in states:
        random.choice(groups).merge(json.loads(json.dumps(state)))
    merged = Tally()
    for group in groups:
        merged.merge(json.loads(json.dumps(group.state())))
    return merged


# ------------------------------------------------------------------ checks
def broken_load(plan: LoadPlan, totals: Counter[str] | None = None) -> list[str]:
    """Run a load test; return how the counts of the server and of the ledgers differ, or an error.

    The counts of the server are added to `totals`.
    """
    run = LoadRun(plan)
    try:
        run.play()
        found = [*_differences_of_requests(run), *_differences_of_tallies(run), *_differences_of_arrivals(run)]
    except Exception as error:  # noqa: BLE001  # an error of the load agents is a failure of the load test
        return [f"0: {type(error).__name__}: {error}"]
    if totals is not None:
        for words in counts_of(run.agents).values():
            totals.update(words)
        totals["due"] += run.merged().due
        totals["unsent"] += run.merged().unsent
    return found


def report_failure(seed: int, posts: int, *, max_runs: int = 1500) -> str:
    """Return the smallest plan of a seed whose counts differ as a unit test, and what happens to the first request."""
    plan = Shrinker(plan_of(seed, posts), broken_load, (_with_less_time, _simpler), max_runs=max_runs).shrink()
    run = LoadRun(plan)
    with suppress(Exception):  # which is in the test already
        run.play()
    return "\n".join([transcript(plan, seed, broken_load), *(f"# {line}" for line in _conversation(run))])


def _with_less_time(plan: LoadPlan) -> Iterator[LoadPlan]:
    for seconds in (plan.seconds / 2, plan.seconds - 1):
        yield replace(plan, seconds=seconds, steps=tuple(step for step in plan.steps if step.at <= seconds))


def _simpler(plan: LoadPlan) -> Iterator[LoadPlan]:
    for each in fields(plan):
        if each.default is not MISSING and each.name != "steps":
            yield changed(plan, each.name, each.default)
    for each in fields(plan.habits):
        if each.default is not MISSING:
            yield replace(plan, habits=changed(plan.habits, each.name, each.default))
    for steps in with_each(plan.steps, lambda step: [step._replace(value=None)] if step.do == "request" else []):
        yield replace(plan, steps=steps)


def _differences_of_requests(run: LoadRun) -> list[str]:
    found: list[str] = []
    for agent in run.server.agents:
        for post in agent.posts:
            if sorted(post.words) != sorted(run.words.get((agent, post.number), ["not sent"])):
                ledger = run.words.get((agent, post.number), ["not sent"])
                name = f"{agent.name} of {agent.worker}, POST {post.number}"
                counted, others = " ".join(sorted(post.words)), " ".join(sorted(ledger))
                found.append(f"{name}: the server counts {counted}, the ledger {others}")
        for word, number in (("unexpected", agent.unexpected), ("session lost", agent.sessions_lost)):
            if run.strays[agent, word] != number:
                name = f"{agent.name} of {agent.worker}"
                found.append(f"{name}: the server counts {number} {word}, the ledger {run.strays[agent, word]}")
    return found[:6]


def _words_of(tally: Tally) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {"": Counter(tally.strays)}
    for name, entry in tally.entries.items():
        numbers = {"sent": entry.sent, "acked": entry.acknowledged, "expected": entry.expected}
        found[name] = Counter({**numbers, "answered": entry.answered}) + entry.failures
    return {name: +words for name, words in found.items()}


def _differences_of_tallies(run: LoadRun) -> list[str]:
    merged, counts = run.merged(), counts_of(run.agents)
    found = _compared("", counts, _words_of(merged))
    posts = [post for agent in run.agents for post in agent.posts]
    taken = [arrival for worker, arrival in run.taken if worker not in run.killed]
    if merged.due != len(taken):
        found.append(f"all: {len(taken)} requests were due, the tally has {merged.due}")
    if merged.unsent != len(taken) - len(posts):
        found.append(f"all: of {len(taken)} requests {len(posts)} were sent, the tally has {merged.unsent} unsent")
    for word in COUNTED:
        total = sum(words[word] for words in counts.values())
        if word in {"lost", "late", "late-after-lost", "duplicate", "no reply", "abandoned", "unexpected"} and (
            count_of(merged, word) != total
        ):
            found.append(f"all: the limit word {word} is {count_of(merged, word)}, the server counts {total}")
    for name, entry in merged.entries.items():
        times = [
            post.answered_at - post.intended
            for post in posts
            if post.entry == name and post.answered_at is not None and not post.was_wrong
        ]
        latency = entry.notification.intended
        if times and (abs(latency.highest - max(times)) > 2e-6 or abs(latency.mean - sum(times) / len(times)) > 2e-6):
            found.append(
                f"{name}: the mean latency is {sum(times) / len(times):.6f} s, the tally has {latency.mean:.6f} s"
            )
    parts = run.plan.parts
    for number, since in enumerate(parts, 1):
        until = parts[number] if number < len(parts) else float("inf")
        of_step = [post for post in posts if since <= post.intended - run.began < until]
        counted: dict[str, Counter[str]] = {}
        for post in of_step:
            words = counted.setdefault(post.entry, Counter())
            words.update(["sent", *post.words])
            words["expected"] += post.expects and "acked" in post.words
        in_step = {name: words for name, words in _words_of(run.merged_step(number)).items() if name}
        found += _compared(f"step {number}, ", {name: +words for name, words in counted.items()}, in_step)
    return found


def _compared(where: str, counted: dict[str, Counter[str]], tallied: dict[str, Counter[str]]) -> list[str]:
    found: list[str] = []
    for entry in sorted(counted.keys() | tallied.keys()):
        ours, theirs = counted.get(entry, Counter()), tallied.get(entry, Counter())
        found += [
            f"{where}{entry or 'all'}: the server counts {ours[word]} {word}, the tally {theirs[word]}"
            for word in sorted(ours.keys() | theirs.keys())
            if ours[word] != theirs[word]
        ]
    return found


def _differences_of_arrivals(run: LoadRun) -> list[str]:
    """Check that each request of the plan is due once at most, and exactly once if no worker comes or goes."""
    wanted, taken = Counter(run.plan.schedule().due(run.plan.seconds, limit=_ALL)), Counter(run.due)
    found = [f"all: a request is due more than once: {arrival}" for arrival in taken - wanted][:3]
    if not run.plan.lost_messages and not any(step.do == "kill" for step in run.plan.steps):
        # the last requests may be due after the last look of a worker
        missing = [arrival for arrival in wanted - taken if arrival.at < run.plan.seconds - 3 * _REPORT_INTERVAL]
        found += [f"all: a request is never due: {arrival}" for arrival in missing[:3]]
    return found


def _conversation(run: LoadRun) -> list[str]:
    """Return the lines of the first request that differs, and of requests with the same referenceId."""
    for agent in run.server.agents:
        strays = [run.strays[agent, word] for word in ("unexpected", "session lost")]
        wrong = [post for post in agent.posts if sorted(post.words) != sorted(run.words.get((agent, post.number), []))]
        if not wrong and strays == [agent.unexpected, agent.sessions_lost]:
            continue
        shown = agent.log
        if wrong:
            first = wrong[0]
            same = [post for post in agent.posts if post is first or 0 < post.reference == first.reference]
            texts = [f"POST {post.number}," for post in same]
            numbers = [f"notification {post.reference}," for post in same if post.reference]
            shown = [line for line in agent.log if any(f"{line[1]},".count(text) for text in (*texts, *numbers))]
        head = (
            f"{agent.name} of {agent.worker}, patience {run.plan.habits.patience:g} s, late {run.plan.habits.late:g} s"
        )
        return [head, *(f"{at - run.began:9.3f}  {text}" for at, text in sorted(shown)[:_SHOWN])]
    return []


def main(seeds: Iterable[int], posts: int, report: Callable[[str], None] = print) -> bool:
    """Check seeds until they have sent this number of POSTs, or all if they are given; True if all agree."""
    total: Counter[str] = Counter()
    checked = 0
    for seed in seeds:
        broken = broken_load(plan_of(seed, POSTS), total)
        if broken:
            report(f"load ledger: seed {seed} fails: {broken[0]}")
            report(f"SEED={seed} repeats it. The smallest plan that was found:\n")
            report(report_failure(seed, POSTS))
            return False
        checked += 1
        if total["sent"] >= posts:
            break
    words = ", ".join(f"{number} {word}" for word, number in sorted(total.items()))
    report(f"load ledger: {checked} seeds, {total['sent']} requests: {words}")
    return True
