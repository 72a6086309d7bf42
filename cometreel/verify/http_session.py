"""One live HTTP session over httpx: its cookies, its login, its CSRF token, and what is said when it is turned away.

Knows nothing of CometD; what is asked and what it means is others' part.
"""

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

MAX_REPLY = 16 * 1024 * 1024  # bytes, decoded; a replay takes no longer requests either
_REFUSALS = (401, 403)
_READING = ("GET", "HEAD")


class NoAnswer(CometreelError):
    """A request that was not answered; the text is the reason."""


class HttpSession:
    """One part's session. `patience_seconds` is how long an answer may take; `hide` is told each secret."""

    def __init__(
        self,
        part: str,
        target: VerifyTarget,
        context: ssl.SSLContext,
        credentials: Credentials | None,
        patience_seconds: float,
        hide: Callable[[str], None],
    ) -> None:
        self.part, self.target = part, target
        self.patience_seconds, self.hide = patience_seconds, hide
        self._context = context
        self._login = [] if credentials is None else [("Authorization", _basic(credentials))]
        self._http = self._client()
        self._csrf: tuple[str, str] | None = None
        self._answered = False
        self._admitted = False

    def _client(self) -> httpx.AsyncClient:
        # nothing of the environment: a proxy or a netrc there would change what is asked
        return httpx.AsyncClient(
            verify=self._context, trust_env=False, timeout=self.patience_seconds, follow_redirects=False
        )

    async def ask(self, ask: BuiltRequest, recorded: int | None, seconds: float) -> LiveReply:
        """Send a request; `recorded` is the status that it had, `seconds` the time that it took.

        :raises Unanswered: if nothing comes back in time, once something has.
        :raises OptionInvalid: if the server can't be reached, redirects, refuses the login, or answers without end.
        """
        reply = await self._reply(self._http, ask, self.own_headers(ask.method), recorded, seconds)
        self._keep_token(reply.headers)
        if reply.status not in _REFUSALS:
            self._admitted = True
        elif not self._admitted and reply.status != recorded:
            raise self._refused(reply.status)
        return reply

    async def ask_as_stranger(self, ask: BuiltRequest, recorded: int | None, seconds: float) -> LiveReply:
        """Send a request without the session and without credentials.

        :raises Unanswered: if nothing comes back in time, once something has.
        :raises OptionInvalid: if the server can't be reached, redirects, or answers without end.
        """
        async with self._client() as somebody:
            return await self._reply(somebody, ask, (), recorded, seconds)

    async def post(self, path: str, body: bytes, seconds: float) -> LiveReply | None:
        """Post JSON beside what the scenario asks; None if nothing usable comes back in time.

        :raises OptionInvalid: if the server can't be reached, redirects, refuses the login, or answers without end.
        """
        ask = BuiltRequest("POST", path, headers=(("Content-Type", "application/json;charset=UTF-8"),), body=body)
        try:
            reply = await self._reply(self._http, ask, self.own_headers("POST"), None, seconds - self.patience_seconds)
        except NoAnswer:
            return None
        if reply.status in _REFUSALS and not self._admitted:
            raise self._refused(reply.status)
        self._admitted = self._admitted or reply.status == 200
        return reply

    def own_headers(self, method: str) -> list[tuple[str, str]]:
        """Basic on every request, as some clients do and every server takes; the token where one was announced."""
        token = [self._csrf] if self._csrf is not None and method not in _READING else []
        return [*self._login, *token]

    async def close(self) -> None:
        """Let go of every connection."""
        await self._http.aclose()

    async def _reply(
        self,
        client: httpx.AsyncClient,
        ask: BuiltRequest,
        own: Sequence[tuple[str, str]],
        recorded: int | None,
        seconds: float,
    ) -> LiveReply:
        headers = [(name.encode(), value.encode()) for name, value in (*own, *ask.headers)]
        limit = seconds + self.patience_seconds
        url, asked = f"{self.target.base}{ask.url}", f"{ask.method} {ask.path}"
        try:
            async with client.stream(ask.method, url, headers=headers, content=ask.body or None, timeout=limit) as got:
                body = await self._body(got, asked)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unanswered(error, limit) from None
        self._answered = True
        if got.is_redirect and got.status_code != recorded:
            raise self.target.redirected(asked, got.headers.get("location", ""))
        return LiveReply(got.status_code, Headers(got.headers.multi_items()), body)

    async def _body(self, got: httpx.Response, asked: str) -> bytes:
        """Read a reply, as long as it can be one of a recorded kind; what has no end would fill the memory."""
        body = bytearray()
        async for piece in got.aiter_bytes():
            body += piece
            if len(body) > MAX_REPLY:
                raise self.target.too_long(asked, MAX_REPLY)
        return bytes(body)

    def _unanswered(self, error: Exception, limit: float) -> CometreelError:
        """What it means that nothing came: a server that has never answered, or can't be reached, is none."""
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            reason = f"nothing within {limit:g} s"
        if not self._answered or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL):
            return self.target.unreachable(reason)
        return NoAnswer(reason)

    def _keep_token(self, headers: Headers) -> None:
        """GWS announces the name of the header in one header, and the token under that name."""
        name = headers.get("X-CSRF-HEADER")
        token = headers.get(name) if name else None
        if name and token:
            self._csrf = (name, token)
            self.hide(token)

    def _refused(self, status: int) -> CometreelError:
        return self.target.refused(
            self.part, status, environment_variables(self.part), with_credentials=bool(self._login)
        )


def _basic(credentials: Credentials) -> str:
    """RFC 7617, in UTF-8."""
    pair = credentials.user.encode() + b":" + credentials.password.reveal()
    return f"Basic {base64.b64encode(pair).decode()}"
