"""The URL of the real server: checked before anything starts. Nothing is asked here."""

from __future__ import annotations

from urllib.parse import urlsplit

from cometreel.errors import OptionInvalid

__all__ = ["checked_upstream"]


def checked_upstream(url: str) -> str:
    """Return a base URL that can be forwarded to, without a slash at its end.

    :raises OptionInvalid: if it isn't one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise OptionInvalid("upstream", f"{url!r} can't be forwarded to", "a URL like http://gws.example:8080")
    return url.rstrip("/")
