"""A run of the replay addon: engine, driver, WebSocket listener, and the watcher that reloads edited files."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from cometreel.cors import CrossOriginAccess
from cometreel.engine import Backend
from cometreel.engine.driver import Driver
from cometreel.engine.file_watcher import follow
from cometreel.mitmproxy_support.replay_options import ReplayPlan
from cometreel.mitmproxy_support.websocket_listener import WebSocketListener
from cometreel.scenario import CompiledScenario

__all__ = ["ReplayRun", "start_replay"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """A running replay."""

    driver: Driver
    listener: WebSocketListener
    watching: asyncio.Task[None]
    cors: CrossOriginAccess | None = None

    async def close(self) -> None:
        """Answer held requests and close every WebSocket."""
        self.watching.cancel()
        self.driver.close()
        await self.listener.close()


def start_replay(plan: ReplayPlan) -> ReplayRun:
    """Start a replay, and reload the scenario when its files are edited."""
    backend = Backend(
        plan.scenario,
        plan.settings,
        nonce=secrets.token_hex(8),
        responders=plan.responders,
        wallclock=lambda: datetime.now(UTC),
    )
    driver = Driver(backend)

    def install(scenario: CompiledScenario) -> None:
        driver.apply(lambda now: backend.replace(scenario, now))
        logger.info("The scenario was edited and reloaded: %d exchanges.", len(scenario.exchanges))

    title = plan.scenario.title or ", ".join(map(str, plan.paths))
    logger.info("Replaying %s: %d exchanges.", title, len(plan.scenario.exchanges))
    watching = asyncio.ensure_future(follow(plan.paths, install))
    watching.add_done_callback(_log_failure)
    cors = CrossOriginAccess(plan.settings.cors) if plan.settings.cors else None
    return ReplayRun(driver, WebSocketListener(driver, max_size=plan.settings.max_body), watching, cors)


def _log_failure(watching: asyncio.Task[None]) -> None:
    """Log an error that ended the watcher."""
    if not watching.cancelled() and (error := watching.exception()) is not None:
        logger.error("Edits of the scenario are no longer detected; restart mitmproxy.", exc_info=error)
