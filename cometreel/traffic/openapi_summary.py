"""What a scenario shows of an API, in the words of OpenAPI 3.1: paths, operations, and the shapes of what was said.

A summary of examples, not a contract. What OpenAPI has no word for stands under keys that begin with `x-`:
notifications beside the operation that causes them, publishes and what nobody asked for at the top.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cometreel import __version__
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import (
    EventBlock,
    ExchangeBlock,
    Profile,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    find,
    load,
    parse,
)
from cometreel.scenario.markers import marker_of
from cometreel.traffic.json_shapes import joined, shape_of

__all__ = ["openapi_summary"]

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-Z]{16}|[0-9]{4,}")
_JSON = "application/json"


def openapi_summary(path: Path) -> tuple[JSONObject, list[str]]:
    """Summarise a scenario, a file or a folder of them; also give what the summary leaves out.

    :raises FileInvalid: with every problem of every file.
    """
    scenario = load([path])
    files = [parse(file) for file in scenario.files]
    summary = _OpenapiSummary(scenario.profile)
    for block in (block for file in files for block in file.exchanges or ()):
        summary.add(block)
    entries: list[EventBlock] = [entry for file in files for entry in file.timeline or ()]
    document: JSONObject = {
        "openapi": "3.1.0",
        "info": {
            "title": scenario.title or path.stem,
            "version": "0",
            "description": f"What a scenario shows, summarised by cometreel {__version__}. Not a contract.",
        },
        "paths": dict(summary.paths),
    }
    if summary.publishes:
        document["x-publishes"] = dict(summary.publishes)
    if entries:
        document["x-unsolicited"] = _notifications(entries, [])
    left = [f"faults are left out ({len(scenario.faults)})"] if scenario.faults else []
    return document, [
        *summary.notes,
        *left,
        "times, order and guards (when:) are left out: a summary has no word for them",
    ]


class _OpenapiSummary:
    """Paths and publishes, as far as they have been seen."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.paths: dict[str, JSONObject] = {}
        self.publishes: dict[str, JSONObject] = {}
        self.notes: list[str] = []

    def add(self, block: ExchangeBlock) -> None:
        request = block.request
        if isinstance(request, PublishBlock):
            self._publish(request, block)
            return
        path, parameters = _path(request)
        if path is None:
            self.notes.append(f"{block.name!r} is left out: its path is a pattern as a whole")
            return
        operation = self.paths.setdefault(path, {}).setdefault(
            request.method.lower(), {"x-exchanges": [], "responses": {}}
        )
        assert isinstance(operation, dict)
        self._describe(operation, block, request, [*parameters, *_query(request)])

    def _describe(
        self, operation: JSONObject, block: ExchangeBlock, request: RequestBlock, parameters: list[JSON]
    ) -> None:
        exchanges = operation["x-exchanges"]
        assert isinstance(exchanges, list)
        exchanges.append(block.name)
        _add_parameters(operation, parameters)
        if request.body is not None:
            _add_body(operation, self._operation(request.body), shape_of(request.body))
        _add_response(operation, block.reply or ReplyBlock())
        if block.events:
            told = operation.get("x-notifications")
            operation["x-notifications"] = _notifications(block.events, told if isinstance(told, list) else [])

    def _operation(self, body: JSON) -> str:
        names = find(body, self._profile.operation) if self._profile.operation else []
        return next((value for _, value in names if isinstance(value, str)), "")

    def _publish(self, request: PublishBlock, block: ExchangeBlock) -> None:
        channel = request.publish if isinstance(request.publish, str) else "(any)"
        known = self.publishes.setdefault(channel, {"x-exchanges": [], "data": {}})
        exchanges, data = known["x-exchanges"], known["data"]
        assert isinstance(exchanges, list)
        assert isinstance(data, dict)
        exchanges.append(block.name)
        known["data"] = joined(data, shape_of(request.data))
        if block.events:
            told = known.get("notifications")
            known["notifications"] = _notifications(block.events, told if isinstance(told, list) else [])


def _path(request: RequestBlock) -> tuple[str | None, list[JSON]]:
    """A path with its parameters in braces: segments that are markers, and those that look like identifiers."""
    if not isinstance(request.path, str | list):
        return None, []
    segments = request.path if isinstance(request.path, list) else request.path.strip("/").split("/")
    spelt: list[str] = []
    parameters: list[JSON] = []
    for segment in segments:
        if isinstance(segment, str) and not _ID.fullmatch(segment):
            spelt.append(segment)
            continue
        before = spelt[-1].rstrip("s") if spelt and not spelt[-1].startswith("{") else "part"
        name = f"{before}Id"
        spelt.append(f"{{{name}}}")
        shape: JSONObject = shape_of(segment) if marker_of(segment) else {"type": "string"}
        parameters.append({"name": name, "in": "path", "required": True, "schema": shape})
    return "/" + "/".join(spelt), parameters


def _query(request: RequestBlock) -> Iterator[JSON]:
    query = request.query if isinstance(request.query, dict) else {}
    members = query.get("$partial", query)
    for name, value in members.items() if isinstance(members, dict) else ():
        yield {"name": name, "in": "query", "required": False, "schema": shape_of(value)}


def _add_parameters(operation: JSONObject, parameters: Sequence[JSON]) -> None:
    known = operation.get("parameters")
    found: list[JSON] = known if isinstance(known, list) else []
    names = {(one["in"], one["name"]) for one in found if isinstance(one, dict)}
    new = [one for one in parameters if isinstance(one, dict) and (one["in"], one["name"]) not in names]
    if found or new:
        operation["parameters"] = [*found, *new]


def _add_body(operation: JSONObject, name: str, shape: JSONObject) -> None:
    """One shape for each operation that the body names, since one URL carries many."""
    body = operation.setdefault("requestBody", {"content": {_JSON: {"schema": {"oneOf": []}}}})
    variants = _inner(body, "content", _JSON, "schema", "oneOf")
    assert isinstance(variants, list)
    title = name or "(unnamed)"
    for number, variant in enumerate(variants):
        if isinstance(variant, dict) and variant.get("title") == title:
            rest = {key: value for key, value in variant.items() if key != "title"}
            variants[number] = {"title": title, **joined(rest, shape)}
            return
    variants.append({"title": title, **shape})


def _add_response(operation: JSONObject, reply: ReplyBlock) -> None:
    responses = operation["responses"]
    assert isinstance(responses, dict)
    status = str(reply.status) if isinstance(reply.status, int) else "200" if reply.status is None else "default"
    known = responses.setdefault(status, {"description": "as the scenario answers"})
    assert isinstance(known, dict)
    if "body" in reply.model_fields_set:
        seen = _inner(known, "content", _JSON, "schema")
        shape = joined(seen if isinstance(seen, dict) else {}, shape_of(reply.body))
        known["content"] = {_JSON: {"schema": shape}}


def _notifications(events: Sequence[EventBlock], told: list[JSON]) -> list[JSON]:
    """The channels of notifications, each once, with the shape of what they carry."""
    shapes = {str(one["channel"]): one["schema"] for one in told if isinstance(one, dict)}
    for event in events:
        channel = event.channel if isinstance(event.channel, str) else "(computed)"
        if event.channel is not None:
            seen = shapes.get(channel)
            shapes[channel] = joined(seen if isinstance(seen, dict) else {}, shape_of(event.data))
    return [{"channel": channel, "schema": shape} for channel, shape in shapes.items()]


def _inner(value: JSON, *keys: str) -> JSON:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
