"""From an exchange as the YAML has it to a request that it answers, and to the answer that must come.

Reads the file with a plain YAML parser, so that the loader isn't its own witness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import yaml

from cometreel.jsonvalue import JSON
from tests.scenarios.conftest import SCENARIOS
from tests.unit.engine.conversation import Client, Conversation

EXAMPLES: Mapping[str, JSON] = {
    "string": "a text",
    "object": {"operationName": "Any"},
    "/api/v2/me(/.*)?": "/api/v2/me/channels",
}
"""Returns a value for `$any` of a kind, and for a `$regex`."""


class Plain(yaml.SafeLoader):
    """YAML as other tools read it, without guesses about dates."""


Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(name: str) -> dict[str, Any]:
    """A shipped file as plain data."""
    document: dict[str, Any] = yaml.load((SCENARIOS / name).read_text(), Plain)
    return document


def example(pattern: JSON) -> Any:
    """A value that a pattern matches."""
    if isinstance(pattern, list):
        return [example(item) for item in pattern]
    if not isinstance(pattern, dict):
        return pattern
    if len(pattern) == 1:
        ((key, argument),) = pattern.items()
        if key == "$partial":
            return {**example(argument), "x": 1}
        if key == "$capture":
            return "captured"
        if key == "$one-of" and isinstance(argument, list):
            return example(argument[-1])
        if key.startswith("$"):
            return EXAMPLES[str(argument)]
    return {name: example(member) for name, member in pattern.items()}


@dataclass(frozen=True, slots=True)
class Anything:
    """Equal to everything: it stands for the value of a template."""

    template: str

    def __eq__(self, other: object) -> bool:
        return other is not None

    def __hash__(self) -> int:
        return 0


def expected(value: Any) -> Any:
    """Returns the expected value for one of the file: the same, except for templates and the host of a `uri`."""
    if isinstance(value, list):
        return [expected(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$t" in value:
        return Anything(value["$t"])
    return {
        name: member.replace("http://gws.example", "http://replay:1")
        if name == "uri" and isinstance(member, str)
        else expected(member)
        for name, member in value.items()
    }


def seconds(duration: str | None) -> float:
    """A duration of the file, in seconds."""
    if duration is None:
        return 0.0
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration.removesuffix("s"))


def ask(client: Client, exchange: dict[str, Any]) -> None:
    """Ask what this exchange answers."""
    request = exchange["request"]
    if "publish" in request:
        client.sends_messages({"channel": request["publish"], "data": example(request.get("data"))})
        return
    path, query = example(request["path"]), example(request.get("query") or {})
    client.sends(
        request["method"],
        "/" + "/".join(path) if isinstance(path, list) else path,
        example(request["body"]) if "body" in request else None,
        query=urlencode(query),
    )


def answer(exchange: dict[str, Any], asked: float) -> list[tuple[float, int | str, Any]]:
    """Returns the notifications that the client must receive for this exchange, in the order in which they are due."""
    reply, due = exchange.get("reply", {}), []
    if "publish" not in exchange["request"]:
        due.append((asked + seconds(reply.get("after")), reply.get("status", 200), expected(reply.get("body"))))
    events = exchange.get("events", [])
    due += [(asked + seconds(event.get("after")), event["channel"], expected(event["data"])) for event in events]
    return sorted(((round(at, 6), what, value) for at, what, value in due), key=lambda heard: heard[0])


def played(talk: Conversation) -> list[str | None]:
    """The exchanges that answered so far."""
    return [call.exchange for call in talk.backend.calls]
