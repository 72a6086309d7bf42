"""The interface of the engine: requests in, effects out.

The engine opens no socket, never sleeps and reads no clock. Its caller (the mitmproxy addon, the ASGI server, a test)
creates a `Request`, calls the engine with the time, and performs the effects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass
from encodings.aliases import aliases
from functools import lru_cache
from http import HTTPStatus
from typing import Literal, TypeAlias

from cometreel.value_copies import copy_by_constructor

__all__ = [
    "Accept",
    "Begin",
    "Chunk",
    "Drop",
    "Effect",
    "End",
    "Forward",
    "Frame",
    "Headers",
    "Log",
    "Reply",
    "Request",
    "charset_of",
]


_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_CODECS = frozenset(
    {
        *(f"iso8859_{number}" for number in (*range(2, 12), *range(13, 17))),
        *(f"cp{number}" for number in (*range(1250, 1259), 932, 949)),
        *("latin_1", "koi8_r", "koi8_u", "shift_jis", "euc_jp", "euc_kr", "gb2312", "gbk", "gb18030", "big5"),
        *("utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"),
    }
)
"""Python's names of the charsets of texts. It has others, such as `zip` and `idna`, which a client must not choose."""


@lru_cache(maxsize=1024)
def charset_of(content_type: str) -> str:
    """Return Python's name of the charset in a Content-Type; empty for UTF-8, for an unknown one and for none."""
    found = _CHARSET.search(content_type)
    name = found[1].lower().replace("-", "_") if found else ""
    codec = aliases.get(name, name)
    return codec if codec in _CODECS else ""


class Headers:
    """HTTP header fields: ordered, repeatable, with case-insensitive names."""

    __slots__ = ("_by_name", "_charset", "_cookies", "fields")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.fields = tuple(fields)
        """The fields, in order."""
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
            for name, value in self.fields:
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
            self._charset = charset_of(self.get("content-type") or "")
        return self._charset

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return f"Headers({[name for name, _ in self.fields]})"  # values may be secrets


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
class Begin:
    """Start an HTTP reply whose body is sent in parts: any number of `Chunk` follow, then `End` or `Drop`."""

    request_id: int
    status: int
    headers: Headers = Headers()


@dataclass(slots=True, unsafe_hash=True)
class Chunk:
    """Send a part of the body of a reply that has begun; `delivered` or `gone` follows for each, in order."""

    request_id: int
    data: bytes


@dataclass(slots=True, unsafe_hash=True)
class End:
    """End a reply that was sent in parts. Nothing follows, except `delivered` for its last parts."""

    request_id: int


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


Effect: TypeAlias = Reply | Begin | Chunk | End | Accept | Frame | Drop | Forward | Log

copy_by_constructor(__name__)
