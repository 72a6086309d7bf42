"""From redacted values to a scenario's: personal data in requests becomes `{$any: …}`, strict identifiers `{$id: …}`.

Everything else is literal, with its `$` keys escaped. Knows values and marks, nothing of exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, unquote

from cometreel.jsonvalue import JSON
from cometreel.recording.journal_events import RecordedBody, WireEvent
from cometreel.scenario.json_pointer import escape, parse_pointer

__all__ = ["Identifiers", "any_of", "as_asked", "as_told", "path_of", "query_of", "value_at"]


class Identifiers:
    """The strict policy's identifiers: pseudonym to name (`place-1`), and when a client first sent it."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._sent: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def sent(self, value: str, kind: str, at: float) -> None:
        """Note that a client sent an identifier."""
        self._sent.setdefault(value, at)
        if value not in self._names:
            kind = kind.removeprefix("id ")
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[value] = f"{kind}-{self._counts[kind]}"

    def name(self, value: str, at: float) -> str | None:
        """The name of an identifier that a client had sent by then; None for any other text."""
        sent = self._sent.get(value)
        return self._names[value] if sent is not None and sent <= at else None

    def see(self, event: WireEvent) -> None:
        """Note every identifier that a request carries."""
        segments = event.path.split("/")
        for number, kind in event.hidden_path.items():
            if kind.startswith("id ") and number.isdigit() and int(number) < len(segments):
                self.sent(unquote(segments[int(number)]), kind, event.at)
        for name, value in parse_qsl(event.query, keep_blank_values=True):
            kind = event.hidden_query.get(name, "")
            for piece in value.split(",") if kind.startswith("id ") else ():
                self.sent(piece, kind, event.at)
        self._in_body(event.body, event.at)

    def _in_body(self, body: RecordedBody, at: float) -> None:
        for pointer, kind in body.hidden.identifiers.items():
            value = value_at(body.value, pointer)
            if isinstance(value, str):
                self.sent(value, kind, at)


def value_at(value: JSON, pointer: str) -> JSON:
    """Give the value at a pointer without wildcards, None if nothing is there."""
    for token in parse_pointer(pointer):
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


def any_of(value: JSON) -> JSON:
    """The marker that stands for any value of this one's type."""
    names: dict[type, str] = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object"}
    return {"$any": "null" if value is None else names.get(type(value), "array")}


def as_asked(body: JSON, hidden: Iterable[str], identifiers: Identifiers, at: float, prefix: str = "") -> JSON:
    """A request's body as a pattern; `hidden` are the pointers of what was secret or personal in it."""
    places = {pointer[len(prefix) :] for pointer in hidden if pointer.startswith(prefix)}
    return _walk(
        body, "", lambda value, pointer: any_of(value) if pointer in places else _named(value, identifiers, at)
    )


def as_told(value: JSON, identifiers: Identifiers, at: float, own: Mapping[str, str]) -> JSON:
    """A reply's body or an event's data; `own` are values that a template stands for (`--generalise`)."""

    def marker(item: JSON, _: str) -> JSON | None:
        if isinstance(item, str) and item in own:
            return {"$t": own[item]}
        return _named(item, identifiers, at) or _in_address(item, identifiers, at)

    return _walk(value, "", marker)


def _named(value: JSON, identifiers: Identifiers, at: float) -> JSON | None:
    name = identifiers.name(value, at) if isinstance(value, str) else None
    return {"$id": name} if name is not None else None


def _in_address(value: JSON, identifiers: Identifiers, at: float) -> JSON | None:
    """The template of an address in which a segment of the path is an identifier; None for anything else."""
    if not isinstance(value, str) or "/" not in value or "{" in value:
        return None
    segments = value.split("/")
    names = [identifiers.name(unquote(segment), at) for segment in segments]
    if not any(names):
        return None
    put = [f"{{{{ ids['{name}'] }}}}" if name else segment for name, segment in zip(names, segments, strict=True)]
    return {"$t": "/".join(put)}


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


def path_of(event: WireEvent, identifiers: Identifiers) -> JSON:
    """The path of a request: text, or its segments where one is a marker."""
    segments: list[JSON] = list(event.path.split("/"))
    marked = False
    for number, what in event.hidden_path.items():
        place = int(number) if number.isdigit() else -1
        if not 0 <= place < len(segments):
            continue
        plain = unquote(str(segments[place]))
        name = identifiers.name(plain, event.at) if what.startswith("id ") else None
        segments[place] = {"$id": name} if name is not None else {"$any": "string"}
        marked = True
    if not marked:
        return event.path if event.path.strip("/") else "/"
    return [unquote(segment) if isinstance(segment, str) else segment for segment in segments if segment != ""]


def query_of(event: WireEvent, identifiers: Identifiers) -> JSON:
    """The query of a request: name to text, or to a list where a name is repeated; None if there is none."""
    made: dict[str, list[JSON]] = {}
    for name, value in parse_qsl(event.query, keep_blank_values=True):
        what = event.hidden_query.get(name, "")
        made.setdefault(f"${name}" if name.startswith("$") else name, []).append(
            _query_value(value, what, identifiers, event.at)
        )
    return {name: values[0] if len(values) == 1 else values for name, values in made.items()} or None


def _query_value(value: str, what: str, identifiers: Identifiers, at: float) -> JSON:
    if what.startswith("id "):
        pieces: list[JSON] = [_named(piece, identifiers, at) or piece for piece in value.split(",")]
        return pieces[0] if len(pieces) == 1 else {"$csv": pieces}
    return {"$any": "string"} if what else value
