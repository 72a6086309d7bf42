"""Writes the two pages that are made from the program: `python -m tests.docs.reference`.

`docs/format.md` comes from the JSON Schema, `docs/commands.md` from each command's `--help`. A test fails if either
isn't what would be written now.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cometreel.cli.main import COMMANDS, main
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.json_schema import schema

DOCS = Path(__file__).parents[2] / "docs"

_COMMANDS_HEAD = """\
# Commands

What each command prints with `--help`. Exit codes are the same everywhere: 0 done, 1 the answer is no (something
differs, a limit is broken), 2 it could not run (bad input, a missing part); then one line on standard error says why.

<!-- written by `python -m tests.docs.reference`: edit the help in cometreel/cli/ -->
"""

_FORMAT_HEAD = """\
# Scenario format

A scenario is one YAML file, or several that are read as one. Unknown keys are errors, except your own, which begin
with `x-`. Everything wrong in a file is reported at once, with file, line and column, before anything is played.

`cometreel schema` prints the JSON Schema from which this page is made. With a first line like this, editors complete
and check a scenario, and show these sentences:

```yaml
# yaml-language-server: $schema=scenario.schema.json
```

YAML is read as version 1.2: `No`, `on`, `0123`, `12:30:45` and dates are text. Durations have a unit (`120ms`, `1.5s`,
`2m`), except Bayeux advice, which is in milliseconds as on the wire.

<!-- written by `python -m tests.docs.reference`: edit the sentences in cometreel/scenario/key_descriptions.py -->
"""

_MARKERS_HEAD = """\
## Markers

Values mean themselves. What should be more says so as an object with one key that begins with `$`; a key of your data
that begins with `$` is written `$$`.

In requests:

| marker | matches |
|---|---|
"""

_RENDERED_HEAD = """
In replies and notifications:

| marker | becomes |
|---|---|
"""

_TEMPLATES = """
Templates are [Jinja](https://jinja.palletsprojects.com), sandboxed and compiled when the file is loaded. They see
`request`, what was captured, `user`, `ref` (the reference number of the exchange), `now` (the scenario's clock), and
`uuid()`, `randint()` and their like, which give the same values for the same seed.
"""

_TITLES = {
    "ScenarioFile": "The file",
    "SourceBlock": "source",
    "BayeuxBlock": "bayeux",
    "AdviceBlock": "bayeux: advice",
    "SessionBlock": "session",
    "CorrelationBlock": "correlation",
    "FallbackBlock": "correlation: fallback",
    "SettingsBlock": "settings",
    "RoleBlock": "roles",
    "ExchangeBlock": "exchanges",
    "WhenBlock": "exchanges: when",
    "RequestBlock": "exchanges: request over HTTP",
    "HttpReply": "exchanges: reply over HTTP",
    "PublishBlock": "exchanges: request by publish",
    "PublishReply": "exchanges: reply to a publish",
    "EventBlock": "exchanges: events",
    "TimelineBlock": "timeline",
    "FaultBlock": "faults",
}
_NAMED = {
    "Pattern": "any value, with markers",
    "TextPattern": "text, or a marker",
    "PathPattern": "a path, a list of its segments, or a marker",
    "QueryPattern": "names and values, with markers",
    "Value": "any value, with markers",
    "TextValue": "text, or a template",
    "BatchValue": "a name, or a template",
    "HeaderValue": "text or a list of texts, or a template",
    "DurationValue": "a duration, or a template",
    "ChannelValue": "a channel, or a template",
    "StatusValue": "200 to 599, or a template",
    "CountValue": "a number, or a template",
    "FlagValue": "true or false, or a template",
    "CorrelationSources": "`path-tail`, `map-keys`, `query:NAME` or `body:POINTER`, or a list of them",
    "Names": "a name, or a list of names",
    "EventChoice": "true, a number or a channel",
}
_REQUEST_AND_REPLY = {
    "request": "[over HTTP](#exchanges-request-over-http) or [a publish](#exchanges-request-by-publish)",
    "reply": "[over HTTP](#exchanges-reply-over-http) or [to a publish](#exchanges-reply-to-a-publish)",
}


def commands_page() -> str:
    """The help of every command, as it is printed on a terminal of 100 columns."""
    parts = [_COMMANDS_HEAD]
    with main.make_context("cometreel", [], resilient_parsing=True, terminal_width=100) as context:
        parts.append(f"\n```text\n{main.get_help(context)}\n```\n")
        for name in sorted(COMMANDS):
            command = main.get_command(context, name)
            assert command is not None
            parts.append(f"\n## {name}\n\n```text\n{_help(command, name, context)}\n```\n")
    return "".join(parts)


def _help(command: click.Command, name: str, parent: click.Context) -> str:
    with command.make_context(name, [], parent=parent, resilient_parsing=True, terminal_width=100) as context:
        return command.get_help(context)


def format_page() -> str:
    """A section for each block of a scenario, and the markers."""
    found = schema()
    definitions = _object(found["$defs"])
    blocks = {"ScenarioFile": found, **definitions}
    sections = (_section(name, title, _object(blocks[name])) for name, title in _TITLES.items())
    return _FORMAT_HEAD + "".join(sections) + "\n" + _markers(definitions)


def _section(name: str, title: str, block: JSONObject) -> str:
    required = block.get("required", [])
    assert isinstance(required, list)
    rows = [
        f"| `{key}`{' (required)' if key in required else ''} | {_shape(key, _object(member))} | {_cell(member)} |"
        for key, member in _object(block["properties"]).items()
    ]
    text = str(block.get("description", "")).strip() if name != "ScenarioFile" else "The blocks in their order."
    return "\n".join([f"\n## {title}\n", text, "", "| key | value | |", "|---|---|---|", *rows, ""])


def _cell(member: JSON) -> str:
    return str(_object(member)["description"]).replace("|", "\\|").replace("*", "`*`")


def _shape(key: str, member: JSONObject) -> str:
    """What a key's value may be, in words."""
    if key in _REQUEST_AND_REPLY and not {"items", "anyOf", "$ref"} & member.keys():
        return _REQUEST_AND_REPLY[key]
    words = list(dict.fromkeys(word for word in _words(member) if word))
    return " or ".join(words) if words else "any value"


def _words(member: JSONObject) -> Iterator[str]:
    """The words for one schema: of a choice, those of each alternative."""
    alternatives = member.get("anyOf") or member.get("oneOf")
    kind = member.get("type")
    if isinstance(alternatives, list):
        for alternative in alternatives:
            yield from _words(_object(alternative))
    elif "$ref" in member:
        yield _reference(str(member["$ref"]).rpartition("/")[2])
    elif "enum" in member or "const" in member:
        choices = member.get("enum", [member.get("const")])
        assert isinstance(choices, list)
        yield ", ".join(f"`{choice if isinstance(choice, str) else json.dumps(choice)}`" for choice in choices)
    elif kind == "array":
        yield f"a list: {' or '.join(_words(_object(member['items'])))}"
    elif kind == "object":
        yield _mapping(member)
    elif isinstance(kind, list):
        yield " or ".join(_SCALARS[str(one)] for one in kind)
    elif kind is not None:
        yield _scalar(member)


_SCALARS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "null": ""}


def _scalar(member: JSONObject) -> str:
    pattern = str(member.get("pattern", ""))
    if "ms|s|m|h" in pattern:
        return "a duration"
    if pattern == "^(/.*)?$":
        return "a JSON Pointer"
    if member.get("format") == "date-time":
        return "a moment, as ISO 8601"
    low, high = member.get("minimum"), member.get("maximum")
    word = _SCALARS[str(member["type"])]
    if high is not None:
        return f"{low} to {high}"
    return word if low is None else f"{word} from {low}"


def _mapping(member: JSONObject) -> str:
    values = member.get("additionalProperties")
    inner = " or ".join(_words(values)) if isinstance(values, dict) else ""
    return f"names, each with {inner}" if inner else "names and values"


def _reference(name: str) -> str:
    if name in _TITLES:
        title = _TITLES[name]
        return f"[{title}](#{title.lower().replace(': ', '-').replace(' ', '-')})"
    return _NAMED[name]


def _markers(definitions: JSONObject) -> str:
    matched = [*_alternatives(definitions["TextMatched"]), *_alternatives(definitions["Matched"])]
    rows = {_marker_row(marker): None for marker in matched}
    rendered = {_marker_row(marker): None for marker in _alternatives(definitions["Rendered"])}
    return _MARKERS_HEAD + "".join(rows) + _RENDERED_HEAD + "".join(rendered) + _TEMPLATES


def _alternatives(definition: JSON) -> list[JSON]:
    found = _object(definition)["anyOf"]
    assert isinstance(found, list)
    return found


def _marker_row(marker: JSON) -> str:
    ((key, argument),) = _object(_object(marker)["properties"]).items()
    choices = _object(argument).get("enum")
    more = " " + ", ".join(f"`{choice}`" for choice in choices) + "." if isinstance(choices, list) else ""
    text = str(_object(marker)["description"]).replace("{{ expression }}", "`{{ expression }}`")
    return f"| `{key}` | {text}{more} |\n"


def _object(value: JSON) -> JSONObject:
    assert isinstance(value, dict)
    return value


PAGES = {"commands.md": commands_page, "format.md": format_page}


def write() -> int:
    """Write both pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(write())
