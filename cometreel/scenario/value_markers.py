"""Markers: objects with one `$` key that have a special meaning instead of their literal value.

Defines the markers, where each is allowed, and the check of its argument. `matchers` and `values` implement them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from cometreel.jsonvalue import JSON

from .findings import Finding, describe, near
from .regular_expression import ExpressionInvalid, regular_expression
from .templates import check_template

__all__ = [
    "ANY_KINDS",
    "MATCHED",
    "RENDERED",
    "RESERVED_NAMES",
    "check_markers",
    "is_plain",
    "literal",
    "marker_of",
    "unescaped",
]

ANY_KINDS = ("string", "number", "integer", "boolean", "object", "array", "null", "anything")
MATCHED = frozenset({"$any", "$regex", "$one-of", "$capture", "$partial", "$id", "$csv"})
"""Markers that a request may use, besides `$file`, which `data_files` replaces."""
RENDERED = frozenset({"$t", "$id", "$csv", "$entries"})
"""Markers that replies and events may use."""

CAPTURE = r"(session\.)?[A-Za-z_][A-Za-z0-9_]*"
ID = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
RESERVED_NAMES = frozenset(
    {"request", "user", "ref", "now", "uuid", "randint", "wallclock", "session", "ids", "seq", "count"}
)
"""The variables of templates, which a capture can't be named after."""


def marker_of(value: JSON) -> tuple[str, JSON] | None:
    """Return key and argument if a value is a marker, None if it is literal."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, argument),) = value.items()
        if key.startswith("$") and not key.startswith("$$"):
            return key, argument
    return None


def is_plain(value: JSON) -> bool:
    """True if no key in a value starts with `$`: then it has no markers and nothing is escaped."""
    waiting: list[JSON] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            for key, member in item.items():
                if key[:1] == "$":
                    return False
                if type(member) is not str and isinstance(member, dict | list):  # most are texts
                    waiting.append(member)
        elif isinstance(item, list):
            waiting.extend(item)
    return True


def literal(value: JSON) -> JSON:
    """Escape a value so that it is taken literally: double the `$` of keys that start with it."""
    if isinstance(value, dict):
        return {f"${key}" if key.startswith("$") else key: literal(member) for key, member in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return value


def unescaped(key: str) -> str:
    """Return the literal key for an escaped one: `$$any` is `$any`."""
    return key[1:] if key.startswith("$$") else key


def check_markers(value: JSON, allowed: frozenset[str], path: tuple[str | int, ...] = ()) -> Iterator[Finding]:
    """Yield the errors of the markers in a value."""
    if not path and is_plain(value):
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from check_markers(item, allowed, (*path, number))
        return
    if not isinstance(value, dict):
        return
    marker = marker_of(value)
    if marker is not None:
        yield from _check_marker(*marker, allowed, path)
        return
    for key, member in value.items():
        if key.startswith("$") and not key.startswith("$$"):
            hint = f"write '${key}' for a literal key"
            found = f"the marker {key} can't be combined with other keys"
            yield Finding((*path, key), found, "an object with only the marker", hint, at_key=True)
        yield from check_markers(member, allowed, (*path, key))


def _check_marker(key: str, argument: JSON, allowed: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    path = (*path, key)
    if key not in _CHECKS:
        hint = near(key, _CHECKS) or f"write '${key}' for a literal key"
        yield Finding(path, f"unknown marker {key}", f"one of {', '.join(sorted(allowed))}", hint, at_key=True)
    elif key not in allowed and key != "$file":
        here = "in a reply or an event" if "$t" in allowed else "in a request"
        yield Finding(path, f"{key} isn't allowed {here}", f"one of {', '.join(sorted(allowed))}", at_key=True)
    else:
        yield from _CHECKS[key](argument, allowed, path)


def _check_any(argument: JSON, _: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, str) or argument not in ANY_KINDS:
        yield Finding(path, describe(argument), f"one of {', '.join(ANY_KINDS)}", near(str(argument), ANY_KINDS))


def _check_regex(argument: JSON, _: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, str):
        yield Finding(path, describe(argument), "a regular expression")
        return
    try:
        names = regular_expression(argument).names
    except ExpressionInvalid as error:
        yield Finding(path, f"the regular expression {argument!r} {error}", error.expected)
        return
    for name in sorted(RESERVED_NAMES & set(names)):
        yield Finding(path, f"the group name {name!r} is reserved for templates", "another name")


def _check_one_of(argument: JSON, allowed: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, list) or not argument:
        yield Finding(path, describe(argument), "a list of at least one value")
        return
    yield from check_markers(argument, allowed, path)


def _check_capture(argument: JSON, _: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, str) or not re.fullmatch(CAPTURE, argument):
        yield Finding(path, describe(argument), "a name or session.NAME, of letters, digits and _")
    elif argument in RESERVED_NAMES:
        yield Finding(path, f"the name {argument!r} is reserved for templates", "another name")


def _check_partial(argument: JSON, allowed: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, dict) or marker_of(argument) is not None:
        yield Finding(path, describe(argument), "a mapping of the members to compare")
        return
    yield from check_markers(argument, allowed, path)


def _check_id(argument: JSON, _: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, str) or not re.fullmatch(ID, argument):
        yield Finding(path, describe(argument), "the name of an identifier, such as place-1")


def _check_csv(argument: JSON, allowed: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, list) or not argument:
        yield Finding(path, describe(argument), "a list of at least one value")
        return
    for number, item in enumerate(argument):
        if not isinstance(item, str) and marker_of(item) is None:
            yield Finding((*path, number), describe(item), "text or a marker")
        yield from check_markers(item, allowed, (*path, number))


def _check_entries(argument: JSON, allowed: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, list):
        yield Finding(path, describe(argument), "a list of [key, value] pairs")
        return
    for number, pair in enumerate(argument):
        if not isinstance(pair, list) or len(pair) != 2:
            yield Finding((*path, number), describe(pair), "a [key, value] pair")
        elif not isinstance(pair[0], str) and marker_of(pair[0]) is None:
            yield Finding((*path, number, 0), describe(pair[0]), "text or a marker")
        else:
            yield from check_markers(pair, allowed, (*path, number))


def _check_template(argument: JSON, _: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if not isinstance(argument, str):
        yield Finding(path, describe(argument), "a template")
        return
    error = check_template(argument)
    if error:
        yield Finding(path, error, "a Jinja2 template")


def _check_file(argument: JSON, _: frozenset[str], path: tuple[str | int, ...]) -> Iterator[Finding]:
    """Refuse a marker that is left: data files replace it where they are allowed."""
    expected = "body, form, data, ext, text or base64 of a scenario in a file"
    yield Finding(path, f"$file isn't possible here: {describe(argument)}", expected, at_key=True)


_CHECKS: dict[str, Callable[[JSON, frozenset[str], tuple[str | int, ...]], Iterator[Finding]]] = {
    "$any": _check_any,
    "$regex": _check_regex,
    "$one-of": _check_one_of,
    "$capture": _check_capture,
    "$partial": _check_partial,
    "$id": _check_id,
    "$csv": _check_csv,
    "$entries": _check_entries,
    "$t": _check_template,
    "$file": _check_file,
}


def captures_in(value: JSON) -> Iterator[str]:
    """Yield the names that a pattern captures, including a `session.` prefix."""
    if isinstance(value, list):
        for item in value:
            yield from captures_in(item)
    elif isinstance(value, dict):
        marker = marker_of(value)
        if marker is None:
            for member in value.values():
                yield from captures_in(member)
        elif marker[0] == "$capture":
            yield str(marker[1])
        elif marker[0] == "$regex":
            yield from regular_expression(str(marker[1])).names
        else:
            yield from captures_in(marker[1])


def templates_in(value: JSON, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the templates in a value with their paths."""
    if not path and is_plain(value):
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from templates_in(item, (*path, number))
    elif isinstance(value, dict):
        marker = marker_of(value)
        if marker is not None and marker[0] == "$t":
            yield (*path, "$t"), str(marker[1])
            return
        for key, member in value.items():
            yield from templates_in(member, (*path, key))


def ids_in(value: JSON, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the names of the `$id` markers in a value with their paths."""
    if not path and is_plain(value):
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from ids_in(item, (*path, number))
    elif isinstance(value, dict):
        marker = marker_of(value)
        if marker is not None and marker[0] == "$id":
            yield (*path, "$id"), str(marker[1])
            return
        for key, member in value.items():
            yield from ids_in(member, (*path, key))
