"""Names of exchanges, made from what they mean: `stats of place Place1`, `subscribe workbin 1`, `me, refused`.

The same recording made again gives the same names, so that its scenario shows a small difference.
"""

from __future__ import annotations

import re
from itertools import count
from urllib.parse import parse_qs, unquote

from cometreel.jsonvalue import JSON
from cometreel.recording.correlation import CorrelatedRequest
from cometreel.recording.pseudonyms import is_shaped_id
from cometreel.recording.scenario_values import Identifiers
from cometreel.recording.transcript import RecordedCall
from cometreel.scenario import Profile
from cometreel.scenario.cross_references import SINCE, UNTIL
from cometreel.scenario.json_pointer import find

__all__ = ["ExchangeNamer"]

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_UNFIT = re.compile(r"[^\w .,()/+@'-]+")
_VERSION = re.compile(r"api|v\d+(\.\d+)?")
_INTERACTION = re.compile(r"(?=[A-Z0-9]*\d)[A-Z0-9]{16}")
_LONGEST = 80
_SPOKEN = {"request agent stats": "stats", "request stats": "stats"}


class ExchangeNamer:
    """Makes names, each one once; ids are counted as they first appear (`workbin 1`)."""

    def __init__(self, profile: Profile, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        self._profile = profile
        self._taken: set[str] = {*SINCE, *UNTIL}
        self._next: dict[str, int] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, ask: CorrelatedRequest) -> str:
        """Name an exchange; a name that is taken gets a number."""
        meant = self._call(ask, ask.source) if isinstance(ask.source, RecordedCall) else self._publish(ask)
        return self._unique(_UNFIT.sub(" ", meant).strip()[:_LONGEST].strip() or "exchange")

    def _unique(self, name: str) -> str:
        numbered = (name if number == 1 else f"{name} ({number})" for number in count(self._next.get(name, 1)))
        unique = next(each for each in numbered if each not in self._taken)
        self._taken.add(unique)
        self._next[name] = self._next.get(name, 1) + 1
        return unique

    def _call(self, ask: CorrelatedRequest, call: RecordedCall) -> str:
        thing = self._thing(call.request.path, call.request.query)
        operation = self._first(ask.body, (self._profile.operation,) if self._profile.operation else ())
        if isinstance(operation, str):
            thing = self._operation(ask, operation, thing, call)
        elif call.request.method != "GET":
            thing = f"{call.request.method.lower()} {thing}"
        if call.reply.status in (401, 403):
            return f"{thing}, refused"
        return f"{thing}, failed" if call.reply.status >= 400 else thing

    def _operation(self, ask: CorrelatedRequest, operation: str, thing: str, call: RecordedCall) -> str:
        words = " ".join(_WORDS.findall(operation)).lower() or operation
        verb = _SPOKEN.get(words, words)
        owner = self._first(ask.body, self._profile.owner)
        if isinstance(owner, str):
            owner = self._identifiers.name(owner, ask.at) or owner
            kind = self._first(ask.body, self._profile.owner_type)
            thing = " ".join([*_WORDS.findall(kind)]).lower() + f" {owner}" if isinstance(kind, str) else owner
        elif verb == "stats":
            thing = "my workbins" if thing in ("workbins", "my workbins") else thing.removesuffix(" workbins")
        query = parse_qs(call.request.query)
        group = next((query[key][0] for key in ("agentGroup", "placeGroup") if key in query), "")
        if thing in {"me", verb.rpartition(" ")[2]}:
            return verb
        joined = f"{verb} of {thing}" if verb == "stats" else f"{verb} {thing}"
        return f"{joined} of group {group}" if group else joined

    def _thing(self, path: str, query: str) -> str:
        words: list[str] = []
        segments = [unquote(segment) for segment in path.split("/") if segment]
        kept = [segment for segment in segments if not _VERSION.fullmatch(segment)]
        for segment in kept:
            if _is_id(segment) and words:
                words[-1] = self._numbered(words[-1], segment)
            elif segment == "me":
                words.append("me" if len(kept) == 1 else "my")
            else:
                words.append(segment)
        pairs = parse_qs(query)
        if "workbinIds" in pairs and words:
            words[-1] = self._several(words[-1], pairs["workbinIds"][0].split(","))
        name = " ".join(words) or "/"
        return f"{name} with content" if "subresources" in pairs and words[:1] != ["me"] else name

    def _several(self, word: str, values: list[str]) -> str:
        numbers = [self._numbered(word, value).rpartition(" ")[2] for value in values]
        return f"{word} {', '.join(numbers)}" if len(numbers) <= 6 else f"{len(numbers)} {word}"

    def _numbered(self, word: str, value: str) -> str:
        one = word.removesuffix("s")
        key = (one, value)
        if key not in self._ids:
            self._counts[one] = self._counts.get(one, 0) + 1
            self._ids[key] = f"{one} {self._counts[one]}"
        return self._ids[key]

    def _publish(self, ask: CorrelatedRequest) -> str:
        assert not isinstance(ask.source, RecordedCall)
        channel = str(ask.source.message.get("channel", ""))
        operation = self._first(
            ask.body, ("/operation", *([self._profile.operation] if self._profile.operation else []))
        )
        return f"publish {channel} {operation}" if isinstance(operation, str) else f"publish {channel}"

    def _first(self, document: JSON, pointers: tuple[str, ...]) -> JSON:
        return next((value for pointer in pointers for _, value in find(document, pointer)), None)


def _is_id(segment: str) -> bool:
    return is_shaped_id(segment) or _INTERACTION.fullmatch(segment) is not None or segment.isdigit()
