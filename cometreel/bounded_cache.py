"""A cache that is limited by the size of its entries, for keys and values that clients choose."""

from __future__ import annotations

from collections.abc import Callable
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
        self._entries: dict[K, V] = {}
        self._sizes: dict[K, int] = {}
        self.get: Callable[[K], V | None] = self._entries.get  # without a Python call
        """Returns the value of a key; None if there is none."""

    def put(self, key: K, value: V, size: int) -> None:
        """Add or replace a value. A value that is larger than a hundredth of the limit is not kept."""
        if size * 100 > self._limit:
            return
        self._total += size - self._sizes.get(key, 0)
        self._entries[key], self._sizes[key] = value, size
        while self._total > self._limit:
            oldest = next(iter(self._entries))
            del self._entries[oldest]
            self._total -= self._sizes.pop(oldest)
