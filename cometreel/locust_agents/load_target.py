"""The target of a load test: one server with its address and TLS context, which all agents of a process share.

Loading the CA certificates for each agent would take most of the time and memory of the ramp-up.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cometreel.errors import OptionInvalid

__all__ = ["Address", "LoadTarget", "parse_target"]

_PORTS: Final = {"http": 80, "https": 443}
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_EXPECTED: Final = "a URL such as https://gws.example:8090"


@dataclass(frozen=True, slots=True)
class Address:
    """A socket address: its family, and the argument of `connect`."""

    family: socket.AddressFamily
    socket_address: tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True)
class LoadTarget:
    """One server. `authority` is the value of the `Host` header.

    Certificates are verified only if `trust` is given: test servers often have self-signed ones.
    """

    secure: bool
    host: str
    port: int
    authority: str
    trust: Path | None = None

    @property
    def base(self) -> str:
        """Scheme and authority."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @cached_property
    def address(self) -> Address:
        """The first address of the host.

        :raises OptionInvalid: if the host can't be resolved.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise OptionInvalid(
                "--host", f"{self.host} can't be resolved: {error.strerror}", "a host that can be resolved"
            ) from None
        family, _, _, _, socket_address = found[0]
        return Address(family, socket_address)  # type: ignore[arg-type]  # the type of systems without IPv6 doesn't occur

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The context of all TLS connections of this process."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.trust is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(self.trust)
        return context


def parse_target(url: str | None, trust: Path | None = None) -> LoadTarget:
    """Parse the URL of `--host`.

    :raises OptionInvalid: if it isn't a URL, or contains more than scheme, host and port.
    """
    if not url:
        raise OptionInvalid("--host", "no target is given", _EXPECTED)
    if not _SCHEME.match(url):
        kind = (
            "a file" if Path(url).suffix in {".yaml", ".yml", ".json", ".jsonl"} or Path(url).exists() else "not a URL"
        )
        hint = "to drive load from a scenario: locust -f loadtests/from_scenario.py --reel-scenario FILE --host URL"
        raise OptionInvalid("--host", f"{url!r} is {kind}", _EXPECTED, hint if kind == "a file" else "")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise OptionInvalid("--host", f"{url!r}: {error}", _EXPECTED) from None
    if parts.scheme.lower() not in _PORTS or not host:
        raise OptionInvalid("--host", f"{url!r} is not an HTTP URL", _EXPECTED)
    if parts.path.strip("/") or parts.query or parts.username:
        raise OptionInvalid(
            "--host", "it contains more than scheme, host and port", _EXPECTED, "the paths are those of the API"
        )
    secure = parts.scheme.lower() == "https"
    return LoadTarget(secure, host, port or _PORTS[parts.scheme.lower()], parts.netloc, trust)
