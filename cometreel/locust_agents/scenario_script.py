"""The requests of a scenario, with their times, for agents to send. Owners can be replaced.

A scenario contains the duration of each exchange but not its start, so an agent sends a request when the exchange
before it is over. Exchanges that can't be sent because a value is unknown are skipped and listed.

The first exchanges, up to the last one that logs in, are the login: each agent sends them once, in the recorded order,
and then does the CometD handshake. It repeats the others in rounds. A notification needs a CometD session, so the login
ends before the first exchange with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from cometreel.bayeux import BayeuxSettings
from cometreel.errors import OptionInvalid
from cometreel.http_fields import SAFE_IN_SEGMENT
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.load import Expectation, OwnerKind, Owners, PlannedRequest, expectation_for
from cometreel.locust_agents.agent_identity import UserCredentials
from cometreel.locust_agents.login import LoginRequest, RecordedLogin
from cometreel.scenario import ExchangeBlock, RequestBlock, load, parse
from cometreel.scenario.durations import parse_duration
from cometreel.scenario.value_markers import marker_of, unescaped
from cometreel.secret_names import treatment_of, words_of

__all__ = ["STATE_CHANGES", "AnyAnswer", "ScenarioScript", "ScriptedRequest", "read_script"]

_DEFAULT_ENDPOINT = BayeuxSettings().endpoint

STATE_CHANGES = frozenset({"WorkbinStateChangeMessage", "WorkbinSubscriptionStateChangeMessage"})
"""Notifications that answer no request."""
_TO_ASKER = (None, "asker", "subscribers", "all")
"""The values of `deliver` for notifications that the agent receives; the others are roles."""
_START_SESSION, _END_SESSION = "StartContactCenterSession", "EndContactCenterSession"
_TOKENS = frozenset({"csrf", "xsrf", "token", "jwt", "assertion"})
_SHOWN = 3  # reasons in an error
_NO_USERS = UserCredentials("", "")
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


@dataclass(frozen=True, slots=True)
class ScriptedLogin:
    """One request of the login, with its body and its form as patterns."""

    name: str
    target: str
    body: JSON
    form: JSON
    credentials: bool
    """True if it was recorded with the credentials of a user."""
    refused: bool
    """True if the recorded reply is a refusal: the real reply may be one, too."""

    def filled(self, credentials: UserCredentials | None) -> RecordedLogin:
        """Return the request of a user, with the user's name and password at the redacted places."""
        body, form = (_value(part, _redacted_by(credentials or _NO_USERS)) for part in (self.body, self.form))
        fields = form if isinstance(form, dict) else None
        return RecordedLogin(self.name, LoginRequest(self.target, body, self.credentials, fields), self.refused)


@dataclass(frozen=True)
class ScenarioScript:
    """The requests of each role. Agents repeat them in rounds until the run ends."""

    roles: tuple[tuple[ScriptedRequest, ...], ...]
    seconds: float
    """Duration of a round."""
    endpoint: str = _DEFAULT_ENDPOINT
    channels: tuple[str, ...] = ()
    """The channels of its notifications; each agent subscribes to them."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Skipped exchanges by name, with the reason."""
    logins: tuple[tuple[ScriptedLogin, ...], ...] = ()
    """The login of each role; without any, agents log in as a desktop does."""
    end: LoginRequest | None = None
    """The last request of a session, if it was recorded."""

    def requests_of(self, agent: int) -> tuple[ScriptedRequest, ...]:
        """Return the requests of an agent. Roles are assigned round-robin."""
        return self.roles[agent % len(self.roles)]

    def login_of(self, agent: int, credentials: UserCredentials | None) -> list[RecordedLogin]:
        """Return the recorded login for an agent."""
        return [each.filled(credentials) for each in self.logins[agent % len(self.logins)]] if self.logins else []


_Sendable = tuple[ExchangeBlock, ScriptedRequest, float]


def read_script(paths: Sequence[Path], speed: float, *, has_users: bool = False) -> ScenarioScript:
    """Read scenarios; `speed` 2 is twice as fast as recorded. Without users, requests that need a login are skipped.

    :raises FileInvalid: if a scenario is invalid, with every problem.
    :raises OptionInvalid: if no request of the scenarios can be sent.
    """
    scenario = load(paths)
    blocks = [block for file in scenario.files for block in parse(file).exchanges or []]
    login, rest = _split(blocks)
    skipped: dict[str, str] = {}
    logins = list(_unless_skipped(login, lambda block: _login(block, has_users=has_users), skipped))
    ends = [block for block in rest if _operation(block) == _END_SESSION] if has_users else []
    sendable: list[_Sendable] = list(
        _unless_skipped(
            [block for block in rest if block not in ends],
            lambda block: (block, _request(block, has_users=has_users), _duration(block) / speed),
            skipped,
        )
    )
    if not sendable:
        expected = "a scenario with at least one complete request after the login"
        reasons = [f"{name!r}: {reason}" for name, reason in skipped.items()]
        hint = "; ".join([*reasons[:_SHOWN], *([f"{len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else [])])
        raise OptionInvalid("--reel-scenario", "none of its requests can be sent", expected, hint)
    roles = [*(scenario.roles or [""])]
    longest = max(sum(duration for _, _, duration in sendable), 0.001)
    events = [event for block, _, _ in sendable for event in block.events or []]
    channels = dict.fromkeys(event.channel for event in events if isinstance(event.channel, str))
    return ScenarioScript(
        tuple(_requests_of_role(sendable, role) for role in roles),
        longest,
        scenario.bayeux.endpoint or _DEFAULT_ENDPOINT,
        tuple(channels),
        skipped,
        tuple(tuple(each for block, each in logins if _is_of(block, role)) for role in roles) if logins else (),
        next((LoginRequest(_target(block), _value(_pattern(block))) for block in ends), None),
    )


_Made = TypeVar("_Made")


def _unless_skipped(
    blocks: Sequence[ExchangeBlock], make: Callable[[ExchangeBlock], _Made], skipped: dict[str, str]
) -> Iterator[_Made]:
    for block in blocks:
        try:
            made = make(block)
        except _NotSendable as reason:
            skipped[block.name] = str(reason)
        else:
            yield made


def _split(blocks: Sequence[ExchangeBlock]) -> tuple[Sequence[ExchangeBlock], Sequence[ExchangeBlock]]:
    """Return the exchanges of the login, which come before the CometD handshake, and the others."""
    before = next((at for at, block in enumerate(blocks) if block.events or _is_publish(block)), len(blocks))
    end = max((at + 1 for at, block in enumerate(blocks[:before]) if _logs_in(block)), default=0)
    return blocks[:end], blocks[end:]


def _is_publish(block: ExchangeBlock) -> bool:
    return not isinstance(block.request, RequestBlock)


def _logs_in(block: ExchangeBlock) -> bool:
    request = block.request
    if not isinstance(request, RequestBlock):
        return False
    return request.authenticated is not None or _operation(block) == _START_SESSION or _sends_password(request)


def _sends_password(request: RequestBlock) -> bool:
    return _needs_password(request.body) or _needs_password(request.form)


def _operation(block: ExchangeBlock) -> JSON:
    pattern = _pattern(block)
    marker = marker_of(pattern)
    inner = marker[1] if marker is not None and marker[0] == "$partial" else pattern
    return inner.get("operationName") if isinstance(inner, dict) else None


def _pattern(block: ExchangeBlock) -> JSON:
    return block.request.body if isinstance(block.request, RequestBlock) else None


def _needs_password(pattern: JSON) -> bool:
    """Return True if a secret of a user was redacted in this pattern."""
    if isinstance(pattern, list):
        return any(map(_needs_password, pattern))
    if not isinstance(pattern, dict):
        return False
    return any((_is_any(member) and _is_password(key)) or _needs_password(member) for key, member in pattern.items())


def _is_password(key: str) -> bool:
    """Return True for the name of a secret that a user knows. A token is made by the server."""
    return treatment_of(key) == "secret" and _TOKENS.isdisjoint(words_of(key))


def _is_any(pattern: JSON) -> bool:
    marker = marker_of(pattern)
    return marker is not None and marker[0] == "$any"


def _redacted_by(credentials: UserCredentials) -> Callable[[str], str | None]:
    """Return a function that maps the key of a redacted value to the value of this user."""

    def value(key: str) -> str | None:
        if _is_password(key):
            return credentials.password
        return credentials.user if treatment_of(key) == "name" else None

    return value


def _is_of(block: ExchangeBlock, role: str) -> bool:
    names = [block.as_] if isinstance(block.as_, str) else block.as_
    return names is None or role in names


def _requests_of_role(sendable: Sequence[_Sendable], role: str) -> tuple[ScriptedRequest, ...]:
    at, requests = 0.0, []
    for block, request, duration in sendable:
        if _is_of(block, role):
            requests.append(ScriptedRequest(at, request.name, request.path, request.body, request.expects_notification))
        at += duration
    return tuple(requests)


def _login(block: ExchangeBlock, *, has_users: bool) -> tuple[ExchangeBlock, ScriptedLogin]:
    """Return a request of the login. Without users, those that need none remain."""
    request = block.request
    assert isinstance(request, RequestBlock)
    refused = _status(block) not in range(200, 400)
    if refused and (request.authenticated is not False or not has_users):
        raise _NotSendable("the recorded reply is an error")
    _check_sendable(request, has_users=has_users)
    credentials = request.authenticated is True
    login = ScriptedLogin(block.name, _target(block), request.body, request.form, credentials, refused)
    login.filled(None)
    return block, login


def _check_sendable(request: RequestBlock, *, has_users: bool) -> None:
    if not has_users and (request.authenticated is True or _sends_password(request)):
        raise _NotSendable("it needs a login; add --reel-users")
    if request.method.upper() not in {"GET", "POST"}:
        raise _NotSendable(f"its method is {request.method}")


def _request(block: ExchangeBlock, *, has_users: bool) -> ScriptedRequest:
    request = block.request
    if not isinstance(request, RequestBlock):
        raise _NotSendable("it is a CometD publish")
    if request.authenticated is False or _status(block) not in range(200, 300):
        raise _NotSendable("the recorded reply is an error")
    _check_sendable(request, has_users=has_users)
    target, body = _target(block), _value(request.body)
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


def _target(block: ExchangeBlock) -> str:
    assert isinstance(block.request, RequestBlock)
    path, query = _path(block.request.path), _query(block.request.query)
    return f"{path}?{query}" if query else path


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
        return "/" + "/".join(quote(str(_value(segment)), safe=SAFE_IN_SEGMENT) for segment in written)
    return quote("/" + str(_value(written)).lstrip("/"), safe=f"{SAFE_IN_SEGMENT}/%;")


def _query(written: JSON) -> str:
    marker = marker_of(written)
    if written is None or (marker is not None and marker[0] == "$any"):
        return ""  # any query matches, also none
    query = _value(written)
    return urlencode(query, doseq=True, safe="*,:") if isinstance(query, dict) else ""


def _unknown(_key: str) -> str | None:
    return None


def _value(pattern: JSON, redacted: Callable[[str], str | None] = _unknown, name: str = "") -> JSON:
    """Return the value of a pattern. No value is invented; `redacted` returns that of a redacted key, if known."""
    marker = marker_of(pattern)
    if marker is None:
        if isinstance(pattern, dict):
            return {unescaped(key): _value(member, redacted, key) for key, member in pattern.items()}
        return [_value(item, redacted, name) for item in pattern] if isinstance(pattern, list) else pattern
    key, argument = marker
    if key == "$one-of" and isinstance(argument, list):
        return _value(argument[0], redacted, name)
    if key == "$csv" and isinstance(argument, list):
        return ",".join(str(_value(item)) for item in argument)
    if key == "$partial":
        return _value(argument, redacted, name)
    if key == "$any" and (known := redacted(name)) is not None:
        return known
    raise _NotSendable(f"{key} matches a value that the scenario doesn't contain")
