"""Dataclasses that type checkers treat as frozen, as fast as others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

__all__ = ["immutable"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def immutable(cls: type[T]) -> type[T]:
    """Return a hashable dataclass with slots that type checkers treat as frozen.

    It is not frozen at run time: a frozen dataclass sets each field with `object.__setattr__`, which takes three to six
    times as long (0.9 µs instead of 0.2 µs with eight fields), and these objects are created per request.
    """
    made: Callable[[type[T]], type[T]] = dataclass(slots=True, unsafe_hash=True)
    return made(cls)
