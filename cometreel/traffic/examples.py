"""An example of what a pattern accepts: the request that a client might have sent.

Knows the markers of requests and nothing of sessions. What can't be made up honestly is refused, not guessed.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import quote, urlencode

from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import PublishBlock, RequestBlock
from cometreel.scenario.markers import marker_of, unescaped

__all__ = ["NoExample", "example", "example_request", "needs_example"]

_ANY: dict[str, JSON] = {
    "string": "text",
    "number": 1,
    "integer": 1,
    "boolean": True,
    "object": {},
    "array": [],
    "null": None,
    "anything": "anything",
}
_SIMPLE = (
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
    """A pattern of which no example can be made; says why."""


def example(pattern: JSON) -> JSON:
    """Make a value that a pattern accepts.

    :raises NoExample: if it holds a regular expression that isn't simple.
    """
    marker = marker_of(pattern)
    if marker is not None:
        return _of_marker(*marker)
    if isinstance(pattern, dict):
        return {unescaped(key): example(member) for key, member in pattern.items()}
    if isinstance(pattern, list):
        return [example(item) for item in pattern]
    return pattern


def _has_marker(pattern: JSON) -> bool:
    """Tell whether a pattern accepts more than one value."""
    if isinstance(pattern, dict):
        return marker_of(pattern) is not None or any(map(_has_marker, pattern.values()))
    return isinstance(pattern, list) and any(map(_has_marker, pattern))


def _of_marker(key: str, argument: JSON) -> JSON:
    if key == "$any":
        return _ANY[str(argument)]
    if key == "$regex":
        return _of_regex(str(argument))
    if isinstance(argument, list):
        return example(argument[0]) if key == "$one-of" else ",".join(str(example(item)) for item in argument)
    if isinstance(argument, dict):
        return {unescaped(name): example(member) for name, member in argument.items()}
    return str(argument).removeprefix("session.")


def _of_regex(text: str) -> str:
    candidate = text.removeprefix("^").removesuffix("$")
    for written, meant in _SIMPLE:
        candidate = candidate.replace(written, meant)
    if not re.search(text, candidate):
        raise NoExample(f"no example of {{$regex: {text}}} is known")
    return candidate


def example_request(block: RequestBlock) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """Make an example of a request: its path, its query, its header fields and its body.

    :raises NoExample: as `example`.
    """
    path = example(block.path)
    segments = path if isinstance(path, list) else str(path).split("/")
    spelt = "/".join(quote(str(segment), safe="%~!$&'()*+,;=:@-._") for segment in segments)
    headers = [(name, str(example(pattern))) for name, pattern in (block.headers or {}).items()]
    body, kind = _body(block)
    if kind and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    return "/" + spelt.lstrip("/"), _query(block), headers, body


def _query(block: RequestBlock) -> str:
    query = example(block.query)
    pairs = [
        (name, str(item))
        for name, value in (query.items() if isinstance(query, dict) else ())
        for item in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs, safe=",*")


def _body(block: RequestBlock) -> tuple[bytes, str]:
    if block.text is not None:
        return str(example(block.text)).encode(), "text/plain;charset=UTF-8"
    if block.base64 is not None:
        return base64.b64decode(block.base64), "application/octet-stream"
    if "body" in block.model_fields_set:
        return encode(example(block.body)), "application/json;charset=UTF-8"
    return b"", ""


def needs_example(block: RequestBlock | PublishBlock) -> bool:
    """Tell whether a request of a block is one of several that would do."""
    written = block.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return any(_has_marker(value) for value in written.values())
