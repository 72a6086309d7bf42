"""Opaque unique ids: session ids, client ids, browser cookies, CSRF tokens.

An id is a hash of (seed, node, kind, number). Without a seed, the nonce of the run replaces it, so that a cookie of an
earlier run never names a session of this one.
"""

from __future__ import annotations

import hashlib
from collections import Counter

__all__ = ["IdGenerator", "user_id"]


class IdGenerator:
    """Generates ids."""

    def __init__(self, seed: str | None, node: str | None, nonce: str) -> None:
        self._origin = f"{node or ''}\x1f{nonce if seed is None else seed}\x1f{seed is None}"
        self._arrivals: Counter[str] = Counter()

    def new(self, kind: str) -> str:
        """Return the next id of a kind: 32 lower-case hexadecimal digits."""
        return self.numbered(kind, self.number(kind))

    def number(self, kind: str) -> int:
        """Reserve the number of the next id of a kind; `numbered` generates the id if it is needed."""
        self._arrivals[kind] += 1
        return self._arrivals[kind]

    def numbered(self, kind: str, number: int) -> str:
        """Return the id of a kind that has this number."""
        return _digest(self._origin, kind, str(number))


def user_id(user: str) -> str:
    """Return the id of a user without a role: 32 hexadecimal digits as in GWS, always the same for one name."""
    return _digest("user", user)


def _digest(*parts: str) -> str:
    text = "\x1f".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
