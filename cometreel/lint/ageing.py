"""The rule `ageing`: times of the recording that make a scenario fail or expire later.

Reports a time that a request must contain, a header that caches evaluate, and values whose name is that of an expiry
date. Times that are plain data, such as when an e-mail was received, aren't reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cometreel.jsonvalue import JSON
from cometreel.lint.issues import RULES, Fix, Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock, leaves
from cometreel.scenario.sources import SourceFile

__all__ = ["ageing"]

_ISO = re.compile(r"\b20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]")
_HTTP = re.compile(r"\b[A-Z][a-z]{2}, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{4} [0-9:]{8} GMT")
_MILLISECONDS = range(1_000_000_000_000, 2_600_000_000_000)
"""2001 to 2052, in milliseconds since 1970."""
_EXPIRY_NAMES = re.compile(r"expir|valid.?(until|to|thru)|not.?after|deadline", re.IGNORECASE)
_CACHE_HEADERS = frozenset({"date", "expires", "last-modified"})
_MARKERS = frozenset({"$any", "$regex", "$capture", "$id", "$t"})
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def ageing(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each value that depends on the time of the recording."""
    for source in context.sources:
        yield from _in_reply_headers(source)
    for block in context.blocks:
        for path, value in leaves(block.raw):
            if not _MARKERS.isdisjoint(map(str, path)):
                continue
            if path[0] == "request":
                yield from _in_request(block, path, value)
            elif "headers" in path:
                yield from _in_header(block, path, value)
            elif _EXPIRY_NAMES.search(_name(path)) and _is_time(value):
                found = f"{_name(path)} is an expiry date"
                yield block.issue("ageing", path, found, "a template with wallclock(), or a date far in the future")


def _in_request(block: RawBlock, path: IssuePath, value: JSON) -> Iterator[Issue]:
    if _is_time(value):
        found = "the request must contain the time of the recording"
        yield block.issue("ageing", path, found, "{$any: string} or another marker")


def _in_header(block: RawBlock, path: IssuePath, value: JSON) -> Iterator[Issue]:
    if (age := _age(_name(path), str(value))) is not None:
        found, expected, hint = age
        yield block.issue("ageing", path, found, expected, hint, fix=None if hint else False)


def _in_reply_headers(source: SourceFile) -> Iterator[Issue]:
    fields: JSON = dict(source.head.reply_headers or {})
    for path, value in leaves(fields, ("reply_headers",)):
        if (age := _age(str(path[1]), str(value))) is not None and _MARKERS.isdisjoint(map(str, path)):
            found, expected, hint = age
            place, rule = source.position(path), RULES["ageing"]
            fix = Fix(path, None) if hint else None
            yield Issue(place.file, place.line, place.column, rule, rule.level, found, expected, hint, fix)


def _age(name: str, text: str) -> tuple[str, str, str] | None:
    """Return finding, expectation and hint for a header field that ages; None for other fields."""
    time = _http_time(text) if name.lower() in {"set-cookie", *_CACHE_HEADERS} else None
    if time is None or time <= _EPOCH:
        return None
    if name.lower() == "set-cookie":
        return "the cookie has an expiry date", "Max-Age, or no expiry", ""
    hint = "caches compare it with the current time"
    return f"the header {name} is the time of the recording", "no such header", hint


def _is_time(value: JSON) -> bool:
    if isinstance(value, str):
        return bool(_ISO.search(value) or _HTTP.search(value)) or (value.isdigit() and int(value[:20]) in _MILLISECONDS)
    return isinstance(value, int) and value in _MILLISECONDS


def _http_time(text: str) -> datetime | None:
    found = _HTTP.search(text)
    if found is None:
        return None
    try:
        return parsedate_to_datetime(found[0].replace("-", " "))
    except ValueError:
        return None


def _name(path: IssuePath) -> str:
    return str(next((step for step in reversed(path) if isinstance(step, str)), ""))
