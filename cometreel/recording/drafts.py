"""Drafts: one for each ask of a journal, as the blocks of a scenario, with the two keys that tell drafts apart.

`trigger` is equal where the same request was asked, `answer` where the same was answered but for what always
differs (reference numbers, the profile's volatile values, time).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from cometreel.jsonvalue import JSON
from cometreel.recording.correlation import CorrelatedRequest
from cometreel.recording.journal_events import RecordedBody, WireEvent
from cometreel.recording.scenario_values import Identifiers, any_of, as_asked, as_told, path_of, query_of
from cometreel.recording.transcript import RecordedCall, RecordedDelivery, RecordedPublish
from cometreel.scenario import EventBlock, Profile, PublishBlock, ReplyBlock, RequestBlock, format_duration
from cometreel.scenario.durations import LONGEST
from cometreel.scenario.findings import findings_of
from cometreel.scenario.json_pointer import remove, replace

__all__ = ["ExchangeDraft", "Drafter", "NotExpressible", "canonical", "duration"]

_REPLY_HEADERS = ("content-type", "location", "retry-after", "allow", "content-language")
_JSON_TYPE = "application/json"


class NotExpressible(ValueError):
    """Something that was recorded and that no scenario can say; the sentence says what, and why."""

    def __init__(self, what: str, error: ValidationError) -> None:
        finding = findings_of(error)[0]
        where = ".".join(str(step) for step in finding.path if not str(step).startswith("("))
        super().__init__(f"{what}: {f'{where} is ' if where else ''}{finding.found}; expected {finding.expected}")


@dataclass(slots=True, eq=False)
class ExchangeDraft:
    """One ask as it would stand in a scenario."""

    ask: CorrelatedRequest
    request: RequestBlock | PublishBlock
    reply: ReplyBlock | None
    events: list[EventBlock]
    trigger: str
    answer: str
    refused: bool = False
    omitted: str = ""
    unsaid: tuple[str, ...] = ()
    """What of it no scenario can say: its notifications that are left out."""

    @property
    def at(self) -> float:
        """When it was asked, in seconds since the journal's start."""
        return self.ask.at

    @property
    def reads(self) -> bool:
        """Whether asking only reads."""
        return isinstance(self.request, RequestBlock) and self.request.method in ("GET", "HEAD")


class Drafter:
    """Makes drafts under one profile; `own` maps, for each session, values of the user to templates."""

    def __init__(self, profile: Profile, identifiers: Identifiers, own: Mapping[int, Mapping[str, str]]) -> None:
        self._profile = profile
        self._identifiers = identifiers
        self._own = own

    def draft(self, ask: CorrelatedRequest) -> ExchangeDraft:
        """Make the draft of one ask.

        :raises Unsayable: if no scenario can say it.
        """
        try:
            return self._draft(ask)
        except ValidationError as error:
            raise NotExpressible(_asked(ask.source), error) from None

    def _draft(self, ask: CorrelatedRequest) -> ExchangeDraft:
        events, unsaid = self._events(ask)
        told: list[JSON] = [[event.channel, self._steady(event.data, self._profile.event)] for event in events]
        source = ask.source
        if isinstance(source, RecordedPublish):
            publish, published = self._publish(source), self._published(source)
            answer = canonical([published.model_dump(exclude={"after"}, mode="json") if published else None, told])
            trigger = self._trigger(publish, publish.data)
            return ExchangeDraft(ask, publish, published, events, trigger, answer, unsaid=unsaid)
        request, reply = self._request(source), self._reply(source)
        shown = self._steady(reply.body, (*self._profile.reply, *(f"{path}/*" for path in self._profile.map)))
        answer = canonical([reply.status, reply.headers, shown, reply.text, told])
        trigger = self._trigger(request, request.body)
        omitted = str(source.reply.body.value) if source.reply.body.kind == "omitted" else ""
        return ExchangeDraft(ask, request, reply, events, trigger, answer, _is_refused(source), omitted, unsaid)

    def _events(self, ask: CorrelatedRequest) -> tuple[list[EventBlock], tuple[str, ...]]:
        events: list[EventBlock] = []
        unsaid: list[str] = []
        for delivery in ask.owned:
            try:
                events.append(self.event(delivery, ask.at))
            except NotExpressible as why:
                unsaid.append(str(why))
        return events, tuple(unsaid)

    def event(self, delivery: RecordedDelivery, since: float) -> EventBlock:
        """Make one event, its time counted from `since`.

        :raises Unsayable: if no scenario can say it.
        """
        ext = delivery.message.get("ext")
        fields: dict[str, JSON] = {
            "after": duration(delivery.at - since),
            "channel": delivery.channel,
            "data": self._told(delivery.data, delivery.at, delivery.session),
        }
        if ext:
            fields["ext"] = self._told(ext, delivery.at, delivery.session)
        try:
            return EventBlock.model_validate(fields)
        except ValidationError as error:
            raise NotExpressible("a notification", error) from None

    # --- requests -------------------------------------------------------------------------------------------

    def _trigger(self, block: RequestBlock | PublishBlock, body: JSON) -> str:
        for pointer in self._profile.request:
            body = remove(body, pointer)
        fields = block.model_dump(mode="json", exclude={"body", "data"})
        path = fields.get("path")
        if isinstance(path, str):
            fields["path"] = path.rstrip("/")
        return canonical([fields, body])

    def _request(self, call: RecordedCall) -> RequestBlock:
        event = call.request
        fields: dict[str, JSON] = {"method": event.method, "path": self._path(event, call.session)}
        query = query_of(event, self._identifiers)
        if query:
            fields["query"] = query
        fields.update(self._request_body(event.body, call))
        return RequestBlock.model_validate(fields)

    def _path(self, event: WireEvent, session: int) -> JSON:
        path = path_of(event, self._identifiers)
        own = self._own.get(session, {})
        if isinstance(path, str) and any(segment in own for segment in path.split("/")):
            return [{"$any": "string"} if segment in own else segment for segment in path.split("/") if segment]
        return path

    def _request_body(self, body: RecordedBody, call: RecordedCall) -> dict[str, JSON]:
        if body.kind in ("none", "bayeux"):
            return {}
        if body.kind in ("form", "omitted"):  # its values are redacted or unknown, so any text will do
            return {"text": {"$any": "string"}}
        if body.kind == "text":
            return {"text": body.value}
        hidden = [*body.hidden.secret, *body.hidden.personal]
        return {"body": as_asked(body.value, hidden, self._identifiers, call.at)}

    def _publish(self, publish: RecordedPublish) -> PublishBlock:
        prefix = f"/{publish.number}/data"
        hidden = [*publish.hidden.hidden.secret, *publish.hidden.hidden.personal]
        data = publish.message.get("data")
        fields: dict[str, JSON] = {"publish": publish.message.get("channel")}
        if prefix in hidden:
            fields["data"] = any_of(data)
        elif data is not None:
            inside = [pointer for pointer in hidden if pointer.startswith(f"{prefix}/")]
            fields["data"] = as_asked(data, inside, self._identifiers, publish.at, prefix)
        return PublishBlock.model_validate(fields)

    # --- answers --------------------------------------------------------------------------------------------

    def _reply(self, call: RecordedCall) -> ReplyBlock:
        event = call.reply
        fields: dict[str, JSON] = {"after": duration(call.reply_at - call.at), "status": event.status}
        headers: dict[str, JSON] = {
            name: event.headers[name] for name in _REPLY_HEADERS if name in event.headers and _meant(event, name)
        }
        if headers:
            fields["headers"] = headers
        if event.body.kind == "json":
            fields["body"] = self._told(event.body.value, call.at, call.session)
        elif event.body.kind == "text":
            fields["text"] = event.body.value
        return ReplyBlock.model_validate(fields)

    def _published(self, publish: RecordedPublish) -> ReplyBlock | None:
        answer = publish.reply
        if answer is None or publish.reply_at is None:
            return None
        fields: dict[str, JSON] = {"after": duration(publish.reply_at - publish.at)}
        for name in ("successful", "error", "data", "ext"):
            if answer.get(name) is not None:
                fields[name] = self._told(answer[name], publish.at, publish.session)
        return ReplyBlock.model_validate(fields)

    def _told(self, value: JSON, at: float, session: int) -> JSON:
        return as_told(value, self._identifiers, at, self._own.get(session, {}))

    def _steady(self, value: JSON, references: Iterable[str]) -> JSON:
        for pointer in (*references, *self._profile.request):
            value = replace(value, pointer, lambda _: 0)
        for pointer in self._profile.volatile:
            value = remove(value, pointer)
        return value


def canonical(value: JSON) -> str:
    """Write a value so that equal ones are equal texts, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def duration(seconds: float) -> str:
    """Write a recorded time, to the millisecond; what a clock that was set made negative or endless is at once."""
    return format_duration(round(seconds, 3) if 0 <= seconds <= LONGEST else 0.0)


def _asked(source: RecordedCall | RecordedPublish) -> str:
    """Say what was asked, for a reader of the journal."""
    if isinstance(source, RecordedPublish):
        return "a publish"
    return f"{source.request.method} {source.request.path}"


def _meant(event: WireEvent, name: str) -> bool:
    """Leave out the content type that a JSON body has anyway."""
    if name != "content-type":
        return True
    if event.body.kind == "json":
        return event.headers[name].partition(";")[0].strip().lower() != _JSON_TYPE
    return event.body.kind != "none"


def _is_refused(call: RecordedCall) -> bool:
    """Tell whether a request was refused because nobody had logged in (GWS answers 403 with statusCode 20)."""
    if call.reply.status not in (401, 403):
        return False
    body = call.reply.body.value if call.reply.body.kind == "json" else None
    code = body.get("statusCode") if isinstance(body, dict) else None
    return call.reply.status == 401 or code == 20
