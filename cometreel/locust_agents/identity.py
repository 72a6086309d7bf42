"""Who an agent is towards the server: its credentials, its cookies, its CSRF token, and the requests that bear them.

What is secret is sent to the target, and shown nowhere else.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from cometreel.jsonvalue import encode
from cometreel.locust_agents.http_client import HttpReply, RequestHead
from cometreel.locust_agents.login import LoginMode, LoginRequest

__all__ = ["CookieJar", "Identity", "UserCredentials"]

_TOKEN_NAME = b"x-csrf-header"  # a reply names the header that the token must come back under (GWS, CSRFProtection)
_TOKEN = b"x-csrf-token"
_READ_HEADERS = frozenset({b"set-cookie", _TOKEN_NAME})


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """A user name and its password."""

    user: str
    password: str

    def basic(self) -> str:
        """The value of the `Authorization` header (RFC 7617, in UTF-8)."""
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"UserCredentials({self.user!r})"


class Identity:
    """What one agent sends with each request. With `basic` its credentials go along always, with `session` once."""

    def __init__(self, authority: str, login: LoginMode, credentials: UserCredentials | None) -> None:
        secret = {"Authorization": credentials.basic()} if credentials is not None and login != "open" else {}
        self._always = secret if login == "basic" else {}
        self._once = "".join(f"{name}: {value}\r\n" for name, value in secret.items()) if login == "session" else ""
        self._cookies = CookieJar()
        self.head = RequestHead(authority, {"Accept": "application/json", **self._always}.items())

    def update(self, reply: HttpReply) -> None:
        """Keep the cookies that a reply sets, and the CSRF token that it announces."""
        for name, _ in reply.headers:  # most replies have nothing for us, and there are very many
            if name in _READ_HEADERS:
                break
        else:
            return
        if self._cookies.update(reply.headers):
            self.head.set_field("Cookie", self._cookies.header)
        announced, token = reply.header(_TOKEN_NAME), reply.header(_TOKEN)
        if announced is not None and token is not None:
            self.head.set_field(announced.decode("latin-1"), token.decode("latin-1"))

    def request(self, step: LoginRequest) -> bytes:
        """Return a step of the login as bytes."""
        extra = self._once.encode() if step.credentials else b""
        if step.body is None:
            return self.head.get(step.target, extra)
        return self.head.post(step.target, encode(step.body), extra)

    def websocket_headers(self) -> dict[str, str]:
        """What the opening handshake of a WebSocket carries."""
        return {**self._always, **({"Cookie": self._cookies.header} if self._cookies.header else {})}


_EPOCH = "1970"  # the year to which servers date back a cookie that they take away


class CookieJar:
    """Cookies by name, the latest of each (RFC 6265 §5.3), and `line`, the value of the `Cookie` header."""

    __slots__ = ("_cookies", "header")

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}
        self.header = ""

    def update(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Take the cookies that a reply sets or takes away; return whether the line is another one now."""
        before = self.header
        for name, value in headers:
            if name == b"set-cookie":
                self._set(value.decode("latin-1"))
        if self._cookies or before:
            self.header = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return self.header != before

    def _set(self, field: str) -> None:
        pair, *attributes = [part.strip() for part in field.split(";")]
        name, equals, value = pair.partition("=")
        if not equals or not name:
            return
        self._cookies.pop(name, None)
        if not any(_deletes(attribute.lower()) for attribute in attributes):
            self._cookies[name] = value

    def __repr__(self) -> str:
        return f"CookieJar({list(self._cookies)})"  # values are secrets


def _deletes(attribute: str) -> bool:
    key, _, value = attribute.partition("=")
    if key == "max-age":
        return value.startswith("-") or value.strip() == "0"
    return key == "expires" and _EPOCH in value
