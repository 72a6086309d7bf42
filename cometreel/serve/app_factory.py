"""From a loaded scenario to the door that plays it: engine, driver, door, and the watch over edited files."""

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

from cometreel.engine import Backend, ReplaySettings, Responder
from cometreel.engine.driver import Driver
from cometreel.engine.file_watcher import follow
from cometreel.errors import OptionInvalid
from cometreel.extras import require_extra
from cometreel.jsonvalue import JSON
from cometreel.scenario import Scenario
from cometreel.serve.app import ForwardRequest, ReplayApp
from cometreel.serve.http_server import AppFactory, ListenOptions, listen

__all__ = ["Admin", "STOPS", "replay_app", "serve", "settings_for"]

logger = logging.getLogger(__name__)

Admin = Callable[[Driver, Backend], ASGIApp]
"""Makes the app for the paths under `/__reel__` of one server."""


def settings_for(scenario: Scenario, given: Mapping[str, JSON] | None = None) -> ReplaySettings:
    """Join the defaults, what the scenario sets and what is given; the later wins, and None gives nothing.

    :raises OptionInvalid: if a value can't be used.
    """
    layers = (asdict(scenario.settings), given or {})
    settings = ReplaySettings()
    for layer in layers:
        settings = settings.under({name: value for name, value in layer.items() if value is not None})
    return settings


def replay_app(
    scenario: Scenario,
    settings: ReplaySettings | None = None,
    *,
    responders: Sequence[Responder] = (),
    watched: Sequence[Path] = (),
    upstream: str | None = None,
    admin: Admin | None = None,
) -> AppFactory[ReplayApp]:
    """Return what opens a door that plays a scenario; each opening is a fresh replay.

    Without `settings` those of the scenario hold. `watched` are the scenario's files, where edits are to be followed.
    `upstream` is the URL of the real server, for what is to be forwarded.

    :raises OptionInvalid: if that URL can't be used, or is missing and something is to be forwarded.
    :raises ExtraMissing: if there is an upstream, without the extra `forward`.
    """
    settings = settings or settings_for(scenario)
    if settings.unmatched == "forward" and upstream is None:
        raise OptionInvalid("upstream", "missing", "the URL of the real server, to which unmatched GETs are forwarded")
    base = None if upstream is None else _checked(upstream)

    @asynccontextmanager
    async def opened() -> AsyncIterator[ReplayApp]:
        backend = Backend(
            scenario,
            settings,
            nonce=secrets.token_hex(8),
            responders=responders,
            wallclock=lambda: datetime.now(UTC),
        )
        driver = Driver(backend)
        made = admin(driver, backend) if admin is not None else None
        following = asyncio.ensure_future(_follow(watched, driver, backend)) if watched else None
        try:
            async with _forwarding(base) as forward:
                yield ReplayApp(driver, admin=made, forward=forward, max_body=settings.max_body)
        finally:
            driver.close()
            if following is not None:
                following.cancel()

    return opened


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
    def install(scenario: Scenario) -> None:
        driver.apply(lambda now: backend.replace(scenario, now))
        logger.info("The scenario was edited: now %d exchanges are played.", len(scenario.exchanges))

    try:
        await follow(watched, install)
    except Exception:  # don't let the watch over the files end unnoticed
        logger.exception("Edits of the scenario are no longer noticed.")


A = TypeVar("A", bound=ASGIApp)

COLLECT_AFTER = (20_000, 50, 100)  # new objects, and rounds of the younger generations (gc.set_threshold)
STOPS = (signal.SIGINT, signal.SIGTERM)


def serve(opening: AppFactory[A], listening: ListenOptions, announce: Callable[[str], None]) -> None:
    """Serve on the main thread until SIGINT or SIGTERM, then stop gracefully. `announce` is given the URL.

    :raises OptionInvalid: if the address or the certificate can't be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(opening, listening, announce))


async def _serve(opening: AppFactory[A], listening: ListenOptions, announce: Callable[[str], None]) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in STOPS:
        loop.add_signal_handler(number, stopping.set)
    async with listen(opening, listening) as (_, listener):
        _spare_the_collector()
        announce(listener.url)
        await stopping.wait()


def _spare_the_collector() -> None:
    """Let garbage be looked for less often: the scenario and the sessions stay, and to look at them costs requests."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
