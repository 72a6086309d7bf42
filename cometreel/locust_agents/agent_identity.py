"""The identity of an agent: credentials, cookies and CSRF token, and the requests that contain them.

Secrets are sent to the target only, and never shown.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from cometreel.jsonvalue import encode
from cometreel.locust_agents.http_client import FORM_KIND, HttpReply, RequestHead
from cometreel.locust_agents.login import LoginMode, LoginRequest
from cometreel.value_copies import copy_by_constructor

__all__ = ["CookieJar", "Identity", "UserCredentials"]

_TOKEN_NAME = b"x-csrf-header"  # names the request header for the token (GWS, CSRFProtection)
_TOKEN = b"x-csrf-token"
_READ_HEADERS = frozenset({b"set-cookie", _TOKEN_NAME})


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """A user name and its password."""

    user: str
    password: str

    def basic(self) -> str:
        """Return the value of the `Authorization` header (RFC 7617, in UTF-8)."""
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"UserCredentials({self.user!r})"


class Identity:
    """The headers of one agent. `basic` sends the credentials with each request, `session` with the login only."""

    def __init__(self, authority: str, login: LoginMode, credentials: UserCredentials | None) -> None:
        secret = {"Authorization": credentials.basic()} if credentials is not None and login != "open" else {}
        self._always = secret if login == "basic" else {}
        self._once = "".join(f"{name}: {value}\r\n" for name, value in secret.items()) if login == "session" else ""
        self._cookies = CookieJar()
        self.head = RequestHead(authority, {"Accept": "application/json", **self._always}.items())

    def update(self, reply: HttpReply) -> None:
        """Store the cookies and the CSRF token of a reply."""
        for name, _ in reply.headers:  # most replies have neither, and this runs for each reply
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
        """Return a request of the login as bytes."""
        extra = self._once.encode() if step.credentials else b""
        if step.form is not None:
            return self.head.post(step.target, urlencode(step.form, doseq=True).encode(), extra, kind=FORM_KIND)
        if step.body is None:
            return self.head.get(step.target, extra)
        return self.head.post(step.target, encode(step.body), extra)

    def websocket_headers(self) -> dict[str, str]:
        """Return the headers of the opening handshake of a WebSocket."""
        return {**self._always, **({"Cookie": self._cookies.header} if self._cookies.header else {})}


_EPOCH = "1970"  # servers delete a cookie with an expiry date in this year


class CookieJar:
    """Stores cookies by name (RFC 6265 §5.3). `header` is the value of the `Cookie` header."""

    __slots__ = ("_cookies", "header")

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}
        self.header = ""

    def update(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Store or delete the cookies of a reply; return True if `header` changed."""
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
        return f"CookieJar({list(self._cookies)})"  # the values are secrets


def _deletes(attribute: str) -> bool:
    key, _, value = attribute.partition("=")
    if key == "max-age":
        return value.startswith("-") or value.strip() == "0"
    return key == "expires" and _EPOCH in value


copy_by_constructor(__name__)
