"""Suggests an exchange for an unmatched call, as YAML to paste under `exchanges:`.

The request is that of the call; the reply is a template to complete. Secrets (see `masking`) are replaced by a marker
that matches anything.
"""

from __future__ import annotations

import base64
import re
from itertools import count
from urllib.parse import quote

from pydantic import ValidationError

from cometreel.engine.request_journal import Call
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.masking import is_secret, masked, masked_text
from cometreel.scenario import ExchangeBlock, NormalizedRequest, Scenario, ScenarioFile, can_be_written, dump
from cometreel.scenario.normalized_request import form_of, normalize_path, without_session
from cometreel.wire import Headers, Request

__all__ = ["suggest_stub"]

_ANYTHING: JSON = {"$any": "anything"}
_LONGEST_NAME = 80
_FORM = re.compile(rb"[\w.~*+%\[\]$-]{1,200}=[^&=\s<>{}\"]*(?:&[\w.~*+%\[\]$-]{1,200}=[^&=\s<>{}\"]*)*")
"""A body that a browser would send for a form."""

_IN_PATHS = "/%;,=@&+$!*'()~"
"""The characters of a path that are not encoded, with `%` for existing percent-encoding."""


def suggest_stub(call: Call, scenario: Scenario) -> str:
    """Return an exchange for a call as one item of `exchanges:`, with a new name.

    :raises OptionInvalid: if its method, path or channel can't be written in a scenario.
    """
    asked = _publish(call, scenario) if call.method == "PUBLISH" else _request(call, scenario)
    reply: JSON = {"successful": True} if "publish" in asked else {"status": 200, "body": {"statusCode": 0}}
    try:
        block = ExchangeBlock.model_validate({"name": _name(call, scenario), "request": asked, "reply": reply})
    except ValidationError:
        found = f"call {call.number} has a method, path or channel that a scenario can't have"
        raise OptionInvalid("call", found, "an HTTP request, or a publish on a channel of the application") from None
    _, _, item = dump(ScenarioFile(exchanges=[block])).partition("exchanges:\n")
    return item


def _request(call: Call, scenario: Scenario) -> JSONObject:
    path, _, query = call.target.partition("?")
    normalized = scenario.normalize_request(Request(0, call.method, path, query, Headers(), call.body))
    written: JSONObject = {"method": normalized.method, "path": _path(path)}
    if normalized.query:
        written["query"] = {_literal(name): _query_value(name, value) for name, value in normalized.query.items()}
    return {**written, **_body(normalized)} if normalized.content else written


def _path(path: str) -> JSON:
    """Return a path as it was sent, else encoded, else as segments with a marker for those that aren't text."""
    bare = without_session(path)
    asked = normalize_path(bare)
    if not asked.segments:
        return "/"
    if masked_text(bare) != bare:
        return [_segment(each) for each in asked.segments]
    if bare.isprintable() and "#" not in bare and "://" not in bare:
        return bare
    encoded = quote(bare, _IN_PATHS, errors="surrogateescape")
    return encoded if normalize_path(encoded) == asked else [_segment(each) for each in asked.segments]


def _segment(text: str) -> JSON:
    shown = can_be_written(text) and "%" not in text and "/" not in text and masked_text(text) == text
    return text if shown else {"$any": "string"}


def _query_value(name: str, value: JSON) -> JSON:
    shown = can_be_written(value) and not is_secret(name, query=True) and masked(value) == value
    return value if shown else _ANYTHING


def _body(normalized: NormalizedRequest) -> JSONObject:
    if normalized.is_json and can_be_written(normalized.compared):
        return {"body": _pattern(normalized.compared)}
    if _FORM.fullmatch(normalized.content):
        fields = form_of(normalized.content)
        return {"form": {_literal(name): _query_value(name, value) for name, value in fields.items()}}
    try:
        text = normalized.content.decode()
    except UnicodeDecodeError:
        shown = masked_text(normalized.content.decode("latin-1"))
        return {"base64": base64.b64encode(shown.encode("latin-1")).decode()}
    return {"text": text if masked_text(text) == text else {"$any": "string"}}


def _publish(call: Call, scenario: Scenario) -> JSONObject:
    normalized = scenario.normalize_publish({"channel": call.target, "data": call.data})
    written: JSONObject = {"publish": call.target}
    if normalized.compared is not None:
        written["data"] = _pattern(normalized.compared) if can_be_written(normalized.compared) else _ANYTHING
    return written


def _pattern(value: JSON) -> JSON:
    """Return the pattern of a value: the value itself, with a marker for each secret."""
    if isinstance(value, dict):
        return {_literal(name): _ANYTHING if is_secret(name) else _pattern(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_pattern(item) for item in value]
    return _ANYTHING if isinstance(value, str) and masked_text(value) != value else value


def _literal(name: str) -> str:
    return f"${name}" if name.startswith("$") else name


def _name(call: Call, scenario: Scenario) -> str:
    """Return a unique name in one line, from the operation and the owner of the call."""
    about = " ".join(part for part in (call.operation, call.owner_type, call.owner) if part)
    meant = about or f"{call.method} {without_session(call.path)}"
    line = "".join(letter if letter.isprintable() else " " for letter in masked_text(meant))
    name = " ".join(line.split())[:_LONGEST_NAME].strip() or "exchange"
    numbered = (name if number == 1 else f"{name} ({number})" for number in count(1))
    return next(each for each in numbered if each not in scenario.by_name)
