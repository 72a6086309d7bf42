"""Known secrets: a value that was found as a secret is removed from all later journal lines.

Every journal line is searched, so the search must be fast: a line is split into runs of letters and digits, and only a
run that is the longest one of a known secret starts the exact replacement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from cometreel.jsonvalue import JSON, encode

__all__ = ["SHORTEST", "KnownSecrets", "looks_random"]

SHORTEST = 6
"""Shorter secrets are not searched for: removing `1234` everywhere would damage other values."""

_RUN = re.compile(rb"[0-9A-Za-z]{6,}")
_LIMIT = 50_000

# Words of the protocols are never removed, even if one is used as a password.
# fmt: off
_PROTOCOL_WORDS = frozenset((
    "advice", "bayeux", "channel", "client", "connect", "connectiontype", "cookie", "disconnect", "error",
    "handshake", "header", "headers", "hidden", "interval", "message", "messages", "method", "notifications",
    "omitted", "password", "public", "reconnect", "referenceid", "reply", "request", "secret", "session",
    "statuscode", "subscribe", "subscription", "success", "successful", "timeout", "unsubscribe", "version",
))
# fmt: on


def looks_random(value: str) -> bool:
    """Return True if a value can't be a common word, so it can safely be removed everywhere."""
    return len(value) >= 8 and not value.isalpha() and not value.isdigit() and " " not in value


class KnownSecrets:
    """The secrets that were found so far; kept in memory only."""

    def __init__(self) -> None:
        self._anchors: dict[bytes, set[str]] = {}
        self._without_anchor: dict[bytes, str] = {}
        self._secrets: dict[str, None] = {}
        self.dropped = 0
        """Number of secrets that were dropped because of the limit."""

    def __repr__(self) -> str:
        return f"KnownSecrets({len(self._secrets)})"

    def add(self, value: str) -> None:
        """Add a secret; beyond the limit the oldest one is dropped."""
        if len(value) < SHORTEST or value in self._secrets or value.lower() in _PROTOCOL_WORDS:
            return
        if len(self._secrets) >= _LIMIT:
            self._drop(next(iter(self._secrets)))
        self._secrets[value] = None
        for form in _forms(value):
            self._add_form(form)

    def scrub(self, line: bytes, event: JSON, replace: Callable[[str], str]) -> bytes:
        """Return a journal line without known secrets; `event` is the value that the line encodes."""
        found = self._found(line)
        if not found:
            return line
        return encode(_replace_in_value(event, sorted(found, key=len, reverse=True), replace))

    def _found(self, line: bytes) -> set[str]:
        found: set[str] = set()
        hits = self._anchors.keys() & _RUN.findall(line)
        for hit in hits:
            found |= self._anchors[hit]
        if self._without_anchor:
            found.update(secret for form, secret in self._without_anchor.items() if form in line)
        return found

    def _add_form(self, form: str) -> None:
        anchor = _anchor(form)
        if anchor:
            self._anchors.setdefault(anchor, set()).add(form)
        else:
            self._without_anchor[encode(form)[1:-1]] = form

    def _drop(self, value: str) -> None:
        self.dropped += 1
        del self._secrets[value]
        for form in _forms(value):
            self._without_anchor.pop(encode(form)[1:-1], None)
            anchor = _anchor(form)
            forms = self._anchors.get(anchor, set())
            forms.discard(form)
            if not forms:
                self._anchors.pop(anchor, None)


def _forms(value: str) -> set[str]:
    return {value, quote(value, safe="", errors="surrogatepass")}


def _anchor(form: str) -> bytes:
    return max(_RUN.findall(form.encode("utf-8", "surrogatepass")), key=len, default=b"")


def _replace_in_value(value: JSON, secrets: list[str], replace: Callable[[str], str]) -> JSON:
    if isinstance(value, str):
        return _replace_in_text(value, secrets, replace)
    if isinstance(value, list):
        return [_replace_in_value(item, secrets, replace) for item in value]
    if isinstance(value, dict):
        return {
            _replace_in_text(name, secrets, replace): _replace_in_value(item, secrets, replace)
            for name, item in value.items()
        }
    return value


def _replace_in_text(text: str, secrets: list[str], replace: Callable[[str], str]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, replace(secret))
    return text
