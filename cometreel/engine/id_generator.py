"""Opaque ids: session ids, client ids, browser cookies, CSRF tokens. They mean nothing and never repeat.

Made from (seed, node, arrival number), and without a seed from the nonce of this run too, so that a stale cookie
never names someone else's session. No randomness is drawn here.
"""

from __future__ import annotations

import hashlib
from collections import Counter

__all__ = ["IdGenerator", "user_id"]


class IdGenerator:
    """Makes ids, a new one at each call."""

    def __init__(self, seed: str | None, node: str | None, nonce: str) -> None:
        self._origin = f"{node or ''}\x1f{nonce if seed is None else seed}\x1f{seed is None}"
        self._arrivals: Counter[str] = Counter()

    def new(self, kind: str) -> str:
        """Make the next id of a kind: 32 lower-case hexadecimal digits."""
        return self.numbered(kind, self.number(kind))

    def number(self, kind: str) -> int:
        """Reserve the next id of a kind, for one that is seldom needed: it is made by `numbered`."""
        self._arrivals[kind] += 1
        return self._arrivals[kind]

    def numbered(self, kind: str, number: int) -> str:
        """Make the id of a kind that has this number."""
        return _digest(self._origin, kind, str(number))


def user_id(user: str) -> str:
    """The id of a user whom no role names: always the same for one name, 32 hexadecimal digits as in GWS."""
    return _digest("user", user)


def _digest(*parts: str) -> str:
    text = "\x1f".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
