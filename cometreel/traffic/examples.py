"""Creates example values that match a pattern, and example requests.

Supports the markers of requests. A pattern without a safe example raises `NoExample`.
"""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode

from cometreel.http_fields import FORM_TYPE
from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import PublishBlock, RequestBlock
from cometreel.scenario.regular_expression import regular_expression
from cometreel.scenario.value_markers import marker_of, unescaped

__all__ = ["NoExample", "example", "example_request", "needs_example"]

_ANY_EXAMPLES: dict[str, JSON] = {
    "string": "text",
    "number": 1,
    "integer": 1,
    "boolean": True,
    "object": {},
    "array": [],
    "null": None,
    "anything": "anything",
}
_REGEX_EXAMPLES = (
    ("\\d+", "1"),
    ("\\d", "1"),
    ("[0-9]+", "1"),
    (".*", ""),
    (".+", "x"),
    ("\\w+", "x"),
    ("\\.", "."),
    ("\\/", "/"),
)


class NoExample(ValueError):
    """No example can be created for a pattern; the message contains the pattern."""


def example(pattern: JSON) -> JSON:
    """Return a value that matches a pattern.

    :raises NoExample: if the pattern contains a regular expression that isn't simple.
    """
    marker = marker_of(pattern)
    if marker is not None:
        return _marker_example(*marker)
    if isinstance(pattern, dict):
        return {unescaped(key): example(member) for key, member in pattern.items()}
    if isinstance(pattern, list):
        return [example(item) for item in pattern]
    return pattern


def _has_marker(pattern: JSON) -> bool:
    """Return True if a pattern contains a marker, so it can match several values."""
    if isinstance(pattern, dict):
        return marker_of(pattern) is not None or any(map(_has_marker, pattern.values()))
    return isinstance(pattern, list) and any(map(_has_marker, pattern))


def _marker_example(key: str, argument: JSON) -> JSON:
    if key == "$any":
        return _ANY_EXAMPLES[str(argument)]
    if key == "$regex":
        return _regex_example(str(argument))
    if isinstance(argument, list):
        return example(argument[0]) if key == "$one-of" else ",".join(str(example(item)) for item in argument)
    if isinstance(argument, dict):
        return {unescaped(name): example(member) for name, member in argument.items()}
    return str(argument).removeprefix("session.")


def _regex_example(text: str) -> str:
    candidate = text.removeprefix("^").removesuffix("$")
    for expression, text_example in _REGEX_EXAMPLES:
        candidate = candidate.replace(expression, text_example)
    if regular_expression(text).search(candidate) is None:
        raise NoExample(f"no example can be created for {{$regex: {text}}}")
    return candidate


def example_request(block: RequestBlock) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """Return path, query, header fields and body of an example request.

    :raises NoExample: see `example`.
    """
    path = example(block.path)
    segments = path if isinstance(path, list) else str(path).split("/")
    encoded = "/".join(quote(str(segment), safe="%~!$&'()*+,;=:@-._") for segment in segments)
    headers = [(name, str(example(pattern))) for name, pattern in (block.headers or {}).items()]
    body, content_type = _body(block)
    if content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", content_type))
    return "/" + encoded.lstrip("/"), _encoded(block.query), headers, body


def _encoded(pattern: JSON) -> str:
    """Return an example of a query or a form."""
    query = example(pattern)
    pairs = [
        (name, str(item))
        for name, value in (query.items() if isinstance(query, dict) else ())
        for item in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs, safe=",*")


def _body(block: RequestBlock) -> tuple[bytes, str]:
    if "form" in block.model_fields_set:
        return _encoded(block.form).encode(), FORM_TYPE
    if block.text is not None:
        return str(example(block.text)).encode(), "text/plain;charset=UTF-8"
    if block.base64 is not None:
        return base64.b64decode(block.base64), "application/octet-stream"
    if "body" in block.model_fields_set:
        return encode(example(block.body)), "application/json;charset=UTF-8"
    return b"", ""


def needs_example(block: RequestBlock | PublishBlock) -> bool:
    """Return True if requests other than the example match the block too."""
    members = block.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return any(_has_marker(value) for value in members.values())
