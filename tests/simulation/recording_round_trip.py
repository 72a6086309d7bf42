"""Recording round trip: a history is recorded, redacted, distilled and replayed to the same clients, in virtual time.

The recorded and the replayed clients must receive equal replies and notifications, in order for each channel. Runs
without faults and changes of the environment are used: a recording contains the result of a fault, not the fault.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from cometreel.jsonvalue import JSON
from cometreel.recording import Distilled, Recorder, distill, load_policy
from cometreel.recording.recording_journal import key_path, read_journal, write_key
from cometreel.recording.secret import Secret
from cometreel.scenario import dump, loads, profile
from cometreel.wire import Accept, Drop, Frame, Reply
from tests.simulation.generation import plan_of
from tests.simulation.history import Delivered, Emitted, FrameSent, History, Lost, Sent
from tests.simulation.plan import Options, Plan, Step
from tests.simulation.world import World

__all__ = ["RoundTrip", "cuts_of", "recordable_plan", "round_trip"]

_STARTED = 1_700_000_000.0
_KEY = Secret(b"k" * 32)


def recordable_plan(seed: int, length: int = 40) -> Plan:
    """Return the plan of a seed, reduced to what a recording can tell apart.

    There are no faults, changes of the environment and broken connections, since a recording contains the result of a
    fault, not the fault. Each notification answers a call, with a reference number, and goes to the caller: without a
    number, distill can only guess by time. There are no guards, roles and templates: a recording shows the answers
    that somebody got, not those that others would have got.
    """
    plan = plan_of(seed, length=length)
    operations = tuple(
        replace(
            operation,
            answers=tuple(
                replace(
                    answer,
                    numbered=True,
                    events=tuple(replace(event, deliver="asker") for event in answer.events if not event.disconnect),
                )
                for answer in operation.answers
            ),
            repeat="last" if operation.repeat == "fail" else operation.repeat,
            after=None,
            before=None,
            roles=(),
            echoes=False,
            binds=False,
        )
        for operation in plan.operations
        if operation.trigger != "publish" and not operation.binds
    )
    wanted = {operation.name for operation in operations}
    client = plan.clients[0]
    # a recording does not contain the cookie that the reply to an upgrade sets, so nothing joins a WebSocket to calls
    transport = "long-polling" if client.transport == "websocket" else client.transport
    clients = (replace(client, node=0, identity="cookies", jar="", delay=0.0, transport=transport),)
    name = client.name
    calls = [
        step._replace(at=step.at + 1, client=name)
        for step in plan.steps
        if step.do == "call" and isinstance(step.value, list) and step.value[0] in wanted
    ]
    steps = (Step(0.0, name, "connect", []), *calls)
    old = plan.options
    options = Options(timeout=old.timeout, max_interval=old.max_interval)
    return replace(
        plan, operations=operations, clients=clients, steps=steps, faults=(), timeline=(), users=(), options=options
    )


@dataclass(frozen=True)
class RoundTrip:
    """The result of one seed: the number of events, the differences of each client, and the secrets that were found."""

    seed: int
    events: int
    messages: int
    differences: tuple[str, ...]
    found_secrets: tuple[str, ...]
    distilled: Distilled


def round_trip(seed: int, folder: Path, length: int = 40) -> RoundTrip:
    """Record, distill and replay the run of a seed. The journal is written to `folder`."""
    plan = recordable_plan(seed, length)
    recorded = World(plan)
    recorded.play()
    journal = folder / f"seed-{seed}.jsonl"
    record(recorded.history, journal)
    distilled = distill(journal)
    text = dump(distilled.file)
    replayed = World(plan)
    replayed.scenario = loads(text)
    replayed.nodes = [replayed._backend(0)]
    replayed.play()
    before, after = received(recorded), received(replayed)
    differences = [
        f"{client}, {channel}: recorded {before.get((client, channel))}, replayed {after.get((client, channel))}"
        for client, channel in sorted(before.keys() | after.keys())
        if before.get((client, channel)) != after.get((client, channel))
    ]
    written = journal.read_text("utf-8") + text
    found = [name for name, secret in secrets_of(recorded) if any(each in written for each in encodings(secret))]
    events = len(read_journal(journal)[1])
    return RoundTrip(
        seed, events, sum(map(len, before.values())), tuple(differences), tuple(sorted({*found})), distilled
    )


# ------------------------------------------------------------------ recording
def record(history: History, journal: Path) -> None:
    """Write a history as a recorder does that stands between the clients and the server."""
    write_key(key_path(journal), _KEY)
    now = _STARTED
    recorder = Recorder(journal, policy=load_policy("default"), profile=profile("gws-v2"), clock=lambda: now)
    sockets: set[int] = set()
    for entry in history:
        now = _STARTED + entry.at
        if isinstance(entry, Sent):
            request, flow = entry.request, str(entry.request.id)
            query = f"?{request.query}" if request.query else ""
            url = f"http://localhost{request.path}{query}"
            if request.websocket:
                sockets.add(request.id)
                recorder.opened(flow, url, request.headers)
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
        elif isinstance(entry, Lost):
            _end(recorder, entry.request_id, sockets)
    recorder.close()


def _end(recorder: Recorder, number: int, sockets: set[int]) -> None:
    if number in sockets:
        recorder.closed(str(number), 1006)
    else:
        recorder.error(str(number), "the connection was closed")


# ------------------------------------------------------------------ comparing
def received(world: World) -> dict[tuple[str, str], list[str]]:
    """Return the replies to calls (channel `reply`) and the notifications of each client and channel, as JSON."""
    found: dict[tuple[str, str], list[str]] = {}
    calls = {entry.request.id for entry in world.history if isinstance(entry, Sent) and entry.meaning.kind == "call"}
    numbers: dict[tuple[str, JSON], int] = {}
    for entry in world.history:
        if not isinstance(entry, Delivered):
            continue
        if isinstance(entry.content, list):
            for message in entry.content:
                if isinstance(message, dict) and "data" in message:
                    shown = _shown(entry.client, message["data"], numbers)
                    found.setdefault((entry.client, str(message["channel"])), []).append(shown)
        elif entry.request_id in calls:
            found.setdefault((entry.client, "reply"), []).append(_shown(entry.client, entry.content, numbers))
    return found


def _shown(client: str, value: JSON, numbers: dict[tuple[str, JSON], int]) -> str:
    """Return a value as JSON. The replay renumbers references, so the n-th one of a client is shown as n."""
    if isinstance(value, dict) and "referenceId" in value:
        number = numbers.setdefault((client, value["referenceId"]), len(numbers) + 1)
        value = {**value, "referenceId": number}
    return json.dumps(value, sort_keys=True)


def secrets_of(world: World) -> Iterator[tuple[str, str]]:
    """Yield the kind and the value of each secret of a history that is long enough to be told from a name."""
    for entry in world.history:
        if isinstance(entry, Sent):
            for name in entry.meaning.names:
                kind, _, value = name.partition(":")
                if kind in {"c", "b", "i"} and len(value) >= 8:
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
