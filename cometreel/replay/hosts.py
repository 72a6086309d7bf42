"""Addresses in answers: an absolute `uri` is moved to the host that the client asked.

The real server builds them from its own configuration, so that a recorded one names the recorded host.
"""

from __future__ import annotations

import re

from cometreel.jsonvalue import JSON

__all__ = ["rebase"]

_ABSOLUTE = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)


def rebase(value: JSON, base: str) -> JSON:
    """Return the value with the host of every absolute `uri`, `…Uri` and item of `uris` replaced by `base`."""
    if isinstance(value, dict):
        return {key: _member(key, item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [rebase(item, base) for item in value]
    return value


def _member(key: str, value: JSON, base: str) -> JSON:
    if key == "uri" or key.endswith("Uri"):
        return _move(value, base) if isinstance(value, str) else rebase(value, base)
    if key == "uris" and isinstance(value, list):
        return [_move(item, base) if isinstance(item, str) else rebase(item, base) for item in value]
    return rebase(value, base)


def _move(uri: str, base: str) -> str:
    return _ABSOLUTE.sub(lambda _: base, uri, count=1) if _ABSOLUTE.match(uri) else uri
