"""The real server that everything is forwarded to: its address, checked, and how it is reached. Sends nothing."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cached_property

import httpx

from cometreel.errors import OptionInvalid

__all__ = ["Upstream"]

CONNECT_PATIENCE = 10.0  # seconds until a server that doesn't take a connection counts as down


@dataclass(frozen=True)
class Upstream:
    """A server by scheme, host and port. Certificates are checked; SSL_CERT_FILE names other authorities than usual."""

    scheme: str
    authority: str
    """Host and port as the server's `Host` field has them."""

    @classmethod
    def at(cls, url: str, option: str = "--reel-record") -> Upstream:
        """Read a URL that a user gave under an option.

        :raises OptionInvalid: if it isn't `http://HOST:PORT` or `https://HOST:PORT`.
        """
        expected = "http://HOST:PORT or https://HOST:PORT"
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise OptionInvalid(option, "the URL can't be read", expected) from None
        if parsed.userinfo:
            hint = "the client logs in by itself"
            raise OptionInvalid(option, "the URL holds credentials", expected, hint)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise OptionInvalid(option, repr(url), expected)
        if parsed.raw_path not in (b"", b"/") or parsed.fragment:
            hint = "the client asks for the paths"
            raise OptionInvalid(option, f"{url!r} has a path", expected, hint)
        return cls(parsed.scheme, parsed.netloc.decode("ascii"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def trust(self) -> ssl.SSLContext | None:
        """Whose certificates are believed; None where there are none."""
        return ssl.create_default_context() if self.scheme == "https" else None

    def transport(self) -> httpx.AsyncHTTPTransport:
        """Make what carries HTTP/1.1: any number of connections, for each held poll has its own."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        return httpx.AsyncHTTPTransport(verify=self.trust or False, http2=False, trust_env=False, limits=limits)
