"""The server that is verified: its address, how its certificate is checked, and what is said when it can't be used.

Every sentence names the address and never a credential.
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
    """Where to ask: `base` is the URL without a slash at its end; `ca` None trusts what the system does."""

    base: str
    host: str
    ca: Path | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """How certificates are checked.

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

    def unreachable(self, reason: str) -> OptionInvalid:
        """Nobody answers there, or nobody that can be trusted."""
        hint = "for a server with its own certificate: --ca FILE" if "certificate" in reason.lower() else ""
        return OptionInvalid("--against", f"{self.base} can't be asked: {reason}", "a server that answers", hint)

    def redirected(self, asked: str, location: str) -> OptionInvalid:
        """A redirect would take credentials to another place, so it isn't followed."""
        parts = urlsplit(location)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else parts.path
        found = f"{asked} is redirected to {place.partition(';')[0] or 'nowhere'}"
        return OptionInvalid("--against", found, "the address that answers itself", "redirects are not followed")

    def too_long(self, asked: str, limit: int) -> OptionInvalid:
        """A reply that is longer than any that could be compared, or has no end."""
        found = f"{asked} is answered with more than {limit} bytes"
        return OptionInvalid("--against", found, "replies of that length at most")

    def refused(self, part: str, status: int, names: tuple[str, str], *, with_credentials: bool) -> OptionInvalid:
        """The login was refused, or none was tried."""
        what = "refuses the login of" if with_credentials else "wants a login for"
        found = f"{self.base} {what} {part!r}: status {status}"
        return OptionInvalid(names[0], found, f"a login name here and its password in {names[1]}", "or --netrc FILE")


def parse_target(url: str, *, ca: Path | None = None, insecure: bool = False) -> VerifyTarget:
    """Read the address of a server.

    :raises OptionInvalid: if it isn't an http or https URL of just a host, and a path to put before the recorded ones.
    """
    parts = _split(url)
    if parts.username is not None or parts.password is not None:
        raise OptionInvalid("--against", "credentials in the URL", "them in the environment or a netrc, see --help")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionInvalid("--against", repr(url), "http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.query or parts.fragment:
        raise OptionInvalid("--against", repr(url), "a URL without ? and #")
    return VerifyTarget(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", parts.hostname, ca, insecure)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise OptionInvalid("--against", f"{url!r}: {error}", "http://HOST[:PORT] or https://HOST[:PORT]") from None
    return parts
