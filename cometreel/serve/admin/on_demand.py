"""Creates the admin API at its first request: its modules are imported late, so that `serve` starts faster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.engine import Backend, Control
from cometreel.engine.clock_control import ClockControl
from cometreel.engine.driver import Driver
from cometreel.serve.admin.auth import AdminAuth

__all__ = ["admin_factory"]


def admin_factory(auth: AdminAuth) -> Callable[[Driver, Backend, ClockControl], ASGIApp]:
    """Return the factory that makes the admin API of a server."""
    return lambda driver, backend, clock: _AdminOnDemand(driver, backend, clock, auth)


class _AdminOnDemand:
    """An ASGI application that makes the admin API for its first request."""

    def __init__(self, driver: Driver, backend: Backend, clock: ClockControl, auth: AdminAuth) -> None:
        self._driver, self._backend, self._clock, self._auth = driver, backend, clock, auth
        self._began = datetime.now(UTC), driver.now()
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            from cometreel.serve.admin.api import admin_app  # noqa: PLC0415  # 60 ms that only the admin API needs

            self._app = admin_app(Control(self._backend), self._driver, self._auth, self._began, self._clock)
        await self._app(scope, receive, send)
