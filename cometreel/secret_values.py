"""Secrets that are recognised by their value, whatever their name: keys, tokens and credentials of known formats."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

__all__ = ["basic_credentials", "looks_secret", "replace_secret_values"]

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{1,60}-----(?:(?!-----BEGIN).)*?(?:-----END [A-Z0-9 ]{1,60}-----|\Z)", re.DOTALL
)
_SCHEME = re.compile(
    r"\b(?:[Bb]asic|BASIC|[Bb]earer|BEARER|[Nn]egotiate|[Dd]igest)\s{1,5}(?=[a-z]{0,200}[A-Z0-9+/=_])[A-Za-z0-9+/=._~-]{6,}"
)
_WEB_TOKEN = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{5,}\.[\w-]+\.?[\w-]*")
_USER_INFO = re.compile(r"(?<=://)[^/@\s:\"'<>?#]{1,100}:[^/@\s\"'<>?#]{1,200}(?=@)")
_ISSUED = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        (?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])                     # AWS
      | gh[pousr]_[0-9A-Za-z]{30,} | github_pat_\w{30,}            # GitHub
      | glpat-[\w-]{20,}                                           # GitLab
      | xox[abeprs]-[0-9A-Za-z-]{10,}                              # Slack
      | (?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}                   # Stripe
      | AIza[\w-]{35}                                              # Google
      | SG\.[\w-]{16,}\.[\w-]{16,}                                 # SendGrid
      | npm_[0-9A-Za-z]{36} | pypi-AgEI[\w-]{50,}
    )""",
    re.VERBOSE,
)
_ISSUED_MARKS = ("AKIA", "ASIA", "gh", "glpat-", "xox", "_live_", "_test_", "AIza", "SG.", "npm_", "pypi-")
_SHORTEST_ISSUED = 15
_SHORTEST_BASE64 = 12
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{10,400}={0,2}(?![A-Za-z0-9+/=_-])")
_USER_AND_PASSWORD = re.compile(r"(?=[^:]*[A-Za-z])[\w.@+\\-]{1,100}:(?!//)(?!\d+$)[ -~]{3,200}")
_GLOBAL_ID = re.compile(r"[A-Z]\w*:[0-9a-fA-F-]+")  # such as `User:123`, the ids of GraphQL servers


def looks_secret(value: str) -> bool:
    """Tell whether a text contains a secret of a known format."""
    return replace_secret_values(value, lambda _: "") != value


def replace_secret_values(text: str, replace: Callable[[str], str]) -> str:
    """Return a text with each secret of a known format replaced by `replace(secret)`."""

    def replaced(found: re.Match[str]) -> str:
        return replace(found[0])

    if "-----BEGIN " in text:
        text = _PEM.sub(replaced, text)
    if " " in text:
        text = _SCHEME.sub(replaced, text)
    if "eyJ" in text:
        text = _WEB_TOKEN.sub(replaced, text)
    if "://" in text and "@" in text:
        text = _USER_INFO.sub(replaced, text)
    if len(text) >= _SHORTEST_ISSUED and [mark for mark in _ISSUED_MARKS if mark in text]:
        text = _ISSUED.sub(replaced, text)
    if len(text) >= _SHORTEST_BASE64:
        text = _BASE64.sub(lambda found: replace(found[0]) if basic_credentials(found[0]) else found[0], text)
    return text


def basic_credentials(text: str) -> tuple[str, str] | None:
    """Return user and password if a text is their base64 form (RFC 7617), else None."""
    bare = text.rstrip("=")
    if len(bare) % 4 == 1 or ("=" in text and len(text) % 4):
        return None
    try:
        plain = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    if not _USER_AND_PASSWORD.fullmatch(plain) or _GLOBAL_ID.fullmatch(plain):
        return None
    user, _, password = plain.partition(":")
    return user, password
