"""The rule `literal`: a text that is taken literally, but looks like a pattern, a template or JSON.

Issues of recorded scenarios are notes, because a server can send such texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cometreel.jsonvalue import JSON, NotJSON, decode
from cometreel.lint.issues import Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock, leaves
from cometreel.scenario.templates import check_template
from cometreel.scenario.value_markers import MATCHED, check_markers, literal

__all__ = ["literals"]

_RULE = "literal"
_PLACEHOLDER = re.compile(r"\{[^{}/]*\}|(?<=/):[A-Za-z_]\w*(?=/|$)|(?<=/)<\w+>(?=/|$)|(?<=/)\*{1,2}(?=/|$)")
"""A variable part as in OpenAPI, Express, Flask and globs."""
_TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
_VALUES = frozenset({"request", "reply", "events", "channel", "data", "ext", "headers", "body", "text", "error"})
"""The keys of a block whose values are sent or compared; the others are names and times."""


def literals(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each text that looks like a pattern, a template or JSON."""
    for block in context.blocks:
        quoted = {path: value for path, value in _bodies(block) if _json_in(value) is not None}
        yield from _placeholders(block)
        for path, value in quoted.items():
            yield _quoted(block, path, value)
        for path, leaf in leaves(block.raw):
            if isinstance(leaf, str) and path not in quoted and _TEMPLATE.search(leaf) and _is_sent(path):
                yield _template(block, path, leaf)


def _is_sent(path: IssuePath) -> bool:
    """True if the value at a path is sent or compared as it is, and isn't the argument of a marker for patterns."""
    return path[0] in _VALUES and "$t" not in path and "$regex" not in path


def _issue(block: RawBlock, path: IssuePath, found: str, expected: str, fix: JSON | bool, hint: str = "") -> Issue:
    if block.source.head.source is not None:
        return block.issue(_RULE, path, found, expected, "or it was recorded so", level="note")
    return block.issue(_RULE, path, found, expected, "--fix replaces it" if fix is not False else hint, fix=fix)


# ---------------------------------------------------------------------- patterns
def _placeholders(block: RawBlock) -> Iterator[Issue]:
    request = block.raw.get("request")
    if not isinstance(request, dict):
        return
    for key, pattern in (("path", _path_pattern), ("publish", _channel_pattern)):
        value = request.get(key)
        texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        found = next((match for text in texts if (match := _PLACEHOLDER.search(f"/{text}"))), None)
        if found:
            fix = pattern(value)
            yield _issue(block, ("request", key), f"{found[0]} in the {key} is literal", _shown(fix), fix)


def _path_pattern(path: JSON) -> JSON:
    """Return a path as a list of segments, with a marker for each variable part."""
    segments = path if isinstance(path, list) else str(path).strip("/").split("/")
    return [_segment(segment) for segment in segments]


def _segment(segment: JSON) -> JSON:
    if not isinstance(segment, str) or not (found := _PLACEHOLDER.search(f"/{segment}")):
        return segment
    if found[0] != segment:
        return {"$regex": f"^{_expression(f'/{segment}')[1:]}$"}
    capture: JSON = {"$capture": segment.strip("{}<>:*")}
    return {"$any": "string"} if [*check_markers(capture, MATCHED)] else capture


def _channel_pattern(channel: JSON) -> JSON:
    return {"$regex": f"^{_expression(str(channel))}$"}


def _expression(text: str) -> str:
    """Return a regular expression in which the variable parts match any text without a slash."""
    parts, end = [], 0
    for found in _PLACEHOLDER.finditer(text):
        parts += [re.escape(text[end : found.start()]), "[^/]+"]
        end = found.end()
    return "".join([*parts, re.escape(text[end:])])


def _shown(value: JSON) -> str:
    """Return a pattern as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z][\w.-]*", text) else f"'{text}'"


# ---------------------------------------------------------------------- JSON in quotes
def _bodies(block: RawBlock) -> Iterator[tuple[IssuePath, str]]:
    """Yield the JSON bodies and the data of a block that are texts."""
    events = block.raw.get("events")
    places: list[tuple[IssuePath, JSON]] = [((), block.raw)]
    places += [((key,), block.raw.get(key)) for key in ("request", "reply")]
    places += [(("events", number), event) for number, event in enumerate(events if isinstance(events, list) else ())]
    for path, place in places:
        for key in ("body", "data"):
            value = place.get(key) if isinstance(place, dict) else None
            if isinstance(value, str):
                yield (*path, key), value


def _json_in(text: str) -> JSON:
    """Return the object or list that a text contains as JSON; None if it contains none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = decode(text.encode())
    except (NotJSON, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict | list) else None


def _quoted(block: RawBlock, path: IssuePath, value: str) -> Issue:
    kind = "an object" if isinstance(_json_in(value), dict) else "a list"
    found = f"the {path[-1]} is a text that contains {kind} as JSON"
    return _issue(block, path, found, f"{kind} without the quotes", literal(_json_in(value)))


# ---------------------------------------------------------------------- templates
def _template(block: RawBlock, path: IssuePath, value: str) -> Issue:
    found = f"{_TEMPLATE.findall(value)[0]} is literal"
    if path[0] == "request":
        return _issue(block, path, found, "{$any: string} or another marker", False)
    if block.key == "faults":
        return _issue(block, path, found, "a literal value", False, "faults have no templates")
    fix: JSON = {"$t": value}
    return _issue(block, path, found, "{$t: …}, a template", False if check_template(value) else fix)
