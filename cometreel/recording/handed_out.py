"""Secret values that replies hand out and that requests carry back, as keyed tokens by place.

A value is known only after a reply contained it, so a password that a user types never gets a token. The tokens let
distill find the rules of `session.bind`; the values themselves stay in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, unquote

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.recording.known_secrets import looks_random
from cometreel.recording.policy import Policy, PolicyRule, Treatment
from cometreel.recording.recorded_bodies import ParsedBody
from cometreel.scenario.json_pointer import escape
from cometreel.wire import Headers

__all__ = ["HandedOutValues"]

_LIMIT = 10_000
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
        if not self._tokens:
            return {}
        places = _of_request(path, query, headers, body)
        return {place: self._tokens[value] for place, value in places if value in self._tokens}

    def _add(self, value: str) -> str:
        token = self._tokens[value] = self._token(value)
        self._tokens.move_to_end(value)
        if len(self._tokens) > _LIMIT:
            self._tokens.popitem(last=False)
        return token

    def _of_reply(self, headers: Headers, body: ParsedBody) -> Iterator[tuple[str, str, str]]:
        """Yield place, name and value of the secrets of a reply."""
        if body.kind == "json":
            for pointer, name, value in _strings(body.value, "", ""):
                if _is_secret(self._policy.key_rule(name)):
                    yield f"$response.body#{pointer}", name, value
        for field, value in headers:
            name = field.lower()
            if name == "location":
                for parameter, text in parse_qsl(value.replace("#", "&").partition("?")[2]):
                    if _is_secret(self._policy.query_rule(parameter)):
                        yield f"$response.header.Location?{parameter}", parameter, text
            elif name not in _NOT_VALUES and _is_secret(self._policy.key_rule(name)):
                yield f"$response.header.{field}", name, value


def _is_secret(rule: PolicyRule | None) -> bool:
    return rule is not None and rule.treatment in (Treatment.SECRET, Treatment.TOKEN)


def _of_request(path: str, query: str, headers: Headers, body: ParsedBody) -> Iterator[tuple[str, str]]:
    for number, segment in enumerate(path.split("/")):
        yield f"$request.path.{number}", unquote(segment)
    for name, value in parse_qsl(query):
        yield f"$request.query.{name}", value
    for name, value in headers:
        if name.lower() not in _NOT_VALUES:
            yield f"$request.header.{name}", value
            yield f"$request.header.{name}", value.partition(" ")[2]  # the token of `Bearer TOKEN`
    yield from _of_body(body)


def _of_body(body: ParsedBody) -> Iterator[tuple[str, str]]:
    if body.kind == "json":
        yield from ((f"$request.body#{pointer}", value) for pointer, _, value in _strings(body.value, "", ""))
    for item in body.value if isinstance(body.value, list) else ():
        if body.kind == "form" and isinstance(item, list) and len(item) == 2:
            yield f"$request.body#/{escape(str(item[0]))}", str(item[1])
        elif body.kind == "bayeux" and isinstance(item, dict):
            ext: JSONObject = {"ext": item.get("ext")}
            yield from ((f"$message#{pointer}", value) for pointer, _, value in _strings(ext, "", ""))


def _strings(value: JSON, pointer: str, name: str) -> Iterator[tuple[str, str, str]]:
    """Yield JSON Pointer, key and value of the strings in a JSON value."""
    if isinstance(value, str):
        yield pointer, name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{pointer}/{escape(key)}", key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{number}", name)
