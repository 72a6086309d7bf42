"""Dataclasses that nobody may change, made at the cost of those that anybody may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

__all__ = ["immutable"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def immutable(cls: type[T]) -> type[T]:
    """Make a dataclass with slots that the type checker holds for frozen, and that can be a key.

    At run time nothing keeps it so: a frozen dataclass sets each field through `object.__setattr__`, which made what
    arises for each request three to six times as expensive (0.9 µs instead of 0.2 µs with eight fields).
    """
    made: Callable[[type[T]], type[T]] = dataclass(slots=True, unsafe_hash=True)
    return made(cls)
