"""The console: a page for people at the address of the admin API, which it uses as any program does.

Serves its own files only, read once; no call, session or token may enter.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["POLICY", "Console"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
"""The last part sees to it that no text ever becomes markup, also not by a mistake of ours."""

_PAGE = "console.html"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_HEADERS = {"content-security-policy": POLICY, "cross-origin-opener-policy": "same-origin", "vary": "accept"}


class Console:
    """The page and its files."""

    def __init__(self) -> None:
        folder = files(__name__)
        kept = (each for each in folder.iterdir() if each.name.rpartition(".")[2] in _TYPES)
        self._files = {each.name: each.read_bytes() for each in kept}

    def is_wanted(self, request: Request) -> bool:
        """Tell whether a request is a browser's for a page, and not a program's for JSON (RFC 9110 §12.5.1)."""
        return any(kind.partition(";")[0].strip() == "text/html" for kind in _accepted(request))

    def page(self) -> Response:
        """Return the page."""
        return self._response(_PAGE)

    async def file(self, request: Request) -> Response:
        """Return one file of the page.

        :raises HTTPException: if there is none of this name.
        """
        name = request.path_params["name"]
        if name not in self._files:
            raise HTTPException(404)
        return self._response(name)

    def _response(self, name: str) -> Response:
        return Response(self._files[name], media_type=_TYPES[name.rpartition(".")[2]], headers=_HEADERS)


def _accepted(request: Request) -> list[str]:
    return request.headers.get("accept", "").lower().split(",")
