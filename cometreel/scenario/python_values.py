"""Values in Python: markers as objects, the types of values with markers, and their conversion to JSON.

`cometreel.markers` has the functions that create the markers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario.data_files import FileList, FileObject

from .durations import format_duration
from .findings import Finding
from .model import Block

__all__ = [
    "ABSENT",
    "Absent",
    "Converted",
    "Duration",
    "JSONInput",
    "JSONPattern",
    "JSONTemplate",
    "Marker",
    "ReplyMarker",
    "RequestMarker",
    "SharedMarker",
    "converted",
    "json_of",
]

_DEEPEST = 100
_DURATIONS = frozenset({"after", "gap", "delay", "max_interval", "multi_session_interval", "max_idle", "window"})
_JSON_ARGUMENTS = frozenset({"body", "data", "ext", "form", "query", "advice", "custom"})
_EXPECTED = "text, a number, true, false, None, a list, a mapping or a marker"


class Absent(Enum):
    """The default of an argument for which None is a value: JSON null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Literal[Absent.ABSENT] = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker of the format: its key, such as `$any`, and its argument."""

    key: str
    argument: object

    def __repr__(self) -> str:
        return f"{{{self.key}: {self.argument!r}}}"


class RequestMarker(Marker):
    """A marker that a request may use."""

    __slots__ = ()


class ReplyMarker(Marker):
    """A marker that replies and events may use."""

    __slots__ = ()


class SharedMarker(RequestMarker, ReplyMarker):
    """A marker that requests, replies and events may use."""

    __slots__ = ()


JSONInput: TypeAlias = "None | bool | int | float | str | Sequence[JSONInput] | Mapping[str, JSONInput]"
"""A JSON value without markers; any sequence is an array, any mapping an object."""

JSONPattern: TypeAlias = (
    "None | bool | int | float | str | RequestMarker | Sequence[JSONPattern] | Mapping[str, JSONPattern]"
)
"""A JSON value to match, with the markers of requests."""

JSONTemplate: TypeAlias = (
    "None | bool | int | float | str | ReplyMarker | Sequence[JSONTemplate] | Mapping[str, JSONTemplate]"
)
"""A JSON value to send, with the markers of replies and events."""


Duration: TypeAlias = str | timedelta
"""A duration, as text with a unit (`120ms`, `5s`) or as a `timedelta`."""

Converted: TypeAlias = object
"""A JSON value, or one that contains blocks."""


@dataclass(slots=True)
class _Conversion:
    """The findings in one value, and the paths of its markers of data files."""

    findings: list[Finding] = field(default_factory=list)
    files: list[tuple[str | int, ...]] = field(default_factory=list)

    def convert(self, value: object, path: tuple[str | int, ...]) -> Converted:
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool | int | float | str | FileObject | FileList | Block):
            return value
        if isinstance(value, timedelta | datetime | bytes):
            return self._text(value, path)
        if len(path) > _DEEPEST:
            return self._refuse(path[:2], f"a value nested more than {_DEEPEST} levels deep", "fewer levels")
        if isinstance(value, Marker):
            return self.convert({value.key: value.argument}, path)
        if isinstance(value, Mapping):
            return self._object(value, path)
        if isinstance(value, Sequence):
            return [self.convert(item, (*path, number)) for number, item in enumerate(value)]
        return self._refuse(path, f"a value of the type {type(value).__name__}", _EXPECTED)

    def _text(self, value: timedelta | datetime | bytes, path: tuple[str | int, ...]) -> Converted:
        """Write a value of a Python type as the format does, where the format has such a value."""
        key = "" if not path else path[0] if path[0] in _JSON_ARGUMENTS else path[-1]
        if isinstance(value, timedelta) and key in _DURATIONS:
            try:
                return format_duration(value.total_seconds())
            except ValueError as error:
                return self._refuse(path, str(error), "a duration from 0 to a year")
        if isinstance(value, datetime) and key == "recorded":
            return value.isoformat()
        if isinstance(value, bytes) and key == "base64":
            return base64.b64encode(value).decode()
        return self._refuse(path, f"a value of the type {type(value).__name__}", _EXPECTED)

    def _object(self, value: Mapping[object, object], path: tuple[str | int, ...]) -> Converted:
        if len(value) == 1 and "$file" in value:
            self.files.append(path)
        members: dict[str, object] = {}
        for key, member in value.items():
            if isinstance(key, str):
                members[key] = self.convert(member, (*path, key))
            else:
                self._refuse(path, f"the key {key!r} isn't text", "text")
        return members

    def _refuse(self, path: tuple[str | int, ...], found: str, expected: str) -> Converted:
        self.findings.append(Finding(path, found, expected))
        return None


def converted(
    values: Mapping[str, object],
) -> tuple[dict[str, Converted], list[Finding], list[tuple[str | int, ...]]]:
    """Convert the arguments of a function to JSON.

    Return the values, the findings, and the paths of the markers of data files.
    """
    conversion = _Conversion()
    found = {name: conversion.convert(value, (name,)) for name, value in values.items()}
    return found, conversion.findings, conversion.files


def json_of(value: JSONPattern) -> tuple[JSON, list[Finding]]:
    """Convert one value with markers to JSON; return it with the findings."""
    conversion = _Conversion()
    found = conversion.convert(value, ())
    return found, conversion.findings  # type: ignore[return-value]  # it contains no blocks
