"""The pydantic models of a scenario file, one per block of the YAML.

The models hold plain data, with markers unexpanded and durations as text, so that a file can be written back
unchanged. `compiling` turns them into the objects that are replayed. A key that was left out and an explicit null are
both None; `model_fields_set` distinguishes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Literal, Protocol, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from cometreel.jsonvalue import same
from cometreel.scenario.yaml_reader import FilePosition

from . import checks, field_types
from .findings import Finding, findings_of, near, refuse

__all__ = [
    "AdviceBlock",
    "BayeuxBlock",
    "BindBlock",
    "Block",
    "CorrelationBlock",
    "EventBlock",
    "ExchangeBlock",
    "FallbackBlock",
    "FaultBlock",
    "HandshakeBlock",
    "PublishBlock",
    "ReplyBlock",
    "RequestBlock",
    "RoleBlock",
    "ScenarioBlock",
    "SessionBlock",
    "SettingsBlock",
    "SourceBlock",
    "TimelineBlock",
    "WhenBlock",
]


_OF_WIREMOCK = {
    "bodyFileName": "write `body: {$file: NAME}`, `text: {$file: NAME}` or `base64: {$file: NAME}`",
    "jsonBody": "write `body:`",
    "base64Body": "write `base64:`",
}
"""The keys of WireMock's stub mappings that have other names here."""


NULLABLE = frozenset({"body", "data", "ext"})
"""The keys for which null is a value."""


class BlockOrigin(Protocol):
    """The place that a block was written at."""

    def position(self, path: Sequence[str | int], *, key: bool = False) -> FilePosition:
        """Return the position of a part of the block, or of its key."""
        ...


class Block(BaseModel):  # noqa: PLW1641  # pydantic adds `__hash__` to frozen models
    """The base of all blocks: unknown keys are errors, except those that start with `x-`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, populate_by_name=True)
    __slots__ = ("_origin",)  # not a private attribute of pydantic, which would cost each block a dict

    @property
    def origin(self) -> BlockOrigin | None:
        """The place that this block was written at; None if it isn't known. It is no part of equality or of a dump."""
        return getattr(self, "_origin", None)

    def place_at(self, origin: BlockOrigin) -> Self:
        """Set the place that this block was written at; return the block."""
        object.__setattr__(self, "_origin", origin)
        return self

    def __copy__(self) -> Self:
        """Return a copy with the same place; `model_copy` changes such a copy."""
        copied = super().__copy__()
        return copied if self.origin is None else copied.place_at(self.origin)

    def __eq__(self, other: object) -> bool:
        """Compare the content, as JSON: 1 isn't true, and a body that is null isn't one that was left out."""
        if not isinstance(other, Block) or type(self) is not type(other):
            return False
        if self.model_fields_set & NULLABLE != other.model_fields_set & NULLABLE:
            return False
        return same(self.__dict__, other.__dict__) and same(self.model_extra, other.model_extra)

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, data: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        findings = list(cls._unknown_keys(data, from_file=bool(info.context))) if isinstance(data, dict) else []
        try:
            block = handler(data)
        except ValidationError as error:
            if not findings:
                raise
            refuse(findings + findings_of(error), data)
            raise
        refuse(findings or block.findings(), data)
        return block

    @classmethod
    def _unknown_keys(cls, data: dict[str, object], *, from_file: bool) -> Iterator[Finding]:
        keys, accepted = _keys(cls, from_file)
        for key in () if data.keys() <= accepted else data:
            if key not in accepted and not key.startswith("x-"):
                hint = _OF_WIREMOCK.get(key) or near(key, keys) or "custom keys start with x-"
                yield Finding((key,), f"unknown key {key!r}", f"one of {', '.join(sorted(keys))}", hint, at_key=True)

    def findings(self) -> Iterator[Finding]:
        """Yield the errors between the fields of this block."""
        yield from ()


@cache
def _keys(kind: type[Block], from_file: bool) -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys of a block in a file, and those that are accepted: in Python also the names of the fields."""
    keys = frozenset(field.alias or name for name, field in kind.model_fields.items())
    return keys, keys if from_file else keys | kind.model_fields.keys()


class SourceBlock(Block):
    """The origin of a scenario."""

    recorded: field_types.DateTimeText | None = None
    upstream: str | None = None


class AdviceBlock(Block):
    """Bayeux advice, in milliseconds as on the wire."""

    timeout: field_types.Count | None = None
    interval: field_types.Count | None = None


class HandshakeBlock(Block):
    """The members of the reply to a successful handshake; one that is left out is not sent."""

    ext: dict[str, field_types.Plain] | None = None
    advice: dict[str, field_types.Plain] | None = None


class BayeuxBlock(Block):
    """The behaviour of the CometD server; the engine's defaults apply to keys that are left out."""

    endpoint: field_types.EndpointPath | None = None
    advice: AdviceBlock | None = None
    max_interval: field_types.DurationText | None = None
    max_sessions_per_browser: int | None = None
    multi_session_interval: field_types.DurationText | None = None
    meta_connect_deliver_only: bool | None = None
    ack: bool | None = None
    require_cookie: bool | None = None
    on_hangup: Literal["keep", "lose"] | None = None
    deliver: Literal["all", "subscribed"] | None = None
    dialect: Literal["3.x", "4+"] | None = None
    transports: list[Literal["long-polling", "callback-polling", "websocket"]] | None = None
    max_queue: field_types.Positive | None = None
    max_message_bytes: field_types.Positive | None = None
    form: bool | None = None
    handshake: HandshakeBlock | None = None


class BindBlock(Block):
    """A value that a reply hands out and that clients send back, so that it identifies their session."""

    name: field_types.Name | None = None
    from_: field_types.ValueSource = Field(alias="from")
    in_: field_types.ValuePlaces = Field(alias="in")


class SessionBlock(Block):
    """The HTTP session of a client."""

    cookie: field_types.CookieName | None = None
    credentials: Literal["use", "ignore"] | None = None
    anonymous: Literal["one", "address", "each"] | None = None
    max_provisional: field_types.Positive | None = None
    max_idle: field_types.DurationText | None = None
    when_gone: Literal["drop", "keep"] | None = None
    bind: list[BindBlock] | None = None


class SettingsBlock(Block):
    """Defaults for options of the replay; the command line takes precedence."""

    seed: field_types.Seed | None = None
    speed: field_types.Speed | None = None
    repeat: Literal["last", "cycle", "fail"] | None = None
    unmatched: Literal["fail", "forward"] | None = None
    auth: Literal["open", "session", "csrf"] | None = None
    cors: field_types.Origins | None = None


class FallbackBlock(Block):
    """How to find the request of an event without a reference number."""

    message: dict[field_types.Pointer, field_types.Plain]
    operations: list[str] | None = None
    event: field_types.Pointer
    request: field_types.CorrelationSources


class CorrelationBlock(Block):
    """An inline correlation profile, which may extend an included one."""

    extends: str | None = None
    name: field_types.Name | None = None
    reply: list[field_types.Pointer] | None = None
    map: list[field_types.Pointer] | None = None
    event: list[field_types.Pointer] | None = None
    request: list[field_types.Pointer] | None = None
    fallback: list[FallbackBlock] | None = None
    volatile: list[field_types.Pointer] | None = None
    window: field_types.DurationText | None = None
    operation: field_types.Pointer | None = None
    owner: list[field_types.Pointer] | None = None
    owner_type: list[field_types.Pointer] | None = None


class RoleBlock(Block):
    """One recorded session: the login name and id of its user."""

    user: str | None = None
    id: str | None = None


class RequestBlock(Block):
    """The HTTP request of an exchange."""

    method: field_types.Method
    path: field_types.PathPattern
    query: field_types.QueryPattern = None
    headers: field_types.RequestHeaders | None = None
    authenticated: bool | None = None
    body: field_types.ValuePattern = None
    form: field_types.FormPattern = None
    text: field_types.TextContentPattern = None
    base64: field_types.Base64 | None = None

    def findings(self) -> Iterator[Finding]:
        """Allow only one of body, form, text and base64."""
        yield from _one_body(self, ("body", "form", "text", "base64"))


class PublishBlock(Block):
    """The Bayeux publish of an exchange."""

    publish: field_types.TextPattern
    data: field_types.ValuePattern = None
    ext: field_types.ValuePattern = None
    authenticated: bool | None = None

    def findings(self) -> Iterator[Finding]:
        """Check the channel, unless it is a marker."""
        if isinstance(self.publish, str):
            for finding in checks.channel(self.publish):
                yield Finding(("publish",), finding.found, finding.expected, finding.hint)


class ReplyBlock(Block):
    """The reply to an HTTP request (status, headers, body) or to a publish (successful, error, data, ext)."""

    after: field_types.DurationValue = None
    status: field_types.StatusValue = None
    headers: field_types.OwnHeaders | None = None
    body: field_types.RenderedValue = None
    text: field_types.TextContent = None
    base64: field_types.Base64 | None = None
    successful: field_types.FlagValue = None
    error: field_types.TextValue = None
    data: field_types.RenderedValue = None
    ext: field_types.RenderedValue = None

    def findings(self) -> Iterator[Finding]:
        """Allow only one of body, text and base64."""
        yield from _one_body(self, ("body", "text", "base64"))


class EventBlock(Block):
    """One notification, or the end of the CometD session (`disconnect`)."""

    after: field_types.DurationValue = None
    channel: field_types.ChannelValue = None
    data: field_types.RenderedValue = None
    ext: field_types.RenderedValue = None
    disconnect: field_types.FlagValue = None
    deliver: field_types.Name | None = None
    batch: field_types.BatchValue = None
    count: field_types.CountValue = None
    gap: field_types.DurationValue = None

    def findings(self) -> Iterator[Finding]:
        """Require either a channel or `disconnect: true`."""
        if self.disconnect is None or self.disconnect is False:
            if self.channel is None:
                yield Finding((), "the event has no `channel`", hint="add `channel: /…` or `disconnect: true`")
        elif self.disconnect is True:
            for key in sorted(self.model_fields_set & {"channel", "data", "ext", "batch", "count", "gap"}):
                found = f"{key} can't be combined with disconnect"
                yield Finding((key,), found, "after, deliver and disconnect only", at_key=True)
            if self.deliver == "subscribers":
                yield Finding(("deliver",), "a disconnect has no channel to subscribe to", "asker, all or a role")


class WhenBlock(Block):
    """Guards: exchanges that must, or must not, have been played in this session."""

    after: field_types.Names | None = None
    before: field_types.Names | None = None


def _kind_of_request(value: object) -> str:
    publish = "publish" in value if isinstance(value, dict) else isinstance(value, PublishBlock)
    return "(publish)" if publish else "(http)"


class ExchangeBlock(Block):
    """One request, its reply and the events that it causes."""

    name: field_types.Name
    as_: field_types.Names | None = Field(None, alias="as")
    when: WhenBlock | None = None
    request: Annotated[
        Annotated[RequestBlock, Tag("(http)")] | Annotated[PublishBlock, Tag("(publish)")],
        Discriminator(_kind_of_request),
    ]
    reply: ReplyBlock | None = None
    events: list[EventBlock] | None = None
    repeat: Literal["last", "cycle", "fail"] | None = None

    def findings(self) -> Iterator[Finding]:
        """Allow only keys that fit the kind of request."""
        if self.reply is None:
            return
        http = isinstance(self.request, RequestBlock)
        allowed, forbidden = (HTTP_REPLY, PUBLISH_REPLY) if http else (PUBLISH_REPLY, HTTP_REPLY)
        for key in sorted(self.reply.model_fields_set & forbidden):
            found = f"{key} isn't allowed in the reply to {'an HTTP request' if http else 'a publish'}"
            yield Finding(("reply", key), found, f"one of {', '.join(sorted(allowed))}", at_key=True)


class TimelineBlock(EventBlock):
    """An unsolicited notification."""

    since: field_types.Anchor | None = None
    until: field_types.Anchors | None = None
    as_: field_types.Names | None = Field(None, alias="as")


class FaultBlock(Block):
    """One fault: its target, its frequency and one action."""

    exchange: field_types.Names | None = None
    meta: field_types.MetaChannel | None = None
    channel: field_types.Subscription | None = None
    as_: field_types.Names | None = Field(None, alias="as")
    nth: field_types.Positive | None = None
    every: field_types.Positive | None = None
    rate: field_types.Probability | None = None
    status: field_types.Status | None = None
    headers: field_types.FixedHeaders | None = None
    body: field_types.Plain = None
    text: field_types.FixedText | None = None
    delay: field_types.DurationText | None = None
    drop_event: field_types.EventChoice | None = Field(None, alias="drop-event")
    duplicate_event: field_types.EventChoice | None = Field(None, alias="duplicate-event")
    disconnect: Literal[True] | None = None
    broken: Literal[True] | None = None
    error: str | None = None
    advice: dict[str, field_types.Plain] | None = None
    ext: dict[str, field_types.Plain] | None = None

    def findings(self) -> Iterator[Finding]:
        """Require one target, at most one frequency, and one action with only its own keys."""
        yield from _fault_target(self)
        frequencies = [key for key in ("nth", "every", "rate") if getattr(self, key) is not None]
        if len(frequencies) > 1:
            found = f"{frequencies[1]} can't be combined with {frequencies[0]}"
            yield Finding((frequencies[1],), found, "one of nth, every, rate", at_key=True)
        yield from _fault_action(self)


def _fault_target(fault: FaultBlock) -> Iterator[Finding]:
    if (fault.exchange is None) == (fault.meta is None):
        found = "the fault has no target" if fault.meta is None else "the fault has two targets"
        yield Finding((), found, "exchange: NAME or meta: /meta/…")
    elif fault.channel is not None and fault.meta not in ("/meta/subscribe", "/meta/unsubscribe"):
        yield Finding(
            ("channel",), "channel needs a subscription", "meta: /meta/subscribe or /meta/unsubscribe", at_key=True
        )


def _fault_action(fault: FaultBlock) -> Iterator[Finding]:
    keys = {field.alias or name for name, field in FaultBlock.model_fields.items() if name in fault.model_fields_set}
    actions = sorted(keys & FAULT_ACTIONS.keys())
    allowed = EXCHANGE_ACTIONS if fault.meta is None else META_ACTIONS
    if len(actions) != 1:
        found = f"the fault has several actions: {', '.join(actions)}" if actions else "the fault has no action"
        yield Finding((), found, f"one of {', '.join(sorted(allowed))}")
        return
    if actions[0] not in allowed:
        target = "an exchange" if fault.meta is None else "a meta channel"
        found = f"{actions[0]} isn't possible for {target}"
        yield Finding((actions[0],), found, f"one of {', '.join(sorted(allowed))}", at_key=True)
    for key in sorted(keys & FAULT_COMPANIONS - FAULT_ACTIONS[actions[0]]):
        found = f"{key} can't be combined with {actions[0]}"
        yield Finding((key,), found, "only keys of the action", at_key=True)


HTTP_REPLY = frozenset({"status", "headers", "body", "text", "base64"})
PUBLISH_REPLY = frozenset({"successful", "error", "data", "ext"})
FAULT_ACTIONS: dict[str, frozenset[str]] = {
    "status": frozenset({"headers", "body", "text"}),
    "delay": frozenset(),
    "drop-event": frozenset(),
    "duplicate-event": frozenset(),
    "disconnect": frozenset(),
    "broken": frozenset(),
    "error": frozenset({"advice", "ext"}),
}
FAULT_COMPANIONS = frozenset({"headers", "body", "text", "advice", "ext"})
META_ACTIONS = frozenset({"status", "delay", "broken", "disconnect", "error"})
EXCHANGE_ACTIONS = frozenset(FAULT_ACTIONS)


def _one_body(block: RequestBlock | ReplyBlock, kinds: Sequence[str]) -> Iterator[Finding]:
    written = [key for key in kinds if key in block.model_fields_set]
    for key in written[1:]:
        found = f"{key} can't be combined with {written[0]}"
        yield Finding((key,), found, f"one of {', '.join(kinds)}", at_key=True)


def _kind_of_correlation(value: object) -> str:
    return "(name)" if isinstance(value, str) else "(inline)"


class ScenarioBlock(Block):
    """One scenario file; the fields are in the order in which they are written."""

    model_config = ConfigDict(title="Scenario")

    cometreel: Literal[1] = 1
    title: str | None = None
    source: SourceBlock | None = None
    bayeux: BayeuxBlock | None = None
    session: SessionBlock | None = None
    correlation: (
        Annotated[
            Annotated[str, Tag("(name)")] | Annotated[CorrelationBlock, Tag("(inline)")],
            Discriminator(_kind_of_correlation),
        ]
        | None
    ) = None
    ignore: list[field_types.Pointer] | None = None
    settings: SettingsBlock | None = None
    reply_headers: field_types.ReplyHeaders | None = None
    roles: dict[str, RoleBlock] | None = None
    exchanges: list[ExchangeBlock] | None = None
    timeline: list[TimelineBlock] | None = None
    faults: list[FaultBlock] | None = None
