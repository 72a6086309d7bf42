"""Authentication of the admin API: requests from this machine, not from other web pages, with the token of this run.

The token is never logged and never part of an error.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cometreel.errors import OptionInvalid

if TYPE_CHECKING:
    from starlette.datastructures import Headers

__all__ = ["TOKEN_VARIABLE", "AdminAuth", "AuthenticatedApp", "Peers", "token_from"]

TOKEN_VARIABLE = "COMETREEL_ADMIN_TOKEN"  # noqa: S105  # the variable's name
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")  # valid in a URL, a header field and a cookie without encoding

Peers: TypeAlias = Literal["loopback", "any"]

_SECURITY_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def token_from(environment: Mapping[str, str]) -> str:
    """Return the token of this run: from the environment, else a new one.

    :raises OptionInvalid: if the token in the environment is invalid.
    """
    given = environment.get(TOKEN_VARIABLE)
    if not given:
        return secrets.token_urlsafe(24)
    if not _TOKEN.fullmatch(given):
        raise OptionInvalid(
            TOKEN_VARIABLE,
            f"its value of {len(given)} characters is not a token",
            "16 to 200 letters, digits and . _ ~ -",
            "unset it to get a new token for each run",
        )
    return given


@dataclass(frozen=True, slots=True)
class AdminAuth:
    """Allows requests with the token. `peers` restricts them to this machine or allows any address."""

    token: str = field(repr=False)
    peers: Peers = "loopback"

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return why a request is refused, as HTTP status and text; None if it is allowed."""
        from starlette.datastructures import Headers  # noqa: PLC0415  # slow, and not needed before the first request

        headers = Headers(scope=scope)
        if self.peers == "loopback" and not _is_local(scope, headers):
            return 403, "only this machine may use the admin API (see: cometreel serve --admin-from)"
        if self.peers == "loopback" and not _is_local_name(headers.get("host", "")):
            return 403, "the Host of the request is not this machine; use 127.0.0.1 or localhost"
        if not _is_same_origin(headers):
            return 403, "another web page may not use the admin API"
        if not any(
            secrets.compare_digest(token.encode(), self.token.encode()) for token in _sent_tokens(scope, headers)
        ):
            return 401, (
                "the token of this run is missing or wrong; "
                "send Authorization: Bearer TOKEN, or open /__reel__/?token=TOKEN in a browser"
            )
        return None


class AuthenticatedApp:
    """An application that requires authentication. A browser with the token in the URL gets it as a cookie."""

    def __init__(self, app: ASGIApp, auth: AdminAuth) -> None:
        self._app, self._auth = app, auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; refuse WebSockets."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # RFC 6455 §7.4.1: policy violation
            return
        from starlette.datastructures import Headers as RequestHeaders  # noqa: PLC0415  # as above
        from starlette.datastructures import MutableHeaders  # noqa: PLC0415
        from starlette.responses import JSONResponse, Response  # noqa: PLC0415

        from cometreel.serve.admin.console import accepts_html, refusal_page  # noqa: PLC0415

        cookie = self._cookie(scope) if _in_query(scope) else None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY_HEADERS)
                if cookie is not None and message["status"] < 400:
                    headers.append("set-cookie", cookie)
            await send(message)

        refusal = self._auth.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            status, text = refusal
            response: Response = JSONResponse({"problems": [{"text": text}]}, status)
            if accepts_html(RequestHeaders(scope=scope)):
                response = refusal_page(status, text)
            if status == 401:
                response.headers["www-authenticate"] = 'Bearer realm="cometreel"'
            await response(scope, receive, send_with_headers)

    def _cookie(self, scope: Scope) -> str:
        secure = "; Secure" if scope["scheme"] == "https" else ""
        return f"{_cookie_name(scope)}={self._auth.token}; Path=/__reel__; HttpOnly; SameSite=Strict{secure}"


def _sent_tokens(scope: Scope, headers: Headers) -> list[str]:
    """Return the tokens of a request: Authorization, cookie, query."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    tokens = [credentials.strip()] if scheme.lower() == "bearer" else []
    name = _cookie_name(scope)
    pairs = (pair.strip().partition("=") for field in headers.getlist("cookie") for pair in field.split(";"))
    tokens += [value for key, _, value in pairs if key == name]  # all: other programs may set cookies on 127.0.0.1
    return tokens + _in_query(scope)


def _in_query(scope: Scope) -> list[str]:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [])


def _cookie_name(scope: Scope) -> str:
    """Return a cookie name with the port, because browsers share cookies between the ports of a host."""
    _, port = scope.get("server") or ("", "")
    return f"reel-admin-{port}"


def _is_local(scope: Scope, headers: Headers) -> bool:
    """Tell whether a request comes from this machine; a forwarded request may come from any."""
    client = scope.get("client")
    proxied = "forwarded" in headers or "x-forwarded-for" in headers
    return client is not None and not proxied and _is_loopback(client[0])


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.is_loopback
    return found.is_loopback


def _is_local_name(host: str) -> bool:
    """Tell whether a Host is this machine; another name may be an attacker's that resolves to 127.0.0.1."""
    name = _parts(f"//{host}")[0]
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_same_origin(headers: Headers) -> bool:
    """Tell whether a request comes from a page of this server, or from no web page (RFC 6454 §7)."""
    origin = headers.get("origin")
    return origin is None or (origin != "null" and _authority(origin) == _authority(f"//{headers.get('host', '')}"))


def _parts(address: str) -> tuple[str, str]:
    """Return the host name and the authority of a URL; empty texts if it is invalid."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.netloc.lower()
    except ValueError:
        return "", ""


def _authority(address: str) -> str:
    return _parts(address)[1]
