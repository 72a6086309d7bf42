"""The server that requests are forwarded to: its checked address and the HTTP transport."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cached_property

import httpx

from cometreel.errors import OptionInvalid

__all__ = ["Upstream"]

CONNECT_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class Upstream:
    """A server by scheme, host and port. Certificates are verified; SSL_CERT_FILE sets other authorities."""

    scheme: str
    authority: str
    """Host and port as in the `Host` field."""

    @classmethod
    def at(cls, url: str, option: str = "--reel-record") -> Upstream:
        """Parse the URL of a command line option.

        :raises OptionInvalid: if it isn't `http://HOST:PORT` or `https://HOST:PORT`.
        """
        expected = "http://HOST:PORT or https://HOST:PORT"
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise OptionInvalid(option, "the URL is invalid", expected) from None
        if parsed.userinfo:
            hint = "the client sends its own credentials"
            raise OptionInvalid(option, "the URL contains credentials", expected, hint)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise OptionInvalid(option, repr(url), expected)
        if parsed.raw_path not in (b"", b"/") or parsed.fragment:
            hint = "leave out the path; the client sends the paths"
            raise OptionInvalid(option, f"{url!r} has a path", expected, hint)
        return cls(parsed.scheme, parsed.netloc.decode("ascii"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context; None for HTTP."""
        return ssl.create_default_context() if self.scheme == "https" else None

    def transport(self) -> httpx.AsyncHTTPTransport:
        """Return an HTTP/1.1 transport without a limit of connections, because each held poll uses one."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        return httpx.AsyncHTTPTransport(verify=self.ssl_context or False, http2=False, trust_env=False, limits=limits)
