"""Cross-origin resource sharing: lets web pages of other origins use a replay (https://fetch.spec.whatwg.org, §3.3).

An allowed origin is echoed, never `*`, because pages send cookies and credentials. The `Access-Control-*` fields of a
scenario are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cometreel.wire import Headers, Reply, Request

__all__ = ["ANY_ORIGIN", "CrossOriginAccess", "is_origin"]

ANY_ORIGIN = "*"

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://(\[[0-9a-fA-F:.]+\]|[^/?#\s:@\[\]*]+)(:[0-9]{1,5})?")
_PREFIX = "access-control-"
_MAX_AGE = 600  # seconds
_READABLE = frozenset(
    {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
)
"""The fields that a page can read without `Access-Control-Expose-Headers`."""
_NEVER_READABLE = frozenset({"set-cookie", "set-cookie2", "vary"})


def is_origin(text: str) -> bool:
    """Tell whether a text is an origin as browsers send it, `null`, or `*` for any."""
    return _ORIGIN.fullmatch(text) is not None


class CrossOriginAccess:
    """The rules for pages of other origins: those that are allowed; `*` allows any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.lower() for origin in origins)

    def preflight(self, request: Request) -> Reply | None:
        """Return the reply to a preflight request of an allowed origin; None for another request."""
        wanted, fields = request.headers.get("access-control-request-method"), request.headers
        if request.method != "OPTIONS" or wanted is None or not self._allows(fields.get("origin")):
            return None
        headers = [("Access-Control-Allow-Methods", wanted), ("Access-Control-Max-Age", str(_MAX_AGE))]
        if (names := fields.get("access-control-request-headers")) is not None:
            headers.append(("Access-Control-Allow-Headers", names))
        if fields.get("access-control-request-private-network") == "true":
            headers.append(("Access-Control-Allow-Private-Network", "true"))
        vary = "Access-Control-Request-Method, Access-Control-Request-Headers"
        return Reply(request.id, 204, Headers([*headers, *self._allowed(str(fields.get("origin"))), ("Vary", vary)]))

    def reply(self, request: Headers, reply: Reply) -> Reply:
        """Return a reply with the fields for the page that sent the request."""
        return Reply(reply.request_id, reply.status, Headers(self.fields(request, reply.headers)), reply.body)

    def fields(self, request: Headers, reply: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the header fields of a reply with those for the page that sent the request."""
        kept = [(name, value) for name, value in reply if not name.lower().startswith(_PREFIX)]
        origin = request.get("origin")
        if not self._allows(origin):
            return [*kept, ("Vary", "Origin")]
        names = {name.lower(): name for name, _ in kept}
        exposed = [name for lower, name in names.items() if lower not in _READABLE and lower not in _NEVER_READABLE]
        expose = [("Access-Control-Expose-Headers", ", ".join(exposed))] if exposed else []
        return [*kept, *self._allowed(str(origin)), *expose]

    def _allows(self, origin: str | None) -> bool:
        if origin is None or not is_origin(origin):
            return False
        return ANY_ORIGIN in self._origins or origin.lower() in self._origins

    def _allowed(self, origin: str) -> list[tuple[str, str]]:
        return [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Vary", "Origin"),
        ]
