"""A value that must not be seen: prints as asterisks wherever it turns up. Knows nothing of policies or files."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """Hold a value that no log, error or traceback may show; `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Give the value itself, for the one place that computes with it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)
