"""The request journal: the latest calls of a replay, as a sequence that can be filtered.

Calls contain no cookies and no credentials.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict, Unpack, overload

from cometreel.engine.given_up import GivenUpEvents
from cometreel.engine.near_misses import Miss
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, NotJSON, decode
from cometreel.masking import masked_text
from cometreel.scenario import Profile, find
from cometreel.scenario.checks import pattern as check_pattern
from cometreel.scenario.findings import near
from cometreel.scenario.matchers import MatchContext, Matcher, matcher
from cometreel.scenario.normalized_request import normalize_path
from cometreel.scenario.python_values import JSONPattern, json_of
from cometreel.scenario.value_markers import marker_of
from cometreel.value_copies import copy_by_constructor

__all__ = ["Call", "CallFilters", "CallListener", "CallValues", "Calls", "RequestJournal"]

_OPERATION, _OWNER, _OWNER_TYPE = "/operationName", ("/workbinOwner",), ("/workbinType",)
"""The places in GWS's documented requests; a correlation profile can name others."""


@dataclass(slots=True, unsafe_hash=True)
class Call:
    """One request or publish to a replay. It contains no cookie and no credential."""

    at: float
    """The time, in seconds on the driver's clock."""
    session: int
    """The arrival number of the HTTP session, from 1."""
    role: str | None
    """The recorded session whose role this one has."""
    user: str | None
    """The user that is logged in."""
    method: str
    """The HTTP method, or `PUBLISH`."""
    target: str
    """The path and query as sent, or the channel."""
    body: bytes
    """The decoded body; for a publish its data as JSON."""
    exchange: str | None
    """The exchange that answered; None for a miss, a refusal or a responder."""
    outcome: str
    """The outcome: `played`, `responder`, `missed`, `broadcast` (a publish that the scenario doesn't answer),
    `forwarded`, `failed`, `fault: …` or `refused: …`."""
    number: int = 0
    """The number of the call, from 1."""
    status: int | None = None
    """The status of the HTTP reply; None for a publish, a forwarded request and a broken connection."""
    miss: Miss | None = None
    """The near misses of an unmatched call."""
    failure: str = ""
    """The error of a failed call: an exchange that could not be played, or the error of a responder."""
    profile: Profile = field(default=Profile("none"), repr=False, compare=False)
    """The correlation profile, which names the place of the operation in a body."""

    @property
    def path(self) -> str:
        """The path without its query, or the channel."""
        return self.target.partition("?")[0]

    @property
    def data(self) -> JSON:
        """The body as JSON; None if there was none, or it wasn't JSON."""
        try:
            return decode(self.body) if self.body else None
        except NotJSON:
            return None

    @property
    def operation(self) -> str | None:
        """The operation in the body, such as `RequestAgentStats`."""
        return _text(self.data, (self.profile.operation or _OPERATION,))

    @property
    def owner_type(self) -> str | None:
        """The kind of owner in the body, such as `Place`."""
        return _text(self.data, self.profile.owner_type or _OWNER_TYPE)

    @property
    def owner(self) -> str | None:
        """The owner in the body, such as `Place1`."""
        return _text(self.data, self.profile.owner or _OWNER)

    def __str__(self) -> str:
        about = " ".join(part for part in (self.operation, self.owner_type, self.owner) if part)
        who = f"session {self.session}" + (f", {self.user}" if self.user else "")
        answer = f"{self.exchange!r}" if self.outcome == "played" else self.outcome
        return f"{self.method} {masked_text(self.target)}{f' ({about})' if about else ''} by {who}: {answer}"


CallValues: TypeAlias = (
    "tuple[float, int, str | None, str | None, str, str, bytes, str | None, str, int, int | None, Miss | None, str,"
    " Profile]"
)
"""The values of a `Call`, in their order. A `Call` is created when somebody reads it, which is rare."""


def _text(data: JSON, pointers: Iterable[str]) -> str | None:
    values = (value for pointer in pointers for _, value in find(data, pointer))
    return next((value for value in values if isinstance(value, str)), None)


class CallFilters(TypedDict, total=False):
    """The filters of calls; each is an attribute of `Call`. None selects calls whose attribute is None."""

    operation: str | None
    owner_type: str | None
    owner: str | None
    method: str
    path: str
    """A trailing slash and percent-encoding are ignored."""
    body: JSONPattern
    """A pattern for the JSON body, which may contain markers. An object matches bodies that have more members too."""
    exchange: str | None
    session: int
    user: str | None
    role: str | None
    outcome: str
    """`refused` selects every `refused: …`."""


class Calls(Sequence[Call]):
    """A sequence of calls, oldest first. Call it to filter: `calls(operation="Subscribe", owner_type="Place")`."""

    __slots__ = ("_calls",)
    __hash__ = None  # type: ignore[assignment]  # it can equal a list, so it is not hashable, like a list

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self._calls = tuple(calls)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> Calls: ...
    def __getitem__(self, index: int | slice) -> Call | Calls:
        return Calls(self._calls[index]) if isinstance(index, slice) else self._calls[index]

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Calls):
            return self._calls == other._calls
        return self._calls == tuple(other) if isinstance(other, list | tuple) else False

    def __repr__(self) -> str:
        return f"Calls([{', '.join(map(str, self._calls))}])"

    def __call__(self, **wanted: Unpack[CallFilters]) -> Calls:
        """Return the calls that have all these values.

        :raises OptionInvalid: if a name isn't one of those that `CallFilters` lists, or `body` isn't a pattern.
        """
        known = list(CallFilters.__annotations__)
        for name in wanted:
            if name not in known:
                expected = f"one of {', '.join(known)}"
                raise OptionInvalid(name, "calls can't be filtered by it", expected, near(name, known))
        calls: Iterable[Call] = self._calls
        if "body" in wanted:
            calls = _with_body(calls, wanted.pop("body"))
        tests = [(name, _normalized(name, value)) for name, value in wanted.items()]
        return Calls(call for call in calls if all(value in _values_of(call, name) for name, value in tests))

    def since(self, number: int) -> Calls:
        """Return the calls after the one with this number."""
        return Calls(call for call in self._calls if call.number > number)


def _with_body(calls: Iterable[Call], wanted: JSONPattern) -> Iterator[Call]:
    """Return the calls whose body matches; an object is compared in part."""
    pattern, findings = json_of(wanted)
    for finding in findings or check_pattern(pattern):
        raise OptionInvalid("body", finding.found, finding.expected or "a JSON value, or markers", finding.hint)
    partial = isinstance(pattern, dict) and marker_of(pattern) is None
    body = matcher({"$partial": pattern} if partial else pattern)
    return (call for call in calls if _matches(body, call.body))


def _matches(pattern: Matcher, body: bytes) -> bool:
    """True if a body is JSON and matches."""
    context = MatchContext()
    try:
        pattern.compare(decode(body), "/body", context)
    except NotJSON:
        return False
    return not context.differences


def _values_of(call: Call, name: str) -> tuple[object, ...]:
    """Return the values of a call that match a filter, in normalised form."""
    if name == "outcome":
        return call.outcome, call.outcome.partition(":")[0]
    return (_normalized(name, getattr(call, name)),)


def _normalized(name: str, value: object) -> object:
    """Return a value in normalised form."""
    if name == "path" and isinstance(value, str):
        return str(normalize_path(value))
    return value.upper() if name == "method" and isinstance(value, str) else value


_MAX_BYTES = 64 * 1024 * 1024  # of all bodies together
_MAX_UNMATCHED, _MAX_UNMATCHED_BYTES = 1000, 16 * 1024 * 1024

CallListener: TypeAlias = Callable[[Call], None]
"""Called with each call when it is written. It must not block."""


class _Latest:
    """The latest calls, limited by their number and by the total size of their targets and bodies."""

    __slots__ = ("_bytes", "_calls", "_max_bytes", "_max_calls")

    def __init__(self, max_calls: int, max_bytes: int) -> None:
        self._max_calls, self._max_bytes = max_calls, max_bytes
        self._calls: deque[CallValues | Call] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Call]:
        """Yield the calls; each is created once."""
        self._calls = deque([Call(*each) if isinstance(each, tuple) else each for each in self._calls])
        return iter([each for each in self._calls if isinstance(each, Call)])

    def add(self, values: CallValues) -> None:
        """Add a call, and remove the oldest ones above the limits."""
        self._calls.append(values)
        self._bytes += len(values[5]) + len(values[6])
        while self._bytes > self._max_bytes or len(self._calls) > self._max_calls:
            oldest = self._calls.popleft()
            target, body = oldest[5:7] if isinstance(oldest, tuple) else (oldest.target, oldest.body)
            self._bytes -= len(target) + len(body)

    def clear(self) -> None:
        """Remove all calls."""
        self._calls.clear()
        self._bytes = 0


class RequestJournal:
    """The latest `max_calls` calls, or fewer if their bodies are large."""

    def __init__(self, max_calls: int) -> None:
        self._calls = _Latest(max_calls, _MAX_BYTES)
        self._unmatched = _Latest(_MAX_UNMATCHED, _MAX_UNMATCHED_BYTES)
        self._failed = _Latest(_MAX_UNMATCHED, _MAX_UNMATCHED_BYTES)
        self.unmatched_count = 0
        """The number of unmatched calls, also of those that are no longer kept."""
        self.given_up = GivenUpEvents()
        """The notifications that no client gets."""
        self._listeners: list[CallListener] = []
        self.last = 0
        """The number of the latest call, 0 before the first."""
        self.played: Counter[str] = Counter()
        """The number of plays of each exchange, in all sessions since the start."""
        self.outcomes: Counter[str] = Counter()
        """The number of calls by outcome, without the details after its colon."""

    @property
    def calls(self) -> Calls:
        """The latest calls, oldest first."""
        return Calls(self._calls)

    @property
    def unmatched(self) -> Calls:
        """The latest unmatched calls. They are kept longer than in `calls`."""
        return Calls(self._unmatched)

    @property
    def failed(self) -> Calls:
        """The latest failed calls. They are kept longer than in `calls`."""
        return Calls(self._failed)

    def write(self, values: CallValues) -> None:
        """Add a call, whose number must be the one after the last."""
        exchange, outcome, self.last = values[7:10]
        self._calls.add(values)
        if outcome == "played" and exchange is not None:
            self.outcomes["played"] += 1
            self.played[exchange] += 1
        else:
            self._write_other(values, outcome)
        if self._listeners:
            call = Call(*values)
            for listener in tuple(self._listeners):
                listener(call)

    def _write_other(self, values: CallValues, outcome: str) -> None:
        """Count a call that no exchange answered; keep it longer if it is unmatched or failed."""
        self.outcomes[outcome.partition(":")[0]] += 1
        if values[11] is not None:
            self._unmatched.add(values)
            self.unmatched_count += 1
        elif values[12]:
            self._failed.add(values)

    def listen(self, listener: CallListener) -> Callable[[], None]:
        """Call a listener with each call from now on; return a function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def clear(self) -> None:
        """Remove all calls. The numbers and the counts of outcomes continue."""
        self._calls.clear()
        self._unmatched.clear()
        self.unmatched_count = 0
        self._failed.clear()
        self.given_up.clear()
        self.played.clear()


copy_by_constructor(__name__)
