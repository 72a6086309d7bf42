"""Writes JSON values as YAML: block style, no anchors, no folding, and quotes around every text that another YAML tool
could read as a different type.

PyYAML's emitter isn't used: it folds long texts, doesn't indent lists and takes seconds for a long scenario.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from cometreel.jsonvalue import JSON

__all__ = ["block", "inline"]

_WORD = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|nil|~|=|<<|[-+]?\.(inf|nan)|-+|\.+")
_NUMBER = re.compile(
    r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
    r"|[-+]?\.[0-9][0-9_]*([eE][-+]?[0-9]+)?"
    r"|[-+]?0([xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
)
_PLAIN = re.compile(r"[^\W_]|[^\W][^\x00-\x1f]*[^\s:]|[\w/(<^.$+][^\x00-\x1f]*[^\s:]")
_UNSAFE = re.compile(r": |\s#|[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_UNSAFE_IN_FLOW = re.compile(r"[,\[\]{}:#]")
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LITERAL_BLOCK = re.compile(r"[^\s\x00-\x1f\x7f-\x9f][^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*")
_EXPONENT = re.compile(r"^(-?[0-9]+)([eE])")
_LONGEST_KEY = 1000
"""YAML limits a simple key to 1024 characters."""
_LONGEST_MARKER = 120


def text(value: str, *, flow: bool = False) -> str:
    """Format a text as one line of YAML: plain if no parser can misread it, else quoted."""
    if _is_plain(value) and not (flow and _UNSAFE_IN_FLOW.search(value)):
        return value
    if ('"' not in value and "\\" not in value) or (_UNSAFE.search(value) and not value.isprintable()):
        return _double(value)
    return "'" + value.replace("'", "''") + "'"


def _is_plain(value: str) -> bool:
    if not _PLAIN.fullmatch(value) or _UNSAFE.search(value):
        return False
    return not _WORD.fullmatch(value) and not _NUMBER.fullmatch(value)


def _double(value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def scalar(value: JSON, *, flow: bool = False) -> str:
    """Format a value without members as one line of YAML."""
    if isinstance(value, str):
        return text(value, flow=flow)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _EXPONENT.sub(r"\1.\2", repr(value))  # YAML 1.1 reads a number without a point as text
    return str(value) if isinstance(value, int) else "{}" if isinstance(value, dict) else "[]"


def inline(value: JSON) -> str:
    """Format a value as one line of flow style."""
    if isinstance(value, dict) and value:
        return "{" + ", ".join(f"{_inline_key(key)}: {inline(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list) and value:
        return "[" + ", ".join(map(inline, value)) + "]"
    return scalar(value, flow=True)


def _inline_key(key: str) -> str:
    written = text(key, flow=True)
    return f"? {written} " if len(written) > _LONGEST_KEY else written


def block(value: JSON, indent: str = "") -> Iterator[str]:
    """Format a mapping or a list as lines of block style."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _member(key, member, indent)
    elif isinstance(value, list):
        for item in value:
            yield from _item(item, indent)


def _member(key: str, member: JSON, indent: str) -> Iterator[str]:
    written = text(key)
    if len(written) > _LONGEST_KEY:
        yield f"{indent}? {written}"
        yield from _after(f"{indent}:", member, indent)
    else:
        yield from _after(f"{indent}{written}:", member, indent)


def _item(item: JSON, indent: str) -> Iterator[str]:
    if isinstance(item, dict | list) and item and not is_marker(item):
        lines = block(item, indent + "  ")
        first = next(lines)
        yield f"{indent}- {first[len(indent) + 2 :]}"
        yield from lines
    else:
        yield from _after(f"{indent}-", item, indent)


def _after(head: str, value: JSON, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value and not is_marker(value):
        yield head
        yield from block(value, indent + "  ")
    elif isinstance(value, str) and "\n" in value and _LITERAL_BLOCK.fullmatch(value):
        yield from _literal_block(head, value, indent + "  ")
    else:
        yield f"{head} {inline(value)}" if isinstance(value, dict | list) else f"{head} {scalar(value)}"


def _literal_block(head: str, value: str, indent: str) -> Iterator[str]:
    body = value.rstrip("\n")
    ends = len(value) - len(body)
    yield f"{head} |{'-' if ends == 0 else '' if ends == 1 else '+'}"
    for line in (*body.split("\n"), *[""] * (ends - 1)):
        yield f"{indent}{line}" if line else ""


def is_marker(value: JSON) -> bool:
    """True if a value is a marker that is short enough for one line: `{$any: string}`."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((key, argument),) = value.items()
    if not key.startswith("$") or key.startswith("$$") or isinstance(argument, dict):
        return False
    if isinstance(argument, list):
        return all(not isinstance(item, dict | list) or is_marker(item) for item in argument)
    return not isinstance(argument, str) or len(argument) <= _LONGEST_MARKER
