"""Who an agent is towards the server: its credentials, its cookies, its CSRF token, and the requests that bear them.

What is secret is sent to the target, and shown nowhere else.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from cometreel.jsonvalue import encode

from .cookie_line import CookieLine
from .http_bytes import HttpReply, RequestHead
from .login_steps import Login, Step

__all__ = ["Credentials", "Identity"]

_ANNOUNCES = b"x-csrf-header"  # a reply names the header that the token must come back under (GWS, CSRFProtection)
_TOKEN = b"x-csrf-token"
_OURS = frozenset({b"set-cookie", _ANNOUNCES})


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and its password."""

    user: str
    password: str

    def basic(self) -> str:
        """The value of the `Authorization` header (RFC 7617, in UTF-8)."""
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


class Identity:
    """What one agent sends with each request. With `basic` its credentials go along always, with `session` once."""

    def __init__(self, authority: str, login: Login, who: Credentials | None) -> None:
        secret = {"Authorization": who.basic()} if who is not None and login != "open" else {}
        self._always = secret if login == "basic" else {}
        self._once = "".join(f"{name}: {value}\r\n" for name, value in secret.items()) if login == "session" else ""
        self._cookies = CookieLine()
        self.head = RequestHead(authority, {"Accept": "application/json", **self._always}.items())

    def take(self, reply: HttpReply) -> None:
        """Keep the cookies that a reply sets, and the CSRF token that it announces."""
        for name, _ in reply.headers:  # most replies have nothing for us, and there are very many
            if name in _OURS:
                break
        else:
            return
        if self._cookies.take(reply.headers):
            self.head.put("Cookie", self._cookies.line)
        announced, token = reply.header(_ANNOUNCES), reply.header(_TOKEN)
        if announced is not None and token is not None:
            self.head.put(announced.decode("latin-1"), token.decode("latin-1"))

    def request(self, step: Step) -> bytes:
        """Return a step of the login as bytes."""
        extra = self._once.encode() if step.credentials else b""
        if step.body is None:
            return self.head.get(step.target, extra)
        return self.head.post(step.target, encode(step.body), extra)

    def fields(self) -> dict[str, str]:
        """What the opening handshake of a WebSocket carries."""
        return {**self._always, **({"Cookie": self._cookies.line} if self._cookies.line else {})}
