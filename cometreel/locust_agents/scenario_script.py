"""The requests of a scenario, with their times, for agents to send. Owners can be replaced.

A scenario contains the duration of each exchange but not its start, so an agent sends a request when the exchange
before it is over. Exchanges that can't be sent because a value is unknown are skipped and listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.load import Expectation, OwnerKind, Owners, PlannedRequest, expectation_for
from cometreel.scenario import ExchangeBlock, RequestBlock, load, parse
from cometreel.scenario.durations import parse_duration
from cometreel.scenario.markers import marker_of, unescaped

__all__ = ["STATE_CHANGES", "AnyAnswer", "ScenarioScript", "ScriptedRequest", "read_script"]

STATE_CHANGES = frozenset({"WorkbinStateChangeMessage", "WorkbinSubscriptionStateChangeMessage"})
"""Notifications that answer no request."""
_TO_ASKER = (None, "asker", "subscribers", "all")
"""The values of `deliver` for notifications that the agent receives; the others are roles."""
_SAFE = "~!$&'()*+,=:@"
_END_SESSION = "EndContactCenterSession"
_KINDS = {kind.label: kind for kind in OwnerKind if kind.owned}


class _NotSendable(Exception):
    """A request that can't be sent; the message is the reason."""


@dataclass(frozen=True, slots=True)
class AnyAnswer(Expectation):
    """Accepts any notification with the right referenceId."""

    workbin_type: str = ""

    def mismatch(self, data: JSONObject) -> str:
        """Return an empty string: nothing is wrong."""
        return ""


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """One request. `at` is its time in seconds since the start of a round. A GET has no body."""

    at: float
    name: str
    path: str
    body: JSONObject | None
    expects_notification: bool
    """True if a notification with its referenceId is expected."""

    def prepare(self, agent: int, owners: Owners, own_id: str | None) -> tuple[PlannedRequest, str, bytes | None]:
        """Return the request of this agent and its expected notification. Given owners replace the recorded one."""
        if self.body is None:
            return PlannedRequest(self.name, None), self.path, None
        body, path = self.body, self.path
        kind = _KINDS.get(str(body.get("workbinType")))
        if body.get("operationName") != "RequestAgentStats":
            return PlannedRequest(self.name, AnyAnswer() if self.expects_notification else None), path, encode(body)
        owner = str(body.get("workbinOwner", ""))
        if path.startswith("/api/v2/users/"):
            kind, owner = OwnerKind.USER, path.split("/")[4]
        names = owners.of(kind) if kind is not None else ()
        if names:
            owner = names[agent % len(names)]
        if kind is OwnerKind.USER:
            path = f"/api/v2/users/{quote(owner, safe='')}/workbins"
        elif kind is not None:
            body = {**body, "workbinOwner": owner}
        kind = kind or OwnerKind.AGENT
        return PlannedRequest(kind.entry, expectation_for(kind, owner, own_id)), path, encode(body)


@dataclass(frozen=True)
class ScenarioScript:
    """The requests of each role. Agents repeat them in rounds until the run ends."""

    roles: tuple[tuple[ScriptedRequest, ...], ...]
    seconds: float
    """Duration of a round."""
    endpoint: str | None = None
    channels: tuple[str, ...] = ()
    """The channels of its notifications; each agent subscribes to them."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Skipped exchanges by name, with the reason."""

    def requests_of(self, agent: int) -> tuple[ScriptedRequest, ...]:
        """Return the requests of an agent. Roles are assigned round-robin."""
        return self.roles[agent % len(self.roles)]


def read_script(paths: Sequence[Path], speed: float) -> ScenarioScript:
    """Read scenarios; `speed` 2 is twice as fast as recorded.

    :raises FileInvalid: if a scenario is invalid, with every problem.
    :raises OptionInvalid: if no request of the scenarios can be sent.
    """
    scenario = load(paths)
    blocks = [block for file in scenario.files for block in parse(file).exchanges or []]
    skipped: dict[str, str] = {}
    sendable: list[tuple[ExchangeBlock, ScriptedRequest, float]] = []
    for block in blocks:
        try:
            sendable.append((block, _request(block), _duration(block) / speed))
        except _NotSendable as reason:
            skipped[block.name] = str(reason)
    if not sendable:
        expected = "a scenario with at least one complete request"
        raise OptionInvalid("--reel-scenario", "none of its requests can be sent", expected)
    roles = tuple(_requests_of_role(sendable, role) for role in scenario.roles or [""])
    longest = max(sum(duration for _, _, duration in sendable), 0.001)
    events = [event for block, _, _ in sendable for event in block.events or []]
    channels = dict.fromkeys(event.channel for event in events if isinstance(event.channel, str))
    return ScenarioScript(roles, longest, scenario.bayeux.endpoint, tuple(channels), skipped)


def _requests_of_role(
    sendable: Sequence[tuple[ExchangeBlock, ScriptedRequest, float]], role: str
) -> tuple[ScriptedRequest, ...]:
    at, requests = 0.0, []
    for block, request, duration in sendable:
        names = [block.as_] if isinstance(block.as_, str) else block.as_
        if names is None or role in names:
            requests.append(ScriptedRequest(at, request.name, request.path, request.body, request.expects_notification))
        at += duration
    return tuple(requests)


def _request(block: ExchangeBlock) -> ScriptedRequest:
    request = block.request
    if not isinstance(request, RequestBlock):
        raise _NotSendable("it is a CometD publish")
    if request.authenticated is False or _status(block) not in range(200, 300):
        raise _NotSendable("the recorded reply is an error")
    if request.method.upper() not in {"GET", "POST"}:
        raise _NotSendable(f"its method is {request.method}")
    path, query, body = _path(request.path), _query(request.query), _value(request.body)
    target = f"{path}?{query}" if query else path
    if request.method.upper() == "GET":
        return ScriptedRequest(0.0, f"GET {block.name}", target, None, expects_notification=False)
    if "form" in request.model_fields_set:
        raise _NotSendable("its body is a form")
    if not isinstance(body, dict):
        raise _NotSendable("its body is not a JSON object")
    if body.get("operationName") == _END_SESSION:
        raise _NotSendable("it ends the session")
    return ScriptedRequest(
        0.0, f"POST {block.name}", target, body, expects_notification=any(_expected_notifications(block))
    )


def _expected_notifications(block: ExchangeBlock) -> Iterator[bool]:
    for event in block.events or []:
        data = event.data if isinstance(event.data, dict) and event.deliver in _TO_ASKER else {}
        yield "referenceId" in data and data.get("messageType") not in STATE_CHANGES


def _status(block: ExchangeBlock) -> int:
    status = block.reply.status if block.reply is not None else None
    return status if isinstance(status, int) else 200


def _duration(block: ExchangeBlock) -> float:
    """Return the duration of an exchange including its notifications."""
    afters = [block.reply.after if block.reply is not None else None, *(event.after for event in block.events or [])]
    return max((parse_duration(after) for after in afters if isinstance(after, str)), default=0.0)


def _path(written: JSON) -> str:
    if isinstance(written, list):
        return "/" + "/".join(quote(str(_value(segment)), safe=_SAFE) for segment in written)
    return quote("/" + str(_value(written)).lstrip("/"), safe=f"{_SAFE}/%;")


def _query(written: JSON) -> str:
    marker = marker_of(written)
    if written is None or (marker is not None and marker[0] == "$any"):
        return ""  # any query matches, also none
    query = _value(written)
    return urlencode(query, doseq=True, safe="*,:") if isinstance(query, dict) else ""


def _value(pattern: JSON) -> JSON:
    """Return the value of a pattern. No value is invented."""
    marker = marker_of(pattern)
    if marker is None:
        if isinstance(pattern, dict):
            return {unescaped(key): _value(member) for key, member in pattern.items()}
        return [_value(item) for item in pattern] if isinstance(pattern, list) else pattern
    key, argument = marker
    if key == "$one-of" and isinstance(argument, list):
        return _value(argument[0])
    if key == "$csv" and isinstance(argument, list):
        return ",".join(str(_value(item)) for item in argument)
    if key == "$partial":
        return _value(argument)
    raise _NotSendable(f"{key} matches a value that the scenario doesn't contain")
