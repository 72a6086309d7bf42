"""The JSON Schema of a scenario file (draft 2020-12), for editors, CI and `cometreel schema`.

The blocks come from the pydantic models. This module adds markers and the keys that exclude each other.
"""

from __future__ import annotations

import json
from itertools import combinations

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.checks import CHANNEL, CORRELATION_SOURCE, NAME
from cometreel.scenario.durations import DURATION_PATTERN
from cometreel.scenario.key_descriptions import KEY_DESCRIPTIONS
from cometreel.scenario.model import (
    EXCHANGE_ACTIONS,
    FAULT_ACTIONS,
    HTTP_REPLY,
    META_ACTIONS,
    PUBLISH_REPLY,
    ScenarioBlock,
)
from cometreel.scenario.value_markers import ANY_KINDS, CAPTURE, ID

__all__ = ["schema", "schema_text"]

_LITERAL_KEYS: JSONObject = {"pattern": r"^(\$\$|[^$]|$)"}
_SCALARS: JSONObject = {"type": ["string", "number", "boolean", "null"]}


def schema() -> JSONObject:
    """Return the JSON Schema of a scenario file."""
    found: JSONObject = ScenarioBlock.model_json_schema(by_alias=True)
    definitions = found.pop("$defs")
    assert isinstance(definitions, dict)
    _split_replies(definitions)
    definitions = {**definitions, **_definitions()}
    found = _closed({"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "$defs": definitions})
    found["required"] = ["cometreel"]
    _exclusions(definitions=found["$defs"])
    _describe(found)
    return found


def schema_text() -> str:
    """Return the JSON Schema as the text of a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _ref(name: str) -> JSONObject:
    return {"$ref": f"#/$defs/{name}"}


def _any_of(*choices: JSON) -> JSONObject:
    return {"anyOf": list(choices)}


def _list_of(item: JSON, least: int = 1) -> JSONObject:
    return {"type": "array", "items": item, "minItems": least}


def _marker(key: str, argument: JSON, description: str) -> JSONObject:
    return {
        "type": "object",
        "properties": {key: argument},
        "required": [key],
        "additionalProperties": False,
        "description": description,
    }


def _tree(name: str, marker: str) -> JSONObject:
    """Return the schema of a JSON value in which objects may be markers."""
    members: JSONObject = {"type": "object", "propertyNames": _LITERAL_KEYS, "additionalProperties": _ref(name)}
    return _any_of(_SCALARS, {"type": "array", "items": _ref(name)}, _ref(marker), members)


def _markers() -> JSONObject:
    return {
        "any": _marker("$any", {"enum": list(ANY_KINDS)}, "Any value of this type."),
        "regex": _marker("$regex", {"type": "string"}, "Text in which this regular expression is found."),
        "capture": _marker(
            "$capture", {"type": "string", "pattern": f"^{CAPTURE}$"}, "Any value, stored under this name."
        ),
        "id": _marker(
            "$id", {"type": "string", "pattern": f"^{ID}$"}, "An identifier that keeps its value for a session."
        ),
        "partial": _marker("$partial", _members("Pattern"), "An object with at least these members."),
        "one-of": _marker(
            "$one-of", _list_of(_ref("Pattern")), "A value that one of these matches; the first match counts."
        ),
        "csv": _marker("$csv", _list_of(_ref("TextPattern")), "A comma-separated list of these."),
        "file": _marker(
            "$file", {"type": "string", "minLength": 1}, "The content of a data file in the folder of the scenario."
        ),
        "t": _marker("$t", {"type": "string"}, "A Jinja2 template; a lone {{ expression }} keeps its type."),
        "csv-value": _marker("$csv", _list_of(_ref("CsvItem")), "The items, joined with commas."),
        "entries": _marker(
            "$entries", _list_of(_ref("Entry"), 0), "An object, written as a list of [key, value] pairs."
        ),
    }


def _members(of: str) -> JSONObject:
    return {"type": "object", "propertyNames": _LITERAL_KEYS, "additionalProperties": _ref(of)}


def _definitions() -> JSONObject:
    """Return the shared definitions, which `x-def` in `field_types` refers to."""
    markers = _markers()
    text_markers = [markers[name] for name in ("any", "regex", "capture", "id", "one-of", "csv")]
    template = _any_of(markers["t"], markers["id"])
    text: JSONObject = {"type": "string"}
    segment: JSONObject = {"type": "string", "pattern": "^[^/]+$"}
    query = _members("QueryValue")
    partial_query = _marker("$partial", query, "A query with at least these names.")
    source: JSONObject = {"type": "string", "pattern": CORRELATION_SOURCE}
    one_name: JSONObject = {"type": "string", "minLength": 1}
    return {
        "Matched": _any_of(*text_markers, markers["partial"], markers["file"]),
        "TextMatched": _any_of(*text_markers),
        "Rendered": _any_of(markers["t"], markers["id"], markers["csv-value"], markers["entries"], markers["file"]),
        **_bodies(markers["file"]),
        "Pattern": _tree("Pattern", "Matched"),
        "Value": _tree("Value", "Rendered"),
        "CsvItem": _any_of(text, _ref("Rendered")),
        "Entry": {
            "type": "array",
            "prefixItems": [_any_of(text, _ref("Rendered")), _ref("Value")],
            "minItems": 2,
            "maxItems": 2,
        },
        "TextPattern": _any_of(text, _ref("TextMatched")),
        "PathPattern": _any_of(
            {"type": "string", "pattern": "^(/|[^?#]*[^/?#][^?#]*)$"},
            _ref("TextMatched"),
            _list_of(_any_of(segment, _ref("TextMatched"))),
        ),
        "QueryValue": _any_of(_ref("TextPattern"), _list_of(_ref("TextPattern"))),
        "QueryPattern": _any_of(query, partial_query, markers["any"]),
        "Template": template,
        "TextValue": _any_of(text, template),
        "BatchValue": _any_of({"type": "string", "pattern": NAME}, template),
        **_header_values(_any_of(text, template), template),
        "DurationValue": _any_of({"type": "string", "pattern": DURATION_PATTERN}, template),
        "ChannelValue": _any_of({"type": "string", "pattern": CHANNEL}, template),
        "StatusValue": _any_of({"type": "integer", "minimum": 200, "maximum": 599}, template),
        "CountValue": _any_of({"type": "integer", "minimum": 0}, template),
        "FlagValue": _any_of({"type": "boolean"}, template),
        "CorrelationSources": _any_of(source, _list_of(source)),
        "Names": _any_of(one_name, _list_of(one_name)),
        **_anchors(),
        "EventChoice": _any_of(
            {"const": True}, {"type": "integer", "minimum": 1}, {"type": "string", "pattern": CHANNEL}
        ),
    }


def _bodies(file: JSON) -> JSONObject:
    """Return the definitions of bodies that aren't JSON, which can be in a data file."""
    return {
        "FixedText": _any_of({"type": "string"}, file),
        "TextContentPattern": _any_of(_ref("TextPattern"), file),
        "TextContent": _any_of(_ref("TextValue"), file),
        "FormPattern": _any_of(_ref("QueryPattern"), file),
        "Base64": _any_of({"type": "string", "contentEncoding": "base64"}, file),
    }


def _header_values(item: JSON, template: JSON) -> JSONObject:
    """Return the definitions of a header field of a reply, and of one that may be null."""
    line: JSONObject = {"type": "string", "pattern": "^[^\\r\\n]*$"}
    return {
        "HeaderValue": _any_of(line, template, _list_of(item)),
        "OwnHeaderValue": _any_of(_ref("HeaderValue"), {"type": "null"}),
    }


def _anchors() -> JSONObject:
    """Return the definitions of the start and the end of a timeline entry: names, or subscriptions to a channel."""
    channel: JSONObject = {"type": "string", "pattern": CHANNEL}
    subscriptions: list[JSON] = [
        {"type": "object", "properties": {key: channel}, "required": [key], "additionalProperties": False}
        for key in ("subscribe", "unsubscribe")
    ]
    anchor = _any_of({"type": "string", "pattern": NAME}, *subscriptions)
    return {"Anchor": anchor, "Anchors": _any_of(_ref("Anchor"), _list_of(_ref("Anchor")))}


def _closed(value: JSON) -> JSONObject:
    """Forbid unknown keys, allow `x-…`, resolve shared definitions, drop titles that only repeat a name."""
    closed = _walk(value)
    assert isinstance(closed, dict)
    return closed


def _walk(value: JSON) -> JSON:
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "x-def" in value:
        return _ref(str(value["x-def"]))
    found = {key: _walk(member) for key, member in value.items() if key != "default" and not _is_title(key, member)}
    if found.get("additionalProperties") is True and "properties" in found:
        found["additionalProperties"] = False
        found["patternProperties"] = {"^x-": {}}
    return found


def _is_title(key: str, member: JSON) -> bool:
    return key == "title" and isinstance(member, str)


def _split_replies(definitions: dict[str, JSON]) -> None:
    """Define the reply to an HTTP request and the reply to a publish separately."""
    both = definitions.pop("ReplyBlock")
    for name, foreign in (("HttpReply", PUBLISH_REPLY), ("PublishReply", HTTP_REPLY)):
        assert isinstance(both, dict)
        properties = both["properties"]
        assert isinstance(properties, dict)
        kept: JSONObject = {key: member for key, member in properties.items() if key not in foreign}
        definitions[name] = {**both, "properties": kept}
    exchange = definitions["ExchangeBlock"]
    assert isinstance(exchange, dict)
    assert isinstance(exchange["properties"], dict)
    exchange["properties"]["reply"] = {}
    exchange["properties"]["request"] = {"type": "object"}


def _exclusions(definitions: JSON) -> None:
    """Add the keys that exclude or require each other."""
    assert isinstance(definitions, dict)
    publish: JSONObject = {"properties": {"request": {"required": ["publish"]}}}
    _amend(definitions, "ExchangeBlock", **{"if": publish, "then": _pair("Publish"), "else": _pair("Http")})
    _amend(definitions, "RequestBlock", allOf=_one_of_several("body", "form", "text", "base64"))
    _amend(definitions, "HttpReply", allOf=_one_of_several("body", "text", "base64"))
    message: JSON = [{"required": ["channel"]}, {"required": ["disconnect"]}]
    _amend(definitions, "EventBlock", anyOf=message)
    _amend(definitions, "TimelineBlock", anyOf=message)
    on_exchange: JSON = {"required": ["exchange"], "oneOf": _one_key(EXCHANGE_ACTIONS), "not": {"required": ["meta"]}}
    on_meta: JSON = {"required": ["meta"], "oneOf": _one_key(META_ACTIONS), "not": {"required": ["exchange"]}}
    often: JSON = [_not_both(*pair) for pair in (("nth", "every"), ("nth", "rate"), ("every", "rate"))]
    companions = {key: action for action, keys in FAULT_ACTIONS.items() for key in keys}
    needs: JSON = {key: [action] for key, action in sorted(companions.items())}
    _amend(definitions, "FaultBlock", oneOf=[on_exchange, on_meta], allOf=often, dependentRequired=needs)


def _describe(found: JSONObject) -> None:
    """Add the description of each key."""
    blocks = {"Scenario": found, **_object(found["$defs"])}
    for name, keys in KEY_DESCRIPTIONS.items():
        properties = _object(_object(blocks[name])["properties"])
        for key, sentence in keys.items():
            properties[key] = {"description": sentence, **_object(properties[key])}


def _pair(kind: str) -> JSON:
    request = _ref("PublishBlock" if kind == "Publish" else "RequestBlock")
    return {"properties": {"request": request, "reply": _any_of(_ref(f"{kind}Reply"), {"type": "null"})}}


def _object(value: JSON) -> JSONObject:
    assert isinstance(value, dict)
    return value


def _not_both(one: str, other: str) -> JSON:
    return {"not": {"required": [one, other]}}


def _one_of_several(*keys: str) -> JSON:
    return [_not_both(*pair) for pair in combinations(keys, 2)]


def _one_key(keys: frozenset[str]) -> JSON:
    return [{"required": [key]} for key in sorted(keys)]


def _amend(definitions: dict[str, JSON], name: str, **more: JSON) -> None:
    definition = definitions[name]
    assert isinstance(definition, dict)
    definition.update(more)
