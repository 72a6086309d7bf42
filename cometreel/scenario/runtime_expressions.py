"""Runtime expressions: the places of values in a request, a reply or a Bayeux message, spelled as in OpenAPI 3.

`$response.body#/sessionId`, `$response.header.X-Session`, `$response.header.Location?code` (one query parameter of a
URL), `$request.path.sessionId` (the segment that exchanges write as `{$capture: sessionId}`),
`$request.query.session`, `$request.header.X-Session`, `$request.body#/sessionId` (JSON or a form),
`$message#/ext/token` (a Bayeux message).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, cast
from urllib.parse import quote

from cometreel.jsonvalue import JSON
from cometreel.scenario.findings import Finding, describe
from cometreel.scenario.json_pointer import parse_pointer

__all__ = ["FROM", "IN", "RuntimeExpression", "check_from", "check_in", "parameter_pattern", "parse_expression"]

_FIELD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_POINTER = r"(?P<pointer>(/([^~]|~[01])*)?)"
_BODY = rf"body#{_POINTER}"
FROM = rf"^\$response\.(body#(/.*)?|header\.{_FIELD}(\?[^?&=#]+)?)$"
"""The expressions of a value that a reply hands out."""
IN = rf"^(\$request\.(path\.[A-Za-z_][A-Za-z0-9_]*|query\.[^?&=#]+|header\.{_FIELD}|body#(/.*)?)|\$message#(/.*)?)$"
"""The expressions of a value that a client sends back."""

_EXPRESSION = re.compile(
    r"\$(?P<source>request|response|message)"
    rf"(#(?P<of_message>.*)|\.(?P<part>path|query|header)\.(?P<name>[^?]+)(\?(?P<parameter>.+))?|\.{_BODY})",
    re.DOTALL,
)

Source: TypeAlias = Literal["request", "response", "message"]
Part: TypeAlias = Literal["path", "query", "header", "body"]


@dataclass(frozen=True, slots=True)
class RuntimeExpression:
    """One place. `str()` returns it as it is written."""

    source: Source
    part: Part
    """The part of the request or reply; `body` for a message."""
    name: str = ""
    """The name of the path segment, the query parameter or the header field."""
    pointer: str = ""
    """The JSON Pointer into a body or a message."""
    parameter: str | None = None
    """The query parameter of the URL in a header field."""

    def __str__(self) -> str:
        if self.source == "message":
            return f"$message#{self.pointer}"
        if self.part == "body":
            return f"${self.source}.body#{self.pointer}"
        return f"${self.source}.{self.part}.{self.name}" + ("" if self.parameter is None else f"?{self.parameter}")

    @property
    def last_token(self) -> str:
        """The last name of the expression: `sessionId` in `$response.body#/data/sessionId`."""
        if self.part == "body":
            tokens = parse_pointer(self.pointer)
            return tokens[-1] if tokens else "body"
        return self.parameter or self.name


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> RuntimeExpression:
    """Parse an expression.

    :raises ValueError: if it isn't one.
    """
    found = _EXPRESSION.fullmatch(text)
    if found is None or not (re.fullmatch(FROM, text) or re.fullmatch(IN, text)):
        raise ValueError(f"{text!r} is not a runtime expression")
    pointer = found["of_message"] or found["pointer"] or ""
    parse_pointer(pointer)
    part = cast(Part, found["part"] or "body")
    return RuntimeExpression(cast(Source, found["source"]), part, found["name"] or "", pointer, found["parameter"])


@lru_cache(maxsize=256)
def parameter_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern for one parameter in the query or the fragment of a URL; group 2 is its value, still encoded."""
    return re.compile(rf"([?&#]{re.escape(quote(name, safe=''))}=)([^&#]*)")


def check_from(value: JSON) -> Iterator[Finding]:
    """Check the place of a value that a reply hands out."""
    if not _is_expression(value, FROM):
        expected = "$response.body#/POINTER, $response.header.NAME or $response.header.NAME?PARAMETER"
        yield Finding((), describe(value), expected)


def check_in(value: JSON) -> Iterator[Finding]:
    """Check the places, at least one, of a value that clients send back."""
    if not isinstance(value, list) or not value:
        yield Finding((), describe(value), "a list of places, such as [$request.query.session]")
        return
    for number, place in enumerate(value):
        if not _is_expression(place, IN):
            expected = (
                "$request.path.NAME, $request.query.NAME, $request.header.NAME, $request.body#/POINTER "
                "or $message#/POINTER"
            )
            yield Finding((number,), describe(place), expected)


def _is_expression(value: JSON, pattern: str) -> bool:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        return False
    try:
        parse_expression(value)
    except ValueError:
        return False
    return True
