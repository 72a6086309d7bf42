"""One live HTTP session over httpx: cookies, Basic authentication, the CSRF token, and errors of the connection."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Sequence

import httpx

from cometreel.errors import CometreelError
from cometreel.verify.credentials import Credentials, environment_variables
from cometreel.verify.observations import LiveReply
from cometreel.verify.request_building import BuiltRequest
from cometreel.verify.verify_target import VerifyTarget
from cometreel.wire import Headers

__all__ = ["HttpSession", "NoAnswer"]

MAX_REPLY = 16 * 1024 * 1024  # decoded bytes; the limit of a replay's requests is the same
_REFUSALS = (401, 403)
_SAFE_METHODS = ("GET", "HEAD")


class NoAnswer(CometreelError):
    """No reply to a request; the text is the reason."""


class HttpSession:
    """The HTTP session of one session plan.

    `patience_seconds` is the time that a reply may take beyond the recorded one. `add_secret` is called with each
    secret that the server sends.
    """

    def __init__(
        self,
        name: str,
        target: VerifyTarget,
        context: ssl.SSLContext,
        credentials: Credentials | None,
        patience_seconds: float,
        add_secret: Callable[[str], None],
    ) -> None:
        self.name, self.target = name, target
        self.patience_seconds, self.add_secret = patience_seconds, add_secret
        self._context = context
        self._login = [] if credentials is None else [("Authorization", _basic(credentials))]
        self._http = self._client()
        self._csrf: tuple[str, str] | None = None
        self._server_reached = False
        self._login_accepted = False

    def _client(self) -> httpx.AsyncClient:
        # trust_env=False: a proxy or netrc file of the environment would change the requests
        return httpx.AsyncClient(
            verify=self._context, trust_env=False, timeout=self.patience_seconds, follow_redirects=False
        )

    async def send(self, request: BuiltRequest, recorded: int | None, seconds: float) -> LiveReply:
        """Send a request; `recorded` is the recorded status, `seconds` the recorded time until the reply.

        :raises NoAnswer: if there is no reply in time, but there was one to an earlier request.
        :raises OptionInvalid: if the server can't be reached, redirects, refuses the login, or sends too long a reply.
        """
        reply = await self._exchange(self._http, request, self.session_headers(request.method), recorded, seconds)
        self._keep_token(reply.headers)
        if reply.status not in _REFUSALS:
            self._login_accepted = True
        elif not self._login_accepted and reply.status != recorded:
            raise self._refused(reply.status)
        return reply

    async def send_anonymously(self, request: BuiltRequest, recorded: int | None, seconds: float) -> LiveReply:
        """Send a request without cookies and credentials.

        :raises NoAnswer: if there is no reply in time, but there was one to an earlier request.
        :raises OptionInvalid: if the server can't be reached, redirects, or sends too long a reply.
        """
        async with self._client() as client:
            return await self._exchange(client, request, (), recorded, seconds)

    async def post(self, path: str, body: bytes, seconds: float) -> LiveReply | None:
        """Post JSON that is not in the scenario, such as a Bayeux message; return None if there is no reply in time.

        :raises OptionInvalid: if the server can't be reached, redirects, refuses the login, or sends too long a reply.
        """
        request = BuiltRequest("POST", path, headers=(("Content-Type", "application/json;charset=UTF-8"),), body=body)
        try:
            reply = await self._exchange(
                self._http, request, self.session_headers("POST"), None, seconds - self.patience_seconds
            )
        except NoAnswer:
            return None
        if reply.status in _REFUSALS and not self._login_accepted:
            raise self._refused(reply.status)
        self._login_accepted = self._login_accepted or reply.status == 200
        return reply

    def session_headers(self, method: str) -> list[tuple[str, str]]:
        """Return the Authorization header, for every request, and the CSRF token if the server has announced one."""
        token = [self._csrf] if self._csrf is not None and method not in _SAFE_METHODS else []
        return [*self._login, *token]

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _exchange(
        self,
        client: httpx.AsyncClient,
        request: BuiltRequest,
        session_headers: Sequence[tuple[str, str]],
        recorded: int | None,
        seconds: float,
    ) -> LiveReply:
        headers = [(name.encode(), value.encode()) for name, value in (*session_headers, *request.headers)]
        limit = seconds + self.patience_seconds
        url, request_line = f"{self.target.base}{request.url}", f"{request.method} {request.path}"
        content = request.body or None
        try:
            async with client.stream(request.method, url, headers=headers, content=content, timeout=limit) as response:
                body = await self._read(response, request_line)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._no_answer(error, limit) from None
        self._server_reached = True
        if response.has_redirect_location and response.status_code != recorded:
            raise self.target.redirect_error(request_line, response.headers.get("location", ""))
        return LiveReply(response.status_code, Headers(response.headers.multi_items()), body)

    async def _read(self, response: httpx.Response, request_line: str) -> bytes:
        """Read a body up to the limit; an endless one would fill the memory."""
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_REPLY:
                raise self.target.too_long_error(request_line, MAX_REPLY)
        return bytes(body)

    def _no_answer(self, error: Exception, limit: float) -> CometreelError:
        """Return the error of a request without a reply; it ends the run if the server is unreachable."""
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            reason = f"no reply within {limit:g} s"
        if not self._server_reached or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL):
            return self.target.unreachable_error(reason)
        return NoAnswer(reason)

    def _keep_token(self, headers: Headers) -> None:
        """Keep the CSRF token: GWS sends the name of its header in one header, and the token in that one."""
        name = headers.get("X-CSRF-HEADER")
        token = headers.get(name) if name else None
        if name and token:
            self._csrf = (name, token)
            self.add_secret(token)

    def _refused(self, status: int) -> CometreelError:
        names = environment_variables(self.name)
        return self.target.refused_error(self.name, status, names, with_credentials=bool(self._login))


def _basic(credentials: Credentials) -> str:
    """Return the value of the Authorization header (RFC 7617), in UTF-8."""
    pair = credentials.user.encode() + b":" + credentials.password.reveal()
    return f"Basic {base64.b64encode(pair).decode()}"
