"""The compiled parts of a scenario: frozen dataclasses, created from the file models at load.

Durations are float seconds (`_seconds`); Bayeux advice stays in milliseconds (`_ms`). None in a section means that no
file sets the value, so the engine's default applies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.normalized_request import RequestOrPublish
from cometreel.scenario.runtime_expressions import RuntimeExpression
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Headers

__all__ = [
    "Anchor",
    "BayeuxSection",
    "Binding",
    "BreakConnection",
    "Delay",
    "DropEvent",
    "DuplicateEvent",
    "EndSession",
    "EventOut",
    "EventPlan",
    "Fault",
    "FaultAction",
    "HandshakeSection",
    "Position",
    "PublishReplyOut",
    "RefuseMessage",
    "RenderContext",
    "Repeat",
    "ReplyOut",
    "Role",
    "SessionSection",
    "SetStatus",
    "SettingsSection",
    "SubscriptionAnchor",
    "SubscriptionKind",
    "User",
]

Repeat: TypeAlias = Literal["last", "cycle", "fail"]
"""The reply after the last of several equal requests: repeat it, start again, or a miss."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class HandshakeSection:
    """The `ext` and `advice` of the reply to a successful handshake; None is absent."""

    ext: JSONObject | None = None
    advice: JSONObject | None = None


@dataclass(frozen=True, slots=True)
class BayeuxSection:
    """The `bayeux:` block."""

    endpoint: str | None = None
    timeout_ms: int | None = None
    interval_ms: int | None = None
    max_interval_seconds: float | None = None
    max_sessions_per_browser: int | None = None
    multi_session_interval_seconds: float | None = None
    meta_connect_deliver_only: bool | None = None
    ack: bool | None = None
    require_cookie: bool | None = None
    on_hangup: Literal["keep", "lose"] | None = None
    deliver: Literal["all", "subscribed"] | None = None
    dialect: Literal["3.x", "4+"] | None = None
    transports: tuple[str, ...] | None = None
    max_queue: int | None = None
    max_message_bytes: int | None = None
    form: bool | None = None
    handshake: HandshakeSection | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """A value that a reply hands out at `source` and that later requests of the session carry at one of `places`."""

    name: str
    """The name in templates: `session.NAME`."""
    source: RuntimeExpression
    places: tuple[RuntimeExpression, ...]


@dataclass(frozen=True, slots=True)
class SessionSection:
    """The `session:` block. `cookie` is the name of the HTTP session cookie, None if sessions have no cookie."""

    cookie: str | None = "JSESSIONID"
    max_idle_seconds: float | None = None
    credentials: Literal["use", "ignore"] = "use"
    """Requests with the same user or token belong to the same session (`use`) or not."""
    anonymous: Literal["one", "address", "each"] = "one"
    """The requests without identity that share a session if there is no cookie."""
    max_provisional: int = 10_000
    """The number of provisional sessions that are kept."""
    when_gone: Literal["drop", "keep"] = "drop"
    """The notifications of a session whose CometD clients have all ended."""
    bind: tuple[Binding, ...] = ()


SubscriptionKind: TypeAlias = Literal["subscribe", "unsubscribe"]


@dataclass(frozen=True, slots=True)
class SubscriptionAnchor:
    """The subscription to a channel, or its end, as the start or end of a timeline entry."""

    kind: SubscriptionKind
    channel: str

    def __str__(self) -> str:
        return f"{self.kind} {self.channel}"


Anchor: TypeAlias = str | SubscriptionAnchor
"""The start or end of a timeline entry: an exchange, a step of a CometD client (`connect`), or a subscription."""


@dataclass(frozen=True, slots=True)
class SettingsSection:
    """The `settings:` block: defaults for the options of the replay."""

    seed: str | None = None
    speed: float | None = None
    repeat: Repeat | None = None
    unmatched: Literal["fail", "forward"] | None = None
    auth: Literal["open", "session", "csrf"] | None = None
    cors: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A recorded session. `user` is the login name, `id` the user's id; None if the scenario doesn't have it."""

    name: str
    user: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """The live user in templates: `user.name`, `user.id`."""

    name: str | None = None
    id: str | None = None


def _epoch() -> datetime:
    return EPOCH


@dataclass(slots=True, unsafe_hash=True)
class RenderContext:
    """The data that templates can use while one exchange is played.

    `seed` determines `uuid()` and `randint()` and must differ for each play (for example seed, session, exchange name,
    play number). `now` is the scenario's clock, `wallclock` the real one. `ref` is the live reference number, `ids` the
    session's bindings of `$id` names, `session` its persistent captures. `base` is scheme, host and port as the client
    used them.
    """

    request: RequestOrPublish
    captures: Mapping[str, JSON] = field(default_factory=dict)
    session: Mapping[str, JSON] = field(default_factory=dict)
    user: User = User()
    ids: Mapping[str, JSON] = field(default_factory=dict)
    ref: JSON = None
    now: datetime = EPOCH
    seed: str = ""
    wallclock: Callable[[], datetime] = _epoch
    base: str = ""


@dataclass(init=False, slots=True, unsafe_hash=True)
class ReplyOut:
    """A rendered HTTP reply. The body is `content` unless that is None; then it is the JSON value `body`."""

    after_seconds: float
    status: int
    headers: tuple[tuple[str, str], ...] | Headers
    body: JSON = None
    content: bytes | None = None

    def __init__(
        self,
        after_seconds: float,
        status: int,
        headers: tuple[tuple[str, str], ...] | Headers,
        body: JSON = None,
        content: bytes | None = None,
    ) -> None:
        self.after_seconds, self.status, self.headers, self.body = after_seconds, status, headers, body
        self.content = content


@dataclass(slots=True, unsafe_hash=True)
class PublishReplyOut:
    """A rendered reply to a publish. `members` are the other members of the message (`data`, `ext`)."""

    after_seconds: float
    successful: bool
    error: str | None = None
    members: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(slots=True, unsafe_hash=True)
class EventPlan:
    """The schedule of an event: first `after_seconds` after its cause, `count` times in all, `gap_seconds` apart."""

    after_seconds: float
    count: int = 1
    gap_seconds: float = 0.0


@dataclass(slots=True, unsafe_hash=True)
class EventOut:
    """A rendered event: a message (`channel`, `data`, `ext`) to deliver, or the end of the CometD session.

    `deliver` is `asker`, `subscribers`, `all` or the name of a role. Events due at the same time with the same `batch`
    are delivered together.
    """

    message: JSONObject
    batch: str | None = None
    disconnect: bool = False
    deliver: str = "asker"


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Send this HTTP status instead of the reply, with this body if one is given."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: JSON = None
    content: bytes | None = b""


@dataclass(frozen=True, slots=True)
class Delay:
    """Send the reply this much later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DropEvent:
    """Drop the event with this number (from 1), the events on this channel, or all events (None)."""

    which: int | str | None = None


@dataclass(frozen=True, slots=True)
class DuplicateEvent:
    """Deliver twice the event with this number (from 1), the events on this channel, or all events (None)."""

    which: int | str | None = None


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the CometD session, as the server."""


@dataclass(frozen=True, slots=True)
class BreakConnection:
    """Close the connection instead of sending a reply."""


@dataclass(frozen=True, slots=True)
class RefuseMessage:
    """Reply to the Bayeux message with `successful: false` and this error, advice and ext."""

    error: str
    advice: JSONObject | None = None
    ext: JSONObject | None = None


FaultAction: TypeAlias = SetStatus | Delay | DropEvent | DuplicateEvent | EndSession | BreakConnection | RefuseMessage


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Its targets are exchanges (by name) or a meta channel; `index` is its position in the scenario.

    It is triggered only the `nth` time (from 1), or every `every`-th time, or at the seeded `rate` (0 to 1), or
    always. `channel` restricts `/meta/subscribe` and `/meta/unsubscribe` to that subscription.
    """

    index: int
    action: FaultAction
    exchanges: frozenset[str] = frozenset()
    meta: str | None = None
    channel: str | None = None
    roles: frozenset[str] = frozenset()
    nth: int | None = None
    every: int | None = None
    rate: float | None = None
    position: Position = Position("", 0, 0)


copy_by_constructor(__name__)
