"""What the replay addon plays at the moment: engine, driver, WebSocket listener, and the watch over edited files.

Not in the addon's own file, as mitmproxy runs that one without making it a module. Nothing about flows may enter.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from cometreel.engine import Backend
from cometreel.engine.driver import Driver
from cometreel.engine.file_watcher import follow
from cometreel.mitmproxy_support.replay_options import ReplayPlan
from cometreel.mitmproxy_support.websocket_listener import WebSocketListener
from cometreel.scenario import Scenario

__all__ = ["ReplayRun", "start_replay"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """What is being played."""

    driver: Driver
    door: WebSocketListener
    following: asyncio.Task[None]

    async def close(self) -> None:
        """Answer all who are held, and end every WebSocket."""
        self.following.cancel()
        self.driver.close()
        await self.door.close()


def start_replay(plan: ReplayPlan) -> ReplayRun:
    """Start to play what the options ask for, and follow the edits of its files."""
    backend = Backend(
        plan.scenario,
        plan.settings,
        nonce=secrets.token_hex(8),
        responders=plan.responders,
        wallclock=lambda: datetime.now(UTC),
    )
    driver = Driver(backend)

    def install(scenario: Scenario) -> None:
        driver.apply(lambda now: backend.replace(scenario, now))
        logger.info("The scenario was edited: now %d exchanges are played.", len(scenario.exchanges))

    title = plan.scenario.title or ", ".join(map(str, plan.paths))
    logger.info("Replaying %s: %d exchanges.", title, len(plan.scenario.exchanges))
    following = asyncio.ensure_future(follow(plan.paths, install))
    following.add_done_callback(_tell_of_a_bug)
    return ReplayRun(driver, WebSocketListener(driver, max_size=plan.settings.max_body), following)


def _tell_of_a_bug(following: asyncio.Task[None]) -> None:
    """Don't let the watch over the files end unnoticed."""
    if not following.cancelled() and (error := following.exception()) is not None:
        logger.error("Edits of the scenario are no longer noticed.", exc_info=error)
