"""Secret values that replies hand out and that requests carry back, as keyed tokens by place.

A value is known only after a reply contained it, so a password that a user types never gets a token. The tokens let
distill find the rules of `session.bind`; the values themselves stay in memory.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

from cometreel.jsonvalue import JSON, names_in
from cometreel.recording.known_secrets import looks_random
from cometreel.recording.policy import Policy, PolicyRule
from cometreel.recording.recorded_bodies import ParsedBody
from cometreel.scenario.json_pointer import escape
from cometreel.wire import Headers

__all__ = ["HandedOutValues"]

_LIMIT = 10_000
_Wanted: TypeAlias = Callable[[str, str], bool]
"""Returns True if a value is wanted; called with its name and the value."""

_PARAMETERS = re.compile(r"[?#].*")
"""The query and the fragment of a URL; an OAuth server hands out a token in the fragment."""

_NOT_VALUES = frozenset({"cookie", "set-cookie", "host", "referer", "origin", "user-agent"})


class HandedOutValues:
    """The values that replies have handed out, the latest 10,000. `token` replaces a value by a keyed token."""

    def __init__(self, policy: Policy, token: Callable[[str], str]) -> None:
        self._policy, self._token = policy, token
        self._tokens: OrderedDict[str, str] = OrderedDict()

    def __repr__(self) -> str:
        return f"HandedOutValues({len(self._tokens)})"

    def in_reply(self, headers: Headers, body: ParsedBody) -> dict[str, JSON]:
        """Return the tokens of the values that a reply hands out, by place."""
        found: dict[str, JSON] = {}
        for place, name, value in self._of_reply(headers, body):
            if looks_random(value) and "pass" not in name.lower() and "pwd" not in name.lower():
                found[place] = self._add(value)
        return found

    def in_request(self, path: str, query: str, headers: Headers, body: ParsedBody) -> dict[str, JSON]:
        """Return the tokens of the values that a request carries, by place."""
        tokens = self._tokens
        if not tokens:
            return {}
        found: dict[str, JSON] = {}
        for number, segment in enumerate(path.split("/")):
            if (value := unquote(segment) if "%" in segment else segment) in tokens:
                found[f"$request.path.{number}"] = tokens[value]
        for name, value in parse_qsl(query) if query else ():
            if value in tokens:
                found[f"$request.query.{name}"] = tokens[value]
        for name, field in headers:
            for value in (field, field.partition(" ")[2]):  # the token of `Bearer TOKEN`
                if value in tokens and name.lower() not in _NOT_VALUES:
                    found[f"$request.header.{name}"] = tokens[value]
        for pointer, _, value in _of_body(body, lambda _, value: value in tokens):
            found[pointer] = tokens[value]
        return found

    def _add(self, value: str) -> str:
        token = self._tokens[value] = self._token(value)
        self._tokens.move_to_end(value)
        if len(self._tokens) > _LIMIT:
            self._tokens.popitem(last=False)
        return token

    def _of_reply(self, headers: Headers, body: ParsedBody) -> Iterator[tuple[str, str, str]]:
        """Yield place, name and value of the secrets of a reply."""
        key_rule = self._policy.key_rule
        if body.kind == "json" and any(_is_secret(key_rule(name)) for name in names_in(body.value)):
            yield from _strings(body.value, "$response.body#", "", lambda name, _: _is_secret(key_rule(name)))
        for field, value in headers:
            name = field.lower()
            if name == "location":
                parameters = _PARAMETERS.search(value)
                for parameter, text in parse_qsl(parameters[0][1:].replace("#", "&")) if parameters else ():
                    if _is_secret(self._policy.query_rule(parameter)):
                        yield f"$response.header.Location?{parameter}", parameter, text
            elif name not in _NOT_VALUES and _is_secret(key_rule(name)):
                yield f"$response.header.{field}", name, value


def _is_secret(rule: PolicyRule | None) -> bool:
    return rule is not None and rule.is_secret


def _of_body(body: ParsedBody, wanted: _Wanted) -> Iterator[tuple[str, str, str]]:
    """Yield place, name and value of the wanted values in the body of a request."""
    if body.kind == "json":
        yield from _strings(body.value, "$request.body#", "", wanted)
        return
    for item in body.value if isinstance(body.value, list) else ():
        if body.kind == "form" and isinstance(item, list) and len(item) == 2:
            yield from _strings(str(item[1]), f"$request.body#/{escape(str(item[0]))}", "", wanted)
        elif body.kind == "bayeux" and isinstance(item, dict) and item.get("ext"):
            yield from _strings(item["ext"], "$message#/ext", "ext", wanted)


def _strings(value: JSON, place: str, name: str, wanted: _Wanted) -> list[tuple[str, str, str]]:
    """Return place, key and value of the wanted strings in a JSON value, in order. Fast if few are wanted."""
    found: list[tuple[str, str, str]] = []
    path: list[str | int] = []

    def add(value: JSON, name: str) -> None:
        if isinstance(value, str):
            if wanted(name, value):
                found.append((place + "".join(f"/{escape(str(step))}" for step in path), name, value))
        elif isinstance(value, dict | list):
            is_list = isinstance(value, list)
            for step, item in enumerate(value) if isinstance(value, list) else value.items():
                if isinstance(item, str | dict | list):
                    path.append(step)
                    add(item, name if is_list else str(step))
                    path.pop()

    add(value, name)
    return found
