"""The rule that assigns requests to sessions; replay, recorder, `verify` and load tests share it.

A request belongs to the session of the first of its identities, in the order of `PRECEDENCE`, that is known.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Headers, Request

__all__ = [
    "CREDENTIAL_FIELDS",
    "MESSAGE_CREDENTIALS",
    "PRECEDENCE",
    "IdentityKind",
    "RequestCredentials",
    "TokenHash",
    "client_address",
    "client_ids_of",
    "credentials_of",
    "credentials_of_message",
    "first_known",
    "user_and_password",
]

IdentityKind: TypeAlias = Literal["cookie", "browser", "client", "bound", "credentials"]
"""The session cookie, the Bayeux browser cookie, a clientId, a value that a reply handed out, a user or a token."""

PRECEDENCE: tuple[IdentityKind, ...] = ("cookie", "browser", "client", "bound", "credentials")
"""The order in which the identities of a request are tried."""

_S = TypeVar("_S")


def first_known(find: Mapping[IdentityKind, Callable[[], _S | None]]) -> _S | None:
    """Return the session of the first identity that is known; `find` returns the session of each kind, or None."""
    for kind in PRECEDENCE:
        if kind in find and (found := find[kind]()) is not None:
            return found
    return None


@dataclass(slots=True, unsafe_hash=True)
class RequestCredentials:
    """The credentials of a request: a user name, or a token. Both are None if they identify nobody.

    A token is a secret: keep and compare `TokenHash` only.
    """

    user: str | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return f"RequestCredentials(user={self.user!r}, token={None if self.token is None else '[hidden]'})"


_LOGIN_HEADERS = ("ssid", "RNSID", "x-api-key")
CREDENTIAL_FIELDS = frozenset({"authorization", *(name.lower() for name in _LOGIN_HEADERS)})
"""The header fields that can contain credentials, in lower case."""

_PER_REQUEST = frozenset({"digest", "negotiate", "ntlm", "hawk"})
"""Schemes whose values differ from request to request, so that they identify nobody."""

_SCHEMES = frozenset({"basic", "bearer", "oauth"})


def credentials_of(headers: Headers) -> RequestCredentials | None:
    """Return the credentials of a request, or None.

    Basic gives its user name. Bearer, OAuth and any other scheme with a single token give the token, so that `Bearer T`
    and `OAuth T` are the same. The login headers of GWS (`ssid`, `RNSID`, `x-api-key`) give the user of `RNUSERNAME`.
    """
    if headers.names().isdisjoint(CREDENTIAL_FIELDS):
        return None
    for value in headers.get_all("authorization"):
        if (found := _authorization(value)) is not None:
            return found
    if any(headers.get(name) for name in _LOGIN_HEADERS):
        return RequestCredentials(headers.get("RNUSERNAME"))
    return None


def _authorization(value: str) -> RequestCredentials | None:
    scheme, _, rest = value.strip().partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if scheme == "basic":
        found = user_and_password(rest)
        return RequestCredentials(found[0]) if found is not None and found[0] else None
    if not rest:
        return None
    is_token = scheme not in _PER_REQUEST and not any(mark in rest for mark in ", \t")
    return RequestCredentials(token=rest) if is_token else RequestCredentials()


def user_and_password(credentials: str) -> tuple[str, str] | None:
    """Return user and password of Basic credentials, given without the scheme (RFC 7617); None if they are invalid."""
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


MESSAGE_CREDENTIALS = frozenset({"authorization", "token", "accesstoken", "authtoken", "bearertoken", "jwt"})
"""The members of `ext` that are credentials; case, `-` and `_` are ignored."""


def credentials_of_message(message: Mapping[str, JSON]) -> RequestCredentials | None:
    """Return the credentials in the `ext` of a Bayeux message, or None.

    They are a text in `ext`, or in an object in `ext`, under one of the names in `MESSAGE_CREDENTIALS`. The text is a
    token, or has the form of the Authorization header.
    """
    for name, value in _members(message.get("ext")):
        if isinstance(value, str) and value and _bare(name) in MESSAGE_CREDENTIALS:
            return _of_text(value.strip())
    return None


def _of_text(value: str) -> RequestCredentials | None:
    if " " in value:
        return _authorization(value)
    return RequestCredentials(token=value) if value and value.lower() not in _SCHEMES else None


def _members(ext: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield the members of `ext`, then those of the objects in it."""
    if isinstance(ext, dict):
        yield from ext.items()
        for value in ext.values():
            if isinstance(value, dict):
                yield from value.items()


def _bare(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def client_ids_of(messages: Iterable[JSONObject]) -> list[str]:
    """Return the clientIds of Bayeux messages, in their order."""
    found = (message.get("clientId") for message in messages)
    return list(dict.fromkeys(client_id for client_id in found if isinstance(client_id, str)))


def client_address(request: Request) -> str:
    """Return the IP address of a client, which a proxy sends as X-Forwarded-For; empty if it is not known."""
    forwarded = request.headers.get("x-forwarded-for")
    return forwarded.partition(",")[0].strip() if forwarded else request.address


class TokenHash:
    """Replaces tokens and other secret values by a keyed hash: equal values give equal hashes under one key."""

    __slots__ = ("_key",)

    def __init__(self, key: str | bytes) -> None:
        text = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        self._key = hashlib.blake2b(text, digest_size=32).digest()

    def __call__(self, value: str) -> str:
        """Return the hash of a value: 32 hexadecimal digits."""
        content = value.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, digest_size=16, key=self._key).hexdigest()


copy_by_constructor(__name__)
