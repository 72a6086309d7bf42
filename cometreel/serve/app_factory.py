"""Builds the application of a scenario (engine, driver, file watcher) and serves it on the main thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import uvloop
from starlette.types import ASGIApp

from cometreel.cors import CrossOriginAccess
from cometreel.engine import Backend, ReplaySettings, Responder
from cometreel.engine.clock_control import ClockControl, ClockKind, checked_clock
from cometreel.engine.driver import Driver
from cometreel.engine.file_watcher import follow
from cometreel.errors import OptionInvalid
from cometreel.extras import require_extra
from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario
from cometreel.serve.app import ForwardRequest, ReplayApp
from cometreel.serve.http_server import AppFactory, ListenOptions, listen

__all__ = ["STOP_SIGNALS", "Admin", "replay_app", "serve", "settings_for"]

logger = logging.getLogger(__name__)

Admin = Callable[[Driver, Backend, ClockControl], ASGIApp]
"""Creates the admin app of one server, for the paths under `/__reel__`."""


def settings_for(scenario: CompiledScenario, given: Mapping[str, JSON] | None = None) -> ReplaySettings:
    """Return the defaults, overridden by the scenario, overridden by `given`; None overrides nothing.

    :raises OptionInvalid: if a value is invalid.
    """
    layers = (asdict(scenario.settings), given or {})
    settings = ReplaySettings()
    for layer in layers:
        settings = settings.under({name: value for name, value in layer.items() if value is not None})
    return settings


def replay_app(
    scenario: CompiledScenario,
    settings: ReplaySettings | None = None,
    *,
    responders: Sequence[Responder] = (),
    watched: Sequence[Path] = (),
    upstream: str | None = None,
    admin: Admin | None = None,
    clock: ClockKind = "real",
) -> AppFactory[ReplayApp]:
    """Return a factory of applications that replay a scenario; each application starts a new replay.

    The default `settings` are those of the scenario. `watched` are the scenario's files that are reloaded when they
    change. `upstream` is the URL of the real server, for unmatched requests. The `manual` clock starts frozen, and
    `ReplayApp.clock` moves it.

    :raises OptionInvalid: if the clock or the URL is invalid, or unmatched requests are to be forwarded without a URL.
    :raises ExtraMissing: if there is an upstream, without the extra `forward`.
    """
    settings = settings or settings_for(scenario)
    manual_clock = checked_clock(clock) == "manual"
    if settings.unmatched == "forward" and upstream is None:
        raise OptionInvalid("upstream", "missing", "the URL of the real server, to which unmatched GETs are forwarded")
    base = None if upstream is None else _checked(upstream)
    cors = CrossOriginAccess(settings.cors) if settings.cors else None

    @asynccontextmanager
    async def open_app() -> AsyncIterator[ReplayApp]:
        backend = Backend(
            scenario,
            settings,
            nonce=secrets.token_hex(8),
            responders=responders,
            wallclock=lambda: datetime.now(UTC),
        )
        driver = Driver(backend, manual_clock=manual_clock)
        control = ClockControl(backend, driver)
        admin_app = admin(driver, backend, control) if admin is not None else None
        following = asyncio.ensure_future(_follow(watched, driver, backend)) if watched else None
        try:
            async with _forwarding(base) as forward:
                yield ReplayApp(
                    driver, admin=admin_app, forward=forward, max_body=settings.max_body, cors=cors, clock=control
                )
        finally:
            driver.close()
            if following is not None:
                following.cancel()

    return open_app


def _checked(upstream: str) -> str:
    require_extra("forward", "forwarding of unmatched requests")
    from cometreel.serve.forwarding import checked_upstream  # noqa: PLC0415  # httpx, an optional dependency

    return checked_upstream(upstream)


@asynccontextmanager
async def _forwarding(upstream: str | None) -> AsyncIterator[ForwardRequest | None]:
    if upstream is None:
        yield None
        return
    from cometreel.serve.forwarding import forwarding_to  # noqa: PLC0415  # httpx, an optional dependency

    async with forwarding_to(upstream) as forward:
        yield forward


async def _follow(watched: Sequence[Path], driver: Driver, backend: Backend) -> None:
    def install(scenario: CompiledScenario) -> None:
        driver.apply(lambda now: backend.replace(scenario, now))
        logger.info("The scenario was reloaded: %d exchanges.", len(scenario.exchanges))

    try:
        await follow(watched, install)
    except Exception:
        logger.exception("The scenario is no longer reloaded when its files change; restart the server.")


A = TypeVar("A", bound=ASGIApp)

GC_THRESHOLDS = (20_000, 50, 100)  # of `gc.set_threshold`
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(factory: AppFactory[A], options: ListenOptions, announce: Callable[[str], None]) -> None:
    """Serve on the main thread until SIGINT or SIGTERM, then stop gracefully. `announce` gets the URL.

    :raises OptionInvalid: if the address or the certificate is invalid.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(factory, options, announce))


async def _serve(factory: AppFactory[A], options: ListenOptions, announce: Callable[[str], None]) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    async with listen(factory, options) as (_, listener):
        _collect_garbage_less_often()
        announce(listener.url)
        await stopping.wait()
    gc.freeze()  # else Python traverses all sessions when it exits


def _collect_garbage_less_often() -> None:
    """Run the garbage collector less often: traversing the scenario and the sessions, which stay, delays requests."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
