"""Drafts: the recorded requests of a journal as blocks of a scenario, with two keys to compare them.

`request_key` is equal for equal requests, `answer_key` for equal replies and notifications, without the values that
always differ: reference numbers, the volatile values of the profile, secrets, and times.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import sha256

from pydantic import ValidationError

from cometreel.http_fields import COMPARED, media_type
from cometreel.jsonvalue import JSON, sorted_text
from cometreel.recording.correlation import CorrelatedRequest
from cometreel.recording.journal_events import RecordedBody, WireEvent
from cometreel.recording.receivers import NotificationReceivers
from cometreel.recording.scenario_values import (
    Identifiers,
    any_marker,
    form_pattern,
    path_pattern,
    pieces_pattern,
    query_pattern,
    reply_value,
    request_pattern,
    text_template,
)
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, RecordedPublish
from cometreel.scenario import EventBlock, Profile, PublishBlock, ReplyBlock, RequestBlock, format_duration
from cometreel.scenario.durations import LONGEST
from cometreel.scenario.findings import findings_of
from cometreel.scenario.json_pointer import remove, replace

__all__ = ["Drafter", "ExchangeBlocks", "ExchangeDraft", "NotExpressible", "digest", "duration", "role_name"]

_JSON_TYPE = "application/json"
_ANY_TEXT: JSON = {"$any": "string"}
_CONDITIONS = {
    206: ("range",),
    304: ("if-none-match", "if-modified-since"),
    412: ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"),
    416: ("range",),
}
"""The request header fields that cause a status (RFC 9110 §13, §14): only a request with them gets such a reply."""
_ROUNDING_UP = 0.000495
"""Seconds that are added to a delay before it is rounded to milliseconds, so that a notification isn't due before the
handshake that it followed. It is less than half a millisecond, so that whole milliseconds stay."""


class NotExpressible(ValueError):
    """A recorded event that the scenario format can't express; the message contains the reason."""

    def __init__(self, subject: str, error: ValidationError) -> None:
        finding = findings_of(error)[0]
        key = ".".join(str(step) for step in finding.path if not str(step).startswith("("))
        super().__init__(f"{subject}: {f'{key} is ' if key else ''}{finding.found}; expected {finding.expected}")


def role_name(session: int) -> str:
    """Return the name of the role of a session number."""
    return f"agent-{session + 1}"


@dataclass(slots=True, eq=False)
class ExchangeBlocks:
    """The blocks of a recorded request in a scenario."""

    request: RequestBlock | PublishBlock
    reply: ReplyBlock | None
    events: list[EventBlock]
    omitted_events: tuple[str, ...]
    """The reasons for notifications that the scenario format can't express."""


@dataclass(slots=True, eq=False)
class ExchangeDraft:
    """A recorded request as it is compared with others. Its blocks are not kept, because they are large."""

    recorded: CorrelatedRequest
    request_key: bytes
    answer_key: bytes
    reply_key: bytes
    """Equal for equal replies, without the notifications."""
    sent: int
    """A number that is equal for equal requests as recorded, also where the scenario doesn't compare them."""
    omitted_events: tuple[str, ...]
    """The reasons for notifications that the scenario format can't express."""
    target: bytes = b""
    """Equal for HTTP requests with the same method, path and query; empty for a publish."""
    headers: Mapping[str, JSON] = field(default_factory=dict)
    """The header fields of the reply."""
    is_read: bool = False
    """True if the request only reads."""
    is_vague: bool = False
    """True if the exchange answers requests with any body."""
    is_conditional: bool = False
    """True if the exchange answers only requests with certain header fields."""
    refused: bool = False
    """True if the request was refused because of a missing login."""
    omitted: str = ""
    """The reason why the journal doesn't contain the body of the reply."""

    @property
    def at(self) -> float:
        """Time of the request, in seconds since the start of the journal."""
        return self.recorded.at

    @property
    def is_half(self) -> bool:
        """True if nobody could receive the notifications, so that only the reply is known."""
        recorded = self.recorded
        return not (recorded.could_receive or recorded.deliveries or recorded.followers)


class Drafter:
    """Creates drafts with one profile; `user_values` maps, for each session, values of the user to templates.

    `bound` maps the tokens of bound values to the name of their rule. `hosts` are the hosts that requests were sent to:
    links to them lead to the replay.
    """

    def __init__(
        self,
        profile: Profile,
        identifiers: Identifiers,
        user_values: Mapping[int, Mapping[str, str]],
        bound: Mapping[str, str],
        receivers: NotificationReceivers,
        hosts: AbstractSet[str] = frozenset(),
    ) -> None:
        self._bound = bound
        self._receivers = receivers
        self._profile = profile
        self._identifiers = identifiers
        self._user_values = user_values
        self._hosts = hosts
        self._headers: dict[str, Mapping[str, JSON]] = {}  # one copy of equal header fields
        self._targets: dict[bytes, bytes] = {}

    def blocks(self, recorded: CorrelatedRequest) -> ExchangeBlocks:
        """Return the blocks of a recorded request.

        :raises NotExpressible: if the scenario format can't express it.
        """
        source, (events, omitted_events) = recorded.source, self._events(recorded)
        try:
            if isinstance(source, RecordedPublish):
                return ExchangeBlocks(self._publish(source), self._publish_reply(source), events, omitted_events)
            return ExchangeBlocks(self._request(source), self._reply(source), events, omitted_events)
        except ValidationError as error:
            raise NotExpressible(_description(source), error) from None

    def draft(self, recorded: CorrelatedRequest) -> ExchangeDraft:
        """Return the draft of a recorded request.

        :raises NotExpressible: if the scenario format can't express it.
        """
        blocks, source = self.blocks(recorded), recorded.source
        request, reply, omitted_events = blocks.request, blocks.reply, blocks.omitted_events
        event_keys: list[JSON] = [
            [event.channel, self._stable(event.data, self._profile.event), event.deliver or ""]
            for event in blocks.events
        ]
        if isinstance(source, RecordedPublish):
            fields = reply.model_dump(exclude={"after"}, mode="json") if reply else None
            sent = self._sent(source.channel, source.data)
            reply_key = digest(fields)
            answer_key = digest([reply_key.hex(), event_keys])
            return ExchangeDraft(recorded, self._request_key(request), answer_key, reply_key, sent, omitted_events)
        assert isinstance(request, RequestBlock)
        assert reply is not None
        headers = reply.headers or {}
        secrets = source.reply.body.hidden.secret  # such as a session id, which is new for each session
        references = (*self._profile.reply, *(f"{path}/*" for path in self._profile.map))
        body = self._stable(reply.body, (*references, *secrets))
        compared: JSON = {name: value for name, value in headers.items() if name in COMPARED}
        event = source.request
        reply_key = digest([reply.status, compared, body, reply.text])
        target = digest(request.model_dump(mode="json", include={"method", "path", "query"}))
        return ExchangeDraft(
            recorded,
            self._request_key(request),
            digest([reply_key.hex(), event_keys]),
            reply_key,
            self._sent([event.path, event.query, event.body.digest], event.body.value),
            omitted_events,
            self._targets.setdefault(target, target),
            self._headers.setdefault(sorted_text(dict(headers)), headers),
            is_read=request.method in ("GET", "HEAD"),
            is_vague=request.text == _ANY_TEXT,
            is_conditional=bool(request.headers),
            refused=_is_refused(source),
            omitted=str(source.reply.body.value) if source.reply.body.kind == "omitted" else "",
        )

    def _events(self, recorded: CorrelatedRequest) -> tuple[list[EventBlock], tuple[str, ...]]:
        events: list[EventBlock] = []
        omitted: list[str] = []
        for delivery in recorded.deliveries:
            try:
                late = delivery.at - min(each.at for each in recorded.received(delivery))
                event = self.event(delivery, recorded.at + late)
                deliver = self._receivers.of(recorded, delivery)
                events.append(event.model_copy(update={"deliver": deliver}) if deliver else event)
            except NotExpressible as error:
                omitted.append(str(error))
        return events, tuple(omitted)

    def event(self, delivery: RecordedDelivery, since: float) -> EventBlock:
        """Return a notification as an event block; its delay counts from `since`.

        :raises NotExpressible: if the scenario format can't express it.
        """
        ext = delivery.message.get("ext")
        fields: dict[str, JSON] = {
            "after": duration(delivery.at - since + _ROUNDING_UP),
            "channel": delivery.channel,
            "data": self._reply_value(delivery.data, delivery.at, delivery.session),
        }
        if ext:
            fields["ext"] = self._reply_value(ext, delivery.at, delivery.session)
        try:
            return EventBlock.model_validate(fields)
        except ValidationError as error:
            raise NotExpressible("a notification", error) from None

    # --- requests -------------------------------------------------------------------------------------------

    def _sent(self, target: JSON, body: JSON) -> int:
        for pointer in self._profile.request:
            body = remove(body, pointer)
        return hash(sorted_text([target, body]))

    def _request_key(self, block: RequestBlock | PublishBlock) -> bytes:
        body = block.body if isinstance(block, RequestBlock) else block.data
        for pointer in self._profile.request:
            body = remove(body, pointer)
        fields = block.model_dump(mode="json", exclude={"body", "data"})
        path = fields.get("path")
        if isinstance(path, str):
            fields["path"] = path.rstrip("/")
        return digest([fields, body])

    def _request(self, call: RecordedCall) -> RequestBlock:
        event = call.request
        fields: dict[str, JSON] = {"method": event.method, "path": self._path(event, call.session)}
        query = query_pattern(event, self._identifiers, self._bound)
        if query:
            fields["query"] = query
        conditions: dict[str, JSON] = {
            name: value
            for name in _CONDITIONS.get(call.reply.status, ())
            if isinstance(value := event.headers.get(name), str)
        }
        if conditions:
            fields["headers"] = conditions
        fields.update(self._request_body(event.body, call))
        return RequestBlock.model_validate(fields)

    def _path(self, event: WireEvent, session: int) -> JSON:
        path = path_pattern(event, self._identifiers, self._bound)
        user_values = self._user_values.get(session, {})
        if isinstance(path, str) and any(segment in user_values for segment in path.split("/")):
            return [{"$any": "string"} if segment in user_values else segment for segment in path.split("/") if segment]
        return path

    def _request_body(self, body: RecordedBody, call: RecordedCall) -> dict[str, JSON]:
        if body.kind in ("none", "bayeux"):
            return {}
        if body.kind == "omitted":
            return {"text": _ANY_TEXT}
        if body.kind == "form":
            return {"form": form_pattern(body)}
        if body.kind == "pieces":
            return {"text": pieces_pattern(body)}
        if body.kind == "text":
            return {"text": body.value}
        hidden = [*body.hidden.secret, *body.hidden.personal]
        return {"body": request_pattern(body.value, hidden, self._identifiers, call.at, bound=self._bound)}

    def _publish(self, publish: RecordedPublish) -> PublishBlock:
        prefix = f"/{publish.number}/data"
        hidden = [*publish.hidden.secret, *publish.hidden.personal]
        data = publish.data
        fields: dict[str, JSON] = {"publish": publish.channel}
        if prefix in hidden:
            fields["data"] = any_marker(data)
        elif data is not None:
            inside = [pointer for pointer in hidden if pointer.startswith(f"{prefix}/")]
            fields["data"] = request_pattern(data, inside, self._identifiers, publish.at, prefix)
        return PublishBlock.model_validate(fields)

    # --- replies --------------------------------------------------------------------------------------------

    def _reply(self, call: RecordedCall) -> ReplyBlock:
        event = call.reply
        fields: dict[str, JSON] = {"after": duration(call.reply_at - call.at), "status": event.status}
        headers: dict[str, JSON] = {
            name: self._reply_header(event, name, value, call.at)
            for name, value in event.headers.items()
            if _is_relevant(event, name)
        }
        if headers:
            fields["headers"] = headers
        if event.body.kind == "json":
            handed_out = {place.partition("#")[2] for place, token in event.values.items() if token in self._bound}
            fields["body"] = self._reply_value(event.body.value, call.at, call.session, handed_out)
        elif event.body.kind == "text":
            fields["text"] = event.body.value
        return ReplyBlock.model_validate(fields)

    def _publish_reply(self, publish: RecordedPublish) -> ReplyBlock | None:
        reply = publish.reply
        if reply is None or publish.reply_at is None:
            return None
        fields: dict[str, JSON] = {"after": duration(publish.reply_at - publish.at)}
        for name in ("successful", "error", "data", "ext"):
            if reply.get(name) is not None:
                fields[name] = self._reply_value(reply[name], publish.at, publish.session)
        return ReplyBlock.model_validate(fields)

    def _reply_header(self, event: WireEvent, name: str, value: str | tuple[str, ...], at: float) -> JSON:
        """Return a header field with templates for links and bound values, except in the field that hands one out."""
        places = (place.lower() for place, token in event.values.items() if token in self._bound)
        hands_out = any(place.partition("?")[0] == f"$response.header.{name}" for place in places)
        bound = {} if hands_out else self._bound
        values: list[JSON] = [
            text_template(each, self._identifiers, at, self._hosts, bound) or each
            for each in ((value,) if isinstance(value, str) else value)
        ]
        return values[0] if len(values) == 1 else values

    def _reply_value(self, value: JSON, at: float, session: int, handed_out: Container[str] = ()) -> JSON:
        user_values = self._user_values.get(session, {})
        return reply_value(value, self._identifiers, at, user_values, self._bound, handed_out, self._hosts)

    def _stable(self, value: JSON, references: Iterable[str]) -> JSON:
        for pointer in (*references, *self._profile.request):
            value = replace(value, pointer, lambda _: 0)
        for pointer in self._profile.volatile:
            value = remove(value, pointer)
        return value


def digest(value: JSON) -> bytes:
    """Return bytes that are equal for equal values, because a text would be as large as the value."""
    return sha256(sorted_text(value).encode("utf-8", "surrogatepass")).digest()[:16]


def duration(seconds: float) -> str:
    """Format a recorded delay in milliseconds; 0 if a change of the clock made it negative or too long."""
    return format_duration(round(seconds, 3) if 0 <= seconds <= LONGEST else 0.0)


def _description(source: RecordedCall | RecordedPublish) -> str:
    if isinstance(source, RecordedPublish):
        return "a publish"
    return f"{source.request.method} {source.request.path}"


def _is_relevant(event: WireEvent, name: str) -> bool:
    """Return False for the default content type of a JSON body."""
    if name == "x-csrf-header":  # the replay announces its own token
        return False
    if name != "content-type":
        return True
    if event.body.kind == "json":
        return media_type(str(event.headers[name])) != _JSON_TYPE
    return event.body.kind != "none"


def _is_refused(call: RecordedCall) -> bool:
    """Return True if a request was refused before the login (GWS replies 403 with statusCode 20)."""
    if call.reply.status not in (401, 403):
        return False
    body = call.reply.body.value if call.reply.body.kind == "json" else None
    code = body.get("statusCode") if isinstance(body, dict) else None
    return call.reply.status == 401 or code == 20
