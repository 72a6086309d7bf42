"""The shape of values as JSON Schema (2020-12): what one value shows, and what two show together. Knows only JSON."""

from __future__ import annotations

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.markers import marker_of, unescaped

__all__ = ["joined", "shape_of"]

_ANY: dict[str, JSONObject] = {"anything": {}}


def shape_of(value: JSON) -> JSONObject:
    """Give the shape that one value or pattern of a scenario shows. An empty shape is any value."""
    marker = marker_of(value)
    if marker is not None:
        return _of_marker(*marker)
    if isinstance(value, dict):
        members = {unescaped(key): shape_of(member) for key, member in value.items()}
        return {"type": "object", "properties": dict(members), "required": [*sorted(members)]}
    if isinstance(value, list):
        items: JSONObject | None = None
        for item in value:
            items = shape_of(item) if items is None else joined(items, shape_of(item))
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


def _of_marker(key: str, argument: JSON) -> JSONObject:
    if key == "$any":
        return _ANY.get(str(argument), {"type": argument})
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


def joined(one: JSONObject, other: JSONObject) -> JSONObject:
    """Give the shape of what either of two shapes describes; nothing seen yet (an empty shape) adds nothing."""
    if not one or not other or one == other:
        return one or other
    if one.get("type") == other.get("type") == "object":
        return _objects(one, other)
    if one.get("type") == other.get("type") == "array":
        items = [shape for shape in (one.get("items"), other.get("items")) if isinstance(shape, dict)]
        return {"type": "array", "items": joined(items[0], items[-1])} if items else {"type": "array"}
    if {one.get("type"), other.get("type")} == {"integer", "number"}:
        return {"type": "number"}
    choices = [*_choices(one)]
    return {"anyOf": [*choices, *(choice for choice in _choices(other) if choice not in choices)]}


def _choices(shape: JSONObject) -> list[JSON]:
    choices = shape.get("anyOf")
    return choices if isinstance(choices, list) else [shape]


def _objects(one: JSONObject, other: JSONObject) -> JSONObject:
    first, second = one.get("properties"), other.get("properties")
    members: dict[str, JSON] = dict(first) if isinstance(first, dict) else {}
    for name, shape in second.items() if isinstance(second, dict) else ():
        known = members.get(name)
        members[name] = joined(known, shape) if isinstance(known, dict) and isinstance(shape, dict) else shape
    needed, also = one.get("required"), other.get("required")
    both = {*needed} & {*also} if isinstance(needed, list) and isinstance(also, list) else set()
    return {"type": "object", "properties": members, "required": [*sorted(map(str, both))]}
