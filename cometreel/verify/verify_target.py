"""The server to verify: its address, how to check its certificate, and the errors if it can't be used.

Error texts contain the address and never credentials.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cometreel.errors import OptionInvalid

__all__ = ["VerifyTarget", "parse_target"]


@dataclass(frozen=True, slots=True)
class VerifyTarget:
    """The address of the server. `base` is the URL without a final slash; `ca` None means the system's certificates."""

    base: str
    host: str
    ca: Path | None = None
    insecure: bool = False

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context that checks the server's certificate.

        :raises OptionInvalid: if the file of certificates can't be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            found = f"{self.ca} can't be used: {reason}"
            raise OptionInvalid("--ca", found, "a file of certificates (PEM)") from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def unreachable_error(self, reason: str) -> OptionInvalid:
        """Return the error for a server that does not answer or whose certificate is not trusted."""
        hint = "pass a self-signed server's certificate with --ca FILE" if "certificate" in reason.lower() else ""
        return OptionInvalid("--against", f"no usable answer from {self.base}: {reason}", "a server that answers", hint)

    def redirect_error(self, request: str, location: str) -> OptionInvalid:
        """Return the error for a redirect, which is not followed because it would send credentials elsewhere."""
        parts = urlsplit(location)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else parts.path
        found = f"{request} is redirected to {place.partition(';')[0] or 'nowhere'}"
        return OptionInvalid("--against", found, "the final address", "redirects are not followed")

    def too_long_error(self, request: str, limit: int) -> OptionInvalid:
        """Return the error for a reply that is too long to be compared, or endless."""
        found = f"the reply to {request} has more than {limit} bytes"
        return OptionInvalid("--against", found, f"replies of at most {limit} bytes")

    def refused_error(
        self, session: str, status: int, names: tuple[str, str], *, with_credentials: bool
    ) -> OptionInvalid:
        """Return the error for a refused login, or for a request without one."""
        action = "refused the login of" if with_credentials else "requires a login for"
        found = f"{self.base} {action} {session!r}: status {status}"
        return OptionInvalid(
            names[0], found, f"a login name in {names[0]} and its password in {names[1]}", "or --netrc FILE"
        )


def parse_target(url: str, *, ca: Path | None = None, insecure: bool = False) -> VerifyTarget:
    """Parse the URL of a server; its path is prepended to the recorded paths.

    :raises OptionInvalid: if it isn't an http or https URL, or has credentials, a query or a fragment.
    """
    parts = _split(url)
    if parts.username is not None or parts.password is not None:
        raise OptionInvalid(
            "--against", "credentials in the URL", "credentials in the environment or a netrc file", "see --help"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionInvalid("--against", repr(url), "http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.query or parts.fragment:
        raise OptionInvalid("--against", repr(url), "a URL without ? and #")
    return VerifyTarget(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", parts.hostname, ca, insecure)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number
    except ValueError as error:
        raise OptionInvalid("--against", f"{url!r}: {error}", "http://HOST[:PORT] or https://HOST[:PORT]") from None
    return parts
