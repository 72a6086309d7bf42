"""What is known to be secret: values seen once as a secret are scrubbed wherever else they turn up later.

The search must be cheap, since every journal line passes it: a line is cut into runs of letters and digits, and
only a run that is the longest one of a known secret starts the slow, exact replacement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from cometreel.jsonvalue import JSON, encode

__all__ = ["SHORTEST", "KnownSecrets", "looks_random"]

SHORTEST = 6
"""Shorter secrets are not searched for: scrubbing `1234` everywhere would destroy what isn't secret."""

_RUN = re.compile(rb"[0-9A-Za-z]{6,}")
_LIMIT = 50_000

# A password that is a word of the protocols would take the recording apart.
# fmt: off
_VOCABULARY = frozenset((
    "advice", "bayeux", "channel", "client", "connect", "connectiontype", "cookie", "disconnect", "error",
    "handshake", "header", "headers", "hidden", "interval", "message", "messages", "method", "notifications",
    "omitted", "password", "public", "reconnect", "referenceid", "reply", "request", "secret", "session",
    "statuscode", "subscribe", "subscription", "success", "successful", "timeout", "unsubscribe", "version",
))
# fmt: on


def looks_random(value: str) -> bool:
    """Tell whether a value can't be a common word, so that scrubbing it everywhere destroys nothing else."""
    return len(value) >= 8 and not value.isalpha() and not value.isdigit() and " " not in value


class KnownSecrets:
    """The secrets seen so far, in memory only."""

    def __init__(self) -> None:
        self._anchors: dict[bytes, set[str]] = {}
        self._odd: dict[bytes, str] = {}
        self._seen: dict[str, None] = {}
        self.forgotten = 0
        """How many secrets were dropped because there are very many."""

    def __repr__(self) -> str:
        return f"KnownSecrets({len(self._seen)})"

    def learn(self, value: str) -> None:
        """Remember a secret; the oldest of very many is forgotten."""
        if len(value) < SHORTEST or value in self._seen or value.lower() in _VOCABULARY:
            return
        if len(self._seen) >= _LIMIT:
            self._forget(next(iter(self._seen)))
        self._seen[value] = None
        for form in _forms(value):
            self._add(form)

    def scrub(self, line: bytes, event: JSON, replace: Callable[[str], str]) -> bytes:
        """Give a journal line without any known secret; `event` is what the line was made from."""
        found = self._found(line)
        if not found:
            return line
        return encode(_replaced(event, sorted(found, key=len, reverse=True), replace))

    def _found(self, line: bytes) -> set[str]:
        found: set[str] = set()
        hits = self._anchors.keys() & _RUN.findall(line)
        for hit in hits:
            found |= self._anchors[hit]
        if self._odd:
            found.update(secret for form, secret in self._odd.items() if form in line)
        return found

    def _add(self, form: str) -> None:
        anchor = _anchor(form)
        if anchor:
            self._anchors.setdefault(anchor, set()).add(form)
        else:
            self._odd[encode(form)[1:-1]] = form

    def _forget(self, value: str) -> None:
        self.forgotten += 1
        del self._seen[value]
        for form in _forms(value):
            self._odd.pop(encode(form)[1:-1], None)
            anchor = _anchor(form)
            forms = self._anchors.get(anchor, set())
            forms.discard(form)
            if not forms:
                self._anchors.pop(anchor, None)


def _forms(value: str) -> set[str]:
    return {value, quote(value, safe="", errors="surrogatepass")}


def _anchor(form: str) -> bytes:
    return max(_RUN.findall(form.encode("utf-8", "surrogatepass")), key=len, default=b"")


def _replaced(value: JSON, secrets: list[str], replace: Callable[[str], str]) -> JSON:
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, replace(secret))
        return value
    if isinstance(value, list):
        return [_replaced(item, secrets, replace) for item in value]
    if isinstance(value, dict):
        return {_key(name, secrets, replace): _replaced(item, secrets, replace) for name, item in value.items()}
    return value


def _key(name: str, secrets: list[str], replace: Callable[[str], str]) -> str:
    for secret in secrets:
        if secret in name:
            name = name.replace(secret, replace(secret))
    return name
