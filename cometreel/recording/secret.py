"""A secret value that is never shown in logs, errors and tracebacks."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """Wraps a secret value; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)
