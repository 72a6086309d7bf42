"""Suggests an exchange for an unmatched call, as YAML to paste under `exchanges:`.

The request is that of the call; the reply is a template to complete. Secrets (see `masking`) and bound values
(`session.bind`), which differ in each session, are replaced by a marker.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from urllib.parse import quote, unquote

from pydantic import ValidationError

from cometreel.engine.request_journal import Call
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.masking import is_secret, masked, masked_text
from cometreel.scenario import CompiledScenario, ExchangeBlock, NormalizedRequest, ScenarioBlock, can_be_written, dump
from cometreel.scenario.normalized_request import normalize_path, without_session
from cometreel.secret_names import is_secret_segment, member_name
from cometreel.wire import Headers, Request

__all__ = ["suggest_stub"]

_ANYTHING: JSON = {"$any": "anything"}
_LONGEST_NAME = 80
_CAPTURED = re.compile(r"\x00\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FORM = re.compile(rb"[\w.~*+%\[\]$-]{1,200}=[^&=\s<>{}\"]*(?:&[\w.~*+%\[\]$-]{1,200}=[^&=\s<>{}\"]*)*")
"""A body that a browser would send for a form."""

_IN_PATHS = "/%;,=@&+$!*'()~"
"""The characters of a path that are not encoded, with `%` for existing percent-encoding."""


def suggest_stub(call: Call, scenario: CompiledScenario, is_bound: Callable[[str], bool] = lambda _: False) -> str:
    """Return an exchange for a call as one item of `exchanges:`, with a new name.

    `is_bound` is true for a bound value of a live session.

    :raises OptionInvalid: if its method, path or channel can't be written in a scenario.
    """
    if call.method == "PUBLISH":
        asked = _publish(call, scenario, is_bound)
    else:
        call = replace(call, target=_with_captures(call.target, scenario, is_bound))
        asked = _request(call, scenario, is_bound)
    reply: JSON = {"successful": True} if "publish" in asked else {"status": 200, "body": {"statusCode": 0}}
    try:
        block = ExchangeBlock.model_validate({"name": _name(call, scenario), "request": asked, "reply": reply})
    except ValidationError:
        found = f"call {call.number} has a method, path or channel that a scenario can't have"
        raise OptionInvalid("call", found, "an HTTP request, or a publish on a channel of the application") from None
    _, _, item = dump(ScenarioBlock(exchanges=[block])).partition("exchanges:\n")
    return item


def _with_captures(target: str, scenario: CompiledScenario, is_bound: Callable[[str], bool]) -> str:
    """Return a target with NUL and `{NAME}` for each segment that is a bound value; NAME is that of its capture."""
    path, mark, query = target.partition("?")
    places = (place for rule in scenario.session.bind for place in rule.places if place.part == "path")
    name = next((place.name for place in places), "bound")
    segments = [f"\0{{{name}}}" if is_bound(unquote(segment)) else segment for segment in path.split("/")]
    return "/".join(segments) + mark + query


def _without_bound(value: JSON, is_bound: Callable[[str], bool]) -> JSON:
    """Return a value with a marker for each text that is a bound value."""
    if isinstance(value, dict):
        return {name: _without_bound(member, is_bound) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_bound(item, is_bound) for item in value]
    return {"$any": "string"} if isinstance(value, str) and is_bound(value) else value


def _request(call: Call, scenario: CompiledScenario, is_bound: Callable[[str], bool]) -> JSONObject:
    path, _, query = call.target.partition("?")
    normalized = scenario.normalize_request(Request(0, call.method, path, query, Headers(), call.body))
    written: JSONObject = {"method": normalized.method, "path": _path(path)}
    if normalized.query:
        query_values = {_literal(name): _query_value(name, value) for name, value in normalized.query.items()}
        written["query"] = _without_bound(query_values, is_bound)
    if not normalized.content:
        return written
    return {**written, **{key: _without_bound(value, is_bound) for key, value in _body(normalized).items()}}


def _path(path: str) -> JSON:
    """Return a path as it was sent, else encoded, else as segments with a marker for those that aren't text."""
    bare = without_session(path)
    asked = normalize_path(bare)
    if not asked.segments:
        return "/"
    if masked_text(bare) != bare or any(map(_CAPTURED.fullmatch, asked.segments)):
        return [_segment(each, before) for before, each in zip(["", *asked.segments], asked.segments, strict=False)]
    if bare.isprintable() and "#" not in bare and "://" not in bare:
        return bare
    encoded = quote(bare, _IN_PATHS, errors="surrogateescape")
    return encoded if normalize_path(encoded) == asked else [_segment(each) for each in asked.segments]


def _segment(text: str, before: str = "") -> JSON:
    if (captured := _CAPTURED.fullmatch(text)) is not None:
        return {"$capture": captured[1]}
    is_plain = can_be_written(text) and "%" not in text and "/" not in text
    after_name = not _CAPTURED.fullmatch(before) and is_secret_segment(before, text)
    shown = is_plain and masked_text(text) == text and not after_name
    return text if shown else {"$any": "string"}


def _query_value(name: str, value: JSON) -> JSON:
    shown = can_be_written(value) and not is_secret(name, query=True) and masked(value) == value
    return value if shown else _ANYTHING


def _body(normalized: NormalizedRequest) -> JSONObject:
    if normalized.is_json and can_be_written(normalized.compared):
        return {"body": _pattern(normalized.compared)}
    if _FORM.fullmatch(normalized.content):
        fields = normalized.form()
        return {
            "form": {_literal(name): _query_value(member_name(fields, name), value) for name, value in fields.items()}
        }
    try:
        text = normalized.content.decode()
    except UnicodeDecodeError:
        shown = masked_text(normalized.content.decode("latin-1"))
        return {"base64": base64.b64encode(shown.encode("latin-1")).decode()}
    return {"text": text if masked_text(text) == text else {"$any": "string"}}


def _publish(call: Call, scenario: CompiledScenario, is_bound: Callable[[str], bool]) -> JSONObject:
    normalized = scenario.normalize_publish({"channel": call.target, "data": call.data})
    written: JSONObject = {"publish": call.target}
    if normalized.compared is not None:
        pattern = _pattern(normalized.compared) if can_be_written(normalized.compared) else _ANYTHING
        written["data"] = _without_bound(pattern, is_bound)
    return written


def _pattern(value: JSON) -> JSON:
    """Return the pattern of a value: the value itself, with a marker for each secret."""
    if isinstance(value, dict):
        return {
            _literal(name): _ANYTHING if is_secret(member_name(value, name)) else _pattern(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_pattern(item) for item in value]
    return _ANYTHING if isinstance(value, str) and masked_text(value) != value else value


def _literal(name: str) -> str:
    return f"${name}" if name.startswith("$") else name


def _name(call: Call, scenario: CompiledScenario) -> str:
    """Return a unique name in one line, from the operation and the owner of the call."""
    about = " ".join(part for part in (call.operation, call.owner_type, call.owner) if part)
    meant = about or f"{call.method} {without_session(call.path)}".replace("\0{", "{")
    line = "".join(letter if letter.isprintable() else " " for letter in masked_text(meant))
    name = " ".join(line.split())[:_LONGEST_NAME].strip() or "exchange"
    numbered = (name if number == 1 else f"{name} ({number})" for number in count(1))
    return next(each for each in numbered if each not in scenario.by_name)
