"""The admin API under `/__reel__/`: `cometreel.engine.Control` over HTTP. docs/admin.md shows each path with its JSON.

Browsers get the console at the same address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TypeVar, cast

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.engine import Calls, Control
from cometreel.engine.clock_control import SETTLE, ClockControl, ServerStoppedAdvancing
from cometreel.engine.driver import Driver
from cometreel.engine.request_journal import CallFilters
from cometreel.errors import InputError, OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.scenario import loads
from cometreel.scenario.field_types import Plain
from cometreel.scenario.findings import findings_of, invalid
from cometreel.scenario.model import Block
from cometreel.serve.admin import serializers
from cometreel.serve.admin.auth import AdminAuth, AuthenticatedApp
from cometreel.serve.admin.console import Console, accepts_html
from cometreel.serve.admin.events import MAX_ITEMS, ChangeFeed, stream
from cometreel.serve.app import ADMIN
from cometreel.serve.asgi import headers_of
from cometreel.serve.replay_server import ReplayServer, RunningReplay
from cometreel.serve.request_body import BodyRefused, ClientDisconnected, finish_reading, read_body

__all__ = ["admin_app"]

MAX_BODY = 64 * 1024 * 1024  # a scenario of 10,000 exchanges has about 10 MiB
SCENARIO = "scenario.yaml"  # the file name in problems of an uploaded scenario


class PushBlock(Block):
    """The body of `POST /push`."""

    channel: str
    data: Plain
    ext: dict[str, Plain] | None = None
    session: int | None = None
    user: str | None = None


class SpeedBlock(Block):
    """The body of `PUT /speed`."""

    speed: float


class AdvanceBlock(Block):
    """The body of `POST /clock/advance`. A duration is text with a unit, or a number of seconds."""

    by: str | float
    settle: str | float = SETTLE


B = TypeVar("B", bound=Block)


def admin_app(
    control: Control, driver: Driver, auth: AdminAuth, began: tuple[datetime, float], clock: ClockControl
) -> ASGIApp:
    """Create the admin API of one replay. Call it on the driver's event loop.

    `began` is the start of the server: the time of day, and the same moment on the driver's clock.
    """
    return AuthenticatedApp(_AdminApi(control, driver, began, clock).app, auth)


class _JsonResponse(Response):
    """A JSON response with Cometreel's encoder."""

    media_type = "application/json"

    def render(self, content: JSON) -> bytes:
        return encode(content) + b"\n"


class _UnreadBodyResponse(_JsonResponse):
    """The response to a client that may still be sending the refused body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await finish_reading(receive)
        await send({"type": "http.response.body", "body": b""})


class _AdminApi:
    """The endpoints. The commands are those of `ReplayServer`."""

    def __init__(self, control: Control, driver: Driver, began: tuple[datetime, float], clock: ClockControl) -> None:
        self._control, self._driver = control, driver
        self._server = ReplayServer(RunningReplay(control, driver))
        self._clock = clock
        self._began, self._began_at = began
        self._console = Console()
        self.app = Starlette(
            routes=[
                Route(f"{ADMIN}/console/{{name}}", self._console.file),
                *(Route(f"{ADMIN}{path}", endpoint, methods=[method]) for method, path, endpoint in self._endpoints()),
            ],
            exception_handlers={
                InputError: _invalid_input,
                BodyRefused: _refused,
                ClientDisconnected: _disconnected,
                ServerStoppedAdvancing: _stopped,
                HTTPException: _not_found,
            },
        )

    def _endpoints(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        return [
            ("GET", "/", self._overview),
            ("GET", "/sessions", self._sessions),
            ("GET", "/calls", self._calls),
            ("GET", "/events", self._events),
            ("GET", "/unmatched", self._unmatched),
            ("GET", "/unmatched/{number:int}/exchange", self._suggested_stub),
            ("GET", "/unplayed", self._unplayed),
            ("GET", "/given-up", self._given_up),
            ("GET", "/settings", self._settings),
            ("GET", "/metrics", self._exposition),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults/{number:int}", self._remove_fault),
            ("POST", "/push", self._push),
            ("POST", "/reset", self._reset),
            ("GET", "/clock", self._read_clock),
            ("POST", "/clock/advance", self._advance_clock),
            ("POST", "/clock/freeze", self._freeze_clock),
            ("POST", "/clock/resume", self._resume_clock),
            ("PUT", "/scenario", self._replace),
            ("PUT", "/speed", self._set_speed),
        ]

    # ------------------------------------------------------------------ read
    async def _overview(self, request: Request) -> Response:
        if accepts_html(request.headers):
            return self._console.page()
        return _JsonResponse(serializers.overview(self._control), headers={"vary": "accept"})

    async def _sessions(self, request: Request) -> Response:
        after = _number("after", request.query_params.get("after", "0"))
        limit = _number("limit", request.query_params.get("limit", str(MAX_ITEMS)))
        if not 1 <= limit <= MAX_ITEMS:
            raise OptionInvalid("limit", f"{limit} is out of range", f"a number from 1 to {MAX_ITEMS}")
        found = self._control.sessions_after(after, limit + 1)
        page = found[:limit]
        listed: list[JSON] = [serializers.session_json(one, self._datetime) for one in page]
        return _JsonResponse({"sessions": listed, **({"next": page[-1].number} if len(found) > limit else {})})

    async def _calls(self, request: Request) -> Response:
        return _JsonResponse({"calls": self._calls_json(_filtered(self._server.calls, request))})

    async def _events(self, request: Request) -> Response:
        read = request.headers.get("last-event-id") or request.query_params.get("since")
        since = None if read is None else _number("since", read)
        feed = None
        if "glance" in request.query_params:
            feed = ChangeFeed(
                self._control,
                self._datetime,
                self._began.isoformat(),
                manual_clock=self._clock if self._clock.kind == "manual" else None,
            )
        calls = stream(self._control, self._datetime, self._driver.closing, since, feed)
        return StreamingResponse(calls, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _unmatched(self, _: Request) -> Response:
        return _JsonResponse({"unmatched": self._calls_json(self._server.unmatched)})

    async def _suggested_stub(self, request: Request) -> Response:
        stub = self._control.suggested_stub(request.path_params["number"])
        return Response(stub, media_type="application/yaml")  # RFC 9512

    async def _unplayed(self, _: Request) -> Response:
        return _JsonResponse({"unplayed": [*self._server.unplayed]})

    async def _given_up(self, _: Request) -> Response:
        events = [serializers.given_up_json(event, self._datetime) for event in self._server.given_up]
        return _JsonResponse({"given_up": events})

    async def _settings(self, _: Request) -> Response:
        return _JsonResponse(serializers.settings_json(self._control))

    async def _exposition(self, _: Request) -> Response:
        from cometreel.serve.admin.metrics import CONTENT_TYPE, Metrics  # noqa: PLC0415  # 30 ms, seldom needed

        return Response(Metrics(self._control).exposition(), media_type=CONTENT_TYPE)

    async def _faults(self, _: Request) -> Response:
        return _JsonResponse({"faults": [serializers.fault_json(fault) for fault in self._server.faults]})

    # ------------------------------------------------------------------ change
    async def _add_fault(self, request: Request) -> Response:
        fault, session = await _object(request), request.query_params.get("session")
        added = self._server.fault(fault, session=None if session is None else _number("session", session))
        return _JsonResponse(serializers.fault_json(added), 201)

    async def _remove_fault(self, request: Request) -> Response:
        self._control.remove_fault(request.path_params["number"])
        return Response(status_code=204)

    async def _push(self, request: Request) -> Response:
        push = await _block(PushBlock, "push", request)
        sessions = self._control.receivers(push.session, push.user)
        self._server.push(push.channel, push.data, push.session, user=push.user, ext=push.ext)
        return _JsonResponse({"sessions": [*sessions]})

    async def _reset(self, _: Request) -> Response:
        self._server.reset()
        return Response(status_code=204)

    async def _replace(self, request: Request) -> Response:
        self._server.replace(await asyncio.to_thread(loads, await _body(request), SCENARIO))
        return _JsonResponse(serializers.settings_json(self._control))

    async def _set_speed(self, request: Request) -> Response:
        self._server.speed = (await _block(SpeedBlock, "speed", request)).speed
        return _JsonResponse(serializers.settings_json(self._control))

    async def _read_clock(self, _: Request) -> Response:
        return _JsonResponse(serializers.clock_json(self._clock, self._datetime))

    async def _advance_clock(self, request: Request) -> Response:
        block = await _block(AdvanceBlock, "advance", request)
        result = await self._clock.advance(block.by, settle=block.settle)
        return _JsonResponse({**serializers.clock_json(self._clock, self._datetime), **asdict(result)})

    async def _freeze_clock(self, request: Request) -> Response:
        self._clock.freeze()
        return await self._read_clock(request)

    async def _resume_clock(self, request: Request) -> Response:
        self._clock.resume()
        return await self._read_clock(request)

    # ------------------------------------------------------------------ helpers
    def _calls_json(self, calls: Calls) -> list[JSON]:
        return [serializers.call_json(call, self._datetime) for call in calls]

    def _datetime(self, at: float) -> datetime:
        return self._began + timedelta(seconds=at - self._began_at)


def _filtered(calls: Calls, request: Request) -> Calls:
    """Apply the filters of a query; an empty value selects calls without that property."""
    wanted: dict[str, JSON] = {}
    for name, value in request.query_params.items():
        if name == "since":
            calls = calls.since(_number(name, value))
        elif name != "token":
            wanted[name] = _filter(name, value)
    return calls(**cast(CallFilters, wanted))


def _filter(name: str, text: str) -> JSON:
    if name == "session":
        return _number(name, text)
    if name != "body":
        return text or None
    try:
        return decode(text)
    except NotJSON as error:
        raise OptionInvalid(name, f"it is not JSON: {error}", "a JSON value") from None


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise OptionInvalid(name, f"{text!r} is not a number", "a whole number, 0 or more")
    return int(text)


async def _body(request: Request) -> bytes:
    return await read_body(headers_of(request.scope), request.receive, MAX_BODY)


async def _object(request: Request) -> JSONObject:
    try:
        value = decode(await _body(request))
    except NotJSON as error:
        raise OptionInvalid("body", f"it is not JSON: {error}", "a JSON object") from None
    if not isinstance(value, dict):
        raise OptionInvalid("body", "it is not a JSON object", "a JSON object")
    return value


async def _block(kind: type[B], name: str, request: Request) -> B:
    """Read the body as a block; `name` is its name in problems."""
    value = await _object(request)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise invalid(name, findings_of(error)) from None


def _invalid_input(_: Request, error: Exception) -> Response:
    assert isinstance(error, InputError)
    return _JsonResponse(serializers.problem_json(error), 400)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, BodyRefused)
    kind = _UnreadBodyResponse if error.unread else _JsonResponse
    return kind({"problems": [{"text": error.text}]}, error.status, {"connection": "close", **error.fields})


def _disconnected(_: Request, _error: Exception) -> Response:
    """Answer a client that disconnected while sending its body."""
    return Response(status_code=400)


def _stopped(_: Request, error: Exception) -> Response:
    return _JsonResponse({"problems": [{"text": str(error)}]}, 503)


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"{request.method} {request.url.path} is not part of the admin API; see docs/admin.md"
    return _JsonResponse({"problems": [{"text": text}]}, error.status_code, dict(error.headers or {}))
