"""The console: a web page at the address of the admin API. It uses the admin API like any other client."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cometreel.html_templates import html_template

__all__ = ["POLICY", "Console", "accepts_html", "refusal_page"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
"""The Content-Security-Policy; its last directive prevents text from being parsed as HTML."""

_PAGE = "console.html"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_HEADERS = {"content-security-policy": POLICY, "cross-origin-opener-policy": "same-origin", "vary": "accept"}


class Console:
    """The page and its files, which are read once."""

    def __init__(self) -> None:
        folder = files(__name__)
        served = (file for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES)
        self._files = {file.name: file.read_bytes() for file in served}

    def page(self) -> Response:
        """Return the page."""
        return self._response(_PAGE)

    async def file(self, request: Request) -> Response:
        """Return one file of the page.

        :raises HTTPException: if there is no file of this name.
        """
        name = request.path_params["name"]
        if name not in self._files:
            raise HTTPException(404)
        return self._response(name)

    def _response(self, name: str) -> Response:
        return Response(self._files[name], media_type=_TYPES[name.rpartition(".")[2]], headers=_HEADERS)


def accepts_html(headers: Headers) -> bool:
    """Tell whether a request accepts HTML, so that it comes from a browser (RFC 9110 §12.5.1)."""
    return any(kind.partition(";")[0].strip() == "text/html" for kind in headers.get("accept", "").lower().split(","))


def refusal_page(status: int, reason: str) -> Response:
    """Return the page for a browser that may not use the console: the reason, and where to find the address."""
    page = html_template(__name__, "refused").render(status=status, reason=reason)
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
    return Response(page, status, {"content-security-policy": policy, "vary": "accept"}, media_type="text/html")
