"""Compares the replies and messages that an application received in two runs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from deepdiff import DeepDiff

from cometreel.jsonvalue import JSON, JSONObject

__all__ = ["PERSONAL", "ClientOutput", "differences", "parse_output"]

PERSONAL = frozenset({"userName", "firstName", "lastName", "displayName", "emailAddress", "subject", "userData"})
"""Keys whose values a recording replaces by pseudonyms, so that they differ in a replay."""

REFERENCES = frozenset({"referenceId", "referenceIds"})

_Numbers: TypeAlias = dict[int, str]


@dataclass(frozen=True, slots=True)
class ClientOutput:
    """The result of one run.

    `replies` are in the order of the requests, `messages` of each channel and `met` in the order of arrival. Concurrent
    requests reach the server in any order, so their messages are sorted by content. `order` lists all lines as they
    arrived: `reply STEP` or `message CHANNEL`.
    """

    replies: list[JSONObject]
    messages: dict[str, list[JSON]]
    met: list[JSONObject]
    order: list[str]


def parse_output(printed: str) -> ClientOutput:
    """Parse the output of a client."""
    lines: list[JSONObject] = [json.loads(line) for line in printed.splitlines()]
    replies = sorted((line for line in lines if line["saw"] == "reply"), key=lambda line: int(str(line["sent"])))
    channels: dict[str, list[JSON]] = {}
    for at_once, group in groupby(
        (line for line in lines if line["saw"] == "message"), lambda line: line.get("atOnce")
    ):
        for line in sorted(group, key=_content) if at_once else group:
            channels.setdefault(str(line["channel"]), []).append(line["data"])
    met = [line for line in lines if line["saw"] == "meta"]
    order = [f"{line['saw']} {line.get('step', line.get('channel'))}" for line in lines]
    return ClientOutput(replies, channels, met, order)


def _content(line: JSONObject) -> str:
    return json.dumps(line["data"], sort_keys=True)


def differences(one: ClientOutput, other: ClientOutput) -> str:
    """Return a description of the differences between two runs; empty if there are none.

    References (renumbered by first appearance), the host in absolute URIs and personal data are not compared.
    Everything else is: values, types, keys and order.
    """
    return str(DeepDiff(_comparable(one), _comparable(other), ignore_type_in_groups=[], verbose_level=2).pretty())


def _comparable(run: ClientOutput) -> dict[str, object]:
    numbers: _Numbers = {}
    replies = [_hide(reply, numbers) for reply in run.replies]
    messages = {channel: [_hide(data, numbers) for data in run.messages[channel]] for channel in sorted(run.messages)}
    return {"replies": replies, "messages": messages, "met": run.met}


def _hide(value: JSON, numbers: _Numbers, key: str = "") -> JSON:
    if key in PERSONAL:
        return "<personal>"
    if key in REFERENCES and isinstance(value, int):
        return numbers.setdefault(value, f"<reference {len(numbers) + 1}>")
    if isinstance(value, dict):
        return {name: _hide(each, numbers, key if key == "referenceIds" else name) for name, each in value.items()}
    if isinstance(value, list):
        return [_hide(each, numbers, key) for each in value]
    if isinstance(value, str):
        return re.sub(r"^https?://[^/]+(?=/)", "<host>", value)
    return value
