"""Findings: errors at a path inside a value, and their conversion to `Problem`s with line and column.

Checks know paths inside a value, not positions in a file. pydantic extends the paths outwards; this module then looks
up the positions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from cometreel.errors import NEWER_VERSION, FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.yaml_reader import Document

__all__ = [
    "Finding",
    "can_be_written",
    "describe",
    "findings_of",
    "invalid",
    "is_newer",
    "near",
    "problems_of",
    "refuse",
    "version_finding",
]

_FINDING = "finding"
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_EXAMPLES = {
    "by": "by: 8h",
    "channel": "channel: /v2/me/workbins",
    "data": "data: {messageType: WorkbinContentMessage}",
    "event": "event: /placeId",
    "from": "from: $response.body#/sessionId",
    "in": "in: [$request.header.X-Session]",
    "message": "message: {/messageType: StatisticsUpdated}",
    "method": "method: POST",
    "name": "name: log in",
    "path": "path: /api/v2/me",
    "policy": "policy: 1",
    "publish": "publish: /chat",
    "speed": "speed: 2",
    "request": "request: {method: GET, path: /api/v2/me}",
}
_LONGEST = 60
_DEEPEST = 90


@dataclass(frozen=True, slots=True)
class Finding:
    """One error at a path inside a value; `at_key` refers to the key instead of its value."""

    path: tuple[str | int, ...]
    found: str
    expected: str = ""
    hint: str = ""
    at_key: bool = False


def refuse(findings: Iterable[Finding], value: object) -> None:
    """Raise the findings as a pydantic error.

    :raises ValidationError: if there is at least one finding.
    """
    details = [_details(finding, value) for finding in findings]
    if details:
        raise ValidationError.from_exception_data("scenario", details)


def _details(finding: Finding, value: object) -> InitErrorDetails:
    context = {
        "found": finding.found,
        "expected": finding.expected,
        "hint": finding.hint,
        "at_key": finding.at_key,
    }
    error = PydanticCustomError(_FINDING, "{found}; expected {expected}", context)
    return InitErrorDetails(type=error, loc=finding.path, input=value)


def findings_of(error: ValidationError) -> list[Finding]:
    """Return the findings of a pydantic error."""
    return [_finding(details) for details in error.errors(include_url=False)]


def _finding(details: Mapping[str, Any]) -> Finding:
    kind, path, value = details["type"], details["loc"], details["input"]
    context = details.get("ctx", {})
    if kind == _FINDING:
        return Finding(path, context["found"], context["expected"], context["hint"], context["at_key"])
    if kind == "missing":
        return _missing_key(path[:-1], str(path[-1]))
    if kind == "literal_error" and context["expected"] == "1":
        return version_finding(path, value)
    if kind == "literal_error":
        choices = [choice.strip("' ") for choice in context["expected"].replace(" or ", ",").split(",")]
        return Finding(path, describe(value), " or ".join(choices), near(str(value), choices))
    return Finding(path, describe(value), _KINDS.get(kind, details["msg"]))


def version_finding(path: tuple[str | int, ...], value: object) -> Finding:
    """Return the finding for a file whose version of the format isn't 1."""
    if is_newer(value):
        return Finding(path, f"version {value} of the format", "version 1", NEWER_VERSION)
    return Finding(path, describe(value), "1", "write 1 without quotes" if value == "1" else "")


def is_newer(version: object) -> bool:
    """True if a version is a number above 1."""
    return isinstance(version, int | float) and not isinstance(version, bool) and version > 1


def _missing_key(path: tuple[str | int, ...], key: str) -> Finding:
    """Return the finding for a key that the block at a path doesn't have."""
    steps = [step for step in path if not str(step).startswith("(")]  # tags of pydantic's unions
    named = steps and isinstance(steps[-1], str)
    found = f"{steps[-1]} has no `{key}`" if named else f"`{key}` is missing"
    return Finding(path, found, hint=f"add one, for example `{_EXAMPLES.get(key, key + ': …')}`")


def problems_of(findings: Iterable[Finding], document: Document, under: tuple[str | int, ...] = ()) -> list[Problem]:
    """Convert findings to problems with line and column; `under` is the path of the value in the document."""
    problems = []
    for finding in findings:
        position = document.position((*under, *finding.path), key=finding.at_key)
        problems.append(Problem(*position, finding.found, finding.expected, finding.hint))
    return problems


def invalid(name: str, findings: Iterable[Finding]) -> FileInvalid:
    """Return the error for a value that doesn't come from a file, called `name`."""
    places = ((": ".join((name, *map(str, each.path))), each) for each in findings)
    return FileInvalid([Problem(place, 0, 0, each.found, each.expected, each.hint) for place, each in places])


def near(word: str, words: Iterable[str]) -> str:
    """Return a hint with the closest of some words, or an empty text."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def describe(value: object) -> str:
    """Describe a value for an error: its type, and a short value itself."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    if not isinstance(value, str | int | float):
        return f"a value of the type {type(value).__name__}"
    kind = "the text" if isinstance(value, str) else "the number"
    return f"{kind} {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"


def can_be_written(value: JSON, depth: int = 0) -> bool:
    """True if a value can be written to a scenario as YAML and read back unchanged.

    Not possible: lone surrogates, NaN, infinity, and values nested more than 90 levels deep.
    """
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, dict | list) and depth >= _DEEPEST:
        return False
    if isinstance(value, dict):
        return _can_all_be_written(value, depth) and _can_all_be_written(value.values(), depth)
    return not isinstance(value, list) or _can_all_be_written(value, depth)


def _can_all_be_written(values: Iterable[JSON], depth: int) -> bool:
    for value in values:
        if not (isinstance(value, str) and value.isascii()) and not can_be_written(value, depth + 1):
            return False
    return True
