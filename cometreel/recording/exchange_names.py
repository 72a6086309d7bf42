"""Generates names of exchanges from their requests: `stats of place Place1`, `subscribe workbin 1`, `me, refused`.

The same traffic always gets the same names, so that the scenarios of two recordings differ as little as possible.
"""

from __future__ import annotations

import re
from itertools import count
from urllib.parse import parse_qs, unquote

from cometreel.jsonvalue import JSON
from cometreel.recording.correlation import CorrelatedRequest
from cometreel.recording.journal_events import WireEvent
from cometreel.recording.pseudonyms import is_shaped_id
from cometreel.recording.scenario_values import Identifiers
from cometreel.recording.transcript import RecordedCall
from cometreel.scenario import Profile
from cometreel.scenario.checks import ANCHORS
from cometreel.scenario.json_pointer import find

__all__ = ["ExchangeNamer"]

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_NOT_ALLOWED = re.compile(r"[^\w .,()/+@'-]+")
_VERSION = re.compile(r"api|v\d+(\.\d+)?")
_INTERACTION = re.compile(r"(?=[A-Z0-9]*\d)[A-Z0-9]{16}")
_MAX_LENGTH = 80
_SHORT_FORMS = {"request agent stats": "stats", "request stats": "stats"}


class ExchangeNamer:
    """Generates unique names; ids are numbered in the order in which they appear (`workbin 1`)."""

    def __init__(self, profile: Profile, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        self._profile = profile
        self._used: set[str] = set(ANCHORS)
        self._next: dict[str, int] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, recorded: CorrelatedRequest) -> str:
        """Return the name of an exchange; repeated names get a number."""
        text = (
            self._call(recorded, recorded.source)
            if isinstance(recorded.source, RecordedCall)
            else self._publish(recorded)
        )
        return self._unique(_NOT_ALLOWED.sub(" ", text).strip()[:_MAX_LENGTH].strip() or "exchange")

    def _unique(self, name: str) -> str:
        numbered = (name if number == 1 else f"{name} ({number})" for number in count(self._next.get(name, 1)))
        unique = next(each for each in numbered if each not in self._used)
        self._used.add(unique)
        self._next[name] = self._next.get(name, 1) + 1
        return unique

    def _call(self, recorded: CorrelatedRequest, call: RecordedCall) -> str:
        resource = self._resource(_without_secrets(call.request), call.request.query)
        operation = self._first(recorded.body, (self._profile.operation,) if self._profile.operation else ())
        if isinstance(operation, str):
            resource = self._operation(recorded, operation, resource, call)
        elif call.request.method != "GET":
            resource = f"{call.request.method.lower()} {resource}"
        if call.reply.status in (401, 403):
            return f"{resource}, refused"
        return f"{resource}, failed" if call.reply.status >= 400 else resource

    def _operation(self, recorded: CorrelatedRequest, operation: str, resource: str, call: RecordedCall) -> str:
        words = " ".join(_WORDS.findall(operation)).lower() or operation
        verb = _SHORT_FORMS.get(words, words)
        owner = self._first(recorded.body, self._profile.owner)
        if isinstance(owner, str):
            owner = self._identifiers.name(owner, recorded.at) or owner
            kind = self._first(recorded.body, self._profile.owner_type)
            resource = " ".join([*_WORDS.findall(kind)]).lower() + f" {owner}" if isinstance(kind, str) else owner
        elif verb == "stats":
            resource = "my workbins" if resource in ("workbins", "my workbins") else resource.removesuffix(" workbins")
        query = parse_qs(call.request.query)
        group = next((query[key][0] for key in ("agentGroup", "placeGroup") if key in query), "")
        if resource in {"me", verb.rpartition(" ")[2]}:
            return verb
        joined = f"{verb} of {resource}" if verb == "stats" else f"{verb} {resource}"
        return f"{joined} of group {group}" if group else joined

    def _resource(self, path: str, query: str) -> str:
        words: list[str] = []
        segments = [unquote(segment) for segment in path.split("/") if segment]
        names = [segment for segment in segments if not _VERSION.fullmatch(segment)]
        for segment in names:
            if _is_id(segment) and words:
                words[-1] = self._numbered(words[-1], segment)
            elif segment == "me":
                words.append("me" if len(names) == 1 else "my")
            else:
                words.append(segment)
        pairs = parse_qs(query)
        if "workbinIds" in pairs and words:
            words[-1] = self._numbered_list(words[-1], pairs["workbinIds"][0].split(","))
        name = " ".join(words) or "/"
        return f"{name} with content" if "subresources" in pairs and words[:1] != ["me"] else name

    def _numbered_list(self, word: str, values: list[str]) -> str:
        numbers = [self._numbered(word, value).rpartition(" ")[2] for value in values]
        return f"{word} {', '.join(numbers)}" if len(numbers) <= 6 else f"{len(numbers)} {word}"

    def _numbered(self, word: str, value: str) -> str:
        one = word.removesuffix("s")
        key = (one, value)
        if key not in self._ids:
            self._counts[one] = self._counts.get(one, 0) + 1
            self._ids[key] = f"{one} {self._counts[one]}"
        return self._ids[key]

    def _publish(self, recorded: CorrelatedRequest) -> str:
        assert not isinstance(recorded.source, RecordedCall)
        channel = recorded.source.channel
        operation = self._first(
            recorded.body, ("/operation", *([self._profile.operation] if self._profile.operation else []))
        )
        return f"publish {channel} {operation}" if isinstance(operation, str) else f"publish {channel}"

    def _first(self, document: JSON, pointers: tuple[str, ...]) -> JSON:
        return next((value for pointer in pointers for _, value in find(document, pointer)), None)


def _without_secrets(request: WireEvent) -> str:
    """Return the path without the segments that are secrets, such as the id of a session."""
    segments = enumerate(request.path.split("/"))
    return "/".join(segment for place, segment in segments if request.hidden_path.get(str(place)) != "secret")


def _is_id(segment: str) -> bool:
    return is_shaped_id(segment) or _INTERACTION.fullmatch(segment) is not None or segment.isdigit()
