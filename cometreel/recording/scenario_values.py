"""Converts redacted values to values and markers of a scenario.

Personal data in requests becomes `{$any: …}`, identifiers of the strict policy become `{$id: …}`. All other values are
literal; keys that begin with `$` are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from urllib.parse import parse_qsl, unquote

from cometreel.jsonvalue import JSON
from cometreel.recording.journal_events import RecordedBody, WireEvent
from cometreel.recording.pseudonyms import TOKEN
from cometreel.scenario.json_pointer import escape, parse_pointer

__all__ = [
    "Identifiers",
    "any_marker",
    "bound_template",
    "path_pattern",
    "query_pattern",
    "reply_value",
    "request_pattern",
    "value_at",
]


class Identifiers:
    """The identifiers of the strict policy: names (`place-1`) by pseudonym, and when clients first sent them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._first_sent: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, value: str, kind: str, at: float) -> None:
        """Add an identifier that a client sent."""
        self._first_sent.setdefault(value, at)
        if value not in self._names:
            kind = kind.removeprefix("id ")
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[value] = f"{kind}-{self._counts[kind]}"

    def name(self, value: str, at: float) -> str | None:
        """Return the name of an identifier that a client had sent before `at`; None for other values."""
        sent = self._first_sent.get(value)
        return self._names[value] if sent is not None and sent <= at else None

    def add_request(self, event: WireEvent) -> None:
        """Add all identifiers of a request."""
        segments = event.path.split("/")
        for number, kind in event.hidden_path.items():
            if kind.startswith("id ") and number.isdigit() and int(number) < len(segments):
                self.add(unquote(segments[int(number)]), kind, event.at)
        for name, value in parse_qsl(event.query, keep_blank_values=True):
            kind = event.hidden_query.get(name, "")
            for piece in value.split(",") if kind.startswith("id ") else ():
                self.add(piece, kind, event.at)
        self._add_body(event.body, event.at)

    def _add_body(self, body: RecordedBody, at: float) -> None:
        for pointer, kind in body.hidden.identifiers.items():
            value = value_at(body.value, pointer)
            if isinstance(value, str):
                self.add(value, kind, at)


def value_at(value: JSON, pointer: str) -> JSON:
    """Return the value at a pointer without wildcards, or None."""
    for token in parse_pointer(pointer):
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


def any_marker(value: JSON) -> JSON:
    """Return the marker for any value of the same type."""
    names: dict[type, str] = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object"}
    return {"$any": "null" if value is None else names.get(type(value), "array")}


def request_pattern(
    body: JSON,
    hidden: Iterable[str],
    identifiers: Identifiers,
    at: float,
    prefix: str = "",
    bound: Container[str] = (),
) -> JSON:
    """Return a request body as a pattern; `hidden` are the pointers of secret and personal values.

    `bound` are the tokens of bound values, which match any text.
    """
    places = {pointer[len(prefix) :] for pointer in hidden if pointer.startswith(prefix)}

    def marker(value: JSON, pointer: str) -> JSON | None:
        if pointer in places or (isinstance(value, str) and value in bound):
            return any_marker(value)
        return _id_marker(value, identifiers, at)

    return _walk(body, "", marker)


def reply_value(
    value: JSON,
    identifiers: Identifiers,
    at: float,
    user_values: Mapping[str, str],
    bound: Mapping[str, str],
    handed_out: Container[str] = (),
) -> JSON:
    """Return a reply body or event data; `user_values` maps values to templates (`--generalise`).

    `bound` maps the tokens of bound values to the name of their rule; at the pointers `handed_out` they are new.
    """

    def marker(item: JSON, pointer: str) -> JSON | None:
        if pointer in handed_out:
            return item
        if isinstance(item, str) and item in user_values:
            return {"$t": user_values[item]}
        if isinstance(item, str) and (template := bound_template(item, bound)) is not None:
            return template
        return _id_marker(item, identifiers, at) or _url_template(item, identifiers, at)

    return _walk(value, "", marker)


def bound_template(text: str, bound: Mapping[str, str]) -> JSON | None:
    """Return a template for a text that contains the token of a bound value, or None."""
    if not bound or "{" in text:
        return None
    template = TOKEN.sub(lambda found: _session_value(bound[found[0]]) if found[0] in bound else found[0], text)
    return None if template == text else {"$t": template}


def _session_value(name: str) -> str:
    return f"{{{{ session.{name} }}}}"


def _id_marker(value: JSON, identifiers: Identifiers, at: float) -> JSON | None:
    name = identifiers.name(value, at) if isinstance(value, str) else None
    return {"$id": name} if name is not None else None


def _url_template(value: JSON, identifiers: Identifiers, at: float) -> JSON | None:
    """Return a template for a URL with identifiers as path segments, or None."""
    if not isinstance(value, str) or "/" not in value or "{" in value:
        return None
    segments = value.split("/")
    names = [identifiers.name(unquote(segment), at) for segment in segments]
    if not any(names):
        return None
    parts = [f"{{{{ ids['{name}'] }}}}" if name else segment for name, segment in zip(names, segments, strict=True)]
    return {"$t": "/".join(parts)}


def _walk(value: JSON, pointer: str, marker: Callable[[JSON, str], JSON | None]) -> JSON:
    found = marker(value, pointer)
    if found is not None:
        return found
    if isinstance(value, list):
        return [_walk(item, f"{pointer}/{number}", marker) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    members = {key: _walk(item, f"{pointer}/{escape(key)}", marker) for key, item in value.items()}
    keys = {key: marker(key, "\0") for key in value}
    if any(key is not None for key in keys.values()):
        pairs: list[JSON] = [[keys[key] if keys[key] is not None else key, member] for key, member in members.items()]
        return {"$entries": pairs}
    return {f"${key}" if key.startswith("$") else key: member for key, member in members.items()}


def path_pattern(event: WireEvent, identifiers: Identifiers, bound: Mapping[str, str]) -> JSON:
    """Return the path of a request: text, or a list of segments if one is a marker.

    `bound` maps the tokens of bound values to the name of their rule.
    """
    segments: list[JSON] = list(event.path.split("/"))
    marked = False
    for place, token in event.values.items():
        number = place.removeprefix("$request.path.")
        if token in bound and number != place and number.isdigit() and int(number) < len(segments):
            segments[int(number)] = {"$capture": bound[token]}
            marked = True
    for number, redaction in event.hidden_path.items():
        index = int(number) if number.isdigit() else -1
        if not 0 <= index < len(segments) or not isinstance(segments[index], str):
            continue
        plain = unquote(str(segments[index]))
        name = identifiers.name(plain, event.at) if redaction.startswith("id ") else None
        segments[index] = {"$id": name} if name is not None else {"$any": "string"}
        marked = True
    if not marked:
        return event.path if event.path.strip("/") else "/"
    return [unquote(segment) if isinstance(segment, str) else segment for segment in segments if segment != ""]


def query_pattern(event: WireEvent, identifiers: Identifiers, bound: Container[str]) -> JSON:
    """Return the query of a request: texts by name, lists for repeated names; None if there is no query.

    `bound` are the tokens of bound values, which match any text.
    """
    found: dict[str, list[JSON]] = {}
    for name, value in parse_qsl(event.query, keep_blank_values=True):
        redaction = "secret" if value in bound else event.hidden_query.get(name, "")
        found.setdefault(f"${name}" if name.startswith("$") else name, []).append(
            _query_value(value, redaction, identifiers, event.at)
        )
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()} or None


def _query_value(value: str, redaction: str, identifiers: Identifiers, at: float) -> JSON:
    if redaction.startswith("id "):
        pieces: list[JSON] = [_id_marker(piece, identifiers, at) or piece for piece in value.split(",")]
        return pieces[0] if len(pieces) == 1 else {"$csv": pieces}
    return {"$any": "string"} if redaction else value
