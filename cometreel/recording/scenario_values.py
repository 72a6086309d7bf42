"""Converts redacted values to values and markers of a scenario.

Personal data in requests becomes `{$any: …}`, identifiers of the strict policy become `{$id: …}`. All other values are
literal; keys that begin with `$` are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from operator import is_
from urllib.parse import parse_qsl, unquote

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.recording.journal_events import RecordedBody, WireEvent
from cometreel.recording.pseudonyms import TOKEN
from cometreel.scenario.json_pointer import escape, parse_pointer

__all__ = [
    "Identifiers",
    "any_marker",
    "form_pattern",
    "path_pattern",
    "pieces_pattern",
    "query_pattern",
    "reply_value",
    "request_pattern",
    "text_template",
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
    hosts: AbstractSet[str] = frozenset(),
) -> JSON:
    """Return a reply body or event data; `user_values` maps values to templates (`--generalise`).

    `bound` maps the tokens of bound values to the name of their rule; at the pointers `handed_out` they are new. URLs
    of the recorded `hosts` become templates that lead to the replay, except where the replay replaces the host of every
    URL: in `uri`, `…Uri` and `uris`.
    """

    def marker(item: JSON, pointer: str) -> JSON | None:
        if pointer in handed_out:
            return item
        if not isinstance(item, str):
            return None
        if item in user_values:
            return {"$t": user_values[item]}
        if "/" not in item and not bound:
            return _id_marker(item, identifiers, at)
        own_hosts = hosts if hosts and _URI_MEMBER.search(pointer) is None else frozenset[str]()
        return _id_marker(item, identifiers, at) or text_template(item, identifiers, at, own_hosts, bound)

    return _walk(value, "", marker)


def _session_value(name: str) -> str:
    return f"{{{{ session.{name} }}}}"


def _id_marker(value: JSON, identifiers: Identifiers, at: float) -> JSON | None:
    name = identifiers.name(value, at) if isinstance(value, str) else None
    return {"$id": name} if name is not None else None


_URI_MEMBER = re.compile(r"(?:/uri|Uri|/uris/\d+)$")
_ORIGIN = re.compile(r"(?:(https?|wss?):)?//(host-[a-z]+\.example\.invalid)(?![\w.:-])", re.IGNORECASE)
"""An origin as the recorder writes it: a pseudonym of host and port."""


def text_template(
    value: JSON, identifiers: Identifiers, at: float, hosts: AbstractSet[str], bound: Mapping[str, str]
) -> JSON | None:
    """Return a template for a text with URLs of recorded hosts, identifiers as segments, or bound values; else None."""
    if not isinstance(value, str) or ("/" not in value and not bound):
        return None
    pieces: list[str] = []
    end = 0
    for found in _ORIGIN.finditer(value) if hosts else ():
        if found[2].lower() in hosts:
            pieces += [_with_variables(value[end : found.start()], identifiers, at, bound), _base_template(found[1])]
            end = found.end()
    template = "".join([*pieces, _with_variables(value[end:], identifiers, at, bound)])
    return {"$t": template} if _VARIABLE.search(template) else None


_VARIABLE = re.compile(r"\{\{ (?:ids\[|request\.base|session\.)")


def _base_template(scheme: str | None) -> str:
    if scheme is not None and scheme.lower().startswith("ws"):
        return "{{ request.base | replace('http', 'ws', 1) }}"
    return "{{ request.base }}"


def _with_variables(text: str, identifiers: Identifiers, at: float, bound: Mapping[str, str]) -> str:
    """Return a part of a template: identifiers and bound values as variables, other text as it is."""
    segments = text.split("/")
    names = [identifiers.name(unquote(segment), at) for segment in segments]
    return "/".join(
        f"{{{{ ids['{name}'] }}}}" if name else _with_bound(segment, bound)
        for name, segment in zip(names, segments, strict=True)
    )


def _with_bound(text: str, bound: Mapping[str, str]) -> str:
    pieces, end = [], 0
    for found in TOKEN.finditer(text) if bound else ():
        if found[0] in bound:
            pieces += [_verbatim(text[end : found.start()]), _session_value(bound[found[0]])]
            end = found.end()
    return "".join([*pieces, _verbatim(text[end:])])


def _verbatim(text: str) -> str:
    """Return text for a template; what Jinja would read or drop becomes a string in an expression."""
    if "{" in text or text.endswith("\n"):
        return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}"
    return text


def _walk(value: JSON, pointer: str, marker: Callable[[JSON, str], JSON | None]) -> JSON:
    found = marker(value, pointer)
    if found is not None:
        return found
    if isinstance(value, list):
        items = [_walk(item, f"{pointer}/{number}", marker) for number, item in enumerate(value)]
        return value if all(map(is_, items, value)) else items
    if not isinstance(value, dict):
        return value
    members = {key: _walk(item, f"{pointer}/{escape(key)}", marker) for key, item in value.items()}
    keys = {key: marker(key, "\0") for key in value}
    if any(key is not None for key in keys.values()):
        pairs: list[JSON] = [[keys[key] if keys[key] is not None else key, member] for key, member in members.items()]
        return {"$entries": pairs}
    if all(map(is_, members.values(), value.values())) and not any(key.startswith("$") for key in value):
        return value  # not the copy, because a recording has many values
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

    def pattern(name: str, value: str) -> JSON:
        redaction = "secret" if value in bound else event.hidden_query.get(name, "")
        return _query_value(value, redaction, identifiers, event.at)

    pairs = parse_qsl(event.query, keep_blank_values=True)
    return _by_name((name, pattern(name, value)) for name, value in pairs) or None


def form_pattern(body: RecordedBody) -> JSON:
    """Return a form: texts by name, lists for repeated names, markers for replaced values."""
    hidden = {*body.hidden.secret, *body.hidden.personal}
    fields = body.value if isinstance(body.value, list) else []
    pairs = ((str(pair[0]), pair[1]) for pair in fields if isinstance(pair, list) and len(pair) == 2)
    return _by_name((name, {"$any": "string"} if f"/{name}" in hidden else value) for name, value in pairs)


def _by_name(pairs: Iterable[tuple[str, JSON]]) -> JSONObject:
    """Return parameters by name, a list for a repeated name."""
    found: dict[str, list[JSON]] = {}
    for name, value in pairs:
        found.setdefault(f"${name}" if name.startswith("$") else name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")
_REST = {"<": "[^<]*", '"': '[^"]*', "'": "[^']*", "\n": "[^\\n]*", "\r": "[^\\r]*"}
"""The expression for a replaced piece, by the first character after it."""


def pieces_pattern(body: RecordedBody) -> JSON:
    """Return a text whose odd pieces were replaced: the text if there are none, else a regular expression."""
    pieces = [str(piece) for piece in body.value] if isinstance(body.value, list) else []
    if len(pieces) <= 1:
        return "".join(pieces)
    if not "".join(pieces[::2]).strip():
        return {"$any": "string"}
    expression = "".join(
        _SPECIAL.sub(r"\\\g<0>", piece)
        if number % 2 == 0
        else _REST.get("".join(pieces[number + 1 : number + 2])[:1], "(?s:.*)")
        for number, piece in enumerate(pieces)
    )
    return {"$regex": f"^{expression}$"}


def _query_value(value: str, redaction: str, identifiers: Identifiers, at: float) -> JSON:
    if redaction.startswith("id "):
        pieces: list[JSON] = [_id_marker(piece, identifiers, at) or piece for piece in value.split(",")]
        return pieces[0] if len(pieces) == 1 else {"$csv": pieces}
    return {"$any": "string"} if redaction else value
