"""Replaces the keyed pseudonyms of a journal by pseudonyms that only depend on their order.

The same traffic then gives the same scenario with any key, and a scenario reveals nothing even to someone with the key.
Only values that the journal marks as replaced are changed; equal pseudonyms stay equal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import is_
from urllib.parse import parse_qsl, quote, unquote, urlencode

from cometreel.http_fields import SAFE_IN_SEGMENT
from cometreel.jsonvalue import JSON, encode
from cometreel.recording.journal_events import RecordedBody, RedactedPaths, SharedValues, WireEvent
from cometreel.recording.pseudonyms import DIGITS, SHAPED_ID, TOKEN, Pseudonyms
from cometreel.recording.scenario_values import value_at
from cometreel.recording.secret import Secret
from cometreel.scenario.json_pointer import escape

__all__ = ["with_stable_pseudonyms"]

_SYLLABLES = r"(?:[bdfgklmnprstvz][aeiou])"
_WORD = re.compile(rf"(?<![^\W_]){_SYLLABLES}{{4,5}}(?![^\W_])", re.IGNORECASE)
_PARTS = {
    "content-disposition": re.compile(r"""(?i)filename\*?\s*=\s*(?:[\w-]*'[\w-]*')?([^;]*)"""),
    "link": re.compile("<([^<>]*)>"),
    "www-authenticate": re.compile('"([^"]*)"'),
}
"""The parts of header values that the recorder may replace; the rest are words of HTTP."""

_KEYED = rf"(?<![0-9A-Za-z]){TOKEN.pattern}(?![0-9A-Za-z])"  # of a secret; it stays the same
_NUMBER = re.compile(rf"(?P<token>{_KEYED})|(?<![A-Za-z])\d(?:[().\s/-]*\d)*")


def with_stable_pseudonyms(events: Iterable[WireEvent]) -> list[WireEvent]:
    """Return the events, ordered by time, with pseudonyms that are numbered in the order in which they appear."""
    ordered = sorted(events, key=lambda event: event.at)
    pseudonyms = _StablePseudonyms()
    for event in ordered:
        pseudonyms.add(event)
    for number, event in enumerate(ordered):
        ordered[number] = pseudonyms.replace_in(event)
    return ordered


class _StablePseudonyms:
    """The new pseudonym of each old one: words, generated ids and, in marked values, numbers."""

    def __init__(self) -> None:
        self._pseudonyms = Pseudonyms(Secret(b"settled"))
        self._words: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._digits: dict[str, str] = {}
        self._shared = SharedValues()

    def add(self, event: WireEvent) -> None:
        """Add the pseudonyms of an event."""
        for text in _hidden_texts(event):
            if SHAPED_ID.fullmatch(text):  # in a longer text it may be an identifier that was kept
                self._ids.setdefault(text, self._pseudonyms.same_shape(_numbered_id(text, len(self._ids))))
            for found in _WORD.finditer(text):
                self._words.setdefault(found[0].lower(), self._word(found[0]))
            numbers = _NUMBER.finditer(SHAPED_ID.sub("", text)) if "://" not in text else ()
            for found in (number for number in numbers if not number["token"]):
                old = _digits_of(found[0])
                self._digits.setdefault(old, self._pseudonyms.numbered_digits(len(self._digits), len(old)))

    def _word(self, old: str) -> str:
        new = self._pseudonyms.host(str(len(self._words))).partition(".")[0].removeprefix("host-")
        return new if len(old) == len(new) else self._pseudonyms.text(f"word {len(self._words)}").removeprefix("text ")

    def replace_in(self, event: WireEvent) -> WireEvent:
        """Return an event with the new pseudonyms."""
        identity = {name: self._text(value) if name == "user" else value for name, value in event.identity.items()}
        return replace(
            event,
            identity=self._shared.mapping(identity),
            path=sys.intern("/".join(self._segment(segment) for segment in event.path.split("/"))),
            query=self._query(event),
            hidden_query=self._shared.mapping({self._text(name): what for name, what in event.hidden_query.items()}),
            headers=self._shared.mapping({name: self._field(value) for name, value in event.headers.items()}),
            hosts=self._shared.names(tuple(map(self._text, event.hosts))),
            body=self._body(event.body),
        )

    def _field(self, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return self._text(value) if isinstance(value, str) else tuple(map(self._text, value))

    def _segment(self, segment: str) -> str:
        """Replace pseudonyms in the decoded segment: the `C` of `%2C` isn't part of a word."""
        plain = unquote(segment)
        new = self._text(plain)
        return segment if new == plain else quote(new, safe=SAFE_IN_SEGMENT)

    def _query(self, event: WireEvent) -> str:
        pairs = parse_qsl(event.query, keep_blank_values=True)
        new = [
            (self._text(name), self._text(value, digits=event.hidden_query.get(name) == "personal"))
            for name, value in pairs
        ]
        return event.query if new == pairs else urlencode(new)

    def _body(self, body: RecordedBody) -> RecordedBody:
        hidden = body.hidden
        digits = frozenset(hidden.personal)
        marks = RedactedPaths(
            tuple(map(self._text, hidden.secret)),
            tuple(map(self._text, hidden.personal)),
            {self._text(pointer): kind for pointer, kind in hidden.identifiers.items()},
        )
        value = body.value
        new = self._value(value, "", digits, within=False)
        if new is value and marks == hidden:
            return body
        return replace(body, encoded=body.encoded if new is value else encode(new), hidden=marks)

    def _value(self, value: JSON, pointer: str, digits: frozenset[str], *, within: bool) -> JSON:
        within = within or pointer in digits
        if isinstance(value, str):
            return self._text(value, digits=within)
        if isinstance(value, list):
            items = [self._value(item, f"{pointer}/{n}", digits, within=within) for n, item in enumerate(value)]
            return value if all(map(is_, items, value)) else items
        if isinstance(value, dict):
            members = {
                self._text(name, digits=within): self._value(item, f"{pointer}/{escape(name)}", digits, within=within)
                for name, item in value.items()
            }
            same = members.keys() == value.keys() and all(map(is_, members.values(), value.values()))
            return value if same else members
        if within and isinstance(value, int | float) and not isinstance(value, bool):
            text = str(value)
            return value if "e" in text else type(value)(self._text(text, digits=True))
        return value

    def _text(self, text: str, *, digits: bool = False) -> str:
        text = SHAPED_ID.sub(lambda found: self._ids.get(found[0], found[0]), text)
        text = _WORD.sub(self._same_case, text)
        return _NUMBER.sub(self._numbered, text) if digits and "://" not in text else text

    def _numbered(self, found: re.Match[str]) -> str:
        """Replace the digits and keep the punctuation, so that two spellings of a number stay equal."""
        if found["token"]:
            return found[0]
        new = iter(self._digits.get(_digits_of(found[0]), _digits_of(found[0])))
        return DIGITS.sub(lambda _: next(new), found[0])

    def _same_case(self, found: re.Match[str]) -> str:
        new = self._words.get(found[0].lower())
        if new is None:
            return found[0]
        return new.capitalize() if found[0][0].isupper() else new


def _hidden_texts(event: WireEvent) -> Iterator[str]:
    """Yield the replaced texts of an event, except secrets."""
    if "user" in event.identity:
        yield event.identity["user"]
    if event.hidden_path:
        segments = event.path.split("/")
        yield from (unquote(segments[int(n)]) for n in event.hidden_path if n.isdigit() and int(n) < len(segments))
    for name, value in parse_qsl(event.query) if event.hidden_query else ():
        yield from value.split(",") if name in event.hidden_query else ()
    for name in ("location", *event.replaced_headers):
        values = event.headers.get(name, "")
        for value in (values,) if isinstance(values, str) else values:
            yield from _PARTS[name].findall(value) if name in _PARTS else (value,)
    for pointer in (*event.body.hidden.personal, *event.body.hidden.identifiers):
        yield from _texts(value_at(event.body.value, pointer))


def _texts(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _digits_of(number: str) -> str:
    return "".join(DIGITS.findall(number))


def _numbered_id(old: str, number: int) -> str:
    """Return an id with the shape of `old` that only depends on a number."""
    new = f"{number:032x}"
    if "-" in old:
        new = "-".join((new[:8], new[8:12], new[12:16], new[16:20], new[20:]))
    return new if old == old.lower() else new.upper()
