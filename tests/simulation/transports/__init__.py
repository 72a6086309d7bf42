"""The transports of simulated clients. Each module in this folder is one; a new kind of channel joins by a module.

A module has a `TRANSPORT` of a class with the interface of `Transport`.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Protocol

from cometreel.wire import Headers, Request


class Transport(Protocol):
    """The way in which a client sends Bayeux messages, and reads the reply."""

    name: str
    """The connection type in Bayeux messages."""
    has_socket: bool
    """True if the client opens a connection first, and sends frames on it."""

    def request(self, number: int, endpoint: str, text: str, headers: Headers) -> Request:
        """Return the request that carries messages, or that opens the connection if it has a socket."""

    def text_of(self, body: bytes) -> bytes | str:
        """Return the JSON in the body of a reply."""


def _transports() -> dict[str, Transport]:
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.TRANSPORT.name: module.TRANSPORT for module in modules}


TRANSPORTS: dict[str, Transport] = _transports()
"""All transports, by name."""
