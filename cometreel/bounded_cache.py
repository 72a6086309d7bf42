"""A cache that is limited by the size of its entries, for keys and values that clients choose."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """A dictionary that drops its oldest entries when the sizes of all entries exceed `limit`.

    Sizes are estimates of the caller, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._entries: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        """Return the value of a key; None if there is none."""
        found = self._entries.get(key)
        return None if found is None else found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Add a value under a new key. A value that is larger than a hundredth of the limit is not kept."""
        if size * 100 > self._limit:
            return
        self._entries[key] = (value, size)
        self._total += size
        while self._total > self._limit:
            oldest = next(iter(self._entries))
            self._total -= self._entries.pop(oldest)[1]
