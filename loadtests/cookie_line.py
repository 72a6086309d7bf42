"""The cookies of one agent towards one host, kept as the line that it sends. No other host and no path may enter.

A real jar compares domains, paths and times for each request, and takes a quarter of a request's Python time; an
agent has one server and sends it whatever it was given.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["CookieLine"]

_EPOCH = "1970"  # the year to which servers date back a cookie that they take away


class CookieLine:
    """Cookies by name, the latest of each (RFC 6265 §5.3), and `line`, the value of the `Cookie` header."""

    __slots__ = ("_cookies", "line")

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}
        self.line = ""

    def take(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Take the cookies that a reply sets or takes away; return whether the line is another one now."""
        before = self.line
        for name, value in headers:
            if name == b"set-cookie":
                self._set(value.decode("latin-1"))
        if self._cookies or before:
            self.line = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return self.line != before

    def _set(self, field: str) -> None:
        pair, *attributes = [part.strip() for part in field.split(";")]
        name, equals, value = pair.partition("=")
        if not equals or not name:
            return
        self._cookies.pop(name, None)
        if not any(_takes_away(attribute.lower()) for attribute in attributes):
            self._cookies[name] = value

    def __repr__(self) -> str:
        return f"CookieLine({list(self._cookies)})"  # values are secrets


def _takes_away(attribute: str) -> bool:
    key, _, value = attribute.partition("=")
    if key == "max-age":
        return value.startswith("-") or value.strip() == "0"
    return key == "expires" and _EPOCH in value
