"""The interface of the engine: requests in, effects out.

The engine opens no socket, never sleeps and reads no clock. Its caller (the mitmproxy addon, the ASGI server, a test)
creates a `Request`, calls the engine with the time, and performs the effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias

__all__ = ["Accept", "Drop", "Effect", "Forward", "Frame", "Headers", "Log", "Reply", "Request"]


_CHARSETS = {
    "iso-8859-1": "latin-1",
    "iso8859-1": "latin-1",
    "latin1": "latin-1",
    "latin-1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"""Names of charsets in lower case, and their names in Python."""


class Headers:
    """HTTP header fields: ordered, repeatable, with case-insensitive names."""

    __slots__ = ("_by_name", "_charset", "_cookies", "_fields")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)
        self._by_name: dict[str, list[str]] | None = None  # built at the first lookup; replies never need it
        self._cookies: dict[str, str] | None = None
        self._charset: str | None = None

    def get(self, name: str) -> str | None:
        """Return the first field with this name, or None."""
        values = (self._by_name or self._index()).get(name.lower())
        return None if values is None else values[0]

    def get_all(self, name: str) -> list[str]:
        """Return all fields with this name, in order."""
        return list(self._index().get(name.lower(), ()))

    def names(self) -> KeysView[str]:
        """Return the names in lower case."""
        return (self._by_name or self._index()).keys()

    def _index(self) -> dict[str, list[str]]:
        if self._by_name is None:
            self._by_name = {}
            for name, value in self._fields:
                self._by_name.setdefault(name.lower(), []).append(value)
        return self._by_name

    def cookies(self) -> Mapping[str, str]:
        """Return the cookies of a request, the first of each name (RFC 6265 §5.4: the most specific is sent first)."""
        if self._cookies is None:
            self._cookies = {}
            for field in self.get_all("cookie"):
                for pair in field.split(";"):
                    name, equals, value = pair.strip().partition("=")
                    if equals:
                        self._cookies.setdefault(name.strip(), value.strip().strip('"'))
        return self._cookies

    def cookie_values(self, name: str) -> list[str]:
        """Return all values of a cookie, in their order: a client may have several for different paths."""
        if name not in self.cookies():
            return []
        pairs = (pair.strip().partition("=") for field in self.get_all("cookie") for pair in field.split(";"))
        return [value.strip().strip('"') for key, equals, value in pairs if equals and key.strip() == name]

    def charset(self) -> str:
        """Return Python's name of the charset in Content-Type; empty for UTF-8, for an unknown one and for none."""
        if self._charset is None:
            self._charset = ""
            for parameter in (self.get("content-type") or "").lower().split(";")[1:]:
                name, _, value = parameter.partition("=")
                if name.strip() == "charset":
                    self._charset = _CHARSETS.get(value.strip().strip("\"'"), "")
        return self._charset

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def __repr__(self) -> str:
        return f"Headers({[name for name, _ in self._fields]})"  # values may be secrets


@dataclass(slots=True, unsafe_hash=True)
class Request:
    """One HTTP request, or the upgrade that opens a WebSocket.

    `id` is chosen by the caller and identifies the request in every effect. `path` and `query` are as sent, still
    percent-encoded, the query without its `?`. `base` is scheme and authority as the client used them
    (`https://gws.example:8443`). `body` is decoded from any Content-Encoding. `address` is the IP address of the
    client, empty if it is not known.
    """

    id: int
    method: str
    path: str
    query: str = ""
    headers: Headers = Headers()
    body: bytes = b""
    base: str = "http://localhost"
    websocket: bool = False
    address: str = ""


@dataclass(init=False, slots=True, unsafe_hash=True)
class Reply:
    """Send this HTTP reply. It refuses a WebSocket upgrade."""

    request_id: int
    status: int
    headers: Headers = Headers()
    body: bytes = b""

    def __init__(
        self,
        request_id: int,
        status: int,
        headers: Headers = Headers(),
        body: bytes = b"",
    ) -> None:
        self.request_id, self.status, self.headers, self.body = request_id, status, headers, body

    @property
    def reason(self) -> str:
        """The standard phrase of the status, empty for an unknown status."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""


@dataclass(slots=True, unsafe_hash=True)
class Accept:
    """Complete the WebSocket upgrade, with these extra header fields."""

    request_id: int
    headers: Headers = Headers()


@dataclass(slots=True, unsafe_hash=True)
class Frame:
    """Send one text frame on an accepted WebSocket; `delivered` or `gone` follows for each, in order."""

    request_id: int
    text: str


@dataclass(slots=True, unsafe_hash=True)
class Drop:
    """Close the connection of this request without a reply, or a WebSocket with this close code."""

    request_id: int
    code: int = 1000


@dataclass(slots=True, unsafe_hash=True)
class Forward:
    """Forward this unmatched request to the real server, with the client's credentials."""

    request_id: int


@dataclass(slots=True, unsafe_hash=True)
class Log:
    """Write this to the log. The text contains no secrets."""

    level: Literal["info", "warning", "error"]
    text: str


Effect: TypeAlias = Reply | Accept | Frame | Drop | Forward | Log
