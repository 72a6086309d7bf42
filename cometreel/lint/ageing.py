"""The rule `ageing`: values of the wall clock that make a scenario stop working, or tell a client what is over.

A time that is mere data, as when an e-mail was received, doesn't age; only these do: a time that a request must have,
a header that caches obey, and what says by its name that something ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cometreel.jsonvalue import JSON
from cometreel.lint.issues import Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock, leaves

__all__ = ["ageing"]

_ISO = re.compile(r"\b20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]")
_HTTP = re.compile(r"\b[A-Z][a-z]{2}, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{4} [0-9:]{8} GMT")
_MILLISECONDS = range(1_000_000_000_000, 2_600_000_000_000)
"""2001 to 2052, in milliseconds since 1970, as browsers and servers write the time."""
_ENDS = re.compile(r"expir|valid.?(until|to|thru)|not.?after|deadline", re.IGNORECASE)
_CACHING = frozenset({"date", "expires", "last-modified"})
_OPEN = frozenset({"$any", "$regex", "$capture", "$id", "$t"})
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def ageing(subject: LintContext) -> Iterator[Issue]:
    """Every value that ages."""
    for block in subject.blocks:
        for path, value in leaves(block.raw):
            if not _OPEN.isdisjoint(map(str, path)):
                continue
            if path[0] == "request":
                yield from _in_request(block, path, value)
            elif "headers" in path:
                yield from _in_header(block, path, value)
            elif _ENDS.search(_name(path)) and _is_time(value):
                found = f"{_name(path)} is a day that passes"
                yield block.issue("ageing", path, found, "a template of wallclock(), or a day far away")


def _in_request(block: RawBlock, path: IssuePath, value: JSON) -> Iterator[Issue]:
    if _is_time(value):
        found = "the request must hold the time of the recording, which no later one does"
        yield block.issue("ageing", path, found, "{$any: string}, or another marker")


def _in_header(block: RawBlock, path: IssuePath, value: JSON) -> Iterator[Issue]:
    name, text = _name(path).lower(), str(value)
    if name == "set-cookie" and (moment := _http_time(text)) is not None and moment > _EPOCH:
        yield block.issue("ageing", path, "the cookie ends on a day that passes", "Max-Age, or no end")
    elif name in _CACHING and (moment := _http_time(text)) is not None and moment > _EPOCH:
        hint = "caches compare it with the clock of today"
        yield block.issue("ageing", path, f"the header {_name(path)} is the recording's", "none", hint, fix=None)


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
