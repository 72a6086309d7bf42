"""Summarises a scenario as OpenAPI 3.1: paths, operations, and JSON Schemas (2020-12) of requests and replies.

The summary describes examples; it is not an API contract. Notifications, which OpenAPI can't describe, are stored under
keys that begin with `x-`: next to the operation that causes them, or at the top level.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cometreel import __version__
from cometreel.http_fields import FORM_TYPE
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
from cometreel.scenario.value_markers import marker_of, unescaped

__all__ = ["join_shapes", "openapi_summary", "shape_of"]

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-Z]{16}|[0-9]{4,}")
_JSON = "application/json"
_ANY_TYPE_SHAPES: dict[str, JSONObject] = {"anything": {}}


def openapi_summary(path: Path) -> tuple[JSONObject, list[str]]:
    """Return the summary of a scenario, a file or a folder of them, and notes about what it leaves out.

    :raises FileInvalid: with every problem of every file.
    """
    scenario = load([path])
    files = [parse(file) for file in scenario.files]
    summary = _OpenapiSummary(scenario.profile)
    for file in files:
        for block in file.exchanges or ():
            summary.add(block, tuple(file.reply_headers or ()))
    entries: list[EventBlock] = [entry for file in files for entry in file.timeline or ()]
    document: JSONObject = {
        "openapi": "3.1.0",
        "info": {
            "title": scenario.title or path.stem,
            "version": "0",
            "description": f"Summary of a scenario by cometreel {__version__}. Not an API contract.",
        },
        "paths": dict(summary.paths),
    }
    if summary.publishes:
        document["x-publishes"] = dict(summary.publishes)
    if entries:
        document["x-unsolicited"] = _notifications(entries, [])
    faults = [f"faults are left out ({len(scenario.faults)})"] if scenario.faults else []
    return document, [*summary.notes, *faults, "times, order and guards (when:) are left out"]


class _OpenapiSummary:
    """Collects the paths and publishes of exchange blocks."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.paths: dict[str, JSONObject] = {}
        self.publishes: dict[str, JSONObject] = {}
        self.notes: list[str] = []

    def add(self, block: ExchangeBlock, common_headers: Sequence[str] = ()) -> None:
        request = block.request
        if isinstance(request, PublishBlock):
            self._publish(request, block)
            return
        path, parameters = _path(request)
        if path is None:
            self.notes.append(f"{block.name!r} is left out: its whole path is a pattern")
            return
        operation = self.paths.setdefault(path, {}).setdefault(
            request.method.lower(), {"x-exchanges": [], "responses": {}}
        )
        assert isinstance(operation, dict)
        self._describe(operation, block, request, [*parameters, *_query(request)])
        _add_headers(operation, block.reply or ReplyBlock(), common_headers)

    def _describe(
        self, operation: JSONObject, block: ExchangeBlock, request: RequestBlock, parameters: list[JSON]
    ) -> None:
        exchanges = operation["x-exchanges"]
        assert isinstance(exchanges, list)
        exchanges.append(block.name)
        _add_parameters(operation, parameters)
        if request.body is not None:
            _add_body(operation, self._operation(request.body), shape_of(request.body))
        if "form" in request.model_fields_set:
            _add_body(operation, "", shape_of(request.form or {}), FORM_TYPE)
        _add_response(operation, block.reply or ReplyBlock())
        if block.events:
            known = operation.get("x-notifications")
            operation["x-notifications"] = _notifications(block.events, known if isinstance(known, list) else [])

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
        known["data"] = join_shapes(data, shape_of(request.data))
        if block.events:
            seen = known.get("notifications")
            known["notifications"] = _notifications(block.events, seen if isinstance(seen, list) else [])


def _path(request: RequestBlock) -> tuple[str | None, list[JSON]]:
    """Return the path and its parameters: segments that are markers or look like identifiers, in braces."""
    if not isinstance(request.path, str | list):
        return None, []
    segments = request.path if isinstance(request.path, list) else request.path.strip("/").split("/")
    template: list[str] = []
    parameters: list[JSON] = []
    for segment in segments:
        if isinstance(segment, str) and not _ID.fullmatch(segment):
            template.append(segment)
            continue
        before = template[-1].rstrip("s") if template and not template[-1].startswith("{") else "part"
        name = f"{before}Id"
        template.append(f"{{{name}}}")
        shape: JSONObject = shape_of(segment) if marker_of(segment) else {"type": "string"}
        parameters.append({"name": name, "in": "path", "required": True, "schema": shape})
    return "/" + "/".join(template), parameters


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


def _add_body(operation: JSONObject, name: str, shape: JSONObject, kind: str = _JSON) -> None:
    """Add a schema per operation name in the body, because one URL can have many operations."""
    content = _inner(operation.setdefault("requestBody", {"content": {}}), "content")
    assert isinstance(content, dict)
    variants = _inner(content.setdefault(kind, {"schema": {"oneOf": []}}), "schema", "oneOf")
    assert isinstance(variants, list)
    title = name or "(unnamed)"
    for number, variant in enumerate(variants):
        if isinstance(variant, dict) and variant.get("title") == title:
            rest = {key: value for key, value in variant.items() if key != "title"}
            variants[number] = {"title": title, **join_shapes(rest, shape)}
            return
    variants.append({"title": title, **shape})


def _response(operation: JSONObject, reply: ReplyBlock) -> JSONObject:
    responses = operation["responses"]
    assert isinstance(responses, dict)
    status = str(reply.status) if isinstance(reply.status, int) else "200" if reply.status is None else "default"
    known = responses.setdefault(status, {"description": "reply of the scenario"})
    assert isinstance(known, dict)
    return known


def _add_headers(operation: JSONObject, reply: ReplyBlock, common: Sequence[str]) -> None:
    """Add the names of the header fields; OpenAPI describes the content type with the content."""
    own = {name.lower(): name for name, value in (reply.headers or {}).items() if value is not None}
    without = {name.lower() for name, value in (reply.headers or {}).items() if value is None} | {"content-type"}
    names = {**{name.lower(): name for name in common}, **own}
    found: dict[str, JSON] = {
        name: {"schema": {"type": "string"}} for lower, name in names.items() if lower not in without
    }
    if found:
        known = _response(operation, reply)
        seen = known.get("headers")
        known["headers"] = {**(seen if isinstance(seen, dict) else {}), **found}


def _add_response(operation: JSONObject, reply: ReplyBlock) -> None:
    known = _response(operation, reply)
    if "body" in reply.model_fields_set:
        seen = _inner(known, "content", _JSON, "schema")
        shape = join_shapes(seen if isinstance(seen, dict) else {}, shape_of(reply.body))
        known["content"] = {_JSON: {"schema": shape}}


def _notifications(events: Sequence[EventBlock], known: list[JSON]) -> list[JSON]:
    """Return the channels of notifications, each once with its receivers, and the JSON Schema of their data."""
    shapes = {(str(one["channel"]), one.get("deliver")): one["schema"] for one in known if isinstance(one, dict)}
    for event in events:
        channel = event.channel if isinstance(event.channel, str) else "(computed)"
        if event.channel is not None:
            seen = shapes.get((channel, event.deliver))
            shapes[channel, event.deliver] = join_shapes(seen if isinstance(seen, dict) else {}, shape_of(event.data))
    return [
        {"channel": channel, **({} if deliver is None else {"deliver": deliver}), "schema": shape}
        for (channel, deliver), shape in shapes.items()
    ]


def _inner(value: JSON, *keys: str) -> JSON:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def shape_of(value: JSON) -> JSONObject:
    """Return the JSON Schema of one value or pattern of a scenario. An empty schema matches any value."""
    marker = marker_of(value)
    if marker is not None:
        return _marker_shape(*marker)
    if isinstance(value, dict):
        members = {unescaped(key): shape_of(member) for key, member in value.items()}
        return {"type": "object", "properties": dict(members), "required": [*sorted(members)]}
    if isinstance(value, list):
        items: JSONObject | None = None
        for item in value:
            items = shape_of(item) if items is None else join_shapes(items, shape_of(item))
        return {"type": "array"} if items is None else {"type": "array", "items": items}
    return {"type": _type(value)}


def _type(value: JSON) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "integer" if isinstance(value, int) else "number"


def _marker_shape(key: str, argument: JSON) -> JSONObject:
    if key == "$any":
        return _ANY_TYPE_SHAPES.get(str(argument), {"type": argument})
    if key == "$regex":
        return {"type": "string", "pattern": argument}
    if key == "$csv":
        return {"type": "string"}
    if key == "$entries":
        return {"type": "object"}
    if key == "$partial":
        return shape_of(argument)
    if key == "$one-of" and isinstance(argument, list):
        return {"anyOf": [shape_of(item) for item in argument]}
    return {}


def join_shapes(one: JSONObject, other: JSONObject) -> JSONObject:
    """Return a schema that matches the values of both schemas; an empty schema adds nothing."""
    if not one or not other or one == other:
        return one or other
    if one.get("type") == other.get("type") == "object":
        return _join_objects(one, other)
    if one.get("type") == other.get("type") == "array":
        items = [shape for shape in (one.get("items"), other.get("items")) if isinstance(shape, dict)]
        return {"type": "array", "items": join_shapes(items[0], items[-1])} if items else {"type": "array"}
    if {one.get("type"), other.get("type")} == {"integer", "number"}:
        return {"type": "number"}
    choices = [*_choices(one)]
    return {"anyOf": [*choices, *(choice for choice in _choices(other) if choice not in choices)]}


def _choices(shape: JSONObject) -> list[JSON]:
    choices = shape.get("anyOf")
    return choices if isinstance(choices, list) else [shape]


def _join_objects(one: JSONObject, other: JSONObject) -> JSONObject:
    first, second = one.get("properties"), other.get("properties")
    members: dict[str, JSON] = dict(first) if isinstance(first, dict) else {}
    for name, shape in second.items() if isinstance(second, dict) else ():
        first_shape = members.get(name)
        if isinstance(first_shape, dict) and isinstance(shape, dict):
            shape = join_shapes(first_shape, shape)  # noqa: PLW2901  # the joined schema replaces it
        members[name] = shape
    required, also = one.get("required"), other.get("required")
    common = {*required} & {*also} if isinstance(required, list) and isinstance(also, list) else set()
    return {"type": "object", "properties": members, "required": [*sorted(map(str, common))]}
