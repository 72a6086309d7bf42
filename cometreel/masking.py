"""Masking: replaces the values that are not shown to users by `[hidden]`.

Secrets are hidden everywhere: in the admin API, near misses, suggested stubs, logs and test failures. Personal data is
hidden in near misses only, because those are sent to clients; the admin API needs a token. `secret_names` has the names
of both, also for recordings.
"""

from __future__ import annotations

from collections.abc import Mapping

from cometreel.jsonvalue import JSON
from cometreel.secret_names import is_secret, is_secret_header, member_name, treatment_of
from cometreel.secret_text import SecretText
from cometreel.secret_values import looks_secret

__all__ = ["HIDDEN", "is_hidden_at", "is_secret", "is_secret_field", "is_secret_header", "masked", "masked_text"]

HIDDEN = "[hidden]"


def is_secret_field(name: str, value: str) -> bool:
    """Tell whether a header field is secret by its name, or contains a secret of a known format."""
    return is_secret_header(name) or looks_secret(value)


def is_hidden_at(pointer: str) -> bool:
    """Tell whether a near miss hides a value; its JSON Pointer begins with a part of the request: `/body/pin`."""
    part, *names = pointer.removeprefix("/").split("/")
    if part == "headers":
        return any(is_secret_header(name) or treatment_of(name) is not None for name in names)
    return any(treatment_of(name, query=part in ("query", "form")) is not None for name in names)


def masked(value: JSON, *, personal: bool = False, query: bool = False) -> JSON:
    """Return the value with its secrets hidden, also in JSON, queries and forms that are strings in it.

    `personal` hides personal data too. `query` says that the value is a query or a form as an object.
    """
    return (_PERSONAL if personal else _SECRETS).masked(value, query=query)


def masked_text(text: str, *, personal: bool = False) -> str:
    """Return a text with its secrets hidden: JSON, a path with its query, a form, XML, header fields or a sentence."""
    return (_PERSONAL if personal else _SECRETS).text.replaced(text)


class _Masking:
    """Hides secrets, and personal data if `personal`."""

    def __init__(self, *, personal: bool) -> None:
        self._personal = personal
        self.text = SecretText(self._hides, lambda _name, _value: HIDDEN, self.masked, sentences=True)

    def masked(self, value: JSON, *, query: bool = False) -> JSON:
        if isinstance(value, dict):
            return {
                name: HIDDEN if self._hides_member(value, name, query) else self.masked(member)
                for name, member in value.items()
            }
        if isinstance(value, list):
            return [self.masked(item) for item in value]
        return self.text.replaced(value) if isinstance(value, str) else value

    def _hides_member(self, members: Mapping[str, JSON], name: str, query: bool) -> bool:
        return self._hides(member_name(members, name), query)

    def _hides(self, name: str, query: bool) -> bool:
        treatment = treatment_of(name, query=query)
        return treatment is not None and (self._personal or treatment in ("secret", "token"))


_SECRETS, _PERSONAL = _Masking(personal=False), _Masking(personal=True)
