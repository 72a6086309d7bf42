"""The markers of scenarios in Python: values that aren't literal.

`body={"operationName": "RequestAgentStats", "workbinOwner": markers.capture("place")}`

Markers of the wrong kind, such as `any` in a reply, are errors for type checkers and when the block is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, overload

from cometreel.scenario.python_values import (
    JSONInput,
    JSONPattern,
    JSONTemplate,
    Marker,
    ReplyMarker,
    RequestMarker,
    SharedMarker,
)

__all__ = ["any", "capture", "csv", "entries", "file", "id", "literal", "one_of", "partial", "regex", "template"]

KindOfValue: TypeAlias = Literal["string", "number", "integer", "boolean", "object", "array", "null", "anything"]


def any(kind: KindOfValue = "anything") -> RequestMarker:  # noqa: A001  # named like the marker
    """Match any value of this type (`$any`)."""
    return RequestMarker("$any", kind)


def regex(pattern: str) -> RequestMarker:
    """Match text in which this regular expression is found (`$regex`); named groups capture, as `capture`."""
    return RequestMarker("$regex", pattern)


def one_of(*values: JSONPattern) -> RequestMarker:
    """Match a value that one of these matches (`$one-of`); the first match counts."""
    return RequestMarker("$one-of", list(values))


def capture(name: str) -> RequestMarker:
    """Match any value and store it for templates (`$capture`); the name `session.NAME` keeps it for the session."""
    return RequestMarker("$capture", name)


def partial(members: Mapping[str, JSONPattern]) -> RequestMarker:
    """Match an object with at least these members (`$partial`)."""
    return RequestMarker("$partial", members)


def id(name: str) -> SharedMarker:  # noqa: A001  # named like the marker
    """Match an identifier, or send it (`$id`): the first value that a session sends there is kept for the session."""
    return SharedMarker("$id", name)


@overload
def csv(*items: str | SharedMarker) -> SharedMarker: ...
@overload
def csv(*items: str | RequestMarker) -> RequestMarker: ...  # type: ignore[overload-overlap]  # the first comes first
@overload
def csv(*items: str | ReplyMarker) -> ReplyMarker: ...
def csv(*items: str | Marker) -> Marker:
    """Match or send a comma-separated list of these (`$csv`)."""
    return SharedMarker("$csv", list(items))


def template(text: str) -> ReplyMarker:
    """Send the result of a Jinja2 template (`$t`); a lone `{{ expression }}` keeps its type."""
    return ReplyMarker("$t", text)


def entries(*pairs: tuple[str | ReplyMarker, JSONTemplate]) -> ReplyMarker:
    """Send an object, written as pairs of key and value, so that a key may be a template (`$entries`)."""
    return ReplyMarker("$entries", [list(pair) for pair in pairs])


def file(path: str) -> SharedMarker:
    """Take the content of a data file (`$file`), relative to the folder of the Python file; it must be in that folder.

    In body, data, ext and form the file contains JSON. In text it is text in UTF-8, in base64 any bytes.
    """
    return SharedMarker("$file", path)


def literal(value: JSONInput) -> JSONInput:
    """Return a value whose keys are literal: the `$` of keys that start with it is doubled, as in a file."""
    if isinstance(value, Mapping):
        return {f"${key}" if key.startswith("$") else key: literal(member) for key, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [literal(item) for item in value]
    return value
