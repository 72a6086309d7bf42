"""Recording round trip: a history is recorded, redacted, distilled and replayed to the same clients, in virtual time.

The recorded and the replayed clients must receive equal replies and notifications. Each difference must be covered by
a reason: a line of the summary of `distill`, or a limit that `docs/record.md` documents.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import quote

from cometreel.jsonvalue import JSON
from cometreel.recording import Distilled, Recorder, distill, load_policy
from cometreel.recording.pseudonyms import Pseudonyms
from cometreel.recording.recording_journal import key_path, read_journal, write_key
from cometreel.recording.secret import Secret
from cometreel.recording.stable_pseudonyms import with_stable_pseudonyms
from cometreel.scenario import ReplyBlock, dump, loads, profile
from cometreel.wire import Accept, Drop, Frame, Headers, Reply
from tests.simulation.generation import plan_of
from tests.simulation.history import Delivered, Emitted, FrameSent, History, Lost, Sent
from tests.simulation.plan import ClientPlan, Operation, Options, Plan, Step
from tests.simulation.shrinking import SMALLER_PLANS, Shrinker
from tests.simulation.transcript import transcript
from tests.simulation.world import World

__all__ = [
    "DOCUMENTED",
    "Difference",
    "RoundTrip",
    "RoundTripTotals",
    "broken_round_trip",
    "cuts_of",
    "recordable",
    "recordable_plan",
    "report_failure",
    "round_trip",
]

_STARTED = 1_700_000_000.0
_KEY = Secret(b"k" * 32)
_TOLERANCE = 0.003
"""Delays in a scenario are whole milliseconds, so notifications closer than this may change their order, in seconds."""
_HELLO = "hello"
"""A call without notifications, by which a client gets its session cookie."""
_UNMATCHED = "unmatched"
_DISCONNECT = "/meta/disconnect"
_ENDED = "a CometD session that the server ended"
_REPETITIONS = re.compile(r"the repeated answer '(.*)': nothing shows why")
_STEPS = frozenset({"call", "connect", "publish", "subscribe", "unsubscribe", "disconnect"})
_LENGTH = 40  # steps
_PAUSE = 0.4
"""The time between the first steps of two clients, in seconds: each gets its cookie before it sends more."""


def recordable_plan(seed: int, length: int = _LENGTH) -> Plan:
    """Return the plan of a seed as it can be recorded."""
    return recordable(plan_of(seed, length=length, additions=False))


def recordable(plan: Plan) -> Plan:
    """Return a plan without what happens to a server or to a connection.

    There are no faults, changes of the environment, lost connections and nodes: a recording contains their result, not
    their cause. The server has the default settings, except for those that a recording shows. Each client can be
    recognised: those with cookies get them before anything else, and no two share the calls without identity. The
    additions are markers and settings, which a recording doesn't contain, either.
    """
    old = plan.options
    options = Options(
        timeout=old.timeout,
        max_interval=old.max_interval,
        require_cookie=old.require_cookie,
        cookie=old.cookie,
        repeat=old.repeat,
        dialect=old.dialect,
        browser_limit=1,
    )
    clients = tuple(_recognisable(plan.clients, options))
    first = {client.name: _first_step(client) for client in clients}
    steps = [step for step in plan.steps if step.client in first and step.do in _STEPS]
    return replace(
        plan,
        operations=(*plan.operations, Operation(_HELLO)),
        clients=clients,
        steps=tuple(_polite(steps, first)),
        faults=(),
        options=options,
        through_yaml=False,
    )


def _recognisable(clients: Iterable[ClientPlan], options: Options) -> Iterator[ClientPlan]:
    bound = 0
    for client in clients:
        if client.identity == "bound":
            bound += 1
        if client.identity == "anonymous" or (bound > 1 and client.identity == "bound" and options.cookie == "none"):
            continue
        # the reply to an upgrade has no browser cookie, so nothing would identify the calls of such a client
        is_unknown = client.identity == "browser" and client.transport == "websocket"
        transport = "long-polling" if is_unknown else client.transport
        yield replace(client, node=0, delay=0.0, reconnects=True, transport=transport)


def _first_step(client: ClientPlan) -> str:
    """Return the step by which a client gets its cookies; empty if it has none."""
    if client.identity == "browser" or (client.identity == "cookies" and client.transport == "websocket"):
        return "connect"
    return "call" if client.identity == "cookies" else ""


def _polite(steps: Sequence[Step], first: Mapping[str, str]) -> Iterator[Step]:
    """Yield the steps; each client begins alone, and leaves a CometD session before it starts another one."""
    names = list(dict.fromkeys(step.client for step in steps))
    for place, name in enumerate(names):
        if first[name]:
            yield Step(round(place * _PAUSE, 6), name, first[name], [_HELLO, 0] if first[name] == "call" else [])
    connected = {name for name in names if first[name] == "connect"}
    for step in steps:
        at = round(step.at + len(names) * _PAUSE, 6)
        if step.do == "connect":
            if step.client in connected:
                yield Step(at, step.client, "disconnect")
            connected.add(step.client)
        yield step._replace(at=at)


def _as_replayed(plan: Plan, journal: Path) -> Plan:
    """Return the plan with the default settings, and clients that log in with the names that the scenario has."""
    events = sorted(read_journal(journal)[1], key=lambda event: event.at)
    names = [each.identity.get("user", "") for each in (*events, *with_stable_pseudonyms(events))]
    recorded = dict(zip(names[: len(events)], names[len(events) :], strict=True))
    keyed = Pseudonyms(_KEY)
    clients = [
        replace(client, user=recorded[keyed.same_shape(client.user)])
        if client.identity == "basic" and keyed.same_shape(client.user) in recorded
        else client
        for client in plan.clients
    ]
    return replace(plan, clients=tuple(clients), options=replace(plan.options, repeat="last"))


# ------------------------------------------------------------------ the round trip
@dataclass(frozen=True)
class RoundTrip:
    """The result of one plan: the numbers of events and messages, the differences, and the secrets that were found."""

    events: int
    messages: int
    differences: tuple[Difference, ...]
    """The differences without a reason."""
    explained: tuple[str, ...]
    """The reasons of the other differences."""
    found_secrets: tuple[str, ...]


def round_trip(plan: Plan, journal: Path) -> RoundTrip:
    """Record, distill and replay the run of a plan that is `recordable`."""
    recorded = World(plan)
    recorded.play()
    record(recorded.history, journal)
    distilled = distill(journal)
    text = dump(distilled.file)
    replayed = World(_as_replayed(plan, journal), scenario=loads(text), nonce="replayed ")
    replayed.play()
    before, after = received(recorded), received(replayed)
    reasons = [*_reasons(plan, recorded.history, before, after, distilled)]
    found = {
        each: next((reason.text for reason in reasons if _covers(reason, each)), "")
        for each in differences(before, after)
    }
    written = journal.read_text("utf-8") + text
    secrets = {name for name, secret in secrets_of(recorded) if any(each in written for each in encodings(secret))}
    return RoundTrip(
        len(read_journal(journal)[1]),
        len(before),
        tuple(each for each, reason in found.items() if not reason),
        tuple(reason for reason in found.values() if reason),
        tuple(sorted(secrets)),
    )


def broken_round_trip(plan: Plan, totals: RoundTripTotals | None = None) -> list[str]:
    """Return the differences of a round trip that have no reason, the secrets that were written, or an error.

    The round trip is added to `totals`.
    """
    try:
        with TemporaryDirectory() as folder:
            result = round_trip(plan, Path(folder, "recording.jsonl"))
    except Exception as error:  # noqa: BLE001  # an error of the recording breaks the round trip
        return [f"0: {type(error).__name__}: {error}"]
    if totals is not None:
        totals.seeds += 1
        totals.messages += result.messages
        totals.explained += len(result.explained)
    secrets = [f"0: a secret is in the recording: {name}" for name in result.found_secrets]
    return [*(f"0: {each}" for each in result.differences), *secrets]


def report_failure(seed: int, *, max_runs: int = 1500) -> str:
    """Return the smallest plan of a seed whose round trip fails, as a unit test."""

    def find(plan: Plan) -> list[str]:
        return broken_round_trip(recordable(plan))

    plan = recordable(
        Shrinker(plan_of(seed, length=_LENGTH, additions=False), find, SMALLER_PLANS, max_runs=max_runs).shrink()
    )
    return transcript(plan, seed, broken_round_trip)


@dataclass
class RoundTripTotals:
    """The numbers of all round trips."""

    seeds: int = 0
    messages: int = 0
    explained: int = 0

    def __str__(self) -> str:
        return (
            f"{self.seeds} round trips through a recording, {self.messages} messages, "
            f"{self.explained} differences with a reason"
        )


# ------------------------------------------------------------------ comparing
Kind: TypeAlias = Literal["missing", "additional", "earlier"]


class Message(NamedTuple):
    """A reply or a notification as a client receives it, without values that differ in each replay."""

    client: str
    channel: str
    """Empty for the reply to a call."""
    content: str
    """The body or the data, as JSON."""
    call: int
    """The number of the call that it answers; 0 if nothing shows that."""

    def __str__(self) -> str:
        answered = f" of call {self.call}" if self.call else ""
        return f"{self.channel or 'the reply'}{answered} for {self.client}: {self.content}"


class Difference(NamedTuple):
    """A message that the replay doesn't send, that only the replay sends, or that it sends before an `other` one."""

    kind: Kind
    message: Message
    other: Message | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" + (f"; before {self.other}" if self.other else "")


Received: TypeAlias = "tuple[float, Message]"
"""A message with its time, in seconds."""


def received(world: World) -> list[Received]:
    """Return the replies to calls and the notifications that the clients of a world have received."""
    calls = {
        entry.request.id: entry.meaning.number
        for entry in world.history
        if isinstance(entry, Sent) and entry.meaning.kind == "call"
    }
    replies = [entry for entry in world.history if isinstance(entry, Delivered) and entry.request_id in calls]
    callers = [
        (entry.content.get("referenceId"), entry.client, calls[entry.request_id])
        for entry in replies
        if isinstance(entry.content, dict)
    ]
    sessions = _sessions(world.plan)
    found: list[Received] = []
    for entry in world.history:
        if not isinstance(entry, Delivered):
            continue
        if isinstance(entry.content, list):
            for message in entry.content:
                if isinstance(message, dict) and isinstance(data := message.get("data"), dict):
                    call = _call_of(entry.client, data.get("referenceId"), callers, sessions)
                    found.append((entry.at, Message(entry.client, str(message["channel"]), _shown(data), call)))
        elif entry.request_id in calls:
            found.append((entry.at, Message(entry.client, "", _shown(entry.content), calls[entry.request_id])))
    return found


def _sessions(plan: Plan) -> dict[str, str]:
    """Return a name of the session of each client: tabs share one, and so do clients with equal credentials."""
    return {
        client.name: client.jar or (f"{client.identity} {client.user}" if client.user else client.name)
        for client in plan.clients
    }


def _call_of(
    client: str, reference: JSON, callers: Sequence[tuple[JSON, str, int]], sessions: Mapping[str, str]
) -> int:
    """Return the call that a notification answers: of the client, of its session, or of the only other caller."""
    found = [(name, call) for number, name, call in callers if reference is not None and number == reference]
    for calls in (
        {call for name, call in found if name == client},
        {call for name, call in found if sessions[name] == sessions[client]},
        {call for _, call in found},
    ):
        if len(calls) == 1:
            return calls.pop()
    return 0


def _shown(value: JSON) -> str:
    """Return a value as JSON, without reference numbers and session ids, and without the reasons for a 404."""
    if isinstance(value, dict) and "nearest" in value:
        return _UNMATCHED
    if isinstance(value, dict):
        value = {name: "…" if name in ("referenceId", "sid") else item for name, item in value.items()}
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def differences(recorded: Sequence[Received], replayed: Sequence[Received]) -> Iterator[Difference]:
    """Yield the differences between the messages of a recording and of its replay."""
    one, other = Counter(message for _, message in recorded), Counter(message for _, message in replayed)
    yield from (Difference("missing", message) for message in sorted(one - other))
    yield from (Difference("additional", message) for message in sorted(other - one))
    places: dict[Message, list[int]] = {}
    for place, (_, message) in enumerate(replayed):
        places.setdefault(message, []).append(place)
    streams: dict[tuple[str, str], list[tuple[float, int, Message]]] = {}
    for at, message in recorded:
        if message.channel and places.get(message):
            streams.setdefault(message[:2], []).append((at, places[message].pop(0), message))
    for stream in streams.values():
        for number, (at, place, message) in enumerate(stream):
            late = [each for before, behind, each in stream[:number] if before < at - _TOLERANCE and behind > place]
            yield from (Difference("earlier", message, each) for each in dict.fromkeys(late))


# ------------------------------------------------------------------ reasons
class Reason(NamedTuple):
    """A reason for differences, as it is stated: a line of the summary of `distill`, or a part of `docs/record.md`."""

    text: str
    covers: Callable[[Message], bool]
    kinds: tuple[Kind, ...] = get_args(Kind)
    """The differences that it can explain."""


SEVERAL_CLIENTS = "CometD clients of one session, such as two tabs, are not told apart"
USED_NUMBER = "with a reference number that its receivers use for requests of their own"
WINDOW = "later than the `window` of the profile"
FIRST_DELAYS = "Requests with equal answers are one exchange, which has the delays of the first answer"
NO_CLIENT = "A session without a CometD client gets the same exchanges as the others"
DOCUMENTED = (SEVERAL_CLIENTS, USED_NUMBER, WINDOW, FIRST_DELAYS, NO_CLIENT)
"""The limits in `docs/record.md` that explain a difference."""

_WINDOW = 30.0


def _covers(reason: Reason, difference: Difference) -> bool:
    return difference.kind in reason.kinds and any(
        reason.covers(each) for each in (difference.message, difference.other) if each is not None
    )


def _reasons(
    plan: Plan, history: History, before: Sequence[Received], after: Sequence[Received], distilled: Distilled
) -> Iterator[Reason]:
    """Yield the reasons that are stated for this recording, with the messages that each explains."""
    sessions = _sessions(plan)
    common = {_in_session(each, sessions) for _, each in before} & {_in_session(each, sessions) for _, each in after}
    shared = {name for name, session in sessions.items() if [*sessions.values()].count(session) > 1}
    yield Reason(SEVERAL_CLIENTS, lambda each: each.client in shared and _in_session(each, sessions) in common)
    numbered = {*_numbered_broadcasts(plan)}
    yield Reason(USED_NUMBER, lambda each: _event_of(each) in numbered)
    by_call = sorted((each for _, each in before), key=lambda each: each.call or math.inf)
    first = {each.content: (each.client, each.call) for each in reversed(by_call)}
    yield Reason(FIRST_DELAYS, lambda each: first[each.content] != (each.client, each.call), ("earlier",))
    unheard = {*_calls_without_client(history, sessions)} - {0}
    yield Reason(NO_CLIENT, lambda each: bool(each.channel) and each.call in unheard, ("additional",))
    late = {*_late(history, before)}
    yield Reason(WINDOW, lambda each: each.content in late)
    ended = {sessions[name] for name in _ended(history)}
    assigned = frozenset(_for_roles(distilled))
    for line in distilled.summary.lines():
        if found := _REPETITIONS.search(line):
            yield Reason(line, partial(_is_of, _answers_like(found[1], distilled), (*before, *after)))
        elif _ENDED in line:
            yield Reason(line, lambda each: not ended.isdisjoint(_senders(each, plan, sessions)))
        elif line.startswith("left out: the users of the roles"):
            yield Reason(line, partial(_is_of, assigned, (*before, *after)))


def _in_session(message: Message, sessions: Mapping[str, str]) -> Message:
    return message._replace(client=sessions[message.client])


def _event_of(message: Message) -> str:
    """Return the exchange and the place of a notification, such as `op1 2.0`."""
    return str(json.loads(message.content).get("e")) if message.channel else ""


def _numbered_broadcasts(plan: Plan) -> Iterator[str]:
    """Yield the notifications that have a number and that others receive than their asker."""
    for operation in plan.operations:
        for variant in operation.variants():
            for place, answer in enumerate(operation.answers):
                for number, event in enumerate(answer.events):
                    if answer.numbered and event.deliver != "asker":
                        yield f"{operation.exchange_name(variant, place)}.{number}"


def _late(history: History, messages: Sequence[Received]) -> Iterator[str]:
    """Yield the notifications that arrived too long after their call to be joined to it."""
    sent = {entry.meaning.number: entry.at for entry in history if isinstance(entry, Sent)}
    for at, message in messages:
        if message.channel and message.call in sent and at - sent[message.call] > _WINDOW:
            yield message.content


def _calls_without_client(history: History, sessions: Mapping[str, str]) -> Iterator[int]:
    """Yield the calls of sessions that received no Bayeux message then or later."""
    last = {
        sessions[entry.client]: entry.at
        for entry in history
        if isinstance(entry, Delivered) and isinstance(entry.content, list)
    }
    for entry in history:
        if isinstance(entry, Sent) and last.get(sessions[entry.client], -math.inf) < entry.at:
            yield entry.meaning.number


def _ended(history: History) -> Iterator[str]:
    """Yield the clients whose CometD session the server ended."""
    own: Counter[int] = Counter()
    for entry in history:
        if isinstance(entry, Sent | FrameSent):
            number = entry.request.id if isinstance(entry, Sent) else entry.request_id
            own[number] += sum(message["channel"] == _DISCONNECT for message in entry.meaning.messages)
        elif isinstance(entry, Delivered) and isinstance(entry.content, list):
            for message in entry.content:
                if isinstance(message, dict) and message.get("channel") == _DISCONNECT:
                    own[entry.request_id] -= 1
                    if own[entry.request_id] < 0:
                        yield entry.client


def _senders(message: Message, plan: Plan, sessions: Mapping[str, str]) -> Iterator[str]:
    """Yield the sessions of the receiver of a notification, and of the client that published it."""
    if message.channel:
        yield sessions[message.client]
        number = json.loads(message.content).get("n")
        yield from (sessions[step.client] for step in plan.steps if step.do == "publish" and step.value == number)


def _is_of(contents: frozenset[str], received: Sequence[Received], message: Message) -> bool:
    """True for a message with one of these contents, and for those of a call that has such a reply."""
    calls = {each.call for _, each in received if not each.channel and each.content in contents} - {0}
    return message.content in contents or message.call in calls


def _answers_like(name: str, distilled: Distilled) -> frozenset[str]:
    """Return the contents of the exchanges that have the same request as the named one."""
    exchanges = [*distilled.exchanges]
    request = next(each.request for each in exchanges if each.name == name)
    same = [each for each in exchanges if each.request == request]
    replies = {_shown(each.reply.body) for each in same if isinstance(each.reply, ReplyBlock)}
    names = {each.name for each in same}
    events = {_shown(event.data) for each in same for event in each.events or ()}
    entries = {_shown(each.data) for each in distilled.timeline if isinstance(each.since, str) and each.since in names}
    return frozenset(replies | events | entries)


def _for_roles(distilled: Distilled) -> Iterator[str]:
    """Yield the contents that a scenario has for certain roles only."""
    exchanges = [*distilled.exchanges]
    restricted = {exchange.name for exchange in exchanges if exchange.as_ is not None}
    for entry in distilled.timeline:
        if entry.as_ is not None or (isinstance(entry.since, str) and entry.since in restricted):
            yield _shown(entry.data)
    for exchange in exchanges:
        if exchange.as_ is not None and isinstance(exchange.reply, ReplyBlock):
            yield _shown(exchange.reply.body)
        for event in exchange.events or ():
            if exchange.as_ is not None or event.deliver not in (None, "asker", "subscribers", "all"):
                yield _shown(event.data)


# ------------------------------------------------------------------ recording
def record(history: History, journal: Path) -> None:
    """Write a history as a recorder does that stands between the clients and the server."""
    write_key(key_path(journal), _KEY)
    now = _STARTED
    recorder = Recorder(journal, policy=load_policy("default"), profile=profile("gws-v2"), clock=lambda: now)
    sockets: set[int] = set()
    upgrades: dict[int, tuple[str, Headers]] = {}
    for entry in history:
        now = _STARTED + entry.at
        if isinstance(entry, Sent):
            request, flow = entry.request, str(entry.request.id)
            query = f"?{request.query}" if request.query else ""
            url = f"http://localhost{request.path}{query}"
            if request.websocket:
                upgrades[request.id] = (url, request.headers)
            else:
                recorder.request(flow, request.method, url, request.headers, request.body, wanted=True)
        elif isinstance(entry, FrameSent):
            recorder.frame(str(entry.request_id), True, entry.text)
        elif isinstance(entry, Emitted):
            output = entry.output
            if isinstance(output, Reply):
                recorder.reply(str(output.request_id), output.status, output.headers, output.body)
            elif isinstance(output, Frame):
                recorder.frame(str(output.request_id), False, output.text)
            elif isinstance(output, Drop):
                _end(recorder, output.request_id, sockets)
            else:
                assert isinstance(output, Accept), output
                sockets.add(output.request_id)
                recorder.opened(str(output.request_id), *upgrades.pop(output.request_id), output.headers)
        elif isinstance(entry, Lost):
            _end(recorder, entry.request_id, sockets)
    recorder.close()


def _end(recorder: Recorder, number: int, sockets: set[int]) -> None:
    if number in sockets:
        recorder.closed(str(number), 1006)
    else:
        recorder.error(str(number), "the connection was closed")


# ------------------------------------------------------------------ secrets and cuts
def secrets_of(world: World) -> Iterator[tuple[str, str]]:
    """Yield the kind and the value of each secret of a history that is long enough to be told from a name."""
    for entry in world.history:
        if isinstance(entry, Sent):
            for name in entry.meaning.names:
                kind, _, value = name.partition(":")
                if kind in {"c", "b", "i", "v"} and len(value) >= 8:
                    yield kind, value
            authorization = entry.request.headers.get("authorization") or ""
            if len(authorization.partition(" ")[2]) >= 8:
                yield "authorization", authorization.partition(" ")[2]
        elif isinstance(entry, FrameSent):
            for name in entry.meaning.names:
                if name.startswith("i:") and len(name) >= 10:
                    yield "i", name[2:]


def encodings(secret: str) -> list[str]:
    """Return the texts by which a secret would be recognised."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"x" * shift + raw).decode().rstrip("=")[4 if shift else 0 : -2] for shift in range(3)]
    return [secret, quote(secret, safe=""), raw.hex(), secret[::-1], *(text for text in shifted if len(text) > 6)]


def cuts_of(journal: bytes) -> Iterator[bytes]:
    """Yield the journal as a recorder leaves it that is killed: after each line, before its end, and within it."""
    end = 0
    for line in journal.splitlines(keepends=True):
        for length in sorted({1, len(line) // 2, len(line) - 1, len(line)}):
            yield journal[: end + length]
        end += len(line)
