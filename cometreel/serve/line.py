"""What a door knows of the connection below it, beyond ASGI: whether it is lost, and how to end it without a reply.

ASGI has no word for either. A server that offers a line puts it into `scope["extensions"]`; nothing else may enter.
"""

from __future__ import annotations

from typing import Protocol

from starlette.types import Scope

__all__ = ["LINE", "HttpLine", "Line", "http_line_of", "line_of"]

LINE = "cometreel.line"
"""Under this key of `scope["extensions"]`."""


class Line(Protocol):
    """One connection."""

    lost: bool
    """Whether the client is gone, so that what is sent now can't reach it."""

    def abort(self) -> None:
        """End the connection at once; what was not written yet is thrown away."""


class HttpLine(Line, Protocol):
    """The connection of an HTTP request, which can hold an answer back until it is whole."""

    def gather(self) -> None:
        """Hold back what is written from now on, until `flush`: head and body of an answer that is whole."""

    def flush(self) -> None:
        """Write at once what was held back: a client that waits is woken once, by one packet."""


def line_of(scope: Scope) -> Line | None:
    """Return the line that a request came on; None if the server offers none."""
    line: Line | None = scope.get("extensions", {}).get(LINE)
    return line


def http_line_of(scope: Scope) -> HttpLine | None:
    """Return the line of an HTTP request; None if the server offers none."""
    line: HttpLine | None = scope.get("extensions", {}).get(LINE)
    return line
